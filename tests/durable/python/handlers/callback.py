"""Handlers of the requirements 4-*: callbacks."""

import json
from datetime import datetime

from aws_durable_execution_sdk_python import CallbackError, durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig
from aws_durable_execution_sdk_python.serdes import SerDes

from common import seconds


class Message(SerDes):
    """JSON whose `timestamp` is a text outside and seconds inside."""

    def serialize(self, value, _):
        return json.dumps(value)

    def deserialize(self, data, _):
        value = json.loads(data)
        when = datetime.fromisoformat(value["timestamp"].replace("Z", "+00:00"))
        return {**value, "timestamp": int(when.timestamp())}


class Number(SerDes):
    def serialize(self, value, _):
        return str(value)

    def deserialize(self, data, _):
        return int(data)


def awaited(event, context, **config):
    return context.create_callback(name=event, config=CallbackConfig(**config)).result()


@durable_execution
def callback_4_1(event, context):
    return awaited(event, context)


@durable_execution
def callback_4_2(_, context):
    return awaited("approval", context)


@durable_execution
def callback_4_3(event, context):
    return awaited(event, context, timeout=seconds(5))


@durable_execution
def callback_4_4(event, context):
    return awaited(event, context, heartbeat_timeout=seconds(5))


@durable_execution
def callback_4_5(event, context):
    return awaited(event, context, heartbeat_timeout=seconds(10))


@durable_execution
def callback_4_6(event, context):
    return awaited(event, context)


def step_between(event, context, **config):
    callback = context.create_callback(name=event, config=CallbackConfig(**config))
    context.step(lambda _: "between")
    return callback.result()


@durable_execution
def callback_4_7(event, context):
    return step_between(event, context)


@durable_execution
def callback_4_8(event, context):
    return step_between(event, context, timeout=seconds(5))


def wait_between(event, context, wait, **config):
    callback = context.create_callback(name=event, config=CallbackConfig(**config))
    context.wait(seconds(wait))
    return callback.result()


@durable_execution
def callback_4_9(event, context):
    return wait_between(event, context, 5)


@durable_execution
def callback_4_10(event, context):
    return wait_between(event, context, 5)


@durable_execution
def callback_4_11(event, context):
    return wait_between(event, context, 6, timeout=seconds(3))


def wait_after(event, context, **config):
    try:
        result = awaited(event, context, **config)
    except CallbackError as error:
        result = str(error)
    context.wait(seconds(2))
    return result


@durable_execution
def callback_4_12(event, context):
    return wait_after(event, context)


@durable_execution
def callback_4_13(event, context):
    return wait_after(event, context)


@durable_execution
def callback_4_14(event, context):
    return wait_after(event, context, timeout=seconds(3))


@durable_execution
def callback_4_15(event, context):
    return {"received": awaited(event, context, serdes=Message())}


@durable_execution
def callback_4_16(event, context):
    count = awaited(event, context, serdes=Number())
    return {"count": count, "doubled": 2 * count}


@durable_execution
def callback_4_17(event, context):
    return [awaited(event[0], context), awaited(event[1], context)]


@durable_execution
def callback_4_18(event, context):
    a, b = context.create_callback(name=event[0]), context.create_callback(name=event[1])
    return [a.result(), b.result()]


@durable_execution
def callback_4_19(event, context):
    a, b = context.create_callback(name=event[0]), context.create_callback(name=event[1])
    return [b.result(), a.result()]
