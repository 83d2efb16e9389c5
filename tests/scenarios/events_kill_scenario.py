"""Events from four sources at once, and kill -9 in the middle: each accepted one has its one effect, in order; what is poison lies with the dead.

EVENTS, KILLS and SCENARIO_SEED in the environment make it as large as one likes (events_kill_full does).
"""

import http.client
import json
import math
import os
import random
import re
import sqlite3
import threading
import time
import urllib.parse

from lib import DEADLINE, Server, TemporaryFolder, check, environment, equal, free_port, wait_until, write
from webhooks_scenario import github

SECRET = "the hub's secret"
LANES = 4            # producers of each source: each with a session or group of its own
TRIES = 3            # what is poison is tried so often
POISON_EVERY = 8
SESSION_RUNS = 20    # then the lane takes another session: each run of a session reads what was said before
MARK = re.compile(r"@([a-z]+-\d+-\d+)@")

PROJECT = """version: 1
providers:
  play: {kind: scripted, script: model.yaml}
agents:
  keeper: &agent
    model: play/agent
    instructions: Do what you are told.
    session: {keyed: true, when_busy: queue, queue_max: 1000}
  worker: {model: play/agent, instructions: Do what you are told.}
  sorter: {model: play/agent, instructions: Do what you are told.}
  clockwork: {model: play/agent, instructions: Do what you are told.}
  fragile: {model: play/agent, instructions: Do what you are told.}
queues:
  dead: {}
  dead.fifo: {}
  sink.fifo: {}
  jobs: {visibility_timeout: 2m, dead_letter: {queue: dead, receives_max: 3}}
  orders.fifo: {visibility_timeout: 2m, dead_letter: {queue: dead.fifo, receives_max: 3}}
triggers:
  route:
    http: {path: "/work/{session}", auth: key}
    session: $path.session
    input: data.text
    target: {agent: keeper}
  hook:
    webhook: {scheme: github, path: /hooks/keeper, secret_env: [HOOK_SECRET]}
    session: data.session
    input: data.text
    target: {agent: keeper}
  hook-to-queue:
    webhook: {scheme: github, path: /hooks/sink, secret_env: [HOOK_SECRET]}
    input: data.text
    target: {queue: sink.fifo, group: data.lane}
  hook-with-retries:
    webhook: {scheme: github, path: /hooks/fragile, secret_env: [HOOK_SECRET]}
    input: data.text
    target: {agent: fragile}
    retry: {attempts: 3, first_delay: 100ms}
    dead_letter_queue: dead
  jobs: {queue: {name: jobs, concurrency: 20}, target: {agent: worker}}
  orders: {queue: {name: orders.fifo, concurrency: 20}, target: {agent: sorter}}
"""

MODEL = """version: 1
conversations:
  - match: poison
    turns:
      - {error: {status: 400, times: 1000000}, text: never said}
  - match: {regex: "@([a-z0-9-]+)@"}
    turns:
      - {text: "did {{1}}"}
"""


def number(mark):
    return int(mark.rsplit("-", 1)[1])


def session_of(mark):
    return f"{mark.rsplit('-', 1)[0]}-{number(mark) // SESSION_RUNS}"


class Client:
    """Says a thing until it is accepted, whatever dies meanwhile."""

    def __init__(self, server, key):
        self.server, self.key, self.connection = server, key, None

    def once(self, method, path, body, headers):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.fixed_port, timeout=DEADLINE)
        try:
            self.connection.request(method, path, body, {"Content-Type": "application/json", "Authorization": "Bearer " + self.key, **headers})
            answer = self.connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            return None, ""

    def until_accepted(self, method, path, body, headers=None):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            status, text = self.once(method, path, body, headers or {})
            if status and 200 <= status < 300:
                return text
            check(status in (None, 429, 503), f"{method} {path} {body!r}: {status} {text}")
            time.sleep(0.02 if status is None else 0.1)
        raise AssertionError(f"{method} {path} was not accepted in {DEADLINE:.0f} s")


class Load:
    """The producers, and what was accepted from them."""

    def __init__(self, server, events):
        self.server, self.key = server, server.key
        self.accepted = {}  # kind -> [marker], each lane in its order
        self.poison = set()
        self.lock = threading.Lock()
        self.failures = []
        shares = {"route": 2, "job": 2, "order": 1, "hook": 1, "sink": 0.5, "fragile": 0.5, "clock": 1}
        counts = {kind: math.ceil(events * share / sum(shares.values()) / LANES) for kind, share in shares.items()}
        self.total = LANES * sum(counts.values())
        self.threads = [threading.Thread(target=self.produce, args=(kind, lane, count)) for kind, count in counts.items() for lane in range(LANES)]

    @property
    def count(self):
        return sum(map(len, self.accepted.values()))

    def produce(self, kind, lane, count):
        client = Client(self.server, self.key)
        try:
            for number in range(count):
                mark = f"{kind}-{lane}-{number}"
                # What fails in a keyed session or in the sink has nobody who tries it again.
                is_poison = kind in ("job", "order", "fragile", "clock") and number % POISON_EVERY == POISON_EVERY // 2
                if is_poison:
                    with self.lock:
                        self.poison.add(mark)
                self.send(client, kind, lane, mark, f"{'poison' if is_poison else 'do'} @{mark}@")
                with self.lock:
                    self.accepted.setdefault(kind, []).append(mark)
        except Exception as error:  # noqa: BLE001 — told by the main thread
            self.failures.append(f"{kind}-{lane}: {error!r}")

    def send(self, client, kind, lane, mark, text):
        if kind == "route":
            client.until_accepted("POST", f"/work/{session_of(mark)}", json.dumps({"text": text}), {"Idempotency-Key": mark})
        elif kind == "job":
            client.until_accepted("POST", "/v1/queues/jobs/messages", json.dumps({"body": text, "idempotency_key": mark}))
        elif kind == "order":
            message = {"body": text, "group": f"group-{lane}", "deduplication_id": mark}
            client.until_accepted("POST", "/v1/queues/orders.fifo/messages", json.dumps(message))
        elif kind == "clock":
            self.schedule(client, mark, text)
        else:
            body = json.dumps({"text": text, "lane": f"lane-{lane}", "session": session_of(mark)}).encode()
            client.until_accepted("POST", "/hooks/" + ("keeper" if kind == "hook" else kind), body, github(body, mark, secret=SECRET))

    @staticmethod
    def schedule(client, mark, text):
        """A repeated PUT would begin anew: what may have been put is looked for first."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3))
            body = {"expression": f"at({at})", "target": {"agent": "clockwork"}, "input": text, "missed": "once",
                    "retry": {"attempts": TRIES - 1, "max_age": "1h"}, "dead_letter_queue": "dead"}
            status, answer = client.once("PUT", "/v1/schedules/" + mark, json.dumps(body), {})
            if status in (200, 201):
                return
            check(status in (None, 429, 503), f"schedule {mark}: {status} {answer}")
            while time.monotonic() < end:
                time.sleep(0.02)
                found, _ = client.once("GET", "/v1/schedules/" + mark, None, {})
                if found == 200:
                    return
                if found == 404:
                    break
        raise AssertionError(f"schedule {mark} was not accepted in {DEADLINE:.0f} s")


def take_all(server, queue):
    """Takes the queue's messages out, in their order."""
    out = []
    while messages := server.post(f"/v1/queues/{queue}/receive", {"max": 10})["messages"]:
        out += messages
        for message in messages:
            server.post(f"/v1/queues/{queue}/messages/delete", {"receipt_handles": [message["receipt_handle"]]})
    return out


def marks(messages):
    """A schedule's firing tells its marker by the schedule's name."""
    found = [MARK.search(message["body"]) or re.search("schedule/default/(clock-[0-9]+-[0-9]+)", message["body"]) for message in messages]
    check(all(found), f"messages without marker: {messages}")
    return [one.group(1) for one in found]


def reason_of(message):
    """A queue's own dead tell it as a member, a delivery's as an attribute."""
    return message.get("dead_letter_reason") or message["attributes"]["reason"]["value"]


def is_quiet(server):
    """Nothing runs, waits or is due any more."""
    for queue in ("jobs", "orders.fifo"):
        depth = server.get("/v1/queues/" + queue)["depth"]
        if depth["visible"] + depth["in_flight"] + depth["delayed"]:
            return False
    return not server.get("/v1/runs?status=RUNNING&limit=1")["runs"]


def look_inside(database):
    """agent -> [(marker, status, created, ended)] and session -> [marker] of the engine's own rows, which are in the order of the session."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        told = {}  # what a run was given is its first operation
        for key, value in connection.execute("SELECT key, value FROM kv WHERE substr(key,5,3)='/o/' ORDER BY key"):
            if found := MARK.search(value):
                told.setdefault(key.split("/")[2], found.group(1))
        runs, sessions = {}, {}
        for run, agent, status, created, ended in connection.execute("SELECT id, agent, status, created, ended FROM runs"):
            if not agent.startswith("delivery:"):
                check(run in told, f"the run {run} of {agent} has no marker")
                runs.setdefault(agent, []).append((told[run], status, created, ended))
        # Keys are "PPPP/h/SESSION/NUMBER"; numbers have one width.
        for key, value in connection.execute("SELECT key, value FROM kv WHERE substr(key,5,3)='/h/' ORDER BY key"):
            run = re.search("run_[0-9A-Z]+", value).group()
            sessions.setdefault(urllib.parse.unquote(key.split("/")[2]), []).append(told.get(run))
        return runs, sessions
    finally:
        connection.close()


def lanes(found):
    out = {}
    for mark in found:
        out.setdefault(mark.rsplit("-", 1)[0], []).append(mark)
    return out


def check_effects(load, found, kinds, agent):
    """Each good event has one run, which succeeded; each poison one was tried exactly TRIES times."""
    wanted = {mark for kind in kinds for mark in load.accepted.get(kind, [])}
    counts = {}
    for mark, status, *_ in found.get(agent, []):
        counts.setdefault(mark, []).append(status)
    equal(wanted - counts.keys(), set(), f"accepted for {agent} and lost")
    equal(counts.keys() - wanted, set(), f"runs of {agent} that nobody asked for")
    for mark, statuses in counts.items():
        expected = ["FAILED"] * TRIES if mark in load.poison else ["SUCCEEDED"]
        equal(statuses, expected, f"the runs of {mark}")


def check_sessions(load, sessions):
    wanted = {}
    for mark in load.accepted["route"] + load.accepted["hook"]:
        wanted.setdefault("keeper/" + session_of(mark), []).append(mark)
    equal({name: told for name, told in sessions.items() if name.startswith("keeper/")}, wanted, "the order of sessions")


def check_order_in_time(found, what, name_of):
    """One after the other: in the order in which they were accepted, and none made before the one before it had ended."""
    by_name = {}
    for run in found:
        by_name.setdefault(name_of(run[0]), []).append(run)
    for lane, runs in by_name.items():
        runs.sort(key=lambda run: (run[2], number(run[0])))
        order = [number(run[0]) for run in runs]
        equal(order, sorted(order), f"the order of {what} {lane}")
        for before, after in zip(runs, runs[1:]):
            check(before[3] <= after[2], f"{after} began before {before} had ended")


def kill_at_random(server, load, kills, chance):
    """At random amounts of what was accepted; the last one when all was, and schedules are due."""
    for point in sorted(chance.uniform(0.05, 0.98) for _ in range(kills - 1)):
        wait_until(lambda: load.count >= point * load.total or load.failures, "events are accepted", DEADLINE * 10)
        time.sleep(chance.uniform(0, 0.05))
        server.kill()
        server.start()
    for thread in load.threads:
        thread.join()
    time.sleep(chance.uniform(0, 3))
    server.kill()
    server.start()


def prove(events, kills):
    seed = int(os.environ.get("SCENARIO_SEED", random.SystemRandom().randrange(1 << 32)))
    chance = random.Random(seed)
    with TemporaryFolder() as folder:
        write(folder / "project/mayfly.yaml", PROJECT)
        write(folder / "project/model.yaml", MODEL)
        server = Server(folder / "data", project=folder / "project", env=environment(HOOK_SECRET=SECRET))
        server.fixed_port = free_port()
        server.listen = f"127.0.0.1:{server.fixed_port}"
        with server:
            begin = time.monotonic()
            load = Load(server, events)
            for thread in load.threads:
                thread.start()
            kill_at_random(server, load, kills, chance)
            equal(load.failures, [], f"producers (SCENARIO_SEED={seed})")
            produced = time.monotonic() - begin
            equal(load.count, load.total, "accepted events")
            clocks = set(load.accepted["clock"])
            # Schedules first, for what is due starts runs only then.
            wait_until(lambda: len(server.get("/v1/runs?agent=clockwork&limit=1000")["runs"]) >= min(len(clocks), 1000), "the schedules fire", DEADLINE * 3)
            wait_until(lambda: is_quiet(server), "everything has ended", DEADLINE * 5)
            took = time.monotonic() - begin
            print(f"     SCENARIO_SEED={seed}: {load.total} events accepted in {produced:.0f} s with {kills} kills, all done after {took:.0f} s, "
                  f"{len(load.poison)} poison", flush=True)
            sink = marks(take_all(server, "sink.fifo"))
            dead, dead_orders = take_all(server, "dead"), take_all(server, "dead.fifo")
            for message in dead + dead_orders:
                check("scripted failure" in reason_of(message), f"the dead one does not tell why: {message}")
            server.stop()
        found, sessions = look_inside(folder / "data/store.db")
        check_effects(load, found, ("route", "hook"), "keeper")
        check_effects(load, found, ("job",), "worker")
        check_effects(load, found, ("order",), "sorter")
        check_effects(load, found, ("fragile",), "fragile")
        check_effects(load, found, ("clock",), "clockwork")
        check_sessions(load, sessions)
        check_order_in_time(found["sorter"], "group", lambda mark: mark.rsplit("-", 1)[0])
        equal(lanes(sink), lanes(load.accepted["sink"]), "the sink's messages, in the order of their groups")
        equal(sorted(marks(dead)), sorted(m for m in load.poison if not m.startswith("order-")), "the dead")
        equal(sorted(marks(dead_orders)), sorted(m for m in load.poison if m.startswith("order-")), "the dead of the FIFO queue")


def test_nothing_accepted_is_lost_and_order_holds():
    prove(int(os.environ.get("EVENTS", "600")), int(os.environ.get("KILLS", "3")))
