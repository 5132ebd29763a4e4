// SPDX-License-Identifier: GPL-2.0-only
/* Files whose attributes are in one layer and whose data is in another. */
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "branches.h"
#include "util.h"

UNION_FIXTURE(metacopy);

#define SIZE (3 << 20)
#define SEED 7

static const char * const forms[] = { "dot", "overlay" };

static int mount_in_form(const char *branches, const char *form)
{
	char option[64];

	if (on_overlay)
		return mount_union_with(branches,
					"metacopy=on,redirect_dir=on,index=on");
	snprintf(option, sizeof(option), "whiteout=%s,metacopy=on", form);
	return mount_union_with(branches, option);
}

static int start(const char *form)
{
	if (remove_all("up") || remove_all("work") || remove_all("l1") ||
	    mkdir("up", 0755) || mkdir("work", 0755) || mkdir("l1", 0755) ||
	    mkdir("l1/d", 0755) || fill("l1/f", SIZE, SEED) ||
	    link("l1/f", "l1/d/l") || fill("l1/d/g", SIZE, SEED))
		return -1;
	return mount_in_form("up:l1", form);
}

/* It shows the data but does not have it. */
static int shows_data(const char *path, const char *up)
{
	struct stat st, below;

	if (filled(path, SIZE, SEED) || stat(path, &st) || stat(up, &below))
		return -1;
	if (below.st_blocks <= 16 && st.st_blocks >= SIZE / 512 &&
	    st.st_size == SIZE)
		return 0;
	printf("# %s: %lld blocks, %s: %lld\n", path, (long long)st.st_blocks,
	       up, (long long)below.st_blocks);
	errno = EFBIG;
	return -1;
}

static int do_chmod(void)
{
	return chmod("mnt/d/g", 0601);
}

static int do_chown(void)
{
	return chown("mnt/d/g", 3, 4);
}

static int do_utimes(void)
{
	return utimes("mnt/d/g", NULL);
}

static int do_setxattr(void)
{
	return setxattr("mnt/d/g", "trusted.x", "y", 1, 0);
}

static int do_link(void)
{
	return link("mnt/d/g", "mnt/g");
}

static int do_rename(void)
{
	return rename("mnt/d/g", "mnt/g");
}

static int do_rename_twice(void)
{
	return rename("mnt/d/g", "mnt/d/x") ?: rename("mnt/d", "mnt/e") ?:
	       rename("mnt/e/x", "mnt/g");
}

static int do_rename_with_directory(void)
{
	return chmod("mnt/d/g", 0600) ?: rename("mnt/d", "mnt/e");
}

static const struct {
	const char *name;
	int (*change)(void);
	const char *path;
} changes[] = {
	{ "chmod", do_chmod, "d/g" },
	{ "chown", do_chown, "d/g" },
	{ "utimes", do_utimes, "d/g" },
	{ "setxattr", do_setxattr, "d/g" },
	{ "link", do_link, "g" },
	{ "rename", do_rename, "g" },
	{ "renamed twice", do_rename_twice, "g" },
	{ "directory renamed", do_rename_with_directory, "e/g" },
};

/* With overlayfs as the reader of what was written in its form. */
static int overlay_shows(const char *path)
{
	if (umount("mnt") || (mkdir("owork", 0755) && errno != EEXIST) ||
	    mount("o", "mnt", "overlay", 0,
		  "metacopy=on,lowerdir=l1,upperdir=up,workdir=owork") ||
	    filled(path, SIZE, SEED) || umount("mnt"))
		return -1;
	return mount_in_form("up:l1", "overlay");
}

TEST_F(metacopy, a_change_of_attributes_or_name_copies_no_data)
{
	char path[64], up[64];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		for (j = 0; j < ARRAY_SIZE(changes); j++) {
			snprintf(path, sizeof(path), "mnt/%s", changes[j].path);
			snprintf(up, sizeof(up), "up/%s", changes[j].path);
			DO(start(forms[i]));
			ASSERT_EQ(0, changes[j].change()) {
				TH_LOG("%s: %s", forms[i], changes[j].name);
			}
			ASSERT_EQ(0, shows_data(path, up)) {
				TH_LOG("%s: %s", forms[i], changes[j].name);
			}
			DO(umount("mnt"));
			DO(mount_in_form("up:l1", forms[i]));
			ASSERT_EQ(0, shows_data(path, up)) {
				TH_LOG("%s: %s", forms[i], changes[j].name);
			}
			if (!strcmp(forms[i], "overlay") && !on_overlay)
				DO(overlay_shows(path));
			/* The first write brings the data. */
			DO(add(path, "+"));
			DO(truncate(path, SIZE));
			DO(filled(path, SIZE, SEED) | filled(up, SIZE, SEED));
			DO(umount("mnt"));
			DO(filled("l1/d/g", SIZE, SEED));
		}
	}
}

TEST_F(metacopy, data_that_comes_later_changes_no_attributes)
{
	struct stat before, after;
	struct timeval times[2] = { { 1000, 0 }, { 2000, 0 } };
	char *p;
	int fd;

	DO(start("dot"));
	DO(setxattr("l1/d/g", "trusted.x", "y", 1, 0));
	DO(chmod("mnt/d/g", 06711));
	DO(chown("mnt/d/g", 5, 6));
	DO(chmod("mnt/d/g", 06711));
	DO(utimes("mnt/d/g", times));
	DO(stat("mnt/d/g", &before));
	fd = open("mnt/d/g", O_RDWR | O_NOATIME);
	ASSERT_LE(0, fd);
	/* A mapping that could be written to brings the data, but writes not. */
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	DO(munmap(p, SIZE) | close(fd));
	DO(stat("mnt/d/g", &after));
	ASSERT_EQ(before.st_mode, after.st_mode);
	ASSERT_EQ(before.st_uid, after.st_uid);
	ASSERT_EQ(before.st_mtime, after.st_mtime);
	ASSERT_EQ(before.st_atime, after.st_atime);
	ASSERT_EQ(before.st_ino, after.st_ino);
	ASSERT_STREQ("y", get_xattr("mnt/d/g", "trusted.x"));
	DO(filled("mnt/d/g", SIZE, SEED) | filled("up/d/g", SIZE, SEED));
}

TEST_F(metacopy, open_files_follow_the_data)
{
	int fd, rd;
	char c = 0;

	DO(start("dot"));
	rd = open("mnt/d/g", O_RDONLY);
	DO(chmod("mnt/d/g", 0640));
	fd = open("mnt/d/g", O_RDWR);
	DO(fsync(fd));
	ASSERT_EQ(1, pwrite(fd, "!", 1, SIZE - 1));
	ASSERT_EQ(1, pread(rd, &c, 1, SIZE - 1));
	ASSERT_EQ('!', c);
	DO(fsync(fd));
	DO(close(fd) | close(rd));
	/* Not even all of it. */
	DO(chmod("mnt/f", 0640));
	DO(truncate("mnt/f", 0));
	HAS("mnt/f", "");
	HAS("mnt/d/l", "");
	DO(umount("mnt"));
	DO(mount_in_form("up:l1", "dot"));
	HAS("mnt/f", "");
	HAS("mnt/d/l", "");
}

TEST_F(metacopy, hard_links_share_the_data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		DO(start(forms[i]));
		DO(chmod("mnt/d/l", 0600));
		DO(shows_data("mnt/f", "up/d/l"));
		DO(rename("mnt/d/l", "mnt/new"));
		DO(umount("mnt"));
		DO(mount_in_form("up:l1", forms[i]));
		ASSERT_EQ(S_IFREG | 0600, mode_of("mnt/f"));
		DO(shows_data("mnt/f", "up/new"));
		DO(rename("mnt/f", "mnt/d/f"));
		DO(drop_caches());
		DO(shows_data("mnt/new", "up/new"));
		DO(shows_data("mnt/d/f", "up/d/f"));
		DO(add("mnt/new", "+"));
		DO(truncate("mnt/d/f", SIZE));
		DO(filled("up/new", SIZE, SEED));
		DO(umount("mnt"));
	}
}

TEST_F(metacopy, over_a_metacopy)
{
	DO(start("dot"));
	DO(chmod("mnt/d/g", 0600));
	DO(rename("mnt/d/g", "mnt/g"));
	DO(umount("mnt"));
	DO(mount_in_form("l3:up:l1", "dot"));
	DO(chmod("mnt/g", 0640));
	DO(shows_data("mnt/g", "l3/g"));
	DO(rename("mnt/g", "mnt/d/x"));
	DO(umount("mnt"));
	DO(mount_in_form("l3:up:l1", "dot"));
	DO(shows_data("mnt/d/x", "l3/d/x"));
	DO(add("mnt/d/x", "+") | truncate("mnt/d/x", SIZE));
	DO(filled("mnt/d/x", SIZE, SEED) | filled("l3/d/x", SIZE, SEED));
	ASSERT_EQ(S_IFREG | 0640, mode_of("mnt/d/x"));
}

TEST_F(metacopy, what_overlayfs_left_is_read)
{
	DO(start("overlay"));
	DO(umount("mnt"));
	DO(mount("o", "mnt", "overlay", 0, "redirect_dir=on,metacopy=on,"
		 "lowerdir=l1,upperdir=up,workdir=work"));
	DO(chmod("mnt/d/g", 0600));
	DO(rename("mnt/d/g", "mnt/d/x"));
	DO(rename("mnt/d/x", "mnt/x"));
	DO(chmod("mnt/f", 0600));
	DO(umount("mnt"));
	DO(mount_in_form("l3:up:l1", "dot"));
	DO(shows_data("mnt/x", "up/x"));
	DO(shows_data("mnt/f", "up/f"));
	DO(chown("mnt/x", 1, 1));
	DO(shows_data("mnt/x", "l3/x"));
	DO(umount("mnt"));
	DO(mount_in_form("up:l1", "overlay"));
	DO(add("mnt/x", "+") | truncate("mnt/x", SIZE));
	DO(filled("up/x", SIZE, SEED));
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

TEST_F(metacopy, without_its_data_a_file_is_an_error)
{
	static const char * const ways[] = {
		"rm l1/d/g", "rm l1/d/g && mkdir l1/d/g",
		"rm l1/d/g && mkfifo l1/d/g", "mv l1/d l1/e",
		"rm l1/d/g && mknod l1/d/g c 0 0",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		DO(start("dot"));
		DO(chmod("mnt/d/g", 0600));
		DO(umount("mnt"));
		DO(run("%s", ways[i]));
		DO(mount_in_form("up:l1", "dot"));
		ASSERT_EQ(SIZE, size_of("mnt/d/g"));
		FAILS(EIO, open("mnt/d/g", O_RDONLY));
		FAILS(EIO, truncate("mnt/d/g", 0));
		FAILS(EIO, chmod("mnt/d/g", 0644));
		DO(unlink("mnt/d/g"));
		DO(umount("mnt"));
	}
	DO(start("dot"));
	DO(chmod("mnt/d/g", 0600));
	DO(umount("mnt"));
	/* It says what the data has to be like. */
	DO(setxattr("up/d/g", "trusted.overlay.metacopy",
		    "\0\044\0\001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 36, 0));
	DO(mount_in_form("up:l1", "dot"));
	if (!on_overlay)
		FAILS(EIO, open("mnt/d/g", O_RDONLY));
}

/* Who makes the metacopy. */
static const struct {
	const char *name;
	const char *form;
	bool overlayfs;
} writers[] = {
	{ "mica, dot", "dot", false },
	{ "mica, overlay", "overlay", false },
	{ "overlayfs", "overlay", true },
};

static int start_by_overlayfs(void)
{
	return umount("mnt") ?:
	       mount("o", "mnt", "overlay", 0, "redirect_dir=on,metacopy=on,"
		     "lowerdir=l1,upperdir=up,workdir=work");
}

/* What is in the place of all that l1 has, in l2. */
static const struct {
	const char *name;
	const char *command;
} between[] = {
	{ "other files", "find l2 -type f -exec sh -c "
	  "'seq 500000 | head -c $(stat -c %%s {}) >{}' ';'" },
	{ "empty files", "find l2 -type f -exec truncate -s 0 {} +" },
	{ "directories", "find l2 -type f -delete -exec mkdir {} ';'" },
	{ "pipes", "find l2 -type f -delete -exec mkfifo {} ';'" },
	{ "metacopies of nothing", "find l2 -type f -exec "
	  "setfattr -n trusted.overlay.metacopy {} ';'" },
	{ "nothing", "rm -r l2/d l2/f" },
};

TEST_F(metacopy, a_layer_that_comes_between_does_not_have_its_data)
{
	char path[64], up[64];
	unsigned int w, i, j;

	NOT_ON_OVERLAY("it takes what it finds");
	for (w = 0; w < ARRAY_SIZE(writers); w++) {
		for (i = 0; i < ARRAY_SIZE(changes); i++) {
			snprintf(path, sizeof(path), "mnt/%s", changes[i].path);
			snprintf(up, sizeof(up), "up/%s", changes[i].path);
			DO(start(writers[w].form));
			if (writers[w].overlayfs)
				DO(start_by_overlayfs());
			DO(changes[i].change());
			DO(umount("mnt"));
			for (j = 0; j < ARRAY_SIZE(between); j++) {
				DO(run("rm -rf l2 && cp -r l1 l2 && rm l2/d/l"));
				DO(run(between[j].command));
				DO(mount_in_form("up:l2:l1", writers[w].form));
				ASSERT_EQ(0, shows_data(path, up)) {
					TH_LOG("%s: %s: %s", writers[w].name,
					       changes[i].name, between[j].name);
				}
				DO(umount("mnt"));
			}
			DO(run("rm -rf work owork"));
		}
	}
	/* It comes while the union is mounted. */
	DO(run("rm -rf l2 && mkdir l2"));
	DO(start("dot"));
	DO(do_chmod());
	DO(run("cp -r l1/d l2 && echo wrong >l2/d/g"));
	DO(drop_caches());
	ASSERT_LT(0, add_branch("l2", 0, 1));
	DO(shows_data("mnt/d/g", "up/d/g"));
}

/* Two that were written have the same origin, and other data. */
TEST_F(metacopy, its_data_is_that_of_one_of_several_versions)
{
	NOT_ON_OVERLAY("it takes what it finds");
	DO(run("mkdir l3/d && echo 1 >l1/f"));
	DO(mount_union("l2:l1") ?: put("mnt/f", "2\n") ?: umount("mnt"));
	DO(mount_union("l3:l1") ?: put("mnt/f", "3\n") ?: umount("mnt"));
	DO(mount_union("up:l2:l1"));
	DO(chmod("mnt/f", 0600) ?: rename("mnt/f", "mnt/g") ?: umount("mnt"));
	DO(mount_union("up:l3:l2:l1"));
	HAS("mnt/g", "2\n");
	DO(umount("mnt"));
	/* And a metacopy of it. */
	DO(mkdir("top", 0755));
	DO(mount_union("top:up:l2:l1"));
	DO(chmod("mnt/g", 0640) ?: rename("mnt/g", "mnt/f") ?: umount("mnt"));
	DO(mount_union("top:l3:up:l2:l1"));
	HAS("mnt/f", "2\n");
	DO(umount("mnt"));
	DO(mount_union("top:up:l3:l2:l1"));
	HAS("mnt/f", "2\n");
	DO(add("mnt/f", "+"));
	HAS("top/f", "2\n+");
}

/* The data is of mnt/x after each, and in the same rw branch as before. */
static const struct {
	const char *name;
	const char *delete;
	const char *command;
	bool overlayfs;		/* the metacopy is one of overlayfs */
} removals[] = {
	{ "renamed", "all", "mv mnt/d/g mnt/x", false },
	{ "overlayfs's, a file in its place", "all",
	  "mv mnt/d/g mnt/x && echo >mnt/d/g && rm mnt/d/g", true },
	{ "one of two names", "all", "ln mnt/d/g mnt/x && rm mnt/d/g", false },
	{ "a file in its place", "all",
	  "mv mnt/d/g mnt/x && echo >mnt/d/g && rm mnt/d/g", false },
	{ "a directory in its place", "all",
	  "mv mnt/d/g mnt/x && mkdir mnt/d/g && rmdir mnt/d/g", false },
	{ "what shows then", "first",
	  "ln mnt/d/g mnt/x && rm mnt/d/g && rm mnt/d/g", false },
};

TEST_F(metacopy, its_data_stays_when_the_name_of_that_is_removed)
{
	char options[128];
	unsigned int i;

	NOT_ON_OVERLAY("one rw branch");
	for (i = 0; i < 2 * ARRAY_SIZE(removals) * ARRAY_SIZE(forms); i++) {
		const char *form = forms[i / ARRAY_SIZE(removals) % 2];
		bool between = i >= ARRAY_SIZE(removals) * ARRAY_SIZE(forms);
		unsigned int r = i % ARRAY_SIZE(removals);

		snprintf(options, sizeof(options),
			 "dirs=up=rw%s:l1=rw,metacopy=on,whiteout=%s,delete=%s",
			 between ? ":l2=rw" : "", form, removals[r].delete);
		DO(start(form));
		if (removals[r].overlayfs)
			DO(start_by_overlayfs());
		DO(do_chmod());
		DO(umount("mnt"));
		DO(mount_mica(options, "mnt"));
		DO(run("%s", removals[r].command));
		FAILS(ENOENT, access("mnt/d/g", F_OK));
		DO(umount("mnt"));
		DO(mount_mica(options, "mnt"));
		FAILS(ENOENT, access("mnt/d/g", F_OK));
		ASSERT_EQ(0, filled("mnt/x", SIZE, SEED)) {
			TH_LOG("%s, %s%s: %s", removals[r].name, form,
			       between ? ", a branch between" : "",
			       strerror(errno));
		}
		DO(umount("mnt"));
	}
}

TEST_F(metacopy, other_data_than_its_own_is_an_error)
{
	NOT_ON_OVERLAY("it takes what it finds");
	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "its layers cannot be told from those of another");
	DO(start("dot"));
	DO(do_chmod());
	DO(umount("mnt"));
	DO(run("cp -r l1 new && rm l1/d/g"));
	/* In its layer, or between. */
	DO(mount_union("up:new:l1"));
	FAILS(EIO, open("mnt/d/g", O_RDONLY));
	FAILS(EIO, truncate("mnt/d/g", 0));
	DO(umount("mnt"));
	DO(fill("l1/d/g", SIZE, SEED) ?: mount_union("up:l1"));
	FAILS(EIO, open("mnt/d/g", O_RDONLY));
	DO(umount("mnt"));
	/* Who knows that a copy of the layer has the same files says so. */
	DO(mount_union("up:new"));
	FAILS(EIO, open("mnt/d/g", O_RDONLY));
	DO(umount("mnt"));
	DO(run("setfattr -x trusted.overlay.mica.layers up"));
	DO(mount_union("up:new"));
	DO(shows_data("mnt/d/g", "up/d/g"));
}

/* Makes a file system in a file, and mounts it. */
static int mount_image(const char *name, const char *mkfs)
{
	return run("mkdir -p %s && truncate -s 20M %s.img && %s %s.img >/dev/null && "
		   "mount -o loop %s.img %s", name, name, mkfs, name, name, name);
}

#define SAME_UUID "mkfs.ext4 -qU 6d696361-2d20-4c6f-7665-206973207468"

/* vfat has other handles each time; two file systems with one UUID are not told apart. */
static const struct {
	const char *name;
	const char *mkfs;
	bool again;		/* there is another one */
} strange[] = {
	{ "vfat", "mkfs.vfat", false },
	{ "two ext4 with one UUID", SAME_UUID, true },
	{ "one of them at first", SAME_UUID, false },
};

TEST_F(metacopy, of_a_file_that_cannot_be_told_from_others)
{
	unsigned int i;

	NOT_ON_OVERLAY("other layers");
	if (strcmp(variant->fs, "ext4"))
		SKIP(return, "once is enough");
	for (i = 0; i < ARRAY_SIZE(strange); i++) {
		DO(run("rm -rf up l1 && mkdir up l1 && echo 1 >l1/f"));
		DO(mount_image("a", strange[i].mkfs));
		DO(mount_image("b", SAME_UUID));
		DO(run("echo 2 >a/f"));
		DO(mount_union(strange[i].again ? "up:b:a" : "up:a"));
		DO(chmod("mnt/f", 0640) ?: umount("mnt"));
		/* In a file that is in memory vfat still knows itself. */
		DO(run("umount a b && mount -o loop a.img a && mount -o loop b.img b"));
		DO(mount_union(strange[i].again ? "up:b:a" : "up:a"));
		HAS("mnt/f", "2\n");
		DO(umount("mnt"));
		DO(mount_union("up:b:a:l1"));
		HAS("mnt/f", "2\n");
		DO(umount("mnt"));
		if (!strcmp(strange[i].mkfs, "mkfs.vfat")) {
			DO(run("umount a b && rm a.img b.img"));
			continue;
		}
		/* What it was made of is known, but that has not its data. */
		DO(run("rm -rf up a/f && mkdir up"));
		DO(mount_union("a:l1"));
		DO(put("mnt/f", "3\n") ?: umount("mnt"));
		DO(mount_union("up:b:a:l1"));
		DO(chmod("mnt/f", 0640) ?: umount("mnt"));
		DO(mount_union("up:b:a:l1"));
		HAS("mnt/f", "3\n");
		DO(umount("mnt"));
		DO(run("umount a b && rm a.img b.img"));
	}
}

/* overlayfs says of a metacopy what it was made of, and that may be another one. */
TEST_F(metacopy, of_a_metacopy_of_a_metacopy_by_overlayfs)
{
	const char *options = "redirect_dir=on,metacopy=on,index=off,";
	int links;

	NOT_ON_OVERLAY("it takes what it finds");
	for (links = 0; links < 2; links++) {
		DO(run("rm -rf up l1 l2 l3 work && mkdir up l1 l2 l3 work && echo 1 >l1/f"));
		if (links)
			DO(link("l1/f", "l1/other"));
		DO(run("mount -t overlay -o %slowerdir=l1,upperdir=l2,workdir=work o mnt && "
		       "chmod 600 mnt/f && umount mnt && rm -rf work && mkdir work", options));
		DO(run("mount -t overlay -o %slowerdir=l2:l1,upperdir=l3,workdir=work o mnt && "
		       "mv mnt/f mnt/g && umount mnt", options));
		DO(mount_union("up:l3:l2:l1"));
		HAS("mnt/g", "1\n");
		DO(chmod("mnt/g", 0640) ?: umount("mnt"));
		DO(mount_union("up:l3:l2:l1"));
		HAS("mnt/g", "1\n");
		DO(umount("mnt"));
	}
}

TEST_F(metacopy, off_copies_the_data)
{
	NOT_ON_OVERLAY("other options");
	/* For overlayfs to read, none are left if it is not asked for. */
	DO(start("overlay"));
	DO(umount("mnt"));
	DO(mount_union_with("up:l1", "whiteout=overlay"));
	DO(chmod("mnt/d/g", 0600));
	DO(filled("up/d/g", SIZE, SEED));
	DO(umount("mnt"));
	DO(start("dot"));
	DO(umount("mnt"));
	DO(mount_union_with("up:l1", "metacopy=off"));
	DO(run("grep -q metacopy=off /proc/self/mountinfo"));
	DO(chmod("mnt/d/g", 0600));
	DO(filled("up/d/g", SIZE, SEED));
	DO(umount("mnt"));
	FAILS(EINVAL, mount_union_with("up:l1", "metacopy=on,redirect_dir=off"));
	DO(mount_union_with("up:l1", "redirect_dir=off"));
	DO(chmod("mnt/f", 0600));
	DO(filled("up/f", SIZE, SEED));
}

TEST_HARNESS_MAIN
