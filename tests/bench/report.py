"""Rows, targets and tables: what was measured, and what is said about it."""

import os
import re
import shlex
import statistics
import subprocess
import time

from servers import (DOCKER, FLOOR, NGINX, OPEN, OURS, REGISTRYD, ROOT,
                     which)

DOCUMENT = os.path.join(ROOT, "docs/benchmarks.md")
CORES = os.cpu_count() or 1


class Row:
    """One line of a table: for each server the median of its rounds."""

    def __init__(self, title, servers, targets=()):
        self.title, self.servers, self.targets = title, servers, targets
        self.samples = {name: [] for name in servers}
        self.failure = None

    def add(self, name, **figures):
        self.samples[name].append(figures)

    def get(self, name, figure):
        values = [s[figure] for s in self.samples.get(name, ())
                  if s.get(figure) is not None]
        return statistics.median(values) if values else None


class Target:
    """A figure of ours, alone or as a multiple of a peer's, and its bound."""

    def __init__(self, figure, peer, sign, bound, unit=""):
        self.figure, self.peer, self.sign = figure, peer, sign
        self.bound, self.unit = bound, unit

    def measured(self, row):
        ours = row.get(OURS, self.figure)
        if self.peer is None or ours is None:
            return ours
        theirs = row.get(self.peer, self.figure)
        return ours / theirs if theirs else None

    def met(self, value):
        value = round(value, 2)
        return value >= self.bound if self.sign == "≥" else \
            value <= self.bound

    def say(self, row):
        """("met" or the miss, as text), and whether it was met (or None)."""
        value = self.measured(row)
        if value is None:
            return "", None
        what = "CPU " if self.figure == "cpu" and self.peer else ""
        if self.peer:
            text = "%s%.2fx %s (%s %g)" % (what, value, self.peer,
                                           self.sign, self.bound)
        else:
            text = "%s%s (%s %g%s)" % (number(value), self.unit, self.sign,
                                       self.bound, self.unit)
        if self.met(value):
            return text + " met", True
        return "%s **missed by %.0f %%**" % (
            text, 100 * abs(value / self.bound - 1)), False


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return "{:,.0f}".format(value)
    return "%.3g" % value


class Table:
    def __init__(self, title, remark, cell):
        self.title, self.remark, self.cell = title, remark, cell
        self.rows = []

    def columns(self):
        seen = {name for row in self.rows for name in row.servers}
        return [n for n in (DOCKER, NGINX, FLOOR, OPEN, OURS) if n in seen]

    def cell_of(self, row, name):
        if not row.samples.get(name):
            return "-"
        return self.cell(row, name)

    def lines(self):
        columns = self.columns()
        yield "### " + self.title
        yield ""
        yield self.remark
        yield ""
        yield "| | %s | against the targets |" % " | ".join(columns)
        yield "|---" + "|---:" * len(columns) + "|---|"
        for row in self.rows:
            cells = [self.cell_of(row, name) for name in columns]
            says = [t.say(row)[0] for t in row.targets]
            if row.failure:
                says.insert(0, "**failed**: " + row.failure)
            yield "| %s | %s | %s |" % (row.title, " | ".join(cells),
                                        "; ".join(s for s in says if s))
        yield ""


# --- the whole report ---------------------------------------------------------


def output_of(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=10)
    except OSError:
        return "-"
    return done.stdout.decode("utf-8", "replace").strip().split("\n")[0]


def cpu_jiffies():
    with open("/proc/stat") as f:
        fields = [int(n) for n in f.readline().split()[1:9]]
    return {"idle": fields[3] + fields[4], "steal": fields[7],
            "all": sum(fields)}


def machine(folder):
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    with open("/proc/meminfo") as f:
        memory = int(f.read().split()[1]) / 1e6
    system = re.sub('PRETTY_NAME="(.*)"', r"\1", next(
        (line.strip() for line in open("/etc/os-release")
         if line.startswith("PRETTY_NAME")), "unknown"))
    kind = output_of("findmnt", "-n", "-o", "FSTYPE", "-T", folder)
    return "%s, %d core%s, %.0f GB, %s, Linux %s, %s" % (
        model.group(1) if model else os.uname().machine, CORES,
        "s"[:CORES > 1], memory, system, os.uname().release, kind)


def busy_share(since, now):
    total = max(now["all"] - since["all"], 1)
    return 1 - (now["idle"] - since["idle"]) / total


def command_line():
    said = ["%s=%s" % (name, shlex.quote(os.environ[name])) for name in
            ("BENCH_QUICK", "BENCH_ONLY", "BENCH_DIR") if name in os.environ]
    return " ".join(["make bench"] + said)


def report(bench, before_busy, stolen, began):
    yield "Made by `%s` on %s, in %.0f minutes." % (
        command_line(), time.strftime("%Y-%m-%d"),
        (time.monotonic() - began) / 60)
    yield ""
    yield "- Machine: %s.  Busy before the start: %.0f %%; stolen by its host" \
        " during the run: %.1f %%." % (
            machine(bench.top), 100 * before_busy, 100 * stolen)
    yield "- Versions: %s; %s; %s; %s." % (
        output_of(REGISTRYD, "--version"),
        output_of(which("docker-registry") or "docker-registry", "--version"),
        output_of(which("nginx") or "nginx", "-v"),
        output_of("openssl", "version"))
    yield ""
    for table in bench.tables:
        if table.rows:
            yield from table.lines()
    verdicts = [t.say(row)[1] for table in bench.tables
                for row in table.rows for t in row.targets]
    yield "%d targets met, %d missed, %d not measured." % (
        verdicts.count(True), verdicts.count(False), verdicts.count(None))


def document_write(lines):
    begin, end = "<!-- bench: begin -->", "<!-- bench: end -->"
    with open(DOCUMENT, encoding="utf-8") as f:
        text = f.read()
    head, rest = text.split(begin, 1)
    tail = rest.split(end, 1)[1]
    with open(DOCUMENT + ".new", "w", encoding="utf-8") as f:
        f.write("%s%s\n%s\n%s%s" % (head, begin, "\n".join(lines), end, tail))
    os.rename(DOCUMENT + ".new", DOCUMENT)
