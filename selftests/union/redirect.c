// SPDX-License-Identifier: GPL-2.0-only
/* Directories that were renamed and go on elsewhere in the layers below. */
#include <ftw.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(redirect);

static const char * const forms[] = { "dot", "overlay" };

static int mount_in_form(const char *branches, const char *form)
{
	char option[32];

	if (on_overlay)
		return mount_union_with(branches, "redirect_dir=on");
	snprintf(option, sizeof(option), "whiteout=%s", form);
	return mount_union_with(branches, option);
}

/* What is below, and a union over it. */
static int start(const char *form)
{
	static const char * const dirs[] = {
		"up", "work", "l1", "l2", "l1/d", "l1/d/sub", "l1/other",
		"l2/d", "l2/d/sub", "l2/e"
	};
	unsigned int i;

	if (remove_all("up") || remove_all("work") || remove_all("l1") ||
	    remove_all("l2"))
		return -1;
	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(dirs[i], 0755))
			return -1;
	if (put("l1/d/one", "1") || put("l2/d/two", "2") ||
	    put("l2/d/sub/three", "3") || put("l1/d/sub/four", "4") ||
	    put("l2/e/in_e", "e") || put("l2/f", "f"))
		return -1;
	return mount_in_form("up:l1:l2", form);
}

static char *seen[64];
static unsigned int nr_seen;

static int look_at(const char *path, const struct stat *st, int type,
		   struct FTW *ftw)
{
	const char *name = path + strlen("mnt/");

	if (!ftw->level || nr_seen == ARRAY_SIZE(seen))
		return 0;
	if (type == FTW_F)
		return asprintf(&seen[nr_seen++], "%s=%s", name,
				content(path)) < 0;
	if (type != FTW_D)
		return -1;
	if (*ls(path))
		return 0;
	return asprintf(&seen[nr_seen++], "%s/", name) < 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char **)a, *(char **)b);
}

/* All files with their contents and all empty directories, in order. */
static int check_view(const char *view)
{
	char is[4096] = "";
	unsigned int i;
	int err;

	nr_seen = 0;
	err = nftw("mnt", look_at, 16, FTW_PHYS);
	qsort(seen, nr_seen, sizeof(*seen), by_name);
	for (i = 0; i < nr_seen; i++) {
		strcat(strcat(is, i ? " " : ""), seen[i]);
		free(seen[i]);
	}
	if (!err && !strcmp(is, view))
		return 0;
	printf("# is        %s\n# should be %s\n", is, view);
	errno = EBADMSG;
	return -1;
}

/* Also once it is mounted anew; and by overlayfs, where that can read it. */
static int same_view(const char *form, const char *view)
{
	if (check_view(view) || umount("mnt") ||
	    mount_in_form("up:l1:l2", form) || check_view(view))
		return -1;
	if (on_overlay || strcmp(form, "overlay"))
		return 0;
	if (umount("mnt") || (mkdir("owork", 0755) && errno != EEXIST) ||
	    mount("o", "mnt", "overlay", 0,
		  "lowerdir=l1:l2,upperdir=up,workdir=owork") ||
	    check_view(view) || umount("mnt"))
		return -1;
	return mount_in_form("up:l1:l2", form);
}

/* Commands: mv A B, xchg A B, put A TEXT, mkdir A, rm A (with all in it). */
static int do_command(char *command)
{
	char *verb = strtok(command, " "), *a = strtok(NULL, " ");
	char *b = strtok(NULL, " ");

	if (!strcmp(verb, "mv"))
		return rename(a, b);
	if (!strcmp(verb, "xchg"))
		return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
	if (!strcmp(verb, "put"))
		return put(a, b);
	if (!strcmp(verb, "mkdir"))
		return mkdir(a, 0755);
	return remove_all(a);
}

static int do_commands(const char *commands)
{
	char *copy = strdup(commands), *rest = copy, *command;
	int err = chdir("mnt");

	while (!err && (command = strsep(&rest, ",")))
		err = do_command(command);
	free(copy);
	return chdir("..") || err ? -1 : 0;
}

#define ALL "d/one=1 d/sub/four=4 d/sub/three=3 d/two=2 e/in_e=e f=f other/"
#define MOVED "e/in_e=e f=f n/one=1 n/sub/four=4 n/sub/three=3 n/two=2 other/"

static const struct {
	const char *commands;
	const char *view;
} moves[] = {
	{ "mv f f", ALL },
	{ "mv d n", MOVED },
	{ "mv d n,mv n d", ALL },
	{ "mv d m,mv m n", MOVED },
	{ "mv d other/d", "e/in_e=e f=f other/d/one=1 other/d/sub/four=4 "
	  "other/d/sub/three=3 other/d/two=2" },
	{ "mv d/sub d/s,mv d n",
	  "e/in_e=e f=f n/one=1 n/s/four=4 n/s/three=3 n/two=2 other/" },
	{ "mv d n,mv n/sub n/s",
	  "e/in_e=e f=f n/one=1 n/s/four=4 n/s/three=3 n/two=2 other/" },
	{ "mv d n,mv n/sub other/sub",
	  "e/in_e=e f=f n/one=1 n/two=2 other/sub/four=4 other/sub/three=3" },
	{ "mv d/sub other/sub,mv d n,mv other/sub n/sub", MOVED },
	{ "put d/one x,rm d/sub/four,mv d n",
	  "e/in_e=e f=f n/one=x n/sub/three=3 n/two=2 other/" },
	{ "mv d n,put n/one x,rm n/sub/four",
	  "e/in_e=e f=f n/one=x n/sub/three=3 n/two=2 other/" },
	/* The old name is free, and what is made there is new. */
	{ "mv d n,mkdir d,put d/new n", "d/new=n " MOVED },
	{ "mv d n,mkdir d,rm d", MOVED },
	{ "mv d n,put d new", "d=new " MOVED },
	/* Over what is there, or was. */
	{ "mv d other", "e/in_e=e f=f other/one=1 other/sub/four=4 "
	  "other/sub/three=3 other/two=2" },
	{ "rm e/in_e,mv d e",
	  "e/one=1 e/sub/four=4 e/sub/three=3 e/two=2 f=f other/" },
	{ "rm f,mv d f",
	  "e/in_e=e f/one=1 f/sub/four=4 f/sub/three=3 f/two=2 other/" },
	{ "rm e,mv d e",
	  "e/one=1 e/sub/four=4 e/sub/three=3 e/two=2 f=f other/" },
	{ "mv d n,rm n", "e/in_e=e f=f other/" },
	{ "rm e,mv d e,rm e", "f=f other/" },
	{ "mv d n,mv n/one one,mkdir d,mv one d/one",
	  "d/one=1 e/in_e=e f=f n/sub/four=4 n/sub/three=3 n/two=2 other/" },
	{ "mv d t,mv e d,mv t e",
	  "d/in_e=e e/one=1 e/sub/four=4 e/sub/three=3 e/two=2 f=f other/" },
	{ "xchg d e",
	  "d/in_e=e e/one=1 e/sub/four=4 e/sub/three=3 e/two=2 f=f other/" },
	{ "xchg d e,xchg d e", ALL },
	{ "xchg f d",
	  "d=f e/in_e=e f/one=1 f/sub/four=4 f/sub/three=3 f/two=2 other/" },
	{ "xchg d/sub e",
	  "d/one=1 d/sub/in_e=e d/two=2 e/four=4 e/three=3 f=f other/" },
	{ "mkdir new,put new/x x,xchg new d",
	  "d/x=x e/in_e=e f=f new/one=1 new/sub/four=4 new/sub/three=3 "
	  "new/two=2 other/" },
};

TEST_F(redirect, a_merged_directory_is_renamed_with_all_that_is_in_it)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		for (j = 0; j < ARRAY_SIZE(moves); j++) {
			DO(start(forms[i]));
			ASSERT_EQ(0, do_commands(moves[j].commands)) {
				TH_LOG("%s: %s", forms[i], moves[j].commands);
			}
			ASSERT_EQ(0, same_view(forms[i], moves[j].view)) {
				TH_LOG("%s: %s", forms[i], moves[j].commands);
			}
			DO(umount("mnt"));
		}
	}
}

TEST_F(redirect, redirect_dir_off_leaves_it_to_mv)
{
	DO(start("dot"));
	DO(umount("mnt"));
	DO(mount_union_with("up:l1:l2", "redirect_dir=off"));
	FAILS(EXDEV, rename("mnt/d", "mnt/n"));
	DO(mkdir("mnt/new", 0755));
	DO(rename("mnt/new", "mnt/newer"));
	DO(check_view("d/one=1 d/sub/four=4 "
		"d/sub/three=3 d/two=2 e/in_e=e f=f newer/ other/"));
	if (!on_overlay)
		DO(run("grep -q redirect_dir=off /proc/self/mountinfo"));
}

TEST_F(redirect, rename_copies_no_file)
{
	DO(start("dot"));
	DO(rename("mnt/d", "mnt/n"));
	ASSERT_STREQ("", ls("up/n"));
	HAS("l1/d/one", "1");
}

TEST_F(redirect, open_files_and_working_directories_go_along)
{
	char buf[PATH_MAX], want[PATH_MAX];
	int fd, dir;

	DO(start("dot"));
	fd = open("mnt/d/one", O_RDWR);
	dir = open("mnt/d/sub", O_DIRECTORY);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, dir);
	snprintf(want, sizeof(want), "%s/mnt/n/sub", getcwd(buf, sizeof(buf)));
	DO(rename("mnt/d", "mnt/n"));
	DO(fchdir(dir));
	ASSERT_STREQ(want, getcwd(buf, sizeof(buf)));
	HAS("three", "3");
	ASSERT_EQ(1, write(fd, "x", 1));
	HAS("../one", "x");
	DO(close(fd) | close(dir) | chdir("../../.."));
}

TEST_F(redirect, what_overlayfs_renamed_is_read)
{
	const char *overlay = "mount -t overlay -o redirect_dir=on,"
		"lowerdir=l1:l2,upperdir=up,workdir=work o mnt";

	DO(start("overlay"));
	DO(run("umount mnt && rm -rf up work && mkdir up work && %s && "
	       "cd mnt && mv -T d n && mv n/sub other && mv -T e/ e2", overlay));
	DO(umount("mnt"));
	/* Written to, then as a layer below two others. */
	DO(mount_in_form("up:l1:l2", "overlay"));
	DO(same_view("overlay", "e2/in_e=e f=f n/one=1 n/two=2 "
				"other/sub/four=4 other/sub/three=3"));
	DO(run("cd mnt && mv -T other/sub s && echo -n x >s/three"));
	DO(umount("mnt"));
	DO(run("mkdir l4"));
	DO(mount_union("l4:l3:up:l1:l2"));
	DO(run("cd mnt && mv -T s t && mv -T n/ d"));
	HAS("mnt/t/three", "x");
	HAS("mnt/t/four", "4");
	HAS("mnt/d/one", "1");
	ASSERT_STREQ("d e2 f other t", ls("mnt"));
	DO(umount("mnt"));
	DO(mount_union("l4:l3:up:l1:l2"));
	HAS("mnt/t/three", "x");
	HAS("mnt/t/four", "4");
	HAS("mnt/d/two", "2");
	ASSERT_STREQ("d e2 f other t", ls("mnt"));
}

TEST_F(redirect, what_hides_along_the_way_hides)
{
	/* Of the layers behind the redirect, the upper hides d/sub. */
	DO(run("mkdir -p l1/n l2/d l3/d/sub && touch l2/d/.wh.sub l3/d/x"));
	DO(set_xattr("l1/n", "trusted.overlay.redirect", "/d"));
	DO(run("mkdir l1/s l1/file && touch l3/file"));
	DO(set_xattr("l1/s", "trusted.overlay.redirect", "/d/sub"));
	DO(set_xattr("l1/file", "trusted.overlay.redirect", "/d/x"));
	NOT_ON_OVERLAY("no dot form");
	DO(mount_union("up:l1:l2:l3"));
	ASSERT_STREQ("x", ls("mnt/n"));
	ASSERT_STREQ("", ls("mnt/s"));
	/* It leads to a file, so there is nothing to merge with. */
	ASSERT_STREQ("", ls("mnt/file"));
}

TEST_F(redirect, what_is_no_path_is_an_error_and_nothing_else_suffers)
{
	static const char * const bad[] = {
		"..", ".", "/..", "/d/../../etc", "//", "/", "a/b", "/d/", "/.",
		"/.wh..wh.mica/work", ".wh.d", "/d//sub", "../d",
	};
	char big[700];
	unsigned int i;

	NOT_ON_OVERLAY("it is ESTALE or ENOENT there");
	DO(run("mkdir -p l1/bad l1/good l2/d/sub && touch l2/d/sub/x"));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		DO(set_xattr("l1/bad", "trusted.overlay.redirect", bad[i]));
		DO(mount_union("up:l1:l2"));
		FAILS(EIO, access("mnt/bad", F_OK));
		DO(put("mnt/good/x", bad[i]));
		DO(umount("mnt"));
	}
	memset(big, 'a', sizeof(big));
	big[0] = '/';
	big[sizeof(big) - 1] = 0;
	DO(set_xattr("l1/bad", "trusted.overlay.redirect", big));
	DO(mount_union("up:l1:l2"));
	FAILS(EIO, access("mnt/bad", F_OK));
	ASSERT_STREQ("bad d good", ls("mnt"));
}

/* Each layer says that its n is in the n of the next one. */
TEST_F(redirect, redirects_in_redirects)
{
	char list[512] = "up", path[64];
	unsigned int i;

	NOT_ON_OVERLAY("too many layers for its options here");
	for (i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "b%u/%s", i, i % 2 ? "m/n" : "n/n");
		DO(run("mkdir -p %s && touch %s/%u", path, path, i));
		/* The next has the directory under another name... */
		DO(set_xattr(path, "trusted.overlay.redirect",
			     i % 2 ? "/n/n" : "/m/n"));
		snprintf(path, sizeof(path), "b%u", i);
		strcat(strcat(list, ":"), path);
	}
	DO(mount_union(list));
	/* ... which is no nesting, however often. */
	ASSERT_EQ(0, access("mnt/n/n/39", F_OK));
	DO(umount("mnt"));
	for (i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "b%u/%s", i, i % 2 ? "m" : "n");
		DO(set_xattr(path, "trusted.overlay.redirect",
			     i % 2 ? "/n/n" : "/m/n"));
	}
	/* That is: a way through a redirect, through a redirect... */
	DO(mount_union(list));
	if (access("mnt/n/n", F_OK))
		ASSERT_EQ(EIO, errno);
	DO(umount("mnt"));
}

TEST_F(redirect, two_rw_branches)
{
	char options[PATH_MAX];
	const char *again = "umount mnt && mount -t mica -o \"$o\" none mnt";

	NOT_ON_OVERLAY("one rw branch");
	DO(run("mkdir -p up/d l1/d/sub l2/d/sub && echo -n 1 >l1/d/one && "
	       "echo -n 2 >l2/d/sub/two && echo -n 3 >l2/three"));
	snprintf(options, sizeof(options), "dirs=up=rw:l1=rw:l2=ro");
	setenv("o", options, 1);
	DO(run("mount -t mica -o \"$o\" none mnt"));
	DO(rename("mnt/d", "mnt/n"));
	/* Not into l1, where the name would have to be another. */
	DO(add("mnt/n/sub/two", "+"));
	DO(put("mnt/n/sub/new", "new"));
	DO(add("mnt/n/one", "+"));
	HAS("l1/d/one", "1+");
	DO(rename("mnt/three", "mnt/n/sub/three"));
	DO(rename("mnt/n/sub", "mnt/s"));
	DO(run("%s", again));
	ASSERT_STREQ("n s", ls("mnt"));
	ASSERT_STREQ("new three two", ls("mnt/s"));
	HAS("mnt/s/two", "2+");
	HAS("mnt/s/three", "3");
	HAS("mnt/n/one", "1+");
	DO(run("rm -r mnt/s mnt/n && %s", again));
	ASSERT_STREQ("", ls("mnt"));
}

TEST_F(redirect, what_leads_to_layers_that_are_missing_is_not_followed)
{
	static const struct {
		const char *branches;
		bool l1;
		bool l2;
	} mounts[] = {
		{ "up:l1:l2", true, true }, { "up:l2:l1", true, true },
		{ "up:new:l1:l2", true, true }, { "up", false, false },
		{ "up:l1", true, false }, { "up:l1:l3", true, false },
		{ "up:l2", false, true }, { "up:l1:l2", true, true },
	};
	unsigned int form, i;
	bool moved, whole;

	NOT_ON_OVERLAY("it follows them whatever is below");
	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "its layers cannot be told from those of another");
	/* What is there in place of l2 has the same names. */
	DO(run("mkdir new l3/d l3/d/sub && echo wrong >l3/f && cp l3/f l3/d/two"));
	for (form = 0; form < 4; form++) {
		/* The file leads to l2, the directory to both. */
		moved = form / 2;
		DO(start(forms[form % 2]));
		DO(put("mnt/new", "new"));
		FAILS(ENODATA, getxattr("up", "trusted.overlay.mica.layers", NULL, 0));
		DO(chmod("mnt/f", 0600));
		whole = getxattr("up/f", "trusted.overlay.metacopy", NULL, 0) < 0;
		ASSERT_EQ(form % 2, whole);
		if (moved)
			DO(rename("mnt/d", "mnt/moved"));
		DO(umount("mnt"));
		for (i = 0; i < ARRAY_SIZE(mounts); i++) {
			bool l1 = mounts[i].l1, l2 = mounts[i].l2;

			DO(mount_in_form(mounts[i].branches, forms[form % 2]));
			HAS("mnt/new", "new");
			if (moved && !(l1 && l2))
				FAILS(EIO, access("mnt/moved", F_OK));
			else if (moved)
				HAS("mnt/moved/two", "2");
			if (!whole && !(l2 && (l1 || !moved)))
				FAILS(EIO, open("mnt/f", O_RDONLY));
			else
				HAS("mnt/f", "f");
			DO(umount("mnt"));
		}
	}
}

/* The first mount has l1 read-only, the second has three branches to write to. */
static const struct {
	const char *moved;	/* a directory of l1, which becomes mnt/moved */
	const char *removed;	/* what had its name, or has one above that */
} gone[] = {
	{ "l1/a", "touch mnt/a && rm mnt/a" },
	{ "l1/a", "mkdir mnt/a && rmdir mnt/a" },
	{ "l1/a", "touch mnt/x && mv mnt/x mnt/a && mv mnt/a mnt/x" },
	{ "l1/p/a", "touch mnt/p/a && rm mnt/p/a" },
	{ "l1/p/a", "rm -r mnt/p" },
	{ "l1/p/a", "rm -r mnt/p && touch mnt/p && rm mnt/p" },
};

TEST_F(redirect, a_whiteout_does_not_hide_what_a_redirect_leads_to)
{
	char path[32], option[64];
	unsigned int i;

	NOT_ON_OVERLAY("one writable branch");
	for (i = 0; i < 2 * ARRAY_SIZE(gone); i++) {
		const char *moved = gone[i / 2].moved, *form = forms[i % 2];

		DO(run("rm -rf up l1 l2 && mkdir -p up l2 %s && touch %s/f", moved, moved));
		DO(mount_in_form("up:l1", form));
		snprintf(path, sizeof(path), "mnt%s", moved + 2);
		DO(rename(path, "mnt/moved") ?: umount("mnt"));
		snprintf(option, sizeof(option),
			 "dirs=up=rw:l2=rw:l1=rw,whiteout=%s", form);
		DO(mount_mica(option, "mnt"));
		DO(run("%s", gone[i / 2].removed));
		DO(umount("mnt") ?: mount_mica(option, "mnt"));
		FAILS(ENOENT, access(path, F_OK));
		ASSERT_EQ(0, access("mnt/moved/f", F_OK)) {
			TH_LOG("%s: %s", form, gone[i / 2].removed);
		}
		DO(umount("mnt"));
	}
}

/* The redirect is in a branch that nobody writes to. */
TEST_F(redirect, what_it_leads_to_can_be_removed_where_it_is)
{
	static const char * const removed[] = { "f", "g", "sub" };
	unsigned int i, j;
	char option[64];

	NOT_ON_OVERLAY("one writable branch");
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		DO(run("rm -rf up l1 l2 l3 && mkdir -p up l1/d/sub l2/d/sub l3 && "
		       "touch l1/d/f l2/d/f l1/d/g l2/d/h"));
		DO(mount_in_form("l3:l2:l1", forms[i]));
		DO(rename("mnt/d", "mnt/moved") ?: umount("mnt"));
		snprintf(option, sizeof(option),
			 "dirs=up=rw:l3=ro:l2=rw:l1=ro,whiteout=%s", forms[i]);
		DO(mount_mica(option, "mnt"));
		for (j = 0; j < ARRAY_SIZE(removed); j++)
			DO(run("rm -r mnt/moved/%s", removed[j]));
		DO(add("mnt/moved/h", "x"));
		DO(umount("mnt") ?: mount_mica(option, "mnt"));
		ASSERT_STREQ("h", ls("mnt/moved"));
		DO(run("rm -r mnt/moved") ?: umount("mnt"));
		DO(mount_mica(option, "mnt"));
		ASSERT_STREQ("", ls("mnt"));
		DO(umount("mnt"));
	}
}

TEST_HARNESS_MAIN
