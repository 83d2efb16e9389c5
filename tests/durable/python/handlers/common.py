"""What the handlers of several groups need."""

import logging
import os

from aws_durable_execution_sdk_python.config import Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryDecision, RetryPresets
from aws_durable_execution_sdk_python.serdes import SerDes

logging.getLogger().setLevel(logging.INFO)

NO_RETRY = StepConfig(retry_strategy=RetryPresets.none())


class TransientError(Exception):
    pass


class UppercaseText(SerDes):
    """Writes a text as it is, in capitals."""

    def serialize(self, value, _):
        return value.upper()

    def deserialize(self, data, _):
        return data


def seconds(count):
    return Duration.from_seconds(count)


def attempts(count, delay=1):
    """A strategy with this many attempts in all, `delay` seconds apart."""
    return lambda _, made: RetryDecision.retry(seconds(delay)) if made < count else RetryDecision.no_retry()


def fails(_):
    raise ValueError("this step always fails")


def fails_until(attempt, value):
    """A step function that succeeds with `value` at this attempt."""

    def body(context):
        if context.attempt < attempt:
            raise TransientError(f"attempt {context.attempt} is made to fail")
        return value

    return body


def first_invocation(event):
    """Of an invocation event: the execution has no operation yet."""
    return len(event["InitialExecutionState"]["Operations"]) == 1


def crash():
    """Ends the process as a fault of native code would."""
    os._exit(1)


def target(name):
    """The name under which the runner deployed a function to be invoked."""
    return os.environ["TARGET_" + name]
