"""Handlers of the requirements 3-*: child contexts."""

import time

from aws_durable_execution_sdk_python import ChildContextError, durable_execution
from aws_durable_execution_sdk_python.config import ChildConfig, StepConfig

from common import NO_RETRY, UppercaseText, attempts, crash, fails, fails_until, first_invocation, seconds

# The SDK writes the start of an ordinary step in the background, at the latest after one second.
START_IS_WRITTEN = 3.0


def one_step(value):
    """A child's body: a step that returns the value."""
    return lambda child: child.step(lambda _: value)


@durable_execution
def child_3_1(event, context):
    return context.run_in_child_context(one_step(event))


@durable_execution
def child_3_2(event, context):
    return context.run_in_child_context(one_step(event["value"]), name=event["name"])


@durable_execution
def child_3_3(event, context):
    def body(child):
        first = child.step(lambda _: event)
        return child.step(lambda _: first)

    return context.run_in_child_context(body, name="two_steps")


@durable_execution
def child_3_4(_, context):
    return context.run_in_child_context(lambda child: child.step(fails, config=NO_RETRY), name="failing")


@durable_execution
def child_3_5(event, context):
    try:
        return context.run_in_child_context(lambda child: child.step(fails, config=NO_RETRY))
    except ChildContextError:
        return context.step(lambda _: event)


@durable_execution
def child_3_6(event, context):
    def outer(child):
        child.step(lambda _: event)
        return child.run_in_child_context(one_step(event), name="inner")

    return context.run_in_child_context(outer, name="outer")


@durable_execution
def child_3_7(event, context):
    flaky = StepConfig(retry_strategy=attempts(2))
    return context.run_in_child_context(lambda child: child.step(fails_until(2, event), config=flaky), name="retried")


@durable_execution
def child_3_8(_, context):
    hopeless = StepConfig(retry_strategy=attempts(2))
    return context.run_in_child_context(lambda child: child.step(fails, config=hopeless), name="hopeless")


@durable_execution
def child_3_9(event, context):
    result = context.run_in_child_context(one_step(event))
    context.wait(seconds(1))
    return result


@durable_execution
def child_3_10(event, context):
    def body(child):
        value = child.step(lambda _: event)
        child.wait(seconds(1))
        return value

    return context.run_in_child_context(body, name="step_and_wait")


@durable_execution
def child_3_11(event, context):
    def body(child):
        # The logger beneath the context's own does not fall silent on replay.
        child.logger.get_logger().info(event)
        return child.step(lambda _: "x") * 300_000

    size = len(context.run_in_child_context(body, name="large"))
    context.wait(seconds(1))
    return size


def child_3_12(event, lambda_context):
    dies = first_invocation(event)

    @durable_execution
    def handler(text, context):
        def body(_):
            if dies:
                time.sleep(START_IS_WRITTEN)
                crash()
            return text

        return context.run_in_child_context(lambda child: child.step(body))

    return handler(event, lambda_context)


@durable_execution
def child_3_13(event, context):
    def body(child):
        child.wait(seconds(1))
        return event

    result = context.run_in_child_context(body, name="only_a_wait")
    return context.step(lambda _: result)


@durable_execution
def child_3_14(event, context):
    config = ChildConfig(serdes=UppercaseText())
    return context.run_in_child_context(one_step(event), name="uppercase", config=config)


@durable_execution
def child_3_15(_, context):
    return context.run_in_child_context(fails, name="throws")


@durable_execution
def child_3_16(_, context):
    return context.run_in_child_context(lambda _: None, name="nothing")


@durable_execution
def child_3_17(event, context):
    def body(child):
        child.logger.get_logger().info(event)
        return event

    result = context.run_in_child_context(body, name="logs")
    context.wait(seconds(1))
    return result


@durable_execution
def child_3_18(event, context):
    def body(child):
        value = child.step(lambda _: event)
        child.wait(seconds(1))
        return value

    result = context.run_in_child_context(body, name="step_and_wait")
    value = context.step(lambda _: result)
    context.wait(seconds(1))
    return value
