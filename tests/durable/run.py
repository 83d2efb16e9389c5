#!/usr/bin/env python3
"""Runs AWS's requirements for durable functions, with handlers written with AWS's SDKs, against a server of the Lambda API.

run.py --prefix FOLDER --endpoint URL [--only 1-5,callback] [--lang python,nodejs] [--json FILE]

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
import re
import sys
import threading
import time

import package
import requirements
from backend import Deployed, client, until

LANGUAGES = ["python", "nodejs"]
# After the execution has ended, its last events may come a moment later.
LATE_EVENTS = 5.0


class Check:
    """One requirement in one language."""

    def __init__(self, backend, requirement, language):
        self.backend, self.requirement, self.language = backend, requirement, language
        self.arn = None

    def run(self):
        """Why it fails, or None."""
        event, actions, result, expected, logs, variables = self.requirement.instance()
        name = f"c{self.requirement.id}-{random.randrange(10**9)}"
        self.begin(json.dumps(event).encode(), name, actions or [])
        if result:
            until(lambda: self.backend.describe(self.arn)["Status"] != "RUNNING", "the end of the execution")
        events = self.settled_history(expected, bool(result))
        if problem := requirements.history_difference(expected, events, variables, self.backend.unreported):
            return problem
        if result and (problem := self.end_difference(result)):
            return problem
        text = self.backend.logs()
        return requirements.logs_difference(logs, text) if text is not None else None

    def begin(self, payload, name, actions):
        """Starts the execution and does what happens to it from outside."""
        self.arn, self.answer = self.backend.start(self.language, self.requirement, payload, name)
        failures = []

        def act(action):
            try:
                self.backend.act(self.arn, action)
            except Exception as error:  # noqa: BLE001 — told by the thread that waits
                failures.append(error)

        threads = [threading.Thread(target=act, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def settled_history(self, expected, ended):
        """The history once it is long enough; a shorter one when no more comes."""
        last = max(event["EventId"] for event in expected)
        end = time.monotonic() + LATE_EVENTS
        if ended:
            while len(events := self.backend.history(self.arn)) < last and time.monotonic() < end:
                time.sleep(0.1)
            return events
        return until(lambda: len(events := self.backend.history(self.arn)) >= last and events, f"event {last}")

    def end_difference(self, expected):
        view = self.backend.describe(self.arn)
        if problem := requirements.result_difference(expected, view["Status"], view.get("Result")):
            return problem
        if self.answer is None:
            return None
        if self.answer["failed"] != (expected["ExecutionStatus"] != "SUCCEEDED"):
            return f"Invoke's answer: FunctionError is {'set' if self.answer['failed'] else 'not set'}: {self.answer['body'][:200]}"
        if not self.answer["failed"] and (self.answer["body"] or "null") != (view.get("Result") or "null"):
            return f"Invoke's answer: expected {view.get('Result')}, found {self.answer['body'][:200]}"
        return None

    def stop_if_running(self):
        if self.arn and self.backend.describe(self.arn)["Status"] == "RUNNING":
            self.backend.stop(self.arn)


def judge(backend, requirement, language):
    begin = time.monotonic()
    check = Check(backend, requirement, language)
    skipped = backend.cannot.get(requirement.id)
    try:
        problem = skipped or check.run()
        check.stop_if_running()
    except Exception as error:  # noqa: BLE001 — every failure is reported the same way
        problem = f"{type(error).__name__}: {error}"
    verdict = "skip" if skipped else "FAIL" if problem else "pass"
    return {
        "requirement": requirement.id, "language": language, "description": requirement.description, "verdict": verdict,
        "why": problem, "seconds": round(time.monotonic() - begin, 1), "execution": check.arn,
    }


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
            backend.deploy(language, package.build(options.prefix, language), chosen)
        if options.emulator:
            backend.launch()
    except BaseException:
        backend.close()
        raise
    return backend


def show(results, languages):
    by_id = {}
    for result in results:
        by_id.setdefault(result["requirement"], {})[result["language"]] = result
    for identity in sorted(by_id, key=lambda text: [int(part) for part in re.findall(r"\d+", text)]):
        row = by_id[identity]
        cells = "  ".join(f"{language} {row[language]['verdict']}" for language in languages)
        print(f"{identity:5} {cells}  {row[languages[0]]['description']}")
        for language in languages:
            if why := row[language]["why"]:
                print(f"      {language}: {why}")


def main():
    options = arguments()
    chosen = requirements.load(options.only.split(",") if options.only else None)
    backend = connect(options, chosen)
    try:
        with concurrent.futures.ThreadPoolExecutor(options.threads) as pool:
            jobs = [pool.submit(judge, backend, requirement, language) for requirement in chosen for language in options.lang]
            results = [job.result() for job in jobs]
    finally:
        backend.close()
    show(results, options.lang)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    count = collections.Counter(result["verdict"] for result in results)
    print(f"{count['pass']} passed, {count['FAIL']} failed" + (f", {count['skip']} skipped" if count["skip"] else ""))
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
