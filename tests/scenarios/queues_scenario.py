"""Queues through the real binary: SQS's two protocols without an SDK, the API, the command line, and kill -9 in the middle."""

import hashlib
import json
import re
import threading

from lib import Problem, Server, TemporaryFolder, check, cli, equal, wait_until
from sigv4 import AwsError, Sqs


def received(sqs, queue, **more):
    return sqs.call("ReceiveMessage", QueueUrl=sqs.url(queue), MaxNumberOfMessages=10, **more).get("Messages", [])


def drain(sqs, queue):
    bodies = []
    while messages := received(sqs, queue):
        bodies += [m["Body"] for m in messages]
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        done = sqs.call("DeleteMessageBatch", QueueUrl=sqs.url(queue), Entries=entries)
        equal(done.get("Failed", []), [], "deletes that failed")
    return bodies


def test_a_message_goes_round_in_both_protocols():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        sqs = Sqs(server)
        equal(sqs.call("CreateQueue", QueueName="jobs")["QueueUrl"], sqs.url("jobs"), "the queue's URL is on the host that was asked")
        body = 'a "b" <c> & ü\r\n'
        sent = sqs.call("SendMessage", QueueUrl=sqs.url("jobs"), MessageBody=body)
        equal(sent["MD5OfMessageBody"], hashlib.md5(body.encode()).hexdigest(), "digest")
        answer = sqs.query("/000000000000/jobs", **{"Action": "ReceiveMessage", "AttributeName.1": "All"})
        check("<Body>a &quot;b&quot; &lt;c&gt; &amp; ü&#xD;\n</Body>" in answer, answer)
        handle = re.search("<ReceiptHandle>(.*?)</ReceiptHandle>", answer).group(1)
        sqs.query("/000000000000/jobs", Action="DeleteMessage", ReceiptHandle=handle)
        equal(server.get("/v1/queues/jobs")["depth"]["in_flight"], 0, "in flight after the delete")
        try:
            sqs.query("/", Action="GetQueueUrl", QueueName="nothing")
            raise AssertionError("a queue that is not there was found")
        except AwsError as error:
            check("<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in error.body, error.body)


def test_a_key_without_the_right_and_a_wrong_signature_are_refused():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        Sqs(server).call("CreateQueue", QueueName="jobs")
        reader = server.post("/v1/keys", {"name": "reader", "scopes": ["read"]})["key"]
        for secret, code in ((reader, "AccessDenied"), (server.key[:-2] + "zz", "SignatureDoesNotMatch")):
            try:
                Sqs(server, secret).call("SendMessage", QueueUrl="jobs", MessageBody="x")
                raise AssertionError(f"{code} was not answered")
            except AwsError as error:
                equal((error.status, error.code), (403, code), "refusal")
        equal(server.get("/v1/queues/jobs")["depth"]["visible"], 0, "messages after refused sends")


def test_what_was_accepted_survives_kill_9():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        sqs = Sqs(server)
        sqs.call("CreateQueue", QueueName="jobs", Attributes={"VisibilityTimeout": "0"})
        sqs.call("CreateQueue", QueueName="orders.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})
        accepted = [[], [], [], []]

        def produce(number):
            try:
                for i in range(100_000):
                    queue, more = ("orders.fifo", {"MessageGroupId": f"g{number}"}) if number % 2 else ("jobs", {})
                    sqs.call("SendMessage", QueueUrl=sqs.url(queue), MessageBody=f"{number}-{i}", **more)
                    accepted[number].append(f"{number}-{i}")
            except Exception:  # noqa: BLE001 — the server was killed
                return

        producers = [threading.Thread(target=produce, args=(number,)) for number in range(4)]
        for producer in producers:
            producer.start()
        wait_until(lambda: sum(map(len, accepted)) > 200, "some messages were accepted")
        server.kill()
        for producer in producers:
            producer.join()
        server.start()
        sqs.call("SetQueueAttributes", QueueUrl=sqs.url("jobs"), Attributes={"VisibilityTimeout": "30"})
        standard, ordered = drain(sqs, "jobs"), drain(sqs, "orders.fifo")
        for number in range(4):
            mine = [b for b in (ordered if number % 2 else standard) if b.startswith(f"{number}-")]
            lost = set(accepted[number]) - set(mine)
            equal(lost, set(), f"accepted by producer {number} and lost")
            equal(len(mine), len(set(mine)), "messages twice")
            check(len(mine) <= len(accepted[number]) + 1, "more than was sent")
            if number % 2:
                equal(mine, sorted(mine, key=lambda b: int(b.split("-")[1])), "order in the group")


def test_what_is_received_too_often_dies_with_its_reason():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        server.request("PUT", "/v1/queues/dead", {})
        server.request("PUT", "/v1/queues/work", {"visibility_timeout": "0s", "dead_letter": {"queue": "dead", "receives_max": 3}})
        server.post("/v1/queues/work/messages", {"body": "poison"})
        counts = [server.post("/v1/queues/work/receive", {})["messages"][0]["receive_count"] for _ in range(3)]
        equal(counts, [1, 2, 3], "receives")
        equal(server.post("/v1/queues/work/receive", {})["messages"], [], "the fourth receive")
        dead = wait_until(lambda: server.get("/v1/queues/dead/messages")["messages"], "the message is dead")
        equal((dead[0]["body"], dead[0]["dead_letter_source"]), ("poison", "work"), "the dead one")
        check(dead[0].get("dead_letter_reason"), "the reason is missing")
        server.post("/v1/queues/dead/redrive", {})
        wait_until(lambda: server.get("/v1/queues/work")["depth"]["visible"] == 1, "it came back")
        check(f'mayfly_queue_dead_total{{queue="work"}} 1' in server.get("/metrics", raw=True).decode(), "metrics")


def test_the_command_line():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        def queues(*arguments, code=0, **more):
            done = cli("queues", *arguments, server=server, **more)
            equal(done.code, code, done)
            return done.out

        queues("create", "dead")
        queues("create", "jobs", "--dead-letter", "dead", "--receives-max", "2", "--visibility", "1m", "--tag", "team=a")
        first = queues("send", "jobs", "hello", "--attribute", "kind=greeting", "--idempotency-key", "k").strip()
        equal(queues("send", "jobs", "hello", "--idempotency-key", "k").strip(), first, "the repeated message's id")
        queues("send", "jobs", "-", text_in="from a pipe")
        check("hello" in queues("peek", "jobs") and "from a pipe" in queues("peek", "jobs"), "peek")
        shown = queues("show", "jobs")
        check("2 visible" in shown and "to dead after 2 receives" in shown and "team=a" in shown, shown)
        check(re.search(r"^jobs\s+2\s+0\s+0", queues("list"), re.M), queues("list"))
        equal(len(json.loads(queues("list", "--json"))), 2, "queues as JSON")
        queues("pause", "jobs")
        equal(queues("receive", "jobs"), "", "what a paused queue gives")
        queues("resume", "jobs")
        equal(queues("receive", "jobs", "--max", "10", "--delete"), "hello\nfrom a pipe\n", "received")
        equal(server.get("/v1/queues/jobs")["depth"]["in_flight"], 0, "in flight after --delete")
        queues("purge", "jobs")
        queues("redrive", "dead", "--list")
        queues("delete", "jobs")
        queues("show", "jobs", code=5)
        queues("create", "a b", code=1)


def test_bad_requests_say_what_to_do():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        server.request("PUT", "/v1/queues/jobs", {})
        for method, path, body, status in (("PUT", "/v1/queues/jobs", {"visibility_timeout": "13h"}, 422),
                                           ("PUT", "/v1/queues/jobs", {"nonsense": 1}, 422),
                                           ("PUT", "/v1/queues/a%20b", {}, 422),
                                           ("POST", "/v1/queues/jobs/messages", {}, 400),
                                           ("POST", "/v1/queues/jobs/messages", {"messages": []}, 400),
                                           ("POST", "/v1/queues/jobs/receive", {"wait": "1h"}, 400),
                                           ("POST", "/v1/queues/jobs/receive", {"max": 0}, 400),
                                           ("GET", "/v1/queues/nothing", None, 404)):
            try:
                server.request(method, path, body)
                raise AssertionError(f"{method} {path} {body} was accepted")
            except Problem as problem:
                equal(problem.status, status, f"{method} {path} {body}: {problem.body}")
                check(json.loads(problem.body)["detail"], "no detail")
