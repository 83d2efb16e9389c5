"""The official MCP clients against the real binary: the SDKs of both generations and the Inspector's command line."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder
from mcp_node import PACKAGES, install, node


def main():
    why = install()
    if why:
        print(f"skipped: {why}\n0 passed, 0 failed")
        return 0
    passed = failed = 0

    def judge(name, done, good):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"FAIL {name}: {done.stdout[-1500:]} {done.stderr[-1500:]}")

    with TemporaryFolder() as folder, Server(folder / "data", ROOT / "examples/mcp-fixtures") as server:
        url = server.url + "/mcp"
        done = node("client_v1.mjs", url, server.key)
        judge("SDK 1", done, "1 passed" in done.stdout)
        for mode in ("auto", "legacy", "pin"):
            done = node("client_v2.mjs", url, server.key, mode)
            judge(f"SDK 2, {mode}", done, "1 passed" in done.stdout)
        inspector = [PACKAGES / "inspector/clients/launcher/build/index.js", "--cli", url, "--transport", "http", "--header", "Authorization: Bearer " + server.key]
        done = node(*inspector, "--method", "tools/list")
        judge("Inspector, tools/list", done, "test_simple_text" in done.stdout)
        done = node(*inspector, "--method", "tools/call", "--tool-name", "greet", "--tool-arg", "name=Ann")
        judge("Inspector, tools/call", done, "Hello, Ann!" in done.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
