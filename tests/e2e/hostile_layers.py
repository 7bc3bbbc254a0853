#!/usr/bin/env python3
"""Write a layer that means no good to who reads it.

usage: hostile_layers.py KIND FILE

  bomb       gzip: two gigabytes of zeros in two megabytes
  bombs      gzip within gzip, within gzip
  endless    a file that its header says is a petabyte, and has no end
  truncated  a package database that is cut off in its middle
  garbage    gzip's first bytes, then noise
  sizes      a header whose size is no number
  negative   a size below zero
  escape     entries that climb out of the root
  links      a package database that is a link to itself
  many       a million entries
  deep       folders within folders, ten thousand of them
  database   a package database of half a gigabyte
  names      a name of a megabyte
"""

import gzip
import io
import os
import sys
import tarfile
import zlib

MIB = 1 << 20
STATUS = "var/lib/dpkg/status"
PACKAGE = (b"Package: hole\nStatus: install ok installed\n"
           b"Architecture: all\nVersion: 1.0\n\n")


def gz(write, path):
    with gzip.open(path, "wb", 1) as f:
        write(f)


def entry(tar, name, data=b"", **more):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def header(name, size_field):
    """A ustar header whose size is what it is told."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = size_field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def bomb(f):
    f.write(header("zeros", b"%011o\0" % (2048 * MIB - 1)))
    for _ in range(2048):
        f.write(bytes(MIB))


def bombs(path):
    data = bytes(64 * MIB)
    for _ in range(3):
        data = gzip.compress(data, 9, mtime=0)
    with open(path, "wb") as f:
        f.write(data)


def endless(f):
    # Sizes beyond eight gigabytes are binary.
    f.write(header("endless", b"\x80" + (1 << 50).to_bytes(11, "big")))
    for _ in range(64):
        f.write(os.urandom(MIB))


def truncated(path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry(tar, STATUS, PACKAGE * 20000)
    data = gzip.compress(out.getvalue(), 1, mtime=0)
    with open(path, "wb") as f:
        f.write(data[:len(data) // 2])


def garbage(path):
    with open(path, "wb") as f:
        f.write(b"\x1f\x8b\x08\0\0\0\0\0\0\3" + os.urandom(MIB))


def sizes(f):
    f.write(header(STATUS, b"many bytes!\0"))
    f.write(PACKAGE)


def negative(f):
    f.write(header(STATUS, b"\xff" * 12))
    f.write(PACKAGE)


def escape(f):
    with tarfile.open(fileobj=f, mode="w") as tar:
        entry(tar, "../../../../etc/passwd", b"root::0:0::/:/bin/sh\n")
        entry(tar, "/../" + STATUS, PACKAGE)


def links(f):
    with tarfile.open(fileobj=f, mode="w") as tar:
        entry(tar, STATUS, type=tarfile.SYMTYPE, linkname="status")
        entry(tar, "var/lib/dpkg", type=tarfile.LNKTYPE, linkname=STATUS)


def many(f):
    block = bytearray(header("x" * 20, b"%011o\0" % 0))
    base = sum(block[:148]) + sum(block[156:]) + 8 * 32
    for i in range(1000000):
        name = b"%020d" % i
        block[0:20] = name
        total = base - 20 * ord("x") + sum(name)
        block[148:156] = b"%06o\0 " % total
        f.write(bytes(block))
    f.write(bytes(1024))


def deep(f):
    with tarfile.open(fileobj=f, mode="w",
                      format=tarfile.PAX_FORMAT) as tar:
        entry(tar, "d/" * 10000 + STATUS, PACKAGE)


def database(f):
    n = 512 * MIB
    f.write(header(STATUS, b"%011o\0" % n))
    piece = PACKAGE * (MIB // len(PACKAGE))
    piece += b"\n" * (MIB - len(piece))
    for _ in range(512):
        f.write(piece)
    f.write(bytes(1024))


def names(f):
    with tarfile.open(fileobj=f, mode="w",
                      format=tarfile.PAX_FORMAT) as tar:
        entry(tar, "n" * MIB, b"x")


RAW = {"bombs": bombs, "truncated": truncated, "garbage": garbage}


def main():
    kind, path = sys.argv[1:]
    if kind in RAW:
        RAW[kind](path)
    else:
        gz(globals()[kind], path)


if __name__ == "__main__":
    try:
        main()
    except (KeyError, ValueError, zlib.error) as e:
        sys.exit("%s\n%s" % (e, __doc__))
