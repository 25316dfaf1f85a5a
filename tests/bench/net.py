# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtio network card on a TAP interface beside QEMU's, with and without vhost, in the lab, whose
clock counts instructions: TCP streams out of the guest and into it, small packets out, and there and
back, and exits to user space meanwhile.

The parts: measure(), called by tests/bench/run, and, run in the lab by it, inside()."""

import json
import os
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
QEMU = "qemu-system-x86_64"
ROUNDS = 2
# Virtual seconds, at least twice what it takes: to boot or to power off, and for a load. A guest that
# hangs exits all the time, and its seconds last long.
LIMITS = (30, 1.5)
# MiB, or packets.
LOADS = {"out": 24, "in": 24, "packets": 6000, "trips": 600}

GUEST = f"""#!/bin/sh
ip addr add 192.168.77.2/24 dev eth0
ip link set eth0 up
netload 192.168.77.1 trips 20 >/dev/null || exit 1 # and the addresses are known
for load in {" ".join(f"'{name} {n}'" for name, n in LOADS.items())}; do
	echo "load begins"
	sleep 0.2
	# shellcheck disable=SC2086
	netload 192.168.77.1 $load || exit 1
	echo "load ends"
	sleep 0.2
done
"""


def mmio_exits():
    """Those for memory accesses that went to user space, of all guests ever."""
    with open("/sys/kernel/debug/kvm/mmio_exits", encoding="ascii") as f:
        return int(f.read())


def run_guest(cmd):
    """{load: [rate, exits]}, what it said, and how it ended (negative: it hung)."""
    figures, said, rate, before = {}, [], None, 0
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, errors="replace")
    limit = threading.Timer(LIMITS[0], p.kill)
    limit.start()
    for line in p.stdout:
        said.append(line.rstrip())
        word = line.split()
        if word == ["load", "begins"]:
            before = mmio_exits()
        elif word[:1] == ["figure"]:
            rate = word[1:]
        elif word == ["load", "ends"]:
            figures[rate[0]] = [float(rate[1]), mmio_exits() - before]
        if word[:1] == ["load"]:
            limit.cancel()
            limit = threading.Timer(LIMITS[word[1:2] == ["begins"]], p.kill)
            limit.start()
    status = p.wait()
    limit.cancel()
    return figures, said, status


def once(cmd):
    """The figures of a guest's run. An emulated processor hangs now and then in a guest, ours or
    QEMU's: that is tried again, and told."""
    for _ in range(3):
        figures, said, status = run_guest(cmd)
        if status >= 0:
            break
        print(f"HUNG {cmd[0]} after {', '.join(figures) or 'no load'}", flush=True)
    if status != 0 or list(figures) != list(LOADS):
        sys.exit(f"{' '.join(cmd)}: exit status {status}:\n" + "\n".join(said[-30:]))
    return figures


def inside(work, vmm, kernel):
    """Prints {program: {"", "with vhost": [once(), ...]}}."""
    os.makedirs("/run/b")
    os.chdir("/run/b")
    for path in (vmm, kernel, f"{work}/net.cpio", f"{work}/netload"):
        subprocess.run(["cp", path, "."], check=True)
    for cmd in ("modprobe tun", "modprobe vhost_net", "ip tuntap add tap0 mode tap",
                "ip addr add 192.168.77.1/24 dev tap0", "ip link set tap0 up"):
        subprocess.run(cmd.split(), check=True)
    if not os.path.ismount("/sys/kernel/debug"):
        subprocess.run(["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"], check=True)
    boot = ["--kernel", os.path.basename(kernel), "--initrd", "net.cpio"]
    args = "console=ttyS0 quiet mitigations=off panic=-1"
    ours = ["./vfio-vmm", *boot, "--memory", "256", "--cmdline", args, "--net", "tap=tap0{}"]
    theirs = [QEMU, "-accel", "kvm", "-M", "q35", "-cpu", "host", "-m", "256", "-nodefaults", "-display", "none",
              "-serial", "stdio", *(x.replace("--", "-") for x in boot), "-append", args,
              "-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no{}",
              "-device", "virtio-net-pci,netdev=n,romfile="]
    figures = {}
    with subprocess.Popen(["./netload", "peer"]) as peer:
        for _ in range(ROUNDS):
            for kind, prop in (("", ""), ("with vhost", ",vhost=on")):
                for name, cmd in (("vfio-vmm", ours), ("qemu", theirs)):
                    f = once([x.replace("{}", prop) for x in cmd])
                    figures.setdefault(kind, {}).setdefault(name, []).append(f)
        peer.terminate()
    print("FIGURES " + json.dumps(figures))


def measure(build, work):
    with open(f"{work}/net", "w", encoding="ascii") as f:
        f.write(GUEST)
    os.chmod(f"{work}/net", 0o755)
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-static", f"{HERE}/netload.c", "-o", f"{work}/netload"],
                   check=True)
    lab = f"{ROOT}/tools/vfio-lab"
    kernel = subprocess.run([lab, "--print-kernel"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([f"{ROOT}/tools/lab/mkguest", "--module", "virtio_pci,virtio_net", "--script", f"{work}/net",
                    "--file", f"{work}/netload", f"{work}/net.cpio"], check=True)
    out = subprocess.run([lab, "--icount", "--timeout", "1500", "--", "python3", f"{HERE}/net.py", work,
                          f"{build}/tools/vfio-vmm", kernel], check=False, capture_output=True, text=True)
    lines = [x for x in out.stdout.splitlines() if x.startswith("FIGURES ")]
    if not lines:
        raise RuntimeError(f"the lab gave no figures (exit status {out.returncode}):\n"
                           f"{out.stdout[-2000:]}{out.stderr[-1000:]}")
    print(f"net: MiB (out, in) or packets (packets, trips) a virtual second in the lab (best of {ROUNDS})")
    for line in out.stdout.splitlines():
        if line.startswith("HUNG "):
            print(f"  tried again: {line[5:]}")
    for kind, who in json.loads(lines[0][8:]).items():
        for load in LOADS:
            ours, theirs = (max(f[load][0] for f in who[name]) for name in ("vfio-vmm", "qemu"))
            unit = 1 << 20 if load in ("out", "in") else 1
            print(f"  {load + ' ' + kind:20} vfio-vmm {ours / unit:8.0f}   qemu {theirs / unit:8.0f}   "
                  f"vfio-vmm is {ours / theirs:.2f} of it")
        for name, rounds in who.items():
            exits = ", ".join(f"{load} {min(f[load][1] for f in rounds)}" for load in LOADS)
            print(f"    user-space exits for memory-mapped I/O in a load, {name}: {exits}")


if __name__ == "__main__":
    inside(*sys.argv[1:])
