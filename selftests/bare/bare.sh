#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A machine without IOMMU, KVM and VFIO: unions work, and for the rest it is told
# what is missing.
# shellcheck disable=SC2016	# jq expands these
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/../tool/lib.sh"

need_module
device=$(function_with nvme) || skip_all "this machine has no NVMe"
[[ ! -e /sys/bus/pci/devices/$device/iommu_group ]] ||
	skip_all "this machine has an IOMMU"

# change CHECK: what mica host check says is to be done
change()
{
	jq -r --arg check "$1" '.checks[] | select(.check == $check).change // ""' "$WORK/host"
}

exits 1 "mica host check" host check --json
cp "$OUT" "$WORK/host"
is "what is missing" \
   "$(jq -r '[.checks[] | select(.state == "missing").check] | join(", ")' "$WORK/host")" \
   "KVM, IOMMU, interrupt remapping"
like "what to do about KVM" "$(change KVM)" "modprobe kvm_(amd|intel)"
like "what to do about the IOMMU" "$(change IOMMU)" "intel-iommu.*intel_iommu=on"
like "and about interrupts" "$(change "interrupt remapping")" "intremap=on"
is "no function can be claimed" \
   "$(jq -r '.checks[] | select(.check == "devices").found' "$WORK/host" | cut -d' ' -f1)" 0

exits 1 "a claim" guest exec -d "$device" -- true
one_sentence "a claim"
like "says that there is no IOMMU" "$(<"$ERR")" "$device is behind no IOMMU; switch"
driver_is "$device" nvme
result $? "and changes nothing"
exits 1 "a virtual function" guest exec --vf "$device" -- true
one_sentence "a virtual function"
is "each function says so" \
   "$("$MICA" device list --json | jq -r '[.devices[].obstacle] | unique | join(", ")')" \
   "bridge, no IOMMU"

mkdir "$WORK/low" "$WORK/top" "$WORK/union"
echo low >"$WORK/low/file"
exits 0 "a union" union mount "$WORK/top=rw" "$WORK/low=ro" "$WORK/union"
echo more >>"$WORK/union/file"
is "can be written to" "$(xargs <"$WORK/union/file")" "low more"
is "and leaves what is below" "$(<"$WORK/low/file")" low
umount "$WORK/union"

finish
