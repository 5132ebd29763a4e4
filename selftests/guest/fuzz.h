/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What fuzz.c calls: the commands, arguments that are right most of the time, and
 * what uapi/mica.h says that each may fail with.
 */
#ifndef _SELFTESTS_GUEST_FUZZ_H
#define _SELFTESTS_GUEST_FUZZ_H

#include <stdint.h>
#include "assembly.h"

#define PAGE		4096ul
#define PROCESSES	4
#define THREADS		3
#define SLOTS		8	/* sessions of a process */
#define OBJECTS		6	/* of KVM and VFIO, likewise */
#define DIRS		9	/* that may be branches */
#define BRANCHES	8	/* numbers of some */
#define NUMBERS		32
#define ERRNOS		134
#define ARENA		3	/* pages: the structure, its arrays, none */
#define MEMORY		64	/* pages that can be mapped into a guest */
#define GONE_MS		150000
#define MORE_MS		600000

#define PUT(x, value)	__atomic_store_n(&(x), value, __ATOMIC_SEQ_CST)
#define GET(x)		__atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define SWAP(x, value)	__atomic_exchange_n(&(x), value, __ATOMIC_SEQ_CST)
#define ADD(x, value)	__atomic_add_fetch(&(x), value, __ATOMIC_SEQ_CST)

enum function {
	EDU, PAIR0, PAIR1, E1000E, NVME, PF, VF, PORT, HOST, NOWHERE, FUNCTIONS,
};

/* Those whose drivers are slow come seldom. */
static const unsigned char likely[] = {
	EDU, EDU, EDU, EDU, EDU, EDU, PAIR0, PAIR0, PAIR0, PAIR1, PAIR1, PAIR1,
	EDU, EDU, EDU, PAIR0, E1000E, E1000E, NVME, PF, VF, PORT, HOST, NOWHERE,
};

static struct mica_pci_addr functions[FUNCTIONS];
static uint64_t forbidden[64];	/* what the test host itself lives on */
static int nr_forbidden;

/* What all processes have. */
struct shared {
	bool stop;
	bool failed;
	char text[2048];
	unsigned int session[NUMBERS];
	unsigned int branch[BRANCHES];
	int dir_of[256];	/* by the number of the branch */
	unsigned long elsewhere;
	unsigned long count[NUMBERS][ERRNOS];
};

static struct shared *shared;
static uint64_t seed;
static dev_t device;
static int mail[2];

/* What the threads of a process have. @version tells that @fd may be another one. */
static struct slot {
	int fd;
	unsigned int version;
	int function;		/* that it has, or -1 */
	bool guest;
} slots[SLOTS];
static int objects[OBJECTS];
static bool untidy;		/* a number may be that of another descriptor */
static int event[4], others[3], dirs[DIRS], merged[DIRS], root, first_free;
static char *memory, *contested;
static pid_t tids[THREADS];

struct caller {
	uint64_t rng;
	int process;
	int generation;
	int thread;
	unsigned long calls;
	struct slot *slot;
	char *arena;
	char *readonly;		/* the same memory */
	char *array;
	int dir;
	char snapshot[32];
	int snapshot_fd;
};

struct command {
	const char *name;
	unsigned long cmd;
	unsigned int size;
	unsigned int often;
	void (*fill)(struct caller *c, void *arg);
	short documented[24];	/* that it may fail with */
};

static uint64_t draw(struct caller *c)
{
	uint64_t z = c->rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned int below(struct caller *c, unsigned int n)
{
	return draw(c) % n;
}

static bool one_in(struct caller *c, unsigned int n)
{
	return !below(c, n);
}

static uint64_t bad_pointer(struct caller *c)
{
	switch (below(c, 9)) {
	case 0: return 0;
	case 1: return 8;
	case 2: return 0xffff888000000000ull;
	case 3: return 1ull << 63;
	case 4: return ~0ull - 3;
	case 5: return (uintptr_t)c->arena + (ARENA - 1) * PAGE;
	case 6: return (uintptr_t)c->arena + (ARENA - 1) * PAGE - 4;
	case 7: return (uintptr_t)c->readonly;
	default: return (uintptr_t)contested + below(c, 2 * PAGE) / 8 * 8;
	}
}

static uint64_t odd_value(struct caller *c)
{
	static const uint64_t odd[] = {
		0, 1, 2, 3, 7, 8, 63, 64, 65, 255, PAGE - 1, PAGE, INT32_MAX,
		1u << 31, UINT32_MAX, -PAGE, -1, 1ull << 63, 1ull << 50,
		0xfee00000,
	};
	unsigned int i = below(c, ARRAY_SIZE(odd) + 1);

	return i < ARRAY_SIZE(odd) ? odd[i] : draw(c);
}

static struct mica_pci_addr some_function(struct caller *c)
{
	int mine = GET(c->slot->function);

	if (mine >= 0 && !one_in(c, 6))
		return functions[mine];
	return functions[likely[below(c, sizeof(likely))]];
}

static int some_fd(struct caller *c)
{
	switch (below(c, 40)) {
	case 0: return -1;
	case 1: return INT32_MIN;
	case 2: return first_free + below(c, 64);
	case 3: return GET(c->slot->fd);
	case 4: return dirs[0];
	case 5: case 6: return others[below(c, ARRAY_SIZE(others))];
	default: return event[below(c, ARRAY_SIZE(event))];
	}
}

static int some_dir(struct caller *c)
{
	c->dir = below(c, DIRS);
	return one_in(c, 16) ? some_fd(c) : dirs[c->dir];
}

static unsigned int some_branch(struct caller *c)
{
	return one_in(c, 8) ? below(c, 64) :
	       GET(shared->branch[below(c, BRANCHES)]);
}

/* An array that is right, or one that ends too early. */
static uint64_t array(struct caller *c, const void *from, size_t len)
{
	c->array = one_in(c, 20) ? c->arena + (ARENA - 1) * PAGE - len :
		   c->arena + PAGE;
	memcpy(c->array, from, len);
	return (uintptr_t)c->array;
}

static void fill_nothing(struct caller *c, void *arg)
{
}

static void fill_device_info(struct caller *c, void *arg)
{
	struct mica_device_info *info = arg;

	info->addr = some_function(c);
	info->flags = below(c, 2);
	info->members_ptr = (uintptr_t)c->arena + PAGE;
	info->nr_members = below(c, 4);
	info->regions_ptr = (uintptr_t)c->arena + PAGE + PAGE / 2;
	info->nr_regions = below(c, 8);
}

static void fill_claim(struct caller *c, void *arg)
{
	struct mica_pci_addr addr[3];
	struct mica_claim *claim = arg;
	int i;

	for (i = 0; i < 3; i++)
		addr[i] = functions[likely[below(c, sizeof(likely))]];
	claim->nr_devices = one_in(c, 4) ? 1 + below(c, 3) : 1;
	claim->devices_ptr = array(c, addr, claim->nr_devices * sizeof(*addr));
	claim->flags = (below(c, 3) ? MICA_CLAIM_GROUP : 0) |
		       (one_in(c, 8) ? MICA_CLAIM_FORCE : 0) |
		       (one_in(c, 3) ? MICA_CLAIM_ASYNC : 0);
}

static void fill_wait(struct caller *c, void *arg)
{
	struct mica_wait *wait = arg;

	wait->flags = below(c, 4) ? MICA_WAIT_NONBLOCK : 0;
}

static void fill_note(struct caller *c, void *arg)
{
	struct mica_guest_note *note = arg;
	const unsigned int pids[] = { getpid(), getppid(), 1, 4000000, 0 };

	note->state = MICA_GUEST_STARTED + below(c, 2);
	if (note->state == MICA_GUEST_STARTED)
		note->pid = pids[one_in(c, 2) ? below(c, 5) : 0];
	else
		note->status = below(c, 256);
}

static void fill_own(struct caller *c, void *arg)
{
	struct mica_union_own *own = arg;

	own->fd = some_dir(c);
	own->flags = below(c, 2);
	if (own->flags)
		own->branch = some_branch(c);
}

static void fill_end(struct caller *c, void *arg)
{
	struct mica_guest_end *end = arg;

	end->session = GET(shared->session[below(c, NUMBERS)]);
}

static void fill_vfs(struct caller *c, void *arg)
{
	struct mica_guest_vfs *vfs = arg;
	struct mica_pci_addr addr[2] = {};

	vfs->addr = one_in(c, 2) ? functions[PF] : some_function(c);
	vfs->nr_vfs = 1 + below(c, 2);
	vfs->vfs_ptr = array(c, addr, sizeof(addr));
}

static void fill_create(struct caller *c, void *arg)
{
	struct mica_guest_create *create = arg;
	struct mica_guest_device device[2] = {
		{ .addr = some_function(c) }, { .addr = some_function(c) },
	};

	create->flags = below(c, 4) ? below(c, 2) : MICA_GUEST_PREPARE;
	if (create->flags != MICA_GUEST_PREPARE)
		create->nr_devices = below(c, 3);
	create->devices_ptr = array(c, device, sizeof(device));
}

/* Ranges of few addresses, each with a length of its own. */
static struct mica_guest_range some_range(struct caller *c)
{
	unsigned int place = below(c, 16);
	struct mica_guest_range range = {
		.guest_addr = (uint64_t)place << 20,
		.user_addr = (uintptr_t)memory + below(c, MEMORY / 2) * PAGE,
		.length = (1 + place) * PAGE,
		.flags = one_in(c, 3) ? below(c, 4) : 0,
	};

	if (one_in(c, 12))
		range.user_addr = bad_pointer(c) & -PAGE;
	if (one_in(c, 12))
		range.guest_addr = odd_value(c) & -PAGE;
	return range;
}

static void fill_map(struct caller *c, void *arg)
{
	((struct mica_guest_map *)arg)->range = some_range(c);
}

static void fill_unmap(struct caller *c, void *arg)
{
	struct mica_guest_unmap *unmap = arg;
	struct mica_guest_range range = some_range(c);

	unmap->guest_addr = range.guest_addr;
	unmap->length = range.length;
}

static struct mica_guest_vector some_vector(struct caller *c)
{
	struct mica_guest_vector vector = {
		.addr = some_function(c),
		.type = below(c, 3),
		.vector = one_in(c, 3) ? below(c, 4) : 0,
	};

	if (one_in(c, 4)) {
		vector.flags = MICA_VECTOR_OFF;
		if (one_in(c, 2))
			vector.vector = MICA_VECTOR_ALL;
		return vector;
	}
	vector.vectors = one_in(c, 3) ? below(c, 7) : 0;
	vector.fd = some_fd(c);
	if (vector.type == MICA_IRQ_INTX) {
		vector.resample_fd = some_fd(c);
		vector.gsi = below(c, 26);
	} else {
		vector.address = one_in(c, 8) ? odd_value(c) : 0xfee00000;
		vector.data = 0x4000 | below(c, 256);
	}
	return vector;
}

static void fill_irq(struct caller *c, void *arg)
{
	((struct mica_guest_irq *)arg)->vector = some_vector(c);
}

static void fill_reset(struct caller *c, void *arg)
{
	((struct mica_guest_reset *)arg)->addr = some_function(c);
}

static void fill_stat(struct caller *c, void *arg)
{
	struct mica_guest_stat_device device[2] = {};
	struct mica_guest_stat *stat = arg;

	stat->nr_devices = below(c, 3);
	stat->devices_ptr = array(c, device, sizeof(device));
}

static void fill_setup(struct caller *c, void *arg)
{
	struct {
		struct mica_guest_device device[2];
		struct mica_guest_range range[4];
		struct mica_guest_vector vector[2];
	} all = {};
	struct mica_guest_setup *setup = arg;
	int i;

	for (i = 0; i < 4; i++)
		all.range[i] = some_range(c);
	for (i = 0; i < 2; i++)
		all.vector[i] = some_vector(c);
	all.device[0].addr = all.vector[0].addr;
	all.device[1].addr = all.vector[1].addr;
	setup->flags = below(c, 2);
	setup->nr_devices = below(c, 3);
	setup->nr_ranges = below(c, 5);
	setup->nr_vectors = below(c, 3);
	setup->devices_ptr = array(c, &all, sizeof(all));
	setup->ranges_ptr = setup->devices_ptr + sizeof(all.device);
	setup->vectors_ptr = setup->ranges_ptr + sizeof(all.range);
}

static void fill_add(struct caller *c, void *arg)
{
	struct mica_union_change *change = arg;

	change->fd = some_dir(c);
	change->pos = below(c, 5);
	change->flags = below(c, 6) ? one_in(c, 4) : below(c, 8);
}

static void fill_change(struct caller *c, void *arg)
{
	struct mica_union_change *change = arg;

	change->branch = some_branch(c);
}

static void fill_mode(struct caller *c, void *arg)
{
	fill_change(c, arg);
	((struct mica_union_change *)arg)->flags = below(c, 2);
}

static void fill_move(struct caller *c, void *arg)
{
	fill_change(c, arg);
	((struct mica_union_change *)arg)->pos = below(c, 5);
}

/* A new directory, mostly; who calls it closes it. */
static void fill_snapshot(struct caller *c, void *arg)
{
	struct mica_union_change *change = arg;

	snprintf(c->snapshot, sizeof(c->snapshot), "s%016llx",
		 (unsigned long long)draw(c));
	mkdir(c->snapshot, 0755);
	c->snapshot_fd = open(c->snapshot, O_RDONLY | O_CLOEXEC);
	change->fd = c->snapshot_fd;
	if (one_in(c, 8))
		mkdirat(c->snapshot_fd, "x", 0755);
}

static void change_file(const char *name)
{
	int fd = openat(root, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return;
	write(fd, name, 2);
	close(fd);
}

static void fill_union_reset(struct caller *c, void *arg)
{
	struct mica_union_reset *reset = arg;
	char name[300] = "f0";

	name[1] += below(c, 8);
	if (one_in(c, 2))
		change_file(name);
	if (one_in(c, 10))
		memset(name, 'x', sizeof(name) - 1);
	else if (one_in(c, 20))
		strcpy(name, "a/b");
	reset->name_ptr = array(c, name, sizeof(name));
}

static void fill_replace(struct caller *c, void *arg)
{
	struct mica_union_change *change = arg;
	int dir;

	change->branch = some_branch(c);
	dir = GET(shared->dir_of[change->branch % 256]);
	change->fd = dir >= 0 && dir < DIRS ? merged[dir] : some_dir(c);
	c->dir = dir + DIRS;
	change->pos = one_in(c, 4) ? below(c, 4) : 1;
}

/* Of all commands, of those on a session, and of those on a union. */
#define ALL		EFAULT, E2BIG, EINVAL, EOPNOTSUPP
#define SESSION		ALL, ENODEV, EPERM
#define CLAIM		SESSION, ENOENT, EBUSY, EINTR, ENOMEM
#define GUEST		SESSION, ENOENT, EIO, EINTR
#define CREATE		SESSION, EBUSY, ENOENT, EACCES, EMFILE, ENOMEM, EINTR
#define MAP		GUEST, EEXIST, ENOMEM, ENOSPC
#define IRQ		GUEST, EBADF, EBUSY, ENOSPC, EMFILE, ENOMEM
#define UNION		ALL, EBADF, ENOENT, ENOTDIR, EROFS, EBUSY, EINTR, ENOMEM

static const struct command commands[] = {
	{ "INFO", MICA_INFO, sizeof(struct mica_info), 8, fill_nothing,
	  { SESSION } },
	{ "DEVICE_INFO", MICA_DEVICE_INFO, sizeof(struct mica_device_info), 6,
	  fill_device_info, { SESSION, ENOENT, EINTR, ENOMEM } },
	{ "CLAIM", MICA_CLAIM, sizeof(struct mica_claim), 16, fill_claim,
	  { CLAIM } },
	{ "WAIT", MICA_WAIT, sizeof(struct mica_wait), 12, fill_wait,
	  { CLAIM, ECHILD, EAGAIN } },
	{ "GUEST_NOTE", MICA_GUEST_NOTE, sizeof(struct mica_guest_note), 6,
	  fill_note, { SESSION, ESRCH, EBUSY, ENOENT } },
	{ "UNION_OWN", MICA_UNION_OWN, sizeof(struct mica_union_own), 6,
	  fill_own, { SESSION, EBADF, ENOTDIR, EBUSY, EEXIST, ENOMEM } },
	{ "SEAL", MICA_SEAL, sizeof(struct mica_seal), 3, fill_nothing,
	  { SESSION } },
	{ "GUEST_END", MICA_GUEST_END, sizeof(struct mica_guest_end), 4,
	  fill_end, { SESSION, ENOENT } },
	{ "GUEST_VFS", MICA_GUEST_VFS, sizeof(struct mica_guest_vfs), 3,
	  fill_vfs, { CLAIM } },
	{ "GUEST_CREATE", MICA_GUEST_CREATE, sizeof(struct mica_guest_create),
	  16, fill_create, { CREATE } },
	{ "GUEST_MAP", MICA_GUEST_MAP, sizeof(struct mica_guest_map), 20,
	  fill_map, { MAP } },
	{ "GUEST_UNMAP", MICA_GUEST_UNMAP, sizeof(struct mica_guest_unmap), 12,
	  fill_unmap, { GUEST, ENOMEM } },
	{ "GUEST_IRQ", MICA_GUEST_IRQ, sizeof(struct mica_guest_irq), 20,
	  fill_irq, { IRQ } },
	{ "GUEST_RESET", MICA_GUEST_RESET, sizeof(struct mica_guest_reset), 8,
	  fill_reset, { GUEST, EAGAIN, EMFILE, ENOMEM } },
	{ "GUEST_STAT", MICA_GUEST_STAT, sizeof(struct mica_guest_stat), 8,
	  fill_stat, { GUEST } },
	{ "GUEST_SETUP", MICA_GUEST_SETUP, sizeof(struct mica_guest_setup), 16,
	  fill_setup, { CREATE, EEXIST, ENOSPC, EBADF } },
	{ "UNION_ADD", MICA_UNION_ADD, sizeof(struct mica_union_change), 6,
	  fill_add, { UNION } },
	{ "UNION_DEL", MICA_UNION_DEL, sizeof(struct mica_union_change), 8,
	  fill_change, { UNION } },
	{ "UNION_MODE", MICA_UNION_MODE, sizeof(struct mica_union_change), 4,
	  fill_mode, { UNION } },
	{ "UNION_MOVE", MICA_UNION_MOVE, sizeof(struct mica_union_change), 4,
	  fill_move, { UNION } },
	{ "UNION_SNAPSHOT", MICA_UNION_SNAPSHOT,
	  sizeof(struct mica_union_change), 4, fill_snapshot,
	  { UNION, ENOTEMPTY } },
	{ "UNION_RESET", MICA_UNION_RESET, sizeof(struct mica_union_reset), 4,
	  fill_union_reset,
	  { ALL, ENAMETOOLONG, ENODATA, ENOENT, EMLINK, EBUSY, EINTR, ENOMEM } },
	{ "UNION_REPLACE", MICA_UNION_REPLACE, sizeof(struct mica_union_change),
	  4, fill_replace, { UNION } },
};

/* Some call has to fail with each of these. */
static const short reached[] = {
	SESSION, ENOENT, EBUSY, ECHILD, EAGAIN, ESRCH, EEXIST, ENOTDIR,
	ENOTEMPTY, ENAMETOOLONG, ENODATA,
};

#define COMMANDS	ARRAY_SIZE(commands)
#define IS_UNION(cmd)	((cmd) >= MICA_UNION_ADD)

#endif /* _SELFTESTS_GUEST_FUZZ_H */
