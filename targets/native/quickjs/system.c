/*
 * Functions that an agent has from Node elsewhere: durable files, programs in their own sessions, signals as readable
 * bytes, and files whose driver may block. The interface is in system.ts.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "binding.h"
#include "jobs.h"

#define FUNCTION(name) static JSValue name(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
#define UNUSED (void)this_value, (void)argc, (void)argv

/* Most arguments, or variables of the environment, of a program. */
#define WORDS_MAX 4096
/* Most descriptors passed to a program. */
#define CHILD_FDS_MAX 8

static JSValue result(JSContext *ctx, int64_t value) { return JS_NewInt64(ctx, value < 0 ? -errno : value); }

static int int_of(JSContext *ctx, JSValueConst value) {
  int32_t number = -1;
  return JS_ToInt32(ctx, &number, value) ? -1 : number;
}

FUNCTION(js_open) {
  UNUSED;
  const char *path = JS_ToCString(ctx, argv[0]);
  if (path == NULL) return JS_EXCEPTION;
  JSValue fd = result(ctx, open(path, int_of(ctx, argv[1]) | O_CLOEXEC, int_of(ctx, argv[2])));
  JS_FreeCString(ctx, path);
  return fd;
}

FUNCTION(js_close) {
  UNUSED;
  return result(ctx, close(int_of(ctx, argv[0])));
}

static JSValue transfer(JSContext *ctx, JSValueConst *argv, int is_read) {
  uint8_t *bytes;
  int64_t at;
  if (baton_bytes_of(ctx, &bytes, argv[1], argv[2], argv[3]) || JS_ToInt64(ctx, &at, argv[4])) return JS_EXCEPTION;
  int fd = int_of(ctx, argv[0]);
  size_t count = (size_t)int_of(ctx, argv[3]);
  return result(ctx, is_read ? pread(fd, bytes, count, at) : pwrite(fd, bytes, count, at));
}

FUNCTION(js_read_at) {
  UNUSED;
  return transfer(ctx, argv, 1);
}

FUNCTION(js_write_at) {
  UNUSED;
  return transfer(ctx, argv, 0);
}

FUNCTION(js_truncate) {
  UNUSED;
  int64_t size;
  if (JS_ToInt64(ctx, &size, argv[1])) return JS_EXCEPTION;
  return result(ctx, ftruncate(int_of(ctx, argv[0]), size));
}

FUNCTION(js_sync) {
  UNUSED;
  int fd = int_of(ctx, argv[0]);
  return result(ctx, JS_ToBool(ctx, argv[1]) ? fdatasync(fd) : fsync(fd));
}

FUNCTION(js_access) {
  UNUSED;
  const char *path = JS_ToCString(ctx, argv[0]);
  if (path == NULL) return JS_EXCEPTION;
  JSValue answer = result(ctx, access(path, int_of(ctx, argv[1])));
  JS_FreeCString(ctx, path);
  return answer;
}

FUNCTION(js_error_text) {
  UNUSED;
  return JS_NewString(ctx, strerror(int_of(ctx, argv[0])));
}

FUNCTION(js_text) {
  UNUSED;
  uint8_t *bytes;
  if (baton_bytes_of(ctx, &bytes, argv[0], argv[1], argv[2])) return JS_EXCEPTION;
  return JS_NewStringLen(ctx, (const char *)bytes, (size_t)int_of(ctx, argv[2]));
}

FUNCTION(js_bytes) {
  UNUSED;
  size_t count;
  const char *text = JS_ToCStringLen(ctx, &count, argv[0]);
  if (text == NULL) return JS_EXCEPTION;
  JSValue bytes = JS_NewArrayBufferCopy(ctx, (const uint8_t *)text, count);
  JS_FreeCString(ctx, text);
  return bytes;
}

/* (path, number of bytes to read | text to write) → a descriptor to read from; jobs.h describes its data. */
FUNCTION(js_start_job) {
  UNUSED;
  size_t count;
  const char *path = JS_ToCString(ctx, argv[0]);
  if (path == NULL) return JS_EXCEPTION;
  int report = -EINVAL;
  if (JS_IsNumber(argv[1])) {
    report = baton_start_read(path, (size_t)int_of(ctx, argv[1]));
  } else {
    const char *text = JS_ToCStringLen(ctx, &count, argv[1]);
    if (text != NULL) report = baton_start_write(path, text, count);
    JS_FreeCString(ctx, text);
  }
  JS_FreeCString(ctx, path);
  return JS_NewInt32(ctx, report);
}

/* The end of the pipe that signal handlers write to. */
static int signal_report = -1;

static void on_signal(int number) {
  int saved = errno;
  uint8_t byte = (uint8_t)number;
  // A full pipe has 64 Ki unread signals; another one changes nothing.
  if (write(signal_report, &byte, 1) < 0) errno = 0;
  errno = saved;
}

/* → a descriptor to read from: one byte per signal. */
FUNCTION(js_signals) {
  UNUSED;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return result(ctx, -1);
  signal_report = ends[1];
  return JS_NewInt32(ctx, ends[0]);
}

/* (signal, whether it is reported, or has its default action) */
FUNCTION(js_watch_signal) {
  UNUSED;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = JS_ToBool(ctx, argv[1]) ? on_signal : SIG_DFL;
  action.sa_flags = SA_RESTART;
  return result(ctx, sigaction(int_of(ctx, argv[0]), &action, NULL));
}

/* ("read" or "write": the non-blocking end) → both ends, the reading one first */
FUNCTION(js_pipe) {
  UNUSED;
  int ends[2];
  const char *end = JS_ToCString(ctx, argv[0]);
  if (end == NULL) return JS_EXCEPTION;
  int which = end[0] == 'w';
  JS_FreeCString(ctx, end);
  if (pipe2(ends, O_CLOEXEC) < 0) return result(ctx, -1);
  fcntl(ends[which], F_SETFL, O_NONBLOCK);
  JSValue list = JS_NewArray(ctx);
  for (uint32_t i = 0; i < 2; i++) JS_SetPropertyUint32(ctx, list, i, JS_NewInt32(ctx, ends[i]));
  return list;
}

/* Copies a list of texts; NULL without memory, or when it threw. */
static char **words_of(JSContext *ctx, JSValueConst list) {
  int64_t count = 0;
  JSValue length = JS_GetPropertyStr(ctx, list, "length");
  JS_ToInt64(ctx, &count, length);
  JS_FreeValue(ctx, length);
  if (count < 0 || count > WORDS_MAX) return NULL;
  char **words = calloc((size_t)count + 1, sizeof *words);
  for (int64_t i = 0; words != NULL && i < count; i++) {
    JSValue value = JS_GetPropertyUint32(ctx, list, (uint32_t)i);
    const char *text = JS_ToCString(ctx, value);
    words[i] = text == NULL ? NULL : strdup(text);
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, value);
  }
  return words;
}

static void free_words(char **words) {
  for (char **word = words; words != NULL && *word != NULL; word++) free(*word);
  free(words);
}

struct child {
  char **command, **environment;
  const char *folder;
  int fds[CHILD_FDS_MAX], fd_count, is_leader;
};

/* In the child: executes the program, or reports the error. */
static void become(const struct child *child, int report) {
  sigset_t none;
  struct sigaction normal = {.sa_handler = SIG_DFL};
  if (child->is_leader) setsid();
  for (int number = 1; number < 32; number++) sigaction(number, &normal, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  // First duplicated above all target numbers, so that none overwrites another.
  int above[CHILD_FDS_MAX + 1];
  above[child->fd_count] = fcntl(report, F_DUPFD_CLOEXEC, 2 * CHILD_FDS_MAX);
  for (int i = 0; i < child->fd_count; i++) {
    int fd = child->fds[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : child->fds[i];
    above[i] = fcntl(fd, F_DUPFD_CLOEXEC, 2 * CHILD_FDS_MAX);
  }
  for (int i = 0; i < child->fd_count; i++) {
    if (above[i] < 0 || dup2(above[i], i) < 0) goto failed;
  }
  if (child->folder[0] != 0 && chdir(child->folder) < 0) goto failed;
  execvpe(child->command[0], child->command, child->environment);
failed:;
  int error = errno;
  if (write(above[child->fd_count], &error, sizeof error) < 0) _exit(126);
  _exit(127);
}

/*
 * (command, environment, folder or "", descriptors that become 0, 1, …, where -1 is /dev/null, whether it leads its
 * own session) → the process, or the error.
 */
FUNCTION(js_spawn) {
  UNUSED;
  int ends[2], error = 0;
  struct child child = {.fd_count = 0, .is_leader = JS_ToBool(ctx, argv[4])};
  int64_t count = 0;
  JSValue length = JS_GetPropertyStr(ctx, argv[3], "length");
  JS_ToInt64(ctx, &count, length);
  JS_FreeValue(ctx, length);
  if (count < 0 || count > CHILD_FDS_MAX) return JS_NewInt32(ctx, -E2BIG);
  for (; child.fd_count < count; child.fd_count++) {
    JSValue fd = JS_GetPropertyUint32(ctx, argv[3], (uint32_t)child.fd_count);
    child.fds[child.fd_count] = int_of(ctx, fd);
    JS_FreeValue(ctx, fd);
  }
  child.folder = JS_ToCString(ctx, argv[2]);
  if (child.folder == NULL) return JS_EXCEPTION;
  child.command = words_of(ctx, argv[0]);
  child.environment = words_of(ctx, argv[1]);
  pid_t pid = -1;
  if (child.command == NULL || child.environment == NULL || child.command[0] == NULL) {
    error = E2BIG;
  } else if (pipe2(ends, O_CLOEXEC) < 0) {
    error = errno;
  } else {
    pid = fork();
    if (pid == 0) become(&child, ends[1]);
    if (pid < 0) error = errno;
    close(ends[1]);
    // Reaches its end when the program has been executed.
    ssize_t told;
    do told = pid < 0 ? 0 : read(ends[0], &error, sizeof error);
    while (told < 0 && errno == EINTR);
    close(ends[0]);
    if (pid > 0 && error != 0) waitpid(pid, NULL, 0);
  }
  free_words(child.command);
  free_words(child.environment);
  JS_FreeCString(ctx, child.folder);
  return JS_NewInt32(ctx, error == 0 ? pid : -error);
}

/* → a descriptor that can be read once its time has passed; by the clock that os.now() reads. */
FUNCTION(js_timer) {
  UNUSED;
  return result(ctx, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

/* (descriptor, milliseconds from now; 0: never) */
FUNCTION(js_set_timer) {
  UNUSED;
  int64_t ms;
  if (JS_ToInt64(ctx, &ms, argv[1])) return JS_EXCEPTION;
  struct itimerspec spec = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
  return result(ctx, timerfd_settime(int_of(ctx, argv[0]), 0, &spec, NULL));
}

/* Defined in the program around an agent (targets/quickjs/heap.h); an engine of the system lacks it. */
size_t baton_heap_bytes(void) __attribute__((weak));

/*
 * Growth of the heap, in bytes, after which cycles are collected. By default the engine lets the heap grow by half
 * first, for which a small guest has no room: memory is never returned. A collection takes 3 ms, once in about a
 * hundred handovers.
 */
#define TIDY_BYTES (128u * 1024)

/* Collects garbage when enough may have accumulated. */
FUNCTION(js_tidy) {
  UNUSED;
  static size_t settled;
  if (baton_heap_bytes == NULL) return JS_UNDEFINED;
  if (settled != 0 && baton_heap_bytes() < settled + TIDY_BYTES) return JS_UNDEFINED;
  if (settled != 0) JS_RunGC(JS_GetRuntime(ctx));
  settled = baton_heap_bytes();
  JS_SetGCThreshold(JS_GetRuntime(ctx), settled + 4 * TIDY_BYTES);
  return JS_UNDEFINED;
}

/* Called for promises that were rejected without a handler, and for those that got one later. Set once. */
static JSValue on_rejection;

static void rejected(JSContext *ctx, JSValueConst promise, JSValueConst reason, JS_BOOL is_handled, void *opaque) {
  (void)opaque;
  JSValueConst arguments[] = {promise, reason, JS_NewBool(ctx, is_handled)};
  JS_FreeValue(ctx, JS_Call(ctx, on_rejection, JS_UNDEFINED, 3, arguments));
}

FUNCTION(js_on_rejection) {
  UNUSED;
  on_rejection = JS_DupValue(ctx, argv[0]);
  JS_SetHostPromiseRejectionTracker(JS_GetRuntime(ctx), rejected, NULL);
  return JS_UNDEFINED;
}

static const JSCFunctionListEntry EXPORTS[] = {
    JS_CFUNC_DEF("open", 3, js_open),
    JS_CFUNC_DEF("close", 1, js_close),
    JS_CFUNC_DEF("readAt", 5, js_read_at),
    JS_CFUNC_DEF("writeAt", 5, js_write_at),
    JS_CFUNC_DEF("truncate", 2, js_truncate),
    JS_CFUNC_DEF("sync", 2, js_sync),
    JS_CFUNC_DEF("access", 2, js_access),
    JS_CFUNC_DEF("errorText", 1, js_error_text),
    JS_CFUNC_DEF("textOf", 3, js_text),
    JS_CFUNC_DEF("bytesOf", 1, js_bytes),
    JS_CFUNC_DEF("startJob", 2, js_start_job),
    JS_CFUNC_DEF("signals", 0, js_signals),
    JS_CFUNC_DEF("watchSignal", 2, js_watch_signal),
    JS_CFUNC_DEF("pipe", 1, js_pipe),
    JS_CFUNC_DEF("spawn", 5, js_spawn),
    JS_CFUNC_DEF("timer", 0, js_timer),
    JS_CFUNC_DEF("setTimer", 2, js_set_timer),
    JS_CFUNC_DEF("tidy", 0, js_tidy),
    JS_CFUNC_DEF("onRejection", 1, js_on_rejection),
    JS_PROP_INT32_DEF("O_DIRECTORY", O_DIRECTORY, 0),
    JS_PROP_INT32_DEF("O_NOCTTY", O_NOCTTY, 0),
    JS_PROP_INT32_DEF("O_NOFOLLOW", O_NOFOLLOW, 0),
    JS_PROP_INT32_DEF("O_NONBLOCK", O_NONBLOCK, 0),
};
#define EXPORT_COUNT (int)(sizeof EXPORTS / sizeof *EXPORTS)

void baton_add_system_exports(JSContext *ctx, JSModuleDef *module) {
  JS_AddModuleExportList(ctx, module, EXPORTS, EXPORT_COUNT);
}

int baton_set_system_exports(JSContext *ctx, JSModuleDef *module) {
  return JS_SetModuleExportList(ctx, module, EXPORTS, EXPORT_COUNT);
}
