"""first_answer.py PORT COMMAND...: milliseconds from starting COMMAND until GET /healthz answers; then ends it."""
import socket
import subprocess
import sys
import time

port = int(sys.argv[1])
begin = time.monotonic()
process = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while True:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if connection.recv(4096).startswith(b"HTTP/1.1 200"):
                break
    except OSError:
        if process.poll() is not None:
            sys.exit("the server ended by itself")
        time.sleep(0.0005)
print(f"{(time.monotonic() - begin) * 1000:.1f}")
process.terminate()
process.wait()
