/* JSON of one line (json.h). */
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json nodes[JSON_NODES_MAX];
static size_t nodes_used;
static char *at;

static struct json *value(int depth);

static void skip_space(void)
{
	at += strspn(at, " \t\r\n");
}

static bool take(char wanted)
{
	skip_space();
	if (*at != wanted)
		return false;
	at++;
	return true;
}

/* The four digits of \uXXXX; -1 when they are not. */
static int unicode_unit(const char *digits)
{
	int unit = 0;
	for (int i = 0; i < 4; i++) {
		const char *found = digits[i] ? strchr("0123456789abcdef0123456789ABCDEF", digits[i]) : NULL;
		if (!found)
			return -1;
		unit = unit * 16 + (int)((found - "0123456789abcdef0123456789ABCDEF") % 16);
	}
	return unit;
}

/* Names of this protocol are ASCII: of other characters only their place is kept. */
static char *escaped(char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (*at == 'u') {
		int unit = unicode_unit(at + 1);
		if (unit < 0)
			return NULL;
		*out++ = unit > 0 && unit < 0x80 ? (char)unit : '?';
		at += 5;
		return out;
	}
	const char *found = *at ? strchr(from, *at) : NULL;
	if (!found)
		return NULL;
	*out++ = to[found - from];
	at++;
	return out;
}

static const char *quoted(void)
{
	if (!take('"'))
		return NULL;
	char *start = at, *out = at;
	while (*at != '"') {
		if ((unsigned char)*at < 0x20)
			return NULL;
		if (*at != '\\') {
			*out++ = *at++;
			continue;
		}
		at++;
		out = escaped(out);
		if (!out)
			return NULL;
	}
	at++;
	*out = 0;
	return start;
}

static bool members(struct json *parent, int depth)
{
	bool named = parent->kind == JSON_OBJECT;
	char end = named ? '}' : ']';
	struct json **last = &parent->first;
	if (take(end))
		return true;
	do {
		const char *name = named ? quoted() : NULL;
		if (named && (!name || !take(':')))
			return false;
		struct json *member = value(depth + 1);
		if (!member)
			return false;
		member->name = name;
		*last = member;
		last = &member->next;
	} while (take(','));
	return take(end);
}

static bool word(const char *wanted)
{
	size_t length = strlen(wanted);
	if (strncmp(at, wanted, length) != 0)
		return false;
	at += length;
	return true;
}

static struct json *value(int depth)
{
	if (depth > JSON_DEPTH_MAX || nodes_used == JSON_NODES_MAX)
		return NULL;
	struct json *node = &nodes[nodes_used++];
	memset(node, 0, sizeof *node);
	skip_space();
	if (*at == '{' || *at == '[') {
		node->kind = *at++ == '{' ? JSON_OBJECT : JSON_ARRAY;
		return members(node, depth) ? node : NULL;
	}
	if (*at == '"') {
		node->kind = JSON_TEXT;
		node->text = quoted();
		return node->text ? node : NULL;
	}
	if (word("null"))
		return node;
	node->kind = JSON_BOOL;
	if (word("false"))
		return node;
	node->number = 1;
	if (word("true"))
		return node;
	if (!strchr("-0123456789", *at) || !*at)
		return NULL;
	node->kind = JSON_NUMBER;
	node->number = strtod(at, &at);
	return node;
}

struct json *json_read(char *text)
{
	nodes_used = 0;
	at = text;
	struct json *root = value(0);
	skip_space();
	return root && !*at ? root : NULL;
}

struct json *json_get(const struct json *object, const char *name)
{
	if (!object || object->kind != JSON_OBJECT)
		return NULL;
	for (struct json *member = object->first; member; member = member->next)
		if (strcmp(member->name, name) == 0)
			return member;
	return NULL;
}

const char *json_text(const struct json *object, const char *name)
{
	const struct json *member = json_get(object, name);
	return member && member->kind == JSON_TEXT ? member->text : "";
}

bool json_whole(const struct json *object, const char *name, uint64_t *value)
{
	const struct json *member = json_get(object, name);
	if (member && member->kind == JSON_TEXT && strncmp(member->text, "0x", 2) == 0) {
		char *end;
		*value = strtoull(member->text, &end, 16);
		return !*end && *value <= 1ULL << 53;
	}
	if (!member || member->kind != JSON_NUMBER || member->number < 0 || member->number > 0x1p53)
		return false;
	*value = (uint64_t)member->number;
	return (double)*value == member->number;
}

void text_add(struct text *text, const char *format, ...)
{
	va_list rest;
	va_start(rest, format);
	int length = vsnprintf(text->bytes + text->used, text->size - text->used, format, rest);
	va_end(rest);
	if (length < 0 || (size_t)length >= text->size - text->used) {
		text->full = true;
		return;
	}
	text->used += (size_t)length;
}

void text_quote(struct text *text, const char *value)
{
	text_add(text, "\"");
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			text_add(text, "\\%c", *value);
		else if ((unsigned char)*value < 0x20 || (unsigned char)*value >= 0x7f)
			text_add(text, "\\u%04x", (unsigned char)*value);
		else
			text_add(text, "%c", *value);
	}
	text_add(text, "\"");
}
