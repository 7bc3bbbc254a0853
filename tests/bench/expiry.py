"""Old images go: what others notice of it, and what it takes to give the disk
back."""

import json
import os
import signal
import subprocess
import sys
import time

from report import Target, number
from servers import (DOCKER, KIB, KINDS, MANIFEST_TYPE, OURS, REGISTRYCTL,
                     TOOLS, Failed, which)

TURNS = 5  # of traffic
LEFT = 5   # images that a policy leaves


def note(text):
    print(text, file=sys.stderr, flush=True)


def policy(left):
    return json.dumps({"rules": [
        {"rulePriority": 1, "description": "all but the youngest",
         "selection": {"tagStatus": "any", "countType": "imageCountMoreThan",
                       "countNumber": left},
         "action": {"type": "expire"}}]})


def ctl(server, *words, wait=True):
    command = [REGISTRYCTL, "--data",
               server.data or os.path.join(server.folder, "data"),
               "--output", "json", *words]
    if not wait:
        return subprocess.Popen(command, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=900)
    if done.returncode != 0:
        raise Failed("registryctl %s: %s" % (
            " ".join(words), done.stderr.decode("utf-8", "replace")[:300]))
    return json.loads(done.stdout)


def ecr(server, operation, **members):
    server.ask("POST", "/", json.dumps(members), {
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921." + operation,
        "Content-Type": "application/x-amz-json-1.1"}, 200)


class Expiry:
    """A part of the benchmark; see run."""

    def expiry(self, quick):
        self.traffic(20000 if quick else 100000, 1 if quick else TURNS)
        self.collection(300 if quick else 2000)

    # -- pushes and pulls while images expire

    def traffic(self, images, turns):
        table = self.table(
            "Traffic while {:,} images expire".format(images),
            "The 99th percentile without · with a lifecycle run going on, "
            "which has all these images of a repository to expire, measured "
            "in turns, {} of each; pushes and reads go on at once.  The ratio "
            "is the median of those of the turns.".format(turns),
            lambda row, name: "%s ms · %s ms" % (
                number(row.get(name, "quiet")), number(row.get(name, "busy")))
            if row.get(name, "quiet") else "%s/s" % number(
                row.get(name, "rate")))
        for title, rate in (("as it comes (lifecycle.rate: 500)", None),
                            ("without a bound (lifecycle.rate: 0)", 0)):
            push = self.row(table, "push of an image with a layer of 100 KiB, "
                            "one client, " + title, (OURS,),
                            [Target("ratio", None, "≤", 2, "x")]
                            if rate is None else [])
            get = self.row(table, "manifest GET, 200 a second, from when it "
                           "was due, " + title, (OURS,),
                           [Target("ratio", None, "≤", 2, "x")]
                           if rate is None else [])
            done = self.row(table, "images expired in a second, " + title,
                            (OURS,))
            if push or get or done:
                self.traffic_at(rate, images, turns, push, get, done)
        self.tell(table)

    def traffic_at(self, rate, images, turns, *rows):
        note("Traffic while images expire, rate %s" % rate)
        server = KINDS[OURS](self)
        server.settings = "quotas: {repositories: 0, images-per-repository: " \
            "0}\n" + ("" if rate is None else
                      "lifecycle: {rate: %d}\n" % rate)
        server.start()
        try:
            self.tool("image_load", "--manifests", "--clients", 32, "--count",
                      images, "--repository", "bench/old", server.port)
            ecr(server, "PutLifecyclePolicy", repositoryName="bench/old",
                lifecyclePolicyText=policy(LEFT))
            for turn in range(turns):
                self.turn(server, turn, *rows)
        except (Failed, OSError, subprocess.SubprocessError) as why:
            for row in filter(None, rows):
                row.failure = str(why).replace("\n", " ")
            self.failures += 1
            note("    FAILED: %s" % why)
        finally:
            server.discard()

    def turn(self, server, turn, push, get, done):
        os.sync()
        quiet = self.front(server, "quiet%d" % turn)
        began = time.monotonic()
        run = ctl(server, "lifecycle", "run", "--repository", "bench/old",
                  wait=False)
        busy = self.front(server, "busy%d" % turn)
        if run.poll() is not None:
            raise Failed("the run ended before the measurement did: " +
                         run.stderr.read().decode()[:300])
        run.send_signal(signal.SIGINT)
        out = run.communicate(timeout=60)[0]
        took = time.monotonic() - began
        for row, what in ((push, "push"), (get, "get")):
            if row:
                row.add(OURS, quiet=quiet[what], busy=busy[what],
                        ratio=busy[what] / quiet[what])
        if done:
            done.add(OURS, rate=json.loads(out)["totals"]["expired"] / took)

    def front(self, server, name):
        """Pushes and reads at once: milliseconds at the 99th percentile."""
        repository = "front/" + name
        self.tool("image_load", "--count", 1, "--repository", repository,
                  server.port)
        reads = subprocess.Popen(
            [os.path.join(TOOLS, "http_load"), "--accept", MANIFEST_TYPE,
             "--rate", "200", "--connections", "8", "--ms", "3000",
             str(server.port), "/v2/%s/manifests/%s" % (
                 repository, self.a_tag(server, repository))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        pushed = self.tool("image_load", "--clients", 1, "--ms", 3000,
                           "--repository", repository + "/push", server.port)
        out, err = reads.communicate(timeout=60)
        if reads.returncode != 0:
            raise Failed("http_load: " + err.decode()[:300])
        return {"push": pushed["p99"] / 1e3,
                "get": json.loads(out)["p99"] / 1e3}

    @staticmethod
    def a_tag(server, repository):
        answer = server.ask("GET", "/v2/%s/tags/list?n=1" % repository,
                            want=200)
        return json.loads(answer.text)["tags"][0]

    # -- the disk

    def collection(self, images):
        deleted = images // 10
        table = self.table(
            "Giving the disk back",
            "Of {:,} images, each with a layer of 100 KiB and a configuration "
            "of its own, {:,} were deleted.  The seconds that it takes to "
            "collect what they needed, and whether pushes are served "
            "meanwhile.".format(images, deleted),
            lambda row, name: "%s s, %s" % (
                number(row.get(name, "s")),
                "served" if name == OURS else "must not be"))
        row = self.row(table, "collection", (DOCKER, OURS),
                       [Target("s", DOCKER, "≤", 1)])
        if row:
            self.rounds(row, lambda name: self.measure_collection(
                name, images, deleted))

    def measure_collection(self, name, images, deleted):
        server = KINDS[name](self)
        if name == OURS:
            server.settings = "gc: {grace: 1h}\nstorage: {inline-bytes: 0}\n"
        server.start()
        try:
            self.tool("image_load", "--clients", 8, "--count", images,
                      server.port)
            tags = json.loads(server.ask(
                "GET", "/v2/bench/images/tags/list?n=%d" % deleted,
                want=200).text)["tags"][:deleted]
            before = self.disk(server)
            for tag in tags:
                digest = server.ask(
                    "HEAD", "/v2/bench/images/manifests/" + tag, headers={
                        "Accept":
                        "application/vnd.oci.image.manifest.v1+json"},
                    want=200).getheader("Docker-Content-Digest")
                server.ask("DELETE", "/v2/bench/images/manifests/" + digest,
                           want=202)
            seconds = self.collect_ours(server, deleted) if name == OURS \
                else self.collect_docker(server)
            # Logs grow meanwhile.
            if before - self.disk(server) < 0.9 * deleted * 100 * KIB:
                raise Failed("%s: the disk is as full as before" % name)
            return {"s": seconds}
        finally:
            server.discard()

    @staticmethod
    def disk(server):
        return sum(os.path.getsize(os.path.join(folder, name))
                   for folder, _, names in os.walk(server.folder)
                   for name in names if "meta.mdb" not in name)

    @staticmethod
    def collect_ours(server, deleted):
        """The server collects by itself, too: as often as needed until all of
        it is gone, and what the collections took in all."""
        total, blobs, end = 0.0, 0, time.monotonic() + 120
        server.stop()
        server.settings = server.settings.replace("1h", "1s")
        server.start()
        while blobs < 3 * deleted:  # manifest, configuration, layer
            if time.monotonic() > end:
                raise Failed("not collected: %d blobs" % blobs)
            job = ctl(server, "gc")
            if job["totals"]["blobs"]:
                total += job["duration_ms"] / 1e3
                blobs += job["totals"]["blobs"]
            else:
                time.sleep(0.01)
        return total

    @staticmethod
    def collect_docker(server):
        server.stop()
        began = time.monotonic()
        subprocess.run([which("docker-registry"), "garbage-collect",
                        os.path.join(server.folder, "config.yml")],
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=900)
        return time.monotonic() - began

    # -- one large repository

    def reading(self, server, images):
        """In the registry that has it already."""
        table = self.table(
            "A lifecycle policy and {:,} images of a repository".format(
                images),
            "A preview of the policy of one rule, which takes them all: read "
            "from the store, evaluated and told.  And the 99th percentile of "
            "pushes of an image with a layer of 100 KiB without · during it.",
            lambda row, name: "%s s" % number(row.get(name, "s"))
            if row.get(name, "s") else "%s ms · %s ms" % (
                number(row.get(name, "quiet")), number(row.get(name, "busy"))))
        read = self.row(table, "preview", (OURS,))
        push = self.row(table, "push meanwhile", (OURS,),
                        [Target("ratio", None, "≤", 2, "x")])
        if not read and not push:
            return
        path = os.path.join(self.top, "policy.json")
        with open(path, "w") as f:
            f.write(policy(LEFT))
        try:
            quiet = self.tool("image_load", "--clients", 1, "--ms", 2000,
                              "--repository", "front/still", server.port)
            look = ctl(server, "lifecycle", "preview", "bench/images",
                       "--policy", path, wait=False)
            busy = self.tool("image_load", "--clients", 1, "--ms", 2000,
                             "--repository", "front/moving", server.port)
            out, err = look.communicate(timeout=900)
            if look.returncode != 0:
                raise Failed("preview: " + err.decode()[:300])
            job = json.loads(out)
            if job["sums"]["expiring"] != images - LEFT:
                raise Failed("preview: %s" % job["sums"])
            if read:
                read.add(OURS, s=job["duration_ms"] / 1e3)
            if push:
                push.add(OURS, quiet=quiet["p99"] / 1e3,
                         busy=busy["p99"] / 1e3,
                         ratio=busy["p99"] / quiet["p99"])
        except (Failed, OSError, subprocess.SubprocessError) as why:
            for row in filter(None, (read, push)):
                row.failure = str(why).replace("\n", " ")
            self.failures += 1
        self.tell(table)
