#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica union import: good archives, hostile ones and damaged ones; needs no module.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_root
on_ext4 64M
mkdir "$WORK/archives" && python3 -B "$HERE/archives.py" "$WORK/archives" || exit 1

# take NAME: that archive is a.tar
take()
{
	cp "$WORK/archives/$1" a.tar || exit 1
}

# imports NAME [OPTION...]: the archive NAME of archives.py becomes x
imports()
{
	local name=$1

	shift
	rm -rf x
	take "$name"
	exits 0 "$name" union import "$@" a.tar x
}

# names DIRECTORY
names()
{
	(cd "$1" && find . -mindepth 1 -printf '%P\0' | sort -z | tr '\0' ' ')
}

imports good
is "good: what is in it" "$(names x)" "d d/f d/g "
like "good: its root" "$(stat -c %a x)" 755
imports empty
is "empty: nothing is in it" "$(names x)" ""
imports two-gzips
is "two-gzips: what is in it" "$(names x)" "d d/f d/g "
imports no-parents
is "no-parents: they are there" "$(stat -c %a x/a/b) $(<x/a/b/c)" "755 data"
imports dots
is "dots: they mean nothing" "$(names x)" "a a/b c "
imports twice
is "twice: the later one counts" "$(names x)$(<x/a) $(<x/d)" "a d l l/x new now a file"
imports absolute-symlink
is "absolute-symlink: it is one" "$(readlink x/l x/m | xargs)" "/etc/passwd ../../.."
imports deep
is "deep: all of it" "$(find x -name f -printf '%d %s')" "21 4"
imports long-symlink
is "long-symlink: as it is" "$(readlink x/l | wc -c)" 4001
imports names
is "names: each as it is" "$(names x)" $'a\nb bad\xff e\xcc\x81 h\xc3\xa9 s \xc3\xa9 '
is "names: of links as well" "$(readlink x/s; stat -c %h "x/h"$'\xc3\xa9')" $'\xc3\xbc\xfe\n2'
imports latin1
is "latin1: each as it is" "$(names x)" \
	$'d\xe9 d\xe9/caf\xe9 h\xe9 s z\xc3\xa9\xe9 '
is "latin1: of links as well" "$(readlink x/s; stat -c %h x/h$'\xe9')" $'\xc3\xbc\xfe\n2'
imports latin1-behind-a-comment
is "latin1-behind-a-comment: what is in it" "$(names x)" $'a b\xe9 '
mkdir in && touch in/caf$'\xe9'
for format in v7 ustar gnu oldgnu pax; do
	rm -rf x
	tar --format=$format --owner=l$'\xff':77 -C in -cf a.tar .
	exits 0 "latin1 in the format $format" union import a.tar x
	is "latin1 in the format $format: as it is" "$(names x)" $'caf\xe9 '
done
rm -r in
imports holes
is "holes: they are holes" "$(stat -c %s x/sparse; du -k x/sparse | cut -f1)" $'1099511627776\n4'
is "holes: between data" "$(dd if=x/sparse bs=1 skip=4999999 count=5 status=none | tr '\0' 0)" 0abc0
imports old-time
is "old-time: before 1970" "$(stat -c %.2Y x/a)" "-5.25"
is "old-time: after 2038" "$(stat -c %.1Y x/c)" "8589934592.5"

long=$(printf 'n%.0s' {1..255})
imports whiteouts
is "whiteouts: as they are" "$(find x -name '.wh*' -printf '%P\n' | sort | xargs)" \
	".wh.both .wh.file .wh.gone d/.wh..wh..opq"
is "whiteouts: another form where they need one" \
	"$(cd x && stat -c '%n %F %t:%T' __dir_opaque "$long" | xargs)" \
	"__dir_opaque character special file 0:0 $long character special file 0:0"
imports whiteouts --whiteout overlay
is "whiteouts: those of overlay" "$(cd x && find . -type c -printf '%P\n' | sort | xargs)" \
	"__dir_opaque gone $long"
is "whiteouts: opaque directories" "$(cd x && getfattr -R -n trusted.overlay.opaque . 2>/dev/null |
	sed -n 's/^# file: //p' | sort | xargs)" "both d"
is "whiteouts: nothing of the other form" "$(find x -name '.wh*')" ""
imports replaced --whiteout overlay
is "replaced: nothing is left of what was in it" "$(names x)$(find x -type c -printf '%P')" "a d da da/x da/x"
is "replaced: nor of what it was" "$(getfattr -m - x/d)" ""
imports again-with-acls
is "again-with-acls: the last one counts, as long as there is one" \
	"$(getfacl -cdp x/d x/e | grep -c .) $(getfacl -cp x/d/f x/e/f | grep -c mask)" "7 0"

# with_little_memory NAME...: a small archive is no large memory
with_little_memory()
{
	local name

	for name; do
		rm -rf x
		take "$name"
		(ulimit -v 80000 && exec "$MICA" union import --whiteout overlay a.tar x) >"$OUT" 2>"$ERR"
		is "$name: little memory is enough" $? 0
	done
}

with_little_memory only-headers again-and-again
imports devices --devices
is "devices: if they are wanted" "$(stat -c %t:%T x/null x/loop | xargs)" "1:3 7:0"

# Each is refused as a whole, and for that reason. No other process, as there are many.
refused()
{
	local name=$1 here there

	run union import "$WORK/archives/$name" x
	here=(*) there=("$WORK"/*)
	[[ $status -eq 1 && ! -s $OUT && $(<"$ERR") =~ $2 && $(<"$ERR") != *$'\n'* &&
	   ${here[*]} == a.tar && ${there[*]} == "${outside[*]}" ]]
	result $? "$name is refused"
}
rm -rf x
shopt -s dotglob
outside=("$WORK"/*)
while read -r name why; do
	refused "$name" "$why"
done <<'END'
parent ../evil: leads out of the directory$
parent-within leads out of the directory$
absolute /evil: is an absolute name$
through-symlink l/evil: leads through l, which is no directory$
through-absolute-symlink l/evil: leads through l, which is no directory$
through-inner-symlink l/x: leads through l, which is no directory$
through-file f/x: leads through f, which is no directory$
link-out l: is a link to .*/etc/passwd, .*out of the directory$
link-absolute l: is a link to /etc/passwd, .*an absolute name$
link-through-symlink l: is a link to s/passwd, .*which is no directory$
link-nowhere l: is a link to nothing, .*No such file
link-itself a: is a link to a, .*No such file
link-directory l: is a link to d, .*not permitted
link-whiteout l: is a link to .wh.x, .*reserved name$
no-name has no name$
root-file has no name$
long-name nnn: File name too long$
too-deep is in more than
empty-symlink l: No such file
huge-symlink l: File name too long$
aufs .wh..wh.plnk/: is a whiteout, but no file$
meta .wh..wh.mica/: is a whiteout, but no file$
whiteout-of-dot .wh..: has a reserved name$
whiteout-of-nothing .wh.: has a reserved name$
whiteout-of-a-whiteout .wh..wh.x: has a reserved name$
whiteout-directory .wh.d/: is a whiteout, but no file$
whiteout-link .wh.x: is a whiteout, but no file$
whiteout-symlink opq: is a whiteout, but no file$
below-whiteout a/.wh.d/x: is in a directory with a reserved name$
device sda: is a device node; --devices
devices null: is a device node; --devices
whiteout-device w: is a character device 0:0
overlay-attribute a: has the attribute trusted.overlay.opaque
overlay-redirect a: has the attribute trusted.overlay.redirect
user-attribute a: has the attribute user.overlay.metacopy
mica-attribute a: has the attribute trusted.overlay.mica.layers
large-attribute a: cannot have the attribute trusted.x of 70000 bytes
large-default-acls d0/: cannot have the attribute .* of 900000 bytes: Argument list too long$
bad-default-acls d0/: cannot have the attribute .* of 65000 bytes: Operation not supported$
long-attribute a: cannot have the attribute user.nnn
strange-attribute a: cannot have the attribute nonsense.x
acl a: has an ACL as text
default-acl d/: has an ACL as text
escape-link l: is a link to no\\x1b\[31m\\x0aforged, .*No such
escape-directory leads through f\\x1b\[2J\\x0aforged, which is no directory$
escape-attribute a: has the attribute trusted.overlay.\\x1b\[2J\\x0aforged, which
negative-owner a: belongs to -5:0
large-owner a: belongs to 0:4294967296
no-owner a: belongs to 4294967295:0
larger-than-there damaged: Truncated
huge damaged: Truncated
negative-size damaged: .*negative
holes-behind-the-end sparse: has data .*behind its end$
holes-backwards sparse: has data before what it has
endless-map damaged: a header is too large$
holes-of-a-directory damaged: .*sparse
bad-map damaged: .*cannot be$
bad-map-of-a-name damaged: .*cannot be$
bad-map-of-latin1 damaged: .*cannot be$
bad-map-of-a-long-name damaged: .*cannot be$
bad-map-behind-a-file damaged: .*cannot be$
nothing cannot be read
text cannot be read as tar
cut-in-a-header damaged: Truncated
cut-in-data damaged: Truncated
cut-between cut off$
cut-at-the-end cut off$
cut-behind-zeroes cut off$
one-block-of-zeroes cut off$
garbage-behind something behind the end
archive-behind something behind the end
bad-checksum damaged
bad-pax damaged
gzip-cut ends in the middle$
gzip-cut-in-the-sum ends in the middle$
gzip-bad-sum incorrect data check
gzip-bad-length incorrect length check
gzip-garbage-behind incorrect header check
gzip-of-text cannot be read as tar
gzip-head ends in the middle$
END
shopt -u dotglob

if command -v zstd >/dev/null; then
	take good
	zstd -q --check a.tar -o a.zst
	exits 0 "zstd" union import a.zst x
	is "zstd: what is in it" "$(names x)" "d d/f d/g "
	rm -rf x
	head -c -6 a.zst >cut.zst
	exits 1 "zstd, cut off" union import cut.zst x
	printf '\0\0\0\0' | dd of=a.zst bs=1 seek=$(($(stat -c %s a.zst) - 4)) conv=notrunc status=none
	exits 1 "zstd, with another checksum" union import a.zst x
	is "zstd: nothing is left" "$(ls -A)" "$(printf '%s\n' a.tar a.zst cut.zst)"
	rm -f a.zst cut.zst
else
	skip "zstd" "it is not installed"
fi

# Where it goes to.
take good
mkdir x
"$MICA" union import x/ <a.tar >"$OUT" 2>"$ERR"
is "from the standard input, to an empty directory" "$? $(names x)" "0 d d/f d/g "
exits 1 "not to one that is not empty" union import a.tar x
like "that is said" "$(<"$ERR")" "x: is not empty$"
ln -s x link
exits 1 "not through a symbolic link" union import a.tar link
exits 1 "not over a file" union import a.tar a.tar
exits 1 "not where there is no directory" union import a.tar no/such
exits 1 "not from what is not there" union import nothing y
for bad in / . .. x/..; do
	exits 2 "not to '$bad'" union import a.tar "$bad"
done
is "all that changed nothing" "$(left) $(names x)" "a.tar link x d d/f d/g "
setfacl -d -m u:33:rwx .
rm -rf x link
exits 0 "below a default ACL" union import a.tar x
is "it is not inherited" "$(getfacl -Rpc x | grep -c www-data)" 0
setfacl -b .
rm -rf x

# What a killed one leaves has no layer's name, and goes with the next one.
mkfifo "$WORK/archive"
"$MICA" union import y <"$WORK/archive" &
exec {rest}>"$WORK/archive"
cat a.tar >&"$rest"
until_true test -e .y.mica-import
exits 1 "two at once" union import a.tar y
like "the second is told" "$(<"$ERR")" "another import to it is under way$"
{
	kill -KILL $!
	wait $!
} 2>/dev/null
exec {rest}>&-
is "a killed import" "$(left)" ".y.mica-import a.tar"
exits 0 "the next one" union import a.tar y
is "has removed what was left" "$(left) $(names y)" "a.tar y d d/f d/g "

touch .z.mica-import
exits 1 "a file where it would be made" union import a.tar z
like "it is named" "$(<"$ERR")" "\.z\.mica-import is in the way"
rm .z.mica-import

# A full disk.
mkdir full
mount -t tmpfs -o size=64k tmpfs full || exit 1
head -c 1M /dev/zero >zeroes
tar cf big.tar zeroes
exits 1 "a full disk" union import big.tar full/x
like "it is named" "$(<"$ERR")" "zeroes: No space left"
is "and is empty again" "$(ls -A full)" ""
exits 1 "not over a mount point" union import a.tar full
like "that is said at once" "$(<"$ERR")" "full: is a mount point"
finish
