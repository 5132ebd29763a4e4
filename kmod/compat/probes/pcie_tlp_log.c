// SPDX-License-Identifier: GPL-2.0-only
/* 6.9: what a PCI Express error logs of a transaction has a name of its own. */
#include <linux/aer.h>

int probe(struct pcie_tlp_log *tlp);

int probe(struct pcie_tlp_log *tlp)
{
	return tlp->dw[0];
}
