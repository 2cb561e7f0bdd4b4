/*
 * JSON lines without allocation: a reader into a fixed set of nodes, a writer into a fixed buffer, and one end of a
 * connection. Internal to the enforcer library (baton-enforcer.h).
 *
 * Anything that does not fit is an error, never a truncated value.
 */
#ifndef BATON_JSON_LINES_H
#define BATON_JSON_LINES_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nodes of one text: the largest bundle file, or the calls of the largest bundle. */
#define JSON_NODES_MAX 4096
/* Deepest nesting of objects and arrays. */
#define JSON_DEPTH_MAX 16
/* Longest line in bytes, in either direction (docs/PLATFORMS.md, "The enforcer socket"). */
#define LINE_BYTES_MAX 65536
/* Most unsent bytes for a peer that does not read. */
#define OUT_BYTES_MAX (256 * 1024)

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_kind kind;
	const char *name; /* of an object's member */
	const char *text; /* JSON_TEXT */
	double number;    /* JSON_NUMBER; JSON_BOOL: 0 or 1 */
	struct json *first, *next;
};

/*
 * Parses `text` in place: strings of the result point into it. Returns the root, valid until the next call by any
 * thread, or NULL.
 */
struct json *baton_json_read(char *text);
/* Member `name` of an object, or NULL. */
struct json *baton_json_get(const struct json *object, const char *name);
/* The text of a member; "" when there is none. */
const char *baton_json_text(const struct json *object, const char *name);
/* A whole number from 0 to 2^53 of a member, written as number or as "0x…"; false when there is none. */
bool baton_json_whole(const struct json *object, const char *name, uint64_t *value);

/* An output buffer. `full` is set once something did not fit. */
struct text {
	char *bytes;
	size_t used, size;
	bool full;
};

void baton_text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds `value` as a JSON string. */
void baton_text_quote(struct text *text, const char *value);

/*
 * A connection: a character device such as a virtio-serial port, or a listening UNIX socket. One peer at a time.
 * Bounded: lines that are too long, and lines that the peer does not read, are dropped.
 */
struct port {
	const char *name;
	int fd, listener;
	/* The peer is gone: a device is then checked for a new one. */
	bool hung;
	bool skipping;
	size_t in_used, out_used;
	char in[LINE_BYTES_MAX + 1];
	char out[OUT_BYTES_MAX];
};

/* Callbacks of a port, with the user's `context`. */
struct port_user {
	/* A line arrived; the callee may modify it. */
	void (*take)(void *context, char *line);
	/* The peer is gone; the next one is another. NULL: not needed. */
	void (*gone)(void *context);
	void *context;
};

/*
 * Opens `address`, which must stay valid: a path, or unix:/path to listen on. Returns false on failure, with the reason
 * in `error` of `error_bytes`.
 */
bool baton_port_open(struct port *port, const char *address, char *error, size_t error_bytes);
void baton_port_close(struct port *port);
/* The descriptor and events to poll. */
struct pollfd baton_port_poll(const struct port *port);
/* Reads and writes without blocking. */
void baton_port_serve(struct port *port, short events, const struct port_user *user);
/*
 * Sends the text of `line` as one line. False: dropped, since there is no peer, it does not read, or the line is too
 * long.
 */
bool baton_port_send(struct port *port, const struct text *line);

#endif
