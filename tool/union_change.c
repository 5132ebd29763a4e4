// SPDX-License-Identifier: GPL-2.0-only
/* mica union add, del, mode, move, snapshot, reset: changes of a mounted union. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "branches.h"
#include "dev.h"

/* A change of the branches of a mounted union. */
struct change {
	const char *mount;		/* where the union is */
	int fd;				/* the same */
};

static void close_change(struct change *c)
{
	close_fd(&c->fd);
}

static int open_union(struct change *c, const char *path)
{
	c->mount = path;
	c->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->fd < 0 ? fail("%s: %s", path, strerror(errno)) : MICA_OK;
}

static int find_branch(const struct change *c, const char *name, uint32_t *id)
{
	struct branches branches CLEANUP(branches_free) = {};
	const struct branch *branch;
	int ret = branches_read(&branches, c->fd, c->mount);

	if (ret)
		return ret;
	branch = branches_find(&branches, name);
	if (!branch)
		return fail("%s: has no branch %s; see mica union list", c->mount, name);
	*id = branch->id;
	return MICA_OK;
}

/* The mount point of what is at @fd, to be freed, or NULL. */
static char *mount_of(int fd)
{
	char *self CLEANUP(free_string) = fd_path(fd);
	char *path = realpath(self, NULL);
	struct statx stx;
	char *slash;

	while (path && path[1] && !statx(AT_FDCWD, path, 0, 0, &stx) &&
	       !(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT)) {
		slash = strrchr(path, '/');
		slash[slash == path] = 0;
	}
	return path;
}

/* Who uses what is in the way in the union that @fd is a directory of. */
static void tell_users(int fd, const char *subject)
{
	char *top CLEANUP(free_string) = mount_of(fd);
	char *path CLEANUP(free_string) = NULL;
	struct users users;
	size_t i;

	if (!top)
		return;
	path = xprintf("%s%s", top, subject);
	users_find_path(path, &users);
	for (i = 0; i < users.nr; i++)
		note("in use by %s", users.line[i]);
	users_free(&users);
}

static int run(struct change *c, unsigned int command, struct mica_union_change arg)
{
	struct mica_reason why = {};

	arg.size = sizeof(arg);
	arg.reason_ptr = (uintptr_t)&why;
	arg.reason_len = sizeof(why);
	/* It may have been started in a directory that is to go. */
	if (chdir("/"))
		return fail("/: %s", strerror(errno));
	if (!ioctl(c->fd, command, &arg))
		return MICA_OK;
	if (errno == ENOTTY)
		return fail("%s: is not the root of a union", c->mount);
	if (why.code == MICA_REASON_IN_USE)
		tell_users(c->fd, (const char *)why.subject);
	return fail("%s: %s", c->mount, reason_text(&why, errno));
}

/* For the commands that take a mount point and a branch, and perhaps more. */
static int run_on_branch(unsigned int command, struct mica_union_change arg, char **argv)
{
	struct change c CLEANUP(close_change) = { .fd = -1 };
	int ret = open_union(&c, argv[0]) ?: find_branch(&c, argv[1], &arg.branch);

	return ret ?: run(&c, command, arg);
}

static int open_directory(const char *path, int *fd)
{
	*fd = open(path, O_PATH | O_CLOEXEC);
	return *fd < 0 ? fail("%s: %s", path, strerror(errno)) : MICA_OK;
}

static bool parse_mode(const char *name, uint32_t *flags)
{
	static const struct {
		const char *name;
		uint32_t flags;
	} modes[] = {
		{ "rw", MICA_BRANCH_RW }, { "ro", 0 },
		{ "ro+dot", MICA_BRANCH_DOT },
		{ "ro+overlay", MICA_BRANCH_OVERLAY },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (!strcmp(name, modes[i].name)) {
			*flags = modes[i].flags;
			return true;
		}
	return false;
}

static uint32_t position(const char *text)
{
	uint64_t number;

	if (!parse_number(text, 10, UINT32_MAX, &number))
		usage_error("'%s' is no position", text);
	return (uint32_t)number;
}

static const struct option only_help[] = {
	{ "help", no_argument, NULL, 'h' },
	{}
};

int union_add(int argc, char **argv)
{
	static const char help[] =
		"Usage: mica union add [--mode MODE] [--at POSITION] MOUNTPOINT DIRECTORY\n"
		"\n"
		"Makes a directory a branch of a mounted union. What is open stays open.\n"
		"\n"
		"  -m, --mode MODE    ro (the default), rw, ro+dot, ro+overlay\n"
		"  -a, --at POSITION  0 is the left of all, which has precedence; without it\n"
		"                     the branch comes to the right of all\n"
		"  -h, --help         this text\n";
	static const struct option longs[] = {
		{ "mode", required_argument, NULL, 'm' },
		{ "at", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct change c CLEANUP(close_change) = { .fd = -1 };
	int directory CLEANUP(close_fd) = -1;
	struct mica_union_change arg = { .pos = UINT32_MAX };
	int option, ret;

	while ((option = next_option(argc, argv, ":m:a:h", longs, help)) != -1) {
		if (option == 'a')
			arg.pos = position(optarg);
		else if (!parse_mode(optarg, &arg.flags))
			usage_error("'%s' is no mode", optarg);
	}
	if (argc - optind != 2)
		usage_error("takes a mount point and a directory");
	ret = open_union(&c, argv[optind]) ?: open_directory(argv[optind + 1], &directory);
	arg.fd = directory;
	return ret ?: run(&c, MICA_UNION_ADD, arg);
}

int union_del(int argc, char **argv)
{
	static const char help[] =
		"Usage: mica union del MOUNTPOINT BRANCH\n"
		"\n"
		"Removes a branch, by its number or its path, from a mounted union. What is open\n"
		"in it stays open.\n"
		"\n"
		"  -h, --help  this text\n";
	struct mica_union_change arg = {};

	next_option(argc, argv, ":h", only_help, help);
	if (argc - optind != 2)
		usage_error("takes a mount point and a branch");
	return run_on_branch(MICA_UNION_DEL, arg, &argv[optind]);
}

int union_mode(int argc, char **argv)
{
	static const char help[] =
		"Usage: mica union mode MOUNTPOINT BRANCH rw|ro\n"
		"\n"
		"Lets a branch of a mounted union, given by its number or its path, be written\n"
		"to, or not any more.\n"
		"\n"
		"  -h, --help  this text\n";
	struct mica_union_change arg = {};

	next_option(argc, argv, ":h", only_help, help);
	if (argc - optind != 3)
		usage_error("takes a mount point, a branch and a mode");
	if (!parse_mode(argv[optind + 2], &arg.flags) || (arg.flags & ~MICA_BRANCH_RW))
		usage_error("'%s' is neither rw nor ro", argv[optind + 2]);
	return run_on_branch(MICA_UNION_MODE, arg, &argv[optind]);
}

int union_move(int argc, char **argv)
{
	static const char help[] =
		"Usage: mica union move MOUNTPOINT BRANCH POSITION\n"
		"\n"
		"Gives a branch of a mounted union, by its number or its path, another position;\n"
		"0 is the left of all, which has precedence.\n"
		"\n"
		"  -h, --help  this text\n";
	struct mica_union_change arg = {};

	next_option(argc, argv, ":h", only_help, help);
	if (argc - optind != 3)
		usage_error("takes a mount point, a branch and a position");
	arg.pos = position(argv[optind + 2]);
	return run_on_branch(MICA_UNION_MOVE, arg, &argv[optind]);
}

int union_snapshot(int argc, char **argv)
{
	static const char help[] =
		"Usage: mica union snapshot [--sync] MOUNTPOINT DIRECTORY\n"
		"\n"
		"Keeps the writable branch of a mounted union as it is, from one moment on, and\n"
		"makes an empty directory the writable branch in its place. Nothing is copied. The\n"
		"snapshot is what a union of the other branches shows.\n"
		"\n"
		"  -s, --sync  return when the snapshot is on the disk\n"
		"  -h, --help  this text\n";
	static const struct option longs[] = {
		{ "sync", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct change c CLEANUP(close_change) = { .fd = -1 };
	int directory CLEANUP(close_fd) = -1;
	struct mica_union_change arg = {};
	bool sync = false;
	int ret;

	while (next_option(argc, argv, ":sh", longs, help) != -1)
		sync = true;
	if (argc - optind != 2)
		usage_error("takes a mount point and an empty directory");
	ret = open_union(&c, argv[optind]) ?: open_directory(argv[optind + 1], &directory);
	arg.fd = directory;
	ret = ret ?: run(&c, MICA_UNION_SNAPSHOT, arg);
	if (!ret && sync && syncfs(c.fd))
		return fail("%s: the snapshot is made, but cannot be synced: %s", c.mount,
			    strerror(errno));
	return ret;
}

static int reset(const char *path)
{
	char *dir CLEANUP(free_string) = xstrdup(path);
	int fd CLEANUP(close_fd) = -1;
	struct mica_reason why = {};
	struct mica_union_reset arg = {
		.size = sizeof(arg),
		.reason_ptr = (uintptr_t)&why,
		.reason_len = sizeof(why),
	};
	size_t len = strlen(dir);
	char *slash;

	while (len > 1 && dir[len - 1] == '/')
		dir[--len] = 0;
	slash = strrchr(dir, '/');
	if (slash)
		*slash = 0;
	arg.name_ptr = (uintptr_t)(slash ? slash + 1 : dir);
	fd = open(!slash ? "." : *dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail("%s: %s", path, strerror(errno));
	if (!ioctl(fd, MICA_UNION_RESET, &arg))
		return MICA_OK;
	if (errno == ENOTTY)
		return fail("%s: is not in a union", path);
	if (why.code == MICA_REASON_IN_USE)
		tell_users(fd, (const char *)why.subject);
	return fail("%s: %s", path, reason_text(&why, errno));
}

int union_reset(int argc, char **argv)
{
	static const char help[] =
		"Usage: mica union reset PATH...\n"
		"\n"
		"Drops what the writable branch has for each PATH in a mounted union: a change, a\n"
		"removal, or a directory with all that is in it. What is below shows again, in one\n"
		"step. What is dropped is lost.\n"
		"\n"
		"  -h, --help  this text\n";
	int ret = MICA_OK;

	next_option(argc, argv, ":h", only_help, help);
	if (optind == argc)
		usage_error("takes a path in a union");
	for (; optind < argc; optind++)
		ret = reset(argv[optind]) ?: ret;
	return ret;
}
