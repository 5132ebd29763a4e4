#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica guest exec and list: the device goes out and comes back.
# shellcheck disable=SC2016	# jq and inner shells expand these
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
device=$(function_with nvme) || skip_all "this machine has no NVMe"
[[ -e /sys/bus/pci/devices/$device/iommu_group ]] ||
	skip_all "this machine has no IOMMU"
group=$(basename "$(readlink "/sys/bus/pci/devices/$device/iommu_group")")

back()
{
	driver_is "$device" nvme
	result $? "$1: back on nvme"
}

# Everybody may pass through, to read what the command wrote.
chmod 755 "$WORK"

exits 0 "a command that succeeds" guest exec --device "$device" -- \
	bash -c "readlink /sys/bus/pci/devices/$device/driver; stat -c %t /dev/vfio/$group"
like "it had the device" "$(<"$OUT")" vfio-pci
is "nothing to complain about" "$(<"$ERR")" ""
back "a command that succeeds"

exits 7 "a command that fails" guest exec --device "${device#0000:}" -- sh -c 'exit 7'
back "a command that fails"
exits 137 "a command that is killed" guest exec -d "$device" -- sh -c 'kill -9 $$'
back "a command that is killed"
exits 0 "arguments go through as they are" guest exec -d "$device" -- \
	printf '<%s>' 'a b' --help '' $'x\ny'
is "all of them" "$(<"$OUT")" $'<a b><--help><><x\ny>'

touch "$WORK/not-a-program"
exits 1 "a command that is none" guest exec -d "$device" -- "$WORK/not-a-program"
printf '#!/no/such/interpreter\n' >"$WORK/bad"
chmod 755 "$WORK/bad"
exits 1 "a command that cannot be started" guest exec -d "$device" -- "$WORK/bad"
one_sentence "a command that cannot be started"
back "a command that cannot be started"

bridge=$("$MICA" device list --json | jq -r '[.devices[] | select(.obstacle == "bridge")][0].device')
exits 1 "a bridge" guest exec -d "$bridge" -- true
one_sentence "a bridge"
like "which says so" "$(<"$ERR")" "$bridge is a bridge"
exits 1 "two devices, one of them a bridge" guest exec -d "$device" -d "$bridge" -- true
back "two devices, one of them a bridge"

exits 0 "another user" guest exec -d "$device" --user nobody --memlock 64M -- \
	sh -c "id -un; ulimit -l; echo \$HOME; test -r /dev/vfio/$group -a -w /dev/vfio/$group"
is "with the limit" "$(sed -n 2p "$OUT")" 65536
is "who is that user" "$(sed -n 1p "$OUT")" nobody
exits 0 "unlimited" guest exec -d "$device" -m unlimited -- sh -c 'ulimit -l'
is "is unlimited" "$(<"$OUT")" unlimited

# While it runs.
"$MICA" guest exec -d "$device" -- sh -c 'echo $$ >"$0"; exec sleep 60' "$WORK/pid" &
holder=$!
until_true test -s "$WORK/pid"
run guest list --json
is "guest list has it" \
   "$(jq -r --arg d "$device" '.sessions[] | select(.children[]?.name == $d) |
      "\(.pid) \(.command) \(.guest) \(.children[0].state) \(.children[0].driver)"' "$OUT")" \
   "$holder mica $(<"$WORK/pid") claimed nvme"
exits 1 "a second claim" guest exec -d "$device" -- true
like "is told who has it" "$(<"$ERR")" "session [0-9]+ holds $device"
like "device list has it" \
     "$("$MICA" device list --json | jq -r --arg d "$device" \
	'.devices[] | select(.device == $d) | "\(.obstacle) \(.session)"')" \
     '^claimed [0-9]+$'
kill -TERM "$holder"
wait "$holder"
is "SIGTERM goes to the command" $? 143
back "SIGTERM"

: >"$WORK/pid"
"$MICA" guest exec -d "$device" -- sh -c 'echo $$ >"$0"; exec sleep 60' "$WORK/pid" &
holder=$!
until_true test -s "$WORK/pid"
child=$(<"$WORK/pid")
kill -KILL "$holder"
wait "$holder" 2>/dev/null
gone() { [[ ! -d /proc/$child || $(awk '{ print $3 }' "/proc/$child/stat" 2>/dev/null) == Z ]]; }
until_true gone
result $? "SIGKILL of mica kills the command"
until_true driver_is "$device" nvme
result $? "SIGKILL of mica: back on nvme"

: >"$WORK/pid"
chmod 666 "$WORK/pid"
"$MICA" guest exec -d "$device" --user nobody -- \
	sh -c 'echo $$ >"$0"; exec sleep 60' "$WORK/pid" &
until_true test -s "$WORK/pid"
child=$(<"$WORK/pid")
kill -KILL $!
wait $! 2>/dev/null
until_true gone
result $? "so it does where the command is another user's"
until_true driver_is "$device" nvme
result $? "and the device goes back"

# Somebody ends it.
: >"$WORK/pid"
"$MICA" guest exec -d "$device" -- sh -c 'echo $$ >"$0"; exec sleep 60' "$WORK/pid" \
	2>"$WORK/ended" &
holder=$!
until_true test -s "$WORK/pid"
session=$("$MICA" guest list --json | jq -r --arg d "$device" \
	'.sessions[] | select(.children[]?.name == $d).name')
exits 0 "guest end" guest end "$session"
driver_is "$device" nvme
result $? "the device is back when it returns"
wait "$holder"
is "the command got SIGTERM" $? 143
like "and who ran it is told why" "$(<"$WORK/ended")" "session $session was ended"
is "and nothing else" "$(grep -vc 'waiting for' "$WORK/ended")" 1
is_no_session() { ! "$MICA" guest end "$session" 2>/dev/null; }
until_true is_no_session
exits 1 "guest end of a session that is gone" guest end "$session"
one_sentence "guest end of a session that is gone"

# An ordinary user has the device, and that is all.
others=$(function_with nvme)
[[ $others == "$device" ]] && others=$(function_with e1000e)
exits 0 "another session, of another user" guest exec -d "$others" -- "$MICA" \
	guest exec -d "$device" --user nobody --memlock 1M -- bash -c '
	exec 3<>/dev/vfio/$0 || exit 10
	exec 3<&-
	for node in /dev/vfio/[0-9]*; do
		[[ $node == /dev/vfio/$0 ]] && continue
		other=$node
		{ : <>"$node"; } 2>/dev/null && exit 11
	done
	[[ -n $other ]] || exit 12
	"$1" guest exec -d "$2" -- true 2>/dev/null && exit 13
	"$1" guest end 1 2>/dev/null && exit 14
	ulimit -l 2048 2>/dev/null && exit 15
	[[ $(ulimit -l) == 1024 ]] || exit 16
	exec 2>/dev/null
	echo x >"/sys/bus/pci/devices/$2/driver_override" && exit 17
	exit 0' "$group" "$MICA" "$device"
back "a device of another user"

# Virtual functions.
pf=$(grep -lv '^0$' /sys/bus/pci/devices/*/sriov_totalvfs 2>/dev/null | head -n 1)
if [[ -n $pf ]]; then
	pf=$(basename "$(dirname "$pf")")
	numvfs=/sys/bus/pci/devices/$pf/sriov_numvfs
	exits 0 "virtual functions" guest exec --vf "$pf" -v "${pf#0000:}" \
		--vf-setup 'echo "$MICA_PF $MICA_VF_INDEX $MICA_VF" >>'"$WORK/setup" -- \
		sh -c 'for vf in $MICA_VFS; do
			echo "$vf $(basename "$(readlink "/sys/bus/pci/devices/$vf/driver")")"
		done'
	is "two, with vfio-pci" "$(awk '{ print $2 }' "$OUT" | xargs)" "vfio-pci vfio-pci"
	is "each was set up" "$(<"$WORK/setup")" \
	   "$(awk -v pf="$pf" '{ print pf, NR - 1, $1 }' "$OUT")"
	is "and they are gone" "$(<"$numvfs")" 0
	exits 1 "a set-up that fails" guest exec --vf "$pf" --vf-setup 'exit 3' -- \
		touch "$WORK/ran"
	like "is told" "$(<"$ERR")" "--vf-setup for .* exit code 3"
	! test -e "$WORK/ran"
	result $? "and the command is not run"
	is "nor do they stay" "$(<"$numvfs")" 0
	: >"$WORK/pid"
	"$MICA" guest exec --vf "$pf" --vf-setup 'echo $$ >'"$WORK/pid"'; exec sleep 60' -- \
		touch "$WORK/ran" 2>"$ERR" &
	until_true test -s "$WORK/pid"
	child=$(<"$WORK/pid")
	kill -TERM $!
	wait $!
	is "a signal while it is set up" $? 143
	like "is told, too" "$(<"$ERR")" "interrupted"
	is "and nothing else is" "$(grep -vc 'waiting for' "$ERR")" 1
	until_true gone
	result $? "the set-up has got it"
	! test -e "$WORK/ran" && [[ $(<"$numvfs") = 0 ]]
	result $? "what was made is gone, and nothing is run"
	exits 1 "more than there can be" guest exec --vf "$pf" --vf "$pf" --vf "$pf" -- true
	one_sentence "more than there can be"
	exits 0 "of another user" guest exec --vf "$pf" --user nobody -- \
		sh -c ': <>"/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$MICA_VFS/iommu_group")")"'
	exits 2 "a set-up of nothing" guest exec -d "$device" --vf-setup true -- true
else
	skip "virtual functions" "this machine has none"
fi

if command -v valgrind >/dev/null; then
	valgrind -q --error-exitcode=99 --leak-check=full --child-silent-after-fork=yes \
		--errors-for-leak-kinds=definite,possible \
		"$MICA" guest exec -d "$device" -- true >"$OUT" 2>"$ERR"
	is "valgrind has nothing to say" $? 0
	back "under valgrind"
else
	skip "valgrind" "it is not installed"
fi

empty() { [[ $("$MICA" guest list --json | jq '.sessions | length') -eq 0 ]]; }
until_true empty
result $? "no session is left"

finish
