#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pjdfstest, a POSIX test suite of other people for file systems. It is not packaged,
# so it has to be built in $MICA_CACHE/pjdfstest before. What passes on the file
# system below has to pass on the union; what does not pass there is listed.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

source=$MICA_CACHE/pjdfstest
suite=/run/pjdfstest
name="pjdfstest passes as it does there"

# Each of its steps starts some programs: this shell has most of them built in, and
# random names need none at all. Some things it asks of file systems that it knows.
prepare()
{
	echo "fs=EXT4" >>"$suite/tests/conf"
	sed -i 's/^namegen()/namegen_slow()/' "$suite/tests/misc.sh"
	# shellcheck disable=SC2016	# it is put into a file
	echo 'namegen() { read -r id </proc/sys/kernel/random/uuid; echo "pjdfstest_$id"; }' \
		>>"$suite/tests/misc.sh"
}

# cases DIRECTORY: "ok" or "not ok", file and number of each
cases()
{
	local file

	mkdir -p "$1"
	cd "$1" || return
	while read -r file; do
		busybox sh "$suite/tests/$file" 2>/dev/null | tr -d '\0' |
			sed -nE "s#^(ok|not ok) ([0-9]+).*#\1 $file \2#p"
	done < <(cd "$suite/tests" && find . -name '*.t' -printf '%P\n' | sort)
}

as_below()
{
	local pid

	cases "$disk/plain" >"$dir/plain" &
	pid=$!
	cases "$mnt/suite" >"$dir/union"
	wait "$pid"
	sort -o "$dir/plain" "$dir/plain"
	sort -o "$dir/union" "$dir/union"
	test "$(grep -c ^ok "$dir/plain")" -gt 8000
	comm -23 <(grep ^ok "$dir/plain") "$dir/union" >"$dir/lost"
	cat "$dir/lost"
	test ! -s "$dir/lost"
}

fs=ext4
plan 1 $fs
if [[ -z ${MICA_LONG:-} ]]; then
	skip "$name" "takes long, see make check-long"
elif [[ ! -x $source/pjdfstest ]]; then
	skip "$name" "no pjdfstest in $source"
else
	cp -r "$source" "$suite"
	prepare
	on $fs
	# The directory that it works in is there below, too.
	mkdir "$low/suite"
	union
	check "$name" as_below
	echo "# on $fs itself: $(grep -c ^ok "$dir/plain") pass, and these fail:" \
	     "$(sed -n 's/^not ok //p' "$dir/plain" | xargs)"
	off
fi
done_testing
