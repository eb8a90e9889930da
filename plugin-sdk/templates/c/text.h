// What every plugin needs: texts of the configuration, comparisons, a line in the log. Written by
// `livekit-webhook plugin new`; change it as you like.
//
// Nothing is freed here: an instance lives for one event.

#ifndef TEXT_H
#define TEXT_H

#include "plugin.h"
#include <string.h>

// One text of the configuration by its JSON pointer, without its quotes. Escapes stay as they are.
static inline plugin_string_t config_text(const char *pointer) {
  plugin_string_t at, json = {0};
  plugin_string_set(&at, pointer);
  if (livekit_webhook_plugin_config_get(&at, &json) && json.len >= 2 && json.ptr[0] == '"') {
    json.ptr++;
    json.len -= 2;
  }
  return json;
}

static inline bool begins_with(plugin_string_t text, plugin_string_t start) {
  return text.len >= start.len && memcmp(text.ptr, start.ptr, start.len) == 0;
}

// A line in the gateway's log.
static inline void info(const char *message) {
  plugin_string_t text;
  plugin_list_tuple2_string_string_t fields = {0};
  plugin_string_set(&text, message);
  livekit_webhook_plugin_log_log(2, &text, &fields);
}

#endif
