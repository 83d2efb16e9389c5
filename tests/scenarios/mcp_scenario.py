"""The MCP server of the real binary, in both eras, with the fixtures deployed like any project."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import ROOT, Server, Skip, TemporaryFolder, check, equal, wait_until
from mcp_lib import META, SESSIONS, STATELESS, Client, Session

FIXTURES = ROOT / "examples/mcp-fixtures"
TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


class Open:
    """A server with the fixtures and a client with its key."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __enter__(self):
        self.folder = TemporaryFolder()
        self.server = Server(self.folder.path / "data", FIXTURES, self.arguments)
        self.server.start()
        if not self.server.get("/v1/sandbox")["available"]:
            self.__exit__()
            raise Skip("this machine gives no sandbox for functions")
        return self.server, Client(self.server.url, self.server.key)

    def __exit__(self, *_):
        self.server.kill_if_running()
        self.folder.__exit__()


def text_of(message):
    return message["result"]["content"][0]["text"]


def test_the_stateless_era():
    with Open() as (server, client):
        found = client.ask("server/discover").message["result"]
        equal(found["supportedVersions"], [STATELESS], "the versions")
        check("io.modelcontextprotocol/tasks" in found["capabilities"]["extensions"], "tasks are advertised")
        equal(found["_meta"][META + "serverInfo"]["name"], "mayfly", "the server's name")
        tools = client.ask("tools/list").message["result"]
        check(tools["ttlMs"] >= 0 and tools["cacheScope"] == "private", "lists say how long they hold")
        check("test_simple_text" in [tool["name"] for tool in tools["tools"]], "declared tools are listed")
        equal(text_of(client.call("test_simple_text")), "This is a simple text response for testing.", "the answer")
        failed = client.call("test_error_handling")["result"]
        check(failed["isError"] and "intentionally" in failed["content"][0]["text"], "a function's exception is the tool's error")
        wrong = client.call("greet", {"name": 7})["result"]
        check(wrong["isError"] and "schema" in wrong["content"][0]["text"], "arguments are checked against the schema")
        unknown = client.call("no_such_tool")
        equal(unknown["error"]["code"], -32602, "an unknown tool")
        gone = client.ask("initialize")
        equal((gone.status, gone.message["error"]["code"]), (404, -32601), "what this era does not have")


def test_headers_must_say_what_the_body_says():
    with Open() as (server, client):
        for headers in ({"Mcp-Method": "tools/list"}, {"Mcp-Method": None}, {"Mcp-Name": "other"}, {"Mcp-Name": None}, {"MCP-Protocol-Version": None}):
            answer = client.ask("tools/call", {"name": "test_simple_text", "arguments": {}}, headers=headers)
            equal((answer.status, answer.message["error"]["code"]), (400, -32020), f"with {headers}")
        answer = client.ask("tools/call", {"name": "test_custom_header", "arguments": {"region": "eu"}})
        equal(answer.message["error"]["code"], -32020, "an argument that has a header")
        answer = client.ask("tools/call", {"name": "test_custom_header", "arguments": {"region": "é"}}, headers={"Mcp-Param-Region": "=?base64?w6k=?="})
        equal(text_of(answer.message), "The region is é", "an argument whose header is Base64")


def test_a_tool_asks_and_its_state_cannot_be_changed():
    can = {"elicitation": {}, "sampling": {}, "roots": {}}
    with Open() as (server, client):
        tool, confirm = "test_input_required_result_request_state", {"confirm": {"action": "accept", "content": {"ok": True}}}
        first = client.call(tool, capabilities=can)["result"]
        equal(first["resultType"], "input_required", "the first round")
        check("waiting-for-confirmation" not in first["requestState"], "nobody reads the state")
        done = client.call(tool, capabilities=can, inputResponses=confirm, requestState=first["requestState"])
        equal(text_of(done), "state-ok", "the second round")
        for state in (first["requestState"][:-6] + "AAAAAA", "", "AAAA"):
            refused = client.call(tool, capabilities=can, inputResponses=confirm, requestState=state)
            equal(refused["error"]["code"], -32602, "a state that was changed")
        other = client.call("test_input_required_result_tampered_state", capabilities=can, inputResponses=confirm, requestState=first["requestState"])
        equal(other["error"]["code"], -32602, "a state of another tool")
        lacking = client.ask("tools/call", {"name": tool, "arguments": {}})
        equal((lacking.status, lacking.message["error"]["code"]), (400, -32021), "a client that cannot answer")


def test_tasks_are_runs_and_survive_the_server():
    with Open() as (server, client):
        can = {"elicitation": {}, **TASKS}
        task = client.call("confirm_delete", {"filename": "a.txt"}, capabilities=can)["result"]
        equal(task["resultType"], "task", "the answer of a tool with tasks")
        look = lambda: client.ask("tasks/get", {"taskId": task["taskId"]}, capabilities=can).message["result"]
        asked = wait_until(lambda: (state := look())["status"] == "input_required" and state, "the task's question")
        equal(list(asked["inputRequests"]), ["confirm"], "what it asks")
        equal(server.run(task["taskId"])["status"], "RUNNING", "the task as a run")
        server.kill()
        server.start()
        client.address = Client(server.url).address
        equal(look()["status"], "input_required", "after kill -9")
        answer = {"confirm": {"action": "accept", "content": {"confirm": True}}}
        client.ask("tasks/update", {"taskId": task["taskId"], "inputResponses": answer}, capabilities=can)
        done = wait_until(lambda: (state := look())["status"] == "completed" and state, "the task's end")
        equal(done["result"]["content"][0]["text"], "Deleted", "its result")
        slow = client.call("slow_compute", {"seconds": 60}, capabilities=TASKS)["result"]["taskId"]
        client.ask("tasks/cancel", {"taskId": slow}, capabilities=TASKS)
        wait_until(lambda: client.ask("tasks/get", {"taskId": slow}, capabilities=TASKS).message["result"]["status"] == "cancelled", "the cancelled task")


def test_subscriptions_tell_of_changes():
    with Open() as (server, client):
        stream = client.ask("subscriptions/listen", {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["test://watched-resource", "no://such"]}})
        events = stream.events()
        first = next(events)["data"]
        equal(first["method"], "notifications/subscriptions/acknowledged", "the first message")
        equal(first["params"]["notifications"], {"toolsListChanged": True, "resourceSubscriptions": ["test://watched-resource"]}, "what is honoured")
        client.call("test_trigger_prompt_change")
        client.call("test_trigger_tool_change")
        told = next(events)["data"]
        equal(told["method"], "notifications/tools/list_changed", "only what was asked for")
        check(told["params"]["_meta"][META + "subscriptionId"], "it names its subscription")


def test_sessions():
    with Open() as (server, client):
        session = Session(client)
        equal(session.initialized["protocolVersion"], SESSIONS, "the version")
        equal(session.request("ping").message["result"], {}, "ping")
        equal(Session(client, version="2025-06-18").initialized["protocolVersion"], "2025-06-18", "an older version")
        equal(text_of(session.request("tools/call", {"name": "test_simple_text"}).message), "This is a simple text response for testing.", "a call")
        stream = session.request("tools/call", {"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": "p"}})
        messages = [event["data"] for event in stream.events()]
        equal([m["params"]["progress"] for m in messages if m.get("method") == "notifications/progress"], [0, 50, 100], "progress")
        check("result" in messages[-1], "the answer is last")
        missing = client.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"Mcp-Session-Id": "none"})
        equal(missing.status, 404, "an unknown session")
        equal(client.send("DELETE", headers=session.headers).status, 204, "the end of the session")
        equal(session.request("ping").status, 404, "after its end")


def test_the_server_asks_the_client_of_a_session():
    with Open() as (server, client):
        session = Session(client, {"sampling": {}})
        stream = session.request("tools/call", {"name": "test_sampling", "arguments": {"prompt": "Hi"}})
        for event in stream.events():
            message = event["data"]
            if message.get("method") == "sampling/createMessage":
                equal(message["params"]["messages"][0]["content"]["text"], "Hi", "what is asked")
                session.respond(message["id"], {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hello from the model"}})
            elif "result" in message:
                equal(text_of(message), "LLM response: Hello from the model", "the tool's answer")
        refused = session.request("tools/call", {"name": "test_elicitation", "arguments": {"message": "?"}}).message["result"]
        check(refused["isError"] and "elicitation" in refused["content"][0]["text"], "what the client cannot do is said")


def test_a_stream_is_resumed():
    with Open() as (server, client):
        session = Session(client)
        stream = session.request("tools/call", {"name": "test_reconnection", "arguments": {}})
        events = list(stream.events())
        check(events and events[0]["id"] and events[0]["data"] == {}, "the first event only names a place to come back to")
        check(not any("result" in event["data"] for event in events), "the server lets the client go")
        again = client.send("GET", headers={**session.headers, "Last-Event-ID": events[-1]["id"]})
        check(any("result" in event["data"] for event in again.events()), "the answer waits for who comes back")


def test_a_call_is_cancelled():
    with Open() as (server, client):
        session = Session(client)
        done = []
        stream = threading.Thread(target=lambda: done.append(session.request("tools/call", {"name": "slow_compute", "arguments": {"seconds": 80}}, id="slow")))
        stream.start()
        busy = lambda: any(i["state"] == "busy" for i in server.get("/v1/functions/instances")["instances"])
        wait_until(busy, "the function at work")
        session.notify("notifications/cancelled", {"requestId": "slow"})
        wait_until(lambda: not busy(), "the function's end")
        stream.join(60)
        check(done and done[0].message is None, "a cancelled request gets no answer")


def test_who_may_come_in():
    with Open() as (server, client):
        stranger = Client(server.url)
        answer = stranger.ask("tools/list")
        equal(answer.status, 401, "without a key")
        check(answer.headers["WWW-Authenticate"].startswith("Bearer"), "how to come in")
        for origin, status in (("http://evil.example.com", 403), ("http://localhost:3000", 200), (f"http://127.0.0.1:{server.port}", 200), ("null", 403)):
            equal(client.ask("tools/list", headers={"Origin": origin}).status, status, origin)
        check(client.ask("tools/list", headers={"Host": "evil.example.com"}).status >= 400, "another Host")
        reader = Client(server.url, server.post("/v1/keys", {"name": "reader", "scopes": ["read"]})["key"])
        seen = [tool["name"] for tool in reader.ask("tools/list").message["result"]["tools"]]
        check("test_simple_text" not in seen and "run_get" in seen, f"who only reads sees no tools that do: {seen}")
        equal(reader.call("test_simple_text")["error"]["code"], -32602, "nor calls them")
        session = Session(client)
        other = reader.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, session.headers)
        equal(other.status, 404, "another's session")
    with Open("--open-mcp") as (server, client):
        equal(Client(server.url).ask("tools/list").status, 200, "an open server")
        equal(Client(server.url, "mf_00000000_wrong").ask("tools/list").status, 401, "a wrong key at an open server")


def test_broken_messages():
    with Open() as (server, client):
        for body, code in ((b"{", -32700), (b"[]", -32600), (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600), (b'"x"', -32600)):
            connection = client.send("DELETE").connection
            connection.close()
            import http.client
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            connection.request("POST", "/mcp", body, {"Content-Type": "application/json", "Authorization": "Bearer " + server.key})
            answer = connection.getresponse()
            import json
            equal((answer.status, json.loads(answer.read())["error"]["code"]), (400, code), repr(body))
        equal(client.send("POST", {}, {"Content-Type": "text/plain"}).status, 415, "another type")
        equal(client.send("PUT", {}).status, 405, "another method")


PROJECT = """version: 1
providers:
  quick: {kind: scripted, script: quick.yaml}
agents:
  echo: {model: quick/echo, instructions: Repeat., description: Repeats what it hears}
  desk: {model: quick/desk, instructions: Ask., tools: [ask_person]}
"""
SCRIPT = """version: 1
conversations:
  - match: "ask me"
    turns:
      - tool_calls: [{name: ask_person, arguments: {question: "Shall I?"}}]
      - text: "The answer was: {{tool_result}}"
default: {text: "You said: {{user}}"}
"""


def test_agents_are_tools():
    with TemporaryFolder() as folder:
        (folder / "mayfly.yaml").write_text(PROJECT)
        (folder / "quick.yaml").write_text(SCRIPT)
        with Server(folder / "data", folder / "mayfly.yaml") as server:
            client = Client(server.url, server.key)
            tools = {tool["name"]: tool for tool in client.ask("tools/list", query="?toolsets=agents").message["result"]["tools"]}
            equal(sorted(tools), ["agent_desk", "agent_echo"], "the toolset of agents")
            equal(tools["agent_echo"]["description"], "Repeats what it hears", "its description")
            stream = client.ask("tools/call", {"name": "agent_echo", "arguments": {"input": "hello"}}, meta={"progressToken": 1})
            check("You said: hello" in text_of(stream.message), "an agent's answer")
            task = client.call("agent_echo", {"input": "hello"}, capabilities=TASKS)["result"]
            equal(server.ended(task["taskId"])["status"], "SUCCEEDED", "a task is the agent's run")
            done = client.ask("tasks/get", {"taskId": task["taskId"]}, capabilities=TASKS).message["result"]
            check("You said: hello" in done["result"]["content"][0]["text"], "the task's result")
            equal(client.call("run_get", {"run": task["taskId"]})["result"]["structuredContent"]["status"], "SUCCEEDED", "run_get")

            can = {"elicitation": {}}
            asked = client.call("agent_desk", {"input": "ask me"}, capabilities=can)["result"]
            (name, request), = asked["inputRequests"].items()
            check("Shall I?" in request["params"]["message"], "what the agent asks a person is asked of the client")
            answer = {name: {"action": "accept", "content": {"answer": "approve"}}}
            said = client.call("agent_desk", {"input": "ask me"}, capabilities=can, inputResponses=answer, requestState=asked["requestState"])
            check(text_of(said).startswith("The answer was:"), f"the agent goes on: {said}")
