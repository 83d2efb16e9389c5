"""The long form: every position several times, then 200 kills at random moments while many runs go on. Seed in SCENARIO_SEED."""

import os
import random
import threading

from crash_lib import CONNECTION_ERRORS, check_run, finish, start, undisturbed, write_project
from crash_scenario import kill_at_every_event
from lib import Problem, Receiver, Server, TemporaryFolder, check

ROUNDS = int(os.environ.get("SCENARIO_ROUNDS", "3"))
KILLS = int(os.environ.get("SCENARIO_KILLS", "200"))
IN_FLIGHT = 20


def test_every_event_several_times():
    kill_at_every_event(rounds=ROUNDS)


def test_random_kills_under_load():
    from crash_lib import answer_questions

    seed = int(os.environ.get("SCENARIO_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"     SCENARIO_SEED={seed}")
    chance = random.Random(seed)
    with TemporaryFolder() as folder, Receiver() as receiver:
        # Streaming at a finite speed, so that kills also hit the middle of a model's answer.
        project = write_project(folder, receiver.port, tokens_per_second=400)
        with Server(folder / "data", project=project) as server:
            expected, _ = undisturbed(server, receiver, project)
            open_runs, done, made = {}, {}, 0
            for _ in range(KILLS):
                # From another thread, so that kills also fall into requests.
                killer = threading.Timer(chance.uniform(0, 0.6), server.process.kill)
                killer.start()
                try:
                    while server.process.poll() is None:
                        while len(open_runs) < IN_FLIGHT:
                            tag = f"load-{made}"
                            open_runs[tag] = start(server, tag)
                            made += 1
                        for tag, run in chance.sample(sorted(open_runs.items()), 3):
                            if server.run(run)["status"] != "RUNNING":
                                done[tag] = open_runs.pop(tag)
                            else:
                                answer_questions(server, project, run, tag)
                except Problem as problem:
                    check(problem.status == 503, f"{problem}")
                except CONNECTION_ERRORS:
                    pass
                killer.join()
                server.kill()
                server.start()
            for tag, run in open_runs.items():
                finish(server, project, run, tag)
                done[tag] = run
            check(len(done) >= IN_FLIGHT, "runs were made")
            for tag, run in done.items():
                check_run(server, receiver, project, run, tag, expected)
