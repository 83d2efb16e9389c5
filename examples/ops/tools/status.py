"""The state of every service: what a real one would ask its monitoring for."""
import json
import os
import sys

json.load(sys.stdin)
states = {"web": "up", "search": "up", "payments": os.environ.get("OPS_PAYMENTS", "down")}
print("\n".join(f"{name}: {state}" for name, state in states.items()))
