// What every plugin needs: texts, configuration, log, and how to fail. Written by `livekit-webhook
// plugin new`; change it as you like.

import { get } from "livekit-webhook:plugin/config@{{version}}";
import { log as line } from "livekit-webhook:plugin/log@{{version}}";

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

/** The body of the event, parsed. One that is no JSON, too large or too deep is rejected. */
export function body(event) {
  const bytes = event.json();
  if (bytes.length > BYTES_MAX) {
    throw reject(`the body has ${bytes.length} bytes, at most ${BYTES_MAX} can be parsed in time`);
  }
  try {
    const text = decode(bytes);
    if (isDeep(text)) throw `the body is nested more than ${DEPTH_MAX} deep`;
    return JSON.parse(text);
  } catch (error) {
    throw reject(error);
  }
}

/** Whether parsing the text could use up the stack, which cannot be caught. */
function isDeep(text) {
  // Nearly every body has fewer brackets than that, deep or not.
  if (text.split(/[[{]/, DEPTH_MAX + 2).length <= DEPTH_MAX + 1) return false;
  let depth = 0;
  for (const bracket of text.replace(/"(?:[^"\\]|\\.)*"/g, "").match(/[[\]{}]/g) ?? []) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1;
    if (depth > DEPTH_MAX) return true;
  }
  return false;
}

/** An event in the place of the one that came. */
export function draft(body, { kind, attributes = {} } = {}) {
  return { kind, body: encode(JSON.stringify(body)), attributes: Object.entries(attributes) };
}

// Anything else that is thrown is a trap, which tells nobody what was wrong.

/** To throw: this event will never work. */
export const reject = (reason) => ({ tag: "reject", val: String(reason) });
/** To throw: try again, not before so many milliseconds. */
export const retry = (afterMs) => ({ tag: "retry", val: afterMs });

// The engine has no TextEncoder and no TextDecoder.

/** The text of UTF-8 bytes. */
export function decode(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return ASCII.test(text) ? text : decodeURIComponent(escape(text));
}

/** The UTF-8 bytes of a text. */
export function encode(text) {
  const units = ASCII.test(text) ? text : unescape(encodeURIComponent(text.toWellFormed()));
  const bytes = new Uint8Array(units.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = units.charCodeAt(at);
  return bytes;
}

// LiveKit's bodies have a few KiB. Larger ones take more CPU than a plugin is given (cpu_pure_ms).
const BYTES_MAX = 64 * 1024;
// LiveKit nests five deep.
const DEPTH_MAX = 200;
// So many arguments fit on the stack.
const CHUNK = 1024;
const ASCII = /^[\0-\x7f]*$/;
