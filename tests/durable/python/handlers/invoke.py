"""Handlers of the requirements 5-*: chained invokes, and the functions that they invoke."""

import json

from aws_durable_execution_sdk_python import InvokeError, durable_execution
from aws_durable_execution_sdk_python.config import InvokeConfig
from aws_durable_execution_sdk_python.serdes import SerDes

from common import seconds, target

# Below the 1 MiB that a chained invoke may carry.
LARGE = 1_000_000


class UppercaseData(SerDes):
    def serialize(self, value, _):
        return json.dumps({**value, "data": value["data"].upper()})

    def deserialize(self, data, _):
        return json.loads(data)


class UppercaseResult(SerDes):
    def serialize(self, value, _):
        return json.dumps(value)

    def deserialize(self, data, _):
        return json.loads(data).upper()


@durable_execution
def target_echo(event, _):
    return event


@durable_execution
def target_fail(_event, _context):
    raise ValueError("the target is made to fail")


@durable_execution
def target_size(event, _):
    return {"length": len(event)}


def target_plain(event, _):
    """Not durable."""
    if event == "raise":
        raise ValueError("the plain target is made to fail")
    return {"plain": event}


@durable_execution
def invoke_any(event, context):
    return context.invoke(event, "it")


@durable_execution
def invoke_target(event, context):
    return context.invoke(target(event["target"]), event["payload"])


@durable_execution
def invoke_5_1(event, context):
    return context.invoke(target("ECHO"), event)


@durable_execution
def invoke_5_2(event, context):
    return context.invoke(target("ECHO"), event["payload"], name=event["name"])


@durable_execution
def invoke_5_3(event, context):
    return context.invoke(target("ECHO"), event)


@durable_execution
def invoke_5_4(_, context):
    return context.invoke(target("ECHO"), None)


@durable_execution
def invoke_5_5(_, context):
    return context.invoke(target("FAIL"), "please")


@durable_execution
def invoke_5_6(_, context):
    try:
        return context.invoke(target("FAIL"), "please")
    except InvokeError:
        return "fallback"


@durable_execution
def invoke_5_7(_, context):
    return context.invoke(target("SIZE"), "x" * LARGE)


@durable_execution
def invoke_5_8(event, context):
    return context.invoke(target("TENANT"), event["payload"], config=InvokeConfig(tenant_id=event["tenantId"]))


@durable_execution
def invoke_5_9(_, context):
    result = context.invoke(target("ECHO"), "kept")
    context.wait(seconds(1))
    return result


@durable_execution
def invoke_5_10(_, context):
    try:
        context.invoke(target("FAIL"), "please")
        caught = ""
    except InvokeError as error:
        caught = str(error)
    context.wait(seconds(1))
    return caught


@durable_execution
def invoke_5_11(_, context):
    value = context.step(lambda _: "from the step")
    return context.invoke(target("ECHO"), value)


@durable_execution
def invoke_5_12(_, context):
    value = context.invoke(target("ECHO"), "to the step")
    return context.step(lambda _: value.upper())


@durable_execution
def invoke_5_13(_, context):
    return context.run_in_child_context(lambda child: child.invoke(target("ECHO"), "from the child"))


@durable_execution
def invoke_5_14(_, context):
    first = context.invoke(target("ECHO"), "first")
    return [first, context.invoke(target("SIZE"), first)]


@durable_execution
def invoke_5_15(event, context):
    return context.invoke(target("ECHO"), event, config=InvokeConfig(serdes_payload=UppercaseData()))


@durable_execution
def invoke_5_16(event, context):
    return context.invoke(target("ECHO"), event, config=InvokeConfig(serdes_result=UppercaseResult()))
