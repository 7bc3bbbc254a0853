#!/usr/bin/env python3
"""Run a command on a terminal of its own, which one line is typed into.

usage: terminal.py COMMAND [ARGUMENT...] < LINE

What it writes is written here; the exit status is the command's.
"""

import os
import pty
import sys


def main():
    line = sys.stdin.buffer.readline()
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    os.write(fd, line)
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not piece:
            break
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
