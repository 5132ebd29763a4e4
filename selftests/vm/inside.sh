#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Is the test host what it is taken for?

nr=0
bad=0
check()
{
	local name=$1

	shift
	nr=$((nr + 1))
	if "$@"; then
		echo "ok $nr $name"
	else
		echo "not ok $nr $name"
		bad=1
	fi
}

kvm_makes_a_vm()
{
	# KVM_GET_API_VERSION is 12 for ever; KVM_CREATE_VM returns a descriptor.
	perl -e 'open(my $kvm, "+<", "/dev/kvm") or exit 1;
		 ioctl($kvm, 0xae00, 0) == 12 or exit 1;
		 ioctl($kvm, 0xae01, 0) or exit 1;'
}

group_of()
{
	basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"
}

# members_of_edu_groups: how many edu share each of their groups, sorted
members_of_edu_groups()
{
	local dir

	for dir in /sys/bus/pci/devices/*; do
		[[ $(<"$dir/vendor")$(<"$dir/device") = 0x12340x11e8 ]] &&
			group_of "$(basename "$dir")"
	done | sort | uniq -c | awk '{ print $1 }' | sort | paste -sd' '
}

nvme_reads()
{
	modprobe ext4 && mount -o ro /dev/nvme0n1 /mnt &&
		[[ -d /mnt/lost+found ]] && umount /mnt
}

disk_takes_writes()
{
	mount /dev/disk/rw /mnt && echo x >/mnt/x && umount /mnt
}

root_is_read_only()
{
	! touch /etc/mica-was-here 2>/dev/null
}

vfio_has_interrupt_remapping()
{
	modprobe vfio-pci && modprobe vfio_iommu_type1 && [[ -c /dev/vfio/vfio ]] &&
		dmesg | grep -q 'Enabled IRQ remapping'
}

echo "TAP version 13"
echo "1..8"
check "KVM makes a virtual machine" kvm_makes_a_vm
check "edu: one alone in its group, two in one" \
	test "$(members_of_edu_groups)" = "1 2"
check "the NVMe has a group" test -n "$(group_of 0000:01:00.0)"
check "the NVMe can be read" nvme_reads
check "the disk can be written to" disk_takes_writes
check "the root is read-only" root_is_read_only
check "VFIO is there, with interrupt remapping" vfio_has_interrupt_remapping
check "what is written to \$MICA_OUT is kept" touch "$MICA_OUT/here"
exit $bad
