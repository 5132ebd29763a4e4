#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica device list and show against sysfs and lspci.
# shellcheck disable=SC2016	# jq and inner shells expand these
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module

# field DEVICE KEY: from the list in $OUT.
field()
{
	jq -r --arg d "$1" --arg k "$2" \
	   '.devices[] | select(.device == $d) | .[$k] // ""' "$OUT"
}

# What sysfs and lspci say, in the columns of the list.
while read -r device name; do
	dir=/sys/bus/pci/devices/$device
	group=$(readlink "$dir/iommu_group")
	class=$(<"$dir/class")
	printf '%s|%s|%s|%s|%s\n' "$device" "${group##*/}" \
		"$(driver_of "$device")" "${class#0x}" "$name"
done < <(lspci -D | sed -E 's/ [^:]*: / /; s/ \((rev|prog-if) .*//') >"$WORK/wanted"

run device list --json
is "exit code" "$status" 0
is "functions, groups, drivers, classes, names" \
   "$(jq -r '.devices[] | "\(.device)|\(.group // "")|\(.driver // "")|\(.class)|\(.name)"' "$OUT")" \
   "$(<"$WORK/wanted")"
is "a bridge cannot be claimed" \
   "$(jq -c '[.devices[] | select(.class[:2] == "06") | [.claim, .obstacle]] | unique' "$OUT")" \
   '[["no","bridge"]]'
is "nothing can be without an IOMMU" \
   "$(jq '[.devices[] | select(.group == null and .claim != "no")] | length' "$OUT")" 0
is "what cannot be claimed has a reason" \
   "$(jq '[.devices[] | select(.claim == "no" and .reason == null)] | length' "$OUT")" 0

exits 0 "the table" device list
is "a line each" "$(grep -c '^....:..:..\.. ' "$OUT")" \
   "$(find /sys/bus/pci/devices -mindepth 1 | wc -l)"

first=$(basename "$(find /sys/bus/pci/devices -mindepth 1 | sort | head -n 1)")
for form in "$first" "${first#0000:}" "0:${first#0000:0}"; do
	run device show --json "$form"
	is "show $form" "$(jq -r '.devices[0].device' "$OUT")" "$first"
done
exits 0 "show as text" device show "$first"
like "show names it" "$(<"$OUT")" "$first"
exits 1 "show what is not there" device show ffff:1f:1f.7
one_sentence "show what is not there"

nvme=$(function_with nvme)
if [[ -z $nvme ]]; then
	skip "an NVMe" "this machine has none"
	finish
fi
run device show --json "$nvme"
like "it can be reset" "$(jq -r '.devices[0].reset' "$OUT")" flr
node=$(basename "$(find "/sys/bus/pci/devices/$nvme/nvme" -mindepth 1 -maxdepth 1)")
(exec 3<"/dev/$node" && exec sleep 60) &
run device show --json "$nvme"
like "who uses it" "$(jq -r '.devices[0]."used-by"[]?' "$OUT")" \
     "^$! sleep /dev/$node\$"
kill $!

disk=$(basename "$(find "/sys/bus/pci/devices/$nvme/nvme/$node" -maxdepth 1 -name 'nvme*n*')")
mkdir "$WORK/disk"
if [[ -n $disk ]] && mount -o ro "/dev/$disk" "$WORK/disk" 2>/dev/null; then
	run device list --json
	is "a mounted disk is in the way" \
	   "$(field "$nvme" claim): $(field "$nvme" obstacle)" "no: disk in use"
	like "and named" "$(field "$nvme" reason)" "$disk"
	umount "$WORK/disk"
else
	skip "a mounted disk is in the way" "the NVMe has no file system"
fi

finish
