#!/usr/bin/env python3
"""Write archives that nobody should take.

usage: hostile.py FOLDER

Each is an OCI image layout, or what docker saves, with one thing wrong.
Prints a line for each: its file and, after a tab, a word that a refusal has
to have.
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

OCI = "application/vnd.oci.image."


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Layout:
    """Of one small image, sound by itself."""

    def __init__(self):
        self.entries = []
        config = json.dumps({"os": "linux", "rootfs": {"diff_ids": []}})
        layer = b"a layer " * 5000
        self.layer = sha256(layer)
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
            "config": self.blob("config.v1+json", config.encode()),
            "layers": [self.blob("layer.v1.tar", layer)]}).encode()
        root = self.blob("manifest.v1+json", manifest)
        root["annotations"] = {"io.containerd.image.name": "bad/image:1"}
        self.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.file("index.json", json.dumps(
            {"schemaVersion": 2, "manifests": [root]}).encode())

    def blob(self, kind, data):
        digest = sha256(data)
        self.file("blobs/sha256/" + digest, data)
        return {"mediaType": OCI + kind, "digest": "sha256:" + digest,
                "size": len(data)}

    def file(self, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self.entries.append((info, data))

    def special(self, name, kind, link=""):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        self.entries.append((info, b""))

    def replace(self, name, data):
        self.entries = [(i, d) for i, d in self.entries if i.name != name]
        self.file(name, data)

    def bytes(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for info, data in self.entries:
                tar.addfile(info, io.BytesIO(data))
        return out.getvalue()


def cases():
    for name, path, word in (
            ("absolute", "/etc/cron.d/x", "absolute"),
            ("dotted", "blobs/../../x", "belongs"),
            ("parent", "../x.json", "belongs"),
            ("foreign", "etc/passwd", "belongs")):
        bad = Layout()
        bad.file(path, b"x")
        yield name, bad.bytes(), word
    for name, kind, link, word in (
            ("symlink", tarfile.SYMTYPE, "/etc/passwd", "link"),
            ("hardlink", tarfile.LNKTYPE, "oci-layout", "hard link"),
            ("device", tarfile.CHRTYPE, "", "device"),
            ("fifo", tarfile.FIFOTYPE, "", "pipe")):
        bad = Layout()
        bad.special("x.tar", kind, link)
        yield name, bad.bytes(), word
    bad = Layout()
    bad.file("./index.json", b"{}")
    yield "twice", bad.bytes(), "twice"
    bad = Layout()
    bad.replace("blobs/sha256/" + bad.layer, b"another layer")
    yield "content", bad.bytes(), "not what its name says"
    bad = Layout()
    index = json.loads(dict((i.name, d) for i, d in bad.entries)
                       ["index.json"])
    index["manifests"][0]["size"] += 1
    bad.replace("index.json", json.dumps(index).encode())
    yield "size", bad.bytes(), "size"
    bad = Layout()
    bad.replace("index.json", b" " * (17 << 20))
    yield "json", bad.bytes(), "JSON"
    bad = Layout()
    bad.replace("index.json", b"[" * 100000)
    yield "nested", bad.bytes(), "JSON"
    whole = Layout().bytes()
    yield "truncated", whole[:20000], ""
    yield "truncated-gz", gzip.compress(whole)[:700], ""
    bomb = Layout()
    bomb.file("x.tar", bytes(300 << 20))
    yield "bomb", subprocess.run(["zstd", "-q", "-c"], input=bomb.bytes(),
                                 stdout=subprocess.PIPE,
                                 check=True).stdout, "1000-fold"
    yield "twice-gz", gzip.compress(gzip.compress(whole)), "more than once"
    yield "else", b"MZ" * 4000, "not a tar archive"
    yield "empty", b"", ""


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, data, word in cases():
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(data)
        print("%s\t%s" % (path, word))


main()
