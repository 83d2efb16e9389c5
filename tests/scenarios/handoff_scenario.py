"""Hand-over by files: a lock, a file that starts the next agent, and a person who gets the workspace by a claim link."""

import json
import re
import urllib.error
import urllib.request

from lib import ROOT, Server, TemporaryFolder, check, equal, wait_until


def act(server, action, **arguments):
    return server.post(f"/v1/workspaces/handoff/actions/{action}", arguments)


def anybody(server, method, path, body=None):
    """Without a key."""
    request = urllib.request.Request(server.url + path, data=None if body is None else json.dumps(body).encode(), method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_file_hands_work_to_the_next_agent_and_the_workspace_to_a_person():
    with TemporaryFolder() as folder, Server(folder / "data", project=ROOT / "examples/handoff") as server:
        run = server.invoke("researcher", "Look into the trains")
        equal(server.ended(run)["status"], "SUCCEEDED", "the researcher's run")
        writers = wait_until(lambda: [r for r in server.get("/v1/runs?agent=writer")["runs"] if r["status"] != "RUNNING"], "the file starts the writer")
        equal(len(writers), 1, "runs of the writer for one file")
        text = json.dumps(server.run(writers[0]["id"] if "id" in writers[0] else writers[0]["run"]))
        found = re.search(r"/claim/[\w.\-]+", text)
        check(found, f"the writer's answer holds a claim link: {text}")

        wait_until(lambda: act(server, "lock_status", path="/findings")["locks"] == [], "the lock ends with the run")
        types = [event["type"] for event in act(server, "event_list", limit=100)["events"]]
        for wanted in ("lock.acquired", "file.created", "lock.released", "transfer.offered"):
            check(wanted in types, f"the event {wanted} is in the history: {types}")
        check(types.index("lock.acquired") < types.index("file.created"), "the file was written under the lock")

        claim = found.group(0)
        status, offered = anybody(server, "GET", claim)
        equal((status, offered.get("workspace")), (200, "handoff"), "what the link offers")
        status, accepted = anybody(server, "POST", claim, {"name": "Ann"})
        equal(status, 200, f"accepting: {accepted}")
        mine = {"Authorization": "Bearer " + accepted["key"]}
        request = urllib.request.Request(server.url + "/v1/workspaces/handoff/files/report.md", headers=mine)
        with urllib.request.urlopen(request, timeout=60) as answer:
            check(b"nine times in ten" in answer.read(), "the person reads the report")
        request = urllib.request.Request(server.url + "/v1/workspaces/handoff", headers=mine)
        with urllib.request.urlopen(request, timeout=60) as answer:
            equal(json.loads(answer.read())["role"], "owner", "the person's role")
        status, refused = anybody(server, "POST", claim, {"name": "Bob"})
        equal((status, refused["code"]), (404, "link.invalid"), "a claim link works once")
