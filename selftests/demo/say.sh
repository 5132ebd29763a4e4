# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# How the demo speaks: steps, commands as typed, and statements that were
# checked. The first that is not so ends it. To be sourced.

# step TITLE: what comes next
step()
{
	printf '\n=== %s\n' "$*"
}

note()
{
	printf '    # %s\n' "$*"
}

# not_so STATEMENT: end the demo, loudly
not_so()
{
	{
		printf '\n!!! NOT SO: %s\n' "$1"
		[[ -z ${2:-} ]] || printf '!!! %s\n' "${2//$'\n'/$'\n!!! '}"
	} >&2
	exit 1
}

# so STATEMENT COMMAND...: the command must succeed
so()
{
	local statement=$1 out
	shift

	out=$("$@" 2>&1) || not_so "$statement" "$* failed${out:+:
$out}"
	printf '  ok: %s\n' "$statement"
}

# not COMMAND...: succeeds if the command fails
not()
{
	! "$@"
}

# equal A B
equal()
{
	[[ $1 == "$2" ]] || {
		diff <(printf '%s\n' "$1") <(printf '%s\n' "$2") | head -n 40
		return 1
	}
}

# typed WORD...: a command, as one would type it
typed()
{
	printf '  $ %s\n' "$*"
}

indented()
{
	sed -u 's/^/      /'
}

# run COMMAND...: show it, show what it prints; it must succeed
run()
{
	typed "$*"
	"$@" 2>&1 | indented || not_so "$* works"
}
