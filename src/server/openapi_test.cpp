#include "server/openapi.h"

#include <set>

#include "server/server_test_support.h"

namespace mayfly {
namespace {

void collect_references(const Json& value, std::set<std::string>& out) {
  if (const auto* object = value.if_object()) {
    if (const Json* target = get(*object, "$ref"); target && target->is_string())
      out.insert(std::string(std::string_view(target->get_string())));
    for (const auto& member : *object) collect_references(member.value(), out);
  } else if (const auto* array = value.if_array()) {
    for (const Json& item : *array) collect_references(item, out);
  }
}

TEST_F(ServerTest, EveryRouteIsInTheOpenApiDocumentAndTheReverse) {
  start();
  const HttpAnswer document = get("/openapi.json");
  std::set<std::string> routes, described;
  for (const RouteInfo& route : app_->router().routes()) {
    if (route.described == Described::Elsewhere) continue;
    std::string scopes;
    for (const std::string_view name : route.any_of.names()) scopes += " " + std::string(name);
    routes.insert(route.method + " " + route.path + scopes);
  }
  std::vector<Endpoint> all(endpoints().begin(), endpoints().end());
  for (const EndpointGroup& group : endpoint_groups()) all.insert(all.end(), group.endpoints.begin(), group.endpoints.end());
  for (const Endpoint& endpoint : all) {
    std::string scopes;
    for (const std::string_view name : endpoint.scopes.names()) scopes += " " + std::string(name);
    described.insert(std::string(endpoint.method) + " " + std::string(endpoint.path) + scopes);
    std::string method(endpoint.method);
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    const JsonObject* item = get_object(*get_object(document.json, "paths"), endpoint.path);
    ASSERT_TRUE(item && item->contains(method)) << endpoint.method << " " << endpoint.path;
  }
  EXPECT_EQ(routes, described);
}

TEST(OpenApi, EveryReferenceLeadsSomewhereAndEveryComponentIsUsed) {
  const Json document = *parse_json(openapi_text());
  std::set<std::string> references, components;
  collect_references(document, references);
  for (const char* kind : {"schemas", "parameters", "responses"})
    for (const auto& member : document.at("components").at(kind).get_object())
      components.insert("#/components/" + std::string(kind) + "/" + std::string(member.key()));
  EXPECT_EQ(references, components);
}

}  // namespace
}  // namespace mayfly
