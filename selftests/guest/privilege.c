// SPDX-License-Identifier: GPL-2.0-only
/* Who may claim: the caller and the opener of a session need CAP_SYS_ADMIN. */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "session.h"
#include "kselftest_harness.h"

FIXTURE(privilege)
{
	char edu[BDF_LEN];
	struct mica_reason why;
};

FIXTURE_SETUP(privilege)
{
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(1, pci_find(pci_is_edu_alone, &self->edu, 1));
}

FIXTURE_TEARDOWN(privilege)
{
}

static int drop_sys_admin(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps))
		return -errno;
	caps[0].effective &= ~(1u << CAP_SYS_ADMIN);
	caps[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	return syscall(SYS_capset, &head, caps) ? -errno : 0;
}

static int send_fd(int to, int fd)
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

static int receive_fd(int from)
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

TEST_F(privilege, node_is_for_root)
{
	struct stat st;

	ASSERT_EQ(0, stat(MICA_DEV, &st));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
}

TEST_F(privilege, caller_without)
{
	int fd = session_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, drop_sys_admin());
	EXPECT_EQ(EPERM, session_claim(fd, self->edu, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_PRIVILEGE, self->why.code);
	EXPECT_STREQ("", pci_driver(self->edu));
	EXPECT_STREQ("", pci_override(self->edu));
}

TEST_F(privilege, opener_without)
{
	int pair[2], fd;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	if (!fork()) {
		if (drop_sys_admin())
			_exit(1);
		send_fd(pair[1], session_open());
		_exit(0);
	}
	close(pair[1]);
	fd = receive_fd(pair[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EPERM, session_claim(fd, self->edu, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_PRIVILEGE, self->why.code);
	EXPECT_NE(NULL, strstr((char *)self->why.text, "opened"));
	EXPECT_STREQ("", pci_driver(self->edu));
	wait(NULL);
}

TEST_F(privilege, ordinary_user_with_the_descriptor)
{
	struct mica_device_info info;
	int fd = session_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, session_claim(fd, self->edu, 0, &self->why));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(-1, session_open());
	EXPECT_EQ(EPERM, session_claim(fd, self->edu, MICA_CLAIM_FORCE,
				       &self->why));
	EXPECT_EQ(0, session_info(fd, self->edu, 0, &info, NULL, 0));
	EXPECT_TRUE(info.state & MICA_STATE_CLAIMED);
	close(fd);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", 20000));
}

TEST_F(privilege, sent_session_is_the_same)
{
	int pair[2], fd = session_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, session_claim(fd, self->edu, 0, &self->why));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_EQ(0, send_fd(pair[0], fd));
	close(fd);
	sleep_us(300000);
	EXPECT_STREQ("vfio-pci", pci_driver(self->edu));
	/* It is in the socket only, and goes with it. */
	close(pair[0]);
	close(pair[1]);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", 20000));
}

TEST_HARNESS_MAIN
