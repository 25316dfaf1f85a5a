// SPDX-License-Identifier: GPL-2.0-or-later
// What the fake kernel's files share. Not for tests: those use fake_sys.h, fake_host.h, ...
//
// One recursive lock (fk_lock) guards everything; seam calls take it, KVM_RUN drops it while it
// waits. Functions named fk_* are called with it held.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/cc.h"
#include "core/list.h"
#include "tests/fake/fake_dev.h"
#include "tests/fake/fake_fault.h"

VV_BEGIN_DECLS

#define FK_PAGE	    UINT64_C(4096)
#define FK_VGA_SIZE 0xc0000u

void fk_lock(void);
void fk_unlock(void);
/* Drops the lock however deep it is held; fk_relock() restores that depth. For KVM_RUN. */
int fk_unlock_all(void);
void fk_relock(int depth);

/* calloc() and strdup() that end the test when memory does. */
void *fk_zalloc(size_t size);
char *fk_strdup(const char *s);

/* Records a broken rule. */
void fk_violation(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* One line of the call log. */
void fk_log(const char *text);
/* The test itself is wrong: says so and aborts. */
void fk_bug(const char *fmt, ...) ATTR_PRINTF(1, 2) __attribute__((noreturn));

/* --- files (fake_sys.c) ------------------------------------------------------------------- */

enum fk_kind {
	FK_REAL,
	FK_FS,
	FK_EVENTFD,
	FK_MEMFD,
	FK_CONTAINER,
	FK_GROUP,
	FK_DEVICE,
	FK_KVM,
	FK_VM,
	FK_VCPU,
	FK_KVMDEV,
	FK_VHOST,
	FK_TAP,
	FK_SOCKET
};

struct fk_file;
struct fk_map;

struct fk_fops {
	long (*ioctl)(struct fk_file *f, unsigned long request, void *arg);
	ssize_t (*read)(struct fk_file *f, void *buf, size_t len);
	ssize_t (*write)(struct fk_file *f, const void *buf, size_t len);
	ssize_t (*pread)(struct fk_file *f, void *buf, size_t len, off_t off);
	ssize_t (*pwrite)(struct fk_file *f, const void *buf, size_t len, off_t off);
	/* Fills m->kind, dev, bar, off, zapped and says which real fd and offset to map. */
	int (*mmap)(struct fk_file *f, struct fk_map *m, off_t off, int *ret_fd, off_t *ret_off);
	void (*release)(struct fk_file *f);
};

struct fk_file {
	int fd;
	enum fk_kind kind;
	const struct fk_fops *ops; /* NULL: the real kernel's */
	void *obj;
	int flags; /* open flags */
	off_t pos;
	uint64_t id; /* eventfd identity */
	bool locked; /* flock, exclusive */
	char name[160];
};

/* A new real descriptor (a memfd) tagged with the object. -EMFILE and so on. The name is
 * formatted. Release is called at close. */
int fk_install(enum fk_kind kind, const struct fk_fops *ops, void *obj, const char *fmt, ...)
	ATTR_PRINTF(4, 5);
/* The same for a real descriptor, which is the file's from now on. */
void fk_install_fd(int fd, enum fk_kind kind, const struct fk_fops *ops, void *obj,
		   const char *name);
struct fk_file *fk_file(int fd); /* NULL: not ours */
unsigned int fk_file_leaks(FILE *f);
void fk_files_reset(void); /* closes everything, forgets allowed paths */
/* The object behind fd if it is of that kind; NULL otherwise. */
void *fk_obj(int fd, enum fk_kind kind);

/* --- mappings (fake_map.c) ---------------------------------------------------------------- */

enum fk_map_kind { FK_MAP_ANON, FK_MAP_FILE, FK_MAP_BAR, FK_MAP_VCPU };

struct fk_map {
	struct list node;
	uintptr_t addr;
	size_t len;
	int prot;
	enum fk_map_kind kind;
	struct fake_dev *dev; /* BAR */
	unsigned int bar;
	uint64_t off; /* into the BAR */
	bool zapped;  /* inaccessible now: decode off, D3, reset, removed */
};

int fk_mmap(void **ret, void *addr, size_t len, int prot, int flags, int fd, off_t off);
int fk_munmap(void *addr, size_t len);
/* The mapping that holds addr; NULL: none of ours. */
struct fk_map *fk_map_at(uintptr_t addr);
/* Calls fn for each BAR mapping of d. */
void fk_map_each_bar(const struct fake_dev *d, void (*fn)(struct fk_map *m, void *opaque),
		     void *opaque);
/* Makes a BAR mapping inaccessible, or accessible again. */
void fk_map_zap(struct fk_map *m, bool zap);
/* 0 if the whole range can be read (and written): -EFAULT otherwise. `ret_bar`: some of it is a
 * BAR. */
int fk_va_check(uintptr_t addr, uint64_t len, bool write, bool *ret_bar);
unsigned int fk_map_leaks(FILE *f);
void fk_map_reset(void);
/* Host accesses to zapped BARs since last asked: turns them into violations. */
void fk_guard_collect(void);

/* --- eventfds (fake_event.c) -------------------------------------------------------------- */

struct fk_efd; /* an eventfd's open file, kept however many fds close */

/* NULL and *ret_err (-EBADF, -EINVAL) if fd is not an eventfd. Put it back with fk_efd_put(). */
struct fk_efd *fk_efd_get(int fd, int *ret_err);
void fk_efd_put(struct fk_efd *e); /* NULL allowed */
uint64_t fk_efd_id(int fd);	   /* 0: not an eventfd */
int fk_efd_fd(const struct fk_efd *e);
void fk_efd_signal(struct fk_efd *e);
bool fk_efd_pending(const struct fk_efd *e);

/* Something in the kernel that consumes signals: irqfds, VFIO's unmask virqfd. */
struct fk_waiter {
	struct list node;
	struct fk_efd *e;
	void (*fn)(struct fk_waiter *w);
};
void fk_waiter_add(struct fk_waiter *w, struct fk_efd *e); /* takes over the reference */
void fk_waiter_del(struct fk_waiter *w);
void fk_efd_wrote(uint64_t id);	  /* user space signalled it */
void fk_efd_drained(uint64_t id); /* user space took its count */
/* A consumer that comes to a count has acted on it; `take`: the count is consumed, otherwise it
 * stays until the next signal. */
void fk_efd_seen(struct fk_efd *e, bool take);
void fk_efd_pump_all(void);
void fk_efd_reset(void);

/* --- the tree (fake_fs.c) ----------------------------------------------------------------- */

struct fk_node;
struct fk_node_ops {
	/* Text for read(); at most size - 1 bytes. Length, or -errno. */
	ssize_t (*show)(void *opaque, char *buf, size_t size);
	int (*store)(void *opaque, const char *text, size_t len); /* 0 or -errno */
	ssize_t (*pread)(void *opaque, void *buf, size_t len, off_t off);
	int (*open)(void *opaque, const char *path, int flags); /* device nodes: an fd or -errno */
};

/* Directories above are made. A node already there is replaced (a directory is kept). */
struct fk_node *fk_fs_dir(const char *path);
struct fk_node *fk_fs_text(const char *path, const char *fmt, ...) ATTR_PRINTF(2, 3);
struct fk_node *fk_fs_ops(const char *path, mode_t mode, const struct fk_node_ops *ops,
			  void *opaque);
struct fk_node *fk_fs_dev(const char *path, const struct fk_node_ops *ops, void *opaque);
void fk_fs_link(const char *path, const char *target);
void fk_fs_remove(const char *path);
bool fk_fs_exists(const char *path);
void fk_fs_path_errno(const char *path, int err);

int fk_fs_open(const char *path, int flags, mode_t mode);
int fk_fs_stat(const char *path, struct stat *ret);
int fk_fs_access(const char *path, int mode);
ssize_t fk_fs_readlink(const char *path, char *buf, size_t len);
int fk_fs_listdir(const char *path, char ***ret_names, unsigned int *ret_n);
int fk_fs_mkdir(const char *path, mode_t mode);
int fk_fs_rename(const char *from, const char *to);
int fk_fs_unlink(const char *path);
int fk_fs_ftruncate(struct fk_file *f, off_t len);
const char *fk_fs_text_of(const char *path);
unsigned int fk_fs_leaks(FILE *f);
void fk_fs_mark(void);
void fk_fs_reset(void);

/* --- devices (fake_dev.c, fake_sysfs.c, fake_bind.c) -------------------------------------- */

struct fk_group;
struct fk_vdev;

struct fk_class {     /* what a native driver offers */
	char kind[8]; /* "block", "net", "fb" */
	char name[32];
};

struct fake_dev {
	struct list node;
	const struct fake_devdesc *desc;
	char bdf[16];
	char path[192]; /* /sys/devices/... */
	struct fk_group *group;
	char driver[32];   /* "" unbound */
	char override[64]; /* "" unset */
	char mark_driver[32], mark_override[64];
	int numa;
	bool removed;
	bool asleep; /* VFIO's user let the host switch it off */
	bool wedged; /* stuck in D3cold: reads all ones */
	bool unbind_pending;
	struct fk_class classes[4];
	unsigned int n_classes;

	uint8_t cfg[4096];		      /* physical configuration space */
	uint8_t cfg_wr[4096];		      /* writable bits of it */
	unsigned int msi, msix, pm, pcie, af; /* capability offsets, 0 none */
	bool no_soft_reset;
	bool msix_moved;      /* fake_dev_msix_moved() */
	unsigned int power;   /* D-state 0..3 */
	uint64_t bar_addr[6]; /* physical */
	int bar_fd[6];	      /* memfd, -1: not made yet: fk_bar_fd() */
	struct fk_bar_hook {
		void (*fn)(void *opaque, uint64_t off, void *data, unsigned int len, bool write);
		void *opaque;
	} hook[6];
	unsigned int traps[6];
	uint8_t *vga;	     /* legacy memory and ports, by address; NULL: not made yet */
	unsigned int vga_rw; /* pread + pwrite */
	const uint8_t *rom;  /* borrowed; NULL: a proper image is made up */
	unsigned int rom_reads;
	unsigned int resets, dma_faults;
	bool intx_level;
	struct fk_vdev *vdev; /* open through VFIO; NULL otherwise */
};

struct fk_group {
	struct list node;
	int id;
	char type[16];
	int attach_errno, domain;
	struct fk_resv {
		uint64_t first, last;
		char type[20];
	} resv[8];
	unsigned int n_resv;
	/* VFIO */
	unsigned int opens;		/* references to the one open file */
	struct fk_container *container; /* NULL: not set */
	unsigned int users;		/* open devices */
};

struct list *fk_devs(void);
struct list *fk_groups(void);
struct fk_group *fk_group_find(int id, bool create);
bool fk_group_viable(const struct fk_group *g);

void fk_dev_build(struct fake_dev *d); /* config space, BARs, ROM from the description */
void fk_dev_destroy(struct fake_dev *d);
void fk_dev_space_reset(void); /* host physical addresses from the start */
bool fk_dev_mem_enabled(const struct fake_dev *d);
/* After anything that may have changed memory decode: zaps or restores the BAR mappings, and
 * records what still covers them. `why` names the event; NULL: blame nobody. */
void fk_dev_decode_changed(struct fake_dev *d, bool was, const char *why);
void fk_dev_zap_event(struct fake_dev *d, const char *why); /* reset: gone for a moment */
int fk_dev_reset(struct fake_dev *d, const char *why);
bool fk_dev_can_reset(const struct fake_dev *d);
unsigned int fk_cfg_get(const uint8_t *cfg, unsigned int off, unsigned int len);
void fk_cfg_set(uint8_t *cfg, unsigned int off, unsigned int len, uint32_t val);
/* A write as the hardware takes it: read-only bits stay, COMMAND and PMCSR act. */
void fk_cfg_phys_write(struct fake_dev *d, unsigned int off, unsigned int len, uint32_t val);
unsigned int fk_cfg_size(const struct fake_dev *d);  /* 256 or 4096 */
int fk_bar_fd(struct fake_dev *d, unsigned int bar); /* of a BAR that exists */
uint8_t *fk_vga(struct fake_dev *d);
void fk_bar_clear(struct fake_dev *d);
unsigned int fk_msix_count(const struct fake_dev *d);
/* BAR, offset and bytes of the table and of the PBA; false: no MSI-X. */
bool fk_msix_span(const struct fake_dev *d, bool pba, unsigned int *ret_bar, uint64_t *ret_off,
		  uint64_t *ret_len);

/* True if [addr, addr+len) of this process shows a page of an MSI-X table or PBA. */
bool fk_shows_msix(uintptr_t addr, uint64_t len, const char **ret_bdf);

void fk_sysfs_add(struct fake_dev *d);
void fk_sysfs_remove(struct fake_dev *d);
void fk_sysfs_bound(struct fake_dev *d, bool bound); /* driver link, class nodes */
void fk_sysfs_group_add(struct fk_group *g);
void fk_sysfs_group_member(struct fk_group *g, struct fake_dev *d, bool present);
void fk_sysfs_driver_add(const char *name);
void fk_sysfs_driver_remove(const char *name);
void fk_sysfs_reset(void);

void fk_driver_ensure(const char *name, const struct fake_devdesc *ids);
bool fk_driver_managed_dma(const char *name);
int fk_bind_store(const char *driver, const char *text, size_t len);
int fk_unbind_store(const char *driver, const char *text, size_t len);
int fk_probe_store(const char *text, size_t len);
int fk_override_store(struct fake_dev *d, const char *text, size_t len);
void fk_unbind_finish(struct fake_dev *d); /* VFIO let go */
unsigned int fk_bind_leaks(FILE *f);
void fk_bind_mark(void);
void fk_bind_reset(void);
void fk_dev_reset_all(void);

/* --- VFIO --------------------------------------------------------------------------------- */

struct fk_irqctx {
	struct fk_efd *trigger;
};

/* A device open through VFIO: lives from the first GET_DEVICE_FD until the last fd is closed and
 * the last BAR mapping is gone. */
struct fk_vdev {
	struct fake_dev *d;
	unsigned int refs;
	uint8_t vcfg[4096];
	uint16_t cap[4096];	      /* whose byte it is: FK_CAP_*, or a capability's id */
	uint16_t base[4096];	      /* where that capability starts */
	uint8_t virt[4096], wr[4096]; /* bits kept by VFIO; bits user space may write */
	int irq_index;		      /* -1 none, 0 INTx, 1 MSI, 2 MSI-X */
	unsigned int n_irqs;	      /* allocated host interrupts */
	unsigned int msi_qmax;
	struct fk_irqctx *ctx;
	unsigned int n_ctx;	 /* room in ctx */
	bool intx_masked;	 /* by VFIO */
	bool intx_virt_disabled; /* COMMAND.INTx Disable as user space set it */
	struct fk_waiter *intx_unmask;
	struct fk_efd *err, *req;
};

int fk_container_open(void *opaque, const char *path, int flags);
int fk_group_open(void *opaque, const char *path, int flags);
int fk_vdev_open(struct fake_dev *d); /* an fd or -errno */
void fk_vdev_get(struct fk_vdev *v);
void fk_vdev_put(struct fk_vdev *v);
void fk_group_put(struct fk_group *g); /* one of `opens` */
unsigned int fk_vfio_leaks(FILE *f);
void fk_vfio_reset(void);

enum { FK_CAP_HEADER = 0, FK_CAP_NONE = 0xffff };
void fk_vcfg_init(struct fk_vdev *v);
ssize_t fk_vcfg_read(struct fk_vdev *v, void *buf, size_t len, uint64_t off);
ssize_t fk_vcfg_write(struct fk_vdev *v, const void *buf, size_t len, uint64_t off);

unsigned int fk_irq_count(const struct fk_vdev *v, unsigned int index);
long fk_set_irqs(struct fk_vdev *v, void *arg);
void fk_irqs_off(struct fk_vdev *v);
bool fk_irqs_all_off_request(const void *arg); /* SET_IRQS with DATA_NONE, count 0 */
void fk_intx_level(struct fake_dev *d, bool level);
void fk_intx_update(struct fk_vdev *v);

/* type1 (fake_vfio_iommu.c) */
struct fk_iommu;
struct fk_iommu *fk_iommu_new(bool v2);
void fk_iommu_free(struct fk_iommu *io);
long fk_iommu_ioctl(struct fk_iommu *io, unsigned long req, void *arg);
int fk_iommu_attach(struct fk_iommu *io, struct fk_group *g);
void fk_iommu_detach(struct fk_iommu *io, struct fk_group *g, bool last);
long fk_iommu_extension(bool set, bool v2, unsigned long ext);
/* The host address behind iova for up to *len bytes (cut to the mapping); NULL: fault. */
void *fk_iommu_translate(struct fk_iommu *io, uint64_t iova, bool write, size_t *len);
struct fk_iommu *fk_group_iommu(struct fk_group *g);
/* True if [addr, addr+len) of this process is in some container's DMA maps. */
bool fk_iommu_uses(uintptr_t addr, uint64_t len);

/* --- KVM ---------------------------------------------------------------------------------- */

int fk_kvm_open(void *opaque, const char *path, int flags);
bool fk_kvm_uses(uintptr_t addr, uint64_t len); /* memory slots of a live VM */
unsigned int fk_kvm_leaks(FILE *f);
void fk_kvm_reset(void);

/* --- vhost (fake_vhost.c) ------------------------------------------------------------------ */

int fk_vhost_open(void *opaque, const char *path, int flags);
bool fk_vhost_uses(uintptr_t addr, uint64_t len); /* in the table of one that serves a ring */
void fk_vhost_reset(void);			  /* after its files are closed */

/* --- TAP interfaces (fake_tap.c) ---------------------------------------------------------- */

int fk_tap_open(void *opaque, const char *path, int flags);
/* May data move through it in segments: a TAP, a socket, a real file? 0 or -errno. */
int fk_tap_io(const struct fk_file *f);
void fk_tap_reset(void);

/* --- programs at the other end of a socket (fake_child.c) --------------------------------- */

/* Entries of sys_fake. */
int fk_dial(const char *path);
int fk_spawn(const char *const *argv, int *ret_fd);
int fk_reap(int pid, int timeout_ms);
unsigned int fk_child_leaks(FILE *f); /* programs not waited for */
void fk_child_reset(void);

/* --- faults (fake_fault.c) ---------------------------------------------------------------- */

struct fk_call {
	enum fake_call call;
	unsigned long request; /* ioctl */
	void *arg;	       /* ioctl argument */
	const char *path;      /* path, or the fd's name */
	enum fk_kind kind;
};

/* 0: go on; otherwise the -errno to return instead of doing it. */
int fk_fault(const struct fk_call *c);
void fk_record(const struct fk_call *c, long result); /* into the log */
/* Runs `expr` unless a fault says otherwise, and logs. */
#define FK_CALL(c, expr)                                                                           \
	({                                                                                         \
		long r_ = fk_fault(c);                                                             \
		if (r_ == 0)                                                                       \
			r_ = (long)(expr);                                                         \
		fk_record((c), r_);                                                                \
		r_;                                                                                \
	})
bool fk_sweeping(void); /* inside a round of a sweep */
const char *fk_call_name(enum fake_call c);
const char *fk_ioctl_name(const struct fk_call *c); /* NULL: unknown */
void fk_fault_reset(void);

VV_END_DECLS
