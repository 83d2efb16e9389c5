#include "agent/project_resources.h"

namespace mayfly::agent {

std::string_view project_schema_base_text() {
  static constexpr std::string_view kSchema = R"schema({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "mayfly.yaml",
  "description": "A Mayfly project: agents, functions, the providers of the models they use, and what starts them.",
  "type": "object",
  "required": ["version"],
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
    },
    "functions": {
      "description": "Code that runs on demand, by name: letters, digits, dashes and underscores, at most 64.",
      "type": "object",
      "minProperties": 1,
      "maxProperties": 100,
      "patternProperties": {"^[a-zA-Z0-9_-]{1,64}$": {"$ref": "#/$defs/function"}},
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
        "tools": {"description": "What the agent may call.", "type": "array", "maxItems": 128, "items": {"$ref": "#/$defs/tool"}},
        "agents": {
          "description": "Other agents of this file that it may give work to, by name.",
          "type": "object",
          "minProperties": 1,
          "maxProperties": 32,
          "patternProperties": {"^[a-z0-9][a-z0-9-]{0,62}$": {"$ref": "#/$defs/delegation"}},
          "additionalProperties": false
        },
        "workspace": {
          "description": "A workspace whose files it works on with tools (file_read, file_write, lock_acquire …): its name, or more. Deploying makes it when it is missing.",
          "oneOf": [
            {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
            {
              "type": "object",
              "required": ["name"],
              "additionalProperties": false,
              "properties": {
                "name": {"description": "Of the workspace.", "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
                "role": {"description": "What it may do there. Default editor.", "enum": ["viewer", "commenter", "editor", "owner"]},
                "tools": {"description": "Names of tools; default: those for files, locks and search.", "type": "array", "minItems": 1, "maxItems": 64, "items": {"type": "string", "maxLength": 64}}
              }
            }
          ]
        },
        "mcp": {
          "description": "MCP servers whose tools it uses. Their tools are read when it is deployed, and named SERVER__TOOL.",
          "type": "object",
          "maxProperties": 16,
          "additionalProperties": false,
          "patternProperties": {
            "^[a-z0-9][a-z0-9-]{0,30}$": {
              "type": "object",
              "required": ["url"],
              "additionalProperties": false,
              "properties": {
                "url": {"description": "Of its Streamable HTTP endpoint.", "type": "string", "maxLength": 2048},
                "headers": {"description": "Sent with each request; values may hold ${NAME} of the server's environment, which is never stored.", "type": "object", "maxProperties": 32, "patternProperties": {"^.{1,256}$": {"type": "string", "maxLength": 4096}}, "additionalProperties": false},
                "tools": {"description": "Names of the tools that it gets; default: all.", "type": "array", "minItems": 1, "maxItems": 64, "items": {"type": "string", "maxLength": 128}},
                "private_network": {"description": "Whether the URL may lead to loopback and private addresses. Default false.", "type": "boolean"},
                "approve": {"description": "Whether a person must approve calls of tools that do not only read. Default false.", "type": "boolean"},
                "timeout": {"description": "Of one call. Default 60s.", "type": "string"}
              }
            }
          }
        },
        "fan_out": {
          "description": "How many tasks it may give to others.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "parallel": {"description": "Tasks of fan_out at the same time. Default 4.", "type": "integer", "minimum": 1, "maximum": 16},
            "children": {"description": "Tasks of one run, all together. Default 16.", "type": "integer", "minimum": 1, "maximum": 64}
          }
        },
        "destinations": {
          "description": "Where the ends of its runs and what happens in them is told, as CloudEvents.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "on_success": {"description": "Of runs that succeeded.", "type": "array", "maxItems": 4, "items": {"$ref": "#/$defs/target"}},
            "on_failure": {"description": "Of runs that failed, timed out or were stopped, begun or not.", "type": "array", "maxItems": 4, "items": {"$ref": "#/$defs/target"}},
            "on_event": {
              "description": "While it runs.",
              "type": "array",
              "maxItems": 8,
              "items": {
                "type": "object",
                "required": ["events", "target"],
                "additionalProperties": false,
                "properties": {
                  "events": {"description": "Which ones.", "type": "array", "minItems": 1, "maxItems": 16, "uniqueItems": true, "items": {"enum": ["run.started", "model.ended", "tool.started", "tool.ended", "question.asked", "question.answered", "child.started", "child.ended", "wait.started", "wait.ended"]}},
                  "target": {"description": "Who is told.", "$ref": "#/$defs/target"}
                }
              }
            }
          }
        }
      }
    },
    "delegation": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "mode": {"description": "delegate: it does tasks, and its answers come back (default); handoff: the conversation moves to it.", "enum": ["delegate", "handoff"]},
        "description": {"description": "Tells the model when to use it.", "type": "string", "maxLength": 4096},
        "budget": {
          "description": "What one of its runs, with all below it, may use of this agent's limits. Default: an equal share of what is left.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "usd": {"description": "US dollars, up to nine decimals.", "type": "number", "exclusiveMinimum": 0, "maximum": 1000000},
            "steps": {"description": "Model calls.", "type": "integer", "minimum": 1, "maximum": 100000},
            "input_tokens": {"description": "Read by models.", "type": "integer", "minimum": 1, "maximum": 1000000000000},
            "output_tokens": {"description": "Written by models.", "type": "integer", "minimum": 1, "maximum": 1000000000000}
          }
        },
        "deadline": {"description": "Of one of its runs, waits included. Default: its own wall_time.", "$ref": "#/$defs/duration"},
        "session": {"description": "run: every task is a new conversation (default); shared: tasks from one conversation continue one.", "enum": ["run", "shared"]},
        "on_failure": {"description": "tell: the model is told and goes on (default); fail: this run fails too.", "enum": ["tell", "fail"]}
      }
    },
    "target": {
      "description": "Exactly one of agent, function, workflow, queue, url and webhook.",
      "type": "object",
      "minProperties": 1,
      "maxProperties": 2,
      "additionalProperties": false,
      "properties": {
        "agent": {"description": "A run of it.", "type": "string", "minLength": 1, "maxLength": 256},
        "function": {"description": "An invocation: NAME or NAME:QUALIFIER.", "type": "string", "minLength": 1, "maxLength": 256},
        "workflow": {"description": "An execution of the state machine.", "type": "string", "minLength": 1, "maxLength": 256},
        "queue": {"description": "A message.", "type": "string", "minLength": 1, "maxLength": 256},
        "group": {"description": "JSONata for the queue's message group.", "type": "string", "maxLength": 4096},
        "url": {"description": "A POST of the event.", "type": "string", "minLength": 1, "maxLength": 8192},
        "webhook": {"description": "A signed webhook to that endpoint.", "type": "string", "minLength": 1, "maxLength": 256}
      }
    },
    "function": {
      "type": "object",
      "required": ["code"],
      "additionalProperties": false,
      "properties": {
        "code": {"description": "The folder with its files, relative to mayfly.yaml.", "type": "string", "minLength": 1, "maxLength": 1024},
        "description": {"description": "What it is for, for people.", "type": "string", "maxLength": 256},
        "runtime": {"description": "python3 or python3.13, nodejs or nodejs22.x, provided (an executable `bootstrap`), or http (a web server). Default: from the files.", "type": "string", "pattern": "^(python3(\\.[0-9]{1,2})?|nodejs([0-9]{2}\\.x)?|provided(\\.al2(023)?)?|http)$"},
        "handler": {"description": "FILE.FUNCTION. Default: from the files.", "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[^\\s]+$"},
        "memory": {"description": "MiB. Default 256.", "type": "integer", "minimum": 128, "maximum": 10240},
        "timeout": {"description": "Of one invocation, at most 15m. Default 30s.", "$ref": "#/$defs/duration"},
        "tmp": {"description": "MiB of /tmp. Default 512.", "type": "integer", "minimum": 512, "maximum": 10240},
        "environment": {
          "description": "Variables; stored encrypted. A value may hold ${NAME} or ${NAME:-default} of the environment of whoever deploys.",
          "type": "object",
          "maxProperties": 200,
          "patternProperties": {"^[A-Za-z][A-Za-z0-9_]{0,255}$": {"type": "string", "maxLength": 4096}},
          "additionalProperties": false
        },
        "egress": {"description": "Where it may connect to: none, every public host (open), or only the hosts that `allow` names. Default none.", "$ref": "#/$defs/egress"},
        "preload": {"description": "Python modules that are loaded before a process is needed: quicker cold starts.", "type": "array", "maxItems": 16, "items": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.]{0,127}$"}},
        "durable": {
          "description": "Makes its executions durable: steps that are recorded, waits that cost nothing.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "execution_timeout": {"description": "Of a whole execution, waits included, at most 366d. Default 1d.", "$ref": "#/$defs/duration"},
            "retention": {"description": "How long ended executions are kept, 1d to 90d. Default 14d.", "$ref": "#/$defs/duration"}
          }
        },
        "concurrency": {
          "description": "How many at a time.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "reserved": {"description": "At most so many invocations; 0: none. Default: no limit of its own.", "type": "integer", "minimum": 0, "maximum": 10000},
            "provisioned": {"description": "Processes that are kept warm. Default 0.", "type": "integer", "minimum": 0, "maximum": 256},
            "per_process": {"description": "Invocations at a time in one process (runtime http). Default 1.", "type": "integer", "minimum": 1, "maximum": 1000}
          }
        },
        "url": {
          "description": "An address of its own, for any HTTP request.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "auth": {"description": "iam: signed by a key of this server; none: open to everyone who reaches it. Default iam.", "enum": ["iam", "none"]},
            "stream": {"description": "Whether answers are passed on while they are written. Default false.", "type": "boolean"}
          }
        },
        "async": {
          "description": "What becomes of invocations that nobody waits for.",
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "retries": {"description": "After the first attempt. Default 2.", "type": "integer", "minimum": 0, "maximum": 2},
            "max_age": {"description": "Older events are not tried again; 1m to 6h. Default 6h.", "$ref": "#/$defs/duration"},
            "on_success": {"description": "Where the result goes: the ARN of a function.", "type": "string", "minLength": 1, "maxLength": 350},
            "on_failure": {"description": "Where the failed event goes: the ARN of a function.", "type": "string", "minLength": 1, "maxLength": 350}
          }
        },
        "tool": {
          "description": "How agents see it, when one of their tools names it.",
          "type": "object",
          "required": ["description"],
          "additionalProperties": false,
          "properties": {
            "description": {"description": "Tells the model what the tool does and when to use it.", "type": "string", "minLength": 1, "maxLength": 16384},
            "parameters": {"description": "JSON Schema of the event: an object.", "type": "object"}
          }
        }
      }
    },
    "egress": {
      "if": {"type": "string"},
      "then": {"enum": ["none", "open"]},
      "else": {
        "type": "object",
        "required": ["allow"],
        "additionalProperties": false,
        "properties": {
          "allow": {"description": "HOST, *.HOST, or either with :PORT (default 80 and 443); a private address only as IP:PORT. May hold ${NAME} or ${NAME:-default}.", "type": "array", "minItems": 1, "maxItems": 64, "items": {"type": "string", "pattern": "^[^\\s/]{1,255}$"}}
        }
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
        "depth": {"description": "Agents below this one, one under the other; 0: it may give work to nobody. Default 8.", "type": "integer", "minimum": 0, "maximum": 32},
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
          "timeout": {"description": "Of one attempt. Default 60s; of a function its own.", "$ref": "#/$defs/duration"},
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
          "wait_for_event": {
            "description": "Waits until an event arrives; nothing runs meanwhile.",
            "type": "object",
            "required": ["type"],
            "additionalProperties": false,
            "properties": {
              "type": {"description": "Of the event, such as order.paid.", "type": "string", "minLength": 1, "maxLength": 256},
              "key": {"description": "Its correlation key. Default: the model gives it.", "type": "string", "minLength": 1, "maxLength": 256},
              "timeout": {"description": "How long to wait. Default 7d.", "$ref": "#/$defs/duration"}
            }
          },
          "a2a": {
            "description": "Another agent behind the A2A protocol (1.0), wherever it lives.",
            "type": "object",
            "required": ["url"],
            "additionalProperties": false,
            "properties": {
              "url": {"description": "Of the agent or of its card; may hold ${NAME} or ${NAME:-default} of the environment.", "type": "string", "minLength": 1, "maxLength": 2048},
              "binding": {"description": "JSONRPC or HTTP+JSON. Default: what the card names first.", "enum": ["JSONRPC", "HTTP+JSON"]},
              "headers": {"description": "Header fields of every request, such as Authorization; values may hold ${NAME} of the server's environment.", "type": "object", "maxProperties": 32, "additionalProperties": {"type": "string", "maxLength": 4096}},
              "allow_private": {"description": "Whether private and loopback addresses may be reached. Default false.", "type": "boolean"}
            }
          },
          "function": {"description": "Invokes a function with the arguments as its event: NAME or NAME:ALIAS.", "type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}(:[a-zA-Z0-9_-]{1,128})?$"},
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
