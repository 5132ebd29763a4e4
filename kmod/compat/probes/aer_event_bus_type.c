// SPDX-License-Identifier: GPL-2.0-only
/* After 6.12: the tracepoint of PCI Express errors says of which bus. */
#include <linux/aer.h>
#include <ras/ras_event.h>

void probe(void (*event)(void *data, const char *name, const u32 status,
			 const u8 severity, const u8 tlp_valid,
			 struct pcie_tlp_log *tlp, const char *bus_type));

void probe(void (*event)(void *data, const char *name, const u32 status,
			 const u8 severity, const u8 tlp_valid,
			 struct pcie_tlp_log *tlp, const char *bus_type))
{
	check_trace_callback_type_aer_event(event);
}
