// SPDX-License-Identifier: GPL-2.0-only
/* What the union has for a name is dropped, and what is below shows again. */
#include <signal.h>
#include <sys/mman.h>
#include "../lib/harness.h"
#include "branches.h"
#include "util.h"

UNION_FIXTURE(reset);

/* Everything that can be seen of what a test works on. */
static int list_to(const char *to)
{
	return run("cd mnt && { find . -mindepth 1 -printf '%%p %%y %%m %%U %%l "
		   "%%n %%T@\\n' | grep -v '^[^ ]* d' | sort; "
		   "find . -mindepth 1 -type d -printf '%%p %%m %%U\\n' | sort; "
		   "find . -type f | sort | xargs -r cat; "
		   "getfattr -Rd -m user . | sed /^$/d; } >../%s", to);
}

static int make_lower(void)
{
	return run("echo f >l1/f && ln l1/f l1/g && echo s >l2/s && ln -s t l2/link && "
		   "mkdir -p l1/d/sub/deep l2/d/sub l2/only/x && echo a >l1/d/a && "
		   "echo b >l2/d/b && echo below >l2/d/a && touch l1/d/sub/deep/z "
		   "l2/d/sub/y l2/only/x/y && echo l >l1/d/l1 && ln l1/d/l1 l1/d/l2 && "
		   "head -c 100000 /dev/zero >l2/big && "
		   "touch -d 2001-01-01 l1/* l2/*");
}

/* Nothing but the copies of directories is left, if they hold anything else. */
static int is_clean(void)
{
	return run("test -z \"$(find up -path 'up/.wh*' -prune -o ! -type d -print)\" &&"
		   "test -z \"$(find up/.wh..wh.mica/work up/.wh..wh.mica/index "
		   "-mindepth 1 2>/dev/null)\"");
}

static const struct {
	const char *change;
	const char *dir;
	const char *name;
	const char *more;
} changes[] = {
	{ "echo x >>mnt/s", "mnt", "s", NULL },
	{ "chmod 0 mnt/big && chown 1:1 mnt/big", "mnt", "big", NULL },
	{ "setfattr -n user.x -v y mnt/s 2>/dev/null || echo x >mnt/s", "mnt", "s", NULL },
	{ "rm mnt/s", "mnt", "s", NULL },
	{ "rm mnt/link && touch mnt/link", "mnt", "link", NULL },
	{ "rm mnt/d/a", "mnt/d", "a", NULL },
	{ "rm mnt/s && mkdir -p mnt/s/t/u && touch mnt/s/t/v", "mnt", "s", NULL },
	{ "rm -r mnt/d", "mnt", "d", NULL },
	{ "rm -r mnt/d && echo d >mnt/d", "mnt", "d", NULL },
	{ "rm -r mnt/d && mkdir -p mnt/d/sub && touch mnt/d/sub/new", "mnt", "d", NULL },
	{ "echo x >mnt/d/sub/deep/z && rm mnt/d/b && mkfifo mnt/d/p && "
	  "mv mnt/d/a mnt/d/sub && chmod 700 mnt/d", "mnt", "d", NULL },
	{ "d=mnt/d; for i in $(seq 40); do d=$d/n$i; mkdir $d; touch $d/x $d/y; done",
	  "mnt", "d", NULL },
	{ "mv mnt/only mnt/d/moved && rm mnt/d/sub/y", "mnt", "d", "only" },
	{ "mv mnt/s mnt/big && mkdir mnt/s", "mnt", "s", "big" },
	{ "echo x >mnt/f", "mnt", "f", NULL },
	{ "echo x >mnt/f", "mnt", "f", NULL },
	{ "rm mnt/g", "mnt", "g", NULL },
	{ "echo x >mnt/f && rm mnt/g", "mnt", "g", "f" },
	{ "rm mnt/g && echo g >mnt/g", "mnt", "g", NULL },
	{ "rm mnt/d/l1", "mnt", "d", NULL },
	{ "rm mnt/d/l1 && echo x >mnt/d/l2", "mnt", "d", NULL },
};

TEST_F_TIMEOUT(reset, everything_is_what_it_was, 1200)
{
	size_t i;

	NOT_ON_OVERLAY("there is no such command");
	DO(make_lower());
	DO(mount_union("up:l1:l2"));
	DO(list_to("before"));
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		DO(run("%s", changes[i].change));
		DO(list_to("changed"));
		ASSERT_NE(0, run("cmp -s before changed")) {
			TH_LOG("%s", changes[i].change);
		}
		ASSERT_EQ(0, reset_in(changes[i].dir, changes[i].name)) {
			TH_LOG("%s: %s", changes[i].change, why.text);
		}
		if (changes[i].more)
			DO(reset_in("mnt", changes[i].more));
		DO(list_to("after"));
		ASSERT_EQ(0, run("diff -a before after")) {
			TH_LOG("%s", changes[i].change);
		}
		ASSERT_EQ(0, is_clean()) {
			TH_LOG("%s", changes[i].change);
		}
		FAILS(ENODATA, reset_in(changes[i].dir, changes[i].name));
	}
	/* And on the disk. */
	DO(umount("mnt"));
	DO(mount_union("up:l1:l2"));
	DO(list_to("after"));
	DO(run("diff -a before after"));
}

TEST_F(reset, whiteouts_and_opaque_directories_of_the_dot_form_go_too)
{
	NOT_ON_OVERLAY("there is no such command");
	DO(make_lower());
	DO(mount_union("up:l1:l2"));
	DO(list_to("before"));
	DO(umount("mnt"));
	DO(run("touch up/.wh.s up/.wh.only && mkdir up/d && touch up/d/.wh..wh..opq"));
	DO(mount_union("up:l1:l2"));
	ASSERT_FALSE(there("mnt/s"));
	ASSERT_STREQ("", ls("mnt/d"));
	DO(reset_in("mnt", "s"));
	DO(reset_in("mnt", "only"));
	DO(reset_in("mnt", "d"));
	DO(list_to("after"));
	DO(run("diff -a before after"));
	DO(is_clean());
}

TEST_F(reset, a_file_with_several_names_is_one_file_afterwards)
{
	struct stat a, b;

	NOT_ON_OVERLAY("there is no such command");
	DO(make_lower());
	DO(mount_union("up:l1:l2"));
	DO(put("mnt/f", "new"));
	DO(link("mnt/f", "mnt/h"));
	FAILS(EMLINK, reset_in("mnt", "f"));
	ASSERT_EQ(MICA_REASON_BRANCH, why.code);
	HAS("mnt/f", "new");
	DO(unlink("mnt/h"));
	ASSERT_EQ(0, reset_in("mnt", "f")) {
		TH_LOG("%s", why.text);
	}
	HAS("mnt/f", "f\n");
	HAS("mnt/g", "f\n");
	DO(stat("mnt/f", &a));
	DO(stat("mnt/g", &b));
	ASSERT_EQ(a.st_ino, b.st_ino);
	DO(add("mnt/g", "more"));
	HAS("mnt/f", "f\nmore");
}

TEST_F(reset, it_is_a_change_of_the_directory)
{
	struct stat st;

	NOT_ON_OVERLAY("there is no such command");
	DO(run("rm -rf up l1 l2; mkdir -p up/d l1/d l2/d && touch l1/d/f l2/d/f && "
	       "touch -d 2001-01-01 up/d l1/d l2/d"));
	DO(mount_mica("dirs=up=rw:l1=rw:l2=ro", "mnt"));
	ASSERT_EQ(0, reset_in("mnt/d", "f")) {
		TH_LOG("%s", why.text);
	}
	DO(stat("mnt/d", &st));
	EXPECT_LT(1500000000, st.st_mtime);
}

TEST_F(reset, who_has_it_open_goes_on)
{
	char text[8] = "", cwd[PATH_MAX];
	int fd, removed, dir;
	char *map;

	NOT_ON_OVERLAY("there is no such command");
	DO(make_lower());
	DO(mount_union("up:l1:l2"));
	DO(put("mnt/s", "new"));
	DO(put("mnt/d/x", "x"));
	DO(unlink("mnt/d/b"));
	fd = open("mnt/s", O_RDWR);
	ASSERT_LE(0, fd);
	map = mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	removed = open("mnt/d/x", O_RDWR);
	dir = open("mnt/d", O_RDONLY);
	ASSERT_LE(0, dir);
	DO(chdir("mnt/d"));
	ASSERT_EQ(0, reset_in("..", "s")) {
		TH_LOG("%s", why.text);
	}
	ASSERT_EQ(0, reset_in("..", "d")) {
		TH_LOG("%s", why.text);
	}
	ASSERT_STREQ("a b l1 l2 sub", ls("."));
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	ASSERT_EQ(0, faccessat(dir, "b", F_OK, 0));
	FAILS(ENOENT, faccessat(dir, "x", F_OK, 0));
	HAS("../s", "s\n");
	map[0] = 'N';
	ASSERT_EQ(3, pread(fd, text, sizeof(text), 0));
	ASSERT_STREQ("New", text);
	ASSERT_EQ(1, pwrite(removed, "y", 1, 0));
	ASSERT_EQ(1, pread(removed, text, 1, 0));
	ASSERT_EQ('y', text[0]);
	DO(munmap(map, 3));
	close(fd);
	close(removed);
	close(dir);
	DO(put("new", "n"));
	DO(chdir("../.."));
	HAS("mnt/d/new", "n");
}

static int snapshot_after(int id)
{
	return snapshot("l3");
}

static int ro_after(int id)
{
	return set_mode(id, 0);
}

static int ro_twice_after(int id)
{
	return set_mode(id, 0) ?: set_mode(id, MICA_BRANCH_RW) ?: set_mode(id, 0);
}

/* What was dropped does not come back by a descriptor that has it open. */
TEST_F(reset, a_change_that_was_dropped_while_it_was_open_stays_so)
{
	static int (* const ways[])(int id) = {
		snapshot_after, ro_after, ro_twice_after
	};
	static const char * const names[] = { "s", "f" };
	unsigned int i, j;
	int fd, id;

	NOT_ON_OVERLAY("there is no such command");
	for (i = 0; i < ARRAY_SIZE(ways) * ARRAY_SIZE(names); i++) {
		const char *name = names[i % ARRAY_SIZE(names)];
		char path[16];

		TH_LOG("%s, way %zu", name, i / ARRAY_SIZE(names));
		snprintf(path, sizeof(path), "mnt/%s", name);
		DO(run("rm -rf up l1 l2 l3 && mkdir up l1 l2 l3 && echo s >l1/s && "
		       "echo f >l1/f && ln l1/f l1/g"));
		j = i / ARRAY_SIZE(names);
		id = 0;
		if (!j) {
			DO(mount_union("up:l1"));
		} else {
			/* The left branch is there to write to in the end. */
			DO(mount_union("l2:l1"));
			id = add_branch("up", MICA_BRANCH_RW, 1);
			ASSERT_LT(0, id);
		}
		DO(add(path, "new"));
		fd = open(path, O_RDWR);
		ASSERT_LE(0, fd);
		CHANGED(reset_in("mnt", name));
		CHANGED(ways[j](id));
		ASSERT_EQ(1, pwrite(fd, "X", 1, 0));
		DO(drop_caches());
		HAS("mnt/s", "s\n");
		HAS("mnt/f", "f\n");
		HAS("mnt/g", "f\n");
		DO(close(fd));
		DO(drop_caches());
		HAS("mnt/f", "f\n");
		HAS("mnt/g", "f\n");
		DO(umount("mnt"));
	}
}

/* Names of a copy in a branch that is not writable any more. */
TEST_F(reset, a_name_that_shows_again_is_counted)
{
	struct stat st;
	int fd, i;

	NOT_ON_OVERLAY("there is no such command");
	DO(make_lower());
	DO(mount_union("up:l1:l2"));
	DO(put("mnt/f", "first"));
	CHANGED(snapshot("l3"));
	fd = open("mnt/f", O_RDONLY);
	ASSERT_LE(0, fd);
	for (i = 0; i < 3; i++) {
		DO(unlink("mnt/g"));
		DO(fstat(fd, &st));
		ASSERT_EQ(1, st.st_nlink);
		CHANGED(reset_in("mnt", "g"));
		DO(fstat(fd, &st));
		ASSERT_EQ(2, st.st_nlink);
	}
	DO(close(fd));
	HAS("mnt/g", "first");
}

TEST_F(reset, what_is_in_the_way_leaves_everything_as_it_is)
{
	int fd;

	NOT_ON_OVERLAY("there is no such command");
	DO(make_lower());
	DO(mount_union("up:l1:l2"));
	DO(run("mkdir -p mnt/d/mine/sub && echo 1 >mnt/d/a"));
	DO(list_to("before"));
	fd = open("mnt/d/mine/sub", O_RDONLY);
	ASSERT_LE(0, fd);
	FAILS(EBUSY, reset_in("mnt", "d"));
	ASSERT_EQ(MICA_REASON_IN_USE, why.code);
	ASSERT_STREQ("/d/mine/sub", (char *)why.subject);
	close(fd);
	DO(mount("l3", "mnt/d/mine", NULL, MS_BIND, NULL));
	FAILS(EBUSY, reset_in("mnt", "d"));
	DO(umount("mnt/d/mine"));
	if (strcmp(variant->fs, "tmpfs")) {
		DO(run("chattr +i mnt/d/a"));
		FAILS(EPERM, reset_in("mnt", "d"));
		FAILS(EPERM, reset_in("mnt/d", "a"));
		DO(run("chattr -i mnt/d/a"));
	}
	DO(list_to("after"));
	DO(run("diff -a before after"));
	ASSERT_EQ(0, reset_in("mnt", "d")) {
		TH_LOG("%s", why.text);
	}
	HAS("mnt/d/a", "a\n");
	ASSERT_FALSE(there("mnt/d/mine"));
}

TEST_F(reset, what_fails_in_the_branch_leaves_names_of_a_file_as_they_are)
{
	NOT_ON_OVERLAY("there is no such command");
	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "a directory cannot be append-only there");
	DO(make_lower());
	DO(mount_union("up:l1:l2"));
	DO(add("mnt/d/l1", "new"));
	DO(list_to("before"));
	DO(run("chattr +a up/d"));
	FAILS(EPERM, reset_in("mnt/d", "l1"));
	DO(run("chattr -a up/d"));
	DO(list_to("after"));
	DO(run("diff -a before after"));
	DO(umount("mnt"));
	DO(mount_union("up:l1:l2"));
	DO(list_to("after"));
	DO(run("diff -a before after"));
	ASSERT_EQ(0, reset_in("mnt/d", "l1")) {
		TH_LOG("%s", why.text);
	}
	HAS("mnt/d/l2", "l\n");
}

static int reset_as_user(void *arg)
{
	return reset_in("mnt", "s") ? errno : 0;
}

TEST_F(reset, what_cannot_be_reset_is_refused)
{
	char longname[400];

	NOT_ON_OVERLAY("there is no such command");
	DO(make_lower());
	DO(mount_union("up:l1:l2"));
	DO(put("mnt/new", "n"));
	DO(put("mnt/s", "n"));
	memset(longname, 'n', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = 0;
	FAILS(ENODATA, reset_in("mnt", "big"));
	FAILS(ENODATA, reset_in("mnt", "nowhere"));
	FAILS(ENODATA, reset_in("mnt/d/sub", "y"));
	/* Nothing would be left of it. */
	FAILS(ENOENT, reset_in("mnt", "new"));
	HAS("mnt/new", "n");
	FAILS(EINVAL, reset_in("mnt", ""));
	FAILS(EINVAL, reset_in("mnt", "."));
	FAILS(EINVAL, reset_in("mnt", ".."));
	FAILS(EINVAL, reset_in("mnt", "d/a"));
	FAILS(EINVAL, reset_in("mnt", ".wh..wh.mica"));
	FAILS(ENAMETOOLONG, reset_in("mnt", longname));
	FAILS(EFAULT, reset_in("mnt", NULL));
	FAILS(ENOTTY, reset_in("mnt/s", "s"));
	FAILS(ENOTTY, reset_in("l1", "f"));
	ASSERT_EQ(EPERM, as_user(1, reset_as_user, NULL));
	HAS("mnt/s", "n");
	DO(umount("mnt"));
	DO(mount_union_ro("up:l1:l2"));
	FAILS(ENODATA, reset_in("mnt", "s"));
}

/* Whoever looks finds the one or the other, and whoever writes loses nothing. */
TEST_F(reset, it_is_one_step_for_others)
{
	char text[8];
	pid_t writer, reader;
	int status, i, fd;

	NOT_ON_OVERLAY("there is no such command");
	DO(run("mkdir l1/d && echo old >l1/d/f"));
	DO(mount_union("up:l1"));
	writer = fork();
	if (!writer) {
		for (;;) {
			fd = open("mnt/d/f", O_WRONLY);
			if (fd < 0 || pwrite(fd, "new", 3, 0) != 3)
				_exit(1);
			close(fd);
		}
	}
	reader = fork();
	if (!reader) {
		for (;;) {
			fd = open("mnt/d/f", O_RDONLY);
			if (fd < 0 || pread(fd, text, 8, 0) != 4 ||
			    (memcmp(text, "old\n", 4) && memcmp(text, "new\n", 4)))
				_exit(1);
			close(fd);
		}
	}
	for (i = 0; i < 30; i++) {
		if (reset_in(i & 1 ? "mnt" : "mnt/d", i & 1 ? "d" : "f"))
			ASSERT_EQ(ENODATA, errno) {
				TH_LOG("%s", why.text);
			}
	}
	ASSERT_EQ(0, waitpid(writer, &status, WNOHANG));
	ASSERT_EQ(0, waitpid(reader, &status, WNOHANG));
	kill(writer, SIGKILL);
	kill(reader, SIGKILL);
	waitpid(writer, &status, 0);
	waitpid(reader, &status, 0);
}

TEST_HARNESS_MAIN
