// SPDX-License-Identifier: GPL-2.0-only
/* /dev/mica: opening it, and what its failures mean. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include "dev.h"

/* A new session, or -1 and errno. */
int dev_open(void)
{
	return open("/dev/mica", O_RDWR | O_CLOEXEC);
}

/* The same, with a message if it fails. */
int dev_open_or_fail(void)
{
	int fd = dev_open();

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		fail("there is no /dev/mica; load the module with insmod or modprobe");
		break;
	case EACCES:
	case EPERM:
		fail("/dev/mica is for root only; use sudo");
		break;
	default:
		fail("cannot open /dev/mica: %s", strerror(errno));
	}
	return -1;
}

/* 0, or -1 and errno. */
int dev_info(int fd, struct mica_info *info)
{
	*info = (struct mica_info) { .size = sizeof(*info) };
	return ioctl(fd, MICA_INFO, info);
}

/* What the kernel says of a failure, or else what errno means. */
const char *reason_text(const struct mica_reason *reason, int err)
{
	if (reason->text[0])
		return (const char *)reason->text;
	return strerror(err);
}
