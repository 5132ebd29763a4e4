#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A POSIX test suite of other people: those of Python's own tests that work on
# files, on the file system below and on the union at the same time. What passes
# there has to pass here; what does not pass there is listed.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

tests=(test_file test_fileio test_glob test_mmap test_fcntl test_genericpath test_stat
       test_filecmp test_posix)
enough=250
# About processes, or about compression and other commands.
ignored=('*Spawn*' '*ForkTests*' '*Environ*' '*Pty*' '*Lzma*' '*LZMA*' '*Bz2*' '*Bzip2*'
	 '*CommandLine*' '*NoneInfo*' '*Windows*')
if [[ -n ${MICA_LONG:-} ]]; then
	tests+=(test_os test_pathlib test_posixpath test_shutil test_tempfile test_dbm_dumb
		test_mailbox test_largefile test_fileinput test_zipfile test_tarfile)
	enough=1500
fi

# suite DIRECTORY RESULTS: its status tells only whether all was well.
suite()
{
	mkdir -p "$1"
	cd "$1" || return
	TMPDIR=$1 python3.11 -m test -q --tempdir "$1" --junit-xml "$2" \
		"${ignored[@]/#/-i}" "${tests[@]}" >"$2.log" 2>&1
}

# passed RESULTS, or with "not": the names of cases
passed()
{
	python3.11 - "$@" <<'END'
import sys
from xml.etree import ElementTree
wanted = len(sys.argv) == 2
for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
    bad = {"failure", "error", "skipped"} & {part.tag for part in case}
    if "name" in case.keys() and wanted == (not bad):
        print(case.get("name"), *bad)
END
}

both()
{
	suite "$disk/plain" "$dir/plain.xml" &
	suite "$mnt/suite" "$dir/union.xml" || :
	wait "$!" || :
	tail -n 20 "$dir/union.xml.log"
	passed "$dir/plain.xml" | sort >"$dir/plain.passed"
	passed "$dir/union.xml" | sort >"$dir/union.passed"
	test "$(wc -l <"$dir/plain.passed")" -gt "$enough"
}

nothing_else()
{
	cat "$dir/union.xml.log"
	test -z "$(comm -23 "$dir/plain.passed" "$dir/union.passed" | tee /dev/stderr)"
}

plan 2 ext4
for system in "${systems[@]}"; do
	on "$system"
	union
	check "${#tests[@]} modules of Python's tests" both
	passed "$dir/plain.xml" not >"$dir/plain.not"
	echo "# on $fs itself: $(wc -l <"$dir/plain.passed") pass," \
	     "$(grep -c ' skipped' "$dir/plain.not") are skipped, and these fail:" \
	     "$(grep -v ' skipped' "$dir/plain.not" | xargs)"
	check "what passes there passes here" nothing_else
	off
done
done_testing
