#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica union export: what is in the archive, that it comes back as it was, and that
# nothing is left of one that failed; needs no module.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_root
on_ext4 128M

# mark PATH NAME VALUE: one of overlayfs's attributes
mark()
{
	setfattr -n "trusted.overlay.$2" -v "$3" "$1" || exit 1
}

# listing ARCHIVE: type and name of what is in it, and what links point to
listing()
{
	tar tvf "$1" --quoting-style=escape 2>/dev/null | sed 's/^\(.\).* [0-9]*:[0-9][0-9] /\1 /'
}

# exported NAME WANT LAYER...: the archive has that in it, and an import gives the same
exported()
{
	local name=$1 want=$2

	shift 2
	exits 0 "$name" union export -o a.tar "$@"
	is "$name: what is in it" "$(listing a.tar | sed 1d | paste -sd,)" "$want"
	rm -rf back
	run union import --devices a.tar back
	"$MICA" union export back | cmp -s - a.tar
	result $? "$name: it comes back"
}

# All that a file system can have.
mkdir -p top/{etc,new,plain,.wh..wh.mica/work,.wh..wh.plnk}
echo root >top/etc/passwd
chmod 4755 top/etc/passwd
ln top/etc/passwd top/etc/second
ln -s /etc/passwd top/etc/link
ln -s "$(printf 'x%.0s' {1..300})" top/etc/long-link
ln top/etc/link top/etc/link2
chown -h 1000:70000 top/etc/link
chown 3000000:5 top/plain
mkfifo top/new/fifo
mknod top/new/null c 1 3
mknod top/new/disk b 259 300000
touch top/new/empty top/new/$'a\nb' "top/new/$(printf 'e\xcc\x81')" "top/new/$(printf '\xc3\xa9')" \
	"top/new/$(printf 'bad\xff')"
truncate -s 3M top/new/hole
truncate -s 9M top/new/holes
echo data | dd of=top/new/holes bs=1 seek=4M conv=notrunc status=none
cp --sparse=always top/new/holes top/new/$'l\xc3\xb6cher'
touch -d '1965-03-04 05:06:07.25' top/new/hole
touch -d '2100-01-01 00:00:00.123456789' top/new/holes
setfattr -n user.a -v b top/new/holes
setfattr -n user.binary -v 0x00ff0a3d00 top/plain
setfattr -n trusted.t -v '' top/plain
setfacl -m u:33:rwx -m d:u:34:r top/new
setcap cap_net_raw=ep top/etc/passwd
touch top/.wh.gone top/new/.wh..wh..opq "top/$(printf 'n%.0s' {1..251})"
setfacl -b top/new/.wh..wh..opq
mark top mica.layers 0x0011223344556677
mark top/etc/passwd origin 0x00fb
mark top/etc impure y
find top -exec touch -hd '2020-02-02 02:02:02.5' {} + 2>/dev/null
touch -d '1965-03-04 05:06:07.25' top/new/hole
touch -d '2100-01-01 00:00:00.123456789' top/new/holes

exits 0 "all that there is" union export -o a.tar top
is "nothing to say" "$(cat "$OUT" "$ERR")" ""
is "what is the union's own is not in it" "$(listing a.tar | grep -c 'mica\|plnk')" 0
exits 0 "comes back" union import --devices a.tar back
rm -rf top/.wh..wh.{mica,plnk}
for path in top top/etc/passwd top/etc; do
	setfattr -x "$(getfattr --absolute-names -m trusted.overlay "$path" | sed -n 's/^trus/trus/p')" "$path"
done
find top -maxdepth 0 -exec touch -hd '2020-02-02 02:02:02.5' {} +
whole_tree top >wanted
whole_tree back >got
cmp -s wanted got
result $? "as it was"
diff wanted got | sed 's/^/# /'
is "with its holes" "$(du -k back/new/hole back/new/holes | cut -f1 | xargs)" "0 4"
for compress in "" --gzip --zstd; do
	# shellcheck disable=SC2086	# nothing, or one word
	"$MICA" union export $compress back >first
	# shellcheck disable=SC2086
	"$MICA" union export $compress -o second top
	cmp -s first second
	result $? "the same layer is the same archive ${compress:-plain}"
	rm -rf again
	exits 0 "it can be imported ${compress:-plain}" union import --devices - again <first
	whole_tree again | cmp -s wanted -
	result $? "and is what it was ${compress:-plain}"
done
is "compressed" "$("$MICA" union export --gzip top | head -c 2 | od -An -tx1)" " 1f 8b"
TZ=Antarctica/Troll LC_ALL=C "$MICA" union export top | cmp -s - a.tar
result $? "whoever writes it"
rm -rf top back again first second wanted got

mkdir -p deep
(
	cd deep || exit
	for ((i = 0; i < 20; i++)); do
		mkdir "$(printf 'd%.0s' {1..250})" && cd "$_" || exit
	done
	echo deep >f
	touch -d '1969-12-31 23:59:58.75 UTC' f
)
touch -d '1969-12-31 23:59:59.5 UTC' deep
deep=$(find deep -name f -printf '%d %s %T@')
exits 0 "a path that no system call takes" union export -o a.tar deep
exits 0 "is in the archive" union import a.tar back
is "to the last directory" "$(find back -name f -printf '%d %s %T@')" "$deep"
is "the last second of 1969 is a whole one" "$(stat -c %.2Y back)" "-1.00"
rm -rf deep back

# A file system that has holes but does not tell where.
mkdir ram && mount -t ramfs ramfs ram || exit 1
echo data >ram/f
truncate -s 1M ram/f
exits 0 "holes that nobody tells of" union export -o a.tar ram
tar xOf a.tar f | cmp -s - ram/f
result $? "are zeroes around all of the data"
umount ram
rmdir ram

# Both forms of marks.
mkdir -p dot/{d,both,old} overlay/{d,both,old}
touch dot/.wh.gone dot/d/.wh..wh..opq dot/d/x dot/.wh.both dot/both/y dot/.wh.file dot/file \
	dot/old/.wh.__dir_opaque
mknod overlay/gone c 0 0
touch overlay/{d/x,both/y,file} overlay/d/empty
mark overlay/d opaque x
mark overlay/d/empty whiteout y
mark overlay/both opaque y
mark overlay/old opaque y
exported "the dot form" "- .wh.gone,d both/,- both/.wh..wh..opq,- both/y,d d/,- d/.wh..wh..opq,\
- d/x,- file,d old/,- old/.wh..wh..opq" dot
exported "the overlay form" "- .wh.gone,d both/,- both/.wh..wh..opq,- both/y,d d/,\
- d/.wh.empty,- d/x,- file,d old/,- old/.wh..wh..opq" overlay
touch dot/.wh..wh..opq
exported "an opaque root" "- .wh..wh..opq,- .wh.gone,d both/,- both/.wh..wh..opq,- both/y,d d/,\
- d/.wh..wh..opq,- d/x,- file,d old/,- old/.wh..wh..opq" dot
rm -rf dot overlay

# What was renamed, and files without data.
mkdir -p top/{new,b} mid/old low/{old/sub,old/gone,new,b/c}
touch top/.wh.old top/new/added low/old/sub/s low/old/gone/g mid/old/{.wh.gone,mid} low/new/hidden
mark top/new redirect /old
echo data >low/old/f
ln low/old/f low/old/f2
truncate -s 5 top/new/f top/meta
chmod 600 top/new/f top/meta
mark top/new/f metacopy ""
mark top/meta metacopy ""
mark top/meta redirect /old/f
mkdir top/b/d
mark top/b/d redirect c
touch low/b/c/x
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("low/old/sub/socket")'
exported "redirects and metacopies" "- .wh.old,d b/,d b/d/,- b/d/.wh..wh..opq,- b/d/x,- meta,d new/,\
- new/.wh..wh..opq,- new/added,- new/f,- new/f2,- new/mid,d new/sub/,- new/sub/s" top mid low
is "the data is there" "$(cat back/new/f back/meta | xargs)" "data data"
is "with the attributes of the copy" "$(stat -c %a back/new/f back/meta | xargs)" "600 600"
for without in "top/b/d: was renamed" "top/meta: has its data in a layer below" "top/new: was renamed"; do
	path=${without%%:*}
	rm -rf one && mkdir -p "one/$(dirname "${path#top/}")" && cp -a "$path" "one/${path#top/}"
	exits 1 "$path without the layers below" union export -o b.tar one
	one_sentence "$path without the layers below"
	like "$path: the reason" "$(<"$ERR")" "${without#top/}.*not given"
done
mark one/new redirect ../x
exits 1 "a redirect that is none" union export -o b.tar one low
setfattr -x trusted.overlay.redirect one/new
mark one/new/f metacopy "0x0024000100"
exits 1 "fs-verity" union export -o b.tar one low
like "fs-verity: the reason" "$(<"$ERR")" "fs-verity"
[[ ! -e b.tar ]]
result $? "nothing is left of those"
rm -rf top mid low one back

# Where it goes.
mkdir top
head -c 20M /dev/zero >top/zeroes
echo old >a.tar
for i in {1..9}; do
	timeout -s KILL "0.0$i" "$MICA" union export --gzip -o killed.tgz top
	[[ ! -e killed.tgz ]] || gzip -t killed.tgz || break
	rm -f killed.tgz
done 2>/dev/null
is "nothing is left of one that is killed" "$i $(left)" "9 a.tar top"
exits 0 "an old archive is replaced" union export -o a.tar top
is "by a whole one" "$(listing a.tar | xargs)" "d ./ - zeroes"
is "and nothing is beside it" "$(left)" "a.tar top"
mount --bind a.tar a.tar
exits 1 "one that cannot be replaced" union export -o a.tar top
umount a.tar
is "nothing is beside it then" "$(left)" "a.tar top"
head -c 4M /dev/urandom >top/cut
truncate -s 8M top/cut
echo end >>top/cut
"$MICA" union export top 2>"$ERR" | {
	head -c 1M
	truncate -s 4M top/cut
	cat
} >/dev/null
is "a file that is cut off meanwhile" "${PIPESTATUS[0]}" 1
like "is named" "$(<"$ERR")" "cut: became shorter while it was read"
rm top/cut
mkdir full
mount -t tmpfs -o size=64k tmpfs full || exit 1
exits 1 "a full disk" union export -o full/a.tar top
one_sentence "a full disk"
is "nothing is left on it" "$(ls -A full)" ""
"$MICA" union export top >/dev/full 2>"$ERR"
is "nor is the standard output full" "$?" 1
one_sentence "nor is the standard output full"
script -qec "'$MICA' union export top" /dev/null >"$OUT" </dev/null
is "not to a terminal" "$?" 1
like "it says what to do" "$(<"$OUT")" "terminal; use -o FILE"
(trap '' PIPE && "$MICA" union export top 2>"$ERR" | head -c 1 >/dev/null
 exit "${PIPESTATUS[0]}")
is "a reader that goes away" "$?" 1
mkfifo pipe
exits 1 "not over what is no file" union export -o pipe top
exits 1 "not where there is no directory" union export -o no/such top
exits 1 "not of what is not there" union export -o b.tar nothing
exits 1 "not of a file" union export -o b.tar a.tar
one_sentence "not of a file"
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("top/socket")'
rm top/zeroes
exits 0 "a socket" union export -o a.tar top
like "is left out" "$(<"$ERR")" "socket: is a socket, and left out$"
is "and hides what is below" "$(listing a.tar | sed 1d)" "- .wh.socket"
mv top/socket $'top/\e[2J\nforged'
exits 0 "a name for a terminal" union export -o a.tar top
is "is told as a text" "$(<"$ERR")" 'mica: \x1b[2J\x0aforged: is a socket, and left out'
setfattr -n 'user.a b' -v c top
exits 1 "an attribute that archives cannot have" union export -o b.tar top
like "is named" "$(<"$ERR")" "user.a b"
is "what is there in the end" "$(left)" "a.tar full pipe top"
finish
