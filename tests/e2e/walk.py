#!/usr/bin/env python3
"""walk.py HOST:PORT [--sparse] [--basic | --bearer]

Walks every kind of content of the OCI specifications through its whole life
in one registry: push, list, HEAD, pull, referrers, delete; and every way in
which a blob can be pushed, in sha256 and sha512.  Each step is held against
what the distribution-spec says.  Prints what was wrong, and the number of
checks; exits 1 if anything was.

--basic and --bearer come with the USER:PASSWORD in WALK_LOGIN, or with tokens
got for it.
"""

import base64
import gzip
import hashlib
import http.client
import json
import os
import re
import sys
import urllib.parse

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OURS = "application/vnd.example.thing.v1"
REPO, OTHER = "walk/one", "walk/two"

checks = 0
wrong = []


def digest(data, alg="sha256"):
    return alg + ":" + hashlib.new(alg, data).hexdigest()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def get(self, name):
        return self.headers.get(name)


def basic():
    return "Basic " + base64.b64encode(os.environ["WALK_LOGIN"].encode()) \
        .decode()


class Client:
    def __init__(self, host):
        self.connection = http.client.HTTPConnection(host, timeout=30)
        self.headers = {}
        if "--basic" in sys.argv:
            self.headers = {"Authorization": basic()}
        elif "--bearer" in sys.argv:
            self.headers = {"Authorization": "Bearer " + self.token()}

    def token(self):
        """For both repositories, as the challenge of /v2/ says it is had."""
        self.connection.request("GET", "/v2/")
        challenge = Answer(self.connection.getresponse()).get(
            "WWW-Authenticate")
        said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = urllib.parse.urlencode(
            [("service", said["service"])] +
            [("scope", "repository:%s:pull,push,delete" % name)
             for name in (REPO, OTHER)])
        self.connection.request(
            "GET", urllib.parse.urlsplit(said["realm"]).path + "?" + query,
            headers={"Authorization": basic()})
        return json.loads(Answer(self.connection.getresponse()).body)["token"]

    def __call__(self, method, path, body=None, chunked=False, **headers):
        headers = {**self.headers,
                   **{k.replace("_", "-"): v for k, v in headers.items()}}
        if method in ("POST", "PUT", "PATCH") and body is None:
            headers["Content-Length"] = "0"
        if chunked:
            half = len(body) // 2
            body = iter([body[:half] or b"", body[half:]])
        self.connection.request(method, path, body=body, headers=headers,
                                encode_chunked=chunked)
        return Answer(self.connection.getresponse())


def check(what, got, want):
    global checks
    checks += 1
    if got not in (want if isinstance(want, (tuple, list)) else (want,)):
        wrong.append("%s: got %r, want %r" % (what, got, want))
        return False
    return True


def with_param(location, key, value):
    parts = urllib.parse.urlsplit(location)
    query = (parts.query + "&" if parts.query else "") + \
        key + "=" + urllib.parse.quote(value, safe="")
    return parts.path + "?" + query


# --- blobs ------------------------------------------------------------------

def blob_is_there(c, repo, data, d, what):
    path = "/v2/%s/blobs/%s" % (repo, d)
    for method in ("HEAD", "GET"):
        a = c(method, path)
        check(what + " " + method, a.status, 200)
        check(what + " length", a.get("Content-Length"), str(len(data)))
        check(what + " digest", a.get("Docker-Content-Digest"), d)
        check(what + " content", a.body, data if method == "GET" else b"")


def blob_created(c, a, data, d, what):
    check(what, a.status, 201)
    check(what + " digest", a.get("Docker-Content-Digest"), (d, None))
    if a.get("Location"):
        check(what + " at its Location",
              c("GET", urllib.parse.urlsplit(a.get("Location")).path).body,
              data)
    else:
        check(what + " Location", None, "some")


def blob_delete(c, repo, d, what):
    path = "/v2/%s/blobs/%s" % (repo, d)
    check(what + " delete", c("DELETE", path).status, 202)
    check(what + " HEAD after delete", c("HEAD", path).status, 404)


def session(c, repo=REPO, query=""):
    a = c("POST", "/v2/%s/blobs/uploads/%s" % (repo, query))
    check("POST starts an upload", a.status, 202)
    return a.get("Location")


def push_post(c, data, d):
    return c("POST", "/v2/%s/blobs/uploads/?digest=%s" % (REPO, d), data)


def push_put(c, data, d):
    return c("PUT", with_param(session(c), "digest", d), data)


def push_stream(c, data, d):
    a = c("PATCH", session(c), data, chunked=True)
    check("streamed PATCH", a.status, 202)
    return c("PUT", with_param(a.get("Location"), "digest", d))


def push_announced(c, data, d):
    at = session(c, query="?digest-algorithm=" + d.split(":")[0])
    a = c("PATCH", at, data)
    return c("PUT", with_param(a.get("Location"), "digest", d))


def push_chunks(c, data, d, last_in_put=False, disorder=False):
    at = session(c)
    step = max(len(data) // 3 + 1, 1)
    for first in range(0, len(data), step):
        part = data[first:first + step]
        last = first + len(part) - 1
        final = last == len(data) - 1
        if disorder:
            bad = first + step if first + step < len(data) else 0
            bad_part = data[bad:bad + step]
            to_put = last_in_put and bad + len(bad_part) == len(data)
            a = c("PUT" if to_put else "PATCH",
                  with_param(at, "digest", d) if to_put else at, bad_part,
                  Content_Range="%d-%d" % (bad, bad + len(bad_part) - 1))
            if check("a chunk out of order", a.status, 416 if bad != first
                     else (202, 201)) and bad == first:
                raise RuntimeError("this walk's chunks are too few")
            a = c("GET", urllib.parse.urlsplit(at).path)
            check("status of an upload", a.status, 204)
            check("Range of an upload", a.get("Range"),
                  "0-%d" % max(first - 1, 0))
            at = a.get("Location")
        span = "%d-%d" % (first, last)
        if final and last_in_put:
            return c("PUT", with_param(at, "digest", d), part,
                     Content_Range=span)
        a = c("PATCH", at, part, Content_Range=span)
        check("a chunk", a.status, 202)
        check("Range after a chunk", a.get("Range"), "0-%d" % last)
        at = a.get("Location")
    return c("PUT", with_param(at, "digest", d))


def push_mount(c, data, d, source=True):
    c("POST", "/v2/%s/blobs/uploads/?digest=%s" % (OTHER, d), data)
    a = c("POST", "/v2/%s/blobs/uploads/?mount=%s%s" % (
        REPO, d, "&from=" + urllib.parse.quote(OTHER, safe="")
        if source else ""))
    check("delete from the source", c(
        "DELETE", "/v2/%s/blobs/%s" % (OTHER, d)).status, 202)
    return a


WAYS = {
    "POST with all": push_post,
    "POST, PUT": push_put,
    "streamed": push_stream,
    "algorithm announced": push_announced,
    "one chunk": lambda c, b, d: push_chunks(c, b[:1], digest(
        b[:1], d.split(":")[0])),
    "chunks": push_chunks,
    "chunks, last in PUT": lambda c, b, d: push_chunks(c, b, d, True),
    "out of order": lambda c, b, d: push_chunks(c, b, d, False, True),
    "out of order, last in PUT":
        lambda c, b, d: push_chunks(c, b, d, True, True),
    "mount": push_mount,
    "mount, no source": lambda c, b, d: push_mount(c, b, d, False),
}


def walk_blobs(c, alg):
    for name, way in WAYS.items():
        for size in (3067, 300000):
            data = os.urandom(size)
            if name == "one chunk":
                data = data[:1]
            d = digest(data, alg)
            what = "%s %s of %d" % (alg, name, len(data))
            check(what + " unknown", c(
                "GET", "/v2/%s/blobs/%s" % (REPO, d)).status, 404)
            blob_created(c, way(c, data, d), data, d, what)
            blob_is_there(c, REPO, data, d, what)
            blob_delete(c, REPO, d, what)
    for name in ("POST with all", "POST, PUT", "streamed", "chunks",
                 "chunks, last in PUT"):
        data = os.urandom(3067)
        a = WAYS[name](c, data + b"oh", digest(data, alg))
        check("%s %s, wrong digest" % (alg, name), a.status, 400)
        check("its code", json.loads(a.body)["errors"][0]["code"],
              "DIGEST_INVALID")
    for data in (b"", b"{}"):
        d = digest(data, alg)
        blob_created(c, push_put(c, data, d), data, d, "tiny blob")
        blob_is_there(c, REPO, data, d, "tiny blob")
        blob_delete(c, REPO, d, "tiny blob")
    at = session(c)
    check("cancel", c("DELETE", at).status, 204)
    check("a cancelled upload", c("GET", at).status, 404)
    lost = digest(os.urandom(9), alg)
    check("mount of what is nowhere", c(
        "POST", "/v2/%s/blobs/uploads/?mount=%s&from=%s" % (
            REPO, lost, urllib.parse.quote(OTHER, safe=""))).status, 202)
    walk_ranges(c, alg)


def walk_ranges(c, alg):
    data = os.urandom(2048)
    d = digest(data, alg)
    push_post(c, data, d)
    path = "/v2/%s/blobs/%s" % (REPO, d)
    for text, first, last in (("500-1499", 500, 1499), ("500-", 500, 2047),
                              ("-500", 1548, 2047), ("2000-5000", 2000, 2047),
                              ("0-0", 0, 0)):
        a = c("GET", path, Range="bytes=" + text)
        check("range " + text, a.status, 206)
        check("range " + text, a.body, data[first:last + 1])
        check("range " + text, a.get("Content-Range"),
              "bytes %d-%d/2048" % (first, last))
    for text in ("500-0", "5000-10000"):
        check("range " + text,
              c("GET", path, Range="bytes=" + text).status, 416)
    blob_delete(c, REPO, d, "ranged blob")


# --- kinds of content ---------------------------------------------------------

class Kind:
    """Blobs, and manifests in the order in which they are pushed."""

    def __init__(self, name, alg="sha256"):
        self.name, self.alg = name, alg
        self.blobs = {}      # digest: bytes
        self.manifests = []  # (digest, bytes, media type, tags, by params)
        self.referrers = {}  # subject: [descriptor]
        self.indexes = 0

    def blob(self, data, media_type, **more):
        d = digest(data, self.alg)
        self.blobs[d] = data
        return dict(mediaType=media_type, digest=d, size=len(data), **more)

    def put(self, document, tags=(), params=False):
        data = json.dumps(document, indent=1).encode()
        d = digest(data, self.alg)
        media_type = document["mediaType"]
        self.manifests.append((d, data, media_type, tags, params))
        here = dict(mediaType=media_type, digest=d, size=len(data))
        subject = document.get("subject")
        if subject:
            shown = dict(here)
            kind = document.get("artifactType") or \
                document.get("config", {}).get("mediaType")
            if kind:
                shown["artifactType"] = kind
            if document.get("annotations"):
                shown["annotations"] = document["annotations"]
            self.referrers.setdefault(subject["digest"], []).append(shown)
        return here

    def image(self, tags=(), params=False, layers=2, compress=True,
              data_field=False, config=None, **more):
        pieces = [os.urandom(700) for _ in range(layers)]
        suffix = "+gzip" if compress else ""
        described = [self.blob(gzip.compress(p) if compress else p,
                               more.pop("layer_type", None) or LAYER + suffix)
                     for p in pieces]
        described += more.pop("extra_layers", [])
        config = config or self.blob(json.dumps({
            "os": "linux", "architecture": "amd64",
            "serial": base64.b64encode(os.urandom(6)).decode()}).encode(),
            CONFIG)
        if data_field:
            for x in described + [config]:
                x["data"] = base64.b64encode(
                    self.blobs[x["digest"]]).decode()
        return self.put(dict(schemaVersion=2, mediaType=IMAGE, config=config,
                             layers=described, **more), tags, params)

    def index(self, children, tags=(), params=False, **more):
        return self.put(dict(schemaVersion=2, mediaType=INDEX,
                             manifests=children, **more), tags, params)

    def artifact(self, tags=(), **more):
        return self.image(tags, config=self.blob(b"{}", EMPTY), layers=1,
                          artifactType=OURS, **more)


def kinds(sparse):
    def make(name, fn, alg="sha256"):
        k = Kind(name, alg)
        fn(k)
        return k

    def foreign(k):
        far = [dict(mediaType=FOREIGN + s, size=123,
                    digest=digest(os.urandom(8)),
                    urls=["https://example.com/layer"]) for s in ("", "+gzip")]
        k.image(["foreign"], extra_layers=far)

    def subjects(k):
        subject = k.image(["subject"])
        k.image(subject=subject)
        k.artifact(["first"], subject=subject, annotations={"a": "1"})
        k.artifact(["second"], subject=subject, annotations={"a": "2"})

    def indexed_subject(k):
        subject = k.index([k.image(), k.image()], ["subject"])
        k.index([k.artifact()], ["signature"], subject=subject,
                artifactType=OURS, annotations={"b": "é"})

    def sparse_kind(k):
        image = k.image(["thin"])
        gone = next(d for d, b in k.blobs.items() if b[:2] == b"\x1f\x8b")
        del k.blobs[gone]
        k.index([image, dict(mediaType=IMAGE, size=99,
                             digest=digest(os.urandom(8)))], ["thin-index"])

    def many_tags(k):
        tags = ["t%d" % i for i in range(10)]
        k.index([k.image(["x", "y"], True)], tags, True)

    out = [
        make("image", lambda k: k.image(["v1"])),
        make("uncompressed", lambda k: k.image(["v1"], compress=False)),
        make("large manifest", lambda k: k.image(["v1"], annotations={
            "a%d" % i: "A" * 10000 for i in range(390)})),
        make("index", lambda k: k.index([k.image(), k.image()], ["v1"])),
        make("nested index", lambda k: k.index([
            k.index([k.image()]), k.index([k.image()])], ["v1"])),
        make("empty index", lambda k: k.index([], ["v1"])),
        make("artifact", lambda k: k.artifact(["v1"])),
        make("artifact index", lambda k: k.index(
            [k.artifact()], ["v1"], artifactType=OURS)),
        make("artifact without layers", lambda k: k.put(dict(
            schemaVersion=2, mediaType=IMAGE, artifactType=OURS,
            config=k.blob(b"{}", EMPTY), layers=[k.blob(b"{}", EMPTY)]),
            ["v1"])),
        make("subjects", subjects),
        make("index with subject", indexed_subject),
        make("missing subject", lambda k: k.artifact(["v1"], subject=dict(
            mediaType=IMAGE, size=5, digest=digest(os.urandom(5))))),
        make("data field", lambda k: k.image(["v1"], data_field=True)),
        make("foreign layers", foreign),
        make("custom fields", lambda k: k.index(
            [k.image(**{"org.example": {"x": [1, None]}})], ["v1"],
            unheardOf="of")),
        make("no layers", lambda k: k.image(["v1"], layers=0)),
        make("sha512", lambda k: k.index([k.image(), k.image()]), "sha512"),
        make("tags by parameter", many_tags),
        make("tags by parameter, sha512", many_tags, "sha512"),
    ]
    if sparse:
        out.append(make("sparse", sparse_kind))
    return out


def manifest_push(c, name, m):
    d, data, media_type, tags, params = m
    refs = list(tags) or [d]
    if params:
        refs = [d + "?" + "&".join("tag=" + t for t in tags)]
    for ref in refs:
        a = c("PUT", "/v2/%s/manifests/%s" % (REPO, ref), data,
              Content_Type=media_type)
        if not check("%s: push of %s" % (name, ref), a.status, 201):
            wrong.append(a.body.decode()[:300])
            continue
        check(name + ": digest", a.get("Docker-Content-Digest"), d)
        subject = json.loads(data).get("subject")
        check(name + ": OCI-Subject", a.get("OCI-Subject"),
              subject["digest"] if subject else None)
        if params:
            check(name + ": OCI-Tag",
                  sorted(a.headers.get_all("OCI-Tag") or []), [sorted(tags)])
        back = c("GET", urllib.parse.urlsplit(a.get("Location")).path,
                 Accept="%s, %s" % (IMAGE, INDEX))
        check(name + ": at its Location", back.body, data)


def manifest_pull(c, name, m):
    d, data, media_type, tags, _ = m
    for ref in list(tags) + [d]:
        for method in ("HEAD", "GET"):
            a = c(method, "/v2/%s/manifests/%s" % (REPO, ref))
            what = "%s: %s of %s" % (name, method, ref)
            check(what, a.status, 200)
            check(what, a.get("Content-Type"), media_type)
            check(what, a.get("Content-Length"), str(len(data)))
            check(what, a.get("Docker-Content-Digest"), d)
            check(what, a.body, data if method == "GET" else b"")


def tags_listed(c, k):
    want = {t for m in k.manifests for t in m[3]}
    path = "/v2/%s/tags/list" % REPO
    got = json.loads(c("GET", path).body)["tags"]
    check(k.name + ": tags", want <= set(got), True)
    check(k.name + ": order of tags", got, [sorted(got)])
    if len(got) >= 2:
        half = len(got) // 2
        a = c("GET", path + "?last=" + got[half - 1])
        check(k.name + ": tags after", json.loads(a.body)["tags"],
              [got[half:]])


def referrers_listed(c, k):
    for subject, want in k.referrers.items():
        path = "/v2/%s/referrers/%s" % (REPO, subject)
        a = c("GET", path)
        check(k.name + ": referrers", a.get("Content-Type"), INDEX)
        key = lambda x: x["digest"]
        got = json.loads(a.body)
        check(k.name + ": referrers", got["schemaVersion"], 2)
        check(k.name + ": referrers",
              sorted(got["manifests"], key=key), [sorted(want, key=key)])
        for kind in {x.get("artifactType") for x in want} | {"none/such"}:
            if kind is None:
                continue
            a = c("GET", path + "?artifactType=" +
                  urllib.parse.quote(kind, safe=""))
            check(k.name + ": filter", a.get("OCI-Filters-Applied"),
                  "artifactType")
            check(k.name + ": filtered", {x["digest"] for x in json.loads(
                a.body)["manifests"]}, [{x["digest"] for x in want if
                                         x.get("artifactType") == kind}])


def kind_delete(c, k):
    for m in k.manifests:
        for tag in m[3]:
            path = "/v2/%s/manifests/%s" % (REPO, tag)
            check(k.name + ": tag deleted", c("DELETE", path).status, 202)
            check(k.name + ": tag gone", c("HEAD", path).status, 404)
    for m in reversed(k.manifests):
        path = "/v2/%s/manifests/%s" % (REPO, m[0])
        check(k.name + ": manifest deleted", c("DELETE", path).status, 202)
        check(k.name + ": manifest gone", c("HEAD", path).status, 404)
    for d in k.blobs:
        blob_delete(c, REPO, d, k.name)


def walk_kind(c, k):
    for d, data in k.blobs.items():
        blob_created(c, push_put(c, data, d), data, d, k.name)
    for m in k.manifests:
        manifest_push(c, k.name, m)
    tags_listed(c, k)
    for m in k.manifests:
        manifest_pull(c, k.name, m)
    for d, data in k.blobs.items():
        blob_is_there(c, REPO, data, d, k.name)
    referrers_listed(c, k)
    kind_delete(c, k)


def walk_errors(c):
    path = "/v2/%s/manifests/" % REPO
    check("unknown digest", c("GET", path + digest(b"?!")).status, 404)
    check("unknown tag", c("GET", path + "never-pushed").status, 404)
    check("bad digest", c("GET", path + "sha256:baddigest").status, (400, 404))
    k = Kind("errors")
    k.image()
    for d, data in k.blobs.items():
        push_put(c, data, d)
    _, data, media_type, _, _ = k.manifests[0]
    check("push to a bad digest", c(
        "PUT", path + "sha256:baddigest", data,
        Content_Type=media_type).status, 400)
    check("push to another digest", c(
        "PUT", path + digest(b"other"), data,
        Content_Type=media_type).status, 400)
    for d in k.blobs:
        blob_delete(c, REPO, d, "errors")


def main():
    c = Client(sys.argv[1])
    check("GET /v2/", c("GET", "/v2/").status, 200)
    check("tags of nothing", c(
        "GET", "/v2/%s/tags/list" % REPO).status, (200, 404))
    a = c("GET", "/v2/%s/referrers/%s" % (REPO, digest(os.urandom(8))))
    check("referrers of nothing", a.status, 200)
    check("referrers of nothing", json.loads(a.body)["manifests"], [[]])
    for alg in ("sha256", "sha512"):
        walk_blobs(c, alg)
    for k in kinds("--sparse" in sys.argv):
        walk_kind(c, k)
    walk_errors(c)
    for text in wrong:
        print(text[:400])
    print("%d checks, %d wrong" % (checks, len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
