#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/http_server.h"

/// Reading the JSON documents of the API. A member of a wrong type is SerializationException, as with AWS; unknown members mean nothing.
namespace mayfly::lambda {

/// An empty body is an empty document.
Result<JsonObject> read_body(const net::Request& request);

/// Reads members one after the other and keeps the first error.
class Fields {
 public:
  explicit Fields(const JsonObject& object) : object_(object) {}

  std::optional<std::string> text(std::string_view name);
  std::optional<std::int64_t> integer(std::string_view name);
  std::optional<double> number(std::string_view name);
  std::optional<bool> boolean(std::string_view name);
  const JsonObject* object(std::string_view name);
  std::optional<std::vector<std::string>> texts(std::string_view name);
  std::optional<std::map<std::string, std::string>> map(std::string_view name);
  /// Refuses a member that is there and neither null nor empty.
  void refuse(std::string_view name, std::string_view why);
  void fail_with(Error error);
  Result<void> done() const;

 private:
  const Json* find(std::string_view name) const;
  void wrong_type(std::string_view name, std::string_view wanted);

  const JsonObject& object_;
  std::optional<Error> error_;
};

/// Marker and MaxItems of a list: which of `count` items to give. The marker is the number of the first one, in base64.
struct PageOf {
  std::size_t begin = 0, end = 0;
  std::string next;  ///< NextMarker, or empty
};
Result<PageOf> page_of(const net::Request& request, std::size_t count, std::size_t items_default, std::size_t items_max);

}  // namespace mayfly::lambda
