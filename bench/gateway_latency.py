"""gateway_latency.py DIRECT GATEWAY MODEL ROUNDS: the same streamed chat completion, alternately from the stub and through the gateway, on one
kept connection each. Prints medians in microseconds: first byte of the body, and end of the body. The key is in MAYFLY_API_KEY."""
import json
import os
import socket
import statistics
import sys
import time
import urllib.parse


class Client:
    def __init__(self, url, path, model):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "Say something short."}]}).encode()
        self.request = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{parts.port}\r\nContent-Type: application/json\r\n"
                        f"Authorization: Bearer {os.environ['MAYFLY_API_KEY']}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
        self.first, self.total = [], []

    def round(self):
        begin = time.perf_counter()
        self.socket.sendall(self.request)
        received, first = b"", None
        while not received.endswith(b"0\r\n\r\n"):
            piece = self.socket.recv(65536)
            if not piece:
                sys.exit("the connection was closed")
            received += piece
            if first is None and b"content\":\"" in received:
                first = time.perf_counter() - begin
        self.total.append(time.perf_counter() - begin)
        self.first.append(first)
        if not received.startswith(b"HTTP/1.1 200"):
            sys.exit(received[:500].decode())


direct = Client(sys.argv[1], "/v1/chat/completions", "stub")
gateway = Client(sys.argv[2], "/gateway/openai/v1/chat/completions", sys.argv[3])
for number in range(int(sys.argv[4]) + 50):
    direct.round()
    gateway.round()
median = lambda values: statistics.median(values[50:]) * 1e6
print(f"direct_first={median(direct.first):.0f} direct_total={median(direct.total):.0f} "
      f"gateway_first={median(gateway.first):.0f} gateway_total={median(gateway.total):.0f}")
