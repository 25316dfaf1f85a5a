// SPDX-License-Identifier: GPL-2.0-or-later
//
// `watch`: a line for each change, until interrupted. An event only says that it is time to look;
// what is printed is the difference between two looks, so bursts and lost events do no harm.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "pci/hostpci_watch.h"
#include "tools/inspect/change.h"

#define QUIET_MS 60  /* a burst is over */
#define LATE_MS	 600 /* or goes on, and is looked at anyhow */
#define AGAIN_MS 500 /* after a look that failed */
#define DAY_S	 86400

static double every_s; /* 0: events only */

static int option(int val, const char *arg, struct verr *reterr)
{
	char *end;
	(void)val;
	every_s = strtod(arg, &end);
	if (end == arg || *end || !(every_s >= 0.1 && every_s <= DAY_S))
		return verr_set(reterr, -EINVAL, "--every takes seconds, from 0.1 to a day, not %s",
				arg);
	return 0;
}

static json_t *look(struct verr *reterr)
{
	struct inv inv;
	if (inv_read(&inv, INV_TREE, NULL, 0, reterr) < 0)
		return NULL;
	json_t *doc = inspect_json(&inv, NULL, 0);
	inv_fini(&inv);
	if (!doc)
		verr_set(reterr, -ENOMEM, "out of memory for the inventory");
	return doc;
}

/* Prints what differs and keeps the new document. -EAGAIN: it could not be read, but may be soon;
 * -EPIPE: nobody reads any more. */
static int look_again(struct inspect *in, json_t **doc)
{
	struct verr err = { .code = 0 };
	json_t *now = look(&err);
	if (!now) {
		inspect_fail(&err, err.code); /* a function that goes away while it is read */
		return -EAGAIN;
	}
	json_t *changes = change_list(*doc, now);
	for (size_t i = 0; i < json_array_size(changes); i++) {
		const json_t *c = json_array_get(changes, i);
		if (!in->json) {
			change_print(in, c);
			continue;
		}
		json_dumpf(c, in->out, JSON_COMPACT);
		fputc('\n', in->out);
	}
	json_decref(changes);
	json_decref(*doc);
	*doc = now;
	return fflush(in->out) == 0 ? 0 : -EPIPE;
}

/* Takes events until none come for a moment. */
static void settle(struct hostpci_watch *w)
{
	struct pollfd p = { .fd = hostpci_watch_fd(w), .events = POLLIN };
	for (int waited = 0; waited < LATE_MS; waited += QUIET_MS) {
		hostpci_watch_drain(w);
		if (poll(&p, 1, QUIET_MS) == 0)
			return;
	}
}

static int loop(struct inspect *in, struct hostpci_watch *w, int signals, json_t **doc)
{
	struct pollfd p[2] = { { .fd = hostpci_watch_fd(w), .events = POLLIN },
			       { .fd = signals, .events = POLLIN } };
	int r = 0;
	while (r == 0 || r == -EAGAIN) {
		int wait = r < 0 ? AGAIN_MS : every_s > 0 ? (int)(every_s * 1000) : -1;
		int n = poll(p, 2, wait);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && p[1].revents)
			return 0;
		if (n > 0)
			settle(w);
		if (n >= 0)
			r = look_again(in, doc);
	}
	return r == -EPIPE ? 0 : r;
}

static int signals_open(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int run(struct inspect *in)
{
	struct verr err = { .code = 0 };
	struct hostpci_watch *w = NULL;
	bool kernel = false;
	int signals = signals_open();
	/* First listen, then look: a change in between is seen twice rather than never. */
	int r = signals < 0 ? -errno : hostpci_watch_open(&w, &kernel, &err);
	json_t *doc = r == 0 ? look(&err) : NULL;
	if (r == 0 && !doc)
		r = err.code;
	if (r == 0) {
		fprintf(stderr, "vfio-inspect: watching the events of %s; end with Ctrl-C\n",
			kernel ? "the kernel, as udevd does not run" : "udev");
		r = loop(in, w, signals, &doc);
	}
	json_decref(doc);
	hostpci_watch_close(w);
	if (signals >= 0)
		close(signals);
	return r < 0 ? inspect_fail(&err, r) : INSPECT_OK;
}

static const struct option options[] = {
	{ "every", required_argument, NULL, 256 },
	{ 0 },
};

const struct inspect_cmd inspect_watch = {
	.name = "watch",
	.synopsis = "watch [--every SECONDS]",
	.summary = "a line for each change, until interrupted",
	.args = ARGS_NONE,
	.options = options,
	.option = option,
	.run = run,
};
