#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dpkg in a chroot that has the root of this machine as its lowest branch: real
# packages, with configuration files, alternatives and maintainers' scripts, come,
# come over what is there, and go. scripts/setup has put them into the cache. Without
# triggers, since the manual pages of all the machine would be read.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

packages=(hello mksh)
[[ -z ${MICA_LONG:-} ]] || packages=(hello mksh ed nano)

chrooted()
{
	chroot "$mnt" "$@"
}

files()
{
	(cd "$mnt" && ls -A etc etc/alternatives etc/init.d usr/bin usr/share/doc \
		var/lib/dpkg/info var/lib/dpkg/alternatives)
}

# Without those that this machine itself has.
begin()
{
	local package

	for package in "${packages[@]}"; do
		[[ ! -e /var/lib/dpkg/info/$package.list ]] ||
			chrooted dpkg --no-triggers -P "$package"
	done
	files >"$dir/before"
}

installs()
{
	cp "${debs[@]}" "$mnt/var/tmp/"
	chrooted dpkg --no-triggers --force-confnew -i "${debs[@]/#*\///var/tmp/}"
	# shellcheck disable=SC2016	# for dpkg
	chrooted dpkg-query -Wf '${db:Status-Status}\n' "${packages[@]}" >"$dir/states"
	test "$(grep -cx installed "$dir/states")" = "${#packages[@]}"
}

works()
{
	# Every file is what its package says; documentation may be left out here.
	chrooted dpkg -V "${packages[@]}" | grep -v /usr/share/ >"$dir/differs" || :
	test ! -s "$dir/differs"
	test "$(chrooted hello)" = "Hello, world!"
	test "$(chrooted mksh -c "echo \$((6 * 7))")" = 42
	test -e "$mnt/etc/mkshrc"
	[[ ${packages[*]} != *ed* ]] ||
		test "$(printf 'a\nx\n.\n,p\nQ\n' | chrooted ed -s)" = x
}

goes()
{
	chrooted dpkg --no-triggers -r "${packages[@]}"
	test ! -e "$mnt/usr/bin/hello" -a ! -e "$mnt/bin/mksh" -a -e "$mnt/etc/mkshrc"
	chrooted dpkg --no-triggers -P "${packages[@]}"
	files | diff "$dir/before" -
	! chrooted dpkg-query -W "${packages[@]}" || return 1
}

debs=()
for package in "${packages[@]}"; do
	debs+=("$MICA_CACHE/packages/$package"_*.deb)
done

plan 4 ext4 xfs btrfs tmpfs
for system in "${systems[@]}"; do
	on "$system"
	mount --bind / "$low" || bail_out "no root"
	mount -t mica -o "dirs=$top=rw:${usr%/usr}=ro:$low=ro" none "$mnt" ||
		bail_out "no union on $fs"
	for sub in proc dev var/tmp; do
		mount --bind "/$sub" "$mnt/$sub"
	done
	begin >/dev/null 2>&1 || bail_out "a package cannot be removed"
	check "dpkg -i of ${packages[*]}" installs
	check "dpkg -V, and they work" works
	check "dpkg -i once more" installs
	check "dpkg -r, -P, and nothing is left" goes
	umount "$mnt/proc" "$mnt/dev" "$mnt/var/tmp" "$low"
	off
done
done_testing
