"""The Lambda API as the runner uses it: what is the same for every server, and how a real one gets its functions."""

import json
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

RUNTIMES = {"python": "python3.13", "nodejs": "nodejs24.x"}
ROLE = "arn:aws:iam::123456789012:role/conformance"
DURABLE = {"ExecutionTimeout": 4000, "RetentionPeriodInDays": 1}
# What handlers invoke: name in the environment → handler.
TARGETS = {
    "ECHO": "invoke.target_echo",
    "FAIL": "invoke.target_fail",
    "SIZE": "invoke.target_size",
    "TENANT": "invoke.target_echo",
    "WAITS": "child.child_3_18",
}
PLAIN = {"PLAIN": "invoke.target_plain"}  # not durable
# The memory that comes with one whole processor.
FULL_CPU_MB = 1769
# Generous: only a hang reaches it.
DEADLINE = 180
POLL = 0.1


def client(endpoint, access_key, secret_key, region="us-east-1"):
    return boto3.client(
        "lambda", endpoint_url=endpoint, region_name=region, aws_access_key_id=access_key, aws_secret_access_key=secret_key,
        config=Config(read_timeout=DEADLINE, retries={"max_attempts": 0}, max_pool_connections=64),
    )


def until(look, what):
    """The first true value of look(), polled."""
    end = time.monotonic() + DEADLINE
    while not (value := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"not reached in {DEADLINE} s: {what}")
        time.sleep(POLL)
    return value


class Backend:
    """Executions: their state, their history, callbacks."""

    kind = "server"
    # Members of events that the server leaves out.
    unreported = frozenset()
    # Codes of errors that the server gives otherwise than AWS.
    error_codes = {}
    # Requirements that the server cannot meet, and why.
    cannot = {}

    def __init__(self, lambda_client):
        self.client = lambda_client

    def describe(self, arn):
        return self.client.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=True)

    def history(self, arn):
        events, more = [], {}
        while True:
            # Small pages, so that the markers are tried as well.
            page = self.client.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=True, MaxItems=5, **more)
            events += page["Events"]
            if not page.get("NextMarker"):
                return events
            more = {"Marker": page["NextMarker"]}

    def callback_id(self, arn, name):
        for event in self.history(arn):
            if event["EventType"] == "CallbackStarted" and name in ("*", event.get("Name")):
                return event["CallbackStartedDetails"]["CallbackId"]
        return None

    def act(self, arn, action):
        """One of a requirement's CallbackActions."""
        callback = until(lambda: self.callback_id(arn, action["CallbackName"]), f"callback {action['CallbackName']}")
        time.sleep(action.get("Delay", 0))
        if action["Operation"] == "success":
            payload = json.dumps(action.get("Payload")).encode()
            self.client.send_durable_execution_callback_success(CallbackId=callback, Result=payload)
        elif action["Operation"] == "failure":
            self.client.send_durable_execution_callback_failure(CallbackId=callback, Error=action.get("Payload") or {})
        else:
            self.client.send_durable_execution_callback_heartbeat(CallbackId=callback)

    def stop(self, arn):
        self.client.stop_durable_execution(DurableExecutionArn=arn)

    def logs(self):
        """Everything that handlers have logged so far, or None when the server does not say."""
        return None

    def close(self):
        pass


class Deployed(Backend):
    """A server of the whole Lambda API."""

    def __init__(self, lambda_client, prefix, log_path=None):
        super().__init__(lambda_client)
        self.prefix = prefix
        self.log_path = log_path
        self.created = []

    def name(self, language, what):
        return f"{self.prefix}-{language}-{what}".lower()

    def deploy(self, language, package, items):
        variables = {f"TARGET_{key}": self.name(language, key) for key in TARGETS | PLAIN}

        def create(what, handler, **more):
            self.create(self.name(language, what), language, handler, package, variables, more)

        for key, handler in TARGETS.items():
            tenancy = {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}} if key == "TENANT" else {}
            create(key, handler, DurableConfig=DURABLE, **tenancy)
        for key, handler in PLAIN.items():
            create(key, handler)
        for item in {item.function: item for item in items}.values():
            create(item.function, item.handler, DurableConfig=item.config or DURABLE)

    def create(self, name, language, handler, package, variables, more):
        self.client.create_function(
            FunctionName=name, Runtime=RUNTIMES[language], Role=ROLE, Handler=handler, Code={"ZipFile": package}, Timeout=60,
            MemorySize=FULL_CPU_MB, Environment={"Variables": variables}, **more,
        )
        self.created.append(name)
        until(lambda: self.client.get_function_configuration(FunctionName=name).get("State") == "Active", f"{name} is active")

    def start(self, language, item, payload, execution_name):
        """The ARN of a new execution, and for a synchronous start also the answer."""
        answer = self.client.invoke(
            FunctionName=self.name(language, item.function), InvocationType="Event" if item.asynchronous else "RequestResponse",
            DurableExecutionName=execution_name, Payload=payload,
        )
        arn = answer.get("DurableExecutionArn")
        if not arn:
            raise AssertionError("Invoke answered without X-Amz-Durable-Execution-Arn")
        if item.asynchronous:
            return arn, None
        return arn, {"failed": "FunctionError" in answer, "body": answer["Payload"].read().decode()}

    def logs(self):
        if not self.log_path:
            return None
        files = [self.log_path] if self.log_path.is_file() else [path for path in self.log_path.rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in files)

    def close(self):
        for name in self.created:
            try:
                self.client.delete_function(FunctionName=name)
            except ClientError as error:
                print(f"{name} cannot be deleted: {error}")
