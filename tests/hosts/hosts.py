#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The zoo of host trees: NAME.host describes a machine, NAME.out is what vfio-inspect says of it.

    hosts.py make NAME.host DIR         lay the machine out as a sysfs tree below DIR
    hosts.py test [NAME...]             compare with the golden outputs, validate the JSON
    hosts.py update [NAME...]           write the golden outputs anew
    hosts.py validate FILE.json         hold a document against the schema

VV_BUILD is the build directory. docs/testing.md describes the format of NAME.host.
"""
import difflib
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
SRC = os.path.dirname(os.path.dirname(HERE))

VENDORS = {0x8086: "Intel Corporation", 0x1022: "AMD", 0x1002: "AMD/ATI", 0x10de: "NVIDIA Corporation",
           0x144d: "Samsung Electronics", 0x15b3: "Mellanox Technologies", 0x14e4: "Broadcom Inc.",
           0x10b5: "PLX Technology", 0x1912: "Renesas Technology Corp.", 0x10ec: "Realtek",
           0x1b36: "Red Hat, Inc.", 0x1af4: "Red Hat, Inc.", 0x1234: "Technical Corp.",
           0x1b21: "ASMedia Technology Inc.", 0x11f8: "PMC-Sierra Inc.", 0x19e5: "Huawei Technologies",
           0x177d: "Cavium, Inc.", 0x1a03: "ASPEED Technology, Inc.", 0x1000: "Broadcom / LSI"}
CLASSES = {0x0100: "SCSI storage controller", 0x0104: "RAID bus controller",
           0x0106: "SATA controller", 0x0107: "Serial Attached SCSI controller",
           0x0108: "Non-Volatile memory controller", 0x0200: "Ethernet controller",
           0x0207: "Infiniband controller", 0x0280: "Network controller",
           0x0300: "VGA compatible controller", 0x0302: "3D controller",
           0x0380: "Display controller", 0x0401: "Multimedia audio controller",
           0x0403: "Audio device", 0x0500: "RAM memory", 0x0580: "Memory controller",
           0x0600: "Host bridge", 0x0601: "ISA bridge", 0x0604: "PCI bridge",
           0x0607: "CardBus bridge", 0x0680: "Bridge", 0x0700: "Serial controller",
           0x0780: "Communication controller", 0x0880: "System peripheral",
           0x0c03: "USB controller", 0x0c05: "SMBus", 0x0d11: "Bluetooth", 0x1080: "Encryption controller",
           0x1200: "Processing accelerators", 0x1300: "Non-Essential Instrumentation"}
ACS_BITS = {"SV": 1, "TB": 2, "RR": 4, "CR": 8, "UF": 16, "EC": 32, "DT": 64}
PCIE_TYPES = {"endpoint": 0, "legacy": 1, "root-port": 4, "upstream": 5, "downstream": 6,
              "pci-bridge": 7, "rc-endpoint": 9, "rc-event": 10}
SPEEDS = {"2.5": 1, "5": 2, "8": 3, "16": 4, "32": 5, "64": 6}


class BadHost(Exception):
    """A mistake in a .host file."""


def number(text):
    """ "16G", "0x1000", "64K", "12" """
    m = re.fullmatch(r"(0x[0-9a-fA-F]+|\d+)([KMGT]?)", text)
    if not m:
        raise BadHost(f"{text} is no number")
    return int(m[1], 0) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[m[2]]


class Dev:
    """One PCI function: its attributes, and its configuration space as it is put together."""

    def __init__(self, words):
        self.bdf, ids, cls, *name = words
        self.seg, self.bus, self.slot, self.fn = (
            int(x, 16) for x in re.fullmatch(r"(\w{4}):(\w\w):(\w\w)\.(\d)", self.bdf).groups())
        self.vendor, self.device = (int(x, 16) for x in ids.split(":"))
        self.cls, self.name = int(cls, 16), " ".join(name)
        self.files, self.links = {}, {}
        self.driver = self.group = self.iommu = self.physfn = None
        self.buses = None
        self.resource = [(0, 0, 0)] * 13
        self.cfg = bytearray(4096)
        self.size = 256
        self.last, self.free, self.last_ext, self.free_ext = 0x34, 0x40, 0, 0x100
        self.poke(0, "<HH", self.vendor, self.device)
        self.poke(4, "<H", 0x0406)
        self.poke(8, "<I", self.cls << 8)
        self.files.update(power_state="D0", numa_node="-1", irq="0", local_cpulist="0-7",
                          revision="0x00", subsystem_vendor="0x0000", subsystem_device="0x0000")

    def poke(self, off, fmt, *values):
        struct.pack_into(fmt, self.cfg, off, *values)

    def add_cap(self, cap, length):
        off = self.free
        self.free += (length + 3) & ~3
        self.cfg[self.last if self.last == 0x34 else self.last + 1] = off
        self.cfg[off] = cap
        self.last = off
        self.cfg[6] |= 0x10
        return off

    def add_ecap(self, cap, length, version=1):
        off = self.free_ext
        self.free_ext += (length + 3) & ~3
        self.poke(off, "<I", cap | version << 16)
        if self.last_ext:
            head, = struct.unpack_from("<I", self.cfg, self.last_ext)
            self.poke(self.last_ext, "<I", head | off << 20)
        self.last_ext = off
        self.size = 4096
        return off

    # --- properties: one method a word of the .host file ---------------------------------------

    def do_driver(self, name):
        self.driver = None if name == "-" else name

    def do_override(self, name):
        self.files["driver_override"] = name

    def do_group(self, n):
        self.group = None if n == "-" else int(n)

    def do_iommu(self, name):
        self.iommu = name

    def do_node(self, n):
        self.files["numa_node"] = n

    def do_power(self, state):
        self.files["power_state"] = state

    def do_suspended(self):
        self.files["power/runtime_status"] = "suspended"

    def do_reset(self, *methods):
        self.files["reset_method"] = " ".join(methods)

    def do_boot_vga(self):
        self.files["boot_vga"] = "1"

    def do_rev(self, rev):
        self.files["revision"] = "0x" + rev
        self.cfg[8] = int(rev, 16)

    def do_irq(self, n, pin="A"):
        self.files["irq"] = n
        self.cfg[0x3d] = "ABCD".index(pin) + 1

    def do_file(self, name, *text):
        self.files[name] = " ".join(text)

    def do_link(self, name, target):
        self.links[name] = target

    def do_vf_of(self, pf):
        self.physfn = pf
        self.poke(0, "<I", 0xffffffff)

    def do_bus(self, buses):
        first, last = (int(x, 16) for x in buses.split("-"))
        self.buses = first, last
        self.cfg[0x0e] |= 1
        self.poke(0x18, "<BBB", self.bus, first, last)
        self.files["secondary_bus_number"], self.files["subordinate_bus_number"] = str(first), str(last)
        self.resource += [(0, 0, 0)] * 4

    def do_multi(self):
        self.cfg[0x0e] |= 0x80

    def do_bar(self, n, kind, size, at="0", *flags):
        """bar N io|mem32|mem64|rom|vf32|vf64 SIZE [ADDRESS] [pref]"""
        n, size, at, pref = int(n), number(size), number(at), "pref" in flags
        wide = kind in ("mem64", "vf64")
        low = {"io": 1, "rom": 1}.get(kind, 4 if wide else 0) | (8 if pref else 0)
        flags = {"io": 0x40101, "rom": 0x46200}.get(kind, 0x40200)
        flags |= (0x2008 if pref else 0) | (0x100004 if wide else 0)
        line = {"rom": 6, "vf32": 7 + n, "vf64": 7 + n}.get(kind, n)
        if at == 0:
            flags |= 0x20000000
        self.resource[line] = (at, at + size - 1, flags)
        if kind == "rom":
            self.poke(0x30, "<I", at & 0xfffff800)
        elif line < 6:
            self.poke(0x10 + 4 * n, "<I", (at & 0xffffffff) | low)
            if wide:
                self.poke(0x14 + 4 * n, "<I", at >> 32)

    def do_window(self, kind, first, last):
        i = {"io": 0, "mem": 1, "pref": 2}[kind]
        flags = {"io": 0x100, "mem": 0x200, "pref": 0x102201}[kind]
        self.resource[13 + i] = (number(first), number(last), flags)

    def do_pm(self, *flags):
        off = self.add_cap(0x01, 8)
        self.poke(off + 2, "<H", 0xc803 if "pme" in flags else 0x0003)
        self.poke(off + 4, "<H", 8 if "nosoftrst" in flags else 0)

    def do_msi(self, vectors, *flags):
        off = self.add_cap(0x05, 24)
        ctl = (int(vectors).bit_length() - 1) << 1
        ctl |= 0x80 if "64" in flags else 0
        ctl |= 0x100 if "mask" in flags else 0
        ctl |= 1 if "on" in flags else 0
        self.poke(off + 2, "<H", ctl)
        if "on" in flags:
            self.files["msi_irqs/40"] = "msi"

    def do_msix(self, vectors, table, pba, *flags):
        """msix N BAR:OFFSET BAR:OFFSET [on]"""
        off = self.add_cap(0x11, 12)
        self.poke(off + 2, "<H", int(vectors) - 1 | (0x8000 if "on" in flags else 0))
        for i, place in ((4, table), (8, pba)):
            bar, at = place.split(":")
            self.poke(off + i, "<I", int(at, 16) | int(bar))
        if "on" in flags:
            for i in range(int(vectors)):
                self.files[f"msi_irqs/{50 + i}"] = "msix"

    def do_pcie(self, kind, now="2.5x1", most=None, *flags):
        """pcie TYPE [SPEEDxWIDTH [SPEEDxWIDTH]] [flr] [slot]"""
        off = self.add_cap(0x10, 0x3c)
        self.size = max(self.size, 4096)
        most = most or now
        self.poke(off + 2, "<H", 2 | PCIE_TYPES[kind] << 4 | (0x100 if "slot" in flags else 0))
        self.poke(off + 4, "<I", 1 | (1 << 28 if "flr" in flags else 0))
        for name, at, text in (("max", off + 12, most), ("current", off + 18, now)):
            speed, width = text.split("x")
            self.poke(at, "<I" if name == "max" else "<H",
                      SPEEDS.get(speed, 0) | int(width) << 4)
            unit = f"{float(speed):.1f} GT/s PCIe" if float(speed) else "Unknown"
            self.files[f"{name}_link_speed"], self.files[f"{name}_link_width"] = unit, width

    def do_af(self):
        off = self.add_cap(0x13, 6)
        self.poke(off + 2, "<BB", 6, 3)

    def do_vpd(self):
        self.add_cap(0x03, 8)

    def do_vendor_cap(self, length):
        self.cfg[self.add_cap(0x09, int(length)) + 2] = int(length)

    def do_acs(self, *bits):
        """acs CAN... on ON..."""
        can, on = (bits[:bits.index("on")], bits[bits.index("on") + 1:]) if "on" in bits else (bits, ())
        off = self.add_ecap(0x0d, 8)
        self.poke(off + 4, "<HH", sum(ACS_BITS[b] for b in can), sum(ACS_BITS[b] for b in on))

    def do_aer(self):
        self.add_ecap(0x01, 0x48, 2)

    def do_dsn(self, serial):
        self.poke(self.add_ecap(0x03, 12) + 4, "<Q", int(serial.replace("-", ""), 16))

    def do_ari(self, following="0"):
        self.poke(self.add_ecap(0x0e, 8) + 4, "<H", int(following) << 8)

    def do_ats(self, *flags):
        off = self.add_ecap(0x0f, 8)
        self.poke(off + 4, "<HH", 0x20, 0x8000 if "on" in flags else 0)

    def do_pasid(self, bits):
        self.poke(self.add_ecap(0x1b, 8) + 4, "<H", int(bits) << 8)

    def do_pri(self):
        self.add_ecap(0x13, 16)

    def do_ltr(self):
        self.poke(self.add_ecap(0x18, 8) + 4, "<HH", 0x1003, 0x1003)

    def do_l1ss(self):
        self.poke(self.add_ecap(0x1e, 16) + 4, "<I", 0x1f)

    def do_sriov(self, total, enabled, device, offset="1", stride="1"):
        off = self.add_ecap(0x10, 0x40)
        self.poke(off + 8, "<H", 9 if int(enabled) else 0)
        self.poke(off + 12, "<HHH", int(total), int(total), int(enabled))
        self.poke(off + 20, "<HH", int(offset), int(stride))
        self.poke(off + 26, "<H", int(device, 16))
        self.files.update(sriov_totalvfs=total, sriov_numvfs=enabled,
                          sriov_vf_device=str(int(device, 16)))

    def do_rebar(self, *bars):
        """rebar BAR:NOW:SIZE,SIZE..."""
        off = self.add_ecap(0x15, 4 + 8 * len(bars))
        for i, bar in enumerate(bars):
            n, now, sizes = bar.split(":")
            can = sum(number(s) >> 20 for s in sizes.split(","))
            index = (number(now) >> 20).bit_length() - 1
            self.poke(off + 4 + 8 * i, "<II", (can << 4) & 0xffffffff,
                      int(n) | len(bars) << 5 | index << 8 | (can >> 28) << 16)

    def do_ecap(self, cap, length, version="1"):
        self.add_ecap(int(cap, 16), int(length), int(version))

    def do_cap(self, cap, length):
        self.add_cap(int(cap, 16), int(length))

    def do_cfg(self, off, data):
        """cfg OFFSET HEX: bytes as they are, over everything"""
        data = bytes.fromhex(data)
        self.cfg[int(off, 16):int(off, 16) + len(data)] = data

    def do_cfg_size(self, size):
        self.size = int(size)


class Host:
    """One .host file."""

    def __init__(self, path):
        self.devs, self.groups, self.files, self.links, self.runs = [], {}, {}, {}, []
        self.modes, self.cut, self.no_uevent, self.nobody = {}, False, False, False
        self.files["/proc/cmdline"] = ""
        self.read(path)

    def read(self, path):
        context = None
        for n, line in enumerate(open(path, encoding="utf-8"), 1):
            words = shlex.split(line, comments=line.lstrip().startswith("#"))
            if not words or line.startswith("#"):
                continue
            try:
                context = self.take(line, words, context)
            except (BadHost, KeyError, ValueError, TypeError, AttributeError) as e:
                raise SystemExit(f"{path}:{n}: {line.strip()}: {e!r}") from e

    def take(self, line, words, context):
        inside = line[0] in " \t"
        word, rest = words[0], words[1:]
        if inside and isinstance(context, Dev):
            getattr(context, "do_" + word.replace("-", "_"))(*rest)
            return context
        if inside:  # of a group
            self.groups[context].append((word, rest))
            return context
        if word == "dev":
            self.devs.append(Dev(rest))
            return self.devs[-1]
        if word == "group":
            self.groups[int(rest[0])] = []
            return int(rest[0])
        if word == "at":
            return next(d for d in self.devs if d.bdf == rest[0])
        getattr(self, "top_" + word)(*rest)
        return None

    def top_like(self, name):
        """All of another machine, for what follows to change; its runs are not taken over."""
        self.read(f"{HERE}/{name}.host")
        self.runs = []

    def top_gone(self, *paths):
        for path in paths:
            for have in (self.files, self.links):
                for p in [p for p in have if p == path or p.startswith(path + "/")]:
                    del have[p]

    def top_nobody(self):
        """Run by somebody whom no file here belongs to."""
        self.nobody = True

    def top_kernel(self, release):
        self.files["/proc/sys/kernel/osrelease"] = release

    def top_product(self, *words):
        self.files["/sys/class/dmi/id/product_name"] = " ".join(words)

    def top_cmdline(self, *words):
        self.files["/proc/cmdline"] = " ".join(words)

    def top_cpu(self, bits, flags, *name):
        self.files["/proc/cpuinfo"] = (f"processor\t: 0\nmodel name\t: {' '.join(name)}\n"
                                       f"flags\t\t: fpu msr {flags}\n"
                                       f"address sizes\t: {bits} bits physical, 48 bits virtual\n")

    def top_memory(self, total, free=None):
        kib = number(total) >> 10
        avail = number(free) >> 10 if free else kib * 3 // 4
        self.files["/proc/meminfo"] = (f"MemTotal: {kib} kB\nMemFree: {avail} kB\n"
                                       f"MemAvailable: {avail} kB\nHugePages_Total: 0\n"
                                       "HugePages_Free: 0\nHugepagesize: 2048 kB")

    def top_intremap(self, on):
        chip = "IR-PCI-MSI" if on == "yes" else "PCI-MSI"
        self.files["/proc/interrupts"] = f"            CPU0\n 24:  0  {chip} 524288-edge  nvme0q0"

    def top_vfio(self):
        """The modules are loaded and /dev/vfio/vfio is there."""
        self.files["/dev/vfio/vfio"] = ""
        self.files["/sys/bus/pci/drivers/vfio-pci/bind"] = ""
        self.files["/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"] = "65535"
        self.files["/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"] = "N"

    def top_file(self, path, *text):
        self.files[path] = "\n".join(text)

    def top_mode(self, path, mode):
        self.modes[path] = int(mode, 8)

    def top_link(self, path, target):
        self.links[path] = target

    def top_unprivileged(self):
        self.cut = True

    def top_no_uevent(self):
        """As if `uevent` could not be read: its facts come from a file each."""
        self.no_uevent = True

    def top_run(self, *args):
        self.runs.append(args)

    def top_iommu(self, name, kind, bits="48", *flags):
        """iommu NAME intel|amd|bare BITS [2M] [1G] [ir] [pi] [pasid] [dirty]"""
        base = f"/sys/class/iommu/{name}/"
        self.files[base + "uevent"] = ""
        has = lambda f: f in flags  # noqa: E731
        if kind == "intel":
            agaw = {39: 1, 48: 2, 57: 3}[int(bits)]
            cap = 1 << (8 + agaw) | (int(bits) - 1) << 16 | has("2M") << 34 | has("1G") << 35 | has("pi") << 59
            ecap = has("ir") << 3 | has("pasid") << 40 | has("dirty") << 45
            self.files[base + "intel-iommu/cap"], self.files[base + "intel-iommu/ecap"] = f"{cap:x}", f"{ecap:x}"
        elif kind == "amd":
            efr = {48: 0, 57: 1, 64: 2}[int(bits)] << 10 | has("pi") << 7 | has("pasid") << 4 | has("dirty") << 52
            self.files[base + "amd-iommu/features"] = f"{efr:x}"

    # --- laying it out --------------------------------------------------------------------------

    def parent(self, dev):
        for p in self.devs:
            if p.buses and p.seg == dev.seg and p.buses[0] == dev.bus and p is not dev:
                return p
        # A VF of a PF with ARI may be on a bus of its own: below the same bridge.
        if dev.physfn:
            return self.parent(next(d for d in self.devs if d.bdf == dev.physfn))
        return None

    def folder(self, dev):
        p = self.parent(dev)
        return (self.folder(p) if p else f"/sys/devices/pci{dev.seg:04x}:00") + "/" + dev.bdf

    def pci_ids(self):
        out = []
        for v in sorted({d.vendor for d in self.devs}):
            out.append(f"{v:04x}  {VENDORS.get(v, 'Vendor')}")
            names = {d.device: d.name for d in self.devs if d.vendor == v and d.name}
            out += [f"\t{k:04x}  {n}" for k, n in sorted(names.items())]
        for base in sorted({c >> 8 for c in CLASSES}):
            out.append(f"C {base:02x}  Class {base:02x}")
            out += [f"\t{c & 0xff:02x}  {n}" for c, n in CLASSES.items() if c >> 8 == base]
        return "\n".join(out)

    def make(self, root):
        def put(path, data):
            full = root + path
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if isinstance(data, str):
                data = (data + "\n").encode() if data else b""
            with open(full, "wb") as f:
                f.write(data)

        def link(path, target):
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(target, root + path)

        os.makedirs(root + "/sys/bus/pci/devices", exist_ok=True)
        os.chmod(root, 0o755)
        put("/etc/passwd", f"root:x:{os.getuid()}:0::/:/bin/sh")
        put("/etc/group", f"root:x:{os.getgid()}:")
        put("/usr/share/misc/pci.ids", self.pci_ids())
        for path, text in self.files.items():
            put(path, text)
        for path, target in self.links.items():
            link(path, target)
        for d in self.devs:
            self.make_dev(d, put, link)
        for n in {d.group for d in self.devs if d.group is not None} | set(self.groups):
            base = f"/sys/kernel/iommu_groups/{n}/"
            props = {w: " ".join(r) for w, r in self.groups.get(n, []) if w != "resv"}
            put(base + "type", props.get("type", "DMA"))
            if "name" in props:
                put(base + "name", props["name"])
            resv = [r for w, r in self.groups.get(n, []) if w == "resv"]
            resv = resv or [("0xfee00000", "0xfeefffff", "msi")]
            put(base + "reserved_regions",
                "\n".join(f"{int(a, 0):#018x} {int(b, 0):#018x} {t}" for a, b, t in resv))
        if "/dev/vfio/vfio" in self.files:
            for n in {d.group for d in self.devs if d.group is not None and "vfio" in (d.driver or "")}:
                node = "noiommu-" if ("name", ["vfio-noiommu"]) in self.groups.get(n, []) else ""
                put(f"/dev/vfio/{node}{n}", "")
                self.modes.setdefault(f"/dev/vfio/{node}{n}", 0o600)
        for path, mode in self.modes.items():
            os.chmod(root + path, mode)

    def make_dev(self, d, put, link):
        base = self.folder(d) + "/"
        up = "../" * (base.count("/") - 2)
        put(base + "vendor", f"{d.vendor:#06x}")
        put(base + "device", f"{d.device:#06x}")
        put(base + "class", f"{d.cls:#08x}")
        put(base + "resource", "\n".join("%#018x %#018x %#018x" % r for r in d.resource))
        put(base + "config", bytes(d.cfg[:64 if self.cut else d.size]))
        driver = f"DRIVER={d.driver}\n" if d.driver and d.driver.isprintable() else ""
        subsys = [d.files["subsystem_" + x][2:].upper() for x in ("vendor", "device")]
        if not self.no_uevent and (driver or not d.driver):
            put(base + "uevent", f"{driver}PCI_CLASS={d.cls:X}\nPCI_ID={d.vendor:04X}:{d.device:04X}\n"
                f"PCI_SUBSYS_ID={':'.join(subsys)}\nPCI_SLOT_NAME={d.bdf}")
        if "driver_override" not in d.files:
            put(base + "driver_override", "(null)")
        for name, text in d.files.items():
            put(base + name, text)
        for name, target in d.links.items():
            link(base + name, target)
        if d.driver:
            link(base + "driver", f"{up}bus/pci/drivers/{d.driver}")
        if d.group is not None:
            link(base + "iommu_group", f"{up}kernel/iommu_groups/{d.group}")
            link(f"/sys/kernel/iommu_groups/{d.group}/devices/{d.bdf}", "../../../.." + base[4:-1])
        if d.iommu:
            link(base + "iommu", f"{up}class/iommu/{d.iommu}")
        if d.physfn:
            link(base + "physfn", f"../{d.physfn}")
        link(f"/sys/bus/pci/devices/{d.bdf}", "../../.." + base[4:-1])


# --- golden outputs ------------------------------------------------------------------------------


def run(inspect, root, args, nobody=False):
    if nobody and os.getuid() == 0:
        args = ["--reuid", "65534", "--regid", "65534", "--clear-groups", inspect, *args]
        inspect = "setpriv"
    env = dict(os.environ, LC_ALL="C", NO_COLOR="1")
    r = subprocess.run([inspect, *args, "--root", root], capture_output=True, env=env,
                       stdin=subprocess.DEVNULL, check=False)
    text = (r.stdout + r.stderr).decode("utf-8").replace(root, "ROOT")
    text = text.replace(f"uid {os.getuid()}, gid {os.getgid()}", "uid 0, gid 0")
    return r.returncode, text


def transcript(inspect, host, root):
    out = ""
    for args in host.runs or [("tree",)]:
        status, text = run(inspect, root, args, host.nobody)
        out += f"$ vfio-inspect {shlex.join(args)}\n{text}"
        if status:
            out += f"[exit status {status}]\n"
        out += "\n"
        wide = [x for x in text.splitlines() if len(x) > 100 and not x.startswith("vfio-inspect:")]
        if args[0] in ("tree", "show", "explain") and wide:
            out += f"TOO WIDE: {wide[0]}\n"
    return out


def validator(schema="vfio-inspect"):
    try:
        import jsonschema
    except ImportError:
        return None
    with open(f"{SRC}/tools/inspect/{schema}.schema.json", encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check_json(inspect, root, valid):
    status, text = run(inspect, root, ["--json"])
    if status:
        return [f"--json ends with {status}: {text}"]
    errors = valid.iter_errors(json.loads(text)) if valid else []
    return [f"--json: {'/'.join(str(p) for p in e.path)}: {e.message[:200]}" for e in errors]


def check_explain(inspect, host, root, valid):
    """What explain prints and what it says in JSON have the same verdicts and exit status."""
    wrong, names = [], {"unknown": "?"}
    for args in (a for a in host.runs if a[0] == "explain" and "--udev-rule" not in a):
        status, text = run(inspect, root, args, host.nobody)
        doc_status, doc = run(inspect, root, [*args, "--json"], host.nobody)
        doc = json.loads(doc)
        errors = valid.iter_errors(doc) if valid else []
        wrong += [f"explain --json: {e.message[:200]}" for e in errors]
        said = [x.split()[:2] for x in text.splitlines() if re.match(r"(ok|\?|warn|fail) ", x)]
        if said != [[names.get(v["level"], v["level"]), v["check"]] for v in doc["verdicts"]]:
            wrong.append("explain --json has other verdicts than the text")
        if status != doc_status:
            wrong.append(f"explain ends with {status}, with --json {doc_status}")
    return wrong


def walk(names, update):
    inspect = os.path.join(os.environ.get("VV_BUILD", SRC + "/build"), "tools/vfio-inspect")
    valid, explain, bad, count = validator(), validator("vfio-inspect-explain"), 0, 0
    if valid is None:
        print("python3-jsonschema is missing: JSON is parsed, not validated")
    for file in sorted(os.listdir(HERE)):
        name, ext = os.path.splitext(file)
        if ext != ".host" or (names and name not in names):
            continue
        count += 1
        golden = f"{HERE}/{name}.out"
        with tempfile.TemporaryDirectory(prefix="vv-host.") as root:
            host = Host(f"{HERE}/{file}")
            host.make(root)
            got, wrong = transcript(inspect, host, root), []
            if any(a[0] != "explain" for a in host.runs or [("tree",)]):
                wrong += check_json(inspect, root, valid)
            wrong += check_explain(inspect, host, root, explain)
        if update:
            with open(golden, "w", encoding="utf-8") as f:
                f.write(got)
        elif not os.path.exists(golden):
            wrong.append("no golden output (hosts.py update " + name + ")")
        else:
            with open(golden, encoding="utf-8") as f:
                want = f.read()
            wrong += difflib.unified_diff(want.splitlines(), got.splitlines(), "golden", "now",
                                          lineterm="", n=1)
        if wrong:
            bad += 1
            print(f"--- {name}", *wrong, sep="\n")
    print(f"{count} hosts, {bad} wrong")
    return 1 if bad or not count else 0


def main():
    os.umask(0o022)
    if len(sys.argv) == 4 and sys.argv[1] == "make":
        Host(sys.argv[2]).make(os.path.realpath(sys.argv[3]))
        return 0
    if len(sys.argv) >= 2 and sys.argv[1] in ("test", "update"):
        return walk(sys.argv[2:], sys.argv[1] == "update")
    if len(sys.argv) == 3 and sys.argv[1] == "validate":
        with open(sys.argv[2], encoding="utf-8") as f:
            document = json.load(f)
        valid = validator()
        errors = [e.message[:200] for e in valid.iter_errors(document)] if valid else []
        print(*errors, sep="\n", end="\n" if errors else "")
        return 1 if errors else 0
    print(__doc__, end="")
    return 2


if __name__ == "__main__":
    sys.exit(main())
