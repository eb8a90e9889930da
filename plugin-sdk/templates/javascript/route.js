// {{description}}.

import { config } from "./livekit-webhook.js";

export const route = {
  destinations(event) {
    return event.kind() === "room_finished" ? [config("/endpoint")] : [];
  },
};
