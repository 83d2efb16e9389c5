"""The smallest zygote: what src/sandbox/zygote_protocol.md asks of one, in Python. For tests only."""
import ctypes
import gc
import os
import sys

CONTROL = 3
jail = ctypes.PyDLL(os.environ["MAYFLY_JAIL"])  # PyDLL: keeps the interpreter's lock, also in the copy
api = ctypes.pythonapi

gc.collect()
gc.freeze()
if jail.mayfly_jail_zygote_ready(CONTROL) != 0:
    os._exit(1)
while True:
    api.PyOS_BeforeFork()
    pid = jail.mayfly_jail_zygote_next(CONTROL)
    if pid != 0:
        api.PyOS_AfterFork_Parent()
        if pid < 0:
            os._exit(0)
        continue
    api.PyOS_AfterFork_Child()
    # os.environ was read at start: read it anew.
    os.environ.clear()
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    index = 0
    while environ[index]:
        name, _, value = environ[index].partition(b"=")
        os.environb[name] = value
        index += 1
    break

code = os.environ.pop("MAYFLY_TEST_CODE", "")
try:
    exec(compile(code, "test", "exec"), {"__name__": "__main__"})
    sys.stdout.flush()
except SystemExit as end:
    sys.stdout.flush()
    os._exit(end.code or 0)
except BaseException as error:
    print(type(error).__name__, error, flush=True)
    os._exit(1)
os._exit(0)
