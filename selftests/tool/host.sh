#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica host check against what this machine has.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module

state_of()
{
	jq -r --arg check "$1" '.checks[] | select(.check == $check).state' "$OUT"
}

# state_is CHECK WANT
state_is()
{
	is "$1: $2" "$(state_of "$1")" "$2"
}

ok_if()
{
	if "$@"; then echo ok; else echo missing; fi
}

has_iommu()
{
	[[ -n $(ls /sys/kernel/iommu_groups) ]]
}

has_remapping()
{
	grep -q ' IR-' /proc/interrupts
}

run host check --json
jq -e . <"$OUT" >"$WORK/jq" 2>&1
result $? "JSON"
iommu=$(ok_if has_iommu)
remapping=$(ok_if has_remapping)
cpu=$(ok_if grep -qwE 'svm|vmx' /proc/cpuinfo)
kvm=$(ok_if test -c /dev/kvm)
state_is CPU "$cpu"
state_is KVM "$kvm"
state_is IOMMU "$iommu"
state_is "interrupt remapping" "$remapping"
state_is mica ok
state_is union ok
state_is memory info
state_is devices info
like "devices are counted" "$(jq -r '.checks[] | select(.check == "devices").found' "$OUT")" \
     "^$("$MICA" device list --json | jq -r '[.devices[] | select(.obstacle != "bridge")] |
	"\([.[] | select(.claim == "yes")] | length) of \(length) functions"')"

possible=0
case "$cpu $kvm $iommu $remapping $(state_of vfio-pci)" in
*missing*)	possible=1 ;;
esac
is "exit code" "$status" "$possible"

is "each missing thing has a way out" \
   "$(jq '[.checks[] | select(.state == "missing" and .change == null)] | length' "$OUT")" 0
! grep -qiE 'unsafe_interrupts=[1y]|pcie_acs_override|iommu=pt.*unsafe' "$OUT"
result $? "nothing unsafe is advised"

exits "$possible" "the table" host check
is "each check has a line" \
   "$(grep -cE '^(ok|missing|info) ' "$OUT")" \
   "$("$MICA" host check --json | jq '.checks | length')"

if [[ -n ${MICA_KO:-} ]] && rmmod mica 2>/dev/null; then
	exits 1 "without the module" host check --json
	state_is mica missing
	state_is union missing
	like "says what to do" "$(jq -r '.checks[] | select(.check == "mica").change' "$OUT")" insmod
	exits 1 "guest list without the module" guest list
	one_sentence "guest list without the module"
	exits 1 "union mount without the module" union mount /tmp /mnt
	one_sentence "union mount without the module"
	exits 1 "monitor without the module" monitor
	exits 0 "device list without the module" device list --json
	is "then claims are not known" \
	   "$(jq -r '[.devices[].claim] | unique | join(" ")' "$OUT")" "?"
	insmod "$MICA_KO"
else
	skip "without the module" "it cannot be unloaded here"
fi

finish
