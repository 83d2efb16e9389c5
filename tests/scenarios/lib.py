"""What scenarios share: a server process, a REST client, an event stream reader, a counting HTTP receiver. Standard library only."""

import http.client
import http.server
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("MAYFLY_BIN", ROOT / "build/dev/apps/mayfly")).resolve()
# Generous: only a hang reaches it.
DEADLINE = float(os.environ.get("SCENARIO_DEADLINE", "120"))


class Skip(Exception):
    """The machine does not let this test be done; the text says why."""


def check(condition, why):
    if not condition:
        raise AssertionError(why)


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def wait_until(look, what, deadline=DEADLINE):
    """The first true value of look(), polled."""
    end = time.monotonic() + deadline
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not reached in {deadline:.0f} s: {what}")
        time.sleep(0.02)


class Problem(Exception):
    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body[:500]}")
        self.status = status
        self.body = body
        try:
            self.code = json.loads(body).get("code", "")
        except (ValueError, AttributeError):
            self.code = ""


def free_port():
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TemporaryFolder:
    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="mayfly-scenario-"))

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def environment(**more):
    """This process' environment without what would lead a test to another server or to real models."""
    out = {k: v for k, v in os.environ.items() if not k.startswith(("MAYFLY_", "ANTHROPIC_", "OPENAI_", "OTEL_"))}
    out["NO_COLOR"] = "1"
    out.update(more)
    return out


class Server:
    """The real binary on a data folder; may be killed and started again."""

    def __init__(self, data, project=None, arguments=(), env=None):
        self.data = pathlib.Path(data)
        self.project = project
        self.arguments = list(arguments)
        self.listen = "127.0.0.1:0"
        self.env = env or environment()
        self.process = None
        self.url = ""
        self.log = self.data.parent / (self.data.name + ".log")

    def start(self):
        command = [str(BINARY), "serve", "--data", str(self.data), "--listen", self.listen, "--log-format", "json", *self.arguments]
        if self.project:
            command += ["--project", str(self.project)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=self.env, cwd=self.data.parent)
        # A watchdog instead of a timeout for each read.
        watchdog = threading.Timer(DEADLINE, self.process.kill)
        watchdog.start()
        said = b""
        for line in self.process.stdout:
            said += line
            found = re.search(rb"listens on (http://\S+)", line)
            if found:
                self.url = found.group(1).decode()
                break
        watchdog.cancel()
        if not self.url or self.process.poll() is not None:
            self.process.wait()
            raise AssertionError(f"the server did not start: {said.decode()} {self.log_text()[-2000:]}")
        threading.Thread(target=self._drain, args=(self.process.stdout,), daemon=True).start()
        return self

    @staticmethod
    def _drain(stream):
        while stream.read(4096):
            pass

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self):
        """kill -9."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.url = ""

    def stop(self):
        """Gracefully; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE)
        finally:
            self.kill_if_running()

    def kill_if_running(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self.start() if self.process is None else self

    def __exit__(self, *_):
        self.kill_if_running()

    @property
    def port(self):
        return urllib.parse.urlparse(self.url).port

    @property
    def key(self):
        return (self.data / "admin.key").read_text().split()[0]

    # REST

    def request(self, method, path, body=None, headers=None, raw=False, timeout=DEADLINE):
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", "Bearer " + self.key)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Problem(error.code, error.read().decode(errors="replace")) from None
        return text if raw else json.loads(text) if text else None

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def invoke(self, agent, text, session=None, key=None):
        body = {"input": text}
        if session:
            body["session"] = session
        return self.post(f"/v1/agents/{agent}/runs", body, headers={"Idempotency-Key": key} if key else None)["run"]

    def run(self, run):
        return self.get(f"/v1/runs/{run}")

    def operations(self, run):
        return [op for op in self.get(f"/v1/runs/{run}/operations")["operations"] if op["type"] != "EXECUTION"]

    def questions(self, run=None):
        return self.get("/v1/questions" + (f"?run={run}" if run else ""))["questions"]

    def ended(self, run, deadline=DEADLINE):
        return wait_until(lambda: (view := self.run(run))["status"] != "RUNNING" and view, f"the end of {run}", deadline)

    def events(self, run, last_event_id=None):
        return EventStream(self, run, last_event_id)


class EventStream:
    """Server-sent events of one run, in the order of arrival; ends quietly when the connection breaks."""

    def __init__(self, server, run, last_event_id=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
        headers = {"Authorization": "Bearer " + server.key, "Accept": "text/event-stream"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        self.connection.request("GET", f"/v1/runs/{run}/events", headers=headers)
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise Problem(self.answer.status, self.answer.read().decode(errors="replace"))

    def __iter__(self):
        event = {"event": "message", "data": "", "id": None}
        while True:
            try:
                line = self.answer.readline()
            except (OSError, http.client.HTTPException):
                return
            if not line:
                return
            line = line.decode().rstrip("\r\n")
            if not line:
                if event["data"]:
                    yield {"event": event["event"], "id": event["id"], "data": json.loads(event["data"])}
                event = {"event": "message", "data": "", "id": None}
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "data":
                    event["data"] += ("\n" if event["data"] else "") + value
                elif name in ("event", "id"):
                    event[name] = value

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Receiver:
    """An HTTP service as a well-made one is: it does each thing once for an idempotency key, and counts the calls."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls = {}    # key -> times called
        self.effects = {}  # key -> body of the first call
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                key = self.headers.get("Idempotency-Key", "")
                with outer.lock:
                    outer.calls[key] = outer.calls.get(key, 0) + 1
                    outer.effects.setdefault(key, self.path + " " + body)
                answer = json.dumps({"done": json.loads(body or "{}")}).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass  # the caller was killed

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def cli(*arguments, server=None, cwd=None, text_in="", env=None):
    """Runs the command line without a terminal."""
    extra = {"MAYFLY_URL": server.url, "MAYFLY_DATA": str(server.data)} if server else {}
    done = subprocess.run([str(BINARY), *map(str, arguments)], cwd=cwd, input=text_in, capture_output=True, text=True, timeout=DEADLINE * 2,
                          env=environment(**extra, **(env or {})))
    return Result(done.returncode, done.stdout, done.stderr)


def raw_exchange(port, payload, half_close=False, timeout=30.0):
    """Sends bytes, returns all that comes back until the server closes or is silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        try:
            sock.sendall(payload)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server may refuse before it has read all
        out = b""
        try:
            while chunk := sock.recv(65536):
                out += chunk
        except OSError:
            pass
        return out


def write(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
