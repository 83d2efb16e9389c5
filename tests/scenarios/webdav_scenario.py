"""WebDAV: Debian's litmus against the real server, and locks that hold over every interface."""

import base64
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request

from lib import Server, TemporaryFolder, check, equal


def dav(server, method, path, body=None, **headers):
    request = urllib.request.Request(server.url + path, data=body, method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(f"me:{server.key}".encode()).decode())
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


LOCK = b'<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>me</owner></lockinfo>'


def test_litmus_passes():
    litmus = shutil.which("litmus")
    check(litmus, "litmus is installed (./dev setup installs it)")
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        server.post("/v1/workspaces", {"name": "dav"})
        done = subprocess.run([litmus, "-k", server.url + "/dav/dav/", "user", server.key], cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, "TESTS": "basic copymove props locks http"})
        sums = re.findall(r"summary for `(\w+)': of (\d+) tests run: (\d+) passed, (\d+) failed", done.stdout)
        equal([name for name, *_ in sums], ["basic", "copymove", "props", "locks", "http"], "litmus's suites")
        failures = re.findall(r"^.*FAIL.*$", done.stdout, re.M)
        equal(failures, [], "litmus's failures")
        check(sum(int(run) for _, run, *_ in sums) > 90, f"litmus ran its tests: {sums}")


def test_locks_hold_over_every_interface():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        server.post("/v1/workspaces", {"name": "w"})
        equal(dav(server, "PUT", "/dav/w/a.txt", b"one")[0], 201, "a new file")
        grant = server.post("/v1/workspaces/w/actions/lock_acquire", {"path": "/a.txt"})
        equal(dav(server, "PUT", "/dav/w/a.txt", b"two")[0], 423, "a write over WebDAV against a lock taken over REST")
        server.post("/v1/workspaces/w/actions/lock_release", {"path": "/a.txt", "lock_token": grant["lock_token"]})
        status, headers, _ = dav(server, "LOCK", "/dav/w/a.txt", LOCK, Content_Type="application/xml")
        equal(status, 200, "a lock over WebDAV")
        token = headers.get("Lock-Token") or headers.get("lock-token")
        request = urllib.request.Request(server.url + "/v1/workspaces/w/files/a.txt", data=b"three", method="PUT", headers={"Authorization": "Bearer " + server.key, "If-Match": "*"})
        try:
            urllib.request.urlopen(request, timeout=60)
            status = 200
        except urllib.error.HTTPError as error:
            status = error.code
        equal(status, 423, "a write over REST against a lock taken over WebDAV")
        equal(dav(server, "PUT", "/dav/w/a.txt", b"mine", If=f"({token})")[0] in (200, 201, 204), True, "the holder writes")
        server.kill()
        server.start()
        equal(dav(server, "PUT", "/dav/w/a.txt", b"other")[0], 423, "the lock outlives kill -9")
        equal(dav(server, "UNLOCK", "/dav/w/a.txt", Lock_Token=token)[0], 204, "the holder unlocks after it")
        equal(dav(server, "GET", "/dav/w/a.txt")[2], b"mine", "the content")


def test_a_wrong_key_is_asked_again_and_doctypes_are_refused():
    with TemporaryFolder() as folder, Server(folder / "data") as server:
        server.post("/v1/workspaces", {"name": "w"})
        request = urllib.request.Request(server.url + "/dav/w/", method="PROPFIND")
        try:
            urllib.request.urlopen(request, timeout=60)
            raise AssertionError("no key was needed")
        except urllib.error.HTTPError as error:
            equal((error.code, "Basic" in error.headers.get("WWW-Authenticate", "")), (401, True), "without a key")
        bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><propfind xmlns="DAV:"><prop><x>&a;</x></prop></propfind>'
        equal(dav(server, "PROPFIND", "/dav/w/", bomb, Depth="0")[0], 400, "a document with a doctype")
