#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The examples of Documentation/branches.rst: the commands of each section are run
# in an empty /mnt, in a mount namespace, and print what is written below them, but for
# spaces at the end of a line.

# play TRANSCRIPT: runs its commands, and prints what a terminal would show.
play()
{
	local line

	mount -t tmpfs tmpfs /mnt && cd /mnt || exit
	while IFS= read -r line; do
		[[ $line = [\#$]\ * ]] || continue
		printf '%s\n' "$line"
		eval "${line:2}" </dev/null
	done <"$1" 2>&1
}

mica()
{
	"$MICA" "$@"
}

if [[ ${1:-} = play ]]; then
	play "$2"
	exit
fi

# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
export MICA LC_ALL=C
text=$HERE/branches.rst
[[ -e $text ]] || text=$HERE/../../Documentation/branches.rst

# Literal blocks that begin with a prompt, those of a section in a file, whose name
# is the number of the section and its title. Empty lines are there if something that
# is printed comes after them.
awk -v dir="$WORK" '
	/^(==+|--+)$/ && before { section = sprintf("%s/%02d %s", dir, ++nr, before) }
	/^[^ ]/ { block = indent = 0 }
	block && !indent && /^ / {
		indent = match($0, /[^ ]/)
		shown = substr($0, indent) ~ /^[#$] /
	}
	indent && shown && !NF { empty = empty "\n"; next }
	indent && shown {
		line = substr($0, indent)
		printf "%s%s\n", line ~ /^[#$] / ? "" : empty, line >section
		empty = ""
	}
	/::$/ { block = 1 }
	{ before = $0 }' "$text"

modprobe loop
commands=0
for transcript in "$WORK"/[0-9]*; do
	section=${transcript##*/[0-9][0-9] }
	unshare --mount "$BASH" "$0" play "$transcript" >"$WORK/played"
	diff -uZ --label documented --label printed "$transcript" "$WORK/played" >"$OUT"
	result $? "$section"
	commands=$((commands + $(grep -c '^[#$] ' "$WORK/played")))
done
is "each command was run" "$commands" "$(grep -c '^ *[#$] ' "$text")"
finish
