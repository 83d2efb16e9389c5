"""kill -9 after every single event of a run: it always ends with the same transcript, and every effect has happened once."""

from crash_lib import STEPS, answer_questions, check_run, finish, start, undisturbed, write_project
from lib import Problem, Receiver, Server, TemporaryFolder, check, equal, wait_until


def kill_after(server, project, run, tag, number):
    """Follows the run and kills the server as soon as event `number` is seen. False when the run ended before."""
    with server.events(run) as events:
        for event in events:
            if event["event"] == "delta":
                continue
            if event["data"]["number"] >= number:
                server.kill()
                return True
            if event["event"] == "run.ended":
                return False
            # Somebody has to answer, else the later positions are never reached.
            if event["event"] == "operation.started" and event["data"].get("type") == "CALLBACK":
                wait_until(lambda: server.questions(run), "the question that was announced")
                answer_questions(server, project, run, tag)
    raise AssertionError("the event stream ended before the run")


def kill_at_every_event(rounds):
    with TemporaryFolder() as folder, Receiver() as receiver:
        project = write_project(folder, receiver.port)
        with Server(folder / "data", project=project) as server:
            expected, last = undisturbed(server, receiver, project)
            check(last >= 2 * STEPS, f"the run has many positions ({last})")
            for turn in range(rounds):
                for number in range(1, last + 1):
                    tag = f"kill-{turn}-at-{number}"
                    run = start(server, tag)
                    check(kill_after(server, project, run, tag, number), f"event {number} is reached")
                    server.start()
                    finish(server, project, run, tag)
                    check_run(server, receiver, project, run, tag, expected)
            # The other runs were not touched by any of this.
            listed = server.get("/v1/runs?limit=1000")["runs"]
            equal({view["status"] for view in listed}, {"SUCCEEDED"}, "statuses of all runs")
            equal(len(listed), 1 + rounds * last, "number of runs")


def test_agent_survives_kill_at_every_event():
    kill_at_every_event(rounds=1)


def test_acknowledged_start_is_one_run_whatever_is_repeated():
    with TemporaryFolder() as folder, Receiver() as receiver:
        project = write_project(folder, receiver.port)
        with Server(folder / "data", project=project) as server:
            run = start(server, "twice")
            server.kill()
            server.start()
            equal(start(server, "twice"), run, "the same key after a kill")
            try:
                server.post("/v1/agents/worker/runs", {"input": "go other"}, headers={"Idempotency-Key": "start-twice"})
                raise AssertionError("another input with the same key must be refused")
            except Problem as problem:
                equal((problem.status, problem.code), (422, "idempotency.mismatch"), "refusal")
            finish(server, project, run, "twice")
            equal(len(server.get("/v1/runs")["runs"]), 1, "number of runs")
