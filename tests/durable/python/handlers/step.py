"""Handlers of the requirements 1-*: steps."""

from aws_durable_execution_sdk_python import StepError, durable_execution
from aws_durable_execution_sdk_python.config import StepConfig, StepSemantics
from aws_durable_execution_sdk_python.retries import JitterStrategy, RetryDecision, RetryStrategyConfig, create_retry_strategy

from common import NO_RETRY, TransientError, UppercaseText, attempts, crash, fails, fails_until, seconds

AT_MOST_ONCE = StepSemantics.AT_MOST_ONCE_PER_RETRY


@durable_execution
def step_1_1(event, context):
    return context.step(lambda _: f"Hello, {event}!")


@durable_execution
def step_1_2(event, context):
    return context.step(lambda _: f"Hello, {event}!", name="custom_step_name")


@durable_execution
def step_1_3(_, context):
    first = context.step(lambda _: "first")
    return context.step(lambda _: first + "_second")


@durable_execution
def step_1_4(event, context):
    return context.step(lambda _: {"user": {"name": event["name"], "tags": event["tags"]}, "count": len(event["tags"])})


@durable_execution
def step_1_5(_, context):
    return context.step(lambda _: None)


@durable_execution
def step_1_6(event, context):
    return context.step(lambda _: event, config=StepConfig(serdes=UppercaseText()))


@durable_execution
def step_1_7(event, context):
    def greet(step):
        step.logger.info(f"Greeting step started for: {event}")
        step.logger.info(f"Greeting step completed with: Hello, {event}!")
        return f"Hello, {event}!"

    return context.step(greet)


@durable_execution
def step_1_8(_, context):
    value = context.step(lambda _: "computed")
    context.wait(seconds(2))
    return value


@durable_execution
def step_1_9(_, context):
    def body(step):
        step.logger.info("step executed")
        return "cached_value"

    value = context.step(body)
    context.wait(seconds(1))
    return value


@durable_execution
def step_1_10(_, context):
    def body(step):
        step.logger.info("step executed")
        fails(step)

    try:
        context.step(body, config=NO_RETRY)
    except StepError as error:
        caught = str(error)
    context.wait(seconds(1))
    return caught


@durable_execution
def step_1_11(_, context):
    return context.step(fails_until(2, "Operation succeeded"), config=StepConfig(retry_strategy=attempts(3)))


@durable_execution
def step_1_12(_, context):
    every_second = RetryStrategyConfig(
        max_attempts=4, initial_delay=seconds(1), max_delay=seconds(1), backoff_rate=1, jitter_strategy=JitterStrategy.NONE
    )
    return context.step(fails, config=StepConfig(retry_strategy=create_retry_strategy(every_second)))


@durable_execution
def step_1_13(_, context):
    return context.step(fails_until(3, "succeeded by default"))


@durable_execution
def step_1_14(_, context):
    threefold = RetryStrategyConfig(
        max_attempts=5, initial_delay=seconds(2), backoff_rate=3, jitter_strategy=JitterStrategy.NONE
    )
    return context.step(fails_until(3, "succeeded"), config=StepConfig(retry_strategy=create_retry_strategy(threefold)))


@durable_execution
def step_1_15(_, context):
    def retry_on_transient(error, _):
        return RetryDecision.retry(seconds(1)) if isinstance(error, TransientError) else RetryDecision.no_retry()

    return context.step(fails_until(2, "succeeded"), config=StepConfig(retry_strategy=retry_on_transient))


@durable_execution
def step_1_16(_, context):
    def no_retry_on_transient(error, _):
        return RetryDecision.no_retry() if isinstance(error, TransientError) else RetryDecision.retry(seconds(1))

    return context.step(fails_until(2, "never"), config=StepConfig(retry_strategy=no_retry_on_transient))


@durable_execution
def step_1_17(event, context):
    def body(step):
        step.logger.info(event)
        crash()

    config = StepConfig(step_semantics=AT_MOST_ONCE, retry_strategy=attempts(1))
    return context.step(body, name="at_most_once_flaky_step", config=config)


@durable_execution
def step_1_18(event, context):
    def body(step):
        step.logger.info(event)
        if step.attempt == 1:
            crash()
        return "succeeded on second attempt"

    return context.step(body, config=StepConfig(step_semantics=AT_MOST_ONCE, retry_strategy=attempts(2)))


@durable_execution
def step_1_19(_, context):
    return context.step(fails, config=NO_RETRY)


@durable_execution
def step_1_20(_, context):
    try:
        return context.step(fails, config=NO_RETRY)
    except StepError:
        return context.step(lambda _: "fallback_result")


@durable_execution
def step_crash(_event, _context):
    crash()
