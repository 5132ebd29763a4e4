// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module comes and goes a hundred times, with a union mounted and functions
 * claimed each time, and leaves nothing behind: no object in any slab cache, no
 * vmalloc area. MICA_LOADS in the environment sets how often.
 */
#include <sys/mount.h>
#include "session.h"
#include "kselftest.h"

#define DIR_AT		"/mnt/mica-load"
#define WARM_UP		10
#define MAX_CACHES	1024
#define SAMPLES		10

struct cache {
	char name[64];
	long objects;
	bool grew;
};

struct memory {
	int nr;
	struct cache cache[MAX_CACHES];
	long areas;
};

static char pair[2][BDF_LEN];

/* A copy-up, a whiteout and a new file. */
static int work_in_union(void)
{
	if (write_text(DIR_AT "/union/low", "more"))
		return -errno;
	if (unlink(DIR_AT "/union/low"))
		return -errno;
	if (mkdir(DIR_AT "/union/new", 0755) || rmdir(DIR_AT "/union/new"))
		return -errno;
	return 0;
}

static const char *once_loaded(void)
{
	struct mica_reason why;
	const char *failed = NULL;
	int fd;

	if (mount("none", DIR_AT "/union", "mica", 0,
		  "dirs=" DIR_AT "/rw=rw:" DIR_AT "/ro=ro"))
		return "mount";
	if (work_in_union())
		failed = "work in the union";
	fd = session_open();
	if (!failed && session_claim_many(fd, pair, 1, MICA_CLAIM_GROUP, NULL,
					  &why))
		failed = "claim";
	close(fd);
	if (umount(DIR_AT "/union") && !failed)
		failed = "umount";
	return failed;
}

static void empty_branch(void)
{
	DIR *dir = opendir(DIR_AT "/rw");
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
}

/* Once round; returns what failed, or NULL. */
static const char *once(void)
{
	const char *failed;

	if (module_load())
		return "insmod";
	failed = once_loaded();
	if (module_unload(10000) && !failed)
		failed = "rmmod";
	empty_branch();
	return failed;
}

/* What is cached for each CPU counts as in use otherwise. */
static void shrink_caches(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	char path[PATH_MAX];
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 d->d_name);
		write_text(path, "1");
	}
	if (dir)
		closedir(dir);
}

static void settle(void)
{
	sync();
	sleep_us(1000000);
	write_text("/proc/sys/vm/drop_caches", "3");
	sleep_us(500000);
}

static struct cache *cache_of(struct memory *memory, const char *name)
{
	int i;

	for (i = 0; i < memory->nr; i++)
		if (!strcmp(memory->cache[i].name, name))
			return &memory->cache[i];
	if (i == MAX_CACHES)
		return NULL;
	memory->nr++;
	snprintf(memory->cache[i].name, sizeof(memory->cache[i].name), "%.63s",
		 name);
	memory->cache[i].objects = LONG_MAX;
	return &memory->cache[i];
}

/* The least that was seen: what a CPU has at hand counts as in use. */
static int read_slabinfo(struct memory *memory)
{
	struct cache *cache;
	char line[512];
	FILE *file;
	long now;

	file = fopen("/proc/slabinfo", "r");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		char *end = strchr(line, ' ');

		if (*line == '#' || !end || !strncmp(line, "slabinfo", 8))
			continue;
		*end = 0;
		now = strtol(end + 1, NULL, 10);
		cache = cache_of(memory, line);
		if (cache && now < cache->objects)
			cache->objects = now;
	}
	fclose(file);
	return 0;
}

static int measure(struct memory *memory)
{
	char line[512];
	FILE *file;
	int i;

	memset(memory, 0, sizeof(*memory));
	settle();
	for (i = 0; i < SAMPLES; i++) {
		shrink_caches();
		sleep_us(50000);
		if (read_slabinfo(memory))
			return -errno;
	}
	file = fopen("/proc/vmallocinfo", "r");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		memory->areas++;
	fclose(file);
	return 0;
}

/*
 * What is lost each time shows as one object or more for each round. With @again,
 * only caches count that grew before.
 */
static int leaks(struct memory *before, struct memory *after, int rounds,
		 bool again)
{
	struct cache *was;
	int i, found = 0;
	long more;

	for (i = 0; i < after->nr; i++) {
		was = cache_of(before, after->cache[i].name);
		if (!was || was->objects == LONG_MAX)
			continue;
		more = after->cache[i].objects - was->objects;
		if (more > rounds / 4)
			printf("# %-24s %+ld objects\n", after->cache[i].name,
			       more);
		after->cache[i].grew = more >= rounds;
		found += more >= rounds && (was->grew || !again);
	}
	printf("# vmalloc areas %ld, %ld before\n", after->areas,
	       before->areas);
	return found;
}

static const char *rounds(int nr)
{
	const char *failed = NULL;
	int i;

	for (i = 0; i < nr && !failed; i++)
		failed = once();
	if (failed)
		printf("# round %d: %s: %s\n", i, failed, strerror(errno));
	return failed;
}

static bool unbound(void)
{
	return !*pci_driver(pair[0]) && !*pci_driver(pair[1]) &&
	       !*pci_override(pair[0]) && !*pci_override(pair[1]);
}

/*
 * A slab with room for as many objects as there are rounds may stay with a CPU
 * and count as in use. What is lost each time is lost the second time as well,
 * from the same cache.
 */
static bool grows(struct memory *before, struct memory *after, int nr)
{
	if (!leaks(before, after, nr, false))
		return false;
	printf("# once more, to tell a leak from a cache\n");
	*before = *after;
	return rounds(nr) || measure(after) || leaks(before, after, nr, true);
}

int main(void)
{
	static struct memory before, after;
	const char *text = getenv("MICA_LOADS");
	int nr = text ? atoi(text) : 100;

	ksft_print_header();
	ksft_set_plan(4);
	setvbuf(stdout, NULL, _IOLBF, 0);
	module_unload(10000);
	if (pci_find(pci_is_edu_paired, pair, 2) != 2 ||
	    system("mkdir -p " DIR_AT "/union " DIR_AT "/rw " DIR_AT "/ro") ||
	    system("echo low >" DIR_AT "/ro/low"))
		ksft_exit_fail_msg("no pair of edu, or no directories\n");
	if (rounds(WARM_UP) || measure(&before))
		ksft_exit_fail_msg("not even a few times\n");
	ksft_test_result(!rounds(nr), "%d times in and out\n", nr);
	if (measure(&after))
		ksft_exit_fail_msg("no slabinfo\n");
	ksft_test_result(!grows(&before, &after, nr), "no slab cache grew\n");
	ksft_test_result(after.areas - before.areas < nr / 4,
			 "no vmalloc areas are left\n");
	ksft_test_result(unbound(), "the functions are as they were\n");
	module_load();
	ksft_finished();
}
