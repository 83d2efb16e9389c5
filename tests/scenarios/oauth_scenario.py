"""An MCP client gets a token from the built-in authorisation server as RFCs 9728, 8414, 7591, 7636 and 8707 say, and is refused what they forbid."""

import base64
import hashlib
import html
import json
import re
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request

from lib import Server, TemporaryFolder, check, equal

CALLBACK = "http://127.0.0.1:1/callback"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect)


def call(url, form=None, body=None, headers=None):
    data = urllib.parse.urlencode(form).encode() if form is not None else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, headers or {})
    if body is not None:
        request.add_header("Content-Type", "application/json")
    try:
        answer = OPENER.open(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read().decode()


def ping(url, token):
    headers = {"Accept": "application/json, text/event-stream"}
    if token:
        headers["Authorization"] = "Bearer " + token
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "scenario", "version": "1"}}}
    return call(url, body=body, headers=headers)


class Client:
    def __init__(self, metadata, resource):
        self.metadata, self.resource = metadata, resource
        status, _, text = call(metadata["registration_endpoint"], body={"client_name": "Scenario", "redirect_uris": [CALLBACK]})
        equal(status, 201, "registration: " + text)
        self.id = json.loads(text)["client_id"]

    def ask(self, **changes):
        """The answer to an authorization request; a value of None leaves a parameter out."""
        self.verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        values = {"response_type": "code", "client_id": self.id, "redirect_uri": CALLBACK, "code_challenge": challenge,
                  "code_challenge_method": "S256", "resource": self.resource, "scope": "read files", "state": "s t&a=te", **changes}
        values = {name: value for name, value in values.items() if value is not None}
        return call(self.metadata["authorization_endpoint"] + "?" + urllib.parse.urlencode(values))

    def refused(self, **changes):
        """The error that the client is told; empty: only the person is."""
        status, headers, _ = self.ask(**changes)
        if "Location" not in headers:
            equal(status, 400, "a refusal")
            return ""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(headers["Location"]).query))["error"]

    def code(self, key):
        status, headers, page = self.ask()
        equal(status, 200, page)
        form = {"request": html.unescape(re.search('name="request" value="([^"]+)"', page).group(1)), "decision": "allow", "key": key}
        form.update({name: "on" for name in re.findall('name="(scope_[a-z]+)"', page)})
        cookie = headers["Set-Cookie"].split(";")[0]
        status, headers, text = call(self.metadata["authorization_endpoint"], form=form, headers={"Cookie": cookie})
        equal(status, 303, text)
        check(headers["Location"].startswith(CALLBACK + "?"), headers["Location"])
        values = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(headers["Location"]).query))
        equal(values["state"], "s t&a=te", "state")
        equal(values["iss"], self.metadata["issuer"], "iss")
        return values["code"]

    def token(self, **values):
        status, _, text = call(self.metadata["token_endpoint"], form={"client_id": self.id, **values})
        return status, json.loads(text)

    def exchange(self, code, **changes):
        return self.token(**{"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": self.verifier,
                             "resource": self.resource, **changes})


def main():
    with TemporaryFolder() as folder:
        server = Server(folder / "data").start()
        try:
            run(server, (folder / "data" / "admin.key").read_text().strip())
        finally:
            server.kill()


def run(server, key):
    status, headers, _ = ping(server.url + "/mcp", "")
    equal(status, 401, "a call without a token")
    where = re.search('resource_metadata="([^"]+)"', headers["WWW-Authenticate"]).group(1)
    resource = json.loads(call(where)[2])
    equal(resource["resource"], server.url + "/mcp", "the resource")
    issuer = resource["authorization_servers"][0]
    metadata = json.loads(call(issuer + "/.well-known/oauth-authorization-server")[2])
    equal(metadata["issuer"], issuer, "the issuer")

    client = Client(metadata, resource["resource"])
    equal(client.refused(redirect_uri="https://evil.example/callback"), "", "another redirect")
    equal(client.refused(code_challenge=None, code_challenge_method=None), "invalid_request", "no PKCE")
    equal(client.refused(code_challenge_method="plain"), "invalid_request", "plain PKCE")
    equal(client.refused(resource="https://evil.example/mcp"), "invalid_target", "another resource")
    print("refused: another redirect, no PKCE, another resource")

    code = client.code(key)
    status, tokens = client.exchange(code)
    equal(status, 200, str(tokens))
    equal(sorted(tokens["scope"].split()), ["files", "read"], "scope")
    status, _, text = ping(server.url + "/mcp", tokens["access_token"])
    equal(status, 200, "a call with the token: " + text)
    equal(ping(server.url + "/mcp", key)[0], 200, "a call with the key")
    equal(call(server.url + "/v1/runs", headers={"Authorization": "Bearer " + tokens["access_token"]})[0], 401, "the token elsewhere")
    print("a person's consent opens /mcp, and nothing else")

    status, again = client.exchange(code)
    equal((status, again["error"]), (400, "invalid_grant"), "a code used twice")
    equal(ping(server.url + "/mcp", tokens["access_token"])[0], 401, "the token of a code that was used twice")
    equal(client.exchange(client.code(key), code_verifier="a" * 43)[1]["error"], "invalid_grant", "another verifier")
    equal(client.exchange(client.code(key), resource="https://evil.example/mcp")[1]["error"], "invalid_target", "another resource")

    _, first = client.exchange(client.code(key))
    status, second = client.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    equal(status, 200, str(second))
    server.kill()
    port = issuer.rsplit(":", 1)[1]
    server.listen = "127.0.0.1:" + port
    server.start()
    equal(ping(server.url + "/mcp", second["access_token"])[0], 200, "a token after a crash")
    status, reused = client.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    equal((status, reused["error"]), (400, "invalid_grant"), "a refresh token used twice")
    equal(ping(server.url + "/mcp", second["access_token"])[0], 401, "the token of a grant whose refresh token was used twice")
    print("codes and refresh tokens are good once; their misuse ends what they gave")

    _, last = client.exchange(client.code(key))
    equal(call(metadata["revocation_endpoint"], form={"client_id": client.id, "token": last["refresh_token"]})[0], 200, "revocation")
    equal(ping(server.url + "/mcp", last["access_token"])[0], 401, "a revoked token")
    check(tokens["access_token"] not in server.log_text() and key not in server.log_text(), "secrets stay out of the log")


if __name__ == "__main__":
    sys.exit(main())
