// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a name is in several layers that may have others below them: as
 * kmod/union/lookup.c does it, and where it would go on.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "origin.h"

#define MAX_REDIRECTS 8			/* in one another */

void node_close(struct node *node)
{
	size_t i;

	for (i = 0; i < node->nr; i++)
		part_close(&node->part[i]);
	free(node->part);
	free_string(&node->below);
	part_close(&node->data);
	*node = NO_NODE;
}

bool node_is_dir(const struct node *node)
{
	return node->nr && S_ISDIR(node->part[0].st.st_mode);
}

const struct part *node_data(const struct node *node)
{
	return node->data.fd < 0 ? &node->part[0] : &node->data;
}

/* The data of a regular file, to be read, or -1. */
int node_open_data(const struct node *node)
{
	char *path CLEANUP(free_string) = NULL;

	path = fd_path(node_data(node)->fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool is_dot_opaque(int dir)
{
	return !faccessat(dir, DOT_OPAQUE, F_OK, AT_SYMLINK_NOFOLLOW) ||
	       !faccessat(dir, DOT_OPAQUE_OLD, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* Takes over the descriptor of @part. */
static void add_part(struct node *node, struct part *part)
{
	node->part = xrealloc(node->part, (node->nr + 1) * sizeof(*node->part));
	node->part[node->nr++] = *part;
	*part = NO_FILE;
}

/* The root, as the layers from @from on show it. */
const char *node_root(struct node *root, const struct layers *layers, size_t from)
{
	bool opaque = false;
	const char *why = NULL;

	*root = NO_NODE;
	for (; !why && !opaque && from < layers->nr; from++) {
		const struct part layer = layer_root(layers, from);
		struct part part;

		why = part_open(&part, &layer, ".") ?: is_opaque(&opaque, &part);
		root->dot = opaque && is_dot_opaque(part.fd);
		add_part(root, &part);
	}
	if (!opaque && !layers->complete)
		root->below = xstrdup("");
	return why;
}

/**
 * struct wanted - data that is looked for
 * @by: the layer of the metacopy that it belongs to
 * @file: the file that has it
 * @known: whether that is known
 * @origin: what the metacopy was made of
 * @has_origin: whether that is known
 * @exact: no other one will do
 */
struct wanted {
	size_t by;
	struct origin file;
	bool known;
	struct origin origin;
	bool has_origin;
	bool exact;
};

/**
 * struct search - a look-up under way
 * @layers: all of them
 * @in: the directory that is looked in
 * @own: the same, if it is not the caller's
 * @name: what is looked for there
 * @i: part of the directory that comes next
 * @found: what has been found
 * @redirected: how many parts that had at the last redirect, if more is to come
 * @lost: something on the way of that was renamed, and what it was is not all here
 * @data: it is data of a file that is looked for, or NULL
 * @ended: nothing more can come
 * @depth: redirects in one another
 */
struct search {
	const struct layers *layers;
	const struct node *in;
	struct node own;
	char *name;
	size_t i;
	struct node *found;
	size_t redirected;
	bool lost;
	struct wanted *data;
	bool ended;
	int depth;
};

static const char *search(struct search *s);

/* The root below one of the layers, if that shows what is there. */
static const char *root_below(struct node *root, const struct layers *layers, size_t layer)
{
	const struct part above = layer_root(layers, layer);
	bool opaque;
	const char *why = is_opaque(&opaque, &above);

	*root = NO_NODE;
	return why ?: opaque ? NULL : node_root(root, layers, layer + 1);
}

/* Finds the directory that the last name of @path is looked for in. */
static const char *walk(struct search *s, size_t layer, char *path, char **last)
{
	struct node dir, next;
	const char *why;

	why = root_below(&dir, s->layers, layer);
	*last = strsep(&path, "/");
	while (!why && path) {
		struct search step = {
			.layers = s->layers, .in = &dir, .name = xstrdup(*last),
			.own = NO_NODE, .found = &next, .depth = s->depth + 1,
		};

		next = NO_NODE;
		why = search(&step);
		s->lost |= next.lost;
		if (next.nr && !node_is_dir(&next))
			node_close(&next);
		node_close(&dir);
		dir = next;
		*last = strsep(&path, "/");
	}
	node_close(&s->own);
	s->own = dir;
	return why;
}

/* With other layers in their place it would lead to what is another's. */
static const char *check_needs(const struct layers *layers, size_t layer)
{
	const char *lacks = layers->layer[layer].lacks;

	return lacks ? because("was renamed or is without its data, and %s", lacks) : NULL;
}

/* It goes on under another name, right of @layer. */
static const char *follow(struct search *s, size_t layer, const char *redirect)
{
	char *path CLEANUP(free_string) = xstrdup(redirect);
	char *last = path;
	const char *why = check_needs(s->layers, layer);

	if (why)
		return why;
	s->redirected = needs_no_others(s->layers->layer[layer].fd) ? 0 : s->found->nr;
	if (*redirect == '/') {
		if (s->depth == MAX_REDIRECTS)
			return because("leads through too many redirects");
		s->lost = false;
		why = walk(s, layer, path + 1, &last);
		s->in = &s->own;
		s->i = 0;
	}
	free(s->name);
	s->name = xstrdup(last);
	return why;
}

static void end(struct search *s, bool dot)
{
	s->ended = true;
	s->found->dot = dot;
}

static const char *take_dir(struct search *s, struct part *entry, const struct part *dir)
{
	char *to CLEANUP(free_string) = NULL;
	size_t layer = entry->layer;
	bool opaque;
	const char *why;

	why = is_opaque(&opaque, entry);
	if (!why && opaque)
		end(s, is_dot_opaque(entry->fd));
	else if (!why)
		why = read_redirect(&to, entry);
	if (!opaque && !to && is_hidden(dir, s->name))
		end(s, true);
	add_part(s->found, entry);
	return why ?: to ? follow(s, layer, to) : NULL;
}

static bool has_uuid(const struct origin *file)
{
	static const unsigned char none[sizeof(file->uuid)];

	return memcmp(file->uuid, none, sizeof(none));
}

/* As may_be_wanted() in kmod/union/lookup.c. */
static bool may_be_wanted(struct search *s, const struct part *entry, bool metacopy)
{
	const struct wanted *data = s->data;
	enum moved moved = layer_moved(s->layers, data->by, entry->layer);

	if (moved == MOVED_NOT && metacopy && data->has_origin &&
	    has_origin(s->layers, entry, &data->origin))
		return true;
	if (moved == MOVED_NOT && (!has_uuid(&data->file) || !handles_last(entry)))
		moved = MOVED_PERHAPS;
	s->found->guessed |= moved == MOVED_PERHAPS;
	return moved != MOVED_NOT;
}

/* A layer that was put in between may have another file of that name. */
static bool is_wanted(struct search *s, const struct part *entry, bool metacopy)
{
	const struct wanted *data = s->data;

	return !data->known || leads_to(s->layers, entry, metacopy, &data->file) ||
	       (!data->exact && may_be_wanted(s, entry, metacopy));
}

static const char *want_data_of(struct wanted *data, const struct layers *layers,
				const struct part *metacopy)
{
	data->by = metacopy->layer;
	data->known = read_data_origin(&data->file, metacopy);
	data->has_origin = read_origin(&data->origin, metacopy);
	if (data->known && !layers->described)
		return because("is without its data, and only the module can tell which file has it: load it with insmod or modprobe");
	return check_needs(layers, metacopy->layer);
}

static const char *take_data(struct search *s, struct part *entry)
{
	char *to CLEANUP(free_string) = NULL;
	bool metacopy = false;
	const char *why = NULL;

	if (S_ISREG(entry->st.st_mode))
		why = is_metacopy(&metacopy, entry->fd);
	if (!is_wanted(s, entry, metacopy))
		return NULL;
	if (!S_ISREG(entry->st.st_mode))
		return because("has its data in what is no file");
	if (!why && metacopy)
		why = want_data_of(s->data, s->layers, entry) ?:
		      read_redirect(&to, entry);
	if (!why && to)
		return follow(s, entry->layer, to);
	if (!metacopy) {
		add_part(s->found, entry);
		end(s, false);
	}
	return why;
}

/* Looks in one part of the directory. */
static const char *search_part(struct search *s)
{
	const struct part *dir = &s->in->part[s->i++];
	struct part entry CLEANUP(part_close) = NO_FILE;
	bool whiteout;
	const char *why;

	why = part_open(&entry, dir, s->name);
	if (why)
		return why;
	if (entry.fd < 0) {
		if (is_hidden(dir, s->name))
			end(s, true);
		return NULL;
	}
	why = is_whiteout(&whiteout, &entry);
	if (why)
		return why;
	if (!whiteout && s->data)
		return take_data(s, &entry);
	if (!whiteout && S_ISDIR(entry.st.st_mode))
		return take_dir(s, &entry, dir);
	/* In a directory, only directories go on. */
	if (!whiteout && !s->found->nr)
		add_part(s->found, &entry);
	end(s, false);
	return NULL;
}

/* Frees what belongs to the search. */
static const char *search(struct search *s)
{
	const char *why = NULL;

	while (!why && !s->ended && s->i < s->in->nr)
		why = search_part(s);
	if (!why && !s->ended && s->in->below) {
		s->found->below = xprintf("%s/%s", s->in->below, s->name);
		s->found->lost = s->lost ||
				 (s->redirected && s->redirected == s->found->nr);
	}
	node_close(&s->own);
	free(s->name);
	return why;
}

/* Finds what a directory has under a name, perhaps nothing. */
const char *node_find(struct node *found, const struct layers *layers,
		      const struct node *dir, const char *name)
{
	struct search s = {
		.layers = layers, .in = dir, .own = NO_NODE,
		.name = xstrdup(name), .found = found,
	};

	*found = NO_NODE;
	return search(&s);
}

static const char *find_data(struct node *data, const struct layers *layers,
			     const struct node *dir, const char *name,
			     const struct part *file, bool exact)
{
	struct wanted wanted = { .exact = exact };
	struct search s = {
		.layers = layers, .in = dir, .own = NO_NODE,
		.name = xstrdup(name), .found = data, .data = &wanted,
	};
	char *to CLEANUP(free_string) = NULL;
	const char *why;

	*data = NO_NODE;
	while (s.i < dir->nr && dir->part[s.i].layer <= file->layer)
		s.i++;
	why = want_data_of(&wanted, layers, file) ?: read_redirect(&to, file);
	if (!why && to)
		why = follow(&s, file->layer, to);
	return why ?: search(&s);
}

/* Finds the data of a metacopy that is called @name in @dir. */
const char *node_find_data(struct node *data, const struct layers *layers,
			   const struct node *dir, const char *name, const struct part *file)
{
	const char *why = find_data(data, layers, dir, name, file, true);

	if (why || data->nr)
		return why;
	node_close(data);
	return find_data(data, layers, dir, name, file, false);
}

/* Finds what a directory has under a name, and the data of a file, all of it here. */
const char *node_find_whole(struct node *found, const struct layers *layers,
			    const struct node *dir, const char *name)
{
	struct node data CLEANUP(node_close) = NO_NODE;
	bool metacopy = false;
	const char *why;

	why = node_find(found, layers, dir, name);
	if (!why && found->lost)
		return because("was renamed, and the rest of it is in a layer below that is not given");
	if (!why && found->nr && S_ISREG(found->part[0].st.st_mode))
		why = is_metacopy(&metacopy, found->part[0].fd);
	if (why || !metacopy)
		return why;
	why = node_find_data(&data, layers, dir, name, &found->part[0]);
	if (!why && !data.nr)
		return because("has its data in a layer below that is not given");
	if (!why)
		found->data = data.part[--data.nr];
	return why;
}
