# SPDX-License-Identifier: GPL-2.0-or-later
# The other end of a guest that runs guests/console: console.py WHAT DIRECTORY VMM-PID PTY ROUNDS.
# WHAT is "bytes" (consoles and ports) or "memory" (balloon), each after the rounds. A line for each
# thing seen; an exception is a failure.
import hashlib
import json
import os
import select
import socket
import sys
import time

what, work, pid, pty, rounds = sys.argv[1:]
MIB = 1 << 20


def connect(name):
    for _ in range(600):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(f"{work}/{name}")
            return s
        except OSError:
            s.close()
            time.sleep(0.1)
    raise SystemExit(f"nobody listens at {name}")


def control(command, **arguments):
    with connect("control") as s:
        s.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        return json.loads(s.makefile().readline())


def ask(*words):
    cmd.sendall((" ".join(str(w) for w in words) + "\n").encode())
    return lines.readline().strip()


def there_and_back(name, end_of_ours, size):
    """`size` random bytes to the guest and back; it says their checksum."""
    fd = end_of_ours.fileno()
    data = os.urandom(size)
    cmd.sendall(f"{name} {size}\n".encode())
    os.set_blocking(fd, False)
    sent, back = 0, b""
    end = time.time() + 40
    while len(back) < size and time.time() < end:
        out = [fd] if sent < size else []
        readable, writable, _ = select.select([fd], out, [], 1)
        if writable:
            sent += os.write(fd, data[sent:sent + 4096])
        if readable:
            back += os.read(fd, 65536)
    right = back == data and lines.readline().strip() == hashlib.sha256(data).hexdigest()
    print(f"{name}: {sent} bytes, back {len(back)} bytes {'as they were' if right else 'WRONG'}",
          flush=True)
    if not right:
        raise SystemExit("the guest waits for the rest")


def pss():
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(x.split()[1]) for x in f if x.startswith("Pss:")) >> 10


def free():
    return int(ask("free")) >> 10


def until(seconds, fine):
    end = time.time() + seconds
    while not fine() and time.time() < end:
        time.sleep(0.5)
    return fine()


def use_and_drop(mib):
    assert int(ask("use", mib)) == mib * MIB
    used = pss()
    assert ask("drop") == "dropped"
    return used


def bytes_():
    there_and_back("hvc0", connect("con"), 60000)
    there_and_back("p.sock", connect("sock"), MIB)
    with open(os.open(pty, os.O_RDWR | os.O_NOCTTY), "r+b", buffering=0) as p:
        there_and_back("p.pty", p, MIB)
    console = next(d["id"] for d in control("status")["return"]["devices"]
                   if d["type"] == "virtio-console")
    print("ports:", control("query-device", id=console)["return"]["about"], flush=True)
    used = use_and_drop(100)
    given = until(30, lambda: pss() < used - 50)
    print(f"free pages: {used} MiB, then {pss()}: {'given back' if given else 'KEPT'}", flush=True)


def memory():
    before = use_and_drop(100)
    had = free()
    print("taken:", control("balloon", size="160M"), flush=True)
    taken = until(60, lambda: control("query-balloon")["return"]["actual"] == 160 * MIB)
    print(f"inflated {taken}: free {had} MiB, then {free()}; host {before}, then {pss()}: "
          f"{'less' if free() < had - 70 and pss() < before - 40 else 'NOT LESS'}", flush=True)
    until(10, lambda: "stats" in control("query-balloon")["return"])
    stats = control("query-balloon")["return"].get("stats", {})
    print(f"statistics: {sorted(stats)}", flush=True)
    print("given:", control("balloon", size=256 * MIB), flush=True)
    given = until(60, lambda: control("query-balloon")["return"]["actual"] == 256 * MIB)
    print(f"deflated {given}: {'again' if free() > had - 20 else 'NOT AGAIN'}", flush=True)
    use_and_drop(100)
    print("refused:", control("balloon", size="1T")["error"]["desc"], flush=True)


cmd = connect("cmd")
cmd.settimeout(60)
lines = cmd.makefile()
for i in range(1, int(rounds) + 1):
    assert lines.readline().strip() == f"round {i}"
    cmd.sendall(f"answer {i}\n".encode())
print("rounds:", rounds, flush=True)
assert lines.readline().strip() == "ready"
memory() if what == "memory" else bytes_()
cmd.sendall(b"end\n")
