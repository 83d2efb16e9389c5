#include "cli/project_template.h"

#include <array>

namespace mayfly::cli {
namespace {

constexpr std::string_view kProject = R"yaml(version: 1

providers:
  # Answers from a file, so that everything works without an account. For a real model, set
  # ANTHROPIC_API_KEY (or OPENAI_API_KEY) and change the agent's `model`.
  script:
    kind: scripted
    script: model.script.yaml

agents:
  clerk:
    description: Answers questions about orders and refunds them.
    model: script/clerk            # e.g. anthropic/claude-sonnet-4-5
    instructions: |
      You help customers of a small shop. Look an order up before you say anything about it.
      Refund only what the customer asks for.
    limits: {steps: 10, usd: 0.50}
    tools:
      - name: get_order
        description: Looks an order up by its number.
        command: {run: [python3, tools/get_order.py]}
        effect: read_only
        parameters:
          type: object
          properties: {order: {type: string, description: "like A-17"}}
          required: [order]
          additionalProperties: false
      - name: refund
        description: Pays an order back. A person approves it first.
        command: {run: [python3, tools/refund.py]}
        effect: at_least_once      # tools/refund.py absorbs repeats by the idempotency key
        approval: {when: true}
        parameters:
          type: object
          properties: {order: {type: string}, amount: {type: number, exclusiveMinimum: 0}}
          required: [order, amount]
          additionalProperties: false
)yaml";

constexpr std::string_view kScript = R"yaml(version: 1
tokens_per_second: 80

conversations:
  - name: refund an order
    match: {regex: "refund.*order ([A-Z]-[0-9]+)"}
    turns:
      - text: "Let me look at order {{1}} first."
        tool_calls: [{name: get_order, arguments: {order: "{{1}}"}}]
      - cases:
          - contains: "not found"
            text: "There is no order {{1}}; please check the number."
          - text: "That order can be refunded."
            tool_calls: [{name: refund, arguments: {order: "{{1}}", amount: 120}}]
      - cases:
          - {contains: refunded, text: "Done: order {{1}} is refunded. The money is with you in three days."}
          - {text: "I may not refund order {{1}}: {{tool_result}}"}

  - name: where is an order
    match: {regex: "order ([A-Z]-[0-9]+)"}
    turns:
      - text: "I'll look that up."
        tool_calls: [{name: get_order, arguments: {order: "{{1}}"}}]
      - text: "Here is what I found about order {{1}}: {{tool_result}}"

default:
  text: "I am a scripted model and know two things: \"Where is order A-17?\" and \"Please refund order A-17\"."
)yaml";

constexpr std::string_view kGetOrder =
    R"py("""Looks an order up. Arguments come as JSON on standard input; what is printed goes to the model."""

import json
import sys

ORDERS = {
    "A-17": {"item": "blue kettle", "paid": 120.0, "status": "shipped yesterday"},
    "B-42": {"item": "desk lamp", "paid": 35.5, "status": "being packed"},
}

arguments = json.load(sys.stdin)
order = ORDERS.get(arguments["order"])
print(json.dumps(order) if order else f"order {arguments['order']} not found")
)py";

constexpr std::string_view kRefund = R"py("""Refunds an order, once for each idempotency key however often it is called."""

import json
import os
import sys
from pathlib import Path

arguments = json.load(sys.stdin)
done = Path("refunds")
done.mkdir(exist_ok=True)
receipt = done / f"{os.environ['MAYFLY_IDEMPOTENCY_KEY'].replace('/', '_')}.json"
if not receipt.exists():
    temporary = receipt.with_suffix(".new")
    temporary.write_text(json.dumps(arguments))
    temporary.rename(receipt)
print(f"refunded {arguments['amount']} for order {arguments['order']}")
)py";

constexpr std::string_view kReadme = R"md(# A Mayfly project

`mayfly.yaml` describes the agent `clerk`; `tools/` holds its tools; `model.script.yaml` stands in for a model.

    mayfly validate                                   # checks mayfly.yaml
    mayfly serve --project .                          # in one terminal
    mayfly invoke clerk "Where is order A-17?"        # in another
    mayfly invoke clerk "Please refund order A-17"    # asks you before it pays
    mayfly runs                                       # what ran, and why it waits
    mayfly show RUN                                   # step by step

Change `mayfly.yaml` and run `mayfly deploy`: new runs get the new version, running ones keep theirs.
Stop the server at any moment, even with `kill -9`, and start it again: every run goes on where it stood.

For a real model, set `ANTHROPIC_API_KEY` or `OPENAI_API_KEY` for the server and change `model:`.
)md";

constexpr std::array<ProjectFile, 6> kFiles{{{"mayfly.yaml", kProject},
                                             {"model.script.yaml", kScript},
                                             {"tools/get_order.py", kGetOrder},
                                             {"tools/refund.py", kRefund},
                                             {"README.md", kReadme},
                                             {".gitignore", "/.mayfly/\n/refunds/\n"}}};

}  // namespace

std::span<const ProjectFile> project_files() { return kFiles; }

}  // namespace mayfly::cli
