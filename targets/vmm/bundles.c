/* The bundle file: which devices move as one, and where each VM sees what (bundles.h). Plain JSON, without comments. */
#include "bundles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enforcer/json-lines.h"

/* Longest bundle file in bytes. */
#define FILE_BYTES_MAX (256 * 1024)
#define PAGE 4096

static bool refuse(char *error, const char *what, const char *why)
{
	snprintf(error, ERROR_BYTES, "%s: %s", what, why);
	return false;
}

static bool named(char *name, size_t size, const char *value, char *error)
{
	if (!value[0] || strlen(value) >= size)
		return refuse(error, value, "not a name");
	strcpy(name, value);
	return true;
}

static bool resource_add(struct device *device, const struct json *entry, enum kind kind, int index, char *error)
{
	static const char *kinds[] = { [MMIO] = "mmio", [INTERRUPT] = "interrupt", [STREAM] = "stream" };
	if (machine.resource_count == RESOURCES_MAX)
		return refuse(error, device->name, "too many resources");
	struct resource *resource = &machine.resources[machine.resource_count++];
	resource->kind = kind;
	resource->device = device;
	char name[RESOURCE_BYTES];
	snprintf(name, sizeof name, "%s.%s%d", device->name, kinds[kind], index);
	memcpy(resource->name, name, sizeof name);
	if (!baton_json_whole(entry, "physical", &resource->physical))
		return refuse(error, resource->name, "physical is missing");
	bool is_paged = baton_json_whole(entry, "bytes", &resource->bytes) && resource->bytes && resource->bytes % PAGE == 0;
	if (kind == MMIO && !is_paged)
		return refuse(error, resource->name, "bytes is not a number of pages");
	if (kind == INTERRUPT)
		device->level = strcmp(baton_json_text(entry, "trigger"), "level") == 0;
	if (kind != STREAM && index > 0)
		return refuse(error, resource->name, "a device has one range of registers and one interrupt here");
	const struct json *views = baton_json_get(entry, "views");
	for (unsigned i = 0; i < machine.vm_count; i++)
		if (!baton_json_whole(views, machine.vms[i].name, &resource->views[i]))
			resource->views[i] = resource->physical;
	return true;
}

static bool resources_add(struct device *device, const struct json *definition, char *error)
{
	static const char *lists[] = { [MMIO] = "mmio", [INTERRUPT] = "interrupts", [STREAM] = "streams" };
	for (enum kind kind = MMIO; kind <= STREAM; kind++) {
		const struct json *list = baton_json_get(definition, lists[kind]);
		int index = 0;
		for (struct json *entry = list ? list->first : NULL; entry; entry = entry->next)
			if (!resource_add(device, entry, kind, index++, error))
				return false;
	}
	return true;
}

static bool bundle_add(const struct json *definition, char *error)
{
	if (machine.bundle_count == BUNDLES_MAX)
		return refuse(error, definition->name, "too many bundles");
	struct bundle *bundle = &machine.bundles[machine.bundle_count++];
	if (!named(bundle->name, sizeof bundle->name, definition->name, error))
		return false;
	const struct json *devices = baton_json_get(definition, "devices");
	for (struct json *each = devices ? devices->first : NULL; each; each = each->next) {
		if (machine.device_count == DEVICES_MAX)
			return refuse(error, each->name, "too many devices");
		struct device *device = &machine.devices[machine.device_count++];
		device->bundle = bundle;
		/* Nobody knows what it was used for before. */
		device->used = true;
		if (!named(device->name, sizeof device->name, each->name, error) || !resources_add(device, each, error))
			return false;
	}
	return true;
}

bool bundles_load(const char *path, char *error)
{
	static char text[FILE_BYTES_MAX + 1];
	FILE *file = fopen(path, "r");
	if (!file)
		return failed(error, "open %s", path);
	size_t length = fread(text, 1, sizeof text, file);
	fclose(file);
	if (length == sizeof text)
		return refuse(error, path, "too long");
	text[length] = 0;
	const struct json *bundles = baton_json_get(baton_json_read(text), "bundles");
	if (!bundles || bundles->kind != JSON_OBJECT)
		return refuse(error, path, "no JSON object with \"bundles\"");
	for (struct json *each = bundles->first; each; each = each->next)
		if (!bundle_add(each, error))
			return false;
	return true;
}
