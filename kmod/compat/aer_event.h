/* SPDX-License-Identifier: GPL-2.0-only */
/* What a probe of the tracepoint ras:aer_event is called with. */
#ifndef _MICA_COMPAT_AER_EVENT_H
#define _MICA_COMPAT_AER_EVENT_H

#include <linux/aer.h>
#ifdef CONFIG_PCIEAER
#include <ras/ras_event.h>
#endif

#ifndef HAVE_PCIE_TLP_LOG
#define pcie_tlp_log	aer_header_log_regs
#endif

#ifdef HAVE_AER_EVENT_BUS_TYPE
#define COMPAT_AER_EVENT_PARAMS						\
	void *data, const char *name, const u32 status,			\
	const u8 severity, const u8 tlp_valid, struct pcie_tlp_log *tlp,	\
	const char *bus_type
#else
#define COMPAT_AER_EVENT_PARAMS						\
	void *data, const char *name, const u32 status,			\
	const u8 severity, const u8 tlp_valid, struct pcie_tlp_log *tlp
#endif

/* That the kernel has it so is found out when the module is built. */
static inline void compat_aer_event_check(void (*probe)(COMPAT_AER_EVENT_PARAMS))
{
#ifdef CONFIG_PCIEAER
	check_trace_callback_type_aer_event(probe);
#endif
}

#endif /* _MICA_COMPAT_AER_EVENT_H */
