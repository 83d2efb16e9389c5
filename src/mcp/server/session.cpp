#include "mcp/server/session.h"

#include <algorithm>

#include <fmt/format.h>

namespace mayfly::mcp {
namespace {

constexpr Millis kAnswerTimeout{10 * 60'000};

RpcResponse no_answer(std::string why) { return {std::nullopt, RpcError{rpc_code::kInternal, std::move(why), std::nullopt}}; }

}  // namespace

Session::Session(std::string session_id, Client who) : id(std::move(session_id)), client(std::move(who)) {
  streams_.emplace(kStandalone, std::make_shared<MessageStream>());
}

std::shared_ptr<MessageStream> Session::open_stream(std::string* name) {
  *name = std::to_string(next_stream_++);
  auto out = std::make_shared<MessageStream>();
  if (streams_.size() > kStreamsKept) {
    auto oldest = streams_.end();
    for (auto each = streams_.begin(); each != streams_.end(); ++each)
      if (each->second->finished() && (oldest == streams_.end() || std::stoll(each->first) < std::stoll(oldest->first))) oldest = each;
    if (oldest != streams_.end()) streams_.erase(oldest);
  }
  streams_.emplace(*name, out);
  return out;
}

std::shared_ptr<MessageStream> Session::stream(std::string_view name) const {
  const auto found = streams_.find(name);
  return found == streams_.end() ? nullptr : found->second;
}

void Session::notify(std::string_view method, JsonObject params) {
  streams_.find(kStandalone)->second->push(to_text(rpc_notification(method, std::move(params))));
}

Task<std::expected<JsonObject, RpcError>> Session::ask(MessageStream* stream, std::string method, JsonObject params, Clock* clock,
                                                       CancelToken cancel) {
  if (closed_ || cancel.cancelled()) co_return std::unexpected(no_answer("the session has ended").error());
  if (asked_.size() >= kAskedMax) co_return std::unexpected(no_answer("too many requests to the client are open").error());
  const RpcId request(fmt::format("mayfly-{}", next_request_++));
  const std::string key = request.key();
  const auto give_up = [this, key](std::string why) {
    const auto found = asked_.find(key);
    if (found == asked_.end() || !found->second.resume) return;
    auto resume = std::move(*found->second.resume);
    asked_.erase(found);
    resume(no_answer(std::move(why)));
  };
  const auto timer = clock->call_after(kAnswerTimeout, [give_up] { give_up("the client did not answer in time"); });
  const auto registration = cancel.on_cancel([give_up] { give_up("the request was cancelled"); });
  stream->push(to_text(rpc_request(request, method, std::move(params))));
  auto response = co_await suspend<RpcResponse>([this, key](Resume<RpcResponse> resume) { asked_[key].resume = std::move(resume); });
  if (!response.ok()) co_return std::unexpected(response.error());
  co_return response.result();
}

bool Session::answer(RpcResponse response) {
  const auto found = response.id ? asked_.find(response.id->key()) : asked_.end();
  if (found == asked_.end() || !found->second.resume) return false;
  auto resume = std::move(*found->second.resume);
  asked_.erase(found);
  resume(std::move(response));
  return true;
}

void Session::close() {
  closed_ = true;
  watches.clear();
  auto running_now = std::move(running);
  running.clear();
  for (auto& [key, source] : running_now) source.cancel();
  auto asked = std::move(asked_);
  asked_.clear();
  for (auto& [key, each] : asked)
    if (each.resume) (*each.resume)(no_answer("the session has ended"));
  for (auto& [name, stream] : streams_) stream->finish();
}

std::shared_ptr<Session> SessionTable::open(std::string id, Client client) {
  const TimePoint now = clock_.now();
  std::vector<std::string> old;
  for (const auto& [key, session] : sessions_)
    if (now - session->used > kIdleMax && session->running.empty()) old.push_back(key);
  for (const std::string& key : old) close(key);
  if (sessions_.size() >= kSessionsMax) {
    const auto oldest = std::ranges::min_element(sessions_, {}, [](const auto& each) { return each.second->used; });
    close(std::string(oldest->first));
  }
  auto out = std::make_shared<Session>(id, std::move(client));
  out->used = now;
  sessions_.emplace(std::move(id), out);
  return out;
}

std::shared_ptr<Session> SessionTable::find(std::string_view id, const std::string& caller) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second->client.caller.id != caller) return nullptr;
  found->second->used = clock_.now();
  return found->second;
}

void SessionTable::close(const std::string& id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const auto session = found->second;
  sessions_.erase(found);
  session->close();
}

void SessionTable::close_all() {
  while (!sessions_.empty()) close(std::string(sessions_.begin()->first));
}

}  // namespace mayfly::mcp
