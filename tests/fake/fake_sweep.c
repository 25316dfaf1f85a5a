// SPDX-License-Identifier: GPL-2.0-or-later
//
// The sweep: a scenario is run again and again, each time with the next kernel call failing in
// the next way, until it comes through with no call left to fail.
#include <stdio.h>
#include <string.h>

#include "tests/fake/fake_fault_int.h"
#include "tests/fake/fake_sys.h"

static void begin(const struct fake_sweep *s, unsigned int nth, unsigned int errno_index)
{
	fake_reset();
	if (s->setup)
		s->setup(s->opaque);
	fake_mark();
	fk_lock();
	*fk_sweep_plan() = (struct fk_sweep_plan){ .on = true,
						   .calls = s->calls,
						   .path = s->path,
						   .undo = s->undo,
						   .nth = nth,
						   .errno_index = errno_index };
	fk_unlock();
}

static void end(struct fk_sweep_plan *ret)
{
	fk_lock();
	*ret = *fk_sweep_plan();
	fk_sweep_plan()->on = false;
	fk_unlock();
}

static void finding(const struct fake_sweep *s, const struct fk_sweep_plan *p, const char *what)
{
	fprintf(stderr, "sweep %s: %s failed with %s (call %u): %s\n", s->name,
		p->hit ? p->what : "nothing", p->hit ? strerrorname_np(p->err) : "-", p->nth, what);
}

/* Returns 1 if anything is wrong with how the round ended. */
static unsigned int judge(const struct fake_sweep *s, const struct fk_sweep_plan *p, int r,
			  const struct verr *err)
{
	char text[700];
	unsigned int bad = 0;
	if (fake_leaks(NULL) || (!s->undo && fake_violations(NULL))) {
		finding(s, p, "left behind:");
		fake_leaks(stderr);
		fake_violations(stderr);
		bad = 1;
	}
	if (r > 0 || (r == 0 && err->code != 0)) {
		snprintf(text, sizeof(text), "returned %d with error code %d", r, err->code);
		finding(s, p, text);
		bad = 1;
	}
	if (r >= 0)
		return bad;
	if (err->code >= 0 || err->msg[0] == '\0') {
		snprintf(text, sizeof(text), "returned %d but set no error sentence", r);
		finding(s, p, text);
		bad = 1;
	} else if (s->names && !strstr(err->msg, s->names)) {
		snprintf(text, sizeof(text), "the error does not name %s: %s", s->names, err->msg);
		finding(s, p, text);
		bad = 1;
	}
	return bad;
}

unsigned int fault_sweep(const struct fake_sweep *s, struct fake_sweep_stats *ret)
{
	struct fake_sweep_stats st = { .calls = 0 };
	unsigned int max = s->max ? s->max : 20000, nth = 1, index = 0;
	for (;;) {
		struct verr err = { .code = 0 };
		struct fk_sweep_plan p;
		begin(s, nth, index);
		int r = s->run(s->opaque, &err);
		end(&p);
		st.bad += judge(s, &p, r, &err);
		if (!p.hit) {
			if (r < 0) {
				finding(s, &p, err.msg);
				st.bad++;
			}
			break;
		}
		st.injected++;
		st.calls += index == 0;
		if (r < 0)
			st.failed++;
		else
			st.absorbed++;
		if (++index >= p.n_errnos) {
			index = 0;
			nth++;
		}
		if (st.injected >= max) {
			finding(s, &p, "no end in sight");
			st.bad++;
			break;
		}
	}
	fake_reset();
	printf("sweep %s: %u calls failed in %u ways: %u reported, %u absorbed, %u findings\n",
	       s->name, st.calls, st.injected, st.failed, st.absorbed, st.bad);
	if (ret)
		*ret = st;
	return st.bad;
}
