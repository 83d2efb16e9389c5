"""Plays the steps with boto3 against URL (argument 1) as ACCOUNT (argument 2); prints the answers."""

import json
import re
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from steps import masked, steps

client = boto3.client("stepfunctions", endpoint_url=sys.argv[1], region_name="us-east-1",
                      config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))
answers = []
for label, operation, members in steps(sys.argv[2]):
    method = re.sub(r"(?<!^)([A-Z])", r"_\1", operation).lower()
    try:
        answer = masked(json.loads(json.dumps(getattr(client, method)(**members), default=str)), sys.argv[2])
    except ClientError as error:
        answer = {"error": error.response["Error"]["Code"]}
    answers.append({"label": label, "operation": operation, "answer": answer})
json.dump(answers, sys.stdout)
