#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "mirror/reference.h"
#include "mirror/replicate.h"
#include "mirror/secrets.h"
#include "registryd/audit.h"
#include "registryd/creation.h"
#include "registryd/mirrors_int.h"
#include "registryd/replication.h"
#include "registryd/scanning.h"
#include "registryd/service.h"

/*
 * One run of a mirror.  Repositories that it makes are made as those of the
 * pull through cache, by the same templates; what it brings is replicated
 * further as what somebody pushed.
 */
#define RUN_BYTES ((size_t)16 << 20)

/* For one answer of the source; what stalls is tried again meanwhile. */
#define PATIENCE_MS 60000

struct running {
	struct mirrors *m;
	const struct mirror_spec *spec;
	struct mirror_job *job;
	bool asked, to_send;
	struct arena arena;
	struct image_reference source;
	struct upstream *upstream;
	struct place *from, *to;
	struct selection *selection;
	struct repository_preset preset;
	const struct span *destinations;
	size_t n_destinations;
	struct platform *platforms;
	char failure[MIRROR_RUN_WHY_BYTES]; /* the first one */
};

/* --- what came of an image ----------------------------------------------- */

static struct span
asker(const struct running *r)
{
	return (r->asked ? SPAN("local") : SPAN_NONE);
}

static void
image_audit(struct running *r, const struct sync_image *image)
{
	bool deleted = image->outcome == SYNC_DELETED;
	const struct audit_event event = {
		.kind = deleted ? AUDIT_MIRROR_DELETE : AUDIT_MIRROR_COPY,
		.by = asker(r),
		.name = span_of(r->spec->name),
		.repository = span_of(r->spec->destination),
		.digest = deleted ? NULL : &image->digest,
		.tags_known = true,
		.tags = &image->tag,
		.n_tags = 1,
		.from = span_of(r->spec->source),
		.bytes = image->bytes,
	};

	audit_write(r->m->svc->audit, &event);
}

/* Without a tag it is about the repository: tags that are not removed. */
static void
image_failed(struct running *r, const struct sync_image *image)
{
	char text[MIRROR_RUN_WHY_BYTES];

	(void)snprintf(text, sizeof(text), "%s" SPAN_FMT "%s%s",
	    image->tag.n > 0 ? "tag " : "", SPAN_ARG(image->tag),
	    image->tag.n > 0 ? ": " : "",
	    image->why != NULL ? image->why : "failed");
	log_warn("mirror %s: %s", r->spec->name, text);
	if (r->failure[0] == '\0')
		(void)memcpy(r->failure, text, sizeof(r->failure));
}

static void
image_done(void *arg, const struct sync_image *image)
{
	struct running *r = arg;

	mirror_job_image(r->job, image);
	if (image->outcome == SYNC_FAILED)
		image_failed(r, image);
	if (image->outcome == SYNC_COPIED || image->outcome == SYNC_DELETED)
		image_audit(r, image);
	if (image->outcome == SYNC_COPIED)
		r->to_send = true;
}

/* --- its ends ------------------------------------------------------------ */

static enum rc
preset_find(struct running *r, struct settings *s)
{
	struct service *svc = r->m->svc;
	struct call c = {
		.arena = &r->arena,
		.settings = s,
		.service = svc,
		.store = svc->store,
		.meta = store_meta(svc->store),
	};
	enum rc rc;

	rc = creation_preset(
	    &c, span_of(r->spec->destination), CREATION_CACHE, &r->preset);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
platforms_read(struct running *r)
{
	const struct mirror_list *list = &r->spec->platforms;
	enum rc rc = RC_OK;
	size_t i;

	r->platforms =
	    arena_calloc(&r->arena, list->n + 1, sizeof(*r->platforms));
	if (r->platforms == NULL)
		return (RC_TOOBIG);
	for (i = 0; rc == RC_OK && i < list->n; i++)
		rc = platform_parse(span_of(list->items[i]), &r->platforms[i]);
	return (rc);
}

/* Who named one does not want to come without. */
static enum rc
credential_check(struct running *r, char why[MIRROR_RUN_WHY_BYTES])
{
	struct span name = span_of(r->spec->credential);
	struct credential found;
	enum rc rc;

	if (name.n == 0 || r->m->svc->secrets == NULL)
		return (RC_OK);
	rc = secrets_get(r->m->svc->secrets, name, &found);
	credential_wipe(&found);
	if (rc == RC_NOTFOUND)
		(void)snprintf(why, MIRROR_RUN_WHY_BYTES,
		    "there are no credentials \"%s\": registryctl secret put",
		    r->spec->credential);
	else if (rc != RC_OK)
		(void)snprintf(why, MIRROR_RUN_WHY_BYTES,
		    "the credentials \"%s\": %s", r->spec->credential,
		    rc_text(rc));
	return (rc);
}

static enum rc
source_open(struct running *r, char why[MIRROR_RUN_WHY_BYTES])
{
	char reason[REFERENCE_WHY_BYTES];
	enum rc rc;

	rc = image_reference_parse(
	    span_of(r->spec->source), &r->arena, &r->source, reason);
	if (rc == RC_OK)
		rc = upstreams_get(r->m->svc->upstreams, r->source.url,
		    span_of(r->spec->credential), &r->upstream);
	if (rc != RC_OK) {
		(void)snprintf(why, MIRROR_RUN_WHY_BYTES, "%s: %s",
		    r->spec->source, rc_text(rc));
		return (rc);
	}
	r->from = place_remote(&(struct place_remote_options){
	    .upstream = r->upstream,
	    .repository = r->source.name,
	    .patience_ms = PATIENCE_MS,
	    .name = r->spec->source,
	    .cancel = mirror_job_cancelled(r->job),
	});
	return (RC_OK);
}

/* Of an index with some platforms the others are not here. */
static enum rc
destination_open(struct running *r, struct settings *s)
{
	struct service *svc = r->m->svc;
	enum rc rc;

	if ((rc = preset_find(r, s)) != RC_OK)
		return (rc);
	rc = replication_destinations_of(svc->replication,
	    span_of(r->spec->destination), &r->arena, &r->destinations,
	    &r->n_destinations);
	if (rc != RC_OK && rc != RC_CORRUPT)
		return (rc);
	r->to = place_store(&(struct place_store_options){
	    .store = svc->store,
	    .repository = span_of(r->spec->destination),
	    .create = &r->preset,
	    .sparse = r->spec->platforms.n > 0,
	    .scan = scanning_on_push(
		store_meta(svc->store), span_of(r->spec->destination)),
	    .destinations = r->destinations,
	    .n_destinations = r->n_destinations,
	    .cancel = mirror_job_cancelled(r->job),
	});
	return (RC_OK);
}

/* ${why} says what is wrong. */
static enum rc
ends_open(struct running *r, struct settings *s, char why[MIRROR_RUN_WHY_BYTES])
{
	enum rc rc;

	if (r->m->svc->upstreams == NULL) {
		(void)snprintf(why, MIRROR_RUN_WHY_BYTES,
		    "the server has not begun to talk to others");
		return (RC_FAILED);
	}
	if ((rc = mirror_spec_select(r->spec, why, &r->selection)) != RC_OK ||
	    (rc = credential_check(r, why)) != RC_OK ||
	    (rc = source_open(r, why)) != RC_OK)
		return (rc);
	if ((rc = platforms_read(r)) != RC_OK ||
	    (rc = destination_open(r, s)) != RC_OK)
		(void)snprintf(why, MIRROR_RUN_WHY_BYTES, "%s: %s",
		    r->spec->destination, rc_text(rc));
	return (rc);
}

static void
ends_close(struct running *r)
{
	place_free(&r->to);
	place_free(&r->from);
	selection_free(&r->selection);
	upstream_unref(&r->upstream);
	arena_reset(&r->arena);
}

/* --- the run ------------------------------------------------------------- */

static enum rc
sync_it(struct running *r, struct sync_result *result,
    char why[MIRROR_RUN_WHY_BYTES])
{
	const struct sync_options options = {
		.from = r->from,
		.to = r->to,
		.selection = r->selection,
		.copy = {
			.platforms = r->platforms,
			.n_platforms = r->spec->platforms.n,
			.referrers = r->spec->referrers,
			.progress = mirror_job_progress(r->job),
			.cancel = mirror_job_cancelled(r->job),
		},
		.deletes = r->spec->deletes,
		.image = image_done,
		.arg = r,
	};
	struct upstream_error error = { 0 };
	enum rc rc;

	rc = sync_run(&options, result, &error);
	if (rc != RC_OK)
		(void)snprintf(why, MIRROR_RUN_WHY_BYTES, "%s",
		    error.why[0] != '\0' ? error.why : rc_text(rc));
	if (rc == RC_OK && result->failed > 0)
		(void)snprintf(why, MIRROR_RUN_WHY_BYTES,
		    "%" PRIu64 " failed; the first: %.*s", result->failed,
		    MIRROR_RUN_WHY_BYTES - 64, r->failure);
	if (r->to_send && r->n_destinations > 0 &&
	    r->m->svc->replicator != NULL)
		replicator_wake(r->m->svc->replicator);
	return (rc);
}

static enum mirror_outcome
outcome_of(const struct running *r, enum rc rc, const struct sync_result *res)
{
	if (rc == RC_OK)
		return (res->failed > 0 ? MIRROR_INCOMPLETE : MIRROR_DONE);
	if (rc == RC_CANCELLED || atomic_load(mirror_job_cancelled(r->job)))
		return (MIRROR_STOPPED);
	return (MIRROR_FAILED);
}

static void
run_tell(const struct running *r, const struct mirror_run *run)
{
	const struct sync_result *res = &run->result;

	if (run->outcome == MIRROR_FAILED) {
		log_warn("mirror %s failed: %s", r->spec->name, run->why);
		return;
	}
	log_info("mirror %s (%s to %s)%s: %" PRIu64 " of %" PRIu64
		 " tags, %" PRIu64 " the same, %" PRIu64 " copied (%" PRIu64
		 " blobs, %" PRIu64 " bytes), %" PRIu64 " deleted, %" PRIu64
		 " failed, in %" PRId64 " ms",
	    r->spec->name, r->spec->source, r->spec->destination,
	    run->outcome == MIRROR_STOPPED ? " stopped" : "", res->selected,
	    res->tags, res->same, res->copied, res->blobs, res->bytes,
	    res->deleted, res->failed,
	    run->ended_ms > run->started_ms ? run->ended_ms - run->started_ms
					    : 0);
}

void
mirror_run(struct mirrors *m, const struct mirror_spec *spec,
    struct mirror_job *job, bool asked, struct mirror_run *run_r,
    char why[MIRROR_RUN_WHY_BYTES])
{
	struct running r = { .m = m, .spec = spec, .job = job, .asked = asked };
	struct settings *s = service_settings(m->svc);
	enum rc rc;

	*run_r = (struct mirror_run){
		.asked = asked, .started_ms = clock_real_ms(), .why = why
	};
	why[0] = '\0';
	arena_init(&r.arena, RUN_BYTES);
	if ((rc = ends_open(&r, s, why)) == RC_OK)
		rc = sync_it(&r, &run_r->result, why);
	run_r->ended_ms = clock_real_ms();
	run_r->outcome = outcome_of(&r, rc, &run_r->result);
	if (run_r->outcome == MIRROR_STOPPED) {
		rc = RC_CANCELLED;
		run_r->again = atomic_load(&m->stop);
	}
	run_tell(&r, run_r);
	mirror_job_end(job, rc, &run_r->result, why[0] != '\0' ? why : NULL);
	ends_close(&r);
	settings_unref(&s);
}
