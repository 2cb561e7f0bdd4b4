/*
 * The floor of a round trip: two processes over a UNIX stream socket, one sends THERE bytes, the other BACK bytes for
 * them. `echo THERE BACK WARMUP COUNTED` prints the median of COUNTED round trips in nanoseconds.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MAX 65536

static uint8_t bytes[BYTES_MAX];

/* Ends the process when the other end has gone. */
static void receive(int fd, size_t count) {
  for (size_t done = 0; done < count;) {
    ssize_t got = read(fd, bytes, count - done);
    if (got <= 0) exit(got == 0 ? 0 : 1);
    done += (size_t)got;
  }
}

static void transmit(int fd, size_t count) {
  if (write(fd, bytes, count) != (ssize_t)count) exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  size_t there = strtoul(argv[1], NULL, 10), back = strtoul(argv[2], NULL, 10);
  size_t warm_up = strtoul(argv[3], NULL, 10), counted = strtoul(argv[4], NULL, 10);
  int ends[2];
  if (there > BYTES_MAX || back > BYTES_MAX || counted == 0) return 2;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
  int64_t *times = calloc(counted, sizeof *times);
  pid_t child = fork();
  if (times == NULL || child < 0) return 1;
  if (child == 0) {
    close(ends[0]);
    for (;;) {
      receive(ends[1], there);
      transmit(ends[1], back);
    }
  }
  close(ends[1]);
  for (size_t trip = 0; trip < warm_up + counted; trip++) {
    int64_t start = now_ns();
    transmit(ends[0], there);
    receive(ends[0], back);
    if (trip >= warm_up) times[trip - warm_up] = now_ns() - start;
  }
  qsort(times, counted, sizeof *times, by_value);
  printf("%lld\n", (long long)times[counted / 2]);
  close(ends[0]);
  waitpid(child, NULL, 0);
  return 0;
}
