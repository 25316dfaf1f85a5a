# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the pages that test_html.sh looks at: html_pages.py SRC BUILD DIR."""
import os
import subprocess
import sys

SRC, BUILD, DIR = sys.argv[1:]

HOSTILE = "</script><script>parent.pwned=1</script><img src=x onerror=parent.pwned=1><!--<script>"

FRAMES = """<!DOCTYPE html><meta charset="utf-8"><title>checks</title><div id="out"></div>
<iframe src="zoo.html" width="1280" height="900"></iframe>
<iframe src="zoo.html#q=nvme" width="1280" height="900"></iframe>
<iframe src="zoo.html#q=group%202&unfold" width="390" height="800"></iframe>
<iframe src="zoo.html#fold" width="390" height="800"></iframe>
<iframe src="zoo.html#0000:01:00.0" width="390" height="800"></iframe>
<iframe src="hostile.html#unfold" width="390" height="800"></iframe>
<script>
var pwned = 0;
function check(words, good) {
  const p = document.createElement("p");
  p.textContent = (good ? "ok   " : "FAIL ") + words;
  document.getElementById("out").append(p);
}
addEventListener("load", () => {
  const docs = [...document.querySelectorAll("iframe")].map(f => f.contentDocument);
  const [all, nvme, group, folded, one, hostile] = docs;
  const seen = (d, css) => [...d.querySelectorAll(css)].filter(e => e.checkVisibility());
  const text = d => d.body.innerText;
  check("every function has a card", seen(all, ".fn").length === COUNT);
  check("the topology is drawn", seen(all, "#tree li").length === COUNT + 1);
  check("groups are there", seen(all, ".groups .card").length === 6);
  check("the blocker and what frees it", text(all).includes("vfio-bind --group 0000:01:00.0"));
  check("what merges the group", text(all).includes("it has no ACS"));
  check("BARs are on the map", seen(all, ".lane a").length > 5);
  check("search finds by driver", seen(nvme, ".fn").length === 1 &&
    seen(nvme, ".fn")[0].id === "0000:02:00.0");
  check("search keeps the way to it in the topology", seen(nvme, "#tree li").length === 3);
  check("search hides other groups", seen(nvme, ".groups .card").length === 1);
  check("search says how many", text(nvme).includes("1 of COUNT"));
  const box = nvme.getElementById("q");
  box.value = "nothing like that";
  box.dispatchEvent(new Event("input"));
  check("search as it is typed", seen(nvme, ".fn").length === 0);
  box.value = "";
  box.dispatchEvent(new Event("input"));
  check("an empty search shows all again", seen(nvme, ".fn").length === COUNT);
  check("search for a group", seen(group, ".fn").length === 3);
  check("unfolded, the BAR strips and capabilities show", seen(group, ".strip").length >= 4 &&
    seen(group, ".cap").length > 5);
  check("folded, the topology shows its root only", seen(folded, "#tree li").length === 1);
  folded.getElementById("unfold").click();
  check("the button unfolds", seen(folded, "#tree li").length === COUNT + 1 &&
    seen(folded, ".cap").length > 10);
  folded.getElementById("fold").click();
  check("the button folds", seen(folded, ".cap").length === 0);
  check("an address goes to its function", one.getElementById("0000:01:00.0").open &&
    seen(one, ".fn[open]").length === 1);
  docs.forEach((d, i) => check("page " + i + " does not scroll sideways",
    d.documentElement.scrollWidth <= d.documentElement.clientWidth));
  check("markup in names is text", hostile.querySelectorAll("img").length === 0 &&
    text(hostile).includes("onerror=parent.pwned=1") && !pwned &&
    hostile.querySelectorAll("script").length === 2);
  check("nothing comes from elsewhere", docs.every(d =>
    d.defaultView.performance.getEntriesByType("resource").length === 0));
  document.getElementById("out").append("end of checks");
});
</script>
"""


def page(root, name):
    subprocess.run([BUILD + "/tools/vfio-inspect", "--root", root, "html", f"{DIR}/{name}.html"],
                   check=True)


def main():
    root = DIR + "/root"
    subprocess.run([SRC + "/tests/hosts/hosts.py", "make", SRC + "/tests/hosts/desktop-intel.host",
                    root], check=True)
    page(root, "zoo")
    count = len(os.listdir(root + "/sys/bus/pci/devices"))
    dev = root + "/sys/bus/pci/devices/0000:02:00.0/"
    for path, text in ((root + "/sys/class/dmi/id/product_name", HOSTILE),
                       (dev + "driver_override", HOSTILE[:60]),
                       (dev + "power_state", "<b>&lt;'\"")):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    names = root + "/usr/share/misc/pci.ids"
    with open(names, encoding="utf-8") as f:
        ids = f.read()
    with open(names, "w", encoding="utf-8") as f:
        f.write(ids.replace("HD Graphics 530", HOSTILE + "x" * 100))
    page(root, "hostile")
    with open(DIR + "/frames.html", "w", encoding="utf-8") as f:
        f.write(FRAMES.replace("COUNT", str(count)))


main()
