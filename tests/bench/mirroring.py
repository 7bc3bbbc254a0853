"""Images of other registries: what a pull through the cache costs, and what a
mirror takes."""

import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

from expiry import ctl, ecr, note
from report import Target, number
from servers import (DOCKER, GIB, KIB, KINDS, MANIFEST_TYPE, MIB, NGINX, OPEN,
                     OURS, REPOSITORY, Failed, Image, Nginx, free_port,
                     which)

LAYERS = (KIB, 60 * MIB + 1, 300 * MIB + 2)


class Slow(Nginx):
    """In front of a registry: 50 MB/s for each connection, 20 ms for each
    request."""
    CONFIG = """
load_module %(echo)s;
%(user)s
worker_processes auto;
daemon off;
pid %(folder)s/pid;
error_log %(folder)s/log error;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_timeout 600s;
    client_body_temp_path %(folder)s/t1;
    proxy_temp_path %(folder)s/t2;
    fastcgi_temp_path %(folder)s/t3;
    uwsgi_temp_path %(folder)s/t4;
    scgi_temp_path %(folder)s/t5;
    server {
        listen 127.0.0.1:%(port)d;
        limit_rate 48828k; # 50 MB
        location / {
            echo_sleep 0.02;
            echo_exec @registry;
        }
        location @registry {
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_max_temp_file_size 0;
            proxy_pass http://127.0.0.1:%(upstream)d;
        }
    }
}
"""
    ECHO = "/usr/lib/nginx/modules/ngx_http_echo_module.so"
    upstream = 0

    def command(self):
        self.port = self.port or free_port()
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w") as f:
            f.write(self.CONFIG % {
                "echo": self.ECHO,
                "user": "user root;" if os.geteuid() == 0 else "",
                "folder": self.folder, "port": self.port,
                "upstream": self.upstream})
        return [which("nginx"), "-c", config, "-p", self.folder,
                "-e", os.path.join(self.folder, "log")]


def pull(port, repository):
    """The seconds that skopeo takes for it."""
    folder = tempfile.mkdtemp(prefix="pull.")
    try:
        began = time.monotonic()
        done = subprocess.run(
            ["skopeo", "copy", "--quiet", "--src-tls-verify=false",
             "docker://127.0.0.1:%d/%s:latest" % (port, repository),
             "dir:" + folder + "/image"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=300)
        took = time.monotonic() - began
        if done.returncode != 0:
            raise Failed("skopeo: " + done.stderr.decode()[:300])
        return took
    finally:
        shutil.rmtree(folder)


class Mirroring:
    """A part of the benchmark; see run."""

    def mirroring(self, quick):
        if not which("skopeo") or not self.peers[DOCKER] or \
                not self.peers[NGINX] or not os.path.exists(Slow.ECHO):
            note("Mirroring: needs skopeo, docker-registry, and nginx with its "
                 "echo module")
            return
        self.pull_through(quick)
        self.mirror_small(100 if quick else 1000)
        self.fill_memory(quick)

    def upstream(self, image, behind=Slow):
        registry = KINDS[DOCKER](self).start()
        registry.seed(image)
        if behind is None:
            return registry, registry
        front = behind(self)
        front.upstream = registry.port
        return registry, front.start()

    def ruled(self, port):
        server = KINDS[OURS](self)
        server.start()
        ecr(server, "CreatePullThroughCacheRule", ecrRepositoryPrefix="cache",
            upstreamRegistryUrl="http://127.0.0.1:%d" % port)
        return server

    # -- the first pull, and the next

    def pull_through(self, quick):
        table = self.table(
            "An image through the cache",
            "The seconds that skopeo takes to pull an image with layers of 60 "
            "and 300 MiB.  The upstream is docker-registry behind nginx, which gives "
            "50 MB/s to each connection and takes 20 ms for each request.",
            lambda row, name: "%s s" % number(row.get(name, "s")))
        cold = self.row(table, "cold: from the upstream directly (nginx), and "
                        "through the cache, which has nothing of it",
                        (NGINX, OURS), [Target("s", NGINX, "≤", 1.15)])
        warm = self.row(table, "warm: an image that was pushed (auth: none), "
                        "and one that the cache has", (OPEN, OURS),
                        [Target("s", OPEN, "≤", 1.05)])
        if not cold and not warm:
            return
        image = Image(self.folder("content") + "/image", LAYERS)
        registry, slow = self.upstream(image)
        try:
            if cold:
                self.rounds(cold, lambda name: {
                    "s": self.pull_cold(name, slow)}, 1 if quick else 5)
            if warm:
                self.pull_warm(warm, image, slow, 1 if quick else 5)
        finally:
            slow.discard()
            registry.discard()

    def pull_cold(self, name, slow):
        os.sync()
        if name == NGINX:
            return pull(slow.port, REPOSITORY)
        server = self.ruled(slow.port)
        try:
            return pull(server.port, "cache/" + REPOSITORY)
        finally:
            server.discard()

    def pull_warm(self, row, image, slow, rounds):
        servers = {OURS: self.ruled(slow.port), OPEN: KINDS[OPEN](self)}
        servers[OPEN].start()
        try:
            servers[OPEN].seed(image)
            pull(servers[OURS].port, "cache/" + REPOSITORY)
            repository = {OURS: "cache/" + REPOSITORY, OPEN: REPOSITORY}
            os.sync()
            self.rounds(row, lambda name: {
                "s": pull(servers[name].port, repository[name])}, rounds)
        finally:
            for server in servers.values():
                server.discard()

    # -- many small images

    def mirror_small(self, images):
        table = self.table(
            "A mirror of {:,} small images".format(images),
            "From docker-registry, each image a configuration and a layer of "
            "4 KiB of its own, into an empty repository: seconds.  Beside it "
            "`skopeo sync` into docker-registry.",
            lambda row, name: "%s s" % number(row.get(name, "s")))
        first = self.row(table, "the first run", (DOCKER, OURS),
                         [Target("s", DOCKER, "≤", 1)])
        again = self.row(table, "the next run, with nothing new",
                         (DOCKER, OURS), [Target("s", DOCKER, "≤", 1)])
        if not first and not again:
            return
        source = KINDS[DOCKER](self).start()
        note(table.title)
        try:
            self.tool("image_load", "--clients", 4, "--count", images,
                      "--layer", 4 * KIB, source.port)
            for name in (DOCKER, OURS):
                took = self.sync(name, source, images)
                for row, seconds in zip((first, again), took):
                    if row:
                        row.add(name, s=seconds)
            self.tell(table)
        except (Failed, OSError, subprocess.SubprocessError) as why:
            for row in filter(None, (first, again)):
                row.failure = str(why).replace("\n", " ")
            self.failures += 1
            note("    FAILED: %s" % why)
        finally:
            source.discard()

    def sync(self, name, source, images):
        server = KINDS[name](self).start()
        from_there = "127.0.0.1:%d/bench/images" % source.port
        if name == OURS:
            ctl(server, "mirror", "add", "bench", "http://" + from_there,
                "bench/images", "--interval", "0")
        try:
            took = []
            for _ in range(2):
                began = time.monotonic()
                if name == OURS:
                    ctl(server, "mirror", "run", "bench")
                else:
                    done = subprocess.run(
                        ["skopeo", "sync", "--src-tls-verify=false",
                         "--dest-tls-verify=false", "--src", "docker",
                         "--dest", "docker", from_there,
                         "127.0.0.1:%d/bench" % server.port],
                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                        timeout=1800)
                    if done.returncode != 0:
                        raise Failed("skopeo: " + done.stderr.decode()[-300:])
                took.append(time.monotonic() - began)
            tags = json.loads(server.ask(
                "GET", "/v2/bench/images/tags/list?n=10000",
                want=200).text)["tags"]
            if len(tags) != images:
                raise Failed("%s has %d images" % (name, len(tags)))
            return took
        finally:
            server.discard()

    # -- memory

    def fill_memory(self, quick):
        table = self.table(
            "Memory of a cold pull",
            "The peak of RssAnon of registryd while a client pulls a cold "
            "layer through it, read every 20 ms: one of 16 MiB, and then a "
            "large one.",
            lambda row, name: "%s, %s MB" % (number(row.get(name, "small")),
                                             number(row.get(name, "large"))))
        size = 256 * MIB if quick else 2 * GIB
        row = self.row(table, "16 MiB, and %d MiB" % (size // MIB), (OURS,),
                       [Target("growth", None, "≤", 1.1, "x")])
        if row:
            image = Image(self.folder("content") + "/image",
                          [KIB, 16 * MIB, size])
            registry, _ = self.upstream(image, None)
            try:
                self.rounds(row, lambda name: self.measure_fill(
                    registry, image, size), 1)
            finally:
                registry.discard()
                shutil.rmtree(os.path.dirname(image.blobs[0].path))

    def measure_fill(self, registry, image, size):
        server = self.ruled(registry.port)
        try:
            server.ask("GET", "/v2/cache/%s/manifests/latest" % REPOSITORY,
                       headers={"Accept": MANIFEST_TYPE}, want=200)
            small = self.fill_peak(server, image.by_size[16 * MIB])
            large = self.fill_peak(server, image.by_size[size])
            return {"small": small / 1e6, "large": large / 1e6,
                    "growth": large / small}
        finally:
            server.discard()

    @staticmethod
    def fill_peak(server, blob):
        peak, stop, pids = [0], threading.Event(), server.pids()

        def watch():
            while not stop.wait(0.02):
                peak[0] = max(peak[0], server.rss_anon(pids))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            c = http.client.HTTPConnection("127.0.0.1", server.port,
                                           timeout=600)
            c.request("GET", blob.url.replace("/v2/", "/v2/cache/", 1))
            answer, left = c.getresponse(), blob.size
            while left > 0:
                part = answer.read(MIB)
                if not part:
                    raise Failed("a cold layer ended early")
                left -= len(part)
            c.close()
        finally:
            stop.set()
            watcher.join()
        return peak[0]
