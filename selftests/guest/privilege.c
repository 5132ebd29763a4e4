// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may claim: the caller and the opener of a session need CAP_SYS_ADMIN. And
 * what others get who were handed a session.
 */
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "session.h"
#include "vfio.h"
#include "../lib/harness.h"

#define BACK_MS	20000

FIXTURE(privilege)
{
	char edu[BDF_LEN];
	char pair[2][BDF_LEN];
	struct mica_reason why;
};

FIXTURE_SETUP(privilege)
{
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(1, pci_find(pci_is_edu_alone, &self->edu, 1));
	ASSERT_EQ(2, pci_find(pci_is_edu_paired, self->pair, 2));
}

FIXTURE_TEARDOWN(privilege)
{
}

/* Takes a capability out of the effective set, or puts it there again. */
static int set_sys_admin(bool have)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps))
		return -errno;
	caps[0].effective &= ~(1u << CAP_SYS_ADMIN);
	if (have)
		caps[0].effective |= 1u << CAP_SYS_ADMIN;
	return syscall(SYS_capset, &head, caps) ? -errno : 0;
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
	ASSERT_EQ(0, set_sys_admin(false));
	EXPECT_EQ(EPERM, session_claim(fd, self->edu, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_PRIVILEGE, self->why.code);
	EXPECT_STREQ("", pci_driver(self->edu));
	EXPECT_STREQ("", pci_override(self->edu));
}

TEST_F(privilege, opener_without)
{
	int fd;

	ASSERT_EQ(0, set_sys_admin(false));
	fd = session_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_sys_admin(true));
	EXPECT_EQ(EPERM, session_claim(fd, self->edu, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_PRIVILEGE, self->why.code);
	EXPECT_NE(NULL, strstr((char *)self->why.text, "opened"));
	EXPECT_STREQ("", pci_driver(self->edu));
}

TEST_F(privilege, sealed_session_claims_no_more)
{
	struct mica_device_info info;
	int fd = session_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, session_claim(fd, self->edu, 0, &self->why));
	ASSERT_EQ(0, session_seal(fd));
	EXPECT_EQ(0, session_seal(fd));
	EXPECT_EQ(EPERM, session_claim(fd, self->pair[0], MICA_CLAIM_GROUP,
				       &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_PRIVILEGE, self->why.code);
	EXPECT_NE(NULL, strstr((char *)self->why.text, "sealed"));
	EXPECT_EQ(EPERM, session_claim(fd, self->pair[0], MICA_CLAIM_ASYNC |
				       MICA_CLAIM_FORCE | MICA_CLAIM_GROUP,
				       &self->why));
	EXPECT_EQ(ECHILD, session_wait(fd, 0, &self->why));
	EXPECT_STREQ("", pci_driver(self->pair[0]));
	EXPECT_STREQ("", pci_override(self->pair[0]));
	EXPECT_EQ(0, session_info(fd, self->edu, 0, &info, NULL, 0));
	EXPECT_TRUE(info.state & MICA_STATE_CLAIMED);
	EXPECT_STREQ("vfio-pci", pci_driver(self->edu));
	close(fd);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

TEST_F(privilege, claim_before_the_seal_is_done)
{
	int fd = session_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, session_claim(fd, self->edu, MICA_CLAIM_ASYNC, &self->why));
	ASSERT_EQ(0, session_seal(fd));
	EXPECT_EQ(0, session_wait(fd, 0, &self->why));
	EXPECT_STREQ("vfio-pci", pci_driver(self->edu));
	close(fd);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

/* What another process gets from each command: 0, or the bit of what differs. */
static int calls_differ(int fd, const char *bdf, int err)
{
	struct mica_info info = { .size = sizeof(info) };
	struct mica_device_info device;
	struct mica_reason why = {};
	int differ = 0;

	differ |= ((ioctl(fd, MICA_INFO, &info) ? errno : 0) != err) << 0;
	differ |= (session_info(fd, bdf, 0, &device, NULL, 0) != err) << 1;
	differ |= (session_wait(fd, 0, &why) != (err ?: ECHILD)) << 2;
	differ |= (session_note(fd, MICA_GUEST_ENDED, 0, 0) != (err ?: ENOENT)) << 3;
	differ |= (session_claim(fd, bdf, 0, &why) != EPERM) << 4;
	differ |= (why.code != MICA_REASON_PRIVILEGE) << 5;
	differ |= (session_seal(fd) != err) << 6;
	return differ;
}

/* The whole of what calls_differ() has to say. */
static int in_a_child(int fd, const char *bdf, int err)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(calls_differ(fd, bdf, err));
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(privilege, forked_process_wants_a_seal)
{
	int fd = session_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, in_a_child(fd, self->edu, EPERM));
	ASSERT_EQ(0, session_seal(fd));
	EXPECT_EQ(0, in_a_child(fd, self->edu, 0));
	EXPECT_STREQ("", pci_driver(self->edu));
}

/* The test itself, called by the next one; only it gets arguments. */
static int main_after_exec(char **argv)
{
	return calls_differ(atoi(argv[1]), argv[2], atoi(argv[3]));
}

/* fork() is not what makes the difference here: the opener itself calls exec(). */
static int through_exec(const char *bdf, bool seal, int err)
{
	pid_t child = fork();
	int status, fd;

	if (!child) {
		char fd_text[16], err_text[16];

		fd = session_open();
		if (fd < 0 || fcntl(fd, F_SETFD, 0) || (seal && session_seal(fd)))
			_exit(99);
		snprintf(fd_text, sizeof(fd_text), "%d", fd);
		snprintf(err_text, sizeof(err_text), "%d", err);
		execl("/proc/self/exe", "privilege", fd_text, bdf, err_text,
		      NULL);
		_exit(98);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(privilege, opener_after_exec_wants_a_seal)
{
	EXPECT_EQ(0, through_exec(self->edu, false, EPERM));
	EXPECT_EQ(0, through_exec(self->edu, true, 0));
}

/* Somebody of the same memory is no other process. */
static int thread_like(void *arg)
{
	struct mica_info info = { .size = sizeof(info) };

	return ioctl(*(int *)arg, MICA_INFO, &info) ? errno : 0;
}

TEST_F(privilege, process_of_the_same_memory_needs_none)
{
	static char stack[65536] __attribute__((aligned(16)));
	int fd = session_open(), status;
	pid_t child;

	ASSERT_LE(0, fd);
	child = clone(thread_like, stack + sizeof(stack),
		      CLONE_VM | CLONE_VFORK | SIGCHLD, &fd);
	ASSERT_LT(0, child);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

/*
 * What goes through for an ordinary user who was sent a session with one device,
 * and should not, or the other way round: the number of the check, or zero.
 */
static int ordinary_user(int fd, const char *bdf, const char *others)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct mica_device_info info;
	struct mica_reason why;
	struct vfio_use use;
	char path[64];

	if (session_open() >= 0 || errno != EACCES)
		return 1;
	if (session_claim(fd, others, MICA_CLAIM_FORCE | MICA_CLAIM_GROUP,
			  &why) != EPERM)
		return 2;
	if (session_info(fd, bdf, 0, &info, NULL, 0) ||
	    !(info.state & MICA_STATE_CLAIMED))
		return 3;
	snprintf(path, sizeof(path), "/dev/vfio/%d", pci_group(others));
	if (open(path, O_RDWR) >= 0 || errno != EACCES)
		return 4;
	/* The group is there; mapping more than may be locked is not. */
	if (vfio_use_group(&use, bdf) != -ENOMEM)
		return 5;
	if (!vfio_use_device(&use, others))
		return 6;
	if (vfio_use_device(&use, bdf))
		return 7;
	if (!setrlimit(RLIMIT_MEMLOCK, &limit) || errno != EPERM)
		return 8;
	if (pci_write(bdf, "driver_override", "x") != -EACCES ||
	    pci_write(bdf, "remove", "1") != -EACCES)
		return 9;
	vfio_use_end(&use);
	return 0;
}

TEST_F(privilege, ordinary_user_has_what_was_claimed)
{
	struct rlimit limit = { VFIO_DMA_LEN / 2, VFIO_DMA_LEN / 2 };
	int fd = session_open(), other = session_open(), status, pair[2];
	char path[64];
	pid_t child;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, session_claim(fd, self->edu, 0, &self->why));
	ASSERT_EQ(0, session_claim(other, self->pair[0], MICA_CLAIM_GROUP,
				   &self->why));
	ASSERT_EQ(0, session_seal(fd));
	snprintf(path, sizeof(path), "/dev/vfio/%d", pci_group(self->edu));
	ASSERT_EQ(0, chown(path, 65534, -1));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(fd);
		close(other);
		if (setrlimit(RLIMIT_MEMLOCK, &limit) ||
		    setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(99);
		_exit(ordinary_user(receive_fd(pair[1]), self->edu,
				    self->pair[0]));
	}
	ASSERT_EQ(0, send_fd(pair[0], fd));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	close(fd);
	close(other);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
	EXPECT_TRUE(pci_wait_driver(self->pair[0], "", BACK_MS));
}

/* The session was opened by root; who calls has nothing of that. */
TEST_F(privilege, ordinary_user_of_the_same_process)
{
	struct mica_device_info info;
	int fd = session_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, session_claim(fd, self->edu, 0, &self->why));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(EPERM, session_claim(fd, self->edu, MICA_CLAIM_FORCE,
				       &self->why));
	EXPECT_EQ(0, session_info(fd, self->edu, 0, &info, NULL, 0));
	close(fd);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
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
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

int main(int argc, char **argv)
{
	return argc == 4 ? main_after_exec(argv) : test_harness_run(argc, argv);
}
