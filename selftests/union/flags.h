/* SPDX-License-Identifier: GPL-2.0-only */
/* The attributes that lsattr shows. Not in util.c: sys/mount.h is there. */
#ifndef UNION_TEST_FLAGS_H
#define UNION_TEST_FLAGS_H

#include <fcntl.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define MINE (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL)

static inline int flags_of(const char *path)
{
	int fd = open(path, O_RDONLY), flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		flags = -1;
	close(fd);
	return flags;
}

/* What statx() says of the same, in the same bits. */
static inline int stat_flags_of(const char *path)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, 0, 0, &stx))
		return -1;
	return stx.stx_attributes & stx.stx_attributes_mask & MINE;
}

/* As chattr does it: the others stay, or ext4 would give up its extents. */
static inline int set_flags(const char *path, int flags)
{
	int fd = open(path, O_RDONLY), old, err;

	err = ioctl(fd, FS_IOC_GETFLAGS, &old);
	flags |= old & ~MINE;
	if (!err)
		err = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return err;
}

#endif /* UNION_TEST_FLAGS_H */
