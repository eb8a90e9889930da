"""{{description}}."""

import json

from wit_world import exports
from wit_world.imports import config
from wit_world.imports.types import Event


class Enrich(exports.Enrich):
    def attributes(self, event: Event) -> list[tuple[str, str]]:
        separator = json.loads(config.get("/separator") or '"-"')
        tenant, found, _ = (event.room_name() or "").partition(separator)
        return [("tenant", tenant)] if found else []
