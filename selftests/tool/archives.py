#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""archives.py DIRECTORY: puts all archives of below there, most of them bad ones."""
import gzip
import io
import struct
import sys
import tarfile


def info(name, kind=tarfile.REGTYPE, **rest):
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in rest.items():
        setattr(entry, key, value)
    return entry


def file(name, data=b"data", **rest):
    return info(name, size=len(data), **rest), data


def directory(name, **rest):
    return info(name, tarfile.DIRTYPE, **rest), b""


def link(name, target, kind=tarfile.SYMTYPE):
    return info(name, kind, linkname=target), b""


def hard(name, target):
    return link(name, target, tarfile.LNKTYPE)


def attr(name, key, value="y"):
    return file(name, pax_headers={"SCHILY.xattr." + key: value})


def device(name, kind, major, minor):
    return info(name, kind, devmajor=major, devminor=minor), b""


def write_tar(out, entries, **rest):
    archive = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT,
                           errors="surrogateescape", **rest)
    for entry, data in entries:
        archive.addfile(entry, io.BytesIO(data))
    archive.close()


def tar(*entries, **rest):
    out = io.BytesIO()
    write_tar(out, entries, **rest)
    return out.getvalue()


def many(entries):
    """Of a generator, as they are large; with gzip the archive is small."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as packed:
        write_tar(packed, entries)
    return out.getvalue()


def silent(data):
    """The same, but that names are not UTF-8 is not said, as Go and GNU tar do it."""
    return data.replace(b"hdrcharset=BINARY", b"comment=.........")


def patched(name, offset, value, data=b""):
    """One entry, with something else in its header, and a checksum that fits."""
    head = bytearray(tar((info(name), b""))[:512])
    head[offset:offset + len(value)] = value
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data + bytes(-len(data) % 512) + bytes(10240)


def sparse(size, *parts):
    """As GNU tar 1.0 writes it; each part is where it is and what."""
    table = "".join(f"{at}\n{length}\n" for at, length, _ in parts)
    table = f"{len(parts)}\n{table}".encode()
    data = table + bytes(-len(table) % 512) + b"".join(d for _, _, d in parts)
    return file("sparse", data, pax_headers={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sparse", "GNU.sparse.realsize": str(size)})


def damaged(data, offset):
    data = bytearray(data)
    data[offset] ^= 0xff
    return bytes(data)


def acl(*tags):
    """The value of an attribute that is an ACL: all may do all."""
    entries = b"".join(struct.pack("<HHI", tag, 7, 0xffffffff) for tag in tags)
    return (struct.pack("<I", 2) + entries).decode("utf-8", "surrogateescape")


def default_acl(name, value):
    return directory(name, pax_headers={"SCHILY.xattr.system.posix_acl_default": value})


GOOD = tar(directory("./"), directory("d"), file("d/f"), file("d/g", b"x" * 5000))
ZERO_TAIL = tar(file("a"), file("z", bytes(8192)))
DEEPER = "/".join(["d" * 250] * 1000)
DEEP = "/".join(["d" * 250] * 20) + "/f"

ARCHIVES = {
    # Good ones.
    "good": lambda: GOOD,
    "empty": lambda: bytes(10240),
    "two-gzips": lambda: gzip.compress(GOOD[:700], mtime=0) + gzip.compress(GOOD[700:]),
    "no-parents": lambda: tar(file("a/b/c")),
    "dots": lambda: tar(file("./a//./b"), directory("./c/")),
    "twice": lambda: tar(file("a", b"old"), directory("d"), file("d/x"), file("a", b"new"),
                         file("d", b"now a file"), link("l", "/"), directory("l"), file("l/x")),
    "absolute-symlink": lambda: tar(link("l", "/etc/passwd"), link("m", "../../..")),
    "deep": lambda: tar(file(DEEP)),
    "long-symlink": lambda: tar(link("l", "t" * 4000)),
    "names": lambda: tar(file("e\u0301"), file("\u00e9"), file("bad\udcff"), file("a\nb"),
                         hard("h\u00e9", "e\u0301"), link("s", "\u00fc\udcfe")),
    "latin1": lambda: silent(tar(
        directory("d\udce9"), file("d\udce9/caf\udce9", uname="l\udcff"), file("z\u00e9\udce9"),
        hard("h\udce9", "d\udce9/caf\udce9"), link("s", "\u00fc\udcfe"))),
    "latin1-behind-a-comment": lambda: silent(tar(
        file("b\udce9"), file("a"), pax_headers={"comment": "\udcff" * 999})),
    "holes": lambda: tar(sparse(1 << 40, (5000000, 3, b"abc"), (1 << 40, 0, b""))),
    "old-time": lambda: tar(file("a", mtime=-5.25), file("b", mtime=-1 << 40),
                            file("c", mtime=2 ** 33 + .5)),
    "whiteouts": lambda: tar(file(".wh.gone", b""), directory("d"), file("d/.wh..wh..opq", b""),
                             directory("both"), file(".wh.both", b""), file("file"),
                             file(".wh.file", b""), file(".wh." + "n" * 255, b""),
                             file(".wh.__dir_opaque", b"")),
    "replaced": lambda: tar(
        file("a/.wh.x", b""), file("a"), file("d/.wh..wh..opq", b""), file("d/.wh.x", b""),
        default_acl("d", acl(1, 4, 32)),
        file("d"), directory("d"), file("da/.wh.x", b"")),
    "only-headers": lambda: many(file(f"{DEEPER}/{i}", b"") for i in range(300)),
    "again-and-again": lambda: many(entry for i in range(100) for entry in (
        directory(DEEPER + "/again"), directory(f"{DEEPER}/{i}"),
        file(DEEPER + "/.wh.gone", b""), file(f"{DEEPER}/.wh.n{i}", b""))),
    "again-with-acls": lambda: tar(
        default_acl("d", acl(1, 4, 32)), default_acl("e", acl(1, 4, 32)), directory("d"),
        default_acl("e", acl(1, 4, 16, 32)), file("d/f"), file("e/f")),
    "devices": lambda: tar(device("null", tarfile.CHRTYPE, 1, 3),
                           device("loop", tarfile.BLKTYPE, 7, 0), (info("p", tarfile.FIFOTYPE), b"")),
    # Out of the directory.
    "parent": lambda: tar(file("../evil")),
    "parent-within": lambda: tar(file("a/../../evil")),
    "absolute": lambda: tar(file("/evil")),
    "through-symlink": lambda: tar(link("l", ".."), file("l/evil")),
    "through-absolute-symlink": lambda: tar(link("l", "/tmp"), file("l/evil")),
    "through-inner-symlink": lambda: tar(directory("d"), link("l", "d"), file("l/x")),
    "through-file": lambda: tar(file("f"), file("f/x")),
    "link-out": lambda: tar(hard("l", "../../../etc/passwd")),
    "link-absolute": lambda: tar(hard("l", "/etc/passwd")),
    "link-through-symlink": lambda: tar(link("s", "/etc"), hard("l", "s/passwd")),
    "link-nowhere": lambda: tar(hard("l", "nothing")),
    "link-itself": lambda: tar(file("a"), hard("a", "a")),
    "link-directory": lambda: tar(directory("d"), hard("l", "d")),
    "link-whiteout": lambda: tar(file(".wh.x", b""), hard("l", ".wh.x")),
    # Names.
    "no-name": lambda: patched("x", 0, b"\0"),
    "root-file": lambda: tar(file(".")),
    "long-name": lambda: tar(file("n" * 256)),
    "too-deep": lambda: tar(file("d/" * 2100 + "f")),
    "empty-symlink": lambda: tar(link("l", "")),
    "huge-symlink": lambda: tar(link("l", "t" * 5000)),
    "aufs": lambda: tar(directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2")),
    "meta": lambda: tar(directory(".wh..wh.mica")),
    "whiteout-of-dot": lambda: tar(file(".wh..", b"")),
    "whiteout-of-nothing": lambda: tar(file(".wh.", b"")),
    "whiteout-of-a-whiteout": lambda: tar(file(".wh..wh.x", b"")),
    "whiteout-directory": lambda: tar(directory(".wh.d")),
    "whiteout-link": lambda: tar(file("a"), hard(".wh.x", "a")),
    "whiteout-symlink": lambda: tar(link(".wh..wh..opq", "a")),
    "below-whiteout": lambda: tar(file("a/.wh.d/x")),
    # Kinds, attributes, owners.
    "device": lambda: tar(device("sda", tarfile.BLKTYPE, 8, 0)),
    "whiteout-device": lambda: tar(device("w", tarfile.CHRTYPE, 0, 0)),
    "overlay-attribute": lambda: tar(attr("a", "trusted.overlay.opaque")),
    "overlay-redirect": lambda: tar(attr("a", "trusted.overlay.redirect", "/etc")),
    "user-attribute": lambda: tar(attr("a", "user.overlay.metacopy")),
    "mica-attribute": lambda: tar(attr("a", "trusted.overlay.mica.layers")),
    "large-attribute": lambda: tar(attr("a", "trusted.x", "v" * 70000)),
    "large-default-acls": lambda: many(
        default_acl(f"d{i}", "v" * 900000) for i in range(100)),
    "bad-default-acls": lambda: many(
        default_acl(f"d{i}", "v" * 65000) for i in range(1000)),
    "long-attribute": lambda: tar(attr("a", "user." + "n" * 300)),
    "strange-attribute": lambda: tar(attr("a", "nonsense.x")),
    "negative-owner": lambda: tar(file("a", uid=-5)),
    "large-owner": lambda: tar(file("a", gid=1 << 32)),
    "no-owner": lambda: tar(file("a", uid=(1 << 32) - 1)),
    "acl": lambda: tar(file("a", pax_headers={
        "SCHILY.acl.access": "user::rw-,user:33:rwx,group::r--,mask::rwx,other::---"})),
    "default-acl": lambda: tar(directory("d", pax_headers={
        "SCHILY.acl.default": "user::rwx,user:33:rwx,group::r-x,mask::rwx,other::---"})),
    # Texts for a terminal.
    "escape-link": lambda: tar(hard("l", "no\x1b[31m\nforged")),
    "escape-directory": lambda: tar(file("f\x1b[2J\nforged"), file("f\x1b[2J\nforged/x")),
    "escape-attribute": lambda: tar(attr("a", "trusted.overlay.\x1b[2J\nforged")),
    # Sizes.
    "larger-than-there": lambda: tar(file("a"))[:700],
    "huge": lambda: patched("a", 124, b"\x80" + (1 << 62).to_bytes(11, "big")),
    "negative-size": lambda: patched("a", 124, b"\xff" * 12),
    "holes-behind-the-end": lambda: tar(sparse(10, (5000, 3, b"abc"))),
    "holes-backwards": lambda: tar(sparse(10000, (5000, 3, b"abc"), (0, 3, b"abc"))),
    "endless-map": lambda: many([file("a", b"2500000\n" + b"0\n0\n" * 2500000, pax_headers={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "0"})]),
    "holes-of-a-directory": lambda: tar(directory("d", pax_headers={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99"})),
    "bad-map": lambda: tar(file("a", pax_headers={"GNU.sparse.map": "0,2,x,y"})),
    "bad-map-of-a-name": lambda: tar(file("\u00e9", pax_headers={"GNU.sparse.map": "0,2,x,y"})),
    "bad-map-of-latin1": lambda: silent(tar(file("\udce9", pax_headers={
        "GNU.sparse.map": "0,2,x,y"}))),
    "bad-map-of-a-long-name": lambda: tar(file("\u00e9" * 99999, pax_headers={
        "GNU.sparse.map": "0,2,x,y"})),
    "bad-map-behind-a-file": lambda: tar(file("a", bytes(1 << 20)), file("b\udcff", pax_headers={
        "GNU.sparse.map": "0,2,x,y", "path": "b\u00e9"})),
    # Damage.
    "nothing": lambda: b"",
    "text": lambda: b"This is no archive.\n" * 100,
    "cut-in-a-header": lambda: GOOD[:1000],
    "cut-in-data": lambda: GOOD[:3000],
    "cut-between": lambda: GOOD[:2048],
    "cut-at-the-end": lambda: GOOD[:512 * (len(GOOD.rstrip(b"\0")) // 512 + 1)],
    "cut-behind-zeroes": lambda: ZERO_TAIL[:512 + 512 + 512 + 8192],
    "one-block-of-zeroes": lambda: GOOD[:512 * (len(GOOD.rstrip(b"\0")) // 512 + 2)],
    "garbage-behind": lambda: GOOD + b"more",
    "archive-behind": lambda: GOOD + GOOD,
    "bad-checksum": lambda: damaged(GOOD, 512 + 3),
    "bad-pax": lambda: patched("a", 156, b"x", b"12 nonsense without end") + GOOD,
    "gzip-cut": lambda: gzip.compress(GOOD)[:-20],
    "gzip-cut-in-the-sum": lambda: gzip.compress(GOOD)[:-3],
    "gzip-bad-sum": lambda: damaged(gzip.compress(GOOD), -6),
    "gzip-bad-length": lambda: damaged(gzip.compress(GOOD), -2),
    "gzip-garbage-behind": lambda: gzip.compress(GOOD) + b"more",
    "gzip-of-text": lambda: gzip.compress(b"text"),
    "gzip-head": lambda: b"\x1f\x8b",
}

if __name__ == "__main__":
    for name, make in ARCHIVES.items():
        with open(f"{sys.argv[1]}/{name}", "wb") as out:
            out.write(make())
