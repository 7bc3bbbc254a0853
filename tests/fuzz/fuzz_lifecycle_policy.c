#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/obj.h"
#include "lifecycle/policy.h"

/*
 * The input is a lifecycle policy, taken or refused with a reason, the same
 * one each time.  What is taken holds what the engine counts on.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ARENA_BYTES ((size_t)4 << 20)

static void
filters_check(const struct lifecycle_rule *r)
{
	size_t i, k, stars;

	must((r->tags == LIFECYCLE_TAGGED) == (r->n_tag_filters > 0));
	must(r->n_tag_filters <= LIFECYCLE_FILTERS_MAX);
	for (i = 0; i < r->n_tag_filters; i++) {
		must(r->tag_filters[i].n > 0);
		must(i == 0 ||
		     span_cmp(r->tag_filters[i - 1], r->tag_filters[i]) < 0);
		for (k = stars = 0; k < r->tag_filters[i].n; k++)
			stars += r->tag_filters[i].p[k] == '*';
		must(!r->patterns || stars <= LIFECYCLE_WILDCARDS_MAX);
	}
}

static void
rule_check(const struct lifecycle_rule *r)
{
	must(r->priority >= 1 && r->number >= 1);
	must((r->storage_class == LIFECYCLE_ARCHIVE) ==
	     (r->count == LIFECYCLE_SINCE_TRANSITIONED));
	if (r->count == LIFECYCLE_SINCE_TRANSITIONED)
		must(r->action == LIFECYCLE_EXPIRE &&
		     r->number >= LIFECYCLE_ARCHIVE_DAYS_MIN);
	if (r->count == LIFECYCLE_SINCE_PULLED)
		must(r->action == LIFECYCLE_TRANSITION);
	filters_check(r);
}

static void
policy_check(const struct lifecycle_policy *p)
{
	size_t n_untagged[2] = { 0 }, i;
	const struct lifecycle_rule *r;

	must(p->n_rules > 0);
	for (i = 0; i < p->n_rules; i++) {
		r = &p->rules[i];
		must(i == 0 || p->rules[i - 1].priority < r->priority);
		rule_check(r);
		n_untagged[r->storage_class] += r->tags == LIFECYCLE_UNTAGGED;
	}
	must(n_untagged[0] <= 1 && n_untagged[1] <= 1);
	/* Behind an "any" there is nothing of its class. */
	for (i = 1; i < p->n_rules; i++)
		for (r = p->rules; r < p->rules + i; r++)
			must(r->tags != LIFECYCLE_ANY ||
			     r->storage_class != p->rules[i].storage_class);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	char why[LIFECYCLE_WHY_BYTES], again[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy p;
	struct arena arena;
	enum rc rc;

	arena_init(&arena, ARENA_BYTES);
	memset(why, 'w', sizeof(why));
	rc = lifecycle_policy_parse(text, 0, &arena, &p, why);
	must(rc == RC_OK || rc == RC_INVALID);
	must(memchr(why, '\0', sizeof(why)) != NULL);
	must((rc == RC_OK) == (why[0] == '\0'));
	must((rc == RC_OK) == (p.n_rules > 0));
	if (rc == RC_OK)
		policy_check(&p);
	must(lifecycle_policy_parse(text, 0, &arena, &p, again) == rc);
	must(strcmp(why, again) == 0);
	arena_reset(&arena);
	/* Little memory is no other answer than "too little". */
	arena_init(&arena, size);
	if (rc == RC_OK)
		must(lifecycle_policy_parse(text, 1, &arena, &p, again) !=
			 RC_OK ||
		     p.n_rules == 1);
	arena_reset(&arena);
	return (0);
}
