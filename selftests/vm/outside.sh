#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Does the test host tell when something went wrong in it? And does the counting
# of test cases?

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
nr=0
bad=0

result()
{
	nr=$((nr + 1))
	if [[ $1 = 0 ]]; then
		echo "ok $nr $2"
	else
		echo "not ok $nr $2"
		bad=1
	fi
}

# expect NAME STATUS TEXT OPTION...: run ends so, and says so
expect()
{
	local name=$1 status=$2 text=$3 got

	shift 3
	"$here/run" "$@" >"$work/out" 2>&1
	got=$?
	[[ $got = "$status" ]] && grep -qE "$text" "$work/out"
	result $? "$name"
	[[ $got = "$status" ]] && return
	sed 's/^/#   /' "$work/out"
	echo "#   exit status $got, expected $status"
}

# A QEMU that crashes is no failure of what it runs, so it has a status of its own.
expect_crash()
{
	local pid

	"$here/run" sleep 100 >"$work/out" 2>&1 &
	pid=$!
	until pkill -SEGV -P $pid qemu-system; do
		kill -0 $pid 2>/dev/null || break
		sleep 0.5
	done
	wait $pid
	[[ $? = 123 ]] && grep -q "QEMU crashed: signal 11" "$work/out"
	result $? "a crash of QEMU"
}

# count NAME EXPECTED TAP: what tap-count makes of it
count()
{
	local got

	got=$(printf '%b' "$3" | "$here/../../scripts/tap-count" \
	      -v expected="d:p" - | tail -n 1)
	[[ $got = "$2" ]]
	result $? "counting: $1"
	[[ $got = "$2" ]] || echo "#   got $got, expected $2"
}

echo "TAP version 13"
echo "1..19"
expect "success, with the output" 0 "^hello$" echo hello
expect "the command's exit status" 7 "ended with 7" 'exit 7'
expect "an oops or panic" 125 "sysrq triggered crash" 'echo c >/proc/sysrq-trigger'
expect "flags that no processor has" 123 "QEMU miscalculated.*c094f6a6" \
	'echo "<1>RSP: 0018:ffffd08600f77c00 EFLAGS: c094f6a6" >/dev/kmsg; echo c >/proc/sysrq-trigger'
expect "a warning" 126 "the kernel complained" \
	'echo "<4>WARNING: CPU: 0 PID: 1 at x.c:1 y+0x1/0x2" >/dev/kmsg'
expect "what lockdep says" 126 "the kernel complained" \
	'echo "<4>WARNING: possible circular locking dependency detected" >/dev/kmsg'
expect "a failure and a warning" 3 "the kernel complained" \
	'echo "<4>BUG: scheduling while atomic: x/1/0x2" >/dev/kmsg; exit 3'
expect "a hang for want of a timer" 123 "QEMU lost a timer, which came 999 s late" \
	--timeout 30 'echo "mica-vm: a timer came 999 s late" >/dev/kmsg; sleep 1000'
expect "a hang, with the tasks' stacks" 124 "task:busybox" \
	--timeout 60 'sleep 1000'
expect_crash
expect "no kernel of that name" 125 "scripts/setup" --kernel 1.2 true

start='# selftests: d: p\n'
count "passed, failed, skipped" "1 1 1" \
	"$start# 1..3\n# ok 1 a\n# not ok 2 b\n# ok 3 # SKIP c\nnot ok 1 selftests: d: p # exit=1\n"
count "all passed" "2 0 0" "$start# 1..2\n# ok 1 a\n# ok 2 b\nok 1 selftests: d: p\n"
count "a crash" "1 1 0" "$start# 1..2\n# ok 1 a\nnot ok 1 selftests: d: p # exit=139\n"
count "a time-out" "1 1 0" "$start# 1..2\n# ok 1 a\nnot ok 1 selftests: d: p # TIMEOUT 45 seconds\n"
count "no plan" "0 1 0" "${start}ok 1 selftests: d: p\n"
count "fewer than planned" "1 1 0" "$start# 1..2\n# ok 1 a\nok 1 selftests: d: p\n"
count "the machine died" "1 1 0" "$start# 1..2\n# ok 1 a\n"
count "not run" "0 1 0" ""
exit $bad
