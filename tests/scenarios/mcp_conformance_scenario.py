"""The official conformance suite of MCP against the real binary, with its fixtures deployed as a bundle: every scored server scenario of both
revisions on one URL, and the scenarios of the tasks extension (but tasks-status-notifications, in which the suite checks nothing yet). A scenario that also passes against a port where nobody listens shows nothing
and is not counted."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, TemporaryFolder
from mcp_node import PACKAGES, install, node

SUITE = PACKAGES / "conformance/dist/index.js"
NOBODY = "http://127.0.0.1:9/mcp"
EXPECTED = {"2025-11-25": 30, "2026-07-28": 34}
TASKS = ["lifecycle", "capability-negotiation", "wire-fields", "request-state-removal", "mrtr-input", "request-headers", "dispatch-and-envelope",
         "required-task-error", "mrtr-composition"]


def judge(url, revision, *more):
    """Each scenario of the summary and whether it passed, without those that are not scored."""
    said = node(SUITE, "server", "--url", url, "--requirements", revision, *more).stdout
    summary = said[said.find("=== SUMMARY"):]
    unscored = set(re.findall(r"^  [✗✓] (\S+)", summary[summary.find("Not scored"):] if "Not scored" in summary else "", re.M))
    scored = re.findall(r"^([✓✗]) ([^:\n]+)(.*)$", summary, re.M)
    return {name: (mark == "✓", rest) for mark, name, rest in scored if name not in unscored}


def main():
    why = install()
    if why:
        print(f"skipped: {why}\n0 passed, 0 failed")
        return 0
    passed = failed = 0
    with TemporaryFolder() as folder, Server(folder / "data", ROOT / "examples/mcp-fixtures", ["--open-mcp"]) as server:
        url = server.url + "/mcp"
        for revision, expected in EXPECTED.items():
            hollow = {name for name, (ok, _) in judge(NOBODY, revision, "--timeout", "2000").items() if ok}
            found = {name: result for name, result in judge(url, revision).items() if name not in hollow}
            good = sum(ok for ok, _ in found.values())
            for name, (ok, rest) in found.items():
                if not ok:
                    print(f"FAIL {revision} {name}{rest}")
            if good < expected:
                print(f"FAIL {revision}: {good} scenarios passed, {expected} were expected")
            passed += good
            failed += max(len(found) - good, expected - good, 0)
            print(f"{revision}: {good} of {len(found)} ({len(hollow)} say nothing)")
        for name in TASKS:
            # An extension belongs to no revision: without --force the suite skips it.
            done = node(SUITE, "server", "--url", url, "--scenario", f"tasks-{name}", "--spec-version", "2026-07-28", "--force")
            sums = re.findall(r"^Passed: (\d+)/(\d+), (\d+) failed", done.stdout, re.M)
            ok = done.returncode == 0 and sums and int(sums[-1][0]) > 0 and sums[-1][2] == "0"
            passed, failed = passed + bool(ok), failed + (not ok)
            if not ok:
                print(f"FAIL tasks-{name}\n{done.stdout[-1500:]}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
