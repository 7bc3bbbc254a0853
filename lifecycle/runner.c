#include "lifecycle/runner.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "lifecycle/runner_int.h"
#include "storage/images.h"

/*
 * A run reads, decides and acts.  Nothing is locked between these, and nothing
 * is remembered but the result: the transaction that does something about an
 * image is the one that knows whether it still may.
 */

#define PAGE_IMAGES ((size_t)256)
#define PAGE_BYTES ((size_t)64 << 20)
#define ACTED_BYTES ((size_t)64 << 20)
#define KEEP_NS (INT64_C(5) * 1000000000) /* between results kept */
#define NAP_NS (INT64_C(50) * 1000000)	  /* between looks at the stop */
#define SECOND_NS INT64_C(1000000000)
#define MS_NS 1000000

struct carrying {
	struct meta *m;
	struct span repository;
	const struct lifecycle_carry *carry;
	struct lifecycle_run *run;
	struct lifecycle_act acts[LIFECYCLE_BATCH];
	size_t n, batch;
	int64_t began_ns, kept_ns;
	struct lifecycle_result result;
};

void
lifecycle_why_begin(char why[LIFECYCLE_WHY_BYTES], const char *begin)
{
	size_t n = strlen(begin), kept = strlen(why);

	must(n < LIFECYCLE_WHY_BYTES);
	if (kept > LIFECYCLE_WHY_BYTES - 1 - n)
		kept = lifecycle_text_cut(why, LIFECYCLE_WHY_BYTES - 1 - n);
	memmove(why + n, why, kept);
	memcpy(why, begin, n);
	why[n + kept] = '\0';
}

size_t
lifecycle_text_cut(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);

	if (n <= max)
		return (n);
	for (n = max; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
		continue;
	return (n);
}

bool
lifecycle_stops(lifecycle_stop_fn *stop, void *arg)
{
	return (stop != NULL && stop(arg));
}

/* --- reading ------------------------------------------------------------- */

static enum rc
image_add(const struct image_row *row, struct lifecycle_run *const *runs,
    size_t n_runs)
{
	const struct manifest_row *m = &row->manifest;
	const struct lifecycle_image image = {
		.digest = m->digest,
		.tags = row->tags,
		.n_tags = row->n_tags,
		.storage_class =
		    m->archived ? LIFECYCLE_ARCHIVE : LIFECYCLE_STANDARD,
		.pushed_ms = m->pushed_ms,
		.pulled_ms = m->pulled_ms,
		.archived_ms = row->archived_ms,
		.activated_ms = row->activated_ms,
		.held = row->held,
		.held_by_active = row->held_by_active,
		.subject_here = row->subject_here,
		.tags_hash = image_tags_hash(row->tags, row->n_tags),
	};
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; rc == RC_OK && i < n_runs; i++)
		rc = lifecycle_run_add(runs[i], &image);
	return (rc);
}

/* With as many images on it as there is memory for. */
static enum rc
page_read(struct meta *m, struct image_query *q, struct arena *arena,
    struct image_page *page_r)
{
	enum rc rc;

	for (q->max_rows = PAGE_IMAGES;; q->max_rows /= 2) {
		q->max_looked = q->max_rows;
		rc = meta_image_page(m, q, arena, page_r);
		if (rc != RC_TOOBIG || q->max_rows == 1)
			return (rc);
		arena_reset(arena);
	}
}

/* Images that are being restored are of neither class: no rule takes them. */
enum rc
lifecycle_images_read(struct meta *m, struct span repository,
    struct lifecycle_run *const *runs, size_t n_runs, lifecycle_stop_fn *stop,
    void *arg, uint64_t *images_r)
{
	struct image_query q = {
		.repository = repository,
		.relations = true,
		.statuses = IMAGE_STATUS_BIT(IMAGE_ACTIVE) |
			    IMAGE_STATUS_BIT(IMAGE_ARCHIVED),
	};
	struct image_page page;
	struct arena arena;
	struct digest last;
	size_t i;
	enum rc rc;

	*images_r = 0;
	do {
		if (lifecycle_stops(stop, arg))
			return (RC_CANCELLED);
		arena_init(&arena, PAGE_BYTES);
		rc = page_read(m, &q, &arena, &page);
		for (i = 0; rc == RC_OK && i < page.n; i++, ++*images_r)
			rc = image_add(&page.rows[i], runs, n_runs);
		arena_reset(&arena);
		last = page.last;
		q.after = &last;
	} while (rc == RC_OK && page.more);
	return (rc);
}

/* --- acting -------------------------------------------------------------- */

/* The time is the caller's, and goes on from there. */
static int64_t
now_ms(const struct carrying *c)
{
	return (c->carry->now_ms + (clock_mono_ns() - c->began_ns) / MS_NS);
}

static bool
stops(const struct carrying *c)
{
	return (lifecycle_stops(c->carry->stop, c->carry->arg));
}

static enum rc
result_keep(struct carrying *c)
{
	c->kept_ns = clock_mono_ns();
	return (meta_lifecycle_result_put(c->m, c->repository, &c->result));
}

static void
done_tell(const struct carrying *c, const struct lifecycle_act *act,
    const struct lifecycle_acted *acted)
{
	const struct lifecycle_event event = {
		.repository = c->repository,
		.digest = act->digest,
		.tags = acted->tags,
		.n_tags = acted->n_tags,
		.image_bytes = acted->image_bytes,
		.kind = act->kind,
		.priority = act->priority,
		.revision = c->result.revision,
	};

	if (c->carry->acted != NULL)
		c->carry->acted(c->carry->arg, &event);
}

static void
act_count(struct carrying *c, const struct lifecycle_act *act,
    const struct lifecycle_acted *acted)
{
	switch (acted->end) {
	case ACT_DONE:
		if (act->kind == ACT_EXPIRE)
			c->result.expired++;
		else
			c->result.archived++;
		done_tell(c, act, acted);
		break;
	case ACT_GONE:
	case ACT_CHANGED:
		c->result.changed++;
		break;
	case ACT_HELD:
		c->result.held++;
		break;
	}
}

/* Images with more tags than there is memory for are done in smaller parts. */
static enum rc
acts_apply(struct carrying *c, const struct lifecycle_act *acts, size_t n)
{
	struct lifecycle_acted acted[LIFECYCLE_BATCH];
	struct arena arena;
	size_t i;
	enum rc rc;

	arena_init(&arena, ACTED_BYTES);
	rc = meta_lifecycle_apply(c->m, c->repository, c->result.revision, acts,
	    n, now_ms(c), &arena, acted);
	for (i = 0; rc == RC_OK && i < n; i++)
		act_count(c, &acts[i], &acted[i]);
	arena_reset(&arena);
	if (rc != RC_TOOBIG || n == 1)
		return (rc);
	if ((rc = acts_apply(c, acts, n / 2)) != RC_OK)
		return (rc);
	return (acts_apply(c, acts + n / 2, n - n / 2));
}

static enum rc
batch_do(struct carrying *c)
{
	enum rc rc;

	if (stops(c))
		return (RC_CANCELLED);
	rc = acts_apply(c, c->acts, c->n);
	c->n = 0;
	if (rc == RC_OK && clock_mono_ns() - c->kept_ns > KEEP_NS)
		rc = result_keep(c);
	return (rc);
}

static enum rc
rest(const struct carrying *c, int64_t ns)
{
	int64_t until_ns = clock_mono_ns() + ns, left_ns;
	struct timespec nap = { 0 };

	while ((left_ns = until_ns - clock_mono_ns()) > 0) {
		if (stops(c))
			return (RC_CANCELLED);
		nap.tv_nsec = left_ns < NAP_NS ? left_ns : NAP_NS;
		(void)nanosleep(&nap, NULL);
	}
	return (RC_OK);
}

/* There are others behind them. */
static enum rc
batch_do_slowly(struct carrying *c)
{
	int64_t began_ns = clock_mono_ns(), took_ns, rest_ns, least_ns = 0;
	int64_t n = (int64_t)c->n;
	enum rc rc;

	if ((rc = batch_do(c)) != RC_OK)
		return (rc);
	took_ns = clock_mono_ns() - began_ns;
	rest_ns = took_ns * LIFECYCLE_REST_FACTOR;
	if (c->carry->rate > 0)
		least_ns = n * SECOND_NS / (int64_t)c->carry->rate - took_ns;
	return (rest(c, rest_ns > least_ns ? rest_ns : least_ns));
}

static struct lifecycle_act
act_of(const struct lifecycle_verdict *v)
{
	enum lifecycle_count count = v->rule->count;

	return ((struct lifecycle_act){
	    .digest = v->digest,
	    .kind =
		v->rule->action == LIFECYCLE_EXPIRE ? ACT_EXPIRE : ACT_ARCHIVE,
	    .priority = v->rule->priority,
	    .by_pull = count == LIFECYCLE_SINCE_PULLED ||
		       count == LIFECYCLE_SINCE_USED,
	    .pushed_ms = v->pushed_ms,
	    .pulled_ms = v->pulled_ms,
	    .archived_ms = v->archived_ms,
	    .activated_ms = v->activated_ms,
	    .tags_hash = v->tags_hash,
	});
}

static enum rc
verdicts_do(struct carrying *c)
{
	struct lifecycle_verdict v;
	size_t n;
	enum rc rc;

	rc = lifecycle_run_decide(c->run, &n);
	while (rc == RC_OK && lifecycle_run_next(c->run, &v)) {
		if (v.held) {
			c->result.held++;
			continue;
		}
		if (c->n == c->batch)
			rc = batch_do_slowly(c);
		if (rc == RC_OK)
			c->acts[c->n++] = act_of(&v);
	}
	if (rc == RC_OK && c->n > 0)
		rc = batch_do(c);
	return (rc);
}

/* --- a run --------------------------------------------------------------- */

static enum rc
policy_do(struct carrying *c, const struct lifecycle_policy *policy)
{
	enum rc rc;

	c->run =
	    lifecycle_run_new(policy, c->carry->now_ms, LIFECYCLE_IMAGES_MAX);
	if ((rc = meta_pulls_settle(c->m)) == RC_OK)
		rc = lifecycle_images_read(c->m, c->repository, &c->run, 1,
		    c->carry->stop, c->carry->arg, &c->result.images);
	/* Whoever asks meanwhile is told how many there are. */
	if (rc == RC_OK)
		rc = result_keep(c);
	if (rc == RC_OK)
		rc = verdicts_do(c);
	lifecycle_run_free(&c->run);
	return (rc);
}

static enum rc
text_do(struct carrying *c, struct span text, char why[LIFECYCLE_WHY_BYTES])
{
	const struct lifecycle_grammar grammar = { .extensions =
						       c->carry->extensions };
	struct lifecycle_policy policy;
	struct arena arena;
	enum rc rc;

	arena_init(&arena, LIFECYCLE_POLICY_ARENA_BYTES);
	rc = lifecycle_policy_parse(text, &grammar, &arena, &policy, why);
	if (rc == RC_OK)
		rc = policy_do(c, &policy);
	else if (rc == RC_INVALID)
		lifecycle_why_begin(why, "the policy cannot be read: ");
	arena_reset(&arena);
	return (rc);
}

static const char *
why_of(enum rc rc)
{
	if (rc == RC_CANCELLED)
		return ("it was stopped");
	if (rc == RC_MISSING)
		return ("the policy was changed or deleted meanwhile");
	if (rc == RC_NOTFOUND)
		return ("the repository was deleted meanwhile");
	if (rc == RC_TOOBIG)
		return ("there are more images, or tags of one of them, than "
			"can be evaluated at once");
	if (rc == RC_LIMIT)
		return ("there is not enough memory to evaluate so many "
			"images");
	return (rc_text(rc));
}

static enum lifecycle_outcome
outcome_of(enum rc rc)
{
	if (rc == RC_OK)
		return (LIFECYCLE_DONE);
	if (rc == RC_CANCELLED || rc == RC_MISSING || rc == RC_NOTFOUND)
		return (LIFECYCLE_STOPPED);
	return (LIFECYCLE_FAILED);
}

/* Is it neither the policy's fault nor that of its images?  Then it is not
 * an evaluation, and tried again soon. */
static bool
unsettled(enum rc rc)
{
	return (outcome_of(rc) == LIFECYCLE_FAILED && rc != RC_INVALID &&
		rc != RC_TOOBIG && rc != RC_CORRUPT);
}

static void
result_end(struct carrying *c, enum rc rc, const char *why, struct arena *a)
{
	struct lifecycle_result *r = &c->result;
	size_t n;

	r->ended_ms = now_ms(c);
	r->outcome = outcome_of(rc);
	r->unsettled = unsettled(rc);
	if (rc == RC_OK)
		return;
	n = lifecycle_text_cut(why, LIFECYCLE_RESULT_WHY_MAX);
	if (n > 0)
		r->why = arena_span(a, (struct span){ why, n });
	if (n == 0 || r->why.p == NULL)
		r->why = span_of(why_of(rc));
	if (r->outcome == LIFECYCLE_FAILED)
		log_warn("the lifecycle policy of repository " SPAN_FMT
			 " could not be carried out: " SPAN_FMT,
		    SPAN_ARG(c->repository), SPAN_ARG(r->why));
}

/* A repository that is deleted meanwhile has no place left to keep that in. */
static enum rc
row_do(struct carrying *c, const struct lifecycle_row *row, struct arena *arena)
{
	char why[LIFECYCLE_WHY_BYTES] = "";
	enum rc rc;

	c->result = (struct lifecycle_result){
		.revision = row->revision,
		.outcome = LIFECYCLE_RUNNING,
		.started_ms = c->carry->now_ms,
	};
	if ((rc = result_keep(c)) != RC_OK) {
		c->result.outcome = LIFECYCLE_NEVER;
		return (rc);
	}
	rc = text_do(c, row->text, why);
	result_end(c, rc, why, arena);
	rc = result_keep(c);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
lifecycle_carry_out(struct meta *m, struct span repository,
    const struct lifecycle_carry *carry, struct arena *arena,
    struct lifecycle_result *result_r)
{
	struct carrying c = { .m = m,
		.repository = repository,
		.carry = carry,
		.batch = LIFECYCLE_BATCH,
		.began_ns = clock_mono_ns() };
	struct lifecycle_row row;
	struct arena own;
	enum rc rc;

	*result_r = (struct lifecycle_result){ .outcome = LIFECYCLE_NEVER };
	if (carry->rate > 0 && carry->rate < c.batch)
		c.batch = carry->rate;
	arena_init(&own, LIFECYCLE_POLICY_ARENA_BYTES);
	rc = meta_lifecycle_get(m, repository, &own, &row);
	if (rc == RC_OK)
		rc = row_do(&c, &row, arena);
	*result_r = c.result;
	arena_reset(&own);
	return (rc);
}
