/*
 * The native core as a Node addon. Its interface is in core.ts, that of `poll` in targets/node/net/native-streams.ts.
 * Plain N-API and libuv: cc -shared -fPIC, with Node's own headers.
 */

#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "../core/core.h"

#define ARGUMENTS_MAX 7
#define FUNCTION(name) static napi_value name(napi_env env, napi_callback_info info)
/* Reads the arguments of a call into `argv`; missing ones are undefined. */
#define ARGUMENTS                  \
  napi_value argv[ARGUMENTS_MAX];  \
  size_t argc = ARGUMENTS_MAX;     \
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL)

static int64_t number_of(napi_env env, napi_value value) {
  int64_t number = -1;
  // Anything but a number becomes an invalid descriptor, which the kernel refuses.
  napi_get_value_int64(env, value, &number);
  return number;
}

static napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

static napi_value fail(napi_env env, const char *message) {
  napi_throw_range_error(env, NULL, message);
  return NULL;
}

/* Returns the address of bytes given as buffer, offset and count; NULL when it threw. */
static uint8_t *bytes_of(napi_env env, napi_value *argv, size_t *count) {
  void *bytes;
  size_t size;
  int64_t from = number_of(env, argv[1]), length = number_of(env, argv[2]);
  if (napi_get_arraybuffer_info(env, argv[0], &bytes, &size) != napi_ok)
    return (uint8_t *)fail(env, "not an ArrayBuffer");
  if (from < 0 || length < 0 || (uint64_t)from > size || (uint64_t)length > size - (uint64_t)from)
    return (uint8_t *)fail(env, "offset and count exceed the buffer");
  *count = (size_t)length;
  // An empty buffer may have no address.
  static uint8_t nothing;
  return bytes == NULL ? &nothing : (uint8_t *)bytes + from;
}

static napi_value array_buffer(napi_env env, const void *bytes, size_t count) {
  napi_value buffer;
  void *to;
  if (napi_create_arraybuffer(env, count, &to, &buffer) != napi_ok) return NULL;
  memcpy(to, bytes, count);
  return buffer;
}

/* Reads family, where and port. Copies `where` to `text`. */
static void address_of(napi_env env, napi_value *argv, struct baton_address *address, char text[128]) {
  address->family = (int)number_of(env, argv[0]);
  address->where = text;
  address->where_bytes = 0;
  text[0] = 0;
  napi_get_value_string_utf8(env, argv[1], text, 128, &address->where_bytes);
  address->port = (uint32_t)number_of(env, argv[2]);
}

FUNCTION(js_connect) {
  ARGUMENTS;
  struct baton_address address;
  char text[128];
  address_of(env, argv, &address, text);
  return number(env, baton_socket_connect(&address));
}

FUNCTION(js_listen) {
  ARGUMENTS;
  struct baton_address address;
  char text[128];
  address_of(env, argv, &address, text);
  return number(env, baton_socket_listen(&address, (mode_t)number_of(env, argv[3])));
}

FUNCTION(js_accept) {
  ARGUMENTS;
  return number(env, baton_socket_accept((int)number_of(env, argv[0])));
}

FUNCTION(js_socket_error) {
  ARGUMENTS;
  return number(env, baton_socket_error((int)number_of(env, argv[0])));
}

FUNCTION(js_shutdown) {
  ARGUMENTS;
  return number(env, baton_socket_shutdown((int)number_of(env, argv[0])));
}

FUNCTION(js_close) {
  ARGUMENTS;
  return number(env, close((int)number_of(env, argv[0])));
}

FUNCTION(js_receive) {
  ARGUMENTS;
  size_t count;
  uint8_t *bytes = bytes_of(env, argv + 1, &count);
  return bytes == NULL ? NULL : number(env, baton_socket_receive((int)number_of(env, argv[0]), bytes, count));
}

FUNCTION(js_send) {
  ARGUMENTS;
  size_t count;
  uint8_t *bytes = bytes_of(env, argv + 1, &count);
  return bytes == NULL ? NULL : number(env, baton_socket_send((int)number_of(env, argv[0]), bytes, count));
}

FUNCTION(js_send_datagram) {
  ARGUMENTS;
  struct baton_address address = {.family = AF_UNIX};
  char text[128] = "";
  size_t count;
  uint8_t *bytes = bytes_of(env, argv + 1, &count);
  if (bytes == NULL) return NULL;
  address.where = text;
  napi_get_value_string_utf8(env, argv[0], text, sizeof text, &address.where_bytes);
  return number(env, baton_datagram_send(&address, bytes, count));
}

FUNCTION(js_socket_name) {
  ARGUMENTS;
  char text[BATON_NAME_BYTES];
  bool of_peer = false;
  napi_value name;
  napi_get_value_bool(env, argv[1], &of_peer);
  int error = baton_socket_name((int)number_of(env, argv[0]), of_peer, text);
  if (error < 0) return number(env, error);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &name);
  return name;
}

FUNCTION(js_credentials) {
  ARGUMENTS;
  uint32_t peer[3];
  napi_value list;
  int error = baton_socket_credentials((int)number_of(env, argv[0]), peer);
  if (error < 0) return number(env, error);
  napi_create_array(env, &list);
  for (uint32_t i = 0; i < 3; i++) napi_set_element(env, list, i, number(env, peer[i]));
  return list;
}

FUNCTION(js_random) {
  ARGUMENTS;
  size_t count;
  uint8_t *bytes = bytes_of(env, argv, &count);
  return bytes == NULL ? NULL : number(env, baton_random(bytes, count));
}

FUNCTION(js_sha256) {
  ARGUMENTS;
  size_t count;
  uint8_t digest[BATON_HASH_BYTES], *bytes = bytes_of(env, argv, &count);
  struct baton_sha256 hash;
  if (bytes == NULL) return NULL;
  baton_sha256_begin(&hash);
  baton_sha256_add(&hash, bytes, count);
  baton_sha256_end(&hash, digest);
  return array_buffer(env, digest, sizeof digest);
}

FUNCTION(js_hmac_begin) {
  ARGUMENTS;
  size_t count;
  struct baton_hmac mac;
  uint8_t *key = bytes_of(env, argv, &count);
  if (key == NULL) return NULL;
  memset(&mac, 0, sizeof mac);
  baton_hmac_begin(&mac, key, count);
  return array_buffer(env, &mac, sizeof mac);
}

static struct baton_hmac *mac_of(napi_env env, napi_value value) {
  void *state;
  size_t size;
  if (napi_get_arraybuffer_info(env, value, &state, &size) == napi_ok && size == sizeof(struct baton_hmac))
    return state;
  return (struct baton_hmac *)fail(env, "not the state of a MAC");
}

FUNCTION(js_hmac_add) {
  ARGUMENTS;
  size_t count;
  struct baton_hmac *mac = mac_of(env, argv[0]);
  uint8_t *bytes = mac == NULL ? NULL : bytes_of(env, argv + 1, &count);
  if (bytes != NULL) baton_hmac_add(mac, bytes, count);
  return NULL;
}

FUNCTION(js_hmac_end) {
  ARGUMENTS;
  size_t count, tag_count;
  struct baton_hmac copy, *mac = mac_of(env, argv[0]);
  uint8_t *bytes = mac == NULL ? NULL : bytes_of(env, argv + 1, &count);
  uint8_t *tag = bytes == NULL ? NULL : bytes_of(env, argv + 4, &tag_count);
  if (tag == NULL) return NULL;
  if (tag_count != BATON_HASH_BYTES) return fail(env, "a tag has 32 bytes");
  copy = *mac;
  baton_hmac_add(&copy, bytes, count);
  baton_hmac_end(&copy, tag);
  return NULL;
}

/* A watched descriptor. */
struct watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref ready;
  int fd;
  struct watch *next;
};

/* State per JavaScript environment; every worker thread has its own. */
struct instance {
  struct watch *watches;
  napi_async_context context;
};

static struct instance *instance_of(napi_env env) {
  void *instance = NULL;
  napi_get_instance_data(env, &instance);
  return instance;
}

static void freed(uv_handle_t *handle) { free(handle); }

/* `events` of libuv have the values of our interface: 1 readable, 2 writable. */
static void on_poll(uv_poll_t *poll, int status, int events) {
  struct watch *watch = (struct watch *)poll;
  napi_handle_scope scope;
  napi_value ready, global, found;
  napi_open_handle_scope(watch->env, &scope);
  napi_get_reference_value(watch->env, watch->ready, &ready);
  napi_get_global(watch->env, &global);
  // A failed descriptor is ready for everything: the next call returns the error.
  found = number(watch->env, status < 0 ? UV_READABLE | UV_WRITABLE : events);
  // As a callback of the runtime: promises run after it, and an exception is an uncaught one of the process.
  napi_env env = watch->env;
  napi_value error, result;
  if (napi_make_callback(env, instance_of(env)->context, global, ready, 1, &found, &result) == napi_pending_exception) {
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void forget(struct watch *watch) {
  for (struct watch **at = &instance_of(watch->env)->watches; *at != NULL; at = &(*at)->next)
    if (*at == watch) {
      *at = watch->next;
      break;
    }
  napi_delete_reference(watch->env, watch->ready);
  uv_poll_stop(&watch->poll);
  uv_close((uv_handle_t *)&watch->poll, freed);
}

/* (fd, events, ready): see native-streams.ts. */
FUNCTION(js_poll) {
  ARGUMENTS;
  int fd = (int)number_of(env, argv[0]), events = (int)number_of(env, argv[1]);
  struct instance *instance = instance_of(env);
  struct watch *watch = instance->watches;
  while (watch != NULL && watch->fd != fd) watch = watch->next;
  if (events == 0) {
    if (watch != NULL) forget(watch);
    return number(env, 0);
  }
  if (watch == NULL) {
    uv_loop_t *loop;
    watch = calloc(1, sizeof *watch);
    if (watch == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok) {
      free(watch);
      return fail(env, "no event loop");
    }
    int error = uv_poll_init(loop, &watch->poll, fd);
    if (error < 0) {
      free(watch);
      return number(env, error);
    }
    watch->env = env;
    watch->fd = fd;
    watch->next = instance->watches;
    instance->watches = watch;
  } else {
    napi_delete_reference(env, watch->ready);
  }
  napi_create_reference(env, argv[2], 1, &watch->ready);
  return number(env, uv_poll_start(&watch->poll, events & (UV_READABLE | UV_WRITABLE), on_poll));
}

/* The environment ends: its loop must not wait for watched descriptors. */
static void end_instance(void *argument) {
  struct instance *instance = argument;
  while (instance->watches != NULL) forget(instance->watches);
}

static void free_instance(napi_env env, void *argument, void *hint) {
  (void)env, (void)hint;
  free(argument);
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback call;
  } EXPORTS[] = {
      {"connect", js_connect},          {"listen", js_listen},          {"accept", js_accept},
      {"socketError", js_socket_error}, {"shutdown", js_shutdown},      {"close", js_close},
      {"receive", js_receive},          {"send", js_send},              {"socketName", js_socket_name},
      {"credentials", js_credentials},  {"random", js_random},          {"sha256", js_sha256},
      {"hmacBegin", js_hmac_begin},     {"hmacAdd", js_hmac_add},       {"hmacEnd", js_hmac_end},
      {"poll", js_poll},                {"sendDatagram", js_send_datagram},
  };
  struct instance *instance = calloc(1, sizeof *instance);
  napi_value name;
  if (instance == NULL) return fail(env, "no memory");
  napi_set_instance_data(env, instance, free_instance, NULL);
  napi_create_string_utf8(env, "baton", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &instance->context);
  napi_add_env_cleanup_hook(env, end_instance, instance);
  for (size_t i = 0; i < sizeof EXPORTS / sizeof *EXPORTS; i++) {
    napi_value function;
    napi_create_function(env, EXPORTS[i].name, NAPI_AUTO_LENGTH, EXPORTS[i].call, NULL, &function);
    napi_set_named_property(env, exports, EXPORTS[i].name, function);
  }
  return exports;
}
