#!/usr/bin/env python3
"""Send bytes to an HTTP server as they are and print what comes back.

usage: raw.py [OPTION...] HOST:PORT < bytes

  --escapes        input has \\r \\n \\0 \\xNN escapes; other newlines are dropped
  --wait SECONDS   give up waiting for an answer or a close (default 60)
  --quiet SECONDS  once --answers have come, no byte for this long ends reading
                   (default: only a close or --wait does)
  --answers N      so many answers are waited for (default 1)
  --pause SECONDS  between the pieces of the input, which "|||" separates
  --await          instead of a pause: a piece is sent when something has come
                   in answer to the one before
  --gate FILE      the last piece is sent once this file exists
  --heard FILE     also write to this file what comes, as it comes
  --each SECONDS   send byte by byte with this pause
  --half-close     shut down the sending side after the input
  --stop           do not read the rest once the first answer is complete
  --heads N,...    which answers, from 0, are to HEAD and have no body
  --summary        instead of the bytes print one line per answer,
                   "STATUS BODY-LENGTH", and then "closed" or "open"
  --time           end with the seconds from before the connection until its
                   close

The last line is "closed", "reset" or "open": what the server had done to the
connection by the end.
"""

import argparse
import os
import re
import select
import socket
import sys
import time


def connect(host):
    if host.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.connect(host[len("unix:"):])
        return s
    name, port = host.rsplit(":", 1)
    s = socket.create_connection((name.strip("[]"), int(port)), 60)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def unescape(data):
    data = data.replace(b"\r", b"").replace(b"\n", b"")
    table = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}

    def one(match):
        code = match.group(1)
        if code[:1] == b"x":
            return bytes([int(code[1:], 16)])
        return table[code]
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt0\\])", one, data)


def split_answers(data, heads):
    """(status, body length, complete) of each answer in data; heads says
    which of them answer HEAD and have no body."""
    answers = []
    while data:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            break
        head, rest = data[:end].decode("latin-1"), data[end + 4:]
        status = int(head.split(" ", 2)[1])
        fields = {}
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        if status < 200 or status in (204, 304):
            size, used = 0, 0
        elif len(answers) in heads:
            size, used = 0, 0
        elif fields.get("transfer-encoding") == "chunked":
            size, used = unchunk(rest)
        else:
            size = used = int(fields.get("content-length", len(rest)))
        answers.append((status, size))
        data = rest[used:]
    return answers


def unchunk(data):
    size = used = 0
    while True:
        end = data.find(b"\r\n", used)
        if end < 0:
            return size, len(data)
        n = int(data[used:end].split(b";")[0], 16)
        used = end + 2 + n + 2
        if n == 0:
            return size, used
        size += n


class Talk:
    def __init__(self, args):
        self.start = time.monotonic()
        self.sock, self.args = connect(args.host), args
        self.heads = {int(h) for h in args.heads.split(",") if h}
        self.data = bytearray()
        self.end = "open"

    def came(self):
        if self.args.heard:
            with open(self.args.heard, "wb") as f:
                f.write(self.data)

    def is_answered(self):
        return len(split_answers(bytes(self.data),
                                 self.heads)) >= self.args.answers

    def read(self, seconds, until_byte=False):
        """Take what comes for at most these seconds; False at the end."""
        until = time.monotonic() + seconds
        while self.end == "open":
            left = until - time.monotonic()
            ready, _, _ = select.select([self.sock], [], [], max(left, 0))
            if not ready:
                return True
            try:
                got = self.sock.recv(1 << 16)
            except ConnectionResetError:
                self.end = "reset"
                break
            if not got:
                self.end = "closed"
                break
            self.data += got
            self.came()
            if until_byte:
                return True
            if self.args.stop and split_answers(bytes(self.data), ()):
                return False
        return False

    def read_rest(self):
        """After the last piece."""
        until = time.monotonic() + self.args.wait
        while not self.args.quiet or not self.is_answered():
            left = until - time.monotonic()
            if left <= 0 or not self.read(left, bool(self.args.quiet)):
                return
        n = -1
        while n != len(self.data):
            n = len(self.data)
            if not self.read(self.args.quiet, True):
                return

    def between(self):
        """Before the next piece; False at the end."""
        if self.args.await_:
            return self.read(self.args.wait, True)
        return not self.args.pause or self.read(self.args.pause)

    def wait_for_gate(self):
        until = time.monotonic() + self.args.wait
        while not os.path.exists(self.args.gate) and \
                time.monotonic() < until:
            if not self.read(0.05):
                return False
        return True

    def send(self, piece):
        view = memoryview(piece)
        while view:
            try:
                n = self.sock.send(view[:1 << 16])
            except (BrokenPipeError, ConnectionResetError):
                return False
            except BlockingIOError:
                select.select([], [self.sock], [], 1)
                continue
            view = view[n:]
        return True


def main():
    p = argparse.ArgumentParser(
        usage=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--escapes", action="store_true")
    p.add_argument("--wait", type=float, default=60)
    p.add_argument("--answers", type=int, default=1)
    p.add_argument("--await", action="store_true", dest="await_")
    p.add_argument("--gate", default="")
    p.add_argument("--heard", default="")
    p.add_argument("--quiet", type=float, default=0)
    p.add_argument("--pause", type=float, default=0)
    p.add_argument("--each", type=float, default=0)
    p.add_argument("--half-close", action="store_true")
    p.add_argument("--stop", action="store_true")
    p.add_argument("--summary", action="store_true")
    p.add_argument("--heads", default="")
    p.add_argument("--time", action="store_true")
    p.add_argument("host")
    args = p.parse_args()

    data = sys.stdin.buffer.read()
    if args.escapes:
        data = unescape(data)
    if args.each:
        pieces, args.pause = [bytes([b]) for b in data], args.each
    else:
        pieces = data.split(b"|||")

    talk = Talk(args)
    for i, piece in enumerate(pieces):
        if i and not talk.between():
            break
        if args.gate and i == len(pieces) - 1 and not talk.wait_for_gate():
            break
        if not talk.send(piece):
            break
    if args.half_close:
        talk.sock.shutdown(socket.SHUT_WR)
    talk.read_rest()

    show(talk, args)


def show(talk, args):
    if args.summary:
        for status, size in split_answers(bytes(talk.data), talk.heads):
            print(status, size)
    else:
        sys.stdout.buffer.write(bytes(talk.data))
        if talk.data and not talk.data.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()
    print(talk.end)
    if args.time:
        print("%.1f" % (time.monotonic() - talk.start))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        # Whoever reads has seen enough.
        os._exit(0)
