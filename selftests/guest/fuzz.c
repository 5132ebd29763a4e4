// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every command of /dev/mica and of a union, from processes with several threads
 * each, on sessions of their own and on shared ones, with arguments that are right,
 * nearly right or wrong, and processes killed at any time. What a call returns has
 * to be in the list that uapi/mica.h gives for it, and in the end nothing is left.
 *
 * MICA_FUZZ_SEED and MICA_FUZZ_SECONDS in the environment set which calls, and for
 * how long; MICA_LONG asks for ten minutes.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "fuzz.h"
#include "left.h"

#define BASE	"/tmp/mica-fuzz"

static bool is_session(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == device;
}

/* What was passed on by its number may be another file by now. */
static void change_slot(struct slot *slot, int fd)
{
	int old;

	if (fd >= 0 && !is_session(fd)) {
		close(fd);
		fd = -1;
	}
	old = SWAP(slot->fd, fd);
	ADD(slot->version, 1);
	PUT(slot->function, -1);
	PUT(slot->guest, false);
	if (old >= 0)
		close(old);
}

static void change_object(unsigned int i, int fd)
{
	int old = SWAP(objects[i], fd);

	if (old >= 0)
		close(old);
}

/* The number was in memory that others write to. */
static void keep_object(struct caller *c, int fd)
{
	if (fd >= first_free)
		change_object(below(c, OBJECTS), fd);
}

static void drop_objects(void)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		change_object(i, -1);
}

/* Bytes that another thread may unmap at any time: no access of ours may fault. */
static bool copy_safely(void *to, const void *from, size_t len, bool write)
{
	struct iovec ours = { write ? (void *)from : to, len };
	struct iovec theirs = { write ? to : (void *)from, len };

	return (write ? process_vm_writev(getpid(), &ours, 1, &theirs, 1, 0) :
		process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0)) ==
	       (ssize_t)len;
}

static void disturb_memory(struct caller *c)
{
	uint64_t value = one_in(c, 2) ? draw(c) : ~0ull;
	char *page = contested + below(c, 2) * PAGE;

	switch (below(c, 6)) {
	case 0:
		munmap(page, PAGE);
		break;
	case 1:
		madvise(page, PAGE, MADV_DONTNEED);
		break;
	case 2:
		mprotect(page, PAGE, below(c, 2) ? PROT_READ : PROT_NONE);
		break;
	case 3:
		copy_safely(page + below(c, PAGE / 8) * 8, &value, 8, true);
		break;
	default:
		mmap(page, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

static void disturb_sessions(struct caller *c)
{
	struct slot *slot = &slots[below(c, SLOTS)];
	int fd;

	switch (below(c, 12)) {
	case 0:
		change_slot(slot, -1);
		drop_objects();
		break;
	case 1:
		change_slot(slot, dup(GET(slots[below(c, SLOTS)].fd)));
		break;
	case 2: case 3:
		fd = GET(slot->fd);
		if (fd >= 0)
			send_fd(mail[0], fd);
		break;
	case 4:
		fd = receive_fd(mail[1]);
		if (fd >= 0)
			change_slot(slot, fd);
		break;
	default:
		if (GET(slot->fd) < 0 || one_in(c, 3))
			change_slot(slot, session_open());
	}
}

/* What a monitor does with the descriptors that it was given, or another thread. */
static void disturb_objects(struct caller *c)
{
	int fd = GET(objects[below(c, OBJECTS)]);
	struct mica_guest_range range = some_range(c);
	struct kvm_userspace_memory_region slot = {
		.slot = below(c, 300),
		.guest_phys_addr = range.guest_addr,
		.memory_size = below(c, 3) * PAGE,
		.userspace_addr = range.user_addr,
	};
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = range.user_addr,
		.iova = range.guest_addr,
		.size = PAGE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = range.guest_addr,
		.size = range.length,
	};

	switch (below(c, 8)) {
	case 0:
		keep_object(c, ioctl(fd, KVM_CREATE_VCPU, below(c, 4)));
		break;
	case 1:
		ioctl(fd, KVM_SET_USER_MEMORY_REGION, &slot);
		break;
	case 2:
		ioctl(fd, VFIO_IOMMU_MAP_DMA, &map);
		break;
	case 3:
		ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
		break;
	case 4:
		ioctl(fd, VFIO_DEVICE_RESET);
		break;
	default:
		change_object(below(c, OBJECTS), -1);
	}
}

static void disturb_union(struct caller *c)
{
	char name[] = "f0";

	name[1] += below(c, 8);
	if (one_in(c, 3))
		unlinkat(root, name, 0);
	else if (one_in(c, 3))
		/* What a snapshot was made of can be written to again. */
		fremovexattr(dirs[below(c, DIRS)],
			     "trusted.overlay.mica.sealed");
	else
		change_file(name);
}

/* All at once, as exec() does it; what others had been lent is among it. */
static void disturb_descriptors(struct caller *c)
{
	struct rlimit limit;
	int i;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 100 && one_in(c, 2)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	switch (below(c, 30)) {
	case 0:
		/* From now on somebody may close what is not his any more. */
		PUT(untidy, true);
		drop_objects();
		close_range(first_free, ~0u, 0);
		for (i = 0; i < SLOTS; i++)
			change_slot(&slots[i], -1);
		break;
	case 1:
		limit.rlim_cur = first_free + below(c, 16);
		setrlimit(RLIMIT_NOFILE, &limit);
		break;
	default:
		syscall(SYS_tgkill, getpid(), GET(tids[below(c, THREADS)]),
			SIGUSR1);
	}
}

/* Where a call is to leave its reason. */
static struct mica_reason *reason_of(struct caller *c)
{
	return (void *)(c->arena + PAGE - sizeof(struct mica_reason));
}

static void print_failure(struct caller *c, const struct command *command,
			  const void *arg, long ret, int err, const char *what)
{
	const unsigned int *word = arg;
	int n, i;

	if (SWAP(shared->failed, true))
		return;
	n = snprintf(shared->text, sizeof(shared->text),
		     "%s returned %ld, errno %d (%s): %s; reason \"%.*s\", seed %llu, process %d.%d, thread %d, call %lu, structure:",
		     command->name, ret, err, strerror(err), what,
		     (int)sizeof(reason_of(c)->text), reason_of(c)->text,
		     (unsigned long long)seed, c->process, c->generation,
		     c->thread, c->calls);
	for (i = 0; i < command->size / 4 && n < sizeof(shared->text) - 16; i++)
		n += snprintf(shared->text + n, sizeof(shared->text) - n,
			      " %x", word[i]);
	PUT(shared->stop, true);
}

/* One or two members become wrong; the reason is at the end of all structures. */
static void mutate(struct caller *c, const struct command *command, char *arg)
{
	unsigned int size = command->size, word = below(c, size / 4) * 4;
	uint64_t value = odd_value(c);

	switch (below(c, 9)) {
	case 0:
		value = one_in(c, 2) ? size + below(c, 16) : value;
		memcpy(arg, &value, 4);
		break;
	case 1:
		value = 1u << below(c, 32);
		memcpy(arg + 4, &value, 4);
		break;
	case 2:
		memcpy(arg + size - 4, &value, 4);
		break;
	case 3:
		value = bad_pointer(c);
		memcpy(arg + size - 16, &value, 8);
		break;
	case 4:
		arg[below(c, size)] ^= 1 << below(c, 8);
		break;
	case 5:
		value = bad_pointer(c);
		memcpy(arg + word / 8 * 8, &value, 8);
		break;
	case 6:
		memcpy(arg + word / 8 * 8, &value, size - word / 8 * 8 < 8 ? 4 : 8);
		break;
	case 7:
		memcpy(arg + size, &value, 8);
		value = size + below(c, 9);
		memcpy(arg, &value, 4);
		break;
	default:
		if (c->array == c->arena + PAGE)
			memcpy(c->array + below(c, 8) * 4, &value, 4);
		else
			memcpy(arg + word, &value, 4);
	}
}

/* The test host has its root on one of these. */
static void spare_the_host(char *at, size_t len)
{
	uint64_t word;
	int i;

	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		for (i = 0; i < nr_forbidden; i++)
			if (word == forbidden[i])
				memset(at, 0x77, 8);
	}
}

static uintptr_t place(struct caller *c, const struct command *command,
		       const char *arg, size_t len)
{
	char *end = c->arena + (ARENA - 1) * PAGE;
	char *at = c->arena;

	switch (below(c, 40)) {
	case 0:
		return bad_pointer(c);
	case 1:
		at = c->readonly;
		break;
	case 2: case 3: case 4:
		at = contested + below(c, 2) * PAGE;
		if (one_in(c, 3))
			at = contested + PAGE - below(c, len / 8) * 8;
		copy_safely(at, arg, len, true);
		return (uintptr_t)at;
	case 5:
		if (c->array)
			break;
		at = end - command->size;
		memcpy(at, arg, command->size);
		return (uintptr_t)at;
	}
	memcpy(c->arena, arg, len);
	return (uintptr_t)at;
}

static struct mica_pci_addr first_of(const void *claim)
{
	const struct mica_claim *args = claim;
	struct mica_pci_addr addr = { .domain = ~0u };

	copy_safely(&addr, (void *)(uintptr_t)args->devices_ptr, sizeof(addr),
		    false);
	return addr;
}

/* What a call gave is used by the next. */
static void note_success(struct caller *c, const struct command *command,
			 const char *arg)
{
	const struct mica_guest_create *create = (const void *)arg;
	const struct mica_union_change *change = (const void *)arg;
	struct mica_guest_device device;
	struct mica_pci_addr addr;
	int i;

	switch (command->cmd) {
	case MICA_INFO:
		PUT(shared->session[below(c, NUMBERS)],
		    ((const struct mica_info *)arg)->session);
		break;
	case MICA_CLAIM:
		addr = first_of(arg);
		for (i = 0; i < FUNCTIONS; i++)
			if (!memcmp(&addr, &functions[i], sizeof(addr)))
				PUT(c->slot->function, i);
		break;
	case MICA_GUEST_VFS:
		PUT(c->slot->function, VF);
		break;
	case MICA_GUEST_CREATE: case MICA_GUEST_SETUP:
		if (create->flags & MICA_GUEST_PREPARE)
			break;
		PUT(c->slot->guest, true);
		keep_object(c, create->vm_fd);
		keep_object(c, create->container_fd);
		if (c->array && copy_safely(&device, c->array, sizeof(device),
					    false))
			keep_object(c, device.fd);
		break;
	case MICA_UNION_ADD: case MICA_UNION_SNAPSHOT: case MICA_UNION_REPLACE:
		PUT(shared->branch[below(c, BRANCHES)], change->branch);
		PUT(shared->dir_of[change->branch % 256], c->dir);
	}
}

static bool is_in(const short *list, size_t nr, int err)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (list[i] == err)
			return true;
	return false;
}

#define IS_IN(list, err)	is_in(list, ARRAY_SIZE(list), err)

static void judge(struct caller *c, const struct command *command,
		  const char *arg, long ret, int err, bool stable)
{
	static const short of_others[] = { EBADF, ENOTTY, EINVAL };

	if (!ret || (ret == -1 && err > 0 && err < ERRNOS))
		ADD(shared->count[command - commands][ret ? err : 0], 1);
	if (!ret)
		return;
	if (ret != -1)
		print_failure(c, command, arg, ret, err, "neither 0 nor -1");
	else if (!IS_IN(command->documented, err) &&
		 (stable || !IS_IN(of_others, err)))
		print_failure(c, command, arg, ret, err, "not documented");
}

static bool has_succeeded(const struct command *command)
{
	return GET(shared->count[command - commands][0]);
}

static bool has_failed_with(int err)
{
	int i;

	for (i = 0; i < COMMANDS; i++)
		if (GET(shared->count[i][err]))
			return true;
	return false;
}

/* Who calls nothing finds nothing. */
static bool is_enough(bool print)
{
	bool enough = true;
	int i;

	for (i = 0; i < COMMANDS; i++) {
		if (has_succeeded(&commands[i]))
			continue;
		enough = false;
		if (print)
			printf("# %s never succeeded\n", commands[i].name);
	}
	for (i = 0; i < ARRAY_SIZE(reached); i++) {
		if (has_failed_with(reached[i]))
			continue;
		enough = false;
		if (print)
			printf("# nothing failed with %s\n",
			       strerrorname_np(reached[i]));
	}
	return enough;
}

/* What did not succeed yet is tried more. */
static const struct command *some_command(struct caller *c)
{
	const struct command *command;
	unsigned int sum = 0, at;
	int tries = below(c, 2) ? 6 : 0;

	while (tries--) {
		command = &commands[below(c, COMMANDS)];
		if (!has_succeeded(command))
			return command;
	}
	for (command = commands; command < commands + COMMANDS; command++)
		sum += command->often;
	at = below(c, sum);
	for (command = commands; at >= command->often; command++)
		at -= command->often;
	return command;
}

static const struct command *find_command(unsigned long cmd)
{
	const struct command *command = commands;

	while (command->cmd != cmd)
		command++;
	return command;
}

/* Without a function, and without a guest, most calls would not come far. */
static const struct command *what_comes_first(struct caller *c,
					      const struct command *command)
{
	if (command->cmd < MICA_GUEST_CREATE || IS_UNION(command->cmd) ||
	    GET(c->slot->guest) || one_in(c, 4))
		return command;
	if (GET(c->slot->function) < 0 && below(c, 4))
		return find_command(MICA_CLAIM);
	return find_command(below(c, 2) ? MICA_GUEST_CREATE : MICA_GUEST_SETUP);
}

/* One that has a function has more that can be done with it. */
static struct slot *some_slot(struct caller *c)
{
	struct slot *slot = &slots[below(c, SLOTS)];
	int tries = below(c, SLOTS);

	while (tries-- && GET(slot->function) < 0)
		slot = &slots[below(c, SLOTS)];
	return slot;
}

/* On what has no such command at all. */
static void call_elsewhere(struct caller *c, const struct command *command,
			   uintptr_t at)
{
	static const short wrong[] = { EBADF, ENOTTY, EINVAL };
	const int on[] = { event[0], others[0], others[1], -1, dirs[0],
			   IS_UNION(command->cmd) ? dirs[1] : root };
	long ret = ioctl(on[below(c, ARRAY_SIZE(on))], command->cmd, at);

	if (ret != -1 || !IS_IN(wrong, errno))
		print_failure(c, command, c->arena, ret, errno,
			      "on a descriptor of another kind");
	ADD(shared->elsewhere, 1);
}

static void call_once(struct caller *c)
{
	const struct command *command = some_command(c);
	char arg[2 * PAGE] __attribute__((aligned(8))) = {};
	struct mica_reason *why = reason_of(c);
	struct { uint64_t ptr; uint32_t len; } tail = {
		(uintptr_t)why, sizeof(*why),
	};
	unsigned int version, i;
	uintptr_t at;
	long ret;
	int err;

	c->calls++;
	c->slot = some_slot(c);
	command = what_comes_first(c, command);
	c->array = NULL;
	c->dir = -1;
	memset(c->arena, 0, (ARENA - 1) * PAGE);
	memcpy(arg, &command->size, 4);
	memcpy(arg + command->size - 16, &tail, 12);
	command->fill(c, arg);
	for (i = one_in(c, 3) ? 1 + below(c, 2) : 0; i; i--)
		mutate(c, command, arg);
	spare_the_host(arg, sizeof(arg));
	spare_the_host(c->arena + PAGE, PAGE);
	at = place(c, command, arg, command->size + 16);
	if (one_in(c, 40)) {
		call_elsewhere(c, command, at);
		return;
	}
	version = GET(c->slot->version);
	ret = ioctl(IS_UNION(command->cmd) ? root : GET(c->slot->fd),
		    command->cmd, at);
	err = errno;
	judge(c, command, arg, ret, err,
	      !GET(untidy) && GET(c->slot->version) == version &&
	      (IS_UNION(command->cmd) || GET(c->slot->fd) >= 0));
	if (why->code && !memchr(why->text, 0, sizeof(why->text)))
		print_failure(c, command, arg, ret, err, "a reason without end");
	if (!ret && copy_safely(arg, (void *)at, command->size, false))
		note_success(c, command, arg);
	if (command->cmd == MICA_UNION_SNAPSHOT) {
		close(c->snapshot_fd);
		if (ret)
			rmdir(c->snapshot);
	}
	if (ret && !IS_UNION(command->cmd) &&
	    (err == ENODEV || err == EPERM || err == EBADF) && one_in(c, 6)) {
		change_slot(c->slot, session_open());
		drop_objects();
	}
}

static void in_a_child(struct caller *c)
{
	pid_t child = fork();
	int i, n = below(c, 30);

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Its descriptors were copied before its memory. */
		PUT(untidy, true);
		for (i = 0; i < n; i++)
			call_once(c);
		_exit(0);
	}
	/* The child's numbers are not the parent's. */
	c->rng ^= 1;
	if (child > 0 && one_in(c, 2))
		kill(child, SIGKILL);
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static void *thread(void *data)
{
	struct caller *c = data;

	PUT(tids[c->thread], syscall(SYS_gettid));
	while (!GET(shared->stop)) {
		switch (below(c, 60)) {
		case 0: case 1:
			disturb_sessions(c);
			break;
		case 2: case 3:
			disturb_memory(c);
			break;
		case 4: case 5:
			disturb_objects(c);
			break;
		case 6:
			disturb_descriptors(c);
			break;
		case 7: case 8: case 9:
			disturb_union(c);
			break;
		case 10:
			if (one_in(c, 2))
				in_a_child(c);
		}
		call_once(c);
	}
	return NULL;
}

static int make_arena(struct caller *c)
{
	int fd = memfd_create("arena", MFD_CLOEXEC), err;

	err = ftruncate(fd, ARENA * PAGE);
	c->arena = mmap(NULL, ARENA * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			fd, 0);
	c->readonly = mmap(NULL, ARENA * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (c->arena == MAP_FAILED || c->readonly == MAP_FAILED)
		return -1;
	return err ?: mprotect(c->arena + (ARENA - 1) * PAGE, PAGE, PROT_NONE);
}

static void *make_memory(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

static void no_handler(int sig)
{
}

/* The descriptors that are not closed come first. */
static int prepare_process(void)
{
	struct sigaction action = { .sa_handler = no_handler };
	char name[8];
	int ends[2], i;

	sigaction(SIGUSR1, &action, NULL);
	root = open("mnt", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < DIRS; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		dirs[i] = open(name, O_RDONLY | O_CLOEXEC);
		snprintf(name, sizeof(name), "m%d", i);
		merged[i] = open(name, O_RDONLY | O_CLOEXEC);
	}
	for (i = 0; i < ARRAY_SIZE(event); i++)
		event[i] = eventfd(0, EFD_CLOEXEC);
	if (pipe2(ends, O_CLOEXEC))
		return -1;
	others[0] = ends[0];
	others[1] = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	others[2] = dup(STDIN_FILENO);
	first_free = others[2] + 1;
	for (i = 0; i < OBJECTS; i++)
		objects[i] = -1;
	for (i = 0; i < SLOTS; i++)
		slots[i] = (struct slot){ session_open(), 0, -1, false };
	memory = make_memory(MEMORY * PAGE);
	contested = make_memory(2 * PAGE);
	return root < 0 || memory == MAP_FAILED || contested == MAP_FAILED;
}

static void fuzz(int process, int generation)
{
	struct caller callers[THREADS] = {};
	pthread_t threads[THREADS];
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prepare_process())
		_exit(1);
	for (i = 0; i < THREADS; i++) {
		callers[i].process = process;
		callers[i].generation = generation;
		callers[i].thread = i;
		callers[i].rng = seed + ((uint64_t)process << 40) +
				 ((uint64_t)generation << 8) + i;
		if (make_arena(&callers[i]))
			_exit(1);
	}
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, thread, &callers[i]))
			_exit(1);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

FIXTURE(fuzz)
{
	char bdf[64][BDF_LEN];
	struct standing standing[64];
	int nr;
	pid_t pid[PROCESSES];
	int generation[PROCESSES];
	unsigned int killed;
};

static bool any_function(const char *bdf)
{
	return true;
}

/* Comes within some time, since the last close of a file does. */
static bool comes_to(long (*now)(void), long what)
{
	unsigned long long end = now_ns() + BACK_MS * 1000000ull;

	while (now() != what && now_ns() < end)
		sleep_us(20000);
	if (now() != what)
		printf("# %ld, was %ld\n", now(), what);
	return now() == what;
}

/* Is it as good as before? It has a guest, which reads its registers. */
static bool function_works(int function)
{
	struct guest guest = { session_open(), -1, -1, -1, {} };
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	unsigned int id = 0;
	char bdf[BDF_LEN];

	pci_bdf(&functions[function], bdf);
	if (session_claim(guest.session, bdf, MICA_CLAIM_GROUP, &guest.why) ||
	    guest_create(&guest, bdf))
		printf("# %s: %s\n", bdf, guest.why.text);
	else if (!ioctl(guest.device, VFIO_DEVICE_GET_REGION_INFO, &config))
		pread(guest.device, &id, 4, config.offset);
	guest_end(&guest);
	return id == pci_id(bdf);
}

static bool find_one(enum function function, bool (*match)(const char *bdf),
		     int nr)
{
	char bdf[8][BDF_LEN];

	if (pci_find(match, bdf, 8) <= nr)
		return false;
	functions[function] = pci_addr(bdf[nr]);
	return true;
}

static bool is_bridge(const char *bdf)
{
	return pci_number(bdf, "class") >> 16 == 6;
}

static bool find_functions(void)
{
	functions[HOST] = pci_addr("0000:00:00.0");
	functions[NOWHERE] = pci_addr("0000:ee:00.0");
	if (!find_one(EDU, pci_is_edu_alone, 0) ||
	    !find_one(PAIR0, pci_is_edu_paired, 0) ||
	    !find_one(PAIR1, pci_is_edu_paired, 1) ||
	    !find_one(E1000E, pci_is_e1000e, 0) ||
	    !find_one(NVME, pci_is_plain_nvme, 0) || !find_one(PF, pci_is_pf, 0) ||
	    !find_one(PORT, pci_is_port, 0))
		return false;
	functions[VF] = functions[PF];
	functions[VF].devfn++;
	return true;
}

static void forbid(const char *bdf)
{
	struct mica_pci_addr addr = pci_addr(bdf);
	int i;

	for (i = 0; i < FUNCTIONS; i++)
		if (!memcmp(&addr, &functions[i], sizeof(addr)))
			return;
	if (!is_bridge(bdf))
		memcpy(&forbidden[nr_forbidden++], &addr, 8);
}

/* The union has three branches; what replaces one has to tell which it stands for. */
static int make_union(void)
{
	struct mica_union_own own = { .size = sizeof(own) };
	char name[8];
	int i, session;

	if (system("rm -rf " BASE " && mkdir -p " BASE "/mnt && cd " BASE
		   " && for i in 0 1 2 3 4 5 6 7 8; do mkdir d$i m$i && "
		   "touch d$i/f0 d$i/f1 d$i/f2 d$i/f3; done") || chdir(BASE))
		return -1;
	for (i = 0; i < DIRS; i++) {
		session = session_open();
		snprintf(name, sizeof(name), "d%d", i);
		own.fd = open(name, O_RDONLY | O_CLOEXEC);
		if (ioctl(session, MICA_UNION_OWN, &own))
			return -1;
		close(own.fd);
		close(session);
		*name = 'm';
		if (setxattr(name, "trusted.overlay.mica.merged", &own.hash, 8,
			     0))
			return -1;
		shared->dir_of[i + 1] = i;
	}
	for (i = 0; i < BRANCHES; i++)
		shared->branch[i] = 1 + i % 3;
	return mount("none", "mnt", "mica", 0,
		     "dirs=" BASE "/d0=rw:" BASE "/d1=ro:" BASE "/d2=ro");
}

FIXTURE_SETUP(fuzz)
{
	struct stat st;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ASSERT_EQ(0, module_load());
	ASSERT_EQ(0, stat(MICA_DEV, &st));
	device = st.st_rdev;
	ASSERT_TRUE(find_functions());
	self->nr = pci_find(any_function, self->bdf, 64);
	for (i = 0; i < self->nr; i++) {
		self->standing[i] = standing_of(self->bdf[i]);
		forbid(self->bdf[i]);
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK |
				SOCK_CLOEXEC, 0, mail));
	ASSERT_EQ(0, make_union());
	/* What is loaded now counts as before. */
	ASSERT_TRUE(function_works(EDU));
}

FIXTURE_TEARDOWN(fuzz)
{
	umount("mnt");
}

static bool ends(pid_t pid, int *status)
{
	unsigned long long end = now_ns() + GONE_MS * 1000000ull;

	while (waitpid(pid, status, WNOHANG) != pid) {
		if (now_ns() > end)
			return false;
		sleep_us(10000);
	}
	return true;
}

static void start(struct _test_data_fuzz *self, int i)
{
	self->generation[i]++;
	self->pid[i] = fork();
	if (!self->pid[i])
		fuzz(i, self->generation[i]);
}

static bool stop(struct _test_data_fuzz *self, int i)
{
	int status = 0;

	kill(self->pid[i], SIGKILL);
	self->killed++;
	if (!ends(self->pid[i], &status)) {
		printf("# process %d does not die\n", self->pid[i]);
		return false;
	}
	if (GET(shared->stop) ||
	    (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		return true;
	printf("# process %d.%d ended by itself: %#x\n", i,
	       self->generation[i], status);
	return false;
}

static bool run_all(struct _test_data_fuzz *self, unsigned int seconds)
{
	unsigned long long end = now_ns() + seconds * 1000000000ull;
	unsigned long long last = end + MORE_MS * 1000000ull;
	bool good = true;
	int i;

	srandom(seed);
	for (i = 0; i < PROCESSES; i++)
		start(self, i);
	/* A slow machine has more time for what has to be seen. */
	while (good && !GET(shared->stop) && now_ns() < last &&
	       (now_ns() < end || !is_enough(false))) {
		sleep_us(100000 + random() % 3000000);
		i = random() % PROCESSES;
		good = stop(self, i);
		start(self, i);
	}
	/* Some end as they like. */
	PUT(shared->stop, true);
	for (i = 0; i < PROCESSES; i++)
		good &= i < PROCESSES / 2 ? stop(self, i) :
			ends(self->pid[i], NULL);
	return good;
}

static void print_histogram(void)
{
	unsigned long *count, all;
	int i, e;

	for (i = 0; i < COMMANDS; i++) {
		count = shared->count[i];
		for (all = 0, e = 0; e < ERRNOS; e++)
			all += count[e];
		printf("# %-14s %7lu calls %7lu ok", commands[i].name, all,
		       count[0]);
		for (e = 1; e < ERRNOS; e++)
			if (count[e])
				printf("  %s %lu", strerrorname_np(e), count[e]);
		printf("\n");
	}
	printf("# elsewhere      %7lu calls\n", shared->elsewhere);
}

TEST_F_TIMEOUT(fuzz, nothing_but_what_is_documented_and_nothing_is_left, 2400)
{
	bool is_long = *(getenv("MICA_LONG") ?: "");
	long users, pinned, sessions;
	bool good;
	int i;

	seed = from_env("MICA_FUZZ_SEED", time(NULL));
	printf("# seed %llu\n", (unsigned long long)seed);
	for (i = 0; i < self->nr; i++)
		ASSERT_TRUE(standing_comes_back(self->bdf[i],
						&self->standing[i], BACK_MS));
	sessions = sessions_now();
	users = users_now();
	pinned = pinned_now();
	good = run_all(self, from_env("MICA_FUZZ_SECONDS", is_long ? 600 : 60));
	print_histogram();
	printf("# %u processes killed\n", self->killed);
	EXPECT_TRUE(good);
	EXPECT_STREQ("", shared->text);
	close(mail[0]);
	close(mail[1]);
	for (i = 0; i < self->nr; i++)
		EXPECT_TRUE(standing_comes_back(self->bdf[i],
						&self->standing[i], GONE_MS)) {
			TH_LOG("%s: driver \"%s\", override \"%s\"",
			       self->bdf[i], pci_driver(self->bdf[i]),
			       pci_override(self->bdf[i]));
		}
	EXPECT_TRUE(comes_to(sessions_now, sessions));
	EXPECT_TRUE(comes_to(users_now, users));
	EXPECT_TRUE(comes_to(pinned_now, pinned));
	EXPECT_EQ(self->nr, pci_find(any_function, self->bdf, 64));
	for (i = EDU; i <= PF; i++)
		EXPECT_TRUE(function_works(i));
	EXPECT_EQ(0, umount("mnt"));
	EXPECT_EQ(0, module_unload(BACK_MS));
	EXPECT_EQ(0, module_load());
	EXPECT_TRUE(is_enough(true));
}

TEST_HARNESS_MAIN
