// SPDX-License-Identifier: GPL-2.0-only
/* What the tests of the union share: see util.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "kselftest.h"
#include "util.h"

/* In the directory, opaque in the dot form. */
#define DOT_OPAQUE "%s/.wh..wh..opq"

bool on_overlay;

static char scratch[32] = "/tmp/union-XXXXXX";
static char test_dir[PATH_MAX];
static pid_t main_pid;

static char *buffer(size_t size)
{
	static char *buffers[8];
	static unsigned int next;
	char **b = &buffers[next++ % 8];

	free(*b);
	*b = calloc(1, size);
	return *b;
}

/*
 * The scratch directory, a tmpfs in a mount namespace of our own: whatever
 * happens, nothing of it outlives the program.
 */
static void remove_scratch(void)
{
	if (getpid() != main_pid)
		return;
	if (chdir("/") || umount2(scratch, MNT_DETACH) || rmdir(scratch))
		fprintf(stderr, "# %s stays: %s\n", scratch, strerror(errno));
}

static void __attribute__((constructor)) make_scratch(void)
{
	const char *type = getenv("UNION_FSTYPE");
	struct rlimit no_core = { 0, 0 };

	on_overlay = type && !strcmp(type, "overlay");
	umask(022);
	setrlimit(RLIMIT_CORE, &no_core);
	main_pid = getpid();
	if (geteuid())
		ksft_exit_skip("the union is tested as root\n");
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(scratch) ||
	    mount("scratch", scratch, "tmpfs", 0, "mode=0755"))
		ksft_exit_fail_msg("no scratch directory: %s\n",
				   strerror(errno));
	atexit(remove_scratch);
	/* Nothing but udev would make the devices that load it. */
	if (system("modprobe loop"))
		ksft_exit_fail_msg("no loop devices\n");
}

int run(const char *format, ...)
{
	char command[8192];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	fflush(NULL);
	status = system(command);
	if (!status)
		return 0;
	printf("# \"%s\": status %#x\n", command, status);
	errno = ECHILD;
	return -1;
}

/* A file system of that type, made when it is first asked for. */
const char *scratch_on(const char *fstype)
{
	char *dir = buffer(PATH_MAX);
	struct stat st;

	snprintf(dir, PATH_MAX, "%s/%s", scratch, fstype);
	if (!stat(dir, &st))
		return dir;
	if (mkdir(dir, 0755))
		return NULL;
	if (!strcmp(fstype, "tmpfs"))
		return mount("tmpfs", dir, "tmpfs", 0, "mode=0755") ?
			NULL : dir;
	if (run("truncate -s 400M %s.img && mkfs.%s -q %s.img && "
		"mount -t %s -o loop %s.img %s",
		dir, fstype, dir, fstype, dir, dir)) {
		rmdir(dir);
		return NULL;
	}
	return dir;
}

int fresh(const char *fstype)
{
	static const char * const dirs[] = {
		"up", "l1", "l2", "l3", "work", "mnt"
	};
	const char *fs = scratch_on(fstype);
	unsigned int i;

	if (!fs)
		return -1;
	snprintf(test_dir, sizeof(test_dir), "%s/XXXXXX", fs);
	if (!mkdtemp(test_dir) || chmod(test_dir, 0755) || chdir(test_dir))
		return -1;
	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(dirs[i], 0755))
			return -1;
	return 0;
}

/* Unmounts, which nothing may hinder; descriptors of the test are closed. */
int leave(void)
{
	const char *mnt = here("mnt");
	int err = 0;

	if (chdir("/"))
		return -1;
	close_range(3, ~0U, 0);
	while (!umount(mnt))
		;
	if (errno != EINVAL) {
		err = errno;
		printf("# umount %s: %s\n", mnt, strerror(err));
		umount2(mnt, MNT_DETACH);
	}
	errno = err;
	return err ? -1 : 0;
}

const char *here(const char *path)
{
	char *full = buffer(2 * PATH_MAX);

	snprintf(full, 2 * PATH_MAX, "%s/%s", test_dir, path);
	return full;
}

int mount_mica(const char *options, const char *target)
{
	return mount("none", target, "mica", 0, options);
}

/* Append ":branch", or the first without the colon, to the options. */
static void add_branch(char *options, size_t size, const char *branch,
		       const char *mode, bool first)
{
	size_t len = strlen(options);

	snprintf(options + len, size - len, "%s%s%s%s", first ? "" : ":",
		 *branch == '/' ? branch : here(branch), mode ? "=" : "",
		 mode ?: "");
}

static int mount_branches(const char *branches, const char *more, bool rw)
{
	char options[16384] = "", list[16384], *rest = list, *name;
	bool first = true;

	snprintf(list, sizeof(list), "%s", branches);
	if (on_overlay) {
		if (rw) {
			name = strsep(&rest, ":");
			snprintf(options, sizeof(options),
				 "upperdir=%s,workdir=%s,", here(name),
				 here("work"));
			if (!rest)
				rest = "l3";
		}
		strcat(options, "lowerdir=");
	} else {
		strcat(options, "dirs=");
	}
	while ((name = strsep(&rest, ":"))) {
		add_branch(options, sizeof(options), name,
			   on_overlay ? NULL : first && rw ? "rw" : "ro",
			   first);
		first = false;
	}
	if (more) {
		strcat(options, ",");
		strcat(options, more);
	}
	return mount("none", here("mnt"), on_overlay ? "overlay" : "mica", 0,
		     options);
}

int mount_union(const char *branches)
{
	return mount_branches(branches, NULL, true);
}

int mount_union_ro(const char *branches)
{
	return mount_branches(branches, NULL, false);
}

int mount_union_with(const char *branches, const char *options)
{
	return mount_branches(branches, options, true);
}

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t done = write(fd, text, len);

	if (done >= 0 && (size_t)done != len) {
		errno = EIO;
		done = -1;
	}
	if (done < 0) {
		close(fd);
		return -1;
	}
	return close(fd);
}

int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	return fd < 0 ? -1 : write_all(fd, text);
}

int add(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	return fd < 0 ? -1 : write_all(fd, text);
}

const char *content(const char *path)
{
	char *text = buffer(4096);
	int fd = open(path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, 4095);

	if (len < 0)
		snprintf(text, 4096, "(%s)", strerror(errno));
	if (fd >= 0)
		close(fd);
	return text;
}

static void pattern(unsigned char *block, size_t size, unsigned int seed,
		    uint64_t at)
{
	size_t i;

	for (i = 0; i < size; i++)
		block[i] = (unsigned char)((at + i) * 31 + ((at + i) >> 8) * 7 +
					   seed);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	return remove(path);
}

int remove_all(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 :
	       nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	int ret = write(fd, "2", 1) != 1;

	return close(fd) || ret ? -1 : 0;
}

/* A file of that size, with a content that depends on the seed. */
int fill(const char *path, size_t size, unsigned int seed)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	unsigned char block[4096];
	size_t at, len;

	if (fd < 0)
		return -1;
	for (at = 0; at < size; at += len) {
		len = size - at < sizeof(block) ? size - at : sizeof(block);
		pattern(block, len, seed, at);
		if (write(fd, block, len) != (ssize_t)len) {
			close(fd);
			return -1;
		}
	}
	return close(fd);
}

/* Returns 0 if the file has what fill() wrote. */
int filled(const char *path, size_t size, unsigned int seed)
{
	int fd = open(path, O_RDONLY);
	unsigned char block[4096], want[4096];
	size_t at = 0;
	ssize_t len;

	if (fd < 0)
		return -1;
	while ((len = read(fd, block, sizeof(block))) > 0) {
		pattern(want, len, seed, at);
		if (memcmp(block, want, len))
			break;
		at += len;
	}
	close(fd);
	if (len || at != size) {
		errno = EILSEQ;
		return -1;
	}
	return 0;
}

bool there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char * const *)a, *(char * const *)b);
}

/* The names in a directory, sorted, with a space between them. */
const char *ls(const char *path)
{
	char *list = buffer(1 << 16), **names = NULL;
	DIR *dir = opendir(path);
	size_t count = 0, i;
	struct dirent *de;

	if (!dir) {
		snprintf(list, 1 << 16, "(%s)", strerror(errno));
		return list;
	}
	while (errno = 0, (de = readdir(dir))) {
		/* The union's own directory in an rw branch. */
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") ||
		    !strcmp(de->d_name, ".wh..wh.mica"))
			continue;
		names = realloc(names, (count + 1) * sizeof(*names));
		names[count++] = strdup(de->d_name);
	}
	if (errno) {
		names = realloc(names, (count + 1) * sizeof(*names));
		names[count++] = strdup(strerror(errno));
	}
	closedir(dir);
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	for (i = 0; i < count; i++) {
		if (strlen(list) + strlen(names[i]) + 2 < 1 << 16) {
			strcat(list, i ? " " : "");
			strcat(list, names[i]);
		}
		free(names[i]);
	}
	free(names);
	return list;
}

mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_mode;
}

/* Type, mode, owner, size and times (but that of change). */
int same_attributes(const char *a, const char *b)
{
	struct stat x, y;

	if (lstat(a, &x) || lstat(b, &y))
		return -1;
	if (x.st_mode == y.st_mode && x.st_uid == y.st_uid &&
	    x.st_gid == y.st_gid && x.st_rdev == y.st_rdev &&
	    (S_ISDIR(x.st_mode) || x.st_size == y.st_size) &&
	    x.st_mtim.tv_sec == y.st_mtim.tv_sec &&
	    x.st_mtim.tv_nsec == y.st_mtim.tv_nsec)
		return 0;
	printf("# %s: %o %u:%u %lld %lld.%09ld\n# %s: %o %u:%u %lld %lld.%09ld\n",
	       a, x.st_mode, x.st_uid, x.st_gid, (long long)x.st_size,
	       (long long)x.st_mtim.tv_sec, x.st_mtim.tv_nsec,
	       b, y.st_mode, y.st_uid, y.st_gid, (long long)y.st_size,
	       (long long)y.st_mtim.tv_sec, y.st_mtim.tv_nsec);
	errno = EILSEQ;
	return -1;
}

int set_xattr(const char *path, const char *name, const char *value)
{
	return lsetxattr(path, name, value, strlen(value), 0);
}

const char *get_xattr(const char *path, const char *name)
{
	char *value = buffer(4096);

	if (lgetxattr(path, name, value, 4095) < 0)
		snprintf(value, 4096, "(%s)", strerror(errno));
	return value;
}

/* branch/dir/name -> branch/dir/.wh.name */
static const char *dot_name(const char *branch, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = buffer(PATH_MAX);

	snprintf(name, PATH_MAX, "%s/%.*s.wh.%s", branch,
		 slash ? (int)(slash - path + 1) : 0, path,
		 slash ? slash + 1 : path);
	return name;
}

/* In either form: which one is written is up to the mount. */
bool whited_out(const char *branch, const char *path)
{
	char name[PATH_MAX];
	struct stat st;

	if (!on_overlay && !lstat(dot_name(branch, path), &st))
		return S_ISREG(st.st_mode);
	snprintf(name, sizeof(name), "%s/%s", branch, path);
	return !lstat(name, &st) && S_ISCHR(st.st_mode) && !st.st_rdev;
}

int make_whiteout(const char *branch, const char *path)
{
	char name[PATH_MAX];

	if (!on_overlay)
		return put(dot_name(branch, path), "");
	snprintf(name, sizeof(name), "%s/%s", branch, path);
	return mknod(name, S_IFCHR, makedev(0, 0));
}

bool opaque(const char *path)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), DOT_OPAQUE, path);
	return !strcmp(get_xattr(path, "trusted.overlay.opaque"), "y") ||
	       (!on_overlay && S_ISREG(mode_of(name)));
}

int make_opaque(const char *path)
{
	char name[PATH_MAX];

	if (on_overlay)
		return set_xattr(path, "trusted.overlay.opaque", "y");
	snprintf(name, sizeof(name), DOT_OPAQUE, path);
	return put(name, "");
}

int as_user(uid_t uid, int (*fn)(void *arg), void *arg)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		if (setgroups(0, NULL) || setresgid(uid, uid, uid) ||
		    setresuid(uid, uid, uid))
			_exit(254);
		_exit(fn(arg));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
