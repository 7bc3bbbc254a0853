#include "registryd/settings_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cyaml/cyaml.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * The configuration file.  libcyaml reads and validates it by a schema that
 * is built from the table of keys; all scalars are taken as texts, because it
 * would read "64M" as the number 64.
 *
 * Before that the file's events are walked once, for what libcyaml does not
 * tell: the line of each key (it names the line before), whether a list was
 * written as one word, and that there is only one document (it would ignore
 * the second).  Lists of mappings are read in that walk (settings_entries.c),
 * since what is wrong in an entry has to be told with its line.
 */
#define FILE_MAX_BYTES ((size_t)256 * 1024)
#define DEPTH_MAX 2
#define ITEMS_MAX 1024
#define TEXT_MAX_BYTES 4096

/* What the walk found of each key. */
struct found {
	size_t line;
	bool scalar; /* one word where a list may stand */
	bool list;   /* which may be empty: that says something too */
};

struct reading {
	const char *path;
	struct span text;
	struct arena *arena;
	char *why;
	struct setting_entries *tables;
	struct found found[SETTING_KEYS];
	size_t table_lines[SETTING_TABLES];
	unsigned documents;
	bool says_something; /* an empty file is fine */
};

static void __attribute__((format(printf, 4, 0))) place_write(const char *path,
    size_t line, char why[SETTINGS_WHY_BYTES], const char *fmt, va_list ap)
{
	int n;

	n = snprintf(why, SETTINGS_WHY_BYTES, "%.400s line %zu: ", path, line);
	(void)vsnprintf(why + n, SETTINGS_WHY_BYTES - (size_t)n, fmt, ap);
}

enum rc
settings_file_bad(const char *path, size_t line, char why[SETTINGS_WHY_BYTES],
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	place_write(path, line, why, fmt, ap);
	va_end(ap);
	return (RC_INVALID);
}

static enum rc __attribute__((format(printf, 3, 4)))
bad(struct reading *r, size_t line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	place_write(r->path, line, r->why, fmt, ap);
	va_end(ap);
	return (RC_INVALID);
}

/* --- the walk ------------------------------------------------------------ */

struct walk {
	struct reading *r;
	unsigned depth; /* of open mappings and sequences */
	unsigned skip;	/* of those, how many stand below a list's key */
	bool want_key;
	struct span group; /* the key of the mapping we are in */
	char name[128];	   /* the whole key whose value comes next */
	struct entries_reader entries; /* where we are in a table */
};

static enum rc
unknown_key(struct walk *w, size_t line)
{
	const char *dot = strchr(w->name, '.');
	const char *nearest = setting_nearest(span_of(w->name));

	if (setting_find(span_of(w->name)) < SETTING_KEYS && dot != NULL)
		return (bad(w->r, line,
		    "unknown key \"%s\": a dot is nesting in YAML; write "
		    "\"%.*s:\" and below it, indented, \"%s: ...\"",
		    w->name, (int)(dot - w->name), w->name, dot + 1));
	if (nearest != NULL)
		return (
		    bad(w->r, line, "unknown key \"%s\"; did you mean \"%s\"?",
			w->name, nearest));
	return (bad(w->r, line, "unknown key \"%s\"", w->name));
}

/* From here on events are the table's, until it has ended. */
static enum rc
walk_table(struct walk *w, size_t table, size_t line)
{
	w->entries = (struct entries_reader){
		.path = w->r->path,
		.arena = w->r->arena,
		.table = &setting_tables[table],
		.to = &w->r->tables[table],
	};
	if (w->r->table_lines[table] != 0)
		return (bad(w->r, line,
		    "\"%s\" is there twice, first on line "
		    "%zu",
		    setting_tables[table].name, w->r->table_lines[table]));
	w->r->table_lines[table] = line;
	return (RC_OK);
}

static enum rc
walk_key(struct walk *w, const yaml_event_t *e)
{
	const char *key = (const char *)e->data.scalar.value;
	size_t line = e->start_mark.line + 1;
	struct span name;

	(void)snprintf(w->name, sizeof(w->name), SPAN_FMT "%s%.60s",
	    SPAN_ARG(w->group), w->group.n > 0 ? "." : "", key);
	name = span_of(w->name);
	if (w->group.n == 0 && setting_table_find(name) < SETTING_TABLES)
		return (walk_table(w, setting_table_find(name), line));
	if (setting_find(name) == SETTING_KEYS && !setting_is_group(name))
		return (unknown_key(w, line));
	if (w->group.n == 0 && strchr(key, '.') != NULL)
		return (unknown_key(w, line));
	if (setting_find(name) < SETTING_KEYS)
		w->r->found[setting_find(name)].line = line;
	w->want_key = false;
	return (RC_OK);
}

static enum rc
walk_scalar(struct walk *w, const yaml_event_t *e)
{
	size_t k;

	if (e->data.scalar.length > 0)
		w->r->says_something = true;
	if (w->skip > 0 || w->depth == 0)
		return (RC_OK);
	if (w->want_key)
		return (walk_key(w, e));
	k = setting_find(span_of(w->name));
	if (k < SETTING_KEYS)
		w->r->found[k].scalar = e->data.scalar.length > 0;
	w->want_key = true;
	return (RC_OK);
}

/* A mapping is the document or a group; all others libcyaml will refuse. */
static enum rc
walk_open(struct walk *w, const yaml_event_t *e)
{
	size_t k, line = e->start_mark.line + 1;

	w->r->says_something = true;
	if (w->skip == 0 && w->depth > 0 && w->want_key)
		return (bad(w->r, line, "a key must be a word"));
	k = setting_find(span_of(w->name));
	if (w->skip == 0 && k < SETTING_KEYS)
		w->r->found[k].list = e->type == YAML_SEQUENCE_START_EVENT;
	if (w->skip > 0 || e->type == YAML_SEQUENCE_START_EVENT ||
	    w->depth == DEPTH_MAX ||
	    (w->depth == 1 && !setting_is_group(span_of(w->name)))) {
		w->skip++;
	} else {
		if (w->depth == 1)
			w->group = arena_span(w->r->arena, span_of(w->name));
		w->depth++;
	}
	w->want_key = true;
	return (RC_OK);
}

static void
walk_close(struct walk *w)
{
	if (w->skip > 0)
		w->skip--;
	else if (--w->depth == 1)
		w->group = SPAN_NONE;
	w->want_key = true;
}

static enum rc
walk_event(struct walk *w, const yaml_event_t *e)
{
	if (w->entries.table != NULL && e->type != YAML_ALIAS_EVENT)
		return (entries_event(&w->entries, e, w->r->why));
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++w->r->documents > 1)
			return (bad(w->r, e->start_mark.line + 1,
			    "a second document begins; there must be one"));
		return (RC_OK);
	case YAML_SCALAR_EVENT:
		return (walk_scalar(w, e));
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return (walk_open(w, e));
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		walk_close(w);
		return (RC_OK);
	case YAML_ALIAS_EVENT:
		return (bad(w->r, e->start_mark.line + 1,
		    "aliases (*name) are not supported"));
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return (RC_OK);
	}
	return (RC_OK);
}

static enum rc
file_walk(struct reading *r)
{
	struct walk w = { .r = r };
	yaml_parser_t parser;
	yaml_event_t e;
	enum rc rc = RC_OK;
	bool end = false;

	must(yaml_parser_initialize(&parser));
	yaml_parser_set_input_string(
	    &parser, (const unsigned char *)r->text.p, r->text.n);
	while (!end && rc == RC_OK) {
		if (!yaml_parser_parse(&parser, &e)) {
			rc = bad(r, parser.problem_mark.line + 1,
			    "not valid YAML: %s", parser.problem);
			break;
		}
		end = e.type == YAML_STREAM_END_EVENT;
		rc = walk_event(&w, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
	return (rc);
}

/* --- the schema ---------------------------------------------------------- */

/* Where libcyaml puts a key's value. */
struct slot {
	char *text;   /* a single one */
	char **items; /* of a list */
	unsigned n;
};

/*
 * A file as libcyaml loads it: a key without a group in its slot, and the keys
 * of a group in a folder of slots that stands at the group's first key.
 */
struct loaded {
	struct slot slots[SETTING_KEYS];
	struct slot *groups[SETTING_KEYS];
};

#define FIELDS_MAX ((size_t)3 * SETTING_KEYS + SETTING_TABLES)

struct schema {
	cyaml_schema_value_t top;
	cyaml_schema_field_t fields[FIELDS_MAX];
	size_t n;
};

static const cyaml_schema_value_t list_item = {
	.type = CYAML_STRING,
	.flags = CYAML_FLAG_POINTER,
	.data_size = sizeof(char),
	.string = { .min = 0, .max = TEXT_MAX_BYTES },
};

/* "key:" with nothing behind it says nothing. */
#define OPTIONAL (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER_NULL_STR)

static void
schema_text(cyaml_schema_field_t *f, size_t offset)
{
	f->data_offset = (uint32_t)(offset + offsetof(struct slot, text));
	f->value.type = CYAML_STRING;
	f->value.flags = OPTIONAL;
	f->value.data_size = sizeof(char);
	f->value.string.min = 0;
	f->value.string.max = TEXT_MAX_BYTES;
}

static void
schema_list(cyaml_schema_field_t *f, size_t offset)
{
	f->data_offset = (uint32_t)(offset + offsetof(struct slot, items));
	f->count_offset = (uint32_t)(offset + offsetof(struct slot, n));
	f->count_size = sizeof(unsigned);
	f->value.type = CYAML_SEQUENCE;
	f->value.flags = OPTIONAL;
	f->value.data_size = sizeof(char *);
	f->value.sequence.entry = &list_item;
	f->value.sequence.min = 0;
	f->value.sequence.max = ITEMS_MAX;
}

static void
schema_key(
    const struct reading *r, cyaml_schema_field_t *f, size_t k, size_t slot)
{
	const char *dot = strchr(setting_keys[k].name, '.');

	f->key = dot != NULL ? dot + 1 : setting_keys[k].name;
	if (setting_keys[k].kind == SETTING_LIST && !r->found[k].scalar)
		schema_list(f, slot * sizeof(struct slot));
	else
		schema_text(f, slot * sizeof(struct slot));
}

/* How many keys from number ${k} on are of its group; 0 if it has none. */
static size_t
group_size(size_t k)
{
	const char *name = setting_keys[k].name;
	const char *dot = strchr(name, '.');
	size_t n = 0;

	while (dot != NULL && k + n < SETTING_KEYS &&
	       strncmp(setting_keys[k + n].name, name,
		   (size_t)(dot - name + 1)) == 0)
		n++;
	return (n);
}

static void
schema_group(const struct reading *r, struct schema *s, cyaml_schema_field_t *f,
    size_t first, size_t n)
{
	const char *name = setting_keys[first].name;
	cyaml_schema_field_t *fields = &s->fields[s->n];
	size_t i;

	s->n += n + 1; /* and the empty one that ends them */
	must(s->n <= FIELDS_MAX);
	for (i = 0; i < n; i++)
		schema_key(r, &fields[i], first + i, i);
	f->key = arena_dup(r->arena, name, strcspn(name, "."));
	f->data_offset = (uint32_t)(offsetof(struct loaded, groups) +
				    first * sizeof(struct slot *));
	f->value.type = CYAML_MAPPING;
	f->value.flags = OPTIONAL;
	f->value.data_size = (uint32_t)(n * sizeof(struct slot));
	f->value.mapping.fields = fields;
}

/* Tables were read in the walk. */
static void
schema_tables(cyaml_schema_field_t *f)
{
	size_t t;

	for (t = 0; t < SETTING_TABLES; t++, f++) {
		f->key = setting_tables[t].name;
		f->value.type = CYAML_IGNORE;
		f->value.flags = CYAML_FLAG_OPTIONAL;
	}
}

static void
schema_make(const struct reading *r, struct schema *s)
{
	cyaml_schema_field_t *f = s->fields;
	size_t k, n;

	memset(s, 0, sizeof(*s));
	s->n = SETTING_KEYS + SETTING_TABLES + 1;
	for (k = 0; k<SETTING_KEYS; k += n> 0 ? n : 1, f++) {
		if ((n = group_size(k)) > 0)
			schema_group(r, s, f, k, n);
		else
			schema_key(r, f, k, k);
	}
	schema_tables(f);
	s->top.type = CYAML_MAPPING;
	s->top.flags = CYAML_FLAG_POINTER;
	s->top.data_size = sizeof(struct loaded);
	s->top.mapping.fields = s->fields;
}

/* --- libcyaml ------------------------------------------------------------ */

/* Its messages come in pieces: "Load: what", "Load: Backtrace:", "  where". */
static void __attribute__((format(printf, 3, 0)))
message_gather(cyaml_log_t level, void *arg, const char *fmt, va_list ap)
{
	struct buf *b = arg;
	char piece[512];
	size_t n;
	char *p = piece;

	(void)level;
	(void)vsnprintf(piece, sizeof(piece), fmt, ap);
	if (strncmp(p, "Load: ", 6) == 0)
		p += 6;
	p += strspn(p, " ");
	n = strcspn(p, "\n");
	if (n == 0 || strncmp(p, "Backtrace", 9) == 0)
		return;
	if (b->n > 0)
		buf_char(b, ' ');
	buf_add(b, p, n);
}

static void
value_take(struct reading *r, size_t k, const struct slot *slot,
    struct setting_value *v)
{
	const char *origin;
	unsigned i;

	if (slot == NULL || (slot->text == NULL && !r->found[k].list))
		return;
	origin =
	    arena_printf(r->arena, "%s line %zu", r->path, r->found[k].line);
	if (setting_keys[k].kind != SETTING_LIST) {
		setting_value_one(r->arena, slot->text, origin, v);
	} else if (slot->text != NULL) {
		setting_value_split(r->arena, slot->text, origin, v);
	} else {
		v->items =
		    arena_calloc(r->arena, slot->n + 1, sizeof(*v->items));
		for (i = 0; i < slot->n; i++)
			v->items[i] = arena_dup(
			    r->arena, slot->items[i], strlen(slot->items[i]));
		v->n = slot->n;
		v->origin = origin;
	}
}

static void
values_take(
    struct reading *r, const struct loaded *l, struct setting_value *values)
{
	const struct slot *slot;
	size_t k, first = 0, n = 0;

	for (k = 0; k < SETTING_KEYS; k++) {
		if (k >= first + n) {
			first = k;
			n = group_size(k);
		}
		if (n == 0)
			slot = &l->slots[k];
		else if (l->groups[first] != NULL)
			slot = &l->groups[first][k - first];
		else
			slot = NULL;
		value_take(r, k, slot, &values[k]);
	}
}

static enum rc
file_load(struct reading *r, struct setting_value *values)
{
	struct schema *schema = xmalloc(sizeof(*schema));
	struct loaded *l = NULL;
	struct buf message;
	cyaml_config_t config = {
		.log_fn = message_gather,
		.log_ctx = &message,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	cyaml_err_t err;
	enum rc rc = RC_OK;

	buf_init(&message, SETTINGS_WHY_BYTES / 2);
	schema_make(r, schema);
	err = cyaml_load_data((const uint8_t *)r->text.p, r->text.n, &config,
	    &schema->top, (void **)&l, NULL);
	if (err != CYAML_OK) {
		(void)snprintf(r->why, SETTINGS_WHY_BYTES, "%.300s: " SPAN_FMT,
		    r->path,
		    SPAN_ARG(message.n > 0 ? buf_as_span(&message)
					   : span_of(cyaml_strerror(err))));
		rc = RC_INVALID;
	} else if (l != NULL) {
		values_take(r, l, values);
		(void)cyaml_free(&config, &schema->top, l, 0);
	}
	buf_free(&message);
	free(schema);
	return (rc);
}

/* --- the file ------------------------------------------------------------ */

static enum rc
file_fail(const char *path, int err, char why[SETTINGS_WHY_BYTES])
{
	(void)snprintf(why, SETTINGS_WHY_BYTES,
	    "cannot read the configuration file %.400s: %s", path,
	    strerror(err));
	return (RC_IO);
}

static enum rc
file_slurp(const char *path, struct buf *b, char why[SETTINGS_WHY_BYTES])
{
	char piece[4096];
	ssize_t n;
	int err, fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (file_fail(path, errno, why));
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(b, piece, (size_t)n);
	err = errno;
	(void)close(fd);
	if (n == -1)
		return (file_fail(path, err, why));
	if (!buf_ok(b))
		return (file_fail(path, EFBIG, why));
	return (RC_OK);
}

enum rc
settings_file_read(const char *path, struct arena *arena,
    struct setting_value *values, struct setting_entries *tables,
    char why[SETTINGS_WHY_BYTES])
{
	struct reading r = {
		.path = path, .arena = arena, .why = why, .tables = tables
	};
	struct buf b;
	enum rc rc;

	buf_init(&b, FILE_MAX_BYTES);
	if ((rc = file_slurp(path, &b, why)) != RC_OK)
		goto out;
	r.text = buf_as_span(&b);
	if (r.text.n == 0 || (rc = file_walk(&r)) != RC_OK)
		goto out;
	if (r.says_something)
		rc = file_load(&r, values);
out:
	/* There may be passwords in it. */
	if (b.p != NULL)
		mem_wipe(b.p, b.n);
	buf_free(&b);
	return (rc);
}
