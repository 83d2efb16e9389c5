#include "sandbox/jail/protocol.h"

#include "sandbox/jail/wire.h"

namespace mayfly::jail {
namespace {

using Mounts = std::vector<LaunchMessage::Mount>;

// One list of fields serves both directions, so that they cannot differ.
struct Out {
  Writer writer;
  void field(std::uint64_t value) { writer.number(value); }
  void field(std::uint32_t value) { writer.number(value); }
  void field(bool value) { writer.number(value ? 1 : 0); }
  void field(const std::string& value) { writer.text(value); }
  void field(const std::vector<std::string>& values) { writer.texts(values); }
  void field(const Mounts& mounts) {
    writer.number(mounts.size());
    for (const auto& mount : mounts) {
      field(mount.source);
      field(mount.target);
      field(mount.writable);
    }
  }
};

struct In {
  Reader reader;
  void field(std::uint64_t& value) { value = reader.number(); }
  void field(std::uint32_t& value) { value = static_cast<std::uint32_t>(reader.number()); }
  void field(bool& value) { value = reader.number() != 0; }
  void field(std::string& value) { value = reader.text(); }
  void field(std::vector<std::string>& values) { values = reader.texts(); }
  void field(Mounts& mounts) {
    mounts.resize(reader.count());
    for (auto& mount : mounts) {
      field(mount.source);
      field(mount.target);
      field(mount.writable);
    }
  }
};

template <class Io, class... Fields>
void all(Io& io, Fields&... fields) {
  (io.field(fields), ...);
}

template <class Io, class M>
void launch_fields(Io& io, M& m) {
  all(io, m.sequence, m.id, m.argv, m.environment, m.directory, m.mounts, m.memory_bytes_max, m.cpu_milli_max, m.processes_max,
      m.open_files_max, m.file_bytes_max, m.tmp_bytes_max, m.host_network, m.listen, m.hostname, m.zygote, m.without, m.required);
}
template <class Io, class M>
void zygote_fields(Io& io, M& m) {
  all(io, m.sequence, m.name, m.argv, m.environment, m.mounts);
}
template <class Io, class M>
void layers_fields(Io& io, M& m) {
  all(io, m.active, m.details);
}
template <class Io, class M>
void started_fields(Io& io, M& m) {
  all(io, m.sequence, m.pid, m.active, m.addresses, m.memory_now, m.memory_peak, m.processes_now);
}
template <class Io, class M>
void failed_fields(Io& io, M& m) {
  all(io, m.sequence, m.code, m.message, m.safe);
}
template <class Io, class M>
void ended_fields(Io& io, M& m) {
  all(io, m.sequence, m.signalled, m.out_of_memory, m.code);
}

Out begin(Kind kind) {
  Out out;
  out.field(static_cast<std::uint64_t>(kind));
  return out;
}

template <class M, class Fields>
std::optional<M> decode(std::string_view packet, Kind kind, Fields fields) {
  In in{Reader(packet)};
  if (in.reader.number() != static_cast<std::uint64_t>(kind)) return std::nullopt;
  M message;
  fields(in, message);
  if (!in.reader.done()) return std::nullopt;
  return message;
}

}  // namespace

std::string encode(const LaunchMessage& message) {
  Out out = begin(Kind::Launch);
  launch_fields(out, message);
  return out.writer.bytes();
}
std::string encode(const ZygoteMessage& message) {
  Out out = begin(Kind::AddZygote);
  zygote_fields(out, message);
  return out.writer.bytes();
}
std::string encode_remove_zygote(const std::string& name) {
  Out out = begin(Kind::RemoveZygote);
  out.field(name);
  return out.writer.bytes();
}
std::string encode(const LayersMessage& message) {
  Out out = begin(Kind::Layers);
  layers_fields(out, message);
  return out.writer.bytes();
}
std::string encode(const StartedMessage& message) {
  Out out = begin(Kind::Started);
  started_fields(out, message);
  return out.writer.bytes();
}
std::string encode(const FailedMessage& message) {
  Out out = begin(Kind::Failed);
  failed_fields(out, message);
  return out.writer.bytes();
}
std::string encode(const EndedMessage& message) {
  Out out = begin(Kind::Ended);
  ended_fields(out, message);
  return out.writer.bytes();
}
std::string encode_zygote_ready(std::uint64_t sequence) {
  Out out = begin(Kind::ZygoteReady);
  out.field(sequence);
  return out.writer.bytes();
}

std::optional<Kind> kind_of(std::string_view packet) {
  Reader reader(packet);
  const std::uint64_t kind = reader.number();
  if (!reader.ok() || kind < static_cast<std::uint64_t>(Kind::Launch) || kind > static_cast<std::uint64_t>(Kind::ZygoteReady)) return {};
  return static_cast<Kind>(kind);
}

std::optional<LaunchMessage> decode_launch(std::string_view packet) {
  return decode<LaunchMessage>(packet, Kind::Launch, launch_fields<In, LaunchMessage>);
}
std::optional<ZygoteMessage> decode_zygote(std::string_view packet) {
  return decode<ZygoteMessage>(packet, Kind::AddZygote, zygote_fields<In, ZygoteMessage>);
}
std::optional<std::string> decode_remove_zygote(std::string_view packet) {
  return decode<std::string>(packet, Kind::RemoveZygote, [](In& in, std::string& name) { in.field(name); });
}
std::optional<LayersMessage> decode_layers(std::string_view packet) {
  return decode<LayersMessage>(packet, Kind::Layers, layers_fields<In, LayersMessage>);
}
std::optional<StartedMessage> decode_started(std::string_view packet) {
  return decode<StartedMessage>(packet, Kind::Started, started_fields<In, StartedMessage>);
}
std::optional<FailedMessage> decode_failed(std::string_view packet) {
  return decode<FailedMessage>(packet, Kind::Failed, failed_fields<In, FailedMessage>);
}
std::optional<EndedMessage> decode_ended(std::string_view packet) {
  return decode<EndedMessage>(packet, Kind::Ended, ended_fields<In, EndedMessage>);
}
std::optional<std::uint64_t> decode_zygote_ready(std::string_view packet) {
  return decode<std::uint64_t>(packet, Kind::ZygoteReady, [](In& in, std::uint64_t& sequence) { in.field(sequence); });
}

}  // namespace mayfly::jail
