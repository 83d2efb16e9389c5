#pragma once

#include "workspace/files/files.h"

/// Answers of changes that were asked for with an idempotency key, as they lie in PPPP/F/WS/r/HASH.
namespace mayfly::workspace {

JsonObject to_record_of(const Node& node);
Node node_of(const JsonObject& record);
JsonObject to_record_of(const Written& written);
Written written_of(const JsonObject& record);

}  // namespace mayfly::workspace
