#!/usr/bin/env python3
"""Write container images as an OCI layout, offline.

usage: mkimage.py [OPTION...] FOLDER TAG

  --layers N       layers besides the first (default 0)
  --bytes N        of random content in each of these layers (default 1000)
  --compress HOW   none, gzip or zstd (default gzip)
  --archs A,B,...  more than one makes an index (default: this machine's)
  --file FILE      the first layer holds FILE as /FILE's name (default
                   /bin/busybox if that is there)
  --text TEXT      makes the image another one

FOLDER gets further tags when it is there already.  Prints the digest of what
TAG names.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile

TYPE = "application/vnd.oci.image."
SUFFIX = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}
ARCHS = {"x86_64": "amd64", "aarch64": "arm64"}


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files:
            if "/" in name:
                folder = tarfile.TarInfo(os.path.dirname(name))
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-1", "-c"], input=data,
                              stdout=subprocess.PIPE, check=True).stdout
    return data


class Layout:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(os.path.join(folder, "blobs/sha256"), exist_ok=True)
        self.index = os.path.join(folder, "index.json")
        with open(os.path.join(folder, "oci-layout"), "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.folder, "blobs/sha256", digest),
                  "wb") as f:
            f.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest,
                "size": len(data)}

    def json(self, value, media_type):
        return self.blob(json.dumps(value).encode(), media_type)

    def tag(self, descriptor, name):
        index = {"schemaVersion": 2, "manifests": []}
        if os.path.exists(self.index):
            with open(self.index) as f:
                index = json.load(f)
        descriptor = dict(descriptor, annotations={
            "org.opencontainers.image.ref.name": name})
        index["manifests"].append(descriptor)
        with open(self.index, "w") as f:
            json.dump(index, f)


def image(layout, args, arch):
    first = [("etc/text", (args.text + " " + arch).encode())]
    if args.file:
        with open(args.file, "rb") as f:
            first.append(("bin/" + os.path.basename(args.file), f.read()))
    tars = [tar_of(first)]
    for i in range(args.layers):
        tars.append(tar_of([("data/%d" % i, os.urandom(args.bytes))]))
    layers = [layout.blob(compress(t, args.compress),
                          TYPE + "layer.v1.tar" + SUFFIX[args.compress])
              for t in tars]
    config = layout.json({
        "architecture": arch, "os": "linux",
        "config": {"Cmd": ["/bin/busybox", "sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [
            "sha256:" + hashlib.sha256(t).hexdigest() for t in tars]},
        "history": [{"created_by": "mkimage"} for _ in tars],
    }, TYPE + "config.v1+json")
    return layout.json({
        "schemaVersion": 2, "mediaType": TYPE + "manifest.v1+json",
        "config": config, "layers": layers}, TYPE + "manifest.v1+json")


def main():
    machine = ARCHS.get(platform.machine(), "amd64")
    p = argparse.ArgumentParser(
        usage=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--layers", type=int, default=0)
    p.add_argument("--bytes", type=int, default=1000)
    p.add_argument("--compress", choices=SUFFIX, default="gzip")
    p.add_argument("--archs", default=machine)
    p.add_argument("--file", default="/bin/busybox" if os.path.exists(
        "/bin/busybox") else None)
    p.add_argument("--text", default="hello")
    p.add_argument("folder")
    p.add_argument("tag")
    args = p.parse_args()

    layout = Layout(args.folder)
    archs = args.archs.split(",")
    images = [dict(image(layout, args, a), platform={
        "architecture": a, "os": "linux"}) for a in archs]
    if len(archs) == 1:
        del images[0]["platform"]
        top = images[0]
    else:
        top = layout.json({"schemaVersion": 2,
                           "mediaType": TYPE + "index.v1+json",
                           "manifests": images}, TYPE + "index.v1+json")
    layout.tag(top, args.tag)
    print(top["digest"])


if __name__ == "__main__":
    sys.exit(main())
