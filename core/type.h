// SPDX-License-Identifier: GPL-2.0-or-later
// Type descriptions and property tables: one parser, one printer for devices, machines,
// accelerators and back ends. A type's configuration is a plain struct; `props` says which
// fields can be set by name. No aliases.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

enum prop_kind {
	PROP_BOOL, /* bool: on|off */
	PROP_U16,  /* uint16_t: decimal or 0x */
	PROP_U32,
	PROP_U64,
	PROP_SIZE,   /* uint64_t bytes: K, M, G, T; a bare number is MiB */
	PROP_STR,    /* char *: owned by the configuration, freed by props_free */
	PROP_ENUM,   /* int: index into `choices` */
	PROP_CUSTOM, /* parse() */
};

struct prop {
	const char *name;
	enum prop_kind kind;
	size_t offset;
	const char *def;  /* default as text; NULL: none (zero); "required": must be given */
	const char *help; /* one line */
	const char *const *choices; /* PROP_ENUM: NULL-terminated */
	const char *syntax;	    /* PROP_CUSTOM: "<bdf>" for help */
	int (*parse)(void *field, const char *text, struct verr *reterr); /* PROP_CUSTOM */
	uint64_t min, max; /* numbers; both 0: the type's whole range */
};

/* PROP(struct foo_cfg, queues, PROP_U16, "1", "number of queues") */
#define PROP(cfg_, field_, kind_, def_, help_)                                                     \
	{                                                                                          \
		.name = #field_, .kind = kind_, .offset = offsetof(cfg_, field_), .def = def_,     \
		.help = help_                                                                      \
	}
/* The same with a property name that is not a C identifier, and more initialisers. */
#define PROP_NAMED(name_, cfg_, field_, kind_, def_, help_, ...)                                   \
	{                                                                                          \
		.name = name_, .kind = kind_, .offset = offsetof(cfg_, field_), .def = def_,       \
		.help = help_, __VA_ARGS__                                                         \
	}
#define PROP_END                                                                                   \
	{                                                                                          \
		.name = NULL                                                                       \
	}
#define PROP_REQUIRED "required"

struct type_desc {
	const char *name;	  /* "vfio-pci" */
	const char *category;	  /* "passthrough": groups `help` */
	const char *desc;	  /* one line */
	const struct prop *props; /* PROP_END-terminated; may be NULL */
	size_t cfg_size;
};

/* One "name=value" list already split off its type name. Escaping: ",," is a literal comma. */

/* Allocates a configuration with defaults in place. NULL: out of memory. */
void *props_new(const struct type_desc *t);
void props_free(const struct type_desc *t, void *cfg); /* strings too; NULL allowed */
/* Sets defaults into caller's zeroed struct / frees its strings. */
int props_defaults(const struct prop *props, void *cfg);
void props_clear(const struct prop *props, void *cfg);

/* Two tables can be offered at once (a type's own and the bus's shared ones); `more` may be NULL.
 * Errors name the culprit: unknown property (nearest suggested), bad value (what is accepted),
 * given twice, required one missing. `what` is the type's name for messages. */
struct props_target {
	const struct prop *props;
	void *cfg;
};
int props_parse(const char *what, const char *text, const struct props_target *targets,
		unsigned int n_targets, struct verr *reterr);
int prop_set(const char *what, const struct prop *p, void *cfg, const char *value,
	     struct verr *reterr);

/* "name,rest" -> type name and rest (rest may be NULL). -ENAMETOOLONG. */
int type_split(const char *arg, char *name, size_t size, const char **ret_rest);
/* NULL-terminated array of pointers to structs whose first member is a type_desc. Returns NULL
 * and sets reterr with the nearest name and "NAME help" hint if unknown. `kind` is "device". */
const struct type_desc *type_find(const struct type_desc *const *types, const char *kind,
				  const char *name, struct verr *reterr);
void type_help_list(FILE *out, const char *kind, const struct type_desc *const *types);
void type_help_props(FILE *out, const struct type_desc *t, const struct prop *shared);

/* "64M" -> bytes; a bare number is MiB. -EINVAL, -ERANGE. */
int parse_size(const char *text, uint64_t *ret, struct verr *reterr);
/* Strict: whole string, decimal or 0x, min..max. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct verr *reterr);
/* Nearest of `n` names by edit distance, NULL if none is near (distance > 1 + len/3). */
const char *nearest_name(const char *text, const char *const *names, size_t n);

VV_END_DECLS
