#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Branches in which a union reads marks of one form only: mica union diff, export and
# merge see in them what the union shows.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
on_ext4 64M

mark()
{
	setfattr -n "trusted.overlay.$2" -v "$3" "$1" || exit 1
}

# with_union OPTIONS: mounts it; @ is the directory of the layers.
with_union()
{
	mount -t mica -o "${1//@/$PWD}" none mnt || exit 1
}

# changes: what was found, "CHANGE TYPE PATH WHAT WAS" each
changes()
{
	jq -r '.changes[] | [.change, .type, .path, .what // .was] | join(" ")' "$OUT" |
		sed 's/ *$//' | paste -sd,
}

# names_changed OPTIONS: what names the first branch, which is mounted, adds and
# removes, as they are seen
names_changed()
{
	find mnt -mindepth 1 -printf '/%P\n' | sort >now
	umount mnt
	with_union "${1/@\/top/@/empty}"
	find mnt -mindepth 1 -printf '/%P\n' | sort | comm -3 - now |
		sed 's/^\t/added /; t; s/^/removed /' | sort | paste -sd,
}

# image_shown: what is mounted, as far as an image can have it
image_shown()
{
	tree_shown mnt | sed '/\.wh\./d'
}

# Marks of both forms.
mkdir -p low/{d,e,o,q} base/{d,e,o,q} top/{d,e,r,q} empty work up mnt
for layer in low base; do
	for file in f1 f2 f3 d/x e/x o/p n m; do
		echo $layer >$layer/$file
	done
done
rm -r low/{n,q} && echo low >low/q
mknod low/dev c 0 0
touch base/{dev,q/under} low/.wh.n base/{d,e,o}/base base/.wh.n top/.wh.f1 \
	top/{dev,f3,d/.wh..wh..opq,q/new}
mknod top/f2 c 0 0
mknod top/.wh.n c 0 0
mark top/f3 whiteout y
mark top opaque x
mark top/e opaque y
mark top/r redirect /o
truncate -s 4 top/m
chmod 600 top/m
mark top/m metacopy ""
find base low top -exec touch -hd 2020-02-02 {} +
# Without what no image can have.
cp -a top image
rm image/{f2,.wh.n,.wh.f1,d/.wh..wh..opq}
mkdir pristine && cp -a top low base pristine

both="changed file /m mode,type directory /q file,added file /q/new,added directory /r,added file /r/p"
dot="removed file /d/x,removed file /f1"
overlay="removed file /e/x,removed file /f2,removed file /f3"
as_files="type char-device /f2 file,changed file /f3 content"
shown="added file /.wh.f1,removed file /.wh.n,added file /d/.wh..wh..opq"
hidden="added file /dev"
there="type file /dev char-device"
while IFS='|' read -r options want refused; do
	with_union "$options"
	exits 0 "$options: diff" union diff --json mnt
	is "$options: what it tells" "$(changes | tr , '\n' | sort)" "$(tr , '\n' <<<"$want" | sort)"
	is "$options: as it is seen" "$(names_changed "$options")" \
		"$(jq -r '.changes[] | select(.change | test("added|removed")) | .change + " " + .path' \
			"$OUT" | sort | paste -sd,)"
	umount mnt

	with_union "$options"
	if [[ -n $refused ]]; then
		exits 1 "$options: export" union export -o no.tar mnt
		one_sentence "$options: export"
		like "$options: that is why" "$(<"$ERR")" "$refused"
		is "$options: nothing is written" "$(find . -name '*no.tar*')" ""
	else
		exits 0 "$options: export" union export -o a.tar mnt
	fi
	umount mnt
	with_union "${options/@\/top/@/image}"
	exits 0 "$options: export of what an image can have" union export -o a.tar mnt
	image_shown >before
	umount mnt
	rm -rf back
	exits 0 "$options: it is a layer" union import a.tar back
	low=${options#*:}
	[[ $low = *=* ]] || low+="=ro+overlay"
	with_union "dirs=@/back=ro:$low"
	image_shown | diff before - >"$OUT"
	result $? "$options: which shows the same"
	umount mnt
done <<END
dirs=@/top=ro:@/low=ro|$both,$dot,$overlay,$hidden|
dirs=@/top=ro:@/low=ro+overlay|$both,$dot,$overlay,$hidden|
dirs=@/top=ro:@/low=ro+dot|$both,$dot,$overlay,$there|
dirs=@/top=ro+dot:@/low=ro|$both,$dot,$as_files,$hidden|f2: is a character device 0:0
dirs=@/top=ro+dot:@/low=ro+overlay|$both,$dot,$as_files,$hidden|f2: is a character device 0:0
dirs=@/top=ro+dot:@/low=ro+dot|$both,$dot,$as_files,$there|f2: is a character device 0:0
dirs=@/top=ro+overlay:@/low=ro|$both,$overlay,$hidden|
dirs=@/top=ro+overlay:@/low=ro+dot|$both,$overlay,$there|
dirs=@/top=ro+overlay:@/low=ro+overlay|$both,$overlay,$shown,$hidden|\.wh\.n: is a name that no image
lowerdir=@/top:@/low|$both,$overlay,$shown,$hidden|\.wh\.n: is a name that no image
END
rm top/.wh.n
with_union "lowerdir=@/top:@/low"
exits 1 "export of a name with the prefix" union export -o no.tar mnt
like "it is named" "$(<"$ERR")" "\.wh\.f1: is a name that no image can have"
umount mnt

# A redirect may lead to such a name, where it is an ordinary one.
mkdir -p low/.wh.dir top/s
touch low/.wh.dir/in
mark top/s redirect /.wh.dir
with_union "dirs=@/top=ro+overlay:@/low=ro+overlay"
exits 0 "a redirect to a name with the prefix" union diff --json mnt
like "is followed" "$(changes)" "added directory /s,added file /s/in"
is "by the union as well" "$(ls mnt/s)" in
umount mnt
with_union "dirs=@/top=ro:@/low=ro+overlay"
exits 1 "where that is reserved, it" union diff --json mnt
like "is none" "$(<"$ERR")" "/s: has a redirect to what is no path"
umount mnt
rm -r top low && cp -a pristine/{top,low} .

# What somebody does in a union that has overlayfs's options.
with_union "lowerdir=@/low:@/base,upperdir=@/up,workdir=@/work,metacopy=on"
mv mnt/o mnt/moved
rm mnt/f1 mnt/.wh.n
rm -r mnt/d
mkdir mnt/d
touch mnt/d/new
chmod 600 mnt/m
exits 0 "what is done with overlayfs's options" union diff --json mnt
is "is told" "$(changes)" "removed file /.wh.n,removed file /d/base,added file /d/new,\
removed file /d/x,removed file /f1,changed file /m mode,added directory /moved,\
added file /moved/base,added file /moved/p,removed directory /o"
exits 1 "it is no layer of an image" union export -o no.tar mnt
like "with such a name removed" "$(<"$ERR")" "\.wh\.n: is a name that no image can have"
echo back >mnt/.wh.n
exits 1 "nor with such a name" union export -o no.tar mnt
like "which is named" "$(<"$ERR")" "\.wh\.n: is a name that no image can have"
umount mnt
rm up/.wh.n
with_union "lowerdir=@/up:@/low:@/base"
image_shown >before
exits 0 "without it, it is one" union export -o a.tar mnt
umount mnt
rm -rf back
run union import a.tar back
with_union "dirs=@/back=ro:@/low=ro+overlay:@/base=ro+overlay"
image_shown | diff before - >"$OUT"
result $? "which shows the same"
umount mnt
rm -r up work && mkdir up work

# Branches that are merged are one branch that is read in their forms.
while IFS='|' read -r prepare options merged; do
	rm -rf top low base && cp -a pristine/{top,low,base} . && eval "$prepare" || exit 1
	with_union "$options"
	"$HERE/view" mnt >before
	exits 0 "$options: merge" union merge --mounted mnt "$PWD/top" "$PWD/low"
	"$HERE/view" mnt | diff before - >"$OUT"
	result $? "$options: it shows the same"
	echo 2 >/proc/sys/vm/drop_caches
	"$HERE/view" mnt | diff before - >"$OUT"
	result $? "$options: also when nothing is in memory"
	umount mnt
	with_union "$merged"
	"$HERE/view" mnt | diff before - >"$OUT"
	result $? "$options: the new layer shows the same"
	umount mnt
done <<'END'
rm top/.wh.n|dirs=@/top=ro+dot:@/low=ro+dot:@/base=ro|dirs=@/low=ro+dot:@/base=ro
rm top/.wh.n|dirs=@/top=ro+dot:@/low=ro+dot:@/base=ro+dot|dirs=@/low=ro+dot:@/base=ro+dot
touch top/.wh..wh..opq|dirs=@/top=ro+overlay:@/low=ro+overlay:@/base=ro|dirs=@/low=ro+overlay:@/base=ro
touch top/.wh..wh..opq|dirs=@/top=ro+overlay:@/low=ro+overlay:@/base=ro+overlay|lowerdir=@/low:@/base
mark top/d opaque y|lowerdir=@/top:@/low:@/base|lowerdir=@/low:@/base
rm top/{f3,m} && mark top opaque y|lowerdir=@/top:@/low:@/base,upperdir=@/up,workdir=@/work|lowerdir=@/low:@/base,upperdir=@/up,workdir=@/work
END
# One that is killed goes on in the same form when the union is not there any more.
options="dirs=@/top=ro+overlay:@/low=ro+overlay:@/base=ro+overlay"
steps=0
for part in 0 1 2 3; do
	rm -rf top low && cp -a pristine/{top,low} .
	with_union "$options"
	"$HERE/view" mnt >before
	"$HERE/killed" $((steps * part / 4)) "$MICA" union merge --mounted mnt \
		"$PWD/top" "$PWD/low" >"$OUT" 2>"$ERR"
	is "a merge is killed after $part of 4 steps" "$?" $((part ? 137 : 0))
	[[ $part -ne 0 ]] || steps=$(<"$OUT")
	umount mnt
	[[ $part -eq 0 ]] || exits 0 "$part: it is ended without the union" union merge top low
	with_union "${options/@\/top=ro+overlay:}"
	"$HERE/view" mnt | diff before - >"$OUT"
	result $? "$part: it shows the same"
	umount mnt
done
other="/low: is read in other forms of whiteouts than .*/top"
meta="has .wh..wh.mica, a reserved name"
while IFS='|' read -r prepare options want; do
	rm -rf top low && cp -a pristine/{top,low} . && rm top/.wh.n && eval "$prepare" || exit 1
	with_union "$options"
	exits 1 "$options: merge" union merge --mounted mnt "$PWD/top" "$PWD/low"
	one_sentence "$options: merge"
	like "$options: that is why" "$(<"$ERR")" "$want"
	umount mnt
	is "$options: nothing has happened" "$(find . -name '.*.mica-*')" ""
done <<END
|dirs=@/top=ro:@/low=ro+dot:@/base=ro|$other
|dirs=@/top=ro+dot:@/low=ro+overlay:@/base=ro|$other
|dirs=@/top=ro+overlay:@/low=ro:@/base=ro|$other
mkdir top/.wh..wh.mica|lowerdir=@/top:@/low:@/base|$meta
mkdir -p low/.wh..wh.mica/dir|lowerdir=@/top:@/low:@/base|$meta
mkdir -p top/.wh..wh.mica/index/{,../dir}|dirs=@/top=ro:@/low=ro:@/base=ro|$meta
touch top/.wh..wh.mica|dirs=@/top=ro+dot:@/low=ro+dot:@/base=ro|$meta
END
finish
