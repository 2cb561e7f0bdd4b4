/* Sockets of every kind that Baton uses, and random bytes. See core.h. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core.h"

/* From linux/vm_sockets.h, which may be missing beside a C library. */
#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif
#define VSOCK_CID_ANY 0xffffffffu
#define VSOCK_PORT_ANY 0xffffffffu
struct vsock_address {
  sa_family_t family;
  uint16_t reserved;
  uint32_t port;
  uint32_t cid;
  uint8_t zero[4];
};

/* Connections that may wait to be accepted: the value of Node; the kernel reduces it to its own limit. */
#define BACKLOG 511

union any_address {
  struct sockaddr any;
  struct sockaddr_un un;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct vsock_address vm;
};

/* Writes a CID in decimal, or "any". */
static int parse_cid(const char *text, uint32_t *cid) {
  char *end;
  if (strcmp(text, "any") == 0) {
    *cid = VSOCK_CID_ANY;
    return 0;
  }
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != 0 || errno != 0 || value >= VSOCK_CID_ANY) return -EINVAL;
  *cid = (uint32_t)value;
  return 0;
}

/* Fills in what the kernel takes; returns its size. */
static int fill(const struct baton_address *from, union any_address *to) {
  memset(to, 0, sizeof *to);
  to->any.sa_family = (sa_family_t)from->family;
  switch (from->family) {
    case AF_UNIX:
      // The kernel accepts a path without a final zero; ours has one, so that readers of the address get a terminated
      // text.
      if (from->where_bytes == 0 || from->where_bytes >= sizeof to->un.sun_path) return -ENAMETOOLONG;
      memcpy(to->un.sun_path, from->where, from->where_bytes);
      return (int)(offsetof(struct sockaddr_un, sun_path) + from->where_bytes + (from->where[0] != 0));
    case AF_INET:
      if (from->port > 0xffff || inet_pton(AF_INET, from->where, &to->in.sin_addr) != 1) return -EINVAL;
      to->in.sin_port = htons((uint16_t)from->port);
      return sizeof to->in;
    case AF_INET6:
      if (from->port > 0xffff || inet_pton(AF_INET6, from->where, &to->in6.sin6_addr) != 1) return -EINVAL;
      to->in6.sin6_port = htons((uint16_t)from->port);
      return sizeof to->in6;
    case AF_VSOCK:
      to->vm.port = from->port == 0 ? VSOCK_PORT_ANY : from->port;
      return parse_cid(from->where, &to->vm.cid) < 0 ? -EINVAL : (int)sizeof to->vm;
    default:
      return -EAFNOSUPPORT;
  }
}

/* A frame is small and must be sent at once. */
static void send_at_once(int fd, int family) {
  int on = 1;
  if (family == AF_INET || family == AF_INET6) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int closed_with(int fd, int error) {
  close(fd);
  return -error;
}

int baton_socket_connect(const struct baton_address *to) {
  union any_address address;
  int size = fill(to, &address);
  if (size < 0) return size;
  int fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  send_at_once(fd, to->family);
  if (connect(fd, &address.any, (socklen_t)size) == 0 || errno == EINPROGRESS || errno == EINTR) return fd;
  return closed_with(fd, errno);
}

int baton_socket_listen(const struct baton_address *at, mode_t mode) {
  union any_address address;
  int on = 1, size = fill(at, &address);
  if (size < 0) return size;
  int fd = socket(at->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  // A restart must not wait for TIME_WAIT of the last run's connections.
  if (at->family == AF_INET || at->family == AF_INET6) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  mode_t before = at->family == AF_UNIX ? umask(0777 & ~mode) : 0;
  int failure = bind(fd, &address.any, (socklen_t)size) < 0 ? errno : 0;
  if (at->family == AF_UNIX) umask(before);
  if (failure == 0 && listen(fd, BACKLOG) < 0) failure = errno;
  return failure == 0 ? fd : closed_with(fd, failure);
}

int baton_socket_accept(int fd) {
  union any_address peer;
  socklen_t size = sizeof peer;
  int taken = accept4(fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (taken < 0) return -errno;
  send_at_once(taken, peer.any.sa_family);
  return taken;
}

int baton_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

ssize_t baton_socket_receive(int fd, void *bytes, size_t count) {
  ssize_t got;
  do got = recv(fd, bytes, count, 0);
  while (got < 0 && errno == EINTR);
  return got < 0 ? -errno : got;
}

ssize_t baton_socket_send(int fd, const void *bytes, size_t count) {
  ssize_t sent;
  do sent = send(fd, bytes, count, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

int baton_socket_shutdown(int fd) { return shutdown(fd, SHUT_WR) < 0 ? -errno : 0; }

int baton_datagram_send(const struct baton_address *to, const void *bytes, size_t count) {
  union any_address address;
  int size = to->family == AF_UNIX ? fill(to, &address) : -EAFNOSUPPORT;
  if (size < 0) return size;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (sendto(fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT, &address.any, (socklen_t)size) < 0)
    return closed_with(fd, errno);
  close(fd);
  return 0;
}

int baton_socket_name(int fd, int of_peer, char text[BATON_NAME_BYTES]) {
  union any_address address;
  char host[INET6_ADDRSTRLEN];
  socklen_t size = sizeof address;
  memset(&address, 0, sizeof address);
  if ((of_peer ? getpeername(fd, &address.any, &size) : getsockname(fd, &address.any, &size)) < 0) return -errno;
  switch (address.any.sa_family) {
    case AF_UNIX: {
      // Abstract names begin with a zero byte and are shown with @, as the kernel does.
      size_t length = size > offsetof(struct sockaddr_un, sun_path) ? size - offsetof(struct sockaddr_un, sun_path) : 0;
      if (length > 0 && address.un.sun_path[0] == 0) address.un.sun_path[0] = '@';
      snprintf(text, BATON_NAME_BYTES, "unix:%.*s", (int)length, address.un.sun_path);
      return 0;
    }
    case AF_INET:
      inet_ntop(AF_INET, &address.in.sin_addr, host, sizeof host);
      snprintf(text, BATON_NAME_BYTES, "tcp:%s:%u", host, ntohs(address.in.sin_port));
      return 0;
    case AF_INET6:
      inet_ntop(AF_INET6, &address.in6.sin6_addr, host, sizeof host);
      snprintf(text, BATON_NAME_BYTES, "tcp:[%s]:%u", host, ntohs(address.in6.sin6_port));
      return 0;
    case AF_VSOCK:
      snprintf(text, BATON_NAME_BYTES, "vsock:%u:%u", address.vm.cid, address.vm.port);
      return 0;
    default:
      return -EAFNOSUPPORT;
  }
}

int baton_socket_credentials(int fd, uint32_t pid_uid_gid[3]) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -errno;
  pid_uid_gid[0] = (uint32_t)peer.pid;
  pid_uid_gid[1] = peer.uid;
  pid_uid_gid[2] = peer.gid;
  return 0;
}

int baton_random(void *bytes, size_t count) {
  uint8_t *to = bytes;
  while (count > 0) {
    ssize_t got = getrandom(to, count, 0);
    if (got < 0 && errno != EINTR) return -errno;
    if (got > 0) {
      to += got;
      count -= (size_t)got;
    }
  }
  return 0;
}
