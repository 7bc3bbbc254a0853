#include "registryd/registry_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/obj.h"

/*
 * A change names the record that it was worked out from; when there is another
 * by then, it is worked out again.  Nobody keeps copies of what is configured,
 * so it leaves the generation alone, by which the directory of users and
 * policies sees that it is old: that is not read anew for a setting, and
 * changes of users never wait for those of settings.
 */
#define CHANGE_TRIES 32

/* Rows are read a few at a time: as many of the longest records fit. */
#define READ_ROWS 50
#define READ_MAX_BYTES ((size_t)64 << 20)

struct taken {
	json_t *list;
	bool more;
};

/* --- one, as the store has it -------------------------------------------- */

static enum rc
record_read(const struct entity *e, json_t **o_r)
{
	char why[JSON_ERROR_BYTES];
	enum rc rc;

	*o_r = NULL;
	rc = json_read(e->record, why, o_r);
	if (rc == RC_OK && json_is_object(*o_r))
		return (RC_OK);
	log_error("the configuration record " SPAN_FMT " is damaged: %s",
	    SPAN_ARG(e->name), rc == RC_OK ? "not an object" : why);
	json_decref(*o_r);
	*o_r = NULL;
	return (RC_CORRUPT);
}

enum rc
registry_config_get(
    struct meta *m, enum entity_kind kind, struct span name, json_t **o_r)
{
	struct arena arena;
	struct entity e;
	enum rc rc;

	*o_r = NULL;
	arena_init(&arena, READ_MAX_BYTES);
	rc = meta_entity_get(m, kind, name, &arena, &e);
	if (rc == RC_OK)
		rc = record_read(&e, o_r);
	arena_reset(&arena);
	return (rc);
}

static enum rc
row_take(const struct entity *e, json_t *list)
{
	json_t *o, *row;
	enum rc rc;

	if ((rc = record_read(e, &o)) != RC_OK)
		return (rc);
	row = json_pack("[s%,o]", e->name.p, e->name.n, o);
	must(json_array_append_new(list, row) == 0);
	return (RC_OK);
}

/* Up to ${n} of those behind the last of ${list}. */
static enum rc
chunk_take(struct meta *m, enum entity_kind kind, struct span after, size_t n,
    struct taken *t)
{
	struct entity_page page;
	struct arena arena;
	enum rc rc;
	size_t i;

	arena_init(&arena, READ_MAX_BYTES);
	rc = meta_entity_page(m, kind, after, n, &arena, &page);
	for (i = 0; rc == RC_OK && i < page.n; i++)
		rc = row_take(&page.rows[i], t->list);
	if (rc == RC_OK)
		t->more = page.more;
	arena_reset(&arena);
	return (rc);
}

static struct span
last_name(const json_t *list)
{
	const json_t *row = json_array_get(list, json_array_size(list) - 1);
	const json_t *name = json_array_get(row, 0);

	return (
	    (struct span){ json_string_value(name), json_string_length(name) });
}

enum rc
registry_config_page(struct meta *m, enum entity_kind kind, struct span after,
    size_t n, json_t **list_r, bool *more_r)
{
	struct taken t = { .list = json_array(), .more = true };
	size_t have = 0, want;
	enum rc rc = RC_OK;

	while (rc == RC_OK && t.more && have < n) {
		want = n - have < READ_ROWS ? n - have : READ_ROWS;
		rc = chunk_take(m, kind, after, want, &t);
		have = json_array_size(t.list);
		if (have > 0)
			after = last_name(t.list);
	}
	if (rc != RC_OK) {
		json_decref(t.list);
		t.list = NULL;
	}
	*list_r = t.list;
	*more_r = rc == RC_OK && t.more;
	return (rc);
}

/* --- changes ------------------------------------------------------------- */

static enum rc
change_one(struct meta *m, const struct entity_change *change)
{
	uint64_t generation;

	return (meta_entities_change(m, 0, change, 1, &generation));
}

static enum rc
record_write(struct meta *m, struct entity_change *change, const json_t *o)
{
	char *text;
	enum rc rc;

	text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	must(text != NULL);
	change->entity.record = span_of(text);
	rc = change_one(m, change);
	free(text);
	return (rc);
}

enum rc
registry_config_put(struct meta *m, enum entity_kind kind, struct span name,
    const json_t *o, enum config_put how, size_t max)
{
	struct entity_change change = {
		.entity = { .kind = kind, .name = name },
		.must_be_new = how == CONFIG_ADD,
		.must_exist = how == CONFIG_REPLACE,
		.apart = true,
		.max_of_kind = max,
	};

	return (record_write(m, &change, o));
}

/* ${alter} what ${change} is about and write it; nothing of that kind and name
 * may come in between. */
static enum rc
update_once(struct meta *m, struct entity_change *change, struct arena *arena,
    config_change_fn *alter, void *arg)
{
	struct entity now;
	json_t *o = NULL;
	enum rc rc;

	rc = meta_entity_get(
	    m, change->entity.kind, change->entity.name, arena, &now);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	change->must_be_new = rc == RC_NOTFOUND;
	change->was = rc == RC_OK ? now.record : SPAN_NONE;
	if (rc == RC_NOTFOUND || record_read(&now, &o) != RC_OK)
		o = json_object();
	if ((rc = alter(o, arg)) == RC_OK) {
		rc = record_write(m, change, o);
		if (rc == RC_EXISTS)
			rc = RC_BUSY;
	}
	json_decref(o);
	return (rc);
}

enum rc
registry_config_update(struct meta *m, enum entity_kind kind, struct span name,
    config_change_fn *change, void *arg)
{
	struct entity_change row = {
		.entity = { .kind = kind, .name = name },
		.apart = true,
	};
	struct arena arena;
	enum rc rc = RC_BUSY;
	unsigned i;

	arena_init(&arena, READ_MAX_BYTES);
	for (i = 0; rc == RC_BUSY && i < CHANGE_TRIES; i++) {
		rc = update_once(m, &row, &arena, change, arg);
		arena_reset(&arena);
	}
	return (rc);
}

static enum rc
delete_once(struct meta *m, struct entity_change *change, struct arena *arena,
    json_t **o_r)
{
	struct entity now;
	enum rc rc;

	*o_r = NULL;
	rc = meta_entity_get(
	    m, change->entity.kind, change->entity.name, arena, &now);
	if (rc != RC_OK)
		return (rc);
	change->was = now.record;
	if ((rc = change_one(m, change)) != RC_OK)
		return (rc);
	if (record_read(&now, o_r) != RC_OK)
		*o_r = json_object();
	return (RC_OK);
}

enum rc
registry_config_delete(
    struct meta *m, enum entity_kind kind, struct span name, json_t **o_r)
{
	struct entity_change change = {
		.entity = { .kind = kind, .name = name },
		.apart = true,
	};
	struct arena arena;
	json_t *was = NULL;
	enum rc rc = RC_BUSY;
	unsigned i;

	arena_init(&arena, READ_MAX_BYTES);
	for (i = 0; rc == RC_BUSY && i < CHANGE_TRIES; i++) {
		rc = delete_once(m, &change, &arena, &was);
		arena_reset(&arena);
	}
	if (o_r != NULL)
		*o_r = was;
	else
		json_decref(was);
	return (rc);
}

/* --- account settings ---------------------------------------------------- */

static const char *const scan_versions[] = { "AWS_NATIVE", "CLAIR", NULL };
static const char *const policy_scopes[] = { "V1", "V2", NULL };
static const char *const mounting[] = { "ENABLED", "DISABLED", NULL };

static const struct {
	const char *name;
	const char *const *values; /* the default first */
} settings[] = {
	{ "BASIC_SCAN_TYPE_VERSION", scan_versions },
	{ "REGISTRY_POLICY_SCOPE", policy_scopes },
	{ "BLOB_MOUNTING", mounting },
};

const char *
registry_setting_name(size_t i)
{
	return (i < ARRAY_LEN(settings) ? settings[i].name : NULL);
}

const char *const *
registry_setting_values(size_t i)
{
	return (i < ARRAY_LEN(settings) ? settings[i].values : NULL);
}

/* Of a record that cannot be read, which was logged, and of values that are
 * none any more, the default holds. */
static const char *
setting_of(const json_t *o, size_t i)
{
	const char *const *value = settings[i].values, *text;

	text = json_string_value(json_object_get(o, settings[i].name));
	if (text == NULL)
		return (value[0]);
	while (*value != NULL && strcmp(*value, text) != 0)
		value++;
	return (*value != NULL ? *value : settings[i].values[0]);
}

const char *
registry_setting(struct meta *m, const char *name)
{
	const char *value;
	json_t *o;
	size_t i = 0;

	while (i < ARRAY_LEN(settings) && strcmp(settings[i].name, name) != 0)
		i++;
	if (i == ARRAY_LEN(settings))
		return (NULL);
	if (registry_config_get(
		m, ENTITY_REGISTRY, CONFIG_ACCOUNT_SETTINGS, &o) != RC_OK)
		return (settings[i].values[0]);
	value = setting_of(o, i);
	json_decref(o);
	return (value);
}
