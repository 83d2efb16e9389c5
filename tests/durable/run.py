#!/usr/bin/env python3
"""Runs AWS's requirements for durable functions, with handlers written with AWS's SDKs, against a server of the Lambda API.

run.py --prefix FOLDER --endpoint URL [--only 1-5,callback,probe-due,api] [--lang python,nodejs] [--json FILE]

FOLDER is where setup.sh installed the SDKs; this program needs that folder's own venv/bin/python. Credentials come from
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. With --emulator AWS's local emulator is the server.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import sys
import time

import api_checks
import package
import probes
import requirements
from backend import Deployed, client

LANGUAGES = ["python", "nodejs"]


def judge(backend, item, language):
    """One requirement, probe or check in one language."""
    begin = time.monotonic()
    verdict, why = "skip", item.why_not(backend)
    if not why:
        try:
            why = item.run(backend, language, f"{item.id}-{random.randrange(10**9)}")
        except Exception as error:  # noqa: BLE001 — every failure is reported the same way
            why = f"{type(error).__name__}: {error}"
        verdict = "FAIL" if why else "pass"
    return {
        "requirement": item.id, "language": language, "description": item.description, "verdict": verdict, "why": why,
        "seconds": round(time.monotonic() - begin, 1),
    }


def load(only):
    items = requirements.load() + probes.load() + api_checks.load()
    if not only:
        return items
    only = set(only.split(","))
    if unknown := only - {item.id for item in items} - {item.group for item in items}:
        raise SystemExit(f"no such requirement: {', '.join(sorted(unknown))}; there are {', '.join(item.id for item in items)}")
    return [item for item in items if item.id in only or item.group in only]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", type=pathlib.Path, required=True, help="the folder that setup.sh filled")
    parser.add_argument("--endpoint", default=os.environ.get("AWS_ENDPOINT_URL_LAMBDA"), help="URL of the Lambda API")
    parser.add_argument("--emulator", action="store_true", help="use AWS's local emulator")
    parser.add_argument("--only", help="requirements or groups, separated by commas")
    parser.add_argument("--lang", default=",".join(LANGUAGES), help="languages, separated by commas")
    parser.add_argument("--threads", type=int, default=8, help="how many requirements at a time")
    parser.add_argument("--logs", type=pathlib.Path, help="file or folder of what handlers log; without it logs are not checked")
    parser.add_argument("--json", type=pathlib.Path, help="write the results to this file")
    options = parser.parse_args()
    options.lang = options.lang.split(",")
    if unknown := set(options.lang) - set(LANGUAGES):
        parser.error(f"no such language: {', '.join(unknown)}; there are {', '.join(LANGUAGES)}")
    if not options.emulator and not options.endpoint:
        parser.error("give --endpoint URL, or --emulator")
    return options


def connect(options, chosen):
    """The server, with every function deployed."""
    if options.emulator:
        from emulator import Emulator

        backend = Emulator(options.prefix.resolve())
    else:
        keys = (os.environ.get(f"AWS_{name}", "test") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        backend = Deployed(client(options.endpoint, *keys), f"durable-{random.randrange(10**6)}", options.logs)
    try:
        for language in options.lang:
            backend.deploy(language, package.build(options.prefix, language), [item for item in chosen if language in item.languages])
        if options.emulator:
            backend.launch()
    except BaseException:
        backend.close()
        raise
    return backend


def show(row):
    """What one requirement gave in its languages."""
    cells = "  ".join(f"{result['language']} {result['verdict']}" for result in row)
    print(f"{row[0]['requirement']:5} {cells}  {row[0]['description']}")
    for result in row:
        if result["why"]:
            print(f"      {result['language']}: {result['why']}")
    sys.stdout.flush()


def main():
    options = arguments()
    chosen = load(options.only)
    backend = connect(options, chosen)
    results = []
    try:
        with concurrent.futures.ThreadPoolExecutor(options.threads) as pool:
            rows = [
                [pool.submit(judge, backend, item, language) for language in options.lang if language in item.languages] for item in chosen
            ]
            for row in filter(None, rows):
                results += (done := [job.result() for job in row])
                show(done)
    finally:
        backend.close()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    count = collections.Counter(result["verdict"] for result in results)
    print(f"{count['pass']} passed, {count['FAIL']} failed" + (f", {count['skip']} skipped" if count["skip"] else ""))
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
