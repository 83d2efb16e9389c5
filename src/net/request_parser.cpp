#include "net/request_parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>

#include "net/chunk_decoder.h"

namespace mayfly::net {
namespace {

namespace http = boost::beast::http;
using BeastText = boost::beast::string_view;
using ErrorCode = boost::beast::error_code;

constexpr std::size_t kFieldsMax = 256;
constexpr std::size_t kBodyReserveMax = 64 * 1024;

std::string_view to_view(BeastText text) { return {text.data(), text.size()}; }

bool has_other_version(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, bytes.find("\r\n"));
  const auto space = line.rfind(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view version = line.substr(space + 1);
  const auto digit = [&](std::size_t at) { return version[at] >= '0' && version[at] <= '9'; };
  return version.size() == 8 && version.starts_with("HTTP/") && digit(5) && version[6] == '.' && digit(7);
}

Refusal malformed(std::string detail) { return {400, "http.malformed", std::move(detail)}; }

}  // namespace

/// Fills the Request while Beast recognises the header. Bodies are read here: Beast 1.81 aborts (an assertion) when
/// the last chunk of an empty chunked body arrives in pieces.
struct RequestParser::Core final : http::basic_parser<true> {
  Core(std::size_t header_bytes_max, std::size_t body_bytes_max)
      : chunks(body_bytes_max, header_bytes_max), header_bytes_max_(header_bytes_max), body_bytes_max_(body_bytes_max) {
    skip(true);
    header_limit(static_cast<std::uint32_t>(header_bytes_max));
  }

  Request request;
  Refusal refusal;
  std::string_view input;  ///< what `put` is parsing
  bool started = false;
  bool line_done = false;
  bool http10 = false;
  bool expects_continue = false;
  BodyPolicy policy;
  ChunkDecoder chunks;

  void refuse(ErrorCode& error, Refusal why) {
    refusal = std::move(why);
    error = http::error::bad_value;
  }

  bool count(std::size_t bytes, ErrorCode& error) {
    header_bytes_ += bytes;
    if (header_bytes_ <= header_bytes_max_) return true;
    error = http::error::header_limit;
    return false;
  }

  void on_request_impl(http::verb, BeastText method, BeastText target, int version, ErrorCode& error) override {
    if (!count(method.size() + target.size() + 12, error)) return;
    request.method = to_view(method);
    request.target = to_view(target);
    http10 = version == 10;
    line_done = true;
  }

  void on_response_impl(int, BeastText, int, ErrorCode&) override {}

  void on_field_impl(http::field field, BeastText name, BeastText value, ErrorCode& error) override {
    if (!count(name.size() + value.size() + 4, error)) return;
    if (is_folded(name, value)) return refuse(error, malformed("A header value continues on a second line; send it on one line."));
    if (request.headers.size() >= kFieldsMax) {
      return refuse(error, {431, "http.header_too_large", "The request has more than 256 header fields; send fewer."});
    }
    switch (field) {
      case http::field::host: ++hosts_; break;
      case http::field::transfer_encoding: check_coding(to_view(value), error); break;
      case http::field::expect:
        if (!equal_ignoring_case(to_view(value), "100-continue")) {
          return refuse(error, {417, "http.expectation_failed", "Only \"Expect: 100-continue\" is supported; drop the Expect header."});
        }
        expects_continue = true;
        break;
      default: break;
    }
    if (!error) request.headers.add(std::string(to_view(name)), std::string(to_view(value)));
  }

  void on_header_impl(ErrorCode& error) override {
    if (http10) expects_continue = false;
    if (!http10 && hosts_ != 1) return refuse(error, malformed("An HTTP/1.1 request needs exactly one Host header."));
    if (hosts_ > 1) return refuse(error, malformed("The request has more than one Host header."));
    if (request.headers.get("host").find_first_of(" \t/\\@?#,") != std::string::npos) {
      return refuse(error, malformed("The Host header is not a host name with an optional port."));
    }
    split_target(error);
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(BeastText body, ErrorCode&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, BeastText, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastText body, ErrorCode&) override { return body.size(); }
  void on_finish_impl(ErrorCode&) override {}

  /// After the header: false when the announced body is too large.
  bool begin_body(const BodyPolicyRule* rule) {
    if (rule != nullptr && *rule) policy = (*rule)(request);
    if (policy.bytes_max) {
      body_bytes_max_ = *policy.bytes_max;
      chunks = ChunkDecoder(body_bytes_max_, header_bytes_max_);
    }
    left_ = content_length().value_or(0);
    if (left_ > body_bytes_max_) return false;
    if (policy.mode == BodyPolicy::Mode::Whole) request.body.reserve(std::min<std::size_t>(left_, kBodyReserveMax));
    return true;
  }

  ChunkDecoder::Status read_body(std::string_view bytes, std::string& body, std::size_t& used) {
    if (chunked()) return chunks.feed(bytes, body, used);
    used = std::min<std::uint64_t>(left_, bytes.size());
    body.append(bytes.substr(0, used));
    left_ -= used;
    return left_ == 0 ? ChunkDecoder::Status::Done : ChunkDecoder::Status::NeedMore;
  }

 private:
  /// Beast joins folded lines in a buffer of its own, or skips an empty first line.
  bool is_folded(BeastText name, BeastText value) const {
    const char* const first = name.data() + name.size();
    if (value.data() < first || value.data() > input.data() + input.size()) return true;
    return std::string_view(first, static_cast<std::size_t>(value.data() - first)).find('\n') != std::string_view::npos;
  }

  void check_coding(std::string_view value, ErrorCode& error) {
    if (http10) return refuse(error, malformed("Transfer-Encoding is not part of HTTP/1.0; send Content-Length."));
    if (!equal_ignoring_case(value, "chunked")) {
      refuse(error, {501, "http.transfer_coding", "The only supported transfer coding is chunked; send the body plain or chunked."});
    }
  }

  void split_target(ErrorCode& error) {
    std::string& target = request.target;
    if (target.find('#') != std::string::npos) return refuse(error, malformed("The request target holds a fragment (#); drop it."));
    if (request.method == "CONNECT") return refuse(error, {501, "http.not_a_proxy", "CONNECT is not supported: this server is no proxy."});
    if (target == "*") {
      if (request.method != "OPTIONS") return refuse(error, malformed("The target * is for OPTIONS only."));
    } else if (target[0] != '/') {
      const auto scheme = target.find("://");
      const std::string_view name = std::string_view(target).substr(0, scheme == std::string::npos ? 0 : scheme);
      if (!equal_ignoring_case(name, "http") && !equal_ignoring_case(name, "https")) {
        return refuse(error, malformed("The request target must begin with / or be an absolute http URL."));
      }
      const auto end = std::min(target.find_first_of("/?", scheme + 3), target.size());
      const std::string authority = target.substr(scheme + 3, end - scheme - 3);
      if (authority.empty() || authority.find('@') != std::string::npos)
        return refuse(error, malformed("The request target has no plain host."));
      request.headers.set("Host", authority);  // RFC 9112 §3.2.2: the target wins
      target.erase(0, end);
      if (target.empty() || target[0] != '/') target.insert(0, 1, '/');
    }
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string::npos) request.query = target.substr(question + 1);
  }

  std::size_t header_bytes_max_;
  std::size_t body_bytes_max_;
  std::size_t header_bytes_ = 0;
  int hosts_ = 0;
  std::uint64_t left_ = 0;
};

struct RequestParser::State {
  std::size_t header_bytes_max;
  std::size_t body_bytes_max;
  const BodyPolicyRule* rule;
  std::optional<Core> core;
};

namespace {

Refusal explain(http::error error, bool line_done, std::string_view rest) {
  switch (error) {
    case http::error::header_limit:
      if (!line_done) return {414, "http.target_too_long", "The request line is too long; shorten the URL or send the data in the body."};
      return {431, "http.header_too_large", "The request header is too large; send fewer or shorter header fields."};
    case http::error::body_limit:
      return {413, "http.body_too_large",
              "The request body is larger than this server accepts; send less, or store it and send a reference."};
    case http::error::bad_version:
      if (has_other_version(rest)) return {505, "http.version", "This server speaks HTTP/1.1 and HTTP/1.0 only."};
      return malformed("The request line does not end with an HTTP version and CRLF.");
    case http::error::bad_method: return malformed("The request method is not a token followed by one space.");
    case http::error::bad_target: return malformed("The request target is missing or holds forbidden bytes; percent-encode them.");
    case http::error::bad_field: return malformed("A header field name holds forbidden bytes or a space before its colon.");
    case http::error::bad_value: return malformed("A header field value is malformed or holds control bytes.");
    case http::error::bad_line_ending: return malformed("A header line does not end with CRLF.");
    case http::error::bad_content_length:
    case http::error::multiple_content_length: return malformed("Content-Length is not one number, or stands beside Transfer-Encoding.");
    case http::error::bad_transfer_encoding:
      return malformed("Transfer-Encoding is repeated or stands beside Content-Length; send one of them.");
    default: return malformed("The request is malformed.");
  }
}

}  // namespace

RequestParser::RequestParser(std::size_t header_bytes_max, std::size_t body_bytes_max, const BodyPolicyRule* rule)
    : state_(std::make_unique<State>(State{header_bytes_max, body_bytes_max, rule, {}})) {
  reset();
}

RequestParser::~RequestParser() = default;

void RequestParser::reset() { state_->core.emplace(state_->header_bytes_max, state_->body_bytes_max); }

RequestParser::Progress RequestParser::feed(std::string_view bytes) {
  Core& core = *state_->core;
  Progress progress;
  std::size_t skipped = 0;
  if (!core.started) {
    // RFC 9112 §2.2: empty lines before the request line are ignored.
    while (bytes.starts_with("\r\n")) {
      bytes.remove_prefix(2);
      skipped = progress.consumed += 2;
    }
    if (bytes.empty() || bytes == "\r") return progress;
    core.started = true;
  }
  if (!core.is_done()) {
    feed_header(bytes, progress);
    if (progress.status != Status::NeedMore || !core.is_done()) return progress;
    bytes.remove_prefix(progress.consumed - skipped);
  }
  const Progress of_body = feed_body(bytes, core.request.body);
  if (of_body.status == Status::Done) core.request.trailers = std::move(core.chunks.trailers());
  return {of_body.status, progress.consumed + of_body.consumed};
}

RequestParser::Progress RequestParser::feed_body(std::string_view bytes, std::string& body) {
  Core& core = *state_->core;
  Progress progress;
  const auto status = core.read_body(bytes, body, progress.consumed);
  if (status == ChunkDecoder::Status::Done) {
    progress.status = Status::Done;
  } else if (status != ChunkDecoder::Status::NeedMore) {
    progress.status = Status::Refused;
    core.refusal = status == ChunkDecoder::Status::TooLarge
                       ? explain(http::error::body_limit, true, {})
                       : malformed("The chunked request body or its trailer is malformed or too large.");
  }
  return progress;
}

void RequestParser::feed_header(std::string_view bytes, Progress& progress) {
  Core& core = *state_->core;
  if (bytes.empty()) return;
  core.input = bytes;
  ErrorCode error;
  const std::size_t used = core.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  core.input = {};
  progress.consumed += used;
  const auto refuse = [&](http::error why) {
    progress.status = Status::Refused;
    if (core.refusal.code.empty()) core.refusal = explain(why, core.line_done, bytes.substr(used));
  };
  if (error && error != http::error::need_more) return refuse(static_cast<http::error>(error.value()));
  if (core.is_done()) {
    if (!core.begin_body(state_->rule)) return refuse(http::error::body_limit);
    if (core.policy.mode == BodyPolicy::Mode::Stream) progress.status = Status::HeadDone;
  } else if (bytes.size() - used > state_->header_bytes_max) {
    refuse(http::error::header_limit);
  }
}

Request& RequestParser::request() { return state_->core->request; }
const Refusal& RequestParser::refusal() const { return state_->core->refusal; }
const Headers& RequestParser::trailers() const { return state_->core->chunks.trailers(); }
const BodyPolicy& RequestParser::body_policy() const { return state_->core->policy; }
bool RequestParser::header_done() const { return state_->core->is_header_done(); }
bool RequestParser::keep_alive() const { return state_->core->is_header_done() && state_->core->keep_alive(); }
bool RequestParser::is_http10() const { return state_->core->http10; }
bool RequestParser::expects_continue() const { return state_->core->expects_continue; }

}  // namespace mayfly::net
