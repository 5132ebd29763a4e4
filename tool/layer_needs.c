// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which layers others need, as kmod/union/needs.c has it: what one leads to is looked
 * for only if they are all to the right of it.
 */
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include "dev.h"
#include "layer.h"

/* A list of layers on the root of one. */
struct list {
	char *hash;		/* eight bytes for each */
	size_t size;
};

static void list_free(struct list *list)
{
	free(list->hash);
}

static struct list read_list(const struct layers *layers, size_t layer, const char *mark)
{
	struct list list = {};

	mark_read(layers->layer[layer].fd, mark, &list.hash, &list.size);
	list.size -= list.size % sizeof(uint64_t);
	return list;
}

static bool is_in(const struct list *list, const void *hash)
{
	size_t i;

	for (i = 0; i < list->size; i += sizeof(uint64_t))
		if (!memcmp(list->hash + i, hash, sizeof(uint64_t)))
			return true;
	return false;
}

static bool is_known_as(const struct layers *layers, size_t layer, const char *hash)
{
	struct list merged CLEANUP(list_free) = read_list(layers, layer, "mica.merged");

	return is_in(&merged, hash) ||
	       !memcmp(&layers->layer[layer].hash, hash, sizeof(uint64_t));
}

/* The module knows what a layer is known by. */
static bool describe(struct layer *layer)
{
	struct mica_union_own o = {
		.size = sizeof(o), .flags = MICA_OWN_TELL, .fd = layer->fd,
	};
	int session CLEANUP(close_fd) = dev_open();

	if (session < 0 || ioctl(session, MICA_UNION_OWN, &o))
		return false;
	layer->hash = o.hash;
	memcpy(layer->uuid, o.uuid, sizeof(layer->uuid));
	return true;
}

static void check_needs(struct layers *layers, size_t layer)
{
	struct list needs CLEANUP(list_free) = read_list(layers, layer, "mica.layers");
	size_t i, j, missing = 0;

	for (i = 0; i < needs.size; i += sizeof(uint64_t)) {
		j = layer + 1;
		while (j < layers->nr && !is_known_as(layers, j, needs.hash + i))
			j++;
		missing += j == layers->nr;
	}
	if (!missing)
		return;
	layers->layer[layer].lacks = layers->described ?
		xprintf("%zu of the %zu layers that %s needs are not to the right of it",
			missing, needs.size / sizeof(uint64_t), layers->layer[layer].path) :
		xprintf("only the module can tell if the layers that %s needs are here: load it with insmod or modprobe",
			layers->layer[layer].path);
}

/* Finds out which layers lack others that they need. */
void layers_find_needs(struct layers *layers)
{
	size_t i;

	layers->described = true;
	for (i = 0; i < layers->nr; i++)
		layers->described &= describe(&layers->layer[i]);
	for (i = 0; i < layers->nr; i++)
		check_needs(layers, i);
}

/* May what was to the right be in another file now? As mica_may_have_moved(). */
enum moved layer_moved(const struct layers *layers, size_t layer, size_t to)
{
	struct list needs CLEANUP(list_free) = read_list(layers, layer, "mica.layers");
	struct list merged CLEANUP(list_free) = read_list(layers, to, "mica.merged");
	size_t i;

	for (i = 0; i < needs.size; i += sizeof(uint64_t))
		if (is_in(&merged, needs.hash + i))
			return MOVED_MERGED;
	return needs.size ? MOVED_NOT : MOVED_PERHAPS;
}
