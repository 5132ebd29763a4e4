#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio writes blocks with checksums over files of the lower branch in random order
# and reads them back, in four ways of doing I/O, all at once. O_DIRECT, where libaio
# is really asynchronous, is not for mmap; nor has tmpfs of 6.1 it, so there it is
# left out.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

size=2M
[[ -z ${MICA_LONG:-} ]] || size=16M
ways=(psync-0 psync-1 libaio-1 io_uring-0 io_uring-1 mmap-0)

sources()
{
	for way in "${ways[@]}"; do
		head -c "$size" /dev/urandom >"$low/$way"
	done
}

# blocks OPTION...
blocks()
{
	local way options=() direct

	for way in "${ways[@]}"; do
		direct=${way#*-}
		[[ $fs != tmpfs ]] || direct=0
		options+=(--name="$way" --filename="$mnt/$way" --ioengine="${way%-*}"
			  --direct="$direct")
	done
	fio --iodepth=8 --size="$size" --bs=4k --rw=randwrite --verify=crc32c \
	    --verify_fatal=1 --do_verify=1 --randseed=7 --fallocate=none --thread "$@" \
	    "${options[@]}"
}

written()
{
	local way

	for way in "${ways[@]}"; do
		if cmp "$low/$way" "$mnt/$way"; then
			return 1
		fi
		test "$(stat -c %s "$mnt/$way")" = "$(stat -c %s "$low/$way")"
	done
}

plan 4 ext4 xfs btrfs tmpfs
for system in "${systems[@]}"; do
	on "$system"
	sources
	before=$(manifest "$low")
	union
	check "${ways[*]}: written over lower files and read back" blocks
	check "every file is changed and as long as before" written
	umount "$mnt"
	union
	check "still so after a new mount" blocks --verify_only
	check "the lower branch is as it was" test "$before" = "$(manifest "$low")"
	off
done
done_testing
