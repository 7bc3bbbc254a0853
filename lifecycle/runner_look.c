#include "base/obj.h"
#include "lifecycle/runner.h"
#include "lifecycle/runner_int.h"
#include "storage/images.h"

/*
 * One policy, or two of them beside each other: both see the same images, and
 * tell about them in the same order, so that what they would do is merged as
 * it comes.
 */

#define LINE_BYTES ((size_t)64 << 20)

struct side {
	struct lifecycle_policy policy;
	struct lifecycle_run *run;
	struct lifecycle_verdict v; /* the next, with ${more} */
	bool more;
	uint64_t held;
};

struct looking {
	struct meta *m;
	struct span repository;
	const struct lifecycle_look *look;
	struct side sides[2]; /* the new one; the one to compare with */
	bool compares;
	bool told_all; /* nobody wants more lines */
	struct lifecycle_look_sums sums;
};

/* --- policies ------------------------------------------------------------ */

/* ${text} empty: the repository's. */
static enum rc
policy_take(struct looking *l, struct span text, const char *what,
    struct arena *arena, struct side *side, char why[LIFECYCLE_WHY_BYTES])
{
	struct lifecycle_row row;
	enum rc rc;

	if (text.n == 0) {
		rc = meta_lifecycle_get(l->m, l->repository, arena, &row);
		if (rc != RC_OK)
			return (rc);
		text = row.text;
		what = "the policy of the repository: ";
	}
	rc = lifecycle_policy_parse(
	    text, &l->look->grammar, arena, &side->policy, why);
	if (rc == RC_INVALID)
		lifecycle_why_begin(why, what);
	return (rc);
}

static enum rc
policies_take(
    struct looking *l, struct arena *arena, char why[LIFECYCLE_WHY_BYTES])
{
	const struct lifecycle_look *look = l->look;
	enum rc rc;

	rc = policy_take(
	    l, look->text, "the policy: ", arena, &l->sides[0], why);
	if (rc != RC_OK || !l->compares)
		return (rc);
	rc = policy_take(l, look->against,
	    "the policy to compare with: ", arena, &l->sides[1], why);
	/* Where there is none, nothing would be done. */
	return (rc == RC_MISSING ? RC_OK : rc);
}

/* --- lines --------------------------------------------------------------- */

static void
side_step(struct side *side)
{
	while ((side->more = lifecycle_run_next(side->run, &side->v)) &&
	       side->v.held)
		side->held++;
}

static enum rc
side_begin(struct side *side)
{
	size_t n;
	enum rc rc;

	if ((rc = lifecycle_run_decide(side->run, &n)) == RC_OK)
		side_step(side);
	return (rc);
}

/* In the order in which lifecycle_run_next() has them. */
static int
verdict_cmp(
    const struct lifecycle_verdict *a, const struct lifecycle_verdict *b)
{
	int64_t a_ms = a->activated_ms > 0 ? a->activated_ms : a->pushed_ms;
	int64_t b_ms = b->activated_ms > 0 ? b->activated_ms : b->pushed_ms;

	if (a_ms != b_ms)
		return (a_ms < b_ms ? -1 : 1);
	return (digest_cmp(&b->digest, &a->digest));
}

/* One that is gone by now is not told. */
static enum rc
line_tell(struct looking *l, const struct lifecycle_verdict *v, char change)
{
	const struct reference ref = { .is_digest = true, .digest = v->digest };
	struct lifecycle_line line = {
		.digest = v->digest,
		.action = v->rule->action,
		.priority = v->rule->priority,
		.pushed_ms = v->pushed_ms,
		.change = change,
	};
	struct image_row row;
	struct arena arena;
	enum rc rc;

	if (l->told_all)
		return (RC_OK);
	arena_init(&arena, LINE_BYTES);
	rc = meta_image_get(l->m, l->repository, &ref, &arena, &row);
	if (rc == RC_OK) {
		line.tags = row.tags;
		line.n_tags = row.n_tags;
		line.image_bytes = row.image_bytes;
		l->told_all = !l->look->line(l->look->arg, &line);
	}
	arena_reset(&arena);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static bool
same_done(const struct lifecycle_verdict *a, const struct lifecycle_verdict *b)
{
	return (a->rule->priority == b->rule->priority &&
		a->rule->action == b->rule->action);
}

/* What the sides that stand at the oldest image would do about it. */
static enum rc
image_tell(struct looking *l, bool is_new, bool is_old)
{
	const struct lifecycle_verdict *v = &l->sides[0].v;
	const struct lifecycle_verdict *old = &l->sides[1].v;

	if (is_new && v->rule->action == LIFECYCLE_EXPIRE)
		l->sums.expiring++;
	else if (is_new)
		l->sums.transitioning++;
	if (!l->compares)
		return (line_tell(l, v, ' '));
	if (is_new && is_old && same_done(v, old))
		return (RC_OK);
	if (is_new && is_old) {
		l->sums.altered++;
		return (line_tell(l, v, '~'));
	}
	if (is_new) {
		l->sums.added++;
		return (line_tell(l, v, '+'));
	}
	l->sums.removed++;
	return (line_tell(l, old, '-'));
}

static enum rc
verdicts_tell(struct looking *l)
{
	struct side *a = &l->sides[0], *b = &l->sides[1];
	bool is_new, is_old;
	enum rc rc = RC_OK;
	int cmp;

	while (rc == RC_OK && (a->more || b->more)) {
		if (lifecycle_stops(l->look->stop, l->look->arg))
			return (RC_CANCELLED);
		cmp = !b->more ? -1 : !a->more ? 1 : verdict_cmp(&a->v, &b->v);
		is_new = cmp <= 0;
		is_old = cmp >= 0;
		rc = image_tell(l, is_new, is_old);
		if (is_new)
			side_step(a);
		if (is_old)
			side_step(b);
	}
	l->sums.held = a->held;
	return (rc);
}

/* --- a look -------------------------------------------------------------- */

/* Where nothing can be written, pulls that were noted last are not seen. */
static enum rc
pulls_settle(struct meta *m)
{
	enum rc rc = meta_pulls_settle(m);

	return (rc == RC_READONLY || rc == RC_NOSPACE ? RC_OK : rc);
}

static enum rc
sides_tell(struct looking *l)
{
	const struct lifecycle_look *look = l->look;
	size_t i, n = l->compares ? 2 : 1;
	struct lifecycle_run *runs[2];
	enum rc rc;

	for (i = 0; i < n; i++)
		runs[i] = l->sides[i].run = lifecycle_run_new(
		    &l->sides[i].policy, look->now_ms, LIFECYCLE_IMAGES_MAX);
	if ((rc = pulls_settle(l->m)) == RC_OK)
		rc = lifecycle_images_read(l->m, l->repository, runs, n,
		    look->stop, look->arg, &l->sums.images);
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = side_begin(&l->sides[i]);
	if (rc == RC_OK)
		rc = verdicts_tell(l);
	for (i = 0; i < n; i++)
		lifecycle_run_free(&l->sides[i].run);
	return (rc);
}

enum rc
lifecycle_look(struct meta *m, struct span repository,
    const struct lifecycle_look *look, struct lifecycle_look_sums *sums_r,
    char why[LIFECYCLE_WHY_BYTES])
{
	struct looking l = { .m = m,
		.repository = repository,
		.look = look,
		.compares = look->against.p != NULL };
	struct arena arena;
	enum rc rc;

	why[0] = '\0';
	arena_init(&arena, 2 * LIFECYCLE_POLICY_ARENA_BYTES);
	if ((rc = policies_take(&l, &arena, why)) == RC_OK)
		rc = sides_tell(&l);
	arena_reset(&arena);
	*sums_r = l.sums;
	return (rc);
}
