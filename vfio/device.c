// SPDX-License-Identifier: GPL-2.0-or-later
// A VFIO device: from address to fd, everything the kernel tells about it once, reset, and whether
// it is still alive. Owns the device fd and a reference to the group. Must not know what a guest
// sees of it. Regions are accessed in region.c, interrupts set in irqset.c.
#define LOG_TAG "vfio/device"

#include "vfio/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/thread.h"
#include "core/trace.h"
#include "pci/hostpci.h"
#include "vfio/infocap.h"

/* linux/vfio.h: vectors an index of vfio-pci can have at most (PCI 3.0 6.8) */
static const uint32_t irq_max[VFIO_N_IRQS] = { 1, 32, 2048, 1, 1 };

static int explain_get_fd(const struct vfio_device *d, bool token, int r, struct verr *reterr)
{
	char path[128], driver[64] = "";

	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", d->name);
	sys_readlink_base(path, driver, sizeof(driver));

	switch (r) {
	case -ENODEV:
	case -ENOENT:
		if (driver[0] == '\0')
			return verr_set(reterr, r,
					"%s is not bound to vfio-pci but to no driver (run: "
					"vfio-bind %s)",
					d->name, d->name);
		return verr_set(reterr, r,
				"%s: VFIO does not have this function, its driver is %s "
				"(run: vfio-bind %s)",
				d->name, driver, d->name);
	case -EBUSY:
		return verr_set(reterr, r, "%s is in use: another process has the function open",
				d->name);
	case -EACCES:
		return verr_set(
			reterr, r,
			token ? "%s: this is not its VF token: vf-token= takes the UUID that the "
				"owner of the physical function chose"
			      : "%s needs a VF token: VFIO has its physical function, too, or "
				"virtual functions of it; give vf-token=UUID, or give those back to "
				"their host driver (run: vfio-bind --restore)",
			d->name);
	case -EINVAL:
		if (token)
			return verr_set(reterr, r,
					"%s takes no VF token: its physical function is not VFIO's "
					"(leave out vf-token=)",
					d->name);
		return verr_set(reterr, r,
				"%s: opening the function (VFIO_GROUP_GET_DEVICE_FD): %s", d->name,
				strerror(-r));
	case -EIO:
		return verr_set(reterr, r,
				"%s does not wake up (EIO): it may be stuck in D3cold; a "
				"power cycle of the machine brings it back",
				d->name);
	default:
		return verr_set(reterr, r,
				"%s: opening the function (VFIO_GROUP_GET_DEVICE_FD): %s", d->name,
				strerror(-r));
	}
}

static void set_irq_index(void *info, void *ctx)
{
	((struct vfio_irq_info *)info)->index = *(const unsigned int *)ctx;
}

/* ERR exists on PCI Express functions only, REQ since Linux 4.0: EINVAL says that there is none. */
static int query_irq(struct vfio_device *d, unsigned int index, struct verr *reterr)
{
	void *raw;
	int r = vfio_info_get(d->fd, VFIO_DEVICE_GET_IRQ_INFO, sizeof(struct vfio_irq_info),
			      set_irq_index, &index, &raw);

	if (r == -EINVAL && index >= VFIO_PCI_ERR_IRQ_INDEX)
		return 0;
	if (r < 0)
		return verr_set(reterr, r,
				"%s: asking for interrupt %u "
				"(VFIO_DEVICE_GET_IRQ_INFO): %s",
				d->name, index, strerror(-r));

	const struct vfio_irq_info *info = raw;

	d->irq[index].count = MIN(info->count, irq_max[index]);
	d->irq[index].flags = info->flags;
	free(raw);
	return 0;
}

/* VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, Linux 6.6. */
static uint32_t atomic_comp(const struct vfio_device_info *info)
{
	struct {
		struct vfio_info_cap_header header;
		uint32_t flags;
	} cap;
	const void *at = NULL;

	if ((info->flags & VFIO_DEVICE_FLAGS_CAPS) && info->argsz >= sizeof(*info))
		at = vfio_info_cap(info, info->argsz, info->cap_offset, 5, sizeof(cap));
	if (!at)
		return 0;
	memcpy(&cap, at, sizeof(cap));
	return cap.flags;
}

static int query_device(struct vfio_device *d, struct verr *reterr)
{
	void *raw;
	uint32_t n_regions, n_irqs;

	int r = vfio_info_get(d->fd, VFIO_DEVICE_GET_INFO, sizeof(struct vfio_device_info), NULL,
			      NULL, &raw);

	if (r < 0)
		return verr_set(reterr, r, "%s: VFIO_DEVICE_GET_INFO: %s", d->name, strerror(-r));
	d->flags = ((const struct vfio_device_info *)raw)->flags;
	d->fresh = (d->flags & VFIO_DEVICE_FLAGS_RESET) != 0;
	n_regions = ((const struct vfio_device_info *)raw)->num_regions;
	n_irqs = ((const struct vfio_device_info *)raw)->num_irqs;
	d->atomic_comp = atomic_comp(raw);
	free(raw);

	if (!(d->flags & VFIO_DEVICE_FLAGS_PCI) || n_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return verr_set(reterr, -ENOTSUP,
				"%s: its VFIO driver does not present a PCI function", d->name);

	for (unsigned int i = 0; i < VFIO_N_REGIONS + VFIO_N_EXTRA && i < n_regions; i++) {
		r = vfio_region_query(d, i, reterr);
		if (r < 0)
			return r;
	}
	for (unsigned int i = 0; i < VFIO_N_IRQS && i < n_irqs; i++) {
		r = query_irq(d, i, reterr);
		if (r < 0)
			return r;
	}
	if (d->region[VFIO_PCI_CONFIG_REGION_INDEX].size < 256)
		return verr_set(reterr, -ENOTSUP,
				"%s: its VFIO driver gives no PCI configuration "
				"space",
				d->name);
	return 0;
}

static void *open_thread(void *arg)
{
	struct vfio_device *d = arg;

	d->fd = sys_ioctl(d->group->fd, VFIO_GROUP_GET_DEVICE_FD, d->opening);
	return NULL;
}

static void open_wait(struct vfio_device *d)
{
	if (d->threaded)
		pthread_join(d->thread, NULL);
	d->threaded = false;
}

int vfio_device_begin(struct vfio_container *c, const struct bdf *at, const char *token, bool aside,
		      struct vfio_device **ret, struct verr *reterr)
{
	struct vfio_device *d = calloc(1, sizeof(*d));
	unsigned int group;

	if (!d)
		return verr_set(reterr, -ENOMEM, "out of memory");
	d->fd = -1;
	d->at = *at;
	bdf_str(at, d->name);
	d->token = token && token[0];
	snprintf(d->opening, sizeof(d->opening), "%s%s%s", d->name, d->token ? " vf_token=" : "",
		 d->token ? token : "");

	int r = vfio_group_of(at, &group, reterr);

	if (r == 0) {
		r = vfio_group_attach(c, group, &d->group, reterr);
		if (r < 0)
			verr_prefix(reterr, r, "%s", d->name);
	}
	if (r < 0) {
		vfio_device_close(d);
		return r;
	}
	/* Without a thread it is opened when it is wanted. */
	d->threaded = aside && thread_start(&d->thread, open_thread, d) == 0;
	*ret = d;
	return 0;
}

int vfio_device_finish(struct vfio_device *d, struct verr *reterr)
{
	char path[128];

	if (d->threaded)
		open_wait(d);
	else
		open_thread(d);
	if (d->fd < 0)
		return explain_get_fd(d, d->token, d->fd, reterr);

	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/reset_method", d->name);
	if (sys_read_text(path, d->reset_method, sizeof(d->reset_method)) < 0)
		d->reset_method[0] = '\0'; /* before Linux 5.15, or no method */
	return query_device(d, reterr);
}

int vfio_device_open(struct vfio_container *c, const struct bdf *at, struct vfio_device **ret,
		     struct verr *reterr)
{
	struct vfio_device *d;

	int r = vfio_device_begin(c, at, NULL, false, &d, reterr);
	if (r < 0)
		return r;
	r = vfio_device_finish(d, reterr);
	if (r < 0) {
		vfio_device_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

static unsigned int closing; /* threads; atomic */

static void *close_thread(void *arg)
{
	sys_close((int)(intptr_t)arg);
	__atomic_sub_fetch(&closing, 1, __ATOMIC_RELEASE);
	return NULL;
}

void vfio_device_close_aside(int fd)
{
	pthread_t thread;

	__atomic_add_fetch(&closing, 1, __ATOMIC_RELAXED);
	if (thread_start(&thread, close_thread, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
	else
		close_thread((void *)(intptr_t)fd);
}

int vfio_device_take_fd(struct vfio_device *d)
{
	vfio_reset_wait(d);
	int fd = d->fd;

	d->fd = -1;
	return fd;
}

bool vfio_device_closing(void)
{
	return __atomic_load_n(&closing, __ATOMIC_ACQUIRE) > 0;
}

void vfio_device_close(struct vfio_device *d)
{
	if (!d)
		return;
	open_wait(d);
	vfio_reset_wait(d);
	sys_close_fd(&d->fd);
	vfio_group_put(d->group);
	free(d);
}

/* A virtual function's vendor id always reads 0xffff (SR-IOV 3.4.1.1); its status register has the
 * capability list bit set while it answers. */
static bool vf_answers(const struct bdf *at)
{
	char path[128], target[8], name[BDF_STR_MAX];
	uint8_t reg[4];

	bdf_str(at, name);
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn", name);
	if (sys->readlink(path, target, sizeof(target)) < 0)
		return false; /* no virtual function */
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/config", name);
	int fd = sys_open(path, O_RDONLY, 0);

	if (fd < 0)
		return false;
	ssize_t n = sys_pread(fd, reg, sizeof(reg), 4);

	sys_close(fd);
	return n == (ssize_t)sizeof(reg) && get_le32(reg) != UINT32_MAX;
}

bool vfio_function_alive(const struct bdf *at)
{
	int vendor = hostpci_vendor_now(at);

	switch (vendor) {
	case -EACCES:
	case -EPERM:
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
		return true; /* can't be asked: no proof of death */
	case 0xffff:
		return vf_answers(at);
	default:
		return vendor >= 0;
	}
}

bool vfio_device_alive(const struct vfio_device *d)
{
	return vfio_function_alive(&d->at);
}

bool vfio_device_listed(const struct vfio_device *d)
{
	int vendor = hostpci_vendor_now(&d->at);

	return vendor != -ENOENT && vendor != -ENODEV;
}
