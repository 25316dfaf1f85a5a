# SPDX-License-Identifier: GPL-2.0-or-later
"""What an assigned device costs, beside QEMU, in the lab, whose clock counts instructions: another
device at the start and at the end of a process, and an access to its registers.

The parts: measure(), called by tests/bench/run, and, run in the lab by it, inside()."""

import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
QEMU = "qemu-system-x86_64"
RAM = "/run/bench"  # in the lab
ROUNDS = 5


def build_guest(work):
    """barload.elf: 32-bit code in the 64-bit ELF that a loader takes."""
    subprocess.run(["cc", "-m32", "-Os", "-ffreestanding", "-fno-pie", "-fno-stack-protector",
                    "-fno-asynchronous-unwind-tables", "-nostdlib", "-static", "-no-pie",
                    "-Wl,-N,-e,entry,-Ttext=0x100000,--section-start=.note.Xen=0x110000,--build-id=none",
                    "-o", f"{work}/barload32.elf", f"{HERE}/barload.c"], check=True)
    subprocess.run(["objcopy", "-O", "elf64-x86-64", f"{work}/barload32.elf", f"{work}/barload.elf"],
                   check=True)


def ours(vmm, kernel, devices):
    cmd = [vmm, "--kernel", kernel, "--memory", "128", "--serial", "stdio", "--device",
           "debug-exit,port=0x501"]
    for bdf in devices:
        cmd += ["--assign", bdf]
    return cmd


def theirs(bios, devices):
    cmd = [f"{RAM}/{QEMU}", "-L", RAM, "-accel", "kvm", "-M", "q35", "-m", "128", "-smp", "1", "-nodefaults", "-display", "none",
           "-serial", "stdio", "-bios", bios, "-no-reboot", "-device", "isa-debug-exit,iobase=0x501,iosize=1"]
    for bdf in devices:
        cmd += ["-device", f"vfio-pci,host={bdf}"]
    return cmd


def once(cmd):
    """Milliseconds to the guest's first byte, and to the end of the process."""
    before = time.monotonic_ns()
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=os.environ | {"LD_LIBRARY_PATH": RAM})
    said = os.read(p.stdout.fileno(), 1)
    first = (time.monotonic_ns() - before) / 1e6
    err = p.communicate(timeout=120)[1]
    end = (time.monotonic_ns() - before) / 1e6
    if p.returncode != (1 if "-accel" in cmd else 0) or said != b"!":
        sys.exit(f"{' '.join(cmd)}: exit status {p.returncode}, guest said {said!r}: {err.decode()[-500:]}")
    return first, end


def to_ram(files):
    """Both programs with all they read: while the lab waits for its host, its clock runs on."""
    os.makedirs(RAM)
    qemu = shutil.which(QEMU)
    libraries = subprocess.run(["ldd", qemu, files[0]], check=True, capture_output=True, text=True).stdout
    libraries = {word for word in libraries.split() if word.startswith("/") and ":" not in word}
    roms = "/usr/share/seabios", "/usr/share/qemu"
    files += [qemu, *libraries, *(f"{d}/kvmvapic.bin" for d in roms if os.path.exists(f"{d}/kvmvapic.bin"))]
    for name in files:
        shutil.copy(name, RAM)


def mmio_exits():
    with open("/sys/kernel/debug/kvm/mmio_exits", encoding="ascii") as f:
        return int(f.read())


def count_exits(cmd):
    """Exits to user space for memory accesses between the guest's "begin" and its "end"."""
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    before = n = None
    for line in p.stdout:
        if line.strip() == "begin":
            before = mmio_exits()
        elif line.strip() == "end":
            n = mmio_exits() - before
    if p.wait(timeout=60) != 0 or n is None:
        sys.exit(f"{' '.join(cmd)}: exit status {p.returncode}: {p.stderr.read()[-500:]}")
    return n


def inside(work, vmm, bind):
    devices = [os.environ["LAB_NIC"], os.environ["LAB_NVME"]]
    to_ram([vmm, *(f"{work}/{name}" for name in ("exit.elf", "exit.bin", "barload.elf"))])
    vmm, work = f"{RAM}/vfio-vmm", RAM
    if not os.path.ismount("/sys/kernel/debug"):
        subprocess.run(["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"], check=True)
    for bdf in devices:
        subprocess.run([bind, bdf], check=True, stdout=subprocess.DEVNULL)
    times = {}
    for i in range(ROUNDS + 1):  # the first warms up
        for n in range(3):
            for name, cmd in (("vfio-vmm", ours(vmm, f"{work}/exit.elf", devices[:n])),
                              ("qemu q35", theirs(f"{work}/exit.bin", devices[:n]))):
                sample = once(cmd)
                if i:
                    times.setdefault(name, {}).setdefault(n, []).append(sample)
    nic = devices[:1]
    exits = {"mapped": count_exits(ours(vmm, f"{work}/barload.elf", nic)),
             "trapped": count_exits(ours(vmm, f"{work}/barload.elf", [nic[0] + ",bar0=trap"]))}
    print("FIGURES " + json.dumps({"times": times, "exits": exits}))


def measure(build, work):
    build_guest(work)
    out = subprocess.run([f"{ROOT}/tools/vfio-lab", "--icount", "--timeout", "1500", "--", "python3",
                          f"{HERE}/device.py", work, f"{build}/tools/vfio-vmm", f"{build}/tools/vfio-bind"],
                         check=False, capture_output=True, text=True)
    lines = [x for x in out.stdout.splitlines() if x.startswith("FIGURES ")]
    if not lines:
        raise RuntimeError(f"the lab gave no figures (exit status {out.returncode}):\n"
                           f"{out.stdout[-2000:]}{out.stderr[-1000:]}")
    figures = json.loads(lines[0][8:])
    print(f"device: 128 MiB, 1 vCPU, virtual ms in the lab (best of {ROUNDS})")
    for k, what in enumerate(("to the first guest instruction", "to the end of the process")):
        best = {name: [min(s[k] for s in t[str(n)]) for n in range(3)] for name, t in figures["times"].items()}
        print(f"  start {what}")
        for name, t in best.items():
            print(f"    {name:10} without {t[0]:8.1f}   the NIC adds {t[1] - t[0]:8.1f}"
                  f"   an NVMe disk as well {t[2] - t[1]:8.1f}")
        a, b = best["vfio-vmm"], best["qemu q35"]
        print(f"    vfio-vmm is {(a[1] - a[0]) / (b[1] - b[0]):.2f} and {(a[2] - a[1]) / (b[2] - b[1]):.2f} of it")
    print("  exits to user space of 1000000 reads of a register: "
          f"{figures['exits']['mapped']} (with bar0=trap {figures['exits']['trapped']})")


if __name__ == "__main__":
    inside(*sys.argv[1:])
