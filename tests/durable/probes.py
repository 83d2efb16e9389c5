"""Questions to the durable API itself, asked by a handler without an SDK: see probes.yaml."""

import json
import pathlib

import compare
import yaml
from backend import until

FILE = pathlib.Path(__file__).resolve().parent / "probes.yaml"


class Probe:
    group = "probe"
    handler = "probe.probe"
    function = "probe"
    languages = ("python",)
    config = {}
    asynchronous = True

    def __init__(self, data):
        self.id = "probe-" + data["id"]
        self.description = data["description"]
        self.data = data

    def why_not(self, backend):
        return self.data.get("cannot", {}).get(backend.kind)

    def run(self, backend, language, name):
        """Why it fails, or None."""
        script = {key: self.data[key] for key in ("calls", "output") if key in self.data}
        arn, _ = backend.start(language, self, json.dumps(script).encode(), name)
        view = until(lambda: (view := backend.describe(arn))["Status"] != "RUNNING" and view, "the end of the execution")
        return self.difference(backend, view) or self.history_difference(backend, arn)

    def difference(self, backend, view):
        variables = {}
        if "end" in self.data:
            found = {key: value for key, value in view.items() if key in ("Status", "Result", "Error")}
            if problem := compare.difference(self.data["end"], found, variables, "end"):
                return problem
            unexpected = set(found) - set(self.data["end"])
            return f"end: unexpected {sorted(unexpected)}: {compare.short(found)}" if unexpected else None
        if view["Status"] != "SUCCEEDED":
            return f"the handler failed: {compare.short(view.get('Error'))}"
        answers = json.loads(view["Result"])
        for answer in answers:
            if "error" in answer:
                answer["error"] = backend.error_codes.get(answer["error"], answer["error"])
        return compare.difference(self.data["expect"], answers, variables, "answer")

    def history_difference(self, backend, arn):
        expected = self.data.get("history")
        if not expected:
            return None
        events = until(lambda: len(events := backend.history(arn)) >= len(expected) and events, f"{len(expected)} events")
        found = [event["EventType"] for event in events]
        return None if found == expected else f"history: expected {' '.join(expected)}, found {' '.join(found)}"


def load():
    return [Probe(data) for data in yaml.safe_load(FILE.read_text())]
