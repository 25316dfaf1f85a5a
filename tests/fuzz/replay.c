// SPDX-License-Identifier: GPL-2.0-or-later
//
// Gives every file of the corpus directories named on the command line, and an empty input, to a
// fuzz target: what a fuzzer once found stays found, with any compiler. An empty or missing corpus
// is an error, not a pass.
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf = malloc(INPUT_MAX);
	if (!f || !buf) {
		fprintf(stderr, "can't read %s\n", path);
		if (f)
			fclose(f);
		free(buf);
		return -1;
	}
	size_t n = fread(buf, 1, INPUT_MAX, f);
	fclose(f);
	/* The exact size on the heap, so that a sanitizer sees a read past the end. */
	uint8_t *exact = realloc(buf, n ? n : 1);
	printf("%s (%zu bytes)\n", path, n);
	LLVMFuzzerTestOneInput(exact ? exact : buf, n);
	free(exact ? exact : buf);
	return 0;
}

static int replay_dir(const char *dir)
{
	DIR *d = opendir(dir);
	if (!d) {
		fprintf(stderr, "no corpus at %s\n", dir);
		return -1;
	}
	int n = 0, r = 0;
	const struct dirent *e;
	while (r == 0 && (e = readdir(d))) {
		char path[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		r = replay(path);
		n++;
	}
	closedir(d);
	if (r == 0 && n == 0) {
		fprintf(stderr, "the corpus at %s is empty\n", dir);
		r = -1;
	}
	return r;
}

int main(int argc, char **argv)
{
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		if (replay_dir(argv[i]) < 0)
			return 1;
	}
	return 0;
}
