#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "registryd/api/control_int.h"
#include "registryd/jobs.h"
#include "registryd/mirrors.h"
#include "registryd/settings.h"
#include "storage/replication.h"

/* Mirrors: which there are, made, removed, run; and replication. */

static enum rc
name_wanted(struct call *c, struct span *name_r)
{
	*name_r = SPAN_NONE;
	(void)http_request_param(c->request, "name", name_r);
	if (name_r->n == 0)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "name: one is needed"));
	return (RC_OK);
}

static enum rc
no_mirror(struct call *c, struct span name)
{
	return (call_fail(c, OCI_NOT_FOUND, NULL, "there is no mirror \"%.*s\"",
	    CALL_SHOW(name)));
}

/* --- which there are ----------------------------------------------------- */

enum rc
control_mirrors(struct call *c)
{
	struct buf out;
	enum rc rc;

	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"mirrors\":");
	if ((rc = mirrors_json(c->service->mirrors, &out)) != RC_OK) {
		buf_free(&out);
		return (rc);
	}
	buf_str(&out, "}\n");
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

enum rc
control_mirror_history(struct call *c)
{
	struct span name;
	struct buf out;
	enum rc rc;

	if ((rc = name_wanted(c, &name)) != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"name\":");
	buf_json(&out, name);
	buf_str(&out, ",\"runs\":");
	rc = mirrors_history_json(c->service->mirrors, name, &out);
	if (rc == RC_OK) {
		buf_str(&out, "}\n");
		return (call_json_take(c, 200, CONTROL_JSON, &out));
	}
	buf_free(&out);
	return (rc == RC_NOTFOUND ? no_mirror(c, name) : rc);
}

/* --- made and removed ---------------------------------------------------- */

static enum rc
mirror_add(struct call *c, const json_t *o)
{
	struct mirrors *m = c->service->mirrors;
	char why[MIRROR_WHY_BYTES];
	struct mirror_spec spec;
	const char *member;
	struct buf out;
	enum rc rc;

	rc = mirror_spec_read(o, c->arena, &spec, &member, why);
	if (rc == RC_INVALID)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "%s: %s", member, why));
	if (rc != RC_OK)
		return (rc);
	rc = mirrors_add(m, &spec);
	if (rc == RC_EXISTS)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "there is a mirror \"%s\" already", spec.name));
	if (rc == RC_LIMIT)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "there are %d mirrors already", MIRRORS_MAX));
	if (rc != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"name\":");
	buf_json(&out, span_of(spec.name));
	buf_str(&out, "}\n");
	return (call_json_take(c, 201, CONTROL_JSON, &out));
}

enum rc
control_mirror_add(struct call *c)
{
	char wrong[JSON_ERROR_BYTES];
	json_t *o;
	enum rc rc;

	if (json_read(c->body, wrong, &o) != RC_OK)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL, "%s", wrong));
	rc = mirror_add(c, o);
	json_decref(o);
	return (rc);
}

enum rc
control_mirror_remove(struct call *c)
{
	struct span name;
	enum rc rc;

	if ((rc = name_wanted(c, &name)) != RC_OK)
		return (rc);
	rc = mirrors_remove(c->service->mirrors, name);
	if (rc == RC_NOTFOUND)
		return (no_mirror(c, name));
	if (rc == RC_REFERENCED)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "the mirror \"%.*s\" stands in the configuration file: "
		    "remove it there and reload",
		    CALL_SHOW(name)));
	if (rc != RC_OK)
		return (rc);
	call_json(c, 200, CONTROL_JSON, SPAN("{}\n"));
	return (RC_OK);
}

/* --- run ----------------------------------------------------------------- */

enum rc
control_mirror_run(struct call *c)
{
	struct span name;
	struct buf out;
	enum rc rc;

	if ((rc = name_wanted(c, &name)) != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	rc = mirrors_run(c->service->mirrors, name, &out);
	if (rc == RC_OK)
		return (call_json_take(c, 202, CONTROL_JSON, &out));
	buf_free(&out);
	if (rc == RC_NOTFOUND)
		return (no_mirror(c, name));
	if (rc == RC_BUSY)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "%d runs of mirrors wait already; wait for their end",
		    JOBS_MIRRORS_MAX));
	return (rc);
}

/* --- replication --------------------------------------------------------- */

static void
destinations_json(const struct settings *s, struct buf *out)
{
	const struct replication_setting *d;
	size_t i;

	buf_str(out, ",\"destinations\":[");
	for (i = 0; i < s->n_destinations; i++) {
		d = &s->destinations[i];
		buf_printf(out, "%s{\"name\":\"%s\",\"url\":", i > 0 ? "," : "",
		    d->name);
		buf_json(out, span_of(d->url));
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

/* The tasks that wait longest for their next attempt are not in it: only how
 * many there are, and when the next is due. */
enum rc
control_replication(struct call *c)
{
	const struct service_counts *n = &c->service->counts;
	int64_t due_ms = 0;
	uint64_t count;
	struct buf out;
	enum rc rc;

	if ((rc = meta_replication_count(c->meta, &count)) != RC_OK)
		return (rc);
	rc = meta_replication_due(c->meta, &due_ms);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_printf(&out,
	    "{\"waiting\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"failed\":%" PRIu64
	    ",",
	    count, atomic_load(&n->replicated),
	    atomic_load(&n->replications_failed));
	control_time(&out, "next", rc == RC_OK && due_ms <= 0 ? 1 : due_ms);
	destinations_json(c->settings, &out);
	buf_str(&out, "}\n");
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}
