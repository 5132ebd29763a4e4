// SPDX-License-Identifier: GPL-2.0-only
/* The branches of a mounted union, as the module lists them. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "branches.h"
#include "nl.h"

struct reader {
	struct branches *branches;
	dev_t dev;
	uint32_t id;			/* of the union */
};

static void take_union(struct nlattr **attrs, void *data)
{
	struct reader *r = data;

	if (attr_u32(attrs, MICA_A_UNION_MAJOR) == major(r->dev) &&
	    attr_u32(attrs, MICA_A_UNION_MINOR) == minor(r->dev))
		r->id = attr_u32(attrs, MICA_A_UNION_ID);
}

static void take_branch(struct nlattr **attrs, void *data)
{
	const struct nlattr *ino = attrs[MICA_A_BRANCH_INO];
	struct reader *r = data;
	struct branches *b = r->branches;

	if (attr_u32(attrs, MICA_A_BRANCH_UNION) != r->id)
		return;
	b->branch = xrealloc(b->branch, (b->nr + 1) * sizeof(*b->branch));
	b->branch[b->nr++] = (struct branch){
		.id = attr_u32(attrs, MICA_A_BRANCH_ID),
		.forms = attr_u32(attrs, MICA_A_BRANCH_FORMS),
		.path = xstrdup(attr_string(attrs, MICA_A_BRANCH_PATH) ?: "?"),
		.dev = makedev(attr_u32(attrs, MICA_A_BRANCH_MAJOR),
			       attr_u32(attrs, MICA_A_BRANCH_MINOR)),
		.ino = ino && nla_len(ino) == sizeof(uint64_t) ? nla_get_u64(ino) : 0,
		.rw = attrs[MICA_A_BRANCH_RW],
		.incomplete = attrs[MICA_A_BRANCH_INCOMPLETE],
	};
}

/**
 * branches_read - list the branches of a union
 * @branches: out
 * @fd: something that is in it
 * @path: what that is called
 */
int branches_read(struct branches *branches, int fd, const char *path)
{
	struct nl_sock *sock CLEANUP(family_close) = NULL;
	struct reader r = { .branches = branches };
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return fail("%s: %s", path, strerror(errno));
	r.dev = st.st_dev;
	sock = family_open();
	if (!sock)
		return MICA_FAILED;
	ret = family_dump(sock, MICA_CMD_UNION_GET, 0, take_union, &r);
	if (!ret && !r.id)
		return fail("%s: is not in a union", path);
	ret = ret ?: family_dump(sock, MICA_CMD_BRANCH_GET, r.id, take_branch, &r);
	if (!ret && branches->nr && !branches->branch[0].forms)
		ret = fail("the module is older than this tool, and does not tell what it reads");
	return ret;
}

/* By its number or its path, as mica union list has them; or NULL. */
const struct branch *branches_find(const struct branches *branches, const char *name)
{
	const struct branch *b = branches->branch, *end = b + branches->nr;
	uint64_t number = 0;

	parse_number(name, 10, UINT32_MAX, &number);
	while (b < end && strcmp(b->path, name) && b->id != number)
		b++;
	return b < end ? b : NULL;
}

/* Something may be mounted over a branch: the union itself, for one. */
bool is_branch(const struct branch *branch, int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_dev == branch->dev && st.st_ino == branch->ino;
}

void branches_free(struct branches *branches)
{
	while (branches->nr)
		free(branches->branch[--branches->nr].path);
	free(branches->branch);
	branches->branch = NULL;
}
