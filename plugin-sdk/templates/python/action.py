"""{{description}}."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import config, log
from wit_world.imports.types import Event, Failure_Reject


class Action(exports.Action):
    def run(self, event: Event, input: bytes) -> bytes:
        name = event.room_name()
        if not name:
            raise Err(Failure_Reject("no room"))
        log.log(2, "greeted", [("room", name)])
        greeting = json.loads(config.get("/greeting") or '"hello"')
        return f"{greeting} {name}".encode()
