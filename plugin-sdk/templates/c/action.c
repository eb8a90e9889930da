// {{description}}.

#include "plugin.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

bool exports_livekit_webhook_plugin_action_run(
    exports_livekit_webhook_plugin_action_borrow_event_t event, plugin_list_u8_t *input,
    plugin_list_u8_t *ret, exports_livekit_webhook_plugin_action_failure_t *err) {
  (void)input;
  plugin_string_t name, greeting = config_text("/greeting");
  if (!livekit_webhook_plugin_types_method_event_room_name(event, &name)) {
    err->tag = LIVEKIT_WEBHOOK_PLUGIN_TYPES_FAILURE_REJECT;
    plugin_string_dup(&err->val.reject, "no room");
    return false;
  }
  info("greeted");
  ret->len = greeting.len + 1 + name.len;
  ret->ptr = malloc(ret->len);
  memcpy(ret->ptr, greeting.ptr, greeting.len);
  ret->ptr[greeting.len] = ' ';
  memcpy(ret->ptr + greeting.len + 1, name.ptr, name.len);
  return true;
}
