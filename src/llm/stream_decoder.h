#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "llm/provider.h"
#include "net/sse.h"

namespace mayfly::llm {

/// Turns the events of one provider's stream into deltas and, at the end, one response. Pure: no I/O, no time.
/// A subclass knows the wire; this class assembles. Limits: 1,000 parts, 32 MiB of text.
class StreamDecoder {
 public:
  using OnDelta = std::function<void(const LlmDelta&)>;

  StreamDecoder(std::string provider, OnDelta on_delta) : provider_(std::move(provider)), on_delta_(std::move(on_delta)) {}
  virtual ~StreamDecoder() = default;

  /// Events after the end or after an error are ignored.
  void event(const net::SseEvent& event);
  /// The first token has arrived.
  bool began() const { return began_; }
  /// Nothing that follows can matter.
  bool ended() const { return ended_ || error_.has_value(); }
  /// Once, after the last event. Error `llm.bad_response` (OutcomeUnknown) when the stream ended too early.
  LlmResult finish();
  /// True when finish() will give a response although the stream may not have been closed properly.
  bool complete() const { return complete_ && !error_; }

 protected:
  /// `key`s tell parts apart and need not be dense; parts keep the order of their first appearance.
  using Key = std::int64_t;

  virtual void decode(std::string_view name, const JsonObject& data) = 0;
  /// For data that is no JSON; false when it means nothing.
  virtual bool decode_marker(std::string_view) { return false; }

  void add_text(Key key, std::string_view piece);
  void add_reasoning(Key key, std::string_view piece);
  void add_refusal(Key key, std::string_view piece);
  void start_tool_call(Key key, std::string id, std::string name);
  void add_arguments(Key key, std::string_view piece);
  /// The content part with this key, or null.
  Content* find_part(Key key);
  Content& part(Key key, Content::Kind kind);
  /// The arguments streamed so far for a tool call; empty for an unknown key.
  std::string_view arguments_of(Key key) const;
  bool has_parts() const { return !parts_.empty(); }
  bool has_tool_calls() const { return tool_calls_ > 0; }
  void report_error(const JsonObject& body);
  void bad_stream(std::string_view why);
  void mark_complete() { complete_ = true; }
  void mark_ended() { ended_ = true; }

  LlmResponse response_;

 private:
  struct Part {
    Content content;
    std::string arguments;
    int tool_index = 0;
  };
  bool count(std::size_t bytes);
  void emit(LlmDelta delta);
  void add(Key key, Content::Kind kind, LlmDelta::Kind delta, std::string_view piece);

  std::string provider_;
  OnDelta on_delta_;
  std::vector<Part> parts_;
  std::map<Key, std::size_t> index_;
  std::optional<LlmError> error_;
  std::size_t bytes_ = 0;
  int tool_calls_ = 0;
  bool began_ = false;
  bool complete_ = false;
  bool ended_ = false;
};

}  // namespace mayfly::llm
