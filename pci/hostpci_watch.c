// SPDX-License-Identifier: GPL-2.0-or-later
//
// Events about the host's PCI functions: the one file that includes libudev.
#include "pci/hostpci_watch.h"

#include <errno.h>
#include <libudev.h>
#include <stdlib.h>
#include <unistd.h>

#define BUFFER (8 << 20) /* bytes: a bus with hundreds of functions coming at once */

struct hostpci_watch {
	struct udev *udev;
	struct udev_monitor *monitor;
};

int hostpci_watch_open(struct hostpci_watch **ret, bool *ret_kernel, struct verr *reterr)
{
	bool kernel = access("/run/udev/control", F_OK) < 0;
	struct hostpci_watch *w = (struct hostpci_watch *)calloc(1, sizeof(*w));
	if (!w)
		return verr_set(reterr, -ENOMEM, "out of memory to watch for events");
	w->udev = udev_new();
	if (w->udev)
		w->monitor = udev_monitor_new_from_netlink(w->udev, kernel ? "kernel" : "udev");
	if (!w->monitor) {
		hostpci_watch_close(w);
		return verr_set(reterr, -EIO, "can't listen for the kernel's device events");
	}
	/* Best effort: without privileges the kernel's default stays, and lost events are told. */
	udev_monitor_set_receive_buffer_size(w->monitor, BUFFER);
	udev_monitor_filter_add_match_subsystem_devtype(w->monitor, "pci", NULL);
	udev_monitor_filter_add_match_subsystem_devtype(w->monitor, "vfio", NULL);
	udev_monitor_filter_add_match_subsystem_devtype(w->monitor, "vfio-dev", NULL);
	int r = udev_monitor_enable_receiving(w->monitor);
	if (r < 0) {
		hostpci_watch_close(w);
		return verr_set(reterr, r, "can't listen for the kernel's device events");
	}
	*ret_kernel = kernel;
	*ret = w;
	return 0;
}

void hostpci_watch_close(struct hostpci_watch *w)
{
	if (!w)
		return;
	if (w->monitor)
		udev_monitor_unref(w->monitor);
	if (w->udev)
		udev_unref(w->udev);
	free(w);
}

int hostpci_watch_fd(const struct hostpci_watch *w)
{
	return udev_monitor_get_fd(w->monitor);
}

unsigned int hostpci_watch_drain(struct hostpci_watch *w)
{
	unsigned int n = 0;
	for (;;) {
		errno = 0;
		struct udev_device *d = udev_monitor_receive_device(w->monitor);
		if (d) {
			udev_device_unref(d);
			n++;
		} else if (errno == ENOBUFS) {
			n++; /* some were lost: the socket goes on */
		} else if (errno != EINTR) {
			return n;
		}
	}
}
