// SPDX-License-Identifier: GPL-2.0-only
/* File handles, as NFS servers, open_by_handle_at() and fanotify use them. */
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "branches.h"
#include "util.h"

UNION_FIXTURE(export);

struct handle {
	struct file_handle head;
	unsigned char bytes[MAX_HANDLE_SZ];
};

static int get(const char *path, struct handle *h)
{
	int mount_id;

	memset(h, 0, sizeof(*h));
	h->head.handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(AT_FDCWD, path, &h->head, &mount_id, 0);
}

static int open_it(struct handle *h, int flags)
{
	int at = open("mnt", O_RDONLY | O_DIRECTORY), fd;

	fd = open_by_handle_at(at, &h->head, flags);
	close(at);
	return fd;
}

static bool same(const struct handle *a, const struct handle *b)
{
	return a->head.handle_bytes == b->head.handle_bytes &&
	       a->head.handle_type == b->head.handle_type &&
	       !memcmp(a->bytes, b->bytes, a->head.handle_bytes);
}

/* What a file is that a handle leads to. */
static const char *text_of(struct handle *h)
{
	static char buf[100];
	int fd = open_it(h, O_RDONLY), n;

	if (fd < 0)
		return strerror(errno);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return buf;
}

static ino_t ino_by(struct handle *h)
{
	int fd = open_it(h, O_PATH);
	struct stat st = {};

	fstat(fd, &st);
	close(fd);
	return st.st_ino;
}

static ino_t ino_of(const char *path)
{
	struct stat st = {};

	lstat(path, &st);
	return st.st_ino;
}

/* What may happen between the two ends of a handle. */
static int nothing(void)	{ return 0; }
static int do_write(void)	{ return put("mnt/d/f", "new"); }
static int do_chmod(void)	{ return chmod("mnt/d/f", 0600); }
static int do_rename(void)	{ return rename("mnt/d/f", "mnt/d/g"); }
static int do_move(void)	{ return rename("mnt/d/f", "mnt/g"); }

static int write_rename(void)
{
	return put("mnt/d/f", "new") || rename("mnt/d/f", "mnt/d/g");
}

static int do_link(void)
{
	return link("mnt/d/f", "mnt/g") || unlink("mnt/d/f");
}

static int copy_dir(void)	{ return chmod("mnt/d", 0700); }
static int do_unlink(void)	{ return unlink("mnt/d/f"); }

static int other_instead(void)
{
	return unlink("mnt/d/f") || put("mnt/d/f", "another");
}

static const struct {
	const char *what;
	int (*change)(void);
	const char *path;	/* where it is then, or NULL */
	const char *text;
} changes[] = {
	{ "nothing", nothing, "mnt/d/f", "old" },
	{ "write", do_write, "mnt/d/f", "new" },
	{ "chmod", do_chmod, "mnt/d/f", "old" },
	{ "rename", do_rename, "mnt/d/g", "old" },
	{ "move", do_move, "mnt/g", "old" },
	{ "write and rename", write_rename, "mnt/d/g", "new" },
	{ "link and unlink", do_link, "mnt/g", "old" },
	{ "chmod of its directory", copy_dir, "mnt/d/f", "old" },
	{ "unlink", do_unlink, NULL, NULL },
	{ "unlink and another", other_instead, NULL, NULL },
};

/* And what happens to the caches then. */
static int keep_all(void)	{ return 0; }

static int forget(void)
{
	sync();
	return drop_caches();
}

static int mount_again(void)
{
	return umount("mnt") || mount_union("up:l1") || forget();
}

static int mount_wider(void)
{
	return umount("mnt") || mount_union("up:l2:l1");
}

static int (* const pauses[])(void) = {
	keep_all, forget, mount_again, mount_wider
};

/* One of the lower branch, or made in the union. */
static int begin(bool upper)
{
	if (remove_all("up/d") || remove_all("up/g") || remove_all("l1/d") ||
	    remove_all("up/.wh..wh.mica") || remove_all("up/.wh.g") ||
	    mkdir("l1/d", 0755) || put("l1/d/first", "x") ||
	    (!upper && put("l1/d/f", "old")) || mount_union("up:l1"))
		return -1;
	return upper ? put("mnt/d/f", "old") : 0;
}

static int one(struct __test_metadata *_metadata, unsigned int i,
	       unsigned int j, bool upper)
{
	struct handle h, now;

	DO(begin(upper));
	DO(get("mnt/d/f", &h));
	DO(changes[i].change());
	DO(pauses[j]());
	if (changes[i].path) {
		ASSERT_STREQ(changes[i].text, text_of(&h));
		ASSERT_EQ(ino_of(changes[i].path), ino_by(&h));
		DO(get(changes[i].path, &now));
		if (!strcmp(changes[i].path, "mnt/d/f"))
			ASSERT_TRUE(same(&h, &now));
		/* It can be written through, whatever it is a copy of. */
		int fd = open_it(&h, O_WRONLY | O_TRUNC);

		ASSERT_LE(0, fd);
		ASSERT_EQ(3, write(fd, "two", 3));
		DO(close(fd));
		HAS(changes[i].path, "two");
	} else {
		ASSERT_EQ(-1, open_it(&h, O_RDONLY));
		ASSERT_EQ(ESTALE, errno);
	}
	DO(umount("mnt"));
	if (!upper)
		HAS("l1/d/f", "old");
	return 0;
}

static void all(struct __test_metadata *_metadata, bool upper)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		for (j = 0; j < ARRAY_SIZE(pauses); j++) {
			TH_LOG("%s, pause %u", changes[i].what, j);
			one(_metadata, i, j, upper);
		}
	}
}

TEST_F(export, handles_of_lower_files_last)
{
	NOT_ON_OVERLAY("needs nfs_export=on");
	all(_metadata, false);
}

TEST_F(export, handles_of_upper_files_last)
{
	NOT_ON_OVERLAY("needs nfs_export=on");
	all(_metadata, true);
}

TEST_F(export, of_everything_that_has_a_name)
{
	static const char * const names[] = {
		"", "d", "d/e", "d/f", "d/link", "d/fifo", "only", "up",
	};
	struct handle h[ARRAY_SIZE(names)], again;
	char path[32];
	unsigned int i;

	NOT_ON_OVERLAY("needs nfs_export=on");
	DO(mkdir("l1/d", 0755));
	DO(mkdir("l1/d/e", 0755));
	DO(put("l1/d/f", "f"));
	DO(symlink("f", "l1/d/link"));
	DO(mkfifo("l1/d/fifo", 0600));
	DO(mkdir("l2/only", 0755));
	DO(mkdir("up/up", 0755));
	DO(mount_union("up:l1:l2"));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "mnt/%s", names[i]);
		DO(get(path, &h[i])) {
			TH_LOG("%s", path);
		}
	}
	DO(umount("mnt"));
	DO(mount_union("up:l1:l2"));
	DO(chmod("mnt/d", 0700));
	DO(lchown("mnt/d/link", 7, 7));
	DO(forget());
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "mnt/%s", names[i]);
		ASSERT_EQ(ino_of(path), ino_by(&h[i])) {
			TH_LOG("%s", path);
		}
		DO(get(path, &again));
		ASSERT_TRUE(same(&h[i], &again));
	}
}

TEST_F(export, a_hard_link_is_the_same_file)
{
	struct handle a, b;

	NOT_ON_OVERLAY("needs nfs_export=on");
	DO(put("l1/a", "old"));
	DO(link("l1/a", "l1/b"));
	DO(mount_union("up:l1"));
	DO(get("mnt/a", &a));
	DO(get("mnt/b", &b));
	DO(chmod("mnt/b", 0600));
	DO(mount_again());
	ASSERT_STREQ("old", text_of(&a));
	DO(put("mnt/b", "new"));
	DO(forget());
	ASSERT_STREQ("new", text_of(&a));
	ASSERT_STREQ("new", text_of(&b));
	DO(unlink("mnt/b"));
	DO(mount_again());
	ASSERT_STREQ("new", text_of(&a));
}

/* It is looked for by its handle first, and has no name in the branch itself. */
TEST_F(export, a_copy_that_only_the_index_has_counts_its_names)
{
	struct handle h;
	struct stat st;
	int fd, id;

	NOT_ON_OVERLAY("needs nfs_export=on");
	DO(put("l1/a", "old") ?: link("l1/a", "l1/b") ?: link("l1/a", "l1/c"));
	DO(mount_union("up:l1"));
	DO(get("mnt/a", &h));
	DO(put("mnt/b", "new"));
	DO(unlink("mnt/b"));
	DO(umount("mnt"));
	DO(mount_union("l2:l1"));
	id = add_branch("up", MICA_BRANCH_RW, 1);
	ASSERT_LT(0, id);
	DO(forget());
	fd = open_it(&h, O_RDWR);
	ASSERT_LE(0, fd);
	DO(fstat(fd, &st));
	EXPECT_EQ(2, st.st_nlink);
	CHANGED(set_mode(id, 0));
	CHANGED(set_mode(id, MICA_BRANCH_RW));
	DO(close(fd));
	DO(unlink("mnt/a"));
	DO(forget());
	HAS("mnt/c", "new");
}

static bool leads_nowhere_else(struct handle *h)
{
	int fd = open_it(h, O_RDONLY);

	if (fd < 0)
		return errno == ESTALE || errno == EINVAL;
	close(fd);
	return !strcmp(text_of(h), "old");
}

/* The handle tells what it was made of, which has not the data that it has now. */
TEST_F(export, a_metacopy_of_what_was_written_has_no_older_data)
{
	struct handle h;

	NOT_ON_OVERLAY("other handles");
	DO(run("echo 1 >l1/f"));
	DO(mount_union("l2:l1") ?: put("mnt/f", "2\n") ?: umount("mnt"));
	DO(mount_union("up:l2:l1"));
	DO(get("mnt/f", &h));
	DO(rename("mnt/f", "mnt/g"));
	ASSERT_STREQ("2\n", text_of(&h));
	DO(umount("mnt"));
	DO(mount_union("up:l2:l1"));
	ASSERT_STRNE("1\n", text_of(&h));
	HAS("mnt/g", "2\n");
	ASSERT_STREQ("2\n", text_of(&h));
}

TEST_F(export, what_is_no_handle_is_stale)
{
	struct handle h, bad;
	unsigned int i;

	NOT_ON_OVERLAY("needs nfs_export=on");
	DO(put("l1/f", "old"));
	DO(mount_union("up:l1"));
	DO(get("mnt/f", &h));
	for (i = 0; i < h.head.handle_bytes; i++) {
		/* What comes after is for the file system of the branch. */
		if (i < 21) {
			bad = h;
			bad.bytes[i] ^= 0xff;
			ASSERT_TRUE(leads_nowhere_else(&bad));
		}
		bad = h;
		bad.head.handle_bytes = i;
		ASSERT_TRUE(leads_nowhere_else(&bad));
	}
}

TEST_F(export, a_branch_that_is_gone_is_stale)
{
	struct handle h;

	NOT_ON_OVERLAY("needs nfs_export=on");
	DO(put("l1/f", "old"));
	DO(put("l2/g", "other"));
	DO(mount_union("up:l1"));
	DO(get("mnt/f", &h));
	DO(umount("mnt"));
	DO(mount_union("up:l2"));
	ASSERT_EQ(-1, open_it(&h, O_RDONLY));
	ASSERT_EQ(ESTALE, errno);
}

/* Both are on one file system, and only by its branch is it known what is what. */
TEST_F(export, a_handle_does_not_lead_into_a_snapshot)
{
	static int (* const pauses[])(void) = { keep_all, forget };
	struct handle made, below, again;
	unsigned int i;
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	for (i = 0; i < ARRAY_SIZE(pauses); i++) {
		DO(run("rm -rf up l1 l2 && mkdir up l1 l2"));
		DO(put("l1/below", "old"));
		DO(mount_union("up:l1"));
		DO(put("mnt/made", "old"));
		DO(get("mnt/made", &made));
		DO(get("mnt/below", &below));
		CHANGED(snapshot("l2"));
		DO(pauses[i]());
		/* It is found, or stale if its name is not in memory. */
		fd = open_it(&made, O_RDWR | O_TRUNC);
		if (fd < 0) {
			ASSERT_EQ(ESTALE, errno);
			ASSERT_TRUE(pauses[i] == forget);
		} else {
			ASSERT_EQ(3, write(fd, "new", 3));
			DO(close(fd));
			HAS("mnt/made", "new");
		}
		HAS("up/made", "old");
		/* As a lower file it is found, wherever it is copied. */
		DO(put("mnt/made", "new"));
		DO(get("mnt/made", &again));
		DO(pauses[i]());
		ASSERT_STREQ("new", text_of(&again));
		fd = open_it(&below, O_WRONLY | O_TRUNC);
		ASSERT_LE(0, fd);
		ASSERT_EQ(3, write(fd, "new", 3));
		DO(close(fd));
		HAS("l2/below", "new");
		HAS("l1/below", "old");
		HAS("up/made", "old");
		DO(umount("mnt"));
	}
}

/* Where a file is that was made in the union becomes read-only. */
static int with_snapshot(bool change)
{
	if (change)
		return snapshot("l2");
	return mount_union("up:l1") || put("mnt/made", "old") ||
	       put("mnt/linked", "old") || link("mnt/linked", "mnt/other");
}

static int with_mode(bool change)
{
	static int id;

	if (change)
		return set_mode(id, 0);
	if (put("up/made", "old") || put("up/linked", "old") ||
	    link("up/linked", "up/other") || mount_union("l2:l1"))
		return -1;
	id = add_branch("up", MICA_BRANCH_RW, 1);
	return id < 0 ? -1 : 0;
}

static int do_pwrite(int fd)	{ return pwrite(fd, "new", 3, 0) == 3 ? 0 : -1; }
static int do_fchmod(int fd)	{ return fchmod(fd, 0600); }
static int do_truncate(int fd)	{ return ftruncate(fd, 0); }

static const struct {
	int (*run)(int fd);
	const char *text;
} writes[] = {
	{ do_pwrite, "new" }, { do_fchmod, "old" }, { do_truncate, "" },
};

static int no_name(void)	{ return 0; }
static int other_name(void)	{ return access("mnt/other", F_OK); }

static int its_name(void)
{
	return access("mnt/made", F_OK) ?: access("mnt/linked", F_OK);
}

static int (* const names[])(void) = { no_name, its_name, other_name };

static void after(struct __test_metadata *_metadata, int (*change)(bool change),
		  const char *path, unsigned int w, unsigned int n)
{
	struct handle h;
	char name[32];
	int fd, err;

	snprintf(name, sizeof(name), "mnt/%s", path);
	DO(run("rm -rf up l1 l2 && mkdir up l1 l2"));
	DO(change(false));
	DO(get(name, &h));
	DO(forget());
	fd = open_it(&h, O_RDWR);
	ASSERT_LE(0, fd);
	CHANGED(change(true));
	DO(names[n]());
	errno = 0;
	err = writes[w].run(fd);
	if (err)
		ASSERT_EQ(ESTALE, errno);
	ASSERT_STREQ(err ? "old" : writes[w].text, text_of(&h));
	DO(close(fd));
	DO(forget());
	HAS(name, err ? "old" : writes[w].text);
	if (!strcmp(path, "linked"))
		HAS("mnt/other", content(name));
	snprintf(name, sizeof(name), "up/%s", path);
	HAS(name, "old");
	DO(umount("mnt"));
}

/* The dentry that such a file is open with has no name, and no directory. */
TEST_F(export, what_is_open_by_handle_is_written_after_a_change)
{
	static int (* const changes[])(bool change) = { with_snapshot, with_mode };
	unsigned int c, w, n;

	NOT_ON_OVERLAY("its layers stay");
	for (c = 0; c < ARRAY_SIZE(changes); c++) {
		for (w = 0; w < ARRAY_SIZE(writes); w++) {
			for (n = 0; n < ARRAY_SIZE(names); n++) {
				TH_LOG("change %u, write %u, name %u", c, w, n);
				after(_metadata, changes[c], "made", w, n);
				after(_metadata, changes[c], "linked", w, n);
			}
		}
	}
}

/* Its inode is in memory, but no name is. */
TEST_F(export, a_watched_lower_file_is_written_by_handle)
{
	struct handle h;
	unsigned int w;
	int in, fd;

	NOT_ON_OVERLAY("needs nfs_export=on");
	for (w = 0; w < ARRAY_SIZE(writes); w++) {
		DO(run("rm -rf up l1 && mkdir up l1 l1/d"));
		DO(put("l1/d/f", "old"));
		DO(mount_union("up:l1"));
		in = inotify_init1(IN_CLOEXEC);
		ASSERT_LE(0, inotify_add_watch(in, "mnt/d/f", IN_MODIFY));
		DO(get("mnt/d/f", &h));
		DO(forget());
		fd = open_it(&h, O_RDWR);
		ASSERT_LE(0, fd);
		DO(writes[w].run(fd));
		DO(close(fd));
		HAS("mnt/d/f", writes[w].text);
		ASSERT_TRUE(there("up/d/f"));
		HAS("l1/d/f", "old");
		DO(close(in));
		DO(umount("mnt"));
	}
}

TEST_F(export, handles_of_a_branch_that_left_are_stale)
{
	struct handle made, below;
	int id;

	NOT_ON_OVERLAY("its layers stay");
	DO(put("l2/below", "other"));
	DO(mount_union("up:l1"));
	id = add_branch("l2", MICA_BRANCH_RW, 0);
	ASSERT_LT(0, id);
	DO(put("mnt/made", "old"));
	DO(get("mnt/made", &made));
	DO(get("mnt/below", &below));
	ASSERT_STREQ("old", text_of(&made));
	ASSERT_STREQ("other", text_of(&below));
	CHANGED(del_branch(id));
	DO(forget());
	FAILS(ESTALE, open_it(&made, O_RDONLY));
	FAILS(ESTALE, open_it(&below, O_RDONLY));
	ASSERT_LT(0, add_branch("l2", MICA_BRANCH_RW, 0));
	ASSERT_STREQ("old", text_of(&made));
	ASSERT_STREQ("other", text_of(&below));
}

TEST_F(export, needs_a_writable_branch_and_handles_below)
{
	struct handle h;

	DO(put("l1/f", "old"));
	DO(mount_union_ro("l1:l2"));
	FAILS(EOPNOTSUPP, get("mnt/f", &h));
	DO(umount("mnt"));
	/* This machine's own, on 9p. */
	DO(mount("/etc", "l3", NULL, MS_BIND, NULL));
	DO(mount_union("up:l3"));
	FAILS(EOPNOTSUPP, get("mnt/passwd", &h));
	DO(umount("mnt"));
	DO(umount("l3"));
}

/* The next event for a file is told with its handle. */
TEST_F(export, fanotify_tells_handles)
{
	struct {
		struct fanotify_event_metadata meta;
		struct fanotify_event_info_fid fid;
		struct handle h;
	} event = {};
	struct file_handle *told;
	struct handle h;
	int fan;

	NOT_ON_OVERLAY("needs nfs_export=on");
	DO(put("l1/f", "old"));
	DO(mount_union("up:l1"));
	DO(get("mnt/f", &h));
	fan = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK, 0);
	ASSERT_LE(0, fan);
	DO(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_MODIFY,
			 AT_FDCWD, "mnt"));
	DO(put("mnt/f", "new"));
	ASSERT_LT((ssize_t)sizeof(event.meta),
		  read(fan, &event, sizeof(event)));
	ASSERT_TRUE(event.meta.mask & FAN_MODIFY);
	told = (void *)event.fid.handle;
	ASSERT_EQ(h.head.handle_bytes, told->handle_bytes);
	ASSERT_EQ(0, memcmp(h.bytes, told->f_handle, told->handle_bytes));
	DO(close(fan));
}

TEST_HARNESS_MAIN
