#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# git: a repository of some thousand real files, the first commit of which lies
# in the lower branch.
# shellcheck source=selftests/programs/lib.sh
. "$(dirname "$0")/lib.sh"

export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=gc.auto GIT_CONFIG_VALUE_0=0

parts=(include/linux)
enough=500
[[ -z ${MICA_LONG:-} ]] || parts=(include/linux include/x86_64-linux-gnu include/c++) enough=1000

sources()
{
	mkdir "$low/repo"
	(cd "$usr" && tar -c "${parts[@]}") | tar -C "$low/repo" -x
	cd "$low/repo"
	git init -q
	git add -A
	git commit -qm one
	test "$(git ls-files | wc -l)" -gt "$enough"
}

clean()
{
	git diff --exit-code --stat
	test -z "$(git status --porcelain)"
}

# A local clone makes hard links of the objects, all of them in the lower branch.
clone()
{
	git clone -q "$mnt/repo" "$mnt/clone"
	cd "$mnt/clone"
	clean
	diff -r --no-dereference --exclude=.git "$low/repo" .
}

commit()
{
	cd "$mnt/repo"
	find include/linux -name '*.h' -exec sed -i '1i// changed' {} +
	git rm -qrf include/linux/netfilter
	git mv include/linux/usb include/usb
	git commit -qam two
	clean
	test ! -e include/linux/netfilter -a ! -e include/linux/usb -a -e include/usb/ch9.h
	head -n 1 include/linux/fs.h | grep -qx '// changed'
}

gc()
{
	cd "$mnt/repo"
	git gc -q --prune=now
	test "$(git count-objects)" = "0 objects, 0 kilobytes"
	git fsck --strict --no-progress
	clean
}

back()
{
	cd "$mnt/repo"
	git checkout -q HEAD~1
	clean
	diff -r --no-dereference --exclude=.git "$mnt/clone" .
	git checkout -q -
	cd "$mnt/clone"
	git pull -q --no-rebase
	diff -r --no-dereference --exclude=.git "$mnt/repo" .
	git fsck --strict --no-progress
}

plan 7 ext4 xfs btrfs tmpfs
for system in "${systems[@]}"; do
	on "$system"
	check "a repository of real files" sources
	before=$(manifest "$low")
	union
	check "git clone" clone
	check "git commit of a changed, renamed and removed half" commit
	check "git gc, git fsck" gc
	check "git checkout of what was, and git pull" back
	umount "$mnt"
	union
	check "git fsck after a new mount" git -C "$mnt/repo" fsck --strict --no-progress
	check "the lower branch is as it was" test "$before" = "$(manifest "$low")"
	off
done
done_testing
