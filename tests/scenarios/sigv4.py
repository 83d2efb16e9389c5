"""Requests to AWS's APIs, signed with SigV4. Standard library only."""

import datetime
import hashlib
import hmac
import http.client
import json
import urllib.parse


def signed_headers(method, port, path, body, headers, access_key, secret, service, region="us-east-1"):
    """The headers of a signed request; source: AWS General Reference, "Create a signed AWS API request"."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    every = {"host": f"127.0.0.1:{port}", "x-amz-date": now, **{name.lower(): value for name, value in headers.items()}}
    names = ";".join(sorted(every))
    canonical = "\n".join([method, urllib.parse.quote(path), "", *(f"{name}:{every[name].strip()}" for name in sorted(every)), "", names,
                           hashlib.sha256(body).hexdigest()])
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    every["authorization"] = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return every


class AwsError(Exception):
    def __init__(self, status, headers, body):
        super().__init__(f"HTTP {status}: {body[:500]}")
        self.status, self.body = status, body
        self.code = (headers.get("x-amzn-query-error") or "").split(";")[0]


class Sqs:
    """SQS's JSON protocol, and its older one by `query`."""

    def __init__(self, server, secret=None):
        self.server = server
        self.secret = secret or server.key

    def _send(self, path, body, headers):
        access_key = "MAYFLYKEY" + self.secret.split("_")[1].upper()
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request("POST", path, body,
                               signed_headers("POST", self.server.port, path, body, headers, access_key, self.secret, "sqs"))
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != 200:
                raise AwsError(answer.status, answer.headers, text)
            return text
        finally:
            connection.close()

    def call(self, operation, **parameters):
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS." + operation}
        text = self._send("/", json.dumps(parameters).encode(), headers)
        return json.loads(text) if text else {}

    def query(self, path, **parameters):
        form = urllib.parse.urlencode({"Version": "2012-11-05", **parameters}).encode()
        return self._send(path, form, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})

    def url(self, queue):
        return f"{self.server.url}/000000000000/{queue}"
