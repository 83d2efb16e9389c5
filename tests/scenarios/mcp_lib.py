"""A small MCP client for scenarios, of both eras. Standard library only."""

import http.client
import json
import urllib.parse

from lib import DEADLINE

STATELESS, SESSIONS = "2026-07-28", "2025-11-25"
META = "io.modelcontextprotocol/"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.type = (response.headers.get("Content-Type") or "").split(";")[0]
        self.text = "" if self.type == "text/event-stream" else response.read().decode()
        self.response = response

    @property
    def message(self):
        if self.type == "text/event-stream":
            for event in self.events():
                if "result" in event["data"] or "error" in event["data"]:
                    return event["data"]
            return None
        return json.loads(self.text) if self.text else None

    def events(self):
        """{"id", "data"} as they come; without a JSON text the data is {}."""
        event = {"id": None, "data": ""}
        for line in self.response:
            line = line.decode().rstrip("\r\n")
            if line.startswith("id: "):
                event["id"] = line[4:]
            elif line.startswith("data: "):
                event["data"] += line[6:]
            elif not line and (event["data"] or event["id"]):
                event["data"] = json.loads(event["data"]) if event["data"] else {}
                yield event
                event = {"id": None, "data": ""}


class Client:
    def __init__(self, url, key=None):
        self.address = urllib.parse.urlparse(url)
        self.key = key
        self.next = 0

    def send(self, method, body=None, headers=None, query=""):
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=DEADLINE)
        fields = {"Accept": "application/json, text/event-stream"}
        if body is not None:
            fields["Content-Type"] = "application/json"
        if self.key:
            fields["Authorization"] = "Bearer " + self.key
        fields.update(headers or {})
        connection.request(method, "/mcp" + query, None if body is None else json.dumps(body), {k: v for k, v in fields.items() if v is not None})
        answer = Answer(connection.getresponse())
        answer.connection = connection
        return answer

    def id(self):
        self.next += 1
        return self.next

    # Stateless.

    def ask(self, method, params=None, capabilities=None, headers=None, meta=None, query=""):
        params = dict(params or {})
        params["_meta"] = {META + "protocolVersion": STATELESS, META + "clientCapabilities": capabilities or {},
                           META + "clientInfo": {"name": "scenario", "version": "1"}, **(meta or {})}
        fields = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method}
        name = params.get("uri") if method == "resources/read" else params.get("taskId") if method.startswith("tasks/") else params.get("name")
        if name is not None and method != "completion/complete":
            fields["Mcp-Name"] = name
        fields.update(headers or {})
        return self.send("POST", {"jsonrpc": "2.0", "id": self.id(), "method": method, "params": params}, fields, query)

    def call(self, tool, arguments=None, **more):
        extra = {k: more.pop(k) for k in ("inputResponses", "requestState") if k in more}
        return self.ask("tools/call", {"name": tool, "arguments": arguments or {}, **extra}, **more).message


class Session:
    def __init__(self, client, capabilities=None, version=SESSIONS):
        self.client = client
        answer = client.send("POST", {"jsonrpc": "2.0", "id": client.id(), "method": "initialize",
                                      "params": {"protocolVersion": version, "capabilities": capabilities or {},
                                                 "clientInfo": {"name": "scenario", "version": "1"}}})
        self.initialized = answer.message["result"]
        self.headers = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": self.initialized["protocolVersion"]}
        self.notify("notifications/initialized")

    def notify(self, method, params=None):
        return self.client.send("POST", {"jsonrpc": "2.0", "method": method, "params": params or {}}, self.headers)

    def request(self, method, params=None, id=None, headers=None):
        body = {"jsonrpc": "2.0", "id": self.client.id() if id is None else id, "method": method, "params": params or {}}
        return self.client.send("POST", body, {**self.headers, **(headers or {})})

    def respond(self, id, result):
        return self.client.send("POST", {"jsonrpc": "2.0", "id": id, "result": result}, self.headers)
