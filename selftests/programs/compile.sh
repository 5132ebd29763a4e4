#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make and cc: a program of three files, two of them and a stale object in the
# lower branch.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

sources()
{
	# shellcheck disable=SC2016	# for make
	printf '%s\n' 'all: p' 'p: a.o b.o' '	$(CC) -o $@ $^' '%.o: %.c h.h' \
		'	$(CC) -c -o $@ $<' >"$low/Makefile"
	echo 'int b(void);' >"$low/h.h"
	printf '%s\n' '#include "h.h"' 'int main(void) { return b(); }' >"$low/a.c"
	echo stale >"$low/b.o"
	touch -d '1 hour ago' "$low"/*
}

builds()
{
	cd "$mnt"
	printf '%s\n' '#include "h.h"' 'int b(void) { return 7; }' >b.c
	make
	make -q
	test "$(./p; echo $?)" = 7
	grep -qx stale "$low/b.o"
}

again()
{
	cd "$mnt"
	sed -i 's/7/8/' b.c
	# A second is all that some file systems tell apart.
	touch -d '+2 seconds' b.c
	make
	test "$(./p; echo $?)" = 8
}

plan 2 ext4 xfs btrfs tmpfs
for system in "${systems[@]}"; do
	on "$system"
	sources || bail_out "no sources"
	union
	check "make builds over a stale lower object" builds
	check "make builds again what has changed" again
	off
done
done_testing
