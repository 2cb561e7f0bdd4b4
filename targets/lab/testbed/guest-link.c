/*
 * guest-link PORT: in a Linux guest, its link to the test, over a socket to its host. It tells what the input device
 * says: a line `node NAME` when it comes, `x VALUE` for each place in X, `gone` when it goes. And it does as it is
 * told: a line is a shell command, run beside everything else; its words come back as `out WORDS`, its end as `done
 * STATUS`. Commands run one at a time. `signal NAME` signals the agent, also while one runs, and is answered by
 * `signalled NAME`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/input.h>
#include <linux/vm_sockets.h>

#define NODE "/dev/input/event0"
/* Time between two looks whether the device has come, in ms. */
#define LOOK_MS 2
#define WORDS_MAX 512

static int host;

static void tell(const char *what, const char *text)
{
	char line[WORDS_MAX + 16];
	int length = snprintf(line, sizeof line, "%s%s\n", what, text);
	if (write(host, line, (size_t)length) < 0)
		exit(1);
}

/* Reads what there is and hands on whole lines; 0 at the end. */
static int lines(int from, char *rest, void (*take)(const char *))
{
	size_t length = strlen(rest);
	ssize_t got = read(from, rest + length, WORDS_MAX - 1 - length);
	if (got <= 0)
		return 0;
	rest[length + (size_t)got] = 0;
	char *end;
	while ((end = strchr(rest, '\n'))) {
		*end = 0;
		take(rest);
		memmove(rest, end + 1, strlen(end + 1) + 1);
	}
	/* A line that is too long is handed on in pieces. */
	if (strlen(rest) == WORDS_MAX - 1) {
		take(rest);
		rest[0] = 0;
	}
	return 1;
}

static FILE *command;

static void tell_words(const char *words)
{
	tell("out ", words);
}

/* Through a shell that does not wait: killall finds the agent by its name. */
static void signal_agent(const char *name)
{
	char words[64];
	snprintf(words, sizeof words, "killall -%.16s baton-agent", name);
	if (system(words) == 0)
		tell("signalled ", name);
}

static void run(const char *words)
{
	char text[16];
	if (strncmp(words, "signal ", 7) == 0) {
		signal_agent(words + 7);
		return;
	}
	if (command) {
		tell("done ", "busy");
		return;
	}
	command = popen(words, "r");
	if (!command) {
		snprintf(text, sizeof text, "%d", 127);
		tell("done ", text);
	}
}

static void end_command(void)
{
	char text[16];
	int status = pclose(command);
	command = NULL;
	snprintf(text, sizeof text, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	tell("done ", text);
}

static int open_node(void)
{
	char name[64] = "";
	int node = open(NODE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (node >= 0) {
		ioctl(node, EVIOCGNAME(sizeof name - 1), name);
		tell("node ", name);
	}
	return node;
}

/* What the device has said; 0 when it is gone. */
static int take_events(int node)
{
	struct input_event events[64];
	ssize_t length = read(node, events, sizeof events);
	char text[16];
	for (ssize_t i = 0; i < length / (ssize_t)sizeof *events; i++) {
		if (events[i].type != EV_ABS || events[i].code != ABS_X)
			continue;
		snprintf(text, sizeof text, "%d", events[i].value);
		tell("x ", text);
	}
	return length > 0 || errno == EAGAIN;
}

int main(int count, char **words)
{
	struct sockaddr_vm to = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST,
				  .svm_port = count > 1 ? (unsigned)atoi(words[1]) : 0 };
	char told[WORDS_MAX] = "", said[WORDS_MAX] = "";
	int node = -1;
	host = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (count < 2 || host < 0 || connect(host, (struct sockaddr *)&to, sizeof to)) {
		perror("guest-link");
		return 71;
	}
	signal(SIGPIPE, SIG_IGN);
	tell("ready", "");
	for (;;) {
		if (node < 0)
			node = open_node();
		struct pollfd wanted[] = { { host, POLLIN, 0 },
					   { node, POLLIN, 0 },
					   { command ? fileno(command) : -1, POLLIN, 0 } };
		poll(wanted, 3, node < 0 ? LOOK_MS : -1);
		if (wanted[0].revents && !lines(host, told, run))
			return 0;
		if (node >= 0 && wanted[1].revents && !take_events(node)) {
			close(node);
			node = -1;
			tell("gone", "");
		}
		if (command && wanted[2].revents && !lines(fileno(command), said, tell_words))
			end_command();
	}
}
