/*
 * JSON of one line: a reader into a fixed set of nodes, and a writer into a fixed buffer.
 *
 * Nothing is allocated. Strings of the reader point into the line, which it changes in place. Whatever does not fit
 * is an error, never a shorter value.
 */
#ifndef BATON_JSON_H
#define BATON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nodes of one text: the largest bundle file, or the calls of the largest bundle. */
#define JSON_NODES_MAX 4096
/* Objects and arrays inside each other. */
#define JSON_DEPTH_MAX 16

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_kind kind;
	const char *name; /* of a member of an object */
	const char *text; /* JSON_TEXT */
	double number;    /* JSON_NUMBER; JSON_BOOL: 0 or 1 */
	struct json *first, *next;
};

/* Reads `text`, which is changed. Returns its root, valid until the next call, or NULL. */
struct json *json_read(char *text);

/* Member `name` of an object, or NULL. */
struct json *json_get(const struct json *object, const char *name);
/* The text of a member; "" when there is none. */
const char *json_text(const struct json *object, const char *name);
/* A whole number from 0 to 2^53 of a member, written as number or as "0x…"; false when there is none. */
bool json_whole(const struct json *object, const char *name, uint64_t *value);

/* A buffer that is written to. `full` is set once something did not fit. */
struct text {
	char *bytes;
	size_t used, size;
	bool full;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds `value` in quotes, with what JSON wants escaped. */
void text_quote(struct text *text, const char *value);

#endif
