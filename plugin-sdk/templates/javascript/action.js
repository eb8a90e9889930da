// {{description}}.

import { config, encode, info, reject } from "./livekit-webhook.js";

export const action = {
  run(event, _input) {
    const name = event.roomName();
    if (!name) throw reject("no room");
    info("greeted", { room: name });
    return encode(`${config("/greeting")} ${name}`);
  },
};
