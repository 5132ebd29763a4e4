// SPDX-License-Identifier: GPL-2.0-only
/* Claims that are granted, claims that are refused, and the way back. */
#include "session.h"
#include "vfio.h"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include "../lib/harness.h"

#define BACK_MS	20000

static bool names(const struct mica_reason *why, const char *name)
{
	return strstr((const char *)why->text, name);
}

FIXTURE(claim)
{
	int fd;
	char nvme[BDF_LEN];
	char edu[BDF_LEN];
	char pair[2][BDF_LEN];
	char e1000e[BDF_LEN];
	char port[BDF_LEN];
	struct mica_reason why;
};

FIXTURE_SETUP(claim)
{
	char many[8][BDF_LEN];

	ASSERT_EQ(0, module_load());
	ASSERT_LE(1, pci_find(pci_is_plain_nvme, many, 8));
	memcpy(self->nvme, many[0], BDF_LEN);
	ASSERT_LE(1, pci_find(pci_is_edu_alone, many, 8));
	memcpy(self->edu, many[0], BDF_LEN);
	ASSERT_EQ(2, pci_find(pci_is_edu_paired, self->pair, 2));
	ASSERT_LE(1, pci_find(pci_is_e1000e, many, 8));
	memcpy(self->e1000e, many[0], BDF_LEN);
	ASSERT_LE(1, pci_find(pci_is_port, many, 8));
	memcpy(self->port, many[0], BDF_LEN);
	ASSERT_TRUE(pci_wait_driver(self->nvme, "nvme", BACK_MS));
	ASSERT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
	self->fd = session_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(claim)
{
	close(self->fd);
	pci_wait_driver(self->nvme, "nvme", BACK_MS);
}

TEST_F(claim, nvme_goes_and_comes_back)
{
	struct standing was = standing_of(self->nvme);

	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	EXPECT_STREQ("vfio-pci", pci_driver(self->nvme));
	EXPECT_STREQ("vfio-pci", pci_override(self->nvme));
	close(self->fd);
	EXPECT_TRUE(standing_comes_back(self->nvme, &was, BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
}

TEST_F(claim, after_a_guest_it_works)
{
	struct standing was = standing_of(self->nvme);
	struct vfio_use use;

	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	ASSERT_EQ(0, vfio_use_group(&use, self->nvme));
	ASSERT_EQ(0, vfio_use_device(&use, self->nvme));
	vfio_use_end(&use);
	close(self->fd);
	EXPECT_TRUE(standing_comes_back(self->nvme, &was, BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
}

TEST_F(claim, unbound_stays_unbound)
{
	struct standing was = standing_of(self->edu);

	ASSERT_STREQ("", was.driver);
	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	EXPECT_STREQ("vfio-pci", pci_driver(self->edu));
	close(self->fd);
	EXPECT_TRUE(standing_comes_back(self->edu, &was, BACK_MS));
}

TEST_F(claim, on_vfio_before_is_on_vfio_after)
{
	struct standing was;

	ASSERT_EQ(0, pci_write(self->edu, "driver_override", "vfio-pci"));
	ASSERT_EQ(0, system("modprobe vfio-pci"));
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers_probe", self->edu));
	was = standing_of(self->edu);
	ASSERT_STREQ("vfio-pci", was.driver);
	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	close(self->fd);
	sleep_us(500000);
	EXPECT_TRUE(standing_comes_back(self->edu, &was, BACK_MS));
	EXPECT_EQ(0, write_text("/sys/bus/pci/drivers/vfio-pci/unbind",
				self->edu));
	EXPECT_EQ(0, pci_write(self->edu, "driver_override", "\n"));
}

TEST_F(claim, bridge_is_refused)
{
	struct standing was = standing_of(self->port);

	EXPECT_EQ(EINVAL, session_claim(self->fd, self->port, 0, &self->why));
	EXPECT_EQ(MICA_REASON_BRIDGE, self->why.code);
	EXPECT_STREQ(self->port, (char *)self->why.subject);
	EXPECT_TRUE(names(&self->why, "bridge"));
	EXPECT_TRUE(standing_is(self->port, &was));
}

TEST_F(claim, missing_is_refused)
{
	EXPECT_EQ(ENOENT, session_claim(self->fd, "0000:e7:1d.5", 0,
					&self->why));
	EXPECT_EQ(MICA_REASON_NO_DEVICE, self->why.code);
	EXPECT_STREQ("0000:e7:1d.5", (char *)self->why.subject);
	EXPECT_TRUE(names(&self->why, "0000:e7:1d.5"));
}

TEST_F(claim, twice_is_refused)
{
	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	EXPECT_EQ(EBUSY, session_claim(self->fd, self->nvme, 0, &self->why));
	EXPECT_EQ(MICA_REASON_CLAIMED, self->why.code);
	EXPECT_STREQ(self->nvme, (char *)self->why.subject);
	EXPECT_STREQ("vfio-pci", pci_driver(self->nvme));
}

TEST_F(claim, of_two_sessions_one_is_refused)
{
	struct mica_info info = { .size = sizeof(info) };
	int other = session_open();
	char session[32];

	ASSERT_LE(0, other);
	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	ASSERT_EQ(0, ioctl(self->fd, MICA_INFO, &info));
	snprintf(session, sizeof(session), "session %u ", info.session);
	EXPECT_EQ(EBUSY, session_claim(other, self->nvme, MICA_CLAIM_FORCE,
				       &self->why));
	EXPECT_EQ(MICA_REASON_CLAIMED, self->why.code);
	EXPECT_TRUE(names(&self->why, session));
	close(other);
	sleep_us(100000);
	EXPECT_STREQ("vfio-pci", pci_driver(self->nvme));
}

TEST_F(claim, two_sessions_at_once_one_wins)
{
	int start[2], wins = 0, status, i;
	char go;

	ASSERT_EQ(0, pipe(start));
	for (i = 0; i < 2; i++) {
		if (fork())
			continue;
		close(start[1]);
		close(self->fd);
		self->fd = session_open();
		if (read(start[0], &go, 1))
			_exit(9);
		status = session_claim(self->fd, self->edu, 0, &self->why);
		sleep_us(1000000);
		_exit(status == EBUSY ? 1 : status ? 2 : 0);
	}
	close(start[1]);
	for (i = 0; i < 2; i++) {
		wait(&status);
		ASSERT_TRUE(WIFEXITED(status));
		ASSERT_GE(1, WEXITSTATUS(status));
		wins += !WEXITSTATUS(status);
	}
	EXPECT_EQ(1, wins);
}

TEST_F(claim, one_of_a_pair_is_refused)
{
	struct standing was[2] = { standing_of(self->pair[0]),
				   standing_of(self->pair[1]) };
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(EBUSY, session_claim(self->fd, self->pair[i], 0,
					       &self->why));
		EXPECT_EQ(MICA_REASON_GROUP, self->why.code);
		EXPECT_STREQ(self->pair[!i], (char *)self->why.subject);
		EXPECT_TRUE(names(&self->why, self->pair[!i]));
	}
	EXPECT_TRUE(standing_is(self->pair[0], &was[0]));
	EXPECT_TRUE(standing_is(self->pair[1], &was[1]));
}

/* Whoever may open the group would get what an administrator keeps on vfio-pci. */
TEST_F(claim, neighbour_on_vfio_pci_counts)
{
	const char *unbind = "/sys/bus/pci/drivers/vfio-pci/unbind";
	unsigned int id = session_id(self->fd);
	int other = session_open();

	ASSERT_EQ(0, pci_write(self->pair[1], "driver_override", "vfio-pci"));
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers_probe", self->pair[1]));
	ASSERT_STREQ("vfio-pci", pci_driver(self->pair[1]));
	EXPECT_EQ(EBUSY, session_claim(self->fd, self->pair[0], 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_GROUP, self->why.code);
	EXPECT_STREQ(self->pair[1], (char *)self->why.subject);
	EXPECT_STREQ("", pci_driver(self->pair[0]));

	/* It comes along, and goes back to it; a second claim meets it held. */
	ASSERT_EQ(0, session_claim(self->fd, self->pair[0], MICA_CLAIM_GROUP,
				   &self->why)) {
		TH_LOG("%s", self->why.text);
	}
	EXPECT_EQ(EBUSY, session_claim(other, self->pair[1], MICA_CLAIM_FORCE,
				       &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_CLAIMED, self->why.code);
	close(self->fd);
	/* It was there all the time: the end of the session tells that it is back. */
	while (!session_end(other, id, &self->why))
		sleep_us(1000);
	close(other);
	EXPECT_STREQ("", pci_driver(self->pair[0]));
	EXPECT_STREQ("vfio-pci", pci_driver(self->pair[1]));
	EXPECT_STREQ("vfio-pci", pci_override(self->pair[1]));

	EXPECT_EQ(0, write_text(unbind, self->pair[1]));
	EXPECT_EQ(0, pci_write(self->pair[1], "driver_override", "\n"));
}

TEST_F(claim, pair_comes_as_a_group)
{
	struct standing was[2] = { standing_of(self->pair[0]),
				   standing_of(self->pair[1]) };
	struct vfio_use use;
	unsigned int n = 0;

	ASSERT_EQ(0, session_claim_many(self->fd, self->pair, 1,
					MICA_CLAIM_GROUP, &n, &self->why));
	EXPECT_EQ(2, n);
	EXPECT_STREQ("vfio-pci", pci_driver(self->pair[0]));
	EXPECT_STREQ("vfio-pci", pci_driver(self->pair[1]));
	EXPECT_EQ(0, vfio_use_group(&use, self->pair[0]));
	EXPECT_EQ(0, vfio_use_device(&use, self->pair[1]));
	vfio_use_end(&use);
	close(self->fd);
	EXPECT_TRUE(standing_comes_back(self->pair[0], &was[0], BACK_MS));
	EXPECT_TRUE(standing_comes_back(self->pair[1], &was[1], BACK_MS));
}

TEST_F(claim, pair_comes_by_name)
{
	unsigned int n = 0;

	ASSERT_EQ(0, session_claim_many(self->fd, self->pair, 2, 0, &n,
					&self->why));
	EXPECT_EQ(2, n);
}

TEST_F(claim, all_or_nothing)
{
	struct standing was = standing_of(self->nvme);
	char two[2][BDF_LEN];

	memcpy(two[0], self->nvme, BDF_LEN);
	memcpy(two[1], self->pair[0], BDF_LEN);
	EXPECT_EQ(EBUSY, session_claim_many(self->fd, two, 2, 0, NULL,
					    &self->why));
	EXPECT_EQ(MICA_REASON_GROUP, self->why.code);
	EXPECT_TRUE(standing_is(self->nvme, &was));
	memcpy(two[1], self->port, BDF_LEN);
	EXPECT_EQ(EINVAL, session_claim_many(self->fd, two, 2, 0, NULL,
					     &self->why));
	EXPECT_TRUE(standing_is(self->nvme, &was));
	memcpy(two[1], self->nvme, BDF_LEN);
	EXPECT_EQ(EINVAL, session_claim_many(self->fd, two, 2, 0, NULL,
					     &self->why));
	EXPECT_TRUE(names(&self->why, "twice"));
	EXPECT_TRUE(standing_is(self->nvme, &was));
	EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
}

TEST_F(claim, used_through_vfio_is_refused)
{
	struct vfio_use use;

	ASSERT_EQ(0, pci_write(self->edu, "driver_override", "vfio-pci"));
	ASSERT_EQ(0, system("modprobe vfio-pci"));
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers_probe", self->edu));
	ASSERT_EQ(0, vfio_use_group(&use, self->edu));
	EXPECT_EQ(EBUSY, session_claim(self->fd, self->edu, MICA_CLAIM_FORCE,
				       &self->why));
	EXPECT_EQ(MICA_REASON_USER, self->why.code);
	EXPECT_STREQ("vfio-pci", pci_driver(self->edu));
	vfio_use_end(&use);
	EXPECT_EQ(0, write_text("/sys/bus/pci/drivers/vfio-pci/unbind",
				self->edu));
	EXPECT_EQ(0, pci_write(self->edu, "driver_override", "\n"));
}

TEST_F(claim, own_override_survives)
{
	ASSERT_EQ(0, pci_write(self->nvme, "driver_override", "nvme"));
	ASSERT_EQ(0, pci_write(self->edu, "driver_override", "none-such"));
	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	close(self->fd);
	EXPECT_TRUE(standing_comes_back(self->nvme,
					&(struct standing){ "nvme", "nvme" }, BACK_MS));
	EXPECT_TRUE(standing_comes_back(self->edu,
					&(struct standing){ "", "none-such" }, BACK_MS));
	EXPECT_EQ(0, pci_write(self->nvme, "driver_override", "\n"));
	EXPECT_EQ(0, pci_write(self->edu, "driver_override", "\n"));
}

TEST_F(claim, override_set_meanwhile_survives)
{
	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	ASSERT_EQ(0, pci_write(self->nvme, "driver_override", "pci-stub"));
	close(self->fd);
	EXPECT_TRUE(standing_comes_back(self->nvme, &(struct standing){
						"nvme", "pci-stub" }, BACK_MS));
	EXPECT_EQ(0, pci_write(self->nvme, "driver_override", "\n"));
}

TEST_F(claim, taken_by_somebody_else_is_left)
{
	system("modprobe -q pci-stub");
	ASSERT_EQ(0, session_claim(self->fd, self->edu, 0, &self->why));
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers/vfio-pci/unbind",
				self->edu));
	ASSERT_EQ(0, pci_write(self->edu, "driver_override", "pci-stub"));
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers_probe", self->edu));
	ASSERT_STREQ("pci-stub", pci_driver(self->edu));
	close(self->fd);
	sleep_us(500000);
	EXPECT_STREQ("pci-stub", pci_driver(self->edu));
	EXPECT_STREQ("pci-stub", pci_override(self->edu));
	EXPECT_EQ(0, write_text("/sys/bus/pci/drivers/pci-stub/unbind",
				self->edu));
	EXPECT_EQ(0, pci_write(self->edu, "driver_override", "\n"));
}

TEST_F(claim, inherited_session_is_the_same)
{
	int pipefd[2], status;
	pid_t child;
	char c;

	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(pipefd[1]);
		_exit(read(pipefd[0], &c, 1));
	}
	close(pipefd[0]);
	close(self->fd);
	sleep_us(300000);
	EXPECT_STREQ("vfio-pci", pci_driver(self->nvme));
	close(pipefd[1]);
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(pci_wait_driver(self->nvme, "nvme", BACK_MS));
}

TEST_F(claim, open_device_delays_the_way_back)
{
	pid_t child;
	int status;

	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	child = vfio_user_start(self->nvme);
	ASSERT_LT(0, child);
	close(self->fd);
	sleep_us(1000000);
	EXPECT_STREQ("vfio-pci", pci_driver(self->nvme));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	EXPECT_TRUE(pci_wait_driver(self->nvme, "nvme", BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
}

TEST_F(claim, async_outcome_is_fetched_once)
{
	struct pollfd poller = { .fd = self->fd, .events = POLLIN };
	int err;

	EXPECT_EQ(ECHILD, session_wait(self->fd, 0, &self->why));
	EXPECT_EQ(0, poll(&poller, 1, 0));
	ASSERT_EQ(0, session_claim(self->fd, self->nvme, MICA_CLAIM_ASYNC,
				   &self->why));
	EXPECT_EQ(EBUSY, session_claim(self->fd, self->edu, MICA_CLAIM_ASYNC,
				       &self->why));
	err = session_wait(self->fd, MICA_WAIT_NONBLOCK, &self->why);
	EXPECT_TRUE(err == EAGAIN || err == 0);
	if (err) {
		EXPECT_EQ(1, poll(&poller, 1, BACK_MS));
		EXPECT_EQ(POLLIN, poller.revents);
		EXPECT_EQ(0, session_wait(self->fd, 0, &self->why));
	}
	EXPECT_EQ(ECHILD, session_wait(self->fd, 0, &self->why));
	EXPECT_STREQ("vfio-pci", pci_driver(self->nvme));
}

TEST_F(claim, async_failure_has_its_reason)
{
	struct mica_reason why;

	ASSERT_EQ(0, session_claim(self->fd, self->port, MICA_CLAIM_ASYNC,
				   &self->why));
	EXPECT_EQ(EINVAL, session_wait(self->fd, 0, &why));
	EXPECT_EQ(MICA_REASON_BRIDGE, why.code);
	EXPECT_STREQ(self->port, (char *)why.subject);
}

TEST_F(claim, unplugged_while_held)
{
	int i;

	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	ASSERT_EQ(0, pci_write(self->nvme, "remove", "1"));
	EXPECT_EQ(ENOENT, session_claim(self->fd, self->nvme, 0, &self->why));
	close(self->fd);
	sleep_us(300000);
	EXPECT_EQ(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT_TRUE(pci_wait_driver(self->nvme, "nvme", BACK_MS));
	for (i = 0; i < 2; i++)
		EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
}

static void unplug(const char *bdf)
{
	pci_write(bdf, "remove", "1");
}

static void plug(const char *bdf)
{
	write_text("/sys/bus/pci/rescan", "1");
	pci_wait_driver(bdf, "", BACK_MS);
}

/* The first of two is unplugged while the driver of the second lets it go. */
TEST_F(claim, unplugged_when_it_had_been_taken_already)
{
	struct standing was = standing_of(self->nvme);
	char two[2][BDF_LEN];
	int i, err = 0;

	memcpy(two[0], self->edu, BDF_LEN);
	memcpy(two[1], self->nvme, BDF_LEN);
	/* If the claim was the faster one, once more. */
	for (i = 0; i < 10 && !err; i++) {
		ASSERT_EQ(0, session_claim_many(self->fd, two, 2,
						MICA_CLAIM_ASYNC, NULL,
						&self->why));
		ASSERT_TRUE(pci_wait_driver(self->edu, "vfio-pci", BACK_MS));
		unplug(self->edu);
		err = session_wait(self->fd, MICA_WAIT_NONBLOCK, &self->why);
		if (err)
			break;
		close(self->fd);
		plug(self->edu);
		ASSERT_TRUE(standing_comes_back(self->nvme, &was, BACK_MS));
		ASSERT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
		self->fd = session_open();
	}
	ASSERT_EQ(EAGAIN, err);
	EXPECT_EQ(ENODEV, session_wait(self->fd, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_NO_DEVICE, self->why.code);
	EXPECT_STREQ(self->edu, (char *)self->why.subject);
	/* With the session still open. */
	EXPECT_TRUE(standing_comes_back(self->nvme, &was, BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
	plug(self->edu);
}

struct claimer {
	int fd;
	const char *bdf;
	int err;
};

static void *claim_it(void *arg)
{
	struct claimer *c = arg;
	struct mica_reason why;

	c->err = session_claim(c->fd, c->bdf, 0, &why);
	return NULL;
}

/* Its claim waits for that of another function of the session. */
TEST_F(claim, unplugged_before_its_turn)
{
	struct standing was = standing_of(self->nvme);
	pthread_t thread;
	int i, err = 0;

	for (i = 0; i < 10 && !err; i++) {
		struct claimer claimer = { self->fd, self->nvme, -1 };

		ASSERT_EQ(0, pthread_create(&thread, NULL, claim_it, &claimer));
		ASSERT_TRUE(pci_wait_driver(self->nvme, "", BACK_MS));
		EXPECT_EQ(0, session_claim(self->fd, self->edu,
					   MICA_CLAIM_ASYNC, &self->why));
		unplug(self->edu);
		err = session_wait(self->fd, 0, &self->why);
		pthread_join(thread, NULL);
		EXPECT_EQ(0, claimer.err);
		close(self->fd);
		plug(self->edu);
		ASSERT_TRUE(standing_comes_back(self->nvme, &was, BACK_MS));
		ASSERT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
		self->fd = session_open();
	}
	EXPECT_EQ(ENODEV, err);
	EXPECT_EQ((unsigned int)MICA_REASON_NO_DEVICE, self->why.code);
	EXPECT_STREQ(self->edu, (char *)self->why.subject);
}

/* Uses a function until vfio-pci asks for it, as monitors do. */
static void use_until_asked(const char *bdf, int ready)
{
	struct vfio_irq_set *set;
	struct vfio_use use;
	char room[sizeof(*set) + sizeof(int)];
	unsigned long long asked;
	int event = eventfd(0, EFD_CLOEXEC);

	if (vfio_use_group(&use, bdf) || vfio_use_device(&use, bdf))
		_exit(1);
	set = (void *)room;
	*set = (struct vfio_irq_set){
		.argsz = sizeof(room),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_REQ_IRQ_INDEX,
		.count = 1,
	};
	memcpy(set->data, &event, sizeof(event));
	if (ioctl(use.device, VFIO_DEVICE_SET_IRQS, set))
		_exit(2);
	write(ready, "x", 1);
	if (read(event, &asked, sizeof(asked)) != sizeof(asked))
		_exit(3);
	vfio_use_end(&use);
	_exit(0);
}

TEST_F(claim, unplugged_while_open)
{
	int ready[2], status;
	pid_t child;
	char c;

	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	ASSERT_EQ(0, pipe(ready));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		use_until_asked(self->nvme, ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_EQ(0, pci_write(self->nvme, "remove", "1"));
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(ENOENT, session_claim(self->fd, self->nvme, 0, &self->why));
	close(self->fd);
	sleep_us(300000);
	EXPECT_EQ(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT_TRUE(pci_wait_driver(self->nvme, "nvme", BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
}

/* Whether it may save power, that is; vfio-pci forbids it when it lets go. */
TEST_F(claim, power_control_comes_back)
{
	static const char *const controls[] = { "auto", "on" };
	struct standing was = standing_of(self->nvme);
	char control[8];
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pci_write(self->nvme, "power/control", controls[i]));
		ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
		close(self->fd);
		EXPECT_TRUE(standing_comes_back(self->nvme, &was, BACK_MS));
		EXPECT_TRUE(pci_nvme_reads(self->nvme, BACK_MS));
		self->fd = session_open();
		pci_attr(self->nvme, "power/control", control, sizeof(control));
		EXPECT_STREQ(controls[i], control);
	}
}

TEST_F(claim, driver_gone_while_held)
{
	struct standing unbound = { "", "" };

	ASSERT_EQ(0, session_claim(self->fd, self->e1000e, 0, &self->why));
	ASSERT_EQ(0, system("modprobe -r e1000e"));
	close(self->fd);
	EXPECT_TRUE(standing_comes_back(self->e1000e, &unbound, BACK_MS));
	ASSERT_EQ(0, system("modprobe e1000e"));
	EXPECT_TRUE(pci_wait_driver(self->e1000e, "e1000e", BACK_MS));
}

TEST_F(claim, module_stays_while_needed)
{
	EXPECT_EQ(-EAGAIN, module_unload(0));
	ASSERT_EQ(0, session_claim(self->fd, self->nvme, 0, &self->why));
	close(self->fd);
	EXPECT_EQ(0, module_unload(BACK_MS));
	EXPECT_STREQ("nvme", pci_driver(self->nvme));
	EXPECT_STREQ("", pci_override(self->nvme));
	ASSERT_EQ(0, module_load());
	self->fd = session_open();
}

TEST_F(claim, guest_is_noted)
{
	pid_t child = fork();
	int status;

	if (!child) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(ENOENT, session_note(self->fd, MICA_GUEST_ENDED, 0, 0));
	EXPECT_EQ(EINVAL, session_note(self->fd, 7, child, 0));
	EXPECT_EQ(EINVAL, session_note(self->fd, MICA_GUEST_STARTED, child, 1));
	EXPECT_EQ(EINVAL, session_note(self->fd, MICA_GUEST_ENDED, child, 0));
	EXPECT_EQ(EPERM, session_note(self->fd, MICA_GUEST_STARTED, 1, 0));
	EXPECT_EQ(ESRCH, session_note(self->fd, MICA_GUEST_STARTED, 0, 0));
	EXPECT_EQ(ESRCH, session_note(self->fd, MICA_GUEST_STARTED, ~0u, 0));
	EXPECT_EQ(0, session_note(self->fd, MICA_GUEST_STARTED, child, 0));
	EXPECT_EQ(EBUSY, session_note(self->fd, MICA_GUEST_STARTED, child, 0));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	EXPECT_EQ(0, session_note(self->fd, MICA_GUEST_ENDED, 0, status));
	EXPECT_EQ(ENOENT, session_note(self->fd, MICA_GUEST_ENDED, 0, status));
}

TEST_HARNESS_MAIN
