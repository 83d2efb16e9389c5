"""start_runs.py URL AGENT INPUT COUNT: starts runs over 32 connections and prints the last run's id. The key is in MAYFLY_API_KEY."""
import http.client
import json
import os
import sys
import threading
import urllib.parse

url, agent, text, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
host = urllib.parse.urlsplit(url).netloc
body = json.dumps({"input": text})
headers = {"Authorization": "Bearer " + os.environ["MAYFLY_API_KEY"], "Content-Type": "application/json"}
lock = threading.Lock()
left, last, failed = count, "", 0


def work():
    global left, last, failed
    connection = http.client.HTTPConnection(host, timeout=60)
    while True:
        with lock:
            if left == 0:
                return
            left -= 1
        connection.request("POST", f"/v1/agents/{agent}/runs", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        with lock:
            if answer.status == 202:
                last = json.loads(text)["run"]
            else:
                failed += 1
                if failed == 1:
                    print(answer.status, text[:300], file=sys.stderr)


threads = [threading.Thread(target=work) for _ in range(min(32, count))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(last)
sys.exit(1 if failed else 0)
