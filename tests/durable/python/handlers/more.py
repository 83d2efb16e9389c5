"""Handlers of what AWS's five groups leave out (more/*.yaml): conditions, batches, compound operations, sizes."""

import time

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import StepConfig
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision

from common import attempts, fails_until, seconds, target

# The SDK hangs on an update larger than its batches (750 KiB) that is not the first of its batch.
LARGE = 700_000
# With its two quotes beyond what an invocation may answer, and still a legal payload.
BARELY_LEGAL = 6_291_450


@durable_execution
def more_1(_, context):
    def every_second(state, _):
        return WaitForConditionDecision.stop_polling() if state == 3 else WaitForConditionDecision.continue_waiting(seconds(1))

    config = WaitForConditionConfig(wait_strategy=every_second, initial_state=0)
    return context.wait_for_condition(lambda state, _: state + 1, config)


@durable_execution
def more_2(_, context):
    return context.wait_for_callback(lambda callback_id, _: None, name="asked")


@durable_execution
def more_3(_, context):
    def branch(number):
        return lambda child: child.step(lambda _: number)

    return context.parallel([branch(number) for number in (1, 2, 3)]).get_results()


@durable_execution
def more_4(event, context):
    def double(child, item, _index, _items):
        value = child.step(lambda _: 2 * item)
        child.wait(seconds(1))
        return value

    return context.map(event, double).get_results()


@durable_execution
def more_5(_, context):
    def waits(child):
        child.wait(seconds(1))
        return child.step(lambda _: "waited")

    def works(child):
        def body(_):
            time.sleep(6)
            return "worked"

        return child.step(body)

    return context.parallel([waits, works]).get_results()


@durable_execution
def more_6(_event, _context):
    return "x" * BARELY_LEGAL


@durable_execution
def more_7(_, context):
    texts = [context.step(lambda _: "x" * LARGE) for _ in range(10)]
    context.wait(seconds(1))
    return sum(len(text) for text in texts)


@durable_execution
def more_8(_, context):
    count = 0
    for _ in range(300):
        count = context.step(lambda _, before=count: before + 1)
    context.wait(seconds(1))
    return count


@durable_execution
def more_9(event, context):
    return context.invoke(target("ECHO"), context.step(lambda _: event))


@durable_execution
def more_10(event, context):
    return context.invoke(target("WAITS"), event)


@durable_execution
def more_11(_, context):
    def retries(child):
        return child.step(fails_until(2, "retried"), config=StepConfig(retry_strategy=attempts(2)))

    def waits(child):
        child.wait(seconds(1))
        return "waited"

    return context.parallel([retries, waits, lambda child: child.invoke(target("ECHO"), "echoed")]).get_results()
