/*
 * Threads that read and write files whose driver may block for any time. Each job has its own thread. After a job the
 * thread waits a while for the next one: a hook starts several in a row, and a new thread costs more than most of them.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "jobs.h"

/* Longest file that is read or written, in bytes: a kernel attribute has at most a page. */
#define JOB_BYTES_MAX 4096
/* Stack of a thread, in bytes: it makes a few system calls. */
#define JOB_STACK_BYTES (64 * 1024)
/*
 * How long a thread waits for its next job, in s: longer than any pause within a hook, and short, so that it costs no
 * memory between hooks.
 */
#define IDLE_S 1

struct worker {
  pthread_cond_t wanted;
  /* The job: `report` is -1 when there is none. */
  int report, is_read;
  char *path;
  size_t count;
  uint8_t bytes[JOB_BYTES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The waiting thread, if any: jobs seldom run at the same time. */
static struct worker *idle;

static void end_worker(struct worker *worker) {
  pthread_cond_destroy(&worker->wanted);
  free(worker->path);
  free(worker);
}

/* Waits for another job, with the lock held; 0: none came. */
static int waits(struct worker *self) {
  struct timespec end;
  if (idle != NULL) return 0;
  idle = self;
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += IDLE_S;
  int error = 0;
  while (self->report < 0 && error == 0) error = pthread_cond_timedwait(&self->wanted, &lock, &end);
  if (self->report >= 0) return 1;
  idle = NULL;
  return 0;
}

/* Creates no file, and writes at offset 0: a driver expects a value in one write. */
static void carry_out(struct worker *self, int32_t told[2]) {
  int fd = open(self->path, (self->is_read ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
  ssize_t done = fd;
  if (fd >= 0) done = self->is_read ? pread(fd, self->bytes, self->count, 0) : pwrite(fd, self->bytes, self->count, 0);
  told[0] = done < 0 ? -errno : (int32_t)done;
  told[1] = fd >= 0;
  if (fd >= 0) close(fd);
  free(self->path);
  self->path = NULL;
}

static void *work(void *argument) {
  struct worker *self = argument;
  int has_work;
  do {
    int32_t told[2];
    carry_out(self, told);
    struct iovec parts[] = {{told, sizeof told}, {self->bytes, self->is_read && told[0] > 0 ? (size_t)told[0] : 0}};
    // Reported under the lock, so that the next job finds this thread waiting. An empty pipe accepts a page without
    // blocking.
    pthread_mutex_lock(&lock);
    // The caller may have closed its end; then nobody needs the result.
    ssize_t written = writev(self->report, parts, 2);
    (void)written;
    close(self->report);
    self->report = -1;
    has_work = waits(self);
    pthread_mutex_unlock(&lock);
  } while (has_work);
  end_worker(self);
  return NULL;
}

static struct worker *new_worker(void) {
  struct worker *worker = calloc(1, sizeof *worker);
  pthread_condattr_t attributes;
  if (worker == NULL) return NULL;
  worker->report = -1;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&worker->wanted, &attributes);
  pthread_condattr_destroy(&attributes);
  return worker;
}

static int start_thread(struct worker *worker) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all, before;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, JOB_STACK_BYTES);
  // Signals are for the thread that runs the script.
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, &attributes, work, worker);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

static int start(const char *path, const void *bytes, size_t count) {
  int ends[2], error = 0;
  if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
  pthread_mutex_lock(&lock);
  struct worker *worker = idle;
  int is_new = worker == NULL;
  if (is_new) worker = new_worker();
  if (worker == NULL || (worker->path = strdup(path)) == NULL) error = ENOMEM;
  if (error == 0) {
    worker->count = count;
    worker->is_read = bytes == NULL;
    if (bytes != NULL) memcpy(worker->bytes, bytes, count);
    worker->report = ends[1];
    if (is_new) {
      error = start_thread(worker);
    } else {
      idle = NULL;
      pthread_cond_signal(&worker->wanted);
    }
  }
  if (error != 0 && is_new && worker != NULL) end_worker(worker);
  pthread_mutex_unlock(&lock);
  if (error == 0) return ends[0];
  close(ends[0]);
  close(ends[1]);
  return -error;
}

int baton_start_read(const char *path, size_t count) {
  return start(path, NULL, count > JOB_BYTES_MAX ? JOB_BYTES_MAX : count);
}

int baton_start_write(const char *path, const void *bytes, size_t count) {
  return count > JOB_BYTES_MAX ? -E2BIG : start(path, bytes, count);
}
