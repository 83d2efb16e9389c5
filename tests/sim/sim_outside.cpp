#include "sim_outside.h"

#include <algorithm>

#include "sim_world.h"

namespace mayfly::sim {
namespace {

constexpr Millis kSleep{5'000};

/// Waits; for ever when the process has died or lost its network.
Task<> pass(ProcessClock& clock, Millis delay) { co_await sleep_for(clock, delay); }

std::int64_t tokens_of(const llm::LlmRequest& request) {
  std::int64_t bytes = static_cast<std::int64_t>(request.system.size());
  for (const llm::Message& message : request.messages) bytes += static_cast<std::int64_t>(to_text(llm::to_json(message)).size());
  return bytes / 4 + 1;
}

}  // namespace

Task<Result<net::ClientResponse>> SimHttp::send(net::ClientRequest request) {
  co_await pass(clock_, outside_.delay(500));
  if (outside_.chance(0.08)) co_return fail("net.connect", "the simulated network is down", Retry::Safe);
  if (outside_.chance(0.04)) co_return net::ClientResponse{503, {}, "busy", request.url};
  const std::string path = request.url.substr(std::string("http://tool.test/").size());
  const std::string label = path.substr(path.find('/') + 1);
  std::string key = request.headers.get("Idempotency-Key");
  if (outside_.plant == Plant::FreshIdempotencyKeys) key += std::to_string(outside_.random.next());
  ++outside_.tool_calls;
  ++outside_.deliveries[label];
  outside_.keys[label].insert(key);
  co_await pass(clock_, outside_.delay(500));
  if (outside_.chance(0.08)) co_return fail("net.reset", "the simulated connection broke", Retry::OutcomeUnknown);
  co_return net::ClientResponse{200, {{"content-type", "text/plain"}}, "ok " + label, request.url};
}

Task<llm::LlmResult> SimModel::complete(llm::LlmCall call) {
  co_await pass(clock_, outside_.delay(300));
  ++outside_.model_calls;
  if (outside_.chance(0.06)) co_return std::unexpected(llm::LlmError{{"llm.rate_limited", "slow down", Retry::Safe}, Millis{1'000}, 429});
  check_sleeps(call.request);
  // While the call runs, the worst is billed; what follows corrects it downwards.
  const std::int64_t input = tokens_of(call.request);
  const std::int64_t worst = input * kInputPrice + call.request.output_tokens_max * kOutputPrice;
  std::int64_t& billed = outside_.billed[call.scripted_key];
  billed += worst;
  co_await pass(clock_, outside_.delay(1'500));
  if (outside_.chance(0.06))
    co_return std::unexpected(llm::LlmError{{"llm.bad_response", "the stream was cut", Retry::OutcomeUnknown}, {}, 200});
  llm::LlmResponse out = answer(call.request);
  // What the model says must not cost more when it is read again than when it was said.
  const auto output = static_cast<std::int64_t>(to_text(llm::to_json(out.message)).size()) / 4 + 1;
  out.usage = {.input = input, .output = std::min(output, call.request.output_tokens_max)};
  out.provider = "sim";
  out.model = "m";
  outside_.billed[call.scripted_key] -= worst - (input * kInputPrice + out.usage.output * kOutputPrice);
  if (call.on_delta) call.on_delta({llm::LlmDelta::Kind::Text, llm::text_of(out.message), 0, {}, {}});
  co_return out;
}

void SimModel::check_sleeps(const llm::LlmRequest& request) {
  for (const llm::Message& message : request.messages) {
    for (const llm::Content& part : message.content) {
      if (part.kind != llm::Content::Kind::ToolResult || !part.id.contains(".sleep") || part.is_error) continue;
      const auto called = outside_.sleep_called.find(part.id);
      if (called != outside_.sleep_called.end() && outside_.clock.now() < called->second + kSleep)
        outside_.violations.push_back("timer early: " + part.id + " after " + to_human(outside_.clock.now() - called->second));
    }
  }
}

llm::LlmResponse SimModel::answer(const llm::LlmRequest& request) {
  std::vector<std::string> tasks;
  std::set<std::string> finished, succeeded;
  std::map<std::string, int> tried;
  for (const llm::Message& message : request.messages) {
    for (const llm::Content& part : message.content) {
      if (message.role == llm::Role::User && part.text.starts_with("task ")) tasks.push_back(part.text.substr(5));
      if (message.role == llm::Role::Assistant && part.kind == llm::Content::Kind::Text && part.text.starts_with("done "))
        finished.insert(part.text.substr(5));
      if (part.kind == llm::Content::Kind::ToolCall) ++tried[part.id.substr(0, part.id.find('#'))];
      if (part.kind == llm::Content::Kind::ToolResult && !part.is_error) succeeded.insert(part.id.substr(0, part.id.find('#')));
    }
  }
  llm::LlmResponse out;
  out.message.role = llm::Role::Assistant;
  const auto call = [&](const std::string& id, const std::string& tool, JsonObject arguments) {
    if (succeeded.contains(id)) return;
    llm::Content part = llm::Content::make_tool_call(id + "#" + std::to_string(tried[id]), tool, std::move(arguments));
    if (tool == "sleep") outside_.sleep_called[part.id] = outside_.clock.now();
    if (outside_.chance(0.05)) {
      part.text = to_text(part.arguments) + "]";  // broken; sometimes repairable
      if (outside_.chance(0.5)) part.text = "{\"label\": ";
      part.arguments = nullptr;
    }
    out.message.content.push_back(std::move(part));
  };
  const auto calls = [&] {
    return std::ranges::any_of(out.message.content, [](const llm::Content& part) { return part.kind == llm::Content::Kind::ToolCall; });
  };
  for (const std::string& task : tasks) {
    if (finished.contains(task)) continue;
    call(task + ".a", "effect", {{"label", task + ".a"}});
    call(task + ".b", "effect", {{"label", task + ".b"}});
    if (!calls()) call(task + ".once", "once", {{"label", task + ".once"}});
    if (!calls()) call(task + ".sleep", "sleep", {{"seconds", 5}});
    if (!calls()) call(task + ".note", "memory", {{"action", "set"}, {"key", "task " + task}, {"value", "done"}});
    if (calls()) break;
    out.message.content.push_back(llm::Content::make_text("done " + task));
    finished.insert(task);
  }
  if (out.message.content.empty()) out.message.content.push_back(llm::Content::make_text("nothing to do"));
  out.stop_reason = calls() ? llm::StopReason::ToolCalls : llm::StopReason::End;
  return out;
}

}  // namespace mayfly::sim
