# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Real programs on a union: what the tests here share. To be sourced. Speaks TAP.
#
# Half of what a program works on lies in the lower branch, $low, before the union
# is mounted on $mnt; the upper one is $top. Both are on one file system, $fs.
# MICA_LONG in the environment asks for the long form, with more and larger files.

export HOME=/tmp usr=/run/usr/image/usr

# usr_image: see there; once in a machine, over /usr, and below $usr.
usr_image()
{
	mkdir /run/usr 2>/dev/null || return 0
	modprobe -a loop squashfs overlay 2>/dev/null
	mkdir /run/usr/image /run/usr/modules
	mount -o loop,ro "$(dirname "$0")/usr.img" /run/usr/image &&
		mount --bind /usr/lib/modules /run/usr/modules &&
		mount -t overlay -o "ro,lowerdir=$usr:/usr" usr /usr &&
		mount --move /run/usr/modules /usr/lib/modules &&
		cp /etc/ld.so.cache /run/usr/ &&
		mount --bind /run/usr/ld.so.cache /etc/ld.so.cache
}
usr_image || { echo "Bail out! no usr.img"; exit 1; }
dir=$(mktemp -d /tmp/programs.XXXXXX)
disk=$dir/disk low=$disk/low top=$disk/top mnt=$dir/mnt
mkdir "$disk" "$mnt"
count=0 failed=0

# plan N FS...: N cases on each FS
plan()
{
	local each=$1

	shift
	systems=("$@")
	echo "TAP version 13"
	echo "1..$((each * ${#systems[@]}))"
}

bail_out()
{
	echo "Bail out! $*"
	exit 1
}

# on FS: two empty branches on it, and a place beside them that is no branch.
on()
{
	fs=$1
	case $fs in
	tmpfs)	mount -t tmpfs -o size=2G programs "$disk" ;;
	*)	mount "/dev/disk/$fs" "$disk" ;;
	esac || bail_out "no $fs"
	rm -rf "${disk:?}"/*
	mkdir "$low" "$top" "$disk/plain"
}

union()
{
	mount -t mica -o "dirs=$top=rw:$low=ro" none "$mnt" ||
		bail_out "no union on $fs"
}

off()
{
	umount "$mnt" || bail_out "the union on $fs is still in use"
	# Its inodes go, and the files below with them, when a work queue gets to it.
	for ((i = 0; i < 50; i++)); do
		umount "$disk" 2>/dev/null && return
		sleep 0.1
	done
	umount "$disk" || bail_out "$fs is still in use"
}

# check NAME COMMAND...: each command of a function has to succeed.
check()
{
	local name=$1 begun=$SECONDS status

	shift
	((count++))
	(set -e; "$@") >"$dir/log" 2>&1
	status=$?
	if [[ $status = 0 ]]; then
		echo "# $((SECONDS - begun)) s"
		echo "ok $count $fs: $name"
	else
		tail -n 60 "$dir/log" | sed 's/^/# /'
		echo "not ok $count $fs: $name"
		failed=1
	fi
}

# skip NAME REASON
skip()
{
	((count++))
	echo "ok $count $fs: $1 # SKIP $2"
}

# manifest DIRECTORY: everything that a reader of it could see, access times aside
manifest()
{
	(cd "$1" && find . -printf '%p %y %m %U:%G %s %T@ %n %l\n' | sort
	 find . -type f -print0 | sort -z | xargs -0r sha256sum)
}

done_testing()
{
	exit "$failed"
}
