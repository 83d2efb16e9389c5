"""Durable functions without an SDK: a handler that speaks the checkpoint API itself, so that these tests need no package."""

import base64
import io
import json
import urllib.parse
import zipfile

from lib import Problem, wait_until

# The event, the answers and the checkpoints are those of AWS's API of 2025-12-01. Every step returns a fresh random value: a step
# whose recorded result was lost would come back with another.
HANDLER = '''
import json, os, time, urllib.parse, urllib.request, uuid

API = os.environ["AWS_ENDPOINT_URL_LAMBDA"]


class Suspend(Exception):
    pass


class Execution:
    def __init__(self, event):
        self.arn, self.token = event["DurableExecutionArn"], event["CheckpointToken"]
        self.operations = {}
        state = event["InitialExecutionState"]
        self.merge(state["Operations"])
        self.input = json.loads(state["Operations"][0]["ExecutionDetails"].get("InputPayload") or "null")

    def merge(self, operations):
        for operation in operations:
            self.operations[operation["Id"]] = operation

    def checkpoint(self, *updates):
        url = f"{API}/2025-12-01/durable-executions/{urllib.parse.quote(self.arn, safe='')}/checkpoint"
        body = json.dumps({"CheckpointToken": self.token, "Updates": updates}).encode()
        request = urllib.request.Request(url, data=body, method="POST", headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        self.token = said["CheckpointToken"]
        self.merge(said["NewExecutionState"]["Operations"])

    def step(self, name):
        done = self.operations.get(name)
        if done and done["Status"] == "SUCCEEDED":
            return json.loads(done["StepDetails"]["Result"])
        about = {"Id": name, "Name": name, "Type": "STEP", "SubType": "Step"}
        if not done:
            self.checkpoint({**about, "Action": "START"})
        value = f"{name}-{uuid.uuid4()}"
        self.checkpoint({**about, "Action": "SUCCEED", "Payload": json.dumps(value)})
        return value

    def pending(self, name, details, key, **options):
        operation = self.operations.get(name)
        if not operation:
            self.checkpoint({"Id": name, "Name": name, "Action": "START", **options})
            operation = self.operations[name]
        if operation["Status"] == "STARTED":
            raise Suspend()
        return json.loads(operation[details][key]) if key and operation["Status"] == "SUCCEEDED" else operation["Status"]

    def wait(self, name, seconds):
        return self.pending(name, "WaitDetails", None, Type="WAIT", SubType="Wait", WaitOptions={"WaitSeconds": seconds})

    def callback(self, name):
        return self.pending(name, "CallbackDetails", "Result", Type="CALLBACK", SubType="Callback", CallbackOptions={"TimeoutSeconds": 600})

    def invoke(self, name, function, payload):
        return self.pending(name, "ChainedInvokeDetails", "Result", Type="CHAINED_INVOKE", SubType="ChainedInvoke", Payload=json.dumps(payload),
                            ChainedInvokeOptions={"FunctionName": function})


def order(event, context):
    run = Execution(event)
    try:
        values = [run.step("reserve"), run.step("price")]
        values.append(run.wait("cool-down", 1))
        values.append(run.callback("approval"))
        values.append(run.step("charge"))
        values.append(run.invoke("ship", "echo", {"order": run.input["order"]}))
        values.append(run.step("notify"))
        return {"Status": "SUCCEEDED", "Result": json.dumps(values)}
    except Suspend:
        return {"Status": "PENDING"}


def echo(event, context):
    return event
'''


def package(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_py", ".py"), text)
    return base64.b64encode(out.getvalue()).decode()


def create(server, name, handler, **more):
    return server.post("/2015-03-31/functions", {"FunctionName": name, "Runtime": "python3.11", "Role": "arn:aws:iam::000000000000:role/any", "Handler": handler,
                                                 "Timeout": 30, "Code": {"ZipFile": package(app_py=HANDLER)}, **more})


def create_order_functions(server):
    create(server, "order", "app.order", DurableConfig={"ExecutionTimeout": 3600, "RetentionPeriodInDays": 1})
    create(server, "echo", "app.echo")


class DurableExecution:
    """One execution, seen from outside. Its name makes every repeat of the invoke find the same one."""

    def __init__(self, server, name):
        self.server, self.name, self.arn = server, name, None

    def start(self):
        from lib import urllib  # the headers of the answer are wanted
        request = urllib.request.Request(
            self.server.url + "/2015-03-31/functions/order/invocations", data=json.dumps({"order": self.name}).encode(), method="POST",
            headers={"Authorization": "Bearer " + self.server.key, "X-Amz-Invocation-Type": "Event", "X-Amz-Durable-Execution-Name": self.name})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.arn = answer.headers["X-Amz-Durable-Execution-Arn"]
        return self

    @property
    def path(self):
        return "/2025-12-01/durable-executions/" + urllib.parse.quote(self.arn, safe="")

    @property
    def run(self):
        return "run_" + self.arn.rsplit("/", 1)[1]

    def get(self):
        return self.server.get(self.path)

    def history(self):
        return self.server.get(self.path + "/history?IncludeExecutionData=true&MaxItems=1000")["Events"]

    def approve(self):
        """Answers the callback once it is there; answering twice is refused and does no harm."""
        def answered():
            events = self.history()
            if any(e["EventType"] == "CallbackSucceeded" for e in events) or self.get()["Status"] != "RUNNING":
                return True
            started = [e for e in events if e["EventType"] == "CallbackStarted"]
            if not started:
                return False
            callback = urllib.parse.quote(started[0]["CallbackStartedDetails"]["CallbackId"], safe="")
            try:
                self.server.request("POST", f"/2025-12-01/durable-execution-callbacks/{callback}/succeed", json.dumps("yes").encode())
            except Problem as problem:
                if problem.status >= 500:
                    raise
            return True
        wait_until(answered, "the callback")

    def ended(self):
        return wait_until(lambda: (view := self.get())["Status"] != "RUNNING" and view, f"the end of {self.name}")
