// SPDX-License-Identifier: GPL-2.0-only
/* What a name is in several layers: as kmod/union/lookup.c does it. */
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include "layer.h"

#define MAX_REDIRECTS 8			/* in one another */

void node_close(struct node *node)
{
	size_t i;

	for (i = 0; i < node->nr; i++)
		part_close(&node->part[i]);
	free(node->part);
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

	path = xprintf("/proc/self/fd/%d", node_data(node)->fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Takes over the descriptor of @part. */
static void add_part(struct node *node, const struct part *part)
{
	node->part = xrealloc(node->part, (node->nr + 1) * sizeof(*node->part));
	node->part[node->nr++] = *part;
}

/* The root, as the layers from @from on show it. */
const char *node_root(struct node *root, const struct layers *layers, size_t from)
{
	bool opaque = false;
	const char *why = NULL;

	*root = NO_NODE;
	for (; !why && !opaque && from < layers->nr; from++) {
		const struct part layer = { .layer = from, .fd = layers->layer[from].fd };
		struct part part;

		why = part_open(&part, &layer, ".");
		if (!why) {
			add_part(root, &part);
			why = is_opaque(&opaque, part.fd);
		}
	}
	return why;
}

struct search {
	const struct layers *layers;
	struct node *found;
	bool data;		/* a file is found, and its data looked for */
	size_t redirected;	/* how many parts there were at the last redirect */
	int depth;
};

static const char *search(struct search *s, const struct node *dir, const char *name);

/* Where a directory goes on in the layers below: not at all, or perhaps @to. */
static const char *take_dir(struct search *s, struct part *entry,
			    const struct part *dir, const char *name, bool *more,
			    char **to)
{
	bool opaque;
	const char *why;

	*more = false;
	add_part(s->found, entry);
	why = is_opaque(&opaque, entry->fd);
	if (why || opaque)
		return why;
	why = read_redirect(to, entry->fd);
	*more = *to || !is_hidden(dir->fd, name);
	return why;
}

/* A file may be without its data; then that is looked for. */
static const char *take_file(struct search *s, struct part *entry, bool *more, char **to)
{
	bool metacopy = false;
	const char *why = NULL;

	if (S_ISREG(entry->st.st_mode))
		why = is_metacopy(&metacopy, entry->fd);
	if (!why && metacopy)
		why = read_redirect(to, entry->fd);
	*more = metacopy;
	if (!s->data)
		add_part(s->found, entry);
	else if (!metacopy)
		s->found->data = *entry;
	else
		part_close(entry);
	s->data |= metacopy;
	return why;
}

/* Looks at an entry; takes over its descriptor. */
static const char *take_entry(struct search *s, struct part *entry,
			      const struct part *dir, const char *name, bool *more,
			      char **to)
{
	bool is_dir = S_ISDIR(entry->st.st_mode);
	enum entry_kind kind;
	const char *hides;
	const char *why;

	why = entry_kind(&kind, entry, name, &hides);
	/* Only directories go on in directories, and only files have data. */
	if (why || kind != ENTRY_PLAIN || (is_dir && s->data) ||
	    (!is_dir && !s->data && s->found->nr) ||
	    (s->data && !S_ISREG(entry->st.st_mode))) {
		part_close(entry);
		*more = false;
		return why;
	}
	return is_dir ? take_dir(s, entry, dir, name, more, to) :
			take_file(s, entry, more, to);
}

/* What was found elsewhere becomes the rest of what is looked for. */
static void take_rest(struct search *s, struct node *rest)
{
	size_t i;

	if (!rest->nr)
		return;
	if (!s->data && node_is_dir(rest)) {
		for (i = 0; i < rest->nr; i++)
			add_part(s->found, &rest->part[i]);
		rest->nr = 0;
	} else if (s->data && S_ISREG(rest->part[0].st.st_mode)) {
		struct part *from = rest->data.fd < 0 ? &rest->part[0] : &rest->data;

		s->found->data = *from;
		*from = NO_FILE;
	}
}

static const char *find(struct node *found, const struct layers *layers,
			const struct node *dir, const char *name, int depth);

/* Goes on at @path, from the root of the layers from @from on. */
static const char *search_path(struct search *s, size_t from, char *path)
{
	struct node dir CLEANUP(node_close) = NO_NODE;
	const char *why;
	char *name;

	if (s->depth == MAX_REDIRECTS)
		return because("leads through too many redirects");
	why = node_root(&dir, s->layers, from);
	while (!why && dir.nr && (name = strsep(&path, "/"))) {
		struct node next;

		why = find(&next, s->layers, &dir, name, s->depth + 1);
		if (!why && path && !node_is_dir(&next))
			node_close(&next);
		node_close(&dir);
		dir = next;
	}
	if (!why)
		take_rest(s, &dir);
	return why;
}

static const char *search(struct search *s, const struct node *dir, const char *name)
{
	char *other CLEANUP(free_string) = NULL;
	const char *why = NULL;
	bool more = true;
	size_t i;

	for (i = 0; !why && more && i < dir->nr; i++) {
		const struct part *part = &dir->part[i];
		struct part entry;
		char *to = NULL;

		why = part_open(&entry, part, name);
		if (!why && entry.fd < 0)
			more = !is_hidden(part->fd, name);
		else if (!why)
			why = take_entry(s, &entry, part, name, &more, &to);
		if (!to)
			continue;
		free(other);
		other = to;
		name = other;
		s->redirected = s->found->nr;
		if (!why && *to == '/')
			return search_path(s, part->layer + 1, to + 1);
	}
	return why;
}

static const char *find(struct node *found, const struct layers *layers,
			const struct node *dir, const char *name, int depth)
{
	struct search s = { .layers = layers, .found = found, .depth = depth };
	const char *why;

	*found = NO_NODE;
	why = search(&s, dir, name);
	if (!why && s.data && found->data.fd < 0)
		why = because("has its data in a layer below that is not given");
	else if (!why && !s.data && s.redirected && s.redirected == found->nr)
		why = because("was renamed, and the rest of it is in a layer below that is not given");
	if (why)
		node_close(found);
	return why;
}

/* Finds what a directory of some layers has under a name, perhaps nothing. */
const char *node_find(struct node *found, const struct layers *layers,
		      const struct node *dir, const char *name)
{
	return find(found, layers, dir, name, 0);
}
