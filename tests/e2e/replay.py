#!/usr/bin/env python3
"""Ask again what a client once asked of the ECR API, and look at the answers.

usage: replay.py RECORD URL            the server runs with `auth: none`
       replay.py --record RECORD LISTEN-PORT URL

RECORD is a JSON array of {"operation", "input", "error" | "answer"}: what was
asked, in order, and what was answered; of an answer the members that tell of
time and place are left out, and what is in the record has to be answered
again.  With --record a proxy on LISTEN-PORT writes one, until it is ended.
"""

import http.server
import json
import signal
import sys
import urllib.error
import urllib.request

TARGET = "AmazonEC2ContainerRegistry_V20150921."
# Of the moment, the server or its users.
LEFT_OUT = {"createdAt", "updatedAt", "expiresAt", "authorizationToken",
            "proxyEndpoint", "repositoryUri", "lastEvaluatedAt"}


def stripped(value):
    if isinstance(value, dict):
        return {k: stripped(v) for k, v in value.items() if k not in LEFT_OUT}
    if isinstance(value, list):
        return [stripped(v) for v in value]
    return value


def ecr(url, operation, body):
    """(status, headers, body)"""
    return post(url, body, {"X-Amz-Target": TARGET + operation,
                            "Content-Type": "application/x-amz-json-1.1"})


def post(url, body, headers):
    request = urllib.request.Request(url + "/", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def told(status, body):
    answer = json.loads(body)
    if status == 200:
        return {"answer": stripped(answer)}
    return {"error": answer["__type"]}


def replay(record, url):
    with open(record, encoding="utf-8") as f:
        entries = json.load(f)
    wrong = 0
    for i, entry in enumerate(entries):
        status, _, body = ecr(url, entry["operation"],
                              json.dumps(entry["input"]).encode())
        want = {k: entry[k] for k in ("answer", "error") if k in entry}
        got = told(status, body)
        if got != want:
            wrong += 1
            print("request %d, %s %s:\n  got  %s\n  want %s" % (
                i + 1, entry["operation"], json.dumps(entry["input"]),
                json.dumps(got), json.dumps(want)))
    print("%d requests, %d answered otherwise" % (len(entries), wrong))
    raise SystemExit(1 if wrong or not entries else 0)


def record(path, port, url):
    entries = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = self.headers["X-Amz-Target"]
            if target:
                operation = target.rsplit(".", 1)[1]
                status, headers, answer = ecr(url, operation, body)
                entries.append({"operation": operation,
                                "input": json.loads(body),
                                **told(status, answer)})
            else:  # of another service: not recorded
                status, headers, answer = post(
                    url, body, {"Content-Type": self.headers["Content-Type"]})
            self.send_response(status)
            for name in "Content-Type", "x-amzn-RequestId":
                if headers[name]:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    def end(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        http.server.ThreadingHTTPServer(
            ("127.0.0.1", port), Proxy).serve_forever()
    except KeyboardInterrupt:
        pass
    with open(path, "w", encoding="utf-8") as f:
        json.dump(entries, f, indent=1)
        f.write("\n")


def main(argv):
    if len(argv) == 5 and argv[1] == "--record":
        record(argv[2], int(argv[3]), argv[4])
    elif len(argv) == 3:
        replay(argv[1], argv[2])
    else:
        raise SystemExit(__doc__)


main(sys.argv)
