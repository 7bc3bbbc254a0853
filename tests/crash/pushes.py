"""What the crash tests share: a server to kill, clients that push and keep a
ledger of what was acknowledged, and the check of the ledger.

Acknowledged means: the answer 201 (or 202 to a delete) was read.  Only that is
promised to survive; what was under way may be there or not, but never wrong.
"""

import hashlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
REGISTRYD = os.environ.get("REGISTRYD", TOP + "/build/registryd")
REGISTRYCTL = os.environ.get("REGISTRYCTL", TOP + "/build/registryctl")
# Words before registryd, to see that a test can fail: eatmydata, for one.
PREFIX = os.environ.get("SERVER_PREFIX", "").split()

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
# What a client sees of a server that dies, or whose disk does.
LOST = (OSError, http.client.HTTPException)

# Some content lies in the database, some in files.
SIZES = (0, 100, 5000, 100000, 140000, 400000, 1500000)
REPOSITORIES = ("crash/a", "crash/b", "c")


def say(text):
    sys.stderr.write("# %s\n" % text)
    sys.stderr.flush()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Broken(Exception):
    """A promise was not kept."""


class Server:
    def __init__(self, data, log):
        self.data, self.log_path = data, log
        self.process = None
        self.port = 0
        self.environment = {}

    def start(self, limit_s=60):
        """Returns the seconds until it accepted connections."""
        begin = time.monotonic()
        offset = os.path.getsize(self.log_path) \
            if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                PREFIX + [REGISTRYD, "--data", self.data, "--listen",
                          "127.0.0.1:0", "--auth", "none"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, REGISTRYD_ACCESS_LOG="off",
                         **self.environment))
        while time.monotonic() - begin < limit_s:
            with open(self.log_path, "rb") as log:
                log.seek(offset)
                text = log.read().decode("utf-8", "replace")
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", text)
            if found:
                self.port = int(found.group(1))
                return time.monotonic() - begin
            if self.process.poll() is not None:
                raise Broken("the server does not start (exit %d): %s" % (
                    self.process.returncode, text[-2000:]))
            time.sleep(0.005)
        raise Broken("the server is not up after %d s: %s" %
                     (limit_s, text[-2000:]))

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def stop(self):
        self.process.terminate()
        status = self.process.wait(60)
        if status != 0:
            raise Broken("exit %d after SIGTERM" % status)

    def connect(self, timeout=60):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        c.connect()
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return c

    def fsck(self):
        done = subprocess.run([REGISTRYCTL, "--data", self.data, "fsck"],
                              capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise Broken("fsck: exit %d\n%s%s" % (
                done.returncode, done.stdout[-3000:], done.stderr[-3000:]))


def ask(c, method, path, body=None, **headers):
    c.request(method, path, body, {k.replace("_", "-"): v
                                   for k, v in headers.items()})
    answer = c.getresponse()
    return answer.status, answer.headers, answer.read()


class Ledger:
    """What must be there.  Contents are made again from their seeds."""

    def __init__(self):
        self.lock = threading.Lock()
        self.blobs = {}      # (repository, digest): (seed, size)
        self.manifests = {}  # (repository, digest): bytes
        self.tags = {}       # (repository, tag): set of possible digests, or
        #                      None among them where it may be gone
        self.gone = set()    # (repository, digest) of deleted manifests
        self.fresh = []      # what came since the last check
        self.sessions = []   # (repository, path, seed, size, sent)
        self.wrong = []      # answers that a live server must not give

    def wait_for(self, is_there, limit_s=60):
        """On a busy machine nothing may have been acknowledged so far."""
        begin = time.monotonic()
        while not is_there() and time.monotonic() - begin < limit_s:
            time.sleep(0.01)

    def counts(self):
        return "%d blobs, %d manifests, %d deletes" % (
            len(self.blobs), len(self.manifests), len(self.gone))


def content(seed, size):
    return random.Random(seed).randbytes(size)


class Pusher(threading.Thread):
    """Pushes images until the server is gone."""

    def __init__(self, server, ledger, seed, refusals=()):
        super().__init__(daemon=True)
        self.server, self.ledger = server, ledger
        self.random = random.Random(seed)
        self.refusals = refusals  # statuses that a sick disk excuses
        self.halt = False

    def run(self):
        try:
            c = self.server.connect()
            while not self.halt:
                self.one(c)
        except LOST:
            pass
        except Broken as e:
            with self.ledger.lock:
                self.ledger.wrong.append(str(e))

    def expect(self, wanted, got, what, body):
        if got in self.refusals:
            raise http.client.HTTPException("refused with %d" % got)
        if got != wanted:
            raise Broken("%s: %d %s" % (what, got, body[:300]))

    def one(self, c):
        repository = self.random.choice(REPOSITORIES)
        layers = [self.blob(c, repository) for _ in
                  range(self.random.randint(1, 3))]
        config = self.blob(c, repository, 300)
        self.manifest(c, repository, config, layers)
        if self.random.random() < 0.15:
            self.delete(c)
        if self.random.random() < 0.2:
            self.unfinished(c, repository)

    def blob(self, c, repository, size=None):
        size = self.random.choice(SIZES) if size is None else size
        seed = self.random.getrandbits(60)
        data = content(seed, size)
        digest = sha256(data)
        uploads = "/v2/%s/blobs/uploads/" % repository
        if self.random.random() < 0.2:
            status, _, body = ask(c, "POST", uploads + "?digest=" + digest,
                                  data)
            self.expect(201, status, "POST of a blob", body)
        else:
            status, headers, body = ask(c, "POST", uploads)
            self.expect(202, status, "POST", body)
            where = headers["Location"]
            if self.random.random() < 0.5 and size:
                half = size // 2
                status, headers, body = ask(c, "PATCH", where, data[:half])
                self.expect(202, status, "PATCH", body)
                where, rest = headers["Location"], data[half:]
            else:
                rest = data
            mark = "&" if "?" in where else "?"
            status, _, body = ask(c, "PUT", where + mark + "digest=" + digest,
                                  rest)
            self.expect(201, status, "PUT of a blob", body)
        with self.ledger.lock:
            self.ledger.blobs[repository, digest] = (seed, size)
            self.ledger.fresh.append(("blob", repository, digest))
        return digest, size

    def manifest(self, c, repository, config, layers):
        text = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config[0],
                       "size": config[1]},
            "layers": [{"mediaType": LAYER, "digest": d, "size": s}
                       for d, s in layers]}).encode()
        digest = sha256(text)
        tag = "t%d" % self.random.randint(1, 12)
        ledger, key = self.ledger, (repository, tag)
        with ledger.lock:
            # From here on the tag may move; others move it too.
            ledger.tags.setdefault(key, set()).add(digest)
        status, _, body = ask(c, "PUT", "/v2/%s/manifests/%s" %
                              (repository, tag), text, Content_Type=MANIFEST)
        self.expect(201, status, "PUT of a manifest", body)
        with ledger.lock:
            ledger.manifests[repository, digest] = text
            ledger.tags[key].discard(None)
            ledger.fresh.append(("manifest", repository, digest))

    def delete(self, c):
        ledger = self.ledger
        with ledger.lock:
            if not ledger.manifests:
                return
            repository, digest = self.random.choice(list(ledger.manifests))
            del ledger.manifests[repository, digest]
            for (r, _), digests in ledger.tags.items():
                if r == repository and digest in digests:
                    digests.add(None)
        status, _, body = ask(c, "DELETE", "/v2/%s/manifests/%s" %
                              (repository, digest))
        self.expect(202, status, "DELETE", body)
        with ledger.lock:
            ledger.gone.add((repository, digest))
            ledger.fresh.append(("gone", repository, digest))

    def unfinished(self, c, repository):
        """Leave an upload half done, to be resumed after the crash."""
        seed, size = self.random.getrandbits(60), 600000
        data = content(seed, size)
        status, headers, body = ask(c, "POST", "/v2/%s/blobs/uploads/" %
                                    repository)
        self.expect(202, status, "POST", body)
        where = headers["Location"]
        sent = self.random.randint(1, size - 1)
        status, headers, body = ask(c, "PATCH", where, data[:sent])
        self.expect(202, status, "PATCH", body)
        with self.ledger.lock:
            self.ledger.sessions = self.ledger.sessions[-3:] + [
                (repository, where, seed, size, sent)]


def check_one(c, ledger, kind, repository, digest):
    what = "%s %s in %s" % (kind, digest, repository)
    if kind == "blob":
        seed, size = ledger.blobs[repository, digest]
        status, _, body = ask(c, "GET", "/v2/%s/blobs/%s" %
                              (repository, digest))
        if status != 200:
            raise Broken("acknowledged %s: %d" % (what, status))
        if body != content(seed, size):
            raise Broken("acknowledged %s: other bytes (%d of %d)" %
                         (what, len(body), size))
        return
    status, headers, body = ask(c, "GET", "/v2/%s/manifests/%s" %
                                (repository, digest), Accept=MANIFEST)
    if kind == "gone":
        if (repository, digest) in ledger.gone and status != 404:
            raise Broken("deleted %s: %d" % (what, status))
        return
    if (repository, digest) not in ledger.manifests:
        return  # a delete came later
    if status != 200:
        raise Broken("acknowledged %s: %d" % (what, status))
    if body != ledger.manifests[repository, digest]:
        raise Broken("acknowledged %s: other bytes" % what)
    if headers["Docker-Content-Digest"] != digest:
        raise Broken("%s: digest header" % what)


def check(server, ledger, everything=False):
    """Hold the server against the ledger: what is new, some of the old, or
    everything."""
    if ledger.wrong:
        raise Broken(ledger.wrong[0])
    c = server.connect()
    todo = list(ledger.fresh)
    old = [("blob",) + k for k in ledger.blobs] + \
        [("manifest",) + k for k in ledger.manifests] + \
        [("gone",) + k for k in ledger.gone]
    todo += old if everything else random.sample(old, min(len(old), 20))
    for kind, repository, digest in todo:
        check_one(c, ledger, kind, repository, digest)
    for (repository, tag), digests in ledger.tags.items():
        status, headers, body = ask(c, "GET", "/v2/%s/manifests/%s" %
                                    (repository, tag), Accept=MANIFEST)
        # A tag none of whose pushes was acknowledged may not be there.
        sure = any((repository, d) in ledger.manifests for d in digests) and \
            None not in digests
        if status == 404 and not sure:
            continue
        if status != 200 or sha256(body) not in digests:
            raise Broken("tag %s of %s: %d %s, not one of %d pushed" % (
                tag, repository, status, sha256(body), len(digests)))
    ledger.fresh.clear()
    resume(c, ledger)
    c.close()
    return len(todo)


def resume(c, ledger):
    """Uploads that the crash interrupted go on where the server says."""
    for repository, where, seed, size, sent in ledger.sessions:
        status, headers, body = ask(c, "GET", where)
        if status == 404:
            continue  # a 202 to PATCH is not yet durable
        if status != 204:
            raise Broken("status of an upload: %d %s" % (status, body[:300]))
        first, last = headers["Range"].split("-")
        have = 0 if (first, last) == ("0", "0") else int(last) + 1
        if have > sent:
            raise Broken("Range says %d of %d sent" % (have, sent))
        data = content(seed, size)
        if have == 0 and sent:
            # "0-0" is nothing or one byte; only the first is likely.
            status, _, body = ask(c, "PATCH", where, data[:1],
                                  Content_Range="0-0")
            have = 1
            if status not in (202, 416):
                raise Broken("PATCH: %d %s" % (status, body[:300]))
        mark = "&" if "?" in where else "?"
        status, _, body = ask(c, "PUT", where + mark + "digest=" +
                              sha256(data), data[have:],
                              Content_Range="%d-%d" % (have, size - 1))
        if status != 201:
            raise Broken("resumed at %d of %d: %d %s" %
                         (have, size, status, body[:300]))
        ledger.blobs[repository, sha256(data)] = (seed, size)
        ledger.fresh.append(("blob", repository, sha256(data)))
    ledger.sessions.clear()


class Tap:
    """Test results for a harness."""

    def __init__(self, plan):
        print("1..%d" % plan, flush=True)
        self.n = self.bad = 0

    def ok(self, name):
        self.n += 1
        print("ok %d - %s" % (self.n, name), flush=True)

    def skip(self, name, why):
        self.n += 1
        print("ok %d - %s # skip %s" % (self.n, name, why), flush=True)

    def fail(self, name, why):
        self.n += 1
        self.bad += 1
        print("not ok %d - %s" % (self.n, name), flush=True)
        for line in str(why).splitlines():
            print("# " + line, flush=True)
