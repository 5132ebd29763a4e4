#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica union add, del, mode, move, snapshot, and remounts: a patched CD-ROM, snapshots,
# what is in the way.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
mount -t tmpfs tmpfs "$WORK" || exit 1
cd "$WORK" || exit 1
mkdir top base extra mnt day{1,2}
echo base >base/f
echo extra >extra/f
mkdir extra/only

# branches: their paths and modes, from the left
branches()
{
	"$MICA" union list --json |
		jq -r '[.unions[].children[]? | (.name | split("/") | last) + "=" + .mode] | join(" ")'
}

"$MICA" monitor --json >events 2>/dev/null &
monitor=$!
until_true listens "$monitor" || echo "# no listener is seen"
sleep 0.5
run union mount top base mnt
exits 0 "a branch is added" union add --at 1 mnt extra
is "it is where it should be" "$(branches)" "top=rw extra=ro base=ro"
is "it shows" "$(<mnt/f)" extra
is "mountinfo has it" "$(findmnt -no OPTIONS mnt | grep -o 'extra=ro')" "extra=ro"
exits 0 "it is moved, by its path" union move mnt "$WORK/extra" 9
is "it is the last" "$(branches)" "top=rw base=ro extra=ro"
is "the other shows" "$(<mnt/f)" base

(cd mnt/only && exec sleep 1000) &
sleeper=$!
while [[ $(readlink "/proc/$sleeper/cwd") != */only || $(<"/proc/$sleeper/comm") != sleep ]]; do
	sleep 0.1
done
exits 1 "what is in use stays" union del mnt "$WORK/extra"
like "the path is named" "$(<"$ERR")" "/only: is in use"
like "the process is named" "$(<"$ERR")" "in use by $sleeper sleep"
is "nothing has changed" "$(branches)" "top=rw base=ro extra=ro"
kill "$sleeper"
wait "$sleeper" 2>/dev/null
exits 0 "it goes, by its path" union del mnt "$WORK/extra"
is "it is gone" "$(branches)" "top=rw base=ro"
exits 1 "it cannot go twice" union del mnt "$WORK/extra"
one_sentence "it cannot go twice"

exits 1 "a branch cannot be in itself" union add mnt "$WORK/base"
like "the reason" "$(<"$ERR")" "it contains"
exits 1 "nor the union in itself" union add mnt mnt
one_sentence "nor the union in itself"
exits 1 "what is no union has no branches" union add base extra
like "the reason of that" "$(<"$ERR")" "not the root of a union"

echo 1 >mnt/log
exec 5>>mnt/log
exits 0 "a snapshot" union snapshot --sync mnt day1
is "has a new top" "$(branches)" "day1=rw top=ro base=ro"
echo 2 >&5
is "who writes goes on in the new one" "$(xargs <mnt/log)" "1 2"
is "the snapshot stays" "$(<top/log)" "1"
exits 1 "it is not written to any more" union mount top=rw base "$WORK/extra/only"
like "what is above it is named" "$(<"$ERR")" "below $WORK/day1"
echo x >day2/x
exits 1 "a snapshot needs an empty directory" union snapshot mnt day2
like "that is said" "$(<"$ERR")" "is not empty"
exec 5>&-

exits 0 "to ro" union mode mnt "$WORK/day1" ro
[[ ! -w mnt ]] || ! touch mnt/new 2>/dev/null
result $? "nothing can be written any more"
exits 0 "and back" union mode mnt "$WORK/day1" rw
touch mnt/new
result $? "it can again"

exits 2 "a bad mode" union mode mnt 1 wr
exits 2 "a bad position" union move mnt 1 left
exits 2 "a branch too many" union del mnt 1 2
echo changed >mnt/f
exits 0 "a path is reset" union reset mnt/f
is "what was below shows" "$(<mnt/f)" base
exits 1 "twice does nothing" union reset mnt/f/
like "that is said" "$(<"$ERR")" "no change in a writable branch"
exits 1 "what is no union" union reset base/f
like "the reason of this" "$(<"$ERR")" "is not in a union"
exits 2 "no path" union reset

umount mnt
told()
{
	[[ $(jq -r 'select(.event | IN("branch-add", "branch-del", "branch-mode", "branch-move", "snapshot", "reset")) |
		.event + " " + ((.text // .path) | sub(".*/"; ""))' events | xargs) = \
	   "branch-add extra branch-move extra branch-del extra snapshot day1 branch-mode day1 branch-mode day1 reset f" ]]
}
until_true told
result $? "each change was told" || cat events
kill "$monitor"

# remount EXIT BRANCHES OPTIONS: what there is afterwards
remount()
{
	mount -o "remount,$3" mnt 2>"$ERR"
	is "remount,$3" "$(($? != 0)) $(branches)" "$1 $2"
}

mkdir "a:b" low
run union mount low extra base mnt
(cd mnt/only && exec "$MICA" union del ../../mnt "$WORK/extra")
is "it may be started where it is in the way itself" "$? $(branches)" "0 low=rw base=ro"
remount 0 "low=rw extra=ro base=ro" "add=1:$WORK/extra"
is "a remount shows it" "$(<mnt/f)" extra
remount 0 "low=rw extra=ro base=ro a:b=ro" "add=$WORK/a\\:b=ro+dot"
is "it is read in that form" "$(findmnt -no OPTIONS mnt | grep -o '=ro+dot')" "=ro+dot"
remount 0 "low=rw base=ro" "del=$WORK/extra,del=$WORK/a\\:b"
remount 0 "low=ro base=ro" "mode=$WORK/low=ro"
remount 0 "low=rw base=ro" "mode=$("$MICA" union list --json | jq -r ".unions[0].children[0].branch")=rw"
remount 0 "low=rw base=ro" "ro"
remount 0 "low=rw base=ro" "rw"
for wrong in "add=" "add=$WORK/none" "add=1:$WORK/extra=wr" "add=1:2:$WORK/extra" \
	"add=$WORK/base" "add=x:$WORK/extra" "del=" "del=$WORK/extra" "del=99" "mode=1" \
	"mode=1=ro+dot" "mode=$WORK/extra=ro" "mode=$WORK/base=rw:$WORK/low=rw"; do
	remount 1 "low=rw base=ro" "$wrong"
done
dmesg | tail -n 30 | grep -q "mica: .*none: cannot be used\|add: .*none cannot be used"
result $? "the reason is in the kernel log"
mount -t mica -o "dirs=base,add=$WORK/extra" none base 2>/dev/null
is "a mount does not add" $? 32
umount mnt
finish
