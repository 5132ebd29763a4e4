#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# PCI Express errors of what a session holds: the kernel is made to believe in some.
# shellcheck disable=SC2016	# jq and inner shells expand these
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/../tool/lib.sh"

need_module
[[ -d /sys/kernel/tracing/events/ras/aer_event ]] ||
	skip_all "this kernel does not tell of PCI Express errors"
modprobe -q aer_inject || skip_all "this kernel has no aer_inject"
device=$(function_with e1000e) || skip_all "this machine has no e1000e"
other=$(function_with nvme) || skip_all "this machine has no NVMe"

# above FUNCTION: the port that it is behind
above()
{
	basename "$(dirname "$(readlink -f "/sys/bus/pci/devices/$1")")"
}

port=$(above "$device")
other_port=$(above "$other")

CORRECTED=0x40		# bad TLP
NONFATAL=0x4000		# completion timeout
FATAL=0x10		# data link protocol

# inject FUNCTION UNCORRECTED CORRECTED [TIMES]: struct aer_error_inj of the kernel's.
# It says EBUSY when the one before is still to be handled.
inject()
{
	perl -MErrno -e 'my ($function, $uncorrected, $corrected, $times) = @ARGV;
		 my @address = map { hex } split /[:.]/, $function;
		 open(my $to, ">", "/dev/aer_inject") or die "$!";
		 for (1 .. $times) {
			syswrite($to, pack("CCCxL7", @address[1 .. 3], hex $uncorrected,
				 hex $corrected, 0, 0, 0, 0, $address[0])) or
				$!{EBUSY} or die "$!";
			select(undef, undef, undef, 0.02) if $times > 1;
		 }' "$1" "$2" "$3" "${4:-1}" 2>"$ERR"
	result $? "into $1: $2 $3"
}

# hold OPTION FUNCTION: a session has it until the file of its name appears
hold()
{
	rm -f "$WORK/$2" "$WORK/$2.held"
	"$MICA" guest exec "$1" "$2" -- sh -c \
		'echo "$MICA_VFS" >"$0.held"; until [ -e "$0" ]; do sleep 0.1; done; exit 7' \
		"$WORK/$2" 2>>"$WORK/messages" &
	until_true test -s "$WORK/$2.held"
}

# session_of FUNCTION
session_of()
{
	"$MICA" guest list --json | jq -r --arg d "$1" \
		'.sessions[] | select(.children[]?.name == $d).name'
}

# seen COUNT FILTER: so many errors that pass it were told of
seen()
{
	[[ $(jq -s "[.[] | select(.event == \"pcie-error\") | select($2).count] | add // 0" \
		<"$json") -eq $1 ]]
}

# sees NAME COUNT FILTER
sees()
{
	until_true seen "$2" "$3"
	result $? "$1"
}

# corrected: how many the kernel has counted
corrected()
{
	awk '$1 == "TOTAL_ERR_COR" { print $2 }' "/sys/bus/pci/devices/$device/aer_dev_correctable"
}

json=$WORK/json
"$MICA" monitor --json >"$json" &
monitor=$!
until_true listens $monitor
"$MICA" monitor >"$WORK/text" &
text=$!
until_true listens $text
sleep 0.5

inject "$device" 0 $CORRECTED
hold -d "$device"
mine=$!
hold -d "$other"
others=$!
of_mine=".session == $(session_of "$device") and .device == \"$device\""
of_other=".session == $(session_of "$other") and .device == \"$other\""

inject "$device" 0 $CORRECTED
sees "corrected" 1 \
	"$of_mine and .severity == \"corrected\" and .status == $((CORRECTED)) and .reporter == null"
inject "$device" $NONFATAL 0
sees "nonfatal" 1 \
	"$of_mine and .severity == \"nonfatal\" and .status == $((NONFATAL)) and .reporter == null"
inject "$port" 0 $CORRECTED
sees "of the port above" 1 \
	"$of_mine and .severity == \"corrected\" and .reporter == \"$port\""
until_true grep -qE "pcie-error session [0-9]+ $device: corrected, status 0x40, of $port" \
	"$WORK/text"
result $? "on a line for people"
inject "$other_port" 0 $CORRECTED
sees "of the port above another session's" 1 "$of_other and .reporter == \"$other_port\""
is "nobody is told of what is not his" \
	"$(jq -s '[.[] | select(.event == "pcie-error")] | length' <"$json")" 4

# The kernel takes errors that come at once for one.
before=$(corrected)
inject "$device" 0 $CORRECTED 100
touch "$WORK/$device"
wait $mine
is "the session went on to its end" $? 7
until_true driver_is "$device" e1000e
result $? "the device is back on its driver"
sum=$(($(corrected) - before))
[[ $sum -gt 20 ]]
result $? "a storm of $sum"
sees "a storm: all $sum are counted" $((sum + 2)) "$of_mine and .severity == \"corrected\""
jq -es "[.[] | select($of_mine and .severity == \"corrected\").time][2:] |
	length <= last - first + 3" <"$json" >"$OUT"
result $? "and told of once a second"
is "all before the restore" \
	"$(jq -rs "[.[] | select(.device == \"$device\").event] | last" <"$json")" restore

modprobe -q igb
pf=$(function_with igb)
if [[ -n $pf ]]; then
	hold --vf "$pf"
	vfs=$!
	inject "$pf" 0 $CORRECTED
	sees "of the physical function of a virtual one" 1 \
		".session == $(session_of "$(<"$WORK/$pf.held")") and .device == \"$(<"$WORK/$pf.held")\" and .reporter == \"$pf\""
	touch "$WORK/$pf"
	wait $vfs
	is "the session of the virtual one goes on" $? 7
else
	skip "of the physical function of a virtual one" "this machine has no igb"
fi

# The kernel resets the link, which this machine may not survive in good order.
hold -d "$device"
mine=$!
of_mine=".session == $(session_of "$device") and .device == \"$device\""
inject "$device" $FATAL 0
sees "fatal" 1 "$of_mine and .severity == \"fatal\""
touch "$WORK/$device" "$WORK/$other"
wait $mine
is "the session goes on" $? 7
wait $others
is "the other one too" $? 7
until_true driver_is "$other" nvme
result $? "and its device is back on its driver"
finish
