// SPDX-License-Identifier: GPL-2.0-only
/* Virtual functions that are made for a session, and go with it. */
#include <libgen.h>
#include <signal.h>
#include "session.h"
#include "vfio.h"
#include "../lib/harness.h"

#define BACK_MS	30000
#define NR	2

FIXTURE(vfs)
{
	int fd;
	int other;
	char pf[BDF_LEN];
	char edu[BDF_LEN];
	char port[BDF_LEN];
	struct mica_pci_addr addr[NR];
	char vf[NR][BDF_LEN];
	struct mica_reason why;
};

static bool all_removed(const char *pf)
{
	unsigned long long end = now_ns() + BACK_MS * 1000000ull;

	while (pci_nr_vfs(pf)) {
		if (now_ns() > end)
			return false;
		sleep_us(2000);
	}
	return true;
}

FIXTURE_SETUP(vfs)
{
	char ports[8][BDF_LEN];

	ASSERT_EQ(0, module_load());
	ASSERT_EQ(1, pci_find(pci_is_pf, &self->pf, 1));
	ASSERT_EQ(1, pci_find(pci_is_edu_alone, &self->edu, 1));
	ASSERT_LE(1, pci_find(pci_is_port, ports, 8));
	memcpy(self->port, ports[0], BDF_LEN);
	ASSERT_TRUE(pci_wait_driver(self->pf, "nvme", BACK_MS));
	ASSERT_TRUE(pci_nvme_reads(self->pf, BACK_MS));
	ASSERT_EQ(0, pci_nr_vfs(self->pf));
	self->fd = session_open();
	self->other = session_open();
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->other);
}

FIXTURE_TEARDOWN(vfs)
{
	close(self->fd);
	close(self->other);
	EXPECT_TRUE(all_removed(self->pf));
	EXPECT_TRUE(pci_nvme_reads(self->pf, BACK_MS));
}

/* Makes @nr of them and sets their names. */
static int make(struct _test_data_vfs *self, int nr)
{
	int err = session_vfs(self->fd, self->pf, self->addr, nr, &self->why);
	int i;

	for (i = 0; !err && i < nr; i++)
		pci_bdf(&self->addr[i], self->vf[i]);
	return err;
}

static bool is_vf_of(const char *vf, const char *pf)
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/physfn", vf);
	return realpath(path, target) && !strcmp(strrchr(target, '/') + 1, pf);
}

static bool is_there(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s", bdf);
	return !access(path, F_OK);
}

/* How often the nvme driver has begun to look at a function. */
static int nvme_probes(const char *bdf)
{
	char command[128], text[16] = "";
	FILE *out;

	snprintf(command, sizeof(command),
		 "dmesg | grep -c 'nvme.*pci function %s'", bdf);
	out = popen(command, "r");
	if (!out)
		return -1;
	fgets(text, sizeof(text), out);
	pclose(out);
	return atoi(text);
}

TEST_F(vfs, made_and_removed)
{
	struct mica_device_info info;
	int i;

	ASSERT_EQ(0, make(self, NR)) {
		TH_LOG("%s", self->why.text);
	}
	EXPECT_EQ(NR, pci_nr_vfs(self->pf));
	for (i = 0; i < NR; i++) {
		EXPECT_TRUE(is_vf_of(self->vf[i], self->pf));
		EXPECT_STREQ("vfio-pci", pci_driver(self->vf[i]));
		EXPECT_STREQ("vfio-pci", pci_override(self->vf[i]));
		EXPECT_EQ(0, nvme_probes(self->vf[i]));
		EXPECT_EQ(0, session_info(self->other, self->vf[i], 0, &info,
					  NULL, 0));
		EXPECT_TRUE(info.state & MICA_STATE_CLAIMED);
		EXPECT_EQ(session_id(self->fd), info.session);
	}
	EXPECT_STREQ("nvme", pci_driver(self->pf));
	EXPECT_TRUE(pci_nvme_reads(self->pf, BACK_MS));
	close(self->fd);
	EXPECT_TRUE(all_removed(self->pf));
	for (i = 0; i < NR; i++)
		EXPECT_FALSE(is_there(self->vf[i]));
	EXPECT_STREQ("nvme", pci_driver(self->pf));
	EXPECT_STREQ("", pci_override(self->pf));
}

TEST_F(vfs, again_and_again)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, make(self, 1 + i % NR)) {
			TH_LOG("%s", self->why.text);
		}
		EXPECT_EQ(1 + i % NR, pci_nr_vfs(self->pf));
		/* What is on its way back is waited for. */
		close(self->fd);
		self->fd = session_open();
	}
}

/* Registers of an NVMe controller, through VFIO. */
static long long reg_at(struct vfio_use *use, off_t reg, int len, const void *set)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar) };
	unsigned long long value = 0;

	if (ioctl(use->device, VFIO_DEVICE_GET_REGION_INFO, &bar))
		return -1;
	if (set)
		return pwrite(use->device, set, len, bar.offset + reg);
	if (pread(use->device, &value, len, bar.offset + reg) != len)
		return -1;
	return value;
}

static void set_bus_master(struct vfio_use *use)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	unsigned short command = 6;

	ioctl(use->device, VFIO_DEVICE_GET_REGION_INFO, &config);
	pwrite(use->device, &command, 2, config.offset + 4);
}

/* What CSTS becomes once the controller has been enabled: 1 ready, 2 failed. */
static int enabled_status(struct vfio_use *use)
{
	unsigned long long asq = 0x100000000ull, acq = asq + 4096, end;
	unsigned int aqa = 0x001f001f, cc = 0x00460001, status;

	set_bus_master(use);
	reg_at(use, 0x24, 4, &aqa);
	reg_at(use, 0x28, 8, &asq);
	reg_at(use, 0x30, 8, &acq);
	reg_at(use, 0x14, 4, &cc);
	end = now_ns() + BACK_MS * 1000000ull;
	do {
		status = reg_at(use, 0x1c, 4, NULL);
	} while (!(status & 3) && now_ns() < end);
	return status & 3;
}

/* Has the PF give its VF resources and bring it up, as its administrator would. */
static int bring_up(const char *pf)
{
	static const char * const steps[] = {
		"-r 0 -a 8 -n 2", "-r 1 -a 8 -n 1", "-a 9",
	};
	char ctrl[32], command[160];
	unsigned int i;

	if (!pci_child(pf, "nvme", ctrl, sizeof(ctrl)))
		return -1;
	for (i = 0; i < 3; i++) {
		snprintf(command, sizeof(command),
			 "nvme virt-mgmt /dev/%s -c 1 %s >/dev/null", ctrl,
			 steps[i]);
		if (system(command))
			return i + 1;
	}
	return 0;
}

TEST_F(vfs, brought_up_and_used)
{
	struct vfio_use use;

	ASSERT_EQ(0, make(self, 1));
	ASSERT_EQ(0, vfio_use_group(&use, self->vf[0]));
	ASSERT_EQ(0, vfio_use_device(&use, self->vf[0]));
	EXPECT_EQ(2, enabled_status(&use));
	vfio_use_end(&use);
	ASSERT_EQ(0, bring_up(self->pf));
	ASSERT_EQ(0, vfio_use_group(&use, self->vf[0]));
	ASSERT_EQ(0, vfio_use_device(&use, self->vf[0]));
	EXPECT_EQ(1, enabled_status(&use));
	EXPECT_TRUE(pci_nvme_reads(self->pf, BACK_MS));
	vfio_use_end(&use);
}

TEST_F(vfs, nobody_else_removes_them)
{
	ASSERT_EQ(0, make(self, 1));
	EXPECT_EQ(-EPERM, pci_write(self->pf, "sriov_numvfs", "0"));
	EXPECT_TRUE(is_there(self->vf[0]));
	EXPECT_STREQ("vfio-pci", pci_driver(self->vf[0]));
}

TEST_F(vfs, nobody_else_gets_them)
{
	ASSERT_EQ(0, make(self, 1));
	EXPECT_EQ(EBUSY, session_claim(self->other, self->vf[0],
				       MICA_CLAIM_FORCE, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_CLAIMED, self->why.code);
	EXPECT_EQ(EBUSY, session_claim(self->fd, self->vf[0], 0, &self->why));
	EXPECT_EQ(EBUSY, session_claim(self->other, self->pf, MICA_CLAIM_FORCE,
				       &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_CLAIMED, self->why.code);
	EXPECT_NE(NULL, strstr((char *)self->why.text, "virtual functions of"));
	EXPECT_EQ(EBUSY, session_vfs(self->other, self->pf, self->addr, 1,
				     &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_CLAIMED, self->why.code);
	EXPECT_STREQ("nvme", pci_driver(self->pf));
}

TEST_F(vfs, what_cannot_be_made)
{
	struct mica_pci_addr room[MICA_CLAIM_MAX + 1];
	const struct {
		const char *bdf;
		struct mica_pci_addr *vfs;
		unsigned int nr;
		int err;
		unsigned int code;
	} bad[] = {
		{ self->pf, room, 0, EINVAL, MICA_REASON_BAD_VALUE },
		{ self->pf, room, MICA_CLAIM_MAX + 1, EINVAL,
		  MICA_REASON_BAD_VALUE },
		{ self->pf, room, 3, EINVAL, MICA_REASON_VFS },
		{ self->pf, NULL, 1, EFAULT, MICA_REASON_NONE },
		{ self->pf, (void *)-4096L, 1, EFAULT, MICA_REASON_NONE },
		{ self->edu, room, 1, EINVAL, MICA_REASON_VFS },
		{ self->port, room, 1, EINVAL, MICA_REASON_BRIDGE },
		{ "0000:e7:1d.5", room, 1, ENOENT, MICA_REASON_NO_DEVICE },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(bad[i].err, session_vfs(self->fd, bad[i].bdf,
						  bad[i].vfs, bad[i].nr,
						  &self->why)) {
			TH_LOG("case %u", i);
		}
		EXPECT_EQ(bad[i].code, self->why.code);
	}
	EXPECT_EQ(0, pci_nr_vfs(self->pf));
}

TEST_F(vfs, those_that_are_there_stay)
{
	ASSERT_EQ(0, pci_write(self->pf, "sriov_drivers_autoprobe", "0"));
	ASSERT_EQ(0, pci_write(self->pf, "sriov_numvfs", "1"));
	EXPECT_EQ(EBUSY, make(self, 2));
	EXPECT_EQ((unsigned int)MICA_REASON_VFS, self->why.code);
	EXPECT_EQ(1, pci_nr_vfs(self->pf));
	close(self->fd);
	sleep_us(200000);
	EXPECT_EQ(1, pci_nr_vfs(self->pf));
	EXPECT_EQ(0, pci_write(self->pf, "sriov_numvfs", "0"));
	/* What is made for a session does not need it. */
	self->fd = session_open();
	EXPECT_EQ(0, make(self, 1));
	EXPECT_EQ(0, pci_write(self->pf, "sriov_drivers_autoprobe", "1"));
}

TEST_F(vfs, function_without_driver)
{
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers/nvme/unbind", self->pf));
	EXPECT_EQ(ENODEV, make(self, 1));
	EXPECT_EQ((unsigned int)MICA_REASON_DRIVER, self->why.code);
	EXPECT_EQ(0, write_text("/sys/bus/pci/drivers/nvme/bind", self->pf));
}

TEST_F(vfs, function_that_a_session_holds)
{
	ASSERT_EQ(0, session_claim(self->other, self->pf, 0, &self->why));
	EXPECT_EQ(EBUSY, make(self, 1));
	EXPECT_EQ((unsigned int)MICA_REASON_CLAIMED, self->why.code);
	EXPECT_EQ(0, pci_nr_vfs(self->pf));
	close(self->other);
	/* That is waited for. */
	EXPECT_EQ(0, make(self, 1));
}

TEST_F(vfs, privilege)
{
	ASSERT_EQ(0, session_seal(self->other));
	EXPECT_EQ(EPERM, session_vfs(self->other, self->pf, self->addr, 1,
				     &self->why));
	ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(EPERM, make(self, 1));
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ((unsigned int)MICA_REASON_PRIVILEGE, self->why.code);
	EXPECT_EQ(0, pci_nr_vfs(self->pf));
}

/* Neither the PF nor the bus is locked while a monitor does not let go. */
TEST_F(vfs, user_delays_their_removal_only)
{
	pid_t user;

	ASSERT_EQ(0, make(self, NR));
	user = vfio_user_start(self->vf[0]);
	ASSERT_LT(0, user);
	close(self->fd);
	/* Past the time that monitors are given to die. */
	sleep_us(7000000);
	EXPECT_EQ(NR, pci_nr_vfs(self->pf));
	EXPECT_EQ(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT_TRUE(pci_nvme_reads(self->pf, BACK_MS));
	EXPECT_EQ(0, session_claim(self->other, self->edu, 0, &self->why));
	kill(user, SIGKILL);
	waitpid(user, NULL, 0);
	EXPECT_TRUE(all_removed(self->pf));
	EXPECT_FALSE(is_there(self->vf[0]));
}

TEST_F(vfs, holder_is_killed)
{
	pid_t child;
	int i;

	for (i = 0; i < 5; i++) {
		child = fork();
		if (!child) {
			int fd = session_open();
			struct vfio_use use;

			if (session_vfs(fd, self->pf, self->addr, NR, &self->why))
				_exit(1);
			pci_bdf(&self->addr[1], self->vf[1]);
			vfio_use_group(&use, self->vf[1]);
			vfio_use_device(&use, self->vf[1]);
			pause();
			_exit(2);
		}
		/* Now here, now there. */
		sleep_us(i * 150000);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		ASSERT_EQ(0, make(self, NR)) {
			TH_LOG("%s", self->why.text);
		}
		close(self->fd);
		ASSERT_TRUE(all_removed(self->pf));
		self->fd = session_open();
	}
}

TEST_F(vfs, driver_of_the_function_goes)
{
	ASSERT_EQ(0, make(self, NR));
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers/nvme/unbind", self->pf));
	close(self->fd);
	EXPECT_TRUE(all_removed(self->pf));
	EXPECT_FALSE(is_there(self->vf[0]));
	EXPECT_EQ(0, write_text("/sys/bus/pci/drivers/nvme/bind", self->pf));
}

TEST_F(vfs, function_is_unplugged)
{
	ASSERT_EQ(0, make(self, NR));
	ASSERT_EQ(0, pci_write(self->pf, "remove", "1"));
	EXPECT_TRUE(is_there(self->vf[0]));
	close(self->fd);
	while (is_there(self->vf[0]) || is_there(self->vf[1]))
		sleep_us(2000);
	EXPECT_EQ(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT_TRUE(pci_wait_driver(self->pf, "nvme", BACK_MS));
	self->fd = session_open();
	EXPECT_EQ(0, make(self, 1)) {
		TH_LOG("%s", self->why.text);
	}
}

/* The test's own module, beside the one that is tested. */
static int unplug_module_load(void)
{
	char ko[PATH_MAX], path[PATH_MAX + 32];

	snprintf(ko, sizeof(ko), "%s", getenv("MICA_KO") ?: "");
	snprintf(path, sizeof(path), "%s/tests/mica_unplug.ko", dirname(ko));
	return module_insert(path, "");
}

/* None is left that could tell that there were some. */
TEST_F(vfs, unplugged_one_by_one)
{
	int i;

	ASSERT_EQ(0, unplug_module_load());
	ASSERT_EQ(0, make(self, NR));
	for (i = 0; i < NR; i++) {
		EXPECT_EQ(0, write_text("/sys/module/mica_unplug/parameters/function",
					self->vf[i]));
		EXPECT_FALSE(is_there(self->vf[i]));
	}
	EXPECT_EQ(0, module_remove("mica_unplug", BACK_MS));
	EXPECT_EQ(NR, pci_nr_vfs(self->pf));
	close(self->fd);
	EXPECT_TRUE(all_removed(self->pf));
	self->fd = session_open();
	EXPECT_EQ(0, make(self, NR)) {
		TH_LOG("%s", self->why.text);
	}
}

TEST_F(vfs, another_driver_is_forced_on_one)
{
	ASSERT_EQ(0, make(self, NR));
	system("modprobe -q pci-stub");
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers/vfio-pci/unbind",
				self->vf[0]));
	ASSERT_EQ(0, pci_write(self->vf[0], "driver_override", "pci-stub"));
	ASSERT_EQ(0, write_text("/sys/bus/pci/drivers_probe", self->vf[0]));
	ASSERT_STREQ("pci-stub", pci_driver(self->vf[0]));
	close(self->fd);
	EXPECT_TRUE(all_removed(self->pf));
	EXPECT_FALSE(is_there(self->vf[0]));
}

TEST_HARNESS_MAIN
