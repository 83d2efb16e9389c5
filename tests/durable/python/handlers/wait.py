"""Handlers of the requirements 2-*: waits."""

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration

from common import seconds


@durable_execution
def wait_2_1(_, context):
    context.wait(seconds(2))


@durable_execution
def wait_2_2(_, context):
    context.wait(seconds(2), name="custom_wait_name")


@durable_execution
def wait_2_3(_, context):
    context.wait(seconds(2), name="wait-1")
    context.wait(seconds(2), name="wait-2")
    return {"completedWaits": 2}


@durable_execution
def wait_2_4(_, context):
    context.wait(Duration.from_minutes(1))


@durable_execution
def wait_2_5(_, context):
    context.wait(Duration.from_hours(1))
