/* SPDX-License-Identifier: GPL-2.0-only */
/* Work of a claim, or of what comes to a session in the same way. */
#ifndef _MICA_GUEST_CLAIM_H
#define _MICA_GUEST_CLAIM_H

#include <linux/completion.h>
#include <linux/kref.h>
#include "guest.h"

/**
 * struct mica_claim_work - a call of MICA_CLAIM or MICA_GUEST_VFS
 * @ref: the queue has one, and the caller or, with ASYNC, the session
 * @work: in the session's queue
 * @done: it is through
 * @session: the session
 * @run: what is to be done
 * @flags: MICA_CLAIM_*
 * @error: the outcome, once @done
 * @nr_claimed: likewise
 * @why: likewise
 * @vfs: addresses of virtual functions, likewise, or NULL
 * @nr_vfs: how many are wanted
 * @nr: functions that were asked for
 * @pdev: these, each with a reference
 */
struct mica_claim_work {
	struct kref ref;
	struct work_struct work;
	struct completion done;
	struct mica_session *session;
	int (*run)(struct mica_claim_work *claim);
	u32 flags;
	int error;
	u32 nr_claimed;
	struct mica_reason why;
	struct mica_pci_addr *vfs;
	unsigned int nr_vfs;
	unsigned int nr;
	struct pci_dev *pdev[];
};

struct mica_claim_work *mica_claim_alloc(struct mica_session *session,
					 unsigned int nr,
					 int (*run)(struct mica_claim_work *));
int mica_claim_through(struct mica_claim_work *claim, struct mica_call *call,
		       u32 *nr_claimed);
void mica_claim_await(struct mica_claim_work *claim, struct pci_dev *pdev);
int mica_claim_group(struct mica_claim_work *claim, struct list_head *list,
		     struct mica_held *held);
void mica_claim_keep(struct mica_claim_work *claim);
void mica_claim_undo(struct mica_session *session);

#endif /* _MICA_GUEST_CLAIM_H */
