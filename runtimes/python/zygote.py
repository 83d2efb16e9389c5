"""Forks warmed Pythons: loads what every function needs and the modules named in MAYFLY_PRELOAD, never a function's own code.

Speaks src/sandbox/zygote_protocol.md. Each child is inside its sandbox when `next` returns, and becomes the function's runtime.
"""

import ctypes
import gc
import json  # noqa: F401  (warmed for the children)
import os
import socket  # noqa: F401
import sys
import time  # noqa: F401

import bootstrap

CONTROL = 3


def preload(names):
    """A module that is not there is the function's business: its own import will say so."""
    import importlib
    import traceback  # noqa: F401

    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            pass


def take_environment():
    """os.environ was read when the zygote started."""
    environment = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    entries, index = [], 0
    while environment[index]:
        entries.append(environment[index])
        index += 1
    os.environ.clear()
    for entry in entries:
        name, _, value = entry.partition(b"=")
        os.environb[name] = value
    time.tzset()
    if "numpy.random" in sys.modules:
        # Seeded at import: without this all children draw the same numbers.
        sys.modules["numpy.random"].seed()


def take_paths():
    """What PYTHONPATH adds, which the interpreter itself read long ago."""
    for entry in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if entry and entry not in sys.path:
            sys.path.insert(0, entry)


def fork_on_demand():
    """Returns in each child."""
    jail = ctypes.PyDLL(os.environ["MAYFLY_JAIL"])  # PyDLL keeps the interpreter's lock, also in the copy
    api = ctypes.pythonapi
    gc.collect()
    gc.freeze()
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("a preloaded module started threads, which a fork cannot take along: do not preload it")
    if jail.mayfly_jail_zygote_ready(CONTROL) != 0:
        os._exit(1)
    while True:
        api.PyOS_BeforeFork()
        pid = jail.mayfly_jail_zygote_next(CONTROL)
        if pid == 0:
            api.PyOS_AfterFork_Child()
            return
        api.PyOS_AfterFork_Parent()
        if pid < 0:
            os._exit(0)


def end(code):
    """A child has what its parent's exit handlers would clean up: it must not run them twice, but its own output goes out."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def run_child():
    import traceback

    take_environment()
    take_paths()
    try:
        bootstrap.main()
    except SystemExit as leave:
        if leave.code is None or isinstance(leave.code, int):
            end((leave.code or 0) & 0xFF)
        print(leave.code, file=sys.stderr)
        end(1)
    except BaseException:
        traceback.print_exc()
        end(1)
    end(0)


if __name__ == "__main__":
    preload([name for name in os.environ.get("MAYFLY_PRELOAD", "").split(",") if name])
    fork_on_demand()
    run_child()
