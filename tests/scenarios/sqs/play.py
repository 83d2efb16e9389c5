"""Plays the steps with the boto3 of the running interpreter: play.py ENDPOINT ACCOUNT. Prints a JSON list of answers, masked."""

import base64
import json
import pathlib
import sys

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from steps import masked, steps  # noqa: E402

def filled(value, saved):
    if isinstance(value, str) and value.startswith("$"):
        name, _, more = value[1:].partition("-")
        return saved[name] + ("-" + more if more else "")
    if isinstance(value, dict):
        return base64.b64decode(value["$bytes"]) if "$bytes" in value else {k: filled(v, saved) for k, v in value.items()}
    return [filled(v, saved) for v in value] if isinstance(value, list) else value


def find(answer, path):
    for part in path.split("."):
        answer = answer[int(part)] if part.isdigit() else answer[part]
    return answer


def main():
    endpoint, account = sys.argv[1:3]
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    client = boto3.client("sqs", endpoint_url=endpoint, region_name="us-east-1", config=config)
    method = {shape: name for name, shape in client.meta.method_to_api_mapping.items()}
    saved, out = {}, []
    for step in steps(lambda queue: f"arn:aws:sqs:us-east-1:{account}:{queue}"):
        try:
            answer = getattr(client, method[step["op"]])(**filled(step["in"], saved))
            for name, path in step["save"].items():
                saved[name] = find(answer, path)
            result = masked(answer, account)
        except ClientError as error:
            result = {"error": error.response["Error"]["Code"]}
        except (KeyError, IndexError, TypeError) as error:
            result = {"unanswered": repr(error)}
        out.append({"label": step["label"], "op": step["op"], "answer": result})
    print(json.dumps({"botocore": botocore.__version__, "protocol": client.meta.service_model.metadata["protocol"], "answers": out}))


if __name__ == "__main__":
    main()
