#!/usr/bin/env python3
"""A registry that misbehaves on demand: a proxy in front of a real one.

usage: upstream_proxy.py HOST:PORT [DIRECTORY [PORT]]

Listens on a free port of 127.0.0.1, or on that, and prints it.  What came in is kept in
DIRECTORY/requests (default: the current one), one JSON object in a line:
{"method","path","query","authorization","range","replication","status"}.

It is told what to do by the file DIRECTORY/faults, which is read anew for each
request: a JSON array of objects, of which the first that matches counts:

  "match"     a regular expression, held against "METHOD PATH"
  "times"     so often (counted by "id", else by its place); absent: always
  "delay"     seconds before the request is passed on
  "status"    answer with this instead, with "headers" {...} and "body"
  "redirect"  answer 307 to this, followed by the path and query
  "hold"      after so many bytes of the body wait for the file "until"
  "cut"       break off after so many bytes of the body
  "wrong"     change a byte of the body: that many from its end
  "rate"      bytes of the body per second
  "nolength"  leave the Content-Length out, and send chunks
  "hang"      answer nothing for so many seconds, then break off
"""

import http.client
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import time
import urllib.parse

PIECE = 16384
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade",
       "proxy-connection", "content-length"}


class Faults:
    def __init__(self, path):
        self.path = path
        self.used = {}
        self.lock = threading.Lock()

    def find(self, line):
        try:
            with open(self.path, encoding="utf-8") as f:
                faults = json.load(f)
        except (OSError, ValueError):
            return {}
        for i, fault in enumerate(faults):
            if not re.search(fault["match"], line):
                continue
            key = fault.get("id", i)
            with self.lock:
                if self.used.get(key, 0) >= fault.get("times", 1 << 60):
                    continue
                self.used[key] = self.used.get(key, 0) + 1
            return fault
        return {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, status):
        path, _, query = self.path.partition("?")
        row = {"method": self.command, "path": path, "query": query,
               "authorization": self.headers.get("Authorization", ""),
               "range": self.headers.get("Range", ""),
               "replication": self.headers.get("Registryd-Replication", ""),
               "status": status}
        server = self.server
        with server.lock, open(server.log, "a", encoding="utf-8") as f:
            f.write(json.dumps(row) + "\n")

    def answer(self, fault):
        body = fault.get("body", "").encode()
        self.note(fault["status"])
        self.send_response(fault["status"])
        for name, value in fault.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def redirect(self, fault):
        self.answer({"status": 307, "headers": {
            "Location": fault["redirect"] + self.path}})

    def read_body(self):
        length = self.headers.get("Content-Length")
        if length is not None:
            return self.rfile.read(int(length))
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return None
        body = b""
        while True:
            n = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(n)
            self.rfile.readline()
            if n == 0:
                return body

    def ask(self):
        conn = http.client.HTTPConnection(self.server.upstream, timeout=60)
        headers = {k: v for k, v in self.headers.items()
                   if k.lower() not in HOP}
        conn.request(self.command, self.path, self.read_body(), headers)
        return conn, conn.getresponse()

    def head(self, r, fault):
        self.note(r.status)
        self.send_response_only(r.status)
        own = "http://%s" % self.server.upstream
        mine = "http://127.0.0.1:%d" % self.server.server_address[1]
        for name, value in r.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value.replace(own, mine))
        length = r.getheader("Content-Length")
        if "nolength" in fault and self.command != "HEAD":
            self.send_header("Transfer-Encoding", "chunked")
        elif length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()

    def put(self, piece, fault):
        if "nolength" in fault:
            piece = b"%x\r\n%s\r\n" % (len(piece), piece)
        self.wfile.write(piece)
        if "rate" in fault:
            self.wfile.flush()
            time.sleep(len(piece) / fault["rate"])

    def body(self, r, fault):
        """False: broken off."""
        length = int(r.getheader("Content-Length") or 0)
        at = 0
        while True:
            piece = r.read(PIECE)
            if not piece:
                break
            if "wrong" in fault:
                i = length - fault["wrong"] - at
                if 0 <= i < len(piece):
                    piece = piece[:i] + bytes([piece[i] ^ 1]) + piece[i + 1:]
            if "cut" in fault and at + len(piece) > fault["cut"]:
                self.put(piece[:fault["cut"] - at], fault)
                self.wfile.flush()
                return False
            at += len(piece)
            self.put(piece, fault)
            if "hold" in fault and at >= fault["hold"]:
                self.wfile.flush()
                while not os.path.exists(fault["until"]):
                    time.sleep(0.02)
        if "nolength" in fault:
            self.wfile.write(b"0\r\n\r\n")
        return True

    def handle_any(self):
        fault = self.server.faults.find("%s %s" % (self.command, self.path))
        if "delay" in fault:
            time.sleep(fault["delay"])
        if "hang" in fault:
            self.note(0)
            time.sleep(fault["hang"])
            self.close_connection = True
            return
        if "status" in fault:
            self.read_body()
            self.answer(fault)
            return
        if "redirect" in fault:
            self.redirect(fault)
            return
        try:
            conn, r = self.ask()
        except OSError as e:
            self.answer({"status": 502, "body": str(e)})
            return
        self.head(r, fault)
        if self.command != "HEAD" and not self.body(r, fault):
            self.close_connection = True
        conn.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # clients leave


def main():
    upstream = sys.argv[1]
    where = sys.argv[2] if len(sys.argv) > 2 else "."
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    server = Server(("127.0.0.1", port), Handler)
    server.upstream = urllib.parse.urlsplit("//" + upstream).netloc
    server.lock = threading.Lock()
    server.log = os.path.join(where, "requests")
    server.faults = Faults(os.path.join(where, "faults"))
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
