// SPDX-License-Identifier: GPL-2.0-or-later
// The life of a VM on one page: options, preflight, accelerator, machine, devices, run, end.
// The one place in the libraries that prints.

#define LOG_TAG "vfio-vmm"

#include "vmm/vmm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/sys.h"
#include "core/trace.h"
#include "vfio/passthru.h"
#include "vfio/preflight.h"
#include "vmm/accel_select.h"
#include "vmm/assign.h"
#include "vmm/control.h"
#include "vmm/machine.h"
#include "vmm/machine_preflight.h"
#include "vmm/options.h"
#include "vmm/typearg.h"

enum { EXIT_SETUP = 1, EXIT_USAGE = 2 };

static struct loop *signal_loop;

static void on_signal(int sig)
{
	loop_quit(signal_loop, 128 + sig);
}

static void catch_signals(struct loop *l)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa;

	signal_loop = l;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct sigaction now;

		/* Under nohup, and in a shell's background, they are to stay ignored. */
		if (sigaction(ends[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaction(ends[i], &sa, NULL);
	}
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/* Host addresses named by the devices: what preflight looks at. */
static int assigned(const struct vmm_opts *o, struct bdf *ret, unsigned int *ret_n,
		    struct verr *reterr)
{
	unsigned int n = 0;
	int r = 0;

	for (unsigned int i = 0; i < o->n_devices && r >= 0; i++) {
		r = assign_host(o->devices[i], &ret[n], reterr);
		n += r == 1;
	}
	*ret_n = n;
	return MIN(r, 0);
}

/* What is known to be wrong is said before anything is touched. */
static int preflight(const struct vmm_opts *o, const struct accel *a, struct verr *reterr)
{
	struct bdf bdfs[VMM_MAX_DEVICES];
	struct preflight_request req = { .bdfs = bdfs,
					 .ram_bytes = o->memory,
					 .phys_bits = a->phys_bits,
					 .need_kvm = a->runs_guests,
					 .may_wake = true,
					 .solve = pc_map_preflight };
	struct preflight p;

	int r = assigned(o, bdfs, &req.n_bdfs, reterr);
	if (r < 0 || req.n_bdfs == 0)
		return r;
	r = preflight_run(&req, &p);
	if (r < 0)
		return verr_set(reterr, r, "out of memory");
	if (o->dry_run)
		preflight_print(&p, stdout, true);
	/* The first failure is the error that ends this; with the others nobody should have to wait
	 * for the next attempt. */
	bool failed = false;
	for (unsigned int i = 0; i < p.n && !o->dry_run; i++) {
		const struct verdict *v = &p.v[i];
		if (v->level == VERDICT_WARN)
			log_warn("%s%s%s", v->text, v->fix[0] ? "; " : "", v->fix);
		else if (v->level == VERDICT_FAIL && failed)
			log_err("%s%s%s", v->text, v->fix[0] ? "; " : "", v->fix);
		failed |= v->level == VERDICT_FAIL;
	}
	r = preflight_error(&p, reterr);
	preflight_fini(&p);
	return r;
}

static int make_machine(const struct vmm_opts *o, struct accel *a, struct loop *l,
			struct machine **ret, struct verr *reterr)
{
	const struct machine_type *type = NULL;
	void *cfg = NULL;

	int r = typearg_machine(o->machine, &type, &cfg, reterr);
	if (r < 0) {
		a->ops->close(a);
		return r;
	}
	const struct machine_setup s = {
		.type = type,
		.cfg = cfg,
		.accel = a,
		.ram_size = o->memory,
		.vcpus = o->cpus,
		.boot = { .kernel = o->kernel, .initrd = o->initrd, .cmdline = o->cmdline },
		.serial = o->serial,
		.reboot_restarts = o->reboot_restarts,
		.dry_run = o->dry_run,
	};
	return machine_new(&s, l, ret, reterr);
}

static int add_devices(struct machine *m, const struct vmm_opts *o, struct verr *reterr)
{
	int r = 0;

	machine_lock(m);
	for (unsigned int i = 0; i < o->n_backends && r == 0; i++)
		r = machine_add_backend(m, o->backends[i].kind, o->backends[i].arg, reterr);
	if (r == 0)
		r = machine_add_devices(m, o->devices, o->n_devices, reterr);
	if (r == 0)
		r = machine_realize(m, reterr);
	machine_unlock(m);
	return r;
}

/* Runs the VM to its end; the exit status, or -errno. */
static int run(struct machine *m, const struct vmm_opts *o, struct loop *l, struct verr *reterr)
{
	struct control *control = NULL;
	enum machine_stop why;

	if (o->control) {
		int r = control_open(o->control, m, l, &control, reterr);
		if (r < 0)
			return r;
	}
	catch_signals(l);
	int r = machine_run(m, &why, reterr);
	if (o->timing)
		timing_print(&m->timing, stderr);
	control_close(control);
	if (r != 0)
		return r;
	if (why != MACHINE_POWERED_OFF)
		log_err("%s", m->stop_text);
	else
		log_info("%s", m->stop_text);
	return (int)why;
}

static int vmm(struct vmm_opts *o, struct verr *reterr)
{
	struct accel *a = NULL;
	struct machine *m = NULL;
	struct loop *l = NULL;
	bool fallback = false;
	int status = 0;

	int r = accel_list_open(o->accel, stderr, &a, &fallback, reterr);
	if (r < 0)
		return r;
	bool plan = o->dry_run || !a->runs_guests;
	if (a->runs_guests && !plan && !o->kernel)
		r = verr_set(reterr, -EINVAL, "--kernel is missing: there is nothing to boot");
	o->dry_run = plan;
	if (r == 0)
		r = assign_expand(o->devices, &o->n_devices, VMM_MAX_DEVICES, reterr);
	if (r == 0)
		r = preflight(o, a, reterr);
	if (r == 0)
		r = loop_open(&l, reterr);
	if (r < 0)
		a->ops->close(a);
	else
		r = make_machine(o, a, l, &m, reterr);
	if (r == 0)
		r = add_devices(m, o, reterr);
	/* A plan that fails is shown as far as it goes. */
	if (plan && m)
		machine_describe(m, stdout);
	if (r == 0 && plan) {
		status = fallback ? EXIT_SETUP : 0;
	} else if (r == 0) {
		status = run(m, o, l, reterr);
		r = MIN(status, 0);
	}
	machine_free(m);
	loop_close(l);
	return r < 0 ? r : status;
}

int vmm_main(int argc, char **argv)
{
	struct verr err = { 0 };
	struct vmm_opts o;
	int status = 0;

	sys_std_fds();
	sys_max_fds();
	enum options_result parsed = options_parse(argc, argv, &o, stdout, &err);
	if (parsed == OPTIONS_RUN && ((o.log && log_configure(o.log, &err) < 0) ||
				      (o.trace && trace_enable(o.trace, &err) < 0)))
		parsed = OPTIONS_BAD;
	if (parsed == OPTIONS_RUN) {
		status = vmm(&o, &err);
		if (status < 0) {
			fprintf(stderr, "vfio-vmm: %s\n", err.msg[0] ? err.msg : strerror(-status));
			status = EXIT_SETUP;
		}
	} else if (parsed == OPTIONS_BAD) {
		fprintf(stderr, "vfio-vmm: %s\n", err.msg);
		status = EXIT_USAGE;
	}
	options_fini(&o);
	log_close();
	return status;
}
