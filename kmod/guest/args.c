// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ioctls of KVM's and VFIO's own files, called for the caller of one of ours.
 *
 * What such an ioctl reads by pointer has to lie in the caller's memory. So it
 * lies in an area of ours that is mapped there for one call of ours. The caller's
 * other threads see it, and can unmap it or put something else in its place; it
 * does not grow, move, split, change its protection or go to a child. Unless an
 * answer of the ioctl is needed, they cannot write to it either. Nothing that they
 * can write to is taken for more than a number of theirs. A kernel that lets them
 * seal their memory lets them keep it, which is then theirs by the accounting.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "../compat/mm.h"
#include "assembly.h"

/* The mapping holds the file, the file this; neither holds the session. */
static int mica_args_release(struct inode *inode, struct file *file)
{
	struct mica_args *args = file->private_data;

	vfree(args->data);
	kfree(args);
	return 0;
}

/* A move is refused, but only after it was made, to a second mapping. */
static void mica_args_moved(struct vm_area_struct *vma)
{
	struct mica_args *args = vma->vm_file->private_data;

	WRITE_ONCE(args->moved, true);
	atomic_inc(&args->mappings);
}

static void mica_args_unmapped(struct vm_area_struct *vma)
{
	struct mica_args *args = vma->vm_file->private_data;

	atomic_dec(&args->mappings);
}

/**
 * mica_args_torn - has another thread meddled with an area
 * @args: the area
 *
 * Then it is not known what the last ioctl with it has read. Otherwise it could read
 * all: what MADV_DONTNEED takes away does not come back.
 *
 * Context: in the caller.
 */
bool mica_args_torn(struct mica_args *args)
{
	return !atomic_read(&args->mappings) || READ_ONCE(args->moved) ||
	       fault_in_readable((char __user *)args->addr, args->len);
}

static int mica_args_no_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int mica_args_no_move(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static int mica_args_no_mprotect(struct vm_area_struct *vma,
				 unsigned long start, unsigned long end,
				 unsigned long newflags)
{
	return -EACCES;
}

static const struct vm_operations_struct mica_args_vm_ops = {
	.open = mica_args_moved,
	.close = mica_args_unmapped,
	.may_split = mica_args_no_split,
	.mremap = mica_args_no_move,
	.mprotect = mica_args_no_mprotect,
};

static int mica_args_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mica_args *args = file->private_data;
	size_t at;
	int err;

	/* Nobody but mica_args_open() maps it. */
	if (args->mapper != current)
		return -EPERM;
	for (at = 0; at < args->len; at += PAGE_SIZE) {
		err = vm_insert_page(vma, vma->vm_start + at,
				     vmalloc_to_page(args->data + at));
		if (err)
			return err;
	}
	/* As it is VM_IO, nobody can have it copied for his children. */
	vm_flags_set(vma, VM_IO | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYEXEC | (args->answers ? 0 : VM_MAYWRITE));
	vma->vm_ops = &mica_args_vm_ops;
	atomic_inc(&args->mappings);
	return 0;
}

static const struct file_operations mica_args_fops = {
	.owner = THIS_MODULE,
	.release = mica_args_release,
	.mmap = mica_args_mmap,
};

static struct mica_args *mica_args_new(size_t len, bool answers)
{
	struct mica_args *args = kzalloc(sizeof(*args), GFP_KERNEL_ACCOUNT);

	if (!args)
		return ERR_PTR(-ENOMEM);
	args->len = PAGE_ALIGN(len);
	args->answers = answers;
	args->data = __vmalloc(args->len, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!args->data) {
		kfree(args);
		return ERR_PTR(-ENOMEM);
	}
	args->file = anon_inode_getfile("[mica-args]", &mica_args_fops, args,
					O_RDWR);
	if (IS_ERR(args->file)) {
		int err = PTR_ERR(args->file);

		vfree(args->data);
		kfree(args);
		return ERR_PTR(err);
	}
	return args;
}

/**
 * mica_args_open - map an area for arguments into the caller
 * @len: bytes that are needed
 * @answers: what ioctls write there is needed
 *
 * Context: in the caller; takes its mmap_lock.
 * Return: the area, all zeroes, or an error.
 */
struct mica_args *mica_args_open(size_t len, bool answers)
{
	struct mica_args *args = mica_args_new(len, answers);
	unsigned long prot = PROT_READ | (answers ? PROT_WRITE : 0);
	unsigned long addr;

	if (IS_ERR(args))
		return args;
	args->mapper = current;
	addr = vm_mmap(args->file, 0, args->len, prot, MAP_SHARED, 0);
	args->mapper = NULL;
	if (IS_ERR_VALUE(addr)) {
		fput(args->file);
		return ERR_PTR((long)addr);
	}
	args->addr = addr;
	return args;
}

/**
 * mica_args_close - unmap an area
 * @args: the area, or what mica_args_open() returned in its place
 *
 * What another thread has put in its place stays. A caller that is being killed
 * keeps the area until its memory goes.
 */
void mica_args_close(struct mica_args *args)
{
	if (IS_ERR_OR_NULL(args))
		return;
	if (atomic_read(&args->mappings))
		vm_munmap(args->addr, args->len);
	fput(args->file);
}

/**
 * mica_file_ioctl - an ioctl of another driver, as the system call does it
 * @file: the file
 * @cmd: the command
 * @arg: its argument
 *
 * Return: what the driver returns.
 */
long mica_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long ret = security_file_ioctl(file, cmd, arg);

	if (ret)
		return ret;
	if (!file->f_op->unlocked_ioctl)
		return -ENOTTY;
	ret = file->f_op->unlocked_ioctl(file, cmd, arg);
	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}

/**
 * mica_args_ioctl - an ioctl whose argument is in the area
 * @args: the area; the argument is at its beginning
 * @file: the file
 * @cmd: the command
 *
 * Return: what the driver returns; -EFAULT in its place if another thread has meddled
 * with the area, so that nobody knows what the driver has read.
 */
long mica_args_ioctl(struct mica_args *args, struct file *file,
		     unsigned int cmd)
{
	long ret = mica_file_ioctl(file, cmd, args->addr);

	return mica_args_torn(args) ? -EFAULT : ret;
}

/**
 * mica_args_take - an ioctl whose argument is in the area, and which gives a file
 * @args: the area; the argument is at its beginning
 * @file: the file
 * @cmd: the command
 * @name: see mica_fd_take()
 *
 * Return: the file, or an error as of mica_args_ioctl() and mica_fd_take().
 */
struct file *mica_args_take(struct mica_args *args, struct file *file,
			    unsigned int cmd, const char *name)
{
	struct file *got;

	got = mica_fd_take(mica_file_ioctl(file, cmd, args->addr), name);
	if (IS_ERR(got) || !mica_args_torn(args))
		return got;
	fput(got);
	return ERR_PTR(-EFAULT);
}

/**
 * mica_fd_lend - let the caller's table name a file, for one ioctl
 * @file: the file
 *
 * Return: the descriptor, for mica_fd_return(), or an error.
 */
int mica_fd_lend(struct file *file)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);

	if (fd >= 0)
		fd_install(fd, get_file(file));
	return fd;
}

/**
 * mica_fd_return - take a descriptor out of the caller's table
 * @fd: what mica_fd_lend() returned
 */
void mica_fd_return(int fd)
{
	if (fd >= 0)
		close_fd(fd);
}

/**
 * mica_fd_take - take the file that an ioctl has put into the caller's table
 * @fd: the descriptor, or an error of the kernel's own
 * @name: what the kernel calls files of the kind
 *
 * Another thread may have put another file there, so it is looked at: an
 * anonymous inode with a name that no user can give.
 *
 * Return: the file, or an error.
 */
struct file *mica_fd_take(long fd, const char *name)
{
	struct file *file;

	if (fd < 0)
		return ERR_PTR(fd);
	file = fget(fd);
	if (!file)
		return ERR_PTR(-EBADF);
	if (file_inode(file)->i_sb->s_magic != ANON_INODE_FS_MAGIC ||
	    strcmp(file->f_path.dentry->d_name.name, name)) {
		fput(file);
		return ERR_PTR(-EBADF);
	}
	close_fd(fd);
	return file;
}
