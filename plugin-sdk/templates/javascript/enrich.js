// {{description}}.

import { config } from "./livekit-webhook.js";

export const enrich = {
  attributes(event) {
    const name = event.roomName() ?? "";
    const end = name.indexOf(config("/separator"));
    return end < 0 ? [] : [["tenant", name.slice(0, end)]];
  },
};
