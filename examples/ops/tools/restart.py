"""Restarts a service once for each idempotency key, however often it is called.

{"service", "reason"} on standard input, a sentence on standard output. The ledger is one JSON object a line, in the file that OPS_LEDGER names
or ./restarts.jsonl.
"""
import fcntl
import json
import os
import sys


def keys_of(ledger):
    ledger.seek(0)
    keys = set()
    for line in ledger:
        try:
            keys.add(json.loads(line)["key"])
        except (ValueError, KeyError):
            continue  # a line torn by a crash counts for nothing: its caller never got an answer and comes again
    return keys


request = json.load(sys.stdin)
key = os.environ["MAYFLY_IDEMPOTENCY_KEY"]
with open(os.environ.get("OPS_LEDGER", "restarts.jsonl"), "a+") as ledger:
    fcntl.flock(ledger, fcntl.LOCK_EX)
    if key not in keys_of(ledger):
        ledger.write(json.dumps({"key": key, "service": request["service"], "reason": request["reason"]}) + "\n")
        ledger.flush()
        os.fsync(ledger.fileno())
print(f"{request['service']} was restarted")
