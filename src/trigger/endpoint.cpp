#include "trigger/policy.h"
#include "trigger/trigger_service.h"

namespace mayfly::trigger {

Result<Endpoint> endpoint_from_json(std::string name, const Json& value) {
  const auto invalid = [](std::string message) { return fail("endpoint.invalid", std::move(message)); };
  if (!is_trigger_name(name)) return invalid(": an endpoint's name has 1 to 63 of a-z, 0-9 and '-', and begins with a letter or digit");
  Endpoint out;
  out.name = std::move(name);
  SpecReader reader(value, "");
  reader.text("url", &out.url, 2'048);
  reader.texts("secret_env", &out.secret_env, 10);
  reader.texts("types", &out.types, 100);
  for (const auto& [member, flag] : {std::pair{"private_network", &out.private_network}, std::pair{"enabled", &out.enabled}}) {
    const Json* given = reader.member(member);
    if (given && given->is_bool())
      *flag = given->get_bool();
    else if (given)
      reader.refuse(member, "must be true or false");
  }
  if (auto policy = read_policy(reader, &out.policy); !policy) return invalid(policy.error().message);
  if (!out.url.starts_with("https://") && !out.url.starts_with("http://")) reader.refuse("url", "must start with https:// or http://");
  for (const std::string& variable : out.secret_env)
    if (!is_environment_name(variable)) reader.refuse("secret_env", "must name environment variables");
  if (auto done = reader.done(); !done) return invalid(done.error().message);
  return out;
}

Json to_json(const Endpoint& endpoint) {
  JsonObject out{{"url", endpoint.url}};
  const auto list = [&](std::string_view member, const std::vector<std::string>& texts) {
    if (texts.empty()) return;
    JsonArray all;
    for (const std::string& text : texts) all.emplace_back(text);
    out[member] = std::move(all);
  };
  list("secret_env", endpoint.secret_env);
  list("types", endpoint.types);
  if (endpoint.private_network) out["private_network"] = true;
  if (!endpoint.enabled) out["enabled"] = false;
  write_policy(endpoint.policy, Endpoint{}.policy, &out);
  return out;
}

std::string_view endpoint_schema_text() {
  static const std::string kText =
      R"({"type":"object","description":"Where signed webhooks are sent","required":["url"],"properties":{"url":{"description":"Where webhooks are sent.","type":"string","pattern":"^https?://"},)"
      R"("secret_env":{"description":"Environment variables with secrets (whsec_…); without them Mayfly makes one","oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},)"
      R"("types":{"description":"Published events that it wants","oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},)"
      R"("private_network":{"description":"Whether private and loopback addresses may be reached. Default false.","type":"boolean"},"enabled":{"description":"Whether anything is sent. Default true.","type":"boolean"},"retry":)" +
      std::string(kRetrySchema) + R"(,"dead_letter_queue":{"description":"A queue for what could not be delivered.","type":"string"}},"additionalProperties":false})";
  return kText;
}

}  // namespace mayfly::trigger
