"""Adds a note to every event of a room."""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import config, log
from wit_world.imports.types import Draft, Event, Failure_Reject

# LiveKit's bodies have a few KiB. Larger ones take more CPU than a plugin is given (cpu_pure_ms).
BYTES_MAX = 64 * 1024
# LiveKit nests five deep.
DEPTH_MAX = 200


class Transform(exports.Transform):
    def transform(self, event: Event) -> list[Draft]:
        body = parsed(event)
        if not isinstance(body, dict) or not body.get("room"):
            return []
        log.log(2, "noted", [("room", event.room_name() or "")])
        body["note"] = json.loads(config.get("/note") or "null")
        return [Draft(None, json.dumps(body).encode(), [])]


def parsed(event: Event):
    """The body. What is raised here and is no Err is a trap, which tells nobody what was wrong."""
    raw = event.json()
    if len(raw) > BYTES_MAX:
        raise Err(Failure_Reject(f"the body has {len(raw)} bytes, at most {BYTES_MAX}"))
    if is_deep(raw):
        raise Err(Failure_Reject(f"the body is nested more than {DEPTH_MAX} deep"))
    try:
        return json.loads(raw)
    except ValueError as error:
        raise Err(Failure_Reject(str(error)))


def is_deep(raw: bytes) -> bool:
    """Whether parsing it could use up the stack, which cannot be caught."""
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return False
    depth = 0
    for found in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', raw):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found, 0)
        if depth > DEPTH_MAX:
            return True
    return False
