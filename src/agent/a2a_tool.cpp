#include "agent/a2a_tool.h"

#include "agent/object_of.h"
#include "tool/http_template.h"

namespace mayfly::agent {
namespace {

std::string readable(const a2a::RemoteAnswer& answer) {
  std::string out = answer.text;
  if (!answer.data.is_null()) out += (out.empty() ? "" : "\n") + to_text(answer.data);
  return out;
}

/// What the model is told; ids only where a further call can use them.
ToolOutput output_of(const a2a::RemoteAnswer& answer) {
  using State = a2a::RemoteAnswer::State;
  const std::string says = readable(answer), context = answer.context.empty() ? "" : "\n[context: " + answer.context + "]";
  switch (answer.state) {
    case State::Done: return {says + context, false};
    case State::InputRequired:
      return {"The remote agent asks: " + says + "\nAnswer by calling this tool again with task \"" + answer.task + "\" and context \"" +
                  answer.context + "\".",
              false};
    case State::AuthRequired: return {"The remote agent wants to be authorised first: " + says, true};
    case State::Cancelled: return {"The remote agent cancelled the task. " + says, true};
    case State::Rejected: return {"The remote agent rejected the task. " + says, true};
    case State::Failed: return {"The remote agent failed. " + says, true};
  }
  return {says, false};
}

class A2aTool final : public Tool {
 public:
  A2aTool(A2aToolOptions options, net::HttpClient& http, Clock& clock, EnvLookup environment)
      : options_(std::move(options)), parameters_(a2a_parameters()), client_(http, clock), environment_(std::move(environment)) {}

  const std::string& name() const override { return options_.name; }
  const std::string& description() const override { return options_.description; }
  const Json& parameters() const override { return parameters_; }
  Effect effect() const override { return options_.effect; }

  Task<Result<ToolOutput>> call(ToolCall call) override {
    Redactor redactor;
    auto agent = remote(redactor);
    if (!agent) co_return fail(agent.error());
    const JsonObject& arguments = object_of(call.arguments);
    a2a::RemoteMessage message;
    message.id = call.idempotency_key;
    message.text = get_string(arguments, "message");
    if (const Json* data = get(arguments, "data")) message.data = *data;
    message.context = get_string(arguments, "context");
    message.task = get_string(arguments, "task");
    auto answer = co_await client_.send(std::move(*agent), std::move(message), std::min(options_.timeout, call.timeout), call.cancel);
    if (!answer) {
      Error error = answer.error();
      error.message = redactor.apply(error.message);
      if (error.code == "a2a.timeout") error.code = call.cancel.cancelled() ? "tool.cancelled" : "tool.timeout";
      if (options_.effect == Effect::ReadOnly && error.retry == Retry::OutcomeUnknown) error.retry = Retry::Safe;
      if (error.code == "a2a.remote" && error.retry == Retry::Never) co_return ToolOutput{error.message, true};
      co_return fail(std::move(error));
    }
    ToolOutput out = output_of(*answer);
    out.text = text_for_model(redactor.apply(out.text), options_.model_bytes_max);
    co_return out;
  }

 private:
  Result<a2a::RemoteAgent> remote(Redactor& redactor) const {
    a2a::RemoteAgent out;
    out.url = options_.url;
    out.binding = options_.binding;
    out.egress.allow_private = out.egress.allow_loopback = options_.allow_private;
    for (const auto& [name, value] : options_.headers) {
      auto header = HeaderTemplate::parse(name, value);
      if (!header) return fail(header.error());
      auto rendered = header->render(environment_, redactor);
      if (!rendered) return fail(rendered.error());
      out.headers.set(header->name(), std::move(*rendered));
    }
    return out;
  }

  A2aToolOptions options_;
  Json parameters_;
  a2a::Client client_;
  EnvLookup environment_;
};

}  // namespace

Json a2a_parameters() {
  const auto text = [](std::string_view description, int length) {
    return JsonObject{{"type", "string"}, {"maxLength", length}, {"description", description}};
  };
  JsonObject message = text("What to tell the remote agent: complete in itself, it does not see this conversation.", 100'000);
  message["minLength"] = 1;
  return JsonObject{{"type", "object"},
                    {"properties", JsonObject{{"message", std::move(message)},
                                              {"data", JsonObject{{"description", "Structured data beside the message, if the agent wants it."}}},
                                              {"context", text("The context of an earlier answer, to go on with that conversation.", 200)},
                                              {"task", text("The task that waits for this message, when the remote agent asked something.", 200)}}},
                    {"required", JsonArray{"message"}},
                    {"additionalProperties", false}};
}

std::unique_ptr<Tool> make_a2a_tool(A2aToolOptions options, net::HttpClient& http, Clock& clock, EnvLookup environment) {
  return std::make_unique<A2aTool>(std::move(options), http, clock, std::move(environment));
}

}  // namespace mayfly::agent
