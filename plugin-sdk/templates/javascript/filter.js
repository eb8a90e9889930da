// {{description}}.

import { config } from "./livekit-webhook.js";

export const filter = {
  accept(event) {
    const name = event.roomName() ?? "";
    return !name.startsWith(config("/prefix"));
  },
};
