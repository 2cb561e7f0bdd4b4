/*
 * The kernel functions that Baton needs and the JavaScript engines do not offer in one form: sockets of every kind,
 * random bytes, hashes.
 *
 * Plain C for Linux without global state. The bindings (../quickjs, ../node) only convert values. A function that fails
 * returns a negative errno and leaves nothing open.
 */
#ifndef BATON_CORE_H
#define BATON_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * An address: its family (AF_UNIX, AF_INET, AF_INET6, AF_VSOCK) and the place. UNIX: a path, or an abstract name after
 * a zero byte. INET: a numeric IP address. VSOCK: a CID in decimal, or "any" to listen. `port`: 0 in a listener chooses
 * a free one.
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

/* Returns a descriptor that is connected or connecting: wait until it is writable, then call baton_socket_error. */
int baton_socket_connect(const struct baton_address *to);
/* Returns a descriptor that listens. A UNIX socket file has `mode` from its creation. */
int baton_socket_listen(const struct baton_address *at, mode_t mode);
/* Returns the next connection; -EAGAIN when there is none. */
int baton_socket_accept(int fd);
/* Returns 0, or the pending error of the socket, which is cleared. */
int baton_socket_error(int fd);
/* Returns the number of bytes received, 0 at the end of the stream, -EAGAIN when there are none. */
ssize_t baton_socket_receive(int fd, void *bytes, size_t count);
/* Returns the number of bytes accepted; -EAGAIN when there is no room. */
ssize_t baton_socket_send(int fd, const void *bytes, size_t count);
/* Ends our direction of the stream: the other end reads what was sent, then its end. */
int baton_socket_shutdown(int fd);
/* Sends one datagram to a UNIX socket, without waiting. Returns 0; -EAGAIN when its queue is full. */
int baton_datagram_send(const struct baton_address *to, const void *bytes, size_t count);
/* Writes the own address or that of the peer as text with a final zero; "unix:" for a socket without a name. */
int baton_socket_name(int fd, int of_peer, char text[BATON_NAME_BYTES]);
/* Writes process, user and group of a UNIX socket's other end, as they were when it connected or began to listen. */
int baton_socket_credentials(int fd, uint32_t pid_uid_gid[3]);

/* Fills `bytes` from the kernel's random number generator, which waits until it is seeded. Returns 0. */
int baton_random(void *bytes, size_t count);

#define BATON_HASH_BYTES 32

/* State of SHA-256 (FIPS 180-4). Plain data: a copy is an independent state. */
struct baton_sha256 {
  uint32_t state[8];
  uint64_t count;
  uint8_t block[64];
};

void baton_sha256_begin(struct baton_sha256 *hash);
void baton_sha256_add(struct baton_sha256 *hash, const void *bytes, size_t count);
void baton_sha256_end(struct baton_sha256 *hash, uint8_t digest[BATON_HASH_BYTES]);

/* State of HMAC-SHA-256 (RFC 2104). Plain data as well. */
struct baton_hmac {
  struct baton_sha256 inner;
  struct baton_sha256 outer;
};

void baton_hmac_begin(struct baton_hmac *mac, const void *key, size_t count);
void baton_hmac_add(struct baton_hmac *mac, const void *bytes, size_t count);
void baton_hmac_end(struct baton_hmac *mac, uint8_t tag[BATON_HASH_BYTES]);

#endif
