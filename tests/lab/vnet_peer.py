#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of a guest's network: vnet_peer.py ADDRESS MIB ROUNDS.

Each round sends MIB of data to who connects to port 5001, then takes what comes at 5002; prints the
bytes and the SHA-256 of either."""

import hashlib
import socket
import sys
import time


def listen(address, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(1)
    return s


def main():
    address, mib, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    out, back = listen(address, 5001), listen(address, 5002)
    block = bytes(i * 7 + i // 251 & 0xff for i in range(1 << 20))
    for _ in range(rounds):
        total, digest = 0, hashlib.sha256()
        with out.accept()[0] as s:
            start = time.monotonic()
            for i in range(mib):
                data = i.to_bytes(8, "big") + block[8:]
                digest.update(data)
                s.sendall(data)
                total += len(data)
        print(f"sent {total} {digest.hexdigest()} in {time.monotonic() - start:.1f} s", flush=True)
        total, digest = 0, hashlib.sha256()
        with back.accept()[0] as s:
            start = time.monotonic()
            while data := s.recv(1 << 20):
                digest.update(data)
                total += len(data)
        print(f"got {total} {digest.hexdigest()} in {time.monotonic() - start:.1f} s", flush=True)


main()
