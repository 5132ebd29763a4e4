#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A Debian root file system, this machine's own, as the lowest branch of a union:
# programs run in it with the union as their root, and the root below stays as it
# is. Speaks TAP.

dir=$(mktemp -d /tmp/debian.XXXXXX)
base=$dir/base rw=$dir/rw root=$dir/root
mkdir "$base" "$rw" "$root"

bail_out()
{
	echo "Bail out! $*"
	exit 1
}

mount --bind / "$base" || bail_out "no base"
mount /dev/disk/rw "$rw" || bail_out "no disk"
mkdir -p "$rw/top"
mount -t mica -o "dirs=$rw/top=rw:$base=ro" none "$root" ||
	bail_out "no union"
for fs in proc sys dev; do
	mount --rbind /$fs "$root/$fs"
done
mount -t tmpfs run "$root/run"

count=0 failed=0
# in_union NAME: runs a script, from standard input, with the union as its root
in_union()
{
	local log=$dir/log

	((count++))
	if chroot "$root" /bin/bash -e >"$log" 2>&1; then
		echo "ok $count $1"
	else
		sed 's/^/# /' "$log"
		echo "not ok $count $1"
		failed=1
	fi
}

manifest()
{
	(cd "$base" && find etc usr/share/doc/bash usr/share/perl -printf \
		'%p %y %m %U:%G %s %T@ %C@ %n %l\n' | sort | sha256sum)
}
before=$(manifest)

echo "TAP version 13"
echo "1..9"

in_union "dpkg installs, removes and purges a package" <<'END'
mkdir -p /root/p/DEBIAN /root/p/etc /root/p/usr/share/p
printf 'Package: mica-p\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n' \
	>/root/p/DEBIAN/control
echo /etc/p.conf >/root/p/DEBIAN/conffiles
echo conf >/root/p/etc/p.conf
echo data >/root/p/usr/share/p/f
dpkg-deb -b /root/p /root/p.deb
dpkg -i /root/p.deb
grep data /usr/share/p/f
dpkg -s mica-p | grep 'ok installed'
dpkg -r mica-p
test ! -e /usr/share/p -a -e /etc/p.conf
dpkg -P mica-p
test ! -e /etc/p.conf
END

in_union "git makes, packs, checks and clones a repository" <<'END'
mkdir -p /root/r
cp -a /usr/share/perl/5* /root/r/
cd /root/r
git init -q
git -c user.name=a -c user.email=a@b add -A
git -c user.name=a -c user.email=a@b commit -qm one
git gc -q
git fsck --strict
git clone -q /root/r /root/c
diff -r --exclude=.git /root/r /root/c
END

in_union "tar takes a tree out and in again without a difference" <<'END'
mkdir -p /root/t
tar -C /usr/share/doc -cf /root/t.tar $(cd /usr/share/doc && ls | head -n 60)
tar -C /root/t -xpf /root/t.tar
cd /root/t
for f in *; do diff -r --no-dereference "$f" "/usr/share/doc/$f"; done
tar -C /root/t -df /root/t.tar
rm -r /root/t
END

in_union "a compiler's program runs" <<'END'
cd /root
printf '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n' >h.c
cc -o h h.c
test "$(./h)" = hello
END

in_union "users are added and use what is theirs" <<'END'
useradd -m micauser
su micauser -c 'echo x >~/f && chmod 600 ~/f && mkdir ~/d && mv ~/f ~/d/'
test "$(stat -c %U:%a /home/micauser/d/f)" = micauser:600
su micauser -c 'echo x >>/etc/passwd' && exit 1
su micauser -c 'cat /etc/shadow' && exit 1
userdel -r micauser
test ! -e /home/micauser
END

in_union "a database survives many small transactions" <<'END'
python3 - <<'P'
import sqlite3
db = sqlite3.connect('/root/t.db')
db.execute('create table t (a)')
for i in range(100):
    db.execute('insert into t values (?)', (i,))
    db.commit()
assert db.execute('pragma integrity_check').fetchone() == ('ok',)
assert db.execute('select sum(a) from t').fetchone() == (4950,)
P
END

in_union "sed, mv and rm change what the lower branch has" <<'END'
sed -i s/root/ROOT/ /etc/group
mv /etc/host.conf /etc/host.conf.new
rm -r /usr/share/doc/bash
mkdir /usr/share/doc/bash
test -z "$(ls /usr/share/doc/bash)"
grep ROOT /etc/group
test ! -e /etc/host.conf -a -e /etc/host.conf.new
END

umount -R "$root"
mount -t mica -o "dirs=$rw/top=rw:$base=ro" none "$root" ||
	bail_out "no second mount"
in_union "all of it is there after a new mount" <<'END'
grep ROOT /etc/group
test -z "$(ls /usr/share/doc/bash)"
test ! -e /etc/host.conf -a -e /etc/host.conf.new -a -d /root/c/.git
END
umount "$root"

((count++))
if [[ $before = "$(manifest)" ]]; then
	echo "ok $count the root below is as it was"
else
	echo "not ok $count the root below is as it was"
	failed=1
fi
umount "$rw" "$base"
exit $failed
