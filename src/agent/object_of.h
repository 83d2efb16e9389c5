#pragma once

#include "base/json.h"

namespace mayfly::agent {

/// The object that a value is, or an empty one: what the journal holds is read leniently.
inline const JsonObject& object_of(const Json& value) {
  static const JsonObject empty;
  const JsonObject* object = value.if_object();
  return object ? *object : empty;
}

}  // namespace mayfly::agent
