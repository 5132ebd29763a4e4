/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the union share.
 *
 * A test runs in a fresh directory on the file system of its variant. There
 * are the directories up, l1, l2, l3 (to be branches) and work, and mnt, where
 * mount_union() mounts. Helpers return 0, or -1 and errno, as system calls do.
 *
 * With UNION_FSTYPE=overlay in the environment the tests run against overlayfs:
 * so the tests themselves are tested. Those of what overlayfs does otherwise,
 * or not at all, are then skipped.
 */
#ifndef UNION_TEST_UTIL_H
#define UNION_TEST_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

/* The call must return 0. */
#define DO(call)							\
	ASSERT_EQ(0, (call)) {						\
		TH_LOG("%s: %s", #call, strerror(errno));		\
	}

/* The call must fail with that errno. */
#define FAILS(err, call)						\
	do {								\
		errno = 0;						\
		ASSERT_EQ(-1, (call));					\
		ASSERT_EQ(err, errno) {					\
			TH_LOG("%s: %s", #call, strerror(errno));	\
		}							\
	} while (0)

/* The file must have just this content. */
#define HAS(path, text)							\
	ASSERT_STREQ(text, content(path)) {				\
		TH_LOG("%s", path);					\
	}

#define NOT_ON_OVERLAY(why)						\
	do {								\
		if (on_overlay)						\
			SKIP(return, "overlayfs: " why);		\
	} while (0)

/* A fixture with one variant for each file system that can be written to. */
#define UNION_FIXTURE(name)						\
FIXTURE(name) {};							\
FIXTURE_VARIANT(name) { const char *fs; };				\
FIXTURE_VARIANT_ADD(name, tmpfs) { .fs = "tmpfs" };			\
FIXTURE_VARIANT_ADD(name, ext4) { .fs = "ext4" };			\
FIXTURE_VARIANT_ADD(name, xfs) { .fs = "xfs" };				\
FIXTURE_SETUP(name)							\
{									\
	DO(fresh(variant->fs));						\
}									\
FIXTURE_TEARDOWN(name)							\
{									\
	EXPECT_EQ(0, leave());						\
}

/* Set up and leave the directory of a test. */
extern bool on_overlay;
int fresh(const char *fstype);
int leave(void);
const char *scratch_on(const char *fstype);
const char *here(const char *path);

/* Mount the branches, "up:l1:l2", on mnt; the first is rw. */
int mount_union(const char *branches);
int mount_union_ro(const char *branches);
int mount_union_with(const char *branches, const char *options);
int mount_mica(const char *options, const char *target);

/* Files. What returns a string returns one of a few static buffers. */
int put(const char *path, const char *text);
int add(const char *path, const char *text);
const char *content(const char *path);
int fill(const char *path, size_t size, unsigned int seed);
int filled(const char *path, size_t size, unsigned int seed);
bool there(const char *path);
const char *ls(const char *path);
mode_t mode_of(const char *path);
int same_attributes(const char *a, const char *b);
int set_xattr(const char *path, const char *name, const char *value);
const char *get_xattr(const char *path, const char *name);
/* With all that is in it; nothing is done if it is not there. */
int remove_all(const char *path);
/* Inodes and names that nobody uses are forgotten. */
int drop_caches(void);

int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whiteouts and opaque directories: found in any form, made in the first. */
bool whited_out(const char *branch, const char *path);
int make_whiteout(const char *branch, const char *path);
bool opaque(const char *path);
int make_opaque(const char *path);

/* Run a function in a child, as another user; returns what it returns. */
int as_user(uid_t uid, int (*fn)(void *arg), void *arg);

#endif /* UNION_TEST_UTIL_H */
