// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket's commands: each a row of a table, with the arguments it takes. A wrong
// request is answered with what is wrong with it; the machine is what it was.

#include "vmm/control_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/backend/blockdev.h"
#include "vmm/backend/chardevs.h"
#include "vmm/virtio/virtio_balloon.h"

struct command {
	const char *name;
	const char *args; /* the names it takes, "a,b"; NULL: none; "": any */
	int (*run)(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr);
};

/* A sentence may quote a peer or a path, and be cut within a character: JSON takes UTF-8 only. */
json_t *control_text(const char *s)
{
	json_t *t = json_string(s);
	char *ascii = t ? NULL : strdup(s);

	for (char *p = ascii; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	if (ascii)
		t = json_string(ascii);
	free(ascii);
	return t;
}

json_t *control_error(const char *class_name, const char *desc)
{
	return json_pack("{s:{s:s, s:o}}", "error", "class", class_name, "desc",
			 control_text(desc));
}

/* ---- the machine ----------------------------------------------------------------------------- */

static int cmd_status(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	json_t *devs = json_array();
	const struct dev *d;

	(void)args;
	(void)reterr;
	list_for_each(d, &m->devs, const struct dev, node)
		if (d->type->user)
			json_array_append_new(devs,
					      json_pack("{s:o, s:s}", "id", control_text(d->id),
							"type", d->type->t.name));
	json_object_set_new(ret, "state", json_string(machine_state_name(m->state)));
	json_object_set_new(ret, "cpus", json_integer(m->setup.vcpus));
	json_object_set_new(ret, "memory", json_integer((json_int_t)m->setup.ram_size));
	json_object_set_new(ret, "accel", json_string(m->accel->name));
	json_object_set_new(ret, "devices", devs);
	return 0;
}

static int cmd_pause(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)args;
	(void)ret;
	(void)reterr;
	machine_pause(m);
	return 0;
}

static int cmd_resume(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)args;
	(void)ret;
	return machine_resume(m, reterr);
}

static int cmd_reset(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)args;
	(void)ret;
	return machine_reset(m, reterr);
}

static int cmd_quit(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)args;
	(void)ret;
	(void)reterr;
	machine_quit(m, MACHINE_POWERED_OFF, "stopped at the control socket");
	return 0;
}

/* ---- devices --------------------------------------------------------------------------------- */

/* "name=value" as --device takes it: a comma is written twice. */
static int print_prop(FILE *f, const char *name, const json_t *v, struct verr *reterr)
{
	const char *s = json_string_value(v);

	if (!*name || strpbrk(name, ",="))
		return verr_set(reterr, -EINVAL, "\"%.40s\" is no property's name", name);
	fprintf(f, ",%s=", name);
	if (json_is_boolean(v))
		fputs(json_is_true(v) ? "on" : "off", f);
	else if (json_is_integer(v))
		fprintf(f, "%lld", (long long)json_integer_value(v));
	else if (s && strlen(s) == json_string_length(v))
		for (; *s; s++)
			fprintf(f, *s == ',' ? ",," : "%c", *s);
	else
		return verr_set(reterr, -EINVAL, "\"%.40s\" is no text, number or boolean", name);
	return 0;
}

/* What --device or --blockdev would be given; `command` and `what` are for messages. */
static int type_arg(const json_t *args, const char *command, const char *what, char **ret,
		    struct verr *reterr)
{
	const char *driver = json_string_value(json_object_get(args, "driver"));
	char *text = NULL;
	const char *name;
	json_t *v;
	size_t len;
	int r = 0;

	if (!driver || !*driver || strchr(driver, ','))
		return verr_set(reterr, -EINVAL, "%s needs a \"driver\": the type of %s", command,
				what);
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return verr_set(reterr, -ENOMEM, "out of memory");
	fputs(driver, f);
	json_object_foreach((json_t *)args, name, v) if (r == 0 && strcmp(name, "driver") != 0) r =
		print_prop(f, name, v, reterr);
	if (fclose(f) != 0 && r == 0)
		r = verr_set(reterr, -ENOMEM, "out of memory");
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}

static int cmd_device_add(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	char *arg = NULL;

	(void)ret;
	int r = type_arg(args, "device_add", "device", &arg, reterr);
	if (r < 0)
		return r;
	r = machine_plug(m, arg, reterr);
	free(arg);
	return r;
}

static int get_id(const json_t *args, const char *what, const char **ret, struct verr *reterr)
{
	*ret = json_string_value(json_object_get(args, "id"));
	return *ret ? 0 : verr_set(reterr, -EINVAL, "\"id\" is missing: the name of a %s", what);
}

static int cmd_device_del(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	const json_t *force = json_object_get(args, "force");
	const char *id = NULL;

	(void)ret;
	int r = get_id(args, "device", &id, reterr);
	if (r == 0 && force && !json_is_boolean(force))
		r = verr_set(reterr, -EINVAL, "\"force\" is true or false");
	return r < 0 ? r : machine_unplug(m, id, json_is_true(force), reterr);
}

/* The lines --dry-run prints of it. */
static int cmd_query_device(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	const char *id = NULL;
	char *text = NULL, *rest, *line;
	size_t len;

	int r = get_id(args, "device", &id, reterr);
	struct dev *d = r == 0 ? machine_find_device(m, id) : NULL;
	if (r < 0)
		return r;
	if (!d)
		return verr_set(reterr, -ENODEV, "no device \"%s\" (status lists them)", id);
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return verr_set(reterr, -ENOMEM, "out of memory");
	if (d->type->ops->describe)
		d->type->ops->describe(d, f);
	fclose(f);
	json_t *about = json_array();
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		json_array_append_new(about, control_text(line + strspn(line, " ")));
	free(text);
	json_object_set_new(ret, "id", control_text(d->id));
	json_object_set_new(ret, "type", json_string(d->type->t.name));
	json_object_set_new(ret, "about", about);
	return 0;
}

/* ---- back ends ------------------------------------------------------------------------------- */

static int add_backend(struct machine *m, enum backend_kind kind, const char *command,
		       const json_t *args, struct verr *reterr)
{
	char *arg = NULL;

	int r = type_arg(args, command, backend_kind_names[kind], &arg, reterr);
	if (r < 0)
		return r;
	r = machine_add_backend(m, kind, arg, reterr);
	free(arg);
	return r;
}

static int del_backend(struct machine *m, enum backend_kind kind, const json_t *args,
		       struct verr *reterr)
{
	const char *word = backend_kind_names[kind];
	const char *id = NULL;

	int r = get_id(args, word, &id, reterr);
	const struct backend *b = r == 0 ? backend_find(&m->backends, id) : NULL;
	if (r == 0 && b && b->type->kind != kind)
		r = verr_set(reterr, -EINVAL, "\"%.64s\" is no %s", id, word);
	return r < 0 ? r : backend_del(&m->backends, id, reterr);
}

static int cmd_blockdev_add(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)ret;
	return add_backend(m, BACKEND_BLOCK, "blockdev_add", args, reterr);
}

static int cmd_blockdev_del(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)ret;
	return del_backend(m, BACKEND_BLOCK, args, reterr);
}

static int cmd_chardev_add(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)ret;
	int r = add_backend(m, BACKEND_CHAR, "chardev_add", args, reterr);
	if (r < 0)
		return r;
	const char *id = json_string_value(json_object_get(args, "id"));
	struct backend *b = id ? backend_find(&m->backends, id) : NULL;
	if (b) /* of a pty, nobody knows the name yet */
		json_object_set_new(ret, "where", control_text(chardev_of(b)->where));
	return 0;
}

static int cmd_chardev_del(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)ret;
	return del_backend(m, BACKEND_CHAR, args, reterr);
}

static int cmd_netdev_add(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)ret;
	return add_backend(m, BACKEND_NET, "netdev_add", args, reterr);
}

static int cmd_netdev_del(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	(void)ret;
	return del_backend(m, BACKEND_NET, args, reterr);
}

static int cmd_block_resize(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	const json_t *size = json_object_get(args, "size");
	const char *id = NULL;

	(void)ret;
	int r = get_id(args, "blockdev", &id, reterr);
	if (r == 0 && size && json_integer_value(size) <= 0)
		r = verr_set(reterr, -EINVAL, "\"size\" is a number of bytes, more than 0");
	return r < 0 ? r
		     : blockdev_resize(&m->backends, id, (uint64_t)json_integer_value(size),
				       reterr);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* The one that is meant; without an id the one there is. */
static int find_balloon(struct machine *m, const json_t *args, struct dev **ret,
			struct verr *reterr)
{
	const char *id = json_string_value(json_object_get(args, "id"));
	struct dev *d, *found = NULL;

	list_for_each(d, &m->devs, struct dev, node) {
		if (!virtio_is_balloon(d) || (id && strcmp(id, d->id) != 0))
			continue;
		if (found)
			return verr_set(reterr, -EINVAL,
					"there are several balloons: say which by \"id\"");
		found = d;
	}
	if (!found)
		return verr_set(reterr, -ENODEV, "there is no balloon%s%.64s%s: add --balloon",
				id ? " \"" : "", id ? id : "", id ? "\"" : "");
	*ret = found;
	return 0;
}

static int cmd_balloon(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	const json_t *v = json_object_get(args, "size");
	struct dev *d = NULL;
	uint64_t size = 0;

	(void)ret;
	int r = find_balloon(m, args, &d, reterr);
	if (r == 0 && json_is_string(v))
		r = parse_size(json_string_value(v), &size, reterr);
	else if (r == 0 && json_integer_value(v) > 0)
		size = (uint64_t)json_integer_value(v);
	else if (r == 0)
		r = verr_set(
			reterr, -EINVAL,
			"\"size\" is what the guest keeps: bytes, or text as --memory takes it");
	return r < 0 ? r : virtio_balloon_set(d, size, reterr);
}

static int cmd_query_balloon(struct machine *m, const json_t *args, json_t *ret,
			     struct verr *reterr)
{
	struct balloon_state b;
	struct dev *d = NULL;

	int r = find_balloon(m, args, &d, reterr);
	if (r < 0)
		return r;
	virtio_balloon_query(d, &b);
	json_object_set_new(ret, "memory", json_integer((json_int_t)b.memory));
	json_object_set_new(ret, "target", json_integer((json_int_t)b.target));
	json_object_set_new(ret, "actual", json_integer((json_int_t)b.actual));
	if (b.age_ms == UINT64_MAX)
		return 0;
	json_t *stats = json_object();
	for (unsigned int i = 0; i < BALLOON_STATS; i++)
		if (b.known[i])
			json_object_set_new(stats, balloon_stat_names[i],
					    json_integer((json_int_t)b.stat[i]));
	json_object_set_new(ret, "stats", stats);
	json_object_set_new(ret, "stats-age", json_integer((json_int_t)(b.age_ms / 1000)));
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

static int cmd_help(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr);

static const struct command commands[] = {
	{ "balloon", "id,size", cmd_balloon },
	{ "block_resize", "id,size", cmd_block_resize },
	{ "blockdev_add", "", cmd_blockdev_add },
	{ "blockdev_del", "id", cmd_blockdev_del },
	{ "chardev_add", "", cmd_chardev_add },
	{ "chardev_del", "id", cmd_chardev_del },
	{ "device_add", "", cmd_device_add },
	{ "device_del", "id,force", cmd_device_del },
	{ "help", NULL, cmd_help },
	{ "netdev_add", "", cmd_netdev_add },
	{ "netdev_del", "id", cmd_netdev_del },
	{ "pause", NULL, cmd_pause },
	{ "query-balloon", "id", cmd_query_balloon },
	{ "query-device", "id", cmd_query_device },
	{ "quit", NULL, cmd_quit },
	{ "reset", NULL, cmd_reset },
	{ "resume", NULL, cmd_resume },
	{ "status", NULL, cmd_status },
};

static int cmd_help(struct machine *m, const json_t *args, json_t *ret, struct verr *reterr)
{
	json_t *names = json_array();

	(void)m;
	(void)args;
	(void)reterr;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		json_array_append_new(names, json_string(commands[i].name));
	json_object_set_new(ret, "commands", names);
	return 0;
}

static bool takes(const struct command *c, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = c->args; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!*p || (strncmp(p, name, n) == 0 && (p[n] == ',' || !p[n])))
			return true;
	return false;
}

static int check_args(const struct command *c, const json_t *args, struct verr *reterr)
{
	const char *name;
	json_t *v;

	if (args && !json_is_object(args))
		return verr_set(reterr, -EINVAL, "\"arguments\" is an object");
	if (!c->args && args && json_object_size(args))
		return verr_set(reterr, -EINVAL, "this command takes no arguments");
	json_object_foreach((json_t *)args, name, v) if (!takes(c, name)) return verr_set(
		reterr, -EINVAL, "%s takes no argument \"%.40s\", but: %s", c->name, name, c->args);
	return 0;
}

static json_t *unknown(const char *name)
{
	const char *names[ARRAY_SIZE(commands)];
	struct verr err = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i] = commands[i].name;
	const char *near = nearest_name(name, names, ARRAY_SIZE(commands));
	verr_set(&err, -ENOENT, "no command \"%.40s\"%s%s%s", name, near ? "; did you mean \"" : "",
		 near ? near : "", near ? "\"?" : "");
	return control_error("CommandNotFound", err.msg);
}

json_t *control_execute(struct machine *m, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "execute"));
	const json_t *args = json_object_get(request, "arguments");
	struct verr err = { 0 };

	if (!name)
		return control_error("GenericError", "a command is {\"execute\": \"NAME\"}; "
						     "{\"execute\": \"help\"} lists the names");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		json_t *ret = json_object();
		if (check_args(&commands[i], args, &err) == 0 &&
		    commands[i].run(m, args, ret, &err) == 0)
			return json_pack("{s:o}", "return", ret);
		json_decref(ret);
		return control_error(err.code == -ENODEV ? "DeviceNotFound" : "GenericError",
				     err.msg);
	}
	return unknown(name);
}
