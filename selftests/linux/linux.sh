#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A Linux guest reads and writes a drive that it was given, a whole one and a virtual function of
# one; the host finds there what the guest has written.
# shellcheck disable=SC2016	# the guest's command expands it
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/../tool/lib.sh"

need_module
here=$(cd "$(dirname "$0")" && pwd)
[[ -c /dev/kvm ]] || skip_all "this machine has no KVM"
sriov=$(basename "$(dirname "$(grep -lv '^0$' /sys/bus/pci/devices/*/sriov_totalvfs | head -n 1)")")
for drive in /sys/bus/pci/drivers/nvme/0*; do
	[[ ${drive##*/} = "$sriov" ]] || plain=${drive##*/}
done
[[ -n $sriov && -n $plain ]] || skip_all "this machine has not both kinds of NVMe"

vmm=(qemu-system-x86_64 -accel kvm -cpu host -machine q35 -smp 1 -m 512 -nodefaults
	-no-user-config -no-reboot -display none -serial stdio
	-kernel "$here/vmlinuz" -initrd "$here/initrd" -append)
# The guest's init finds nsid in its environment.
append="console=ttyS0 quiet panic=-1 nsid="

# block_device FUNCTION NAMESPACE: names of disks do not tell which namespace they are
block_device()
{
	local nsid node

	for nsid in "/sys/bus/pci/devices/$1/nvme"/*/nvme*n*/nsid; do
		node=/dev/$(basename "${nsid%/*}")
		[[ -b $node && $(<"$nsid") = "$2" ]] && echo "$node"
	done
}

there()
{
	[[ -b $(block_device "$1" "$2") ]]
}

# wrote NAME FUNCTION NAMESPACE: the host finds what the guest said
wrote()
{
	local node place sum

	until_true there "$2" "$3"
	node=$(block_device "$2" "$3")
	blockdev --flushbufs "$node"
	is "$1: the host reads what the guest wrote, at four places" \
		"$(tr -d '\r' <"$OUT" | sed -n 's/^guest: at \([0-9]* MiB\)/\1/p' | sort -n)" \
		"$(for place in 0 8 16 24; do
			sum=$(dd if="$node" bs=64k skip=$((place * 16)) count=64 2>/dev/null |
				sha256sum)
			echo "$place MiB ${sum%% *}"
		done)"
}

# checked NAME: what the guest says itself
checked()
{
	like "$1: all that it read was right" "$(tr -d '\r' <"$OUT")" "guest: done with /dev/nvme"
	is "$1: nothing failed in it" "$(grep -c FAILED "$OUT")" 0
	[[ $(tr -d '\r' <"$OUT" | sed -n 's/^guest: interrupts: //p') -gt 50 ]]
	result $? "$1: its interrupts came"
}

exits 0 "a drive" guest exec -d "$plain" -- "${vmm[@]}" "${append}1" \
	-device "vfio-pci,host=$plain"
checked "a drive"
wrote "a drive" "$plain" 1

exits 0 "a virtual function" guest exec --vf "$sriov" --vf-setup "$here/bring-up" -- \
	sh -c 'exec "$@" -device "vfio-pci,host=$MICA_VFS"' sh "${vmm[@]}" "${append}2"
checked "a virtual function"
wrote "a virtual function" "$sriov" 2
is "a virtual function: it is gone" "$(<"/sys/bus/pci/devices/$sriov/sriov_numvfs")" 0

finish
