#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What the tool does with right and wrong command lines; needs no module.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

commands=("host check" "device list" "device show" "guest exec" "guest list"
	  "union mount" "union list" "union check" "union add" "union del"
	  "union mode" "union move" "union snapshot" "union reset" "union diff" "union export"
	  "union import" "union merge" "monitor")

for option in --help -h; do
	for command in "" host device guest union "${commands[@]}"; do
		# shellcheck disable=SC2086
		run $command $option
		[[ $status -eq 0 && -s $OUT && ! -s $ERR ]]
		result $? "mica $command $option"
	done
done

for command in "${commands[@]}"; do
	# shellcheck disable=SC2086
	exits 2 "$command: unknown option" $command --no-such-option
	one_sentence "$command: unknown option"
	# shellcheck disable=SC2086
	exits 2 "$command: unknown letter" $command -Z
done

exits 0 "--version" --version
like "--version says something" "$(<"$OUT")" '^mica .+'

exits 2 "no command"
one_sentence "no command"
exits 2 "no such noun" mineral
exits 2 "no verb" device
exits 2 "no such verb" device destroy
exits 2 "monitor with an argument" monitor now
exits 2 "host check with an argument" host check now
exits 2 "device list with an argument" device list 0000:01:00.0
exits 2 "device show without one" device show
exits 2 "device show with two" device show 01:00.0 02:00.0
for device in "" x 00 0:0:0:0.0 00:00.8 00:20.0 100:00.0 00:00.00 -1:00.0 \
	      "00:00.0 " 00:+1.0 0x1:00.0 00:00.; do
	exits 2 "'$device' is no device" device show -- "$device"
done
exits 2 "guest exec without a device" guest exec -- true
exits 2 "guest exec without a command" guest exec --device 00:00.0
exits 2 "guest exec for a user that is not there" \
	guest exec --device 00:00.0 --user no-such-user -- true
for size in "" x 1X K 1KK -1 1.5G 99999999999999999999 99999999999T; do
	exits 2 "guest exec with '$size' to lock" \
		guest exec --device 00:00.0 --memlock "$size" -- true
done
exits 2 "union mount without branches" union mount "$WORK"
exits 2 "union mount with a branch that has no path" union mount =rw "$WORK"

exits 2 "union diff without a layer" union diff
exits 2 "union export without a layer" union export --gzip
exits 2 "union import without a directory" union import
exits 2 "union import with an argument too many" union import a b c
exits 2 "union import with another form of whiteouts" union import --whiteout aufs a b
exits 2 "union merge of one layer" union merge "$WORK"
exits 2 "union merge into a mounted union" union merge --mounted / --into a b c

exits 1 "guest exec of what does not exist" \
	guest exec --device 00:00.0 -- /no/such/program
one_sentence "guest exec of what does not exist"

if [[ -w /dev/full ]]; then
	"$MICA" --help >/dev/full 2>"$ERR"
	is "a full disk is a failure" $? 1
fi

finish
