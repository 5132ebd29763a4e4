/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls of /dev/mica, each with what a failing one left as its reason. */
#ifndef _SELFTESTS_GUEST_SESSION_H
#define _SELFTESTS_GUEST_SESSION_H

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include "pci.h"

#define MICA_DEV	"/dev/mica"

static inline int session_open(void)
{
	return open(MICA_DEV, O_RDWR | O_CLOEXEC);
}

/* Returns 0 or the errno. */
static inline int session_claim_many(int fd, char (*bdf)[BDF_LEN], int n,
				     unsigned int flags, unsigned int *claimed,
				     struct mica_reason *why)
{
	struct mica_pci_addr addr[MICA_CLAIM_MAX];
	struct mica_claim claim = {
		.size = sizeof(claim),
		.flags = flags,
		.devices_ptr = (unsigned long)addr,
		.nr_devices = n,
		.reason_ptr = (unsigned long)why,
		.reason_len = sizeof(*why),
	};
	int i;

	memset(why, 0, sizeof(*why));
	for (i = 0; i < n; i++)
		addr[i] = pci_addr(bdf[i]);
	if (ioctl(fd, MICA_CLAIM, &claim))
		return errno;
	if (claimed)
		*claimed = claim.nr_claimed;
	return 0;
}

static inline int session_claim(int fd, const char *bdf, unsigned int flags,
				struct mica_reason *why)
{
	char one[1][BDF_LEN];

	snprintf(one[0], BDF_LEN, "%s", bdf);
	return session_claim_many(fd, one, 1, flags, NULL, why);
}

/* As many virtual functions as there is room for in @vfs. */
static inline int session_vfs(int fd, const char *pf, struct mica_pci_addr *vfs,
			      unsigned int nr, struct mica_reason *why)
{
	struct mica_guest_vfs args = {
		.size = sizeof(args),
		.addr = pci_addr(pf),
		.vfs_ptr = (unsigned long)vfs,
		.nr_vfs = nr,
		.reason_ptr = (unsigned long)why,
		.reason_len = sizeof(*why),
	};

	memset(why, 0, sizeof(*why));
	return ioctl(fd, MICA_GUEST_VFS, &args) ? errno : 0;
}

static inline int session_info(int fd, const char *bdf, unsigned int flags,
			       struct mica_device_info *info,
			       struct mica_member *members, unsigned int room)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->flags = flags;
	info->addr = pci_addr(bdf);
	info->members_ptr = (unsigned long)members;
	info->nr_members = room;
	return ioctl(fd, MICA_DEVICE_INFO, info) ? errno : 0;
}

static inline int session_wait(int fd, unsigned int flags,
			       struct mica_reason *why)
{
	struct mica_wait wait = {
		.size = sizeof(wait),
		.flags = flags,
		.reason_ptr = (unsigned long)why,
		.reason_len = why ? sizeof(*why) : 0,
	};

	return ioctl(fd, MICA_WAIT, &wait) ? errno : 0;
}

static inline int session_seal(int fd)
{
	struct mica_seal seal = { .size = sizeof(seal) };

	return ioctl(fd, MICA_SEAL, &seal) ? errno : 0;
}

static inline unsigned int session_id(int fd)
{
	struct mica_info info = { .size = sizeof(info) };

	return ioctl(fd, MICA_INFO, &info) ? 0 : info.session;
}

static inline int session_end(int fd, unsigned int id, struct mica_reason *why)
{
	struct mica_guest_end end = {
		.size = sizeof(end),
		.session = id,
		.reason_ptr = (unsigned long)why,
		.reason_len = sizeof(*why),
	};

	return ioctl(fd, MICA_GUEST_END, &end) ? errno : 0;
}

static inline int session_note(int fd, unsigned int state, unsigned int pid,
			       int status)
{
	struct mica_guest_note note = {
		.size = sizeof(note),
		.state = state,
		.pid = pid,
		.status = status,
	};

	return ioctl(fd, MICA_GUEST_NOTE, &note) ? errno : 0;
}

static inline int send_fd(int to, int fd)
{
	char data = 'x', room[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &data, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(to, &msg, 0) == 1 ? 0 : -errno;
}

static inline int receive_fd(int from)
{
	char data, room[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &data, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	int fd;

	if (recvmsg(from, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static inline unsigned int from_env(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

static inline int module_insert(const char *path, const char *args)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, args, 0) ? -errno : 0;
	close(fd);
	return err;
}

static inline int module_remove(const char *name, int ms)
{
	unsigned long long end = now_ns() + ms * 1000000ull;

	while (syscall(SYS_delete_module, name, O_NONBLOCK)) {
		if (errno == ENOENT)
			return 0;
		if (now_ns() > end)
			return -errno;
		sleep_us(2000);
	}
	return 0;
}

/* Loads $MICA_KO, unless it is loaded. */
static inline int module_load(void)
{
	struct stat st;

	return stat(MICA_DEV, &st) ? module_insert(getenv("MICA_KO") ?: "", "") : 0;
}

/* A session or a restore keeps the module. */
static inline int module_unload(int ms)
{
	return module_remove("mica", ms);
}

#endif /* _SELFTESTS_GUEST_SESSION_H */
