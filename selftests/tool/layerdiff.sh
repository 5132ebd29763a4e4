#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica union diff of directories: what layers of both forms do to what is below them;
# needs no module.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_root
on_ext4 64M

mark()
{
	setfattr -n "trusted.overlay.$2" -v "$3" "$1" || exit 1
}

# changes: what was found, "CHANGE TYPE PATH WHAT WAS" each
changes()
{
	jq -r '.changes[] | [.change, .type, .path, .what // "-", .was // "-"] | join(" ")' "$OUT" |
		paste -sd,
}

# shows NAME WANT [OPTION...] LAYER...
shows()
{
	local name=$1 want=$2

	shift 2
	exits 0 "$name" union diff --json "$@"
	is "$name: what it tells" "$(changes)" "$want"
}

mkdir -p low/{dir/sub,other,empty} && echo file >low/file && echo same >low/dir/f
ln -s /target low/link
mkfifo low/fifo
mknod low/null c 1 3
ln low/file low/second
setfattr -n user.a -v b low/file
chmod 2755 low/other
truncate -s 1M low/big
find low -exec touch -hd 2020-02-02 {} +

# What each line does to top, a layer above low. One diff tells of all of them.
cases=() n=0
mkdir lows tops
while IFS='|' read -r name want command; do
	cases[n]="$name|$want"
	cp -a low "lows/$n" && mkdir top || exit 1
	touch -hd 2020-02-02 top
	eval "$command" || exit 1
	mv top "tops/$n"
	n=$((n + 1))
done <<'END'
nothing||true
a new file|added file /new - -|touch top/new
a new directory|added directory /d - -,added file /d/x - -|mkdir top/d; touch top/d/x
a new symlink|added symlink /l - -|ln -s x top/l
a new fifo|added fifo /p - -|mkfifo top/p
a new device|added block-device /b - -|mknod top/b b 7 0
a whiteout|removed file /file - -|touch top/.wh.file
an overlay whiteout|removed file /file - -|mknod top/file c 0 0
an overlay whiteout with an attribute|removed file /file - -|touch top/file; mark top/file whiteout y; mark top opaque x
a removed directory|removed directory /dir - -|touch top/.wh.dir
a whiteout of nothing||touch top/.wh.absent; mknod top/absent2 c 0 0
a whiteout of a file that is there||touch top/.wh.link; cp -a low/link top
a whiteout beside a directory|removed file /dir/f - -,removed directory /dir/sub - -|touch top/.wh.dir; cp -a --attributes-only low/dir top; rm -r top/dir/*
an opaque directory|removed file /dir/f - -|mkdir -p top/dir/sub; touch top/dir/.wh..wh..opq
an old opaque directory|removed file /dir/f - -|mkdir -p top/dir/sub; touch top/dir/.wh.__dir_opaque
an opaque directory of overlay|removed file /dir/f - -,removed directory /dir/sub - -|mkdir top/dir; mark top/dir opaque y
an opaque root|removed file /big - -,removed fifo /fifo - -,removed char-device /null - -,added file /x - -|cp -a low/dir low/other low/empty low/link top; cp -al low/file top; ln top/file top/second; touch top/x top/.wh..wh..opq
a directory that is only on the way||mkdir top/dir
its time||mkdir top/dir; touch -d 2021-01-01 top/dir
its mode|changed directory /dir mode -|mkdir -m 700 top/dir
its attributes|changed directory /dir attributes -|mkdir top/dir; setfacl -m u:33:rwx top/dir; chmod 755 top/dir
the root|changed directory / mode owner -|chmod 711 top; chown 5:6 top
a copy||cp -a low/link low/null low/fifo low/dir low/other top
a copy with a size|changed file /dir/f content -|mkdir top/dir; echo longer >top/dir/f; touch -d 2020-02-02 top/dir/f
a copy with other data|changed file /dir/f content -|mkdir top/dir; echo sane >top/dir/f; touch -d 2020-02-02 top/dir/f
a copy that was touched|changed file /dir/f time -|cp -a low/dir top; touch top/dir/f
a copy with another mode|changed file /dir/f mode -|cp -a low/dir top; chmod 4644 top/dir/f
a copy with another owner|changed file /dir/f owner -|cp -a low/dir top; chgrp 5 top/dir/f
a copy with another attribute|changed file /file attributes -|cp -a low/file top; setfattr -n user.a -v c top/file
a copy with one more|changed file /file attributes -|cp -a low/file top; setfattr -n user.z -v '' top/file
a copy with one less|changed file /file attributes -|cp -a low/file top; setfattr -x user.a top/file
a copy with marks||cp -a low/file top; mark top/file origin x; setfattr -n user.overlay.x -v y top/file
another link|changed symlink /link content -|ln -s /other top/link; touch -hd 2020-02-02 top/link
another device|changed char-device /null content -|mknod top/null c 1 5; touch -d 2020-02-02 top/null
all of it|changed file /dir/f content mode owner time attributes -|mkdir top/dir; echo >top/dir/f; chmod 0 top/dir/f; chown 5 top/dir/f; setfattr -n user.x -v y top/dir/f
a file that is a directory|type directory /file - file,added file /file/x - -|mkdir top/file; touch top/file/x
a directory that is a file|type file /dir - directory|touch top/dir
a symlink that is a directory|type directory /link - symlink|mkdir top/link
another kind of device|type block-device /null - char-device|mknod top/null b 1 3
a renamed directory|removed directory /dir - -,added directory /new - -,added file /new/f - -,added directory /new/sub - -|touch top/.wh.dir; mkdir top/new; mark top/new redirect /$n/dir
a renamed directory that was changed|removed directory /dir - -,added directory /new - -,added file /new/g - -,added directory /new/sub - -|touch top/.wh.dir; mkdir top/new; mark top/new redirect dir; touch top/new/g top/new/.wh.f
a directory in the place of another|removed directory /dir - -,added file /other/f - -,added directory /other/sub - -|mkdir -m 2755 top/other; mark top/other redirect /$n/dir; touch top/.wh.dir
a redirect that is empty|removed directory /dir - -,added directory /new - -|touch top/.wh.dir; mkdir top/new; mark top/new redirect ""
a metacopy|changed file /dir/f mode -|mkdir top/dir; touch top/dir/f; truncate -s 5 top/dir/f; touch -d 2020-02-02 top/dir/f; chmod 600 top/dir/f; mark top/dir/f metacopy ""
a metacopy of something else|changed file /dir/f content -|mkdir top/dir; truncate -s 5 top/dir/f; touch -d 2020-02-02 top/dir/f; mark top/dir/f metacopy ""; mark top/dir/f redirect /$n/file
what is the union's own||mkdir -p top/.wh..wh.mica/work; touch top/.wh..wh.mica/work/x top/.wh..wh.aufs top/.wh.
END
run union diff --json tops lows
mapfile -t told < <(jq -r '.changes[] | (.path | ltrimstr("/") | split("/")[0]) + "=" +
	([.change, .type, (.path | sub("^/[0-9]+"; "") | if . == "" then "/" else . end),
	  .what // "-", .was // "-"] | join(" "))' "$OUT")
for ((i = 0; i < n; i++)); do
	got=
	for line in "${told[@]}"; do
		[[ $line != "$i="* ]] || got+=,${line#*=}
	done
	is "${cases[i]%%|*}" "${got#,}" "${cases[i]#*|}"
done

# Data that need not be read is not: here it cannot be.
mkdir top && cp -a low/dir top && truncate -s 2M top/big && touch -d 2020-02-02 top/big
shows "a copy of another size" "changed file /big content -" top low
if command -v strace >/dev/null; then
	strace -qq -e trace=pread64 -o reads "$MICA" union diff top low >/dev/null 2>&1
	is "no data is read for that" "$(grep -c big reads)" 0
fi

# Several layers, and several at the top.
rm -rf top && mkdir -p top/dir mid/dir
echo new >mid/dir/f
touch top/.wh.file mid/added
shows "the first layer" "removed file /file - -" top mid low
shows "the first two" "added file /added - -,changed file /dir/f content time -,removed file /file - -" \
	--top 2 top mid low
rm top/.wh.file
touch top/.wh.added mid/.wh.link
ln -s /target top/link
touch -hd 2020-02-02 top/link
shows "what one makes and the other takes back" "changed file /dir/f content time -" --top 2 top mid low
shows "what comes back" "removed file /added - -,added symlink /link - -" top mid low

rm -rf top && mkdir -p top/new under/dir && touch under/dir/f
mark top opaque y
mark top/new redirect /dir
shows "an opaque root hides what a redirect leads to" \
	"removed directory /dir - -,added directory /new - -" top under

# Names.
rm -rf top && mkdir top
touch "top/$(printf 'bad\xff')" $'top/a\nb' 'top/"' $'top/\xc3\xa9' 'top/a\b'
exits 0 "any name" union diff --json top low
is "is a string of JSON" "$(jq -c '[.changes[].path]' "$OUT")" '["/\"","/a\nb","/a\\b","/bad\\xff","/é"]'
exits 0 "the table" union diff top low
is "has a line for each" "$(wc -l <"$OUT")" 6
rm -rf top && mkdir top
touch $'top/q\xff' 'top/q\xff' 'top/q\\xff' $'top/q\\\xff'
exits 0 "names that look like one another" union diff --json top low
is "are not the same text" "$(jq -r '.changes[].path' "$OUT" | paste -sd' ')" \
	'/q\\x5cxff /q\x5cxff /q\\xff /q\xff'
rm -rf top && mkdir top
exits 0 "nothing" union diff --json top low
is "is an empty list" "$(jq -c .changes "$OUT")" "[]"

# What cannot be done.
mkdir top/d && mark top/d redirect /nowhere
exits 1 "a redirect to nowhere" union diff top low
one_sentence "a redirect to nowhere"
like "is named" "$(<"$ERR")" "/d: was renamed.*not given"
mark top mica.layers ""
exits 0 "a redirect to what was merged into the layer" union diff top low
mark top/d redirect ../x
exits 1 "a redirect out of the layer" union diff top low
like "is told" "$(<"$ERR")" "no path"
setfattr -x trusted.overlay.mica.layers top
mkdir -p way/a/b && mark way/a redirect /c && mark top/d redirect /a/b
exits 1 "a redirect through one to nowhere" union diff top way low
like "is named, too" "$(<"$ERR")" "/d: was renamed.*not given"
mark way/a/b opaque y
exits 0 "what is opaque has no rest" union diff top way low
rm -r top/d && touch top/f && mark top/f metacopy "" && mark top mica.layers ""
exits 1 "a metacopy without data" union diff top low
like "is told as well" "$(<"$ERR")" "/f: has its data"
mark top/f metacopy "0x0024000100"
exits 1 "fs-verity" union diff top low
like "what it is" "$(<"$ERR")" "fs-verity"
rm top/f
mkdir -p loop/{a,b} && mark loop/a redirect /b && mark loop/b redirect /a
mkdir loop2 && cp -a loop/. loop2
exits 1 "one redirect after the other" union diff loop loop2 loop loop2 loop loop2 loop loop2 loop loop2 low
one_sentence "one redirect after the other"
exits 1 "one layer alone" union diff top
like "has nothing to be compared with" "$(<"$ERR")" "no layer to compare"
exits 1 "more than there are" union diff --top 2 top low
exits 1 "what is not there" union diff top nothing
exits 1 "a file" union diff top low/file
for bad in 0 -1 x 9999 ""; do
	exits 2 "the first '$bad'" union diff --top "$bad" top low
done
exits 2 "no layer" union diff
# The stack has an end.
rm -rf top && mkdir top
(cd top && python3 -c 'import os; [(os.mkdir("d"), os.chdir("d")) for i in range(2100)]')
for command in diff export; do
	exits 1 "directories in one another" union $command top low
	like "are too many" "$(<"$ERR")" "d: is in more than 2048 directories$"
done

# In a user namespace the marks are others.
rm -rf top && mkdir -p top/dir top/other
setfattr -n user.overlay.opaque -v y top/dir
mark top/other opaque y
chmod 2755 top/other
unshare -Ur "$MICA" union diff --json top low >"$OUT" 2>"$ERR"
is "in a user namespace" "$? $(changes)" "0 removed file /dir/f - -,removed directory /dir/sub - -"
setfattr -n user.overlay.redirect -v /dir top/other
unshare -Ur "$MICA" union diff --json top low >"$OUT" 2>"$ERR"
is "a redirect is refused there" "$?" 1
like "for that reason" "$(<"$ERR")" "/other: has a redirect, which is not followed"

chmod 711 "$WORK" . && su -s /bin/sh nobody -c "exec '$MICA' union diff top low" >"$OUT" 2>"$ERR"
is "who may not read the marks" "$?" 1
finish
