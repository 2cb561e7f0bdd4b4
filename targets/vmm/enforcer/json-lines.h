/*
 * JSON lines without allocation: a reader into a fixed set of nodes, a writer into a fixed buffer, and one end of a
 * connection that carries them. Inside of the enforcer library (baton-enforcer.h); its users need not include this.
 *
 * Whatever does not fit is an error, never a shorter value.
 */
#ifndef BATON_JSON_LINES_H
#define BATON_JSON_LINES_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nodes of one text: the largest bundle file, or the calls of the largest bundle. */
#define JSON_NODES_MAX 4096
/* Objects and arrays inside each other. */
#define JSON_DEPTH_MAX 16
/* Longest line in bytes, in either direction (docs/PLATFORMS.md, "The enforcer socket"). */
#define LINE_BYTES_MAX 65536
/* Bytes that wait for a peer that does not read. */
#define OUT_BYTES_MAX (256 * 1024)

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_kind kind;
	const char *name; /* of a member of an object */
	const char *text; /* JSON_TEXT */
	double number;    /* JSON_NUMBER; JSON_BOOL: 0 or 1 */
	struct json *first, *next;
};

/*
 * Reads `text`, which is changed: strings of the result point into it. Returns the root, valid until the next call of
 * any thread, or NULL.
 */
struct json *baton_json_read(char *text);
/* Member `name` of an object, or NULL. */
struct json *baton_json_get(const struct json *object, const char *name);
/* The text of a member; "" when there is none. */
const char *baton_json_text(const struct json *object, const char *name);
/* A whole number from 0 to 2^53 of a member, written as number or as "0x…"; false when there is none. */
bool baton_json_whole(const struct json *object, const char *name, uint64_t *value);

/* A buffer that is written to. `full` is set once something did not fit. */
struct text {
	char *bytes;
	size_t used, size;
	bool full;
};

void baton_text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds `value` in quotes, with what JSON wants escaped. */
void baton_text_quote(struct text *text, const char *value);

/*
 * A connection: a character device such as a virtio-serial port, or a UNIX socket that is listened on. One peer at a
 * time. Bounded: a line that is too long is dropped, and so is what a peer does not read.
 */
struct port {
	const char *name;
	int fd, listener;
	/* The other end is not there; a device is asked again then whether it has come. */
	bool hung;
	bool skipping;
	size_t in_used, out_used;
	char in[LINE_BYTES_MAX + 1];
	char out[OUT_BYTES_MAX];
};

/* What a port tells its user, with the user's `context`. */
struct port_user {
	/* A line came; it may be changed. */
	void (*take)(void *context, char *line);
	/* Who comes next is another peer. NULL: of no interest. */
	void (*gone)(void *context);
	void *context;
};

/*
 * Opens `address`, which must stay: a path, or unix:/path to listen on. False: why is in `error`, which has
 * `error_bytes`.
 */
bool baton_port_open(struct port *port, const char *address, char *error, size_t error_bytes);
void baton_port_close(struct port *port);
/* What to poll for. */
struct pollfd baton_port_poll(const struct port *port);
/* Reads and writes what can be. */
void baton_port_serve(struct port *port, short events, const struct port_user *user);
/* Sends what `line` has, as a line. False: nobody is there or reads, or it is too long; it is dropped. */
bool baton_port_send(struct port *port, const struct text *line);

#endif
