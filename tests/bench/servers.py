"""The servers that are measured: each one process (nginx: and its children),
started fresh with a folder and a port of its own, stopped by its pid; and the
image they serve.
"""

import base64
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
TOOLS = os.environ.get("BENCH_TOOLS", os.path.join(BUILD, "tests/bench"))
REGISTRYD = os.environ.get("REGISTRYD", os.path.join(BUILD, "registryd"))
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
REPOSITORY = "bench/image"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
OURS, DOCKER, NGINX, FLOOR = "registryd", "docker-registry", "nginx", "floor"
OPEN = "auth: none"
REGISTRYCTL = os.path.join(os.path.dirname(REGISTRYD), "registryctl")


class Failed(Exception):
    """A measurement that could not be taken."""


def which(name):
    return shutil.which(name, path=PATH)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def insecure_tls():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


INSECURE = insecure_tls()


# --- the servers -------------------------------------------------------------


class Server:
    """One process (with its children), started fresh, stopped by its pid."""

    name = ""
    tls = False
    headers = {}  # of every request
    running = []

    def __init__(self, bench, tls=False):
        self.bench, self.tls = bench, tls
        self.folder = bench.folder(self.name)
        self.process = None
        self.port = 0
        self.ready_ms = 0.0

    # What a kind of server says of itself.

    def command(self):
        raise NotImplementedError

    def await_ready(self):
        """Until it answers.  Those that do not say it are asked."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                if self.ask("GET", "/v2/").status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.0005)
        raise Failed("%s did not start: %s" % (self.name, self.last_words()))

    # What all of them do.

    def start(self):
        command = self.command()
        self.log = open(os.path.join(self.folder, "log"), "ab")
        began = time.monotonic()
        self.process = self.spawn(command)
        Server.running.append(self)
        self.await_ready()
        self.ready_ms = (time.monotonic() - began) * 1e3
        return self

    def spawn(self, command):
        return subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                stdout=self.log, stderr=self.log)

    def stop(self):
        """End it; its folder stays."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        Server.running.remove(self)
        self.log.close()

    def discard(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def last_words(self):
        with open(os.path.join(self.folder, "log"), "rb") as f:
            return f.read()[-400:].decode("utf-8", "replace").strip()

    def pids(self):
        mine = [self.process.pid]
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open("/proc/%s/stat" % entry) as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == self.process.pid:
                mine.append(int(entry))
        return mine

    def cpu(self, pids):
        """Seconds of CPU, user and system, of all threads that ever ran."""
        # The process clock of another process, see clock_getcpuclockid(3).
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)

    def rss_anon(self, pids=None):
        total = 0
        for pid in pids or self.pids():
            with open("/proc/%d/status" % pid) as f:
                total += KIB * int(
                    re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1))
        return total

    def ask(self, method, path, body=None, headers=None, want=None):
        if self.tls:
            c = http.client.HTTPSConnection("127.0.0.1", self.port,
                                            timeout=60, context=INSECURE)
        else:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request(method, path, body, {**self.headers, **(headers or {})})
        answer = c.getresponse()
        answer.text = answer.read()
        c.close()
        if want is not None and answer.status != want:
            raise Failed("%s: %s %s: %d %s" % (
                self.name, method, path, answer.status, answer.text[:200]))
        return answer

    def push_blob(self, blob):
        answer = self.ask("POST", "/v2/%s/blobs/uploads/" % REPOSITORY,
                          headers={"Content-Length": "0"}, want=202)
        where = re.sub("^https?://[^/]*", "", answer.getheader("Location"))
        where += ("&" if "?" in where else "?") + "digest=" + blob.digest
        with open(blob.path, "rb") as body:
            self.ask("PUT", where, body,
                     {"Content-Length": str(blob.size),
                      "Content-Type": "application/octet-stream"}, 201)

    def seed(self, image):
        """Have it serve the image; then what it serves is checked once."""
        for blob in image.blobs:
            self.push_blob(blob)
        self.ask("PUT", image.manifest_path, image.manifest,
                 {"Content-Type": MANIFEST_TYPE}, 201)

    def check(self, image):
        answer = self.ask("GET", image.manifest_path,
                          headers={"Accept": MANIFEST_TYPE}, want=200)
        if answer.text != image.manifest or \
                answer.getheader("Content-Type") != MANIFEST_TYPE:
            raise Failed("%s serves another manifest" % self.name)
        for blob in image.blobs:
            if blob.size > 128 * MIB:
                continue
            text = self.ask("GET", blob.url, want=200).text
            if hashlib.sha256(text).hexdigest() != blob.digest[7:]:
                raise Failed("%s serves another blob" % self.name)


class Registryd(Server):
    name = OURS
    settings = ""  # lines of its configuration
    data = None  # its folder, where not the one that comes with it
    LISTENING = re.compile(rb"listening on https?://127\.0\.0\.1:(\d+)")

    def command(self):
        config = os.path.join(self.folder, "registryd.yml")
        with open(config, "w") as f:
            f.write('access-log: "off"\n' + self.settings)
        command = [REGISTRYD, "--config", config, "--auth", "none",
                   "--data", self.data or os.path.join(self.folder, "data"),
                   "--listen", "127.0.0.1:0", "--log-level", "info"]
        if self.tls:
            command += ["--tls-cert", self.bench.cert,
                        "--tls-key", self.bench.key]
        return command

    def spawn(self, command):
        return subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                stdout=self.log, stderr=subprocess.PIPE)

    def await_ready(self):
        for line in self.process.stderr:
            self.log.write(line)
            found = self.LISTENING.search(line)
            if found:
                self.port = int(found.group(1))
                self.reader = threading.Thread(
                    target=self.read_on, args=(self.process.stderr, self.log),
                    daemon=True)
                self.reader.start()
                return
        self.log.flush()
        raise Failed("registryd did not start: " + self.last_words())

    @staticmethod
    def read_on(stream, log):
        for line in stream:
            log.write(line)
            log.flush()
        stream.close()

    def stop(self):
        reader = getattr(self, "reader", None)
        if self.process is not None and reader is not None:
            self.process.terminate()
            reader.join(20)
        super().stop()


class Open(Registryd):
    """Ourselves without authentication, as a peer."""
    name = OPEN


class Guarded(Registryd):
    """With tokens: a user with the policy of a puller, and a repository with
    a policy of its own, so that both have a say."""

    def command(self):
        command = super().command()
        command[command.index("none")] = "token"
        return command

    def start(self):
        super().start()
        self.headers = self.login("admin")
        self.ecr("CreateRepository", repositoryName=REPOSITORY)
        self.ecr("SetRepositoryPolicy", repositoryName=REPOSITORY,
                 policyText=json.dumps({
                     "Version": "2012-10-17", "Statement": [{
                         "Effect": "Allow",
                         "Principal": {"AWS": "111122223333"},
                         "Action": ["ecr:BatchGetImage",
                                    "ecr:GetDownloadUrlForLayer"]}]}))
        self.ctl("user", "create", "puller")
        self.ctl("policy", "attach", "puller",
                 "AmazonEC2ContainerRegistryReadOnly")
        return self

    def seed(self, image):
        super().seed(image)
        self.headers = self.login("puller")

    def ctl(self, *args, env=None):
        done = subprocess.run(
            [REGISTRYCTL, "--data", os.path.join(self.folder, "data"),
             "--endpoint" if env else "--output",
             self.url() if env else "json", *args],
            env={**os.environ, **(env or {}),
                 "AWS_CA_BUNDLE": self.bench.cert},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        if done.returncode != 0:
            raise Failed("registryctl %s: %s" % (
                " ".join(args[:2]), done.stderr.decode("utf-8", "replace")))
        return done.stdout.decode()

    def url(self):
        return "%s://127.0.0.1:%d" % ("https" if self.tls else "http",
                                      self.port)

    def key(self, user):
        key = json.loads(self.ctl("access-key", "create", user))
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def login(self, user):
        token = self.ctl("get-login-password", env=self.key(user)).strip()
        return {"Authorization": "Basic " + base64.b64encode(
            ("AWS:" + token).encode()).decode()}

    def ecr(self, operation, **members):
        self.ctl("ecr", operation, json.dumps(members),
                 env=self.key("admin"))


class DockerRegistry(Server):
    """As Debian configures it, but for the password and the logs."""
    name = DOCKER

    def command(self):
        self.port = self.port or free_port()
        config = os.path.join(self.folder, "config.yml")
        tls = ("  tls:\n    certificate: %s\n    key: %s\n" %
               (self.bench.cert, self.bench.key)) if self.tls else ""
        with open(config, "w") as f:
            f.write("version: 0.1\n"
                    "log:\n  level: error\n  accesslog:\n    disabled: true\n"
                    "storage:\n  cache:\n    blobdescriptor: inmemory\n"
                    "  filesystem:\n    rootdirectory: %s\n"
                    "  delete:\n    enabled: true\n"
                    "http:\n  addr: 127.0.0.1:%d\n%s"
                    "  headers:\n    X-Content-Type-Options: [nosniff]\n"
                    "health:\n  storagedriver:\n    enabled: true\n"
                    "    interval: 10s\n    threshold: 3\n"
                    % (os.path.join(self.folder, "data"), self.port, tls))
        return [which("docker-registry"), "serve", config]


class Nginx(Server):
    name = NGINX
    CONFIG = """
%(user)s
worker_processes auto;
worker_rlimit_nofile 16384;
daemon off;
pid %(folder)s/pid;
error_log %(folder)s/log error;
events { worker_connections 8192; }
http {
    access_log off;
    sendfile on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path %(folder)s/t1;
    proxy_temp_path %(folder)s/t2;
    fastcgi_temp_path %(folder)s/t3;
    uwsgi_temp_path %(folder)s/t4;
    scgi_temp_path %(folder)s/t5;
    server {
        listen 127.0.0.1:%(port)d%(tls)s;
        root %(folder)s/www;
        default_type application/octet-stream;
        location = /v2/ { default_type application/json; try_files /v2.json =404; }
        location /v2/%(repository)s/manifests/ { default_type %(type)s; }
    }
}
"""

    def command(self):
        self.port = self.port or free_port()
        www = os.path.join(self.folder, "www")
        os.makedirs(www, exist_ok=True)
        with open(os.path.join(www, "v2.json"), "w") as f:
            f.write("{}")
        tls = (" ssl;\n        ssl_certificate %s;\n"
               "        ssl_certificate_key %s" %
               (self.bench.cert, self.bench.key)) if self.tls else ""
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w") as f:
            f.write(self.CONFIG % {
                "user": "user root;" if os.geteuid() == 0 else "",
                "folder": self.folder, "port": self.port, "tls": tls,
                "repository": REPOSITORY, "type": MANIFEST_TYPE})
        return [which("nginx"), "-c", config, "-p", self.folder,
                "-e", os.path.join(self.folder, "log")]

    def seed(self, image):
        www = os.path.join(self.folder, "www")
        for kind in ("blobs", "manifests"):
            os.makedirs(os.path.join(www, "v2", REPOSITORY, kind))
        for blob in image.blobs:
            os.link(blob.path, www + blob.url)
        with open(www + image.manifest_path, "wb") as f:
            f.write(image.manifest)


class Floor(Server):
    name = FLOOR

    def command(self):
        os.makedirs(os.path.join(self.folder, "data"))
        return [os.path.join(TOOLS, "push_floor"),
                os.path.join(self.folder, "data")]

    def spawn(self, command):
        return subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=self.log)

    def await_ready(self):
        self.port = int(self.process.stdout.readline().split()[-1])
        self.process.stdout.close()


KINDS = {s.name: s for s in (Registryd, Open, DockerRegistry, Nginx, Floor)}


# --- what is served ----------------------------------------------------------


class Blob:
    def __init__(self, folder, size):
        self.size = size
        block = random.Random(size).randbytes(min(size, MIB))
        digest = hashlib.sha256()
        self.path = os.path.join(folder, "blob-%d" % size)
        with open(self.path, "wb") as f:
            for at in range(0, size, len(block)):
                part = block[:size - at]
                digest.update(part)
                f.write(part)
        self.digest = "sha256:" + digest.hexdigest()
        self.url = "/v2/%s/blobs/%s" % (REPOSITORY, self.digest)


class Image:
    """A manifest over blobs of given sizes, the first as its configuration."""

    def __init__(self, folder, sizes):
        os.makedirs(folder)
        self.blobs = [Blob(folder, size) for size in sizes]
        self.by_size = {blob.size: blob for blob in self.blobs}
        layers = [self.describe("layer.v1.tar+gzip", b) for b in self.blobs]
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": self.describe("config.v1+json", self.blobs[0]),
            "layers": layers}).encode()
        self.manifest_path = "/v2/%s/manifests/latest" % REPOSITORY

    @staticmethod
    def describe(kind, blob):
        return {"mediaType": "application/vnd.oci.image." + kind,
                "digest": blob.digest, "size": blob.size}
