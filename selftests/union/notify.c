// SPDX-License-Identifier: GPL-2.0-only
/* Who is told, who is kept out, what is made to wait, what is made durable. */
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include "../lib/harness.h"
#include "branches.h"
#include "util.h"

#define USER 1234

UNION_FIXTURE(notify);

/*
 * Events. What a listener hears of a union is compared with what it hears of a
 * plain directory, event by event.
 */

/* Each works in the current directory, where there are f, g, big, d and d/f. */
static int do_read(void)
{
	return strcmp(content("f"), "one") ? -1 : 0;
}

static int do_append(void)
{
	return add("f", "x");
}

static int do_create(void)
{
	return put("new", "x");
}

static int do_overwrite(void)
{
	return put("f", "x");
}

static int do_truncate(void)
{
	return truncate("f", 1);
}

static int do_chmod(void)
{
	return chmod("f", 0600);
}

static int do_chown(void)
{
	return chown("f", 3, 4);
}

static int do_utimes(void)
{
	return utimensat(AT_FDCWD, "f", NULL, 0);
}

static int do_setxattr(void)
{
	return set_xattr("f", "trusted.x", "y");
}

static int do_link(void)
{
	return link("f", "linked");
}

static int do_symlink(void)
{
	return symlink("f", "sym");
}

static int do_mkdir(void)
{
	return mkdir("newdir", 0755);
}

static int do_mkfifo(void)
{
	return mkfifo("fifo", 0644);
}

static int do_unlink(void)
{
	return unlink("f");
}

static int do_unlink_deep(void)
{
	return unlink("d/f");
}

static int do_rmdir(void)
{
	return unlink("d/f") ?: rmdir("d");
}

static int do_rename(void)
{
	return rename("f", "h");
}

static int do_rename_over(void)
{
	return rename("f", "g");
}

static int do_rename_away(void)
{
	return rename("f", "d/h");
}

static int do_rename_dir(void)
{
	return rename("d", "e");
}

static int do_exchange(void)
{
	return renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_EXCHANGE);
}

static int do_open_rdwr(void)
{
	int fd = open("f", O_RDWR);

	return fd < 0 ? -1 : close(fd);
}

static int do_fallocate(void)
{
	int fd = open("f", O_RDWR);

	return fallocate(fd, 0, 0, 8192) ?: close(fd);
}

static int do_readdir(void)
{
	return strcmp(ls("d"), "f") ? -1 : 0;
}

/* Copied up in pieces, which are nobody's business. */
static int do_append_big(void)
{
	return add("big", "x");
}

/* Opened before the copy, read and written after it. */
static int do_old_descriptor(void)
{
	int fd = open("f", O_RDONLY), w = open("f", O_WRONLY);
	char c;

	if (write(w, "y", 1) != 1 || read(fd, &c, 1) != 1 || c != 'y')
		return -1;
	return close(fd) ?: close(w);
}

static const struct {
	const char *name;
	int (*run)(void);
} operations[] = {
	{ "read", do_read },
	{ "append", do_append },
	{ "create", do_create },
	{ "overwrite", do_overwrite },
	{ "truncate", do_truncate },
	{ "chmod", do_chmod },
	{ "chown", do_chown },
	{ "utimes", do_utimes },
	{ "setxattr", do_setxattr },
	{ "link", do_link },
	{ "symlink", do_symlink },
	{ "mkdir", do_mkdir },
	{ "mkfifo", do_mkfifo },
	{ "unlink", do_unlink },
	{ "unlink deep", do_unlink_deep },
	{ "rmdir", do_rmdir },
	{ "rename", do_rename },
	{ "rename over", do_rename_over },
	{ "rename away", do_rename_away },
	{ "rename directory", do_rename_dir },
	{ "exchange", do_exchange },
	{ "open and close", do_open_rdwr },
	{ "fallocate", do_fallocate },
	{ "readdir", do_readdir },
	{ "append to a big one", do_append_big },
	{ "descriptor from before", do_old_descriptor },
};

static int make_tree(const char *dir)
{
	char path[64];
	unsigned int i;
	static const struct { const char *name, *text; } files[] = {
		{ "f", "one" }, { "g", "two" }, { "d/f", "three" },
	};

	snprintf(path, sizeof(path), "%s/d", dir);
	if (mkdir(path, 0755))
		return -1;
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		if (put(path, files[i].text))
			return -1;
	}
	snprintf(path, sizeof(path), "%s/big", dir);
	return fill(path, 3 << 20, 1);
}

/* Runs an operation in a directory; returns what it returns. */
static int run_in(const char *dir, int (*run)(void))
{
	int cwd = open(".", O_PATH), err;

	if (chdir(dir))
		return -1;
	err = run();
	if (fchdir(cwd))
		return -1;
	close(cwd);
	return err;
}

#define LOG_SIZE 4096

static void log_event(char *log, const char *format, ...)
{
	size_t len = strlen(log);
	va_list args;

	va_start(args, format);
	vsnprintf(log + len, LOG_SIZE - len, format, args);
	va_end(args);
}

/* What inotify says while an operation runs in a directory. */
static int inotify_log(const char *dir, int (*run)(void), char *log)
{
	static const char * const watched[] = { ".", "f", "g", "d", "d/f" };
	char buf[8192], path[64];
	unsigned int i;
	ssize_t len, at;
	int fd, err;

	*log = 0;
	fd = inotify_init1(IN_NONBLOCK);
	for (i = 0; i < ARRAY_SIZE(watched); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, watched[i]);
		if (inotify_add_watch(fd, path, IN_ALL_EVENTS) < 0)
			return -1;
	}
	err = run_in(dir, run);
	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (at = 0; at < len;) {
			struct inotify_event *ev = (void *)(buf + at);

			log_event(log, "%d:%x:%s ", ev->wd, ev->mask,
				  ev->len ? ev->name : "");
			at += sizeof(*ev) + ev->len;
		}
	}
	close(fd);
	return err;
}

TEST_F(notify, inotify_says_what_it_says_of_a_plain_directory)
{
	char plain[LOG_SIZE], here[LOG_SIZE];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		ASSERT_EQ(0, mkdir("plain", 0755));
		ASSERT_EQ(0, make_tree("plain"));
		ASSERT_EQ(0, make_tree("l1"));
		ASSERT_EQ(0, mount_union("up:l1"));
		EXPECT_EQ(0, inotify_log("plain", operations[i].run, plain));
		EXPECT_EQ(0, inotify_log("mnt", operations[i].run, here));
		EXPECT_STREQ(plain, here) {
			TH_LOG("%s", operations[i].name);
		}
		EXPECT_STRNE("", here);
		/* Once more, with what has been copied. */
		if (!strcmp(operations[i].name, "append")) {
			EXPECT_EQ(0, inotify_log("plain", do_append, plain));
			EXPECT_EQ(0, inotify_log("mnt", do_append, here));
			EXPECT_STREQ(plain, here);
		}
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, remove_all("plain") ?: remove_all("l1") ?:
			     remove_all("up"));
		ASSERT_EQ(0, mkdir("l1", 0755) ?: mkdir("up", 0755));
	}
}

/* What fanotify says, of a mount or of single inodes, by descriptors. */
static int fanotify_log(const char *dir, bool mount, int (*run)(void),
			char *log)
{
	uint64_t mask = FAN_ACCESS | FAN_MODIFY | FAN_CLOSE | FAN_OPEN |
			FAN_EVENT_ON_CHILD;
	struct fanotify_event_metadata *ev;
	char buf[8192], proc[64], path[PATH_MAX];
	ssize_t len;
	int fd, err;

	*log = 0;
	fd = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC,
			   O_RDONLY | O_LARGEFILE);
	if (fd < 0)
		return -1;
	if (mount)
		err = fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_MOUNT,
				    mask & ~FAN_EVENT_ON_CHILD, AT_FDCWD, dir);
	else
		err = fanotify_mark(fd, FAN_MARK_ADD, mask, AT_FDCWD, dir);
	if (err)
		return -1;
	err = run_in(dir, run);
	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (ev = (void *)buf; FAN_EVENT_OK(ev, len);
		     ev = FAN_EVENT_NEXT(ev, len)) {
			snprintf(proc, sizeof(proc), "/proc/self/fd/%d", ev->fd);
			memset(path, 0, sizeof(path));
			if (ev->fd < 0 || readlink(proc, path, PATH_MAX - 1) < 0)
				return -1;
			log_event(log, "%llx:%s ", ev->mask,
				  strrchr(path, '/') + 1);
			close(ev->fd);
		}
	}
	close(fd);
	return err;
}

TEST_F(notify, fanotify_says_what_it_says_of_a_plain_directory)
{
	static int (* const runs[])(void) = {
		do_read, do_append, do_create, do_overwrite, do_truncate,
		do_open_rdwr, do_append_big, do_old_descriptor, do_fallocate,
	};
	char plain[LOG_SIZE], here[LOG_SIZE];
	unsigned int i, m;

	for (i = 0; i < 2 * ARRAY_SIZE(runs); i++) {
		m = i % 2;
		ASSERT_EQ(0, mkdir("original", 0755));
		ASSERT_EQ(0, mkdir("again", 0755));
		ASSERT_EQ(0, make_tree("original"));
		ASSERT_EQ(0, mount("original", "again", NULL, MS_BIND, NULL));
		ASSERT_EQ(0, make_tree("l1"));
		ASSERT_EQ(0, mount_union("up:l1"));
		EXPECT_EQ(0, fanotify_log("again", m, runs[i / 2], plain));
		EXPECT_EQ(0, fanotify_log("mnt", m, runs[i / 2], here));
		EXPECT_STREQ(plain, here) {
			TH_LOG("operation %u, mount %u", i / 2, m);
		}
		ASSERT_EQ(0, umount("mnt") ?: umount("again"));
		ASSERT_EQ(0, rmdir("again") ?: remove_all("original") ?:
			     remove_all("l1") ?: remove_all("up"));
		ASSERT_EQ(0, mkdir("l1", 0755) ?: mkdir("up", 0755));
	}
}

/* Answers questions until it is killed, with a no to what is called "no". */
static void answer(int fd)
{
	struct fanotify_event_metadata *ev;
	char buf[4096], proc[64], path[PATH_MAX];
	ssize_t len;

	for (;;) {
		/* An error is no end: a no from the other made that open fail. */
		len = read(fd, buf, sizeof(buf));
		for (ev = (void *)buf; FAN_EVENT_OK(ev, len);
		     ev = FAN_EVENT_NEXT(ev, len)) {
			struct fanotify_response r = { .fd = ev->fd };

			snprintf(proc, sizeof(proc), "/proc/self/fd/%d", ev->fd);
			memset(path, 0, sizeof(path));
			readlink(proc, path, PATH_MAX - 1);
			r.response = strstr(path, "/no") ? FAN_DENY : FAN_ALLOW;
			write(fd, &r, sizeof(r));
			close(ev->fd);
		}
	}
}

/*
 * On its way to the file, who answers may be asked about the branch's. From 6.14
 * on the kernel does not know then who is opening, and another has to answer.
 */
static pid_t answerer(int fd)
{
	pid_t pid = fork();

	if (!pid)
		answer(fd);
	return pid;
}

static const struct {
	unsigned int flags;
	const char *path;
	/* The branch, where the same listener is asked about the real file. */
	const char *too;
} asked[] = {
	{ FAN_MARK_MOUNT, "mnt", NULL },
	{ FAN_MARK_FILESYSTEM, "mnt", NULL },
	{ 0, "mnt/no", NULL },
	{ FAN_MARK_FILESYSTEM, "mnt", "l1" },
};

TEST_F(notify, fanotify_decides_who_may_open)
{
	unsigned int i;
	pid_t pids[2];
	int fd;

	ASSERT_EQ(0, put("l1/no", "x"));
	ASSERT_EQ(0, put("l1/yes", "y"));
	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		ASSERT_EQ(0, mount_union("up:l1"));
		fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC,
				   O_RDONLY | O_LARGEFILE);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fanotify_mark(fd, FAN_MARK_ADD | asked[i].flags,
					   FAN_OPEN_PERM, AT_FDCWD,
					   asked[i].path));
		if (asked[i].too)
			ASSERT_EQ(0, fanotify_mark(fd, FAN_MARK_ADD |
						   FAN_MARK_FILESYSTEM,
						   FAN_OPEN_PERM, AT_FDCWD,
						   asked[i].too));
		pids[0] = answerer(fd);
		pids[1] = answerer(fd);
		HAS("mnt/yes", "y");
		FAILS(EPERM, open("mnt/no", O_RDONLY));
		ASSERT_EQ(0, add("mnt/yes", "z"));
		HAS("mnt/yes", "yz");
		/* The same file, copied up. */
		ASSERT_EQ(0, chmod("mnt/no", 0600));
		FAILS(EPERM, open("mnt/no", O_RDWR));
		kill(pids[0], SIGKILL);
		kill(pids[1], SIGKILL);
		ASSERT_EQ(pids[0], waitpid(pids[0], NULL, 0));
		ASSERT_EQ(pids[1], waitpid(pids[1], NULL, 0));
		close(fd);
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, remove_all("up") ?: mkdir("up", 0755));
	}
}

/* Leases. */

static int lease_signals(void)
{
	struct timespec none = { 0, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	return sigtimedwait(&set, NULL, &none) == SIGIO;
}

static void block_sigio(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static const struct {
	int holder;	/* how it is opened by who has the lease */
	int lease;
	bool copied;	/* before the lease */
	int other;	/* how it is opened then */
	bool broken;
} leases[] = {
	{ O_RDONLY, F_RDLCK, false, O_RDONLY, false },
	{ O_RDONLY, F_RDLCK, false, O_WRONLY, true },
	{ O_RDONLY, F_RDLCK, false, O_RDWR, true },
	{ O_RDONLY, F_RDLCK, true, O_RDONLY, false },
	{ O_RDONLY, F_RDLCK, true, O_WRONLY, true },
	{ O_RDWR, F_WRLCK, false, O_RDONLY, true },
	{ O_RDWR, F_WRLCK, false, O_WRONLY, true },
	{ O_RDWR, F_WRLCK, true, O_RDONLY, true },
	{ O_RDONLY, F_WRLCK, true, O_RDWR, true },
};

TEST_F(notify, leases_are_broken_by_who_opens)
{
	unsigned int i;
	int fd, other;

	block_sigio();
	for (i = 0; i < ARRAY_SIZE(leases); i++) {
		ASSERT_EQ(0, put("l1/f", "x"));
		ASSERT_EQ(0, mount_union("up:l1"));
		if (leases[i].copied)
			ASSERT_EQ(0, add("mnt/f", "y"));
		fd = open("mnt/f", leases[i].holder);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fcntl(fd, F_SETLEASE, leases[i].lease)) {
			TH_LOG("%u: %s", i, strerror(errno));
		}
		ASSERT_EQ(leases[i].lease, fcntl(fd, F_GETLEASE));
		/* The holder's own change copies it up, and breaks nothing. */
		if (leases[i].holder == O_RDWR)
			ASSERT_EQ(1, write(fd, "z", 1));
		ASSERT_FALSE(lease_signals());
		other = open("mnt/f", leases[i].other | O_NONBLOCK);
		if (leases[i].broken) {
			EXPECT_EQ(-1, other);
			EXPECT_EQ(EWOULDBLOCK, errno);
		} else {
			EXPECT_LE(0, other) {
				TH_LOG("%u: %s", i, strerror(errno));
			}
			close(other);
		}
		EXPECT_EQ(leases[i].broken, lease_signals()) {
			TH_LOG("%u", i);
		}
		ASSERT_EQ(0, fcntl(fd, F_SETLEASE, F_UNLCK));
		other = open("mnt/f", leases[i].other | O_NONBLOCK);
		EXPECT_LE(0, other);
		close(other);
		close(fd);
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, remove_all("up") ?: mkdir("up", 0755));
	}
}

TEST_F(notify, no_lease_where_others_have_it_open)
{
	int fd, other;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	other = open("mnt/f", O_WRONLY);
	fd = open("mnt/f", O_RDONLY);
	FAILS(EAGAIN, fcntl(fd, F_SETLEASE, F_RDLCK));
	FAILS(EAGAIN, fcntl(fd, F_SETLEASE, F_WRLCK));
	/* With a copy, too. */
	ASSERT_EQ(1, write(other, "y", 1));
	FAILS(EAGAIN, fcntl(fd, F_SETLEASE, F_RDLCK));
	close(other);
	ASSERT_EQ(0, fcntl(fd, F_SETLEASE, F_RDLCK));
	close(fd);
}

static int open_to_write(void *path)
{
	int fd = open(path, O_WRONLY);

	return fd < 0 ? errno : write(fd, "w", 1) != 1;
}

TEST_F(notify, who_opens_waits_for_the_lease)
{
	int fd, status;
	pid_t pid;

	block_sigio();
	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	fd = open("mnt/f", O_RDONLY);
	ASSERT_EQ(0, fcntl(fd, F_SETLEASE, F_RDLCK));
	pid = fork();
	if (!pid)
		_exit(open_to_write("mnt/f"));
	while (!lease_signals())
		usleep(1000);
	usleep(50000);
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	HAS("mnt/f", "x");
	ASSERT_EQ(0, fcntl(fd, F_SETLEASE, F_UNLCK));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	HAS("mnt/f", "w");
	close(fd);
}

/* From the kernel's fcntl.h of 6.19, which gives delegations to anybody. */
#define SETDELEG (1024 + 16)

struct deleg {
	__u32 flags;
	__u16 type;
	__u16 pad;
};

/* What is held in the branch, and what has it given back. */
static const struct {
	const char *held;
	const char *command;
} delegations[] = {
	{ "up/f", "rm mnt/f" },
	{ "up/f", "chmod 600 mnt/f" },
	{ "up/f", "echo >mnt/f" },
	{ "up/f", NULL },		/* truncate(2) */
	{ "up/f", "ln mnt/f mnt/g" },
	{ "up/f", "mv mnt/f mnt/g" },
	{ "up/f", "mv mnt/h mnt/f" },
	{ "up/d", "touch mnt/d/new" },
	{ "up/d", "mkdir mnt/d/new" },
	{ "up/d", "mkfifo mnt/d/new" },
	{ "up/d", "ln -s f mnt/d/new" },
	{ "up/d", "ln mnt/h mnt/d/new" },
	{ "up/d", "rm mnt/d/x" },
	{ "up/d", "rmdir mnt/d/y" },
	{ "up/d", "mv mnt/d/x mnt/x" },
	{ "up/d", "mv mnt/h mnt/d/x" },
	{ "up/d", "chmod 700 mnt/d/low" },
	{ "up/d", "chmod 700 mnt/d/lowdir" },
};

/* Until it is asked for what somebody else wants. */
static bool is_asked_for(void)
{
	int tries = 0;

	while (!lease_signals() && tries++ < 5000)
		usleep(1000);
	return tries <= 5000;
}

/* As clients of an NFS server of the branch have them. */
TEST_F(notify, delegations_of_a_branch_are_given_back)
{
	struct deleg deleg = { .type = F_RDLCK };
	int fd, i, status;
	pid_t pid;

	NOT_ON_OVERLAY("it fails with EAGAIN");
	block_sigio();
	fd = open("up", O_RDONLY | O_DIRECTORY);
	if (fcntl(fd, SETDELEG, &deleg))
		SKIP(return, "only servers can have delegations");
	close(fd);
	for (i = 0; i < (int)ARRAY_SIZE(delegations); i++) {
		const char *command = delegations[i].command;

		DO(run("rm -rf up l1 && mkdir -p up/d/y l1/d/lowdir && touch up/f up/h "
		       "up/d/x l1/d/low l1/d/x"));
		DO(mount_union("up:l1"));
		fd = open(delegations[i].held, O_RDONLY);
		deleg.type = F_RDLCK;
		ASSERT_EQ(0, fcntl(fd, SETDELEG, &deleg)) {
			TH_LOG("%s: %s", delegations[i].held, strerror(errno));
		}
		pid = fork();
		if (!pid)
			_exit(command ? !!run("%s", command) : truncate("mnt/f", 0));
		command = command ?: "truncate(2)";
		EXPECT_TRUE(is_asked_for()) {
			TH_LOG("%s: not asked for", command);
		}
		/* Time for it not to wait. */
		usleep(20000);
		EXPECT_EQ(0, waitpid(pid, &status, WNOHANG)) {
			TH_LOG("%s: not waited for", command);
		}
		deleg.type = F_UNLCK;
		ASSERT_EQ(0, fcntl(fd, SETDELEG, &deleg));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status) {
			TH_LOG("%s", command);
		}
		close(fd);
		DO(umount("mnt"));
	}
}

static int rename_f(void)
{
	return rename("mnt/f", "mnt/g");
}

static int rename_x(void)
{
	return rename("mnt/d/x", "mnt/d/z");
}

static pid_t start_to(int (*change)(void))
{
	pid_t pid = fork();

	if (!pid)
		_exit(!!change());
	return pid;
}

/* What is waited for may take as long as /proc/sys/fs/lease-break-time. */
TEST_F(notify, who_waits_for_a_delegation_or_for_him_can_be_killed)
{
	struct deleg deleg = { .type = F_RDLCK };
	pid_t waits, behind;
	int fd;

	NOT_ON_OVERLAY("it fails with EAGAIN");
	block_sigio();
	DO(run("mkdir up/d && touch up/f up/d/x"));
	DO(mount_union("up:l1"));
	/* Nobody has to look for it in the directory of the other. */
	DO(access("mnt/d/x", F_OK));
	fd = open("up/f", O_RDONLY);
	if (fcntl(fd, SETDELEG, &deleg))
		SKIP(return, "only servers can have delegations");
	waits = start_to(rename_f);
	ASSERT_TRUE(is_asked_for());
	usleep(20000);
	behind = start_to(rename_x);
	usleep(200000);
	DO(kill(behind, SIGKILL));
	ASSERT_EQ(behind, waitpid(behind, NULL, 0));
	DO(access("mnt/d/x", F_OK));
	ASSERT_EQ(0, waitpid(waits, NULL, WNOHANG));
	DO(kill(waits, SIGKILL));
	ASSERT_EQ(waits, waitpid(waits, NULL, 0));
	DO(access("mnt/f", F_OK) ?: access("up/f", F_OK));
	deleg.type = F_UNLCK;
	DO(fcntl(fd, SETDELEG, &deleg));
	DO(rename_f() ?: rename_x());
	close(fd);
}

/* Locks: one is taken and one tried; errno or 0. */

static int flock_it(int fd, bool exclusive)
{
	return flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) ? errno : 0;
}

static int flock_not(int fd)
{
	return flock(fd, LOCK_UN);
}

static int ofd_it(int fd, bool exclusive)
{
	struct flock lock = {
		.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_len = 10,
	};

	return fcntl(fd, F_OFD_SETLK, &lock) ? errno : 0;
}

static int ofd_not(int fd)
{
	struct flock lock = { .l_type = F_UNLCK };

	return fcntl(fd, F_OFD_SETLK, &lock);
}

static int posix_it(int fd, bool exclusive)
{
	struct flock lock = {
		.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_len = 10,
	};

	return fcntl(fd, F_SETLK, &lock) ? errno : 0;
}

static int posix_not(int fd)
{
	struct flock lock = { .l_type = F_UNLCK };

	return fcntl(fd, F_SETLK, &lock);
}

static const struct {
	const char *name;
	int (*lock)(int fd, bool exclusive);
	int (*unlock)(int fd);
	bool ro_exclusive;	/* also through a read-only descriptor */
} locks[] = {
	{ "flock", flock_it, flock_not, true },
	{ "OFD", ofd_it, ofd_not, false },
	{ "POSIX", posix_it, posix_not, false },
};

/* In another process, for that is who has a POSIX lock. */
static int lock_in_child(const char *path, int how, unsigned int kind,
			 bool exclusive)
{
	int status, fd;
	pid_t pid = fork();

	if (!pid) {
		fd = open(path, how);
		_exit(fd < 0 ? 255 : locks[kind].lock(fd, exclusive));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Taken on a file below, it holds on the copy, and the other way round. */
TEST_F(notify, locks_taken_before_a_copy_hold_after_it)
{
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(locks); i++) {
		ASSERT_EQ(0, put("l1/f", "x"));
		ASSERT_EQ(0, mount_union("up:l1"));
		fd = open("mnt/f", O_RDONLY);
		ASSERT_EQ(0, locks[i].lock(fd, locks[i].ro_exclusive));
		/* Any descriptor of the process would take that kind away. */
		ASSERT_EQ(0, run("echo y >>mnt/f"));
		ASSERT_TRUE(there("up/f"));
		EXPECT_EQ(EAGAIN, lock_in_child("mnt/f", O_RDWR, i, true)) {
			TH_LOG("%s", locks[i].name);
		}
		EXPECT_EQ(locks[i].ro_exclusive ? EAGAIN : 0,
			  lock_in_child("mnt/f", O_RDONLY, i, false));
		ASSERT_EQ(0, locks[i].unlock(fd));
		EXPECT_EQ(0, lock_in_child("mnt/f", O_RDWR, i, true));
		close(fd);

		fd = open("mnt/f", O_RDWR);
		ASSERT_EQ(0, locks[i].lock(fd, true));
		EXPECT_EQ(EAGAIN, lock_in_child("mnt/f", O_RDONLY, i, false));
		close(fd);
		EXPECT_EQ(0, lock_in_child("mnt/f", O_RDONLY, i, false));
		ASSERT_EQ(0, umount("mnt"));
		ASSERT_EQ(0, remove_all("up") ?: mkdir("up", 0755));
	}
}

/* A lock of the branch is another's. */
TEST_F(notify, locks_of_the_branch_are_not_those_of_the_union)
{
	int fd;

	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_union("up:l1"));
	fd = open("l1/f", O_RDWR);
	ASSERT_EQ(0, flock_it(fd, true));
	EXPECT_EQ(0, lock_in_child("mnt/f", O_RDWR, 0, true));
	close(fd);
}

/* Freezing. */

static int do_rename_plain(void)
{
	return rename("mnt/g", "mnt/h");
}

static int freeze_append(void)	{ return add("mnt/f", "y"); }
static int freeze_create(void)	{ return put("mnt/new", "y"); }
static int freeze_mkdir(void)	{ return mkdir("mnt/newdir", 0755); }
static int freeze_unlink(void)	{ return unlink("mnt/gone"); }
static int freeze_rmdir(void)	{ return rmdir("mnt/d"); }
static int freeze_chmod(void)	{ return chmod("mnt/c", 0600); }
static int freeze_xattr(void)	{ return set_xattr("mnt/x", "trusted.x", "y"); }
static int freeze_truncate(void) { return truncate("mnt/t", 0); }
static int freeze_link(void)	{ return link("mnt/l", "mnt/l2"); }
static int freeze_symlink(void)	{ return symlink("f", "mnt/s"); }

static int (* const freezers[])(void) = {
	freeze_append, freeze_create, freeze_mkdir, freeze_unlink,
	freeze_rmdir, freeze_chmod, freeze_xattr, freeze_truncate, freeze_link,
	freeze_symlink, do_rename_plain,
};

#define FREEZERS ARRAY_SIZE(freezers)

/* Starts all of them at once, each in a process; it says when it begins. */
static int start_freezers(pid_t *pids)
{
	int fds[2];
	unsigned int i;
	char c;

	if (pipe(fds))
		return -1;
	fflush(NULL);
	for (i = 0; i < FREEZERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			write(fds[1], "", 1);
			_exit(freezers[i]() ? errno : 0);
		}
	}
	for (i = 0; i < FREEZERS; i++)
		if (read(fds[0], &c, 1) != 1)
			return -1;
	close(fds[0]);
	close(fds[1]);
	usleep(300000);
	return 0;
}

static int make_for_freezers(void)
{
	return run("cd l1 && touch g gone c x l && echo -n x >f && echo t >t && "
		   "mkdir d");
}

TEST_F(notify, a_frozen_union_makes_changes_wait)
{
	pid_t pids[FREEZERS];
	unsigned int i;
	int fd, status;

	NOT_ON_OVERLAY("cannot be frozen");
	ASSERT_EQ(0, make_for_freezers());
	ASSERT_EQ(0, mount_union("up:l1"));
	fd = open("mnt", O_RDONLY);
	FAILS(EINVAL, ioctl(fd, FITHAW, 0));
	ASSERT_EQ(0, ioctl(fd, FIFREEZE, 0)) {
		TH_LOG("%s", strerror(errno));
	}
	FAILS(EBUSY, ioctl(fd, FIFREEZE, 0));
	ASSERT_EQ(0, start_freezers(pids));
	for (i = 0; i < FREEZERS; i++)
		EXPECT_EQ(0, waitpid(pids[i], NULL, WNOHANG)) {
			TH_LOG("change %u did not wait", i);
		}
	EXPECT_STREQ("", ls("up"));
	/* Reading goes on, and so does the branch. */
	HAS("mnt/f", "x");
	EXPECT_STREQ("c d f g gone l t x", ls("mnt"));
	EXPECT_EQ(0, put("up/.wh.other", "") ?: unlink("up/.wh.other"));
	ASSERT_EQ(0, ioctl(fd, FITHAW, 0));
	for (i = 0; i < FREEZERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status) {
			TH_LOG("change %u: %s", i,
			       strerror(WEXITSTATUS(status)));
		}
	}
	HAS("mnt/f", "xy");
	EXPECT_STREQ("c f h l l2 new newdir s t x", ls("mnt"));
}

static int try_freeze(void *path)
{
	return ioctl(open(path, O_RDONLY), FIFREEZE, 0) ? errno : 0;
}

TEST_F(notify, only_root_freezes)
{
	NOT_ON_OVERLAY("cannot be frozen");
	ASSERT_EQ(0, mount_union("up:l1"));
	ASSERT_EQ(EPERM, as_user(USER, try_freeze, "mnt"));
}

TEST_F(notify, a_frozen_branch_makes_changes_wait)
{
	pid_t pids[FREEZERS];
	int fd, known, status;
	unsigned int i;
	char c;

	if (!strcmp(variant->fs, "tmpfs"))
		SKIP(return, "tmpfs cannot be frozen");
	ASSERT_EQ(0, make_for_freezers());
	ASSERT_EQ(0, mount_union("up:l1"));
	known = open("mnt/f", O_RDONLY);
	fd = open("up", O_RDONLY);
	ASSERT_EQ(0, ioctl(fd, FIFREEZE, 0));
	ASSERT_EQ(0, start_freezers(pids));
	for (i = 0; i < FREEZERS; i++)
		EXPECT_EQ(0, waitpid(pids[i], NULL, WNOHANG)) {
			TH_LOG("change %u did not wait", i);
		}
	/* Who looks for a name may wait, too; what is known is read. */
	ASSERT_EQ(1, pread(known, &c, 1, 0));
	ASSERT_EQ(0, ioctl(fd, FITHAW, 0));
	for (i = 0; i < FREEZERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status) {
			TH_LOG("change %u: %s", i,
			       strerror(WEXITSTATUS(status)));
		}
	}
	HAS("mnt/f", "xy");
}

TEST_F(notify, statfs_tells_of_the_writable_branch)
{
	struct statfs here, there, mid;

	NOT_ON_OVERLAY("one rw branch only");
	ASSERT_EQ(0, mkdir("disk", 0755));
	ASSERT_EQ(0, mount("none", "disk", "tmpfs", 0, "size=3M,nr_inodes=77"));
	ASSERT_EQ(0, mkdir("disk/rw", 0755) ?: mkdir("disk/rw/d", 0755));
	ASSERT_EQ(0, put("l1/f", "x"));
	ASSERT_EQ(0, mount_mica("dirs=l1=ro:disk/rw=rw:l2=ro", "mnt"));
	ASSERT_EQ(0, statfs("disk", &there));
	ASSERT_EQ(0, statfs("mnt/f", &here));
	EXPECT_EQ(there.f_blocks, here.f_blocks);
	EXPECT_EQ(there.f_bfree, here.f_bfree);
	EXPECT_EQ(there.f_bsize, here.f_bsize);
	EXPECT_EQ(77, here.f_files);
	EXPECT_EQ(255, here.f_namelen);
	EXPECT_EQ(0x6d696361, here.f_type);
	EXPECT_EQ(0, here.f_flags & ST_RDONLY);
	/* It follows what is written through the union. */
	ASSERT_EQ(0, fill("mnt/d/new", 1 << 20, 1));
	ASSERT_EQ(0, statfs("mnt", &mid));
	EXPECT_EQ(here.f_bfree - mid.f_bfree, (1 << 20) / here.f_bsize);
	ASSERT_EQ(0, umount("mnt"));
	/* Nothing of it can be written to: the first, then. */
	ASSERT_EQ(0, mount_mica("dirs=l1=ro:disk/rw=ro", "mnt"));
	ASSERT_EQ(0, statfs("l1", &there));
	ASSERT_EQ(0, statfs("mnt", &here));
	EXPECT_EQ(there.f_blocks, here.f_blocks);
	EXPECT_EQ(ST_RDONLY, here.f_flags & ST_RDONLY);
	ASSERT_EQ(0, umount("mnt") ?: umount("disk"));
}

/* The writable branch is on a file system of its own, at disk. */
FIXTURE(disk) {};

FIXTURE_SETUP(disk)
{
	DO(fresh("tmpfs"));
}

FIXTURE_TEARDOWN(disk)
{
	EXPECT_EQ(0, leave());
}

static int make_disk(const char *mkfs, const char *options)
{
	return run("mkdir -p disk && truncate -s 24M image && %s image && "
		   "mount -o loop%s image disk && mkdir disk/up", mkfs,
		   options);
}

/* Quotas. */

static int quota(int cmd, struct dqblk *dq)
{
	int fd = open("disk", O_RDONLY), err;

	err = syscall(__NR_quotactl_fd, fd, QCMD(cmd, USRQUOTA), USER, dq);
	close(fd);
	return err;
}

static int limit(unsigned long kbytes, unsigned long inodes)
{
	struct dqblk dq = {
		.dqb_bhardlimit = kbytes, .dqb_ihardlimit = inodes,
		.dqb_valid = QIF_LIMITS,
	};

	return quota(Q_SETQUOTA, &dq);
}

static long used(void)
{
	struct dqblk dq = {};
	int fd = open("disk", O_RDONLY);

	/* What is not yet written is not yet counted in full. */
	syncfs(fd);
	close(fd);
	return quota(Q_GETQUOTA, &dq) ? -1 :
	       (long)(dq.dqb_curspace + dq.dqb_curinodes);
}

static int try_fill(void *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644), err = 0;
	static char block[4096];
	int i;

	if (fd < 0)
		return errno;
	for (i = 0; i < 512 && !err; i++)
		err = write(fd, block, sizeof(block)) < 0 ? errno : 0;
	close(fd);
	return err;
}

static int try_append(void *path)
{
	return add(path, "x") ? errno : 0;
}

static int try_touch(void *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	return fd < 0 ? errno : close(fd);
}

static int try_chmod(void *path)
{
	return chmod(path, 0600) ? errno : 0;
}

static int try_mkdir(void *path)
{
	return mkdir(path, 0755) ? errno : 0;
}

static int try_rename(void *path)
{
	return rename(path, "mnt/renamed") ? errno : 0;
}

static const struct {
	unsigned long kbytes;
	unsigned long inodes;
	uid_t as;
	int (*attempt)(void *path);
	const char *path;
	int err;
} quotas[] = {
	/* New data of the user's. */
	{ 256, 0, USER, try_fill, "mnt/new", EDQUOT },
	{ 4096, 0, USER, try_fill, "mnt/new", 0 },
	{ 0, 1, USER, try_touch, "mnt/new", 0 },
	/* One inode is there already. */
	{ 0, 1, USER, try_touch, "mnt/second", EDQUOT },
	{ 0, 1, USER, try_mkdir, "mnt/second", EDQUOT },
	/* Copies: the file below has 1 MiB. */
	{ 256, 0, USER, try_append, "mnt/low", EDQUOT },
	{ 256, 0, 0, try_append, "mnt/low", EDQUOT },
	{ 0, 1, USER, try_append, "mnt/low", EDQUOT },
	{ 0, 1, USER, try_chmod, "mnt/low", EDQUOT },
	{ 0, 1, 0, try_chmod, "mnt/low", EDQUOT },
	{ 0, 1, USER, try_rename, "mnt/low", EDQUOT },
	{ 4096, 8, USER, try_append, "mnt/low", 0 },
	/* Attributes only, and then the data does not fit. */
	{ 256, 0, USER, try_append, "mnt/meta", EDQUOT },
	{ 256, 0, 0, try_append, "mnt/meta", EDQUOT },
	{ 4096, 0, USER, try_append, "mnt/meta", 0 },
};

TEST_F(disk, quotas_of_a_branch_hold)
{
	const char *work = "disk/up/.wh..wh.mica/work";
	unsigned int i;
	long before;

	NOT_ON_OVERLAY("other directories");
	ASSERT_EQ(0, fill("l1/low", 1 << 20, 1) ?: fill("l1/meta", 1 << 20, 2));
	ASSERT_EQ(0, chown("l1/low", USER, USER) ?:
		     chown("l1/meta", USER, USER) ?: chmod("l1", 0777));
	for (i = 0; i < ARRAY_SIZE(quotas); i++) {
		const char *path = quotas[i].path;

		ASSERT_EQ(0, make_disk("mkfs.ext4 -q -O quota "
				       "-E quotatype=usrquota", ",usrquota"));
		ASSERT_EQ(0, chmod("disk/up", 0777));
		ASSERT_EQ(0, mount_mica("dirs=disk/up=rw:l1=ro", "mnt"));
		if (strstr(path, "second"))
			ASSERT_EQ(0, as_user(USER, try_touch, "mnt/first"));
		if (strstr(path, "low") && quotas[i].inodes == 1)
			ASSERT_EQ(0, as_user(USER, try_touch, "mnt/first"));
		if (strstr(path, "meta"))
			ASSERT_EQ(0, as_user(USER, try_chmod, "mnt/meta"));
		before = used();
		ASSERT_LE(0, before);
		ASSERT_EQ(0, limit(quotas[i].kbytes, quotas[i].inodes)) {
			TH_LOG("%s", strerror(errno));
		}
		EXPECT_EQ(quotas[i].err, as_user(quotas[i].as,
						 quotas[i].attempt,
						 (void *)path)) {
			TH_LOG("%u: %s", i, path);
		}
		EXPECT_STREQ("", ls(work));
		if (quotas[i].err && !strcmp(path, "mnt/low")) {
			EXPECT_EQ(0, filled(path, 1 << 20, 1));
			EXPECT_FALSE(there("disk/up/low"));
		}
		if (quotas[i].err && !strcmp(path, "mnt/meta"))
			EXPECT_EQ(0, filled(path, 1 << 20, 2));
		if (quotas[i].err && quotas[i].attempt != try_fill) {
			EXPECT_EQ(before, used()) {
				TH_LOG("%u: %s leaves something", i, path);
			}
		}
		ASSERT_EQ(0, umount("mnt") ?: umount("disk"));
	}
}

/*
 * What is synced is on the disk: a copy of the disk, taken there and then, has
 * it. Its journal is written only when something asks for it.
 */

static int sync_nothing(const char *name)
{
	return put(name, "new");
}

static int sync_written(const char *name, int (*how)(int fd))
{
	int fd = open(name, O_RDWR | O_CREAT, 0644);

	return write(fd, "new", 3) == 3 ? how(fd) ?: close(fd) : -1;
}

static int sync_fsync(const char *name)
{
	return sync_written(name, fsync);
}

static int sync_fdatasync(const char *name)
{
	return sync_written(name, fdatasync);
}

/* Then nothing of the union's own tells that it is new. */
static int sync_forgotten(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT, 0644);

	if (write(fd, "old", 3) != 3 || close(fd) ||
	    run("echo 2 >/proc/sys/vm/drop_caches"))
		return -1;
	return sync_written(name, fdatasync);
}

static int sync_syncfs(const char *name)
{
	return sync_written(name, syncfs);
}

static int sync_sync(const char *name)
{
	if (put(name, "new"))
		return -1;
	sync();
	return 0;
}

static int sync_dsync(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_DSYNC, 0644);

	return write(fd, "new", 3) == 3 ? close(fd) : -1;
}

/* By a descriptor that was there before the copy. */
static int sync_old(const char *name)
{
	int fd = open(name, O_RDONLY);

	return fd < 0 ? -1 : put(name, "new") ?: fsync(fd) ?: close(fd);
}

static int sync_directory(const char *name)
{
	int fd = open("mnt", O_RDONLY);

	return put(name, "new") ?: fsync(open(name, O_RDONLY)) ?: fsync(fd);
}

static int sync_range(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT, 0644);

	/* It is no promise for blocks that are new. */
	if (write(fd, "old", 3) != 3 || fsync(fd) ||
	    pwrite(fd, "new", 3, 0) != 3)
		return -1;
	return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE |
			       SYNC_FILE_RANGE_WAIT_AFTER);
}

static int sync_freeze(const char *name)
{
	int fd = open("mnt", O_RDONLY);

	return put(name, "new") ?: ioctl(fd, FIFREEZE, 0) ?:
	       ioctl(fd, FITHAW, 0);
}

static const struct {
	const char *what;
	int (*write)(const char *name);
	bool durable;
} syncs[] = {
	{ "nothing", sync_nothing, false },
	{ "fsync", sync_fsync, true },
	{ "fdatasync", sync_fdatasync, true },
	{ "fdatasync after it left memory", sync_forgotten, true },
	{ "syncfs", sync_syncfs, true },
	{ "sync", sync_sync, true },
	{ "O_DSYNC", sync_dsync, true },
	{ "old descriptor", sync_old, true },
	{ "directory", sync_directory, true },
	/* The page cache is that of the branch's file, which it does not see. */
	{ "sync_file_range", sync_range, false },
	{ "freeze", sync_freeze, true },
};

TEST_F(disk, what_is_synced_is_durable)
{
	char name[32];
	unsigned int i, low;

	NOT_ON_OVERLAY("other directories");
	for (i = 0; i < 2 * ARRAY_SIZE(syncs); i++) {
		unsigned int s = i / 2;

		/* Of a file below, which is copied up, and of a new one. */
		low = i % 2;
		if (!low && syncs[s].write == sync_old)
			continue;
		ASSERT_EQ(0, make_disk("mkfs.ext4 -q -E lazy_itable_init=0",
				       ",commit=900"));
		snprintf(name, sizeof(name), "l1/low%u", s);
		ASSERT_EQ(0, put(name, "low"));
		ASSERT_EQ(0, mount_mica("dirs=disk/up=rw:l1=ro", "mnt"));
		ASSERT_EQ(0, run("sync -f disk"));
		snprintf(name, sizeof(name), "mnt/%s%u", low ? "low" : "f", s);
		EXPECT_EQ(0, syncs[s].write(name)) {
			TH_LOG("%s: %s", syncs[s].what, strerror(errno));
		}
		ASSERT_EQ(0, run("mkdir -p crashed && cp image image2 && "
				 "mount -o loop image2 crashed"));
		snprintf(name, sizeof(name), "crashed/up/%s%u",
			 low ? "low" : "f", s);
		if (syncs[s].durable) {
			EXPECT_STREQ("new", content(name)) {
				TH_LOG("%s, %s", syncs[s].what, name);
			}
		} else {
			EXPECT_STRNE("new", content(name));
		}
		ASSERT_EQ(0, umount("crashed"));
		close_range(3, ~0U, 0);
		ASSERT_EQ(0, umount("mnt") ?: umount("disk"));
	}
}

/* The snapshot has not synced it, and what the descriptor leads to has none. */
TEST_F(disk, fsync_of_a_copy_of_attributes_syncs_the_data_below)
{
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	ASSERT_EQ(0, make_disk("mkfs.ext4 -q -E lazy_itable_init=0",
			       ",commit=900"));
	ASSERT_EQ(0, mount_mica("dirs=disk/up=rw:l1=ro", "mnt"));
	ASSERT_EQ(0, run("mkdir disk/top crashed && sync -f disk"));
	fd = open("mnt/f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	ASSERT_EQ(3, write(fd, "new", 3));
	CHANGED(snapshot("disk/top"));
	ASSERT_EQ(0, fchmod(fd, 0600));
	ASSERT_EQ(0, fsync(fd));
	close(fd);
	ASSERT_EQ(0, run("cp image image2 && mount -o loop image2 crashed"));
	ASSERT_EQ(0, mount_mica("dirs=crashed/top=rw:crashed/up=ro", "mnt"));
	EXPECT_STREQ("new", content("mnt/f"));
	ASSERT_EQ(0, umount("mnt") ?: umount("crashed"));
	ASSERT_EQ(0, umount("mnt") ?: umount("disk"));
}

/* They lead to what is written, and perhaps synced, after the snapshot. */
TEST_F(disk, names_that_a_snapshot_puts_into_the_index_are_durable)
{
	char from[64];
	int fd;

	NOT_ON_OVERLAY("its layers stay");
	ASSERT_EQ(0, make_disk("mkfs.ext4 -q -E lazy_itable_init=0",
			       ",commit=900"));
	ASSERT_EQ(0, mount_mica("dirs=disk/up=rw:l1=ro", "mnt"));
	fd = open("mnt", O_TMPFILE | O_RDWR, 0644);
	ASSERT_LE(0, fd);
	sprintf(from, "/proc/self/fd/%d", fd);
	ASSERT_EQ(0, linkat(AT_FDCWD, from, AT_FDCWD, "mnt/f", AT_SYMLINK_FOLLOW));
	ASSERT_EQ(0, run("sync -f disk; mkdir top crashed"));
	CHANGED(snapshot("top"));
	ASSERT_EQ(0, run("cp image image2 && mount -o loop image2 crashed"));
	/* It, and the entry of the index. */
	EXPECT_EQ(0, run("find crashed/up -type f -links 2 | grep -q ."));
	close(fd);
	ASSERT_EQ(0, umount("crashed"));
	ASSERT_EQ(0, umount("mnt") ?: umount("disk"));
}

/* Each part of what could not be written may have an error of its own. */
static bool syncfs_fails(int fd)
{
	return syncfs(fd) && (errno == EIO || errno == ENOSPC);
}

/* The image has more blocks than what it is on, so some cannot be written. */
TEST_F(disk, syncfs_tells_what_could_not_be_written)
{
	int disk, writer, other;

	NOT_ON_OVERLAY("tells it on volatile mounts only");
	ASSERT_EQ(0, run("mkdir small disk && mount -t tmpfs -o size=12M tmpfs small && "
			 "truncate -s 64M small/image && "
			 "mkfs.ext4 -q -O ^has_journal small/image && "
			 "mount -o loop small/image disk && mkdir disk/up"));
	ASSERT_EQ(0, mount_mica("dirs=disk/up=rw:l1=ro", "mnt"));
	disk = open("disk", O_RDONLY);
	writer = open("mnt", O_RDONLY);
	other = open("mnt", O_RDONLY);
	ASSERT_EQ(0, syncfs(writer));
	ASSERT_EQ(0, run("head -c 24M /dev/urandom >mnt/f"));
	EXPECT_TRUE(syncfs_fails(writer));
	/* Once to each. */
	EXPECT_TRUE(syncfs_fails(other));
	EXPECT_EQ(0, syncfs(writer));
	EXPECT_TRUE(syncfs_fails(disk));
	close(disk);
	close(writer);
	close(other);
	ASSERT_EQ(0, umount("mnt"));
	EXPECT_EQ(0, run("umount disk; umount -l small"));
}

TEST_F(disk, volatile_syncs_nothing)
{
	NOT_ON_OVERLAY("other directories");
	ASSERT_EQ(0, make_disk("mkfs.ext4 -q -E lazy_itable_init=0",
			       ",commit=900"));
	ASSERT_EQ(0, mount_mica("dirs=disk/up=rw:l1=ro,volatile", "mnt"));
	ASSERT_EQ(0, run("sync -f disk"));
	ASSERT_EQ(0, sync_fsync("mnt/f") ?: sync_syncfs("mnt/g"));
	ASSERT_EQ(0, run("mkdir -p crashed && cp image image2 && "
			 "mount -o loop image2 crashed"));
	EXPECT_STRNE("new", content("crashed/up/f"));
	EXPECT_STRNE("new", content("crashed/up/g"));
	close_range(3, ~0U, 0);
	ASSERT_EQ(0, umount("crashed") ?: umount("mnt") ?: umount("disk"));
}

TEST_HARNESS_MAIN
