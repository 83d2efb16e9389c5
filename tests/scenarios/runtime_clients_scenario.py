"""AWS's own runtime clients as functions of the real binary, in its sandbox: aws-lambda-go and awslambdaric (Python), runtime `provided`.

What they need is installed into build/runtime-clients, or taken from the folder in RUNTIME_CLIENTS.
"""

import base64
import io
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

from lib import ROOT, Server, Skip, TemporaryFolder, equal

CLIENTS = pathlib.Path(os.environ.get("RUNTIME_CLIENTS", ROOT / "build/runtime-clients"))
GO_CLIENT, PYTHON_CLIENT = "github.com/aws/aws-lambda-go@v1.55.1", "awslambdaric==4.2.2"

GO = """package main

import (
	"context"
	"errors"

	"github.com/aws/aws-lambda-go/lambda"
)

func handle(ctx context.Context, event map[string]any) (map[string]any, error) {
	if event["fail"] != nil {
		return nil, errors.New("as asked")
	}
	return map[string]any{"got": event}, nil
}

func main() { lambda.Start(handle) }
"""
PYTHON = """def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked")
    return {"got": event}
"""
BOOTSTRAP = '#!/bin/sh\nexport PYTHONPATH="$LAMBDA_TASK_ROOT"\nexec python3 -m awslambdaric "$_HANDLER"\n'


def installed(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "CGO_ENABLED": "0"})
    if done.returncode != 0:
        raise Skip(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")


def zipped(folder):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            archive.write(path, path.relative_to(folder))
    return base64.b64encode(out.getvalue()).decode()


def go_package():
    if not shutil.which("go"):
        raise Skip("Go is not installed")
    source, package = CLIENTS / "go", CLIENTS / "go-package"
    source.mkdir(parents=True, exist_ok=True)
    package.mkdir(exist_ok=True)
    if not (package / "bootstrap").exists():
        (source / "main.go").write_text(GO)
        (source / "go.mod").write_text("module fixture\n\ngo 1.21\n")
        installed(["go", "get", GO_CLIENT], source)
        installed(["go", "build", "-o", str(package / "bootstrap"), "."], source)
    return package


def python_package():
    package = CLIENTS / "python-package"
    package.mkdir(parents=True, exist_ok=True)
    if not (package / "awslambdaric").exists():
        installed([sys.executable, "-m", "pip", "install", "-q", "-t", str(package), PYTHON_CLIENT], CLIENTS)
    (package / "app.py").write_text(PYTHON)
    (package / "bootstrap").write_text(BOOTSTRAP)
    (package / "bootstrap").chmod(0o755)
    return package


def serves(package, handler):
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        server.post("/2015-03-31/functions", {"FunctionName": "client", "Runtime": "provided.al2023", "Handler": handler, "Timeout": 30, "MemorySize": 256,
                                              "Role": "arn:aws:iam::000000000000:role/any", "Code": {"ZipFile": zipped(package)}})
        path = "/2015-03-31/functions/client/invocations"
        for n in range(3):
            equal(server.post(path, {"n": n}), {"got": {"n": n}}, f"answer {n}")
        equal(server.post(path, {"fail": True})["errorMessage"], "as asked", "the handler's error")
        equal(server.post(path, {"n": 9}), {"got": {"n": 9}}, "the answer after an error")
        instances = server.get("/v1/functions/instances")["instances"]
        equal([i["invocations"] for i in instances], [5], "one warm process served all")


def test_the_go_client():
    serves(go_package(), "bootstrap")


def test_the_python_client():
    serves(python_package(), "app.handler")
