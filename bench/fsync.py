"""fsync.py FILE: the median time in microseconds of writing 4 KiB and fdatasync, over one second, to a file that has its size already."""
import os
import statistics
import sys
import time

file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
os.write(file, bytes(4 << 20))
os.fsync(file)
times, position, end = [], 0, time.monotonic() + 1
while time.monotonic() < end:
    begin = time.monotonic()
    os.pwrite(file, os.urandom(4096), position % (4 << 20))
    os.fdatasync(file)
    times.append(time.monotonic() - begin)
    position += 4096
os.close(file)
os.unlink(sys.argv[1])
print(round(statistics.median(times) * 1e6))
