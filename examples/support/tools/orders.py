"""Looks an order up: {"order_id": "LM-1001"} on standard input, the order as JSON on standard output."""
import json
import pathlib
import sys


def main():
    order_id = json.load(sys.stdin)["order_id"]
    data = pathlib.Path(__file__).resolve().parent.parent / "data" / "orders.json"
    orders = json.loads(data.read_text(encoding="utf-8"))
    if order_id in orders:
        answer = {"order_id": order_id, **orders[order_id]}
    else:
        answer = {"error": "unknown order", "order_id": order_id}
    print(json.dumps(answer, ensure_ascii=False))


if __name__ == "__main__":
    main()
