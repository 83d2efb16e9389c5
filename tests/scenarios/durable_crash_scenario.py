"""Durable functions under kill -9: of the server, of the function's process, and of both, at every event of a workflow.

The workflow has steps, a wait, a callback and a chained invoke. Whatever dies when: it ends, with the results that its history recorded, each once.
"""

import json
import os
import signal

from durable_lib import DurableExecution, create_order_functions
from lib import Server, TemporaryFolder, check, environment, equal, wait_until

STEPS = ["reserve", "price", "charge", "notify"]


def check_history(execution):
    view = execution.ended()
    equal(view["Status"], "SUCCEEDED", f"status of {execution.name} ({view.get('Error')})")
    events = execution.history()
    equal([e["EventId"] for e in events], list(range(1, len(events) + 1)), "event ids without gaps")
    recorded = {}
    for event in events:
        if event["EventType"] == "StepSucceeded":
            check(event["Name"] not in recorded, f"{event['Name']} was recorded twice")
            recorded[event["Name"]] = json.loads(event["StepSucceededDetails"]["Result"]["Payload"])
    equal(sorted(recorded), sorted(STEPS), "recorded steps")
    for kind in ("WaitStarted", "WaitSucceeded", "CallbackStarted", "CallbackSucceeded", "ChainedInvokeStarted", "ChainedInvokeSucceeded",
                 "ExecutionStarted", "ExecutionSucceeded"):
        equal(sum(e["EventType"] == kind for e in events), 1, kind)
    result = json.loads(view["Result"])
    expected = [recorded["reserve"], recorded["price"], "SUCCEEDED", "yes", recorded["charge"], {"order": execution.name}, recorded["notify"]]
    equal(result, expected, "the result is made of what was recorded")
    return len(events)


def kill_function(server):
    # Only the durable one's: a plain function that dies has failed, and so has the invoke of it.
    for instance in server.get("/v1/functions/instances")["instances"]:
        if instance["function"] != "order":
            continue
        try:
            os.kill(instance["pid"], signal.SIGKILL)
        except ProcessLookupError:
            pass


def run_with_kills(whom, stride=1):
    """For every event k of the workflow: an execution of its own, and a kill right after its k-th event."""
    with TemporaryFolder() as folder:
        server = Server(folder / "data")
        with server:
            create_order_functions(server)
            calm = DurableExecution(server, "calm").start()
            calm.approve()
            events = check_history(calm)
            for at in range(1, events + 1, stride):
                execution = DurableExecution(server, f"{whom}-{at}").start()
                seen = 0
                while seen < at:
                    found = execution.history()
                    seen = len(found)
                    if found and found[-1]["EventType"].startswith("Execution") and seen > 1:
                        break
                    if any(e["EventType"] == "CallbackStarted" for e in found):
                        execution.approve()
                if whom in ("function", "both"):
                    kill_function(server)
                if whom in ("server", "both"):
                    server.kill()
                    server.start()
                execution.approve()
                check_history(execution)
            # Once more the first one: an ended execution stays as it was.
            check_history(calm)


def test_killing_the_server_at_every_event():
    run_with_kills("server")


def test_killing_the_function_at_every_event():
    run_with_kills("function")


def test_killing_both_at_every_event():
    run_with_kills("both", stride=2)


def test_nothing_runs_while_an_execution_waits_and_nothing_is_left_behind():
    with TemporaryFolder() as folder:
        server = Server(folder / "data", env=environment(MAYFLY_FUNCTION_IDLE_TIMEOUT="100ms"))
        with server:
            create_order_functions(server)
            execution = DurableExecution(server, "waiting").start()
            wait_until(lambda: any(e["EventType"] == "CallbackStarted" for e in execution.history()), "the callback")
            wait_until(lambda: not server.get("/v1/functions/instances")["instances"], "no process while it waits")
            execution.approve()
            check_history(execution)
            instances = wait_until(lambda: True and [i["pid"] for i in server.get("/v1/functions/instances")["instances"]] or [0], "pids")
            server.kill()
            for pid in filter(None, instances):
                wait_until(lambda: not os.path.exists(f"/proc/{pid}"), f"the end of process {pid} after kill -9 of the server")
