// Adds a note to every event of a room.

#include "plugin.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

bool exports_livekit_webhook_plugin_transform_transform(
    exports_livekit_webhook_plugin_transform_borrow_event_t event,
    exports_livekit_webhook_plugin_transform_list_draft_t *ret,
    exports_livekit_webhook_plugin_transform_failure_t *err) {
  (void)err;
  ret->ptr = NULL;
  ret->len = 0;
  plugin_string_t room;
  if (!livekit_webhook_plugin_types_method_event_room_name(event, &room)) return true;
  info("noted");
  // JSON text of the configured note. It goes in front of the body's own members.
  plugin_string_t pointer, note;
  plugin_string_set(&pointer, "/note");
  if (!livekit_webhook_plugin_config_get(&pointer, &note)) plugin_string_set(&note, "null");
  plugin_list_u8_t body;
  livekit_webhook_plugin_types_method_event_json(event, &body);
  const uint8_t *open = memchr(body.ptr, '{', body.len);
  if (open == NULL) return true;
  size_t skipped = (size_t)(open - body.ptr) + 1;
  const char head[] = "{\"note\":";
  size_t rest = body.len - skipped;
  size_t len = sizeof head - 1 + note.len + 1 + rest;
  uint8_t *out = malloc(len);
  uint8_t *at = out;
  at = (uint8_t *)memcpy(at, head, sizeof head - 1) + (sizeof head - 1);
  at = (uint8_t *)memcpy(at, note.ptr, note.len) + note.len;
  *at++ = ',';
  memcpy(at, body.ptr + skipped, rest);
  exports_livekit_webhook_plugin_transform_draft_t *draft = calloc(1, sizeof *draft);
  draft->body.ptr = out;
  draft->body.len = len;
  ret->ptr = draft;
  ret->len = 1;
  return true;
}
