"""The data directory: one owner, read-only, full."""

import os
import subprocess

from lib import BINARY, DEADLINE, Problem, Server, Skip, TemporaryFolder, check, cli, environment, equal, wait_until, write

PROJECT = """version: 1
providers:
  script: {kind: scripted, script: model.yaml}
agents:
  echo: {model: script/echo, instructions: Repeat what you hear.}
"""
SCRIPT = """version: 1
conversations:
  - {match: {regex: "([\\\\s\\\\S]*)"}, turns: [{text: "heard"}]}
"""


def project_in(folder):
    write(folder / "project/mayfly.yaml", PROJECT)
    write(folder / "project/model.yaml", SCRIPT)
    return folder / "project"


def serve_once(data, *more):
    """Starts a server that is expected to refuse."""
    done = subprocess.run([str(BINARY), "serve", "--data", str(data), "--listen", "127.0.0.1:0", *more], capture_output=True, text=True, timeout=DEADLINE,
                          env=environment())
    return done


class Mounted:
    """A small file system of its own, where the machine allows it."""

    def __init__(self, path, options):
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], capture_output=True, text=True) if os.geteuid() == 0 else None
        if done is None or done.returncode != 0:
            raise Skip("mounting a file system is not permitted here")

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True)


def test_second_server_on_the_same_data_is_refused():
    with TemporaryFolder() as folder:
        with Server(folder / "data", project=project_in(folder)) as server:
            second = serve_once(folder / "data")
            check(second.returncode != 0, "the second one must not run")
            check(str(server.process.pid) in second.stderr, f"it names the owner: {second.stderr}")
            check("Traceback" not in second.stderr and "assert" not in second.stderr.lower(), second.stderr)
            run = server.invoke("echo", "still here?")
            equal(server.ended(run)["status"], "SUCCEEDED", "the first one goes on")
        # The lock dies with its owner.
        with Server(folder / "data"):
            pass


def test_read_only_data_directory_is_refused_clearly():
    with TemporaryFolder() as folder, Mounted(folder / "mount", "size=8m") as mount:
        with Server(mount / "data", project=project_in(folder)):
            pass
        remounted = subprocess.run(["mount", "-o", "remount,ro", str(mount)], capture_output=True)
        if remounted.returncode != 0:
            raise Skip("remounting is not permitted here")
        refused = serve_once(mount / "data")
        equal(refused.returncode, 1, f"{refused.stderr}")
        check("error:" in refused.stderr and str(mount / "data") in refused.stderr, f"it names the folder: {refused.stderr}")


def test_full_disk_keeps_what_was_acknowledged_and_recovers():
    with TemporaryFolder() as folder, Mounted(folder / "mount", "size=32m") as mount:
        project = project_in(folder)
        server = Server(mount / "data", project=project)
        server.log = folder / "server.log"
        with server:
            before = [server.invoke("echo", f"before {i}", key=f"before-{i}") for i in range(5)]
            for run in before:
                server.ended(run)
            ballast = mount / "ballast"
            with open(ballast, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    pass
            acknowledged, refused = [], None
            for i in range(4000):
                try:
                    acknowledged.append(server.invoke("echo", "x" * 40000 + str(i), key=f"full-{i}"))
                except Problem as problem:
                    refused = problem
                    break
            check(refused is not None, "a full disk refuses new runs at some time")
            equal(refused.status, 503, f"status of the refusal ({refused})")
            check(refused.code.startswith("store."), f"its code {refused.code}")
            check(server.process.poll() is None, "the server lives")
            server.get("/v1/runs?limit=5")  # reading still works
            ballast.unlink()
            run = wait_until(lambda: try_invoke(server), "service when there is space again")
            equal(server.ended(run)["status"], "SUCCEEDED", "a new run")
            for run in before + acknowledged:
                equal(server.ended(run)["status"], "SUCCEEDED", f"acknowledged run {run}")
            server.kill()
            server.start()
            for run in before + acknowledged:
                equal(server.ended(run)["status"], "SUCCEEDED", f"acknowledged run {run} after a restart")


def try_invoke(server):
    try:
        return server.invoke("echo", "is there space?", key="after")
    except Problem:
        return None


def test_wrong_data_directories_give_sentences():
    with TemporaryFolder() as folder:
        write(folder / "file", "I am no folder")
        refused = serve_once(folder / "file")
        check(refused.returncode not in (0, 2) and refused.stderr.startswith("error:"), f"{refused.stderr}")
        write(folder / "damaged/store.db", "this is no database" * 500)
        refused = serve_once(folder / "damaged")
        check(refused.returncode >= 0, f"it must not die by a signal: {refused.returncode}")
        equal(cli("doctor", "--data", folder / "file" / "below", "--url", "http://127.0.0.1:1").code, 1, "doctor sees that it cannot write")
