// What every plugin needs: texts, configuration, log, and how to fail. Written by `livekit-webhook
// plugin new`; change it as you like.

import { get } from "livekit-webhook:plugin/config@0.1.1";
import { log as line } from "livekit-webhook:plugin/log@0.1.1";

/** One value of the configuration by its JSON pointer, such as "/note"; undefined when not there. */
export function config(pointer) {
  const text = get(pointer);
  return text === undefined || text === null ? undefined : JSON.parse(text);
}

/** A line in the gateway's log. Fields are texts by name. */
export function info(message, fields = {}) {
  const texts = Object.entries(fields).map(([name, value]) => [name, String(value)]);
  line(2, message, texts);
}

/** The body of the event, parsed. */
export function body(event) {
  return JSON.parse(decode(event.json()));
}

/** An event in the place of the one that came. */
export function draft(body, { kind, attributes = {} } = {}) {
  return { kind, body: encode(JSON.stringify(body)), attributes: Object.entries(attributes) };
}

/** To throw: this event will never work. */
export const reject = (reason) => ({ tag: "reject", val: String(reason) });
/** To throw: try again, not before so many milliseconds. */
export const retry = (afterMs) => ({ tag: "retry", val: afterMs });

// The engine has no TextEncoder and no TextDecoder.

/** The text of UTF-8 bytes. */
export function decode(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++];
    const more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let point = more === 0 ? first : first & (0x3f >> more);
    for (let n = 0; n < more; n++) point = (point << 6) | (bytes[at++] & 0x3f);
    text += String.fromCodePoint(point);
  }
  return text;
}

/** The UTF-8 bytes of a text. */
export function encode(text) {
  const bytes = [];
  for (const character of text) {
    const point = character.codePointAt(0);
    if (point < 0x80) {
      bytes.push(point);
      continue;
    }
    const more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    bytes.push(((0xff << (7 - more)) & 0xff) | (point >> (6 * more)));
    for (let n = more - 1; n >= 0; n--) bytes.push(0x80 | ((point >> (6 * n)) & 0x3f));
  }
  return new Uint8Array(bytes);
}
