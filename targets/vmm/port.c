/* One end of a connection that speaks lines (port.h). */
#define _GNU_SOURCE
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool listen_at(struct port *port, const char *path, char *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return failed(error, "listen at %s", path);
	}
	strcpy(address.sun_path, path);
	/* The name that an earlier life left is in the way; one that somebody listens at is not ours. */
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(probe, (struct sockaddr *)&address, sizeof address) && errno == ECONNREFUSED)
		unlink(path);
	close(probe);
	port->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is_open = port->listener >= 0 && !bind(port->listener, (struct sockaddr *)&address, sizeof address) &&
		       !listen(port->listener, 1);
	return is_open || failed(error, "listen at %s", path);
}

bool port_open(struct port *port, const char *address, char *error)
{
	port->fd = port->listener = -1;
	port->name = address;
	if (strncmp(address, "unix:", 5) == 0)
		return listen_at(port, address + 5, error);
	port->fd = open(address, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return port->fd >= 0 || failed(error, "open %s", address);
}

struct pollfd port_poll(const struct port *port)
{
	struct pollfd wanted = { .fd = port->fd, .events = POLLIN };
	if (port->fd < 0)
		wanted.fd = port->listener;
	else if (port->hung)
		wanted.fd = -1; /* It would be ready all the time. */
	else if (port->out_used)
		wanted.events |= POLLOUT;
	return wanted;
}

/*
 * A device may give the first line of a new peer before it says that the old one has gone. So what was answered to it
 * stays; a peer knows by the answer to its hello where what is meant for it begins.
 */
static void lose_peer(struct port *port, void (*gone)(void))
{
	if (!port->hung)
		gone();
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

static void take_lines(struct port *port, void (*taken)(char *line))
{
	char *start = port->in, *end;
	port->in[port->in_used] = 0;
	while ((end = memchr(start, '\n', port->in_used - (size_t)(start - port->in)))) {
		*end = 0;
		if (!port->skipping && end > start)
			taken(start);
		port->skipping = false;
		start = end + 1;
	}
	port->in_used -= (size_t)(start - port->in);
	memmove(port->in, start, port->in_used);
	if (port->in_used < LINE_BYTES_MAX)
		return;
	fprintf(stderr, "%s: a line of more than %d bytes is dropped\n", port->name, LINE_BYTES_MAX);
	port->skipping = true;
	port->in_used = 0;
}

static void read_some(struct port *port, void (*taken)(char *line), void (*gone)(void))
{
	ssize_t count = read(port->fd, port->in + port->in_used, LINE_BYTES_MAX - port->in_used);
	if (count > 0) {
		port->hung = false;
		port->in_used += (size_t)count;
		take_lines(port, taken);
		return;
	}
	if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
		/* A device that has nothing to read, but a peer again. */
		port->hung = false;
		return;
	}
	lose_peer(port, gone);
}

static void write_some(struct port *port)
{
	if (port->fd < 0 || port->hung || !port->out_used)
		return;
	ssize_t count = write(port->fd, port->out, port->out_used);
	if (count <= 0)
		return;
	port->out_used -= (size_t)count;
	memmove(port->out, port->out + count, port->out_used);
}

void port_serve(struct port *port, short events, void (*taken)(char *line), void (*gone)(void))
{
	if (port->fd < 0) {
		if (events & POLLIN)
			port->fd = accept4(port->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		return;
	}
	if (port->hung || (events & (POLLIN | POLLHUP | POLLERR)))
		read_some(port, taken, gone);
	write_some(port);
}

void port_send(struct port *port, const struct text *line)
{
	if (port->fd < 0 || port->hung)
		return;
	if (line->full || line->used + 1 > OUT_BYTES_MAX - port->out_used) {
		fprintf(stderr, "%s: a line that nobody reads is dropped\n", port->name);
		return;
	}
	memcpy(port->out + port->out_used, line->bytes, line->used);
	port->out_used += line->used;
	port->out[port->out_used++] = '\n';
	write_some(port);
}
