#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends back what it gets: on TCP port 5000 of an address, on port 5000 of the host's virtual sockets,
and to whoever is at the other end of a console port's UNIX socket, once that is there.

usage: echo_peer.py ADDRESS UNIX-SOCKET
"""

import socket
import sys
import threading
import time


def echo(conn):
    try:
        while data := conn.recv(65536):
            conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
    except OSError:  # a guest that reboots says no goodbye
        pass
    conn.close()


def serve(listener):
    listener.listen()
    while True:
        threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()


def console(path):
    while True:
        try:
            conn = socket.socket(socket.AF_UNIX)
            conn.connect(path)
            echo(conn)
        except OSError:
            conn.close()
        time.sleep(0.2)


def main():
    tcp = socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((sys.argv[1], 5000))
    vsock = socket.socket(socket.AF_VSOCK)
    vsock.bind((socket.VMADDR_CID_ANY, 5000))
    for target, arg in ((serve, tcp), (serve, vsock), (console, sys.argv[2])):
        threading.Thread(target=target, args=(arg,), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
