"""What callers of the API from outside a function are promised: starting, stopping, reading, callbacks, plain targets."""

import json

from backend import until
from botocore.exceptions import ClientError

# A handler that waits for a callback whose name is its input.
WAITS = ("4-1", "callback.callback_4_1")


class ApiCheck:
    group = "api"
    languages = ("python",)
    asynchronous = True
    config = {}

    def __init__(self, body, function, handler, emulated=True, config=None):
        self.id = "api-" + body.__name__.replace("_", "-")
        self.description = body.__doc__.rstrip(".")
        self.function, self.handler = function, handler
        self.body = body
        self.emulated = emulated
        self.config = config or {}

    def why_not(self, backend):
        return None if self.emulated or backend.kind != "emulator" else "the emulator does not serve or do this"

    def run(self, backend, language, name):
        """Why it fails, or None."""
        try:
            self.body(Caller(backend, self, language, name))
        except AssertionError as error:
            return str(error)
        return None


class Caller:
    """What the checks below use."""

    def __init__(self, backend, item, language, name):
        self.backend, self.item, self.language, self.name = backend, item, language, name
        self.client = backend.client

    def start(self, payload, name=None):
        return self.backend.start(self.language, self.item, json.dumps(payload).encode(), name or self.name)[0]

    def ended(self, arn):
        return until(lambda: (view := self.backend.describe(arn))["Status"] != "RUNNING" and view, "the end of the execution")

    def waiting(self, name=None):
        """An execution that waits for a callback: its ARN and the callback's id."""
        arn = self.start("it", name)
        callback = until(lambda: self.backend.callback_id(arn, "it") or self.backend.describe(arn)["Status"] != "RUNNING", "the callback")
        if callback is True:
            raise AssertionError(f"the execution ended before its callback was made: {self.backend.describe(arn)['Status']}")
        until(lambda: any(e["EventType"] == "InvocationCompleted" for e in self.backend.history(arn)), "the end of the invocation")
        return arn, callback

    def code(self, call, **arguments):
        """The error's code of a call that must fail."""
        try:
            getattr(self.client, call)(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            return self.backend.error_codes.get(code, code)
        raise AssertionError(f"{call} did not fail")


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def names(caller, arn):
    return [event["EventType"] for event in caller.backend.history(arn)]


def same_name(caller):
    """The same name and payload is the same execution; another payload is refused."""
    arn = caller.start("it")
    equal(caller.start("it"), arn, "the second start's ARN")
    function = caller.backend.name(caller.language, caller.item.function)
    code = caller.code("invoke", FunctionName=function, InvocationType="Event", Payload=b'"other"', DurableExecutionName=caller.name)
    equal(code, "DurableExecutionAlreadyStartedException", "another payload")
    caller.backend.stop(arn)
    equal(caller.start("it"), arn, "the ARN after the end")


def stop(caller):
    """A stopped execution has the error given, stays as it is, and takes no callback."""
    arn, callback = caller.waiting()
    first = caller.client.stop_durable_execution(DurableExecutionArn=arn, Error={"ErrorType": "Enough", "ErrorMessage": "no more"})
    view = caller.ended(arn)
    equal(view["Status"], "STOPPED", "status")
    equal({k: view["Error"].get(k) for k in ("ErrorType", "ErrorMessage")}, {"ErrorType": "Enough", "ErrorMessage": "no more"}, "error")
    again = caller.client.stop_durable_execution(DurableExecutionArn=arn, Error={"ErrorType": "Other"})
    equal(again["StopTimestamp"], first["StopTimestamp"], "the second stop's time")
    equal(names(caller, arn)[-1], "ExecutionStopped", "the last event")
    caller.code("send_durable_execution_callback_success", CallbackId=callback, Result=b"1")
    equal(names(caller, arn)[-1], "ExecutionStopped", "the last event after a callback")


def unknown(caller):
    """What does not exist is not found."""
    arn, callback = caller.waiting()
    caller.backend.stop(arn)
    nobody = arn[:-4] + "".join("0" if c != "0" else "1" for c in arn[-4:])
    equal(caller.code("get_durable_execution", DurableExecutionArn=nobody), "ResourceNotFoundException", "GetDurableExecution")
    equal(caller.code("get_durable_execution_history", DurableExecutionArn=nobody), "ResourceNotFoundException", "History")
    equal(caller.code("stop_durable_execution", DurableExecutionArn=nobody), "ResourceNotFoundException", "Stop")
    for call in ("success", "failure", "heartbeat"):
        code = caller.code(f"send_durable_execution_callback_{call}", CallbackId="bm9ib2R5")
        if code not in ("ResourceNotFoundException", "InvalidParameterValueException"):
            raise AssertionError(f"callback {call} of an unknown id: {code}")


def callback_once(caller):
    """A callback is completed once."""
    arn, callback = caller.waiting()
    caller.client.send_durable_execution_callback_success(CallbackId=callback, Result=b'"first"')
    caller.ended(arn)
    caller.code("send_durable_execution_callback_success", CallbackId=callback, Result=b'"second"')
    caller.code("send_durable_execution_callback_heartbeat", CallbackId=callback)
    equal(json.loads(caller.ended(arn)["Result"]), '"first"', "result")
    equal(names(caller, arn).count("CallbackSucceeded"), 1, "number of CallbackSucceeded")


def callback_empty(caller):
    """A callback's failure without an error, and a heartbeat where none is asked for."""
    arn, callback = caller.waiting()
    caller.client.send_durable_execution_callback_heartbeat(CallbackId=callback)
    caller.client.send_durable_execution_callback_failure(CallbackId=callback)
    equal(caller.ended(arn)["Status"], "FAILED", "status")
    failed = next(event for event in caller.backend.history(arn) if event["EventType"] == "CallbackFailed")
    equal(failed["CallbackFailedDetails"]["Error"].get("Payload", {}), {}, "the callback's error")


def callback_nothing(caller):
    """A callback's success without a result gives the handler nothing."""
    arn, callback = caller.waiting()
    caller.client.send_durable_execution_callback_success(CallbackId=callback)
    view = caller.ended(arn)
    equal((view["Status"], view.get("Result")), ("SUCCEEDED", "null"), "the end")


def history_order(caller):
    """The history backwards, in pages, and without data."""
    arn, callback = caller.waiting()
    caller.client.send_durable_execution_callback_success(CallbackId=callback, Result=b'"secret"')
    caller.ended(arn)
    forward = until(lambda: (h := caller.backend.history(arn))[-1]["EventType"] == "ExecutionSucceeded" and h, "the last event")
    backward, more = [], {}
    while True:
        page = caller.client.get_durable_execution_history(DurableExecutionArn=arn, ReverseOrder=True, MaxItems=2, **more)
        backward += page["Events"]
        if not page.get("NextMarker"):
            break
        more = {"Marker": page["NextMarker"]}
    equal([e["EventId"] for e in backward], [e["EventId"] for e in reversed(forward)], "ids backwards")
    bare = caller.client.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=False)["Events"]
    equal([e["EventType"] for e in bare], [e["EventType"] for e in forward], "types without data")
    if "secret" in json.dumps(bare, default=str):
        raise AssertionError("the history without data has data")
    succeeded = next(e for e in bare if e["EventType"] == "CallbackSucceeded")
    equal(succeeded["CallbackSucceededDetails"]["Result"].get("Truncated"), True, "Truncated without data")


def description(caller):
    """GetDurableExecution says all that there is to say, and no data when none is wanted."""
    arn = caller.start("it")
    function = caller.backend.name(caller.language, caller.item.function)
    view = caller.client.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=True)
    equal((view["DurableExecutionName"], view["Status"], view["InputPayload"]), (caller.name, "RUNNING", '"it"'), "name, status, input")
    equal((view["Version"], view["DurableExecutionArn"], "EndTimestamp" in view), ("$LATEST", arn, False), "version, ARN, end")
    if not view["FunctionArn"].endswith(f":function:{function}:$LATEST"):
        raise AssertionError(f"FunctionArn: {view['FunctionArn']}")
    bare = caller.client.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=False)
    equal(("InputPayload" in bare, bare.get("ExecutionDataIncluded")), (False, False), "without data")
    if "ExecutionDataIncluded" not in view or not caller.client.get_durable_execution(DurableExecutionArn=arn)["InputPayload"]:
        raise AssertionError("data are not included by default")
    events = caller.client.get_durable_execution_history(DurableExecutionArn=arn)["Events"]
    equal(events[0]["ExecutionStartedDetails"]["Input"].get("Payload"), '"it"', "the history's data by default")
    caller.backend.stop(arn)
    if "EndTimestamp" not in caller.ended(arn):
        raise AssertionError("EndTimestamp is missing after the end")


def listing(caller):
    """A function's executions by name, status and in pages."""
    arns = [caller.start("it", f"{caller.name}-{i}") for i in range(3)]
    caller.backend.stop(arns[0])
    caller.ended(arns[0])
    function = caller.backend.name(caller.language, caller.item.function)

    def listed(**filters):
        found, more = [], {}
        while True:
            page = caller.client.list_durable_executions_by_function(FunctionName=function, MaxItems=2, **filters, **more)
            found += page.get("DurableExecutions", [])
            if not page.get("NextMarker"):
                return [e["DurableExecutionArn"] for e in found if e["DurableExecutionName"].startswith(caller.name)]
            more = {"Marker": page["NextMarker"]}

    equal(sorted(listed()), sorted(arns), "all")
    equal(listed(ReverseOrder=True), list(reversed(listed())), "the oldest first")
    equal(sorted(listed(Statuses=["RUNNING"])), sorted(arns[1:]), "running")
    equal(listed(Statuses=["STOPPED", "FAILED"]), arns[:1], "stopped or failed")
    equal(listed(DurableExecutionName=f"{caller.name}-2"), arns[2:], "by name")
    for arn in arns[1:]:
        caller.backend.stop(arn)


def timeout(caller):
    """An execution that takes longer than it may is ended."""
    arn, callback = caller.waiting()
    view = caller.ended(arn)
    equal(view["Status"], "TIMED_OUT", "status")
    equal(names(caller, arn)[-1], "ExecutionTimedOut", "the last event")
    caller.code("send_durable_execution_callback_success", CallbackId=callback, Result=b"1")


def bad_payload(caller):
    """A payload that is not JSON starts nothing."""
    function = caller.backend.name(caller.language, caller.item.function)
    code = caller.code("invoke", FunctionName=function, Payload=b"{not json", DurableExecutionName=caller.name)
    equal(code, "InvalidRequestContentException", "code")


def generated_name(caller):
    """Without a name each start is an execution of its own."""
    function = caller.backend.name(caller.language, caller.item.function)
    arns = [caller.client.invoke(FunctionName=function, InvocationType="Event", Payload=b'"it"')["DurableExecutionArn"] for _ in range(2)]
    if arns[0] == arns[1]:
        raise AssertionError("two starts without a name are one execution")
    for arn in arns:
        caller.backend.stop(arn)


def stopped_child(caller):
    """Stopping a child ends its parent's chained invoke with the error given."""
    arn = caller.start(caller.backend.name(caller.language, WAITS[0]))
    until(lambda: "InvocationCompleted" in names(caller, arn), "the end of the invocation")
    child = child_of(caller, arn)
    if not child:
        caller.backend.stop(arn)
        raise AssertionError("ChainedInvokeStarted has no DurableExecutionArn while the child runs")
    caller.client.stop_durable_execution(DurableExecutionArn=child, Error={"ErrorType": "Enough", "ErrorMessage": "no more"})
    equal(caller.ended(arn)["Status"], "FAILED", "the parent's status")
    event = next(e for e in caller.backend.history(arn) if e["EventType"] == "ChainedInvokeStopped")
    equal(event["ChainedInvokeStoppedDetails"]["Error"]["Payload"].get("ErrorType"), "Enough", "error")


def child_of(caller, arn):
    for event in caller.backend.history(arn):
        if event["EventType"] == "ChainedInvokeStarted":
            return event["ChainedInvokeStartedDetails"].get("DurableExecutionArn")
    return None


def plain_target(caller):
    """A function that is not durable as the target of a chained invoke."""
    arn = caller.start({"target": "PLAIN", "payload": {"n": 1}})
    view = caller.ended(arn)
    equal((view["Status"], json.loads(view.get("Result", "null"))), ("SUCCEEDED", {"plain": {"n": 1}}), "the end")


def plain_target_fails(caller):
    """A function that is not durable and raises, as the target of a chained invoke."""
    arn = caller.start({"target": "PLAIN", "payload": "raise"})
    equal(caller.ended(arn)["Status"], "FAILED", "status")
    event = next(e for e in caller.backend.history(arn) if e["EventType"] == "ChainedInvokeFailed")
    error = event["ChainedInvokeFailedDetails"]["Error"]["Payload"]
    equal((error.get("ErrorType"), error.get("ErrorMessage")), ("ValueError", "the plain target is made to fail"), "error")


def always_crashes(caller):
    """A handler that always ends its process is asked again a few times, and then the execution fails."""
    arn = caller.start("it")
    view = caller.ended(arn)
    equal((view["Status"], view["Error"].get("ErrorType")), ("FAILED", "Runtime.ExitError"), "the end")
    if names(caller, arn).count("InvocationCompleted") < 2:
        raise AssertionError("the handler was asked only once")


CHECKS = [
    ApiCheck(same_name, *WAITS, emulated=False),
    ApiCheck(stop, *WAITS, emulated=False),
    ApiCheck(unknown, *WAITS),
    ApiCheck(callback_once, *WAITS),
    ApiCheck(callback_empty, *WAITS),
    ApiCheck(callback_nothing, *WAITS),
    ApiCheck(history_order, *WAITS, emulated=False),
    ApiCheck(description, *WAITS, emulated=False),
    ApiCheck(listing, *WAITS, emulated=False),
    ApiCheck(timeout, "short", WAITS[1], emulated=False, config={"ExecutionTimeout": 30, "RetentionPeriodInDays": 1}),
    ApiCheck(bad_payload, *WAITS, emulated=False),
    ApiCheck(generated_name, *WAITS, emulated=False),
    ApiCheck(stopped_child, "chain", "invoke.invoke_any", emulated=False),
    ApiCheck(plain_target, "any", "invoke.invoke_target"),
    ApiCheck(plain_target_fails, "any", "invoke.invoke_target"),
    ApiCheck(always_crashes, "crash", "step.step_crash", emulated=False),
]


def load():
    return CHECKS
