// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest's lspci makes of our functions: a host bridge, a root port, an endpoint with MSI-X
// behind it and an empty slot. The bytes are compared with tests/golden/lspci_tree.hex on every
// machine, what lspci says about them with lspci_tree.txt where it is Debian 12's (3.9).
// VV_UPDATE_GOLDEN=1 writes both anew: look at the difference before it is committed.
#include "rec.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct rig g;

static char *path_of(const char *name, char buf[512])
{
	const char *src = getenv("VV_SRC");
	snprintf(buf, 512, "%s%sgolden/%s", src != NULL ? src : "", src != NULL ? "/tests/" : "",
		 name);
	return buf;
}

static char *slurp(FILE *f)
{
	char *text = NULL;
	size_t len = 0, n;
	FILE *out = open_memstream(&text, &len);
	char buf[4096];
	assert_non_null(f);
	assert_non_null(out);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, out);
	fclose(out);
	return text;
}

static void compare(const char *name, const char *got)
{
	char path[512];
	path_of(name, path);
	if (getenv("VV_UPDATE_GOLDEN") != NULL) {
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		fputs(got, f);
		fclose(f);
	}
	FILE *f = fopen(path, "r");
	if (f == NULL)
		fail_msg("no %s: VV_UPDATE_GOLDEN=1 makes it", path);
	char *want = slurp(f);
	fclose(f);
	size_t i = 0, line = 1;
	while (want[i] != '\0' && want[i] == got[i])
		line += want[i++] == '\n';
	if (want[i] != got[i]) {
		size_t from = i;
		while (from > 0 && want[from - 1] != '\n')
			from--;
		fail_msg("%s line %zu:\n  is     %.*s\n  not    %.*s", name, line,
			 (int)strcspn(got + from, "\n"), got + from,
			 (int)strcspn(want + from, "\n"), want + from);
	}
	free(want);
}

static void dump_fn(FILE *out, unsigned int bus, unsigned int devfn)
{
	struct pcidev *pd = pcibus_lookup(&g.root, (uint8_t)bus, (uint8_t)devfn);
	if (pd == NULL)
		return;
	fprintf(out, "%02x:%02x.%u %s\n", bus, devfn >> 3, devfn & 7, pd->dev.id);
	for (unsigned int off = 0; off < pd->cfg.size; off += 16) {
		fprintf(out, "%02x:", off);
		for (unsigned int i = 0; i < 16; i++)
			fprintf(out, " %02x",
				pcibus_cfg_read(&g.root, (uint8_t)bus, (uint8_t)devfn, off + i, 1));
		fputc('\n', out);
	}
	fputc('\n', out);
}

static char *dump(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	for (unsigned int bus = 0; bus < 256; bus++)
		for (unsigned int devfn = 0; devfn < 256; devfn++)
			dump_fn(out, bus, devfn);
	fclose(out);
	return text;
}

static int build(void **state)
{
	(void)state;
	rig_init(&g);
	rig_add(&g, &hostbridge_type, "host", NULL, NULL);
	rig_add(&g, &rootport_type, "port1", NULL, "01");
	rig_add(&g, &rootport_type, "port2", NULL, "02");
	rig_tdev(&g, "nic", "port1", NULL,
		 (struct tspec){ .pcie = true,
				 .flr = true,
				 .pm = true,
				 .pin = 1,
				 .msi_n = 4,
				 .msix_n = 5,
				 .tbir = 3,
				 .toff = 0,
				 .pbir = 3,
				 .poff = 0x2000,
				 .bar = { { PCIBAR_MEM32, false, KIB(128), 0 },
					  { PCIBAR_MEM64, true, MIB(1), 0 },
					  [3] = { PCIBAR_MEM32, false, KIB(16), 0 },
					  [4] = { PCIBAR_IO, false, 32, 0 },
					  [6] = { PCIBAR_ROM, false, KIB(256), 0 } } });
	rig_start(&g);
	rig_place(&g);
	return 0;
}

static int unbuild(void **state)
{
	(void)state;
	rig_free(&g);
	return 0;
}

static void test_bytes_are_the_golden_ones(void **state)
{
	char *text = dump();
	(void)state;
	compare("lspci_tree.hex", text);
	free(text);
}

static bool lspci_is_the_reference(void)
{
	FILE *f = popen("lspci --version 2>/dev/null", "r");
	char *text = slurp(f);
	pclose(f);
	bool ok = strstr(text, "version 3.9") != NULL;
	free(text);
	return ok;
}

static void test_lspci_decodes_them_as_meant(void **state)
{
	(void)state;
	if (!lspci_is_the_reference()) {
		print_message("no lspci 3.9 here: only the bytes were compared\n");
		skip();
	}
	char path[] = "/tmp/lspci-XXXXXX", command[64];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	char *text = dump();
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	free(text);
	snprintf(command, sizeof(command), "lspci -n -vvv -F %s 2>/dev/null", path);
	FILE *f = popen(command, "r");
	text = slurp(f);
	assert_int_equal(pclose(f), 0);
	unlink(path);
	compare("lspci_tree.txt", text);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_are_the_golden_ones, build, unbuild),
		cmocka_unit_test_setup_teardown(test_lspci_decodes_them_as_meant, build, unbuild),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
