"""AWS's SDKs as clients of the Step Functions API: JavaScript v3 for what executions do, and boto3 beside moto_server, answer by answer.

The pinned packages are installed into build/, or taken from there: STATES_MOTO (a virtual environment with moto[server] and boto3) and AWS_JS (a
folder whose node_modules holds @aws-sdk/client-sfn) name others.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder, environment
from sqs_scenario import Moto, install

HERE = pathlib.Path(__file__).resolve().parent / "states"
CLIENTS = ROOT / "build/states-clients"
API = "https://docs.aws.amazon.com/step-functions/latest/apireference/"
# Answers that differ: why, and what of Mayfly's answer must hold then.
LOGGING = "moto leaves includeExecutionData out, which is false by default: " + API + "API_LoggingConfiguration.html"
KNOWN = {
    "describe": (LOGGING, lambda a: a["status"] == "ACTIVE" and a["loggingConfiguration"] == {"level": "OFF", "includeExecutionData": False}),
    "describe the new definition": (LOGGING, lambda a: "two" in a["definition"] and a["type"] == "STANDARD"),
    "describe the machine of the execution": ("moto leaves updateDate out: " + API + "API_DescribeStateMachineForExecution.html",
                                              lambda a: a["name"] == "review" and a["updateDate"] == "<time>"),
    "list executions": ("moto runs nothing: its execution stays RUNNING", lambda a: [e["name"] for e in a["executions"]] == ["order-7"]),
    "describe the activity": ("moto leaves the encryption out when none was given: " + API + "API_DescribeActivity.html",
                              lambda a: a["name"] == "work" and a["encryptionConfiguration"] == {"type": "AWS_OWNED_KEY"}),
}


def node_folder():
    folder = pathlib.Path(os.environ.get("AWS_JS", CLIENTS / "js"))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "check.mjs", folder / "states_check.mjs")
    if not (folder / "node_modules/@aws-sdk/client-sfn").exists():
        (folder / "package.json").write_text('{"private": true, "type": "module", "dependencies": {"@aws-sdk/client-sfn": "3.1164.0"}}\n')
        done = subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent"], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-400:])
    return folder


def play(python, url, account, keys):
    done = subprocess.run([str(python), str(HERE / "play.py"), url, account], capture_output=True, text=True, env=environment(**keys), timeout=300)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def compare(ours, theirs):
    passed = failed = 0
    for mine, other in zip(ours, theirs, strict=True):
        label, answer = mine["label"], mine["answer"]
        try:
            good = KNOWN[label][1](answer) if label in KNOWN else answer == other["answer"]
        except KeyError:
            good = False
        passed, failed = passed + bool(good), failed + (not good)
        if not good:
            print(f"FAIL {label} ({mine['operation']})\n  ours {json.dumps(answer)}\n  moto {json.dumps(other['answer'])}")
    print(f"boto3 beside moto: {passed} of {len(ours)} answers", flush=True)
    return passed, failed


def keys_of(server):
    return {"AWS_ACCESS_KEY_ID": "MAYFLYKEY" + server.key.split("_")[1].upper(), "AWS_SECRET_ACCESS_KEY": server.key, "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_SFN": server.url}


def main():
    try:
        given = os.environ.get("STATES_MOTO")
        python = pathlib.Path(given) / "bin/python" if given else install(CLIENTS / "moto", ["moto[server]==5.2.5", "boto3==1.44.5"])
        node = node_folder()
    except (RuntimeError, OSError) as error:
        print(f"skipped: the SDKs cannot be installed: {error}\n0 passed, 0 failed")
        return 0
    with TemporaryFolder() as folder:
        with Server(folder / "data") as server, Moto(python) as moto:
            ours = play(python, server.url, "000000000000", keys_of(server))
            theirs = play(python, moto.url, "123456789012", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
            passed, failed = compare(ours, theirs)
        with Server(folder / "js-data") as server:
            done = subprocess.run(["node", "states_check.mjs"], cwd=node, env=environment(**keys_of(server)), capture_output=True, text=True, timeout=300)
            print(done.stdout.rstrip())
            sums = [line.split() for line in done.stdout.splitlines() if line.endswith(" failed")]
            passed, failed = (passed + int(sums[-1][0]), failed + int(sums[-1][2])) if sums else (passed, failed + 1)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
