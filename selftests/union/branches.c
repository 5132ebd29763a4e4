// SPDX-License-Identifier: GPL-2.0-only
/* Changes of the branches of a mounted union: see branches.h. */
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include "util.h"
#include "branches.h"

struct mica_reason why;

int mount_union_at(const char *branches, const char *target)
{
	char options[4096], *p = stpcpy(options, "dirs=");

	for (; *branches; branches++) {
		*p++ = *branches;
		if (branches[1] == ':' || !branches[1])
			p = stpcpy(p, "=ro");
	}
	*p = 0;
	return mount_mica(options, target);
}

static int change(unsigned int command, struct mica_union_change *c)
{
	int fd = open("mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret, err;

	c->size = sizeof(*c);
	c->reason_ptr = (unsigned long)&why;
	c->reason_len = sizeof(why);
	ret = ioctl(fd, command, c);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static int change_with(unsigned int command, struct mica_union_change *c,
		       const char *path)
{
	int ret;

	c->fd = open(path, O_PATH | O_CLOEXEC);
	ret = change(command, c);
	close(c->fd);
	return ret;
}

int add_branch(const char *path, unsigned int flags, unsigned int pos)
{
	struct mica_union_change c = { .flags = flags, .pos = pos };

	return change_with(MICA_UNION_ADD, &c, path) ? -1 : (int)c.branch;
}

int del_branch(int id)
{
	struct mica_union_change c = { .branch = id };

	return change(MICA_UNION_DEL, &c);
}

int set_mode(int id, unsigned int flags)
{
	struct mica_union_change c = { .flags = flags, .branch = id };

	return change(MICA_UNION_MODE, &c);
}

int move_branch(int id, unsigned int pos)
{
	struct mica_union_change c = { .pos = pos, .branch = id };

	return change(MICA_UNION_MOVE, &c);
}

int snapshot(const char *path)
{
	struct mica_union_change c = {};

	return change_with(MICA_UNION_SNAPSHOT, &c, path);
}

int replace_branches(int id, unsigned int nr, const char *path)
{
	struct mica_union_change c = { .branch = id, .pos = nr };

	return change_with(MICA_UNION_REPLACE, &c, path);
}

int reset_in(const char *dir, const char *name)
{
	struct mica_union_reset arg = {
		.size = sizeof(arg),
		.name_ptr = (unsigned long)name,
		.reason_ptr = (unsigned long)&why,
		.reason_len = sizeof(why),
	};
	int fd = open(dir, O_RDONLY), ret, err;

	ret = ioctl(fd, MICA_UNION_RESET, &arg);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

/* "dirs=/a/up=rw:/b/l1=ro,…" */
static void shorten(const char *dirs, char *to)
{
	const char *end, *name;

	for (dirs += strlen("dirs="); *dirs; dirs = end + (*end == ':')) {
		end = dirs + strcspn(dirs, ":,\n ");
		for (name = end; name > dirs && name[-1] != '/'; name--)
			;
		to += sprintf(to, "%.*s%s", (int)(end - name), name,
			      *end == ':' ? " " : "");
		if (*end != ':')
			break;
	}
}

const char *branches_of(const char *target)
{
	static char found[4096];
	char line[16384], at[PATH_MAX], full[PATH_MAX];
	const char *dirs;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	*found = 0;
	if (!realpath(target, full))
		*full = 0;
	while (mounts && fgets(line, sizeof(line), mounts)) {
		dirs = strstr(line, "dirs=");
		if (dirs && sscanf(line, "%*s %*s %*s %*s %4095s", at) == 1 &&
		    !strcmp(at, full))
			shorten(dirs, found);
	}
	if (mounts)
		fclose(mounts);
	return found;
}

bool is_sealed(const char *branch)
{
	return getxattr(branch, "trusted.overlay.mica.sealed", NULL, 0) > 0;
}

int mica_union(const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "\"${MICA:?is not set to the path of the tool}\" "
		 "union $(echo '%s' | sed \"s:@:$PWD:\") 2>err", command);
	fflush(NULL);
	errno = ECHILD;
	return system(line) ? -1 : 0;
}

static void stand(int ready, int go, int (*enter)(void), int (*check)(void))
{
	char c;

	if (!enter() && write(ready, "r", 1) == 1 && read(go, &c, 1) == 1)
		_exit(check());
	_exit(1);
}

int begin_stander(struct stander *s, int (*enter)(void), int (*check)(void))
{
	int ready[2], go[2], ret;
	char c;

	if (pipe2(ready, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		return -1;
	fflush(NULL);
	s->pid = fork();
	if (!s->pid) {
		close(go[1]);
		stand(ready[1], go[0], enter, check);
	}
	s->go = go[1];
	close(go[0]);
	close(ready[1]);
	ret = read(ready[0], &c, 1) == 1 ? 0 : -1;
	close(ready[0]);
	return ret;
}

int end_stander(struct stander *s)
{
	int status;

	if (write(s->go, "g", 1) != 1 || close(s->go) ||
	    waitpid(s->pid, &status, 0) != s->pid)
		return -1;
	errno = ECHILD;
	return status ? -1 : 0;
}
