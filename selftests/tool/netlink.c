// SPDX-License-Identifier: GPL-2.0-only
/* The netlink family itself: who may ask, and what is refused. */
#include <errno.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "../lib/fault.h"
#include "../lib/harness.h"
#include "mica_netlink.h"

FIXTURE(family)
{
	struct nl_sock *sock;
	int id;
};

FIXTURE_SETUP(family)
{
	if (geteuid())
		SKIP(return, "needs root");
	self->sock = nl_socket_alloc();
	ASSERT_NE(NULL, self->sock);
	ASSERT_EQ(0, genl_connect(self->sock));
	self->id = genl_ctrl_resolve(self->sock, MICA_FAMILY_NAME);
	if (self->id == -NLE_OBJ_NOTFOUND)
		SKIP(return, "the module is not loaded");
	ASSERT_LE(0, self->id);
}

FIXTURE_TEARDOWN(family)
{
	nl_socket_free(self->sock);
}

static const int dumps[] = {
	MICA_CMD_SESSION_GET,
	MICA_CMD_DEVICE_GET,
	MICA_CMD_UNION_GET,
	MICA_CMD_BRANCH_GET,
};

#define NR_DUMPS ARRAY_SIZE(dumps)

/* What the kernel answers, as a negative NLE_ number. */
static int ask(struct nl_sock *sock, int family, int command, int flags,
	       int attr, uint32_t value)
{
	struct nl_msg *msg = nlmsg_alloc();
	int err;

	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, command,
		    MICA_FAMILY_VERSION);
	if (attr)
		nla_put_u32(msg, attr, value);
	err = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	if (err < 0)
		return err;
	err = nl_recvmsgs_default(sock);
	if (err >= 0 && !(flags & NLM_F_DUMP))
		err = nl_wait_for_ack(sock);
	return err;
}

TEST_F(family, dumps_answer)
{
	size_t i;

	for (i = 0; i < NR_DUMPS; i++)
		EXPECT_EQ(0, ask(self->sock, self->id, dumps[i], NLM_F_DUMP, 0,
				 0));
}

TEST_F(family, only_dumps)
{
	size_t i;

	for (i = 0; i < NR_DUMPS; i++)
		EXPECT_EQ(-NLE_OPNOTSUPP,
			  ask(self->sock, self->id, dumps[i], NLM_F_ACK, 0, 0));
}

TEST_F(family, commands_that_are_not)
{
	EXPECT_EQ(-NLE_OPNOTSUPP, ask(self->sock, self->id, MICA_CMD_EVENT,
				      NLM_F_DUMP, 0, 0));
	EXPECT_EQ(-NLE_OPNOTSUPP, ask(self->sock, self->id, 0, NLM_F_DUMP, 0,
				      0));
	EXPECT_EQ(-NLE_OPNOTSUPP, ask(self->sock, self->id, 255, NLM_F_DUMP, 0,
				      0));
}

TEST_F(family, attributes_that_are_not)
{
	size_t i;

	for (i = 0; i < NR_DUMPS; i++)
		EXPECT_EQ(-NLE_INVAL, ask(self->sock, self->id, dumps[i],
					  NLM_F_DUMP, 3, 1));
	EXPECT_EQ(-NLE_INVAL, ask(self->sock, self->id, MICA_CMD_SESSION_GET,
				  NLM_F_DUMP, MICA_A_SESSION_ID, 1));
	EXPECT_EQ(-NLE_INVAL, ask(self->sock, self->id, MICA_CMD_UNION_GET,
				  NLM_F_DUMP, MICA_A_UNION_ID, 1));
}

TEST_F(family, filters)
{
	EXPECT_EQ(0, ask(self->sock, self->id, MICA_CMD_DEVICE_GET, NLM_F_DUMP,
			 MICA_A_DEVICE_SESSION, 1));
	EXPECT_EQ(0, ask(self->sock, self->id, MICA_CMD_BRANCH_GET, NLM_F_DUMP,
			 MICA_A_BRANCH_UNION, UINT32_MAX));
	EXPECT_EQ(-NLE_RANGE, ask(self->sock, self->id, MICA_CMD_DEVICE_GET,
				  NLM_F_DUMP, MICA_A_DEVICE_SESSION, 0));
	EXPECT_EQ(-NLE_RANGE, ask(self->sock, self->id, MICA_CMD_BRANCH_GET,
				  NLM_F_DUMP, MICA_A_BRANCH_UNION, 0));
}

static int as_nobody(int family)
{
	struct nl_sock *sock = nl_socket_alloc();
	size_t i;
	int group;

	if (setgid(65534) || setuid(65534) || !sock || genl_connect(sock))
		return 10;
	for (i = 0; i < NR_DUMPS; i++)
		if (ask(sock, family, dumps[i], NLM_F_DUMP, 0, 0) != -NLE_PERM)
			return 11;
	group = genl_ctrl_resolve_grp(sock, MICA_FAMILY_NAME,
				      MICA_MCGRP_EVENTS);
	if (group < 0)
		return 12;
	if (nl_socket_add_membership(sock, group) != -NLE_PERM)
		return 13;
	return 0;
}

TEST_F(family, for_root_only)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(as_nobody(self->id));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status >> 8);
}

static int mount_union(const char *rw, const char *ro, const char *mnt)
{
	char options[128];

	snprintf(options, sizeof(options), "dirs=%s=rw:%s=ro", rw, ro);
	return mount("none", mnt, "mica", 0, options);
}

static int count(struct nl_msg *msg, void *counter)
{
	++*(int *)counter;
	return NL_OK;
}

/* The library does not look at the error that a dump ends with. */
static int end(struct nl_msg *msg, void *error)
{
	*(int *)error = *(int *)nlmsg_data(nlmsg_hdr(msg));
	return NL_STOP;
}

/* The branches that a dump has, or -1; the @nth allocation fails. */
static int count_branches(int family, int nth, bool *came)
{
	struct nl_sock *sock = nl_socket_alloc();
	int n = 0, error = 0, err = genl_connect(sock);

	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, count, &n);
	nl_socket_modify_cb(sock, NL_CB_FINISH, NL_CB_CUSTOM, end, &error);
	fault_at(nth);
	err = err ?: ask(sock, family, MICA_CMD_BRANCH_GET, NLM_F_DUMP, 0, 0);
	*came = fault_came();
	fault_at(0);
	nl_socket_free(sock);
	return err < 0 || error < 0 ? -1 : n;
}

/* What comes after a branch that cannot be told is not to be left out. */
TEST_F(family, a_dump_without_memory_is_whole_or_fails)
{
	char dir[] = "/tmp/mica-XXXXXX", rw[32], ro[32], mnt[32];
	int nth = 1, failed = 0, all, n;
	bool came;

	if (!faults_can_be("failslab"))
		SKIP(return, "a kernel without failslab");
	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, mount("none", dir, "tmpfs", 0, NULL));
	snprintf(rw, sizeof(rw), "%s/rw", dir);
	snprintf(ro, sizeof(ro), "%s/ro", dir);
	snprintf(mnt, sizeof(mnt), "%s/mnt", dir);
	ASSERT_EQ(0, mkdir(rw, 0755) | mkdir(ro, 0755) | mkdir(mnt, 0755));
	ASSERT_EQ(0, mount_union(rw, ro, mnt));
	all = count_branches(self->id, 0, &came);
	EXPECT_EQ(2, all);
	do {
		n = count_branches(self->id, nth, &came);
		failed += n < 0;
		if (n >= 0)
			EXPECT_EQ(all, n) {
				TH_LOG("allocation %d", nth);
			}
		nth++;
	} while (came);
	EXPECT_LT(0, failed);
	EXPECT_EQ(0, umount(mnt));
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* A listener whose buffer is full hears of it, and goes on. */
TEST_F(family, a_lost_event_is_told)
{
	char dir[] = "/tmp/mica-XXXXXX", rw[32], ro[32], mnt[32];
	struct nl_sock *events = nl_socket_alloc();
	int group, i, err, size = 1;

	group = genl_ctrl_resolve_grp(self->sock, MICA_FAMILY_NAME,
				      MICA_MCGRP_EVENTS);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, genl_connect(events));
	nl_socket_disable_seq_check(events);
	nl_socket_set_nonblocking(events);
	ASSERT_EQ(0, setsockopt(nl_socket_get_fd(events), SOL_SOCKET, SO_RCVBUF,
				&size, sizeof(size)));
	ASSERT_EQ(0, nl_socket_add_membership(events, group));

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, mount("none", dir, "tmpfs", 0, NULL));
	snprintf(rw, sizeof(rw), "%s/rw", dir);
	snprintf(ro, sizeof(ro), "%s/ro", dir);
	snprintf(mnt, sizeof(mnt), "%s/mnt", dir);
	ASSERT_EQ(0, mkdir(rw, 0755) | mkdir(ro, 0755) | mkdir(mnt, 0755));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, mount_union(rw, ro, mnt));
		ASSERT_EQ(0, umount(mnt));
	}
	do {
		err = nl_recvmsgs_default(events);
	} while (err >= 0);
	EXPECT_EQ(-NLE_NOMEM, err);
	do {
		err = nl_recvmsgs_default(events);
	} while (err >= 0);
	EXPECT_EQ(-NLE_AGAIN, err);

	ASSERT_EQ(0, mount_union(rw, ro, mnt));
	EXPECT_LE(0, nl_recvmsgs_default(events));
	EXPECT_EQ(0, umount(mnt));
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	nl_socket_free(events);
}

TEST_HARNESS_MAIN
