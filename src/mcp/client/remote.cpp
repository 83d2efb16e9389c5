#include "mcp/client/remote.h"

#include <algorithm>

#include "base/hash.h"
#include "net/sse.h"

namespace mayfly::mcp {
namespace {

constexpr std::string_view kVersion = "2025-11-25";
constexpr std::size_t kToolsMax = 500, kPagesMax = 50, kDescriptionMax = 4'096;

Error protocol_error(const std::string& url, const std::string& what) {
  const auto origin = url.substr(0, url.find('/', url.find("://") + 3));
  return {"mcp.protocol", "the MCP server at " + origin + " " + what, Retry::Never};
}

/// The answer to `id` among what came.
std::optional<JsonObject> answer_in(const net::ClientResponse& response, std::int64_t id) {
  std::optional<JsonObject> out;
  const auto take = [&](std::string_view text) {
    auto value = parse_json(text);
    if (!value || !value->is_object() || out) return;
    const Json* given = get(value->get_object(), "id");
    if (given && given->is_int64() && given->get_int64() == id && !value->get_object().contains("method")) out = std::move(value->get_object());
  };
  if (response.headers.get("content-type").starts_with("text/event-stream")) {
    net::SseParser parser([&](net::SseEvent event) { take(event.data); });
    (void)parser.feed(response.body);
  } else {
    take(response.body);
  }
  return out;
}

std::string cut(std::string text, std::size_t max) {
  if (text.size() <= max) return text;
  while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xc0) == 0x80) --max;
  text.resize(max);
  return text;
}

}  // namespace

Task<Result<std::optional<JsonObject>>> Remote::post(Json message, bool wants_answer, CancelToken cancel, int* status) {
  net::ClientRequest request;
  request.method = "POST";
  request.url = options_.url;
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}};
  for (const auto& [name, value] : options_.headers) request.headers.set(name, value);
  if (!session_.empty()) request.headers.set("Mcp-Session-Id", session_);
  if (!version_.empty()) request.headers.set("MCP-Protocol-Version", version_);
  request.egress = options_.egress;
  request.total_timeout = options_.timeout;
  request.body_bytes_max = options_.body_bytes_max;
  request.cancel = cancel;
  const std::int64_t id = get_int(message.as_object(), "id", -1);
  request.body = to_text(message);
  auto response = co_await http_.send(std::move(request));
  if (!response) co_return std::unexpected(response.error());
  *status = response->status;
  if (response->status == 401 || response->status == 403)
    co_return fail("mcp.unauthorized", protocol_error(options_.url, "refuses the credentials (HTTP " + std::to_string(response->status) + "); check the headers of its entry under `mcp`").message);
  if (response->status == 404 && !session_.empty()) co_return std::optional<JsonObject>();
  if (response->status < 200 || response->status > 299)
    co_return fail(Error{"mcp.protocol", protocol_error(options_.url, "answered HTTP " + std::to_string(response->status)).message, response->status >= 500 ? Retry::OutcomeUnknown : Retry::Never});
  if (const std::string session = response->headers.get("mcp-session-id"); !session.empty() && session.size() <= 1'024) session_ = session;
  if (!wants_answer) co_return std::optional<JsonObject>();
  auto answer = answer_in(*response, id);
  if (!answer) {
    // It may have done what it was asked.
    Error error = protocol_error(options_.url, "did not answer the request; is this the URL of its Streamable HTTP endpoint?");
    error.retry = Retry::OutcomeUnknown;
    co_return fail(std::move(error));
  }
  co_return answer;
}

Task<Result<void>> Remote::open(CancelToken cancel) {
  if (open_) co_return Result<void>{};
  session_.clear();
  version_.clear();
  int status = 0;
  JsonObject params{{"protocolVersion", kVersion}, {"capabilities", JsonObject()}, {"clientInfo", JsonObject{{"name", "mayfly"}, {"version", "0.1.0"}}}};
  auto answer = co_await post(JsonObject{{"jsonrpc", "2.0"}, {"id", next_id_++}, {"method", "initialize"}, {"params", std::move(params)}}, true, cancel, &status);
  if (!answer) co_return std::unexpected(answer.error());
  const JsonObject* result = *answer ? get_object(**answer, "result") : nullptr;
  if (!result) co_return fail(protocol_error(options_.url, "refused to begin: " + (*answer ? cut(to_text(Json(**answer)), 300) : "no answer")));
  version_ = get_string(*result, "protocolVersion", kVersion);
  auto told = co_await post(JsonObject{{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}, false, cancel, &status);
  if (!told) co_return std::unexpected(told.error());
  open_ = true;
  co_return Result<void>{};
}

Task<Result<JsonObject>> Remote::request(std::string method, JsonObject params, CancelToken cancel) {
  for (int attempt = 0;; ++attempt) {
    if (auto opened = co_await open(cancel); !opened) co_return std::unexpected(opened.error());
    int status = 0;
    auto answer = co_await post(JsonObject{{"jsonrpc", "2.0"}, {"id", next_id_++}, {"method", method}, {"params", params}}, true, cancel, &status);
    if (!answer) co_return std::unexpected(answer.error());
    if (!*answer) {
      // The session is gone: nothing was done in it.
      open_ = false;
      if (attempt == 0) continue;
      co_return fail(protocol_error(options_.url, "forgets its sessions at once"));
    }
    if (const JsonObject* error = get_object(**answer, "error"))
      co_return fail(protocol_error(options_.url, "refused " + method + ": " + cut(get_string(*error, "message"), 300)));
    const JsonObject* result = get_object(**answer, "result");
    if (!result) co_return fail(protocol_error(options_.url, "answered without a result"));
    co_return *result;
  }
}

Task<Result<std::vector<RemoteTool>>> Remote::tools(CancelToken cancel) {
  std::vector<RemoteTool> out;
  std::string cursor;
  for (std::size_t page = 0; page < kPagesMax; ++page) {
    JsonObject params;
    if (!cursor.empty()) params["cursor"] = cursor;
    auto result = co_await request("tools/list", std::move(params), cancel);
    if (!result) co_return std::unexpected(result.error());
    const JsonArray* list = get_array(*result, "tools");
    for (std::size_t i = 0; list && i < list->size(); ++i) {
      const JsonObject* tool = (*list)[i].if_object();
      if (!tool) continue;
      if (out.size() >= kToolsMax) co_return fail("mcp.too_many_tools", protocol_error(options_.url, "has more than 500 tools; name those that are wanted under `tools`").message);
      RemoteTool one;
      one.name = get_string(*tool, "name");
      one.description = cut(to_utf8_lossy(get_string(*tool, "description")), kDescriptionMax);
      if (const Json* schema = get(*tool, "inputSchema")) one.input_schema = *schema;
      if (const JsonObject* hints = get_object(*tool, "annotations")) {
        one.read_only = get_bool(*hints, "readOnlyHint");
        one.idempotent = get_bool(*hints, "idempotentHint");
      }
      one.digest = sha256_hex(one.name + '\0' + get_string(*tool, "description") + '\0' + to_canonical_text(one.input_schema));
      if (!one.name.empty() && one.input_schema.is_object()) out.push_back(std::move(one));
    }
    cursor = get_string(*result, "nextCursor");
    if (cursor.empty()) break;
  }
  co_return out;
}

Task<Result<RemoteResult>> Remote::call(std::string tool, JsonObject arguments, CancelToken cancel) {
  auto result = co_await request("tools/call", {{"name", tool}, {"arguments", std::move(arguments)}}, cancel);
  if (!result) co_return std::unexpected(result.error());
  RemoteResult out;
  out.is_error = get_bool(*result, "isError");
  if (const JsonArray* content = get_array(*result, "content"))
    for (const Json& block : *content) {
      const JsonObject* object = block.if_object();
      if (!object) continue;
      const std::string type = get_string(*object, "type");
      if (!out.text.empty()) out.text += "\n";
      if (type == "text")
        out.text += get_string(*object, "text");
      else if (const JsonObject* resource = get_object(*object, "resource"); resource && resource->contains("text"))
        out.text += get_string(*resource, "text");
      else
        out.text += "[" + cut(type, 50) + " " + cut(get_string(*object, "mimeType", get_string(*object, "uri")), 200) + "]";
    }
  if (out.text.empty())
    if (const Json* structured = get(*result, "structuredContent")) out.text = to_text(*structured);
  out.text = to_utf8_lossy(out.text);
  co_return out;
}

}  // namespace mayfly::mcp
