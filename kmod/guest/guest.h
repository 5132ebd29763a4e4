/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest half: sessions, and the functions that they hold. */
#ifndef _MICA_GUEST_H
#define _MICA_GUEST_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "../chardev.h"
#include "../mica.h"

struct inode;
struct iommu_group;
struct mica_claim_work;
struct mica_pf;
struct mica_vm;
struct mm_struct;

#define MICA_VFIO_DRIVER	"vfio-pci"

/**
 * struct mica_session - an open /dev/mica
 * @id: its number, as events and dumps name it
 * @opener: process that opened it
 * @comm: name of that process then
 * @mm: its memory, by which it is known; pinned, not used
 * @queue: ordered; made by the first claim, everything that may take long is
 *	done in it, the way back last
 * @make_queue: guards the making of @queue
 * @lock: guards @guest, @claim, @vm, @sealed and @ending; work is put into @queue
 *	under it
 * @sealed: nothing more is claimed, and others may use it
 * @guest: process of the guest, if one is noted
 * @claim: the call with MICA_CLAIM_ASYNC whose outcome is still to be fetched
 * @vm: what MICA_GUEST_CREATE made, with a reference, or NULL
 * @drop: lets @vm go when one of its functions leaves
 * @outcome: woken when a claim is done, and by @ending
 * @ending: the last descriptor is closed, or somebody ended it; a claim at work
 *	gives up
 * @owned: what MICA_UNION_OWN gave it, or NULL
 * @kept: it is only there to be dumped; guarded by the lock of all sessions
 * @claiming: functions that a claim is taking; guarded by the custody lock
 * @held: functions that it holds; likewise
 * @pfs: physical functions that made virtual ones for it; belongs to @queue
 * @restore: the way back; put into @queue once, by who sets @ending
 * @leave: the last that is put into @queue, when the file is gone
 * @reap: frees the session once @leave has returned
 *
 * The file has it until release; then @leave, then @reap. Nothing else frees it,
 * and @reap waits for all that is in @queue.
 */
struct mica_session {
	u32 id;
	struct pid *opener;
	char comm[TASK_COMM_LEN];
	struct mm_struct *mm;
	struct workqueue_struct *queue;
	struct mutex make_queue;	/* @queue, until it is made */
	spinlock_t lock;		/* @guest to @ending, but @outcome */
	bool sealed;
	struct pid *guest;
	struct mica_claim_work *claim;
	struct mica_vm *vm;
	struct work_struct drop;
	wait_queue_head_t outcome;
	bool ending;
	struct mica_owned *owned;
	bool kept;
	struct list_head claiming;
	struct list_head held;
	struct list_head pfs;
	struct work_struct restore;
	struct work_struct leave;
	struct work_struct reap;
};

/**
 * struct mica_error - PCI Express errors of one severity that a function had
 * @pending: in the list of those that are to be told of
 * @held: the function
 * @severity: how bad they are
 * @count: how many there were since they were told of
 * @status: what the first of these was
 * @reporter: address of the function that had it
 *
 * Guarded by the lock of errors.
 */
struct mica_error {
	struct list_head pending;
	struct mica_held *held;
	enum mica_severity severity;
	u32 count;
	u32 status;
	char reporter[32];
};

/**
 * struct mica_held - a function in the custody of a session
 * @list: in its session's list
 * @table: in the table of all of them
 * @session: whose it is
 * @pdev: the function, with a reference
 * @group: its IOMMU group, with a reference
 * @name: its address as the kernel writes it
 * @driver: name of the driver that it had, or NULL
 * @override: driver_override that it had, or NULL
 * @state: where it stands; guarded by the custody lock, as are @error and
 *	@driver while it is being recorded
 * @error: what the way back failed with
 * @unplugged: it left the bus; set under the custody lock, never cleared
 * @going: a virtual function that the session removes itself; likewise
 * @bound: vfio-pci is bound to it; guarded by the custody lock
 * @pf: with a virtual function that was made for the session, who made it
 * @power_auto: its power/control said "auto"
 * @overridden: its driver_override is ours
 * @taken: vfio-pci had it, so a guest may have
 * @reset: it was reset since
 * @lost: it does not answer any more
 * @leave: nothing more is to be done with it
 * @watched: in the list of functions whose errors are told
 * @errors: by severity
 *
 * The members without a lock belong to the session's queue.
 */
struct mica_held {
	struct list_head list;
	struct list_head table;
	struct mica_session *session;
	struct pci_dev *pdev;
	struct iommu_group *group;
	char name[32];
	char *driver;
	char *override;
	enum mica_device_state state;
	int error;
	bool unplugged;
	bool going;
	bool bound;
	struct mica_pf *pf;
	bool power_auto;
	bool overridden;
	bool taken;
	bool reset;
	bool lost;
	bool leave;
	struct list_head watched;
	struct mica_error errors[MICA_SEVERITY_FATAL];
};

/* session.c */
int mica_session_open(struct inode *inode, struct file *file);
int mica_session_release(struct inode *inode, struct file *file);
__poll_t mica_session_poll(struct file *file, struct poll_table_struct *table);
struct workqueue_struct *mica_session_queue(struct mica_session *session);
int mica_session_admits(struct mica_session *session, struct mica_reason *why);
int mica_session_check(struct mica_session *session, struct mica_reason *why);
int mica_session_ended(struct mica_session *session, struct mica_reason *why);
int mica_session_privileged(struct mica_call *call, const char *what);
int mica_seal_run(struct mica_call *call, void *arg);
int mica_guest_end_run(struct mica_call *call, void *arg);
void mica_session_drop_guest(struct mica_session *session);

/* claim.c */
int mica_claim_run(struct mica_call *call, void *arg);
int mica_wait_run(struct mica_call *call, void *arg);
bool mica_claim_done(struct mica_claim_work *claim);
void mica_claim_put(struct mica_claim_work *claim);

/* vfs.c */
bool mica_vfs_possible(void);
int mica_vfs_run(struct mica_call *call, void *arg);
void mica_vf_unbind(struct mica_held *held);
int mica_pf_remove_vfs(struct mica_pf *pf);
void mica_pf_forget_all(struct mica_session *session);

/* take.c */
int mica_take_step_ok(struct mica_held *held, struct mica_reason *why);
int mica_take(struct mica_held *held, struct mica_reason *why);

/* check.c */
bool mica_check_iommu(struct device *dev);
int mica_check_function(struct pci_dev *pdev, struct mica_reason *why);
int mica_check_free(struct pci_dev *pdev, struct mica_reason *why);
int mica_check_user(struct pci_dev *pdev, const char *driver,
		    struct mica_reason *why);
int mica_check_vfio(struct mica_reason *why);

/* group.c */
/**
 * struct mica_group_members - the devices of an IOMMU group
 * @nr: how many
 * @dev: each with a reference
 */
struct mica_group_members {
	unsigned int nr;
	struct device *dev[];
};

struct mica_group_members *mica_group_members(struct iommu_group *group);
void mica_group_members_put(struct mica_group_members *members);
bool mica_is_bridge(struct pci_dev *pdev);
bool mica_group_needs(struct device *dev, const char *driver, bool managed);
int mica_group_refuse(struct device *dev, const char *driver, const char *name,
		      struct mica_reason *why);

/* driver.c */
/**
 * struct mica_driver - what is known of a device's driver
 * @name: its name, or an empty string
 * @override: driver_override, or an empty string
 * @managed: the driver leaves DMA to its users, or there is no driver
 * @locked: none of that is known: the device's lock could not be had
 */
struct mica_driver {
	char name[sizeof_field(struct mica_device_info, driver)];
	char override[sizeof_field(struct mica_device_info, driver_override)];
	bool managed;
	bool locked;
};

int mica_driver_look(struct device *dev, struct mica_driver *look);
int mica_driver_name(struct device *dev, char *name, size_t len, bool *managed);
bool mica_driver_is(struct pci_dev *pdev, const char *driver);
bool mica_driver_bind(struct pci_dev *pdev, const char *driver);
void mica_driver_unbind(struct pci_dev *pdev);
int mica_override_read(struct pci_dev *pdev, char **override);
int mica_override_write(struct pci_dev *pdev, const char *override);
bool mica_power_is_auto(struct pci_dev *pdev);
void mica_power_set_auto(struct pci_dev *pdev);

/* custody.c */
/**
 * struct mica_pf - a physical function that makes virtual ones for a session
 * @list: in its session's list
 * @table: in the table of all of them
 * @session: whose it is
 * @pdev: the physical function, with a reference
 * @making: its driver is at it; guarded by the custody lock
 * @removed: the virtual functions have been removed
 * @error: what that failed with
 * @max: how many it is to make
 * @nr: how many there were; guarded by the custody lock while @making
 * @vf: these, each with a reference; likewise
 */
struct mica_pf {
	struct list_head list;
	struct list_head table;
	struct mica_session *session;
	struct pci_dev *pdev;
	bool making;
	bool removed;
	int error;
	unsigned int max;
	unsigned int nr;
	struct pci_dev *vf[];
};

struct mica_held *mica_held_alloc(struct mica_session *session);
void mica_held_set(struct mica_held *held, struct pci_dev *pdev);
struct mica_held *mica_held_new(struct mica_session *session,
				struct pci_dev *pdev);
void mica_held_free(struct mica_held *held);
int mica_custody_reserve(struct mica_session *session, struct list_head *held,
			 struct mica_reason *why);
int mica_custody_reserve_pf(struct mica_pf *pf, struct mica_reason *why);
void mica_custody_release_pf(struct mica_pf *pf);
void mica_custody_making(struct mica_pf *pf, bool making);
void mica_custody_add(struct mica_session *session, struct mica_held *held);
void mica_custody_going(struct mica_held *held);
void mica_custody_keep(struct mica_session *session);
void mica_custody_release(struct mica_held *held);
void mica_custody_record(struct mica_held *held, char *driver, char *override);
void mica_custody_state(struct mica_held *held, enum mica_device_state state,
			int error);
bool mica_custody_unplugged(struct mica_held *held);
void mica_custody_set_bound(struct pci_dev *pdev, bool bound);
bool mica_custody_bound(struct pci_dev *pdev);
u32 mica_custody_holder(struct pci_dev *pdev, bool *ending);
u32 mica_custody_relative(struct pci_dev *pdev, bool *ending);
unsigned int mica_custody_count(struct mica_session *session);
struct pci_dev *mica_custody_function(struct mica_session *session,
				      unsigned int index);
int mica_custody_snap(struct mica_session *session, u32 index,
		      struct mica_device_snap *snap);
int mica_custody_init(void);
void mica_custody_exit(void);

/* errors.c */
void mica_errors_init_held(struct mica_held *held);
void mica_errors_watch(struct mica_held *held, bool on);
void mica_errors_flush(void);
bool mica_errors_told(void);
void mica_errors_init(void);
void mica_errors_exit(void);

/* restore.c */
void mica_restore(struct list_head *list);

/* reset.c */
u32 mica_reset_methods(struct pci_dev *pdev);
bool mica_reset_answers(struct pci_dev *pdev);
void mica_reset_all(struct list_head *list);

/* inuse.c */
int mica_inuse(struct pci_dev *pdev, struct mica_reason *why);

/* disk.c */
int mica_disk_inuse(struct device *dev, const char *owner,
		    struct mica_reason *why);
int mica_disk_heads_inuse(const struct class *block, const char *controller,
			  const char *owner, struct mica_reason *why);

/* inspect.c */
u64 mica_guest_caps(void);
int mica_addr_find(const struct mica_pci_addr *addr, struct pci_dev **pdev,
		   struct mica_reason *why);
void mica_addr_of(struct pci_dev *pdev, struct mica_pci_addr *addr);
int mica_device_info_run(struct mica_call *call, void *arg);

/* assembly.c */
int mica_guest_create_run(struct mica_call *call, void *arg);
int mica_guest_setup_run(struct mica_call *call, void *arg);
void mica_vm_init(struct mica_session *session);
void mica_vm_end(struct mica_session *session);

/* memory.c */
int mica_guest_map_run(struct mica_call *call, void *arg);
int mica_guest_unmap_run(struct mica_call *call, void *arg);

/* irq.c */
int mica_guest_irq_run(struct mica_call *call, void *arg);

/* stat.c */
int mica_guest_reset_run(struct mica_call *call, void *arg);
int mica_guest_stat_run(struct mica_call *call, void *arg);

/* note.c */
int mica_guest_note_run(struct mica_call *call, void *arg);
void mica_guest_note_drop(struct mica_session *session);

#endif /* _MICA_GUEST_H */
