# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures of the zoo's machines, redaction, and hostile archives. Run by test_capture.sh."""
import gzip
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile

SRC = os.environ.get("VV_SRC") or os.path.realpath(__file__ + "/../../../..")
BUILD = os.environ.get("VV_BUILD") or SRC + "/build"
INSPECT = BUILD + "/tools/vfio-inspect"
HOSTS = SRC + "/tests/hosts"
sys.path.insert(0, HOSTS)
import hosts  # noqa: E402

failures = 0


def check(words, good, more=""):
    global failures
    if good:
        print(f"ok   {words}")
    else:
        print(f"FAIL {words}\n{more}")
        failures += 1


def run(*args, stdin=None):
    env = dict(os.environ, LC_ALL="C", NO_COLOR="1")
    r = subprocess.run([INSPECT, *args], capture_output=True, env=env, input=stdin, check=False,
                       timeout=100)
    return r.returncode, r.stdout, r.stderr.decode()


def lay_out(name, root):
    hosts.Host(f"{HOSTS}/{name}.host").make(root)


def add(root, path, text):
    os.makedirs(os.path.dirname(root + path), exist_ok=True)
    with open(root + path, "w", encoding="utf-8") as f:
        f.write(text)


# --- the zoo through an archive ------------------------------------------------------------------


def zoo(tmp):
    names = sorted(f[:-5] for f in os.listdir(HOSTS)
                   if f.endswith(".host") and not f.startswith("explain-"))
    unlike, odd = [], []
    for name in names:
        with tempfile.TemporaryDirectory(dir=tmp) as root, \
                tempfile.TemporaryDirectory(dir=tmp) as out:
            lay_out(name, root)
            direct = run("--json", "--root", root)
            status, _, err = run("--root", root, "capture", out + "/x.tar.gz")
            odd += [f"{name}: {err}"] if status else []
            with tarfile.open(out + "/x.tar.gz") as t:
                t.extractall(out + "/unpacked")  # by somebody else's reader
            for what, got in (("the archive", run("--json", "--root", out + "/x.tar.gz")),
                              ("unpacked", run("--json", "--root", out + "/unpacked"))):
                if got[:2] != direct[:2]:
                    unlike.append(f"{name}, {what}: {got[2]}")
    check(f"{len(names)} machines are captured", not odd and names, "\n".join(odd))
    check("they read alike from archive and folder", not unlike, "\n".join(unlike))


def texts(tmp):
    """show and explain say the same of an archive: the recorder kept what they read."""
    unlike, count = [], 0
    for name in sorted(f[:-5] for f in os.listdir(HOSTS) if f.endswith(".host")):
        with tempfile.TemporaryDirectory(dir=tmp) as root:
            host = hosts.Host(f"{HOSTS}/{name}.host")
            host.make(root)
            run("--root", root, "capture", root + ".tar")
            for args in host.runs:
                if "--udev-rule" in args:
                    continue  # users are no part of a capture
                direct, got = (run(*args, "--root", r) for r in (root, root + ".tar"))
                count += 1
                if direct[:2] != got[:2]:
                    unlike.append(f"{name} {args}: {direct} {got}")
            os.unlink(root + ".tar")
    check(f"{count} outputs are the same of an archive", not unlike and count,
          "\n".join(unlike[:6]))


# --- redaction -----------------------------------------------------------------------------------

SECRETS = ["alice", "vmguest-secret", "525400abcdef", "52:54:00:ab:cd:ef", "deadbeef", "nas.example",
           "4c4c4544-0042-3510-8052-b9c04f573232", "C0A80117", "fe80000000000000505400",
           "kerberos", "wintermute", "ee-ff-c0"]


def personal(root):
    """A machine with somebody's traces all over it."""
    lay_out("desktop-intel", root)
    dev = "/sys/bus/pci/devices/0000:02:00.0/"
    uuid = "4c4c4544-0042-3510-8052-b9c04f573232"
    add(root, "/proc/cmdline", "BOOT_IMAGE=/vmlinuz-wintermute root=UUID=" + uuid +
        " rd.luks.name=" + uuid + "=alice-root intel_iommu=on ip=nas.example kerberos\n")
    add(root, "/proc/self/mountinfo",
        "22 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n"
        "23 1 259:3 / /home/alice rw - ext4 /dev/nvme0n1p3 rw\n"
        "24 1 254:0 /@alice /srv rw - btrfs /dev/mapper/alice--vg-x rw\n"
        "25 1 0:50 / /mnt/nas rw - cifs //nas.example/alice rw,username=alice\n")
    add(root, "/proc/swaps", "Filename Type Size Used Priority\n/home/alice/swap file 4 0 -2\n")
    add(root, "/proc/net/route", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
        "enx525400abcdef\t00000000\tC0A80117\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
    add(root, "/proc/net/if_inet6",
        "fe80000000000000505400fffeabcdef 02 40 20 80 enx525400abcdef\n")
    usb = os.path.realpath(root + "/sys/bus/pci/devices/0000:00:14.0")
    net = usb[len(root):] + "/net/enx525400abcdef"
    add(root, net + "/address", "52:54:00:ab:cd:ef\n")
    add(root, net + "/flags", "0x1003\n")
    os.makedirs(root + "/sys/class/net", exist_ok=True)
    os.symlink("../../.." + net, root + "/sys/class/net/enx525400abcdef")
    block = os.path.realpath(root + dev)[len(root):] + "/nvme/nvme0/nvme0n1"
    os.makedirs(root + "/sys/class/block")
    for part, node in (("", "259:0"), ("/nvme0n1p2", "259:2"), ("/nvme0n1p3", "259:3")):
        add(root, block + part + "/dev", node + "\n")
        name = os.path.basename(block + part)
        os.symlink("../../.." + block + part, root + "/sys/class/block/" + name)
    add(root, "/proc/self/cgroup", "0::/machine.slice/vmguest-secret.scope\n")
    add(root, "/sys/fs/cgroup/machine.slice/vmguest-secret.scope/memory.max", "1073741824\n")
    add(root, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/x\n")
    os.symlink(uuid, root + dev + "subsystem-nobody-asks-for")
    with open(root + dev + "config", "r+b") as f:
        data = bytearray(f.read())
        at = next(i for i in range(0x100, 4096, 4)
                  if data[i:i + 2] == b"\x03\x00" and data[i + 2] & 15 == 1)
        data[at + 4:at + 12] = bytes.fromhex("deadbeef00c0ffee")
        f.seek(0)
        f.write(data)


def redaction(tmp):
    with tempfile.TemporaryDirectory(dir=tmp) as root:
        personal(root)
        _, before, _ = run("--root", root, "--json")
        check("without --redact the interface has its name", b"525400abcdef" in before,
              before.decode()[-400:])
        check("without --redact the serial number is there", b"ee-ff-c0-00-ef-be" in before)
        archive = root + ".tar"
        status, _, err = run("--root", root, "--redact", "capture", archive)
        check("a redacted capture is made", status == 0, err)
        with open(archive, "rb") as f:
            raw = f.read()
        found = [s for s in SECRETS if s.encode() in raw]
        found += ["deadbeef"] if bytes.fromhex("deadbeef00c0ffee") in raw else []
        check("no secret is in it", not found, str(found))
        check("what verdicts need is in it", all(w in raw for w in (
            b"intel_iommu=on", b"/dev/nvme0n1p2", b"00000000\t0100000A")))
        for args in ((), ("--json",)):
            status, text, err = run("--root", root, "--redact", *args)
            found = [s for s in SECRETS if s.encode() in text]
            check(f"no secret is in the output {args}", status == 0 and not found, f"{found} {err}")
            check(f"archive and --redact print the same {args}",
                  run("--root", archive, *args)[1] == text)
        check("the use of the interface is still seen",
              re.search(rb"the default route goes over enx0{11}\d", run("--root", archive)[1]))
        os.unlink(archive)


# --- hostile archives ----------------------------------------------------------------------------

GOOD = [("sys/bus/pci/devices/0000:00:00.0", "dir", None),
        ("sys/bus/pci/devices/0000:00:00.0/vendor", "file", b"0x8086\n")]


def archive(entries, fmt=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as t:
        for name, kind, data in entries:
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if kind == "dir" else 0o644
            info.type = {"dir": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "link": tarfile.SYMTYPE,
                         "hard": tarfile.LNKTYPE, "chr": tarfile.CHRTYPE,
                         "fifo": tarfile.FIFOTYPE}[kind]
            if kind in ("link", "hard"):
                info.linkname = data
            body = data if kind == "file" else b""
            info.size = len(body)
            t.addfile(info, io.BytesIO(body))
    return out.getvalue()


def offered(data, *args):
    return run("--root", "-", *args, stdin=data)


def hostile():
    long = "sys/" + "/".join(["d" * 60] * 4)
    deep = [(long + "/file", "file", b"x"), ("sys/long", "link", "bus/../" * 20 + "bus")]
    for fmt in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        status, out, err = offered(archive(GOOD + deep, fmt))
        check(f"long names, tar format {fmt}", status == 0 and b"0000:00:00.0" in out, err)
    check("long names, ustar", offered(archive(
        GOOD + [("sys/" + "d" * 60 + "/" + "e" * 60, "file", b"x")], tarfile.USTAR_FORMAT))[0] == 0)
    inside = [("host", "dir", None)] + [("host/" + n, k, d) for n, k, d in GOOD]
    check("an archive of a folder", offered(archive(inside))[0] == 0)

    cases = {
        "an absolute name": [("/etc/cron.d/x", "file", b"")],
        "traversal": [("sys/../../etc/passwd", "file", b"")],
        "a link to the root": [("sys/x", "link", "/etc/passwd")],
        "a link upwards": [("sys/x", "link", "../../etc/passwd")],
        "a link upwards after going down": [("sys/x", "link", "bus/../../../etc")],
        "a holder's link that turns": [("proc/1", "link", "/dev/vfio/../../etc/passwd")],
        "an entry through a link": [("sys/l", "link", "bus"), ("sys/l/x", "file", b"")],
        "a file replaced by a folder": [("sys/bus/pci/devices/0000:00:00.0/vendor/x", "file", b"")],
        "a hard link": [("sys/x", "hard", "sys/bus")],
        "a device": [("dev/mem", "chr", None)],
        "a FIFO": [("sys/fifo", "fifo", None)],
        "a large file": [("sys/big", "file", bytes(5 << 20))],
        "an escape sequence in a name": [("/\033[2Jx", "file", b"")],
    }
    for words, entries in cases.items():
        status, out, err = offered(archive(GOOD + entries))
        good = status == 1 and not out and "is refused" in err and "\033" not in err \
            and err.count("\n") == 1
        check(f"refused: {words}", good, f"{status} {out} {err}")

    whole = archive(GOOD)
    broken = bytearray(whole)
    broken[0] ^= 0x20
    number = bytearray(whole)
    number[124:136] = b"\x80" + bytes(10) + b"\x01"
    for words, data in (("nothing", b""), ("text", b"hello\n" * 100), ("a cut", whole[:700]),
                        ("a wrong checksum", bytes(broken)), ("a number not octal", bytes(number)),
                        ("cut compression", gzip.compress(whole)[:80]),
                        ("another archive", archive([("readme", "file", b"x")]))):
        status, out, err = offered(data)
        check(f"no capture: {words}", status == 1 and not out and err.count("\n") == 1 and
              err.startswith("vfio-inspect: "), f"{status} {out} {err}")
    loop = GOOD + [("sys/bus/pci/devices/0000:00:01.0", "link", "0000:00:01.0"),
                   ("sys/bus/pci/devices/0000:00:02.0", "link", "../../../../sys")]
    status, _, err = offered(archive(loop))
    check("links that go in circles are named", status == 1 and "0000:00:01.0: Too many" in err, err)


def folders(tmp):
    with tempfile.TemporaryDirectory(dir=tmp) as root, \
            tempfile.TemporaryDirectory(dir=tmp) as outside:
        lay_out("desktop-intel", root)
        add(outside, "/secret", "topsecret\n")
        dev = os.path.realpath(root + "/sys/bus/pci/devices/0000:02:00.0")
        os.remove(dev + "/driver_override")
        os.symlink(outside + "/secret", dev + "/driver_override")
        os.remove(dev + "/reset_method")
        os.symlink("../" * 30 + outside[1:] + "/secret", dev + "/reset_method")
        os.remove(dev + "/power_state")
        os.mkfifo(dev + "/power_state")  # whoever opens it waits for ever
        status, out, err = run("--root", root)
        check("a folder's links lead nowhere outside", status == 0 and b"topsecret" not in out, err)
        names = root + "/usr/share/misc/pci.ids"
        os.remove(names)
        add(outside, "/pci.ids", "8086  Stolen\n\t191f  Stolen bridge\n")
        os.symlink(outside + "/pci.ids", names)
        check("nor does the database of names",
              b"Stolen" not in run("--root", root)[1])
        os.remove(names)
        os.mkfifo(names)
        check("names in a FIFO are not waited for",
              b"[8086:191f]" in run("--root", root)[1])
        check("a folder without a machine is named", "holds no captured machine" in
              run("--root", outside)[2])
    check("a missing one too", "No such file" in run("--root", "/nonexistent/x")[2])


def absolute_links(tmp):
    with tempfile.TemporaryDirectory(dir=tmp) as root:
        lay_out("desktop-intel", root)
        groups = root + "/sys/kernel/iommu_groups"
        os.mkdir(root + "/sys/other")
        os.rename(groups, root + "/sys/other/iommu_groups")
        os.symlink("/sys/other/iommu_groups", groups)
        archive_file = root + ".tar"
        run("--root", root, "capture", archive_file)
        check("absolute links of a machine are captured as relative ones",
              run("--root", archive_file)[:2] == run("--root", root)[:2] and
              b"  group 0, DMA" in run("--root", root)[1], run("--root", archive_file)[2])
        os.unlink(archive_file)


def writes(tmp):
    with tempfile.TemporaryDirectory(dir=tmp) as out:
        status, _, err = run("capture", out + "/no/such/x.tar")
        check("a place that is not there is named", status == 1 and "x.tar" in err, err)
        status, _, err = run("capture", "/dev/full")
        check("a full disk is named", status == 1 and "No space left" in err, err)
        run("capture", out + "/x.tar")
        mode = os.stat(out + "/x.tar").st_mode & 0o777
        check("only its owner may read it", mode == 0o600, oct(mode))
        check("nothing else was written", os.listdir(out) == ["x.tar"])


def main():
    with tempfile.TemporaryDirectory(prefix="vv-capture.") as tmp:
        zoo(tmp)
        texts(tmp)
        redaction(tmp)
        hostile()
        folders(tmp)
        absolute_links(tmp)
        writes(tmp)
    sys.exit(1 if failures else 0)


main()
