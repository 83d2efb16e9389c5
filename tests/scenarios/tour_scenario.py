"""The tour that a new user takes, through the command line alone."""

import json
import os
import pty
import re
import subprocess

from lib import BINARY, Server, TemporaryFolder, check, cli, environment, equal, wait_until, write


def shop(folder):
    made = cli("init", "shop", cwd=folder)
    equal(made.code, 0, f"init {made}")
    return folder / "shop"


def test_init_serve_invoke_approve_and_look():
    with TemporaryFolder() as folder:
        project = shop(folder)
        check("clerk" in cli("validate", project).out, "validate names the agent")
        with Server(project / ".mayfly", project=project) as server:
            listed = cli("agents", server=server)
            check("clerk" in listed.out, f"agents {listed}")

            asked = cli("invoke", "clerk", "Where is order A-17?", server=server)
            equal(asked.code, 0, f"invoke {asked}")
            check("blue kettle" in asked.out, f"the tool's answer reaches the user: {asked}")

            waiting = cli("invoke", "clerk", "Please refund order A-17", server=server)
            equal(waiting.code, 6, f"a run that waits for a person says so: {waiting}")
            found = re.search(r"mayfly approve (run_\w+)", waiting.err)
            check(found, f"the user is told how to answer: {waiting}")
            run = found.group(1)
            table = cli("runs", "--waiting", server=server)
            check(run in table.out and "waits for a person" in table.out, f"runs shows why it waits: {table}")
            check(run in cli("questions", server=server).out, "questions lists it")

            equal(cli("approve", run, server=server).code, 0, "approve")
            followed = cli("logs", "-f", run, server=server)
            equal(followed.code, 0, f"logs -f ends with the run {followed}")
            check("run ended" in followed.out or "succeeded" in followed.out, f"{followed}")
            shown = cli("show", run, server=server)
            for word in ("succeeded", "approval", "refund", "get_order", "is refunded"):
                check(word in shown.out, f"show names {word}: {shown}")
            receipts = list((project / "refunds").glob("*.json"))
            equal(len(receipts), 1, "refunds paid")
            check("Please refund order A-17" in cli("show", run, "--transcript", server=server).out, "the transcript holds the question")

            again = cli("approve", run, server=server)
            check(again.code in (1, 5) and again.err.startswith("error:"), f"a second answer is refused: {again}")
            equal(cli("replay", run, server=server).code, 0, "replay without a difference")


def test_denied_call_is_not_made():
    with TemporaryFolder() as folder:
        project = shop(folder)
        with Server(project / ".mayfly", project=project) as server:
            run = cli("invoke", "clerk", "Please refund order A-17", "--no-wait", server=server).out.strip()
            wait_until(lambda: server.questions(run), "the question")
            equal(cli("deny", run, "--comment", "too much", server=server).code, 0, "deny")
            equal(server.ended(run)["status"], "SUCCEEDED", "status")
            check(not (project / "refunds").exists(), "nothing was paid")
            check("may not refund" in cli("show", run, server=server).out, "the model was told")


def test_json_is_for_programs_and_errors_say_what_to_do():
    with TemporaryFolder() as folder:
        project = shop(folder)
        with Server(project / ".mayfly", project=project) as server:
            done = cli("invoke", "clerk", "Where is order A-17?", "--json", server=server)
            run = json.loads(done.out)
            equal(run["status"], "SUCCEEDED", "status")
            equal(json.loads(cli("runs", "--json", server=server).out)[0]["id"], run["id"], "newest run")
            shown = json.loads(cli("show", run["id"], "--json", server=server).out)
            equal(shown["run"]["id"], run["id"], "shown run")
            check(shown["operations"], "operations")

            for arguments, code, word in (
                (["invoke", "clark", "hello"], 5, "clerk"),
                (["show", "run_00000000000000000000000000"], 5, "run"),
                (["runs", "--key", "mf_00000000_" + "x" * 43], 4, "key"),
                (["runs", "--status", "asleep"], 1, "RUNNING"),
                (["rollback", "clerk", "--version", "99"], None, "version"),
            ):
                refused = cli(*arguments, server=server)
                check(refused.code == code if code is not None else refused.code != 0, f"{arguments}: {refused}")
                check(refused.err.startswith("error:") and word in refused.err, f"{arguments} names {word}: {refused}")
            check("\x1b" not in done.out + done.err, "no colours without a terminal")


def test_deploy_versions_and_rollback():
    with TemporaryFolder() as folder:
        project = shop(folder)
        with Server(project / ".mayfly", project=project) as server:
            equal(server.get("/v1/agents/clerk")["version"], 1, "first version")
            check("version 1" in cli("deploy", project, server=server).out, "the same project is no new version")
            text = (project / "mayfly.yaml").read_text()
            (project / "mayfly.yaml").write_text(text.replace("Answers questions", "Now answers questions"))
            check("version 2" in cli("deploy", project, server=server).out, "a change is a new version")
            equal(cli("rollback", "clerk", server=server).code, 0, "rollback")
            equal(server.get("/v1/agents/clerk")["version"], 1, "after the rollback")
            (project / "mayfly.yaml").write_text(text.replace("steps: 10", "steps: ten"))
            broken = cli("deploy", project, server=server)
            equal(broken.code, 1, f"{broken}")
            check(re.search(r"mayfly\.yaml:\d+:\d+: ", broken.err), f"the place of the problem: {broken}")


def test_keys_open_what_they_should_and_no_more():
    with TemporaryFolder() as folder:
        project = shop(folder)
        with Server(project / ".mayfly", project=project) as server:
            made = cli("keys", "create", "reader", "--scope", "read", "--expires-in", "1h", server=server)
            equal(made.code, 0, f"{made}")
            key = made.out.strip()
            equal(cli("runs", "--key", key, server=server).code, 0, "may read")
            equal(cli("invoke", "clerk", "hi", "--key", key, server=server).code, 4, "may not invoke")
            check("reader" in cli("keys", "list", server=server).out, "is listed")
            check(key not in cli("keys", "list", server=server).out, "its secret is not")
            equal(cli("keys", "revoke", key, server=server).code, 0, "revoke")
            equal(cli("runs", "--key", key, server=server).code, 4, "is worthless now")
            check(key not in server.log_text() and server.key not in server.log_text(), "no key is logged")


def test_invoke_goes_on_over_a_killed_server():
    with TemporaryFolder() as folder:
        project = shop(folder)
        server = Server(project / ".mayfly", project=project)
        with server:
            port = server.port
            run = server.invoke("clerk", "Please refund order A-17")
            wait_until(lambda: server.questions(run), "the question")
            follower = subprocess.Popen([str(BINARY), "logs", "-f", run], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=environment(MAYFLY_URL=server.url, MAYFLY_DATA=str(server.data)))
            # Seen by the client before the kill.
            lines = [follower.stdout.readline() for _ in range(2)]
            server.kill()
            server.listen = f"127.0.0.1:{port}"
            server.start()
            wait_until(lambda: server.questions(run), "the question after the restart")
            server.post(f"/v1/runs/{run}/answer", {"decision": "approve"})
            out, err = follower.communicate(timeout=120)
            equal(follower.returncode, 0, f"{lines} {out} {err}")
            numbers = "".join(lines) + out
            equal(numbers.count("run started"), 1, f"nothing is told twice: {numbers}")
            check("connection lost" in err and "succeeded" in out, f"{out}\n{err}")


def test_serve_stops_gracefully_and_doctor_is_content():
    with TemporaryFolder() as folder:
        project = shop(folder)
        server = Server(project / ".mayfly", project=project).start()
        done = cli("doctor", "--json", server=server)
        verdicts = {entry["check"]: entry["verdict"] for entry in json.loads(done.out)}
        equal(verdicts.get("server"), "ok", f"{done}")
        equal(verdicts.get("key"), "ok", f"{done}")
        equal(done.code, 0, f"{done}")
        run = server.invoke("clerk", "Please refund order A-17")
        wait_until(lambda: server.questions(run), "the question")
        equal(server.stop(), 0, "exit code")
        equal(cli("runs", env={"MAYFLY_URL": "http://127.0.0.1:1"}).code, 3, "no server")
        with server.start():
            equal(server.run(run)["status"], "RUNNING", "the waiting run is still there")


def test_demo_answers_every_ticket_and_repeats_nothing():
    with TemporaryFolder() as folder:
        project = shop(folder)
        tickets = project / "tickets"
        tickets.mkdir()
        for number, text in enumerate(["Where is order A-17?", "Please refund order A-17", "Where is order Z-99?"]):
            (tickets / f"{number}.json").write_text(json.dumps({"id": f"t{number}", "customer": "ann@example.com", "subject": "Hello", "text": text}))
        first = cli("demo", ".", "--yes", cwd=project)
        equal(first.code, 0, f"{first}")
        check("3 of 3 tickets answered" in first.err, f"{first}")
        check("approve" in first.err, f"the approval is told: {first}")
        equal(len(list((project / "refunds").glob("*.json"))), 1, "refunds paid")
        again = cli("demo", ".", "--yes", cwd=project)
        equal(again.code, 0, f"{again}")
        equal(again.err.count("was answered before"), 3, f"{again}")
        equal(len(list((project / "refunds").glob("*.json"))), 1, "refunds paid after the second time")


def test_demo_goes_on_where_kill_9_cut_it_off():
    with TemporaryFolder() as folder:
        project = shop(folder)
        for number in range(3):
            write(project / f"tickets/{number}.json", json.dumps({"id": f"t{number}", "customer": "ann@example.com", "text": "Please refund order A-17"}))
        cut = subprocess.Popen([str(BINARY), "demo", ".", "--yes"], cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment())
        for line in cut.stderr:
            if "t1" in line:
                break
        cut.kill()
        cut.wait()
        again = cli("demo", ".", "--yes", cwd=project)
        equal(again.code, 0, f"{again}")
        check("3 of 3 tickets answered" in again.err, f"{again}")
        check("t0" in again.err and "was answered before" in again.err, f"the first ticket is not repeated: {again}")
        equal(len(list((project / "refunds").glob("*.json"))), 3, "one refund for each ticket")


def test_person_at_the_terminal_is_asked():
    with TemporaryFolder() as folder:
        project = shop(folder)
        with Server(project / ".mayfly", project=project) as server:
            master, slave = pty.openpty()
            process = subprocess.Popen([str(BINARY), "invoke", "clerk", "Please refund order A-17"], stdin=slave, stdout=slave, stderr=slave,
                                       env=environment(MAYFLY_URL=server.url, MAYFLY_DATA=str(server.data), TERM="xterm"))
            os.close(slave)
            seen = b""
            answered = False
            while True:
                try:
                    chunk = os.read(master, 4096)
                except OSError:
                    break  # the program has ended
                if not chunk:
                    break
                seen += chunk
                if not answered and b"1 approve, 2 deny" in seen:
                    os.write(master, b"maybe\ny\n")
                    answered = True
            os.close(master)
            equal(process.wait(), 0, f"{seen.decode()}")
            text = seen.decode()
            check(answered and text.count("1 approve, 2 deny") == 2, f"an answer that is none is asked again: {text}")
            equal(text.count("is refunded"), 1, f"the streamed answer is not printed twice: {text}")
