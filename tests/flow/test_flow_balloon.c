// SPDX-License-Identifier: GPL-2.0-or-later
// A balloon beside assigned devices, which pin the memory it would give back: whichever comes
// first; the control socket's side; what fails at its start.
#include <errno.h>
#include <unistd.h>

#include "flow.h"
#include "vmm/control_int.h"
#include "vmm/virtio/virtio_balloon.h"

#define SLOT "pcie-root-port,id=slot"
#define BAL  "virtio-balloon,id=bal"
#define NIC  "vfio-pci,host=" HOST_BDF ",id=nic"

static struct verr err;

static int size(uint64_t bytes)
{
	verr_clear(&err);
	return virtio_balloon_set(machine_find_device(g.m, "bal"), bytes, &err);
}

static int plug(const char *arg)
{
	verr_clear(&err);
	return machine_plug(g.m, arg, &err);
}

static void assert_why(const char *what)
{
	if (!strstr(err.msg, what))
		fail_msg("\"%s\" is not in: %s", what, err.msg);
}

static void test_started_beside_an_assigned_device_it_takes_nothing(void **state)
{
	const struct guest_setup s = { .device = { BAL, NIC } };

	(void)state;
	fake_zoo_one(&zoo_e1000e);
	guest_start(&g, &s);
	machine_lock(g.m);
	assert_int_equal(size(MIB(2)), -EBUSY);
	assert_why("is pinned for an assigned device");
	assert_int_equal(machine_unplug(g.m, "nic", true, &err), 0);
	assert_int_equal(size(MIB(2)), 0);
	machine_unlock(g.m);
}

static void test_a_device_is_refused_while_memory_is_taken(void **state)
{
	const struct guest_setup s = { .device = { BAL, SLOT } };

	(void)state;
	fake_zoo_one(&zoo_e1000e);
	guest_start(&g, &s);
	machine_lock(g.m);
	assert_int_equal(size(MIB(3)), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(plug(NIC), -EBUSY);
		assert_why("virtio-balloon bal has 1 MiB of the guest's memory");
		assert_null(machine_find_device(g.m, "nic"));
		assert_int_equal(fake_containers(), 0);
	}
	assert_int_equal(size(MIB(4)), 0);
	assert_int_equal(plug(NIC), 0);
	assert_int_equal(size(MIB(3)), -EBUSY);
	assert_int_equal(machine_unplug(g.m, "nic", true, &err), 0);
	assert_int_equal(size(MIB(3)), 0);
	machine_unlock(g.m);
}

static void test_added_beside_an_assigned_device_it_takes_nothing(void **state)
{
	const struct guest_setup s = { .device = { NIC, SLOT } };

	(void)state;
	fake_zoo_one(&zoo_e1000e);
	guest_start(&g, &s);
	machine_lock(g.m);
	assert_int_equal(plug(BAL), 0);
	assert_int_equal(size(MIB(3)), -EBUSY);
	assert_int_equal(machine_unplug(g.m, "nic", true, &err), 0);
	assert_int_equal(size(MIB(3)), 0);
	assert_int_equal(machine_unplug(g.m, "bal", true, &err), 0);
	assert_int_equal(plug(NIC), 0); /* with it, what it had taken is forgotten */
	machine_unlock(g.m);
}

static void test_the_target_outlives_a_reset_of_the_machine(void **state)
{
	const struct guest_setup s = { .device = { BAL } };
	struct balloon_state b;

	(void)state;
	guest_start(&g, &s);
	machine_lock(g.m);
	assert_int_equal(size(MIB(3)), 0);
	machine_unlock(g.m);
	assert_int_equal(guest_reset(&g, NULL), 0);
	machine_lock(g.m);
	virtio_balloon_query(machine_find_device(g.m, "bal"), &b);
	machine_unlock(g.m);
	assert_int_equal(b.target, MIB(3));
	assert_int_equal(b.actual, MIB(4));
}

/* ---- the control socket ---------------------------------------------------------------------- */

static void assert_answer(const char *request, const char *what)
{
	json_t *r = json_loads(request, 0, NULL);

	assert_non_null(r);
	machine_lock(g.m);
	json_t *a = control_execute(g.m, r);
	machine_unlock(g.m);
	char *text = json_dumps(a, JSON_COMPACT);
	if (!strstr(text, what))
		fail_msg("\"%s\" is not in: %s", what, text);
	free(text);
	json_decref(a);
	json_decref(r);
}

static void test_the_commands(void **state)
{
	static const struct {
		const char *arguments, *answer;
	} cases[] = {
		{ "{\"size\":\"3M\"}", "\"return\":{}" },
		{ "{\"size\":\"2\"}", "\"return\":{}" },
		{ "{\"size\":3145728,\"id\":\"bal\"}", "\"return\":{}" },
		{ "{\"size\":\"5M\"}", "a guest of 4 MiB can't be given 5242880 bytes" },
		{ "{\"size\":\"3 MB\"}", "is not a size" },
		{ "{\"size\":-1}", "is what the guest keeps" },
		{ "{\"size\":true}", "is what the guest keeps" },
		{ "{}", "is what the guest keeps" },
		{ "{\"size\":\"3M\",\"id\":\"x\"}", "there is no balloon \\\"x\\\"" },
		{ "{\"value\":1}", "takes no argument \\\"value\\\"" },
	};
	const struct guest_setup s = { .device = { BAL, SLOT } };
	char line[160];

	(void)state;
	guest_start(&g, &s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(line, sizeof(line), "{\"execute\":\"balloon\",\"arguments\":%s}",
			 cases[i].arguments);
		assert_answer(line, cases[i].answer);
	}
	assert_answer("{\"execute\":\"query-balloon\"}",
		      "{\"memory\":4194304,\"target\":3145728,\"actual\":4194304}");
	machine_lock(g.m);
	assert_int_equal(plug("virtio-balloon,id=second"), 0);
	machine_unlock(g.m);
	assert_answer("{\"execute\":\"query-balloon\"}", "say which by \\\"id\\\"");
	assert_answer("{\"execute\":\"chardev_add\",\"arguments\":{\"driver\":\"null\",\"id\":5}}",
		      "\"return\":{}");
	assert_answer("{\"execute\":\"chardev_add\",\"arguments\":{\"driver\":\"null\",\"id\":"
		      "\"c\"}}",
		      "{\"where\":\"null\"}");
	assert_answer("{\"execute\":\"blockdev_del\",\"arguments\":{\"id\":\"c\"}}",
		      "is no blockdev");
	assert_answer("{\"execute\":\"chardev_del\",\"arguments\":{\"id\":\"c\"}}",
		      "\"return\":{}");
}

/* ---- what fails ------------------------------------------------------------------------------ */

static void host(void *opaque)
{
	(void)opaque;
}

static void test_every_failure_of_its_set_up_is_undone_and_named(void **state)
{
	char arg[] = BAL ",bus=pci.0,free-page-reporting=on";
	const struct fake_sweep s = {
		.name = "virtio-balloon", .setup = host, .run = guest_seat, .opaque = arg
	};
	struct fake_sweep_stats st;

	(void)state;
	assert_int_equal(fault_sweep(&s, &st), 0);
	assert_true(st.failed > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_started_beside_an_assigned_device_it_takes_nothing),
		FLOW_TEST(test_a_device_is_refused_while_memory_is_taken),
		FLOW_TEST(test_added_beside_an_assigned_device_it_takes_nothing),
		FLOW_TEST(test_the_target_outlives_a_reset_of_the_machine),
		FLOW_TEST(test_the_commands),
		FLOW_TEST(test_every_failure_of_its_set_up_is_undone_and_named),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
