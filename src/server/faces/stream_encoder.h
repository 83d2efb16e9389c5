#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/faces/face_types.h"

namespace mayfly::faces {

/// What an answer says about itself.
struct AnswerHead {
  std::string id;            ///< a ULID; each API puts its own prefix before it
  std::int64_t created = 0;  ///< seconds since the Unix epoch
  std::string model;         ///< as the client asked for it
  JsonObject echo;           ///< Responses: settings to repeat
  JsonObject extension;      ///< sent as `mayfly` when not empty
};

/// Ids under which parts of an answer can be recalled, with what they stand for.
using Remembered = std::vector<std::pair<std::string, llm::Content>>;

/// Turns deltas into the bytes of an API's event stream. Pure. Parts follow one another: a part is closed before the next one
/// opens. Call `delta` any number of times, then `end` or `fail` once; each returns the bytes to send, which may be none.
class StreamEncoder {
 public:
  explicit StreamEncoder(AnswerHead head) : head_(std::move(head)) {}
  virtual ~StreamEncoder() = default;

  std::string delta(const llm::LlmDelta& delta);
  /// What has not streamed is sent first. `response` completes the usage and the reason to stop.
  std::string end(const llm::LlmResponse& response);
  std::string fail(const FaceError& error);
  /// Keeps proxies and clients patient.
  std::string heartbeat();

  /// True when the stream cannot go on: an answer that has been sent in part was begun anew, or its calls are interleaved.
  bool broken() const { return broken_; }
  /// Nothing but a heartbeat has been sent.
  bool silent() const { return !spoken_; }
  void set_extension(JsonObject extension) { head_.extension = std::move(extension); }
  const Remembered& remembered() const { return remembered_; }

 protected:
  enum class Part { None, Text, Reasoning, ToolCall };

  virtual void on_begin() = 0;
  /// `part()`, `id()` and `name()` say what opens or closes.
  virtual void open_part() = 0;
  virtual void piece(std::string_view text) = 0;
  virtual void close_part() = 0;
  virtual void on_end(const llm::LlmResponse& response) = 0;
  virtual void on_fail(const FaceError& error) = 0;
  virtual void on_heartbeat() { out_ += ": keep-alive\n\n"; }

  void put(std::string_view event, const JsonObject& data);
  void put_raw(std::string_view bytes) { out_ += bytes; }
  Part part() const { return part_; }
  int tool_index() const { return tool_index_; }
  const std::string& id() const { return id_; }
  const std::string& name() const { return name_; }
  /// The open part's text so far.
  const std::string& said() const { return said_; }
  void remember(std::string id, llm::Content content) { remembered_.emplace_back(std::move(id), std::move(content)); }
  /// Only the whole answer holds what a provider wants back with its reasoning: gives it to what was remembered of it.
  void complete_reasoning(const llm::LlmResponse& response);

  AnswerHead head_;

 private:
  void begin();
  void take(const llm::LlmDelta& delta);
  void enter(Part part, int tool_index, std::string id, std::string name);
  void leave();

  std::string out_;
  Part part_ = Part::None;
  int tool_index_ = -1;
  std::string id_;
  std::string name_;
  std::string said_;
  Remembered remembered_;
  bool begun_ = false;
  bool spoken_ = false;
  bool broken_ = false;
};

/// With tool calls an answer ends for them, whatever the provider called it.
llm::StopReason effective_stop(const llm::LlmResponse& response);
/// Texts of one kind, joined.
std::string joined(const llm::Message& message, llm::Content::Kind kind);

}  // namespace mayfly::faces
