// SPDX-License-Identifier: GPL-2.0-only
/* mica union mount. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include "tool.h"

static const char help[] =
	"Usage: mica union mount [-o OPTION,...] BRANCH[=MODE]... MOUNTPOINT\n"
	"\n"
	"Mounts a union of directories; the first has precedence. MODE is rw, ro, or\n"
	"ro+dot or ro+overlay, which read one form of whiteouts only; without it the\n"
	"first branch is rw and the others are ro. Only the last = with a mode behind it\n"
	"counts, and no character is special: a directory called a=rw is a=rw=rw.\n"
	"\n"
	"  -o, --options OPTION,...  options of the mount, as mount(8) takes them (ro,\n"
	"                            nosuid, noatime), and of the union (whiteout=,\n"
	"                            volatile); \\, is a comma in a value\n"
	"  -h, --help                this text\n";

struct mount_request {
	int fs;				/* of fsopen() */
	unsigned int attrs;		/* MOUNT_ATTR_* */
};

/*
 * The last thing that the file system said about its failure, or NULL; to be
 * freed. The kernel gives one message for each read(), which begins with its
 * kind and the type of the file system: "e mica: dirs: …".
 */
static char *kernel_reason(const struct mount_request *request)
{
	static const char prefix[] = "e mica: ";
	char message[1024], *reason = NULL;
	ssize_t len;

	while ((len = read(request->fs, message, sizeof(message) - 1)) > 0) {
		message[len] = 0;
		if (len && message[len - 1] == '\n')
			message[len - 1] = 0;
		if (strncmp(message, prefix, strlen(prefix)) != 0)
			continue;
		free(reason);
		reason = one_line(message + strlen(prefix));
	}
	return reason;
}

static int mount_fail(const struct mount_request *request, const char *what)
{
	char *subject CLEANUP(free_string) = NULL;
	char *reason CLEANUP(free_string) = NULL;
	int err = errno;

	subject = one_line(what);
	reason = kernel_reason(request);
	if (reason)
		return fail("%s", reason);
	return fail("%s: %s", subject, strerror(err));
}

/* Options that are the mount's and not the file system's. */
static bool mount_attr(const char *option, unsigned int *attrs)
{
	static const struct {
		const char *name;
		unsigned int clear;
		unsigned int set;
	} names[] = {
		{ "nosuid", 0, MOUNT_ATTR_NOSUID },
		{ "suid", MOUNT_ATTR_NOSUID, 0 },
		{ "nodev", 0, MOUNT_ATTR_NODEV },
		{ "dev", MOUNT_ATTR_NODEV, 0 },
		{ "noexec", 0, MOUNT_ATTR_NOEXEC },
		{ "exec", MOUNT_ATTR_NOEXEC, 0 },
		{ "relatime", MOUNT_ATTR__ATIME, MOUNT_ATTR_RELATIME },
		{ "noatime", MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME },
		{ "strictatime", MOUNT_ATTR__ATIME, MOUNT_ATTR_STRICTATIME },
		{ "nodiratime", 0, MOUNT_ATTR_NODIRATIME },
		{ "diratime", MOUNT_ATTR_NODIRATIME, 0 },
		{ "defaults", 0, 0 },
		/* The superblock gets these two as well. */
		{ "ro", 0, MOUNT_ATTR_RDONLY },
		{ "rw", MOUNT_ATTR_RDONLY, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(option, names[i].name) != 0)
			continue;
		*attrs = (*attrs & ~names[i].clear) | names[i].set;
		return strcmp(option, "ro") && strcmp(option, "rw");
	}
	return false;
}

static int set_option(struct mount_request *request, char *option)
{
	char *value;
	int err;

	if (!*option || mount_attr(option, &request->attrs))
		return MICA_OK;
	value = strchr(option, '=');
	if (value) {
		*value++ = 0;
		err = fsconfig(request->fs, FSCONFIG_SET_STRING, option, value,
			       0);
	} else {
		err = fsconfig(request->fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	}
	return err ? mount_fail(request, option) : MICA_OK;
}

/* Cuts @options at its commas; "\," becomes a comma. */
static int set_options(struct mount_request *request, const char *options)
{
	char *copy CLEANUP(free_string) = xstrdup(options);
	char *from = copy, *to = copy, *start = copy;
	int ret = MICA_OK;
	bool end = false;

	for (; !ret && !end; from++) {
		if (*from == '\\' && from[1] == ',') {
			*to++ = *++from;
		} else if (*from == ',' || !*from) {
			end = !*from;
			*to = 0;
			ret = set_option(request, start);
			to = from + 1;
			start = to;
		} else {
			*to++ = *from;
		}
	}
	return ret;
}

static const char * const modes[] = { "rw", "ro", "ro+dot", "ro+overlay" };

/* Cuts the mode off a branch; NULL if there is none. */
static const char *take_mode(char *branch)
{
	char *equals = strrchr(branch, '=');
	size_t i;

	for (i = 0; equals && i < ARRAY_SIZE(modes); i++) {
		if (strcmp(equals + 1, modes[i]) != 0)
			continue;
		*equals = 0;
		return modes[i];
	}
	return NULL;
}

/*
 * A branch of one form goes into an option dirs=, which has characters that
 * need a backslash.
 */
static int add_by_name(struct mount_request *request, const char *path,
		       const char *mode)
{
	char *real CLEANUP(free_string) = realpath(path, NULL);
	char *value CLEANUP(free_string) = NULL;
	char *to;
	const char *p;

	if (!real)
		return mount_fail(request, path);
	value = xmalloc(2 * strlen(real) + strlen(mode) + 2);
	for (to = value, p = real; *p; p++) {
		if (strchr(":=\\", *p))
			*to++ = '\\';
		*to++ = *p;
	}
	sprintf(to, "=%s", mode);
	if (fsconfig(request->fs, FSCONFIG_SET_STRING, "dirs", value, 0))
		return mount_fail(request, path);
	return MICA_OK;
}

/* A descriptor can be of any path, however long it is and whatever is in it. */
static int add_by_descriptor(struct mount_request *request, const char *path,
			     const char *key)
{
	int dir CLEANUP(close_fd) = -1;

	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsconfig(request->fs, FSCONFIG_SET_FD, key, NULL, dir))
		return mount_fail(request, path);
	return MICA_OK;
}

static int add_branch(struct mount_request *request, const char *argument,
		      bool first)
{
	char *path CLEANUP(free_string) = xstrdup(argument);
	const char *mode = take_mode(path) ?: (first ? "rw" : "ro");

	if (!*path)
		usage_error("'%s' is a branch without a path", argument);
	if (!strcmp(mode, "rw"))
		return add_by_descriptor(request, path, "dirs+rw");
	if (!strcmp(mode, "ro"))
		return add_by_descriptor(request, path, "dirs+ro");
	return add_by_name(request, path, mode);
}

static int attach(struct mount_request *request, const char *mountpoint)
{
	char *target CLEANUP(free_string) = one_line(mountpoint);
	int mnt CLEANUP(close_fd) = -1;

	if (fsconfig(request->fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return mount_fail(request, "the union cannot be mounted");
	mnt = fsmount(request->fs, FSMOUNT_CLOEXEC, request->attrs);
	if (mnt < 0)
		return mount_fail(request, "the union cannot be mounted");
	if (move_mount(mnt, "", AT_FDCWD, mountpoint, MOVE_MOUNT_F_EMPTY_PATH))
		return fail("cannot mount on %s: %s", target, strerror(errno));
	return MICA_OK;
}

static int open_fail(void)
{
	switch (errno) {
	case ENODEV:
		return fail("there is no file system type mica; load the module with insmod or modprobe");
	case EPERM:
		return fail("mounting is for root only; use sudo");
	default:
		return fail("fsopen: %s", strerror(errno));
	}
}

int union_mount(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "options", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int fs CLEANUP(close_fd) = -1;
	struct mount_request request = { .fs = -1 };
	const char *options[64];
	size_t nr_options = 0, o;
	int ret = MICA_OK, i;

	while (next_option(argc, argv, ":o:h", longs, help) != -1) {
		if (nr_options == ARRAY_SIZE(options))
			usage_error("too many -o; put them into one");
		options[nr_options++] = optarg;
	}
	if (argc - optind < 2)
		usage_error("wants at least one branch, and a mount point");

	fs = fsopen("mica", FSOPEN_CLOEXEC);
	if (fs < 0)
		return open_fail();
	request.fs = fs;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", "mica", 0))
		return mount_fail(&request, "source");
	for (o = 0; !ret && o < nr_options; o++)
		ret = set_options(&request, options[o]);
	for (i = optind; !ret && i < argc - 1; i++)
		ret = add_branch(&request, argv[i], i == optind);
	return ret ?: attach(&request, argv[argc - 1]);
}
