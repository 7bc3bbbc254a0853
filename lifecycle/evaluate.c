#include "lifecycle/evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * One pass over the images as they come: which rules select one, and whether
 * the first of them hits it by age.  What is left for the second pass, over
 * all of them from the youngest on, are the rules that count: these need to
 * know how many younger ones they select.  So tags are never kept; an image
 * that no counting rule selects and that is not taken is forgotten at once.
 *
 * Guards look at what the rules would do in the end.  They are no rules: they
 * neither select nor count, and what they save is still counted.
 */
#define RUN_MAGIC 0x6c6372756eULL
#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)
#define WORD_BITS ((size_t)64)
#define ROOM_FIRST ((size_t)64)

struct candidate {
	struct digest digest;
	bool archived;
	bool tagged;
	bool held; /* as far as its rule's action is concerned */
	bool protected;
	bool hit;
	uint32_t rule; /* the first that selects it */
	int64_t pushed_ms, pulled_ms, archived_ms, activated_ms;
	uint64_t tags_hash;
};

/* What is sorted: a candidate is too large to be moved about. */
struct place {
	int64_t order_ms;
	const struct candidate *candidate;
};

/*
 * What a tag has to be like: it begins with ${head} and ends with ${tail}, and
 * if it is ${open} there may be something between, which has the pieces of
 * ${middle} in it.
 */
struct filter {
	struct span head, middle, tail;
	bool open;
};

struct rule_filters {
	struct filter *filters;
};

struct lifecycle_run {
	uint64_t magic;
	const struct lifecycle_policy *policy;
	struct rule_filters *rules; /* one for each */
	struct filter *protects;    /* one for each of .protect_tags */
	int64_t now_ms;
	size_t max_images;
	struct candidate *candidates;
	size_t n, room;
	uint64_t tagged; /* images of the standard class */
	/* ${n_words} per candidate, in the same order: a bit for each counting
	 * rule that selects it. */
	uint64_t *marks;
	struct place *places; /* the youngest first */
	uint64_t *marks_now;  /* of the image at hand */
	size_t n_words;
	bool decided;
	size_t left; /* candidates that lifecycle_run_next() has not seen */
};

static struct filter *filters_of(const struct span *, size_t n, bool patterns);

struct lifecycle_run *
lifecycle_run_new(
    const struct lifecycle_policy *policy, int64_t now_ms, size_t max_images)
{
	struct lifecycle_run *run = xcalloc(1, sizeof(*run));
	size_t i;

	must(policy->n_rules <= UINT32_MAX);
	run->magic = RUN_MAGIC;
	run->policy = policy;
	run->now_ms = now_ms;
	run->max_images = max_images;
	run->n_words = (policy->n_rules + WORD_BITS - 1) / WORD_BITS;
	run->marks_now = xcalloc(run->n_words + 1, sizeof(*run->marks_now));
	run->rules = xcalloc(policy->n_rules + 1, sizeof(*run->rules));
	for (i = 0; i < policy->n_rules; i++)
		run->rules[i].filters = filters_of(policy->rules[i].tag_filters,
		    policy->rules[i].n_tag_filters, policy->rules[i].patterns);
	run->protects =
	    filters_of(policy->protect_tags, policy->n_protect_tags, true);
	return (run);
}

void
lifecycle_run_free(struct lifecycle_run **run_r)
{
	struct lifecycle_run *run;
	size_t i;

	if (run_r == NULL || (run = *run_r) == NULL)
		return;
	*run_r = NULL;
	OBJ_CHECK(run, RUN_MAGIC);
	run->magic = 0;
	for (i = 0; i < run->policy->n_rules; i++)
		free(run->rules[i].filters);
	free(run->rules);
	free(run->protects);
	free(run->candidates);
	free(run->marks);
	free(run->places);
	free(run->marks_now);
	free(run);
}

/* --- selection ----------------------------------------------------------- */

static struct span
between(struct span s, size_t from, size_t to)
{
	return ((struct span){ s.p + from, to - from });
}

static struct filter
filter_of(struct span text, bool pattern)
{
	struct filter f = { .head = text, .open = !pattern };
	size_t first, last;

	if (!pattern || text.n == 0 || memchr(text.p, '*', text.n) == NULL)
		return (f);
	for (first = 0; text.p[first] != '*'; first++)
		continue;
	for (last = text.n - 1; text.p[last] != '*'; last--)
		continue;
	f.open = true;
	f.head = between(text, 0, first);
	f.tail = between(text, last + 1, text.n);
	f.middle = first < last ? between(text, first + 1, last) : SPAN_NONE;
	return (f);
}

static struct filter *
filters_of(const struct span *texts, size_t n, bool patterns)
{
	struct filter *filters = xcalloc(n + 1, sizeof(*filters));
	size_t i;

	for (i = 0; i < n; i++)
		filters[i] = filter_of(texts[i], patterns);
	return (filters);
}

/* Pieces that stand between stars, each as far ahead as it is to be had: what
 * fits at all then fits so. */
static bool
pieces_follow(struct span pieces, struct span rest)
{
	const char *at;
	struct span piece;

	while (span_split(&pieces, '*', &piece)) {
		if (piece.n == 0)
			continue;
		if (rest.n < piece.n)
			return (false);
		at = memmem(rest.p, rest.n, piece.p, piece.n);
		if (at == NULL)
			return (false);
		rest.n -= (size_t)(at - rest.p) + piece.n;
		rest.p = at + piece.n;
	}
	return (true);
}

static bool
filter_matches(const struct filter *f, struct span tag)
{
	size_t n = f->head.n + f->tail.n;

	if (tag.n < n || (!f->open && tag.n > n))
		return (false);
	/* Mostly the first byte tells; a call would cost more. */
	if (f->head.n > 0 && (f->head.p[0] != tag.p[0] ||
				 memcmp(f->head.p, tag.p, f->head.n) != 0))
		return (false);
	if (f->tail.n > 0 &&
	    memcmp(f->tail.p, tag.p + tag.n - f->tail.n, f->tail.n) != 0)
		return (false);
	return (f->middle.n == 0 ||
		pieces_follow(
		    f->middle, between(tag, f->head.n, tag.n - f->tail.n)));
}

static bool
filter_satisfied(const struct filter *f, const struct lifecycle_image *image)
{
	size_t i;

	for (i = 0; i < image->n_tags; i++)
		if (filter_matches(f, image->tags[i]))
			return (true);
	return (false);
}

static bool
rule_selects(const struct lifecycle_rule *rule, const struct filter *filters,
    const struct lifecycle_image *image)
{
	size_t i;

	if (rule->storage_class != image->storage_class)
		return (false);
	if (rule->tags == LIFECYCLE_ANY)
		return (true);
	if (rule->tags == LIFECYCLE_UNTAGGED)
		return (image->n_tags == 0 && !image->subject_here);
	for (i = 0; i < rule->n_tag_filters; i++)
		if (!filter_satisfied(&filters[i], image))
			return (false);
	return (image->n_tags > 0);
}

static bool
protects(const struct lifecycle_run *run, const struct lifecycle_image *image)
{
	size_t i;

	for (i = 0; i < run->policy->n_protect_tags; i++)
		if (filter_satisfied(&run->protects[i], image))
			return (true);
	return (false);
}

/* --- age ----------------------------------------------------------------- */

/* Never pulled: the push; restored and not pulled since: the restoring. */
static int64_t
used_ms(const struct lifecycle_image *image)
{
	int64_t ms = image->pulled_ms > 0 ? image->pulled_ms : image->pushed_ms;

	if (image->activated_ms > 0 && image->activated_ms > image->pulled_ms)
		return (image->activated_ms);
	return (ms);
}

/* Strictly; what is of the future is not old. */
static bool
older_than(const struct lifecycle_run *run, int64_t ms, int64_t days)
{
	uint64_t most;

	if (ms >= run->now_ms ||
	    __builtin_mul_overflow((uint64_t)days, DAY_MS, &most))
		return (false);
	return ((uint64_t)run->now_ms - (uint64_t)ms > most);
}

static bool
hit_by_age(const struct lifecycle_run *run, const struct lifecycle_rule *rule,
    const struct lifecycle_image *image)
{
	switch (rule->count) {
	case LIFECYCLE_SINCE_PUSHED:
		return (older_than(run, image->pushed_ms, rule->number));
	case LIFECYCLE_SINCE_PULLED:
		return (older_than(run, used_ms(image), rule->number));
	case LIFECYCLE_SINCE_TRANSITIONED:
		return (older_than(run, image->archived_ms, rule->number));
	case LIFECYCLE_SINCE_USED:
		return (older_than(run, used_ms(image), rule->number) &&
			older_than(run, image->pushed_ms,
			    rule->pushed_number > 0 ? rule->pushed_number
						    : rule->number));
	case LIFECYCLE_MORE_THAN:
		break;
	}
	return (false);
}

/* --- the first pass ------------------------------------------------------ */

static enum rc
room_make(struct lifecycle_run *run)
{
	struct candidate *candidates;
	uint64_t *marks;
	size_t room;

	if (run->n >= run->max_images)
		return (RC_TOOBIG);
	if (run->n < run->room)
		return (RC_OK);
	room = run->room > 0 ? 2 * run->room : ROOM_FIRST;
	candidates = reallocarray(run->candidates, room, sizeof(*candidates));
	if (candidates == NULL)
		return (RC_LIMIT);
	run->candidates = candidates;
	marks = reallocarray(run->marks, room, run->n_words * sizeof(*marks));
	if (marks == NULL)
		return (RC_LIMIT);
	run->marks = marks;
	run->room = room;
	return (RC_OK);
}

/* Returns the first rule that selects, n_rules: none. */
static size_t
marks_make(struct lifecycle_run *run, const struct lifecycle_image *image,
    bool *counted_r)
{
	const struct lifecycle_policy *policy = run->policy;
	uint64_t *marks = run->marks_now;
	size_t i, first = policy->n_rules;

	*counted_r = false;
	memset(marks, 0, run->n_words * sizeof(*marks));
	for (i = 0; i < policy->n_rules; i++) {
		/* One more that goes by age has no say. */
		if (first < policy->n_rules &&
		    policy->rules[i].count != LIFECYCLE_MORE_THAN)
			continue;
		if (!rule_selects(
			&policy->rules[i], run->rules[i].filters, image))
			continue;
		if (first == policy->n_rules)
			first = i;
		if (policy->rules[i].count != LIFECYCLE_MORE_THAN)
			continue;
		marks[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
		*counted_r = true;
	}
	return (first);
}

static void
candidate_add(struct lifecycle_run *run, const struct lifecycle_image *image,
    const struct lifecycle_rule *rule, bool hit)
{
	memcpy(run->marks + run->n * run->n_words, run->marks_now,
	    run->n_words * sizeof(*run->marks));
	run->candidates[run->n++] = (struct candidate){
		.digest = image->digest,
		.archived = image->storage_class == LIFECYCLE_ARCHIVE,
		.tagged = image->n_tags > 0,
		.held = rule->action == LIFECYCLE_EXPIRE
			    ? image->held
			    : image->held_by_active,
		.protected = protects(run, image),
		.hit = hit,
		.rule = (uint32_t)(rule - run->policy->rules),
		.pushed_ms = image->pushed_ms,
		.pulled_ms = image->pulled_ms,
		.archived_ms = image->archived_ms,
		.activated_ms = image->activated_ms,
		.tags_hash = image->tags_hash,
	};
}

enum rc
lifecycle_run_add(
    struct lifecycle_run *run, const struct lifecycle_image *image)
{
	const struct lifecycle_rule *rule;
	bool counted, hit;
	size_t first;
	enum rc rc;

	OBJ_CHECK(run, RUN_MAGIC);
	must(!run->decided);
	run->tagged +=
	    image->n_tags > 0 && image->storage_class == LIFECYCLE_STANDARD;
	first = marks_make(run, image, &counted);
	if (first == run->policy->n_rules)
		return (RC_OK);
	rule = &run->policy->rules[first];
	hit = hit_by_age(run, rule, image);
	if (!hit && !counted)
		return (RC_OK);
	if ((rc = room_make(run)) == RC_OK)
		candidate_add(run, image, rule, hit);
	return (rc);
}

/* --- the second pass ----------------------------------------------------- */

static int64_t
order_ms(const struct candidate *c)
{
	return (c->activated_ms > 0 ? c->activated_ms : c->pushed_ms);
}

/* Youngest first; of one time in the order of their digests. */
static int
younger_cmp(const void *va, const void *vb)
{
	const struct place *a = va, *b = vb;

	if (a->order_ms != b->order_ms)
		return (a->order_ms > b->order_ms ? -1 : 1);
	return (digest_cmp(&a->candidate->digest, &b->candidate->digest));
}

static enum rc
places_make(struct lifecycle_run *run)
{
	size_t i;

	if (run->n == 0)
		return (RC_OK);
	run->places = calloc(run->n, sizeof(*run->places));
	if (run->places == NULL)
		return (RC_LIMIT);
	for (i = 0; i < run->n; i++)
		run->places[i] = (struct place){
			.order_ms = order_ms(&run->candidates[i]),
			.candidate = &run->candidates[i],
		};
	qsort(run->places, run->n, sizeof(*run->places), younger_cmp);
	return (RC_OK);
}

/* How many each rule has selected so far. */
static void
count_up(const struct lifecycle_run *run, size_t i, int64_t *counts)
{
	const uint64_t *marks = run->marks + i * run->n_words;
	uint64_t word;
	size_t w;

	for (w = 0; w < run->n_words; w++)
		for (word = marks[w]; word != 0; word &= word - 1)
			counts[w * WORD_BITS + (size_t)__builtin_ctzll(word)]++;
}

static struct candidate *
candidate_at(const struct lifecycle_run *run, size_t place)
{
	return (
	    run->candidates + (run->places[place].candidate - run->candidates));
}

static void
rules_decide(struct lifecycle_run *run)
{
	int64_t *counts = xcalloc(run->policy->n_rules + 1, sizeof(*counts));
	const struct lifecycle_rule *rule;
	struct candidate *c;
	size_t i;

	for (i = 0; i < run->n; i++) {
		c = candidate_at(run, i);
		rule = &run->policy->rules[c->rule];
		count_up(run, (size_t)(c - run->candidates), counts);
		if (rule->count == LIFECYCLE_MORE_THAN)
			c->hit = counts[c->rule] > rule->number;
		c->hit = c->hit && !c->protected;
	}
	free(counts);
}

/* Does one of the tagged images of the standard class leave it? */
static bool
tagged_leaves(const struct candidate *c)
{
	return (c->hit && !c->held && c->tagged && !c->archived);
}

/* The youngest first, until enough are left. */
static void
last_keep(struct lifecycle_run *run)
{
	uint64_t left = run->tagged;
	struct candidate *c;
	size_t i;

	for (i = 0; i < run->n; i++)
		left -= tagged_leaves(&run->candidates[i]);
	for (i = 0; i < run->n && left < run->policy->keep_last; i++) {
		c = candidate_at(run, i);
		if (!tagged_leaves(c))
			continue;
		c->hit = false;
		left++;
	}
}

enum rc
lifecycle_run_decide(struct lifecycle_run *run, size_t *n_r)
{
	size_t i;
	enum rc rc;

	OBJ_CHECK(run, RUN_MAGIC);
	must(!run->decided);
	*n_r = 0;
	if ((rc = places_make(run)) != RC_OK)
		return (rc);
	run->decided = true;
	run->left = run->n;
	rules_decide(run);
	last_keep(run);
	for (i = 0; i < run->n; i++)
		*n_r += run->candidates[i].hit;
	return (RC_OK);
}

bool
lifecycle_run_next(
    struct lifecycle_run *run, struct lifecycle_verdict *verdict_r)
{
	const struct candidate *c;

	OBJ_CHECK(run, RUN_MAGIC);
	must(run->decided);
	while (run->left > 0) {
		c = run->places[--run->left].candidate;
		if (!c->hit)
			continue;
		*verdict_r = (struct lifecycle_verdict){
			.digest = c->digest,
			.storage_class = c->archived ? LIFECYCLE_ARCHIVE
						     : LIFECYCLE_STANDARD,
			.pushed_ms = c->pushed_ms,
			.pulled_ms = c->pulled_ms,
			.archived_ms = c->archived_ms,
			.activated_ms = c->activated_ms,
			.tags_hash = c->tags_hash,
			.rule = &run->policy->rules[c->rule],
			.held = c->held,
		};
		return (true);
	}
	return (false);
}
