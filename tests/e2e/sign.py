#!/usr/bin/env python3
"""Send a request signed with AWS Signature Version 4, or one that only looks
so.  Written against AWS's description of it, to test another implementation;
the key is in KEY_ID, KEY_SECRET and KEY_TOKEN.

usage: sign.py [OPTION...] URL

  --method M --body TEXT --type MEDIA-TYPE --target X-AMZ-TARGET
  --header "Name: value"    sent and signed
  --region R --service S
  --presign [--expires S]   in the query instead of the header
  --age SECONDS             signed so long ago (negative: in the future)
  --payload-hash TEXT       X-Amz-Content-Sha256, and what is signed as hash
  --unsigned NAME           send this header without signing it

What is sent instead of what was signed:

  --then-path P --then-query Q --then-host H --then-body TEXT
  --then-header "Name: value"     (replaces or adds)
  --then-signature HEX

  --print                   the URL and headers instead of sending
  --headers FILE --answer FILE    where the answer goes

Prints the status of the answer.
"""

import argparse
import hashlib
import hmac
import os
import sys
import time
from urllib.parse import quote, urlsplit


def parse_args():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--method", default="POST")
    p.add_argument("--body", default="")
    p.add_argument("--type", default="application/x-amz-json-1.1")
    p.add_argument("--target")
    p.add_argument("--header", action="append", default=[])
    p.add_argument("--region", default="us-east-1")
    p.add_argument("--service", default="ecr")
    p.add_argument("--presign", action="store_true")
    p.add_argument("--expires", type=int, default=60)
    p.add_argument("--age", type=int, default=0)
    p.add_argument("--payload-hash")
    p.add_argument("--unsigned", action="append", default=[])
    p.add_argument("--then-path")
    p.add_argument("--then-query")
    p.add_argument("--then-host")
    p.add_argument("--then-body")
    p.add_argument("--then-header", action="append", default=[])
    p.add_argument("--then-signature")
    p.add_argument("--print", action="store_true", dest="show")
    p.add_argument("--headers")
    p.add_argument("--answer")
    p.add_argument("url")
    return p.parse_args()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def encode(text):
    return quote(text, safe="-_.~")


def split_header(line):
    name, value = line.split(":", 1)
    return name.strip(), value.strip()


class Request:
    def __init__(self, args):
        parts = urlsplit(args.url)
        self.args = args
        self.scheme = parts.scheme
        self.address = parts.netloc
        self.path = parts.path or "/"
        self.query = [tuple((q + "=").split("=")[:2])
                      for q in parts.query.split("&") if q]
        self.headers = {"Host": parts.netloc}
        if args.method != "GET":
            self.headers["Content-Type"] = args.type
        if args.target:
            self.headers["X-Amz-Target"] = args.target
        for line in args.header:
            name, value = split_header(line)
            self.headers[name] = value
        self.body = args.body.encode()
        self.stamp = time.strftime("%Y%m%dT%H%M%SZ",
                                   time.gmtime(time.time() - args.age))
        self.scope = "/".join([self.stamp[:8], args.region, args.service,
                               "aws4_request"])

    def signed_names(self):
        left_out = {n.lower() for n in self.args.unsigned}
        return sorted(n.lower() for n in self.headers
                      if n.lower() not in left_out)

    def query_text(self):
        return "&".join("%s=%s" % pair for pair in sorted(self.query))

    def signature(self, names):
        lower = {n.lower(): " ".join(v.split())
                 for n, v in self.headers.items()}
        payload = self.args.payload_hash or \
            hashlib.sha256(self.body).hexdigest()
        canonical = "\n".join(
            [self.args.method, quote(self.path, safe="/-_.~%"),
             self.query_text()] +
            ["%s:%s" % (n, lower[n]) for n in names] +
            ["", ";".join(names), payload])
        text = "\n".join(["AWS4-HMAC-SHA256", self.stamp, self.scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + os.environ["KEY_SECRET"]).encode()
        for part in self.scope.split("/"):
            key = mac(key, part)
        return self.args.then_signature or mac(key, text).hex()

    def credential(self):
        return "%s/%s" % (os.environ["KEY_ID"], self.scope)

    def sign(self):
        token = os.environ.get("KEY_TOKEN")
        if self.args.payload_hash:
            self.headers["X-Amz-Content-Sha256"] = self.args.payload_hash
        if self.args.presign:
            self.sign_query(token)
            return
        self.headers["X-Amz-Date"] = self.stamp
        if token:
            self.headers["X-Amz-Security-Token"] = token
        names = self.signed_names()
        self.headers["Authorization"] = \
            "AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=%s, " \
            "Signature=%s" % (self.credential(), ";".join(names),
                              self.signature(names))

    def sign_query(self, token):
        names = self.signed_names()
        more = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": self.credential(),
                "X-Amz-Date": self.stamp,
                "X-Amz-Expires": str(self.args.expires),
                "X-Amz-SignedHeaders": ";".join(names)}
        if token:
            more["X-Amz-Security-Token"] = token
        self.query += [(encode(n), encode(v)) for n, v in more.items()]
        self.query.append(("X-Amz-Signature", self.signature(names)))

    def tamper(self):
        a = self.args
        if a.then_path is not None:
            self.path = a.then_path
        if a.then_host is not None:
            self.headers["Host"] = a.then_host
        if a.then_body is not None:
            self.body = a.then_body.encode()
        for line in a.then_header:
            name, value = split_header(line)
            self.headers = {n: v for n, v in self.headers.items()
                            if n.lower() != name.lower()}
            self.headers[name] = value

    def target(self):
        query = self.query_text()
        if self.args.then_query is not None:
            query = "&".join(filter(None, [query, self.args.then_query]))
        return self.path + ("?" + query if query else "")

    def connect(self):
        import http.client
        if self.scheme == "http":
            return http.client.HTTPConnection(self.address, timeout=60)
        import ssl
        context = ssl.create_default_context(
            cafile=os.environ.get("CURL_CA_BUNDLE"))
        return http.client.HTTPSConnection(self.address, timeout=60,
                                           context=context)

    def send(self):
        c = self.connect()
        c.putrequest(self.args.method, self.target(), skip_host=True,
                     skip_accept_encoding=True)
        for name, value in self.headers.items():
            c.putheader(name, value)
        c.putheader("Content-Length", str(len(self.body)))
        c.endheaders(self.body)
        answer = c.getresponse()
        with open(self.args.headers or os.devnull, "w") as f:
            f.write("HTTP/1.1 %d\n" % answer.status)
            for name, value in answer.getheaders():
                f.write("%s: %s\n" % (name, value))
        with open(self.args.answer or os.devnull, "wb") as f:
            f.write(answer.read())
        print(answer.status)


def main():
    request = Request(parse_args())
    request.sign()
    request.tamper()
    if request.args.show:
        print("%s://%s%s" % (request.scheme, request.address,
                             request.target()))
        for pair in request.headers.items():
            print("%s: %s" % pair)
        return
    request.send()


if __name__ == "__main__":
    sys.exit(main())
