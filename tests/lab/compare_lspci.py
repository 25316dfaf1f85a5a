#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare vfio-inspect --json with lspci -D -nn -vvv of the same machine, field by field.

usage: compare_lspci.py JSON LSPCI        exit status 0: all agree

Every field both know is compared for every function; a count of what was compared is printed, so
that nothing compared can't pass for all the same.
"""
import collections
import json
import re
import sys

SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def lspci_functions(path):
    """{address: text} of each block."""
    with open(path, encoding="utf-8", errors="replace") as f:
        blocks = f.read().strip().split("\n\n")
    return {b.split(" ", 1)[0]: b for b in blocks}


def find(pattern, text, default=None):
    m = re.search(pattern, text, re.M)
    return m[1] if m else default


def from_lspci(t):
    """The fields as lspci tells them."""
    head = t.split("\n", 1)[0]
    ids = re.search(r"\[([0-9a-f]{4})\]: .*\[([0-9a-f]{4}):([0-9a-f]{4})\](?: \(rev (\w\w)\))?", head)
    f = {"class": ids[1], "vendor": ids[2], "device": ids[3], "revision": ids[4] or "00",
         "driver": find(r"Kernel driver in use: (\S+)", t),
         "group": find(r"IOMMU group: (\d+)", t),
         "numa": find(r"NUMA node: (\d+)", t),
         "pin": find(r"Interrupt: pin ([A-D])", t),
         "irq": find(r"Interrupt: .*IRQ (\d+)", t),
         "subsystem": find(r"Subsystem: .*\[([0-9a-f]{4}:[0-9a-f]{4})\]", t, "0000:0000")}
    f["bars"] = sorted(
        (int(n), kind == "I/O ports", "64-bit" in flags, "non-prefetchable" not in flags and "prefetchable" in flags,
         int(size) * SIZES[unit], int(at, 16))
        for n, kind, at, flags, size, unit in re.findall(
            r"Region (\d): (Memory|I/O ports) at ([0-9a-f]+)(?: \(([^)]*)\))?.*\[size=(\d+)([KMGT]?)\]", t))
    rom = re.search(r"Expansion ROM at ([0-9a-f]+).*\[size=(\d+)([KMGT]?)\]", t)
    f["rom"] = int(rom[2]) * SIZES[rom[3]] if rom else None
    caps = re.findall(r"^\tCapabilities: \[([0-9a-f]+)(?: v(\d+))?\] ", t, re.M)
    f["caps"] = [(int(o, 16), int(v or 0)) for o, v in caps]
    msi = re.search(r"MSI: Enable([+-]) Count=\d+/(\d+) Maskable([+-]) 64bit([+-])", t)
    f["msi"] = msi.groups() if msi else None
    msix = re.search(r"MSI-X: Enable([+-]) Count=(\d+) Masked[+-]\s+Vector table: BAR=(\d) offset=(\w+)"
                     r"\s+PBA: BAR=(\d) offset=(\w+)", t)
    f["msix"] = (msix[1], int(msix[2]), int(msix[3]), int(msix[4], 16), int(msix[5]), int(msix[6], 16)) if msix else None
    link = re.search(r"LnkSta:\s+Speed ([\d.]+)GT/s.*Width x(\d+)", t)
    f["link"] = (int(float(link[1]) * 1000), int(link[2])) if link and int(link[2]) else None
    f["flr"] = find(r"(FLReset[+-])", t)
    f["nosoftrst"] = find(r"(NoSoftRst[+-])", t)
    f["acs"] = find(r"ACSCtl:\s+(.*)", t)
    f["bridge"] = find(r"Bus: primary=\w\w, secondary=(\w\w, subordinate=\w\w)", t)
    return f


def cap_line(f, name, pattern):
    for c in f["capabilities"]:
        if c["name"] == name:
            return find(pattern, "\n".join(c["details"]))
    return None


def sign(on):
    return "+" if on else "-"


def from_inspect(f):
    """The same out of the JSON."""
    num = lambda x: None if x is None else str(x)  # noqa: E731
    irq = f["interrupts"]
    msi, msix = irq["msi"], irq["msix"]
    g = {"class": f["class"][2:6], "vendor": f["vendor"][2:], "device": f["device"][2:],
         "revision": f["revision"][2:], "driver": f["driver"], "group": num(f["group"]),
         "numa": num(f["numa_node"]), "pin": irq["intx"],
         "irq": num(irq["irq"]) if irq["intx"] else None,
         "subsystem": f["subsystem_vendor"][2:] + ":" + f["subsystem_device"][2:]}
    g["bars"] = sorted(
        (int(b["name"][3]), b["kind"] == "io", b["kind"] == "memory-64", b["prefetchable"], b["size"],
         int(b["address"], 16))
        for b in f["bars"] if b["name"].startswith("bar") and b["address"])
    g["rom"] = next((b["size"] for b in f["bars"] if b["name"] == "rom"), None)
    g["caps"] = [(int(c["offset"], 16), c["version"] if c["extended"] else 0) for c in f["capabilities"]]
    g["msi"] = (sign(msi["enabled"]), str(msi["vectors"]), sign(msi["per_vector_mask"]),
                sign(msi["address_64"])) if msi else None
    g["msix"] = (sign(msix["enabled"]), msix["vectors"], msix["table_bar"], int(msix["table_offset"], 16),
                 msix["pba_bar"], int(msix["pba_offset"], 16)) if msix else None
    g["link"] = (f["link"]["mts"], f["link"]["width"]) if f["link"] else None
    g["flr"] = cap_line(f, "PCI Express", r"(FLReset[+-])")
    g["nosoftrst"] = cap_line(f, "Power Management", r"(NoSoftRst[+-])")
    g["acs"] = cap_line(f, "Access Control Services", r"^on: (.*)")
    b = f["bridge"]
    g["bridge"] = f"{b['first_bus']:02x}, subordinate={b['last_bus']:02x}" if b else None
    return g


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        ours = {f["address"]: f for f in json.load(f)["functions"]}
    theirs = lspci_functions(sys.argv[2])
    bad, known = 0, collections.Counter()
    if sorted(ours) != sorted(theirs):
        print("functions differ:", sorted(ours), sorted(theirs))
        bad += 1
    for at in sorted(set(ours) & set(theirs)):
        a, b = from_inspect(ours[at]), from_lspci(theirs[at])
        if a["flr"] is None:  # lspci prints it for ports as well
            b["flr"] = None
        if b["subsystem"] == "0000:0000":  # lspci knows a bridge's from its capability
            a["subsystem"] = b["subsystem"]
        for k, want in b.items():
            if a[k] != want:
                bad += 1
                print(f"{at} {k}: vfio-inspect {a[k]}, lspci {want}")
            elif want not in (None, []):
                known[k] += 1
    missing = [k for k in from_lspci(next(iter(theirs.values()))) if not known[k]]
    print(f"{len(ours)} functions, {sum(known.values())} fields agree, {bad} differ;",
          " ".join(f"{k}:{n}" for k, n in sorted(known.items())))
    if missing:
        print("never seen:", *missing)
    return 1 if bad or sum(known.values()) < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
