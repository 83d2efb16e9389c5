"""Amazon SQS's API beside moto's: the same operations by boto3 (JSON protocol), an old boto3 (query protocol) and AWS's SDK for JavaScript,
against the real binary and against moto_server, compared field by field. Where moto is known to be wrong, what Mayfly answers is checked.

The pinned packages are installed into build/sqs-clients, or taken from there: SQS_MOTO (a virtual environment with moto[server]), SQS_OLD_BOTO
(one with boto3 1.26) and AWS_JS (a folder whose node_modules holds @aws-sdk/client-sqs) name others.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder, environment, wait_until
from sqs.steps import masked, steps

HERE = pathlib.Path(__file__).resolve().parent / "sqs"
CLIENTS = ROOT / "build/sqs-clients"
DOCS = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/"
PAGES = "a page's order is not specified; moto keeps the order of creation, Mayfly that of the names (" + DOCS + "API_ListQueues.html)"
UNENCRYPTED = "moto says that queues are encrypted by default; Mayfly stores bodies in the clear and says so"
# Answers that differ: why, and what of Mayfly's answer must hold then.
KNOWN = {
    "list": (PAGES, lambda a: len(a["QueueUrls"]) == 4),
    "list a page": (PAGES, lambda a: a["QueueUrls"] == ["<url>/dead", "<url>/jobs"] and a["NextToken"]),
    "list the next page": (PAGES, lambda a: a["QueueUrls"] == ["<url>/orders.fifo", "<url>/work"]),
    "attributes all": (UNENCRYPTED, lambda a: a["Attributes"]["SqsManagedSseEnabled"] == "false"),
    "attributes of fifo": (UNENCRYPTED, lambda a: a["Attributes"]["SqsManagedSseEnabled"] == "false"
                           and [a["Attributes"][n] for n in ("FifoQueue", "ContentBasedDeduplication")] == ["true", "false"]),
    "send with attributes": ("moto leaves MD5OfMessageSystemAttributes out: " + DOCS + "API_SendMessage.html",
                             lambda a: a["MD5OfMessageSystemAttributes"] == "62a56dd927315f2b2e12832b84617ea5"
                             and a["MD5OfMessageAttributes"] == "8aea8bd4afe666810f3e90ababa472e3"),
    "send a control character": ("moto takes any text; SQS takes the characters of XML: " + DOCS + "API_SendMessage.html",
                                 lambda a: a["error"] == "InvalidMessageContents"),
    "bad redrive": ("moto calls a missing target a missing queue; SQS says that the attribute's value is wrong: " + DOCS +
                    "API_SetQueueAttributes.html", lambda a: a["error"] in ("InvalidParameterValue", "InvalidParameterValueException")),
}


def normal(value):
    """Without order where there is none, and JSON texts as what they mean."""
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items() if not (k == "Failed" and not v) and not (k == "queueUrls" and not v)}
    if isinstance(value, list):
        return sorted((normal(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    if isinstance(value, str) and value.startswith("{"):
        try:
            return {"json": normal(json.loads(value))}
        except ValueError:
            return value
    return value


def install(folder, packages):
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        done = subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise RuntimeError(done.stderr.strip()[-400:])
    return python


def node_folder():
    if given := os.environ.get("AWS_JS"):
        shutil.copy(HERE / "play.mjs", given)
        return pathlib.Path(given)
    folder = CLIENTS / "js"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "play.mjs", folder)
    (folder / "package.json").write_text('{"private": true, "type": "module", "dependencies": {"@aws-sdk/client-sqs": "3.1164.0"}}\n')
    if not (folder / "node_modules/@aws-sdk/client-sqs").exists():
        done = subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent"], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-400:])
    return folder


def run(command, text, env, cwd=None):
    done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True, env=env, cwd=cwd, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def play_python(python, url, account, env):
    return run([python, HERE / "play.py", url, account], "", env)["answers"]


def play_node(folder, url, account, env):
    script = steps(lambda queue: f"arn:aws:sqs:us-east-1:{account}:{queue}")
    answers = run(["node", "play.mjs", url], json.dumps(script), env, cwd=folder)["answers"]
    return [{**answer, "answer": masked(answer["answer"], account)} for answer in answers]


class Moto:
    def __init__(self, python):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        program = pathlib.Path(python).parent / "moto_server"
        self.process = subprocess.Popen([str(program), "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, "moto_server answers")

    def answers(self):
        try:
            urllib.request.urlopen(self.url + "/moto-api/", timeout=5).read()
            return True
        except OSError:
            return False

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(self.url + "/moto-api/reset", method="POST"), timeout=30).read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def compare(client, ours, theirs):
    passed = failed = 0
    for mine, other in zip(ours, theirs, strict=True):
        label, answer = mine["label"], mine["answer"]
        if label in KNOWN:
            try:
                good = KNOWN[label][1](answer)
            except (KeyError, TypeError):
                good = False
        else:
            good = normal(answer) == normal(other["answer"])
        passed, failed = passed + bool(good), failed + (not good)
        if not good:
            print(f"FAIL {client}: {label} ({mine['op']})\n  ours {json.dumps(answer)}\n  moto {json.dumps(other['answer'])}")
    print(f"ok   {client}: {passed} of {len(ours)} operations", flush=True)
    return passed, failed


def main():
    try:
        modern = pathlib.Path(os.environ["SQS_MOTO"]) / "bin/python" if "SQS_MOTO" in os.environ else install(CLIENTS / "moto", ["moto[server]==5.2.5", "boto3==1.44.5"])
        old = pathlib.Path(os.environ["SQS_OLD_BOTO"]) / "bin/python" if "SQS_OLD_BOTO" in os.environ else install(CLIENTS / "old", ["boto3==1.26.165"])
        javascript = node_folder()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"skipped: the clients cannot be installed: {error}")
        print("0 passed, 0 failed")
        return 0
    clients = [("boto3, JSON protocol", play_python, modern), ("boto3, query protocol", play_python, old), ("SDK for JavaScript", play_node, javascript)]
    passed = failed = 0
    with TemporaryFolder() as folder, Moto(modern) as moto:
        theirs_env = environment(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
        for number, (name, play, with_what) in enumerate(clients):
            moto.reset()
            theirs = play(with_what, moto.url, "123456789012", theirs_env)
            with Server(folder / f"data{number}") as server:
                keys = {"AWS_ACCESS_KEY_ID": "MAYFLYKEY" + server.key.split("_")[1].upper(), "AWS_SECRET_ACCESS_KEY": server.key}
                ours = play(with_what, server.url, "000000000000", environment(**keys))
            good, bad = compare(name, ours, theirs)
            passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
