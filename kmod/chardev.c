// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/mica. Everything that is common to the commands is done here, by one
 * table: the sizes, the flags, the padding at the end, the way back to the
 * caller, and the reason of a failure. The commands themselves see a structure
 * of full length whose flags they know.
 */
#include <linux/compat.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "mica.h"
#include "chardev.h"
#include "guest/guest.h"

/* What all structures begin with. */
struct mica_head {
	__u32 size;
	__u32 flags;
};

/* Where the reason goes; a structure may grow behind it. */
struct mica_tail {
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

static int mica_info(struct mica_call *call, void *arg);
static int mica_union_own_run(struct mica_call *call, void *arg);

static const struct mica_ioctl_entry mica_ioctls[] = {
	[_IOC_NR(MICA_INFO)] = {
		.run = mica_info,
		.tail = offsetof(struct mica_info, reason_ptr),
		.full_size = sizeof(struct mica_info),
		.gives = true,
	},
	[_IOC_NR(MICA_DEVICE_INFO)] = {
		.run = mica_device_info_run,
		.tail = offsetof(struct mica_device_info, reason_ptr),
		.full_size = sizeof(struct mica_device_info),
		.flags = MICA_DEVICE_INFO_GROUP,
		.gives = true,
	},
	[_IOC_NR(MICA_CLAIM)] = {
		.run = mica_claim_run,
		.tail = offsetof(struct mica_claim, reason_ptr),
		.full_size = sizeof(struct mica_claim),
		.flags = MICA_CLAIM_GROUP | MICA_CLAIM_FORCE | MICA_CLAIM_ASYNC,
		.gives = true,
	},
	[_IOC_NR(MICA_WAIT)] = {
		.run = mica_wait_run,
		.tail = offsetof(struct mica_wait, reason_ptr),
		.full_size = sizeof(struct mica_wait),
		.flags = MICA_WAIT_NONBLOCK,
		.gives = true,
	},
	[_IOC_NR(MICA_GUEST_NOTE)] = {
		.run = mica_guest_note_run,
		.tail = offsetof(struct mica_guest_note, reason_ptr),
		.full_size = sizeof(struct mica_guest_note),
	},
	[_IOC_NR(MICA_SEAL)] = {
		.run = mica_seal_run,
		.tail = offsetof(struct mica_seal, reason_ptr),
		.full_size = sizeof(struct mica_seal),
	},
	[_IOC_NR(MICA_GUEST_END)] = {
		.run = mica_guest_end_run,
		.tail = offsetof(struct mica_guest_end, reason_ptr),
		.full_size = sizeof(struct mica_guest_end),
	},
	[_IOC_NR(MICA_GUEST_VFS)] = {
		.run = mica_vfs_run,
		.tail = offsetof(struct mica_guest_vfs, reason_ptr),
		.full_size = sizeof(struct mica_guest_vfs),
	},
	[_IOC_NR(MICA_GUEST_CREATE)] = {
		.run = mica_guest_create_run,
		.tail = offsetof(struct mica_guest_create, reason_ptr),
		.full_size = sizeof(struct mica_guest_create),
		.flags = MICA_GUEST_CONTAINER | MICA_GUEST_PREPARE,
		.gives = true,
	},
	[_IOC_NR(MICA_GUEST_MAP)] = {
		.run = mica_guest_map_run,
		.tail = offsetof(struct mica_guest_map, reason_ptr),
		.full_size = sizeof(struct mica_guest_map),
	},
	[_IOC_NR(MICA_GUEST_UNMAP)] = {
		.run = mica_guest_unmap_run,
		.tail = offsetof(struct mica_guest_unmap, reason_ptr),
		.full_size = sizeof(struct mica_guest_unmap),
	},
	[_IOC_NR(MICA_GUEST_IRQ)] = {
		.run = mica_guest_irq_run,
		.tail = offsetof(struct mica_guest_irq, reason_ptr),
		.full_size = sizeof(struct mica_guest_irq),
	},
	[_IOC_NR(MICA_GUEST_RESET)] = {
		.run = mica_guest_reset_run,
		.tail = offsetof(struct mica_guest_reset, reason_ptr),
		.full_size = sizeof(struct mica_guest_reset),
	},
	[_IOC_NR(MICA_GUEST_STAT)] = {
		.run = mica_guest_stat_run,
		.tail = offsetof(struct mica_guest_stat, reason_ptr),
		.full_size = sizeof(struct mica_guest_stat),
		.gives = true,
	},
	[_IOC_NR(MICA_GUEST_SETUP)] = {
		.run = mica_guest_setup_run,
		.tail = offsetof(struct mica_guest_setup, reason_ptr),
		.full_size = sizeof(struct mica_guest_setup),
		.flags = MICA_GUEST_CONTAINER,
		.gives = true,
	},
	[_IOC_NR(MICA_UNION_OWN)] = {
		.run = mica_union_own_run,
		.tail = offsetof(struct mica_union_own, reason_ptr),
		.full_size = sizeof(struct mica_union_own),
		.flags = MICA_OWN_CHANGE | MICA_OWN_TELL,
		.gives = true,
	},
};

/**
 * mica_need_zero - refuse a member that must be zero
 * @call: the call
 * @value: what it is
 * @name: how the header names it
 *
 * Return: 0 or -EINVAL.
 */
int mica_need_zero(struct mica_call *call, u64 value, const char *name)
{
	if (!value)
		return 0;
	return mica_fail(&call->why, -EINVAL, MICA_REASON_BAD_VALUE, NULL,
			 "%s must be zero", name);
}

/**
 * mica_give - write the structure back to the caller
 * @call: the call
 *
 * That is done behind a command that succeeded; by the command itself if it could
 * not be undone then.
 *
 * Return: 0 or -EFAULT.
 */
int mica_give(struct mica_call *call)
{
	u32 size = min(*(u32 *)call->arg, call->entry->full_size);

	call->given = true;
	return copy_to_user(call->uarg, call->arg, size) ? -EFAULT : 0;
}

static int mica_ioctl_run(struct mica_call *call, void *arg)
{
	const struct mica_ioctl_entry *entry = call->entry;
	const struct mica_head *head = arg;
	const struct mica_tail *tail = arg + entry->tail;
	int err;

	if (head->flags & ~entry->flags)
		return mica_fail(&call->why, -EOPNOTSUPP, MICA_REASON_BAD_VALUE,
				 NULL, "flags has bits that are not known: %#x",
				 head->flags & ~entry->flags);
	err = mica_need_zero(call, tail->pad, "pad");
	if (!err && call->session)
		err = mica_session_check(call->session, &call->why);
	if (err)
		return err;
	/*
	 * A structure that cannot be written is told before anything is done,
	 * not after: nothing is left behind by a call that fails.
	 */
	if (entry->gives && mica_give(call))
		return -EFAULT;
	call->given = !entry->gives;
	err = entry->run(call, arg);
	return err || call->given ? err : mica_give(call);
}

/**
 * mica_run_command - run a command with the structure of the caller
 * @file: what it was called on
 * @session: the session of that, or NULL
 * @entry: the command
 * @arg: address of the structure in the caller
 *
 * Return: 0 or an error.
 */
long mica_run_command(struct file *file, struct mica_session *session,
		      const struct mica_ioctl_entry *entry, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;
	const struct mica_tail *tail;
	struct mica_call *call;
	u32 size;
	void *karg;
	int err;

	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < entry->tail + sizeof(*tail))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;

	call = kzalloc(sizeof(*call) + entry->full_size, GFP_KERNEL_ACCOUNT);
	if (!call)
		return -ENOMEM;
	call->file = file;
	call->entry = entry;
	call->session = session;
	call->uarg = uarg;
	karg = call->arg;
	err = copy_struct_from_user(karg, entry->full_size, uarg, size);
	if (!err) {
		/* The caller may have changed it since it was looked at. */
		*(u32 *)karg = size;
		tail = karg + entry->tail;
		err = mica_ioctl_run(call, karg);
		if (err)
			mica_reason_give(&call->why, tail->reason_ptr,
					 tail->reason_len);
	}
	kfree(call);
	return err;
}

static long mica_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct mica_ioctl_entry *entry;

	if (cmd != _IO(MICA_IOC_TYPE, _IOC_NR(cmd)) ||
	    _IOC_NR(cmd) >= ARRAY_SIZE(mica_ioctls))
		return -ENOTTY;
	entry = &mica_ioctls[_IOC_NR(cmd)];
	if (!entry->run)
		return -ENOTTY;
	return mica_run_command(file, file->private_data, entry, arg);
}

static const struct file_operations mica_fops = {
	.owner = THIS_MODULE,
	.open = mica_session_open,
	.release = mica_session_release,
	.poll = mica_session_poll,
	.unlocked_ioctl = mica_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice mica_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mica",
	.fops = &mica_fops,
	.mode = 0600,
};

/* /dev/kvm is a device of the same class as /dev/mica. */
static bool mica_have_kvm(void)
{
	struct device *dev;

	dev = class_find_device_by_name(mica_misc.this_device->class, "kvm");
	if (!dev)
		return false;
	put_device(dev);
	return true;
}

static int mica_info(struct mica_call *call, void *arg)
{
	struct mica_info *info = arg;
	int err;

	err = mica_need_zero(call, info->reserved, "reserved");
	if (err)
		return err;
	info->caps = MICA_CAP_UNION | MICA_CAP_EVENTS | MICA_CAP_BRANCHES |
		     MICA_CAP_SEAL | MICA_CAP_END | mica_guest_caps();
	if (mica_have_kvm())
		info->caps |= MICA_CAP_KVM;
	info->session = call->session->id;
	return 0;
}

static int mica_union_own_run(struct mica_call *call, void *arg)
{
	struct mica_union_own *o = arg;
	bool change = o->flags & MICA_OWN_CHANGE;

	if (change && o->flags & MICA_OWN_TELL)
		return mica_fail(&call->why, -EINVAL, MICA_REASON_BAD_VALUE, NULL,
				 "MICA_OWN_TELL goes with no other flag");
	return mica_need_zero(call, change ? 0 : o->branch, "branch") ?:
	       mica_own_begin(&call->session->owned, o, &call->why);
}

int mica_chardev_init(void)
{
	return misc_register(&mica_misc);
}

void mica_chardev_exit(void)
{
	misc_deregister(&mica_misc);
}
