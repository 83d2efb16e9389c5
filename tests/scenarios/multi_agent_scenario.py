"""Agents that give work to others: the newsroom, a conversation that moves, kill -9 in the middle, and cancelling a tree."""

from lib import ROOT, Server, TemporaryFolder, check, cli, equal, wait_until, write

DESK = """version: 1
providers:
  desk:  {kind: scripted, script: desk.yaml}
  money: {kind: scripted, script: money.yaml}
agents:
  desk:
    model: desk/script
    instructions: Send people on.
    session: keyed
    agents: {money: {mode: handoff}, slow: {}}
  money:
    model: money/script
    instructions: Pay.
  slow:
    model: money/script
    instructions: Wait.
    agents: {slower: {}}
  slower:
    model: money/script
    instructions: Wait longer.
    tools: [sleep]
"""
DESK_SCRIPT = """version: 1
conversations:
  - match: refund
    turns: [{tool_calls: [{name: hand_off, arguments: {agent: money, message: "A refund, please", reason: "money"}}]}]
  - match: wait
    turns: [{tool_calls: [{name: delegate, arguments: {agent: slow, task: "level one"}}]}, {text: "waited"}]
  - match: handed the conversation back
    turns: [{text: "The desk is here again."}]
default: {text: "The desk heard: {{user}}"}
"""
MONEY_SCRIPT = """version: 1
conversations:
  - match: level one
    turns: [{tool_calls: [{name: delegate, arguments: {agent: slower, task: "level two"}}]}, {text: "one is over"}]
  - match: level two
    turns: [{tool_calls: [{name: sleep, arguments: {seconds: 3600}}]}, {text: "two is over"}]
  - match: goodbye
    turns: [{tool_calls: [{name: hand_back, arguments: {message: "She is done."}}]}]
default: {text: "Money heard: {{user}}"}
"""


def desk(folder):
    write(folder / "mayfly.yaml", DESK)
    write(folder / "desk.yaml", DESK_SCRIPT)
    write(folder / "money.yaml", MONEY_SCRIPT)
    return folder


def say(server, text, session="ann"):
    run = server.post("/v1/agents/desk/runs", {"input": text, "session": session})["run"]
    return server.ended(run)


def depths(children):
    return 1 + max((depths(child["children"]) for child in children), default=0) if children else 0


def test_newsroom_makes_an_article_and_shows_its_tree():
    with TemporaryFolder() as folder, Server(folder / "data", project=ROOT / "examples/newsroom") as server:
        done = cli("invoke", "editor", "Write about the tides", server=server)
        equal(done.code, 0, f"invoke {done}")
        check("La Rance" in done.out, f"the revised text is the answer: {done}")
        run = next(r for r in server.get("/v1/runs?agent=editor")["runs"])
        view = server.get("/v1/runs/" + run["id"])
        equal([child["agent"] for child in view["children"]], ["researcher", "researcher", "writer", "reviewer", "writer", "reviewer"], "children")
        equal(view["summary"]["total"]["steps"], view["summary"]["steps"] + 6, "model calls roll up")
        shown = cli("show", run["id"], server=server).out
        for child in view["children"]:
            check(child["run"] in shown, f"show names {child['run']}: {shown}")


def test_conversation_moves_and_comes_back():
    with TemporaryFolder() as folder, Server(folder / "data", project=desk(folder)) as server:
        equal(say(server, "I want a refund")["result"]["text"], "Money heard: A refund, please", "the other agent answers")
        equal(say(server, "how long?")["result"]["text"], "Money heard: how long?", "and goes on answering")
        equal(say(server, "hello", session="bob")["result"]["text"], "The desk heard: hello", "other sessions stay where they were")
        check("desk is here again" in say(server, "goodbye")["result"]["text"], "until it hands back")
        equal(say(server, "still there?")["result"]["text"], "The desk heard: still there?", "then the first agent answers")


def test_tree_survives_a_kill_and_is_cancelled_as_a_whole():
    with TemporaryFolder() as folder:
        server = Server(folder / "data", project=desk(folder))
        with server:
            run = server.post("/v1/agents/desk/runs", {"input": "wait", "session": "ann"})["run"]
            look = lambda: server.get("/v1/runs/" + run)
            wait_until(lambda: depths(look()["children"]) == 2 and look()["children"][0]["children"][0]["wait"], "the grandchild sleeps")
            server.kill()
            server.start()
            tree = look()
            equal(depths(tree["children"]), 2, "the tree is there again")
            equal(tree["wait"]["kind"], "chained_invoke", "why the root waits")
            server.post(f"/v1/runs/{run}/cancel", {"reason": "enough"})
            child = tree["children"][0]
            for below in (child["run"], child["children"][0]["run"]):
                equal(server.ended(below)["status"], "STOPPED", f"{below} ends with its root")
