/* The one machine, and look-up of its parts by name (machine.h). */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct machine machine;

bool failed(char *error, const char *format, ...)
{
	int number = errno;
	va_list rest;
	va_start(rest, format);
	int length = vsnprintf(error, ERROR_BYTES, format, rest);
	va_end(rest);
	if (length >= 0 && length < ERROR_BYTES)
		snprintf(error + length, ERROR_BYTES - (size_t)length, ": %s (errno %d)", strerror(number), number);
	errno = number;
	return false;
}

int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct vm *vm_named(const char *name)
{
	for (unsigned i = 0; i < machine.vm_count; i++)
		if (strcmp(machine.vms[i].name, name) == 0)
			return &machine.vms[i];
	return NULL;
}

struct bundle *bundle_named(const char *name)
{
	for (unsigned i = 0; i < machine.bundle_count; i++)
		if (strcmp(machine.bundles[i].name, name) == 0)
			return &machine.bundles[i];
	return NULL;
}

struct device *device_named(const struct bundle *bundle, const char *name)
{
	for (unsigned i = 0; i < machine.device_count; i++)
		if (machine.devices[i].bundle == bundle && strcmp(machine.devices[i].name, name) == 0)
			return &machine.devices[i];
	return NULL;
}

struct resource *resource_named(const struct bundle *bundle, const char *name)
{
	for (unsigned i = 0; i < machine.resource_count; i++)
		if (machine.resources[i].device->bundle == bundle && strcmp(machine.resources[i].name, name) == 0)
			return &machine.resources[i];
	return NULL;
}

size_t load_file(const char *path, void *to, size_t size, char *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 0;
	if (fd < 0) {
		failed(error, "open %s", path);
		return 0;
	}
	while (length < size && (got = read(fd, (char *)to + length, size - length)) > 0)
		length += (size_t)got;
	close(fd);
	if (got < 0)
		failed(error, "read %s", path);
	else if (length == size || length == 0)
		snprintf(error, ERROR_BYTES, "%s: empty, or more than %zu bytes", path, size);
	return got < 0 || length == size ? 0 : length;
}
