#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# stress-ng's file system stressors, verifying, on the file system alone and on the
# union at the same time: what fails on the union only is a failure. Some at once, in
# the long form the whole class, one after the other.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

some=(access chmod dentry dir fallocate fcntl flock fstat getdent hdd lease
      link lockf open rename symlink utime xattr)
options=(--timeout 5s --hdd-bytes 8M --iomix-bytes 8M --fallocate-bytes 8M
	 --sync-file-bytes 8M --verify)
one_of_each=()
for stressor in "${some[@]}"; do
	one_of_each+=("--$stressor" 1)
done
# These are about other things: mounts, IPC, the kernel's own files.
class=(--class filesystem --sequential 1 --timeout 2s
       --exclude "bind-mount,binderfs,dup,eventfd,ioprio,procfs")

# stress DIRECTORY LOG OPTION...
stress()
{
	cd "$1" || return
	stress-ng --temp-path "$1" "${options[@]}" "${@:3}" >"$2" 2>&1
	grep -q 'run completed' "$2"
}

both()
{
	stress "$disk/plain" "$dir/plain.log" "$@" &
	stress "$mnt" "$dir/union.log" "$@" || tail -n 30 "$dir/union.log"
	wait "$!" || :
	grep -q 'run completed' "$dir/plain.log"
	grep -q 'run completed' "$dir/union.log"
}

# Those that say "fail:", or that did not run, by name.
failing()
{
	sed -nE 's/^stress-ng: fail: *\[[0-9]*\] *([a-z-]*): .*/\1/p
		s/^stress-ng: [a-z]*: *\[[0-9]*\] *([a-z-]*): skipp.*/\1/p' "$1" | sort -u
}

nothing_else()
{
	grep -E ' fail: |skipp' "$dir/union.log" || :
	comm -13 <(failing "$dir/plain.log") <(failing "$dir/union.log") >"$dir/only"
	test ! -s "$dir/only"
}

# pair WHAT OPTION...
pair()
{
	check "stress-ng, $1, ends" both "${@:2}"
	echo "# skipped or failing on $fs itself:" "$(failing "$dir/plain.log" | xargs)"
	check "stress-ng, $1: nothing fails that does not fail there" nothing_else
}

plan 2 ext4 xfs btrfs tmpfs
for system in "${systems[@]}"; do
	on "$system"
	union
	if [[ -z ${MICA_LONG:-} ]]; then
		pair "${#some[@]} at once" "${one_of_each[@]}"
	else
		pair "the whole class" "${class[@]}"
	fi
	off
done
done_testing
