"""Signed webhooks and HTTP routes through the real binary: what is genuine starts one run, everything else is refused, and a 2xx survives kill -9."""

import base64
import hashlib
import hmac
import http.client
import json
import threading
import time

from lib import DEADLINE, Server, TemporaryFolder, check, environment, equal, wait_until, write

SECRETS = {"STANDARD_SECRET": "whsec_" + base64.b64encode(b"standard-secret-of-32-bytes-long").decode(), "GITHUB_SECRET": "hub secret",
           "STRIPE_SECRET": "whsec_stripe", "SLACK_SECRET": "slack secret", "OWN_SECRET": "our own secret", "OLD_SECRET": "the secret before",
           "ROUTE_SECRET": "the route's secret"}

PROJECT = """version: 1
providers:
  play: {kind: scripted, script: model.yaml}
agents:
  echo:
    model: play/echo
    instructions: Say what you were told.
  keeper:
    model: play/echo
    instructions: Say what you were told, in the conversation where you were told it.
    session: {keyed: true, when_busy: queue}
queues:
  jobs: {}
triggers:
  standard:
    webhook: {scheme: standard, path: /hooks/standard, secret_env: [STANDARD_SECRET]}
    input: "'standard ' & data.text"
    target: {agent: echo}
  github:
    webhook: {scheme: github, path: /hooks/github, secret_env: [GITHUB_SECRET]}
    filter: type = 'github.push'
    session: data.repository.full_name
    input: "'github ' & data.text & ' ' & $headers.`x-github-event`"
    target: {agent: keeper}
  stripe:
    webhook: {scheme: stripe, path: /hooks/stripe, secret_env: [STRIPE_SECRET], tolerance: 1m}
    input: "'stripe ' & data.text"
    target: {agent: echo}
  slack:
    webhook: {scheme: slack, path: /hooks/slack, secret_env: [SLACK_SECRET]}
    input: "'slack ' & data.text"
    target: {agent: echo}
  own:
    webhook:
      scheme: hmac
      path: /hooks/own
      secret_env: [OWN_SECRET, OLD_SECRET]
      signature_header: x-own-signature
      signature_prefix: sha256=
      timestamp_header: x-own-time
      id_header: x-own-id
    input: "'own ' & data.text"
    target: {agent: echo}
  to-queue:
    webhook: {scheme: github, path: /hooks/to-queue, secret_env: [GITHUB_SECRET]}
    input: data
    target: {queue: jobs}
  tickets:
    http:
      path: /tickets/{customer}
      auth: key
      answer: accepted
      body_bytes_max: 2000
    session: $path.customer
    input: "'ticket of ' & $path.customer & ' ' & data.text"
    target: {agent: keeper}
  questions:
    http: {path: /questions, auth: none, answer: wait, rate_limit: {requests: 3, per: 1h, by: caller}}
    input: "'question ' & data.text"
    target: {agent: echo}
  notes:
    http: {path: /notes, auth: none, answer: accepted}
    input: "'note ' & data.text"
    target: {agent: echo}
  talk:
    http: {path: /talk, auth: none, answer: stream}
    input: "'talk ' & data.text"
    target: {agent: echo}
  signed:
    http:
      path: /signed
      auth: {hmac: {secret_env: ROUTE_SECRET, timestamp_header: x-time, tolerance: 1m}}
      cors: {origins: ["https://app.example.com"], headers: [content-type, x-signature, x-time], max_age: 10m}
    target: {queue: jobs}
  published:
    event: {types: [com.example.*]}
    input: "'published ' & data.text"
    target: {agent: echo}
"""

MODEL = """version: 1
conversations:
  - match: {regex: "(.*)"}
    turns:
      - {text: "heard: {{1}}"}
"""


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:500]!r}"


def call(server, method, path, body=b"", headers=None):
    """As a stranger: without an API key, and every answer is an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    try:
        given = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, given, {"Content-Type": "application/json", **(headers or {})})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def digest(secret, text):
    return hmac.new(secret.encode() if isinstance(secret, str) else secret, text, hashlib.sha256)


def standard(body, name, at, secret=SECRETS["STANDARD_SECRET"]):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(digest(key, f"{name}.{at}.".encode() + body).digest()).decode()
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}


def github(body, name, _at=0, secret=SECRETS["GITHUB_SECRET"], event="push"):
    return {"X-GitHub-Event": event, "X-GitHub-Delivery": name, "X-Hub-Signature-256": "sha256=" + digest(secret, body).hexdigest()}


def stripe(body, _name, at, secret=SECRETS["STRIPE_SECRET"]):
    return {"Stripe-Signature": f"t={at},v1={digest(secret, f'{at}.'.encode() + body).hexdigest()}"}


def slack(body, _name, at, secret=SECRETS["SLACK_SECRET"]):
    return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": "v0=" + digest(secret, f"v0:{at}:".encode() + body).hexdigest()}


def own(body, name, at, secret=SECRETS["OWN_SECRET"]):
    return {"X-Own-Id": name, "X-Own-Time": str(at), "X-Own-Signature": "sha256=" + digest(secret, f"{at}.".encode() + body).hexdigest()}


SCHEMES = {"standard": standard, "github": github, "stripe": stripe, "slack": slack, "own": own}
# GitHub signs no time: the delivery's id alone stops what is sent again.
TIMED = [name for name in SCHEMES if name != "github"]


def payload(text):
    """What every scheme finds its id in: Stripe's and Slack's lie in the body."""
    return json.dumps({"id": "evt_" + text, "event_id": "Ev" + text, "type": "message", "text": text, "repository": {"full_name": "a/b"}}).encode()


def runs_of(server):
    return [run for agent in ("echo", "keeper") for run in server.get(f"/v1/runs?limit=1000&agent={agent}")["runs"]]


def texts(server):
    """What the agents were told: they repeat it."""
    ended = [server.ended(run["id"]) for run in runs_of(server)]
    equal({run["status"] for run in ended} - {"SUCCEEDED"}, set(), "how runs ended")
    return sorted(run["result"]["text"].removeprefix("heard: ") for run in ended)


class Project:
    """A server with PROJECT."""

    def __enter__(self):
        self.folder = TemporaryFolder()
        write(self.folder.path / "project/mayfly.yaml", PROJECT)
        write(self.folder.path / "project/model.yaml", MODEL)
        self.server = Server(self.folder.path / "data", project=self.folder.path / "project", env=environment(**SECRETS))
        try:
            return self.server.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.server.kill_if_running()
        self.folder.__exit__()


def test_each_scheme_starts_one_run_and_absorbs_duplicates():
    with Project() as server:
        for scheme, sign in SCHEMES.items():
            body, now = payload("hello-" + scheme), int(time.time())
            first = call(server, "POST", "/hooks/" + scheme, body, sign(body, "id-1", now))
            equal((first.status, first.json), (200, {"accepted": True}), scheme)
            # The sender tries again later, with a new signature.
            again = call(server, "POST", "/hooks/" + scheme, body, sign(body, "id-1", now + 1))
            equal((again.status, again.json), (200, {"duplicate": True}), f"{scheme}, sent again")
        expected = sorted(f"{scheme} hello-{scheme}" + (" push" if scheme == "github" else "") for scheme in SCHEMES)
        equal(texts(server), expected, "one run of each")
        for scheme in SCHEMES:
            counters = server.get("/v1/triggers/" + scheme)["counters"]
            equal((counters["accepted"], counters["duplicates"]), (1, 1), f"counters of {scheme}")


def test_many_duplicates_at_once_are_one_run():
    with Project() as server:
        body, now, answers = payload("storm"), int(time.time()), []
        senders = [threading.Thread(target=lambda: answers.append(call(server, "POST", "/hooks/standard", body, standard(body, "storm", now))))
                   for _ in range(12)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        equal([answer.status for answer in answers], [200] * 12, "answers")
        equal(sum("accepted" in answer.json for answer in answers), 1, "who was first")
        equal(texts(server), ["standard storm"], "runs")


def test_what_is_not_genuine_starts_nothing():
    with Project() as server:
        now = int(time.time())
        for scheme, sign in SCHEMES.items():
            body = payload("forged-" + scheme)
            wrong_key = base64.b64encode(b"x" * 32).decode() if scheme == "standard" else "wrong"
            cases = {"unsigned": {}, "another secret": sign(body, "a", now, wrong_key), "another body": sign(payload("else"), "a", now),
                     "no signature at all": {name: "" for name in sign(body, "a", now)}}
            if scheme in TIMED:
                cases |= {"an hour old": sign(body, "a", now - 3600), "an hour ahead": sign(body, "a", now + 3600)}
            seen = set()
            for what, headers in cases.items():
                answer = call(server, "POST", "/hooks/" + scheme, body, headers)
                equal(answer.status, 401, f"{scheme}, {what}: {answer}")
                seen.add(answer.json["detail"])
            equal(len(seen), 1, f"{scheme} tells a forger which part was wrong: {seen}")
            check(not any(secret in str(seen) + server.log_text() for secret in SECRETS.values()), "a secret was told")
        body = payload("edge")
        equal(call(server, "POST", "/hooks/stripe", body, stripe(body, "", now - 90)).status, 401, "a narrower window")
        equal(runs_of(server), [], "runs")


def test_a_secret_can_be_rotated():
    with Project() as server:
        for name, secret in (("new", SECRETS["OWN_SECRET"]), ("old", SECRETS["OLD_SECRET"])):
            body = payload(name)
            equal(call(server, "POST", "/hooks/own", body, own(body, name, int(time.time()), secret)).status, 200, name)
        body, now = payload("both"), int(time.time())
        other = standard(body, "both", now, base64.b64encode(b"y" * 32).decode())["webhook-signature"]
        headers = standard(body, "both", now)
        headers["webhook-signature"] = other + " v1a,ignored " + headers["webhook-signature"]
        equal(call(server, "POST", "/hooks/standard", body, headers).status, 200, "one of several signatures")
        equal(texts(server), ["own new", "own old", "standard both"], "runs")


def test_handshakes_and_filters():
    with Project() as server:
        body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}).encode()
        answer = call(server, "POST", "/hooks/slack", body, slack(body, "", int(time.time())))
        equal((answer.status, answer.json["challenge"]), (200, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"), "Slack's challenge")
        equal(call(server, "POST", "/hooks/slack", body, slack(body, "", int(time.time()), "wrong")).status, 401, "an unsigned challenge")
        body = json.dumps({"zen": "Design for failure."}).encode()
        equal(call(server, "POST", "/hooks/github", body, github(body, "p", event="ping")).status, 200, "GitHub's ping")
        body = payload("filtered")
        answer = call(server, "POST", "/hooks/github", body, github(body, "i", event="issues"))
        equal((answer.status, answer.json), (200, {"filtered": True}), "an event that the filter does not want")
        body = b"{not json"
        equal(call(server, "POST", "/hooks/github", body, github(body, "j")).status, 400, "signed, and not JSON")
        equal(runs_of(server), [], "runs")


def test_a_webhook_may_fill_a_queue():
    with Project() as server:
        for name in ("one", "two", "one"):
            body = payload(name)
            equal(call(server, "POST", "/hooks/to-queue", body, github(body, name)).status, 200, name)
        messages = server.get("/v1/queues/jobs/messages")["messages"]
        equal([json.loads(m["body"])["text"] for m in messages], ["one", "two"], "messages")


def test_a_route_with_a_key_answers_at_once():
    with Project() as server:
        auth = {"Authorization": "Bearer " + server.key}
        equal(call(server, "POST", "/tickets/ann", {"text": "x"}).status, 401, "without a key")
        equal(call(server, "POST", "/tickets/ann", {"text": "x"}, {"Authorization": "Bearer mk_wrong"}).status, 401, "with a wrong key")
        reader = server.post("/v1/keys", {"name": "reader", "scopes": ["read"]})["key"]
        equal(call(server, "POST", "/tickets/ann", {"text": "x"}, {"Authorization": "Bearer " + reader}).status, 403, "a key that may only read")
        answer = call(server, "POST", "/tickets/ann", {"text": "broken"}, {**auth, "Idempotency-Key": "t-1"})
        equal(answer.status, 202, answer)
        run = answer.json["run"]
        equal((answer.headers["Location"], answer.headers["Mayfly-Run"]), (f"/v1/runs/{run}", run), "headers")
        equal(server.ended(run)["session"], "ann", "session by the path's parameter")
        again = call(server, "POST", "/tickets/ann", {"text": "broken"}, {**auth, "Idempotency-Key": "t-1"})
        equal((again.status, again.json["run"], again.json["duplicate"]), (202, run, True), "the same key again")
        equal(texts(server), ["ticket of ann broken"], "runs")
        too_much = call(server, "POST", "/tickets/ann", {"text": "x" * 3000}, auth)
        equal(too_much.status, 413, too_much)
        equal(len(runs_of(server)), 1, "runs after a body that is too large")


def test_a_stranger_follows_a_result_by_its_link():
    with Project() as server:
        answer = call(server, "POST", "/questions", {"text": "why"})
        equal((answer.status, answer.json["text"]), (200, "heard: question why"), "the answer itself")
        run = answer.headers["Mayfly-Run"]
        equal(call(server, "GET", f"/v1/runs/{run}").status, 401, "the run itself, for a stranger")
        answer = call(server, "POST", "/notes", {"text": "later"})
        equal(answer.status, 202, answer)
        link = answer.json["status_url"]
        found = wait_until(lambda: (seen := call(server, "GET", link).json)["status"] != "RUNNING" and seen, "the note's end")
        equal((found["status"], found["result"]["text"]), ("SUCCEEDED", "heard: note later"), "what the link shows")
        forged = link[:-4] + ("AAAA" if not link.endswith("AAAA") else "BBBB")
        equal(call(server, "GET", forged).status, 404, "a link that was made up")


def test_too_many_requests_are_told_when_to_come_back():
    with Project() as server:
        answers = [call(server, "POST", "/questions", {"text": str(i)}) for i in range(5)]
        equal([answer.status for answer in answers], [200, 200, 200, 429, 429], "answers")
        check(1 <= int(answers[3].headers["Retry-After"]) <= 3600, answers[3])
        check(answers[0].headers["RateLimit"] and "q=3" in answers[0].headers["RateLimit-Policy"], answers[0])
        equal(len(runs_of(server)), 3, "runs")


def test_a_route_streams_the_run():
    with Project() as server:
        answer = call(server, "POST", "/talk", {"text": "loudly"})
        equal((answer.status, answer.headers["Content-Type"].split(";")[0]), (200, "text/event-stream"), answer)
        text = answer.body.decode()
        check("event: run.ended" in text and "heard: talk loudly" in text, text)


def test_a_signed_route():
    with Project() as server:
        body, now = json.dumps({"text": "signed"}).encode(), int(time.time())

        def sign(secret=SECRETS["ROUTE_SECRET"], at=now):
            return {"X-Time": str(at), "X-Signature": digest(secret, f"{at}.".encode() + body).hexdigest()}

        for what, headers in (("unsigned", {}), ("wrong", sign("wrong")), ("old", sign(at=now - 120)), ("no time", {"X-Signature": sign()["X-Signature"]})):
            equal(call(server, "POST", "/signed", body, headers).status, 401, what)
        answer = call(server, "POST", "/signed", body, sign())
        equal(answer.status, 202, answer)
        messages = server.get("/v1/queues/jobs/messages")["messages"]
        equal([(m["id"], json.loads(m["body"])) for m in messages], [(answer.json["message_id"], {"text": "signed"})], "messages")


def test_paths_methods_and_origins():
    with Project() as server:
        equal(call(server, "POST", "/tickets").status, 404, "a path that is not there")
        equal(call(server, "POST", "/hooks/nothing").status, 404, "a hook that is not there")
        for path in ("/questions", "/hooks/github"):
            answer = call(server, "GET", path)
            equal(answer.status, 405, answer)
            check("POST" in answer.headers["Allow"], answer)
        asks = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-signature"}
        answer = call(server, "OPTIONS", "/signed", headers=asks)
        equal((answer.status, answer.headers["Access-Control-Allow-Origin"]), (204, "https://app.example.com"), answer)
        check("POST" in answer.headers["Access-Control-Allow-Methods"] and "x-signature" in answer.headers["Access-Control-Allow-Headers"], answer)
        equal(answer.headers["Access-Control-Max-Age"], "600", "how long it may be remembered")
        answer = call(server, "OPTIONS", "/signed", headers={**asks, "Origin": "https://evil.example"})
        equal(answer.headers["Access-Control-Allow-Origin"], None, "another origin")
        refused = call(server, "POST", "/signed", b"{}", {"Origin": "https://app.example.com"})
        equal((refused.status, refused.headers["Access-Control-Allow-Origin"]), (401, "https://app.example.com"), "an origin may read a refusal")


def test_published_cloudevents_in_both_modes():
    with Project() as server:
        auth = {"Authorization": "Bearer " + server.key}
        binary = {**auth, "ce-specversion": "1.0", "ce-id": "b-1", "ce-source": "/shop", "ce-type": "com.example.order"}
        structured = {"specversion": "1.0", "id": "s-1", "source": "/shop", "type": "com.example.order", "data": {"text": "structured"}}
        form = {**auth, "Content-Type": "application/cloudevents+json"}
        for _ in range(2):  # once per source and id
            equal(call(server, "POST", "/v1/events", {"text": "binary"}, binary).status, 202, "binary mode")
            equal(call(server, "POST", "/v1/events", structured, form).status, 202, "structured mode")
        batch = [{**structured, "id": f"s-{i}", "data": {"text": f"batch {i}"}} for i in (2, 3)]
        equal(call(server, "POST", "/v1/events", batch, {**auth, "Content-Type": "application/cloudevents-batch+json"}).status, 202, "a batch")
        equal(call(server, "POST", "/v1/events", {**structured, "id": "s-9", "type": "org.other"}, form).status, 202, "what nobody wants")
        wait_until(lambda: len(runs_of(server)) >= 4, "four runs")
        equal(texts(server), ["published batch 2", "published batch 3", "published binary", "published structured"], "runs")
        for body, headers, status in ((structured, {"Content-Type": "application/cloudevents+json"}, 401),
                                      ({**structured, "specversion": "0.3"}, form, 422), ({**structured, "id": ""}, form, 422),
                                      ({**structured, "Bad-Name": "x"}, form, 422), ("x", {**auth, "Content-Type": "text/plain"}, 422)):
            answer = call(server, "POST", "/v1/events", body, headers)
            equal(answer.status, status, f"{body} {headers}: {answer}")


def test_what_was_accepted_survives_kill_9():
    with Project() as server:
        auth = {"Authorization": "Bearer " + server.key}
        for turn in range(3):
            name = f"kill-{turn}"
            body = payload(name)
            headers = standard(body, name, int(time.time()))
            equal(call(server, "POST", "/hooks/standard", body, headers).json, {"accepted": True}, name)
            server.kill()
            server.start()
            equal(call(server, "POST", "/hooks/standard", body, headers).json, {"duplicate": True}, f"{name}, sent again to the next server")
            run = call(server, "POST", "/tickets/bob", {"text": name}, {**auth, "Idempotency-Key": name}).json["run"]
            server.kill()
            server.start()
            equal(server.ended(run)["status"], "SUCCEEDED", f"the run of {name}")
        event = {"specversion": "1.0", "id": "last", "source": "/shop", "type": "com.example.order", "data": {"text": "last"}}
        equal(call(server, "POST", "/v1/events", event, {**auth, "Content-Type": "application/cloudevents+json"}).status, 202, "published")
        server.kill()
        server.start()
        wait_until(lambda: len(runs_of(server)) == 7, "every run")
        expected = ["published last"] + [f"{kind}kill-{turn}" for turn in range(3) for kind in ("standard ", "ticket of bob ")]
        equal(texts(server), sorted(expected), "each once")
