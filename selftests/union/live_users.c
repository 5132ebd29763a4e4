// SPDX-License-Identifier: GPL-2.0-only
/*
 * What processes have of a branch goes on while the branches change: every user
 * of it, over every change.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <dirent.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include "../lib/harness.h"
#include "branches.h"
#include "util.h"

UNION_FIXTURE(live_users);

/* What a file has in the branch that changes, and in the others. */
#define OLD "0123456789"
#define OTHER "other"

/* It must be so, or the user does not go on. */
#define GOES(condition)							\
	do {								\
		errno = 0;						\
		if (!(condition)) {					\
			fprintf(stderr, "# %d: %s: %s\n", __LINE__, #condition,	\
			       strerror(errno));			\
			return -1;					\
		}							\
	} while (0)

static bool reads(int fd, const char *text)
{
	char got[64] = "";

	return pread(fd, got, sizeof(got) - 1, 0) >= 0 && !strcmp(got, text);
}

static bool has(const char *path, const char *text)
{
	return !strcmp(content(path), text);
}

/* The file that is open, once more; @shown: its name shows it still. */
static int open_again(const char *path, int fd, bool shown, int flags)
{
	char again[64];

	sprintf(again, "/proc/self/fd/%d", fd);
	return open(shown ? path : again, flags | O_CLOEXEC);
}

static int reader;

static int begin_reader(void)
{
	GOES((reader = open("mnt/d/reader", O_RDONLY | O_CLOEXEC)) >= 0);
	return 0;
}

static int go_on_reading(bool shown)
{
	GOES(reads(reader, OLD));
	GOES(has("mnt/d/reader", shown ? OLD : OTHER));
	return 0;
}

static int writer;

static int begin_writer(void)
{
	GOES((writer = open("mnt/d/writer", O_RDWR | O_CLOEXEC)) >= 0);
	return 0;
}

static int go_on_writing(bool shown)
{
	GOES(pwrite(writer, "W", 1, 0) == 1);
	GOES(reads(writer, "W123456789"));
	GOES(!fsync(writer));
	GOES(!ftruncate(writer, 3));
	GOES(has("mnt/d/writer", shown ? "W12" : OTHER));
	return 0;
}

static int appender;

static int begin_appender(void)
{
	appender = open("mnt/d/appender", O_WRONLY | O_APPEND | O_CLOEXEC);
	GOES(appender >= 0);
	return 0;
}

static int go_on_appending(bool shown)
{
	struct stat st;

	GOES(write(appender, "+", 1) == 1);
	GOES(!fstat(appender, &st) && st.st_size == strlen(OLD "+"));
	GOES(has("mnt/d/appender", shown ? OLD "+" : OTHER));
	return 0;
}

static int path_fd;
static ino_t path_ino;

static int begin_path(void)
{
	struct stat st;

	GOES((path_fd = open("mnt/d/path", O_PATH | O_CLOEXEC)) >= 0);
	GOES(!fstat(path_fd, &st));
	path_ino = st.st_ino;
	return 0;
}

static int go_on_with_path(bool shown)
{
	struct stat st;
	int fd;

	GOES(!fstat(path_fd, &st) && st.st_ino == path_ino);
	GOES((fd = open_again(NULL, path_fd, false, O_RDONLY)) >= 0);
	GOES(reads(fd, OLD));
	return 0;
}

static int unnamed;

static int begin_unnamed(void)
{
	unnamed = open("mnt/d", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	GOES(unnamed >= 0);
	GOES(write(unnamed, "one", 3) == 3);
	return 0;
}

static int go_on_without_name(bool shown)
{
	char from[64];

	GOES(reads(unnamed, "one"));
	GOES(write(unnamed, "two", 3) == 3);
	sprintf(from, "/proc/self/fd/%d", unnamed);
	GOES(!linkat(AT_FDCWD, from, AT_FDCWD, "mnt/d/linked", AT_SYMLINK_FOLLOW));
	GOES(has("mnt/d/linked", "onetwo"));
	return 0;
}

static int unlinked;

static int begin_unlinked(void)
{
	GOES((unlinked = open("mnt/d/unlinked", O_RDWR | O_CLOEXEC)) >= 0);
	GOES(!unlink("mnt/d/unlinked"));
	return 0;
}

static int go_on_unlinked(bool shown)
{
	struct stat st;

	GOES(reads(unlinked, OLD));
	GOES(pwrite(unlinked, "U", 1, 0) == 1);
	GOES(reads(unlinked, "U123456789"));
	GOES(!fstat(unlinked, &st) && !st.st_nlink);
	GOES(!there("mnt/d/unlinked"));
	return 0;
}

static char *shared, *private;

/* Of the shared mapping no page is there before. */
static int begin_mapped(void)
{
	int fd = open("mnt/d/mapped", O_RDONLY | O_CLOEXEC);

	shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	GOES(shared != MAP_FAILED && private != MAP_FAILED);
	*private = 'P';
	return 0;
}

static int go_on_mapped(bool shown)
{
	GOES(!strcmp(shared, OLD));
	GOES(!strcmp(private, "P123456789"));
	GOES(!munmap(shared, 4096) && !munmap(private, 4096));
	return 0;
}

/* A cat(1) of the branch, and what leads to it and from it. */
static pid_t program;
static int to_program, from_program;

static bool echoes(char c)
{
	char got = 0;

	return write(to_program, &c, 1) == 1 &&
	       read(from_program, &got, 1) == 1 && got == c;
}

static int begin_executed(void)
{
	int in[2], out[2];

	GOES(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
	to_program = in[1];
	from_program = out[0];
	program = fork();
	if (!program) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl("mnt/d/program", "cat", NULL);
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	GOES(echoes('a'));
	return 0;
}

static int go_on_executing(bool shown)
{
	GOES(echoes('b'));
	GOES(!kill(program, SIGKILL) && waitpid(program, NULL, 0) == program);
	return 0;
}

static int flocked;

static int begin_flock(void)
{
	GOES((flocked = open("mnt/d/flock", O_RDONLY | O_CLOEXEC)) >= 0);
	GOES(!flock(flocked, LOCK_EX));
	return 0;
}

static int go_on_flock(bool shown)
{
	int fd = open_again("mnt/d/flock", flocked, shown, O_RDONLY);

	GOES(fd >= 0);
	GOES(flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK);
	GOES(!flock(flocked, LOCK_UN));
	GOES(!flock(fd, LOCK_EX | LOCK_NB));
	return 0;
}

static int posix;

static int begin_posix(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = 2, .l_len = 3 };

	GOES((posix = open("mnt/d/posix", O_RDWR | O_CLOEXEC)) >= 0);
	GOES(!fcntl(posix, F_SETLK, &lock));
	return 0;
}

/* In another process; closing the file here would end the lock. */
static int see_posix(void *shown)
{
	struct flock lock = { .l_type = F_RDLCK };
	int fd = open_again("mnt/d/posix", posix, shown, O_RDWR);

	GOES(fd >= 0);
	GOES(!fcntl(fd, F_GETLK, &lock));
	GOES(lock.l_type == F_WRLCK && lock.l_pid == getppid());
	GOES(lock.l_start == 2 && lock.l_len == 3);
	return 0;
}

static int go_on_posix(bool shown)
{
	GOES(!as_user(0, see_posix, shown ? "shown" : NULL));
	return 0;
}

static int ofd;

static int begin_ofd(void)
{
	struct flock lock = { .l_type = F_WRLCK };

	GOES((ofd = open("mnt/d/ofd", O_RDWR | O_CLOEXEC)) >= 0);
	GOES(!fcntl(ofd, F_OFD_SETLK, &lock));
	return 0;
}

static int go_on_ofd(bool shown)
{
	struct flock lock = { .l_type = F_WRLCK };
	int fd = open_again("mnt/d/ofd", ofd, shown, O_RDWR);

	GOES(fd >= 0);
	GOES(fcntl(fd, F_OFD_SETLK, &lock) && errno == EAGAIN);
	lock.l_type = F_UNLCK;
	GOES(!fcntl(ofd, F_OFD_SETLK, &lock));
	lock.l_type = F_WRLCK;
	GOES(!fcntl(fd, F_OFD_SETLK, &lock));
	return 0;
}

static int lease;

static int begin_lease(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	GOES(!sigprocmask(SIG_BLOCK, &set, NULL));
	GOES((lease = open("mnt/d/lease", O_RDONLY | O_CLOEXEC)) >= 0);
	GOES(!fcntl(lease, F_SETLEASE, F_RDLCK));
	return 0;
}

static int go_on_lease(bool shown)
{
	struct timespec at_once = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	GOES(fcntl(lease, F_GETLEASE) == F_RDLCK);
	GOES(sigtimedwait(&set, NULL, &at_once) == -1);
	GOES(open_again("mnt/d/lease", lease, shown, O_WRONLY | O_NONBLOCK) == -1 &&
	     errno == EWOULDBLOCK);
	GOES(sigtimedwait(&set, NULL, &at_once) == SIGIO);
	GOES(!fcntl(lease, F_SETLEASE, F_UNLCK));
	return 0;
}

static int notify, notify_file, watch_dir, watch_file, watch_name;

static int begin_inotify(void)
{
	notify_file = open("mnt/d/notify", O_WRONLY | O_CLOEXEC);
	GOES(notify_file >= 0);
	GOES((notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) >= 0);
	watch_dir = inotify_add_watch(notify, "mnt/d", IN_CREATE);
	watch_file = inotify_add_watch(notify, "mnt/d/notify", IN_MODIFY);
	/* One that nobody has open. */
	watch_name = inotify_add_watch(notify, "mnt/d/watched", IN_MODIFY);
	GOES(watch_dir >= 0 && watch_file >= 0 && watch_name >= 0);
	return 0;
}

/* Is there that event among all that have come? */
static bool notified(const char *events, ssize_t len, int watch, const char *name)
{
	const struct inotify_event *e;
	ssize_t at;

	for (at = 0; at < len; at += sizeof(*e) + e->len) {
		e = (const void *)(events + at);
		if (e->wd == watch && (!name || (e->len && !strcmp(e->name, name))))
			return true;
	}
	return false;
}

static int go_on_inotify(bool shown)
{
	char events[8192] __attribute__((aligned(8)));
	ssize_t len;

	GOES(!put("mnt/d/created", ""));
	GOES(write(notify_file, "n", 1) == 1);
	GOES(!add("mnt/d/watched", "+"));
	GOES((len = read(notify, events, sizeof(events))) > 0);
	GOES(notified(events, len, watch_dir, "created"));
	GOES(notified(events, len, watch_file, NULL));
	GOES(!shown || notified(events, len, watch_name, NULL));
	return 0;
}

static int fan;

static int begin_fanotify(void)
{
	fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY);
	GOES(fan >= 0);
	GOES(!fanotify_mark(fan, FAN_MARK_ADD, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD,
			    AT_FDCWD, "mnt/d/dir"));
	return 0;
}

static int go_on_fanotify(bool shown)
{
	struct fanotify_event_metadata event;
	char link[64], path[PATH_MAX] = "";

	GOES(!put("mnt/d/dir/fan", "fan"));
	GOES(read(fan, &event, sizeof(event)) == sizeof(event));
	sprintf(link, "/proc/self/fd/%d", event.fd);
	GOES(readlink(link, path, sizeof(path) - 1) > 0);
	GOES(!strcmp(path, here("mnt/d/dir/fan")));
	GOES(reads(event.fd, "fan"));
	return 0;
}

static struct stander in_dir, in_root;
static char cwd[PATH_MAX];

static int enter_dir(void)
{
	GOES(!chdir("mnt/d/dir"));
	GOES(getcwd(cwd, sizeof(cwd)));
	return 0;
}

static int check_dir(void)
{
	char now[PATH_MAX];

	GOES(getcwd(now, sizeof(now)) && !strcmp(now, cwd));
	GOES(there("inside"));
	GOES(!put("made", "made"));
	GOES(has("../dir/made", "made"));
	GOES(!chdir("..") && there("dir/made"));
	return 0;
}

static int begin_cwd(void)
{
	return begin_stander(&in_dir, enter_dir, check_dir);
}

static int go_on_in_cwd(bool shown)
{
	return end_stander(&in_dir);
}

static int enter_root(void)
{
	GOES(!chroot("mnt/d") && !chdir("/"));
	return 0;
}

static int check_root(void)
{
	struct stat a, b;

	GOES(there("/dir/inside"));
	GOES(!stat("/", &a) && !stat("/..", &b));
	GOES(a.st_ino == b.st_ino);
	GOES(!put("/rooted", "rooted"));
	return 0;
}

static int begin_root(void)
{
	return begin_stander(&in_root, enter_root, check_root);
}

static int go_on_in_root(bool shown)
{
	return end_stander(&in_root) ?: has("mnt/d/rooted", "rooted") - 1;
}

#define MANY 200

static int many;
static unsigned int seen[MANY];

/* A part of the names only: it has room for few. Returns whether there were any. */
static bool read_names(void)
{
	char buf[512] __attribute__((aligned(8)));
	const struct dirent64 *de;
	long len, at;

	len = syscall(SYS_getdents64, many, buf, sizeof(buf));
	for (at = 0; at < len; at += de->d_reclen) {
		de = (const void *)(buf + at);
		if (*de->d_name != '.')
			seen[atoi(de->d_name) % MANY]++;
	}
	return len > 0;
}

static int begin_readdir(void)
{
	memset(seen, 0, sizeof(seen));
	many = open("mnt/d/many", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	GOES(many >= 0);
	GOES(read_names());
	return 0;
}

static int go_on_with_readdir(bool shown)
{
	unsigned int i;

	while (read_names())
		;
	for (i = 0; i < MANY; i++)
		GOES(seen[i] == 1);
	return 0;
}

static int begin_mount(void)
{
	GOES(!mount("beneath", "mnt/d/point", "tmpfs", 0, NULL));
	GOES(!put("mnt/d/point/f", "beneath"));
	return 0;
}

static int go_on_beneath(bool shown)
{
	GOES(has("mnt/d/point/f", "beneath"));
	GOES(!umount("mnt/d/point"));
	return 0;
}

static const struct sockaddr_un address = {
	.sun_family = AF_UNIX, .sun_path = "mnt/d/special/socket",
};

static int listener, client, server;

static int connect_by_name(int *to, int *from)
{
	*to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	GOES(!connect(*to, (const void *)&address, sizeof(address)));
	GOES((*from = accept(listener, NULL, NULL)) >= 0);
	return 0;
}

static int begin_socket(void)
{
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	GOES(!bind(listener, (const void *)&address, sizeof(address)));
	GOES(!listen(listener, 4));
	return connect_by_name(&client, &server);
}

static bool passes(int to, int from)
{
	char c = 0;

	return write(to, "x", 1) == 1 && read(from, &c, 1) == 1 && c == 'x';
}

static int go_on_with_socket(bool shown)
{
	GOES(passes(client, server));
	GOES(!connect_by_name(&client, &server));
	GOES(passes(client, server));
	return 0;
}

static int fifo_out, fifo_in;

static int begin_fifo(void)
{
	GOES(!mkfifo("mnt/d/special/fifo", 0600));
	fifo_out = open("mnt/d/special/fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fifo_in = open("mnt/d/special/fifo", O_WRONLY | O_CLOEXEC);
	GOES(fifo_out >= 0 && fifo_in >= 0);
	return 0;
}

static int go_on_with_fifo(bool shown)
{
	GOES(passes(fifo_in, fifo_out));
	fifo_in = open("mnt/d/special/fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	GOES(fifo_in >= 0);
	GOES(passes(fifo_in, fifo_out));
	return 0;
}

#define REQUESTS 32
#define REQUEST_SIZE 4096

static aio_context_t aio;
static char *requests;
static int aio_fd;

/* They are under way when the change begins, and it waits for them. */
static int begin_aio(void)
{
	static struct iocb iocb[REQUESTS], *list[REQUESTS];
	unsigned int i;

	requests = mmap(NULL, REQUESTS * REQUEST_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	GOES(requests != MAP_FAILED);
	memset(requests, 'a', REQUESTS * REQUEST_SIZE);
	/* tmpfs of older kernels has no O_DIRECT. */
	aio_fd = open("mnt/d/special/aio", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC,
		      0600);
	if (aio_fd < 0)
		aio_fd = open("mnt/d/special/aio", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	GOES(aio_fd >= 0);
	aio = 0;
	GOES(!syscall(SYS_io_setup, REQUESTS, &aio));
	for (i = 0; i < REQUESTS; i++) {
		list[i] = &iocb[i];
		iocb[i] = (struct iocb) {
			.aio_lio_opcode = IOCB_CMD_PWRITE,
			.aio_fildes = aio_fd,
			.aio_buf = (uintptr_t)requests + i * REQUEST_SIZE,
			.aio_nbytes = REQUEST_SIZE,
			.aio_offset = i * REQUEST_SIZE,
		};
	}
	GOES(syscall(SYS_io_submit, aio, REQUESTS, list) == REQUESTS);
	return 0;
}

static int go_on_with_aio(bool shown)
{
	struct io_event events[REQUESTS];
	unsigned int i;
	struct stat st;

	GOES(syscall(SYS_io_getevents, aio, REQUESTS, REQUESTS, events, NULL) ==
	     REQUESTS);
	for (i = 0; i < REQUESTS; i++)
		GOES(events[i].res == REQUEST_SIZE);
	GOES(!fstat(aio_fd, &st) && st.st_size == REQUESTS * REQUEST_SIZE);
	memset(requests, 0, REQUEST_SIZE);
	GOES(pread(aio_fd, requests, REQUEST_SIZE, st.st_size - REQUEST_SIZE) ==
	     REQUEST_SIZE);
	GOES(requests[REQUEST_SIZE - 1] == 'a');
	GOES(!syscall(SYS_io_destroy, aio));
	GOES(!munmap(requests, REQUESTS * REQUEST_SIZE));
	return 0;
}

static const struct {
	const char *name;
	int (*begin)(void);
	int (*go_on)(bool shown);
} users[] = {
	{ "an open file, read", begin_reader, go_on_reading },
	{ "an open file, written", begin_writer, go_on_writing },
	{ "O_APPEND", begin_appender, go_on_appending },
	{ "O_PATH", begin_path, go_on_with_path },
	{ "O_TMPFILE", begin_unnamed, go_on_without_name },
	{ "an unlinked file", begin_unlinked, go_on_unlinked },
	{ "mappings", begin_mapped, go_on_mapped },
	{ "a program", begin_executed, go_on_executing },
	{ "flock", begin_flock, go_on_flock },
	{ "a POSIX lock", begin_posix, go_on_posix },
	{ "an OFD lock", begin_ofd, go_on_ofd },
	{ "a lease", begin_lease, go_on_lease },
	{ "inotify", begin_inotify, go_on_inotify },
	{ "fanotify", begin_fanotify, go_on_fanotify },
	{ "a working directory", begin_cwd, go_on_in_cwd },
	{ "a root", begin_root, go_on_in_root },
	{ "readdir", begin_readdir, go_on_with_readdir },
	{ "a mount", begin_mount, go_on_beneath },
	{ "a socket", begin_socket, go_on_with_socket },
	{ "a fifo", begin_fifo, go_on_with_fifo },
	{ "AIO", begin_aio, go_on_with_aio },
};

/* All branches have the same names. */
static int make_branch(const char *branch, const char *text)
{
	return run("mkdir -p %s/d/dir %s/d/many %s/d/point %s/d/special && cd %s/d && "
		   "for f in reader writer appender path unlinked mapped flock posix "
		   "ofd lease notify watched; do printf %s >$f || exit; done && "
		   "touch dir/inside && cp /bin/cat program && cd many && "
		   "seq 0 %d | xargs touch", branch, branch, branch, branch, branch,
		   text, MANY - 1);
}

static int id;

static int add_l3(void)
{
	return add_branch("l3", 0, 1) < 0 ? -1 : 0;
}

static int del_l2(void)
{
	return del_branch(id);
}

static int move_l2(void)
{
	return move_branch(id, 9);
}

static int make_l2_ro(void)
{
	return set_mode(id, 0);
}

static int make_l2_rw(void)
{
	return set_mode(id, MICA_BRANCH_RW);
}

static int snapshot_to_l1(void)
{
	return snapshot("l1");
}

/*
 * What is used is in the branch @used. The others have the same names; if @shown
 * is false, the change puts one of them in its place.
 */
static const struct {
	const char *name;
	int (*change)(void);
	const char *used;
	const char *branches;	/* at first */
	unsigned int l2;	/* its mode, if it is not one of those */
	bool shown;
} changes[] = {
	{ "add another", add_l3, "l2", "up:l2", 0, false },
	{ "del", del_l2, "l2", "up:l3", 0, false },
	{ "move", move_l2, "l2", "up:l3", 0, false },
	{ "mode ro", make_l2_ro, "l2", "up:l3", MICA_BRANCH_RW, true },
	{ "mode rw", make_l2_rw, "l2", "up:l3", 0, true },
	{ "snapshot", snapshot_to_l1, "up", "up:l3", 0, true },
};

static int mount_for(unsigned int c)
{
	bool mounted = strstr(changes[c].branches, changes[c].used);

	if (make_branch(changes[c].used, OLD) || make_branch("l3", OTHER) ||
	    mount_union(changes[c].branches))
		return -1;
	id = mounted ? 0 : add_branch("l2", changes[c].l2, 1);
	return id < 0 ? -1 : 0;
}

/* What is in a branch that is not writable afterwards stays as it is. */
TEST_F(live_users, all_go_on)
{
	unsigned int c, i;

	NOT_ON_OVERLAY("its layers stay");
	for (c = 0; c < ARRAY_SIZE(changes); c++) {
		DO(leave() ?: fresh(variant->fs));
		DO(mount_for(c));
		for (i = 0; i < ARRAY_SIZE(users); i++) {
			ASSERT_EQ(0, users[i].begin()) {
				TH_LOG("%s: does not begin", users[i].name);
			}
		}
		DO(run("cp -a %s before", changes[c].used));
		CHANGED(changes[c].change());
		for (i = 0; i < ARRAY_SIZE(users); i++) {
			EXPECT_EQ(0, users[i].go_on(changes[c].shown)) {
				TH_LOG("%s, %s: does not go on", changes[c].name,
				       users[i].name);
			}
		}
		if (changes[c].change == make_l2_rw)
			continue;
		EXPECT_EQ(0, run("diff -r -x .wh..wh.mica -x special before %s",
				 changes[c].used));
	}
}

static int map_on_stuck(void)
{
	int fd = open("stuck/f", O_RDWR);

	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED;
}

static int change_of_mnt(void)
{
	return add_branch("l2", 0, 1) < 0;
}

static int change_of_stuck(void)
{
	return run("mount -o remount,add=l3 stuck") ? 1 : 0;
}

/* How a process that does it ends; it is killed if it takes too long. */
static int ends(int (*call)(void), unsigned int seconds)
{
	unsigned int i;
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (!child) {
		setpgid(0, 0);
		_exit(call());
	}
	for (i = 0; i < 10 * seconds && !waitpid(child, &status, WNOHANG); i++)
		usleep(100000);
	if (i < 10 * seconds)
		return status;
	kill(-child, SIGKILL);
	/* What cannot be killed, either, is not waited for. */
	for (i = 0; i < 100; i++) {
		if (waitpid(child, &status, WNOHANG))
			return status;
		usleep(100000);
	}
	return -1;
}

/* The copy for mmap() is made by a worker, which nobody can kill. */
TEST_F(live_users, a_copy_that_hangs_holds_up_no_other_union)
{
	int disk;

	DO(run("truncate -s 24M image && mkfs.ext4 -q image && mkdir disk stuck && "
	       "mount -o loop image disk && mkdir disk/up"));
	DO(put("l1/f", OLD));
	DO(mount_mica("dirs=disk/up=rw:l1=ro", "stuck"));
	DO(mount_union("up:l3"));
	disk = open("disk", O_RDONLY);
	DO(ioctl(disk, FIFREEZE, 0));
	EXPECT_EQ(SIGKILL, ends(map_on_stuck, 1));
	EXPECT_EQ(0, ends(change_of_mnt, 60));
	EXPECT_EQ(SIGKILL, ends(change_of_stuck, 1));
	DO(ioctl(disk, FITHAW, 0));
	EXPECT_EQ(0, ends(change_of_stuck, 60));
	DO(close(disk));
	DO(umount("stuck"));
	DO(run("umount disk && rm image"));
}

TEST_HARNESS_MAIN
