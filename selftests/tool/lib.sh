# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# TAP for the tests of the tool, and what they have in common. To be sourced.

# The tool, seen from where the tests are installed and from their sources.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${MICA:-} ]]; then
	MICA=$HERE/../../../tool/mica
	[[ -x $MICA ]] || MICA=$HERE/../../build/tool/mica
fi
[[ -x $MICA ]] || {
	echo "Bail out! the tool is not built: make tool"
	exit 1
}
KSFT_SKIP=4
nr=0 failed=0

WORK=$(mktemp -d) || exit 1
OUT=$WORK/stdout ERR=$WORK/stderr

cleanup()
{
	local job

	for job in $(jobs -p); do
		kill "$job" 2>/dev/null
	done
	wait
	# A path that a test changed into is of no use any more.
	cd / || exit
	# A loop device lets go of its file a moment later.
	umount -R "$WORK" 2>/dev/null || umount -lR "$WORK" 2>/dev/null
	rm -rf "$WORK"
}
trap cleanup EXIT

# result STATUS NAME: 0 passed; what the last command wrote goes with a failure.
result()
{
	nr=$((nr + 1))
	if [[ $1 -eq 0 ]]; then
		echo "ok $nr $2"
		return
	fi
	echo "not ok $nr $2"
	failed=$((failed + 1))
	sed 's/^/# out: /' "$OUT" 2>/dev/null
	sed 's/^/# err: /' "$ERR" 2>/dev/null
}

skip()
{
	nr=$((nr + 1))
	echo "ok $nr $1 # SKIP $2"
}

skip_all()
{
	echo "1..0 # SKIP $*"
	exit $KSFT_SKIP
}

finish()
{
	echo "1..$nr"
	exit $((failed != 0))
}

# run ARG...: mica with its output kept; sets $status.
run()
{
	"$MICA" "$@" >"$OUT" 2>"$ERR"
	status=$?
}

# exits WANT NAME ARG...: mica ARG... ends with WANT.
exits()
{
	local want=$1 name=$2

	shift 2
	run "$@"
	[[ $status -eq $want ]]
	result $? "$name (exit code $status, wanted $want)"
}

# is NAME GOT WANT
is()
{
	[[ $2 == "$3" ]]
	local same=$?
	result $same "$1"
	[[ $same -eq 0 ]] || printf '# got:    %q\n# wanted: %q\n' "$2" "$3"
}

# like NAME TEXT PATTERN
like()
{
	[[ $2 =~ $3 ]]
	local same=$?
	result $same "$1"
	[[ $same -eq 0 ]] || printf '# got:    %q\n# wanted: %q\n' "$2" "$3"
}

# A failure is told in one line on stderr and nothing else.
one_sentence()
{
	[[ ! -s $OUT && $(wc -l <"$ERR") -eq 1 ]]
	result $? "$1: one sentence"
}

# until_true COMMAND...: waits for it, up to twenty seconds.
until_true()
{
	local end=$((SECONDS + 20))

	while ! "$@"; do
		[[ $SECONDS -lt $end ]] || return
		sleep 0.1
	done
}

# listens PID: mica monitor is about to hear of events. libnl makes a port number of
# the process's in the lower 22 bits. The group of events is joined right after
# another one, which /proc shows.
listens()
{
	awk -v pid="$1" '$2 == 16 && $3 % 4194304 == pid && $4 != "00000000" { found = 1 }
			 END { exit !found }' /proc/net/netlink
}

need_root()
{
	[[ $(id -u) -eq 0 ]] || skip_all "needs root"
}

# on_ext4 SIZE: goes to a directory disk/ with all extended attributes, which tmpfs does not always have.
on_ext4()
{
	need_root
	mount -t tmpfs tmpfs "$WORK" && cd "$WORK" || exit 1
	modprobe -q loop
	truncate -s "$1" image && mkfs.ext4 -q -b 4096 image && mkdir disk &&
		mount -o loop image disk && cd disk && rmdir lost+found || exit 1
}

# left: the names that are here
left()
{
	find . -mindepth 1 -maxdepth 1 -printf '%P\n' | sort | xargs
}

# whole_tree DIRECTORY: all that can be told of what is in it
whole_tree()
{
	(
		cd "$1" || exit
		find . -print0 | sort -z |
			xargs -0 stat --printf '%n %F %a %u:%g %h %t:%T %y\n'
		find . -type l -printf '%p %l\n' | sort
		find . -type f -exec sha256sum {} + | sort
		getfattr -P -h -R -d -m - -e hex .
	)
}

# tree_shown DIRECTORY: what is in it, whatever file system it is on
tree_shown()
{
	(
		cd "$1" || exit
		find . -printf '%P %y %m %U:%G %l\n' | sort
		find . -type f -exec sha256sum {} + | sort
		find . -type f -links +1 -printf '%P has links\n' | sort
	)
}

need_module()
{
	need_root
	[[ -d /sys/module/mica ]] && return
	[[ -n ${MICA_KO:-} ]] || skip_all "the module is not loaded"
	insmod "$MICA_KO" || exit 1
}

driver_of()
{
	local link

	link=$(readlink "/sys/bus/pci/devices/$1/driver") && basename "$link"
}

driver_is()
{
	[[ $(driver_of "$1") == "$2" ]]
}

# The first function that has the driver.
function_with()
{
	local dir

	for dir in /sys/bus/pci/drivers/"$1"/*:*; do
		[[ -e $dir ]] && basename "$dir" && return
	done
	return 1
}
