#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tar and rsync take a tree there and back: headers of C, and programs of up to 128
# KiB; in the long form more and larger ones.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

parts=(include/linux sbin)
largest=128k
[[ -z ${MICA_LONG:-} ]] || parts=(include/linux include/asm-generic bin sbin) largest=1M

# What a package does not have: hard links across directories, xattrs, ACLs, a
# hole, a name of 255 bytes, times before 1970, a FIFO and a device.
odd()
{
	mkdir -p "$1/odd/d"
	cd "$1/odd"
	echo data >file
	for ((i = 0; i < 20; i++)); do
		ln file "d/link$i"
	done
	setfattr -n trusted.t -v value file
	setcap cap_net_raw+ep file
	setfacl -m u:1234:rw,m::r file
	setfacl -d -m g:4321:rwx d
	truncate -s 10M hole
	echo x >>hole
	ln -s /nowhere dangling
	mkfifo fifo
	mknod device c 1 3
	touch -d 1960-01-02 old
	touch "$(printf '%0255d' 7)"
	chmod 7751 d
}

# In the plain place beside the branches, what is to come back.
sources()
{
	cd "$usr"
	find "${parts[@]}" -xdev ! -size "+$largest" -print0 |
		tar -c --no-recursion --null -T - | tar -C "$disk/plain" -xp
	odd "$disk/plain"
	# The lower branch has half of it, and of that half has other content.
	cp -a "$disk/plain" "$low/rsync"
	cd "$low/rsync"
	find . -name '*[1-9a-m]' -type f -delete
	find . -name '*n' -type f -exec truncate -s 10 {} +
	find . -name '*s' -type f -exec touch {} +
	mkdir there only
	cp -a odd there/
	echo x >only/file
}

same()
{
	test -z "$(rsync -naHAXi --checksum --delete "$1" "$2" | tee /dev/stderr)"
}

there_tar()
{
	mkdir "$mnt/tar"
	tar -C "$disk/plain" --xattrs --xattrs-include='*' --acls -cpS . |
		tar -C "$mnt/tar" --xattrs --xattrs-include='*' --acls -xp
	same "$disk/plain/" "$mnt/tar/"
}

back_tar()
{
	mkdir "$disk/back"
	tar -C "$mnt/tar" --xattrs --xattrs-include='*' --acls -cpS . |
		tar -C "$disk/back" --xattrs --xattrs-include='*' --acls -xp
	same "$disk/plain/" "$disk/back/"
	rm -r "$disk/back"
}

# Over what is in the lower branch.
there_rsync()
{
	rsync -aHAX --delete "$disk/plain/" "$mnt/rsync/"
	same "$disk/plain/" "$mnt/rsync/"
	test ! -e "$mnt/rsync/only"
	test "$(stat -c %h "$mnt/rsync/odd/file")" = 21
}

back_rsync()
{
	rsync -aHAX "$mnt/rsync/" "$disk/back/"
	same "$disk/plain/" "$disk/back/"
}

gone()
{
	rm -r "$mnt/rsync" "$mnt/tar"
	test -z "$(ls -A "$mnt")"
}

plan 7 ext4 xfs btrfs tmpfs
for system in "${systems[@]}"; do
	on "$system"
	check "real files, half of them in the lower branch" sources
	union
	check "tar -x into the union" there_tar
	check "tar -c out of it" back_tar
	check "rsync -aHAX over lower files" there_rsync
	check "rsync -aHAX out of it" back_rsync
	umount "$mnt"
	union
	check "nothing differs after a new mount" same "$disk/plain/" "$mnt/rsync/"
	check "rm -r of all of it" gone
	off
done
done_testing
