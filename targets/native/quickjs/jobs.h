/* Reads and writes files whose driver may block, on threads; see jobs.c. */

#ifndef BATON_JOBS_H
#define BATON_JOBS_H

#include <stddef.h>

/*
 * Each function starts a job and returns a descriptor to read from, or -errno. The descriptor delivers two int32, the
 * result as of a system call and 1 if the file was opened, then the bytes read.
 */
int baton_start_read(const char *path, size_t count);
int baton_start_write(const char *path, const void *bytes, size_t count);

#endif
