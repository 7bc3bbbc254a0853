"""Scans of images: how fast a layer is read, and what others notice of it."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time

from expiry import ctl
from report import Target, number
from servers import KINDS, MANIFEST_TYPE, MIB, OURS, TOOLS, Failed, which

SIZE = 200 * MIB
TYPE = "application/vnd.oci.image."
# What a Debian system has, in this order until there is enough of it.
FOLDERS = ("/usr/bin", "/usr/share/doc", "/usr/lib/python3", "/usr/share",
           "/usr/lib")
ADVISORIES = {"bash": {"CVE-2024-1": {
    "description": "made for a measurement", "scope": "local", "releases": {
        "bookworm": {"status": "open", "repositories": {"bookworm": "0"},
                     "urgency": "high"}}}}}


def entry(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def files():
    for folder in FOLDERS:
        for path, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                file = os.path.join(path, name)
                if os.path.isfile(file) and not os.path.islink(file):
                    yield file


def status(packages):
    """The database of dpkg, as of a Debian system."""
    return "".join(
        "Package: package-%d\nStatus: install ok installed\nPriority: "
        "optional\nSection: libs\nInstalled-Size: 1000\nMaintainer: Nobody "
        "<nobody@example.com>\nArchitecture: amd64\nSource: source-%d\n"
        "Version: 1:%d.2-3+deb12u1\nDepends: libc6 (>= 2.36)\nDescription: "
        "made for a measurement\n Several lines of it,\n as they are.\n\n" % (
            i, i // 2, i) for i in range(packages)).encode() + (
        b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\n"
        b"Version: 5.2.15-2\n\n")


def body(path):
    """The tar, without what makes a layer another one."""
    with tarfile.open(path, "w") as tar:
        entry(tar, "usr/lib/os-release", b"ID=debian\nVERSION_ID=\"12\"\n"
              b"VERSION_CODENAME=bookworm\n")
        entry(tar, "var/lib/dpkg/status", status(400))
        for file in files():
            with open(file, "rb") as f:
                entry(tar, file[1:], f.read(4 * MIB))
            if tar.offset > SIZE:
                break
    if os.path.getsize(path) < SIZE:
        raise Failed("this machine has too few files to make an image of")


class Content:
    """A layer of 200 MB, of which there can be any number."""

    def __init__(self, folder):
        self.folder = folder
        self.tar = os.path.join(folder, "layer")
        body(self.tar)
        self.bytes = os.path.getsize(self.tar)
        self.serial = 0
        self.packed = {"tar": self.tar}
        for suffix, command in (("tar+gzip", ["gzip", "-6", "-n", "-c"]),
                                ("tar+zstd", ["zstd", "-q", "-3", "-c"])):
            if not which(command[0]):
                continue
            self.packed[suffix] = self.tar + suffix[3:]
            with open(self.packed[suffix], "wb") as out:
                subprocess.run(command + [self.tar], stdout=out, check=True)

    def head(self, suffix):
        """A file that no other layer has, compressed by itself."""
        self.serial += 1
        out = io.BytesIO()
        info = tarfile.TarInfo("serial")
        data = b"%d" % self.serial
        info.size = len(data)
        out.write(info.tobuf())
        out.write(data.ljust(512, b"\0"))
        if suffix == "tar+gzip":
            return gzip.compress(out.getvalue(), 1)
        if suffix == "tar+zstd":
            return subprocess.run(["zstd", "-q", "-c"], input=out.getvalue(),
                                  stdout=subprocess.PIPE, check=True).stdout
        return out.getvalue()

    def layer(self, suffix):
        """A path, a digest, a size."""
        path = os.path.join(self.folder, "made")
        head = self.head(suffix)
        digest = hashlib.sha256(head)
        with open(path, "wb") as out, open(self.packed[suffix], "rb") as f:
            out.write(head)
            while True:
                part = f.read(MIB)
                if not part:
                    break
                digest.update(part)
                out.write(part)
        return path, "sha256:" + digest.hexdigest(), os.path.getsize(path)


def push_blob(server, repository, path, digest):
    server.ask("POST", "/v2/%s/blobs/uploads/?digest=%s" % (
        repository, digest), open(path, "rb"), {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(os.path.getsize(path))}, 201)


class Scanning:
    """A part of the benchmark; see run."""

    def scanning(self, quick):
        read = self.table(
            "Reading a layer for a scan",
            "An image of one layer with 200 MB of a Debian system and the "
            "database of 400 packages: its uncompressed MB by the seconds of "
            "the processor that all of its scan takes, server and process · "
            "and by those until it is complete.",
            lambda row, name: "%s MB/s · %s MB/s" % (
                number(row.get(name, "cpu_rate")),
                number(row.get(name, "rate"))))
        front = self.table(
            "Reads while images are scanned",
            "Manifest GET, 200 a second, from when it was due: the 99th "
            "percentile without · with scans going on, in turns; the ratio is "
            "the median of those of the turns.",
            lambda row, name: "%s ms · %s ms" % (
                number(row.get(name, "quiet")), number(row.get(name, "busy"))))
        rows = {kind: self.row(read, title, (OURS,), [
            Target("cpu_rate", None, "≥", 100, " MB/s")]) for kind, title in (
                ("tar", "plain"), ("tar+gzip", "gzip"), ("tar+zstd", "zstd"))}
        traffic = self.row(front, "one scan at a time, gzip", (OURS,),
                           [Target("ratio", None, "≤", 2, "x")])
        if not any(rows.values()) and not traffic:
            return
        folder = self.folder("layers")
        server = KINDS[OURS](self)
        try:
            content = Content(folder)
            server.start()
            self.advise(server, folder)
            for kind, row in rows.items():
                if row and kind in content.packed:
                    self.rounds(row, lambda name: self.measure_scan(
                        server, content, kind))
            if traffic:
                self.rounds(traffic, lambda name: self.measure_front(
                    server, content), 1 if quick else 3)
        finally:
            server.discard()
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def advise(server, folder):
        path = os.path.join(folder, "advisories.json")
        with open(path, "w") as f:
            json.dump(ADVISORIES, f)
        ctl(server, "advisories", "import", path)

    @staticmethod
    def image(server, content, kind, tag, layers=1):
        config = os.path.join(content.folder, "config")
        with open(config, "wb") as f:
            f.write(b'{"architecture":"amd64","os":"linux","rootfs":'
                    b'{"type":"layers","diff_ids":[]}}')
        with open(config, "rb") as f:
            digest = "sha256:" + hashlib.sha256(f.read()).hexdigest()
        push_blob(server, "bench/scan", config, digest)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": {
            "mediaType": TYPE + "config.v1+json", "digest": digest,
            "size": os.path.getsize(config)}, "layers": []}
        for _ in range(layers):
            path, digest, size = content.layer(kind)
            push_blob(server, "bench/scan", path, digest)
            manifest["layers"].append({
                "mediaType": TYPE + "layer.v1." + kind, "digest": digest,
                "size": size})
        server.ask("PUT", "/v2/bench/scan/manifests/" + tag,
                   json.dumps(manifest).encode(),
                   {"Content-Type": MANIFEST_TYPE}, 201)

    def measure_scan(self, server, content, kind):
        self.image(server, content, kind, "rate")
        os.sync()
        before, began = self.processor(server), time.monotonic()
        told = ctl(server, "scan", "start", "bench/scan:rate", "--wait")
        took = time.monotonic() - began
        spent = self.processor(server) - before
        if told["status"] != "complete" or told["severities"] != {"HIGH": 1}:
            raise Failed("the scan: %s" % told)
        return {"cpu_rate": content.bytes / 1e6 / spent,
                "rate": content.bytes / 1e6 / took}

    @staticmethod
    def processor(server):
        """Seconds, with those of processes that have ended."""
        with open("/proc/%d/stat" % server.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return sum(int(n) for n in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def measure_front(self, server, content):
        self.image(server, content, "tar+gzip", "front", 4)
        os.sync()
        quiet = self.front_load(server)
        ctl(server, "scan", "start", "bench/scan:front")
        busy = self.front_load(server)
        told = ctl(server, "scan", "status", "bench/scan:front")
        if told["status"] != "in progress":
            raise Failed("the scan ended before the measurement did: %s"
                         % told)
        while told["status"] == "in progress":
            time.sleep(0.1)
            told = ctl(server, "scan", "status", "bench/scan:front")
        return {"quiet": quiet, "busy": busy, "ratio": busy / quiet}

    @staticmethod
    def front_load(server):
        done = subprocess.run(
            [os.path.join(TOOLS, "http_load"), "--accept", MANIFEST_TYPE,
             "--rate", "200", "--connections", "8", "--ms", "2000",
             str(server.port), "/v2/bench/scan/manifests/front"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        if done.returncode != 0:
            raise Failed("http_load: " + done.stderr.decode()[:300])
        return json.loads(done.stdout)["p99"] / 1e3
