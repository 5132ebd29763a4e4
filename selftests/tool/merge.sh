#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica union merge: what a union shows is the same before and after it, however often
# it is killed meanwhile.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
mount -t tmpfs tmpfs "$WORK" || exit 1
cd "$WORK" || exit 1
mkdir fs other mnt
modprobe -q loop

# try NAME COMMAND...: the command must succeed.
try()
{
	local name=$1

	shift
	"$@" >"$OUT" 2>"$ERR"
	result $? "$name"
}

view()
{
	"$HERE/view" "$1" 2>&1
}

# numbers DIRECTORY: of inodes, and of names that they have, of all but directories
numbers()
{
	find "$1" ! -type d -printf '%i %n %P\n' | LC_ALL=C sort
}

# with_union COMMAND BRANCH...: runs it on a union of those, all ro.
with_union()
{
	local command=$1 branch branches=()

	shift
	for branch; do
		branches+=("fs/$branch=ro")
	done
	"$MICA" union mount "${branches[@]}" mnt && "$command" mnt
	umount mnt
}

show()
{
	with_union view "$@"
}

# What is done on three days, in mnt. After each of the first two, a snapshot.
populate()
{
	mkdir -p d e gone keep/sub mv/in deep/a/b/c
	echo base | tee f d/x gone/y keep/sub/z mv/in/f deep/a/b/c/f mv/g >/dev/null
	head -c 300000 /dev/zero | tr '\0' x >big
	cp big bigger
	echo one >one
	ln one two
	ln one d/three
	ln -s f link
	mkfifo fifo
	mknod null c 1 3
	touch -d 2001-02-03 d/x
}

day_0()
{
	echo 0 >>f
	chmod 600 big
	mv mv moved
	rm -r gone
	mkdir gone
	echo new >gone/new
	rm keep/sub/z link
	truncate -s 3M sparse
	echo end >>sparse
	setfattr -n trusted.test -v "some value" e d/x
	mkdir new
	echo hard >h1
	ln h1 new/h2
	ln h1 h3
	mv big big0
	echo changed >>two
	chown 12:34 bigger
	mv deep/a deep/aa
	mkdir "$(printf '%0255d' 1)"
	echo long >"$(printf '%0253d' 2)"
	chmod 2775 new
}

day_1()
{
	echo 1 >>f
	mv moved moved1
	mv moved1/in in1
	chown 5:6 big0
	chmod 640 bigger
	rm -r d
	echo file >d
	rm h1
	rm -r keep
	mkdir -p keep/other
	mkdir link
	touch -d 2002-02-02 e
	mv two three
	mv deep/aa/b deep/b
	rm "$(printf '%0253d' 2)"
	mkdir gone/sub
	rmdir "$(printf '%0255d' 1)"
	mkdir "$(printf '%0255d' 1)"
	setfattr -x trusted.test e
	mv null null1
}

day_2()
{
	echo 2 >>f
	mv in1 in2
	echo 2 >in2/new
	mv moved1 moved2
	rm d
	mkdir d
	touch d/again
	echo 2 >>h3
	mv big0 big2
	truncate -s 1000 bigger
	rm one
	rm -r link
	date >./link
	mv deep/b deep/bb
	chmod 711 deep/bb
	rm -r gone
}

# new_fs TYPE: an empty file system on fs.
new_fs()
{
	umount -R fs 2>/dev/null
	rm -f pristine1 img1
	if [[ $1 = tmpfs ]]; then
		mount -t tmpfs tmpfs fs || exit 1
		return
	fi
	rm -f img
	truncate -s 400M img
	"mkfs.$1" -q img && mount -o loop img fs || exit 1
}

# make_layers FORM: base, day0, day1, day2, in that order.
make_layers()
{
	local day

	mkdir -p fs/{base,day0,day1,day2}
	(cd fs/base && populate)
	"$MICA" union mount -o "whiteout=$1,metacopy=on" fs/day0 fs/base mnt
	for day in 0 1 2; do
		(cd mnt && "day_$day")
		[[ $day = 2 ]] || "$MICA" union snapshot mnt "fs/day$((day + 1))"
	done
	umount mnt
}

# same NAME BRANCH...: a union of those shows what was seen before.
same()
{
	local name=$1

	shift
	show "$@" >after
	diff before after >"$OUT"
	result $? "$name"
}

is_empty()
{
	[[ -z $(ls -A "$1") ]]
	result $? "$1 is empty"
}

no_left_overs()
{
	[[ -z $(find fs -maxdepth 1 -name '.*mica*') ]] &&
		! getfattr -d -m trusted.overlay.mica.merge -- fs/* 2>/dev/null | grep 'merge='
	result $? "$1: nothing is left over"
}

# merges FORM TYPE: without being killed
merges()
{
	local of="$1 on $2"

	new_fs "$2"
	make_layers "$1"
	with_union numbers day2 day1 day0 base >numbers.before
	show day2 day1 day0 base >before
	grep -q ^./moved2/g before
	result $? "$of: the layers show something"
	try "$of: a copy is made" "$MICA" union merge --into fs/copy fs/day2 fs/day1 fs/day0
	same "$of: the copy shows the same" copy base
	same "$of: the layers do" day2 day1 day0 base
	[[ $(stat -c %b fs/copy/sparse) -le 64 ]]
	result $? "$of: holes are holes in a copy"
	[[ $2 != xfs ]] || filefrag -v fs/copy/sparse | grep -q shared
	result $? "$of: where it can be, data is shared"
	exits 1 "$of: there is one already" union merge --into fs/copy fs/day2 fs/day1

	try "$of: two in the middle are merged" "$MICA" union merge fs/day1 fs/day0
	is_empty fs/day1
	no_left_overs "$of"
	same "$of: it is the same with the empty one" day2 day1 day0 base
	same "$of: and without it" day2 day0 base
	with_union numbers day2 day0 base >numbers.after
	[[ $2 = tmpfs ]] || diff numbers.before numbers.after >"$OUT"
	result $? "$of: files have the numbers that they had"
	run union mount fs/day0 fs/base mnt
	is "$of: it is sealed still" "$status" 1
	run union mount fs/day2 fs/day0=rw fs/base mnt
	is "$of: but not below its successor" "$status" 0
	umount mnt 2>/dev/null

	try "$of: the writable one is merged" "$MICA" union merge fs/day2 fs/day0
	same "$of: that is the same" day0 base
	run union mount fs/day0 fs/base mnt
	is "$of: it can be written to" "$status" 0
	echo more >>mnt/three
	is "$of: hard links stay together" "$(tail -n 1 mnt/three)" more
	umount mnt
	show day0 base >before
	try "$of: with what is below all" "$MICA" union merge fs/day0 fs/base
	same "$of: there is one layer now" base
	try "$of: once more" "$MICA" union merge fs/day0 fs/base
	same "$of: changes nothing" base
	"$MICA" union check fs/base >"$OUT"
	result $? "$of: nothing is wrong in it"
	# Without an UUID it is not known what is missing.
	[[ $2 = tmpfs ]] || try "$of: nothing is missing in it" "$MICA" union export -o tar fs/base
}

# The upper layer is on another file system.
across()
{
	new_fs ext4
	mkdir fs/day1
	mount -t tmpfs tmpfs fs/day1
	make_layers "$1"
	show day2 day1 day0 base >before
	try "$1: a layer on another file system" "$MICA" union merge fs/day1 fs/day0
	is_empty fs/day1
	same "$1: is copied" day2 day0 base
	umount fs/day1
}

# Every so many of its changes, a merge is killed before that one: moments, spread
# evenly, of which about half are before the new layer is in its place.
moments=$([[ -n ${MICA_LONG:-} ]] && echo 200 || echo 8)

# killed_at NUMBER ARG...: mica union merge is killed there.
killed_at()
{
	local number=$1

	shift
	"$HERE/killed" "$number" "$MICA" union merge "$@" 2>"$ERR"
}

# Layers on an image that can be had again.
again()
{
	umount -R fs 2>/dev/null
	cp --sparse=always pristine img && mount -o loop img fs || exit 1
	[[ ! -e pristine1 ]] || {
		cp --sparse=always pristine1 img1 && mount -o loop img1 fs/day1 || exit 1
	}
}

# is_in_place: whether the new layer is
is_in_place()
{
	getfattr -d -m mica.merged fs/day0 2>/dev/null | grep -q merged
}

# kills NAME ARG...: each time, before and after it is run again, which is killed as
# well, $check is right.
kills()
{
	local name=$1 changes moment number bad=0 exchanged=0 twice=0

	shift
	again && prepare
	changes=$(killed_at 0 "$@")
	result $? "$name: $changes changes"
	check || bad=1
	for ((moment = 0; moment < moments; moment++)); do
		number=$((1 + moment * changes / moments))
		unprepare
		again && prepare
		killed_at $number "$@" >/dev/null
		[[ $? -eq 137 ]] || bad=1
		midway || bad=1
		is_in_place && ((exchanged++))
		killed_at $((1 + number * 7 % 80)) "$@" >/dev/null
		case $? in
		0) ;;
		137)
			((twice++))
			midway || bad=1
			"$MICA" union merge "$@" 2>"$ERR" || bad=1
			;;
		*) bad=1 ;;
		esac
		check || bad=1
		[[ $bad = 0 ]] || break
	done
	[[ $bad = 0 ]]
	result $? "$name: equal, killed $moment times in its $changes changes"
	[[ $bad = 0 ]] || cat after
	[[ $exchanged -gt 1 && $exchanged -lt $((moments - 1)) ]]
	result $? "$name: at some it was in its place already, at others not"
	[[ $twice -gt 1 ]]
	result $? "$name: what was run again was killed too ($twice)"
	unprepare
}

clean()
{
	[[ -z $(ls -A fs/day1) && -z $(find fs -maxdepth 1 -name '.*mica*') ]] &&
		! getfattr -d -m mica.merge -- fs/* 2>/dev/null | grep 'merge='
}

shows()
{
	show "$@" >shown
	diff before shown >after
}

killed_offline()
{
	prepare() { :; }
	unprepare() { :; }
	midway() { :; }
	check() { shows day2 day0 base && shows day2 day1 day0 base && clean; }
	kills "$1, offline" fs/day1 fs/day0
}

# The union is there all the time.
killed_mounted()
{
	prepare() { "$MICA" union mount fs/day2 fs/day1 fs/day0 fs/base mnt; }
	unprepare() { umount mnt; }
	midway() { view mnt >shown; diff before shown >after; }
	check()
	{
		midway && unprepare && shows day2 day0 base && clean &&
			"$MICA" union mount fs/day2 fs/day0 fs/base mnt
	}
	kills "$1, mounted" --mounted mnt "$WORK/fs/day1" "$WORK/fs/day0"
}

# keep_layers FORM: they can be had again
keep_layers()
{
	make_layers "$1"
	show day2 day1 day0 base >before
	grep -q ^./moved2/g before
	result $? "$1: the layers that are merged show something"
	umount -R fs
	cp --sparse=always img pristine
	[[ ! -e img1 ]] || mv img1 pristine1
}

# killed FORM TYPE
killed()
{
	new_fs "$2"
	keep_layers "$1"
	killed_offline "$1 on $2"
	killed_mounted "$1 on $2"
}

# A layer is on another file system.
killed_across()
{
	new_fs ext4
	mkdir fs/day1
	truncate -s 100M img1
	mkfs.ext4 -q img1 && mount -o loop img1 fs/day1 && rmdir fs/day1/lost+found || exit 1
	keep_layers "$1"
	killed_offline "$1 with a layer elsewhere"
	umount -R fs
}

merges dot tmpfs
merges dot ext4
merges overlay ext4
merges overlay xfs
across dot
killed dot ext4
killed overlay xfs
killed_across overlay

# Another file system has a file of the same handle.
new_fs ext4
mkdir -p fs/{base,day1}
echo base >fs/base/p
ln fs/base/{p,q}
umount fs
cp --sparse=always img img1
e2fsck -fy img1 >/dev/null 2>&1
tune2fs -U random img1 >/dev/null && mount -o loop img fs && mount -o loop img1 other || exit 1
mv other/base/p other/base/z
mv other/base/q other/base/zz
echo other >other/base/z
"$MICA" union mount fs/day1 fs/base mnt
echo changed >mnt/p
umount mnt
try "a file was changed, not that on another file system" \
	"$MICA" union merge --into fs/new fs/day1 other/base
is "that stays as it is" "$(cat fs/new/{p,z,zz} | xargs)" "changed other other"
umount other

# How many names files have, after one merge and after another.
new_fs ext4
mkdir -p fs/{base,day0,day1,day2}
echo 0 >fs/day0/f
ln fs/day0/{f,g}
echo base >fs/base/k
ln fs/base/{k,l}
links()
{
	stat -c %h "$1/f" "$1/k" | xargs
}
for day in 1 2; do
	"$MICA" union mount "fs/day$day" fs/day$((day - 1)) fs/base mnt
	ln mnt/f "mnt/h$day"
	echo $day | tee -a mnt/f >>mnt/k
	umount mnt
	try "files with several names are merged" \
		"$MICA" union merge "fs/day$day" fs/day$((day - 1))
	rmdir "fs/day$day" && mv fs/day$((day - 1)) "fs/day$day"
	is "they have those, and no more" "$(with_union links "day$day" base)" "$((day + 2)) 2"
done

# A copy of a file is that file to the layers left of it, by any name.
new_fs ext4
mkdir -p fs/{base,day0,day1,day2} fs/day0/d
echo old >fs/day0/f
ln fs/day0/{f,g}
ln fs/day0/{f,d/h}
ln -s to fs/day0/link
ln fs/day0/link fs/day0/d/link
"$MICA" union mount fs/day2 fs/day1 fs/day0 fs/base mnt
echo new >mnt/f
touch -h mnt/link
umount mnt
show day2 day1 day0 base >before
with_union numbers day2 day1 day0 base >numbers.before
try "names of a file that was changed are merged" "$MICA" union merge --into fs/new fs/day1 fs/day0
same "they show the change" day2 new base
with_union numbers day2 new base >numbers.after
diff numbers.before numbers.after >"$OUT"
result $? "they are one file with its number"

new_fs ext4
mkdir fs/{base,day0,day1,day2}
truncate -s 100M img1
mkfs.ext4 -q img1 && mount -o loop img1 fs/day1 && rmdir fs/day1/lost+found || exit 1
echo old >fs/day1/f
ln fs/day1/{f,g}
"$MICA" union mount fs/day2 fs/day1 fs/day0 fs/base mnt
echo new >mnt/f
cat mnt/g >"$OUT"
try "they come to another file system while somebody looks" \
	"$MICA" union merge --mounted mnt "$WORK/fs/day1" "$WORK/fs/day0"
is "they show the change" "$(cat mnt/f mnt/g | xargs)" "new new"
echo 2 >/proc/sys/vm/drop_caches
is "also when nothing is in memory" "$(cat mnt/g mnt/f | xargs)" "new new"
umount mnt fs/day1

# A layer that was left empty is another one when it is used again.
new_fs ext4
mkdir -p fs/{base/d,day0,day1,day2}
echo base >fs/base/d/f
"$MICA" union mount fs/day1 fs/day0 fs/base mnt
echo 1 >mnt/1
umount mnt
try "a layer is left empty" "$MICA" union merge fs/day1 fs/day0
"$MICA" union mount fs/day1 fs/day0 fs/base mnt
mv mnt/d mnt/e
"$MICA" union snapshot mnt fs/day2
mv mnt/e mnt/f
umount mnt
with_union ls day2 day1 day0 base >"$OUT"
is "it is used again" "$(xargs <"$OUT")" "1 f"
renamed()
{
	cat "$1/f/f" 2>&1
}
is "with what was renamed" "$(with_union renamed day2 day1 day0 base)" base
like "without it, that is an error" "$(with_union renamed day2 day0 base)" "Input/output error"

# There is place for all but what was merged long ago.
umount -R fs
mkfs.ext4 -q -F -b 4096 img && mount -o loop img fs || exit 1
for ((i = 490; i < 504; i += 3)); do
	mkdir -p "fs/day$i" "fs/base$i"
	setfattr -n trusted.overlay.mica.merged -v "0x$(printf '%016x' $(seq $i))" "fs/base$i" ||
		break
	setfattr -n trusted.overlay.mica.filesystems -v "0x$(printf '%032x' $i)" "fs/day$i"
	setfattr -n user.test -v "$(seq -s ' ' 100)" "fs/day$i"
	"$MICA" union merge "fs/day$i" "fs/base$i" >"$OUT" 2>"$ERR" || break
	getfattr -n trusted.overlay.mica.merged "fs/base$i" >"$OUT" 2>"$ERR" || break
	setfattr -n user.more -v "$(seq -s ' ' 100)" "fs/base$i" 2>"$ERR" || break
done
[[ $i -ge 504 ]]
result $? "layers that stand for many are merged"

# Attributes of directories, and of files that are copied.
new_fs ext4
mkdir -p fs/{day0,day1}/d fs/day1/e
touch fs/day0/d/{f,g}
chattr +dASD fs/day1/d
chattr +dAS fs/day0/d/f
chattr +S fs/day1/e fs
# flags LAYER PATH...
flags()
{
	(cd "fs/$1" && shift && lsattr -d "$@")
}
try "what has attributes is copied" "$MICA" union merge --into fs/new fs/day1 fs/day0
is "with them" "$(flags new d e d/f d/g)" "$(flags day1 d e; flags day0 d/f d/g)"

# What is refused, and changes nothing.
new_fs ext4
make_layers dot
show day2 day1 day0 base >before
refused()
{
	local name=$1 why=$2

	shift 2
	exits 1 "$name" union merge "$@"
	like "$name: that is said" "$(<"$ERR")" "$why"
	one_sentence "$name"
}
refused "a layer twice" "contains" fs/day1 fs/day1
refused "a layer in another one" "day0 contains .*/new" fs/day1 fs/day0/new fs/day0
refused "one that is the lowest" "day0 contains .*/new" fs/day0 fs/day0/new
refused "the root" "/: is no place" fs/day1 /
refused "a new layer without a name" ": is no place" --into "" fs/day1 fs/day0
refused "what is not there" "No such file" fs/day1 fs/day7
mount --bind fs/base other
refused "a mount point" "use --into" fs/day1 other
umount other
mkdir fs/.day0.mica-merge fs/.day0.mica-merge/mine
refused "what has the name that it needs" "not empty" fs/day1 fs/day0
rm -r fs/.day0.mica-merge
touch fs/day1/immutable
chattr +i fs/day1/immutable
refused "what is immutable" "immutable: is immutable" fs/day1 fs/day0
chattr -i fs/day1/immutable
rm fs/day1/immutable
truncate -s 20M img1
mkfs.ext4 -q -F -b 4096 -O verity img1 && mount -o loop img1 other && mkdir other/layer || exit 1
echo data >other/layer/file
python3 -c 'import fcntl, os, struct
fcntl.ioctl(os.open("other/layer/file", 0), 0x40806685, struct.pack("<III116x", 1, 1, 4096))'
refused "what is protected by fs-verity" "file: is protected" --into fs/new fs/day1 other/layer
umount other
mount --bind fs/base fs/day1/in1
refused "what has something mounted in it" "mounted there" fs/day1 fs/day0
umount fs/day1/in1
mount --bind fs/day1 other
refused "a layer under two names" "contains" other fs/day1
umount other
mount --bind fs/day0/new other
refused "what is in another layer under another name" "new: is a layer, too" other fs/day0
umount other
mount --bind fs/day1/in1 other
refused "a new layer in a layer" "where the new one is to be" --into other/new fs/day1 fs/day0
umount other
mount --bind fs/day1 other
for option in nosuid nodev noexec; do
	mount -o "remount,bind,$option" other
	refused "a layer that is $option" "mounted nosuid, nodev or noexec" other fs/day0
done
umount other
touch fs/day1/in1/.wh..wh.plnk
refused "a name that is reserved" "in1: has .wh..wh.plnk, a reserved" fs/day1 fs/day0
no_left_overs "what cannot be read"
rm fs/day1/in1/.wh..wh.plnk
(
	levels=$(printf 'a/%.0s' {1..900})
	mkdir fs/day1/deepest && cd fs/day1/deepest || exit
	for _ in 1 2 3; do
		mkdir -p "$levels" && cd "$levels" 2>/dev/null || exit
	done
)
refused "what is too deep" "is in more than 2048" fs/day1 fs/day0
rm -r fs/day1/deepest
"$MICA" union mount fs/day2 fs/day1 fs/day0 fs/base mnt
refused "what somebody writes to" "writes to it" fs/day2 fs/day1 --into fs/new
refused "a branch" "is a branch of" fs/day1 fs/day0
refused "branches that are not neighbours" "is not the branch right of" \
	--mounted mnt "$WORK/fs/day1" "$WORK/fs/base"
refused "a branch that can be written to" "make a snapshot" \
	--mounted mnt "$WORK/fs/day2" "$WORK/fs/day1"
refused "what is no branch" "has no branch" --mounted mnt fs/day1 fs/day0
umount mnt
same "nothing has changed" day2 day1 day0 base
echo precious >precious
ln -s "$WORK/precious" fs/.day0.mica-layers
try "it can be done" "$MICA" union merge fs/day1 fs/day0
same "with nothing missing" day2 day0 base
is "what somebody led it to is left alone" "$(<precious)" precious
no_left_overs "what somebody left there"

# As many names as there can be, and many files with several.
new_fs ext4
mkdir -p fs/{a,b,c}/names
touch fs/a/names/0
for ((i = 1; i < 1000; i++)); do
	ln fs/a/names/{0,$i}
done
for ((i = 1; i < 33; i++)); do
	cp -al fs/a/names "fs/a/names$i"
done
refused "too many names" "as many names as" fs/a fs/b
no_left_overs "too many names"
for ((i = 0; i < 200; i++)); do
	echo "$i" >"fs/c/names/$i"
	ln "fs/c/names/$i" "fs/c/names/other$i"
done
rm -r fs/a/*
"$MICA" union mount fs/a fs/c mnt
for ((i = 0; i < 200; i++)); do
	echo more >>"mnt/names/$i"
done
umount mnt
show a c >before
[[ $(find fs/a -path '*/index/*' | wc -l) -eq 200 ]]
result $? "there are copies in the index"
(ulimit -n 100 && setpriv --bounding-set -sys_resource -- \
	"$MICA" union merge fs/a fs/b 2>"$ERR")
result $? "which are not all open at once"
same "they are merged" b c

# A merge into the same layer that was not ended.
new_fs ext4
keep_layers dot
again
changes=$(killed_at 0 fs/day1 fs/day0)
again
killed_at $((changes * 3 / 4)) fs/day1 fs/day0 >/dev/null
refused "another merge into it" "run that again" fs/day2 fs/day0
refused "another merge of what was merged" "part of another merge" fs/day2 fs/day1
refused "another merge of what came of it" "part of another merge" fs/day0 fs/base
like "the layer says so" "$("$MICA" union check fs/day0)" "not come to its end"
try "the first is ended" "$MICA" union merge fs/day1 fs/day0
same "as if it had not been interrupted" day2 day0 base

again
killed_at $((changes / 4)) fs/day2 fs/day1 fs/day0 >/dev/null
getfattr -n trusted.overlay.mica.merge fs/day2 >"$OUT" 2>"$ERR" && ! is_in_place
result $? "a merge is killed before the new layer is in its place"
refused "another merge of its layers" "part of another merge" fs/day2 fs/day1
try "another one comes instead" "$MICA" union merge fs/day1 fs/day0
same "which does what it should" day2 day0 base
no_left_overs "what was killed before"

# Branches of a union that is not there any more.
mounted=(--mounted mnt "$WORK/fs/day1" "$WORK/fs/day0")
for part in 1 3; do
	again
	"$MICA" union mount fs/day2 fs/day1 fs/day0 fs/base mnt
	killed_at $((changes * part / 4)) "${mounted[@]}" >/dev/null
	umount mnt
	is "a merge of branches is killed after $part of 4 steps" "$(is_in_place; echo $?)" \
		$((part == 1))
	if [[ $part = 3 ]]; then
		mark=$(getfattr -e hex -d -m mica.merge$ fs/day1)
		# Else it cannot be mounted.
		setfattr -x trusted.overlay.mica.merge fs/day1
		"$MICA" union mount fs/day2 fs/day1 fs/day0 fs/base mnt
		refused "a union of what was merged and the new layer" "unmount it" "${mounted[@]}"
		umount mnt
		setfattr --restore=- <<<"$mark"
	fi
	try "it is ended without the union" "$MICA" union merge fs/day1 fs/day0
	same "as it would have been" day2 day0 base
	no_left_overs "a merge of branches"
done

# Layers that are not what they were when a merge was interrupted.
for ((number = changes / 3; number < changes; number += 5)); do
	again
	killed_at $number fs/day1 fs/day0 >/dev/null
	! is_in_place || break
done
mv fs/day1 fs/day7
refused "a layer that is not there" "day1: No such file" fs/day1 fs/day0
mv fs/day7 fs/day1
setfattr -x trusted.overlay.mica.merge fs/day1
refused "a layer that is another one" "neither empty nor marked" fs/day1 fs/day0
[[ -e fs/.day0.mica-merge && -n $(ls -A fs/day1) ]]
result $? "nothing is removed then"

# What is open goes on.
new_fs ext4
make_layers overlay
"$MICA" union mount fs/day2 fs/day1 fs/day0 fs/base mnt
exec 5>>mnt/h3 6<mnt/bigger 7<mnt/deep/aa
view mnt >before
(
	until [[ -e stop ]]; do
		view mnt >during
		diff before during || exit 1
		date >>rounds
	done >during.diff
) &
watcher=$!
until_true test -s rounds
result $? "it is looked at" || cat during.diff
before=$(wc -l <rounds)
"$MICA" monitor --json >events 2>/dev/null &
monitor=$!
until_true listens "$monitor" || echo "# no listener is seen"
sleep 0.5
try "branches of a mounted union are merged" \
	"$MICA" union merge --mounted mnt "$WORK/fs/day1" "$WORK/fs/day0"
touch stop
wait $watcher
result $? "it shows the same all the time" || cat during.diff
[[ $(wc -l <rounds) -gt $before ]]
result $? "and was looked at meanwhile"
is "it has these branches" \
	"$("$MICA" union list --json | jq -r '[.unions[].children[].name | split("/") | last] | join(" ")')" \
	"day2 day0 base"
merge_told()
{
	[[ $(jq -r 'select(.event == "merge") | .text' events) = */day0 ]]
}
until_true merge_told
result $? "it was told" || cat events
view mnt >after
diff before after >"$OUT"
result $? "it shows the same afterwards"
echo 2 >/proc/sys/vm/drop_caches
view mnt >after
diff before after >"$OUT"
result $? "also when nothing is in memory"
echo written >&5
is "who writes goes on" "$(tail -n 1 mnt/h3)" written
is "in the top" "$(tail -n 1 fs/day2/h3)" written
is "who reads goes on" "$(sha256sum <&6)" "$(sha256sum <mnt/bigger)"
is "who is in a directory goes on" "$(ls "/proc/self/fd/7/")" "$(ls mnt/deep/aa)"
exec 5>&- 6<&- 7<&-
kill "$monitor"
wait "$monitor" 2>/dev/null
mv mnt/moved2 mnt/moved3 && rm mnt/three && chmod 600 mnt/in2/f && ln mnt/f mnt/f2 &&
	rm -r mnt/new && echo new >mnt/bigger
result $? "changes go on"
view mnt >before
umount mnt
same "they are there" day2 day0 base
finish
