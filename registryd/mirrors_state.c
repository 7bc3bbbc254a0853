#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/obj.h"
#include "registryd/mirrors_int.h"
#include "registryd/registry_config.h"

/*
 * The last runs of a mirror: a record {"runs":[...]}, the newest first, shown
 * as it is kept.
 */
static const char *const outcomes[] = {
	[MIRROR_DONE] = "done",
	[MIRROR_INCOMPLETE] = "incomplete",
	[MIRROR_FAILED] = "failed",
	[MIRROR_STOPPED] = "stopped",
};

#define DUE_JITTER_PART 10
#define FIRST_JITTER_MS 5000
#define RETRY_MS ((int64_t)60 * 1000)

/* --- what they came to --------------------------------------------------- */

static json_t *
run_json(const struct mirror_run *run)
{
	const struct sync_result *r = &run->result;
	json_t *o;

	o = json_pack("{s:I,s:I,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,"
		      "s:I}",
	    "started_ms", (json_int_t)run->started_ms, "ended_ms",
	    (json_int_t)run->ended_ms, "by", run->asked ? "local" : "schedule",
	    "outcome", outcomes[run->outcome], "why", run->why, "tags",
	    (json_int_t)r->tags, "selected", (json_int_t)r->selected, "same",
	    (json_int_t)r->same, "copied", (json_int_t)r->copied, "deleted",
	    (json_int_t)r->deleted, "failed", (json_int_t)r->failed,
	    "manifests", (json_int_t)r->manifests, "blobs",
	    (json_int_t)r->blobs, "bytes", (json_int_t)r->bytes);
	/* Words of others may be no text. */
	if (o == NULL) {
		o = json_pack("{s:I,s:I,s:s,s:s,s:s}", "started_ms",
		    (json_int_t)run->started_ms, "ended_ms",
		    (json_int_t)run->ended_ms, "by",
		    run->asked ? "local" : "schedule", "outcome",
		    outcomes[run->outcome], "why", "(not readable)");
	}
	must(o != NULL);
	if (run->again)
		must(json_object_set_new(o, "again", json_true()) == 0);
	return (o);
}

static enum rc
run_prepend(json_t *o, void *arg)
{
	json_t *runs = json_object_get(o, "runs");

	if (!json_is_array(runs)) {
		runs = json_array();
		must(json_object_set_new(o, "runs", runs) == 0);
	}
	must(json_array_insert(runs, 0, arg) == 0);
	while (json_array_size(runs) > MIRRORS_RUNS_KEPT)
		must(json_array_remove(runs, MIRRORS_RUNS_KEPT) == 0);
	return (RC_OK);
}

enum rc
mirror_state_add(
    struct meta *meta, struct span name, const struct mirror_run *run)
{
	json_t *o = run_json(run);
	enum rc rc;

	rc = registry_config_update(
	    meta, ENTITY_MIRROR_STATE, name, run_prepend, o);
	json_decref(o);
	return (rc);
}

json_t *
mirror_state_runs(struct meta *meta, struct span name)
{
	json_t *o, *runs = NULL;

	if (registry_config_get(meta, ENTITY_MIRROR_STATE, name, &o) != RC_OK)
		return (json_array());
	runs = json_incref(json_object_get(o, "runs"));
	json_decref(o);
	if (json_is_array(runs))
		return (runs);
	json_decref(runs);
	return (json_array());
}

static bool
outcome_is(const json_t *run, enum mirror_outcome outcome)
{
	struct span word;

	return (json_get_str(run, "outcome", &word) == RC_OK &&
		span_is(word, outcomes[outcome]));
}

void
mirror_state_past(const json_t *runs, struct mirror_past *past)
{
	bool in_a_row = true;
	const json_t *run;
	size_t i;

	*past = (struct mirror_past){ 0 };
	json_array_foreach(runs, i, run)
	{
		if (json_is_true(json_object_get(run, "again")))
			continue;
		if (past->n++ == 0 &&
		    json_get_int(run, "started_ms", &past->started_ms) != RC_OK)
			past->started_ms = 0;
		in_a_row = in_a_row && !outcome_is(run, MIRROR_DONE);
		past->n_failed += in_a_row;
	}
}

/* --- when they are due --------------------------------------------------- */

static int64_t
share_of(const char *name, int64_t ms)
{
	uint64_t h = span_hash(span_of(name));

	return (ms > 0 ? (int64_t)(h % (uint64_t)ms) : 0);
}

/* 1, 2, 4, ... minutes, but not later than it would be otherwise. */
static int64_t
retry_ms(unsigned n_failed, int64_t interval_ms)
{
	int64_t ms = RETRY_MS;

	while (--n_failed > 0 && ms < interval_ms)
		ms *= 2;
	return (ms < interval_ms ? ms : interval_ms);
}

int64_t
mirror_due_ms(const struct mirror_spec *spec, const struct mirror_past *past,
    int64_t start_ms, int64_t now_ms)
{
	int64_t tenth = spec->interval_ms / DUE_JITTER_PART;

	if (spec->interval_ms == 0)
		return (INT64_MAX);
	if (past->n == 0)
		return (start_ms + share_of(spec->name, tenth < FIRST_JITTER_MS
							    ? tenth
							    : FIRST_JITTER_MS));
	/* A clock that was ahead. */
	if (past->started_ms > now_ms)
		return (now_ms);
	if (past->n_failed > 0)
		return (past->started_ms +
			retry_ms(past->n_failed, spec->interval_ms));
	return (
	    past->started_ms + spec->interval_ms + share_of(spec->name, tenth));
}
