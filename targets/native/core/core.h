/*
 * What Baton needs of the kernel and no JavaScript engine offers alike: sockets of every kind, random bytes, hashes.
 *
 * Plain C of Linux without global state. The bindings (../quickjs, ../node) add nothing but the conversion of values. A
 * function that can fail returns a negative errno and leaves nothing open.
 */
#ifndef BATON_CORE_H
#define BATON_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * An address: its family (AF_UNIX, AF_INET, AF_INET6, AF_VSOCK), and where. UNIX: a path, or a name of the abstract
 * name space after a zero byte. INET: an IP address in numbers. VSOCK: a CID in decimal, or "any" to listen. `port`: 0
 * in a listener takes a free one.
 */
struct baton_address {
  int family;
  const char *where;
  size_t where_bytes;
  uint32_t port;
};

/* Longest text of an address that baton_socket_name writes: a UNIX path of 108 bytes behind "unix:", and its zero. */
#define BATON_NAME_BYTES 120

/* Sockets are non-blocking, closed on exec, and raise no SIGPIPE. */

/*
 * Returns a descriptor whose connection stands, or comes about: wait until it can be written, then ask
 * baton_socket_error.
 */
int baton_socket_connect(const struct baton_address *to);
/* Returns a descriptor that listens. A UNIX socket file gets `mode`, from its first moment on. */
int baton_socket_listen(const struct baton_address *at, mode_t mode);
/* Returns the next connection; -EAGAIN when there is none. */
int baton_socket_accept(int fd);
/* Returns 0, or the error that the socket has met, once. */
int baton_socket_error(int fd);
/* Returns how many bytes came, 0 at the end of the stream, -EAGAIN when there are none. */
ssize_t baton_socket_receive(int fd, void *bytes, size_t count);
/* Returns how many bytes were taken; -EAGAIN when none can be. */
ssize_t baton_socket_send(int fd, const void *bytes, size_t count);
/* Ends our direction of the stream: the other end reads what was sent, then its end. */
int baton_socket_shutdown(int fd);
/* Sends one datagram to a UNIX socket, without waiting. Returns 0; -EAGAIN when its queue is full. */
int baton_datagram_send(const struct baton_address *to, const void *bytes, size_t count);
/*
 * Writes the own address or that of the peer as Baton spells it, with its zero; "unix:" alone for a socket without a
 * name.
 */
int baton_socket_name(int fd, int of_peer, char text[BATON_NAME_BYTES]);
/* Writes process, user and group of a UNIX socket's other end, as they were when it connected or began to listen. */
int baton_socket_credentials(int fd, uint32_t pid_uid_gid[3]);

/* Fills `bytes` from the kernel's random number generator, which waits until it is seeded. Returns 0. */
int baton_random(void *bytes, size_t count);

#define BATON_HASH_BYTES 32

/* SHA-256 (FIPS 180-4) under way. Plain data: a copy goes on from the same place. */
struct baton_sha256 {
  uint32_t state[8];
  uint64_t count;
  uint8_t block[64];
};

void baton_sha256_begin(struct baton_sha256 *hash);
void baton_sha256_add(struct baton_sha256 *hash, const void *bytes, size_t count);
void baton_sha256_end(struct baton_sha256 *hash, uint8_t digest[BATON_HASH_BYTES]);

/* HMAC-SHA-256 (RFC 2104) under way; plain data, too. */
struct baton_hmac {
  struct baton_sha256 inner;
  struct baton_sha256 outer;
};

void baton_hmac_begin(struct baton_hmac *mac, const void *key, size_t count);
void baton_hmac_add(struct baton_hmac *mac, const void *bytes, size_t count);
void baton_hmac_end(struct baton_hmac *mac, uint8_t tag[BATON_HASH_BYTES]);

#endif
