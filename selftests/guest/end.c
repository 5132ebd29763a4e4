// SPDX-License-Identifier: GPL-2.0-only
/* Sessions that somebody else ends. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include "session.h"
#include "vfio.h"
#include "../lib/harness.h"

#define BACK_MS	20000

FIXTURE(end)
{
	int fd;
	int admin;
	unsigned int id;
	char nvme[BDF_LEN];
	char edu[BDF_LEN];
	struct mica_reason why;
};

FIXTURE_SETUP(end)
{
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(1, pci_find(pci_is_plain_nvme, &self->nvme, 1));
	ASSERT_EQ(1, pci_find(pci_is_edu_alone, &self->edu, 1));
	ASSERT_TRUE(pci_wait_driver(self->nvme, "nvme", BACK_MS));
	ASSERT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
	self->fd = session_open();
	self->admin = session_open();
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->admin);
	self->id = session_id(self->fd);
}

FIXTURE_TEARDOWN(end)
{
	close(self->fd);
	close(self->admin);
	pci_wait_driver(self->nvme, "nvme", BACK_MS);
	pci_wait_driver(self->edu, "", BACK_MS);
}

TEST_F(end, device_goes_back_before_the_close)
{
	struct standing was = standing_of(self->nvme);
	struct pollfd poller = { .fd = self->fd };

	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	EXPECT_EQ(0, poll(&poller, 1, 0));
	ASSERT_EQ(0, session_end(self->admin, self->id, &self->why));
	EXPECT_TRUE(standing_comes_back(self->nvme, &was, BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
	EXPECT_EQ(1, poll(&poller, 1, 0));
	EXPECT_EQ(POLLHUP, poller.revents);
	/* It is free for others, with the old descriptor still open. */
	EXPECT_EQ(0, session_claim(self->admin, self->nvme, 0, &self->why));
	close(self->fd);
	sleep_us(300000);
	EXPECT_STREQ("vfio-pci", pci_driver(self->nvme));
}

TEST_F(end, calls_in_it_fail)
{
	struct mica_device_info device;
	struct mica_info info = { .size = sizeof(info) };

	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	ASSERT_EQ(0, session_end(self->admin, self->id, &self->why));
	EXPECT_EQ(-1, ioctl(self->fd, MICA_INFO, &info));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(ENODEV, session_info(self->fd, self->edu, 0, &device, NULL, 0));
	EXPECT_EQ(ENODEV, session_claim(self->fd, self->nvme, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_ENDING, self->why.code);
	EXPECT_EQ(ENODEV, session_claim(self->fd, self->nvme, MICA_CLAIM_ASYNC,
					&self->why));
	EXPECT_EQ(ENODEV, session_wait(self->fd, 0, &self->why));
	EXPECT_EQ(ENODEV, session_note(self->fd, MICA_GUEST_STARTED, getpid(), 0));
	EXPECT_EQ(ENODEV, session_seal(self->fd));
	EXPECT_EQ(ENODEV, session_end(self->fd, self->id, &self->why));
	EXPECT_STREQ("nvme", pci_driver(self->nvme));
}

TEST_F(end, twice_and_after)
{
	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	EXPECT_EQ(0, session_end(self->admin, self->id, &self->why));
	EXPECT_EQ(0, session_end(self->admin, self->id, &self->why));
	ASSERT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
	EXPECT_EQ(0, session_end(self->admin, self->id, &self->why));
	close(self->fd);
	/* The close is not what frees it, but what lets it be freed. */
	while (!session_end(self->admin, self->id, &self->why))
		sleep_us(1000);
	EXPECT_EQ(ENOENT, session_end(self->admin, self->id, &self->why));
	EXPECT_NE(NULL, strstr((char *)self->why.text, "no session"));
	EXPECT_EQ(ENOENT, session_end(self->admin, 0, &self->why));
	EXPECT_EQ(ENOENT, session_end(self->admin, ~0u, &self->why));
}

TEST_F(end, own_session)
{
	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	EXPECT_EQ(0, session_end(self->fd, self->id, &self->why));
	EXPECT_EQ(ENODEV, session_end(self->fd, self->id, &self->why));
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

TEST_F(end, without_anything_claimed)
{
	EXPECT_EQ(0, session_end(self->admin, self->id, &self->why));
	EXPECT_EQ(ENODEV, session_claim(self->fd, self->edu, 0, &self->why));
	EXPECT_STREQ("", pci_driver(self->edu));
}

TEST_F(end, ordinary_user_may_not)
{
	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(EPERM, session_end(self->admin, self->id, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_PRIVILEGE, self->why.code);
	EXPECT_STREQ("vfio-pci", pci_driver(self->edu));
}

TEST_F(end, sealed_session_may_not)
{
	ASSERT_EQ(0, session_seal(self->admin));
	EXPECT_EQ(EPERM, session_end(self->admin, self->id, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_PRIVILEGE, self->why.code);
	EXPECT_EQ(0, session_end(self->fd, session_id(self->admin), &self->why));
	EXPECT_EQ(0, session_id(self->admin));
}

static void stop(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/*
 * A claim waits for a function that is on its way back, which a process with the
 * device open does not let go.
 */
TEST_F(end, caller_that_waits_returns)
{
	unsigned int theirs;
	pid_t user, child;
	int id[2], status;

	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	user = vfio_user_start(self->edu);
	ASSERT_LT(0, user);
	ASSERT_EQ(0, session_end(self->admin, self->id, &self->why));

	ASSERT_EQ(0, pipe(id));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int fd = session_open();

		theirs = session_id(fd);
		write(id[1], &theirs, sizeof(theirs));
		_exit(session_claim(fd, self->edu, 0, &self->why));
	}
	ASSERT_EQ(sizeof(theirs), read(id[0], &theirs, sizeof(theirs)));
	sleep_us(500000);
	EXPECT_EQ(0, waitpid(child, &status, WNOHANG));
	EXPECT_EQ(0, session_end(self->admin, theirs, &self->why));
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(ENODEV, WEXITSTATUS(status));
	stop(user);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

/* What mica guest list has of a function. */
static bool listed_as(const char *bdf, const char *state)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "${MICA:-mica} guest list --json | jq -e '.sessions[].children[]? | select(.name == \"%s\" and .state == \"%s\")' >/dev/null",
		 bdf, state);
	return !system(command);
}

#define ASK_S	20

struct answer {
	int err;
	struct mica_device_info info;
	struct mica_member members[4];
};

/* Asks in a process that a signal ends: what hangs must not hang the test. */
static bool ask(const char *bdf, unsigned int flags, struct answer *answer)
{
	struct answer *shared;
	int status = -1;
	pid_t child;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return false;
	child = fork();
	if (!child) {
		signal(SIGALRM, SIG_DFL);
		alarm(ASK_S);
		/* A session is not for those who were forked off. */
		shared->err = session_info(session_open(), bdf, flags,
					   &shared->info, shared->members, 4);
		_exit(0);
	}
	waitpid(child, &status, 0);
	*answer = *shared;
	munmap(shared, sizeof(*shared));
	return WIFEXITED(status) && !answer->err;
}

/* Is it told of this member that vfio-pci has it, and a session. */
static bool told_of(const struct answer *answer, const char *bdf)
{
	const struct mica_member *m;
	unsigned int i;

	for (i = 0; i < answer->info.nr_members && i < 4; i++) {
		m = &answer->members[i];
		if (!strcmp((const char *)m->name, bdf))
			return !strcmp((const char *)m->driver, "vfio-pci") &&
			       m->state & MICA_STATE_CLAIMED &&
			       !(m->state & MICA_STATE_LOCKED);
	}
	return false;
}

/* The tool may ask for many functions. */
static int tool(const char *args)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "timeout 60 ${MICA:-mica} %s >/dev/null", args);
	return WEXITSTATUS(system(command));
}

/* A device that somebody has open is late, and says so. */
TEST_F(end, open_device_delays_the_way_back)
{
	struct answer answer;
	pid_t user;

	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	user = vfio_user_start(self->edu);
	ASSERT_LT(0, user);
	ASSERT_EQ(0, session_end(self->admin, self->id, &self->why));
	sleep_us(500000);
	EXPECT_STREQ("vfio-pci", pci_driver(self->edu));
	EXPECT_TRUE(listed_as(self->edu, "restoring"));
	/* Sessions of others do not wait for it. */
	EXPECT_EQ(0, session_claim(self->admin, self->nvme, 0, &self->why));
	/* By now vfio-pci is being unbound, with the device's lock held. */
	sleep_us(6000000);
	EXPECT_TRUE(ask(self->edu, 0, &answer));
	EXPECT_STREQ("vfio-pci", (char *)answer.info.driver);
	EXPECT_STREQ("vfio-pci", (char *)answer.info.driver_override);
	EXPECT_EQ(self->id, answer.info.session);
	EXPECT_EQ(EBUSY, answer.info.claim_error);
	EXPECT_EQ((unsigned int)MICA_REASON_CLAIMED, answer.info.claim.code);
	EXPECT_TRUE(ask(self->nvme, 0, &answer));
	EXPECT_STREQ("vfio-pci", (char *)answer.info.driver);
	EXPECT_NE(124, tool("device list"));
	EXPECT_NE(124, tool("host check"));
	stop(user);
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
}

/* Somebody who does not let go of the group is waited for once, not for each. */
TEST_F_TIMEOUT(end, open_group_delays_all_its_members_together, 300)
{
	char pair[2][BDF_LEN];
	struct vfio_use use;

	ASSERT_EQ(2, pci_find(pci_is_edu_paired, pair, 2));
	ASSERT_EQ(0, session_claim(self->fd, pair[0], MICA_CLAIM_GROUP,
				   &self->why));
	ASSERT_EQ(0, vfio_use_group(&use, pair[0]));
	ASSERT_EQ(0, session_end(self->admin, self->id, &self->why));
	sleep_us(1000000);
	EXPECT_STREQ("vfio-pci", pci_driver(pair[0]));
	sleep_us(6500000);
	EXPECT_STREQ("", pci_driver(pair[0]));
	EXPECT_STREQ("", pci_driver(pair[1]));
	vfio_use_end(&use);
	EXPECT_TRUE(pci_wait_driver(pair[0], "", BACK_MS));
	EXPECT_TRUE(pci_wait_driver(pair[1], "", BACK_MS));
}

/* Its neighbour in the group can be asked about, too. */
TEST_F_TIMEOUT(end, member_on_its_way_back_is_told, 300)
{
	struct answer answer;
	char pair[2][BDF_LEN];
	pid_t user;

	ASSERT_EQ(2, pci_find(pci_is_edu_paired, pair, 2));
	ASSERT_EQ(0, session_claim(self->fd, pair[0], MICA_CLAIM_GROUP,
				   &self->why));
	user = vfio_user_start(pair[0]);
	ASSERT_LT(0, user);
	ASSERT_EQ(0, session_end(self->admin, self->id, &self->why));
	sleep_us(6500000);
	EXPECT_TRUE(ask(pair[1], MICA_DEVICE_INFO_GROUP, &answer));
	EXPECT_EQ(self->id, answer.info.session);
	EXPECT_EQ(EBUSY, answer.info.claim_error);
	EXPECT_EQ((unsigned int)MICA_REASON_CLAIMED, answer.info.claim.code);
	EXPECT_EQ(1, told_of(&answer, pair[0]));
	stop(user);
	EXPECT_TRUE(pci_wait_driver(pair[0], "", BACK_MS));
	EXPECT_TRUE(pci_wait_driver(pair[1], "", BACK_MS));
}

/* The end and the last close at the same time, over and over. */
TEST_F(end, races_with_the_close)
{
	unsigned int id;
	int i, fd, go[2];
	pid_t child;
	char c;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, pipe(go));
		child = fork();
		if (!child) {
			fd = session_open();
			id = session_id(fd);
			if (i & 1)
				session_claim(fd, self->edu, 0, &self->why);
			write(go[1], &id, sizeof(id));
			_exit(0);
		}
		close(go[1]);
		ASSERT_EQ(sizeof(id), read(go[0], &id, sizeof(id)));
		ASSERT_NE(0, id);
		c = session_end(self->admin, id, &self->why);
		EXPECT_TRUE(c == 0 || c == ENOENT);
		close(go[0]);
		waitpid(child, NULL, 0);
	}
	EXPECT_TRUE(pci_wait_driver(self->edu, "", BACK_MS));
	close(self->fd);
	close(self->admin);
	EXPECT_EQ(0, module_unload(BACK_MS));
	ASSERT_EQ(0, module_load());
	self->fd = session_open();
	self->admin = session_open();
}

#define NOTES	64

struct noter {
	int fd[NOTES];
	int turn;		/* of which one is noted and ended now */
};

static void *note_all(void *arg)
{
	struct noter *noter = arg;
	int i;

	for (i = 0; i < NOTES; i++) {
		while (__atomic_load_n(&noter->turn, __ATOMIC_ACQUIRE) < i)
			;
		session_note(noter->fd[i], MICA_GUEST_STARTED, getpid(), 0);
	}
	return NULL;
}

static bool ended_one_has_a_guest(void)
{
	return !system("${MICA:-mica} guest list --json | jq -e '.sessions[] | select(.state == \"ending\" and .guest)' >/dev/null");
}

/* A guest is noted and its session ended at the same time, over and over. */
TEST_F(end, races_with_the_note_of_a_guest)
{
	unsigned int id[NOTES];
	struct noter noter;
	pthread_t thread;
	int i, wait, rounds;

	for (rounds = 0; rounds < 150; rounds++) {
		noter.turn = -1;
		for (i = 0; i < NOTES; i++) {
			noter.fd[i] = session_open();
			id[i] = session_id(noter.fd[i]);
		}
		ASSERT_EQ(0, pthread_create(&thread, NULL, note_all, &noter));
		for (i = 0; i < NOTES; i++) {
			__atomic_store_n(&noter.turn, i, __ATOMIC_RELEASE);
			for (wait = 0; wait < i * 10; wait++)
				__atomic_load_n(&noter.turn, __ATOMIC_RELAXED);
			session_end(self->admin, id[i], &self->why);
		}
		pthread_join(thread, NULL);
		ASSERT_FALSE(ended_one_has_a_guest()) {
			TH_LOG("round %d", rounds);
		}
		for (i = 0; i < NOTES; i++)
			close(noter.fd[i]);
	}
}

TEST_HARNESS_MAIN
