/*
 * vsock-relay PORT CID=IPV4:PORT...: in the emulated machine, hands connections of its guests on to a TCP port of the
 * outer one. Which guest it is, its kernel says: each CID has a place of its own, so none can pass for another.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "pass.h"

#define WAITING_MAX 8

struct place {
	unsigned cid;
	struct sockaddr_in to;
};

static void relay(int guest, const struct sockaddr_in *to)
{
	int host = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	if (host < 0 || connect(host, (const struct sockaddr *)to, sizeof *to))
		return;
	setsockopt(host, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct pollfd ends[2] = { { guest, POLLIN, 0 }, { host, POLLIN, 0 } };
	while (poll(ends, 2, -1) > 0)
		if ((ends[0].revents && !pass(guest, host)) || (ends[1].revents && !pass(host, guest)))
			return;
}

static int read_place(const char *word, struct place *place)
{
	char address[16];
	unsigned port;
	if (sscanf(word, "%u=%15[0-9.]:%u", &place->cid, address, &port) != 3 || port > 65535)
		return 0;
	place->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	return inet_aton(address, &place->to.sin_addr);
}

int main(int count, char **words)
{
	struct place places[8];
	int known = 0;
	for (int i = 2; i < count && known < 8; i++)
		if (!read_place(words[i], &places[known++])) {
			fprintf(stderr, "vsock-relay: %s: expected CID=IPV4:PORT\n", words[i]);
			return 64;
		}
	if (known == 0) {
		fprintf(stderr, "vsock-relay PORT CID=IPV4:PORT...\n");
		return 64;
	}
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), guest;
	struct sockaddr_vm own = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = (unsigned)atoi(words[1]) };
	struct sockaddr_vm peer;
	socklen_t length = sizeof peer;
	if (listener < 0 || bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, WAITING_MAX)) {
		perror("vsock-relay");
		return 71;
	}
	while ((guest = accept(listener, (struct sockaddr *)&peer, &length)) >= 0) {
		for (int i = 0; i < known; i++)
			if (places[i].cid == peer.svm_cid && fork() == 0) {
				relay(guest, &places[i].to);
				_exit(0);
			}
		close(guest);
		length = sizeof peer;
	}
	perror("vsock-relay: accept");
	return 71;
}
