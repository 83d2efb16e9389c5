"""The examples that work by themselves: the newsroom in its three ways, and operations with an alert, a webhook and a schedule."""

import datetime
import hashlib
import hmac
import json
import shutil
import urllib.error
import urllib.request

from lib import ROOT, Server, TemporaryFolder, check, cli, environment, equal, wait_until, write

TEXT = "Twice a day the Moon lifts the sea. At La Rance in Brittany that has made electricity since 1966."
REMARK = "revise: name one place where it is used today."
NEVER_CONTENT = "version: 1\nconversations: []\ndefault: {text: 'revise: try again.'}\n"
SECRET = "scenario-secret"


def ok(server, *arguments):
    done = cli(*arguments, server=server)
    equal(done.code, 0, f"mayfly {' '.join(map(str, arguments))}: {done}")
    return done.out


def published(server, count):
    ready = lambda: len(found := server.get("/v1/queues/published/messages")["messages"]) >= count and found
    return [json.loads(message["body"]) for message in wait_until(ready, f"{count} texts in the queue `published`")]


def answers_of(server, agent):
    runs = server.get(f"/v1/runs?agent={agent}")["runs"]
    return [server.run(run["id"])["result"]["text"] for run in reversed(runs)]


def newsroom(folder, reviewer=None):
    """A copy of the example, whose reviewer may be another."""
    shutil.copytree(ROOT / "examples/newsroom", folder / "newsroom")
    if reviewer:
        write(folder / "newsroom/scripts/reviewer.yaml", reviewer)
    return folder / "newsroom"


def test_newsroom_with_a_supervisor():
    with TemporaryFolder() as folder, Server(folder / "data", project=newsroom(folder)) as server:
        check(TEXT in ok(server, "invoke", "editor", "Write about the tides"), "the editor answers with the revised text")
        equal(answers_of(server, "reviewer"), [REMARK, TEXT], "the reviewer sent the text back once")
        run = server.get("/v1/runs?agent=editor")["runs"][0]["id"]
        check(run in ok(server, "runs"), "runs names the editor's run")
        shown = ok(server, "show", run)
        for child in server.run(run)["children"]:
            check(child["run"] in shown, f"the tree names {child['run']}: {shown}")


def test_newsroom_with_queues():
    with TemporaryFolder() as folder, Server(folder / "data", project=newsroom(folder)) as server:
        ok(server, "queues", "send", "topics", "the tides")
        equal(published(server, 1), [{"topic": "the-tides", "sent_back": 1, "accepted": True, "text": TEXT}], "published")
        equal(answers_of(server, "line-reviewer"), [REMARK, TEXT], "the reviewer sent the text back once")
        check(TEXT in ok(server, "queues", "peek", "published"), "peek shows the text")
        check("send-back" in ok(server, "triggers", "list"), "the triggers are listed")
        equal(server.get("/v1/queues/newsroom-dead/messages")["messages"], [], "dead messages")


def test_newsroom_line_survives_a_kill():
    with TemporaryFolder() as folder:
        server = Server(folder / "data", project=newsroom(folder))
        with server:
            topics = [f"the tides {number}" for number in range(20)]
            for topic in topics:
                server.post("/v1/queues/topics/messages", {"body": topic})
            wait_until(lambda: server.get("/v1/runs?agent=line-writer")["runs"], "the first drafts")
            server.kill()
            server.start()
            out = published(server, len(topics))
            equal(sorted({one["topic"] for one in out}), sorted(topic.replace(" ", "-") for topic in topics), "topics that were published")
            equal({(one["sent_back"], one["text"]) for one in out}, {(1, TEXT)}, "every text came back once")


def test_newsroom_as_a_state_machine():
    with TemporaryFolder() as folder, Server(folder / "data", project=newsroom(folder)) as server:
        ok(server, "workflows", "validate", ROOT / "examples/newsroom/article.asl.json")
        said = ok(server, "workflows", "start", "article", '{"topic": "the tides"}', "--name", "tides-1", "--wait", "60s")
        check(TEXT in said and "SUCCEEDED" in said, f"start --wait shows the text: {said}")
        done = server.get("/v1/workflows/article/executions/tides-1")
        equal(done["output"], {"topic": "the tides", "sent_back": 1, "text": TEXT}, "output")
        equal(answers_of(server, "reviewer"), [REMARK, TEXT], "the reviewer sent the text back once")
        equal(ok(server, "workflows", "history", "article", "tides-1").count("TaskStateEntered"), 6, "two researchers, two drafts, two reviews")


def test_newsroom_sends_back_at_most_twice():
    with TemporaryFolder() as folder, Server(folder / "data", project=newsroom(folder, NEVER_CONTENT)) as server:
        ok(server, "queues", "send", "topics", "the tides")
        equal(published(server, 1), [{"topic": "the-tides", "sent_back": 2, "accepted": False, "text": "revise: try again."}], "off the line")
        equal(len(answers_of(server, "line-writer")), 3, "drafts of the line")
        cli("workflows", "start", "article", '{"topic": "the tides"}', "--name", "tides-1", "--wait", "60s", server=server)
        done = server.get("/v1/workflows/article/executions/tides-1")
        equal((done["status"], done["error"]["error"]), ("FAILED", "Newsroom.NotAccepted"), f"end of the execution {done}")
        equal(len(answers_of(server, "writer")), 3, "drafts of the state machine")


def operations(folder):
    shutil.copytree(ROOT / "examples/ops", folder / "ops", ignore=shutil.ignore_patterns("restarts.jsonl"))
    return Server(folder / "data", project=folder / "ops", env=environment(GITHUB_WEBHOOK_SECRET=SECRET))


def test_ops_alert_is_asked_about_and_restarts_once():
    with TemporaryFolder() as folder, operations(folder) as server:
        ledger = folder / "ops/restarts.jsonl"
        ok(server, "queues", "send", "alerts", '{"service": "payments", "state": "down"}')
        question = wait_until(lambda: server.questions(), "the question")[0]
        check("restart_service" in ok(server, "questions"), "the command line shows the question")
        check(not ledger.exists(), "nothing is restarted before the answer")
        server.kill()
        server.start()
        equal(len(wait_until(lambda: server.questions(), "the question after a kill")), 1, "questions")
        ok(server, "approve", question["run"])
        done = server.ended(question["run"])
        equal((done["status"], done["result"]["text"]), ("SUCCEEDED", "Done. payments was restarted"), "end")
        wait_until(lambda: not any(server.get("/v1/queues/alerts")["depth"].values()), "the alert is done")
        lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        equal([line["service"] for line in lines], ["payments"], "restarts")
        equal(len(server.get("/v1/runs?agent=oncall")["runs"]), 1, "runs")


def build(server, conclusion, delivery, secret=SECRET):
    body = json.dumps({"action": "completed", "repository": {"full_name": "acme/shop"},
                       "workflow_run": {"name": "ci", "conclusion": conclusion, "head_branch": "main"}}).encode()
    request = urllib.request.Request(server.url + "/hooks/github", data=body, method="POST")
    for name, value in {"Content-Type": "application/json", "X-GitHub-Event": "workflow_run", "X-GitHub-Delivery": delivery,
                        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_ops_failed_builds_start_a_run_and_others_none():
    with TemporaryFolder() as folder, operations(folder) as server:
        runs = lambda: server.get("/v1/runs?agent=oncall")["runs"]
        check(build(server, "success", "d-1") // 100 == 2, "a successful build is accepted")
        equal(build(server, "failure", "d-2", secret="another"), 401, "a delivery signed by another")
        equal(runs(), [], "runs before a failed build")
        check(build(server, "failure", "d-3") // 100 == 2, "a failed build is accepted")
        check(build(server, "failure", "d-3") // 100 == 2, "the same delivery again is accepted")
        done = server.ended(wait_until(runs, "the run of the failed build")[0]["id"])
        check(done["result"]["text"].startswith("The build ci of acme/shop failed."), f"answer {done['result']}")
        equal(len(runs()), 1, "runs")


def test_ops_next_report_is_on_a_weekday_at_eight_in_berlin():
    with TemporaryFolder() as folder, operations(folder) as server:
        found = {one["name"]: one for one in server.get("/v1/schedules")["schedules"]}["morning-report"]
        equal((found["expression"], found["time_zone"]), ("cron(0 8 ? * MON-FRI *)", "Europe/Berlin"), "schedule")
        check(found["next"][11:] in ("06:00:00.000Z", "07:00:00.000Z"), f"eight o'clock in Berlin: {found['next']}")
        check(datetime.date.fromisoformat(found["next"][:10]).weekday() < 5, f"a weekday: {found['next']}")
