"""Encryption at rest: what sealed content costs against plain content, and
against the cipher alone."""

import os
import shutil

from report import Target, number
from servers import (KIB, KINDS, MIB, OPEN, OURS, Image, Registryd)


class Sealed(Registryd):
    """All that is pushed is encrypted."""
    settings = "encryption:\n  default: aes256\n"


class Sealing:
    """A part of the benchmark; see run."""

    def sealing(self, quick):
        self.sealed_moves(quick)
        self.sealed_cost(quick)

    # -- over the network

    def sealed_moves(self, quick):
        table = self.table(
            "Encrypted repositories, TLS",
            "Bytes a second · CPU seconds the server spent on a GB, of a "
            "repository that is kept as it is (%s) and of an encrypted one "
            "(%s).  Both speak TLS, so that without encryption, too, the "
            "bytes pass through memory." % (OPEN, OURS),
            lambda row, name: "%s MB/s · %s s" % (
                number(row.get(name, "rate")), number(row.get(name, "cpu"))))
        pulls, pushes = [], []
        for connections in (1, 8):
            row = self.row(table, "pull, 100 MiB, %d connection%s" % (
                connections, "s"[:connections > 1]), (OPEN, OURS),
                [Target("rate", OPEN, "≥", 0.6)])
            if row:
                pulls.append((row, connections))
            row = self.row(table, "push, 100 MiB, %d client%s" % (
                connections, "s"[:connections > 1]), (OPEN, OURS),
                [Target("rate", OPEN, "≥", 0.6)])
            if row:
                pushes.append((row, connections))
        if pulls:
            self.sealed_pulls(pulls, quick)
        for row, clients in pushes:
            self.rounds(row, lambda name: self.measure_sealed_push(
                name, clients, 1 if quick else 3), 1 if quick else 5)

    def sealed_kind(self, name):
        return (Sealed if name == OURS else KINDS[name])(self, True)

    def sealed_pulls(self, pulls, quick):
        image = Image(self.folder("content") + "/image", [KIB, 100 * MIB])
        servers = {name: self.sealed_kind(name).start()
                   for name in (OPEN, OURS)}
        try:
            for server in servers.values():
                server.seed(image)
                server.check(image)
            os.sync()
            for row, connections in pulls:
                self.rounds(row, lambda name: self.measure_download(
                    servers[name], image.by_size[100 * MIB], connections),
                    1 if quick else 5)
        finally:
            for server in servers.values():
                server.discard()
            shutil.rmtree(os.path.dirname(image.blobs[0].path))

    def measure_sealed_push(self, name, clients, count):
        server = self.sealed_kind(name).start()
        try:
            os.sync()
            pids = server.pids()
            before = server.cpu(pids)
            r = self.tool("push_load", "--patch", "--tls", "--size",
                          100 * MIB, "--clients", clients, "--count", count,
                          "--ms", 3600000, server.port)
            return {"rate": r["bytes"] / r["seconds"] / 1e6,
                    "cpu": (server.cpu(pids) - before) / r["bytes"] * 1e9}
        finally:
            server.discard()

    # -- of the processor alone

    def sealed_cost(self, quick):
        table = self.table(
            "What sealing costs the processor",
            "CPU that reading and writing sealed content takes more than "
            "plain content, as a multiple of what AES-256-GCM alone takes for "
            "as many bytes.",
            lambda row, name: "%s x" % number(row.get(name, "x")))
        rows = [(self.row(table, title, (OURS,),
                          [Target("x", None, "≤", 1.3, "x")]), figure)
                for title, figure in (("write", "write_extra_cpu"),
                                      ("read", "read_extra_cpu"))]
        for row, figure in rows:
            if row:
                self.rounds(row, lambda name: {"x": self.tool(
                    "sealed_speed", "--mib", 128 if quick else 512,
                    "--rounds", 3 if quick else 5, "--dir",
                    self.top)[figure]}, 1)
