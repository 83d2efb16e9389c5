"""One sequence of operations, and what of an answer can be compared between servers."""

import json
import re


def machine(result):
    return json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": result, "End": True}}})


def steps(account):
    arn = f"arn:aws:states:us-east-1:{account}:"
    role = f"arn:aws:iam::{account}:role/any"
    review, version = arn + "stateMachine:review", arn + "stateMachine:review:1"
    alias, activity = review + ":live", arn + "activity:work"
    execution = arn + "execution:review:order-7"
    return [
        ("list nothing", "ListStateMachines", {}),
        ("create", "CreateStateMachine", {"name": "review", "definition": machine("one"), "roleArn": role}),
        ("create again", "CreateStateMachine", {"name": "review", "definition": machine("one"), "roleArn": role}),
        ("create with a bad name", "CreateStateMachine", {"name": "a b", "definition": machine("one"), "roleArn": role}),
        ("create with a bad role", "CreateStateMachine", {"name": "b", "definition": machine("one"), "roleArn": "nobody"}),
        ("create another", "CreateStateMachine", {"name": "second", "definition": machine("two"), "roleArn": role, "tags": [{"key": "a", "value": "b"}]}),
        ("list", "ListStateMachines", {}),
        ("describe", "DescribeStateMachine", {"stateMachineArn": review}),
        ("describe none", "DescribeStateMachine", {"stateMachineArn": arn + "stateMachine:none"}),
        ("describe nonsense", "DescribeStateMachine", {"stateMachineArn": "bad"}),
        ("tags of the second", "ListTagsForResource", {"resourceArn": arn + "stateMachine:second"}),
        ("tag", "TagResource", {"resourceArn": review, "tags": [{"key": "x", "value": "1"}, {"key": "y", "value": "2"}]}),
        ("untag", "UntagResource", {"resourceArn": review, "tagKeys": ["x"]}),
        ("tags", "ListTagsForResource", {"resourceArn": review}),
        ("update and publish", "UpdateStateMachine", {"stateMachineArn": review, "definition": machine("two"), "publish": True, "versionDescription": "v"}),
        ("describe the new definition", "DescribeStateMachine", {"stateMachineArn": review}),
        ("description without publish", "UpdateStateMachine", {"stateMachineArn": review, "definition": machine("x"), "versionDescription": "v"}),
        ("update none", "UpdateStateMachine", {"stateMachineArn": arn + "stateMachine:none", "definition": machine("x")}),
        ("create an alias", "CreateStateMachineAlias", {"name": "live", "routingConfiguration": [{"stateMachineVersionArn": version, "weight": 100}]}),
        ("bad weights", "CreateStateMachineAlias", {"name": "odd", "routingConfiguration": [{"stateMachineVersionArn": version, "weight": 40}]}),
        ("describe the alias", "DescribeStateMachineAlias", {"stateMachineAliasArn": alias}),
        ("update the alias", "UpdateStateMachineAlias", {"stateMachineAliasArn": alias, "description": "what is live"}),
        ("describe the alias again", "DescribeStateMachineAlias", {"stateMachineAliasArn": alias}),
        ("list aliases", "ListStateMachineAliases", {"stateMachineArn": review}),
        ("delete the alias", "DeleteStateMachineAlias", {"stateMachineAliasArn": alias}),
        ("start", "StartExecution", {"stateMachineArn": review, "name": "order-7", "input": '{"n": 1}'}),
        ("start with bad input", "StartExecution", {"stateMachineArn": review, "input": "{"}),
        ("start none", "StartExecution", {"stateMachineArn": arn + "stateMachine:none"}),
        ("describe no execution", "DescribeExecution", {"executionArn": execution + "x"}),
        ("describe the machine of the execution", "DescribeStateMachineForExecution", {"executionArn": execution}),
        ("list executions", "ListExecutions", {"stateMachineArn": review}),
        ("create an activity", "CreateActivity", {"name": "work"}),
        ("describe the activity", "DescribeActivity", {"activityArn": activity}),
        ("list activities", "ListActivities", {}),
        ("delete the activity", "DeleteActivity", {"activityArn": activity}),
        ("describe no activity", "DescribeActivity", {"activityArn": activity}),
        ("delete", "DeleteStateMachine", {"stateMachineArn": review}),
        ("delete again", "DeleteStateMachine", {"stateMachineArn": review}),
        ("describe what was deleted", "DescribeStateMachine", {"stateMachineArn": review}),
    ]


def masked(value, account):
    if isinstance(value, dict):
        return {k: "<time>" if k.endswith("Date") else masked(v, account) for k, v in value.items() if k not in ("ResponseMetadata", "$metadata", "revisionId") and v is not None}
    if isinstance(value, list):
        return [masked(v, account) for v in value]
    return re.sub(account, "<account>", value) if isinstance(value, str) else value
