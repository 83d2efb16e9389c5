"""Runs handlers for the emulator: a JSON request on each line of stdin, the answer on file descriptor 3."""

import importlib
import json
import logging
import os
import sys
import types


def main():
    logging.basicConfig(stream=sys.stdout)  # as the Lambda runtime does
    answers = os.fdopen(3, "w")
    for line in sys.stdin:
        request = json.loads(line)
        module, function = request["handler"].split(".")
        # A new function instance has the whole invocation before it.
        context = types.SimpleNamespace(aws_request_id=request["id"], tenant_id=None, get_remaining_time_in_millis=lambda: 60_000)
        try:
            answer = {"result": getattr(importlib.import_module(module), function)(request["event"], context)}
        except Exception as error:  # noqa: BLE001 — whatever a handler raises is the function's error
            answer = {"error": {"errorType": type(error).__name__, "errorMessage": str(error)}}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
