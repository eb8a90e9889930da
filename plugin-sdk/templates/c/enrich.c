// {{description}}.

#include "plugin.h"
#include "text.h"
#include <stdlib.h>

bool exports_livekit_webhook_plugin_enrich_attributes(
    exports_livekit_webhook_plugin_enrich_borrow_event_t event,
    plugin_list_tuple2_string_string_t *ret,
    exports_livekit_webhook_plugin_enrich_failure_t *err) {
  (void)err;
  ret->ptr = NULL;
  ret->len = 0;
  plugin_string_t name, separator = config_text("/separator");
  if (!livekit_webhook_plugin_types_method_event_room_name(event, &name)) return true;
  for (size_t end = 0; end + separator.len <= name.len; end++) {
    plugin_string_t rest = {name.ptr + end, name.len - end};
    if (!begins_with(rest, separator)) continue;
    ret->ptr = malloc(sizeof *ret->ptr);
    plugin_string_dup(&ret->ptr[0].f0, "tenant");
    plugin_string_dup_n(&ret->ptr[0].f1, (const char *)name.ptr, end);
    ret->len = 1;
    return true;
  }
  return true;
}
