// {{description}}.

#include "plugin.h"
#include "text.h"

bool exports_livekit_webhook_plugin_filter_accept(
    exports_livekit_webhook_plugin_filter_borrow_event_t event, bool *ret,
    exports_livekit_webhook_plugin_filter_failure_t *err) {
  (void)err;
  plugin_string_t name = {0}, prefix = config_text("/prefix");
  *ret = !livekit_webhook_plugin_types_method_event_room_name(event, &name) ||
         !begins_with(name, prefix);
  return true;
}
