# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# What all the scripts share: where things are, and which kernel is meant.
# To be sourced.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export MICA_CACHE=${MICA_CACHE:-/var/cache/mica}
TRIXIE=$MICA_CACHE/trixie
LINUX_SRC=$MICA_CACHE/linux-source-6.1

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Releases whose headers are at hand, one a line: "release directory".  A
# directory below $TRIXIE is to be used from inside that chroot only.
kernels_with_headers()
{
	local dir

	for dir in /lib/modules/*/build "$TRIXIE"/lib/modules/*/build \
		   "$MICA_CACHE"/kernels/*-mica-debug/build; do
		# Those in the chroot are absolute links, dangling out here.
		[[ -e $dir || -L $dir ]] || continue
		# One that is only half built does not count.
		[[ $dir != *-mica-debug/build || -e ${dir%/build}/vmlinuz ]] ||
			continue
		printf '%s %s\n' "$(basename "$(dirname "$dir")")" "$dir"
	done
}

# kernel_release [NAME]: the full release that NAME stands for: a release, a
# short form (6.1, 6.12, 7.2), "debug", or nothing for the running kernel or,
# failing that, the newest one that we have headers of.
kernel_release()
{
	local name=${1:-} rel

	if [[ -z $name ]]; then
		rel=$(uname -r)
		[[ -e /lib/modules/$rel/build ]] && echo "$rel" && return
		rel=$(kernels_with_headers | awk '$2 ~ "^/lib/modules/" { print $1 }' |
		      sort -V | tail -n 1)
	elif [[ $name == debug ]]; then
		rel=$(kernels_with_headers | cut -d' ' -f1 |
		      grep -e '-mica-debug$' | sort -V | tail -n 1)
	elif [[ $name =~ ^[0-9]+\.[0-9]+$ ]]; then
		rel=$( { kernels_with_headers | cut -d' ' -f1
			 ls "$MICA_CACHE/kernels" 2>/dev/null; } |
		      grep "^${name/./\\.}[.-]" | grep -v mica-debug |
		      sort -V | tail -n 1)
	else
		rel=$name
	fi
	[[ -n $rel ]] && echo "$rel"
}

# kernel_headers RELEASE: the directory to build modules against.
kernel_headers()
{
	kernels_with_headers | awk -v rel="$1" '$1 == rel && !found++ { print $2 }'
}
