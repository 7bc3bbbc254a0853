#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "registryd/audit.h"
#include "registryd/jobs.h"
#include "registryd/service.h"
#include "registryd/service_int.h"
#include "storage/gc_job.h"

/*
 * Collections: started by the background thread now and then, and when somebody
 * asks; what they reclaimed goes into the audit log and the figures.  The
 * callbacks run on the thread of the job.
 */

#define REPORT_BYTES 1024

static void
reclaimed_audit(
    struct service *svc, const struct gc_reclaimed *r, struct span by)
{
	const struct audit_event event = {
		.kind = AUDIT_GC,
		.by = by,
		.repository = r->repository,
		.links = r->links,
		.blobs = r->blobs,
		.bytes = r->bytes,
	};

	OBJ_CHECK(svc, SERVICE_MAGIC);
	audit_write(svc->audit, &event);
}

static void
reclaimed(void *arg, const struct gc_reclaimed *r)
{
	reclaimed_audit(arg, r, SPAN_NONE);
}

static void
reclaimed_local(void *arg, const struct gc_reclaimed *r)
{
	reclaimed_audit(arg, r, SPAN("local"));
}

static enum audit_kind
followed_kind(enum gc_follow what)
{
	switch (what) {
	case GC_FOLLOW_REMOVED:
		return (AUDIT_REFERRER_DELETE);
	case GC_FOLLOW_UNTAGGED:
		return (AUDIT_TAG_DELETE);
	case GC_FOLLOW_ARCHIVED:
		return (AUDIT_REFERRER_ARCHIVE);
	case GC_FOLLOW_RESTORED:
		return (AUDIT_REFERRER_RESTORE);
	}
	wrong("what becomes of a referrer is not known");
}

/* The collector does that, whoever had it begin. */
static void
followed(void *arg, const struct gc_followed *f)
{
	struct service *svc = arg;
	const struct audit_event event = {
		.kind = followed_kind(f->what),
		.repository = f->repository,
		.digest = &f->digest,
		.subject = &f->subject,
		.tags_known = true,
		.tags = f->tags,
		.n_tags = f->n_tags,
		.bytes = f->image_bytes,
	};

	OBJ_CHECK(svc, SERVICE_MAGIC);
	audit_write(svc->audit, &event);
}

/* --- what it did, in words ----------------------------------------------- */

static void
part(struct buf *out, uint64_t n, const char *one, const char *many)
{
	if (n > 0)
		buf_printf(out, "%s%" PRIu64 " %s", out->n > 0 ? ", " : "", n,
		    n == 1 ? one : many);
}

static void
report(const struct gc_totals *t, struct buf *out)
{
	part(out, t->blobs, "blob", "blobs");
	part(out, t->bytes, "byte", "bytes");
	part(out, t->links, "link", "links");
	part(out, t->deleted_images, "deleted image", "deleted images");
	part(out, t->repository_rows, "row of deleted repositories",
	    "rows of deleted repositories");
	part(out, t->referrers, "referrer", "referrers");
	part(out, t->uploads, "unfinished upload", "unfinished uploads");
	part(out, t->orphan_files, "orphan file", "orphan files");
	if (out->n > 0)
		buf_str(out, " removed");
	part(out, t->referrers_archived, "referrer archived",
	    "referrers archived");
	part(out, t->archived_blobs, "blob moved into the archive",
	    "blobs moved into the archive");
	part(out, t->activated_images, "image restored from the archive",
	    "images restored from the archive");
}

static void
collection_log(enum rc rc, const struct gc_totals *t)
{
	struct buf text;

	buf_init(&text, REPORT_BYTES);
	report(t, &text);
	if (text.n > 0)
		log_info("collection: " SPAN_FMT "%s",
		    SPAN_ARG(buf_as_span(&text)),
		    rc == RC_OK ? "" : "; it did not get through");
	else
		log_debug("collection: nothing to do");
	if (rc != RC_OK && rc != RC_CANCELLED)
		log_warn("collection failed: %s", rc_text(rc));
	buf_free(&text);
}

static void
ended(void *arg, enum rc rc, const struct gc_totals *t)
{
	struct service *svc = arg;
	struct service_counts *n = &svc->counts;

	OBJ_CHECK(svc, SERVICE_MAGIC);
	atomic_fetch_add(&n->links, t->links);
	atomic_fetch_add(&n->blobs, t->blobs);
	atomic_fetch_add(&n->bytes, t->bytes);
	if (rc == RC_OK) {
		atomic_fetch_add(&n->collections, 1);
		atomic_store(&n->collected_ms, clock_real_ms());
	} else if (rc != RC_CANCELLED) {
		atomic_fetch_add(&n->collections_failed, 1);
	}
	collection_log(rc, t);
}

/* --- starting ------------------------------------------------------------ */

enum rc
service_collect(struct service *svc, bool dry_run, struct buf *out)
{
	const struct gc_job_options options = {
		.dry_run = dry_run,
		.reclaimed = dry_run ? NULL : reclaimed_local,
		.followed = dry_run ? NULL : followed,
		.ended = dry_run ? NULL : ended,
		.arg = svc,
	};

	OBJ_CHECK(svc, SERVICE_MAGIC);
	return (jobs_gc(svc->jobs, &options, out));
}

void
service_collect_begin(struct service *svc, bool called)
{
	const struct gc_job_options options = {
		.reclaimed = reclaimed,
		.followed = followed,
		.ended = ended,
		.arg = svc,
	};
	enum rc rc;

	if (store_failed(svc->store) || atomic_load(&svc->stopping) ||
	    (!called && jobs_gc_running(svc->jobs)))
		return;
	rc = jobs_gc(svc->jobs, &options, NULL);
	if (rc != RC_OK)
		log_warn("no collection: %s", rc_text(rc));
}
