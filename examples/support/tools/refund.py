"""Pays money back once for each idempotency key.

{"order_id", "amount", "reason"} on standard input, the entry as JSON on standard output. The ledger is one JSON object a line, in the
file that SUPPORT_LEDGER names or ./refunds.jsonl. A repeated key answers with the first entry and adds nothing.
"""
import fcntl
import json
import os
import pathlib
import sys


def read_entries(ledger):
    ledger.seek(0)
    entries = []
    for line in ledger:
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue  # a line torn by a crash counts for nothing: its caller never got an answer and comes again
    return entries


def pay(ledger, key, request, order):
    entries = read_entries(ledger)
    for entry in entries:
        if entry["key"] == key:
            return {**entry, "repeated": True}
    order_id, amount = request["order_id"], round(float(request["amount"]), 2)
    paid_back = sum(entry["amount"] for entry in entries if entry["order_id"] == order_id)
    if round(paid_back + amount, 2) > order["paid"]:
        return {"error": f"refused: {paid_back:.2f} of {order['paid']:.2f} EUR were already paid back", "order_id": order_id}
    entry = {"key": key, "refund_id": f"RF-{len(entries) + 1:04d}", "order_id": order_id, "amount": amount, "reason": request["reason"]}
    ledger.seek(0, os.SEEK_END)
    torn = ledger.tell() > 0 and not ends_with_newline(ledger)
    ledger.write(("\n" if torn else "") + json.dumps(entry, ensure_ascii=False) + "\n")
    ledger.flush()
    os.fsync(ledger.fileno())
    return entry


def ends_with_newline(ledger):
    with open(ledger.name, "rb") as raw:
        raw.seek(-1, os.SEEK_END)
        return raw.read(1) == b"\n"


def main():
    request = json.load(sys.stdin)
    key = os.environ.get("MAYFLY_IDEMPOTENCY_KEY", "")
    if not key:
        sys.exit("MAYFLY_IDEMPOTENCY_KEY is not set: without it a repeat could pay twice")
    data = pathlib.Path(__file__).resolve().parent.parent / "data" / "orders.json"
    order = json.loads(data.read_text(encoding="utf-8")).get(request["order_id"])
    if order is None:
        answer = {"error": "unknown order", "order_id": request["order_id"]}
    else:
        with open(os.environ.get("SUPPORT_LEDGER") or "refunds.jsonl", "a+", encoding="utf-8") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            answer = pay(ledger, key, request, order)
    answer.pop("key", None)
    print(json.dumps(answer, ensure_ascii=False))


if __name__ == "__main__":
    main()
