#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mica union mount and list: whatever the branches are called.
# shellcheck disable=SC2016	# jq and inner shells expand these
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
mount -t tmpfs tmpfs "$WORK" || exit 1
cd "$WORK" || exit 1
mkdir mnt rw ro
echo low >ro/file

# tree: the union at $WORK/mnt in the list, as "union mode" and "branch mode"s.
tree()
{
	run union list --json
	jq -c --arg t "$WORK/mnt" \
	   '.unions[] | select(.targets == [$t]) | [.mode, (.children[] | [.name, .mode])]' "$OUT"
}

# wanted BRANCH MODE...
wanted()
{
	jq -cn --args '["rw", ($ARGS.positional | range(0; length; 2) as $i | .[$i:$i + 2])]' -- "$@"
}

exits 0 "mount" union mount rw ro mnt
is "nothing to say" "$(cat "$OUT" "$ERR")" ""
is "its type" "$(findmnt -no FSTYPE mnt)" mica
is "list" "$(tree)" "$(wanted "$WORK/rw" rw "$WORK/ro" ro)"
exits 0 "the table" union list
like "has the branches below the union" "$(<"$OUT")" "$WORK/mnt.*$WORK/rw.*$WORK/ro"
echo more >>mnt/file
is "and it is a union" "$(<mnt/file) $(<ro/file) $(<rw/file)" $'low\nmore low low\nmore'
mkdir second
mount --bind mnt second
run union list --json
is "two mount points" "$(jq -c '.unions[-1].targets' "$OUT")" \
   "[\"$WORK/mnt\",\"$WORK/second\"]"
umount second
umount mnt
is "gone after umount" "$(tree)" ""

# One union of them all, and as the rw branch those that could be taken amiss.
names=("a:b" "a=b" "a,b" "a b" $'a\nb' 'a\b' 'a\:b' "a=rw" "-o" '"' "'" $'\t' "ü"
       "a=ro+dot" $'\\' '%s' $'\001' "$(printf 'x%.0s' {1..255})")
mkdir names && cd names || exit 1
mkdir -- "${names[@]}"
wants=("$WORK/rw" rw) args=()
for name in "${names[@]}"; do
	args+=("$name=ro")
	wants+=("$WORK/names/$name" ro)
done
exits 0 "branches of any name" union mount ../rw=rw -- "${args[@]}" ../mnt
is "are shown as they are" "$(tree)" "$(wanted "${wants[@]}")"
umount ../mnt
for name in $'a\nb' 'a\b' "a=rw" "a:b"; do
	exits 0 "a rw branch $(printf %q "$name")" union mount -- "./$name=rw" ../mnt
	is "is shown as it is" "$(tree)" "$(wanted "$WORK/names/$name" rw)"
	umount ../mnt
done
cd ..

mkdir $'\377'
exits 0 "a name that is not UTF-8" union mount rw $'\377' mnt
jq -e . <<<"$("$MICA" union list --json)" >/dev/null
result $? "does not spoil the JSON"
umount mnt

mkdir $'new\nline'
exits 0 "a mount point with a line break" union mount rw ro $'new\nline'
run union list --json
is "is one mount point" "$(jq -c '.unions[-1].targets' "$OUT")" \
   "[\"$WORK/new\\\\x0aline\"]"
umount $'new\nline'
mkdir 'new\x0aline'
exits 0 "one with what that looks like in its name" union mount rw ro 'new\x0aline'
run union list --json
is "is told from it" "$(jq -c '.unions[-1].targets' "$OUT")" \
   "[\"$WORK/new\\\\x5cx0aline\"]"
umount 'new\x0aline'

deep=$WORK
for _ in {1..14}; do
	deep=$deep/$(printf 'd%.0s' {1..250})
	mkdir "$deep" || break
done
exits 0 "a path of ${#deep} bytes" union mount rw "$deep" mnt
is "comes back whole" "$(tree)" "$(wanted "$WORK/rw" rw "$deep" ro)"
umount mnt

for i in {1..300}; do
	mkdir -p "many/$i"
done
exits 0 "300 branches" union mount rw many/* mnt
is "all of them, in order, over many messages" \
   "$("$MICA" union list --json | jq -r '.unions[-1].children[1:][].name')" \
   "$(printf '%s\n' "$WORK"/many/*)"
umount mnt

mkdir one mounts
for i in {1..40}; do
	mkdir "one/$i" "mounts/$i"
	"$MICA" union mount "one/$i" ro "mounts/$i" 2>"$ERR" || break
done
run union list --json
is "40 unions" "$(jq -r '.unions[].targets[0]' "$OUT" | sort -V)" \
   "$(printf "$WORK/mounts/%s\n" {1..40})"
is "with two branches each" "$(jq -c '[.unions[].children | length] | unique' "$OUT")" "[2]"
for i in {1..40}; do
	umount "mounts/$i"
done

exits 0 "modes" union mount rw ro=ro+dot many/1=ro+overlay many/2=ro many/3 mnt
is "modes in the list" "$(tree)" \
   "$(wanted "$WORK/rw" rw "$WORK/ro" ro "$WORK/many/1" ro "$WORK/many/2" ro "$WORK/many/3" ro)"
umount mnt
exits 0 "mount options" union mount -o nosuid,nodev,noatime -o ro rw ro mnt
like "reach the mount" ",$(findmnt -no OPTIONS mnt)," ",ro,.*nosuid,nodev.*,noatime,"
is "read-only in the list" "$("$MICA" union list --json | jq -r '.unions[-1].mode')" ro
umount mnt
exits 0 "options of the union" union mount -o whiteout=overlay,volatile rw ro mnt
umount mnt
mount -t mica -o "dirs=$WORK/rw=rw:$WORK/ro=ro" none mnt
result $? "mount -t mica"
is "and the list has it" "$(tree)" "$(wanted "$WORK/rw" rw "$WORK/ro" ro)"
umount mnt

# fails NAME PATTERN ARG...
fails()
{
	local name=$1 pattern=$2

	shift 2
	exits 1 "$name" union mount "$@"
	one_sentence "$name"
	like "$name: named" "$(<"$ERR")" "$pattern"
	! mountpoint -q mnt
	result $? "$name: nothing is mounted"
}

fails "a branch that does not exist" nowhere rw nowhere mnt
fails "a branch that is a file" ro/file rw ro/file mnt
fails "an unknown option" colour -o colour=red rw ro mnt
fails "a bad value" whiteout -o whiteout=black rw ro mnt
fails "a branch twice" "$WORK/rw" rw rw/. mnt
fails "no mount point" nowhere rw ro nowhere
exits 0 "a union" union mount rw ro mnt
mkdir other
exits 1 "its rw branch again" union mount rw ro other
like "is in use" "$(<"$ERR")" "$WORK/rw.*in use"
umount mnt

# (valgrind does not know fsopen(2), so the mount is made without it.)
if command -v valgrind >/dev/null; then
	exits 0 "a union for valgrind" union mount rw ro many/* mnt
	valgrind -q --error-exitcode=99 --leak-check=full \
		--errors-for-leak-kinds=definite,possible \
		"$MICA" union list --json >"$OUT" 2>"$ERR"
	is "valgrind has nothing to say" $? 0
	umount mnt
else
	skip "valgrind" "it is not installed"
fi

cd / && finish
