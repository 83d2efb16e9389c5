"""The official AWS SDK for Python against the real binary: every operation of the Lambda API, signed, with functions that really run.

The pinned SDK is installed into build/lambda-clients, or taken from the Python in LAMBDA_CLIENTS (a virtual environment).
"""

import os
import pathlib
import shutil
import subprocess
import sys
import venv

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder, environment, write

HERE = pathlib.Path(__file__).resolve().parent / "sdk"
CLIENTS = pathlib.Path(os.environ.get("LAMBDA_CLIENTS", ROOT / "build/lambda-clients"))
SDK = "boto3==1.44.5"

SCRIPT = """version: 1
default: {text: "echo: {{user}}"}
"""

PROJECT = """version: 1
providers:
  script: {kind: scripted, script: model.yaml}
agents:
  echo: {model: script/any, instructions: Repeat.}
"""


def install():
    """The Python that has the SDK, or None with a reason."""
    python = CLIENTS / "bin/python"
    if python.exists() and subprocess.run([python, "-c", "import boto3"], capture_output=True).returncode == 0:
        return python, ""
    try:
        venv.create(CLIENTS, with_pip=True)
    except Exception as error:  # noqa: BLE001 — a machine without ensurepip
        return None, f"no virtual environment can be made: {error}"
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", SDK], capture_output=True, text=True)
    if done.returncode != 0:
        return None, f"{SDK} cannot be installed: {done.stderr.strip()[-500:]}"
    return python, ""


def main():
    python, why = install()
    if not python:
        print(f"skipped: {why}")
        print("0 passed, 0 failed")
        return 0
    with TemporaryFolder() as folder:
        write(folder / "project/mayfly.yaml", PROJECT)
        write(folder / "project/model.yaml", SCRIPT)
        program = folder / "lambda_check.py"
        shutil.copy(HERE / "lambda_check.py", program)
        with Server(folder / "data", project=folder / "project") as server:
            checks = subprocess.run([python, program, server.url, server.key], env=environment(), cwd=folder, timeout=900)
            if checks.returncode != 0:
                print(server.log_text()[-4000:], file=sys.stderr)
            return checks.returncode


if __name__ == "__main__":
    sys.exit(main())
