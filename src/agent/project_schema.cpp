#include "agent/agent_spec.h"

namespace mayfly::agent {

std::string_view project_schema_text() {
  static constexpr std::string_view kSchema = R"schema({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "mayfly.yaml",
  "description": "A Mayfly project: agents, and the providers of the models they use.",
  "type": "object",
  "required": ["version", "agents"],
  "additionalProperties": false,
  "properties": {
    "version": {"description": "Version of this format: 1.", "const": 1},
    "providers": {
      "description": "Where models are reached, by name: the part before `/` in a model's name. `anthropic` and `openai` need no entry.",
      "type": "object",
      "maxProperties": 64,
      "patternProperties": {"^[a-z0-9][a-z0-9-]{0,62}$": {"$ref": "#/$defs/provider"}},
      "additionalProperties": false
    },
    "agents": {
      "description": "The agents, by name: lower-case letters, digits and dashes, at most 63.",
      "type": "object",
      "minProperties": 1,
      "maxProperties": 1000,
      "patternProperties": {"^[a-z0-9][a-z0-9-]{0,62}$": {"$ref": "#/$defs/agent"}},
      "additionalProperties": false
    }
  },
  "$defs": {
    "duration": {"description": "A duration like 500ms, 30s, 15m, 2h, 7d or 1h30m.", "type": "string"},
    "provider": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "kind": {
          "description": "The API it speaks: anthropic (Messages), openai (Chat Completions), openai-responses, or scripted (answers from a file).",
          "enum": ["anthropic", "openai", "openai-responses", "scripted"]
        },
        "base_url": {"description": "Address without the operation's path: https://api.openai.com/v1. May hold ${NAME} or ${NAME:-default} of the environment.", "type": "string", "minLength": 1, "maxLength": 2048},
        "api_key_env": {"description": "Name of the environment variable that holds the API key.", "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,255}$"},
        "script": {"description": "The file with the answers (kind scripted), relative to mayfly.yaml.", "type": "string", "minLength": 1, "maxLength": 1024},
        "concurrency": {"description": "Calls at the same time. Default 64.", "type": "integer", "minimum": 1, "maximum": 10000},
        "requests_per_minute": {"description": "Default: no limit.", "type": "number", "exclusiveMinimum": 0, "maximum": 1000000000},
        "tokens_per_minute": {"description": "Default: no limit.", "type": "number", "exclusiveMinimum": 0, "maximum": 1000000000000}
      }
    },
    "model": {"type": "string", "minLength": 1, "maxLength": 256},
    "agent": {
      "type": "object",
      "required": ["model"],
      "additionalProperties": false,
      "properties": {
        "description": {"description": "What the agent is for, for people.", "type": "string", "maxLength": 4096},
        "model": {
          "description": "PROVIDER/MODEL, or a list: the first, then its fallbacks in order. May hold ${NAME} or ${NAME:-default} of the environment.",
          "type": ["string", "array"],
          "minItems": 1,
          "maxItems": 8,
          "items": {"$ref": "#/$defs/model"}
        },
        "instructions": {"description": "The system prompt.", "type": "string", "minLength": 1},
        "instructions_file": {"description": "A file with the system prompt, relative to mayfly.yaml.", "type": "string", "minLength": 1, "maxLength": 1024},
        "max_output_tokens": {"description": "Of one model call. Default 4096.", "type": "integer", "minimum": 1, "maximum": 1000000},
        "temperature": {"description": "Default: the provider's.", "type": "number", "minimum": 0, "maximum": 2},
        "reasoning": {"description": "How much the model thinks before it answers. Default: the provider's.", "enum": ["default", "none", "low", "medium", "high"]},
        "timeouts": {
          "description": "How long a model call may be silent.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "first_token": {"description": "Until the first token. Default 60s.", "$ref": "#/$defs/duration"},
            "between_tokens": {"description": "Between two tokens. Default 60s.", "$ref": "#/$defs/duration"}
          }
        },
        "retry": {"description": "Repeats of a failed model call. Default: 6 attempts, 1s growing to 2m.", "$ref": "#/$defs/retry"},
        "session": {"description": "Whether runs with the same key share one conversation. Default: stateless.", "$ref": "#/$defs/session"},
        "limits": {"description": "What one run may use.", "$ref": "#/$defs/limits"},
        "context": {
          "description": "When a long conversation is compacted.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "max_tokens": {"description": "Compaction starts before a request would exceed it. Default 120000.", "type": "integer", "minimum": 1000, "maximum": 100000000},
            "keep_messages": {"description": "The newest ones, kept word by word. Default 8.", "type": "integer", "minimum": 1, "maximum": 10000}
          }
        },
        "output": {
          "description": "The form of the final answer.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "schema": {"description": "JSON Schema of the answer.", "type": "object"},
            "schema_file": {"description": "A JSON file with the schema, relative to mayfly.yaml.", "type": "string", "minLength": 1, "maxLength": 1024},
            "retries": {"description": "How often the model may correct an answer that does not fit. Default 2.", "type": "integer", "minimum": 0, "maximum": 10}
          }
        },
        "tools": {"description": "What the agent may call.", "type": "array", "maxItems": 128, "items": {"$ref": "#/$defs/tool"}}
      }
    },
    "retry": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "attempts": {"description": "The first one included; 1: no retry.", "type": "integer", "minimum": 1, "maximum": 100},
        "first_delay": {"description": "Before the second attempt; doubles from there.", "$ref": "#/$defs/duration"},
        "max_delay": {"description": "Where the doubling ends.", "$ref": "#/$defs/duration"}
      }
    },
    "session": {
      "if": {"type": "string"},
      "then": {"enum": ["stateless", "keyed"]},
      "else": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "keyed": {"description": "true: runs with the same session key continue one conversation.", "type": "boolean"},
          "when_busy": {"description": "A message for a session that is running waits (queue), is refused (reject), or joins the run (steer). Default queue.", "enum": ["queue", "reject", "steer"]},
          "queue_max": {"description": "Messages that may wait. Default 100.", "type": "integer", "minimum": 1, "maximum": 100000}
        }
      }
    },
    "limits": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "steps": {"description": "Model calls. Default 50.", "type": "integer", "minimum": 1, "maximum": 100000},
        "wall_time": {"description": "Waits included. Default 24h.", "$ref": "#/$defs/duration"},
        "input_tokens": {"description": "Default: no limit.", "type": "integer", "minimum": 1, "maximum": 1000000000000},
        "output_tokens": {"description": "Default: no limit.", "type": "integer", "minimum": 1, "maximum": 1000000000000},
        "usd": {"description": "US dollars, up to nine decimals. Default: no limit.", "type": "number", "exclusiveMinimum": 0, "maximum": 1000000},
        "parallel_tool_calls": {"description": "Default 8.", "type": "integer", "minimum": 1, "maximum": 32},
        "on_breach": {"description": "When steps, tokens or money are used up: ask a person, or stop. Default ask.", "enum": ["ask", "stop"]}
      }
    },
    "tool": {
      "if": {"type": "string"},
      "then": {"description": "A built-in tool under its default name.", "enum": ["sleep", "wait_until", "ask_person", "memory"]},
      "else": {
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
          "name": {"description": "What the model calls it.", "type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
          "description": {"description": "Tells the model what the tool does and when to use it.", "type": "string", "minLength": 1, "maxLength": 16384},
          "parameters": {"description": "JSON Schema of the arguments: an object.", "type": "object"},
          "effect": {"description": "What repeating a call after a crash would do: nothing (read_only), the same (idempotent), absorbed by the idempotency key (at_least_once), harm (at_most_once).", "enum": ["read_only", "idempotent", "at_least_once", "at_most_once"]},
          "timeout": {"description": "Of one attempt. Default 60s.", "$ref": "#/$defs/duration"},
          "retry": {"description": "Repeats of a failed call that may be repeated. Default: 4 attempts, 500ms growing to 60s.", "$ref": "#/$defs/retry"},
          "on_unknown": {"description": "When it is not known whether an at_most_once call happened. Default ask.", "enum": ["ask", "fail", "retry"]},
          "approval": {
            "description": "Calls that a person must approve first.",
            "type": "object",
            "required": ["when"],
            "additionalProperties": false,
            "properties": {
              "when": {"description": "JSON Schema of the arguments that need approval; true: every call.", "type": ["boolean", "object"]},
              "timeout": {"description": "How long to wait. Default: for ever.", "$ref": "#/$defs/duration"},
              "default": {"description": "What counts when the time is up. Default deny.", "enum": ["approve", "deny"]}
            }
          },
          "command": {
            "description": "Runs a program: the arguments as JSON on standard input, the answer on standard output.",
            "type": "object",
            "required": ["run"],
            "additionalProperties": false,
            "properties": {
              "run": {"description": "Program and arguments; no shell.", "type": "array", "minItems": 1, "maxItems": 64, "items": {"type": "string", "minLength": 1, "maxLength": 4096}},
              "env": {"description": "Names of environment variables that the program may see.", "type": "array", "maxItems": 64, "items": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,255}$"}},
              "output_bytes_max": {"description": "Of standard output that goes to the model. Default 65536.", "type": "integer", "minimum": 256, "maximum": 1048576}
            }
          },
          "http": {
            "description": "Calls an HTTP endpoint. {parameter} stands for an argument, ${NAME} in a header for an environment variable.",
            "type": "object",
            "required": ["url"],
            "additionalProperties": false,
            "properties": {
              "method": {"description": "Default GET.", "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]},
              "url": {"description": "https://host/path/{parameter}", "type": "string", "minLength": 1, "maxLength": 8192},
              "headers": {"description": "Sent with each call.", "type": "object", "maxProperties": 64, "additionalProperties": {"type": "string", "maxLength": 16384}},
              "query": {"description": "Appended to the URL.", "type": "object", "maxProperties": 64, "additionalProperties": {"type": "string", "maxLength": 8192}},
              "body": {"description": "json: the arguments that the URL does not use. Default json for POST, PUT and PATCH, else none.", "enum": ["json", "none"]},
              "allow_hosts": {"description": "Hosts that redirects may lead to and private hosts that may be reached.", "type": "array", "maxItems": 64, "items": {"type": "string", "minLength": 1, "maxLength": 255}},
              "allow_private": {"description": "Whether private and loopback addresses may be reached. Default false.", "type": "boolean"},
              "response_bytes_max": {"description": "Default 262144.", "type": "integer", "minimum": 256, "maximum": 16777216}
            }
          },
          "ask": {
            "description": "Asks a person and waits for the answer.",
            "type": "object",
            "required": ["kind"],
            "additionalProperties": false,
            "properties": {
              "kind": {"description": "approve (yes or no), choose (one of the options) or text.", "enum": ["approve", "choose", "text"]},
              "question": {"description": "A fixed question. Default: the model writes it.", "type": "string", "minLength": 1, "maxLength": 4096},
              "options": {"description": "For choose. Default: the model writes them.", "type": "array", "minItems": 2, "maxItems": 20, "uniqueItems": true, "items": {"type": "string", "minLength": 1, "maxLength": 200}},
              "timeout": {"description": "How long to wait. Default: for ever.", "$ref": "#/$defs/duration"},
              "default": {"description": "The answer when the time is up: approve or deny, one of the options, or a text.", "type": "string", "minLength": 1, "maxLength": 4096}
            }
          },
          "sleep": {
            "description": "Lets the model wait for some seconds; nothing runs meanwhile.",
            "type": "object",
            "additionalProperties": false,
            "properties": {"max": {"description": "The longest wait. Default 30d.", "$ref": "#/$defs/duration"}}
          },
          "wait_until": {
            "description": "Lets the model wait until a time; nothing runs meanwhile.",
            "type": "object",
            "additionalProperties": false,
            "properties": {"max": {"description": "The longest wait. Default 30d.", "$ref": "#/$defs/duration"}}
          },
          "memory": {
            "description": "Keeps notes beyond one conversation.",
            "type": "object",
            "additionalProperties": false,
            "properties": {"scope": {"description": "session: one set of notes for each session key; shared: one for the agent. Default session.", "enum": ["session", "shared"]}}
          }
        }
      }
    }
  }
}
)schema";
  return kSchema;
}

}  // namespace mayfly::agent
