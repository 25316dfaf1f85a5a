#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end for test_vmm_vsock.sh: vsock_peer.py vhost CID | mux PATH, ROUNDS, BYTES.

Echoes what the guest sends to port 1234; connects to the guest's port 5000 once a round, has it echo
and compares. With mux it speaks to UNIX sockets."""

import socket
import sys
import threading
import time

kind, where, rounds, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
PATTERN = bytes((i * 7 >> 2) & 0xFF for i in range(size))


def say(words):
    print("host:", words, flush=True)


def echo(s):
    total = 0
    try:
        while data := s.recv(65536):
            total += len(data)
            s.sendall(data)
        say(f"echoed {total}")
    except OSError as e:
        say(f"echo of {total} ended by {e.strerror}")
    s.close()


def serve():
    if kind == "vhost":
        s = socket.socket(socket.AF_VSOCK)
        s.bind((socket.VMADDR_CID_ANY, 1234))
    else:
        s = socket.socket(socket.AF_UNIX)
        s.bind(where + "_1234")
    s.listen(8)
    while True:
        threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()


def connect():
    """The guest's port 5000, or OSError: nobody listens yet."""
    if kind == "vhost":
        s = socket.socket(socket.AF_VSOCK)
        s.settimeout(20)
        s.connect((int(where), 5000))
        return s
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(where)
    s.sendall(b"CONNECT 5000\n")
    answer = b""
    while not answer.endswith(b"\n"):
        c = s.recv(1)
        if not c:
            raise OSError("refused")
        answer += c
    if not answer.startswith(b"OK "):
        raise OSError(answer)
    return s


def exchange():
    """What the guest sends back; nothing from a listener that ended before it took us."""
    s = connect()

    def send():
        try:
            s.sendall(PATTERN)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    threading.Thread(target=send, daemon=True).start()
    got = b""
    try:
        while data := s.recv(65536):
            got += data
    except OSError as e:
        if got:
            say(f"reset by the guest: {e.strerror}")
    s.close()
    return got


def talk():
    deadline = time.monotonic() + 60
    got = b""
    while not got and time.monotonic() < deadline:
        try:
            got = exchange()
        except OSError:
            pass
        if not got:
            time.sleep(0.3)
    say(f"talked {len(got)} {'right' if got == PATTERN else 'wrong'}")


threading.Thread(target=serve, daemon=True).start()
for _ in range(rounds + 1):
    talk()
while True:  # the guest's connections; until it is killed
    time.sleep(60)
