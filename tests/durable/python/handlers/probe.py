"""A handler without the SDK: it makes the calls of the durable API that its input lists and returns what came back."""

import json
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client("lambda", config=Config(retries={"max_attempts": 0}, parameter_validation=False))


def probe(event, _):
    execution = event["InitialExecutionState"]["Operations"][0]
    script = json.loads(execution["ExecutionDetails"]["InputPayload"])
    tokens = [event["CheckpointToken"]]
    answers = [call(event, tokens, dict(one)) for one in script["calls"]]
    return script.get("output") or {"Status": "SUCCEEDED", "Result": json.dumps(answers)}


def call(event, tokens, one):
    """One call's answer. `token` says which token to use: a place in the row of tokens (-1, the newest, by default) or a text."""
    time.sleep(one.get("after", 0))
    token = one.get("token", -1)
    common = {"DurableExecutionArn": event["DurableExecutionArn"], "CheckpointToken": token if isinstance(token, str) else tokens[token]}
    if "event" in one:
        return seen_event(event)
    try:
        if "state" in one:
            answer = client.get_durable_execution_state(**common, Marker="", **one["state"])
            return {"operations": [shape(op) for op in answer["Operations"]], "more": bool(answer.get("NextMarker"))}
        more = {"ClientToken": one["client"]} if "client" in one else {}
        answer = client.checkpoint_durable_execution(**common, Updates=updates(one), **more)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    if answer.get("CheckpointToken"):
        tokens.append(answer["CheckpointToken"])
    return {"operations": [shape(op) for op in answer["NewExecutionState"].get("Operations", [])], "same": len(set(tokens)) < len(tokens)}


def updates(one):
    """The call's updates; texts that are too long to be written down are given as {"text": "x", "times": n}."""
    grown = json.loads(json.dumps(one.get("updates", [])), object_hook=lambda o: o["text"] * o["times"] if "times" in o else o)
    return grown


def shape(operation):
    """An operation without what differs from run to run."""
    return json.loads(json.dumps(operation, default=lambda _: "a time"))


def seen_event(event):
    operations = event["InitialExecutionState"]["Operations"]
    first = operations[0]
    return {
        "members": sorted(event),
        "count": len(operations),
        "more": bool(event["InitialExecutionState"].get("NextMarker")),
        "type": first["Type"],
        "status": first["Status"],
        "id is the last part of the ARN": event["DurableExecutionArn"].endswith("/" + first["Id"]),
        "start is in milliseconds": isinstance(first["StartTimestamp"], int) and first["StartTimestamp"] > 10**12,
    }
