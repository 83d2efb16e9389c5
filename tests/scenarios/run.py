#!/usr/bin/env python3
"""Runs the scenarios: tests of the real binary. `run.py [NAME...]`; without names all but the heavy ones.

MAYFLY_BIN names the binary (default build/dev/apps/mayfly). A scenario is a file NAME_scenario.py whose functions test_* are the
tests, or, when it has a main guard and none of them, a program that prints 'N passed, N failed' last. The last line is the sum.
"""

import importlib.util
import pathlib
import re
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
HEAVY = {"real_model", "sdk", "crash_full", "events_kill_full", "openapi", "conformance_durable", "lambda_api", "function_dynamodb", "durable_examples", "aws_js", "runtime_clients", "states_sdk", "sqs", "a2a_sdk", "hooks", "mcp_conformance", "mcp_clients", "workspace_writers_full", "openclaw"}


def discover():
    return {path.name.removesuffix("_scenario.py"): path for path in sorted(HERE.glob("*_scenario.py"))}


def chosen(names, known):
    if not names:
        return [name for name in known if name not in HEAVY]
    out = []
    for name in (n.replace("-", "_").removesuffix("_scenario") for n in names):
        if name not in known:
            print(f"no scenario {name}; there are {', '.join(known)}")
            return None
        out.append(name)
    return out


def run_program(name, path):
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    text = done.stdout + done.stderr
    sums = re.findall(r"^(\d+) passed, (\d+) failed", text, re.M)
    print(text.rstrip())
    if sums:
        passed, failed = map(int, sums[-1])
        return passed, failed if done.returncode == 0 or failed else 1
    if done.returncode == 0:
        return 0, 0
    print(f"FAIL {name}: exit code {done.returncode}")
    return 0, 1


def run_functions(name, module):
    from lib import Skip

    passed = failed = 0
    for function in [f for f in vars(module) if f.startswith("test_")]:
        begin = time.monotonic()
        label = f"{name}.{function.removeprefix('test_')}"
        try:
            getattr(module, function)()
            passed += 1
            print(f"ok   {label} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Skip as why:
            print(f"skip {label}: {why}", flush=True)
        except Exception:  # noqa: BLE001 — every failure of a test is reported the same way
            failed += 1
            print(f"FAIL {label} ({time.monotonic() - begin:.1f} s)\n{traceback.format_exc()}", flush=True)
    return passed, failed


def main():
    known = discover()
    names = chosen(sys.argv[1:], known)
    if names is None:
        print("0 passed, 1 failed")
        return 1
    passed = failed = 0
    for name in names:
        text = known[name].read_text()
        if re.search(r"^def test_", text, re.M):
            spec = importlib.util.spec_from_file_location(known[name].stem, known[name])
            module = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
                good, bad = run_functions(name, module)
            except Exception:  # noqa: BLE001
                print(f"FAIL {name}\n{traceback.format_exc()}")
                good, bad = 0, 1
        else:
            good, bad = run_program(name, known[name])
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
