#include "schema/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <vector>

#include "schema/internal/yaml_scalar.h"

namespace mayfly {
namespace {

constexpr std::size_t kTextBytesMax = 1024 * 1024;
constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kNodesMax = 100'000;
constexpr std::size_t kValueBytesMax = 16 * 1024 * 1024;     // texts after expansion of aliases
constexpr std::size_t kPositionBytesMax = 16 * 1024 * 1024;  // pointers; deeper positions are then those of an ancestor

struct Refusal {
  SourcePosition at;
  std::string message;
};

SourcePosition to_position(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {.line = mark.line + 1, .column = mark.column + 1};
}

struct Cost {
  std::size_t nodes = 0;
  std::size_t bytes = 0;
  std::size_t depth = 0;
};

Cost cost_of(const Json& value) {
  Cost cost{.nodes = 1, .bytes = 0, .depth = 1};
  const auto add = [&cost](const Json& child) {
    const Cost inner = cost_of(child);
    cost.nodes += inner.nodes;
    cost.bytes += inner.bytes;
    cost.depth = std::max(cost.depth, inner.depth + 1);
  };
  if (const auto* text = value.if_string()) cost.bytes = text->size();
  if (const auto* array = value.if_array())
    for (const Json& child : *array) add(child);
  if (const auto* object = value.if_object())
    for (const auto& member : *object) {
      cost.bytes += member.key().size();
      add(member.value());
    }
  return cost;
}

/// Turns yaml-cpp's events into a value. Refuses by throwing `Refusal`, which unwinds the library's recursion before it gets deep.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(YamlDocument& document) : document_(document) {}
  std::size_t documents() const { return documents_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw Refusal{to_position(mark), "there is a second document; keep only one (remove the `---` line)"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (wants_key()) throw Refusal{to_position(mark), "a key is empty; write a name before the `:`"};
    SourcePosition at = to_position(mark);
    // yaml-cpp gives an absent value the position of whatever follows it.
    if (!frames_.empty() && frames_.back().is_map && at.line != frames_.back().key_at.line) at = frames_.back().key_at;
    add(Json(nullptr), at, anchor, {.nodes = 1, .bytes = 0, .depth = 1});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto at = to_position(mark);
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refusal{at, "an alias refers to a value that contains it; that would never end"};
    if (wants_key()) {
      const auto* text = found->second.value.if_string();
      if (text == nullptr) throw Refusal{at, "a key must be a text; this alias is something else"};
      take_key(std::string(*text), at);
      return;
    }
    if (frames_.size() + found->second.cost.depth > kDepthMax) too_deep(at);
    charge(found->second.cost, at);
    add(found->second.value, at, YAML::NullAnchor, {});
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& text) override {
    const auto at = to_position(mark);
    // yaml-cpp turns the escapes \N and \_ into single bytes.
    if (!is_utf8(text)) throw Refusal{at, "an escape in this text does not give UTF-8; write it as \\u0085 or \\u00a0"};
    if (wants_key()) {
      if (anchor != YAML::NullAnchor) remember(anchor, Json(text));
      take_key(text, at);
      return;
    }
    auto value = resolve_yaml_scalar(tag, text);
    if (!value) throw Refusal{at, value.error()};
    add(*std::move(value), at, anchor, {.nodes = 1, .bytes = text.size(), .depth = 1});
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(mark, tag, "tag:yaml.org,2002:seq", anchor, Json(JsonArray{}));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(mark, tag, "tag:yaml.org,2002:map", anchor, Json(JsonObject{}));
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Json value;
    bool is_map = false;
    bool has_key = false;
    std::string key;
    SourcePosition key_at;
    SourcePosition at;
    std::string pointer;
    YAML::anchor_t anchor = YAML::NullAnchor;
  };
  struct Anchored {
    Json value;
    Cost cost;
  };

  bool wants_key() const { return !frames_.empty() && frames_.back().is_map && !frames_.back().has_key; }

  [[noreturn]] static void too_deep(SourcePosition at) {
    throw Refusal{at, fmt::format("values are nested deeper than {} levels; flatten the document", kDepthMax)};
  }

  void charge(const Cost& cost, SourcePosition at) {
    nodes_ += cost.nodes;
    bytes_ += cost.bytes;
    if (nodes_ > kNodesMax) throw Refusal{at, fmt::format("more than {} values (aliases expanded); split the document", kNodesMax)};
    if (bytes_ > kValueBytesMax) throw Refusal{at, "texts are larger than 16 MiB (aliases expanded); use fewer aliases"};
  }

  void remember(YAML::anchor_t anchor, Json value) {
    const Cost cost = cost_of(value);
    anchored_nodes_ += cost.nodes;
    anchored_bytes_ += cost.bytes;
    if (anchored_nodes_ > kNodesMax || anchored_bytes_ > kValueBytesMax) throw Refusal{{}, "the anchored values are too large; use fewer anchors"};
    anchors_.insert_or_assign(anchor, Anchored{std::move(value), cost});
  }

  void take_key(std::string key, SourcePosition at) {
    Frame& frame = frames_.back();
    if (frame.value.get_object().contains(key)) {
      throw Refusal{at, fmt::format("the key `{}` is given twice in one mapping; remove one", key)};
    }
    charge({.nodes = 0, .bytes = key.size(), .depth = 0}, at);
    frame.key = std::move(key);
    frame.key_at = at;
    frame.has_key = true;
  }

  std::string next_pointer() const {
    if (frames_.empty()) return {};
    const Frame& frame = frames_.back();
    if (position_bytes_ > kPositionBytesMax) return {};
    const std::string step = frame.is_map ? escape_pointer_token(frame.key) : std::to_string(frame.value.get_array().size());
    return frame.pointer + "/" + step;
  }

  void locate(const std::string& pointer, SourcePosition at) {
    position_bytes_ += 2 * (pointer.size() + 64);
    if (position_bytes_ > kPositionBytesMax) return;
    document_.positions.insert_or_assign(pointer, at);
    if (!frames_.empty() && frames_.back().is_map) document_.key_positions.insert_or_assign(pointer, frames_.back().key_at);
  }

  void place(Json value) {
    if (frames_.empty()) {
      document_.value = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.is_map) {
      frame.value.get_object().insert_or_assign(frame.key, std::move(value));
      frame.has_key = false;
    } else {
      frame.value.get_array().push_back(std::move(value));
    }
  }

  void add(Json value, SourcePosition at, YAML::anchor_t anchor, const Cost& cost) {
    charge(cost, at);
    locate(next_pointer(), at);
    if (anchor != YAML::NullAnchor) remember(anchor, value);
    place(std::move(value));
  }

  void open(const YAML::Mark& mark, const std::string& tag, std::string_view core_tag, YAML::anchor_t anchor, Json empty) {
    const auto at = to_position(mark);
    if (wants_key()) throw Refusal{at, "a key must be a text; put quotes around it"};
    if (!tag.empty() && tag != "?" && tag != "!" && tag != core_tag) {
      throw Refusal{at, fmt::format("the tag `{}` is not supported; remove it", tag)};
    }
    if (frames_.size() >= kDepthMax) too_deep(at);
    charge({.nodes = 1, .bytes = 0, .depth = 1}, at);
    std::string pointer = next_pointer();
    locate(pointer, at);
    const bool is_map = empty.is_object();
    frames_.push_back(
        {.value = std::move(empty), .is_map = is_map, .at = at, .pointer = std::move(pointer), .anchor = anchor});
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.anchor != YAML::NullAnchor) remember(frame.anchor, frame.value);
    place(std::move(frame.value));
  }

  YamlDocument& document_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t documents_ = 0;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
  std::size_t anchored_nodes_ = 0;
  std::size_t anchored_bytes_ = 0;
  std::size_t position_bytes_ = 0;
};

std::unexpected<Error> refuse(std::string_view file, SourcePosition at, std::string_view message) {
  return fail("yaml.invalid", fmt::format("{}:{}:{}: {}", file, at.line, at.column, message));
}

/// YAML forbids control characters, and yaml-cpp takes some of them for the end of the text or for another encoding.
std::optional<Refusal> check_characters(std::string_view text) {
  SourcePosition at{.line = 1, .column = 1};
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f) {
      return Refusal{at, fmt::format("the control character 0x{:02x} is not allowed; remove it", byte)};
    }
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else {
      ++at.column;
    }
  }
  return std::nullopt;
}

SourcePosition nearest(const std::map<std::string, SourcePosition, std::less<>>& positions, std::string_view pointer) {
  for (;;) {
    if (const auto found = positions.find(pointer); found != positions.end()) return found->second;
    const auto slash = pointer.rfind('/');
    if (slash == std::string_view::npos) return {};
    pointer = pointer.substr(0, slash);
  }
}

Result<YamlDocument> read(std::string text, std::string_view file_name) {
  YamlDocument document;
  Builder builder(document);
  try {
    std::istringstream stream{std::move(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refusal& refusal) {
    return refuse(file_name, refusal.at, refusal.message);
  } catch (const YAML::Exception& e) {
    // yaml-cpp takes some texts that are plain in YAML 1.2 for punctuation, such as `why?` before a comma.
    const std::string_view remedy = e.msg == "unknown token" ? "; put quotes around the text" : "";
    return refuse(file_name, to_position(e.mark), fmt::format("{}{}", e.msg, remedy));
  } catch (const std::exception& e) {
    return refuse(file_name, {}, fmt::format("the YAML reader failed: {}", e.what()));
  }
  if (builder.documents() == 0) document.positions.insert_or_assign("", SourcePosition{1, 1});
  return document;
}

}  // namespace

std::string escape_pointer_token(std::string_view token) {
  std::string out;
  out.reserve(token.size());
  for (const char c : token) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

SourcePosition YamlDocument::position_of(std::string_view pointer) const { return nearest(positions, pointer); }

SourcePosition YamlDocument::key_position_of(std::string_view pointer) const {
  const auto found = key_positions.find(pointer);
  return found != key_positions.end() ? found->second : position_of(pointer);
}

Result<YamlDocument> parse_yaml(std::string_view text, std::string_view file_name) {
  if (text.size() > kTextBytesMax) return refuse(file_name, {1, 1}, "the document is larger than 1 MiB; split it");
  if (!is_utf8(text)) return refuse(file_name, {1, 1}, "the document is not UTF-8; save it in that encoding");
  if (const auto refusal = check_characters(text)) return refuse(file_name, refusal->at, refusal->message);
  // yaml-cpp takes the end of the text for a closing quote when it follows a line break; a last comment line makes it notice.
  const std::string_view guard = text.empty() || text.ends_with('\n') ? "#" : "\n#";
  return read(std::string(text).append(guard), file_name);
}

}  // namespace mayfly
