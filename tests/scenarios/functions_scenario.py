"""What a user does with functions, through the command line and HTTP: the tour of README.md, docs/functions.md and examples/functions.

Nothing is installed: what needs boto3 or an SDK is in function_dynamodb_scenario.py and conformance_durable_scenario.py.
"""

import json
import os
import re
import shutil
import subprocess

from docs_scenario import files_of
from lib import BINARY, ROOT, Problem, Server, Skip, TemporaryFolder, check, cli, environment, equal, wait_until, write


def need_sandbox(server):
    layers = server.get("/v1/sandbox")
    if not layers["available"]:
        raise Skip("this machine gives no sandbox: " + json.dumps(layers)[:300])


def page_files(folder, page):
    for name, code in files_of((ROOT / "docs" / page).read_text()).items():
        write(folder / name, code)


def test_the_tour_of_the_documentation():
    with TemporaryFolder() as folder:
        page_files(folder, "functions.md")
        with Server(folder / ".mayfly") as server:
            need_sandbox(server)
            deployed = cli("deploy", "./state", "--name", "hello", server=server, cwd=folder)
            equal(deployed.code, 0, f"deploy {deployed}")
            check("deployed function hello (revision 1)" in deployed.out, f"says what was deployed: {deployed}")
            asked = cli("fn", "invoke", "hello", '{"name": "Ann"}', server=server)
            equal(asked.code, 0, f"invoke {asked}")
            equal(json.loads(asked.out)["greeting"], "Hello Ann", "the answer")
            check("called by Ann" in wait_until(lambda: "called by Ann" in (o := cli("fn", "logs", "hello", server=server).out) and o, "the log"),
                  "the log holds what was printed")
            shown = cli("fn", "show", "hello", server=server)
            for word in ("hello", "app.handler", "256 MiB", "revision"):
                check(word in shown.out, f"show names {word}: {shown}")
            check("hello" in cli("functions", "list", server=server).out, "list")

            event = write(folder / "event.json", '{"name": "Bob"}')
            logged = cli("fn", "invoke", "hello", f"@{event}", "--log", server=server)
            check("Hello Bob" in logged.out and "called by Bob" in logged.err, f"--log shows the end of the log: {logged}")
            later = cli("fn", "invoke", "hello", '{"name": "Eve"}', "--async", server=server)
            equal(later.code, 0, f"--async {later}")
            wait_until(lambda: "called by Eve" in cli("fn", "logs", "hello", server=server).out, "the asynchronous invocation")

            again = cli("deploy", "./state", "--name", "hello", server=server, cwd=folder)
            check("revision 1" in again.out, f"the same again makes no revision: {again}")
            equal(cli("fn", "delete", "hello", server=server).code, 0, "delete")
            equal(cli("fn", "show", "hello", server=server).code, 5, "it is gone")


def test_the_readme_shows_commands_that_work():
    text = (ROOT / "README.md").read_text()
    block = next(b for b in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S) if "mkdir hello" in b)
    commands = "\n".join(line.removeprefix("$ ") for line in block.splitlines())
    with TemporaryFolder() as folder:
        with Server(folder / ".mayfly") as server:
            need_sandbox(server)
            env = environment(MAYFLY_URL=server.url, MAYFLY_DATA=str(server.data), PATH=f"{BINARY.parent}:{os.environ['PATH']}")
            done = subprocess.run(["bash", "-euc", commands], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
            equal(done.returncode, 0, f"{done}")
            check("Hello Ann" in done.stdout, f"{done}")


def test_wrong_use_says_what_to_do():
    with TemporaryFolder() as folder:
        write(folder / "f/app.py", "def handler(event, context):\n    raise KeyError(event['who'])\n")
        write(folder / "empty/notes.txt", "no code")
        with Server(folder / ".mayfly") as server:
            need_sandbox(server)
            equal(cli("deploy", "f", "--name", "f", "--timeout", "5s", server=server, cwd=folder).code, 0, "deploy")
            for arguments, code, word in (
                (["fn", "invoke", "f", '{"who": "Ann"}'], 1, "KeyError"),
                (["fn", "invoke", "none"], 5, "not found"),
                (["fn", "invoke", "f", "hello"], 2, "quotes"),
                (["fn", "show", "none"], 5, "none"),
                (["deploy", "empty"], 1, "--name"),
                (["deploy", "empty", "--name", "x"], 1, "no code that is recognised"),
                (["deploy", "f", "--name", "x", "--timeout", "1d"], 1, "from 1s to 15m"),
                (["deploy", "f", "--name", "x", "--env", "NOT_SET_HERE"], 2, "not set here"),
            ):
                said = cli(*arguments, server=server, cwd=folder)
                equal(said.code, code, f"{arguments} {said}")
                check(word.lower() in said.err.lower(), f"{arguments} tells about {word}: {said}")


def test_a_secret_of_the_environment_never_shows():
    with TemporaryFolder() as folder:
        write(folder / "f/app.py", "import os\ndef handler(event, context):\n    return len(os.environ['TOKEN'])\n")
        write(folder / "mayfly.yaml", "version: 1\nfunctions:\n  f: {code: f, environment: {TOKEN: \"${A_SECRET}\"}}\n")
        with Server(folder / ".mayfly") as server:
            need_sandbox(server)
            deployed = cli("deploy", server=server, cwd=folder, env={"A_SECRET": "pst-4711-secret"})
            equal(deployed.code, 0, f"{deployed}")
            answer = cli("fn", "invoke", "f", server=server)
            equal(answer.out.strip(), "15", f"the function sees it: {answer}")
            for command in (["fn", "show", "f"], ["fn", "show", "f", "--json"], ["fn", "list", "--json"]):
                check("pst-4711" not in str(cli(*command, server=server)), f"{command} hides it")
            check("pst-4711" not in server.log_text(), "the log hides it")
        held = b"".join(p.read_bytes() for p in (folder / ".mayfly").rglob("*") if p.is_file())
        check(b"pst-4711" not in held, "it is encrypted at rest")
        unset = cli("validate", ".", cwd=folder)
        check("needs the environment variable `A_SECRET`" in unset.err, f"an unset variable is named: {unset}")


def test_an_agent_uses_a_function():
    with TemporaryFolder() as folder:
        project = folder / "agent"
        shutil.copytree(ROOT / "examples/functions/agent", project)
        with Server(folder / "data", project=project) as server:
            need_sandbox(server)
            told = cli("invoke", "guide", "What shall I wear in Oslo?", server=server)
            equal(told.code, 0, f"{told}")
            check('"city": "Oslo"' in told.out or '"city":"Oslo"' in told.out, f"the function's answer reaches the user: {told}")
            lost = cli("invoke", "guide", "What shall I wear in Atlantis?", server=server)
            check("no weather under water" in lost.out, f"its error reaches the model: {lost}")
            run = server.get("/v1/runs?limit=1")["runs"][0]["id"]
            tools = [op for op in server.operations(run) if op["kind"] == "tool"]
            equal([(op["name"], op["status"]) for op in tools], [("weather", "SUCCEEDED")], "one call, which the model was told about")


def test_a_tool_call_is_repeated_with_its_key_after_kill_9():
    with TemporaryFolder() as folder:
        project = folder / "agent"
        shutil.copytree(ROOT / "examples/functions/agent", project)
        # Waits for ever the first time; tells its idempotency key.
        write(project / "weather/app.py", """
import os, time
def handler(event, context):
    key = context.client_context.custom["mayfly_idempotency_key"]
    print("KEY", key, "attempt", context.client_context.custom["mayfly_attempt"], flush=True)
    if context.client_context.custom["mayfly_attempt"] == "1":
        time.sleep(3600)
    return {"city": event["city"]}
""")
        yaml = (project / "mayfly.yaml").read_text().replace("timeout: 10s", "timeout: 15m").replace(", effect: read_only", "")
        write(project / "mayfly.yaml", yaml)
        server = Server(folder / "data", project=project)
        with server:
            need_sandbox(server)
            run = server.invoke("guide", "What shall I wear in Oslo?")
            wait_until(lambda: server.get("/v1/functions/weather/logs")["lines"] and
                       any("KEY" in line for line in server.get("/v1/functions/weather/logs")["lines"]), "the first attempt")
            pids = [i["pid"] for i in server.get("/v1/functions/instances")["instances"]]
            server.kill()
            for pid in pids:
                wait_until(lambda: not os.path.exists(f"/proc/{pid}") or open(f"/proc/{pid}/stat").read().split(")")[1].split()[0] == "Z",
                           "the function died with the server")
            server.start()
            equal(server.ended(run)["status"], "SUCCEEDED", "the run goes on")
            keys = set(re.findall(r"KEY (\S+)", "\n".join(server.get("/v1/functions/weather/logs?lines=1000")["lines"])))
            equal(len(keys), 1, f"one key for both attempts: {keys}")


def test_a_url_of_its_own():
    with TemporaryFolder() as folder:
        project = folder / "nodejs"
        shutil.copytree(ROOT / "examples/functions/nodejs", project)
        with Server(folder / "data", project=project) as server:
            need_sandbox(server)
            direct = cli("fn", "invoke", "greet", '{"name": "Ann"}', server=server)
            if "runtime_missing" in str(direct) or "not installed" in str(direct):
                raise Skip("there is no Node.js")
            equal(direct.code, 0, f"{direct}")
            url = server.get("/v1/functions/greet")["url"]
            equal(server.post(url, {"name": "Bob"}), {"greeting": "Hello Bob"}, "by HTTP")
            try:
                server.post(url, {})
                check(False, "a wrong request is refused")
            except Problem as problem:
                equal(problem.status, 400, "the function's own status")


def test_the_model_gateway_is_in_every_function():
    with TemporaryFolder() as folder:
        write(folder / "model.yaml", "version: 1\ndefault: {text: \"echo: {{user}}\"}\n")
        shutil.copytree(ROOT / "examples/functions/python/state", folder / "f", ignore=shutil.ignore_patterns("app.py"))
        write(folder / "f/app.py", "from llm import llm_call\ndef handler(event, context):\n    return llm_call(event['q'])\n")
        write(folder / "mayfly.yaml",
              "version: 1\nproviders: {play: {kind: scripted, script: model.yaml}}\nfunctions: {f: {code: f, environment: {MODEL: play/any}}}\n")
        with Server(folder / "data", project=folder) as server:
            need_sandbox(server)
            answer = cli("fn", "invoke", "f", '{"q": "are you there?"}', server=server)
            equal(answer.out.strip(), "echo: are you there?", f"without any egress: {answer}")


def test_doctor_shows_the_layers():
    with TemporaryFolder() as folder:
        with Server(folder / "data") as server:
            checks = json.loads(cli("doctor", "--json", server=server).out)
            sandbox = [c for c in checks if c["check"] == "sandbox"]
            check(sandbox, f"doctor tells about the sandbox: {checks}")
            for layer in server.get("/v1/sandbox")["layers"]:
                check(any(layer["layer"] in c["found"] for c in sandbox), f"{layer['layer']} is named")
