"""{{description}}."""

import json

from wit_world import exports
from wit_world.imports import config
from wit_world.imports.types import Event


class Route(exports.Route):
    def destinations(self, event: Event) -> list[str]:
        if event.kind() != "room_finished":
            return []
        return [json.loads(config.get("/endpoint") or '"billing"')]
