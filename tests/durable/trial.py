"""One execution of a requirement's handler: starting it, acting on it from outside, and comparing how it went."""

import json
import threading
import time

import compare
from backend import until

# After the execution has ended, its last events may come a moment later.
LATE_EVENTS = 5.0
LATE_LOGS = 15.0


class Trial:
    """One execution for a requirement."""

    def __init__(self, backend, requirement, language):
        self.backend, self.requirement, self.language = backend, requirement, language
        self.arn = self.answer = None

    def run(self, name):
        """Why it fails, or None."""
        event, actions, result, expected, logs, variables = self.requirement.instance()
        self.begin(json.dumps(event).encode(), name, actions or [])
        if result:
            until(lambda: self.backend.describe(self.arn)["Status"] != "RUNNING", "the end of the execution")
        counts = self.requirement.data.get("ExpectedEventCounts", {})
        last = max(event["EventId"] for event in expected)
        events = self.settled_history(max(last, 1 + sum(counts.values())), bool(result))
        if problem := compare.history_difference(expected, events, variables, self.backend.unreported):
            return problem
        if problem := compare.counts_difference(counts, events):
            return problem
        if result and (problem := self.end_difference(result)):
            return problem
        return self.logs_difference(logs) if logs else None

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

    def settled_history(self, last, ended):
        """The history once it has so many events; a shorter one when no more comes."""
        end = time.monotonic() + LATE_EVENTS
        if ended:
            while len(events := self.backend.history(self.arn)) < last and time.monotonic() < end:
                time.sleep(0.1)
            return events
        return until(lambda: len(events := self.backend.history(self.arn)) >= last and events, f"event {last}")

    def end_difference(self, expected):
        view = self.backend.describe(self.arn)
        if problem := compare.result_difference(expected, view["Status"], view.get("Result")):
            return problem
        if self.answer is None:
            return None
        if self.answer["failed"] != (expected["ExecutionStatus"] != "SUCCEEDED"):
            return f"Invoke's answer: FunctionError is {'set' if self.answer['failed'] else 'not set'}: {self.answer['body'][:200]}"
        if not self.answer["failed"] and (self.answer["body"] or "null") != (view.get("Result") or "null"):
            return f"Invoke's answer: expected {view.get('Result')}, found {self.answer['body'][:200]}"
        return None

    def logs_difference(self, expected):
        """Logs may be written a while after the end."""
        end = time.monotonic() + LATE_LOGS
        while (text := self.backend.logs()) is not None:
            problem = compare.logs_difference(expected, text)
            if not problem or time.monotonic() > end:
                return problem
            time.sleep(0.5)
        return None

    def stop_if_running(self):
        if self.arn and self.backend.describe(self.arn)["Status"] == "RUNNING":
            self.backend.stop(self.arn)
