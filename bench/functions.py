#!/usr/bin/env python3
"""Functions: cold and warm starts, bursts, durable steps, memory at rest. Prints one JSON line a figure; called by bench/run.sh functions.

usage: functions.py BIN WORK [REPS]
"""

import base64
import concurrent.futures
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.parse
import zipfile

BIN, WORK = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
REPS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
# Everything that a function can be run without: it needs its own root folder and network.
LAYERS = "ipc_namespace,uts_namespace,cgroup_namespace,seccomp,landlock,capabilities,rlimits,cgroup_memory,cgroup_cpu,cgroup_pids"
COLD, WARM_SECONDS, BURST = 20, 3.0, 100

PYTHON = """
import time
def handler(event, context):
    return event
def burst(event, context):
    began = time.time()
    time.sleep(event["hold"])
    return began
"""
NODE = "export const handler = async (event) => event;\n"
C = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* The smallest runtime: asks for the next invocation on one kept connection and echoes it. */
static char buf[65536];
static int ask(int s, const char* text, size_t n) {
  if (write(s, text, n) != (ssize_t)n) return -1;
  size_t have = 0;
  for (;;) {
    ssize_t got = read(s, buf + have, sizeof buf - 1 - have);
    if (got <= 0) return -1;
    have += got;
    buf[have] = 0;
    char* end = strstr(buf, "\r\n\r\n");
    if (!end) continue;
    char* length = strcasestr(buf, "content-length:");
    size_t want = length && length < end ? strtoul(length + 15, 0, 10) : 0;
    if (have >= (size_t)(end + 4 - buf) + want) return (int)(end + 4 - buf);
  }
}
int main(void) {
  const char* api = getenv("AWS_LAMBDA_RUNTIME_API");
  char host[64], out[65536 + 512], id[128];
  int port = 80;
  if (!api || sscanf(api, "%63[^:]:%d", host, &port) != 2) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &to.sin_addr);
  int s = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(s, (struct sockaddr*)&to, sizeof to)) return 3;
  for (;;) {
    int n = snprintf(out, sizeof out, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", api);
    int body = ask(s, out, n);
    if (body < 0) return 0;
    char* at = strcasestr(buf, "lambda-runtime-aws-request-id:");
    if (!at || sscanf(at + 30, " %127[^\r]", id) != 1) return 4;
    size_t bytes = strlen(buf + body);
    n = snprintf(out, sizeof out, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n%s", id, api, bytes, buf + body);
    if (ask(s, out, n) < 0) return 0;
  }
}
"""
DURABLE_PYTHON = """
from aws_durable_execution_sdk_python import DurableContext, durable_execution
@durable_execution
def handler(event, context: DurableContext):
    for i in range(event["steps"]):
        context.step(lambda _: i, name=f"s{i}")
    return "done"
"""
DURABLE_NODE = """
import { withDurableExecution } from "@aws/durable-execution-sdk-js";
export const handler = withDurableExecution(async (event, context) => {
  for (let i = 0; i < event.steps; i++) await context.step(`s${i}`, async () => i);
  return "done";
});
"""


def emit(metric, value, unit, **more):
    print(json.dumps({"bench": "functions", "metric": metric, "value": round(value, 3), "unit": unit, "load": round(os.getloadavg()[0], 2), **more}), flush=True)


def zipped(files, folder=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o755 << 16
            archive.writestr(info, data)
        for path in sorted(folder.rglob("*")) if folder else []:
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(folder))
    return base64.b64encode(out.getvalue()).decode()


class Server:
    def __init__(self, name, **settings):
        self.data = WORK / name
        self.process = subprocess.Popen([BIN, "serve", "--data", self.data, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                                        stderr=open(WORK / f"{name}.log", "wb"), env={**os.environ, "NO_COLOR": "1", **settings})
        for line in self.process.stdout:
            if found := re.search(rb"listens on http://127.0.0.1:(\d+)", line):
                self.port = int(found.group(1))
                break
        self.key = (self.data / "admin.key").read_text().split()[0]
        self.local = {}

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def call(self, method, path, body=None, connection=None, headers=None):
        connection = connection or self.connection()
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, data, {"Authorization": "Bearer " + self.key, "Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300 or answer.headers.get("X-Amz-Function-Error"):
            raise SystemExit(f"{method} {path}: {answer.status} {text[:400]}")
        return text

    def create(self, name, runtime, handler, code, **more):
        self.call("POST", "/2015-03-31/functions", {"FunctionName": name, "Runtime": runtime, "Handler": handler, "Role": "arn:aws:iam::000000000000:role/any", "Timeout": 60,
                                                    "Code": {"ZipFile": code}, **more})

    def renew(self, name, n):
        """A new revision: its first invocation is cold."""
        self.call("PUT", f"/2015-03-31/functions/{name}/configuration", {"Description": f"{n}"})

    def invoke(self, name, event, connection=None):
        return self.call("POST", f"/2015-03-31/functions/{name}/invocations", event, connection)

    def instances(self):
        return json.loads(self.call("GET", "/v1/functions/instances"))["instances"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def p50(values):
    return statistics.median(values)


def timed(function):
    begin = time.perf_counter()
    function()
    return (time.perf_counter() - begin) * 1000


def plain_starts():
    binary = WORK / "c/bootstrap"
    for name, command in {"exec_true": ["/bin/true"], "python3": ["python3", "-c", "pass"], "node": ["node", "-e", ""], "python3_boto3": [sys.executable, "-c", "import boto3"]}.items():
        if shutil.which(command[0]) and subprocess.run(command, capture_output=True).returncode == 0:
            emit("plain_start_p50", p50([timed(lambda: subprocess.run(command)) for _ in range(COLD)]), "ms", what=name)
    if shutil.which("bwrap"):
        bwrap = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "/bin/true"]
        emit("plain_start_p50", p50([timed(lambda: subprocess.run(bwrap)) for _ in range(COLD)]), "ms", what="bwrap_true")
    return binary


def compile_c():
    (WORK / "c").mkdir(parents=True, exist_ok=True)
    (WORK / "c/bootstrap.c").write_text("#define _GNU_SOURCE\n" + C)
    subprocess.run(["cc", "-O2", "-static", "-o", WORK / "c/bootstrap", WORK / "c/bootstrap.c"], check=True)
    return (WORK / "c/bootstrap").read_bytes()


def starts(server, level, bootstrap):
    kinds = {"c": ("provided.al2023", "bootstrap", zipped({"bootstrap": bootstrap})), "python": ("python3.11", "app.handler", zipped({"app.py": PYTHON})),
             "node": ("nodejs22.x", "app.handler", zipped({"app.mjs": NODE}))}
    for kind, (runtime, handler, code) in kinds.items():
        server.create(kind, runtime, handler, code)
        server.invoke(kind, {"n": 0})
        connection = server.connection()
        cold = []
        for n in range(COLD):
            server.renew(kind, n)
            cold.append(timed(lambda: server.invoke(kind, {"n": n}, connection)))
        emit("cold_start_p50", p50(cold), "ms", runtime=kind, sandbox=level, min_ms=round(min(cold), 2), max_ms=round(max(cold), 2))
        bare = [timed(lambda: server.call("GET", "/healthz", None, connection)) for _ in range(300)]
        warm = [timed(lambda: server.invoke(kind, {"n": n}, connection)) for n in range(300)]
        emit("warm_invoke_p50", p50(warm), "ms", runtime=kind, sandbox=level, healthz_p50_ms=round(p50(bare), 3), added_us=round((p50(warm) - p50(bare)) * 1000))
        for clients in (1, 16):
            emit("warm_invocations_per_s", throughput(server, kind, clients), "1/s", runtime=kind, sandbox=level, concurrency=clients)
        idle = [i for i in server.instances() if i["function"] == kind and i["state"] == "idle"]
        if idle:
            emit("idle_process_memory", p50([i["memory_bytes"] for i in idle]) / 1024, "KB", runtime=kind, sandbox=level)


def throughput(server, name, clients):
    def client(_):
        connection, count, end = server.connection(), 0, time.perf_counter() + WARM_SECONDS
        while time.perf_counter() < end:
            server.invoke(name, {"n": 1}, connection)
            count += 1
        return count
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(client, range(clients))) / WARM_SECONDS


def burst(server):
    """From the first request of 100 at once until the handler of the last one runs."""
    server.create("burst", "python3.11", "app.burst", zipped({"app.py": PYTHON}))
    server.invoke("burst", {"hold": 0})
    server.renew("burst", 1)
    with concurrent.futures.ThreadPoolExecutor(BURST) as pool:
        connections = [server.connection() for _ in range(BURST)]
        for connection in connections:
            connection.connect()
        begin = time.time()
        began = [float(value) for value in pool.map(lambda c: server.invoke("burst", {"hold": 3}, c), connections)]
    emit("burst_100_python_ready", max(began) - begin, "s", processes=len(server.instances()))


def durable(server):
    packages = os.environ.get("DURABLE_PACKAGES")
    if not packages:
        return
    for kind, runtime, files, folder in (("python", "python3.11", {"app.py": DURABLE_PYTHON}, "python"), ("node", "nodejs22.x", {"app.mjs": DURABLE_NODE}, "nodejs")):
        if not (pathlib.Path(packages) / folder).exists():
            continue
        name = f"durable-{kind}"
        server.create(name, runtime, "app.handler", zipped(files, pathlib.Path(packages) / folder), MemorySize=512,
                      DurableConfig={"ExecutionTimeout": 600, "RetentionPeriodInDays": 1})
        server.invoke(name + ":$LATEST".replace("$", "%24"), {"steps": 1})
        for clients in (1, 8):
            steps = 100
            begin = time.perf_counter()
            with concurrent.futures.ThreadPoolExecutor(clients) as pool:
                list(pool.map(lambda _: server.invoke(name, {"steps": steps}), range(clients * 2)))
            emit("durable_steps_per_s", clients * 2 * steps / (time.perf_counter() - begin), "1/s", runtime=kind, concurrency=clients)


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    bootstrap = compile_c()
    plain_starts()
    for rep in range(REPS):
        for level, without in (("all", ""), ("least", LAYERS)):
            server = Server(f"data-{level}-{rep}", MAYFLY_SANDBOX_WITHOUT=without)
            starts(server, level, bootstrap)
            if level == "all":
                burst(server)
                durable(server)
            server.stop()
        idle = Server(f"data-idle-{rep}", MAYFLY_FUNCTION_IDLE_TIMEOUT="200ms")
        idle.create("python", "python3.11", "app.handler", zipped({"app.py": PYTHON}))
        idle.invoke("python", {})
        deadline = time.time() + 10
        while idle.instances() and time.time() < deadline:
            time.sleep(0.05)
        emit("processes_after_scale_to_zero", len(idle.instances()), "processes")
        idle.stop()


main()
