/* Files that a driver may keep us waiting for, read and written by threads; see jobs.c. */

#ifndef BATON_JOBS_H
#define BATON_JOBS_H

#include <stddef.h>

/*
 * Each starts and returns a descriptor to be read, or an error as -errno: from there come two int32, the result as a
 * call of the kernel returns it and 1 if the file was opened, and what was read.
 */
int baton_start_read(const char *path, size_t count);
int baton_start_write(const char *path, const void *bytes, size_t count);

#endif
