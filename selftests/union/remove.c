// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of every instance of a name that is removed. */
#include "../lib/harness.h"
#include "flags.h"
#include "util.h"

UNION_FIXTURE(remove);

/* Two rw branches over a ro one. */
static const char * const branch[] = { "up", "l1", "l2" };

#define NR 3
#define RO 2

static const char * const modes[] = { "all", "whiteout", "first" };

enum mode { ALL, WHITEOUT, FIRST };

enum op { UNLINK, RMDIR, RENAME, NR_OPS };

static const char * const op_name[NR_OPS] = { "unlink", "rmdir", "rename" };

struct outcome {
	bool there[NR];
	bool white[NR];
	int shown;	/* branch of what the name shows, -1 for nothing */
	int err;
};

/* What is to be where afterwards. A rename leaves the whiteout in one step. */
static struct outcome expect(unsigned int present, enum mode mode, enum op op)
{
	struct outcome out = { .shown = -1 };
	int i, shown = -1, below = -1;

	for (i = NR - 1; i >= 0; i--) {
		out.there[i] = present & 1 << i;
		if (out.there[i])
			shown = i;
	}
	if (mode == FIRST) {
		if (shown == RO) {
			out.err = EROFS;
			out.shown = RO;
			return out;
		}
		out.there[shown] = false;
		for (i = NR - 1; i > shown; i--)
			if (out.there[i])
				out.shown = i;
		return out;
	}
	for (i = NR - 1; i > shown; i--) {
		if (mode == ALL && i != RO)
			out.there[i] = false;
		if (out.there[i])
			below = i;
	}
	if (shown == RO)
		below = RO;
	else
		out.there[shown] = false;
	if (below >= 0)
		out.white[(mode == WHITEOUT || op == RENAME) && shown != RO ?
			  shown : below - 1] = true;
	return out;
}

static int set_up(unsigned int present, enum op op)
{
	char path[64];
	int i;

	for (i = 0; i < NR; i++) {
		if (remove_all(branch[i]) || mkdir(branch[i], 0755))
			return -1;
		snprintf(path, sizeof(path), "%s/n", branch[i]);
		if (present & 1 << i &&
		    (op == RMDIR ? mkdir(path, 0755) : put(path, branch[i])))
			return -1;
	}
	return 0;
}

static int mount_mode(const char *mode, const char *form)
{
	char options[PATH_MAX], cwd[PATH_MAX / 4];

	if (!getcwd(cwd, sizeof(cwd)))
		return -1;
	snprintf(options, sizeof(options),
		 "dirs=%s/up=rw:%s/l1=rw:%s/l2=ro,delete=%s,whiteout=%s", cwd,
		 cwd, cwd, mode, form);
	return mount("none", "mnt", "mica", 0, options);
}

static int do_op(enum op op)
{
	return op == UNLINK ? unlink("mnt/n") : op == RMDIR ? rmdir("mnt/n") :
	       rename("mnt/n", "mnt/new");
}

static int check(const struct outcome *want, enum op op)
{
	char path[64];
	bool is, white;
	int i, err = 0;

	for (i = 0; i < NR; i++) {
		snprintf(path, sizeof(path), "%s/n", branch[i]);
		white = whited_out(branch[i], "n");
		is = there(path) && (!white || want->there[i]);
		if (is != want->there[i] || white != want->white[i]) {
			printf("# %s: there %d, should be %d; whiteout %d, should be %d\n",
			       branch[i], is, want->there[i], white,
			       want->white[i]);
			err = -1;
		}
	}
	is = want->shown >= 0;
	if (there("mnt/n") != is ||
	    (is && op != RMDIR &&
	     strcmp(content("mnt/n"), branch[want->shown]))) {
		printf("# the union shows something else than %d\n",
		       want->shown);
		err = -1;
	}
	errno = EBADMSG;
	return err;
}

static int one_case(unsigned int present, enum mode mode, enum op op,
		    const char *form)
{
	struct outcome want = expect(present, mode, op);
	const char *shown;
	char text[16];
	int err;

	if (set_up(present, op) || mount_mode(modes[mode], form))
		return -1;
	/* Known before, so what is remembered has to go as well. */
	shown = op == RMDIR ? "" : content("mnt/n");
	snprintf(text, sizeof(text), "%s", shown);
	err = do_op(op) ? errno : 0;
	if (err != want.err) {
		printf("# %s\n", strerror(err));
		return -1;
	}
	if (check(&want, op) || umount("mnt") ||
	    mount_mode(modes[mode], form) || check(&want, op))
		return -1;
	if (op == RENAME && !err && strcmp(content("mnt/new"), text)) {
		printf("# new: \"%s\"\n", content("mnt/new"));
		return -1;
	}
	return umount("mnt");
}

static int every_case(enum mode mode)
{
	static const char * const forms[] = { "dot", "overlay" };
	unsigned int present, op, form;

	for (present = 1; present < 1 << NR; present++) {
		for (op = 0; op < NR_OPS; op++) {
			for (form = 0; form < 2; form++) {
				if (!one_case(present, mode, op, forms[form]))
					continue;
				printf("# %s, %s, present %x\n", op_name[op],
				       forms[form], present);
				return -1;
			}
		}
	}
	return 0;
}

TEST_F(remove, every_instance_with_delete_all)
{
	NOT_ON_OVERLAY("one rw branch");
	DO(every_case(ALL));
}

TEST_F(remove, every_instance_with_delete_whiteout)
{
	NOT_ON_OVERLAY("one rw branch");
	DO(every_case(WHITEOUT));
}

TEST_F(remove, every_instance_with_delete_first)
{
	NOT_ON_OVERLAY("one rw branch");
	DO(every_case(FIRST));
}

TEST_F(remove, the_mode_is_shown_and_others_are_refused)
{
	NOT_ON_OVERLAY("no modes");
	DO(mount_union_with("up:l1", "delete=first"));
	DO(run("grep -q delete=first /proc/self/mountinfo"));
	DO(umount("mnt"));
	FAILS(EINVAL, mount_union_with("up:l1", "delete=last"));
	DO(mount_union_with("up:l1", "delete=all"));
	DO(run("! grep -q delete= /proc/self/mountinfo"));
}

/* There would be two of it: nothing may hide what is in the other branch. */
TEST_F(remove, no_rename_into_another_branch_with_delete_first)
{
	NOT_ON_OVERLAY("one rw branch");
	DO(mkdir("up/d", 0755));
	DO(put("l1/f", "f"));
	DO(mkdir("l1/e", 0755));
	DO(mount_mode("first", "dot"));
	FAILS(EXDEV, rename("mnt/f", "mnt/d/f"));
	FAILS(EXDEV, rename("mnt/e", "mnt/d/e"));
	ASSERT_STREQ("d", ls("up"));
	ASSERT_STREQ("", ls("up/d"));
	ASSERT_STREQ("d e f", ls("mnt"));
	DO(rename("mnt/f", "mnt/e/f"));
	DO(run("mv mnt/e/f mnt/d/"));
	HAS("up/d/f", "f");
	ASSERT_STREQ("d e", ls("mnt"));
	ASSERT_STREQ("", ls("mnt/e"));
}

TEST_F(remove, what_cannot_be_removed_is_hidden_or_stays)
{
	NOT_ON_OVERLAY("one rw branch");
	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "an old kernel's has no immutable files");
	/* Below: it is hidden. */
	DO(set_up(3, UNLINK));
	DO(set_flags("l1/n", FS_IMMUTABLE_FL));
	DO(mount_mode("all", "dot"));
	DO(unlink("mnt/n"));
	ASSERT_FALSE(there("mnt/n"));
	ASSERT_TRUE(whited_out("up", "n"));
	DO(umount("mnt"));
	DO(set_flags("l1/n", 0));
	/* Shown: nothing has changed. */
	DO(set_up(7, UNLINK));
	DO(set_flags("up/n", FS_IMMUTABLE_FL));
	DO(mount_mode("whiteout", "dot"));
	FAILS(EPERM, unlink("mnt/n"));
	FAILS(EPERM, rename("mnt/n", "mnt/m"));
	HAS("mnt/n", "up");
	ASSERT_FALSE(whited_out("up", "n"));
	DO(umount("mnt"));
	DO(set_flags("up/n", 0));
}

TEST_F(remove, a_failed_rmdir_shows_nothing_that_was_hidden)
{
	NOT_ON_OVERLAY("one rw branch");
	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "an old kernel's has no immutable files");
	DO(set_up(7, RMDIR));
	DO(put("l2/n/hidden", ""));
	DO(make_whiteout("l1/n", "hidden"));
	DO(mount_mode("all", "dot"));
	ASSERT_STREQ("", ls("mnt/n"));
	/* The union does not know, so it is the last step that fails. */
	DO(set_flags("up/n", FS_IMMUTABLE_FL));
	FAILS(EPERM, rmdir("mnt/n"));
	ASSERT_STREQ("", ls("mnt/n"));
	DO(umount("mnt"));
	DO(set_flags("up/n", 0));
	DO(mount_mode("all", "dot"));
	ASSERT_STREQ("", ls("mnt/n"));
	DO(rmdir("mnt/n"));
	ASSERT_STREQ("", ls("mnt"));
}

TEST_HARNESS_MAIN
