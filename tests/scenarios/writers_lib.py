"""Many MCP clients edit the same files while the server is killed: nothing acknowledged is lost, nothing is torn, and the history explains every byte."""

import hashlib
import json
import random
import threading
import urllib.error
import urllib.request

from lib import Server, TemporaryFolder, check, equal, wait_until


class Client:
    """An MCP client of the stateless era: one POST a call."""

    def __init__(self, server, name):
        self.server, self.name, self.number, self.base, self.key = server, name, 0, server.url, server.key

    def call(self, tool, **arguments):
        """The structured content and whether it is an error; nothing when the server went away."""
        self.number += 1
        arguments["workspace"] = "shared"
        body = {"jsonrpc": "2.0", "id": self.number, "method": "tools/call",
                "params": {"name": tool, "arguments": arguments,
                           "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": {"name": self.name, "version": "1"},
                                     "io.modelcontextprotocol/clientCapabilities": {}}}}
        request = urllib.request.Request(self.base + "/mcp", data=json.dumps(body).encode(), method="POST", headers={
            "Authorization": "Bearer " + self.key, "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call", "Mcp-Name": tool})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{tool}: HTTP {error.code} {error.read()[:500]}") from None
        except OSError:
            return None, None
        except Exception:  # the connection broke in the middle of the answer
            return None, None
        for line in text.splitlines() if text.startswith(("event:", "data:", "id:", ":")) else ["data: " + text]:
            if line.startswith("data:"):
                message = json.loads(line[5:])
                if message.get("id") == self.number:
                    if "error" in message:
                        raise AssertionError(f"{tool}: {message['error']}")
                    return message["result"].get("structuredContent", {}), message["result"].get("isError", False)
        return None, None


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged, self.unknown, self.refused, self.failure = {}, set(), 0, None

    def note(self, kind, token, path=None):
        with self.lock:
            if kind == "acknowledged":
                self.acknowledged[token] = path
            elif kind == "unknown":
                self.unknown.add(token)
            else:
                self.refused += 1


def edit_by_cas(client, path, token, tally):
    """Reads, adds a line, writes with the etag it read."""
    while True:
        seen, bad = client.call("file_read", path=path, budget_bytes=262144)
        if seen is None:
            return wait_for(client)
        check(not bad, f"reading: {seen}")
        done, bad = client.call("file_write", path=path, content=seen["text"] + token + "\n", if_match=seen["etag"])
        if done is None:
            tally.note("unknown", token)
            return wait_for(client)
        if not bad:
            return tally.note("acknowledged", token, path)
        tally.note("refused", token)
        check(done["error"]["code"] in ("ws.conflict", "ws.locked"), f"a refusal that nobody expects: {done}")


def edit_under_lock(client, path, token, tally):
    grant, bad = client.call("lock_acquire", path=path, wait_ms=10000, ttl_s=5, idempotency_key="lock " + token)
    if grant is None:
        return wait_for(client)
    if bad:
        check(grant["error"]["code"] == "ws.locked", f"a refusal that nobody expects: {grant}")
        return tally.note("refused", token)
    done, bad = client.call("file_edit", path=path, mode="append", new_text=token + "\n", lock_token=grant["lock_token"], idempotency_key="edit " + token)
    if done is None:
        tally.note("unknown", token)
        return wait_for(client)
    check(not bad, f"the holder of a lock was refused: {done}")
    tally.note("acknowledged", token, path)
    client.call("lock_release", path=path, lock_token=grant["lock_token"])


def wait_for(client):
    wait_until(lambda: client.call("whoami")[0] is not None, "the server comes back")


def run(clients, files, edits, kills, seed=1):
    with TemporaryFolder() as folder:
        server = Server(folder / "data")
        server.listen = "127.0.0.1:0"
        with server:
            server.listen = f"127.0.0.1:{server.port}"
            server.post("/v1/workspaces", {"name": "shared"})
            first = Client(server, "first")
            for number in range(files):
                first.call("file_write", path=f"/{number}.txt", content="begin\n", create_only=True)
            tally, done = Tally(), [0]

            def work(number):
                dice, client = random.Random(seed * 1000 + number), Client(server, f"client-{number}")
                try:
                    for edit in range(edits):
                        way = edit_by_cas if dice.random() < 0.5 else edit_under_lock
                        way(client, f"/{dice.randrange(files)}.txt", f"c{number}e{edit}", tally)
                        done[0] += 1
                except BaseException as error:  # told by the main thread
                    tally.failure = error

            threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
            for thread in threads:
                thread.start()
            for kill in range(kills):
                wait_until(lambda: tally.failure or done[0] >= clients * edits * (kill + 1) // (kills + 1), "the next moment to kill")
                server.kill()
                server.start()
            for thread in threads:
                thread.join()
            if tally.failure:
                raise tally.failure
            judge(server, files, tally)
            return tally


def judge(server, files, tally):
    reader, known = Client(server, "judge"), set(tally.acknowledged) | tally.unknown
    for number in range(files):
        path = f"/{number}.txt"
        versions, cursor = [], {}
        while cursor is not None:
            page, bad = reader.call("version_list", path=path, limit=1000, **cursor)
            check(not bad, f"the history: {page}")
            versions += page["versions"]
            cursor = {"cursor": page["next_cursor"]} if "next_cursor" in page else None
        versions.reverse()
        equal([v["version"] for v in versions], list(range(1, len(versions) + 1)), f"{path}: its versions")
        before = ""
        for version in versions:
            request = urllib.request.Request(server.url + f"/v1/workspaces/shared/files{path}?version={version['version']}", headers={"Authorization": "Bearer " + server.key})
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
            equal(hashlib.sha256(content).hexdigest(), version["sha256"], f"{path} version {version['version']} is whole")
            text = content.decode()
            check(text.startswith(before) and text[len(before):].count("\n") == 1 and text.endswith("\n"), f"{path} version {version['version']} is the one before it and one line: {text[len(before):]!r}")
            before = text
        lines = before.splitlines()[1:]
        equal(len(lines), len(set(lines)), f"{path}: lines that are there twice")
        for line in lines:
            check(line in known, f"{path} holds a line that nobody wrote: {line}")
        missing = [token for token, where in tally.acknowledged.items() if where == path and token not in lines]
        equal(missing, [], f"{path}: acknowledged and lost")
