"""Judges captured deliveries with the receivers that are published for Python.

usage: python judge.py < cases > verdicts

Cases and verdicts are those of judge.mjs, less "asymmetric": the standard library has no Ed25519.
"""

import json
import sys

from livekit.api import TokenVerifier, WebhookReceiver
from standardwebhooks import Webhook


def judge(given):
    headers, body = given["headers"], given["body"]
    if given["how"] == "standard":
        event = Webhook(given["secret"]).verify(body, headers)
        return {"event": event["event"], "id": event["id"]}
    if given["how"] == "livekit":
        receiver = WebhookReceiver(TokenVerifier(given["api_key"], given["secret"]))
        event = receiver.receive(body, headers["authorization"])
        return {"event": event.event, "id": event.id}
    raise ValueError(f"no such way: {given['how']}")


for line in sys.stdin:
    try:
        verdict = judge(json.loads(line))
    except Exception as error:
        verdict = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(verdict))
