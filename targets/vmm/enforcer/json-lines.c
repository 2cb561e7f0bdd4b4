/* JSON lines (json-lines.h): the reader, the writer, the connection. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "json-lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct json nodes[JSON_NODES_MAX];
static size_t nodes_used;
static char *at;

static struct json *value(int depth);

static void skip_space(void)
{
	at += strspn(at, " \t\r\n");
}

static bool take(char wanted)
{
	skip_space();
	if (*at != wanted)
		return false;
	at++;
	return true;
}

/* Value of the four digits of \uXXXX; -1 if invalid. */
static int unicode_unit(const char *digits)
{
	int unit = 0;
	for (int i = 0; i < 4; i++) {
		const char *found = digits[i] ? strchr("0123456789abcdef0123456789ABCDEF", digits[i]) : NULL;
		if (!found)
			return -1;
		unit = unit * 16 + (int)((found - "0123456789abcdef0123456789ABCDEF") % 16);
	}
	return unit;
}

/* Names of this protocol are ASCII: other characters become a placeholder. */
static char *escaped(char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (*at == 'u') {
		int unit = unicode_unit(at + 1);
		if (unit < 0)
			return NULL;
		*out++ = unit > 0 && unit < 0x80 ? (char)unit : '?';
		at += 5;
		return out;
	}
	const char *found = *at ? strchr(from, *at) : NULL;
	if (!found)
		return NULL;
	*out++ = to[found - from];
	at++;
	return out;
}

static const char *quoted(void)
{
	if (!take('"'))
		return NULL;
	char *start = at, *out = at;
	while (*at != '"') {
		if ((unsigned char)*at < 0x20)
			return NULL;
		if (*at != '\\') {
			*out++ = *at++;
			continue;
		}
		at++;
		out = escaped(out);
		if (!out)
			return NULL;
	}
	at++;
	*out = 0;
	return start;
}

static bool members(struct json *parent, int depth)
{
	bool named = parent->kind == JSON_OBJECT;
	char end = named ? '}' : ']';
	struct json **last = &parent->first;
	if (take(end))
		return true;
	do {
		const char *name = named ? quoted() : NULL;
		if (named && (!name || !take(':')))
			return false;
		struct json *member = value(depth + 1);
		if (!member)
			return false;
		member->name = name;
		*last = member;
		last = &member->next;
	} while (take(','));
	return take(end);
}

static bool word(const char *wanted)
{
	size_t length = strlen(wanted);
	if (strncmp(at, wanted, length) != 0)
		return false;
	at += length;
	return true;
}

static struct json *value(int depth)
{
	if (depth > JSON_DEPTH_MAX || nodes_used == JSON_NODES_MAX)
		return NULL;
	struct json *node = &nodes[nodes_used++];
	memset(node, 0, sizeof *node);
	skip_space();
	if (*at == '{' || *at == '[') {
		node->kind = *at++ == '{' ? JSON_OBJECT : JSON_ARRAY;
		return members(node, depth) ? node : NULL;
	}
	if (*at == '"') {
		node->kind = JSON_TEXT;
		node->text = quoted();
		return node->text ? node : NULL;
	}
	if (word("null"))
		return node;
	node->kind = JSON_BOOL;
	if (word("false"))
		return node;
	node->number = 1;
	if (word("true"))
		return node;
	if (!strchr("-0123456789", *at) || !*at)
		return NULL;
	node->kind = JSON_NUMBER;
	node->number = strtod(at, &at);
	return node;
}

struct json *baton_json_read(char *text)
{
	nodes_used = 0;
	at = text;
	struct json *root = value(0);
	skip_space();
	return root && !*at ? root : NULL;
}

struct json *baton_json_get(const struct json *object, const char *name)
{
	if (!object || object->kind != JSON_OBJECT)
		return NULL;
	for (struct json *member = object->first; member; member = member->next)
		if (strcmp(member->name, name) == 0)
			return member;
	return NULL;
}

const char *baton_json_text(const struct json *object, const char *name)
{
	const struct json *member = baton_json_get(object, name);
	return member && member->kind == JSON_TEXT ? member->text : "";
}

bool baton_json_whole(const struct json *object, const char *name, uint64_t *value)
{
	const struct json *member = baton_json_get(object, name);
	if (member && member->kind == JSON_TEXT && strncmp(member->text, "0x", 2) == 0) {
		char *end;
		*value = strtoull(member->text, &end, 16);
		return !*end && *value <= 1ULL << 53;
	}
	if (!member || member->kind != JSON_NUMBER || member->number < 0 || member->number > 0x1p53)
		return false;
	*value = (uint64_t)member->number;
	return (double)*value == member->number;
}

void baton_text_add(struct text *text, const char *format, ...)
{
	va_list rest;
	va_start(rest, format);
	int length = vsnprintf(text->bytes + text->used, text->size - text->used, format, rest);
	va_end(rest);
	if (length < 0 || (size_t)length >= text->size - text->used) {
		text->full = true;
		return;
	}
	text->used += (size_t)length;
}

void baton_text_quote(struct text *text, const char *value)
{
	baton_text_add(text, "\"");
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			baton_text_add(text, "\\%c", *value);
		else if ((unsigned char)*value < 0x20 || (unsigned char)*value >= 0x7f)
			baton_text_add(text, "\\u%04x", (unsigned char)*value);
		else
			baton_text_add(text, "%c", *value);
	}
	baton_text_add(text, "\"");
}

/* Writes "what: errno's text" into `error`; returns false. */
static bool failed(char *error, size_t error_bytes, const char *what, const char *address)
{
	snprintf(error, error_bytes, "%s %s: %s (errno %d)", what, address, strerror(errno), errno);
	return false;
}

static bool listen_at(struct port *port, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(address.sun_path, path);
	/* The socket of an ended process is removed; one that a process listens on is not ours. */
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(probe, (struct sockaddr *)&address, sizeof address) && errno == ECONNREFUSED)
		unlink(path);
	close(probe);
	port->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A process that may connect controls the devices. The mode before bind is that of the socket file. */
	return port->listener >= 0 && !fchmod(port->listener, 0600) &&
	       !bind(port->listener, (struct sockaddr *)&address, sizeof address) && !listen(port->listener, 1);
}

bool baton_port_open(struct port *port, const char *address, char *error, size_t error_bytes)
{
	bool listens = strncmp(address, "unix:", 5) == 0;
	port->fd = port->listener = -1;
	port->name = address;
	port->hung = port->skipping = false;
	port->in_used = port->out_used = 0;
	if (!listens)
		port->fd = open(address, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (listens ? listen_at(port, address + 5) : port->fd >= 0)
		return true;
	failed(error, error_bytes, listens ? "listen at" : "open", address);
	baton_port_close(port);
	return false;
}

void baton_port_close(struct port *port)
{
	if (port->fd >= 0)
		close(port->fd);
	if (port->listener >= 0)
		close(port->listener);
	port->fd = port->listener = -1;
}

struct pollfd baton_port_poll(const struct port *port)
{
	struct pollfd wanted = { .fd = port->fd, .events = POLLIN };
	if (port->fd < 0)
		wanted.fd = port->listener;
	else if (port->hung)
		wanted.fd = -1; /* it would be ready all the time */
	else if (port->out_used)
		wanted.events |= POLLOUT;
	return wanted;
}

/*
 * A device may deliver the first line of a new peer before it reports the end of the old one. So queued output is kept;
 * a peer recognizes the start of its own output by the answer to its hello.
 */
static void lose_peer(struct port *port, const struct port_user *user)
{
	if (!port->hung && user->gone)
		user->gone(user->context);
	port->in_used = 0;
	port->skipping = false;
	if (port->listener < 0) {
		port->hung = true;
		return;
	}
	port->out_used = 0;
	close(port->fd);
	port->fd = -1;
}

static void take_lines(struct port *port, const struct port_user *user)
{
	char *start = port->in, *end;
	while ((end = memchr(start, '\n', port->in_used - (size_t)(start - port->in)))) {
		*end = 0;
		if (!port->skipping && end > start)
			user->take(user->context, start);
		port->skipping = false;
		start = end + 1;
	}
	port->in_used -= (size_t)(start - port->in);
	memmove(port->in, start, port->in_used);
	if (port->in_used <= LINE_BYTES_MAX)
		return;
	if (!port->skipping)
		fprintf(stderr, "%s: a line of more than %d bytes is dropped\n", port->name, LINE_BYTES_MAX);
	port->skipping = true;
	port->in_used = 0;
}

static void read_some(struct port *port, const struct port_user *user)
{
	ssize_t count = read(port->fd, port->in + port->in_used, sizeof port->in - port->in_used);
	if (count > 0) {
		port->hung = false;
		port->in_used += (size_t)count;
		take_lines(port, user);
		return;
	}
	if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
		/* A device with a new peer, and nothing to read yet. */
		port->hung = false;
		return;
	}
	lose_peer(port, user);
}

static void write_some(struct port *port)
{
	if (port->fd < 0 || port->hung || !port->out_used)
		return;
	/* A closed peer causes an error of the next read, not a signal. */
	ssize_t count = port->listener >= 0 ? send(port->fd, port->out, port->out_used, MSG_NOSIGNAL)
					    : write(port->fd, port->out, port->out_used);
	if (count <= 0)
		return;
	port->out_used -= (size_t)count;
	memmove(port->out, port->out + count, port->out_used);
}

void baton_port_serve(struct port *port, short events, const struct port_user *user)
{
	if (port->fd < 0) {
		if (events & POLLIN)
			port->fd = accept4(port->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		return;
	}
	if (port->hung || (events & (POLLIN | POLLHUP | POLLERR)))
		read_some(port, user);
	write_some(port);
}

bool baton_port_send(struct port *port, const struct text *line)
{
	if (port->fd < 0 || port->hung)
		return false;
	if (line->full || line->used > LINE_BYTES_MAX || line->used + 1 > sizeof port->out - port->out_used) {
		fprintf(stderr, "%s: a line is dropped, since the peer does not read\n", port->name);
		return false;
	}
	memcpy(port->out + port->out_used, line->bytes, line->used);
	port->out_used += line->used;
	port->out[port->out_used++] = '\n';
	write_some(port);
	return true;
}
