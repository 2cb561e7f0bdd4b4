/*
 * Gives the JSON reader of the enforcer library damaged lines, under the sanitizers: whatever comes over its sockets
 * must end in a value or in nothing. Usage: json-fuzz SEED ROUNDS. Prints how many lines were still read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../targets/vmm/enforcer/json-lines.h"

static const char *const lines[] = {
	"{\"id\":1,\"do\":\"run\",\"bundle\":\"panel\",\"calls\":"
	"[{\"op\":\"fence\",\"resource\":\"touch.mmio0\"},{\"op\":\"settle\"}]}",
	"{\"a\":[1,2.5e3,-4,true,false,null,\"\\u0041\\n\"],\"x\":\"0x40100000\"}",
	"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
};

static unsigned state;

/* Numerical Recipes' linear congruential generator; its high bits. */
static unsigned below(unsigned limit)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % limit;
}

static void look(const struct json *value, int depth)
{
	uint64_t whole;
	baton_json_get(value, "calls");
	baton_json_text(value, "op");
	baton_json_whole(value, "id", &whole);
	if (depth < 100 && (value->kind == JSON_OBJECT || value->kind == JSON_ARRAY))
		for (const struct json *each = value->first; each; each = each->next)
			look(each, depth + 1);
}

static void damage(char *line, size_t limit)
{
	size_t length = strlen(line), place = length ? below((unsigned)length) : 0;
	switch (below(3)) {
	case 0:
		if (length)
			line[place] = (char)(1 + below(255));
		break;
	case 1:
		line[place] = 0;
		break;
	case 2:
		if (length + 1 < limit) {
			memmove(line + place + 1, line + place, length - place + 1);
			line[place] = "{}[]\",:\\0x1e-"[below(13)];
		}
		break;
	}
}

int main(int count, char **words)
{
	state = count > 1 ? (unsigned)strtoul(words[1], NULL, 10) : 1;
	unsigned long rounds = count > 2 ? strtoul(words[2], NULL, 10) : 1000, read = 0;
	for (unsigned long round = 0; round < rounds; round++) {
		char line[256];
		strcpy(line, lines[below(sizeof lines / sizeof *lines)]);
		for (unsigned left = below(6); left > 0; left--)
			damage(line, sizeof line);
		/* Exactly as long as it is, so that one byte too far is seen. */
		char *exact = strdup(line);
		const struct json *value = baton_json_read(exact);
		if (value) {
			look(value, 0);
			read++;
		}
		free(exact);
	}
	printf("%lu\n", read);
	return 0;
}
