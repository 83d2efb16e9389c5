"""A Lambda handler with real boto3 keeps an agent's state in DynamoDB (dynalite) and calls a model through the gateway: examples/functions/python.

boto3 and dynalite are installed into build/function-clients, or taken from the folder in FUNCTION_CLIENTS.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import urllib.request

from lib import ROOT, Server, Skip, TemporaryFolder, check, cli, environment, equal, wait_until

CLIENTS = pathlib.Path(os.environ.get("FUNCTION_CLIENTS", ROOT / "build/function-clients"))
BOTO3 = "boto3==1.44.5"
DYNALITE = "dynalite@4.0.0"


def install():
    if not shutil.which("npm"):
        raise Skip("there is no npm")
    CLIENTS.mkdir(parents=True, exist_ok=True)
    stamp = CLIENTS / "installed"
    wanted = f"{BOTO3} {DYNALITE}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--upgrade", "--target", str(CLIENTS / "python"), BOTO3],
                   check=True)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(CLIENTS), DYNALITE], check=True)
    stamp.write_text(wanted)


class Dynalite:
    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [str(CLIENTS / "node_modules/.bin/dynalite"), "--host", "127.0.0.1", "--port", str(self.port), "--createTableMs", "0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, "dynalite")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def call(self, operation, **body):
        """The DynamoDB API by hand: the test must not depend on what it tests."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/", data=json.dumps(body).encode(), method="POST",
            headers={"X-Amz-Target": "DynamoDB_20120810." + operation, "Content-Type": "application/x-amz-json-1.0",
                     "X-Amz-Date": "20261123T000000Z",
                     "Authorization": "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def test_the_handler_with_boto3_keeps_an_agents_state():
    install()
    with TemporaryFolder() as folder, Dynalite() as database:
        database.call("CreateTable", TableName="agent-state", BillingMode="PAY_PER_REQUEST",
                      AttributeDefinitions=[{"AttributeName": "session_id", "AttributeType": "S"}],
                      KeySchema=[{"AttributeName": "session_id", "KeyType": "HASH"}])
        project = folder / "python"
        shutil.copytree(ROOT / "examples/functions/python", project)
        shutil.copytree(CLIENTS / "python", project / "state", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "bin"))
        where = {"DYNAMODB_URL": f"http://127.0.0.1:{database.port}", "DYNAMODB_HOST": f"127.0.0.1:{database.port}"}
        with Server(folder / "data", env=environment(**where)) as server:
            if not server.get("/v1/sandbox")["available"]:
                raise Skip("this machine gives no sandbox")
            deployed = cli("deploy", project, server=server, env=where)
            equal(deployed.code, 0, f"deploy with the whole of boto3: {deployed}")

            def ask(query):
                answer = cli("fn", "invoke", "agent-state", json.dumps({"session_id": "ann", "query": query}), "--log", server=server)
                equal(answer.code, 0, f"{query} {answer}")
                return answer.out.strip()

            equal(ask("Hello"), "You said: Hello", "the model answers through the gateway")
            second = ask("Again")
            check("Hello" in second and "Again" in second, f"the history came from DynamoDB: {second}")
            item = database.call("GetItem", TableName="agent-state", Key={"session_id": {"S": "ann"}})["Item"]
            check(item["history"]["S"].startswith("Hello\nYou said: Hello\n"), f"what is stored: {item}")
            server.kill()
        with Server(folder / "data", env=environment(**where)) as server:
            check("Hello" in ask_again(server), "the function and its settings survive a kill -9")


def ask_again(server):
    return cli("fn", "invoke", "agent-state", '{"session_id": "ann", "query": "Still there?"}', server=server).out


def test_what_the_allow_list_does_not_name_cannot_be_reached():
    install()
    with TemporaryFolder() as folder, Dynalite() as database:
        code = folder / "f"
        code.mkdir()
        (code / "app.py").write_text(
            "import urllib.request\n"
            "def handler(event, context):\n"
            "    try:\n"
            "        return urllib.request.urlopen(event['url'], timeout=10).status\n"
            "    except Exception as error:\n"
            "        return f'{type(error).__name__}: {getattr(error, \"code\", error)}'\n")
        with Server(folder / "data") as server:
            if not server.get("/v1/sandbox")["available"]:
                raise Skip("this machine gives no sandbox")
            url = json.dumps({"url": f"http://127.0.0.1:{database.port}/"})
            for allowed, reached in ((f"127.0.0.1:{database.port}", True), ("example.com", False), (None, False)):
                more = ["--allow", allowed] if allowed else []
                equal(cli("deploy", code, "--name", "probe", *more, server=server).code, 0, "deploy")
                said = cli("fn", "invoke", "probe", url, server=server)
                equal(said.code, 0, f"{said}")
                # A request without a signature: dynalite's own answer, or nothing of it.
                equal(said.out.strip() in ("200", "HTTPError: 404", "HTTPError: 400"), reached, f"allow {allowed}: {said}")
