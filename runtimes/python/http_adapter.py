"""Runs a web server of the user's and turns events into requests to it ("http" functions).

argv[1] is the command; the server listens on 127.0.0.1:$PORT and is ready when GET /ping answers (any status), or, where it
knows no such path, when it accepts connections. An event is POSTed as it is to /invocations; an event in the form of a function URL
("version": "2.0", https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html) becomes the request that it describes.
Answers are passed on as they come: event streams in the Runtime API's streaming mode, all others as one.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time

import bootstrap

HOST = "127.0.0.1"
CONNECT_PAUSE = 0.01
HOP_BY_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade", "host"))
HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"


class Answer:
    """One HTTP/1.1 answer of the user's server, read as it comes."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("rb")
        while True:
            line = self.file.readline(65537)
            if not line.startswith(b"HTTP/1."):
                raise ConnectionError("the web server sent no HTTP answer")
            self.status = int(line.split(b" ", 2)[1])
            self.fields = []
            while (line := self.file.readline(65537)) not in (b"\r\n", b"\n", b""):
                name, _, value = line.partition(b":")
                self.fields.append((name.decode("latin-1").strip().lower(), value.decode("latin-1").strip()))
            if self.status >= 200:
                break

    def field(self, name):
        return next((value for found, value in self.fields if found == name), "")

    def pieces(self, has_body):
        if not has_body or self.status in (204, 304):
            return
        if "chunked" in self.field("transfer-encoding").lower():
            while size := int(self.file.readline(1024).split(b";")[0], 16):
                yield self.file.read(size)
                self.file.readline(1024)
        elif self.field("content-length"):
            left = int(self.field("content-length"))
            while left:
                piece = self.file.read1(min(left, 65536))
                if not piece:
                    raise ConnectionError("the web server broke off its answer")
                left -= len(piece)
                yield piece
        else:
            while piece := self.file.read1(65536):
                yield piece


def request(port, method, target, fields, body):
    connection = socket.create_connection((HOST, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = ["%s %s HTTP/1.1" % (method, target)]
    if not any(name.lower() == "host" for name, _ in fields):
        head.append("Host: %s:%d" % (HOST, port))
    head += ["%s: %s" % (name, value) for name, value in fields]
    head += ["Content-Length: %d" % len(body), "Connection: close", "", ""]
    text = "\r\n".join(line.replace("\r", "").replace("\n", "") for line in head[:-2]) + "\r\n\r\n"
    connection.sendall(text.encode("latin-1", "replace") + body)
    return Answer(connection)


def wait_until_ready(port, child):
    while True:
        if child.poll() is not None:
            raise bootstrap.Fault("Runtime.ExitError", "the web server ended with code %d before it listened on port %d" % (child.returncode, port))
        try:
            request(port, "GET", "/ping", [], b"").connection.close()
            return
        except ConnectionRefusedError:
            time.sleep(CONNECT_PAUSE)
        except (OSError, ValueError):
            return


def from_function_url(event):
    """Method, target, fields and body of the request that the event describes."""
    http = event["requestContext"]["http"]
    target = event.get("rawPath") or "/"
    if event.get("rawQueryString"):
        target += "?" + event["rawQueryString"]
    fields = [(name, value) for name, value in (event.get("headers") or {}).items() if name.lower() not in HOP_BY_HOP]
    if event.get("cookies"):
        fields.append(("cookie", "; ".join(event["cookies"])))
    body = event.get("body") or ""
    data = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    return http["method"], target.replace(" ", "%20"), fields, data


def answer_event(client, port, headers, body):
    request_id = headers["lambda-runtime-aws-request-id"]
    event = None
    if b'"requestContext"' in body:
        event = json.loads(body)
    is_url = isinstance(event, dict) and event.get("version") == "2.0" and "http" in (event.get("requestContext") or {})
    if is_url:
        method, target, fields, data = from_function_url(event)
    else:
        method, target, data = "POST", "/invocations", body
        fields = [("Content-Type", "application/json")]
    fields.append(("X-Amzn-Request-Id", request_id))
    if headers.get("lambda-runtime-trace-id"):
        fields.append(("X-Amzn-Trace-Id", headers["lambda-runtime-trace-id"]))
    if headers.get("lambda-runtime-aws-tenant-id"):
        fields.append(("X-Amz-Tenant-Id", headers["lambda-runtime-aws-tenant-id"]))
    answer = request(port, method, target, fields, data)
    try:
        content_type = answer.field("content-type") or "application/octet-stream"
        if is_url:
            plain = {name: value for name, value in answer.fields if name not in HOP_BY_HOP and name != "set-cookie"}
            cookies = [value for name, value in answer.fields if name == "set-cookie"]
            prelude = json.dumps({"statusCode": answer.status, "headers": plain, "cookies": cookies}).encode() + bytes(8)
            stream(client, request_id, HTTP_INTEGRATION, prelude, answer.pieces(method != "HEAD"))
        elif answer.status >= 400:
            text = b"".join(answer.pieces(True)).decode("utf-8", "replace")
            raise bootstrap.Fault("Runtime.HttpError", "the web server answered %d: %s" % (answer.status, text[:4096]))
        elif content_type.startswith("text/event-stream"):
            stream(client, request_id, content_type, b"", answer.pieces(True))
        else:
            client.respond(request_id, b"".join(answer.pieces(True)), bootstrap.one_line(content_type))
    finally:
        answer.connection.close()


def stream(client, request_id, content_type, first, pieces):
    status = client.stream(request_id, bootstrap.one_line(content_type), first, pieces)
    if status != 202:
        print("[mayfly] the streamed answer was refused: %d" % status, flush=True)


def main():
    port = int(os.environ["PORT"])
    client = bootstrap.RuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"])
    child = subprocess.Popen(["/bin/sh", "-c", "exec " + sys.argv[1]])
    signal.signal(signal.SIGTERM, lambda *_: (child.terminate(), os._exit(0)))
    try:
        wait_until_ready(port, child)
    except bootstrap.Fault as fault:
        document = bootstrap.error_document(fault)
        bootstrap.log_error(document)
        client.fail_init(document)
        sys.exit(1)
    while True:
        headers, body = client.next()
        try:
            answer_event(client, port, headers, body)
        except Exception as error:
            request_id = headers["lambda-runtime-aws-request-id"]
            if child.poll() is not None:
                print("[mayfly] the web server ended with code %d" % child.returncode, flush=True)
                sys.exit(1)
            document = bootstrap.error_document(error, request_id)
            bootstrap.log_error(document)
            client.fail(request_id, document)


if __name__ == "__main__":
    main()
