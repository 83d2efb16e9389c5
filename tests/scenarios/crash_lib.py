"""The agent that crash scenarios kill: model calls in turn with every kind of effect. Whatever dies when, it must do each thing once."""

import http.client
import json
import re
import urllib.error

from lib import Problem, check, equal, wait_until, write

STEPS = 12

YAML = """version: 1
providers:
  script: {{kind: scripted, script: model.yaml}}
agents:
  worker:
    model: script/worker
    instructions: Do the steps in their order.
    limits: {{steps: 40}}
    retry: {{attempts: 10, first_delay: 50ms, max_delay: 500ms}}
    tools:
      - name: post
        description: Does one thing at the receiver.
        http: {{method: POST, url: "http://127.0.0.1:{port}/things/{{tag}}", allow_private: true}}
        effect: at_least_once
        retry: {{attempts: 10, first_delay: 50ms, max_delay: 500ms}}
        parameters: &thing
          type: object
          properties: {{tag: {{type: string}}, step: {{type: integer}}}}
          required: [tag, step]
          additionalProperties: false
      - name: pay
        description: The same, with approval.
        http: {{method: POST, url: "http://127.0.0.1:{port}/payments/{{tag}}", allow_private: true}}
        effect: at_least_once
        approval: {{when: true}}
        retry: {{attempts: 10, first_delay: 50ms, max_delay: 500ms}}
        parameters: *thing
      - name: once
        description: Must not be repeated by itself.
        command: {{run: [python3, once.py]}}
        effect: at_most_once
        parameters: *thing
      - sleep
"""

ONCE = '''"""An effect that does not absorb repeats: one more line for each call."""
import json, os, sys
arguments = json.load(sys.stdin)
line = json.dumps({"tag": arguments["tag"], "key": os.environ["MAYFLY_IDEMPOTENCY_KEY"]}) + "\\n"
with open("once.log", "a") as file:
    file.write(line)
    file.flush()
    os.fsync(file.fileno())
print("done once")
'''

# What the model asks for in its turns; after them it says that it is ready.
CALLS = ["post", "post", "once", "post", "sleep", "pay", "post", "post", "once", "post", "post"]


def script(tokens_per_second=0):
    lines = ["version: 1", f"tokens_per_second: {tokens_per_second}", "conversations:", '  - match: {regex: "go ([a-z0-9-]+)"}', "    turns:"]
    for step, name in enumerate(CALLS, 1):
        arguments = "{seconds: 0.2}" if name == "sleep" else f'{{tag: "{{{{1}}}}", step: {step}}}'
        lines.append(f'      - {{text: "step {step} of {{{{1}}}}", tool_calls: [{{name: {name}, arguments: {arguments}}}]}}')
    lines.append('      - {text: "{{1}} is ready after: {{tool_result}}"}')
    return "\n".join(lines) + "\n"


def write_project(folder, port, tokens_per_second=0):
    write(folder / "project/mayfly.yaml", YAML.format(port=port))
    write(folder / "project/model.yaml", script(tokens_per_second))
    write(folder / "project/once.py", ONCE)
    return folder / "project"


def once_lines(project, tag):
    path = project / "once.log"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["tag"] == tag]


def answer_questions(server, project, run, tag):
    """Answers as a careful person would: what is unknown is looked up first."""
    for question in server.questions(run):
        if question["kind"] == "approval":
            body = {"decision": "approve"}
        else:
            equal(question["kind"], "unknown", f"kind of question {question}")
            # Every call of `once` before this one has left one line.
            calls = [op for op in server.operations(run) if op["name"] == "once"]
            position = [op["id"] for op in calls].index(question["operation"])
            happened = len(once_lines(project, tag)) > position
            body = {"decision": "succeeded", "comment": "done once"} if happened else {"decision": "retry"}
        try:
            server.post(f"/v1/runs/{run}/answer", {"operation": question["operation"], **body})
        except Problem as problem:
            check(problem.status in (404, 409), f"answering {question}: {problem}")


def finish(server, project, run, tag):
    def look():
        view = server.run(run)
        if view["status"] != "RUNNING":
            return view
        answer_questions(server, project, run, tag)
        return None

    return wait_until(look, f"the end of {run} ({tag})")


def start(server, tag):
    """With an idempotency key, so that it may be said again to the next server when this one dies meanwhile."""
    return server.invoke("worker", f"go {tag}", key=f"start-{tag}")


def transcript(server, run, tag):
    """Without what differs between two runs by nature."""
    text = json.dumps(server.get(f"/v1/runs/{run}/transcript")["messages"], sort_keys=True).replace(tag, "TAG")
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", text)


def check_run(server, receiver, project, run, tag, expected_transcript):
    view = server.run(run)
    equal(view["status"], "SUCCEEDED", f"status of {tag}: {view['error']}")
    equal(transcript(server, run, tag), expected_transcript, f"transcript of {tag}")
    with receiver.lock:
        effects = [effect for effect in receiver.effects.values() if effect.split(" ")[0].endswith("/" + tag)]
    wanted = [(name, step) for step, name in enumerate(CALLS, 1) if name in ("post", "pay")]
    found = sorted((("pay" if effect.startswith("/payments") else "post"), json.loads(effect.split(" ", 1)[1])["step"]) for effect in effects)
    equal(found, sorted(wanted), f"effects of {tag}, each once")
    lines = once_lines(project, tag)
    equal(len(lines), CALLS.count("once"), f"lines of the at-most-once tool for {tag}")
    equal(len({line["key"] for line in lines}), CALLS.count("once"), f"keys of the at-most-once tool for {tag}")


def undisturbed(server, receiver, project, tag="undisturbed"):
    """Runs once without any kill: the expected transcript and the number of the last event."""
    run = start(server, tag)
    finish(server, project, run, tag)
    expected = transcript(server, run, tag)
    check_run(server, receiver, project, run, tag, expected)
    equal(server.run(run)["summary"]["steps"], len(CALLS) + 1, "model calls")
    return expected, server.run(run)["events"]


CONNECTION_ERRORS = (OSError, urllib.error.URLError, http.client.HTTPException)
