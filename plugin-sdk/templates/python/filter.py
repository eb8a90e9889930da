"""{{description}}."""

import json

from wit_world import exports
from wit_world.imports import config
from wit_world.imports.types import Event


class Filter(exports.Filter):
    def accept(self, event: Event) -> bool:
        prefix = json.loads(config.get("/prefix") or '""')
        name = event.room_name() or ""
        return not name.startswith(prefix)
