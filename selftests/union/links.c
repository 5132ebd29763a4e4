// SPDX-License-Identifier: GPL-2.0-only
/* Hard links across copy-up. */
#include <sys/statvfs.h>
#include "../lib/harness.h"
#include "util.h"

UNION_FIXTURE(links);

static const char * const forms[] = { "dot", "overlay" };

static int mount_in_form(const char *form)
{
	char option[32];

	if (on_overlay)
		return mount_union_with("up:l1", "index=on");
	snprintf(option, sizeof(option), "whiteout=%s", form);
	return mount_union_with("up:l1", option);
}

/* Below, a, b and d/c are one file. */
static int start(const char *form)
{
	if (remove_all("up") || remove_all("work") || remove_all("l1") ||
	    mkdir("up", 0755) || mkdir("work", 0755) || mkdir("l1", 0755) ||
	    mkdir("l1/d", 0755) || put("l1/a", "low") || link("l1/a", "l1/b") ||
	    link("l1/a", "l1/d/c") || put("l1/other", "other"))
		return -1;
	return mount_in_form(form);
}

/*
 * The names, separated by spaces, are all there are of one file with that
 * content, now and after a remount.
 */
static int check_names(const char *names, const char *text, bool links)
{
	char list[256], *rest = list, *name;
	struct stat first = {}, st;
	unsigned int nr = 0;

	snprintf(list, sizeof(list), "%s", names);
	while ((name = strsep(&rest, " "))) {
		if (stat(name, &st))
			return -1;
		if (!nr++)
			first = st;
		if (strcmp(content(name), text) || st.st_ino != first.st_ino) {
			printf("# %s: \"%s\", number %#llx and %#llx\n", name,
			       content(name), (long long)st.st_ino,
			       (long long)first.st_ino);
			errno = EBADMSG;
			return -1;
		}
	}
	if (!links || first.st_nlink == nr)
		return 0;
	printf("# %s: %u names, not %u\n", names, (int)first.st_nlink, nr);
	errno = EMLINK;
	return -1;
}

static int same_names(const char *form, const char *names, const char *text)
{
	return check_names(names, text, true) || drop_caches() ||
	       check_names(names, text, true) || umount("mnt") ||
	       mount_in_form(form) || check_names(names, text, true) ? -1 : 0;
}

/* What is written through one name, all show. */
#define ALL "mnt/a mnt/b mnt/d/c"

static int write_a(void)
{
	return add("mnt/a", "+");
}

static int write_all(void)
{
	return put("mnt/a", "lo") || add("mnt/b", "w") || add("mnt/d/c", "+") ?
		-1 : 0;
}

static int write_then_remove(void)
{
	return add("mnt/a", "+") ?: unlink("mnt/a");
}

static int write_then_remove_another(void)
{
	return add("mnt/a", "+") ?: unlink("mnt/b");
}

static int remove_then_write(void)
{
	return unlink("mnt/b") ?: add("mnt/a", "+");
}

static int write_through_a_removed_name(void)
{
	int fd = open("mnt/a", O_RDWR | O_APPEND);

	if (fd < 0 || unlink("mnt/a") || write(fd, "+", 1) != 1)
		return -1;
	return close(fd);
}

static int rename_the_written(void)
{
	return add("mnt/a", "+") ?: rename("mnt/a", "mnt/new");
}

static int rename_another(void)
{
	return add("mnt/a", "+") ?: rename("mnt/b", "mnt/new");
}

static int rename_over(void)
{
	return add("mnt/a", "+") ?: rename("mnt/other", "mnt/b");
}

static int rename_out_of_a_directory(void)
{
	return add("mnt/d/c", "+") ?: rename("mnt/d", "mnt/e") ?:
	       rename("mnt/e/c", "mnt/c");
}

static int exchange(void)
{
	return add("mnt/a", "+") ?:
	       renameat2(AT_FDCWD, "mnt/d/c", AT_FDCWD, "mnt/other",
			 RENAME_EXCHANGE);
}

static int link_another(void)
{
	return add("mnt/a", "+") ?: link("mnt/b", "mnt/new");
}

static int link_first(void)
{
	return link("mnt/b", "mnt/new") ?: add("mnt/d/c", "+");
}

static int change_attributes(void)
{
	return chmod("mnt/d/c", 0640) ?: chown("mnt/a", 1, 2) ?:
	       add("mnt/b", "+");
}

static int write_to_what_was_opened(void)
{
	int a = open("mnt/a", O_RDWR), b = open("mnt/b", O_RDWR | O_APPEND);
	char text[8] = "";

	if (pwrite(a, "low", 3, 0) != 3 || write(b, "+", 1) != 1 ||
	    pread(a, text, sizeof(text), 0) != 4 || strcmp(text, "low+"))
		return -1;
	return close(a) || close(b) ? -1 : 0;
}

static const struct {
	const char *name;
	int (*change)(void);
	const char *names;
} changes[] = {
	{ "one is written to", write_a, ALL },
	{ "all are written to", write_all, ALL },
	{ "written, removed", write_then_remove, "mnt/b mnt/d/c" },
	{ "another removed", write_then_remove_another, "mnt/a mnt/d/c" },
	{ "removed before", remove_then_write, "mnt/a mnt/d/c" },
	{ "removed, open", write_through_a_removed_name, "mnt/b mnt/d/c" },
	{ "renamed", rename_the_written, "mnt/b mnt/d/c mnt/new" },
	{ "another renamed", rename_another, "mnt/a mnt/d/c mnt/new" },
	{ "another replaced", rename_over, "mnt/a mnt/d/c" },
	{ "directory renamed", rename_out_of_a_directory, "mnt/a mnt/b mnt/c" },
	{ "exchanged", exchange, "mnt/a mnt/b mnt/other" },
	{ "linked", link_another, ALL " mnt/new" },
	{ "linked first", link_first, ALL " mnt/new" },
	{ "attributes", change_attributes, ALL },
	{ "open files", write_to_what_was_opened, ALL },
};

TEST_F(links, names_of_a_file_stay_names_of_one_file)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		for (j = 0; j < ARRAY_SIZE(changes); j++) {
			DO(start(forms[i]));
			ASSERT_EQ(0, changes[j].change()) {
				TH_LOG("%s: %s", forms[i], changes[j].name);
			}
			ASSERT_EQ(0, same_names(forms[i], changes[j].names, "low+")) {
				TH_LOG("%s: %s", forms[i], changes[j].name);
			}
			HAS("l1/a", "low");
			DO(umount("mnt"));
		}
	}
}

TEST_F(links, with_the_last_name_the_copy_goes)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		DO(start(forms[i]));
		DO(add("mnt/a", "+"));
		DO(unlink("mnt/b") | unlink("mnt/a"));
		HAS("mnt/d/c", "low+");
		DO(rename("mnt/other", "mnt/d/c"));
		HAS("mnt/d/c", "other");
		ASSERT_STREQ("d", ls("mnt"));
		DO(umount("mnt"));
		ASSERT_FALSE(there("up/.wh..wh.mica"));
		if (on_overlay)
			ASSERT_STREQ("", ls("work/index"));
		DO(mount_in_form(forms[i]));
		ASSERT_STREQ("d", ls("mnt"));
		HAS("mnt/d/c", "other");
		DO(umount("mnt"));
	}
}

TEST_F(links, a_copy_of_the_copy)
{
	NOT_ON_OVERLAY("it does not look into indexes of lower layers");
	DO(start("dot"));
	DO(add("mnt/b", "+"));
	DO(umount("mnt"));
	DO(mount_union("l3:up:l1"));
	DO(check_names(ALL, "low+", true));
	DO(add("mnt/d/c", "+"));
	DO(check_names(ALL, "low++", true));
	DO(umount("mnt"));
	DO(mount_union("l3:up:l1"));
	DO(check_names(ALL, "low++", true));
	DO(unlink("mnt/b"));
	DO(check_names("mnt/a mnt/d/c", "low++", true));
	DO(umount("mnt"));
	DO(mount_union("l3:up:l1"));
	DO(check_names("mnt/a mnt/d/c", "low++", true));
	HAS("up/b", "low+");
}

TEST_F(links, attributes_of_a_copy_change_in_the_next_layer)
{
	static const char * const changed[] = { "mnt/a", "mnt/b", "mnt/d/c" };
	int i;

	NOT_ON_OVERLAY("it does not look into indexes of lower layers");
	for (i = 0; i < ARRAY_SIZE(changed); i++) {
		DO(remove_all("l3"));
		DO(mkdir("l3", 0755));
		DO(start("dot"));
		DO(add("mnt/b", "+"));
		DO(umount("mnt"));
		DO(mount_union_with("l3:up:l1", "metacopy=on"));
		DO(chmod(changed[i], 0640));
		DO(check_names(ALL, "low+", true));
		DO(umount("mnt"));
		DO(mount_union("l3:up:l1"));
		DO(check_names(ALL, "low+", true));
		DO(umount("mnt"));
	}
}

/* Where there is no index, the other names are another file from then on. */
TEST_F(links, a_copy_without_its_other_names_has_one)
{
	struct stat st;
	int fd;

	NOT_ON_OVERLAY("its work directory is on another file system then");
	DO(put("l1/a", "low") || link("l1/a", "l1/b"));
	DO(mount("none", "up", "ramfs", 0, NULL));
	DO(mount_union("up:l1"));
	fd = open("mnt/a", O_RDWR);
	ASSERT_LE(0, fd);
	DO(fstat(fd, &st));
	EXPECT_EQ(2, st.st_nlink);
	ASSERT_EQ(3, pwrite(fd, "new", 3, 0));
	DO(fstat(fd, &st));
	EXPECT_EQ(1, st.st_nlink);
	HAS("mnt/a", "new");
	HAS("mnt/b", "low");
	DO(unlink("mnt/a"));
	DO(fstat(fd, &st));
	EXPECT_EQ(0, st.st_nlink);
	DO(close(fd));
	DO(umount("mnt"));
	DO(umount("up"));
}

/* What is copied there falls apart, but not what was copied before. */
TEST_F(links, a_copy_below_a_branch_without_an_index)
{
	struct stat st;

	NOT_ON_OVERLAY("it does not look into indexes of lower layers");
	DO(start("dot"));
	DO(add("mnt/a", "+"));
	DO(unlink("mnt/d/c"));
	DO(umount("mnt"));
	DO(mount("none", "l3", "ramfs", 0, NULL));
	DO(mount_union("l3:up:l1"));
	HAS("mnt/a", "low+");
	HAS("mnt/b", "low+");
	DO(stat("mnt/b", &st));
	EXPECT_EQ(2, st.st_nlink);
	DO(add("mnt/b", "-"));
	HAS("mnt/a", "low+");
	HAS("mnt/b", "low+-");
	DO(umount("mnt"));
	DO(umount("l3"));
}

/* Lets a tmpfs have so many inodes more than it has. */
static int leave_inodes(const char *path, unsigned int nr)
{
	struct statvfs st;
	char options[64];

	if (statvfs(path, &st))
		return -1;
	snprintf(options, sizeof(options), "nr_inodes=%lu",
		 st.f_files - st.f_ffree + nr);
	return mount(path, path, "tmpfs", MS_REMOUNT, options);
}

/* From then on, copies are put into the index when they get another name. */
static int use_handles(void)
{
	struct {
		struct file_handle head;
		unsigned char bytes[MAX_HANDLE_SZ];
	} h = { .head.handle_bytes = MAX_HANDLE_SZ };
	int mount_id;

	return name_to_handle_at(AT_FDCWD, "mnt/c", &h.head, &mount_id, 0);
}

/* A link takes an inode of a tmpfs. */
TEST_F(links, what_did_not_get_into_the_index_counts_its_own_names)
{
	struct stat st;

	NOT_ON_OVERLAY("nothing is put into its index then");
	DO(run("echo low | tee l1/a l1/b l1/c >l1/d"));
	DO(mkdir("small", 0755));
	DO(mount("small", "small", "tmpfs", 0, "mode=0755"));
	DO(mkdir("small/up", 0755));
	DO(mount_union("small/up:l1"));
	DO(run("for i in a b c d; do echo $i >>mnt/$i; done"));
	DO(umount("mnt"));
	DO(link("small/up/b", "small/up/b2"));
	DO(mount_union("small/up:l1"));
	DO(use_handles() ?: rename("mnt/a", "mnt/x"));
	DO(leave_inodes("small", 0));
	FAILS(ENOSPC, link("mnt/b", "mnt/y"));
	DO(drop_caches());
	DO(stat("mnt/b", &st));
	EXPECT_EQ(2, st.st_nlink);
	DO(leave_inodes("small", 100));
	DO(link("mnt/b", "mnt/y"));
	DO(drop_caches());
	DO(stat("mnt/y", &st));
	EXPECT_EQ(3, st.st_nlink);
	HAS("mnt/b2", "low\nb\n");
	DO(umount("mnt"));
	DO(umount("small"));
}

TEST_F(links, many_at_once)
{
	char path[64];
	int i, status;

	DO(start("dot"));
	DO(umount("mnt"));
	for (i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "l1/d/%d", i);
		DO(link("l1/a", path));
	}
	DO(mount_in_form("dot"));
	for (i = 0; i < 40; i++) {
		if (fork())
			continue;
		snprintf(path, sizeof(path), "mnt/d/%d", i);
		_exit(i % 4 == 3 ? !!unlink(path) : !!add(path, "+"));
	}
	for (i = 0; i < 40; i++) {
		wait(&status);
		ASSERT_EQ(0, status);
	}
	DO(check_names(ALL " mnt/d/0 mnt/d/1 mnt/d/38",
		       "low++++++++++++++++++++++++++++++", false));
	DO(umount("mnt"));
	DO(mount_in_form("dot"));
	DO(check_names(ALL " mnt/d/0 mnt/d/1 mnt/d/38",
		       "low++++++++++++++++++++++++++++++", false));
	FAILS(ENOENT, access("mnt/d/3", F_OK));
}

/* mnt/d/c is what is left of the names that the file has below its copy. */
static const struct {
	const char *delete;
	const char *command;
} unlinked[] = {
	{ "all", "rm mnt/a mnt/b" },
	{ "all", "rm mnt/b mnt/a" },
	{ "all", "rm mnt/b && mv mnt/a mnt/x" },
	{ "all", "rm mnt/a && mv mnt/b mnt/x" },
	{ "all", "echo o >mnt/o && mv mnt/o mnt/b && rm mnt/a" },
	{ "whiteout", "rm mnt/a mnt/b" },
	{ "whiteout", "rm mnt/b && mv mnt/a mnt/x && rm mnt/x" },
};

TEST_F(links, what_is_removed_from_the_branch_of_the_origin_leaves_the_copy)
{
	unsigned int i, j;
	char options[64];

	NOT_ON_OVERLAY("one writable branch");
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		for (j = 0; j < ARRAY_SIZE(unlinked); j++) {
			DO(start(forms[i]));
			DO(put("mnt/a", "new"));
			DO(umount("mnt"));
			snprintf(options, sizeof(options),
				 "dirs=up=rw:l1=rw,whiteout=%s,delete=%s",
				 forms[i], unlinked[j].delete);
			DO(mount_mica(options, "mnt"));
			DO(run("%s", unlinked[j].command));
			FAILS(ENOENT, access("mnt/a", F_OK));
			DO(umount("mnt") ?: mount_mica(options, "mnt"));
			FAILS(ENOENT, access("mnt/a", F_OK));
			ASSERT_STREQ("new", content("mnt/d/c")) {
				TH_LOG("%s: %s", forms[i], unlinked[j].command);
			}
			DO(umount("mnt"));
		}
	}
}

TEST_HARNESS_MAIN
