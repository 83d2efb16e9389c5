"""Webhooks and events with other makers' libraries: npm `standardwebhooks` and `cloudevents` sign, verify, make and read them.

The pinned packages are installed into build/hooks, or taken from the folder in HOOKS_JS.
"""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder, environment, free_port

HERE = pathlib.Path(__file__).resolve().parent / "hooks"
CLIENTS = pathlib.Path(os.environ.get("HOOKS_JS", ROOT / "build/hooks"))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PROJECT = """version: 1
queues:
  got: {}
triggers:
  signed: {webhook: {scheme: standard, path: /hooks/standard, secret_env: [HOOK_SECRET]}, target: {queue: got}}
  orders: {event: {types: shop.order}, target: {queue: got}}
"""


def main():
    CLIENTS.mkdir(parents=True, exist_ok=True)
    for file in HERE.iterdir():
        shutil.copy(file, CLIENTS)
    if not (CLIENTS / "node_modules/standardwebhooks").exists():
        done = subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent"], cwd=CLIENTS, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"skipped: the libraries cannot be installed: {done.stderr.strip()[-400:]}\n0 passed, 0 failed, 1 skipped")
            return 0
    with TemporaryFolder() as folder:
        (folder / "mayfly.yaml").write_text(PROJECT)
        with Server(folder / "data", project=folder, env=environment(HOOK_SECRET=SECRET)) as server:
            return subprocess.run([os.environ.get("NODE", "node"), "check.mjs", server.url, server.key, SECRET, str(free_port())], cwd=CLIENTS,
                                  timeout=120).returncode


if __name__ == "__main__":
    sys.exit(main())
