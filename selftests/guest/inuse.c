// SPDX-License-Identifier: GPL-2.0-only
/* Functions that serve the host are not claimed, and it is said why. */
#include <linux/blkpg.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include "session.h"
#include "../lib/harness.h"

#define BACK_MS	20000
#define MOUNT_AT	"/mnt/mica-inuse"

/* Runs a command of the shell, quietly. */
static int sh(const char *fmt, ...)
{
	char command[1024], quiet[1100];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	snprintf(quiet, sizeof(quiet), "{ %s; } >/dev/null 2>&1", command);
	return system(quiet);
}

FIXTURE(inuse)
{
	int fd;
	bool multipath;
	char bdf[BDF_LEN];
	char driver[64];
	char disk[64];
	struct mica_reason why;
};

FIXTURE_VARIANT(inuse)
{
	bool multipath;
};

FIXTURE_VARIANT_ADD(inuse, nvme)
{
	.multipath = false,
};

/* The disks are those of the subsystem, not below the function. */
FIXTURE_VARIANT_ADD(inuse, multipath)
{
	.multipath = true,
};

/* Whether the disks of a subsystem are shown as one is up to the driver. */
static bool nvme_multipath(bool wanted)
{
	const char *parameter = "/sys/module/nvme_core/parameters/multipath";
	char is[8], command[128];

	if (!read_text(parameter, is, sizeof(is)) && (*is == 'Y') == wanted)
		return true;
	snprintf(command, sizeof(command),
		 "modprobe -r nvme && modprobe nvme_core multipath=%c && modprobe nvme",
		 wanted ? 'Y' : 'N');
	return !system(command);
}

static bool below_function(const char *disk, const char *bdf)
{
	char link[128], path[PATH_MAX];

	snprintf(link, sizeof(link), "/sys/class/block/%s", disk + 5);
	return realpath(link, path) && strstr(path, bdf);
}

FIXTURE_SETUP(inuse)
{
	char many[8][BDF_LEN];
	int n, i;

	ASSERT_EQ(0, module_load());
	ASSERT_TRUE(nvme_multipath(variant->multipath));
	n = pci_find(pci_is_nvme, many, 8);
	for (i = 0; i < n && !*self->bdf; i++)
		if (!!pci_number(many[i], "sriov_totalvfs") == variant->multipath)
			memcpy(self->bdf, many[i], BDF_LEN);
	ASSERT_STRNE("", self->bdf);
	ASSERT_TRUE(pci_wait_driver(self->bdf, "nvme", BACK_MS));
	ASSERT_TRUE(pci_nvme_reads(self->bdf, BACK_MS));
	ASSERT_TRUE(pci_nvme_disk(self->bdf, self->disk, sizeof(self->disk)));
	ASSERT_EQ(!variant->multipath, below_function(self->disk, self->bdf));
	self->fd = session_open();
	ASSERT_LE(0, self->fd);
	mkdir(MOUNT_AT, 0700);
}

FIXTURE_TEARDOWN(inuse)
{
	umount(MOUNT_AT);
	swapoff(self->disk);
	close(self->fd);
	EXPECT_TRUE(pci_wait_driver(self->bdf, "nvme", BACK_MS));
}

/* Refused, named, and as it was; a claim by force is not tried. */
static bool is_refused(struct __test_metadata *_metadata,
		       struct _test_data_inuse *self)
{
	struct mica_device_info info;

	EXPECT_EQ(EBUSY, session_claim(self->fd, self->bdf, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_DISK, self->why.code);
	EXPECT_STREQ(self->disk, (char *)self->why.subject);
	EXPECT_NE(NULL, strstr((char *)self->why.text, self->disk));
	EXPECT_STREQ("nvme", pci_driver(self->bdf));
	EXPECT_STREQ("", pci_override(self->bdf));
	EXPECT_EQ(0, session_info(self->fd, self->bdf, 0, &info, NULL, 0));
	EXPECT_EQ((unsigned int)EBUSY, info.claim_error);
	EXPECT_TRUE(info.state & MICA_STATE_IN_USE);
	EXPECT_STREQ(self->disk, (char *)info.in_use.subject);
	return _metadata->passed;
}

static void is_granted(struct __test_metadata *_metadata,
		       struct _test_data_inuse *self)
{
	EXPECT_EQ(0, session_claim(self->fd, self->bdf, 0, &self->why)) {
		TH_LOG("%s", self->why.text);
	}
	EXPECT_STREQ("vfio-pci", pci_driver(self->bdf));
	close(self->fd);
	EXPECT_TRUE(pci_wait_driver(self->bdf, "nvme", BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(self->bdf, BACK_MS));
}

TEST_F(inuse, mounted_disk)
{
	ASSERT_EQ(0, sh("mkfs.ext4 -q -F %s", self->disk));
	ASSERT_EQ(0, mount(self->disk, MOUNT_AT, "ext4", 0, NULL)) {
		TH_LOG("%s: %s", self->disk, strerror(errno));
	}
	is_refused(_metadata, self);
	ASSERT_EQ(0, sh("echo still there > " MOUNT_AT "/file && sync"));
	ASSERT_EQ(0, umount(MOUNT_AT));
	is_granted(_metadata, self);
	ASSERT_TRUE(pci_nvme_disk(self->bdf, self->disk, sizeof(self->disk)));
	ASSERT_EQ(0, mount(self->disk, MOUNT_AT, "ext4", 0, NULL));
	EXPECT_EQ(0, sh("grep -q 'still there' " MOUNT_AT "/file"));
}

static int partition(const char *disk, int op)
{
	struct blkpg_partition part = {
		.start = 1 << 20,
		.length = 32 << 20,
		.pno = 1,
	};
	struct blkpg_ioctl_arg arg = {
		.op = op,
		.datalen = sizeof(part),
		.data = &part,
	};
	int fd = open(disk, O_RDWR | O_CLOEXEC);
	int err = fd < 0 || ioctl(fd, BLKPG, &arg) ? errno : 0;

	close(fd);
	return err;
}

TEST_F(inuse, mounted_partition)
{
	ASSERT_EQ(0, partition(self->disk, BLKPG_ADD_PARTITION));
	ASSERT_EQ(0, sh("mkfs.ext4 -q -F %sp1", self->disk));
	ASSERT_EQ(0, sh("mount %sp1 " MOUNT_AT, self->disk));
	is_refused(_metadata, self);
	ASSERT_EQ(0, umount(MOUNT_AT));
	ASSERT_EQ(0, partition(self->disk, BLKPG_DEL_PARTITION));
	is_granted(_metadata, self);
}

TEST_F(inuse, swap)
{
	ASSERT_EQ(0, sh("mkswap %s", self->disk));
	ASSERT_EQ(0, swapon(self->disk, 0));
	is_refused(_metadata, self);
	ASSERT_EQ(0, swapoff(self->disk));
	is_granted(_metadata, self);
}

TEST_F(inuse, loop_device_on_top)
{
	ASSERT_EQ(0, sh("losetup /dev/loop7 %s || { modprobe loop && losetup /dev/loop7 %s; }",
			self->disk, self->disk));
	is_refused(_metadata, self);
	ASSERT_EQ(0, sh("losetup -d /dev/loop7"));
	sleep_us(200000);
	is_granted(_metadata, self);
}

TEST_F(inuse, device_mapper_on_top)
{
	const char *dmsetup = "dmsetup --noudevsync --noudevrules";

	ASSERT_EQ(0, sh("modprobe dm-mod && %s create micadm --table '0 2048 linear %s 0'",
			dmsetup, self->disk));
	is_refused(_metadata, self);
	ASSERT_EQ(0, sh("%s remove micadm", dmsetup));
	is_granted(_metadata, self);
}

/* As mdadm does it, which need not be installed. */
TEST_F(inuse, part_of_an_array)
{
	/* Not all kernels let go of a name when the array is stopped. */
	const char *name = variant->multipath ? "md_many" : "md_one";
	char md[64];

	snprintf(md, sizeof(md), "/sys/block/%s/md", name);
	ASSERT_EQ(0, sh("modprobe raid1"));
	ASSERT_EQ(0, write_text("/sys/module/md_mod/parameters/new_array", name));
	ASSERT_EQ(0, sh("cd %s && echo raid1 > level && echo none > metadata_version",
			md));
	ASSERT_EQ(0, sh("cat /sys/class/block/%s/dev > %s/new_dev",
			self->disk + 5, md));
	is_refused(_metadata, self);
	ASSERT_EQ(0, sh("echo clear > %s/array_state", md));
	is_granted(_metadata, self);
}

TEST_F(inuse, held_open)
{
	unsigned long long since;
	int disk = open(self->disk, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, disk);
	since = now_ns();
	is_refused(_metadata, self);
	EXPECT_LE(1000000000ull, now_ns() - since);
	close(disk);
	is_granted(_metadata, self);
}

TEST_F(inuse, opened_for_an_instant)
{
	int disk = open(self->disk, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, disk);
	if (!fork()) {
		sleep_us(300000);
		_exit(0);
	}
	close(disk);
	is_granted(_metadata, self);
	wait(NULL);
}

/*
 * Not with multipath: closing a subsystem's disk after its last path has gone has
 * lockdep complain about the nvme driver of 6.1 itself.
 */
TEST_F(inuse, forced)
{
	int disk;

	if (variant->multipath)
		SKIP(return, "lockdep finds fault with nvme's own locks then");
	disk = open(self->disk, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, disk);
	EXPECT_EQ(0, session_claim(self->fd, self->bdf, MICA_CLAIM_FORCE,
				   &self->why));
	EXPECT_STREQ("vfio-pci", pci_driver(self->bdf));
	EXPECT_EQ(0, sh("dmesg | grep -q 'claimed by force'"));
	close(disk);
	close(self->fd);
	EXPECT_TRUE(pci_wait_driver(self->bdf, "nvme", BACK_MS));
	EXPECT_TRUE(pci_nvme_reads(self->bdf, BACK_MS));
}

FIXTURE(others)
{
	int fd;
	char nic[BDF_LEN];
	char iface[32];
	char pf[BDF_LEN];
	struct mica_reason why;
};

/* The interface comes some time after the driver. */
static bool nic_has_interface(struct _test_data_others *self)
{
	unsigned long long end = now_ns() + BACK_MS * 1000000ull;

	while (now_ns() < end) {
		if (pci_child(self->nic, "net", self->iface,
			      sizeof(self->iface)))
			return true;
		sleep_us(5000);
	}
	return false;
}

FIXTURE_SETUP(others)
{
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(1, pci_find(pci_is_e1000e, &self->nic, 1));
	ASSERT_TRUE(pci_wait_driver(self->nic, "e1000e", BACK_MS));
	ASSERT_TRUE(nic_has_interface(self));
	ASSERT_EQ(1, pci_find(pci_is_pf, &self->pf, 1));
	ASSERT_TRUE(pci_wait_driver(self->pf, "nvme", BACK_MS));
	ASSERT_TRUE(pci_nvme_reads(self->pf, BACK_MS));
	self->fd = session_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(others)
{
	close(self->fd);
}

static void nic_is_refused(struct __test_metadata *_metadata,
			   struct _test_data_others *self, const char *use)
{
	EXPECT_EQ(EBUSY, session_claim(self->fd, self->nic, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_NETDEV, self->why.code);
	EXPECT_STREQ(self->iface, (char *)self->why.subject);
	EXPECT_NE(NULL, strstr((char *)self->why.text, use)) {
		TH_LOG("%s", self->why.text);
	}
	EXPECT_STREQ("e1000e", pci_driver(self->nic));
	EXPECT_STREQ("", pci_override(self->nic));
}

TEST_F(others, interface_up)
{
	ASSERT_EQ(0, sh("ip link set %s up", self->iface));
	nic_is_refused(_metadata, self, "up");
	ASSERT_EQ(0, sh("ip link set %s down", self->iface));
	EXPECT_EQ(0, session_claim(self->fd, self->nic, 0, &self->why));
	close(self->fd);
	EXPECT_TRUE(pci_wait_driver(self->nic, "e1000e", BACK_MS));
	EXPECT_TRUE(nic_has_interface(self));
	EXPECT_EQ(0, sh("ip link set %s up && ip link set %s down", self->iface,
			self->iface));
}

TEST_F(others, interface_bridged)
{
	ASSERT_EQ(0, sh("ip link add micabr type bridge && ip link set %s master micabr",
			self->iface));
	nic_is_refused(_metadata, self, "bridge");
	ASSERT_EQ(0, sh("ip link del micabr"));
}

TEST_F(others, interface_bonded)
{
	ASSERT_EQ(0, sh("ip link add micabond type bond && ip link set %s master micabond",
			self->iface));
	nic_is_refused(_metadata, self, "bond");
	ASSERT_EQ(0, sh("ip link del micabond; ip link set %s down",
			self->iface));
}

TEST_F(others, interface_with_vlan)
{
	ASSERT_EQ(0, sh("ip link add link %s name micavl type vlan id 5",
			self->iface));
	nic_is_refused(_metadata, self, "on top");
	ASSERT_EQ(0, sh("ip link del micavl"));
}

static bool is_vf_of_nvme(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/physfn", bdf);
	return !access(path, F_OK);
}

TEST_F(others, physical_function_with_vfs)
{
	struct mica_device_info info;
	char vf[BDF_LEN];
	int other;

	ASSERT_EQ(0, pci_write(self->pf, "sriov_drivers_autoprobe", "0"));
	ASSERT_EQ(0, pci_write(self->pf, "sriov_numvfs", "1"));
	ASSERT_EQ(1, pci_find(is_vf_of_nvme, &vf, 1));
	EXPECT_EQ(EBUSY, session_claim(self->fd, self->pf, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_VFS, self->why.code);
	EXPECT_STREQ(self->pf, (char *)self->why.subject);
	EXPECT_STREQ("nvme", pci_driver(self->pf));

	EXPECT_EQ(0, session_info(self->fd, vf, 0, &info, NULL, 0));
	EXPECT_TRUE(info.state & MICA_STATE_VF);
	EXPECT_EQ(pci_addr(self->pf).bus, info.physfn.bus);
	EXPECT_EQ(pci_addr(self->pf).devfn, info.physfn.devfn);

	/* The virtual function itself may go. */
	EXPECT_EQ(0, session_claim(self->fd, vf, 0, &self->why)) {
		TH_LOG("%s", self->why.text);
	}
	EXPECT_STREQ("vfio-pci", pci_driver(vf));
	/* Then the physical one may not, not even by force. */
	other = session_open();
	EXPECT_EQ(EBUSY, session_claim(other, self->pf, MICA_CLAIM_FORCE,
				       &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_CLAIMED, self->why.code);
	EXPECT_STREQ("nvme", pci_driver(self->pf));
	close(other);
	close(self->fd);
	EXPECT_TRUE(pci_wait_driver(vf, "", BACK_MS));
	while (*pci_override(vf))
		sleep_us(1000);
	EXPECT_EQ(0, pci_write(self->pf, "sriov_numvfs", "0"));
	EXPECT_EQ(0, pci_write(self->pf, "sriov_drivers_autoprobe", "1"));
	EXPECT_TRUE(pci_nvme_reads(self->pf, BACK_MS));
}

static bool is_vga(const char *bdf)
{
	return pci_number(bdf, "class") >> 8 == 0x0300;
}

TEST_F(others, graphics_card_of_the_host)
{
	char vga[BDF_LEN];

	ASSERT_EQ(1, pci_find(is_vga, &vga, 1));
	EXPECT_EQ(EBUSY, session_claim(self->fd, vga, 0, &self->why));
	EXPECT_EQ((unsigned int)MICA_REASON_CONSOLE, self->why.code);
	EXPECT_STREQ(vga, (char *)self->why.subject);
	EXPECT_STREQ("", pci_override(vga));
}

TEST_HARNESS_MAIN
