/* Writes a flattened device tree of version 17 (Devicetree Specification v0.4, chapter 5) for a guest. */
#ifndef BATON_FDT_H
#define BATON_FDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Far more than a guest with every device of a bundle file needs. */
#define FDT_BYTES_MAX 16384

struct fdt {
	char structure[FDT_BYTES_MAX], strings[1024];
	size_t structure_bytes, strings_bytes;
	/* Something did not fit. */
	bool overflown;
};

void fdt_begin(struct fdt *fdt, const char *node);
void fdt_end(struct fdt *fdt);
void fdt_flag(struct fdt *fdt, const char *name);
void fdt_text(struct fdt *fdt, const char *name, const char *value);
/* `count` cells, each a uint32_t in the processor's order. */
void fdt_cells(struct fdt *fdt, const char *name, unsigned count, const uint32_t *cells);
/* Writes the blob; returns its bytes, 0 when it does not fit `size`. */
size_t fdt_finish(struct fdt *fdt, void *to, size_t size);

/* fdt_cells with its cells written out. */
#define FDT_CELLS(fdt, name, ...) \
	fdt_cells(fdt, name, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), (uint32_t[]){ __VA_ARGS__ })

#endif
