#include "server/a2a/a2a_card.h"

namespace mayfly::a2a {

JsonObject card_of(const agent::AgentVersion& agent, const std::string& base) {
  const agent::AgentSpec& spec = agent.spec;
  const std::string url = base + "/a2a/" + spec.name;
  const auto binding = [&](std::string_view name) {
    return JsonObject{{"url", url}, {"protocolBinding", name}, {"tenant", ""}, {"protocolVersion", "1.0"}};
  };
  JsonArray outputs{"text/plain"};
  if (spec.output_schema) outputs.push_back("application/json");
  const JsonArray inputs{"text/plain", "application/json", "image/png", "image/jpeg"};
  const std::string description = spec.description.empty() ? "The agent " + spec.name : spec.description;
  JsonObject skill{{"id", spec.name},          {"name", spec.name},      {"description", description}, {"tags", JsonArray{"mayfly"}},
                   {"examples", JsonArray()},  {"inputModes", inputs},   {"outputModes", outputs},     {"securityRequirements", JsonArray()}};
  JsonObject bearer{{"httpAuthSecurityScheme", JsonObject{{"description", "An API key of Mayfly"}, {"scheme", "Bearer"}, {"bearerFormat", ""}}}};
  return {{"name", spec.name},
          {"description", description},
          {"version", std::to_string(agent.version)},
          {"supportedInterfaces", JsonArray{binding("JSONRPC"), binding("HTTP+JSON")}},
          {"capabilities",
           JsonObject{{"streaming", true}, {"pushNotifications", true}, {"extensions", JsonArray()}, {"extendedAgentCard", false}}},
          {"securitySchemes", JsonObject{{"bearer", std::move(bearer)}}},
          {"securityRequirements", JsonArray{JsonObject{{"schemes", JsonObject{{"bearer", JsonObject{{"list", JsonArray()}}}}}}}},
          {"defaultInputModes", inputs},
          {"defaultOutputModes", outputs},
          {"skills", JsonArray{std::move(skill)}},
          {"signatures", JsonArray()}};
}

}  // namespace mayfly::a2a
