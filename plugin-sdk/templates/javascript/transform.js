// {{description}}.

import { body, config, draft, info } from "./livekit-webhook.js";

export const transform = {
  transform(event) {
    const changed = body(event);
    if (!changed?.room) return [];
    info("noted", { room: changed.room.name });
    changed.note = config("/note");
    return [draft(changed)];
  },
};
