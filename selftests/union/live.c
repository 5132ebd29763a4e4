// SPDX-License-Identifier: GPL-2.0-only
/* Branches that come and go while the union is mounted and in use. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "util.h"
#include "../../uapi/mica.h"

UNION_FIXTURE(live);

static struct mica_reason why;

static int mount_union_at(const char *branches, const char *target)
{
	char options[4096], *p = stpcpy(options, "dirs=");

	/* All of them ro. */
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
	int fd = open("mnt", O_RDONLY | O_DIRECTORY), ret, err;

	c->size = sizeof(*c);
	c->reason_ptr = (unsigned long)&why;
	c->reason_len = sizeof(why);
	ret = ioctl(fd, command, c);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

/* The number of the new branch, or -1. */
static int add_branch(const char *path, unsigned int flags, unsigned int pos)
{
	struct mica_union_change c = { .flags = flags, .pos = pos };
	int ret;

	c.fd = open(path, O_PATH);
	ret = change(MICA_UNION_ADD, &c);
	close(c.fd);
	return ret ? -1 : (int)c.branch;
}

static int del_branch(int id)
{
	struct mica_union_change c = { .branch = id };

	return change(MICA_UNION_DEL, &c);
}

static int set_mode(int id, unsigned int flags)
{
	struct mica_union_change c = { .flags = flags, .branch = id };

	return change(MICA_UNION_MODE, &c);
}

static int move_branch(int id, unsigned int pos)
{
	struct mica_union_change c = { .pos = pos, .branch = id };

	return change(MICA_UNION_MOVE, &c);
}

static int snapshot(const char *path)
{
	struct mica_union_change c = {};
	int ret;

	c.fd = open(path, O_PATH);
	ret = change(MICA_UNION_SNAPSHOT, &c);
	close(c.fd);
	return ret;
}

TEST_F(live, a_branch_that_is_added_shows_at_once)
{
	char text[8] = "";
	int fd, dir;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir l1/d l2/d l1/only && echo 1 >l1/f && echo 2 >l2/f && "
	       "echo 2 >l2/new && touch l1/d/a l2/d/b l1/gone"));
	DO(make_whiteout("l2", "gone"));
	DO(mount_union("up:l1"));
	fd = open("mnt/f", O_RDONLY);
	ASSERT_LE(0, fd);
	dir = open("mnt/d", O_RDONLY);
	ASSERT_LE(0, dir);
	ASSERT_FALSE(there("mnt/new"));
	ASSERT_TRUE(there("mnt/gone"));
	ASSERT_STREQ("a", ls("mnt/d"));
	ASSERT_LT(0, add_branch("l2", 0, 1)) {
		TH_LOG("%s", why.text);
	}
	HAS("mnt/f", "2\n");
	HAS("mnt/new", "2\n");
	ASSERT_FALSE(there("mnt/gone"));
	ASSERT_STREQ("a b", ls("mnt/d"));
	ASSERT_EQ(0, faccessat(dir, "b", F_OK, 0));
	/* What is open stays what it was. */
	ASSERT_EQ(2, read(fd, text, sizeof(text)));
	ASSERT_STREQ("1\n", text);
	close(fd);
	close(dir);
}

TEST_F(live, a_branch_that_is_removed_is_gone_at_once)
{
	char text[8] = "", cwd[PATH_MAX];
	int fd, id;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir l1/d l2/d && echo 1 >l1/f && echo 2 >l2/f && "
	       "echo 2 >l2/new && touch l1/d/a l2/d/b"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id);
	fd = open("mnt/f", O_RDONLY);
	ASSERT_LE(0, fd);
	HAS("mnt/new", "2\n");
	DO(chdir("mnt/d"));
	ASSERT_STREQ("a b", ls("."));
	DO(chdir("../.."));
	ASSERT_EQ(0, del_branch(id)) {
		TH_LOG("%s", why.text);
	}
	HAS("mnt/f", "1\n");
	ASSERT_FALSE(there("mnt/new"));
	ASSERT_STREQ("a", ls("mnt/d"));
	ASSERT_EQ(2, read(fd, text, sizeof(text)));
	ASSERT_STREQ("2\n", text);
	close(fd);
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	FAILS(ENOENT, del_branch(id));
}

/* Looks at names and has them forgotten, for as long as it lives. */
static void look_and_forget(void)
{
	int drop = open("/proc/sys/vm/drop_caches", O_WRONLY), i;
	char path[32];

	/* The kernel does not log each. */
	if (write(drop, "4", 1) != 1)
		_exit(1);
	for (;;) {
		for (i = 0; i < 50; i++) {
			snprintf(path, sizeof(path), "mnt/d/%d", i);
			access(path, F_OK);
		}
		if (write(drop, "2", 1) != 1)
			_exit(1);
	}
}

TEST_F(live, names_are_freed_while_branches_change)
{
	int i, id, status;
	pid_t child;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir l1/d l2/d && cd l1/d && seq 0 49 | xargs touch"));
	DO(mount_union("up:l1"));
	child = fork();
	if (!child)
		look_and_forget();
	for (i = 0; i < 100; i++) {
		id = add_branch("l2", 0, 1);
		ASSERT_LT(0, id) {
			TH_LOG("%s", why.text);
		}
		ASSERT_EQ(0, del_branch(id)) {
			TH_LOG("%s", why.text);
		}
	}
	ASSERT_EQ(0, waitpid(child, &status, WNOHANG));
	DO(kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(there("mnt/d/49"));
}

TEST_F(live, a_directory_in_use_stays_or_the_branch_does)
{
	int id, fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(run("mkdir -p l2/only/sub l1/both l2/both && touch l2/both/x"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id);
	fd = open("mnt/only/sub", O_RDONLY);
	ASSERT_LE(0, fd);
	FAILS(EBUSY, del_branch(id));
	ASSERT_EQ(MICA_REASON_IN_USE, why.code);
	ASSERT_STREQ("/only/sub", (char *)why.subject);
	ASSERT_TRUE(there("mnt/only/sub"));
	close(fd);
	DO(mount("l3", "mnt/only", NULL, MS_BIND, NULL));
	FAILS(EBUSY, del_branch(id));
	DO(umount("mnt/only"));
	fd = open("mnt/both", O_RDONLY);
	ASSERT_EQ(0, del_branch(id)) {
		TH_LOG("%s", why.text);
	}
	ASSERT_FALSE(there("mnt/only"));
	FAILS(ENOENT, faccessat(fd, "x", F_OK, 0));
	close(fd);
	DO(put("mnt/both/y", "y"));
	HAS("up/both/y", "y");
}

/* If something of it stayed behind, its file system could not be unmounted. */
TEST_F(live, links_stay_while_the_mode_of_their_branch_changes)
{
	int id, i;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "1") | link("l1/f", "l1/g"));
	DO(mount("none", "up", "tmpfs", 0, NULL));
	DO(mount_union_with("l2:l1", "copyup=top"));
	id = add_branch("up", MICA_BRANCH_RW, 0);
	ASSERT_LT(0, id);
	for (i = 0; i < 3; i++) {
		DO(add("mnt/f", "+"));
		DO(set_mode(id, 0));
		ASSERT_STREQ(content("mnt/f"), content("mnt/g"));
		DO(set_mode(id, MICA_BRANCH_RW));
	}
	DO(add("mnt/g", "-"));
	HAS("mnt/f", "1+++-");
	DO(umount("mnt"));
	DO(umount("up"));
}

TEST_F(live, a_union_that_somebody_froze_is_not_changed)
{
	int fd, id;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l2/f", "2"));
	DO(mount_union("up:l1"));
	fd = open("mnt", O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	DO(ioctl(fd, FIFREEZE, 0));
	FAILS(EBUSY, add_branch("l2", 0, 1));
	ASSERT_FALSE(there("mnt/f"));
	/* It is still frozen. */
	FAILS(EBUSY, ioctl(fd, FIFREEZE, 0));
	DO(ioctl(fd, FITHAW, 0));
	id = add_branch("l2", 0, 1);
	ASSERT_LT(0, id);
	HAS("mnt/f", "2");
	close(fd);
}

TEST_F(live, the_order_of_branches_can_be_changed)
{
	int id;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "1") | put("l2/f", "2"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 2);
	ASSERT_LT(0, id);
	HAS("mnt/f", "1");
	DO(move_branch(id, 1));
	HAS("mnt/f", "2");
	DO(move_branch(id, 7));
	HAS("mnt/f", "1");
}

TEST_F(live, the_mode_of_a_branch_can_be_changed)
{
	int id, fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/f", "1") | put("l2/f", "2"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", 0, 0);
	ASSERT_LT(0, id);
	FAILS(EROFS, add("mnt/f", "+"));
	DO(set_mode(id, MICA_BRANCH_RW));
	fd = open("mnt/f", O_WRONLY | O_APPEND);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, write(fd, "+", 1));
	HAS("l2/f", "2+");
	DO(set_mode(id, 0));
	ASSERT_EQ(-1, write(fd, "+", 1));
	ASSERT_EQ(EROFS, errno);
	HAS("l2/f", "2+");
	DO(move_branch(id, 1));
	ASSERT_EQ(1, write(fd, "-", 1));
	HAS("up/f", "2+-");
	HAS("l2/f", "2+");
	HAS("mnt/f", "2+-");
	close(fd);
}

TEST_F(live, a_snapshot_does_not_change_any_more)
{
	void *map;
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l1/low", "low"));
	DO(mount_union("up:l1"));
	DO(put("mnt/f", "one") | put("mnt/gone", "gone") | mkdir("mnt/d", 0755));
	fd = open("mnt/f", O_RDWR);
	ASSERT_LE(0, fd);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	DO(put("l2/x", ""));
	FAILS(ENOTEMPTY, snapshot("l2"));
	DO(unlink("l2/x"));
	FAILS(EBUSY, snapshot("l2"));
	ASSERT_STREQ("/f", (char *)why.subject);
	DO(munmap(map, 4096));
	ASSERT_EQ(0, snapshot("l2")) {
		TH_LOG("%s", why.text);
	}
	ASSERT_EQ(3, pwrite(fd, "two", 3, 0));
	DO(fsync(fd));
	HAS("mnt/f", "two");
	HAS("up/f", "one");
	HAS("l2/f", "two");
	DO(unlink("mnt/gone"));
	DO(put("mnt/d/new", "new"));
	ASSERT_STREQ("d f gone", ls("up"));
	close(fd);
	DO(umount("mnt"));
	/* It can be looked at, but not be changed by accident. */
	DO(mount_union_ro("up:l1"));
	HAS("mnt/f", "one");
	HAS("mnt/gone", "gone");
	ASSERT_STREQ("", ls("mnt/d"));
	DO(umount("mnt"));
	FAILS(EROFS, mount_union("up:l1"));
	DO(mount_union("l2:up:l1"));
	HAS("mnt/f", "two");
	ASSERT_FALSE(there("mnt/gone"));
	HAS("mnt/d/new", "new");
}

#define WRITERS 8
#define CHANGES 100

/* How far each of the writers is: steps begun, and done. */
static struct progress {
	unsigned int begun[WRITERS];
	unsigned int done[WRITERS];
	unsigned int failed;
	bool stop;
} *progress;

#define GET(what) __atomic_load_n(&progress->what, __ATOMIC_SEQ_CST)
#define SET(what, to) __atomic_store_n(&progress->what, to, __ATOMIC_SEQ_CST)

/* Each step is one system call, so that a snapshot is between two of them. */
#define STEPS 7

static int do_step(unsigned int step, int log)
{
	static int fd = -1;
	unsigned int n = step / STEPS;
	char from[32], to[32];

	switch (step % STEPS) {
	case 0:
		snprintf(to, sizeof(to), "d%u", n);
		return mkdir(to, 0755);
	case 1:
		snprintf(to, sizeof(to), "d%u/f", n);
		fd = open(to, O_CREAT | O_EXCL | O_WRONLY, 0644);
		return fd < 0 ? -1 : 0;
	case 2:
		snprintf(to, sizeof(to), "%u", n);
		return write(fd, to, strlen(to)) != strlen(to) || close(fd);
	case 3:
		snprintf(from, sizeof(from), "d%u/f", n);
		snprintf(to, sizeof(to), "f%u", n);
		return rename(from, to);
	case 4:
		snprintf(from, sizeof(from), "d%u", n);
		return rename(from, "e");
	case 5:
		if (!n)
			return 0;
		snprintf(from, sizeof(from), "f%u", n - 1);
		return unlink(from);
	default:
		return write(log, ".", 1) != 1;
	}
}

static bool is_file(const char *dir, unsigned int n)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), "%s/f%u", dir, n);
	snprintf(text, sizeof(text), "%u", n);
	return !strcmp(content(path), text);
}

static unsigned int entries(const char *dir)
{
	const char *names = ls(dir);
	unsigned int nr = *names != 0;

	while ((names = strchr(names, ' ')) && names++)
		nr++;
	return nr;
}

/* Is that what the directory of a writer has in it after so many steps? */
static bool matches(const char *dir, unsigned int steps)
{
	unsigned int n = steps / STEPS, at = steps % STEPS, nr = 1;
	char path[64], text[32] = "";
	struct stat st;

	snprintf(path, sizeof(path), "%s/log", dir);
	if (stat(path, &st) || st.st_size != n)
		return false;
	if (at >= 1 && at <= 4) {
		nr++;
		snprintf(path, sizeof(path), "%s/d%u", dir, n);
		if (stat(path, &st) || !S_ISDIR(st.st_mode) ||
		    entries(path) != (at == 2 || at == 3))
			return false;
	}
	if (at == 2 || at == 3) {
		snprintf(path, sizeof(path), "%s/d%u/f", dir, n);
		if (at == 3)
			snprintf(text, sizeof(text), "%u", n);
		if (strcmp(content(path), text))
			return false;
	}
	if (n || at >= 5) {
		nr++;
		snprintf(path, sizeof(path), "%s/e", dir);
		if (stat(path, &st) || !S_ISDIR(st.st_mode) || entries(path))
			return false;
	}
	if (n && at < 6) {
		nr++;
		if (!is_file(dir, n - 1))
			return false;
	}
	if (at >= 4) {
		nr++;
		if (!is_file(dir, n))
			return false;
	}
	return entries(dir) == nr;
}

static void writer(unsigned int i)
{
	unsigned int step;
	char dir[32];
	int log;

	snprintf(dir, sizeof(dir), "mnt/w%u", i);
	log = chdir(dir) ? -1 : open("log", O_WRONLY | O_APPEND);
	for (step = 0; log >= 0 && !GET(stop); step++) {
		SET(begun[i], step + 1);
		if (do_step(step, log)) {
			fprintf(stderr, "# writer %u, step %u: %m\n", i, step);
			SET(failed, 1);
			_exit(1);
		}
		SET(done[i], step + 1);
		/* Somebody else has to see it meanwhile. */
		if (step % STEPS == 3 && access("e", F_OK) && step > STEPS) {
			fprintf(stderr, "# writer %u, step %u: e is gone\n", i, step);
			SET(failed, 1);
			_exit(1);
		}
	}
	_exit(log < 0);
}

/* Each writer's directory is as it was between two of its steps at that time. */
static int check_snapshot(const char *branches, const unsigned int *least,
			  const unsigned int *most)
{
	unsigned int i, steps;
	char dir[32];

	if (mount_union_at(branches, "old"))
		return -1;
	for (i = 0; i < WRITERS; i++) {
		snprintf(dir, sizeof(dir), "old/w%u", i);
		for (steps = least[i]; steps <= most[i]; steps++)
			if (matches(dir, steps))
				break;
		if (steps > most[i]) {
			fprintf(stderr, "# %s of %s is of no step from %u to %u: %s\n",
				dir, branches, least[i], most[i], ls(dir));
			errno = EILSEQ;
			return -1;
		}
	}
	return umount("old");
}

static void get_done(unsigned int *to)
{
	unsigned int i;

	for (i = 0; i < WRITERS; i++)
		to[i] = GET(done[i]);
}

static void get_begun(unsigned int *to)
{
	unsigned int i;

	for (i = 0; i < WRITERS; i++)
		to[i] = GET(begun[i]);
}

TEST_F(live, snapshots_under_load_are_of_one_moment)
{
	unsigned int least[WRITERS], most[WRITERS];
	unsigned int i, nr_snapshots = 0;
	char branches[2048] = "up:l1", more[2048], name[32];
	int extra = 0, status;
	pid_t pid[WRITERS];

	NOT_ON_OVERLAY("its layers stay");
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, progress);
	DO(mkdir("old", 0755));
	DO(run("mkdir l2/w0 l2/x && cd l1 && for i in 0 1 2 3 4 5 6 7; do "
	       "mkdir w$i && touch w$i/log || exit; done"));
	DO(mount_union("up:l1"));
	for (i = 0; i < WRITERS; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			writer(i);
	}
	for (i = 0; i < CHANGES && !GET(failed); i++) {
		usleep(20000);
		switch (i % 5) {
		case 0:
			snprintf(name, sizeof(name), "s%u", nr_snapshots);
			DO(mkdir(name, 0755));
			get_done(least);
			ASSERT_EQ(0, snapshot(name)) {
				TH_LOG("%s", why.text);
			}
			get_begun(most);
			DO(check_snapshot(branches, least, most));
			snprintf(more, sizeof(more), "%s:%s", name, branches);
			strcpy(branches, more);
			nr_snapshots++;
			break;
		case 1:
			extra = add_branch("l2", 0, i);
			ASSERT_LT(0, extra) {
				TH_LOG("%s", why.text);
			}
			break;
		case 2:
			DO(move_branch(extra, 1));
			break;
		case 3:
			DO(move_branch(extra, 2));
			break;
		case 4:
			ASSERT_EQ(0, del_branch(extra)) {
				TH_LOG("%s", why.text);
			}
		}
	}
	SET(stop, true);
	for (i = 0; i < WRITERS; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		ASSERT_EQ(0, status);
		TH_LOG("writer %u: %u steps", i, progress->done[i]);
	}
	get_done(least);
	DO(umount("mnt"));
	DO(check_snapshot(branches, least, least));
	munmap(progress, sizeof(*progress));
}

TEST_HARNESS_MAIN
