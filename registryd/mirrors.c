#include "registryd/mirrors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/jobs.h"
#include "registryd/mirrors_int.h"
#include "registryd/registry_config.h"
#include "registryd/service.h"

/* Between two looks, at most: clocks may have been changed. */
#define LOOK_MS 60000
#define LOOK_MIN_MS 10

#define ROWS_BYTES ((size_t)256 << 20)

/* --- which there are ----------------------------------------------------- */

static struct mirror_row *
row_add(struct mirror_rows *rows)
{
	struct mirror_row *items;
	size_t room;

	if (rows->n == rows->room) {
		room = rows->room == 0 ? 16 : rows->room * 2;
		items = arena_calloc(&rows->arena, room, sizeof(*items));
		if (items == NULL)
			return (NULL);
		if (rows->n > 0)
			memcpy(items, rows->items, rows->n * sizeof(*items));
		rows->items = items;
		rows->room = room;
	}
	return (&rows->items[rows->n++]);
}

static bool
configured(const struct settings *s, struct span name)
{
	size_t i;

	for (i = 0; i < s->n_mirrors; i++)
		if (span_is(name, s->mirrors[i].name))
			return (true);
	return (false);
}

/* [name, object].  What stands in the configuration wins. */
static enum rc
stored_add(struct mirror_rows *rows, const json_t *one)
{
	const json_t *o = json_array_get(one, 1);
	char why[MIRROR_WHY_BYTES] = "";
	const char *member = "", *name;
	struct mirror_spec spec;
	struct mirror_row *row;
	enum rc rc;

	name = json_string_value(json_array_get(one, 0));
	if (configured(rows->settings, span_of(name)))
		return (RC_OK);
	rc = mirror_spec_read(o, &rows->arena, &spec, &member, why);
	if (rc == RC_INVALID) {
		log_error("the record of mirror %s cannot be used: %s: %s",
		    name, member, why);
		return (RC_OK);
	}
	if (rc != RC_OK || (row = row_add(rows)) == NULL)
		return (RC_TOOBIG);
	*row = (struct mirror_row){ .spec = spec };
	return (RC_OK);
}

static enum rc
stored_read(struct mirrors *m, struct mirror_rows *rows)
{
	json_t *list;
	bool more;
	enum rc rc;
	size_t i;

	rc = registry_config_page(store_meta(m->svc->store), ENTITY_MIRROR,
	    SPAN_NONE, MIRRORS_MAX, &list, &more);
	if (rc != RC_OK)
		return (rc);
	for (i = 0; rc == RC_OK && i < json_array_size(list); i++)
		rc = stored_add(rows, json_array_get(list, i));
	json_decref(list);
	return (rc);
}

static int
row_cmp(const void *a, const void *b)
{
	const struct mirror_row *one = a, *other = b;

	return (strcmp(one->spec.name, other->spec.name));
}

enum rc
mirror_rows_read(struct mirrors *m, struct mirror_rows *rows)
{
	struct mirror_row *row;
	enum rc rc;
	size_t i;

	OBJ_CHECK(m, MIRRORS_MAGIC);
	*rows = (struct mirror_rows){ .settings = service_settings(m->svc) };
	arena_init(&rows->arena, ROWS_BYTES);
	if ((rc = stored_read(m, rows)) != RC_OK)
		return (rc);
	for (i = 0; i < rows->settings->n_mirrors; i++) {
		if ((row = row_add(rows)) == NULL)
			return (RC_TOOBIG);
		row->spec = rows->settings->mirrors[i];
		row->configured = true;
	}
	if (rows->n > 1)
		qsort(rows->items, rows->n, sizeof(*rows->items), row_cmp);
	return (RC_OK);
}

void
mirror_rows_free(struct mirror_rows *rows)
{
	arena_reset(&rows->arena);
	settings_unref(&rows->settings);
}

/* --- those of registryctl ------------------------------------------------ */

enum rc
mirrors_find(struct mirrors *m, struct span name, struct arena *arena,
    struct mirror_spec *spec_r, bool *configured_r)
{
	char why[MIRROR_WHY_BYTES];
	struct mirror_rows rows;
	const char *member;
	json_t *o;
	enum rc rc;
	size_t i;

	rc = mirror_rows_read(m, &rows);
	for (i = 0; rc == RC_OK && i < rows.n; i++)
		if (span_is(name, rows.items[i].spec.name))
			break;
	if (rc == RC_OK && i == rows.n)
		rc = RC_NOTFOUND;
	if (rc == RC_OK) {
		/* By the way of its JSON all of it is in the arena. */
		*configured_r = rows.items[i].configured;
		o = mirror_spec_json(&rows.items[i].spec);
		rc = mirror_spec_read(o, arena, spec_r, &member, why);
		json_decref(o);
	}
	mirror_rows_free(&rows);
	return (rc);
}

enum rc
mirrors_add(struct mirrors *m, const struct mirror_spec *spec)
{
	struct settings *s = service_settings(m->svc);
	bool taken = configured(s, span_of(spec->name));
	json_t *o;
	enum rc rc;

	settings_unref(&s);
	if (taken)
		return (RC_EXISTS);
	o = mirror_spec_json(spec);
	rc = registry_config_put(store_meta(m->svc->store), ENTITY_MIRROR,
	    span_of(spec->name), o, CONFIG_ADD, MIRRORS_MAX);
	json_decref(o);
	if (rc == RC_OK)
		mirrors_wake(m);
	return (rc);
}

enum rc
mirrors_remove(struct mirrors *m, struct span name)
{
	struct meta *meta = store_meta(m->svc->store);
	struct settings *s = service_settings(m->svc);
	bool fixed = configured(s, name);
	enum rc rc;

	settings_unref(&s);
	if (name.n == 0 || name.n > MIRROR_NAME_MAX_BYTES)
		return (RC_NOTFOUND);
	if (fixed)
		return (RC_REFERENCED);
	rc = registry_config_delete(meta, ENTITY_MIRROR, name, NULL);
	if (rc != RC_OK)
		return (rc);
	mutex_lock(&m->lock);
	if (m->now != NULL && span_eq(mirror_job_name(m->now), name))
		mirror_job_cancel(m->now);
	mutex_unlock(&m->lock);
	rc = registry_config_delete(meta, ENTITY_MIRROR_STATE, name, NULL);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
exists(struct mirrors *m, struct span name)
{
	struct mirror_spec spec;
	struct arena arena;
	bool fixed;
	enum rc rc;

	arena_init(&arena, ROWS_BYTES);
	rc = mirrors_find(m, name, &arena, &spec, &fixed);
	arena_reset(&arena);
	return (rc);
}

enum rc
mirrors_run(struct mirrors *m, struct span name, struct buf *out)
{
	enum rc rc;

	OBJ_CHECK(m, MIRRORS_MAGIC);
	if ((rc = exists(m, name)) == RC_OK)
		rc = jobs_mirror(m->svc->jobs, name, out);
	if (rc == RC_OK)
		mirrors_wake(m);
	return (rc);
}

/* --- carrying out -------------------------------------------------------- */

static bool
ends(const struct mirrors *m)
{
	return (atomic_load(&m->stop) || atomic_load(&m->svc->stopping) ||
		store_failed(m->svc->store));
}

static void
now_set(struct mirrors *m, struct mirror_job *job)
{
	mutex_lock(&m->lock);
	m->now = job;
	m->counts.running = job != NULL;
	if (job != NULL && atomic_load(&m->stop))
		mirror_job_cancel(job);
	mutex_unlock(&m->lock);
}

static void
run_count(struct mirrors *m, const struct mirror_run *run)
{
	struct mirrors_counts *n = &m->counts;

	mutex_lock(&m->lock);
	n->done += run->outcome == MIRROR_DONE;
	n->incomplete += run->outcome == MIRROR_INCOMPLETE;
	n->failed += run->outcome == MIRROR_FAILED;
	n->stopped += run->outcome == MIRROR_STOPPED;
	n->images += run->result.copied;
	n->bytes += run->result.bytes;
	n->deleted += run->result.deleted;
	if (run->outcome == MIRROR_DONE)
		n->done_ms = run->ended_ms;
	mutex_unlock(&m->lock);
}

/* One of registryctl that went while it ran leaves no history behind. */
static void
run_keep(struct mirrors *m, struct span name, const struct mirror_run *run)
{
	struct meta *meta = store_meta(m->svc->store);
	enum rc rc;

	run_count(m, run);
	rc = mirror_state_add(meta, name, run);
	if (rc != RC_OK)
		log_warn("the history of mirror " SPAN_FMT
			 " cannot be written: %s",
		    SPAN_ARG(name), rc_text(rc));
	if (exists(m, name) == RC_NOTFOUND &&
	    registry_config_delete(meta, ENTITY_MIRROR_STATE, name, NULL) !=
		RC_OK)
		log_debug("mirror " SPAN_FMT " has no history", SPAN_ARG(name));
}

static void
spec_run(struct mirrors *m, const struct mirror_spec *spec,
    struct mirror_job *job, bool asked)
{
	char why[MIRROR_RUN_WHY_BYTES];
	struct mirror_run run;

	now_set(m, job);
	mirror_run(m, spec, job, asked, &run, why);
	now_set(m, NULL);
	run_keep(m, span_of(spec->name), &run);
}

static void
job_run(struct mirrors *m, struct mirror_job *job)
{
	struct mirror_spec spec;
	struct arena arena;
	bool fixed;
	enum rc rc;

	arena_init(&arena, ROWS_BYTES);
	rc = mirrors_find(m, mirror_job_name(job), &arena, &spec, &fixed);
	if (rc == RC_OK)
		spec_run(m, &spec, job, true);
	else
		mirror_job_end(job, rc, NULL,
		    rc == RC_NOTFOUND ? "there is no such mirror any more"
				      : NULL);
	arena_reset(&arena);
}

static void
jobs_run_all(struct mirrors *m)
{
	struct mirror_job *job;

	while (!ends(m) && (job = jobs_mirror_next(m->svc->jobs)) != NULL)
		job_run(m, job);
}

static int64_t
due_of(struct mirrors *m, const struct mirror_spec *spec, int64_t now_ms)
{
	json_t *runs =
	    mirror_state_runs(store_meta(m->svc->store), span_of(spec->name));
	struct mirror_past past;

	mirror_state_past(runs, &past);
	json_decref(runs);
	return (mirror_due_ms(spec, &past, m->start_ms, now_ms));
}

/* The one that is due for the longest time; NULL: none is, *${next_r} is when
 * the first will be. */
static const struct mirror_spec *
due_find(struct mirrors *m, const struct mirror_rows *rows, int64_t *next_r)
{
	const struct mirror_spec *first = NULL;
	int64_t due_ms, now_ms = clock_real_ms();
	size_t i;

	*next_r = INT64_MAX;
	for (i = 0; i < rows->n; i++) {
		due_ms = due_of(m, &rows->items[i].spec, now_ms);
		if (due_ms >= *next_r)
			continue;
		*next_r = due_ms;
		first = &rows->items[i].spec;
	}
	return (*next_r <= now_ms ? first : NULL);
}

/* False: none was due. */
static bool
due_run(struct mirrors *m, int64_t *next_r)
{
	const struct mirror_spec *spec = NULL;
	struct mirror_rows rows;

	*next_r = INT64_MAX;
	if (mirror_rows_read(m, &rows) == RC_OK)
		spec = due_find(m, &rows, next_r);
	if (spec != NULL)
		spec_run(m, spec,
		    jobs_mirror_due(m->svc->jobs, span_of(spec->name)), false);
	mirror_rows_free(&rows);
	return (spec != NULL);
}

int64_t
mirrors_round(struct mirrors *m)
{
	int64_t next_ms = INT64_MAX, wait_ms;
	bool ran = true;

	OBJ_CHECK(m, MIRRORS_MAGIC);
	while (ran && !ends(m)) {
		jobs_run_all(m);
		ran = !ends(m) && due_run(m, &next_ms);
	}
	if (ends(m) || next_ms == INT64_MAX)
		return (LOOK_MS);
	wait_ms = next_ms - clock_real_ms();
	if (wait_ms < LOOK_MIN_MS)
		return (LOOK_MIN_MS);
	return (wait_ms < LOOK_MS ? wait_ms : LOOK_MS);
}

/* --- as others see it ---------------------------------------------------- */

static void
running_json(struct mirrors *m, const char *name, struct buf *out)
{
	mutex_lock(&m->lock);
	if (m->now != NULL && span_is(mirror_job_name(m->now), name))
		buf_printf(out, ",\"running\":\"%s\"", mirror_job_id(m->now));
	else
		buf_str(out, ",\"running\":null");
	mutex_unlock(&m->lock);
}

static void
time_put(json_t *o, const char *key, int64_t ms)
{
	char text[CLOCK_ISO_BYTES];

	must(
	    json_object_set_new(o, key, json_string(clock_iso(ms, text))) == 0);
}

/* Times as people read them. */
static json_t *
run_shown(const json_t *run)
{
	json_t *o = json_deep_copy(run);
	int64_t ms;

	if (json_get_int(o, "started_ms", &ms) == RC_OK)
		time_put(o, "started", ms);
	if (json_get_int(o, "ended_ms", &ms) == RC_OK)
		time_put(o, "ended", ms);
	(void)json_object_del(o, "started_ms");
	(void)json_object_del(o, "ended_ms");
	(void)json_object_del(o, "again");
	return (o);
}

static void
json_add(struct buf *out, const json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);

	must(text != NULL);
	buf_str(out, text);
	free(text);
}

static void
row_json(struct mirrors *m, const struct mirror_row *row, struct buf *out)
{
	json_t *o = mirror_spec_json(&row->spec), *last;
	json_t *runs = mirror_state_runs(
	    store_meta(m->svc->store), span_of(row->spec.name));
	char text[CLOCK_ISO_BYTES];
	struct mirror_past past;
	int64_t due_ms;
	char *spec;

	mirror_state_past(runs, &past);
	due_ms = mirror_due_ms(&row->spec, &past, m->start_ms, clock_real_ms());
	spec = json_dumps(o, JSON_COMPACT);
	must(spec != NULL);
	buf_add(out, spec, strlen(spec) - 1);
	free(spec);
	buf_printf(
	    out, ",\"configured\":%s", row->configured ? "true" : "false");
	running_json(m, row->spec.name, out);
	last = json_array_size(runs) > 0 ? run_shown(json_array_get(runs, 0))
					 : json_null();
	buf_str(out, ",\"last\":");
	json_add(out, last);
	if (due_ms == INT64_MAX)
		buf_str(out, ",\"next\":null}");
	else
		buf_printf(out, ",\"next\":\"%s\"}", clock_iso(due_ms, text));
	json_decref(last);
	json_decref(runs);
	json_decref(o);
}

enum rc
mirrors_json(struct mirrors *m, struct buf *out)
{
	struct mirror_rows rows;
	enum rc rc;
	size_t i;

	rc = mirror_rows_read(m, &rows);
	if (rc == RC_OK)
		buf_char(out, '[');
	for (i = 0; rc == RC_OK && i < rows.n; i++) {
		if (i > 0)
			buf_char(out, ',');
		row_json(m, &rows.items[i], out);
	}
	if (rc == RC_OK)
		buf_char(out, ']');
	mirror_rows_free(&rows);
	return (rc);
}

enum rc
mirrors_history_json(struct mirrors *m, struct span name, struct buf *out)
{
	json_t *runs, *shown;
	enum rc rc;
	size_t i;

	if ((rc = exists(m, name)) != RC_OK)
		return (rc);
	runs = mirror_state_runs(store_meta(m->svc->store), name);
	shown = json_array();
	for (i = 0; i < json_array_size(runs); i++)
		must(json_array_append_new(
			 shown, run_shown(json_array_get(runs, i))) == 0);
	json_add(out, shown);
	json_decref(shown);
	json_decref(runs);
	return (RC_OK);
}

void
mirrors_count(struct mirrors *m, struct mirrors_counts *counts_r)
{
	OBJ_CHECK(m, MIRRORS_MAGIC);
	mutex_lock(&m->lock);
	*counts_r = m->counts;
	mutex_unlock(&m->lock);
}

/* --- the thread ---------------------------------------------------------- */

struct mirrors *
mirrors_new(struct service *svc)
{
	struct mirrors *m = xcalloc(1, sizeof(*m));

	m->magic = MIRRORS_MAGIC;
	m->svc = svc;
	m->start_ms = svc->started_ms;
	mutex_init(&m->lock);
	cond_init(&m->wake);
	return (m);
}

void
mirrors_free(struct mirrors **m_p)
{
	struct mirrors *m = *m_p;

	*m_p = NULL;
	if (m == NULL)
		return;
	mirrors_stop(m);
	must(pthread_cond_destroy(&m->wake) == 0);
	must(pthread_mutex_destroy(&m->lock) == 0);
	m->magic = 0;
	free(m);
}

void
mirrors_wake(struct mirrors *m)
{
	OBJ_CHECK(m, MIRRORS_MAGIC);
	mutex_lock(&m->lock);
	m->due = true;
	must(pthread_cond_signal(&m->wake) == 0);
	mutex_unlock(&m->lock);
}

void
mirrors_cancel(struct mirrors *m)
{
	OBJ_CHECK(m, MIRRORS_MAGIC);
	atomic_store(&m->stop, true);
	mutex_lock(&m->lock);
	if (m->now != NULL)
		mirror_job_cancel(m->now);
	must(pthread_cond_signal(&m->wake) == 0);
	mutex_unlock(&m->lock);
}

static void
mirrors_main(void *arg)
{
	struct mirrors *m = arg;
	int64_t wait_ms;

	OBJ_CHECK(m, MIRRORS_MAGIC);
	thread_step_back();
	while (!atomic_load(&m->stop)) {
		wait_ms = mirrors_round(m);
		mutex_lock(&m->lock);
		if (!m->due && !atomic_load(&m->stop))
			(void)cond_wait_ms(&m->wake, &m->lock, (long)wait_ms);
		m->due = false;
		mutex_unlock(&m->lock);
	}
}

enum rc
mirrors_start(struct mirrors *m)
{
	enum rc rc;

	OBJ_CHECK(m, MIRRORS_MAGIC);
	rc = thread_start("mirrors", mirrors_main, m, &m->thread);
	m->runs = rc == RC_OK;
	return (rc);
}

void
mirrors_stop(struct mirrors *m)
{
	mirrors_cancel(m);
	if (m->runs)
		thread_join(m->thread);
	m->runs = false;
}
