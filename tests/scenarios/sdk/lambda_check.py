"""Run by lambda_api_scenario.py: URL and API key of a server as arguments. Prints 'N passed, N failed' last."""

import base64
import datetime
import io
import json
import sys
import time
import traceback
import urllib.error
import urllib.request
import zipfile

import boto3
import botocore.exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

URL, KEY = sys.argv[1:3]
ACCESS_KEY = "MAYFLYKEY" + KEY[3:11].upper()
ROLE = "arn:aws:iam::000000000000:role/any"

ECHO = """
import json, os, sys, time

def handler(event, context):
    if isinstance(event, dict) and event.get("do") == "fail":
        raise ValueError("as you wish")
    if isinstance(event, dict) and event.get("do") == "print":
        print("a line for the log")
    if isinstance(event, dict) and event.get("do") == "about":
        return {"version": context.function_version, "name": context.function_name, "arn": context.invoked_function_arn,
                "memory": context.memory_limit_in_mb, "mode": os.environ.get("MODE"), "left": context.get_remaining_time_in_millis(),
                "tenant": getattr(context, "tenant_id", None)}
    if isinstance(event, dict) and event.get("version") == "2.0":
        return {"statusCode": 201, "headers": {"x-own": "1"}, "cookies": ["a=1"], "body": event["rawPath"] + (event.get("body") or "")}
    return event
"""
GREET = "def handler(event, context):\n    return 'v2'\n"


def zipped(text, name="app.py"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return out.getvalue()


def client(access_key=ACCESS_KEY, secret=KEY):
    return boto3.client("lambda", endpoint_url=URL, region_name="us-east-1", aws_access_key_id=access_key, aws_secret_access_key=secret,
                        config=Config(retries={"total_max_attempts": 1}, read_timeout=120))


aws = client()


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response["Error"]
        return error.response
    raise AssertionError(f"{code} was expected")


def invoke(name, payload=None, **more):
    answer = aws.invoke(FunctionName=name, Payload=json.dumps(payload).encode(), **more)
    return json.loads(answer["Payload"].read() or b"null"), answer


def create(name, **more):
    return aws.create_function(FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped(ECHO)}, **more)


def test_functions():
    made = create("echo", Environment={"Variables": {"MODE": "fast"}}, Timeout=10, Tags={"team": "x"}, Description="repeats")
    assert made["State"] == "Active" and made["Version"] == "$LATEST", made
    aws.get_waiter("function_active_v2").wait(FunctionName="echo")
    aws.get_waiter("function_exists").wait(FunctionName="echo")
    refused("ResourceConflictException", create, "echo")
    shown = aws.get_function(FunctionName=made["FunctionArn"])
    assert shown["Tags"] == {"team": "x"} and shown["Configuration"]["CodeSha256"] == made["CodeSha256"]
    with urllib.request.urlopen(shown["Code"]["Location"]) as code:
        assert zipfile.ZipFile(io.BytesIO(code.read())).read("app.py").decode() == ECHO
    changed = aws.update_function_configuration(FunctionName="echo", MemorySize=256, RevisionId=made["RevisionId"])
    aws.get_waiter("function_updated_v2").wait(FunctionName="echo")
    assert changed["MemorySize"] == 256 and changed["Timeout"] == 10
    refused("PreconditionFailedException", aws.update_function_configuration, FunctionName="echo", MemorySize=512, RevisionId=made["RevisionId"])
    assert aws.get_function_configuration(FunctionName="echo")["RevisionId"] == changed["RevisionId"]
    dry = aws.update_function_code(FunctionName="echo", ZipFile=zipped(GREET), DryRun=True)
    assert dry["CodeSha256"] != aws.get_function_configuration(FunctionName="echo")["CodeSha256"]
    assert "echo" in [f["FunctionName"] for page in aws.get_paginator("list_functions").paginate() for f in page["Functions"]]
    refused("ResourceNotFoundException", aws.get_function, FunctionName="none")
    refused("InvalidParameterValueException", create, "bad", MemorySize=20000)
    refused("InvalidParameterValueException", aws.create_function, FunctionName="s3", Runtime="python3.12", Role=ROLE, Handler="a.b",
            Code={"S3Bucket": "bucket", "S3Key": "key"})


def test_invoke():
    answer, whole = invoke("echo", {"a": [1, "ä"]})
    assert answer == {"a": [1, "ä"]} and whole["ExecutedVersion"] == "$LATEST" and whole["StatusCode"] == 200, whole
    about, _ = invoke("echo", {"do": "about"})
    assert about["name"] == "echo" and about["mode"] == "fast" and about["version"] == "$LATEST" and 0 < about["left"] <= 10_000, about
    failed, whole = invoke("echo", {"do": "fail"})
    assert whole["FunctionError"] == "Unhandled" and failed["errorType"] == "ValueError" and failed["errorMessage"] == "as you wish", failed
    _, whole = invoke("echo", {"do": "print"}, LogType="Tail")
    log = base64.b64decode(whole["LogResult"]).decode()
    assert "a line for the log" in log and "REPORT RequestId: " + whole["ResponseMetadata"]["RequestId"] in log, log
    assert aws.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204
    assert aws.invoke(FunctionName="echo", InvocationType="Event", Payload=b"{}")["StatusCode"] == 202
    assert aws.invoke_async(FunctionName="echo", InvokeArgs=b"{}")["Status"] == 202
    refused("ResourceNotFoundException", aws.invoke, FunctionName="none")
    refused("InvalidRequestContentException", aws.invoke, FunctionName="echo", Payload=b"{no json")
    refused("RequestTooLargeException", aws.invoke, FunctionName="echo", Payload=b'"' + b"x" * 6_291_456 + b'"')
    refused("RequestTooLargeException", aws.invoke, FunctionName="echo", InvocationType="Event", Payload=b'"' + b"x" * 1_048_576 + b'"')


def test_stream():
    answer = aws.invoke_with_response_stream(FunctionName="echo", Payload=b'{"b": 2}', LogType="Tail")
    events = list(answer["EventStream"])
    assert b"".join(e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e) == b'{"b": 2}', events
    assert "InvokeComplete" in events[-1] and "ErrorCode" not in events[-1]["InvokeComplete"], events
    failed = list(aws.invoke_with_response_stream(FunctionName="echo", Payload=b'{"do": "fail"}')["EventStream"])
    assert failed[-1]["InvokeComplete"]["ErrorCode"], failed


def test_versions_and_aliases():
    assert aws.publish_version(FunctionName="echo", Description="first")["Version"] == "1"
    assert aws.publish_version(FunctionName="echo")["Version"] == "1"
    assert aws.update_function_code(FunctionName="echo", ZipFile=zipped(GREET), Publish=True)["Version"] == "2"
    assert invoke("echo", 1)[0] == "v2"
    assert invoke("echo:1", 1)[0] == 1
    assert [v["Version"] for v in aws.list_versions_by_function(FunctionName="echo")["Versions"]] == ["$LATEST", "1", "2"]
    alias = aws.create_alias(FunctionName="echo", Name="prod", FunctionVersion="1")
    about, whole = invoke("echo", {"do": "about"}, Qualifier="prod")
    assert whole["ExecutedVersion"] == "1" and about["version"] == "1" and about["arn"].endswith(":echo:prod"), (about, whole)
    changed = aws.update_alias(FunctionName="echo", Name="prod", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}})
    assert changed["RevisionId"] != alias["RevisionId"]
    assert {invoke("echo:prod", 7)[1]["ExecutedVersion"] for _ in range(40)} == {"1", "2"}
    assert aws.get_alias(FunctionName="echo", Name="prod")["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 0.5}}
    assert len(aws.list_aliases(FunctionName="echo", FunctionVersion="1")["Aliases"]) == 1
    refused("ResourceConflictException", aws.delete_function, FunctionName="echo", Qualifier="1")
    refused("InvalidParameterValueException", aws.create_alias, FunctionName="echo", Name="three", FunctionVersion="1",
            RoutingConfig={"AdditionalVersionWeights": {"2": 0.1, "3": 0.1}})


def test_settings():
    assert aws.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=0)["ReservedConcurrentExecutions"] == 0
    answer = refused("TooManyRequestsException", aws.invoke, FunctionName="echo")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert aws.get_function_concurrency(FunctionName="echo")["ReservedConcurrentExecutions"] == 0
    aws.delete_function_concurrency(FunctionName="echo")
    assert "ReservedConcurrentExecutions" not in aws.get_function_concurrency(FunctionName="echo")
    aws.put_provisioned_concurrency_config(FunctionName="echo", Qualifier="2", ProvisionedConcurrentExecutions=1)
    assert aws.get_provisioned_concurrency_config(FunctionName="echo", Qualifier="2")["Status"] == "READY"
    assert len(aws.list_provisioned_concurrency_configs(FunctionName="echo")["ProvisionedConcurrencyConfigs"]) == 1
    aws.delete_provisioned_concurrency_config(FunctionName="echo", Qualifier="2")
    refused("ProvisionedConcurrencyConfigNotFoundException", aws.get_provisioned_concurrency_config, FunctionName="echo", Qualifier="2")
    put = aws.put_function_event_invoke_config(FunctionName="echo", MaximumRetryAttempts=0)
    assert isinstance(put["LastModified"], datetime.datetime) and put["MaximumEventAgeInSeconds"] == 21600, put
    assert aws.update_function_event_invoke_config(FunctionName="echo", MaximumEventAgeInSeconds=60)["MaximumRetryAttempts"] == 0
    assert aws.get_function_event_invoke_config(FunctionName="echo")["MaximumEventAgeInSeconds"] == 60
    assert len(aws.list_function_event_invoke_configs(FunctionName="echo")["FunctionEventInvokeConfigs"]) == 1
    aws.delete_function_event_invoke_config(FunctionName="echo")
    arn = aws.get_function(FunctionName="echo")["Configuration"]["FunctionArn"]
    aws.tag_resource(Resource=arn, Tags={"mayfly:egress": "none", "b": "2"})
    assert aws.list_tags(Resource=arn)["Tags"] == {"team": "x", "mayfly:egress": "none", "b": "2"}
    aws.untag_resource(Resource=arn, TagKeys=["b", "mayfly:egress"])
    assert aws.list_tags(Resource=arn)["Tags"] == {"team": "x"}
    assert aws.get_account_settings()["AccountUsage"]["FunctionCount"] >= 1
    assert aws.get_function_recursion_config(FunctionName="echo")["RecursiveLoop"] == "Allow"
    assert aws.get_runtime_management_config(FunctionName="echo")["UpdateRuntimeOn"] == "Auto"


def test_unsupported():
    refused("UnsupportedOperationException", aws.add_permission, FunctionName="echo", StatementId="s", Action="lambda:InvokeFunction", Principal="*")
    refused("UnsupportedOperationException", aws.get_policy, FunctionName="echo")
    refused("UnsupportedOperationException", aws.remove_permission, FunctionName="echo", StatementId="s")
    refused("UnsupportedOperationException", aws.list_layers)
    refused("UnsupportedOperationException", aws.list_event_source_mappings)
    refused("UnsupportedOperationException", aws.list_code_signing_configs)


def test_urls():
    create("web")
    made = aws.create_function_url_config(FunctionName="web", AuthType="NONE", Cors={"AllowOrigins": ["*"]})
    request = urllib.request.Request(made["FunctionUrl"] + "some/path?a=1", data=b"+body", headers={"Content-Type": "text/plain", "Origin": "https://x"})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201 and answer.read() == b"/some/path+body" and answer.headers["x-own"] == "1"
        assert answer.headers["set-cookie"] == "a=1" and answer.headers["access-control-allow-origin"] == "*"
    aws.update_function_url_config(FunctionName="web", AuthType="AWS_IAM")
    assert aws.get_function_url_config(FunctionName="web")["AuthType"] == "AWS_IAM"
    assert len(aws.list_function_url_configs(FunctionName="web")["FunctionUrlConfigs"]) == 1
    try:
        urllib.request.urlopen(made["FunctionUrl"])
        raise AssertionError("needs a signature")
    except urllib.error.HTTPError as error:
        assert error.code == 403
    signed = AWSRequest("GET", made["FunctionUrl"] + "signed")
    SigV4Auth(Credentials(ACCESS_KEY, KEY), "lambda", "us-east-1").add_auth(signed)
    with urllib.request.urlopen(urllib.request.Request(signed.url, headers=dict(signed.headers))) as answer:
        assert answer.read() == b"/signed"
    aws.delete_function_url_config(FunctionName="web")
    refused("ResourceNotFoundException", aws.get_function_url_config, FunctionName="web")


def test_credentials():
    refused("InvalidSignatureException", client(secret="wrong").list_functions)
    refused("UnrecognizedClientException", client(access_key="MAYFLYKEY00000000").list_functions)
    try:
        urllib.request.urlopen(URL + "/2015-03-31/functions")
        raise AssertionError("needs credentials")
    except urllib.error.HTTPError as error:
        assert error.code == 403 and error.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    body = json.dumps({"name": "reader", "scopes": ["read"]}).encode()
    request = urllib.request.Request(URL + "/v1/keys", data=body, headers={"Authorization": "Bearer " + KEY, "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        made = json.load(answer)
    reader = client(made["access_key_id"], made["key"])
    reader.list_functions()
    refused("AccessDeniedException", reader.invoke, FunctionName="echo")
    refused("AccessDeniedException", reader.delete_function, FunctionName="echo")


def test_durable_routes():
    create("durable", DurableConfig={"ExecutionTimeout": 60})
    assert aws.get_function_configuration(FunctionName="durable")["DurableConfig"] == {"ExecutionTimeout": 60, "RetentionPeriodInDays": 14}
    assert aws.list_durable_executions_by_function(FunctionName="durable", Statuses=["RUNNING"])["DurableExecutions"] == []
    arn = "arn:aws:lambda:us-east-1:000000000000:function:durable:$LATEST/durable-execution/none/01ARZ3NDEKTSV4RRFFQ69G5FAV"
    refused("ResourceNotFoundException", aws.get_durable_execution, DurableExecutionArn=arn)
    refused("ResourceNotFoundException", aws.get_durable_execution_history, DurableExecutionArn=arn)
    refused("ResourceNotFoundException", aws.stop_durable_execution, DurableExecutionArn=arn)


def test_deletion():
    aws.delete_alias(FunctionName="echo", Name="prod")
    aws.delete_function(FunctionName="echo", Qualifier="1")
    refused("ResourceNotFoundException", aws.invoke, FunctionName="echo", Qualifier="1")
    aws.delete_function(FunctionName="echo")
    refused("ResourceNotFoundException", aws.invoke, FunctionName="echo")


def main():
    passed = failed = 0
    for name, test in [(n, f) for n, f in globals().items() if n.startswith("test_")]:
        begin = time.monotonic()
        try:
            test()
            passed += 1
            print(f"ok   lambda_api.{name[5:]} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Exception:  # noqa: BLE001 — every failure is reported the same way
            failed += 1
            print(f"FAIL lambda_api.{name[5:]}\n{traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
