"""State machines through Step Functions' API as any AWS client speaks it: raw signed HTTP against the real binary, and kill -9 in the middle."""

import datetime
import hashlib
import hmac
import json
import re
import urllib.error
import urllib.request

from lib import ROOT, Problem, Server, TemporaryFolder, check, cli, equal, wait_until, write

ROLE = "arn:aws:iam::000000000000:role/any"
ARN = "arn:aws:states:us-east-1:000000000000:"


def machine(states, start=None, **more):
    return json.dumps({"StartAt": start or next(iter(states)), "States": states, **more})


class States:
    """A client of the API, with no more than the standard library."""

    def __init__(self, server):
        self.server = server

    def headers(self, target, body):
        access = "MAYFLYKEY" + self.server.key.split("_")[1].upper()
        at = datetime.datetime.now(datetime.timezone.utc)
        stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
        signed = {"content-type": "application/x-amz-json-1.0", "host": f"127.0.0.1:{self.server.port}", "x-amz-date": stamp,
                  "x-amz-target": target}
        names = ";".join(sorted(signed))
        canonical = "\n".join(["POST", "/", ""] + [f"{name}:{signed[name]}" for name in sorted(signed)] + ["", names, hashlib.sha256(body).hexdigest()])
        scope = f"{day}/us-east-1/states/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.server.key).encode()
        for part in (day, "us-east-1", "states", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return {**signed, "Authorization": f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"}

    def __call__(self, operation, **members):
        body = json.dumps(members).encode()
        request = urllib.request.Request(self.server.url + "/", data=body, method="POST", headers=self.headers("AWSStepFunctions." + operation, body))
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise Problem(error.code, error.read().decode(errors="replace")) from None

    def refused(self, error, operation, **members):
        """The message of the error that the operation must give."""
        try:
            answer = self(operation, **members)
        except Problem as problem:
            answer = json.loads(problem.body)
            equal(answer["__type"].split("#")[-1], error, f"{operation}: {answer.get('message')}")
            return answer["message"]
        raise AssertionError(f"{operation} succeeded with {answer}, {error} was expected")

    def create(self, name, definition, **more):
        return self("CreateStateMachine", name=name, definition=definition, roleArn=ROLE, **more)["stateMachineArn"]

    def ended(self, execution):
        return wait_until(lambda: (found := self("DescribeExecution", executionArn=execution))["status"] != "RUNNING" and found,
                          f"the end of {execution}")

    def history(self, execution, **more):
        events, token = [], {}
        while True:
            page = self("GetExecutionHistory", executionArn=execution, maxResults=3, **more, **token)
            events += page["events"]
            if "nextToken" not in page:
                return events
            token = {"nextToken": page["nextToken"]}


def test_definitions_are_checked_kept_and_versioned():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        states = States(server)
        one, two = machine({"A": {"Type": "Pass", "Result": 1, "End": True}}), machine({"A": {"Type": "Pass", "Result": 2, "End": True}})
        arn = states.create("review", one)
        equal(arn, ARN + "stateMachine:review", "the ARN")
        equal(states.create("review", one), arn, "creating the same again")
        states.refused("StateMachineAlreadyExists", "CreateStateMachine", name="review", definition=two, roleArn=ROLE)
        states.refused("InvalidName", "CreateStateMachine", name="a b", definition=one, roleArn=ROLE)
        states.refused("InvalidDefinition", "CreateStateMachine", name="bad", definition="{", roleArn=ROLE)
        said = states.refused("InvalidDefinition", "CreateStateMachine", name="bad", definition=machine({"A": {"Type": "Pass", "Next": "Bee"}}), roleArn=ROLE)
        check("Bee" in said, f"the message names the state that is missing: {said}")
        found = states("ValidateStateMachineDefinition", definition=machine({"A": {"Type": "Pass", "Next": "Bee"}}))
        equal(found["result"], "FAIL", "the validation")
        check(any(d["location"].startswith("/States/A") for d in found["diagnostics"]), f"the place is told: {found}")
        equal(states("ValidateStateMachineDefinition", definition=one), {"result": "OK", "diagnostics": [], "truncated": False}, "a good one")

        first = states("PublishStateMachineVersion", stateMachineArn=arn)["stateMachineVersionArn"]
        equal(first, arn + ":1", "the first version")
        states("UpdateStateMachine", stateMachineArn=arn, definition=two)
        equal(states("DescribeStateMachine", stateMachineArn=arn)["definition"], two, "the current definition")
        equal(states("DescribeStateMachine", stateMachineArn=first)["definition"], one, "the version's definition")
        alias = states("CreateStateMachineAlias", name="live", routingConfiguration=[{"stateMachineVersionArn": first, "weight": 100}])["stateMachineAliasArn"]
        for at, output in ((arn, "2"), (first, "1"), (alias, "1")):
            started = states("StartExecution", stateMachineArn=at)["executionArn"]
            equal(states.ended(started)["output"], output, f"the output of {at}")
        states.refused("ConflictException", "DeleteStateMachineVersion", stateMachineVersionArn=first)
        states("DeleteStateMachineAlias", stateMachineAliasArn=alias)
        states("DeleteStateMachineVersion", stateMachineVersionArn=first)
        states("TagResource", resourceArn=arn, tags=[{"key": "team", "value": "a"}])
        equal(states("ListTagsForResource", resourceArn=arn)["tags"], [{"key": "team", "value": "a"}], "the tags")
        equal(len(states("ListExecutions", stateMachineArn=arn)["executions"]), 3, "executions of the machine")
        states("DeleteStateMachine", stateMachineArn=arn)
        states.refused("StateMachineDoesNotExist", "DescribeStateMachine", stateMachineArn=arn)
        equal(states("ListStateMachines")["stateMachines"], [], "what is left")


def test_names_start_executions_once():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        states = States(server)
        arn = states.create("wait", machine({"W": {"Type": "Wait", "Seconds": 3600, "End": True}}))
        first = states("StartExecution", stateMachineArn=arn, name="order-7", input='{"a": 1}')
        equal(first["executionArn"], ARN + "execution:wait:order-7", "the execution's ARN")
        equal(states("StartExecution", stateMachineArn=arn, name="order-7", input='{"a": 1}'), first, "the same start again")
        states.refused("ExecutionAlreadyExists", "StartExecution", stateMachineArn=arn, name="order-7", input='{"a": 2}')
        states.refused("InvalidExecutionInput", "StartExecution", stateMachineArn=arn, input="{")
        states.refused("ExecutionDoesNotExist", "DescribeExecution", executionArn=ARN + "execution:wait:none")
        states("StopExecution", executionArn=first["executionArn"], error="Unwanted", cause="changed my mind")
        found = states("DescribeExecution", executionArn=first["executionArn"])
        equal((found["status"], found["error"], found["cause"]), ("ABORTED", "Unwanted", "changed my mind"), "the stopped execution")
        last = states("GetExecutionHistory", executionArn=first["executionArn"], reverseOrder=True, maxResults=1)["events"][0]
        equal(last["type"], "ExecutionAborted", "the last event")
        equal(last["executionAbortedEventDetails"], {"error": "Unwanted", "cause": "changed my mind"}, "why")
        states.refused("ExecutionAlreadyExists", "StartExecution", stateMachineArn=arn, name="order-7", input='{"a": 1}')
        names = [states("StartExecution", stateMachineArn=arn, name=f"n{i}")["executionArn"] for i in range(5)]
        page = states("ListExecutions", stateMachineArn=arn, statusFilter="RUNNING", maxResults=3)
        rest = states("ListExecutions", stateMachineArn=arn, statusFilter="RUNNING", maxResults=3, nextToken=page["nextToken"])
        equal(sorted(e["executionArn"] for e in page["executions"] + rest["executions"]), sorted(names), "all pages together")


def test_express_answers_at_once():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        states = States(server)
        arn = states.create("quick", machine({"A": {"Type": "Pass", "Parameters": {"x.$": "$.n"}, "End": True}}), type="EXPRESS")
        for n in (1, 2):
            found = states("StartSyncExecution", stateMachineArn=arn, name="same", input=json.dumps({"n": n}))
            equal((found["status"], json.loads(found["output"])), ("SUCCEEDED", {"x": n}), "the answer")
        failing = states.create("fails", machine({"F": {"Type": "Fail", "Error": "Mine", "Cause": "so it is"}}), type="EXPRESS")
        found = states("StartSyncExecution", stateMachineArn=failing)
        equal((found["status"], found["error"], found["cause"]), ("FAILED", "Mine", "so it is"), "the failure")
        states.refused("StateMachineTypeNotSupported", "ListExecutions", stateMachineArn=arn)


ORDER = machine({
    "Both": {"Type": "Parallel", "Next": "Done", "Branches": [
        {"StartAt": "Pause", "States": {"Pause": {"Type": "Wait", "Seconds": 2, "Next": "Paused"}, "Paused": {"Type": "Pass", "Result": "paused", "End": True}}},
        {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": ARN + "activity:work", "End": True}}}]},
    "Done": {"Type": "Pass", "End": True}})


def test_kill_in_the_middle_of_parallel_wait_and_task():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        states = States(server)
        activity = states("CreateActivity", name="work")["activityArn"]
        arn = states.create("order", ORDER)
        execution = states("StartExecution", stateMachineArn=arn, name="o-1", input='{"n": 1}')["executionArn"]
        server.kill()
        server.start()
        task = states("GetActivityTask", activityArn=activity, workerName="w")
        check(task.get("taskToken"), f"the activity's task survives: {task}")
        equal(json.loads(task["input"]), {"n": 1}, "the task's input")
        server.kill()
        server.start()
        states("SendTaskHeartbeat", taskToken=task["taskToken"])
        states("SendTaskSuccess", taskToken=task["taskToken"], output='{"ok": true}')
        server.kill()
        server.start()
        found = states.ended(execution)
        equal((found["status"], json.loads(found["output"])), ("SUCCEEDED", ["paused", {"ok": True}]), "the output")
        states.refused("TaskTimedOut", "SendTaskSuccess", taskToken=task["taskToken"], output="{}")
        states.refused("InvalidToken", "SendTaskSuccess", taskToken="nonsense", output="{}")
        events = states.history(execution)
        equal([e["id"] for e in events], list(range(1, len(events) + 1)), "the events' numbers")
        equal((events[0]["type"], events[-1]["type"]), ("ExecutionStarted", "ExecutionSucceeded"), "the ends of the history")
        types = [e["type"] for e in events]
        for wanted in ("ParallelStateEntered", "ParallelStateExited", "WaitStateEntered", "WaitStateExited", "TaskStateEntered", "ActivityScheduled",
                       "ActivitySucceeded", "TaskStateExited", "PassStateEntered"):
            check(wanted in types, f"{wanted} is missing in {types}")
        equal(types.count("WaitStateEntered"), 1, "how often the wait was entered")
        equal(states.history(execution, reverseOrder=True)[::-1], events, "the history backwards")
        check(not any("input" in d for e in states.history(execution, includeExecutionData=False) for d in e.values() if isinstance(d, dict)),
              "data that was not asked for")


def test_command_line():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        write(folder / "greet.asl.json", machine({"Greet": {"Type": "Pass", "Result": {"hello": "world"}, "End": True}}))
        write(folder / "bad.json", machine({"Greet": {"Type": "Pass", "Next": "Nowhere"}}))
        bad = cli("workflows", "validate", folder / "bad.json", server=server)
        check(bad.code == 1 and "/States/Greet" in bad.out and "Nowhere" in bad.out, bad)
        done = cli("workflows", "deploy", folder / "greet.asl.json", server=server)
        check(done.code == 0 and "greet revision 1" in done.out, done)
        done = cli("wf", "start", "greet", '{"n": 1}', "--name", "g1", "--wait", "30s", "--json", server=server)
        equal(json.loads(done.out)["output"], {"hello": "world"}, "the output")
        shown = cli("wf", "history", "greet", "g1", server=server)
        check(shown.code == 0 and "PassStateEntered" in shown.out and "ExecutionSucceeded" in shown.out, shown)
        shown = cli("wf", "executions", "greet", "--json", server=server)
        equal([e["name"] for e in json.loads(shown.out)], ["g1"], "the executions")
        equal(cli("wf", "show", "none", server=server).code, 5, "a machine that is not there")
        equal(cli("wf", "start", "greet", "{}", "--name", "g1", server=server).code, 1, "a name that is taken")


def test_documentation():
    source = (ROOT / "src/server/states/states_api.cpp").read_text()
    declared = re.findall(r'\{"(\w+)", \{[^}]*\}, (\w+)', source)
    check(len(declared) > 30, "the operations are declared in another way: correct this test")
    page = (ROOT / "docs/workflows.md").read_text()
    supported, refused = re.search(r"\| supported \|(.*?)\| refused \|(.*?)\n\n", page, re.S).groups()
    equal(set(re.findall(r"`(\w+)`", supported)), {n for n, f in declared if f != "nullptr"}, "the operations that the page says are supported")
    equal(set(re.findall(r"`(\w+)`", refused)), {n for n, f in declared if f == "nullptr"}, "the operations that the page says are refused")
    examples = re.findall(r"^```json\n(.*?)^```$", page, re.M | re.S)
    check(examples, "the page lost its examples")
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        for text in examples:
            done = cli("workflows", "validate", "-", server=server, text_in=text)
            equal(done.code, 0, f"{done} of {text}")
