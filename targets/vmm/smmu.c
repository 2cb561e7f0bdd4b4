/*
 * Refused DMA in the kernel's log (smmu.h).
 *
 * Linux prints "event 0x10 received:" and then the four words of the event, one per line. The stream is in the upper
 * half of the first word, bit 35 of the second is set for a read, and the third is the address. Linux limits the rate
 * of these lines.
 */
#include "smmu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"

#define WORDS 4
#define READ_BIT (1ULL << 35)

static int log_fd = -1;
static unsigned event;
static uint64_t words[WORDS];
/* Number of words of the event that are still to come. */
static int missing;

int smmu_open(char *error)
{
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd < 0) {
		failed(error, "open /dev/kmsg");
		return -1;
	}
	lseek(log_fd, 0, SEEK_END);
	return log_fd;
}

static void take(const char *line)
{
	if (!strstr(line, "smmu"))
		return;
	const char *found = strstr(line, ": event 0x");
	if (found && strstr(found, "received")) {
		event = (unsigned)strtoul(found + 10, NULL, 16);
		missing = WORDS;
		return;
	}
	found = strstr(line, "0x");
	/* A tab before the word is printed as \x09. */
	while (found && strspn(found + 2, "0123456789abcdef") != 16)
		found = strstr(found + 2, "0x");
	if (!found || missing == 0)
		return;
	words[WORDS - missing] = strtoull(found + 2, NULL, 16);
	if (--missing == 0)
		faults_book_stream((uint32_t)(words[0] >> 32), words[2], !(words[1] & READ_BIT), event);
}

void smmu_read(void)
{
	char line[1024];
	for (;;) {
		ssize_t length = read(log_fd, line, sizeof line - 1);
		if (length < 0 && errno == EPIPE)
			continue; /* lines were overwritten before they were read */
		if (length <= 0)
			return;
		line[length] = 0;
		take(line);
	}
}
