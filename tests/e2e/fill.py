#!/usr/bin/env python3
"""Push many small images into one repository, over the distribution API.

usage: fill.py URL REPOSITORY COUNT [USER:PASSWORD]

They share a configuration and a layer, and have the tags v0001, v0002, ...;
each tenth one has none.
"""

import base64
import hashlib
import http.client
import json
import sys
import urllib.parse

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    def __init__(self, url, repository, login):
        where = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(where.netloc, timeout=60)
        self.base = "/v2/" + repository
        self.headers = {}
        if login:
            self.headers["Authorization"] = "Basic " + base64.b64encode(
                login.encode()).decode()

    def ask(self, want, method, path, body=b"", content_type=None):
        headers = dict(self.headers)
        if content_type:
            headers["Content-Type"] = content_type
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != want:
            raise SystemExit("%s %s: %d %s" % (method, path, answer.status,
                                               text.decode()))
        return answer

    def blob(self, media_type, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.ask(201, "POST", "%s/blobs/uploads/?digest=%s" % (
            self.base, digest), data, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def image(self, config, layer, number):
        text = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [layer], "annotations": {"number": str(number)}}).encode()
        name = "v%04d" % number
        if number % 10 == 0:
            name = "sha256:" + hashlib.sha256(text).hexdigest()
        self.ask(201, "PUT", "%s/manifests/%s" % (self.base, name), text,
                 MANIFEST)


def main(argv):
    if len(argv) not in (4, 5):
        raise SystemExit(__doc__)
    registry = Registry(argv[1], argv[2], argv[4] if len(argv) > 4 else None)
    config = registry.blob("application/vnd.oci.image.config.v1+json", b"{}")
    layer = registry.blob("application/vnd.oci.image.layer.v1.tar", b"layer")
    for number in range(1, int(argv[3]) + 1):
        registry.image(config, layer, number)


main(sys.argv)
