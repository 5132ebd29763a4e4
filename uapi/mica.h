/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/**
 * DOC: What all commands have in common
 *
 * An open /dev/mica is a session, and commands are called on it. Those whose names
 * begin with MICA_UNION are called on a directory of a mounted union instead, but for
 * MICA_UNION_OWN. 32-bit programs use the same commands and structures.
 *
 * Every command takes the address of one structure. Its first member, @size, is what
 * the caller believes the structure to be long. A longer one must be zero beyond what
 * the kernel knows, and not longer than a page. A shorter one is taken as if filled
 * up with zeroes; it must go as far as @pad, which is behind @reason_len. No
 * more than @size bytes are written back.
 *
 * The second member is @flags. Padding and what is reserved must be zero. Descriptors
 * that are given are close-on-exec.
 *
 * Where @reason_ptr is not zero a command that fails writes struct mica_reason there,
 * as much of it as @reason_len says: why it failed, in words. That can be a sentence
 * without a subject, or nothing but MICA_REASON_NONE if errno says it all. What
 * is wrong with @reason_ptr itself is not told. Nothing is written if the structure
 * could not be read, or is too short or too long; nor by a command that succeeds.
 *
 * Any command can fail with these, before it has done anything:
 *
 * * ENOTTY - the command is not known, or not here.
 * * EFAULT - the structure cannot be read, or not be written back.
 * * EINVAL - it is too short, or padding is not zero (MICA_REASON_BAD_VALUE).
 * * E2BIG - it is longer than a page, or has non-zero bytes beyond what the kernel
 *   knows.
 * * EOPNOTSUPP - @flags has a bit that the kernel does not know
 *   (MICA_REASON_BAD_VALUE).
 * * ENOMEM - no memory.
 * * ENODEV - the session was ended by MICA_GUEST_END (MICA_REASON_ENDING).
 * * EPERM - another process opened the session and did not seal it
 *   (MICA_REASON_PRIVILEGE; see MICA_SEAL).
 *
 * What is there to be used is told by the capability bits of MICA_INFO, never by a
 * version number.
 */
#ifndef _UAPI_MICA_H
#define _UAPI_MICA_H

#include <linux/const.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: Numbers
 *
 * MICA_IOC_TYPE is the type of all the ioctls. MICA_SUPER_MAGIC is what statfs(2) has
 * in @f_type for a union.
 */
#define MICA_IOC_TYPE	0xBC
#define MICA_SUPER_MAGIC	0x6d696361

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
 * @MICA_REASON_DRIVER: a driver did not let the device go, or did not take it, or
 *	is still at it
 * @MICA_REASON_PRIVILEGE: the caller, or who opened the session, may not
 * @MICA_REASON_RESET: the device has no way to be reset
 * @MICA_REASON_OVERRIDE: not used
 * @MICA_REASON_USER: a process uses the device, or its IOMMU group, through
 *	VFIO already
 * @MICA_REASON_ENDING: the session has been ended, or was before the call was
 *	through
 * @MICA_REASON_BRANCH: a directory cannot be a branch, or not in this way
 * @MICA_REASON_IN_USE: something in the union is in use, and would not be there; or
 *	an interrupt of a guest is on in another way
 * @MICA_REASON_GUEST: the session has a guest already, or none, or it belongs to
 *	another process
 * @MICA_REASON_KVM: KVM is not there, or refused something
 * @MICA_REASON_VFIO: VFIO refused something
 * @MICA_REASON_LIMIT: a limit of the process, or of the host, is reached
 * @MICA_REASON_RANGE: guest addresses that cannot be used, or are in use
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
	MICA_REASON_USER,
	MICA_REASON_ENDING,
	MICA_REASON_BRANCH,
	MICA_REASON_IN_USE,
	MICA_REASON_GUEST,
	MICA_REASON_KVM,
	MICA_REASON_VFIO,
	MICA_REASON_LIMIT,
	MICA_REASON_RANGE,
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

/**
 * DOC: Capability bits
 *
 * In @caps of struct mica_info:
 *
 * * MICA_CAP_UNION - file system type mica
 * * MICA_CAP_CLAIM - MICA_CLAIM can work here
 * * MICA_CAP_KVM - the kernel has KVM, loaded
 * * MICA_CAP_IOMMU - an IOMMU is in use
 * * MICA_CAP_EVENTS - generic netlink family mica
 * * MICA_CAP_BRANCHES - MICA_UNION_ADD to MICA_UNION_SNAPSHOT
 * * MICA_CAP_SEAL - MICA_SEAL
 * * MICA_CAP_END - MICA_GUEST_END
 * * MICA_CAP_VFS - MICA_GUEST_VFS can work here
 * * MICA_CAP_ASSEMBLY - MICA_GUEST_CREATE and what follows it
 * * MICA_CAP_PCIE_ERRORS - MICA_EVENT_PCIE_ERROR: the kernel tells a module of the
 *   errors that it is told of; with some firmware it is told of none
 */
#define MICA_CAP_UNION		_BITULL(0)
#define MICA_CAP_CLAIM		_BITULL(1)
#define MICA_CAP_KVM		_BITULL(2)
#define MICA_CAP_IOMMU		_BITULL(3)
#define MICA_CAP_EVENTS		_BITULL(4)
#define MICA_CAP_BRANCHES	_BITULL(5)
#define MICA_CAP_SEAL		_BITULL(8)
#define MICA_CAP_END		_BITULL(9)
#define MICA_CAP_VFS		_BITULL(10)
#define MICA_CAP_ASSEMBLY	_BITULL(12)
#define MICA_CAP_PCIE_ERRORS	_BITULL(13)

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
 * Errors: those of any command.
 */
#define MICA_INFO	_IO(MICA_IOC_TYPE, 0x00)

/**
 * enum mica_reset_method - ways to reset a function
 * @MICA_RESET_DEVICE_SPECIFIC: one that the kernel has for this very device
 * @MICA_RESET_ACPI: by the firmware of the host
 * @MICA_RESET_FLR: function level reset
 * @MICA_RESET_AF_FLR: likewise, of conventional PCI
 * @MICA_RESET_PM: by way of the power state D3hot
 * @MICA_RESET_BUS: of its bus, where the function is alone
 * @MICA_RESET_CXL_BUS: likewise, with CXL
 * @MICA_RESET_SHARED_BUS: only together with the whole bus
 *
 * Each is the number of a bit in @reset_methods of struct mica_device_info.
 */
enum mica_reset_method {
	MICA_RESET_DEVICE_SPECIFIC = 0,
	MICA_RESET_ACPI,
	MICA_RESET_FLR,
	MICA_RESET_AF_FLR,
	MICA_RESET_PM,
	MICA_RESET_BUS,
	MICA_RESET_CXL_BUS,
	MICA_RESET_SHARED_BUS = 31,
};

/**
 * DOC: Flags of struct mica_bar
 *
 * * MICA_BAR_IO - I/O ports
 * * MICA_BAR_MEM - memory
 * * MICA_BAR_64BIT - it can be anywhere in 64 bits
 * * MICA_BAR_PREFETCH - reading has no side effects
 *
 * One that is not there has a length of zero.
 */
#define MICA_BAR_IO		_BITUL(0)
#define MICA_BAR_MEM		_BITUL(1)
#define MICA_BAR_64BIT		_BITUL(2)
#define MICA_BAR_PREFETCH	_BITUL(3)

/**
 * struct mica_bar - a range of addresses that a function answers to
 * @start: address on the host
 * @length: bytes
 * @flags: MICA_BAR_*
 * @reserved: zero
 */
struct mica_bar {
	__aligned_u64 start;
	__aligned_u64 length;
	__u32 flags;
	__u32 reserved;
};

/**
 * DOC: State of a function
 *
 * In @state of struct mica_device_info and struct mica_member:
 *
 * * MICA_STATE_BRIDGE - a bridge, cannot be claimed
 * * MICA_STATE_VF - a virtual function
 * * MICA_STATE_CLAIMED - a session holds it
 * * MICA_STATE_IN_USE - it serves the host; not told of a member
 * * MICA_STATE_OBSTACLE - of a member: must be claimed too
 * * MICA_STATE_MANAGED_DMA - its driver leaves DMA to others
 * * MICA_STATE_NOT_PCI - of a member: not a PCI function
 * * MICA_STATE_LOCKED - a driver is binding or unbinding for longer than a second:
 *   which one, what may bind, and whether the function is in use, is not known
 */
#define MICA_STATE_BRIDGE	_BITUL(0)
#define MICA_STATE_VF		_BITUL(1)
#define MICA_STATE_CLAIMED	_BITUL(2)
#define MICA_STATE_IN_USE	_BITUL(3)
#define MICA_STATE_OBSTACLE	_BITUL(4)
#define MICA_STATE_MANAGED_DMA	_BITUL(5)
#define MICA_STATE_NOT_PCI	_BITUL(6)
#define MICA_STATE_LOCKED	_BITUL(7)

/**
 * struct mica_member - another member of a function's IOMMU group
 * @addr: its address; zeroes with MICA_STATE_NOT_PCI
 * @state: MICA_STATE_*
 * @session: session that holds it, or zero
 * @name: its name, ends in a NUL
 * @driver: the driver that it is bound to, or an empty string
 */
struct mica_member {
	struct mica_pci_addr addr;
	__u32 state;
	__u32 session;
	__u8 name[48];
	__u8 driver[64];
};

/**
 * enum mica_region_type - why a device must not use addresses for memory
 * @MICA_REGION_DIRECT: mapped one to one, always
 * @MICA_REGION_RELAXABLE: the same, but not for a guest
 * @MICA_REGION_RESERVED: never to be mapped
 * @MICA_REGION_MSI: writes there are interrupts
 * @MICA_REGION_SW_MSI: likewise, placed by the kernel
 */
enum mica_region_type {
	MICA_REGION_DIRECT = 1,
	MICA_REGION_RELAXABLE,
	MICA_REGION_RESERVED,
	MICA_REGION_MSI,
	MICA_REGION_SW_MSI,
};

/**
 * struct mica_region - addresses that a device must not use for memory
 * @start: first address, as the device sees it
 * @length: bytes
 * @type: one of &enum mica_region_type
 * @reserved: zero
 */
struct mica_region {
	__aligned_u64 start;
	__aligned_u64 length;
	__u32 type;
	__u32 reserved;
};

/**
 * enum mica_known - what is known about a means of isolation
 * @MICA_UNKNOWN: a module is not told
 * @MICA_YES: it is there, and in use
 * @MICA_NO: it is not
 */
enum mica_known {
	MICA_UNKNOWN = 0,
	MICA_YES,
	MICA_NO,
};

/**
 * DOC: Flags of MICA_DEVICE_INFO
 *
 * * MICA_DEVICE_INFO_GROUP - judge a claim that has MICA_CLAIM_GROUP
 */
#define MICA_DEVICE_INFO_GROUP	_BITUL(0)

/**
 * struct mica_device_info - argument of MICA_DEVICE_INFO
 * @size: sizeof(struct mica_device_info)
 * @flags: zero or MICA_DEVICE_INFO_GROUP
 * @addr: the function that is asked about
 * @vendor: out: vendor
 * @device: out: device
 * @subsystem_vendor: out: vendor of the subsystem
 * @subsystem_device: out: device of the subsystem
 * @class_code: out: base class, sub-class and interface in 24 bits
 * @header_type: out: 0 endpoint, 1 PCI bridge, 2 CardBus bridge
 * @revision: out: revision
 * @pad0: out: zero
 * @numa_node: out: node that it is near to, or -1
 * @iommu_group: out: number of its IOMMU group, or -1 without one
 * @state: out: MICA_STATE_*
 * @session: out: session that holds it, or zero
 * @driver: out: the driver that it is bound to, or an empty string
 * @driver_override: out: the only driver that may bind it, or an empty string
 * @bars: out: the six BARs, and the expansion ROM as the seventh
 * @msi_vectors: out: MSI vectors, zero without that capability
 * @msix_vectors: out: MSI-X vectors, likewise
 * @reset_methods: out: bits numbered by &enum mica_reset_method; none means
 *	that nothing can reset it
 * @sriov_total: out: virtual functions it can have
 * @sriov_num: out: virtual functions it has now
 * @physfn: out: with MICA_STATE_VF, the physical function
 * @irq_remapping: out: interrupts of the device are checked; &enum mica_known
 * @acs: out: bridges above it do not let it reach others; &enum mica_known
 * @posted_irqs: out: interrupts can go to a guest directly; &enum mica_known
 * @pad1: out: zero
 * @claim_error: out: zero if a claim by a privileged caller would succeed now,
 *	else the errno that it would fail with
 * @nr_members: in: entries at @members_ptr; out: other members of the group
 * @nr_regions: in: entries at @regions_ptr; out: regions of the group
 * @members_ptr: array of struct mica_member, or zero
 * @regions_ptr: array of struct mica_region, or zero
 * @in_use: out: with MICA_STATE_IN_USE, by what
 * @claim: out: with @claim_error, why
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_device_info {
	__u32 size;
	__u32 flags;
	struct mica_pci_addr addr;
	__u16 vendor;
	__u16 device;
	__u16 subsystem_vendor;
	__u16 subsystem_device;
	__u32 class_code;
	__u8 header_type;
	__u8 revision;
	__u16 pad0;
	__s32 numa_node;
	__s32 iommu_group;
	__u32 state;
	__u32 session;
	__u8 driver[64];
	__u8 driver_override[64];
	struct mica_bar bars[7];
	__u32 msi_vectors;
	__u32 msix_vectors;
	__u32 reset_methods;
	__u16 sriov_total;
	__u16 sriov_num;
	struct mica_pci_addr physfn;
	__u8 irq_remapping;
	__u8 acs;
	__u8 posted_irqs;
	__u8 pad1;
	__u32 claim_error;
	__u32 nr_members;
	__u32 nr_regions;
	__aligned_u64 members_ptr;
	__aligned_u64 regions_ptr;
	struct mica_reason in_use;
	struct mica_reason claim;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_DEVICE_INFO - what is known about a PCI function
 *
 * Changes nothing. Where an array is too short the entries that fit are
 * written, and the count says how long it should be. A disk of the function
 * that has openers is watched for up to a second, since udev opens disks for an
 * instant only. A function that a driver holds locked is waited for, up to a
 * second each; then it has MICA_STATE_LOCKED, and a claim of it EBUSY
 * (MICA_REASON_DRIVER). One that a session has had, and that a process keeps open,
 * is told as claimed and bound to vfio-pci, at once.
 *
 * What @claim_error says was true at one moment; it promises nothing. Whether there
 * is a vfio-pci is not looked at: only a claim loads it.
 *
 * Errors:
 *
 * * EFAULT - a pointer is bad.
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, or padding is not zero, or the address
 *   cannot be one.
 * * EOPNOTSUPP - an unknown flag.
 * * ENOENT - there is no such function.
 * * EINTR - a signal came while a driver held a function locked.
 * * ENOMEM - no memory.
 */
#define MICA_DEVICE_INFO	_IO(MICA_IOC_TYPE, 0x01)

/**
 * DOC: Flags of MICA_CLAIM
 *
 * * MICA_CLAIM_GROUP - take every other member of the IOMMU group along
 * * MICA_CLAIM_FORCE - take the functions even while they serve the host; the log
 *   says so
 * * MICA_CLAIM_ASYNC - return at once; MICA_WAIT or an event tells the outcome
 *
 * MICA_CLAIM_MAX is how many functions there can be in one call.
 */
#define MICA_CLAIM_GROUP	_BITUL(0)
#define MICA_CLAIM_FORCE	_BITUL(1)
#define MICA_CLAIM_ASYNC	_BITUL(2)

#define MICA_CLAIM_MAX		64

/**
 * struct mica_claim - argument of MICA_CLAIM
 * @size: sizeof(struct mica_claim)
 * @flags: MICA_CLAIM_*
 * @devices_ptr: array of struct mica_pci_addr
 * @nr_devices: entries at @devices_ptr, 1 to MICA_CLAIM_MAX
 * @nr_claimed: out: functions that the call took, members of groups included;
 *	zero with MICA_CLAIM_ASYNC
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_claim {
	__u32 size;
	__u32 flags;
	__aligned_u64 devices_ptr;
	__u32 nr_devices;
	__u32 nr_claimed;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_CLAIM - take functions away from their drivers, for this session
 *
 * All of the functions come to the session, bound to vfio-pci, or none does.
 * They stay until the last descriptor of the session is closed, which starts
 * their way back: each is reset and bound to the driver that it had, or to none
 * if it had none, and its driver_override is put back as it was.
 *
 * The work is done in a queue of the session. The caller waits for it; a signal
 * that kills the caller ends the wait, not the work, and if the session ends so,
 * what was taken goes back in the same queue.
 *
 * A function that is on its way back from a session that ended is waited for, up
 * to ten seconds.
 *
 * The caller and whoever opened the session need CAP_SYS_ADMIN.
 *
 * Errors:
 *
 * * EFAULT - a pointer is bad.
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, padding is not zero, there is no
 *   function or more than MICA_CLAIM_MAX, one is named twice, or an address
 *   cannot be one; or a function is a bridge (MICA_REASON_BRIDGE).
 * * EOPNOTSUPP - an unknown flag.
 * * EPERM - CAP_SYS_ADMIN is missing, or the session is sealed
 *   (MICA_REASON_PRIVILEGE).
 * * ENOENT - there is no such function (MICA_REASON_NO_DEVICE).
 * * ENODEV - the function is behind no IOMMU (MICA_REASON_NO_IOMMU), or there is
 *   no vfio-pci (MICA_REASON_NO_VFIO), or the function was unplugged meanwhile
 *   (MICA_REASON_NO_DEVICE), or the session was ended (MICA_REASON_ENDING).
 * * EBUSY - a function is held by a session (MICA_REASON_CLAIMED), serves the
 *   host (MICA_REASON_DISK, _NETDEV, _CONSOLE, _VFS), is used through VFIO
 *   (MICA_REASON_USER), or has another member in its IOMMU group that is not
 *   part of the call or cannot be (MICA_REASON_GROUP); or vfio-pci did not get
 *   the function (MICA_REASON_DRIVER); or both this call and an earlier one have
 *   MICA_CLAIM_ASYNC, whose outcome has not been fetched (MICA_REASON_NONE).
 * * EINTR - the caller was killed.
 * * ENOMEM - no memory.
 */
#define MICA_CLAIM		_IO(MICA_IOC_TYPE, 0x02)

/**
 * DOC: Flags of MICA_WAIT
 *
 * * MICA_WAIT_NONBLOCK - do not wait: EAGAIN while the work goes on
 */
#define MICA_WAIT_NONBLOCK	_BITUL(0)

/**
 * struct mica_wait - argument of MICA_WAIT
 * @size: sizeof(struct mica_wait)
 * @flags: zero or MICA_WAIT_NONBLOCK
 * @nr_claimed: out: functions that the call took
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_wait {
	__u32 size;
	__u32 flags;
	__u32 nr_claimed;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_WAIT - the outcome of the last call that had MICA_CLAIM_ASYNC
 *
 * Waits for its end and fails, with its errno and its reason, if it failed. The
 * outcome is given once. poll() finds the session readable (POLLIN) while there
 * is one to be had without waiting.
 *
 * Errors, besides those of the call that is waited for:
 *
 * * EFAULT - a pointer is bad.
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, or padding is not zero.
 * * EOPNOTSUPP - an unknown flag.
 * * ECHILD - there is no such call.
 * * EAGAIN - it has not ended, and MICA_WAIT_NONBLOCK is set.
 * * EINTR - the caller was killed.
 */
#define MICA_WAIT		_IO(MICA_IOC_TYPE, 0x03)

/**
 * enum mica_guest_state - what is noted of a guest
 * @MICA_GUEST_STARTED: it was started
 * @MICA_GUEST_ENDED: it ended
 */
enum mica_guest_state {
	MICA_GUEST_STARTED = 1,
	MICA_GUEST_ENDED,
};

/**
 * struct mica_guest_note - argument of MICA_GUEST_NOTE
 * @size: sizeof(struct mica_guest_note)
 * @flags: must be zero
 * @state: one of &enum mica_guest_state
 * @pid: with MICA_GUEST_STARTED, the process of the guest, as the caller names
 *	it: the caller itself or a child of the caller; otherwise zero
 * @status: with MICA_GUEST_ENDED, its status as wait(2) gives it; otherwise
 *	zero
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_note {
	__u32 size;
	__u32 flags;
	__u32 state;
	__u32 pid;
	__s32 status;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_NOTE - tell that a guest was started, or that it ended
 *
 * For programs that start a virtual machine monitor with the devices of the
 * session. Who listens gets MICA_EVENT_GUEST_START and MICA_EVENT_GUEST_END, and
 * the dump of sessions names the process. It gives no rights to anybody.
 *
 * A session has one guest at a time. One that is noted when the session ends is
 * reported as ended then, with -ECANCELED in place of a status, before the first
 * device goes back.
 *
 * Errors:
 *
 * * EFAULT - a pointer is bad.
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, padding is not zero, or a member does
 *   not fit @state.
 * * EOPNOTSUPP - an unknown flag.
 * * ESRCH - there is no such process.
 * * EPERM - the process is not the caller's (MICA_REASON_PRIVILEGE).
 * * EBUSY - a guest is noted already.
 * * ENOENT - no guest is noted.
 */
#define MICA_GUEST_NOTE		_IO(MICA_IOC_TYPE, 0x04)

/**
 * DOC: Flags of MICA_UNION_OWN
 *
 * * MICA_OWN_CHANGE - the directory is going to be changed, so no union may have it,
 *   or what is in it, as a branch
 * * MICA_OWN_TELL - it is not to be owned: only @hash and @uuid are told
 */
#define MICA_OWN_CHANGE		_BITUL(0)
#define MICA_OWN_TELL		_BITUL(1)

/**
 * struct mica_union_own - argument of MICA_UNION_OWN
 * @size: sizeof(struct mica_union_own)
 * @flags: zero, MICA_OWN_CHANGE or MICA_OWN_TELL
 * @fd: descriptor of a directory
 * @branch: with MICA_OWN_CHANGE, number of a branch that it may be all the same,
 *	or zero
 * @hash: out: what layers that need it know it by, or zero
 * @uuid: out: of its file system, or zeroes
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_union_own {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 branch;
	__aligned_u64 hash;
	__u8 uuid[16];
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_UNION_OWN - keep unions and overlays from writing to a directory
 *
 * As long as the session is open, the directory @fd is nobody's writable branch
 * or upper directory, unless MICA_OWN_TELL is set. A session can have one. @hash is
 * what stands for it in trusted.overlay.mica.layers, as the bytes are there; @uuid is
 * what stands in the origin of a copy of what is in it.
 *
 * Errors:
 *
 * * EPERM - CAP_SYS_ADMIN is missing (MICA_REASON_PRIVILEGE).
 * * EBADF, ENOTDIR - @fd is no directory.
 * * EBUSY - it is somebody's writable branch or upper directory, or with
 *   MICA_OWN_CHANGE a branch, or one is in it (MICA_REASON_BRANCH).
 * * EEXIST - the session has one already.
 * * EINVAL - @branch is not zero, without MICA_OWN_CHANGE, or both flags are set
 *   (MICA_REASON_BAD_VALUE).
 * * EFAULT, E2BIG, EOPNOTSUPP, ENOMEM as of any command.
 */
#define MICA_UNION_OWN		_IO(MICA_IOC_TYPE, 0x05)

/**
 * struct mica_seal - argument of MICA_SEAL
 * @size: sizeof(struct mica_seal)
 * @flags: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_seal {
	__u32 size;
	__u32 flags;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_SEAL - nothing more is claimed in this session, and others may use it
 *
 * For good: there is no way back but to open another session. What the session
 * holds stays with it, and a claim that has been begun is still done. A session
 * that is sealed already stays so.
 *
 * Until then only the process that opened the session may use it, as long as it
 * does not call exec(): every command fails with EPERM (MICA_REASON_PRIVILEGE) for
 * who came to the descriptor by fork(), by exec() or through a socket. To close
 * it is all that they can do.
 *
 * Errors:
 *
 * * EFAULT - a pointer is bad.
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, or padding is not zero.
 * * EOPNOTSUPP - an unknown flag.
 * * EPERM - another process opened the session.
 */
#define MICA_SEAL		_IO(MICA_IOC_TYPE, 0x06)

/**
 * struct mica_guest_end - argument of MICA_GUEST_END
 * @size: sizeof(struct mica_guest_end)
 * @flags: must be zero
 * @session: number of the session that is to end, as MICA_INFO and the dumps have
 *	it
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_end {
	__u32 size;
	__u32 flags;
	__u32 session;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_END - end a session, whoever has it
 *
 * It ends as if its last descriptor had been closed: what it holds begins to go
 * back, and is on its way when the call returns. Who waits for a claim of that
 * session gets ENODEV, and so does every later call in it (MICA_REASON_ENDING);
 * poll() finds it hung up (POLLHUP). Processes are left alone: a monitor that has a
 * device open is asked by vfio-pci to let it go. A directory of MICA_UNION_OWN
 * stays with the session until it is closed.
 *
 * To end a session that is ending already changes nothing and succeeds. The
 * caller, and whoever opened the session that it calls through, need CAP_SYS_ADMIN.
 *
 * Errors:
 *
 * * EFAULT - a pointer is bad.
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, or padding is not zero.
 * * EOPNOTSUPP - an unknown flag.
 * * EPERM - CAP_SYS_ADMIN is missing, or the session that the call came through is
 *   sealed (MICA_REASON_PRIVILEGE).
 * * ENOENT - there is no such session.
 */
#define MICA_GUEST_END		_IO(MICA_IOC_TYPE, 0x07)

/**
 * struct mica_guest_vfs - argument of MICA_GUEST_VFS
 * @size: sizeof(struct mica_guest_vfs)
 * @flags: must be zero
 * @addr: the physical function
 * @vfs_ptr: array of struct mica_pci_addr: zeroes at first, then the addresses of
 *	the virtual functions; that at index i is the one that the physical function
 *	has as virtfn<i>
 * @nr_vfs: how many virtual functions to make, and entries at @vfs_ptr: 1 to
 *	MICA_CLAIM_MAX
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_vfs {
	__u32 size;
	__u32 flags;
	struct mica_pci_addr addr;
	__aligned_u64 vfs_ptr;
	__u32 nr_vfs;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_VFS - make virtual functions for this session
 *
 * The driver of the physical function, which stays at work for the host, makes
 * them; no other driver than vfio-pci ever has them. The session holds them as if
 * it had claimed them. They are removed when it ends, each after whoever uses it
 * has let it go; meanwhile a driver that asks pci_vfs_assigned() does not remove
 * them for others. Neither the physical function nor a virtual one can come to
 * another session.
 *
 * The work is done in the session's queue, as that of MICA_CLAIM is. The caller and
 * whoever opened the session need CAP_SYS_ADMIN.
 *
 * Errors:
 *
 * * EFAULT - a pointer is bad.
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, padding is not zero, or @addr cannot be an
 *   address, or @nr_vfs is zero or too large (MICA_REASON_BAD_VALUE); the function
 *   is a bridge (MICA_REASON_BRIDGE), or cannot have that many virtual functions
 *   (MICA_REASON_VFS).
 * * EOPNOTSUPP - an unknown flag, or this kernel cannot do it (MICA_REASON_NONE; see
 *   MICA_CAP_VFS).
 * * EPERM - CAP_SYS_ADMIN is missing, or the session is sealed
 *   (MICA_REASON_PRIVILEGE).
 * * ENOENT - there is no such function (MICA_REASON_NO_DEVICE).
 * * ENODEV - the function is behind no IOMMU (MICA_REASON_NO_IOMMU), there is no
 *   vfio-pci (MICA_REASON_NO_VFIO), the function has no driver or one that makes no
 *   virtual functions (MICA_REASON_DRIVER), it was unplugged meanwhile
 *   (MICA_REASON_NO_DEVICE), or the session was ended (MICA_REASON_ENDING).
 * * EBUSY - it has virtual functions already (MICA_REASON_VFS), it or one of them is
 *   held by a session (MICA_REASON_CLAIMED), its driver did not make them or
 *   vfio-pci did not get them (MICA_REASON_DRIVER), or one of them shares its
 *   IOMMU group with what is in the way (MICA_REASON_GROUP).
 * * EINTR - the caller was killed; what has been made is the session's.
 * * ENOMEM - no memory.
 */
#define MICA_GUEST_VFS		_IO(MICA_IOC_TYPE, 0x08)

/**
 * struct mica_guest_device - a descriptor that is asked for
 * @addr: the function
 * @fd: out: the descriptor that VFIO gives for it
 * @reserved: must be zero
 */
struct mica_guest_device {
	struct mica_pci_addr addr;
	__s32 fd;
	__u32 reserved;
};

/**
 * DOC: Flags of MICA_GUEST_CREATE and MICA_GUEST_SETUP
 *
 * * MICA_GUEST_CONTAINER - a descriptor of VFIO's container is asked for
 * * MICA_GUEST_PREPARE - of MICA_GUEST_CREATE: no guest is made; container and groups
 *   are opened for who makes it
 */
#define MICA_GUEST_CONTAINER	_BITUL(0)
#define MICA_GUEST_PREPARE	_BITUL(1)

/**
 * struct mica_guest_create - argument of MICA_GUEST_CREATE
 * @size: sizeof(struct mica_guest_create)
 * @flags: zero, or MICA_GUEST_CONTAINER or MICA_GUEST_PREPARE
 * @vm_fd: out: descriptor of the VM; with MICA_GUEST_PREPARE -1
 * @container_fd: out: descriptor of VFIO's container, or -1
 * @devices_ptr: array of struct mica_guest_device, or zero
 * @nr_devices: entries at @devices_ptr, at most MICA_CLAIM_MAX
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_create {
	__u32 size;
	__u32 flags;
	__s32 vm_fd;
	__s32 container_fd;
	__aligned_u64 devices_ptr;
	__u32 nr_devices;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_CREATE - a VM with the functions of the session
 *
 * Makes a VM with KVM's own interrupt controllers and opens the functions that the
 * session holds, which VFIO resets if it can. Their IOMMU groups are in one
 * container, which KVM knows of. The descriptors are those of KVM and VFIO: VCPUs
 * are made by KVM_CREATE_VCPU on @vm_fd, registers are at the descriptors of the
 * functions. A session that holds no function gets a VM without any.
 *
 * /dev/kvm, /dev/vfio/vfio and the groups in /dev/vfio are opened with the
 * credentials of the caller, whose memory the VM is bound to: who has other
 * memory, for instance after fork() or exec(), gets EIO from the commands on it.
 *
 * With MICA_GUEST_PREPARE the container and the groups are opened and kept, and
 * nothing else is done. The next call without it makes the guest of these, with
 * what the session held then; its caller needs to be able to open /dev/kvm only.
 * That is for who hands a session to another user, after MICA_SEAL. If it fails,
 * what was prepared is as it was before.
 *
 * A session has one guest. One whose process is no more, or has called exec(), is
 * let go for another: its functions are closed before they are opened again, and its
 * memory is unmapped. That is refused as long as another process has a descriptor of
 * the container, of a group or of a function, or its registers mapped. Any is let go
 * when the session ends, or when a function is taken from the session by unplugging
 * it or unbinding it; descriptors that were given out stay until they are closed, and
 * so does what they stand for.
 *
 * Errors:
 *
 * * EFAULT - a pointer is bad; or another thread of the caller meddled with
 *   memory that the call had mapped.
 * * EBADF - another thread of the caller put another file in the place of one that
 *   KVM or VFIO had given (MICA_REASON_KVM, MICA_REASON_VFIO).
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, padding is not zero, an address cannot
 *   be one, @nr_devices is too large, or descriptors are asked for together with
 *   MICA_GUEST_PREPARE (MICA_REASON_BAD_VALUE).
 * * EOPNOTSUPP - an unknown flag.
 * * EBUSY - the session has a guest, or one is prepared (MICA_REASON_GUEST), or a
 *   process has a group open, or something of the guest before (MICA_REASON_USER).
 * * ENOENT - a function that is asked for is not there, or not of the session
 *   (MICA_REASON_NO_DEVICE); or there is no /dev/kvm (MICA_REASON_KVM), or no
 *   /dev/vfio/vfio (MICA_REASON_VFIO).
 * * ENODEV - the session has ended (MICA_REASON_ENDING), a function is not bound to
 *   vfio-pci any more (MICA_REASON_VFIO), a file in /dev is not the device that it
 *   should be (MICA_REASON_KVM, MICA_REASON_VFIO), or a container or
 *   MICA_GUEST_PREPARE is asked for without functions (MICA_REASON_NO_DEVICE).
 * * EACCES - the caller may not open one of the files (MICA_REASON_KVM,
 *   MICA_REASON_VFIO).
 * * EPERM - interrupts are not isolated (MICA_REASON_NO_IOMMU).
 * * EMFILE - no descriptor is left (MICA_REASON_LIMIT).
 * * ENOMEM, EINTR, and what else KVM and VFIO return (MICA_REASON_KVM,
 *   MICA_REASON_VFIO).
 */
#define MICA_GUEST_CREATE	_IO(MICA_IOC_TYPE, 0x09)

/**
 * DOC: Flags of struct mica_guest_range
 *
 * * MICA_RANGE_READONLY - neither the guest nor its functions can write there
 * * MICA_RANGE_KVM_ONLY - functions do not reach it; for registers, and without
 *   functions
 */
#define MICA_RANGE_READONLY	_BITUL(0)
#define MICA_RANGE_KVM_ONLY	_BITUL(1)
/* It has to be in huge pages of hugetlbfs, and all three be multiples of these. */
#define MICA_RANGE_HUGE		_BITUL(2)

/**
 * struct mica_guest_range - memory of the caller in a guest
 * @guest_addr: where the guest has it
 * @user_addr: where the caller has it
 * @length: bytes; all three are multiples of the size of a page
 * @flags: MICA_RANGE_*
 * @reserved: must be zero
 */
struct mica_guest_range {
	__aligned_u64 guest_addr;
	__aligned_u64 user_addr;
	__aligned_u64 length;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct mica_guest_map - argument of MICA_GUEST_MAP
 * @size: sizeof(struct mica_guest_map)
 * @flags: must be zero
 * @range: what is to be mapped
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_map {
	__u32 size;
	__u32 flags;
	struct mica_guest_range range;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_MAP - memory of the caller becomes memory of the guest
 *
 * The processor of the guest and the functions get it at the same address, by a
 * memory slot of KVM's, 256 or higher, and by the IOMMU; or neither gets it. What
 * functions reach is pinned: it counts against RLIMIT_MEMLOCK, unless the caller has
 * CAP_IPC_LOCK. Memory that is not populated yet is, by that.
 *
 * Private memory that is mapped read-only, but which the caller may write to, is
 * populated as if it were written to, so that functions see what is written later.
 * If the caller may not write to it until after this call, they need not.
 *
 * The caller must not put other memory in its place as long as it is mapped: the
 * functions would go on with the old one.
 *
 * Errors:
 *
 * * EFAULT - a pointer is bad; there is not memory in all of the range, or it
 *   cannot be written to and is not mapped read-only; or another thread of the
 *   caller meddled with memory that the call had mapped. If that could not be undone
 *   since it meddled with that, too, MICA_GUEST_STAT counts the range as mapped,
 *   and MICA_GUEST_UNMAP unmaps it.
 * * E2BIG - the structure has non-zero bytes beyond what the kernel knows.
 * * EINVAL - the structure is too short, padding is not zero, something is not a
 *   multiple of a page, or of a huge page, the length is zero or goes round
 *   (MICA_REASON_BAD_VALUE); not all of it is in huge pages although
 *   MICA_RANGE_HUGE asks for that (MICA_REASON_LIMIT); KVM takes no memory there, or
 *   not so much in one range (MICA_REASON_KVM);
 *   or functions cannot have memory there, because writes there are interrupts,
 *   it is reserved, or the IOMMU does not reach so far (MICA_REASON_RANGE).
 * * EOPNOTSUPP - an unknown flag.
 * * EEXIST - some of it is mapped already (MICA_REASON_RANGE).
 * * ENOMEM - RLIMIT_MEMLOCK is too low; the reason says what it takes
 *   (MICA_REASON_LIMIT). Or there is no memory.
 * * ENOSPC - VFIO or KVM allow no more ranges (MICA_REASON_LIMIT).
 * * ENOENT - the session has no guest (MICA_REASON_GUEST).
 * * EIO - another process made it (MICA_REASON_GUEST).
 * * EINTR - the caller was killed.
 * * What else KVM and VFIO return (MICA_REASON_KVM, MICA_REASON_VFIO).
 */
#define MICA_GUEST_MAP		_IO(MICA_IOC_TYPE, 0x0a)

/**
 * struct mica_guest_unmap - argument of MICA_GUEST_UNMAP
 * @size: sizeof(struct mica_guest_unmap)
 * @flags: must be zero
 * @guest_addr: as it was mapped
 * @length: as it was mapped
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_unmap {
	__u32 size;
	__u32 flags;
	__aligned_u64 guest_addr;
	__aligned_u64 length;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_UNMAP - a range is no memory of the guest any more
 *
 * Neither the processor nor the functions reach it when the call returns. A range is
 * unmapped as a whole.
 *
 * Errors:
 *
 * * EFAULT, E2BIG, EINVAL, EOPNOTSUPP, EIO, EINTR as of MICA_GUEST_MAP.
 * * ENOENT - no range was mapped there with that length (MICA_REASON_RANGE), or the
 *   session has no guest (MICA_REASON_GUEST).
 * * ENOMEM - no memory; nothing has changed.
 */
#define MICA_GUEST_UNMAP	_IO(MICA_IOC_TYPE, 0x0b)

/**
 * enum mica_irq_type - kinds of interrupts
 * @MICA_IRQ_INTX: a pin
 * @MICA_IRQ_MSI: messages
 * @MICA_IRQ_MSIX: messages, of which each can be masked
 */
enum mica_irq_type {
	MICA_IRQ_INTX = 0,
	MICA_IRQ_MSI,
	MICA_IRQ_MSIX,
};

/**
 * DOC: Values in struct mica_guest_vector
 *
 * * MICA_VECTOR_OFF - in @flags: the interrupt is switched off
 * * MICA_VECTOR_ALL - in @vector: all of that type, so that another type can be
 *   switched on
 */
#define MICA_VECTOR_OFF		_BITUL(0)
#define MICA_VECTOR_ALL		(~0U)

/**
 * struct mica_guest_vector - an interrupt of a function, in a guest
 * @addr: the function
 * @flags: zero or MICA_VECTOR_OFF
 * @type: one of &enum mica_irq_type
 * @vector: its number, from zero; with MICA_VECTOR_OFF also MICA_VECTOR_ALL
 * @vectors: how many of @type the function is going to use, when it is the first
 *	that is switched on; zero is as many as it has
 * @fd: an eventfd, of which the guest's interrupt is made
 * @resample_fd: with MICA_IRQ_INTX another one, else zero
 * @gsi: with MICA_IRQ_INTX the pin of the guest's I/O APIC, else zero
 * @data: what the function would write to send it, as the guest has set it; with
 *	MICA_IRQ_INTX zero
 * @address: where it would write that; likewise
 */
struct mica_guest_vector {
	struct mica_pci_addr addr;
	__u32 flags;
	__u32 type;
	__u32 vector;
	__u32 vectors;
	__s32 fd;
	__s32 resample_fd;
	__u32 gsi;
	__u32 data;
	__aligned_u64 address;
};

/**
 * struct mica_guest_irq - argument of MICA_GUEST_IRQ
 * @size: sizeof(struct mica_guest_irq)
 * @flags: must be zero
 * @vector: the interrupt
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_irq {
	__u32 size;
	__u32 flags;
	struct mica_guest_vector vector;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_IRQ - an interrupt of a function becomes one of the guest
 *
 * From then on it reaches the guest without anybody in user space. The same call
 * with another @address and @data changes what it is to the guest, and with
 * MICA_VECTOR_OFF switches it off; what is off already stays so. The descriptors
 * need not be kept.
 *
 * A function has one type of interrupts on at a time. All messages that it is going
 * to use are allocated on the host with the first of them; MICA_VECTOR_OFF for one
 * keeps them so, for MICA_VECTOR_ALL frees them. A message that comes while it is
 * off is lost with MSI, and kept by the function with MSI-X. INTx is level-triggered
 * and masked until the guest has handled it.
 *
 * The table that tells KVM which interrupt is what belongs to this command: who
 * sets it on the VM's descriptor loses the interrupts of functions. What KVM has
 * in it at the beginning stays.
 *
 * Errors:
 *
 * * EFAULT, E2BIG, EIO, EINTR as of MICA_GUEST_MAP.
 * * EINVAL - the structure is too short, or padding is not zero; the function has
 *   no such interrupt; a member does not fit the type; a descriptor is no eventfd
 *   (MICA_REASON_BAD_VALUE); or KVM does not know such an address (MICA_REASON_KVM).
 * * EOPNOTSUPP - an unknown flag.
 * * EBADF - a descriptor is not open (MICA_REASON_BAD_VALUE).
 * * ENOENT - the session has no guest (MICA_REASON_GUEST), or the guest not that
 *   function (MICA_REASON_NO_DEVICE).
 * * EBUSY - it is on with another descriptor or gsi, or to switch it off has
 *   failed, or another type is on (MICA_REASON_IN_USE); or the eventfd is that of
 *   another interrupt (MICA_REASON_KVM).
 * * ENOSPC - the host has not so many interrupts, or KVM (MICA_REASON_LIMIT).
 * * EMFILE - no descriptor is left (MICA_REASON_LIMIT).
 * * ENOMEM, and what else KVM and VFIO return.
 */
#define MICA_GUEST_IRQ		_IO(MICA_IOC_TYPE, 0x0c)

/**
 * struct mica_guest_reset - argument of MICA_GUEST_RESET
 * @size: sizeof(struct mica_guest_reset)
 * @flags: must be zero
 * @addr: a function of the guest
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_reset {
	__u32 size;
	__u32 flags;
	struct mica_pci_addr addr;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_RESET - reset a function of the guest
 *
 * By the best method that the function has; without any, together with its bus if
 * all functions there are the guest's. The function is looked at afterwards.
 *
 * Errors:
 *
 * * EFAULT, E2BIG, EINVAL, EIO (MICA_REASON_GUEST), EINTR as of MICA_GUEST_MAP.
 * * EOPNOTSUPP - an unknown flag (MICA_REASON_BAD_VALUE); or nothing can reset the
 *   function without striking others (MICA_REASON_RESET).
 * * ENOENT - the session has no guest (MICA_REASON_GUEST), or the guest not that
 *   function (MICA_REASON_NO_DEVICE).
 * * EIO - the function does not answer any more (MICA_REASON_RESET).
 * * EAGAIN - somebody on the host has the function locked (MICA_REASON_RESET).
 * * EMFILE - no descriptor is left (MICA_REASON_LIMIT).
 * * ENOMEM - no memory.
 */
#define MICA_GUEST_RESET	_IO(MICA_IOC_TYPE, 0x0d)

/**
 * struct mica_guest_stat_device - what is known of a function of a guest
 * @addr: the function
 * @irq_type: of the interrupts that are on; one of &enum mica_irq_type
 * @nr_vectors: how many are on
 * @interrupts: how often the host took these for the guest; with INTx those of
 *	others on the same line as well, and none that were posted to the guest by
 *	the hardware
 */
struct mica_guest_stat_device {
	struct mica_pci_addr addr;
	__u32 irq_type;
	__u32 nr_vectors;
	__aligned_u64 interrupts;
};

/**
 * struct mica_guest_stat - argument of MICA_GUEST_STAT
 * @size: sizeof(struct mica_guest_stat)
 * @flags: must be zero
 * @mapped: out: bytes that are mapped
 * @pinned: out: those of them that functions reach
 * @nr_ranges: out: ranges that are mapped
 * @ranges_left: out: how many more can be
 * @devices_ptr: array of struct mica_guest_stat_device, or zero
 * @nr_devices: in: entries at @devices_ptr; out: functions of the guest
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_stat {
	__u32 size;
	__u32 flags;
	__aligned_u64 mapped;
	__aligned_u64 pinned;
	__u32 nr_ranges;
	__u32 ranges_left;
	__aligned_u64 devices_ptr;
	__u32 nr_devices;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_STAT - what a guest has
 *
 * What its VCPUs do, exits among it, is told by KVM on their descriptors
 * (KVM_GET_STATS_FD).
 *
 * Errors:
 *
 * * EFAULT, E2BIG, EINVAL, EOPNOTSUPP, EIO, EINTR as of MICA_GUEST_MAP.
 * * ENOENT - the session has no guest (MICA_REASON_GUEST).
 */
#define MICA_GUEST_STAT		_IO(MICA_IOC_TYPE, 0x0e)

/**
 * DOC: Limits of MICA_GUEST_SETUP
 *
 * MICA_SETUP_MAX is how many ranges, and how many interrupts, there can be in one call.
 */
#define MICA_SETUP_MAX		4096

/**
 * struct mica_guest_setup - argument of MICA_GUEST_SETUP
 * @size: sizeof(struct mica_guest_setup)
 * @flags: zero or MICA_GUEST_CONTAINER
 * @vm_fd: out: descriptor of the VM
 * @container_fd: out: descriptor of VFIO's container, or -1
 * @devices_ptr: array of struct mica_guest_device, or zero
 * @ranges_ptr: array of struct mica_guest_range, or zero
 * @vectors_ptr: array of struct mica_guest_vector, or zero
 * @nr_devices: entries at @devices_ptr, at most MICA_CLAIM_MAX
 * @nr_ranges: entries at @ranges_ptr, at most MICA_SETUP_MAX
 * @nr_vectors: entries at @vectors_ptr, at most MICA_SETUP_MAX
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_guest_setup {
	__u32 size;
	__u32 flags;
	__s32 vm_fd;
	__s32 container_fd;
	__aligned_u64 devices_ptr;
	__aligned_u64 ranges_ptr;
	__aligned_u64 vectors_ptr;
	__u32 nr_devices;
	__u32 nr_ranges;
	__u32 nr_vectors;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_GUEST_SETUP - MICA_GUEST_CREATE, _MAP and _IRQ in one call
 *
 * All of it is done, in the order of the arrays, or nothing is.
 *
 * Errors: those of the three, and
 *
 * * EINVAL - @nr_ranges or @nr_vectors is too large (MICA_REASON_BAD_VALUE).
 */
#define MICA_GUEST_SETUP	_IO(MICA_IOC_TYPE, 0x0f)

/**
 * DOC: Flags of branches
 *
 * * MICA_BRANCH_RW - the branch is writable; without it, it is not
 * * MICA_BRANCH_DOT - whiteouts are read in the form ``.wh.``
 * * MICA_BRANCH_OVERLAY - they are read in overlayfs's form; without either, in both
 */
#define MICA_BRANCH_RW		_BITUL(0)
#define MICA_BRANCH_DOT		_BITUL(1)
#define MICA_BRANCH_OVERLAY	_BITUL(2)

/**
 * struct mica_union_change - argument of MICA_UNION_ADD, _DEL, _MODE, _MOVE, _SNAPSHOT, _REPLACE
 * @size: sizeof(struct mica_union_change)
 * @flags: MICA_BRANCH_*; else zero
 * @fd: descriptor of a directory that is to be a branch, else zero
 * @branch: number of a branch; out: that of a new one
 * @pos: position from the left; of MICA_UNION_REPLACE, how many; else zero
 * @reserved: must be zero
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_union_change {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 branch;
	__u32 pos;
	__u32 reserved;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_UNION_ADD - a directory becomes a branch of a mounted union
 *
 * Commands on a union are called on its root directory. They need CAP_SYS_ADMIN
 * in the user namespace that it was mounted in.
 *
 * The branch @fd gets the position @pos, and what was there and to the right of
 * it the next; a position beyond the last is the last. Whoever only reads is
 * not held up; changes wait until it is done. What is open stays open: a file
 * that is hidden by the new branch is to its users as if it had been removed.
 *
 * Errors:
 *
 * * EPERM - CAP_SYS_ADMIN is missing (MICA_REASON_PRIVILEGE).
 * * ENOTTY - not on the root directory.
 * * EBADF, ENOTDIR - @fd is no directory.
 * * ENOENT - it was removed (MICA_REASON_BRANCH).
 * * EINVAL - it cannot be a branch here (MICA_REASON_BRANCH), or a member that
 *   is not used is not zero (MICA_REASON_BAD_VALUE).
 * * EROFS - it is read-only.
 * * EBUSY - it belongs to another union, or is being merged, or was when that
 *   was interrupted (MICA_REASON_BRANCH); the union is frozen, or a directory in
 *   use or a mount point would be hidden (MICA_REASON_IN_USE).
 * * EINTR, ENOMEM, and errors of reading the branches.
 */
#define MICA_UNION_ADD		_IO(MICA_IOC_TYPE, 0x20)

/**
 * MICA_UNION_DEL - a branch leaves a mounted union
 *
 * The branch @branch is left to others at once. What is open in it goes on:
 * descriptors and mappings have their file as long as they are open, and it is
 * to the union as if it had been removed.
 *
 * Errors: as of MICA_UNION_ADD, and
 *
 * * ENOENT - the union has no such branch (MICA_REASON_BRANCH).
 * * EBUSY - it is the last, or others need it: what was renamed, or has its data
 *   there (MICA_REASON_BRANCH); or a directory in use or a mount point is only
 *   there (MICA_REASON_IN_USE).
 * * EROFS - a branch that a snapshot was made of would be writable without this
 *   one left of it (MICA_REASON_BRANCH).
 */
#define MICA_UNION_DEL		_IO(MICA_IOC_TYPE, 0x21)

/**
 * MICA_UNION_MODE - a branch becomes writable, or is not any more
 *
 * The branch @branch gets the mode that @flags say. Files in it that are open for
 * writing are copied from it when they are written to next.
 *
 * Errors: as of MICA_UNION_DEL, and
 *
 * * EBUSY - a file in it is mapped by somebody who can store to it
 *   (MICA_REASON_IN_USE).
 */
#define MICA_UNION_MODE		_IO(MICA_IOC_TYPE, 0x22)

/**
 * MICA_UNION_MOVE - a branch gets another position
 *
 * The branch @branch gets the position @pos among the others.
 *
 * Errors: as of MICA_UNION_DEL.
 */
#define MICA_UNION_MOVE		_IO(MICA_IOC_TYPE, 0x23)

/**
 * MICA_UNION_SNAPSHOT - the top of the union is kept as it is
 *
 * In one step the leftmost writable branch becomes read-only and the directory
 * @fd, which must be empty, the writable branch left of it. No system call that
 * changes something is on both sides of that. Later writes through descriptors
 * that were opened before go to the new branch. What was the top is marked as
 * sealed: it can be a writable branch only below the new one.
 *
 * Errors: as of MICA_UNION_ADD, and
 *
 * * EROFS - no branch is writable (MICA_REASON_BRANCH).
 * * EINVAL - another branch is writable too, so that the snapshot could change; or
 *   a snapshot was made of the top before (MICA_REASON_BRANCH).
 * * ENOTEMPTY - there is something in @fd (MICA_REASON_BRANCH).
 * * EBUSY - a file in the top is mapped by somebody who can store to it
 *   (MICA_REASON_IN_USE).
 */
#define MICA_UNION_SNAPSHOT	_IO(MICA_IOC_TYPE, 0x24)

/**
 * struct mica_union_reset - argument of MICA_UNION_RESET
 * @size: sizeof(struct mica_union_reset)
 * @flags: must be zero
 * @name_ptr: the name, which ends with a zero byte
 * @reason_ptr: where a failure is explained, or zero
 * @reason_len: bytes at @reason_ptr
 * @pad: must be zero
 */
struct mica_union_reset {
	__u32 size;
	__u32 flags;
	__aligned_u64 name_ptr;
	__aligned_u64 reason_ptr;
	__u32 reason_len;
	__u32 pad;
};

/**
 * MICA_UNION_RESET - a name shows again what is below
 *
 * It is called on the directory of the union that the name is in, and needs
 * CAP_SYS_ADMIN in the user namespace that the union was mounted in.
 *
 * What the leftmost branch with anything to say of the name has for it is dropped,
 * in one step: a file, a whiteout, or a directory with all that is in it. That is
 * lost, if nobody has it open: to who has, it is as if it had been removed. A
 * copy of a file with several names is dropped for all of them.
 *
 * Errors:
 *
 * * EPERM - CAP_SYS_ADMIN is missing (MICA_REASON_PRIVILEGE); or something that
 *   would be dropped is immutable or append-only (MICA_REASON_BRANCH).
 * * ENOTTY - not on a directory of a union.
 * * EINVAL - that is no name (MICA_REASON_BAD_VALUE).
 * * ENAMETOOLONG - it is too long.
 * * ENODATA - no writable branch says anything of it (MICA_REASON_BRANCH).
 * * ENOENT - nothing would show in its place (MICA_REASON_BRANCH), or the
 *   directory has been removed.
 * * EMLINK - a file has been changed under other names as well
 *   (MICA_REASON_BRANCH).
 * * EBUSY - a directory in use or a mount point would not be there any more
 *   (MICA_REASON_IN_USE); or the union is frozen (MICA_REASON_BRANCH).
 * * EFAULT, EINTR, ENOMEM, and errors of reading and writing the branches.
 */
#define MICA_UNION_RESET	_IO(MICA_IOC_TYPE, 0x25)

/**
 * MICA_UNION_REPLACE - one branch in place of some that it was made of
 *
 * The directory @fd becomes a branch in place of the branch @branch and those to
 * the right of it, @pos branches in all, in one step. They must not be writable,
 * and @fd must stand for them: its trusted.overlay.mica.merged, a list like that
 * of trusted.overlay.mica.layers, has what they are known by, from left to right. It
 * has to show what they show, and to be on the disk, which no later fsync() sees to;
 * then nothing changes for those who use the union, and open files go on in the new
 * branch. It is read in the forms that they are read in. A union that was mounted with
 * overlayfs's options takes this change of its branches, and no other.
 *
 * Errors: as of MICA_UNION_ADD, and
 *
 * * ENOENT - the union has no such branch (MICA_REASON_BRANCH).
 * * EINVAL - there are not so many branches, one of them is writable or is read
 *   in other forms than the first, or @fd does not stand for it, or for another order
 *   of them (MICA_REASON_BRANCH).
 */
#define MICA_UNION_REPLACE	_IO(MICA_IOC_TYPE, 0x26)

#endif /* _UAPI_MICA_H */
