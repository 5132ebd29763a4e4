/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * ioctls of /dev/mica and of a mica union.
 *
 * Every command takes one structure. Its first member, @size, is what the
 * caller believes the structure to be long; a longer one must be zero beyond
 * what the kernel knows (E2BIG otherwise), a shorter one is taken as if filled
 * up with zeroes. Its second member is @flags; a bit that the kernel does not
 * know is EOPNOTSUPP. Padding must be zero (EINVAL).
 *
 * A command that is not known is ENOTTY. What is there to be used is told by
 * the capability bits of MICA_INFO, never by a version number.
 */
#ifndef _UAPI_MICA_H
#define _UAPI_MICA_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MICA_IOC_TYPE	0xBC

/**
 * enum mica_reason_code - what stood in the way of a command
 * @MICA_REASON_NONE: nothing more to say than errno does
 * @MICA_REASON_BAD_VALUE: a member of the structure has a bad value
 * @MICA_REASON_NO_DEVICE: there is no such device
 * @MICA_REASON_BRIDGE: the function is a bridge, it cannot be claimed
 * @MICA_REASON_NO_IOMMU: the device is not behind an IOMMU
 * @MICA_REASON_NO_VFIO: vfio-pci is not there and could not be loaded
 * @MICA_REASON_GROUP: another member of the IOMMU group is not part of the call
 * @MICA_REASON_CLAIMED: a session holds the device already
 * @MICA_REASON_DISK: a disk of the device is in use
 * @MICA_REASON_NETDEV: a network interface of the device is in use
 * @MICA_REASON_CONSOLE: the device is the console of the host
 * @MICA_REASON_VFS: the device has virtual functions
 * @MICA_REASON_DRIVER: a driver did not let the device go, or did not take it
 * @MICA_REASON_PRIVILEGE: the caller, or who opened the session, may not
 * @MICA_REASON_RESET: the device has no way to be reset
 * @MICA_REASON_OVERRIDE: an administrator's own override is in the way
 */
enum mica_reason_code {
	MICA_REASON_NONE = 0,
	MICA_REASON_BAD_VALUE,
	MICA_REASON_NO_DEVICE,
	MICA_REASON_BRIDGE,
	MICA_REASON_NO_IOMMU,
	MICA_REASON_NO_VFIO,
	MICA_REASON_GROUP,
	MICA_REASON_CLAIMED,
	MICA_REASON_DISK,
	MICA_REASON_NETDEV,
	MICA_REASON_CONSOLE,
	MICA_REASON_VFS,
	MICA_REASON_DRIVER,
	MICA_REASON_PRIVILEGE,
	MICA_REASON_RESET,
	MICA_REASON_OVERRIDE,
};

/**
 * struct mica_reason - why a command failed
 * @code: one of &enum mica_reason_code
 * @reserved: zero
 * @subject: the device or path that it is about, ends in a NUL
 * @text: one sentence that a person can act on, ends in a NUL
 *
 * A failing command writes the first reason_len bytes of it to reason_ptr;
 * one that succeeds leaves that memory alone.
 */
struct mica_reason {
	__u32 code;
	__u32 reserved;
	__u8 subject[248];
	__u8 text[256];
};

/**
 * struct mica_pci_addr - the address of a PCI function
 * @domain: PCI domain (segment)
 * @bus: bus number
 * @devfn: device in bits 7:3, function in bits 2:0
 * @reserved: zero
 */
struct mica_pci_addr {
	__u32 domain;
	__u8 bus;
	__u8 devfn;
	__u16 reserved;
};

/* Capability bits of struct mica_info. */
#define MICA_CAP_UNION		(1ULL << 0)	/* file system type mica */
#define MICA_CAP_CLAIM		(1ULL << 1)	/* MICA_CLAIM can work here */
#define MICA_CAP_KVM		(1ULL << 2)	/* the kernel has KVM, loaded */
#define MICA_CAP_IOMMU		(1ULL << 3)	/* an IOMMU is in use */
#define MICA_CAP_EVENTS		(1ULL << 4)	/* generic netlink family mica */

/**
 * struct mica_info - argument of MICA_INFO
 * @size: sizeof(struct mica_info)
 * @flags: must be zero
 * @caps: out: MICA_CAP_*
 * @session: out: number of this session, as events and dumps name it
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 caps;
	__u32 session;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_INFO - what this kernel and module can do
 *
 * Errors: EFAULT, E2BIG, EINVAL, EOPNOTSUPP as above.
 */
#define MICA_INFO	_IO(MICA_IOC_TYPE, 0x00)

#endif /* _UAPI_MICA_H */
