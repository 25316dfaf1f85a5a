#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of a guest's network: vnet_peer.py MIB...

For each MIB sends that much to who connects to port 5001 and, at the same time, takes what comes at
5002; prints the bytes, the CRC-32 and the seconds of either. 5002 greets with one byte: passt of 2023
resets a connection of the guest's after 24 seconds if nothing ever came from its other end."""

import random
import socket
import sys
import threading
import time
import zlib


def listen(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port))
    s.listen(1)
    return s


def send(s, mib, result):
    block = random.Random(1).randbytes(1 << 20)
    crc = 0
    for i in range(mib):
        data = i.to_bytes(8, "big") + block[8:]
        crc = zlib.crc32(data, crc)
        s.sendall(data)
    s.close()
    result.append(f"{mib << 20} {crc:08x}")


def main():
    out, back = listen(5001), listen(5002)
    for mib in map(int, sys.argv[1:]):
        total, crc, sent = 0, 0, []
        sender = threading.Thread(target=send, args=(out.accept()[0], mib, sent))
        sender.start()
        start = time.monotonic()
        with back.accept()[0] as s:
            s.sendall(b"!")
            while data := s.recv(1 << 20):
                crc = zlib.crc32(data, crc)
                total += len(data)
        sender.join()
        print("sent", *sent)
        print(f"got {total} {crc:08x} in {time.monotonic() - start:.1f} s", flush=True)


main()
