// SPDX-License-Identifier: GPL-2.0-only
/* Virtual functions for mica guest exec: made, set up, and told to the command. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "dev.h"
#include "guest_exec.h"
#include "pci.h"

/* One more of this physical function. */
void vfs_want(struct vfs *vfs, const char *text)
{
	struct mica_pci_addr pf;
	struct vf_request *r;
	size_t i;

	pci_addr_argument(text, &pf);
	for (i = 0; i < vfs->nr; i++)
		if (!memcmp(&vfs->request[i].pf, &pf, sizeof(pf)))
			break;
	if (i == vfs->nr) {
		vfs->request = xrealloc(vfs->request,
					++vfs->nr * sizeof(*vfs->request));
		vfs->request[i] = (struct vf_request) { .pf = pf };
	}
	r = &vfs->request[i];
	if (r->nr == MICA_CLAIM_MAX)
		usage_error("more than %d virtual functions of one device",
			    MICA_CLAIM_MAX);
	r->nr++;
}

/* Returns an exit code. */
int vfs_make(struct vfs *vfs, int session)
{
	size_t i;

	for (i = 0; i < vfs->nr; i++) {
		struct vf_request *r = &vfs->request[i];
		struct mica_reason reason = {};
		struct mica_guest_vfs make = {
			.size = sizeof(make),
			.addr = r->pf,
			.vfs_ptr = (uintptr_t)r->vf,
			.nr_vfs = r->nr,
			REASON_TO(&reason),
		};

		if (ioctl(session, MICA_GUEST_VFS, &make))
			return fail("%s", reason_text(&reason, errno));
	}
	return MICA_OK;
}

static int set_up(const struct vf_request *r, int (*run)(const char *vf, void *data), void *data)
{
	char pf[PCI_NAME_LEN], vf[PCI_NAME_LEN], index[16];
	uint32_t i;
	int ret = 0;

	pci_name(&r->pf, pf);
	setenv("MICA_PF", pf, 1);
	for (i = 0; i < r->nr && !ret; i++) {
		pci_name(&r->vf[i], vf);
		snprintf(index, sizeof(index), "%u", i);
		setenv("MICA_VF", vf, 1);
		setenv("MICA_VF_INDEX", index, 1);
		ret = run(vf, data);
	}
	unsetenv("MICA_PF");
	unsetenv("MICA_VF");
	unsetenv("MICA_VF_INDEX");
	return ret;
}

/*
 * Has the administrator's command do its part for each, with what it needs in the
 * environment. Returns an exit code.
 */
int vfs_set_up(const struct vfs *vfs, int (*run)(const char *vf, void *data), void *data)
{
	int ret = 0;
	size_t i;

	for (i = 0; vfs->setup && i < vfs->nr && !ret; i++)
		ret = set_up(&vfs->request[i], run, data);
	return ret;
}

/* The command finds their addresses in MICA_VFS, in the order of the options. */
void vfs_tell(const struct vfs *vfs)
{
	char *all CLEANUP(free_string) = xstrdup("");
	size_t i;
	uint32_t k;

	for (i = 0; i < vfs->nr; i++) {
		for (k = 0; k < vfs->request[i].nr; k++) {
			char *before CLEANUP(free_string) = all;
			char vf[PCI_NAME_LEN];

			pci_name(&vfs->request[i].vf[k], vf);
			all = xprintf("%s%s%s", before, *before ? " " : "", vf);
		}
	}
	if (vfs->nr)
		setenv("MICA_VFS", all, 1);
}

void vfs_free(struct vfs *vfs)
{
	free(vfs->request);
	vfs->request = NULL;
	vfs->nr = 0;
}
