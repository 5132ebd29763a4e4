// SPDX-License-Identifier: GPL-2.0-only
/*
 * mica union merge: several layers become one, in place of the lowest.
 *
 * The new layer is made beside that and changes places with it in one step. Before
 * that step, nothing has happened; after it, what is left is to remove what was
 * merged. Whoever is killed runs it again, and by what is there it is seen what is to
 * be done: beside the lowest layer there is
 *
 *	a directory, the new layer as far as it is made, or after the step the old one,
 *	a list of the layers, which comes after the directory and goes after the old one.
 *
 * A list alone is that of a merge that has come to its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include "branches.h"
#include "dev.h"
#include "merge.h"

static const char help[] =
	"Usage: mica union merge [--into DIRECTORY] LAYER LAYER...\n"
	"       mica union merge --mounted MOUNTPOINT BRANCH BRANCH...\n"
	"\n"
	"Puts layers together, the first of which has precedence. The last one becomes\n"
	"what they are together, and the others are left empty. If it was interrupted, it\n"
	"is to be run again.\n"
	"\n"
	"  -i, --into DIRECTORY      a new directory becomes that; the layers stay as\n"
	"                            they are\n"
	"  -m, --mounted MOUNTPOINT  they are branches beside one another of a mounted\n"
	"                            union, which shows the same meanwhile\n"
	"  -h, --help                this text\n";

#define MERGE_MARK MARK "mica.merge"

/* On the roots of what takes part in a merge. */
struct mark {
	uint64_t id;
	uint64_t is_new;		/* it is the new one */
};

/* A layer of a merge. */
struct item {
	uint32_t branch;		/* its number, or zero */
	char *path;
};

struct merge {
	const char *into;
	const char *mount;
	int mount_fd;
	struct item *item;		/* from the left */
	size_t nr;
	unsigned int forms;		/* that they are read in */
	struct stat *root;		/* of each, and of where the new one is to be */
	char *target;			/* what the new one is to be called */
	const char *name;		/* its last part */
	int parent;			/* where that is */
	char *temp;			/* what it is called before, and the old one after */
	char *list;			/* name of the list of the layers, there too */
	struct layers layers;
	struct mark mark;
	struct progress progress;
};

static const char *at_path(const char *path, const char *why)
{
	return why ? because("%s: %s", path, why) : NULL;
}

static int open_layer(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool read_mark(int fd, struct mark *mark)
{
	return fgetxattr(fd, MERGE_MARK, mark, sizeof(*mark)) == sizeof(*mark);
}

static bool is_marked(int fd, const struct merge *m, bool is_new)
{
	struct mark mark;

	return read_mark(fd, &mark) && mark.id == m->mark.id && mark.is_new == is_new;
}

static const char *set_mark(int fd, const struct merge *m, bool is_new)
{
	const struct mark mark = { .id = m->mark.id, .is_new = is_new };

	if (fsetxattr(fd, MERGE_MARK, &mark, sizeof(mark), 0))
		return because("it cannot be marked: %s", strerror(errno));
	return NULL;
}

/*
 * Keeps others from writing to it; until the end, so the session is left open. @layer,
 * if there is one, is told what it is known by.
 */
static const char *own(int fd, uint32_t flags, uint32_t branch, struct layer *layer)
{
	struct mica_reason why = {};
	struct mica_union_own o = {
		.size = sizeof(o), .flags = flags, .fd = fd, .branch = branch,
		REASON_TO(&why),
	};
	int session = dev_open();

	if (session < 0)
		return because("/dev/mica: %s", strerror(errno));
	if (ioctl(session, MICA_UNION_OWN, &o))
		return because("%s", reason_text(&why, errno));
	if (layer) {
		layer->hash = o.hash;
		memcpy(layer->uuid, o.uuid, sizeof(layer->uuid));
	}
	return NULL;
}

static const char *own_layers(struct merge *m)
{
	uint32_t flags = m->into ? 0 : MICA_OWN_CHANGE;
	const char *why = NULL;
	size_t i;

	for (i = 0; !why && i < m->nr; i++) {
		struct layer *layer = &m->layers.layer[i];

		why = at_path(m->item[i].path,
			      own(layer->fd, flags, m->item[i].branch, layer));
		if (!why && m->mount && !layer->hash)
			why = because("%s: cannot be told from others, its file system has no UUID",
				      m->item[i].path);
	}
	m->layers.described = !why;
	return why;
}

static bool contains(const char *a, const char *b)
{
	size_t len = strlen(a);

	return !strncmp(a, b, len) && (!b[len] || b[len] == '/' || a[len - 1] == '/');
}

static const char *check_apart(struct merge *m)
{
	size_t i, j;

	for (i = 0; m->into && i < m->nr; i++)
		if (contains(m->target, m->item[i].path))
			return because("%s contains %s", m->target, m->item[i].path);
	m->root = xmalloc((m->nr + 1) * sizeof(*m->root));
	for (i = 0; i <= m->nr; i++)
		if (fstat(i < m->nr ? m->layers.layer[i].fd : m->parent, &m->root[i]))
			return because("%s: %s", m->target, strerror(errno));
	for (i = 0; i < m->nr; i++) {
		for (j = 0; j < m->nr; j++)
			if (i != j && (contains(m->item[i].path, m->item[j].path) ||
				       same_file(&m->root[i], &m->root[j])))
				return because("%s contains %s", m->item[i].path,
					       m->item[j].path);
		if (same_file(&m->root[i], &m->root[m->nr]))
			return because("%s contains %s", m->item[i].path, m->target);
	}
	return NULL;
}

/* Where the new layer is to be. */
static const char *find_target(struct merge *m, const char *path)
{
	char *copy CLEANUP(free_string) = xprintf("./%s", path);
	char *parent CLEANUP(free_string) = NULL;
	char *name, *start = *path == '/' ? copy + 2 : copy;

	for (name = copy + strlen(copy); name[-1] == '/'; )
		*--name = 0;
	name = strrchr(copy, '/');
	if (!name || !is_plain_name(BOTH_FORMS, name + 1, strlen(name + 1)))
		return because("%s: is no place for a layer", path);
	*name++ = 0;
	parent = realpath(*start ? start : "/", NULL);
	if (parent)
		m->parent = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->parent < 0)
		return because("%s: %s", path, strerror(errno));
	m->target = xprintf("%s/%s", strcmp(parent, "/") ? parent : "", name);
	m->name = strrchr(m->target, '/') + 1;
	m->temp = xprintf(".%s.mica-merge", name);
	m->list = xprintf(".%s.mica-layers", name);
	return NULL;
}

static void add_item(struct merge *m, uint32_t branch, const char *path)
{
	m->item = xrealloc(m->item, (m->nr + 1) * sizeof(*m->item));
	m->item[m->nr++] = (struct item){ .branch = branch, .path = xstrdup(path) };
}

static void free_items(struct merge *m)
{
	while (m->nr)
		free(m->item[--m->nr].path);
	free(m->item);
	m->item = NULL;
}

static void free_target(struct merge *m)
{
	free(m->target);
	free(m->temp);
	free(m->list);
	free(m->root);
	close_fd(&m->parent);
	free_items(m);
}

/* The layers of a merge that was begun, one after the other: "NUMBER:FORMS PATH". */
static const char *write_list(const struct merge *m)
{
	FILE *file = NULL;
	int fd;
	size_t i;

	if (unlinkat(m->parent, m->list, 0) && errno != ENOENT)
		return because_errno();
	fd = openat(m->parent, m->list,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		file = fdopen(fd, "w");
	if (!file)
		return because_errno();
	for (i = 0; i < m->nr; i++) {
		fprintf(file, "%u:%u %s", m->item[i].branch, m->forms, m->item[i].path);
		fputc(0, file);
	}
	/* Before what it tells of is marked. */
	if (fflush(file) | ferror(file) | fsync(fd) | fsync(m->parent)) {
		fclose(file);
		return because_errno();
	}
	return fclose(file) ? because_errno() : NULL;
}

/* Those of the list that is beside a layer. */
static void read_list(const struct merge *beside, struct merge *m)
{
	int fd = openat(beside->parent, beside->list,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char *item = NULL, *end;
	size_t size = 0;
	unsigned long branch;
	struct stat st;

	/* Somebody else may have put it there. */
	if (file && (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid)) {
		fclose(file);
		return;
	}

	while (file && getdelim(&item, &size, 0, file) > 0) {
		branch = strtoul(item, &end, 10);
		if (*end == ':')
			m->forms = (unsigned int)strtoul(end + 1, &end, 10);
		if (*end == ' ')
			add_item(m, (uint32_t)branch, end + 1);
	}
	free(item);
	if (file)
		fclose(file);
}

/* The temporary directory, or -1 if there is none. */
static int open_temp(const struct merge *m)
{
	return open_dir(m->parent, m->temp);
}

static const char *remove_list(const struct merge *m)
{
	if (unlinkat(m->parent, m->list, 0) && errno != ENOENT)
		return at_path(m->list, because_errno());
	return fsync(m->parent) ? at_path(m->list, because_errno()) : NULL;
}

static bool same_path(const char *a, const char *b)
{
	char *real_a CLEANUP(free_string) = realpath(a, NULL);
	char *real_b CLEANUP(free_string) = realpath(b, NULL);

	return !strcmp(a, b) || (real_a && real_b && !strcmp(real_a, real_b));
}

static bool same_items(const struct merge *a, const struct merge *b)
{
	bool same = a->nr == b->nr;
	size_t i;

	for (i = 0; same && i < a->nr; i++)
		same = same_path(a->item[i].path, b->item[i].path);
	return same;
}

static bool is_listed(const struct merge *m)
{
	struct merge begun = {};
	bool same;

	read_list(m, &begun);
	same = same_items(&begun, m);
	free_items(&begun);
	return same;
}

static const char *check_empty(int dir)
{
	struct names names CLEANUP(names_free) = {};
	const char *why = names_read(&names, dir);

	return why ?: names.nr ? because("is neither empty nor marked as part of this merge") :
				 NULL;
}

/* Nobody has written to a layer since it was emptied. */
static bool are_empty(const struct merge *m)
{
	const char *why = NULL;
	size_t i;

	for (i = 0; !why && i + 1 < m->nr; i++) {
		int fd CLEANUP(close_fd) = open_layer(m->item[i].path);

		why = fd < 0 ? because_errno() : check_empty(fd);
	}
	return !why;
}

/* Is the new layer in its place already? */
static bool is_in_place(struct merge *m)
{
	int target CLEANUP(close_fd) = -1;
	int temp CLEANUP(close_fd) = -1;
	struct mark mark;

	target = open_dir(m->parent, m->name);
	temp = open_temp(m);
	if (target >= 0 && read_mark(target, &mark) && mark.is_new) {
		m->mark = mark;
		return true;
	}
	return target >= 0 && temp < 0 && is_listed(m) && (m->into || are_empty(m));
}

/* The root goes last, with its mark. */
static const char *remove_temp(struct merge *m, int temp)
{
	const char *why = empty_tree(temp, &m->progress);

	if (!why && unlinkat(m->parent, m->temp, AT_REMOVEDIR))
		why = because_errno();
	return at_path(m->temp, why);
}

static const char *unmark(const char *path, const struct mark *of)
{
	int fd CLEANUP(close_fd) = -1;
	struct mark mark;

	fd = open_layer(path);
	if (fd < 0)
		return errno == ENOENT ? NULL : because_errno();
	if (!read_mark(fd, &mark) || mark.id != of->id || mark.is_new)
		return NULL;
	return fremovexattr(fd, MERGE_MARK) || syncfs(fd) ? because_errno() : NULL;
}

/*
 * Removes what was made, and before it what tells of it: the marks of the layers,
 * which may not be those of @m, and their list.
 */
static const char *drop_new(struct merge *m, int temp, const struct mark *mark)
{
	struct merge begun = {};
	const char *why = NULL;
	size_t i;

	read_list(m, &begun);
	for (i = 0; !why && i < begun.nr; i++)
		why = at_path(begun.item[i].path, unmark(begun.item[i].path, mark));
	free_items(&begun);
	return why ?: remove_list(m) ?: remove_temp(m, temp);
}

/* What an earlier merge has left that had not come to its one step. */
static const char *drop_left_over(struct merge *m)
{
	int temp CLEANUP(close_fd) = -1;
	const char *why;
	struct mark mark;

	temp = open_temp(m);
	if (temp < 0)
		return errno == ENOENT ? NULL : because("%s: %s", m->temp, strerror(errno));
	/* Not that of a merge that is under way. */
	why = at_path(m->temp, own(temp, 0, 0, NULL));
	if (why)
		return why;
	if (read_mark(temp, &mark) && mark.is_new)
		return drop_new(m, temp, &mark);
	if (unlinkat(m->parent, m->temp, AT_REMOVEDIR))
		return because("%s: %s", m->temp, strerror(errno));
	return NULL;
}

/* What is in one merge cannot be in another before that has come to its end. */
static const char *check_unmarked(const struct merge *m)
{
	struct mark mark;
	size_t i;

	for (i = 0; i < m->nr; i++)
		if (read_mark(m->layers.layer[i].fd, &mark))
			return because("%s: is part of another merge, which was interrupted; run that again",
				       m->item[i].path);
	return NULL;
}

/* None is in another one, under whatever path, nor is the new one in one of them. */
static const char *count_layers(struct merge *m)
{
	struct tally t = { .apart = m->root, .nr_apart = m->nr + 1 };
	const char *why = NULL;
	size_t i;

	for (i = 0; !why && i < m->nr; i++)
		why = at_path(m->item[i].path, count_tree(m->layers.layer[i].fd, &t));
	m->progress.total = m->into ? t.names : 2 * t.names;
	return why;
}

static const char *mark_layers(const struct merge *m)
{
	const char *why = NULL;
	size_t i;

	for (i = 0; !why && i < m->nr; i++)
		why = at_path(m->item[i].path, set_mark(m->layers.layer[i].fd, m, false));
	/* On the disk before any is emptied because of it. */
	for (i = 0; !why && i < m->nr; i++)
		if (syncfs(m->layers.layer[i].fd))
			why = at_path(m->item[i].path, because_errno());
	return why;
}

/* With its mark, it is ours. */
static const char *prepare_temp(struct merge *m, int *temp)
{
	const char *why;

	*temp = open_temp(m);
	if (*temp < 0)
		return because_errno();
	why = own(*temp, 0, 0, NULL) ?: drop_acls(*temp) ?: set_mark(*temp, m, true);
	if (!why && fsync(*temp))
		why = because_errno();
	return why;
}

/* It and the list are there before the layers are marked, which are found by them. */
static const char *make_temp(struct merge *m, int *temp)
{
	const char *why;

	if (mkdirat(m->parent, m->temp, 0700))
		return at_path(m->temp, because_errno());
	why = at_path(m->temp, prepare_temp(m, temp));
	if (why)
		unlinkat(m->parent, m->temp, AT_REMOVEDIR);
	return why ?: at_path(m->list, write_list(m));
}

/* The one step. */
static const char *change_places(const struct merge *m, int temp)
{
	unsigned int flags = m->into ? RENAME_NOREPLACE : RENAME_EXCHANGE;

	if (syncfs(temp) || renameat2(m->parent, m->temp, m->parent, m->name, flags))
		return because("%s: %s", m->target, strerror(errno));
	return NULL;
}

/* A number may be one of an earlier mount; no branch has it that came later. */
static bool is_item(const struct branches *b, const struct item *item, const char *name)
{
	const struct branch *branch = branches_find(b, name);
	uint64_t number;

	if (branch)
		return !strcmp(item->path, branch->path);
	return !strcmp(item->path, name) ||
	       (item->branch && parse_number(name, 10, UINT32_MAX, &number) &&
		number == item->branch);
}

static bool leads_to(const struct branch *branch)
{
	int fd CLEANUP(close_fd) = -1;

	fd = open_layer(branch->path);
	return fd >= 0 && is_branch(branch, fd);
}

/* The branches from @first on, if they are those. */
static int take_from(struct merge *m, const struct branches *b, size_t first,
		     char **names, size_t nr)
{
	const struct branch *next = &b->branch[first];
	size_t i;

	m->forms = next->forms;
	for (i = 0; i < nr; i++, next++) {
		if (first + i == b->nr || branches_find(b, names[i]) != next)
			return fail("%s: is not the branch right of %s", names[i],
				    i ? names[i - 1] : "all");
		if (next->rw)
			return fail("%s: can be written to; make a snapshot first",
				    next->path);
		if (next->forms != m->forms)
			return fail("%s: is read in other forms of whiteouts than %s",
				    next->path, m->item[0].path);
		if (!leads_to(next))
			return fail("%s: leads to something else than the branch",
				    next->path);
		add_item(m, next->id, next->path);
	}
	return MICA_OK;
}

/* Is a merge of those not at its end, with the new layer in place of that branch? */
static bool take_begun(struct merge *m, const struct branches *b,
		       const struct branch *branch, char **names, size_t nr)
{
	struct merge begun = { .parent = -1 };
	bool same;
	size_t i;

	if (find_target(&begun, branch->path))
		return false;
	read_list(&begun, &begun);
	same = begun.nr == nr;
	for (i = 0; same && i < nr; i++)
		same = is_item(b, &begun.item[i], names[i]);
	same = same && is_in_place(&begun);
	for (i = 0; same && i < nr; i++)
		add_item(m, begun.item[i].branch, begun.item[i].path);
	free_target(&begun);
	return same;
}

static int take_branches(struct merge *m, char **names, size_t nr)
{
	struct branches b CLEANUP(branches_free) = {};
	const struct branch *first;
	size_t i;
	int ret;

	m->mount_fd = open(m->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->mount_fd < 0)
		return fail("%s: %s", m->mount, strerror(errno));
	ret = branches_read(&b, m->mount_fd, m->mount);
	if (ret)
		return ret;
	for (i = 0; i < b.nr; i++)
		if (take_begun(m, &b, &b.branch[i], names, nr))
			return MICA_OK;
	first = branches_find(&b, names[0]);
	if (!first)
		return fail("%s: has no branch %s; see mica union list", m->mount, names[0]);
	return take_from(m, &b, (size_t)(first - b.branch), names, nr);
}

/* What was begun in a union that is not there any more goes on as it was read there. */
static void take_forms(struct merge *m)
{
	int temp CLEANUP(close_fd) = -1;
	struct merge begun = { .forms = BOTH_FORMS, .parent = -1 };

	if (!find_target(&begun, m->item[m->nr - 1].path)) {
		temp = open_temp(&begun);
		read_list(&begun, &begun);
		if (temp >= 0 && same_items(&begun, m))
			m->forms = begun.forms;
	}
	free_target(&begun);
}

static int take_paths(struct merge *m, char **names, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		char *path CLEANUP(free_string) = realpath(names[i], NULL);

		if (!path)
			return fail("%s: %s", names[i], strerror(errno));
		add_item(m, 0, path);
	}
	take_forms(m);
	return MICA_OK;
}

/* The union shows the same then, so nobody is to wait for anything. */
static const char *replace_branches(const struct merge *m)
{
	int fd CLEANUP(close_fd) = -1;
	struct mica_reason why = {};
	struct mica_union_change c = {
		.size = sizeof(c), .branch = m->item[0].branch,
		.pos = (uint32_t)m->nr, REASON_TO(&why),
	};

	fd = open_dir(m->parent, m->name);
	c.fd = fd;
	if (fd < 0 || ioctl(m->mount_fd, MICA_UNION_REPLACE, &c))
		return because("%s: %s", m->mount, reason_text(&why, errno));
	return NULL;
}

static const char *drop_marks(int fd)
{
	char list[XATTR_LIST_MAX];
	ssize_t len = flistxattr(fd, list, sizeof(list));
	const char *name;

	for (name = list; name < list + len; name += strlen(name) + 1)
		if (!strncmp(name, MARK, strlen(MARK)) && strcmp(name, MERGE_MARK) &&
		    fremovexattr(fd, name))
			return because_errno();
	return NULL;
}

/* The new layer is known as the one that it was, so it is another one from now on. */
static const char *add_salt(int fd)
{
	uint64_t salt;

	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt) ||
	    fsetxattr(fd, MARK "mica.salt", &salt, sizeof(salt), 0))
		return because_errno();
	return NULL;
}

/* With what its root was, it is nothing to see in a union above the new one. */
static const char *empty_layer(struct merge *m, int layer, const struct timespec *times)
{
	const char *why = empty_tree(layer, &m->progress) ?: drop_marks(layer) ?:
			  add_salt(layer);

	if (!why && (futimens(layer, times) || syncfs(layer) ||
		     fremovexattr(layer, MERGE_MARK) || syncfs(layer)))
		why = because_errno();
	return why;
}

/* One that is not marked any more was emptied before. */
static const char *empty_if_marked(struct merge *m, const char *path,
				   const struct timespec *times, bool owned)
{
	int fd CLEANUP(close_fd) = -1;
	const char *why;

	fd = open_layer(path);
	if (fd < 0)
		return because_errno();
	if (!is_marked(fd, m, false))
		return check_empty(fd);
	why = owned ? NULL : own(fd, MICA_OWN_CHANGE, 0, NULL);
	return why ?: empty_layer(m, fd, times);
}

static const char *empty_layers(struct merge *m, int target, bool owned)
{
	struct timespec times[2];
	struct stat st;
	const char *why = NULL;
	size_t i;

	if (fstat(target, &st))
		return because_errno();
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	for (i = 0; !why && i + 1 < m->nr; i++)
		why = at_path(m->item[i].path,
			      empty_if_marked(m, m->item[i].path, times, owned));
	return why;
}

/* All that is left to do when the new layer is in its place. */
static const char *finish(struct merge *m, bool owned)
{
	int target CLEANUP(close_fd) = -1;
	int temp CLEANUP(close_fd) = -1;
	const char *why;

	target = open_dir(m->parent, m->name);
	temp = open_temp(m);
	/* Before anything is removed, the one step is on the disk. */
	if (target < 0 || fsync(m->parent))
		return because("%s: %s", m->target, strerror(errno));
	why = m->into ? NULL : empty_layers(m, target, owned);
	if (!why && temp >= 0)
		why = remove_temp(m, temp);
	why = why ?: at_path(m->target, merge_fix_links(target));
	if (!why && (syncfs(target) ||
		     (fremovexattr(target, MERGE_MARK) && errno != ENODATA) || fsync(target)))
		why = because("%s: %s", m->target, strerror(errno));
	return why ?: remove_list(m);
}

/* Nothing has happened, as far as anybody can see; if it is not in its place. */
static void undo(struct merge *m)
{
	int temp CLEANUP(close_fd) = -1;
	const char *why = NULL;

	temp = open_temp(m);
	if (temp >= 0 && is_marked(temp, m, true))
		why = drop_new(m, temp, &m->mark);
	if (why)
		note("%s", why);
}

/* Puts the new layer in its place, which is undone if that cannot be. */
static int put_in_place(struct merge *m, int temp)
{
	const char *why = change_places(m, temp);
	int ret = MICA_OK;

	progress_end(&m->progress);
	if (why)
		return fail("%s", why);
	why = m->mount ? replace_branches(m) : NULL;
	if (why) {
		ret = fail("%s", why);
		why = change_places(m, temp);
	}
	return why ? fail("%s; run it again", why) : ret;
}

static int build(struct merge *m)
{
	int temp CLEANUP(close_fd) = -1;
	const char *why;

	why = make_temp(m, &temp);
	if (!why && !m->into)
		why = mark_layers(m);
	if (why)
		return fail("%s", why);
	return merge_build(temp, &m->layers, m->into, &m->progress) ?:
	       put_in_place(m, temp);
}

static const char *check_place(const struct merge *m)
{
	struct statx stx;

	if (m->into)
		return !statx(m->parent, m->name, AT_SYMLINK_NOFOLLOW, 0, &stx) ?
		       because("%s: exists", m->target) : NULL;
	if (statx(m->parent, m->name, AT_SYMLINK_NOFOLLOW, 0, &stx))
		return because("%s: %s", m->target, strerror(errno));
	if (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return because("%s: is a mount point; use --into", m->target);
	return NULL;
}

/* On another mount, copies would be allowed what their mount does not allow. */
static const char *check_mounts(const struct merge *m)
{
	const unsigned long forbids = ST_NOSUID | ST_NODEV | ST_NOEXEC;
	struct statvfs to, from;
	size_t i;

	if (fstatvfs(m->parent, &to))
		return at_path(m->target, because_errno());
	for (i = 0; i < m->nr; i++) {
		if (fstatvfs(m->layers.layer[i].fd, &from))
			return at_path(m->item[i].path, because_errno());
		if (from.f_flag & ~to.f_flag & forbids)
			return because("%s: is mounted nosuid, nodev or noexec, and %s is not",
				       m->item[i].path, m->target);
	}
	return NULL;
}

static int begin(struct merge *m)
{
	const char *why;
	int ret;

	why = check_place(m) ?: check_mounts(m) ?: own_layers(m) ?: drop_left_over(m) ?:
	      check_unmarked(m) ?: count_layers(m);
	if (why)
		return fail("%s", why);
	ret = build(m);
	if (ret)
		undo(m);
	return ret;
}

/* The layers in the union may be there as they were, or as somebody mounted them since. */
static int replace_again(const struct merge *m, int target)
{
	struct branches b CLEANUP(branches_free) = {};
	const struct branch *first, *last;
	const char *why;

	if (branches_read(&b, m->mount_fd, m->mount))
		return MICA_FAILED;
	first = branches_find(&b, m->item[0].path);
	last = branches_find(&b, m->item[m->nr - 1].path);
	if (first && last && is_branch(last, target))
		return fail("%s: has what was merged already; unmount it, and run it again without --mounted, with the paths of the layers",
			    m->mount);
	if (!first || first->id != m->item[0].branch)
		return MICA_OK;
	why = replace_branches(m);
	return why ? fail("%s", why) : MICA_OK;
}

static int go_on(struct merge *m)
{
	int target CLEANUP(close_fd) = -1;
	const char *why;

	target = open_dir(m->parent, m->name);
	why = at_path(m->target, own(target, 0, 0, NULL));
	if (why)
		return fail("%s", why);
	if (!is_listed(m))
		return fail("%s: another merge into it was interrupted; run that again",
			    m->target);
	return m->mount ? replace_again(m, target) : MICA_OK;
}

static int merge(struct merge *m)
{
	const char *why;
	bool again;
	int ret;

	why = find_target(m, m->into ?: m->item[m->nr - 1].path) ?: check_apart(m);
	if (why)
		return fail("%s", why);
	again = is_in_place(m);
	ret = again ? go_on(m) : begin(m);
	if (ret)
		return ret;
	why = finish(m, !again);
	progress_end(&m->progress);
	return why ? fail("%s; run it again when that is mended", why) : MICA_OK;
}

static int open_layers(struct merge *m)
{
	char **paths = xmalloc(m->nr * sizeof(*paths));
	size_t i;
	int ret;

	for (i = 0; i < m->nr; i++)
		paths[i] = m->item[i].path;
	ret = layers_open(&m->layers, paths, m->nr, m->forms);
	free(paths);
	return ret;
}

int union_merge(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "into", required_argument, NULL, 'i' },
		{ "mounted", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct merge m = { .forms = BOTH_FORMS, .mount_fd = -1, .parent = -1 };
	int option, ret;
	size_t nr;

	while ((option = next_option(argc, argv, ":i:m:h", longs, help)) != -1)
		*(option == 'i' ? &m.into : &m.mount) = optarg;
	nr = (size_t)(argc - optind);
	if (m.into && m.mount)
		usage_error("--into is not for branches of a mounted union");
	if (nr < 2)
		usage_error("takes two layers, or more");
	umask(0);
	if (getrandom(&m.mark.id, sizeof(m.mark.id), 0) != sizeof(m.mark.id))
		return fail("no random numbers: %s", strerror(errno));
	ret = m.mount ? take_branches(&m, &argv[optind], nr) :
			take_paths(&m, &argv[optind], nr);
	ret = ret ?: open_layers(&m) ?: merge(&m);
	layers_close(&m.layers);
	free_target(&m);
	return ret;
}
