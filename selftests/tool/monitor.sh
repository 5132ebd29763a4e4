#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica monitor: sees what happens, line by line.
# shellcheck disable=SC2016	# jq and inner shells expand these
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
mount -t tmpfs tmpfs "$WORK" || exit 1

text=$WORK/text json=$WORK/json
"$MICA" monitor >"$text" 2>"$WORK/text.err" &
text_pid=$!
"$MICA" monitor --json >"$json" 2>"$WORK/json.err" &
json_pid=$!

until_true listens $text_pid || echo "# no listener is seen"
until_true listens $json_pid
sleep 0.5

mkdir "$WORK"/{rw,ro,mnt}
echo low >"$WORK/ro/file"
echo low >"$WORK/ro/doomed"
bad=$'new\nline "quoted" \\'
echo low >"$WORK/ro/$bad"
"$MICA" union mount "$WORK/rw" "$WORK/ro" "$WORK/mnt"
id=$("$MICA" union list --json | jq -r '.unions[-1].name')
echo more >>"$WORK/mnt/file"
rm "$WORK/mnt/doomed"
echo more >>"$WORK/mnt/$bad"
umount "$WORK/mnt"

# seen FILTER: a line of the JSON passes it.
seen()
{
	jq -e --argjson id "$id" "select($1)" <"$json" 2>/dev/null | grep -q .
}

# sees NAME FILTER
sees()
{
	until_true seen "$2"
	result $? "$1"
}

sees "mount" '.event == "union-mount" and .union == $id'
sees "copy-up" '.event == "copy-up" and .union == $id and .path == "/file" and .pid > 0'
sees "whiteout" '.event == "whiteout" and .union == $id and .path == "/doomed"'
sees "a hostile name, whole" '.event == "copy-up" and .path == "/new\nline \"quoted\" \\"'
sees "unmount" '.event == "union-umount" and .union == $id'
grep -qF "copy-up union $id /new\\x0aline \"quoted\" \\ pid" "$text"
result $? "and on one line for people"

device=$(function_with nvme)
if [[ -n $device && -e /sys/bus/pci/devices/$device/iommu_group ]]; then
	"$MICA" guest exec -d "$device" -- sh -c 'exit 3'
	for event in claim guest-start guest-end restore; do
		sees "$event" ".event == \"$event\" and .session > 0"
	done
	sees "the device of a claim" \
	     ".event == \"claim\" and .device == \"$device\" and .driver == \"nvme\" and .error == null"
	sees "the exit code of a guest" '.event == "guest-end" and ."exit-code" == 3'
	sees "the device of a restore" ".event == \"restore\" and .device == \"$device\""
	is "their order" \
	   "$(jq -r 'select(.session) | .event' "$json" | tr '\n' ' ')" \
	   "claim guest-start guest-end restore "
	"$MICA" guest exec -d "$device" -- sh -c 'kill -9 $$'
	sees "the signal that killed a guest" '.event == "guest-end" and .signal == 9'
	"$MICA" guest exec -d "$device" -- \
		sh -c 'echo "$0" >/sys/bus/pci/drivers/vfio-pci/unbind' "$device"
	sees "that somebody takes a device" \
	     ".event == \"leaving\" and .device == \"$device\" and .session > 0"
	is "and nobody else does" \
	   "$(jq -c 'select(.event == "leaving")' "$json" | wc -l)" 1
else
	skip "claim, guest and restore" "this machine has no NVMe behind an IOMMU"
fi

is "each line is a JSON object" \
   "$(jq -c 'type' <"$json" | sort -u)" '"object"'
is "times do not go back" \
   "$(jq -s '[.[].time] == ([.[].time] | sort)' "$json")" true

kill -TERM $text_pid
wait $text_pid
is "SIGTERM ends it orderly" $? 0
kill -INT $json_pid
wait $json_pid
is "so does SIGINT" $? 0

if [[ -n ${MICA_KO:-} ]]; then
	"$MICA" monitor >"$OUT" 2>"$ERR" &
	pid=$!
	until_true listens $pid
	sleep 0.5
	rmmod mica
	wait $pid
	is "it ends when the module is unloaded" $? 0
	like "and says so" "$(<"$ERR")" unloaded
	insmod "$MICA_KO"
fi

runuser -u nobody -- "$MICA" monitor >"$OUT" 2>"$ERR"
is "others than root may not" $? 1
one_sentence "others than root may not"

finish
