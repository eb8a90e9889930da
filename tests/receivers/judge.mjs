// Judges captured deliveries with the receivers that are published for Node.
//
// usage: node judge.mjs FOLDER < cases > verdicts
//
// FOLDER holds node_modules. A case is a JSON object a line, a verdict is one, too:
//   {"how":"standard","secret":"whsec_…","headers":{…},"body":"…"}        the standardwebhooks library
//   {"how":"asymmetric","secret":"whpk_…","headers":{…},"body":"…"}       Node's own Ed25519
//   {"how":"livekit","api_key":"…","secret":"…","headers":{…},"body":"…"} livekit-server-sdk
//   {"event":"room_started","id":"EV_1"} or {"error":"why"}

import { createPublicKey, verify, webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// livekit-server-sdk wants it; Node 18 does not show it by itself.
globalThis.crypto ??= webcrypto;

const require = createRequire(`${process.argv[2]}/`);
const { Webhook } = require("standardwebhooks");
const { WebhookReceiver } = require("livekit-server-sdk");

// What stands before the 32 bytes of an Ed25519 public key in its DER form. RFC 8410.
const ED25519 = Buffer.from("302a300506032b6570032100", "hex");

function asymmetric({ secret, headers, body }) {
  const der = Buffer.concat([ED25519, Buffer.from(secret.slice("whpk_".length), "base64")]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const ours = headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
  const fits = (one) => verify(null, Buffer.from(signed), key, Buffer.from(one.slice(4), "base64"));
  if (!ours.some(fits)) throw new Error("no v1a signature fits");
  return JSON.parse(body);
}

async function judge(given) {
  switch (given.how) {
    case "standard":
      return new Webhook(given.secret).verify(given.body, given.headers);
    case "asymmetric":
      return asymmetric(given);
    case "livekit": {
      const receiver = new WebhookReceiver(given.api_key, given.secret);
      return await receiver.receive(given.body, given.headers["authorization"]);
    }
    default:
      throw new Error(`no such way: ${given.how}`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let verdict;
  try {
    const event = await judge(JSON.parse(line));
    verdict = { event: event.event, id: event.id };
  } catch (error) {
    verdict = { error: String(error) };
  }
  console.log(JSON.stringify(verdict));
}
