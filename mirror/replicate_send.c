#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mirror/copy.h"
#include "mirror/place_int.h"
#include "mirror/replicate_int.h"
#include "storage/images.h"

/*
 * One task: the image is copied, and what came of it is written down.
 */
#define LOOK_ARENA_BYTES ((size_t)1 << 20)
#define LATER_FIRST_MS 1000
#define LATER_MAX_MS ((int64_t)10 * 60 * 1000)

enum fate {
	SENT,
	LATER,	   /* it may pass */
	LATER_ALL, /* and all others for this destination would fail, too */
	FAILED,	   /* it will not */
	LEFT,	   /* we are to end */
};

struct outcome {
	enum fate fate;
	const char *code; /* FAILED */
	struct upstream_error error;
};

/* --- the image here ------------------------------------------------------ */

static enum rc
image_look(struct replicator *r, const struct replication_task *task)
{
	const struct reference ref = { .is_digest = true,
		.digest = task->digest };
	struct manifest_row row;
	struct arena a;
	enum rc rc;

	if (task->repository.n == 0)
		return (RC_NOTFOUND);
	arena_init(&a, LOOK_ARENA_BYTES);
	rc = meta_manifest_get(store_meta(r->o.store), task->repository, &ref,
	    MANIFEST_ROW, READ_BLOCKING, &a, &row);
	if (rc == RC_OK && row.status != IMAGE_ACTIVE)
		rc = RC_NOTFOUND;
	arena_reset(&a);
	return (rc);
}

/* Empty: it points elsewhere by now, and whoever moved it has a task. */
static enum rc
tag_now(struct replicator *r, const struct replication_task *task,
    struct span *tag_r)
{
	const struct reference ref = { .tag = task->tag };
	struct manifest_row row;
	struct arena a;
	enum rc rc;

	*tag_r = SPAN_NONE;
	if (task->tag.n == 0)
		return (RC_OK);
	arena_init(&a, LOOK_ARENA_BYTES);
	rc = meta_manifest_get(store_meta(r->o.store), task->repository, &ref,
	    MANIFEST_ROW, READ_BLOCKING, &a, &row);
	if (rc == RC_OK && digest_eq(&row.digest, &task->digest))
		*tag_r = task->tag;
	arena_reset(&a);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* --- sending ------------------------------------------------------------- */

struct sending {
	struct replicator *r;
	const struct replication_task *task;
	struct place *from, *to;
	struct copy_result result;
};

static enum rc
image_copy(struct sending *s, struct upstream_error *error)
{
	const struct reference ref = { .is_digest = true,
		.digest = s->task->digest };
	const struct copy_options o = {
		.referrers = true,
		.cancel = &s->r->stop,
	};
	struct span tag;
	enum rc rc;

	if ((rc = tag_now(s->r, s->task, &tag)) != RC_OK)
		return (place_fail(
		    error, rc, "the tag cannot be read: %s", rc_text(rc)));
	return (copy_image(s->from, &ref, s->to, tag, &o, &s->result, error));
}

/* Once more, if all that it lacked was the repository. */
static enum rc
image_send(struct sending *s, struct upstream_error *error)
{
	const struct replicate_ends *ends = &s->r->ends;
	struct upstream_error refused = { 0 };
	enum rc rc;

	rc = image_copy(s, error);
	if (rc != RC_NOTFOUND || !s->result.at_destination)
		return (rc);
	rc = ends->create(ends->arg, s->task, &s->r->stop, &refused);
	if (rc == RC_UNSUPPORTED)
		return (RC_NOTFOUND); /* what the copy said */
	if (rc != RC_OK) {
		*error = refused;
		return (rc);
	}
	return (image_copy(s, error));
}

/* What a code means that the destination gave. */
static void
refusal_judge(enum rc rc, struct outcome *out)
{
	out->fate = FAILED;
	out->code = REPLICATION_REFUSED;
	switch ((int)rc) {
	case RC_IO:
	case RC_TIMEOUT:
	case RC_LIMIT:
		out->fate = LATER_ALL;
		break;
	case RC_MISSING: /* cleaned away behind our back */
	case RC_DIGEST:	 /* broken on its way */
		out->fate = LATER;
		break;
	case RC_DENIED:
		out->code = REPLICATION_DENIED;
		break;
	case RC_EXISTS:
		out->code = REPLICATION_IMMUTABLE;
		break;
	case RC_NOTFOUND:
		out->code = REPLICATION_NO_REPOSITORY;
		break;
	default:
		break;
	}
}

/* Here a thing may be gone; all else is trouble that passes. */
static void
trouble_judge(enum rc rc, struct outcome *out)
{
	out->fate = LATER;
	if (rc == RC_NOTFOUND) {
		out->fate = FAILED;
		out->code = REPLICATION_IMAGE_GONE;
	} else if (rc == RC_TOOBIG || rc == RC_INVALID ||
		   rc == RC_UNSUPPORTED) {
		out->fate = FAILED;
		out->code = REPLICATION_REFUSED;
	}
}

static void
outcome_judge(const struct sending *s, enum rc rc, struct outcome *out)
{
	if (rc == RC_OK)
		out->fate = SENT;
	else if (rc == RC_CANCELLED || atomic_load(&s->r->stop))
		out->fate = LEFT;
	else if (s->result.at_destination)
		refusal_judge(rc, out);
	else
		trouble_judge(rc, out);
}

static void
task_send(struct replicator *r, const struct replication_task *task,
    struct outcome *out)
{
	const struct place_store_options from = {
		.store = r->o.store,
		.repository = task->repository,
		.cancel = &r->stop,
	};
	struct sending s = { .r = r, .task = task };
	enum rc rc;

	s.to = r->ends.open(r->ends.arg, task, &r->stop, &rc, &out->error);
	if (s.to == NULL) {
		s.result.at_destination = true;
		outcome_judge(&s, rc, out);
		if (rc == RC_RANGE)
			out->code = REPLICATION_UNKNOWN_DESTINATION;
		return;
	}
	s.from = place_store(&from);
	rc = image_send(&s, &out->error);
	outcome_judge(&s, rc, out);
	place_free(&s.from);
	place_free(&s.to);
}

/* --- what comes of it ---------------------------------------------------- */

/* One that is gone was pushed anew, or deleted with its image. */
static void
change_check(const struct replication_task *task, enum rc rc)
{
	if (rc != RC_OK && rc != RC_NOTFOUND)
		log_warn("replication: task %llu cannot be changed: %s",
		    (unsigned long long)task->id, rc_text(rc));
}

static void
task_end(struct replicator *r, const struct replication_task *task,
    enum replication_state state, const char *code, const char *why)
{
	bool sent = state == REPLICATION_COMPLETE;
	enum rc rc;

	rc = meta_replication_end(store_meta(r->o.store), task, state,
	    span_of(code), span_of(why), clock_real_ms());
	change_check(task, rc);
	if (rc == RC_OK && r->o.ended != NULL)
		r->o.ended(r->o.arg, task->repository, &task->digest, task->tag,
		    task->destination, sent, sent ? NULL : why);
}

static int64_t
later_ms(uint32_t attempts)
{
	int64_t ms = LATER_FIRST_MS;

	while (attempts-- > 0 && ms < LATER_MAX_MS)
		ms *= 2;
	return (ms < LATER_MAX_MS ? ms : LATER_MAX_MS);
}

static void
task_later(struct replicator *r, const struct replication_task *task,
    const struct outcome *out)
{
	int64_t now_ms = clock_real_ms(), wait_ms = later_ms(task->attempts),
		asked_ms = (int64_t)out->error.retry_after_s * 1000;

	if (asked_ms > LATER_MAX_MS)
		asked_ms = LATER_MAX_MS;
	if (out->fate == LATER_ALL)
		replicate_hold(r, task->destination, out->error.why, asked_ms);
	if (now_ms - task->queued_ms >= r->o.give_up_ms) {
		task_end(r, task, REPLICATION_FAILED, REPLICATION_GAVE_UP,
		    out->error.why);
		return;
	}
	if (asked_ms > wait_ms)
		wait_ms = asked_ms;
	change_check(task, meta_replication_later(store_meta(r->o.store), task,
			       now_ms + wait_ms, span_of(out->error.why)));
}

static void
outcome_keep(struct replicator *r, const struct replication_task *task,
    const struct outcome *out)
{
	switch (out->fate) {
	case SENT:
		replicate_unhold(r, task->destination);
		task_end(r, task, REPLICATION_COMPLETE, "", "");
		break;
	case LATER:
	case LATER_ALL:
		task_later(r, task, out);
		break;
	case FAILED:
		task_end(
		    r, task, REPLICATION_FAILED, out->code, out->error.why);
		break;
	case LEFT:
		break;
	}
}

void
replicate_send(struct replicator *r, const struct replicate_job *job)
{
	const struct replication_task *task = &job->task;
	struct outcome out = { .fate = LATER };
	enum rc rc;

	if (job->hopeless) {
		task_end(
		    r, task, REPLICATION_FAILED, REPLICATION_GAVE_UP, job->why);
		return;
	}
	rc = image_look(r, task);
	if (rc == RC_OK) {
		task_send(r, task, &out);
	} else if (rc == RC_NOTFOUND) {
		out.fate = FAILED;
		out.code = REPLICATION_IMAGE_GONE;
		(void)!place_fail(&out.error, rc,
		    "the image is not in the repository any more");
	} else {
		(void)!place_fail(&out.error, rc,
		    "the image cannot be read: %s", rc_text(rc));
	}
	outcome_keep(r, task, &out);
}
