#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The layers of an image as the branches of a mounted union, and what was done in it
# as one more layer: mica union import, diff, export; what umoci and skopeo make of it.
# shellcheck source=selftests/tool/lib.sh
. "$(dirname "$0")/lib.sh"

need_module
on_ext4 128M

# changes: "CHANGE PATH" of each
changes()
{
	jq -r '.changes[] | .change + " " + .path' "$OUT" | paste -sd,
}

# The layers of an image.
mkdir -p base/{etc,usr/{bin,lib/old},var} app/{opt,usr/lib/old}
echo 1 >base/etc/version
echo base >base/usr/bin/tool
ln base/usr/bin/tool base/usr/bin/same
ln -s usr/bin base/bin
seq 1000 >base/usr/lib/old/data
seq 10000 >base/var/log
echo app >app/opt/app
touch app/usr/lib/old/.wh..wh..opq
echo app >app/usr/lib/old/app
exits 0 "a layer of an image" union export --gzip -o base.tgz base
exits 0 "another one" union export --zstd -o app.tar app
exits 0 "is imported" union import base.tgz layer1
exits 0 "as is the other" union import app.tar layer2

# What somebody does in them.
mkdir top mnt
run union mount top layer2 layer1 mnt
echo 2 >mnt/etc/version
rm mnt/bin
mv mnt/usr/lib mnt/usr/lib64
chmod 700 mnt/var/log
mkdir mnt/srv
mv mnt/opt/app mnt/srv
rm -r mnt/opt
mkdir mnt/opt
touch mnt/opt/new
exits 0 "what has been done" union diff --json mnt
is "is told" "$(changes)" "removed /bin,changed /etc/version,removed /opt/app,added /opt/new,\
added /srv,added /srv/app,removed /usr/lib,\
added /usr/lib64,added /usr/lib64/old,added /usr/lib64/old/app,changed /var/log"
is "a mode is a mode" "$(jq -r '.changes[] | select(.path == "/var/log").what' "$OUT")" mode
cp "$OUT" mounted.json
run union diff --json top layer2 layer1
cmp -s "$OUT" mounted.json
result $? "as of directories"
exits 0 "with both upper layers" union diff --json --top 2 mnt
like "more is told" "$(changes)" "added /srv/app,.*removed /usr/lib,added /usr/lib64"

exits 0 "it becomes a layer" union export -o top.tar mnt
is "without a word" "$(<"$ERR")" ""
exits 0 "and a branch" union import top.tar layer3
mkdir mnt3
run union mount layer3=ro layer2=ro layer1=ro mnt3
diff <(tree_shown mnt) <(tree_shown mnt3) >"$OUT" 2>&1
result $? "which shows the same"

# Whoever else reads images.
if command -v umoci >/dev/null; then
	(
		umoci init --layout image &&
			umoci new --image image:x || exit
		for layer in layer1 layer2; do
			"$MICA" union export -o layer.tar $layer
			umoci raw add-layer --image image:x layer.tar || exit
		done
		umoci raw add-layer --image image:x top.tar &&
			umoci unpack --image image:x bundle
	) >"$OUT" 2>"$ERR"
	result $? "umoci takes the layers"
	diff <(tree_shown mnt) <(tree_shown bundle/rootfs) >"$OUT" 2>&1
	result $? "and shows the same"
else
	skip "umoci takes the layers" "it is not installed"
fi
if command -v skopeo >/dev/null && [[ -d image ]]; then
	skopeo --insecure-policy copy oci:image:x docker-archive:x.tar:x >"$OUT" 2>"$ERR"
	result $? "skopeo takes the image"
else
	skip "skopeo takes the image" "it is not installed"
fi

# A file with several names is changed under all of them, but only one is in the layer.
umount mnt3
ln -f layer1/usr/bin/{tool,same}
umount mnt
rm -rf top && mkdir top
run union mount top layer2 layer1 mnt
echo more >>mnt/usr/bin/same
is "a file with several names" "$(<mnt/usr/bin/tool)" $'base\nmore'
exits 0 "one name" union diff --json mnt
is "is told" "$(changes)" "changed /usr/bin/same"
like "with a word of the others" "$(<"$ERR")" "/usr/bin/same: has other names"
exits 0 "it is in the archive" union export -o names.tar mnt
like "with one as well" "$(<"$ERR")" "usr/bin/same: has other names"

# Branches that something is mounted on.
run union mount layer1=ro layer2=ro layer1
exits 1 "a union over one of its branches" union diff layer1
one_sentence "a union over one of its branches"
like "the branch is named" "$(<"$ERR")" "/layer1: is not the branch any more"
umount layer1
umount mnt
mkdir top/lost
setfattr -n trusted.overlay.redirect -v /nowhere top/lost
touch top/lost/f
run union mount top layer2 layer1 mnt
mount --bind layer3 layer2
exits 1 "another directory over a branch" union export mnt
like "that is seen" "$(<"$ERR")" "/layer2: is not the branch any more"
umount layer2
exits 0 "without it" union diff --json mnt
like "what leads to nothing has what is in it" "$(changes)" "added /lost,added /lost/f"
exits 1 "what is in a union is none" union diff mnt/etc
like "that is said" "$(<"$ERR")" "not the root of a union"
umount mnt

# A layer in the place of the one that was there when something was renamed.
mkdir other copy
run union mount other layer1 mnt
mv mnt/usr/lib mnt/usr/other
umount mnt
cp -a layer1/. copy
run union mount other copy mnt
for command in diff export; do
	exits 1 "$command of a union with another layer" union $command mnt
	like "that is seen" "$(<"$ERR")" "/other: needs a layer that is not to the right"
done
umount mnt

# Marks that the tool does not read.
# shellcheck disable=SC2016	# they are that shell's
unshare -Urm sh -c 'mount -t mica -o "dirs=$PWD/layer1=ro:$PWD/layer2=ro" none mnt && exec "$0" union diff mnt' \
	"$MICA" >"$OUT" 2>"$ERR"
is "a union of a user namespace" "$?" 1
like "where it can be read is said" "$(<"$ERR")" "mnt: was mounted in a user namespace"
finish
