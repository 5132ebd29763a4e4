// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes write, rename, unlink and read while the branches change. A snapshot
 * has what each of them had done at one moment: nothing is lost, nothing is in it
 * early or late. All that they have open goes on working.
 */
#include <dirent.h>
#include <time.h>
#include <sys/mman.h>
#include "../lib/harness.h"
#include "branches.h"
#include "util.h"

UNION_FIXTURE(live_writers);

#define WRITERS 10
/* Of nine, two are snapshots. The long form takes more than a minute. */
#define CHANGES 36
#define LONG_CHANGES 108
#define LONG_PAUSE (60 * 1000000 / LONG_CHANGES)

/* How far each of the writers is: steps begun, and done. */
static struct progress {
	unsigned int begun[WRITERS];
	unsigned int done[WRITERS];
	unsigned int failed;
	bool stop;
} *progress;

#define GET(what) __atomic_load_n(&progress->what, __ATOMIC_SEQ_CST)
#define SET(what, to) __atomic_store_n(&progress->what, to, __ATOMIC_SEQ_CST)

/* What a writer has from the beginning to the end. */
static struct {
	int log;		/* open, to append to */
	int counter;		/* open, to write at its beginning */
	int fresh;		/* the new file, from its creation to its write */
	int unnamed;		/* in no snapshot */
	int dir;		/* the directory itself */
	const char *low;	/* a mapping of a file that nobody writes to */
} held;

#define LOW "never written to"

/*
 * Each step is one system call that changes what can be seen, so that a snapshot
 * is between two of them. Names end in the number of the round.
 */
enum {
	MKDIR,			/* d */
	CREATE,			/* d/f */
	WRITE,			/* the number, into it */
	RENAME,			/* d/f -> f */
	RENAME_DIR,		/* d -> e, over that of the last round */
	COUNT,			/* the number, into the counter */
	UNLINK,			/* the f of the last round */
	REPLACE,		/* f -> g, over that of the last round */
	LINK,			/* g, as f */
	APPEND,			/* to the log */
	STEPS
};

/* The number of a round has always the same size. */
static void number(char *text, unsigned int n)
{
	sprintf(text, "%08u", n);
}

static int create(const char *name)
{
	held.fresh = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
	return held.fresh < 0 ? -1 : 0;
}

static int write_number(unsigned int n)
{
	char text[16];

	number(text, n);
	return write(held.fresh, text, 8) == 8 ? close(held.fresh) : -1;
}

static int do_step(unsigned int step)
{
	unsigned int n = step / STEPS;
	char d[16], df[32], f[16], last[16], text[16];

	snprintf(d, sizeof(d), "d%u", n);
	snprintf(df, sizeof(df), "d%u/f", n);
	snprintf(f, sizeof(f), "f%u", n);
	snprintf(last, sizeof(last), "f%u", n - 1);
	number(text, n + 1);
	switch (step % STEPS) {
	case MKDIR:
		return mkdir(d, 0755);
	case CREATE:
		return create(df);
	case WRITE:
		return write_number(n);
	case RENAME:
		return rename(df, f);
	case RENAME_DIR:
		return rename(d, "e");
	case COUNT:
		return pwrite(held.counter, text, 8, 0) == 8 ? 0 : -1;
	case UNLINK:
		return n ? unlink(last) : 0;
	case REPLACE:
		return rename(f, "g");
	case LINK:
		return linkat(held.dir, "g", held.dir, f, 0);
	default:
		return write(held.log, ".", 1) == 1 ? 0 : -1;
	}
}

static bool is_number(const char *dir, const char *name, unsigned int n)
{
	char path[PATH_MAX], text[16];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	number(text, n);
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

static bool is_empty_dir(const char *path)
{
	return S_ISDIR(mode_of(path)) && !entries(path);
}

static bool same_file(const char *dir, const char *a, const char *b)
{
	char x[64], y[64];
	struct stat p, q;

	snprintf(x, sizeof(x), "%s/%s", dir, a);
	snprintf(y, sizeof(y), "%s/%s", dir, b);
	return !stat(x, &p) && !stat(y, &q) && p.st_ino == q.st_ino;
}

/* The new directory, while there is one, with what is in it. */
static bool new_dir_matches(const char *dir, unsigned int n, unsigned int at)
{
	char path[64], file[80];

	snprintf(path, sizeof(path), "%s/d%u", dir, n);
	if (at <= CREATE || at > WRITE + 1)
		return is_empty_dir(path);
	snprintf(file, sizeof(file), "%s/f", path);
	return entries(path) == 1 && (at == WRITE ? !*content(file) :
						    is_number(path, "f", n));
}

/*
 * Is that what the directory of a writer has in it after so many steps? What is
 * done in the round is what is before @at.
 */
static bool matches(const char *dir, unsigned int steps)
{
	unsigned int n = steps / STEPS, at = steps % STEPS;
	unsigned int nr = 3;	/* log, counter, low */
	char path[64], f[16], last[16];
	struct stat st;

	snprintf(f, sizeof(f), "f%u", n);
	snprintf(last, sizeof(last), "f%u", n - 1);
	snprintf(path, sizeof(path), "%s/log", dir);
	if (stat(path, &st) || st.st_size != n)
		return false;
	if (!is_number(dir, "counter", at > COUNT ? n + 1 : n))
		return false;
	if (at > MKDIR && at <= RENAME_DIR) {
		nr++;
		if (!new_dir_matches(dir, n, at))
			return false;
	}
	if (n || at > RENAME_DIR) {
		nr++;
		snprintf(path, sizeof(path), "%s/e", dir);
		if (!is_empty_dir(path))
			return false;
	}
	if (n && at <= UNLINK) {
		nr++;
		if (!is_number(dir, last, n - 1) || !same_file(dir, last, "g"))
			return false;
	}
	if (n || at > REPLACE) {
		nr++;
		if (!is_number(dir, "g", at > REPLACE ? n : n - 1))
			return false;
	}
	if ((at > RENAME && at <= REPLACE) || at > LINK) {
		nr++;
		if (!is_number(dir, f, n))
			return false;
	}
	return entries(dir) == nr;
}

static bool starts_with(int fd, const char *text)
{
	char got[16] = "";

	return pread(fd, got, 8, 0) == 8 && !strncmp(got, text, 8);
}

/* A file that was written just now, mapped: by its name, and as it is held. */
static bool maps_as(const char *name, const char *text)
{
	int fd = open(name, O_RDONLY);
	char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	bool same = map != MAP_FAILED && !strncmp(map, text, 8);

	close(fd);
	return map != MAP_FAILED && !munmap(map, 4096) && same;
}

static bool lists(const char *name)
{
	int fd = openat(held.dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(fd);
	struct dirent *de;
	bool found = false;

	while (dir && (de = readdir(dir)))
		found |= !strcmp(de->d_name, name);
	closedir(dir);
	return found;
}

/* After a round: what is seen by the names, and by all that is held. */
static bool reads_right(unsigned int n)
{
	char f[16], text[16], next[16];
	struct stat st;

	snprintf(f, sizeof(f), "f%u", n);
	number(text, n);
	number(next, n + 1);
	return is_number(".", f, n) && maps_as(f, text) && lists(f) &&
	       starts_with(held.counter, next) &&
	       !fstat(held.log, &st) && st.st_size == n + 1 &&
	       pwrite(held.unnamed, text, 8, 0) == 8 &&
	       starts_with(held.unnamed, text) &&
	       !strcmp(held.low, LOW) && !strcmp(content("low"), LOW) &&
	       there("e") && there("g");
}

static int begin_writing(unsigned int i)
{
	char dir[32];
	int low;

	snprintf(dir, sizeof(dir), "mnt/w%u", i);
	if (chdir(dir))
		return -1;
	held.log = open("log", O_WRONLY | O_APPEND);
	held.counter = open("counter", O_RDWR);
	held.unnamed = open(".", O_TMPFILE | O_RDWR, 0600);
	held.dir = open(".", O_RDONLY | O_DIRECTORY);
	low = open("low", O_RDONLY);
	held.low = mmap(NULL, 4096, PROT_READ, MAP_SHARED, low, 0);
	close(low);
	return held.log < 0 || held.counter < 0 || held.unnamed < 0 ||
	       held.dir < 0 || held.low == MAP_FAILED;
}

static void fail_at(unsigned int i, unsigned int step, const char *what)
{
	fprintf(stderr, "# writer %u, round %u, step %u: %s: %m\n", i,
		step / STEPS, step % STEPS, what);
	SET(failed, 1);
	_exit(1);
}

static void writer(unsigned int i)
{
	unsigned int step;

	if (begin_writing(i))
		fail_at(i, 0, "does not begin");
	for (step = 0; !GET(stop); step++) {
		SET(begun[i], step + 1);
		errno = 0;
		if (do_step(step))
			fail_at(i, step, "fails");
		SET(done[i], step + 1);
		if (step % STEPS == APPEND && !reads_right(step / STEPS))
			fail_at(i, step, "reads what is wrong");
	}
	_exit(0);
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

/* The branches that the next snapshot will have. */
static char stack[2048];

static int make_snapshot(void)
{
	unsigned int least[WRITERS], most[WRITERS];
	static unsigned int nr;
	char name[16], more[sizeof(stack) + sizeof(name)];

	snprintf(name, sizeof(name), "s%u", nr++);
	get_done(least);
	if (mkdir(name, 0755) || snapshot(name))
		return -1;
	get_begun(most);
	if (check_snapshot(stack, least, most))
		return -1;
	snprintf(more, sizeof(more), "%s:%s", name, stack);
	strcpy(stack, more);
	return 0;
}

static int extra;

static int add_it(const char *path, unsigned int flags, unsigned int pos)
{
	extra = add_branch(path, flags, pos);
	return extra < 0 ? -1 : 0;
}

/* One of the changes, which come in turn. */
static int change(unsigned int i)
{
	switch (i % 9) {
	case 0:
	case 5:
		return make_snapshot();
	case 1:
		return add_it("l2", 0, i);
	case 2:
		return move_branch(extra, 1);
	case 3:
		return move_branch(extra, 2);
	case 6:
		return add_it("l3", MICA_BRANCH_RW, 0);
	case 7:
		return set_mode(extra, 0);
	default:
		return del_branch(extra);
	}
}

TEST_F_TIMEOUT(live_writers, snapshots_are_of_one_moment, 1200)
{
	bool is_long = *(getenv("MICA_LONG") ?: "");
	unsigned int least[WRITERS], i;
	pid_t pid[WRITERS];
	int status;

	NOT_ON_OVERLAY("its layers stay");
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, progress);
	DO(mkdir("old", 0755));
	/* Of the branches that come and go, one has a part of a directory. */
	DO(run("mkdir l2/w0 l2/x l3/y && cd l1 && for i in $(seq 0 %d); do "
	       "mkdir w$i && touch w$i/log && printf 00000000 >w$i/counter && "
	       "printf '" LOW "' >w$i/low || exit; done", WRITERS - 1));
	strcpy(stack, "up:l1");
	DO(mount_union(stack));
	for (i = 0; i < WRITERS; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			writer(i);
	}
	for (i = 0; i < (is_long ? LONG_CHANGES : CHANGES) && !GET(failed); i++) {
		usleep(is_long ? LONG_PAUSE : 20000);
		CHANGED(change(i));
	}
	SET(stop, true);
	for (i = 0; i < WRITERS; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
		fprintf(stderr, "# writer %u: %u steps\n", i, progress->done[i]);
		/* Nothing is seen of one that had no turn. */
		EXPECT_LT(STEPS, progress->done[i]);
	}
	get_done(least);
	DO(umount("mnt"));
	DO(check_snapshot(stack, least, least));
	munmap(progress, sizeof(*progress));
}

TEST_HARNESS_MAIN
