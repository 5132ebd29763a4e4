#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica union check: layers of both forms, good and bad ones, and what a union makes
# of them.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
mount -t tmpfs tmpfs "$WORK" || exit 1
cd "$WORK" || exit 1
mkdir layer low mnt

# mark PATH NAME VALUE: one of overlayfs's attributes
mark()
{
	setfattr -n "trusted.overlay.$2" -v "$3" "$1" || exit 1
}

# marks: what was found, one "PATH MARK FORM" a line
marks()
{
	jq -r '.marks[] | [.path, .mark, .form // "-"] | join(" ")' "$OUT"
}

exits 0 "an empty layer" union check layer
is "has nothing to tell" "$(<"$OUT")" ""
exits 0 "an empty layer in JSON" union check --json layer
is "is an empty list" "$(jq -c .marks "$OUT")" "[]"

# Good ones.
mkdir -p layer/{opaque,old,over,moved,both,.wh..wh.mica/work,.wh..wh.plnk}
touch layer/{.wh.gone,.wh.both,opaque/.wh..wh..opq,old/.wh.__dir_opaque,empty,meta,kept,.wh..wh.aufs}
mknod layer/device c 0 0
mknod layer/null c 1 3
mark layer/over opaque y
mark layer/moved redirect was
mark layer/empty whiteout y
mark layer opaque x
mark layer/meta metacopy ""
mark layer/meta redirect /some/where
mark layer/kept protattr ai
mark layer mica.layers 0x00112233445566778899aabbccddeeff
exits 0 "nothing is wrong" union check --json layer
is "with any of them" "$(marks)" "\
. layers both
.wh.both whiteout dot
.wh.gone whiteout dot
device whiteout overlay
empty whiteout overlay
kept protattr both
meta metacopy both
meta redirect both
moved redirect both
old/.wh.__dir_opaque opaque dot
opaque/.wh..wh..opq opaque dot
over opaque overlay"
exits 0 "the table" union check layer
like "says what is hidden" "$(<"$OUT")" "hides gone in the layers below"
like "says what is opaque" "$(<"$OUT")" "makes both opaque"
like "says where data is" "$(<"$OUT")" "its data is in a layer below"
like "says where to in all" "$(<"$OUT")" "lead to 2 layers below"
like "says what is protected" "$(<"$OUT")" "immutable and append-only"
like "says where to" "$(<"$OUT")" "the file with it is /some/where"

# That is what a union does with them.
mkdir low/{opaque,old,over,was,both}
touch low/{gone,device,empty,opaque/x,old/x,over/x,was/x,both/x}
rm layer/meta
setfattr -x trusted.overlay.mica.layers layer
run union mount layer=ro low=ro mnt
is "a union agrees" "$(cd mnt && find . -mindepth 1 ! -name was ! -path ./was/x | sort | xargs)" \
   "./both ./kept ./moved ./moved/x ./null ./old ./opaque ./over"
umount mnt

# Bad ones, each alone. What a union refuses is one of them.
bad()
{
	local want=$1

	exits 1 "$2" union check --json layer
	is "$2: told" "$(marks)" "$want"
	run union check layer
	like "$2: why" "$(<"$OUT")" "$3"
	rm -rf layer && mkdir layer
}
rm -rf layer && mkdir layer
touch layer/.wh.
bad ".wh. wrong dot" "a whiteout of nothing" "hides nothing"
mkdir layer/.wh.dir
bad ".wh.dir wrong dot" "a whiteout that is a directory" "hides nothing"
mkdir -p layer/d/.wh..wh..opq
bad "d/.wh..wh..opq wrong dot" "an opaque mark that is a directory" "is not shown"
mkdir -p layer/d && touch layer/d/.wh..wh.mica
bad "d/.wh..wh.mica wrong dot" "a reserved name below the root" "is not shown"
mkdir layer/d && mark layer/d redirect ../x
bad "d wrong both" "a redirect out of the tree" "no path: EIO"
mkdir layer/d && mark layer/d redirect $'a\nb/c'
bad "d wrong both" "a redirect with a newline" "a.x0ab/c, which"
touch layer/f && mark layer/f whiteout y
bad "f wrong overlay" "a whiteout in a directory that is not marked" "but is listed"
touch layer/f && mark layer/f metacopy "0x0024000100"
bad "f wrong both" "a file under fs-verity" "fs-verity: EIO"
touch layer/f && mark layer/f metacopy ab
bad "f wrong both" "a metacopy that is none" "too short: EIO"
touch layer/f && mark layer/f protattr z
bad "f wrong both" "a protection that is none" "from nothing"
mark layer mica.layers abc
bad ". wrong both" "a list of layers that is none" "is none"

exits 2 "no directory" union check
exits 2 "two directories" union check layer low
exits 1 "one that is not there" union check nothing
one_sentence "one that is not there"
touch file
exits 1 "a file" union check file
one_sentence "a file"
finish
