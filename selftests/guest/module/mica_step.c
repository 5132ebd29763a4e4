// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: has a process killed within a step that is too short to be met from
 * outside. A step is a call of a function, by the process or by a worker that works
 * for it; "functions" names those, and all of them must be there. Who writes "INDEX
 * NTH US" to "kill" gets a SIGKILL as that function is called for the NTH time from
 * then on, and the call goes on US microseconds later. "calls" tells how often each
 * was called since.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>

#define STEPS		64
/* The processor does nothing else meanwhile. */
#define MAX_US		100000

struct mica_step {
	struct kprobe probe;
	atomic_t calls;
	unsigned int nth;
};

static struct mica_step steps[STEPS];
static struct pid *victim;
static unsigned int delay_us;

static char *functions[STEPS];
static unsigned int nr_functions;
module_param_array(functions, charp, &nr_functions, 0444);
MODULE_PARM_DESC(functions, "where the steps begin");

static int mica_step_called(struct kprobe *probe, struct pt_regs *regs)
{
	struct mica_step *step = container_of(probe, struct mica_step, probe);
	struct pid *pid;

	if (atomic_inc_return(&step->calls) != READ_ONCE(step->nth))
		return 0;
	pid = xchg(&victim, NULL);
	if (!pid)
		return 0;
	kill_pid(pid, SIGKILL, 1);
	put_pid(pid);
	mdelay(delay_us / 1000);
	udelay(delay_us % 1000);
	return 0;
}

/* With an NTH of zero, calls are only counted. */
static int mica_step_set_kill(const char *text, const struct kernel_param *kp)
{
	unsigned int index, nth, us, i;

	if (sscanf(text, "%u %u %u", &index, &nth, &us) != 3 ||
	    index >= nr_functions || us > MAX_US)
		return -EINVAL;
	put_pid(xchg(&victim, NULL));
	for (i = 0; i < nr_functions; i++) {
		WRITE_ONCE(steps[i].nth, i == index ? nth : 0);
		atomic_set(&steps[i].calls, 0);
	}
	delay_us = us;
	xchg(&victim, get_pid(task_tgid(current)));
	return 0;
}

static const struct kernel_param_ops mica_step_kill_ops = {
	.set = mica_step_set_kill,
};
module_param_cb(kill, &mica_step_kill_ops, NULL, 0200);
MODULE_PARM_DESC(kill, "when the writer is killed");

static int mica_step_get_calls(char *text, const struct kernel_param *kp)
{
	unsigned int i;
	int len = 0;

	for (i = 0; i < nr_functions; i++)
		len += scnprintf(text + len, PAGE_SIZE - len, "%d ",
				 atomic_read(&steps[i].calls));
	return len;
}

static const struct kernel_param_ops mica_step_calls_ops = {
	.get = mica_step_get_calls,
};
module_param_cb(calls, &mica_step_calls_ops, NULL, 0444);
MODULE_PARM_DESC(calls, "how often each function was called");

static void mica_step_unregister(unsigned int nr)
{
	while (nr)
		unregister_kprobe(&steps[--nr].probe);
}

static int __init mica_step_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < nr_functions; i++) {
		steps[i].probe.symbol_name = functions[i];
		steps[i].probe.pre_handler = mica_step_called;
		err = register_kprobe(&steps[i].probe);
		if (err) {
			pr_err("mica_step: %s: %d\n", functions[i], err);
			mica_step_unregister(i);
			return err;
		}
	}
	return nr_functions ? 0 : -EINVAL;
}

static void __exit mica_step_exit(void)
{
	mica_step_unregister(nr_functions);
	put_pid(victim);
}

module_init(mica_step_init);
module_exit(mica_step_exit);
MODULE_DESCRIPTION("Kills within a step, for tests of mica");
MODULE_LICENSE("GPL");
