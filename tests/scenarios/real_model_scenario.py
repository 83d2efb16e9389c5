"""One agent on a real model: examples/local-model computes SmolLM2-135M on this machine and Mayfly's agent talks to it.

Heavy: packages and model (0.3 GB) are installed into build/real-model once. REAL_MODEL_THREADS (default 1) is for the model; more than the
machine has free makes it slower.
"""

import json
import os
import re
import shutil
import subprocess
import threading

from lib import DEADLINE, ROOT, Server, Skip, TemporaryFolder, check, cli, environment, equal, write

EXAMPLE = ROOT / "examples/local-model"
INSTALLED = ROOT / "build/real-model"
NODE_MAJOR_MIN = 20
INSTALL_DEADLINE = 600
QUESTION = "Tell me in one sentence what the sun is."


def command(*arguments, cwd):
    done = subprocess.run([str(a) for a in arguments], cwd=cwd, capture_output=True, text=True, timeout=INSTALL_DEADLINE)
    check(done.returncode == 0, f"{arguments[0]} {arguments[1] if len(arguments) > 1 else ''} failed: {(done.stdout + done.stderr)[-2000:]}")


def node():
    """The node program; the example's packages and model are installed when this returns."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if not program or not npm:
        raise Skip("node or npm is missing; install Node.js 20 or newer")
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0] or 0) < NODE_MAJOR_MIN:
        raise Skip(f"node {version} is too old; the example needs {NODE_MAJOR_MIN}")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    shutil.copytree(EXAMPLE, INSTALLED, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "models"))
    lock, seal = (INSTALLED / "package-lock.json").read_text(), INSTALLED / "installed-lock.json"
    if not seal.exists() or seal.read_text() != lock:
        command(npm, "ci", cwd=INSTALLED)
        seal.write_text(lock)
    command(INSTALLED / "get-model.sh", cwd=INSTALLED)
    return program


class Model:
    """The example's model server on a free port."""

    def __init__(self, program):
        threads = os.environ.get("REAL_MODEL_THREADS", "1")
        self.log = INSTALLED / "server.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([program, "server.mjs", "--port", "0", "--threads", threads], cwd=INSTALLED,
                                            env=environment(), stdout=subprocess.PIPE, stderr=log, text=True)
        self.watchdog = threading.Timer(DEADLINE, self.process.kill)
        self.watchdog.start()

    def __enter__(self):
        said = self.process.stdout.readline()
        self.watchdog.cancel()
        found = re.search(r"listens on (http://\S+)", said)
        if not found:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the model did not start: {said} {self.log.read_text()[-2000:]}")
        self.url = found.group(1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Platform:
    """The model, a Mayfly server without agents, and a project deployed to it by the command line."""

    def __init__(self, make_project):
        self.make_project = make_project

    def __enter__(self):
        self.model = Model(node()).__enter__()
        self.folder = TemporaryFolder()
        try:
            self.server = Server(self.folder.path / "data")
            self.server.start()
            project = self.make_project(self.folder.path)
            done = cli("deploy", project, server=self.server, env={"LOCAL_MODEL_URL": self.model.url})
            equal(done.code, 0, f"deploy {done}")
        except BaseException:
            self.__exit__()
            raise
        return self.server

    def __exit__(self, *_):
        if hasattr(self, "server"):
            self.server.kill_if_running()
        self.model.__exit__()
        self.folder.__exit__()


def example(_):
    return INSTALLED


def extractor(folder):
    write(folder / "project/mayfly.yaml", """version: 1
providers:
  local: {kind: openai, base_url: "${LOCAL_MODEL_URL}"}
agents:
  extractor:
    model: local/smollm2
    instructions: Tell about the person.
    max_output_tokens: 100
    temperature: 0
    output:
      retries: 0
      schema:
        type: object
        properties: {person: {type: string}, years_of_age: {type: integer}}
        required: [person, years_of_age]
        additionalProperties: false
""")
    return folder / "project"


def test_turn_streams_and_is_metered():
    with Platform(example) as server:
        run = server.invoke("local", QUESTION)
        with server.events(run) as stream:
            events = list(stream)
        deltas = [e["data"] for e in events if e["event"] == "delta" and e["data"]["channel"] == "text" and e["data"]["text"]]
        ended = server.ended(run)
        equal(ended["status"], "SUCCEEDED", f"status of {ended}")
        text = ended["result"]["text"]
        check(len(text.split()) >= 3, f"the model said something: {text!r}")
        check(len(deltas) >= 3, f"the text streams in pieces, not at once: {len(deltas)} pieces of {text!r}")
        equal("".join(d["text"] for d in deltas), text, "what streamed, compared with the result")
        equal(events[-1]["event"], "run.ended", "the last event")
        summary = ended["summary"]
        check(summary["input_tokens"] > 0, f"the prompt was counted: {summary}")
        check(summary["output_tokens"] >= len(deltas), f"the answer was counted: {summary}")
        equal([op["type"] for op in server.operations(run)][:1], ["STEP"], "the journal holds the model call")
        print(f"     {len(deltas)} pieces, {summary['input_tokens']} + {summary['output_tokens']} tokens: {text!r}")


def test_answers_openai_clients_too():
    with Platform(example) as server:
        body = {"model": "local", "messages": [{"role": "user", "content": QUESTION}]}
        answer = server.post("/openai/v1/chat/completions", body)
        text = answer["choices"][0]["message"]["content"]
        check(len(text.split()) >= 3, f"the model said something: {answer}")
        check(answer["usage"]["completion_tokens"] > 0, f"usage: {answer}")

        lines = server.post("/openai/v1/chat/completions", {**body, "stream": True}, raw=True).decode().splitlines()
        chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
        pieces = [c["choices"][0]["delta"].get("content") for c in chunks if c.get("choices")]
        pieces = [p for p in pieces if p]
        check(len(pieces) >= 3, f"the text streams in pieces: {pieces}")
        equal("".join(pieces), text, "the streamed answer to the same question at temperature 0")
        equal(lines[-2] if not lines[-1] else lines[-1], "data: [DONE]", "the last line")


def test_output_schema_is_obeyed():
    with Platform(extractor) as server:
        run = server.invoke("extractor", "Anna is 31 years old and lives in Graz.")
        ended = server.ended(run)
        equal(ended["status"], "SUCCEEDED", f"status of {ended}")
        output = ended["result"]["output"]
        equal(sorted(output), ["person", "years_of_age"], "the keys of the checked output")
        check(isinstance(output["person"], str) and isinstance(output["years_of_age"], int), f"the types of the checked output: {output}")
        print(f"     {output}")
