/*
 * One end of a connection that speaks lines: a character device such as a virtio-serial port, or a UNIX socket that is
 * listened on. One peer at a time. Bounded: a line that is too long is dropped, and so is what a peer does not read.
 */
#ifndef BATON_PORT_H
#define BATON_PORT_H

#include <poll.h>

#include "json.h"
#include "machine.h"

/* Longest line that is taken in: the calls of the largest bundle. */
#define LINE_BYTES_MAX 65536
#define OUT_BYTES_MAX (256 * 1024)

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

/* Opens `address`: a path, or unix:/path to listen on. */
bool port_open(struct port *port, const char *address, char *error);
/* What to poll for. */
struct pollfd port_poll(const struct port *port);
/* Reads and writes what can be. `taken` gets each line; `gone` hears that the peer is another from now on. */
void port_serve(struct port *port, short events, void (*taken)(char *line), void (*gone)(void));
/* Sends what `line` has, as a line. */
void port_send(struct port *port, const struct text *line);

#endif
