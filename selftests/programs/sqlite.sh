#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# sqlite3: a database that lies in the lower branch, four writers at once, with a
# rollback journal and with a write-ahead log, which is shared memory in a file.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

writers=4 rows=40
[[ -z ${MICA_LONG:-} ]] || rows=250

sources()
{
	sqlite3 "$low/$1.db" "pragma journal_mode=$1;
		create table t (writer, n, text); create index i on t (writer, n);
		with recursive r(n) as (select 1 union all select n + 1 from r
			where n < 5000)
		insert into t select 0, n, hex(randomblob(40)) from r;"
	test ! -e "$low/$1.db-wal"
}

transactions()
{
	local n

	echo ".timeout 60000"
	for ((n = 0; n < rows; n++)); do
		echo "begin immediate;"
		echo "insert into t values ($1, $n, hex(randomblob(40)));"
		echo "update t set text = 'by $1' where writer = 0 and n = $((n * writers + $1));"
		echo "commit;"
	done
}

write()
{
	local w pids=() pid

	for ((w = 1; w <= writers; w++)); do
		transactions "$w" | sqlite3 -bail "$mnt/$1.db" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
}

# Every transaction of every writer, and nothing else.
intact()
{
	test "$(sqlite3 "$mnt/$1.db" "pragma integrity_check;
		select count(*), count(distinct writer) from t where writer > 0;
		select count(*) from t where text like 'by %';
		select count(*) from t where writer = 0;")" = "ok
$((writers * rows))|$writers
$((writers * rows))
5000"
}

plan 7 ext4 xfs btrfs tmpfs
for system in "${systems[@]}"; do
	on "$system"
	for journal in delete wal; do
		sources "$journal" >/dev/null || bail_out "no database"
	done
	before=$(manifest "$low")
	union
	for journal in delete wal; do
		check "$journal: $writers writers" write "$journal"
		check "$journal: integrity_check, and all rows" intact "$journal"
	done
	umount "$mnt"
	union
	for journal in delete wal; do
		check "$journal: all rows after a new mount" intact "$journal"
	done
	check "the lower branch is as it was" test "$before" = "$(manifest "$low")"
	off
done
done_testing
