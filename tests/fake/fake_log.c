// SPDX-License-Identifier: GPL-2.0-or-later
//
// The fake kernel's memory of what happened: the call log, the list of broken rules, the leak
// report gathered from every part, and the reset of them all.
#include "tests/fake/fake_sys.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/fake/fake_int.h"

#define LOG_MAX	   200000
#define FDS_WANTED 65536

static char **calls, **violations;
static unsigned int n_calls, n_violations, cap_calls, cap_violations;

static void push(char ***list, unsigned int *n, unsigned int *cap, const char *text)
{
	if (*n == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		*list = realloc(*list, *cap * sizeof(**list));
		if (!*list)
			fk_bug("out of memory");
	}
	(*list)[(*n)++] = fk_strdup(text);
}

static void drop(char **list, unsigned int *n)
{
	for (unsigned int i = 0; i < *n; i++)
		free(list[i]);
	*n = 0;
}

void fk_violation(const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	push(&violations, &n_violations, &cap_violations, text);
}

void fk_log(const char *text)
{
	if (n_calls < LOG_MAX)
		push(&calls, &n_calls, &cap_calls, text);
}

unsigned int fake_leaks(FILE *f)
{
	fk_lock();
	unsigned int n = fk_file_leaks(f) + fk_map_leaks(f) + fk_vfio_leaks(f) + fk_kvm_leaks(f) +
			 fk_bind_leaks(f) + fk_fs_leaks(f) + fk_child_leaks(f);
	fk_unlock();
	return n;
}

unsigned int fake_violations(FILE *f)
{
	fk_lock();
	fk_guard_collect();
	for (unsigned int i = 0; f && i < n_violations; i++)
		fprintf(f, "violation: %s\n", violations[i]);
	unsigned int n = n_violations;
	fk_unlock();
	return n;
}

void fake_violations_clear(void)
{
	fk_lock();
	fk_guard_collect();
	drop(violations, &n_violations);
	fk_unlock();
}

bool fake_violated(const char *part)
{
	bool found = false;
	fk_lock();
	fk_guard_collect();
	for (unsigned int i = 0; i < n_violations; i++)
		found |= strstr(violations[i], part) != NULL;
	fk_unlock();
	return found;
}

bool fake_clean(void)
{
	if (fake_leaks(NULL) == 0 && fake_violations(NULL) == 0)
		return true;
	fake_leaks(stderr);
	fake_violations(stderr);
	return false;
}

void fake_log_clear(void)
{
	fk_lock();
	drop(calls, &n_calls);
	fk_unlock();
}

void fake_log_print(FILE *f)
{
	fk_lock();
	for (unsigned int i = 0; i < n_calls; i++)
		fprintf(f, "%5u %s\n", i, calls[i]);
	fk_unlock();
}

int fake_log_find(const char *part, int from)
{
	int found = -1;
	fk_lock();
	for (unsigned int i = (unsigned int)MAX(from, 0); i < n_calls && found < 0; i++)
		if (strstr(calls[i], part))
			found = (int)i;
	fk_unlock();
	return found;
}

unsigned int fake_log_count(const char *part)
{
	unsigned int n = 0;
	fk_lock();
	for (unsigned int i = 0; i < n_calls; i++)
		n += strstr(calls[i], part) != NULL;
	fk_unlock();
	return n;
}

void fake_mark(void)
{
	fk_lock();
	fk_bind_mark();
	fk_fs_mark();
	fk_unlock();
}

void fake_reset(void)
{
	fk_lock();
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = MIN(r.rlim_max, (rlim_t)FDS_WANTED);
		setrlimit(RLIMIT_NOFILE, &r);
	}
	fk_fault_reset();
	fk_map_reset();
	fk_files_reset();
	fk_kvm_reset();
	fk_vhost_reset();
	fk_tap_reset();
	fk_child_reset();
	fk_vfio_reset();
	fk_dev_reset_all();
	fk_bind_reset();
	fk_fs_reset();
	fk_sysfs_reset();
	fk_efd_reset();
	fk_guard_collect();
	drop(violations, &n_violations);
	drop(calls, &n_calls);
	fk_unlock();
}
