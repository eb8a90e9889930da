// {{description}}.

#include "plugin.h"
#include "text.h"
#include <stdlib.h>

bool exports_livekit_webhook_plugin_route_destinations(
    exports_livekit_webhook_plugin_route_borrow_event_t event, plugin_list_string_t *ret,
    exports_livekit_webhook_plugin_route_failure_t *err) {
  (void)err;
  ret->ptr = NULL;
  ret->len = 0;
  plugin_string_t kind, wanted;
  livekit_webhook_plugin_types_method_event_kind(event, &kind);
  plugin_string_set(&wanted, "room_finished");
  if (kind.len != wanted.len || !begins_with(kind, wanted)) return true;
  ret->ptr = malloc(sizeof *ret->ptr);
  // What is returned is freed afterwards, so it must be an allocation of its own.
  plugin_string_t endpoint = config_text("/endpoint");
  plugin_string_dup_n(&ret->ptr[0], (const char *)endpoint.ptr, endpoint.len);
  ret->len = 1;
  return true;
}
