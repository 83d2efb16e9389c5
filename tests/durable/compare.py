"""Comparing what a requirement expects with what is found. Differences are sentences; None is none."""

import json
import random
import re
import string

VARIABLE = re.compile(r"\$\{([A-Za-z_0-9]+)\}")
GENERATED = re.compile(r"\$\{GEN_STR:(\d+)\}")
PATTERN = re.compile(r"\$\{/(.*)/\}", re.S)


def generate(text):
    return GENERATED.sub(lambda m: "".join(random.choices(string.ascii_letters + string.digits, k=int(m[1]))), text)


def fill(value, variables):
    """The value with its known variables put in."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda m: variables.get(m[1], m[0]), value)
    if isinstance(value, list):
        return [fill(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, variables) for key, item in value.items()}
    return value


def difference(expected, found, variables, where, unreported=frozenset()):
    """The first difference as a sentence, or None. Binds variables that are met for the first time. Members that the server
    is known not to report are not missed."""
    if expected == {}:
        return None
    if expected == "*":
        return f"{where} is missing" if found is None else None
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{where}: expected an object, found {short(found)}"
        for key, value in expected.items():
            if key in unreported and key not in found:
                continue
            if problem := difference(value, found.get(key), variables, f"{where}.{key}", unreported):
                return problem
        return None
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return f"{where}: expected {short(expected)}, found {short(found)}"
        problems = (difference(e, f, variables, f"{where}[{i}]", unreported) for i, (e, f) in enumerate(zip(expected, found)))
        return next(filter(None, problems), None)
    if isinstance(expected, str):
        if pattern := PATTERN.fullmatch(expected):
            good = found is not None and re.search(pattern[1], str(found))
            return None if good else f"{where}: expected a match of /{pattern[1]}/, found {short(found)}"
        name = VARIABLE.fullmatch(expected)
        if name and name[1] not in variables:
            if found is None:
                return f"{where} is missing"
            variables[name[1]] = found
            return None
        expected = fill(expected, variables)
    return None if expected == found else f"{where}: expected {short(expected)}, found {short(found)}"


def history_difference(expected, events, variables, unreported=frozenset()):
    """Compares the expected events with those of the history that have the same ids."""
    ids = [event["EventId"] for event in events]
    if ids != list(range(1, len(ids) + 1)):
        return f"the event ids are not 1, 2, 3 …: {ids}"
    for event in expected:
        number = event["EventId"]
        where = f"event {number} {event['EventType']}"
        if number > len(events):
            return f"{where} is missing; the history: {names(events)}"
        found = events[number - 1]
        if found["EventType"] != event["EventType"]:
            return f"{where}: found {found['EventType']}; the history: {names(events)}"
        if problem := difference(event, found, variables, where, unreported):
            return problem
    return None


def result_difference(expected, status, result):
    """Compares the end of the execution: its status, and its result, a JSON text, as text or as what it says."""
    if status != expected["ExecutionStatus"]:
        return f"status: expected {expected['ExecutionStatus']}, found {status}"
    if "ResultLength" in expected and len(result or "") != expected["ResultLength"]:
        return f"result: expected {expected['ResultLength']} characters, found {len(result or '')}"
    if "Result" not in expected:
        return None
    wanted = expected["Result"]
    value = json.loads(result) if result else None
    return None if wanted in (value, result) else f"result: expected {short(wanted)}, found {short(result)}"


def counts_difference(expected, events):
    """Compares how many events of each type there are, of the types named."""
    for kind, count in (expected or {}).items():
        found = sum(1 for event in events if event["EventType"] == kind)
        if found != count:
            return f"expected {count} {kind}, found {found}; the history: {short(names(events))}"
    return None


def logs_difference(expected, text):
    for log in expected or []:
        pattern = log["match"]["message"].strip("/")
        count = sum(1 for line in text.splitlines() if re.search(pattern, line))
        if count != log["count"]:
            return f"log: expected /{pattern}/ {log['count']} times, found it {count} times"
    return None


def names(events):
    return " ".join(f"{event['EventId']}:{event['EventType']}" for event in events)


def short(value):
    text = json.dumps(value, default=str)
    return text if len(text) <= 200 else text[:200] + "…"
