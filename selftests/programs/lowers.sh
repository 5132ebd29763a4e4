#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The same tree in lower branches of many kinds: the union shows it as it is below,
# it is changed there as a plain copy of it is, and it stays as it was. For squashfs
# and 9p see ../union/lower.c too. NFS is served to the machine itself, by hand: what
# Debian has for that is meant to be started by an init.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

tree=$dir/tree lowest=$dir/lowest base=$disk/base
kinds=(squashfs iso9660 erofs vfat 9p nfs overlayfs mica)
[[ -z ${MICA_LONG:-} ]] || kinds+=(ext4 xfs btrfs tmpfs)

image_of()
{
	mount -t "$1" -o "loop${2:+,$2}" "$disk/image" "$lowest"
}

lower_disk()
{
	mount "/dev/disk/$1" "$lowest"
	rm -rf "${lowest:?}"/*
	cp -a "$tree/." "$lowest/"
}

lower_ext4()	{ cp -a "$tree/." "$base/"; mount --bind "$base" "$lowest"; }
lower_xfs()	{ lower_disk xfs; }
lower_btrfs()	{ lower_disk btrfs; }
lower_tmpfs()	{ mount -t tmpfs lower "$lowest"; cp -a "$tree/." "$lowest/"; }
lower_squashfs() { mksquashfs "$tree" "$disk/image" -quiet -no-progress; image_of squashfs; }
lower_iso9660()	{ genisoimage -quiet -R -o "$disk/image" "$tree"; image_of iso9660; }
lower_erofs()	{ mkfs.erofs "$disk/image" "$tree"; image_of erofs; }

lower_9p()
{
	mkdir "$MICA_OUT/9p"
	cp -a "$tree/." "$MICA_OUT/9p/"
	mount --bind "$MICA_OUT/9p" "$lowest"
}

lower_vfat()
{
	truncate -s 64M "$disk/image"
	mkfs.vfat "$disk/image"
	image_of vfat utf8
	# It has no links.
	cp -rL "$tree/." "$lowest/"
}

# Some of it is another layer's.
two_layers()
{
	cp -a "$tree/." "$base/"
	mkdir "$disk/upper" "$disk/work"
	mount "$@" "$lowest"
	touch -r "$tree" "$lowest"/a/*
	mv "$lowest/b" "$lowest/c"
	mv "$lowest/c" "$lowest/b"
	rm "$lowest/big"
	cp -a "$tree/big" "$lowest/"
}

lower_overlayfs()
{
	two_layers -t overlay -o "lowerdir=$base,upperdir=$disk/upper,workdir=$disk/work" o
}

lower_mica()
{
	two_layers -t mica -o "dirs=$disk/upper=rw:$base=ro" none
}

lower_nfs()
{
	local rpc=/proc/net/rpc expiry=$(($(date +%s) + 3600))

	cp -a "$tree/." "$base/"
	modprobe -a nfsd nfsv4
	mount -t nfsd nfsd /proc/fs/nfsd
	echo "nfsd 127.0.0.1 $expiry here" >"$rpc/auth.unix.ip/channel"
	# read-only, insecure, no_subtree_check, fsid=0
	echo "here $base $expiry 9219 65534 65534 0" >"$rpc/nfsd.export/channel"
	printf 'here 1 \\x00000000 %s %s\n' "$expiry" "$base" >"$rpc/nfsd.fh/channel"
	# The others want a portmapper.
	echo "-2 -3 +4.2" >/proc/fs/nfsd/versions
	# Newer kernels leave that to a service, and have no such file.
	mkdir "$disk/clients"
	[[ ! -e /proc/fs/nfsd/nfsv4recoverydir ]] ||
		echo "$disk/clients" >/proc/fs/nfsd/nfsv4recoverydir
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	echo "tcp 2049" >/proc/fs/nfsd/portlist
	echo 2 >/proc/fs/nfsd/threads
	# Nobody has locks from before. Where that cannot be said it takes 10 seconds.
	echo Y >/proc/fs/nfsd/v4_end_grace || :
	mount -i -t nfs4 -o addr=127.0.0.1,clientaddr=127.0.0.1,vers=4.2,sec=sys \
		127.0.0.1:/ "$lowest"
}

end_nfs()
{
	echo 0 >/proc/fs/nfsd/threads
	for table in auth.unix.ip nfsd.export nfsd.fh; do
		date +%s >"/proc/net/rpc/$table/flush"
	done
	umount /proc/fs/nfsd
}

# Files of no, one and many pages, one with holes, links, odd names and modes.
sources()
{
	mkdir -p "$tree"/{a,b/deep/er,empty}
	cp -a "$usr"/include/linux/netfilter_bridge/*.h "$tree/a/"
	cp -a "$usr"/include/linux/tc_act/*.h "$tree/b/"
	cp -a "$usr/bin/tar" "$tree/big"
	echo x >"$tree/b/deep/er/a name that is longer than eight and three"
	echo y >"$tree/b/deep/ümläut"
	: >"$tree/nothing"
	truncate -s 300k "$tree/hole"
	echo end >>"$tree/hole"
	ln -s nothing "$tree/link"
	ln "$tree/b/tc_bpf.h" "$tree/b/hard"
	chmod 600 "$tree/a/ebt_ip.h"
	chown 12:34 "$tree/a/ebt_ip6.h"
	touch -d 2001-02-03 "$tree/a" "$tree/b/tc_nat.h"
}

# What everything is, but how large a directory is and when it was read.
seen()
{
	(cd "$1" && find . -mindepth 1 \
		\( -type d -printf '%p %y %m %U:%G %T@\n' \) \
		-o -printf '%p %y %m %U:%G %T@ %n %s %l\n' | sort)
}

# The same to the union as to a copy.
change()
{
	cd "$1"
	sed -i 's/e/E/' a/ebt_[a-m]*
	for file in a/ebt_[n-z]*; do
		echo more >>"$file"
	done
	printf xyz | dd of=hole bs=1 seek=100000 conv=notrunc status=none
	rm -r b/deep
	mkdir b/deep
	echo new >b/deep/new
	mv b/tc_nat.h nat
	mv big bigger
	echo more >>bigger
	mv b renamed
	chmod 640 a/ebt_ip.h
	truncate -s 100 a/ebt_ip6.h
	rmdir empty
}

below()
{
	umask 022
	"lower_$kind"
	seen "$lowest" >"$dir/seen"
	test "$(wc -l <"$dir/seen")" -gt 40
}

reads()
{
	seen "$mnt" | diff "$dir/seen" -
	diff -r "$tree" "$mnt"
	# Without a byte being copied.
	find "$top" -type f -size +0 | grep . && return 1
	return 0
}

changes()
{
	cp -rL "$tree" "$disk/plain/tree"
	(change "$disk/plain/tree")
	(change "$mnt")
	diff -r "$disk/plain/tree" "$mnt"
	umount "$mnt"
	union
	diff -r "$disk/plain/tree" "$mnt"
}

stays()
{
	diff -r "$tree" "$lowest"
	seen "$lowest" | diff "$dir/seen" -
}

mkdir "$tree" "$lowest"
modprobe -a loop nls_utf8 nls_ascii 2>/dev/null
sources
echo "TAP version 13"
echo "1..$((4 * ${#kinds[@]}))"
for kind in "${kinds[@]}"; do
	low=$base
	on ext4
	low=$lowest fs=$kind
	check "a tree on it" below
	union
	check "reads as it is below" reads
	check "is changed in the union as a copy of it is" changes
	check "stays as it was" stays
	umount "$mnt"
	umount "$lowest"
	[[ $kind != nfs ]] || end_nfs
	for ((i = 0; i < 50; i++)); do
		umount "$disk" 2>/dev/null && break
		sleep 0.1
	done
	[[ $i -lt 50 ]] || bail_out "$kind is still in use"
done
done_testing
