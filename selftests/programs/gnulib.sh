#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A POSIX test suite of other people: gnulib's tests of the functions that work on
# files, on the file system below and on the union at the same time. What passes there
# has to pass here; what does not pass there is listed.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

suite=$(cd "$(dirname "$0")" && pwd)/gnulib

# passed DIRECTORY RESULTS: in RESULTS.passed the names of those that do there
passed()
{
	local test

	cd "$1" || return
	for test in "$suite"/*; do
		# One of them wants a file that it may read.
		if timeout 60 "$test" "$test" >"$2.output" 2>&1 </dev/null; then
			echo "${test##*/}" >>"$2.passed"
		else
			echo "${test##*/} ($(tail -n 1 "$2.output"))" >>"$2.failed"
		fi
	done
}

as_below()
{
	local pid

	passed "$disk/plain" "$dir/plain" &
	pid=$!
	passed "$mnt/suite" "$dir/union"
	wait "$pid"
	test "$(wc -l <"$dir/plain.passed")" -gt 45
	cat "$dir/union.failed"
	test -z "$(comm -23 "$dir/plain.passed" "$dir/union.passed")"
	# Some leave something behind.
	diff -r "$disk/plain" "$mnt/suite"
}

plan 1 ext4 xfs btrfs tmpfs
for system in "${systems[@]}"; do
	on "$system"
	# The directory that it works in is there below, too.
	mkdir "$low/suite"
	union
	for results in "$dir"/{plain,union}.{passed,failed}; do
		: >"$results"
	done
	check "gnulib's tests pass as they do there" as_below
	echo "# on $fs itself: $(wc -l <"$dir/plain.passed") pass, and these fail:" \
	     "$(cat "$dir/plain.failed")"
	off
done
done_testing
