// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many processes change the same directories at once. Each owns names that no
 * other touches, and remembers what became of them, so that afterwards the
 * whole view can be compared to what it must be. Other names are everybody's:
 * there only the errors that such races may give are allowed.
 */
#include <dirent.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include "../lib/harness.h"
#include "util.h"

#define WRITERS	6
#define NAMES	12	/* of each writer, in each directory */
#define DIRS	3
#define ROUNDS	400

/* What a name holds: nothing, what was there at first, or a number. */
enum { ABSENT = -1, DIRECTORY = -2 };

struct model {
	int is[WRITERS][DIRS][NAMES];
	atomic_int failures;
	atomic_int stop;
};

UNION_FIXTURE(stress)

static void name_of(char *path, int writer, int dir, int name)
{
	sprintf(path, "mnt/d%d/w%d-%d", dir, writer, name);
}

static int complain(const char *what, const char *path)
{
	printf("# %s %s: %s\n", what, path, strerror(errno));
	return 1;
}

static int put_number(const char *path, int number)
{
	char text[16];

	sprintf(text, "%d", number);
	return put(path, text);
}

/* One step on one name of one's own. Returns 1 if it went wrong. */
static int step(struct model *m, int w, unsigned int *seed, int number)
{
	int dir = rand_r(seed) % DIRS, name = rand_r(seed) % NAMES;
	int dir2 = rand_r(seed) % DIRS, name2 = rand_r(seed) % NAMES;
	int *is = &m->is[w][dir][name], *is2 = &m->is[w][dir2][name2];
	char path[64], path2[64];

	name_of(path, w, dir, name);
	name_of(path2, w, dir2, name2);
	switch (rand_r(seed) % 6) {
	case 0:
	case 1:
		if (*is == DIRECTORY)
			break;
		if (put_number(path, number))
			return complain("put", path);
		*is = number;
		break;
	case 2:
		if (*is == ABSENT) {
			if (!unlink(path) || errno != ENOENT)
				return complain("unlink of nothing", path);
		} else if (*is == DIRECTORY) {
			if (rmdir(path))
				return complain("rmdir", path);
		} else if (unlink(path)) {
			return complain("unlink", path);
		}
		*is = ABSENT;
		break;
	case 3:
		if (*is == ABSENT && mkdir(path, 0755))
			return complain("mkdir", path);
		if (*is == ABSENT)
			*is = DIRECTORY;
		break;
	case 4:
		if (*is < 0 || *is2 == DIRECTORY || is == is2)
			break;
		if (rename(path, path2))
			return complain("rename", path);
		*is2 = *is;
		*is = ABSENT;
		break;
	case 5:
		if (*is >= 0 && atoi(content(path)) != *is) {
			errno = 0;
			return complain(content(path), path);
		}
		break;
	}
	return 0;
}

static bool allowed(int err)
{
	static const int errors[] = {
		ENOENT, EEXIST, EISDIR, ENOTDIR, ENOTEMPTY, ESTALE
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++)
		if (err == errors[i])
			return err != ESTALE;	/* the VFS retries those */
	return false;
}

/* One step on names that are everybody's. */
static int race(unsigned int *seed)
{
	char a[64], b[64];
	int err = 0;

	sprintf(a, "mnt/d%d/all-%d", rand_r(seed) % DIRS, rand_r(seed) % 4);
	sprintf(b, "mnt/d%d/all-%d", rand_r(seed) % DIRS, rand_r(seed) % 4);
	switch (rand_r(seed) % 7) {
	case 0:
		err = put(a, "raced");
		break;
	case 1:
		err = unlink(a);
		break;
	case 2:
		err = mkdir(a, 0755);
		break;
	case 3:
		err = rmdir(a);
		break;
	case 4:
		err = rename(a, b);
		if (err && (errno == EINVAL || errno == EXDEV))
			err = 0;
		break;
	case 5:
		err = link(a, b);
		if (err && errno == EPERM)	/* a directory */
			err = 0;
		break;
	case 6:
		err = chmod(a, 0755);
		break;
	}
	return err && !allowed(errno) ? complain("race for", a) : 0;
}

static int writer(struct model *m, int w)
{
	unsigned int seed = 17 * w + 1;
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (step(m, w, &seed, i) || race(&seed))
			return 1;
	return 0;
}

/* Reads the directories over and over; a name must not come twice. */
static int reader(struct model *m)
{
	char path[64], seen[WRITERS][NAMES];
	int w, n, dir = 0, err = 0;
	struct dirent *de;
	DIR *d;

	while (!atomic_load(&m->stop) && !err) {
		sprintf(path, "mnt/d%d", dir++ % DIRS);
		memset(seen, 0, sizeof(seen));
		d = opendir(path);
		if (!d)
			return complain("opendir", path);
		while (errno = 0, (de = readdir(d))) {
			if (!strncmp(de->d_name, ".wh.", 4))
				err = complain("shown:", de->d_name);
			if (sscanf(de->d_name, "w%d-%d", &w, &n) == 2 &&
			    seen[w][n]++)
				err = complain("twice:", de->d_name);
		}
		if (errno)
			err = complain("readdir", path);
		closedir(d);
	}
	return err;
}

/* Everything must be as the model says. */
static int compare(struct model *m)
{
	int w, d, n, is, wrong = 0;
	char path[64];

	for (w = 0; w < WRITERS; w++) {
		for (d = 0; d < DIRS; d++) {
			for (n = 0; n < NAMES; n++) {
				is = m->is[w][d][n];
				name_of(path, w, d, n);
				if (is == ABSENT ? there(path) :
				    is == DIRECTORY ? !S_ISDIR(mode_of(path)) :
				    atoi(content(path)) != is) {
					printf("# %s: \"%s\" in place of %d\n",
					       path, content(path), is);
					wrong++;
				}
			}
		}
	}
	return wrong;
}

TEST_F(stress, the_view_is_what_the_changes_made_it)
{
	struct model *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[WRITERS + 1];
	int w, d, n, status;
	char path[64];

	ASSERT_NE(MAP_FAILED, m);
	/* At first a third is in each of two branches, a third is absent. */
	DO(run("mkdir l1/d0 l1/d1 l2/d0 l2/d1 l2/d2 up/d2"));
	for (w = 0; w < WRITERS; w++) {
		for (d = 0; d < DIRS; d++) {
			for (n = 0; n < NAMES; n++) {
				m->is[w][d][n] = n % 3 ? 1000 + n : ABSENT;
				if (n % 3 == 0)
					continue;
				sprintf(path, "%s/d%d/w%d-%d",
					n % 3 == 1 && d < 2 ? "l1" : "l2",
					d, w, n);
				DO(put_number(path, 1000 + n));
			}
		}
	}
	DO(run("cp -a l1 l1.before; cp -a l2 l2.before"));
	DO(mount_union("up:l1:l2"));

	fflush(NULL);
	for (w = 0; w <= WRITERS; w++) {
		pids[w] = fork();
		if (!pids[w])
			_exit(w < WRITERS ? writer(m, w) : reader(m));
	}
	for (w = 0; w < WRITERS; w++) {
		ASSERT_EQ(pids[w], waitpid(pids[w], &status, 0));
		EXPECT_EQ(0, status);
	}
	atomic_store(&m->stop, 1);
	ASSERT_EQ(pids[WRITERS], waitpid(pids[WRITERS], &status, 0));
	EXPECT_EQ(0, status);

	ASSERT_EQ(0, compare(m));
	DO(run("diff -r l1 l1.before && diff -r l2 l2.before"));
	/* And not from memory either. */
	DO(umount("mnt"));
	DO(mount_union("up:l1:l2"));
	ASSERT_EQ(0, compare(m));
	DO(run("rm -r mnt/*"));
	ASSERT_STREQ("", ls("mnt"));
}

TEST_HARNESS_MAIN
