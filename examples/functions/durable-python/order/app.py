from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution, durable_step
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration


@durable_step
def reserve(step: StepContext, item: str) -> dict:
    return {"item": item, "reservation": f"R-{len(item)}"}


@durable_step
def charge(step: StepContext, reservation: dict) -> dict:
    return {**reservation, "charged": True}


@durable_execution
def handler(event, context: DurableContext):
    reservation = context.step(reserve(event["item"]), name="reserve")
    # A person or another system answers: `mayfly executions history` shows the callback's id.
    approval = context.create_callback(name="approval", config=CallbackConfig(timeout=Duration.from_days(2)))
    if approval.result() != "yes":
        return {**reservation, "cancelled": True}
    context.wait(Duration.from_seconds(event.get("cooling_off_seconds", 1)), name="cooling-off")
    return context.step(charge(reservation), name="charge")
