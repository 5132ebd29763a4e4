#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Layers that lead to other ones: mica union diff, export and merge of directories find
# what a union of them finds, or refuse what it refuses.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
on_ext4 64M

# top has a renamed directory of base, and a file of it without its data.
mkdir -p base/d empty top root && echo one >base/d/one && echo two >base/f
touch -hd 2020-02-02 base/f
"$MICA" union mount top base root && mv root/d root/e && chmod 600 root/f && umount root || exit 1
getfattr -n trusted.overlay.metacopy top/f >/dev/null || exit 1
# The same names; some with the same size and time as well.
mkdir -p other/d && echo six >other/d/one && echo six >other/f && touch -hd 2020-02-02 other/f
cp -a base copy

# refuses WORDS COMMAND...
refuses()
{
	local words=$1

	shift
	exits 1 "$*" union "$@"
	like "$* says why" "$(<"$ERR")" "$words"
}

# exported LAYER...: the files of the archive, with what is in them
exported()
{
	rm -rf out out.tar
	run union export -o out.tar "$@" && mkdir out && tar -C out -xf out.tar 2>"$ERR" &&
		(cd out && find . -type f ! -name '.wh.*' | sort | xargs grep -H . | paste -sd' ')
}

while read -r layers; do
	# shellcheck disable=SC2086	# several words
	exits 0 "diff $layers" union diff $layers
	# shellcheck disable=SC2086
	is "export $layers" "$(exported $layers)" "./e/one:one ./f:two"
done <<'END'
top base
top empty base
END
missing="1 of the 1 layers that .*top needs are not to the right of it"
while read -r layers; do
	# shellcheck disable=SC2086
	refuses "$missing" diff --json $layers
done <<'END'
top other
top copy
base top
--top 2 empty top other
END
while read -r layers; do
	# shellcheck disable=SC2086
	refuses "$missing" export -o refused.tar $layers
done <<'END'
top
top other
top copy
END
is "nothing was written" "$(find . -name '*refused*')" ""
exits 0 "what leads nowhere is not refused" union diff base other

# without_module COMMAND...: it cannot be told
without_module()
{
	if unshare -m sh -c 'mount --bind /dev/null /dev/mica && exec "$@"' - \
		"$MICA" union "$@" >"$OUT" 2>"$ERR"; then
		result 1 "$* without the module"
	else
		like "$* without the module" "$(<"$ERR")" \
			"only the module can tell.*load it"
	fi
}
without_module diff top base

# overlayfs says of a metacopy what it was made of, and that may be another one.
chain()
{
	mkdir -p l1 l2 l3 up work && echo 1 >l1/f || return
	mount -t overlay -o "$ovl,lowerdir=l1,upperdir=l2,workdir=work" o root &&
		chmod 600 root/f && umount root && rm -rf work && mkdir work || return
	mount -t overlay -o "$ovl,lowerdir=l2:l1,upperdir=l3,workdir=work" o root &&
		mv root/f root/g && umount root || return
	"$MICA" union mount up l3 l2 l1 root && chmod 640 root/g && umount root
}
ovl=redirect_dir=on,metacopy=on,index=off
chain || exit 1
is "metacopies of metacopies" "$(exported up l3 l2 l1)" "./g:1"

# Who knows that a copy has the same files says so.
cp -a top said && setfattr -x trusted.overlay.mica.layers said
is "a copy of a layer" "$(exported said copy)" "./e/one:one ./f:two"

# What was put between has the name, but not the data.
rm -r top/e top/.wh.d
is "data is not that of a layer between" "$(exported top other base)" "./f:two"
cp -a top said2 && setfattr -x trusted.overlay.mica.layers said2
is "nor is it without a list of layers" "$(exported said2 other base)" "./f:two"
without_module export -o refused.tar said2 other base
rm -r other/d
exits 0 "merge with its data" union merge --into new top other base
is "has it" "$(cat new/f)" "two"
is "and all of it" "$(getfattr -m 'metacopy|data' new/f)" ""
exits 0 "merge without its data" union merge --into new2 top other
"$MICA" union mount new2=ro base=ro root
is "leaves it where it is" "$(cat root/f)" "two"
umount root
refuses "f: was made of another file than the one of its name in these layers" \
	merge --into new3 said2 other
is "nothing is left" "$(find . -name '*new3*')" ""
finish
