"""Adds a note to every event of a room."""

import json

from wit_world import exports
from wit_world.imports import config, log
from wit_world.imports.types import Draft, Event


class Transform(exports.Transform):
    def transform(self, event: Event) -> list[Draft]:
        body = json.loads(event.json())
        if "room" not in body:
            return []
        log.log(2, "noted", [("room", body["room"]["name"])])
        body["note"] = json.loads(config.get("/note") or "null")
        return [Draft(None, json.dumps(body).encode(), [])]
