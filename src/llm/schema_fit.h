#pragma once

#include "base/json.h"

namespace mayfly::llm {

/// True when the schema lies in the subset that OpenAI enforces with `strict: true`: an object at the root, every object closed
/// (`additionalProperties: false`) with all its properties required, and only supported keywords.
/// Source: OpenAI "Structured model outputs", supported schemas.
bool fits_openai_strict(const Json& schema);

/// True when Anthropic's `output_config.format` accepts the schema: every object closed, only supported keywords.
/// Source: Claude "Structured outputs", JSON Schema limitations.
bool fits_anthropic(const Json& schema);

/// A name for the schema as OpenAI wants one: [a-zA-Z0-9_-]{1,64}, from its title, else "answer".
std::string schema_name(const Json& schema);

}  // namespace mayfly::llm
