// SPDX-License-Identifier: GPL-2.0-only
/* Which processes have a device node of a PCI function open. */
#include <ctype.h>
#include <dirent.h>
#include <fts.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "tool.h"

struct node {
	dev_t rdev;
	mode_t type;			/* S_IFBLK or S_IFCHR */
};

struct nodes {
	struct node *node;
	size_t nr;
};

/* The node that a directory of sysfs stands for, if it has a file "dev". */
static void add_node(struct nodes *nodes, const char *dir)
{
	char *dev CLEANUP(free_string) = read_line("%s/dev", dir);
	char *subsystem CLEANUP(free_string) = NULL;
	unsigned int major, minor;
	struct node *node;

	if (!dev || sscanf(dev, "%u:%u", &major, &minor) != 2)
		return;
	subsystem = link_name("%s/subsystem", dir);
	nodes->node = xrealloc(nodes->node,
			       (nodes->nr + 1) * sizeof(*nodes->node));
	node = &nodes->node[nodes->nr++];
	node->rdev = makedev(major, minor);
	node->type = subsystem && !strcmp(subsystem, "block") ? S_IFBLK :
								S_IFCHR;
}

/* Below a bridge are other functions, which are no business of it. */
static bool is_function(const FTSENT *entry)
{
	return entry->fts_level > 0 && strlen(entry->fts_name) >= 12 &&
	       path_exists("%s/vendor", entry->fts_path) &&
	       path_exists("%s/subsystem_vendor", entry->fts_path);
}

static void find_nodes(const char *function, int group, struct nodes *nodes)
{
	char *path CLEANUP(free_string) = NULL;
	char *vfio CLEANUP(free_string) = NULL;
	char *paths[2] = {};
	FTSENT *entry;
	FTS *fts;

	vfio = xprintf("/sys/class/vfio/%d", group);
	add_node(nodes, vfio);

	path = xprintf("/sys/bus/pci/devices/%s/", function);
	paths[0] = path;
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	if (!fts)
		return;
	while ((entry = fts_read(fts))) {
		if (entry->fts_info != FTS_D)
			continue;
		if (is_function(entry))
			fts_set(fts, entry, FTS_SKIP);
		else
			add_node(nodes, entry->fts_path);
	}
	fts_close(fts);
}

static bool is_open_node(const char *path, const struct nodes *nodes)
{
	struct stat st;
	size_t i;

	if (stat(path, &st))
		return false;
	for (i = 0; i < nodes->nr; i++)
		if ((st.st_mode & S_IFMT) == nodes->node[i].type &&
		    st.st_rdev == nodes->node[i].rdev)
			return true;
	return false;
}

static void add_user(struct users *users, const char *pid, const char *node)
{
	char *comm CLEANUP(free_string) = read_line("/proc/%s/comm", pid);
	char *line = xprintf("%s %s %s", pid, comm ?: "?", node);
	size_t i;

	for (i = 0; line[i]; i++)
		if (iscntrl((unsigned char)line[i]))
			line[i] = '?';
	for (i = 0; i < users->nr; i++) {
		if (!strcmp(users->line[i], line)) {
			free(line);
			return;
		}
	}
	users->line = xrealloc(users->line,
			       (users->nr + 1) * sizeof(*users->line));
	users->line[users->nr++] = line;
}

/*
 * Only what is called /dev/… is looked at closer: the stat() of a file on a
 * server that is down would wait for it.
 */
static void scan_process(const char *pid, const struct nodes *nodes,
			 struct users *users)
{
	char *dir CLEANUP(free_string) = xprintf("/proc/%s/fd", pid);
	char target[PATH_MAX];
	struct dirent *entry;
	DIR *fds = opendir(dir);

	if (!fds)
		return;
	while ((entry = readdir(fds))) {
		char *path CLEANUP(free_string) = NULL;
		ssize_t len;

		path = xprintf("%s/%s", dir, entry->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = 0;
		if (!strncmp(target, "/dev/", 5) && is_open_node(path, nodes))
			add_user(users, pid, target);
	}
	closedir(fds);
}

/**
 * users_find - who has a node of a function open
 * @function: address of the function
 * @group: number of its IOMMU group, or -1
 * @users: gets a line for each process and node: pid, name, node
 *
 * Processes that the caller may not look into are not found.
 */
void users_find(const char *function, int group, struct users *users)
{
	struct nodes nodes = {};
	struct dirent *entry;
	DIR *proc;

	*users = (struct users) {};
	find_nodes(function, group, &nodes);
	proc = nodes.nr ? opendir("/proc") : NULL;
	while (proc && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			scan_process(entry->d_name, &nodes, users);
	if (proc)
		closedir(proc);
	free(nodes.node);
}

/* A link in /proc leads to @path, or to something in it. */
static bool is_below(const char *link, const char *path)
{
	char target[PATH_MAX];
	size_t len = strlen(path);
	ssize_t got = readlink(link, target, sizeof(target) - 1);

	if (got < 0)
		return false;
	target[got] = 0;
	return !strncmp(target, path, len) && (!target[len] || target[len] == '/');
}

static void scan_links(const char *pid, const char *kind, const char *path,
		       struct users *users)
{
	char *dir CLEANUP(free_string) = xprintf("/proc/%s/%s", pid, kind);
	struct dirent *entry;
	DIR *links = opendir(dir);

	while (links && (entry = readdir(links))) {
		char *link CLEANUP(free_string) = xprintf("%s/%s", dir, entry->d_name);

		if (is_below(link, path))
			add_user(users, pid, path);
	}
	if (links)
		closedir(links);
}

/**
 * users_find_path - who has a file open, mapped, or stands in a directory
 * @path: the file, or a directory that it is in
 * @users: gets a line for each process: pid, name, path
 */
void users_find_path(const char *path, struct users *users)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	*users = (struct users) {};
	while (proc && (entry = readdir(proc))) {
		char *cwd CLEANUP(free_string) = NULL;
		char *root CLEANUP(free_string) = NULL;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		cwd = xprintf("/proc/%s/cwd", entry->d_name);
		root = xprintf("/proc/%s/root", entry->d_name);
		if (is_below(cwd, path) || is_below(root, path))
			add_user(users, entry->d_name, path);
		scan_links(entry->d_name, "fd", path, users);
		scan_links(entry->d_name, "map_files", path, users);
	}
	if (proc)
		closedir(proc);
}

void users_free(struct users *users)
{
	size_t i;

	for (i = 0; i < users->nr; i++)
		free(users->line[i]);
	free(users->line);
}
