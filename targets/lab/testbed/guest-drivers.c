/*
 * guest-drivers: what a guest with drivers under test is asked to do by its test, each by a word:
 *
 *   control SOCKET                    hands its input to a UNIX socket, and prints what comes from there
 *   events NAME                       has the input device of this name open until its input ends, and tells what it
 *                                     says: `open`, `event TYPE CODE VALUE`, `gone`
 *   rebind DRIVER DEVICE NODE         unbinds the device and binds it again: `rebound UNBIND BIND USABLE TOTAL` in us.
 *                                     USABLE: from the write to `bind` until a node that begins with NODE
 *                                     (`input/event`) is there and opens.
 *   console                           puts the text console on the display, where it is not by itself
 *   serve SOCKET ATTRIBUTE            a long-lived program for hooks of kind `socket`: writes 1 to suspend, 0 to resume
 *   write ATTRIBUTE VALUE             the same as a program that ends
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/fb.h>
#include <linux/input.h>
#include <linux/netlink.h>

#include "pass.h"

/* Numbers of input devices that are looked through: each bind takes the lowest free one. */
#define NODES_MAX 32
/* Longest wait for a node after a bind, in ms: the slowest, a framebuffer, takes some 100. */
#define NODE_MS 5000
#define LINE_MAX 512

static int fail(const char *what)
{
	perror(what);
	return 71;
}

static long long now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Opens what a pattern stands for: the number of an input device changes with each bind. */
static int open_attribute(const char *pattern, int how)
{
	glob_t found;
	int file = -1;
	errno = ENOENT;
	if (glob(pattern, 0, NULL, &found) == 0)
		file = open(found.gl_pathv[0], how | O_CLOEXEC);
	globfree(&found);
	return file;
}

static int put(const char *pattern, const char *text)
{
	int file = open_attribute(pattern, O_WRONLY);
	ssize_t written = file < 0 ? -1 : write(file, text, strlen(text));
	if (file >= 0)
		close(file);
	return written < 0 ? -1 : 0;
}

static int local_socket(const char *path, struct sockaddr_un *place)
{
	*place = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strncpy(place->sun_path, path, sizeof place->sun_path - 1);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int control(const char *path)
{
	struct sockaddr_un place;
	int agent = local_socket(path, &place);
	if (agent < 0 || connect(agent, (struct sockaddr *)&place, sizeof place))
		return fail(path);
	struct pollfd ends[2] = { { 0, POLLIN, 0 }, { agent, POLLIN, 0 } };
	while (poll(ends, 2, -1) > 0)
		if ((ends[0].revents && !pass(0, agent)) || (ends[1].revents && !pass(agent, 1)))
			return 0;
	return fail("poll");
}

static int open_input(const char *name)
{
	char path[32], found[64];
	for (int i = 0; i < NODES_MAX; i++) {
		snprintf(path, sizeof path, "/dev/input/event%d", i);
		int node = open(path, O_RDONLY | O_CLOEXEC);
		if (node < 0)
			continue;
		memset(found, 0, sizeof found);
		ioctl(node, EVIOCGNAME(sizeof found - 1), found);
		if (strcmp(found, name) == 0)
			return node;
		close(node);
	}
	errno = ENOENT;
	return -1;
}

static int tell_events(const char *name)
{
	struct input_event events[64];
	ssize_t length;
	int node = open_input(name);
	if (node < 0)
		return fail(name);
	printf("open\n");
	struct pollfd ends[2] = { { node, POLLIN, 0 }, { 0, POLLIN, 0 } };
	while (poll(ends, 2, -1) > 0) {
		/* Nobody listens any more. */
		if (ends[1].revents && read(0, events, sizeof events) <= 0)
			return 0;
		if (!ends[0].revents)
			continue;
		length = read(node, events, sizeof events);
		if (length <= 0)
			break;
		for (ssize_t i = 0; i < length / (ssize_t)sizeof *events; i++)
			printf("event %d %d %d\n", events[i].type, events[i].code, events[i].value);
	}
	printf("gone %s\n", strerror(errno));
	return 0;
}

/* What the kernel tells of new devices, after it has made their nodes. */
static int hear_devices(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int heard = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	if (heard >= 0 && bind(heard, (struct sockaddr *)&kernel, sizeof kernel)) {
		close(heard);
		return -1;
	}
	return heard;
}

/* Whether a message is of a new node that begins with `node`, and it opens. Nothing else is bound meanwhile. */
static int is_usable(const char *message, ssize_t length, const char *node)
{
	const char *name = NULL;
	char path[64];
	if (strncmp(message, "add@", 4) != 0)
		return 0;
	for (const char *word = message; word < message + length; word += strlen(word) + 1)
		if (strncmp(word, "DEVNAME=", 8) == 0)
			name = word + 8;
	if (!name || strncmp(name, node, strlen(node)) != 0)
		return 0;
	snprintf(path, sizeof path, "/dev/%.50s", name);
	int opened = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (opened >= 0)
		close(opened);
	return opened >= 0;
}

static int rebind(const char *driver, const char *device, const char *node)
{
	char unbind[128], bind_[128], message[4096];
	int heard = hear_devices();
	if (heard < 0)
		return fail("uevents");
	snprintf(unbind, sizeof unbind, "%s/unbind", driver);
	snprintf(bind_, sizeof bind_, "%s/bind", driver);
	long long start = now_us();
	if (put(unbind, device))
		return fail(unbind);
	long long unbound = now_us();
	if (put(bind_, device))
		return fail(bind_);
	long long bound = now_us();
	struct pollfd wanted = { heard, POLLIN, 0 };
	while (poll(&wanted, 1, NODE_MS) > 0) {
		ssize_t length = recv(heard, message, sizeof message - 1, 0);
		if (length <= 0)
			break;
		message[length] = 0;
		if (!is_usable(message, length, node))
			continue;
		long long usable = now_us();
		printf("rebound %lld %lld %lld %lld\n", unbound - start, bound - unbound, usable - unbound, usable - start);
		return 0;
	}
	fprintf(stderr, "no %s of %s within %d ms\n", node, device, NODE_MS);
	return 71;
}

static int show_console(void)
{
	struct fb_con2fbmap map = { .console = 1, .framebuffer = 0 };
	int display = open("/dev/fb0", O_RDWR | O_CLOEXEC);
	if (display < 0 || ioctl(display, FBIOPUT_CON2FBMAP, &map))
		return fail("/dev/fb0");
	close(display);
	return 0;
}

/* Answers one line: {"id":7,"hook":"suspend",...}. */
static void answer(int client, const char *line, const char *attribute)
{
	char text[LINE_MAX], now = '?';
	int id = 0, done = 0;
	const char *at = strstr(line, "\"id\":");
	if (at)
		id = atoi(at + 5);
	if (strstr(line, "\"hook\":\"suspend\""))
		done = put(attribute, "1");
	else if (strstr(line, "\"hook\":\"resume\""))
		done = put(attribute, "0");
	int file = open_attribute(attribute, O_RDONLY);
	if (file >= 0) {
		if (read(file, &now, 1) != 1)
			now = '?';
		close(file);
	}
	const char *status = now == '1' ? "suspended" : now == '0' ? "active" : "unknown";
	int length = snprintf(text, sizeof text, "{\"id\":%d,\"ok\":%s,\"status\":\"%s\"}\n", id,
			      done ? "false" : "true", status);
	if (write(client, text, (size_t)length) < 0)
		perror("serve");
}

/* One client at a time: the agent. */
static int serve(const char *path, const char *attribute)
{
	struct sockaddr_un place;
	int listener = local_socket(path, &place), client;
	unlink(path);
	if (listener < 0 || bind(listener, (struct sockaddr *)&place, sizeof place) || listen(listener, 4))
		return fail(path);
	while ((client = accept(listener, NULL, NULL)) >= 0) {
		FILE *lines = fdopen(client, "r");
		char line[LINE_MAX];
		while (lines && fgets(line, sizeof line, lines))
			answer(client, line, attribute);
		if (lines)
			fclose(lines);
	}
	return fail("accept");
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "";
	setlinebuf(stdout);
	signal(SIGPIPE, SIG_IGN);
	if (count == 3 && strcmp(what, "control") == 0)
		return control(words[2]);
	if (count == 3 && strcmp(what, "events") == 0)
		return tell_events(words[2]);
	if (count == 2 && strcmp(what, "console") == 0)
		return show_console();
	if (count == 5 && strcmp(what, "rebind") == 0)
		return rebind(words[2], words[3], words[4]);
	if (count == 4 && strcmp(what, "serve") == 0)
		return serve(words[2], words[3]);
	if (count == 4 && strcmp(what, "write") == 0)
		return put(words[2], words[3]) ? fail(words[2]) : 0;
	fprintf(stderr, "guest-drivers control|events|rebind|console|serve|write ...: see its source\n");
	return 64;
}
