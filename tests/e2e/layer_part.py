#!/usr/bin/env python3
"""Send UploadLayerPart over a socket, and not always to its end.

usage: layer_part.py [OPTION...] URL REPOSITORY UPLOAD-ID FIRST-BYTE FILE

  --break        close the connection in the middle of the body
  --reset        the same, with a reset
  --hold GATE    in the middle of the body, make the file GATE and wait for the
                 server to go away
  --other        send other bytes than those that were signed, as many
  --answer FILE  where the answer's body goes

The part is the content of FILE; the key is that of sign.py.  Prints the status
of the answer, or "none".
"""

import argparse
import base64
import json
import os
import socket
import struct
import sys

import sign

TARGET = "AmazonEC2ContainerRegistry_V20150921.UploadLayerPart"


def parse_args():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--break", action="store_true", dest="break_")
    p.add_argument("--reset", action="store_true")
    p.add_argument("--hold")
    p.add_argument("--other", action="store_true")
    p.add_argument("--answer", default=os.devnull)
    p.add_argument("url")
    p.add_argument("repository")
    p.add_argument("upload")
    p.add_argument("first", type=int)
    p.add_argument("file")
    return p.parse_args()


def body_of(args):
    with open(args.file, "rb") as f:
        content = f.read()
    return json.dumps({
        "repositoryName": args.repository, "uploadId": args.upload,
        "partFirstByte": args.first,
        "partLastByte": args.first + len(content) - 1,
        "layerPartBlob": base64.b64encode(content).decode()}).encode()


def signed(args, body):
    """The request's head; sign.py takes no body of this size from a shell."""
    sys.argv[1:] = ["--target", TARGET, args.url]
    request = sign.Request(sign.parse_args())
    request.body = body
    request.sign()
    lines = ["POST %s HTTP/1.1" % request.target()]
    lines += ["%s: %s" % h for h in request.headers.items()]
    lines += ["Content-Length: %d" % len(body), "Connection: close"]
    return request.address, ("\r\n".join(lines) + "\r\n\r\n").encode()


def tampered(body):
    """In the middle of the blob, still base64."""
    at = len(body) // 2
    other = b"A" if body[at:at + 1] != b"A" else b"B"
    return body[:at] + other + body[at + 1:]


def read_all(sock):
    data = b""
    try:
        while True:
            got = sock.recv(1 << 16)
            if not got:
                break
            data += got
    except ConnectionResetError:
        pass
    return data


def send(sock, data):
    """What the server does not want to hear it has answered before."""
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def answer_of(sock, file):
    head, _, body = read_all(sock).partition(b"\r\n\r\n")
    with open(file, "wb") as f:
        f.write(body)
    return head.split()[1].decode() if head else "none"


def main():
    args = parse_args()
    body = body_of(args)
    address, head = signed(args, body)
    if args.other:
        body = tampered(body)
    host, port = address.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout=60)
    if args.break_ or args.reset or args.hold:
        sock.sendall(head + body[:len(body) // 2])
        if args.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        if args.hold:
            with open(args.hold, "w"):
                pass
            read_all(sock)
        print("none")
    else:
        send(sock, head + body)
        print(answer_of(sock, args.answer))
    sock.close()


if __name__ == "__main__":
    main()
