/* Between two descriptors, for the small programs of the testbeds. */
#ifndef BATON_PASS_H
#define BATON_PASS_H

#include <unistd.h>

/* Hands on what is there; 0 when one side has ended. */
static int pass(int from, int to)
{
	char bytes[16384];
	ssize_t length = read(from, bytes, sizeof bytes), written = 0;
	while (length > 0 && written < length) {
		ssize_t more = write(to, bytes + written, (size_t)(length - written));
		if (more <= 0)
			return 0;
		written += more;
	}
	return length > 0;
}

#endif
