/* Writes a flattened device tree (fdt.h). */
#include "fdt.h"

#include <endian.h>
#include <string.h>

#define MAGIC 0xd00dfeed
#define BEGIN_NODE 1
#define END_NODE 2
#define PROPERTY 3
#define END 9
#define HEADER_BYTES 40
/* The list of reserved memory has its end only. */
#define RESERVED_BYTES 16

static void put(struct fdt *fdt, const void *bytes, size_t length)
{
	size_t padded = (length + 3) & ~(size_t)3;
	if (fdt->structure_bytes + padded > sizeof fdt->structure) {
		fdt->overflown = true;
		return;
	}
	char *at = fdt->structure + fdt->structure_bytes;
	memset(at, 0, padded);
	memcpy(at, bytes, length);
	fdt->structure_bytes += padded;
}

static void put_word(struct fdt *fdt, uint32_t word)
{
	uint32_t big = htobe32(word);
	put(fdt, &big, sizeof big);
}

/* Returns the offset of a property's name in the strings; adds a new name. */
static uint32_t string_at(struct fdt *fdt, const char *name)
{
	size_t at = 0;
	while (at < fdt->strings_bytes && strcmp(fdt->strings + at, name) != 0)
		at += strlen(fdt->strings + at) + 1;
	size_t length = strlen(name) + 1;
	if (at == fdt->strings_bytes) {
		if (at + length > sizeof fdt->strings) {
			fdt->overflown = true;
			return 0;
		}
		memcpy(fdt->strings + at, name, length);
		fdt->strings_bytes += length;
	}
	return (uint32_t)at;
}

static void property(struct fdt *fdt, const char *name, const void *bytes, size_t length)
{
	put_word(fdt, PROPERTY);
	put_word(fdt, (uint32_t)length);
	put_word(fdt, string_at(fdt, name));
	put(fdt, bytes, length);
}

void fdt_begin(struct fdt *fdt, const char *node)
{
	put_word(fdt, BEGIN_NODE);
	put(fdt, node, strlen(node) + 1);
}

void fdt_end(struct fdt *fdt)
{
	put_word(fdt, END_NODE);
}

void fdt_flag(struct fdt *fdt, const char *name)
{
	property(fdt, name, "", 0);
}

void fdt_text(struct fdt *fdt, const char *name, const char *value)
{
	property(fdt, name, value, strlen(value) + 1);
}

void fdt_cells(struct fdt *fdt, const char *name, unsigned count, const uint32_t *cells)
{
	put_word(fdt, PROPERTY);
	put_word(fdt, count * 4);
	put_word(fdt, string_at(fdt, name));
	for (unsigned i = 0; i < count; i++)
		put_word(fdt, cells[i]);
}

size_t fdt_finish(struct fdt *fdt, void *to, size_t size)
{
	put_word(fdt, END);
	uint32_t structure = HEADER_BYTES + RESERVED_BYTES;
	uint32_t strings = structure + (uint32_t)fdt->structure_bytes;
	uint32_t total = strings + (uint32_t)fdt->strings_bytes;
	const uint32_t header[] = { MAGIC, total, structure, strings, HEADER_BYTES, 17, 16, 0,
				    (uint32_t)fdt->strings_bytes, (uint32_t)fdt->structure_bytes };
	if (fdt->overflown || total > size)
		return 0;
	for (size_t i = 0; i < sizeof header / sizeof *header; i++)
		((uint32_t *)to)[i] = htobe32(header[i]);
	memset((char *)to + HEADER_BYTES, 0, RESERVED_BYTES);
	memcpy((char *)to + structure, fdt->structure, fdt->structure_bytes);
	memcpy((char *)to + strings, fdt->strings, fdt->strings_bytes);
	return total;
}
