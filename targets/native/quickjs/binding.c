/*
 * The native core as a QuickJS module; its interface is in core.ts. It is linked into the agent's program, or into a
 * library that a `qjs` of the system loads through js_init_module.
 *
 * Bytes are an ArrayBuffer, an offset and a count: a view of them would have to be made for each call.
 */

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "../core/core.h"
#include "binding.h"

#define FUNCTION(name) static JSValue name(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
#define UNUSED (void)this_value, (void)argc, (void)argv

int baton_bytes_of(JSContext *ctx, uint8_t **bytes, JSValueConst buffer, JSValueConst offset, JSValueConst count) {
  size_t size;
  int64_t from, length;
  if (JS_ToInt64(ctx, &from, offset) || JS_ToInt64(ctx, &length, count)) return -1;
  *bytes = JS_GetArrayBuffer(ctx, &size, buffer);
  if (*bytes == NULL) return -1;
  if (from < 0 || length < 0 || (uint64_t)from > size || (uint64_t)length > size - (uint64_t)from) {
    JS_ThrowRangeError(ctx, "%lld bytes from %lld on: the buffer has %llu", (long long)length, (long long)from,
                       (unsigned long long)size);
    return -1;
  }
  *bytes += from;
  return 0;
}

static int int_of(JSContext *ctx, JSValueConst value) {
  int32_t number = -1;
  // Anything but a number becomes an invalid descriptor, which the kernel refuses.
  return JS_ToInt32(ctx, &number, value) ? -1 : number;
}

/* Reads family, where and port. Returns the text to be freed, or NULL when it threw. */
static const char *address_of(JSContext *ctx, JSValueConst *argv, struct baton_address *address) {
  address->family = int_of(ctx, argv[0]);
  if (JS_ToUint32(ctx, &address->port, argv[2])) return NULL;
  return address->where = JS_ToCStringLen(ctx, &address->where_bytes, argv[1]);
}

FUNCTION(js_connect) {
  UNUSED;
  struct baton_address address;
  const char *where = address_of(ctx, argv, &address);
  if (where == NULL) return JS_EXCEPTION;
  int fd = baton_socket_connect(&address);
  JS_FreeCString(ctx, where);
  return JS_NewInt32(ctx, fd);
}

FUNCTION(js_listen) {
  UNUSED;
  struct baton_address address;
  int mode = int_of(ctx, argv[3]);
  const char *where = address_of(ctx, argv, &address);
  if (where == NULL) return JS_EXCEPTION;
  int fd = baton_socket_listen(&address, (mode_t)mode);
  JS_FreeCString(ctx, where);
  return JS_NewInt32(ctx, fd);
}

FUNCTION(js_accept) {
  UNUSED;
  return JS_NewInt32(ctx, baton_socket_accept(int_of(ctx, argv[0])));
}

FUNCTION(js_socket_error) {
  UNUSED;
  return JS_NewInt32(ctx, baton_socket_error(int_of(ctx, argv[0])));
}

FUNCTION(js_shutdown) {
  UNUSED;
  return JS_NewInt32(ctx, baton_socket_shutdown(int_of(ctx, argv[0])));
}

FUNCTION(js_receive) {
  UNUSED;
  uint8_t *bytes;
  if (baton_bytes_of(ctx, &bytes, argv[1], argv[2], argv[3])) return JS_EXCEPTION;
  return JS_NewInt64(ctx, baton_socket_receive(int_of(ctx, argv[0]), bytes, (size_t)int_of(ctx, argv[3])));
}

FUNCTION(js_send) {
  UNUSED;
  uint8_t *bytes;
  if (baton_bytes_of(ctx, &bytes, argv[1], argv[2], argv[3])) return JS_EXCEPTION;
  return JS_NewInt64(ctx, baton_socket_send(int_of(ctx, argv[0]), bytes, (size_t)int_of(ctx, argv[3])));
}

FUNCTION(js_send_datagram) {
  UNUSED;
  uint8_t *bytes;
  struct baton_address address = {.family = AF_UNIX};
  if (baton_bytes_of(ctx, &bytes, argv[1], argv[2], argv[3])) return JS_EXCEPTION;
  address.where = JS_ToCStringLen(ctx, &address.where_bytes, argv[0]);
  if (address.where == NULL) return JS_EXCEPTION;
  int error = baton_datagram_send(&address, bytes, (size_t)int_of(ctx, argv[3]));
  JS_FreeCString(ctx, address.where);
  return JS_NewInt32(ctx, error);
}

FUNCTION(js_socket_name) {
  UNUSED;
  char text[BATON_NAME_BYTES];
  int error = baton_socket_name(int_of(ctx, argv[0]), JS_ToBool(ctx, argv[1]), text);
  return error < 0 ? JS_NewInt32(ctx, error) : JS_NewString(ctx, text);
}

FUNCTION(js_credentials) {
  UNUSED;
  uint32_t peer[3];
  int error = baton_socket_credentials(int_of(ctx, argv[0]), peer);
  if (error < 0) return JS_NewInt32(ctx, error);
  JSValue list = JS_NewArray(ctx);
  for (uint32_t i = 0; i < 3; i++) JS_SetPropertyUint32(ctx, list, i, JS_NewUint32(ctx, peer[i]));
  return list;
}

FUNCTION(js_random) {
  UNUSED;
  uint8_t *bytes;
  if (baton_bytes_of(ctx, &bytes, argv[0], argv[1], argv[2])) return JS_EXCEPTION;
  return JS_NewInt32(ctx, baton_random(bytes, (size_t)int_of(ctx, argv[2])));
}

FUNCTION(js_sha256) {
  UNUSED;
  uint8_t *bytes, digest[BATON_HASH_BYTES];
  struct baton_sha256 hash;
  if (baton_bytes_of(ctx, &bytes, argv[0], argv[1], argv[2])) return JS_EXCEPTION;
  baton_sha256_begin(&hash);
  baton_sha256_add(&hash, bytes, (size_t)int_of(ctx, argv[2]));
  baton_sha256_end(&hash, digest);
  return JS_NewArrayBufferCopy(ctx, digest, sizeof digest);
}

/* The state of a MAC is its bytes, so that scripts can copy and drop it. */
FUNCTION(js_hmac_begin) {
  UNUSED;
  uint8_t *key;
  struct baton_hmac mac;
  if (baton_bytes_of(ctx, &key, argv[0], argv[1], argv[2])) return JS_EXCEPTION;
  memset(&mac, 0, sizeof mac);
  baton_hmac_begin(&mac, key, (size_t)int_of(ctx, argv[2]));
  return JS_NewArrayBufferCopy(ctx, (const uint8_t *)&mac, sizeof mac);
}

static struct baton_hmac *mac_of(JSContext *ctx, JSValueConst value) {
  size_t size;
  uint8_t *state = JS_GetArrayBuffer(ctx, &size, value);
  if (state != NULL && size == sizeof(struct baton_hmac)) return (struct baton_hmac *)state;
  JS_ThrowTypeError(ctx, "not the state of a MAC");
  return NULL;
}

FUNCTION(js_hmac_add) {
  UNUSED;
  uint8_t *bytes;
  struct baton_hmac *mac = mac_of(ctx, argv[0]);
  if (mac == NULL || baton_bytes_of(ctx, &bytes, argv[1], argv[2], argv[3])) return JS_EXCEPTION;
  baton_hmac_add(mac, bytes, (size_t)int_of(ctx, argv[3]));
  return JS_UNDEFINED;
}

FUNCTION(js_hmac_end) {
  UNUSED;
  uint8_t *bytes, *tag;
  struct baton_hmac copy, *mac = mac_of(ctx, argv[0]);
  if (mac == NULL || baton_bytes_of(ctx, &bytes, argv[1], argv[2], argv[3])) return JS_EXCEPTION;
  if (baton_bytes_of(ctx, &tag, argv[4], argv[5], argv[6])) return JS_EXCEPTION;
  if (int_of(ctx, argv[6]) != BATON_HASH_BYTES) return JS_ThrowRangeError(ctx, "a tag has %d bytes", BATON_HASH_BYTES);
  memcpy(&copy, mac, sizeof copy);
  baton_hmac_add(&copy, bytes, (size_t)int_of(ctx, argv[3]));
  baton_hmac_end(&copy, tag);
  return JS_UNDEFINED;
}

static const JSCFunctionListEntry EXPORTS[] = {
    JS_CFUNC_DEF("connect", 3, js_connect),
    JS_CFUNC_DEF("listen", 4, js_listen),
    JS_CFUNC_DEF("accept", 1, js_accept),
    JS_CFUNC_DEF("socketError", 1, js_socket_error),
    JS_CFUNC_DEF("shutdown", 1, js_shutdown),
    JS_CFUNC_DEF("receive", 4, js_receive),
    JS_CFUNC_DEF("send", 4, js_send),
    JS_CFUNC_DEF("sendDatagram", 4, js_send_datagram),
    JS_CFUNC_DEF("socketName", 2, js_socket_name),
    JS_CFUNC_DEF("credentials", 1, js_credentials),
    JS_CFUNC_DEF("random", 3, js_random),
    JS_CFUNC_DEF("sha256", 3, js_sha256),
    JS_CFUNC_DEF("hmacBegin", 3, js_hmac_begin),
    JS_CFUNC_DEF("hmacAdd", 4, js_hmac_add),
    JS_CFUNC_DEF("hmacEnd", 7, js_hmac_end),
};
#define EXPORT_COUNT (int)(sizeof EXPORTS / sizeof *EXPORTS)

/*
 * QuickJS waits with select(2), which writes beyond its sets for descriptors from FD_SETSIZE on, and QuickJS does not
 * check. SIGPIPE is ignored, since the reader of our output may end before us.
 */
static void prepare_process(void) {
  struct rlimit limit;
  signal(SIGPIPE, SIG_IGN);
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > FD_SETSIZE) {
    limit.rlim_cur = FD_SETSIZE;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static int set_exports(JSContext *ctx, JSModuleDef *module) {
  prepare_process();
  if (JS_SetModuleExportList(ctx, module, EXPORTS, EXPORT_COUNT)) return -1;
  return baton_set_system_exports(ctx, module);
}

JSModuleDef *baton_init_module(JSContext *ctx, const char *name) {
  JSModuleDef *module = JS_NewCModule(ctx, name, set_exports);
  if (module == NULL) return NULL;
  JS_AddModuleExportList(ctx, module, EXPORTS, EXPORT_COUNT);
  baton_add_system_exports(ctx, module);
  return module;
}

#ifdef BATON_LIBRARY
__attribute__((visibility("default"))) JSModuleDef *js_init_module(JSContext *ctx, const char *name) {
  return baton_init_module(ctx, name);
}
#endif
