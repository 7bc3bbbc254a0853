#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/obj.h"
#include "lifecycle/evaluate.h"
#include "lifecycle/policy.h"

/*
 * The input is a lifecycle policy, taken or refused with a reason, the same
 * one each time, with extensions and without.  What is taken holds what the
 * engine counts on, and is carried out on a few images.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ARENA_BYTES ((size_t)4 << 20)

#define NOW_MS INT64_C(1800000000000)
#define DAY_MS INT64_C(86400000)
#define IMAGES 8

static void
patterns_check(const struct span *s, size_t n, bool patterns)
{
	size_t i, k, stars;

	must(n <= LIFECYCLE_FILTERS_MAX);
	for (i = 0; i < n; i++) {
		must(s[i].n > 0);
		must(i == 0 || span_cmp(s[i - 1], s[i]) < 0);
		for (k = stars = 0; k < s[i].n; k++)
			stars += s[i].p[k] == '*';
		must(!patterns || stars <= LIFECYCLE_WILDCARDS_MAX);
	}
}

static void
rule_check(const struct lifecycle_rule *r, bool extensions)
{
	must(r->priority >= 1 && r->number >= 1);
	must((r->storage_class == LIFECYCLE_ARCHIVE) ==
	     (r->count == LIFECYCLE_SINCE_TRANSITIONED));
	if (r->count == LIFECYCLE_SINCE_TRANSITIONED)
		must(r->action == LIFECYCLE_EXPIRE &&
		     r->number >= LIFECYCLE_ARCHIVE_DAYS_MIN);
	if (r->count == LIFECYCLE_SINCE_PULLED)
		must(r->action == LIFECYCLE_TRANSITION || extensions);
	must(r->count != LIFECYCLE_SINCE_USED || extensions);
	must((r->tags == LIFECYCLE_TAGGED) == (r->n_tag_filters > 0));
	patterns_check(r->tag_filters, r->n_tag_filters, r->patterns);
}

static void
policy_check(const struct lifecycle_policy *p, bool extensions)
{
	size_t n_untagged[2] = { 0 }, i;
	const struct lifecycle_rule *r;

	must(p->n_rules > 0);
	for (i = 0; i < p->n_rules; i++) {
		r = &p->rules[i];
		must(i == 0 || p->rules[i - 1].priority < r->priority);
		rule_check(r, extensions);
		n_untagged[r->storage_class] += r->tags == LIFECYCLE_UNTAGGED;
	}
	must(n_untagged[0] <= 1 && n_untagged[1] <= 1);
	/* Behind an "any" there is nothing of its class. */
	for (i = 1; i < p->n_rules; i++)
		for (r = p->rules; r < p->rules + i; r++)
			must(r->tags != LIFECYCLE_ANY ||
			     r->storage_class != p->rules[i].storage_class);
	must(extensions || (p->keep_last == 0 && p->n_protect_tags == 0));
	patterns_check(p->protect_tags, p->n_protect_tags, true);
}

/* An image that has a word of the policy for its tag. */
static void
image_add(struct lifecycle_run *run, const struct lifecycle_policy *p, size_t i)
{
	const struct lifecycle_rule *r = &p->rules[i % p->n_rules];
	struct span tags[2] = { SPAN("a-tag"), SPAN_NONE };
	struct lifecycle_image image = {
		.digest = { .alg = DIGEST_SHA256, .bytes = { (uint8_t)i } },
		.tags = tags,
		.n_tags = i % 4 == 0 ? 0 : 1,
		.storage_class =
		    i % 3 == 0 ? LIFECYCLE_ARCHIVE : LIFECYCLE_STANDARD,
		.pushed_ms = NOW_MS - (int64_t)i * DAY_MS,
		.archived_ms = i % 3 == 0 ? NOW_MS - 400 * DAY_MS : 0,
	};

	if (image.n_tags > 0 && r->n_tag_filters > 0)
		tags[image.n_tags++] = r->tag_filters[i % r->n_tag_filters];
	must(lifecycle_run_add(run, &image) == RC_OK);
}

/* Whatever the policy, an image is acted on once at most. */
static void
policy_run(const struct lifecycle_policy *p)
{
	struct lifecycle_run *run = lifecycle_run_new(p, NOW_MS, IMAGES);
	bool seen[IMAGES] = { false };
	struct lifecycle_verdict v;
	size_t i, n;

	for (i = 0; i < IMAGES; i++)
		image_add(run, p, i);
	must(lifecycle_run_decide(run, &n) == RC_OK);
	for (i = 0; lifecycle_run_next(run, &v); i++) {
		must(!seen[v.digest.bytes[0]]);
		seen[v.digest.bytes[0]] = true;
		must(v.storage_class == v.rule->storage_class);
	}
	must(i == n);
	lifecycle_run_free(&run);
}

static enum rc
text_check(struct span text, bool extensions)
{
	const struct lifecycle_grammar g = { .extensions = extensions };
	char why[LIFECYCLE_WHY_BYTES], again[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy p;
	struct arena arena;
	enum rc rc;

	arena_init(&arena, ARENA_BYTES);
	memset(why, 'w', sizeof(why));
	rc = lifecycle_policy_parse(text, &g, &arena, &p, why);
	must(rc == RC_OK || rc == RC_INVALID);
	must(memchr(why, '\0', sizeof(why)) != NULL);
	must((rc == RC_OK) == (why[0] == '\0'));
	must((rc == RC_OK) == (p.n_rules > 0));
	if (rc == RC_OK) {
		policy_check(&p, extensions);
		policy_run(&p);
	}
	must(lifecycle_policy_parse(text, &g, &arena, &p, again) == rc);
	must(strcmp(why, again) == 0);
	arena_reset(&arena);
	return (rc);
}

/* Little memory is no other answer than "too little". */
static void
little_check(struct span text)
{
	const struct lifecycle_grammar one = { .max_rules = 1 };
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy p;
	struct arena arena;

	arena_init(&arena, text.n);
	must(lifecycle_policy_parse(text, &one, &arena, &p, why) != RC_OK ||
	     p.n_rules == 1);
	arena_reset(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	enum rc rc;

	rc = text_check(text, true);
	/* With extensions more is taken, and nothing less. */
	must(text_check(text, false) != RC_OK || rc == RC_OK);
	if (rc == RC_OK)
		little_check(text);
	return (0);
}
