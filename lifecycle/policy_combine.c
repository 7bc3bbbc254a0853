
#include "lifecycle/policy_int.h"

/*
 * What no schema says: which values of one rule go together, and which rules
 * of one policy.  ECR looks at each storage class by itself, since an image is
 * in one of them and the rules of the other do not see it.
 */

static enum rc
refuse_at(struct lifecycle_reader *r, const struct lifecycle_place *up,
    const char *key)
{
	const struct lifecycle_place at = { .up = up, .key = key };

	return (lifecycle_refuse(r, &at, NULL));
}

enum rc
lifecycle_rule_check(struct lifecycle_reader *r,
    const struct lifecycle_place *at, const struct lifecycle_rule *rule)
{
	bool archive = rule->storage_class == LIFECYCLE_ARCHIVE;
	bool transitioned = rule->count == LIFECYCLE_SINCE_TRANSITIONED;

	if (archive != transitioned) {
		lifecycle_say(r,
		    "countType sinceImageTransitioned and storageClass "
		    "archive must be used together.");
		return (
		    refuse_at(r, at, archive ? "countType" : "storageClass"));
	}
	if (transitioned && rule->action != LIFECYCLE_EXPIRE) {
		lifecycle_say(r,
		    "countType sinceImageTransitioned must be used with "
		    "action expire.");
		return (refuse_at(r, at, "countType"));
	}
	if (rule->count == LIFECYCLE_SINCE_PULLED && !r->extensions &&
	    rule->action != LIFECYCLE_TRANSITION) {
		lifecycle_say(r,
		    "countType sinceImagePulled must be used with action "
		    "transition.");
		return (refuse_at(r, at, "countType"));
	}
	if (rule->pushed_number > 0 && rule->count != LIFECYCLE_SINCE_USED) {
		lifecycle_say(r,
		    "pushedCountNumber must be used with countType "
		    "sinceImagePushedAndPulled.");
		return (refuse_at(r, at, "pushedCountNumber"));
	}
	if (transitioned && rule->number < LIFECYCLE_ARCHIVE_DAYS_MIN) {
		lifecycle_say(r,
		    "countNumber must be at least %d with countType "
		    "sinceImageTransitioned, found: %lld.",
		    LIFECYCLE_ARCHIVE_DAYS_MIN, (long long)rule->number);
		return (refuse_at(r, at, "countNumber"));
	}
	return (RC_OK);
}

/* Both are in order, each filter once. */
static bool
filters_same(const struct lifecycle_rule *a, const struct lifecycle_rule *b)
{
	size_t i;

	if (a->patterns != b->patterns || a->n_tag_filters != b->n_tag_filters)
		return (false);
	for (i = 0; i < a->n_tag_filters; i++)
		if (!span_eq(a->tag_filters[i], b->tag_filters[i]))
			return (false);
	return (true);
}

/* ${a} stands before ${b}, whose place is ${at}. */
static enum rc
pair_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_rule *a, const struct lifecycle_rule *b)
{
	const struct lifecycle_place sel = { .up = at, .key = "selection" };

	if (a->priority == b->priority) {
		lifecycle_say(r,
		    "rulePriority must be unique, but %lld is the one of two "
		    "rules.",
		    (long long)a->priority);
		return (refuse_at(r, at, "rulePriority"));
	}
	if (a->storage_class != b->storage_class || a->tags != b->tags)
		return (RC_OK);
	if (a->tags == LIFECYCLE_UNTAGGED) {
		lifecycle_say(r,
		    "Only one rule can select Untagged images per storage "
		    "class");
		return (refuse_at(r, &sel, "tagStatus"));
	}
	if (a->tags != LIFECYCLE_TAGGED || !filters_same(a, b))
		return (RC_OK);
	lifecycle_say(r,
	    "%s must be unique per storage class, but the rule with "
	    "rulePriority %lld has the same.",
	    a->patterns ? "tagPatternList" : "tagPrefixList",
	    (long long)a->priority);
	return (refuse_at(
	    r, &sel, a->patterns ? "tagPatternList" : "tagPrefixList"));
}

static enum rc
any_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const struct lifecycle_policy *p, const struct lifecycle_rule *rule)
{
	const struct lifecycle_place sel = { .up = at, .key = "selection" };
	size_t i;

	for (i = 0; i < p->n_rules; i++) {
		if (p->rules[i].storage_class != rule->storage_class ||
		    p->rules[i].priority <= rule->priority)
			continue;
		lifecycle_say(r,
		    "Rule for tagStatus=ANY must have the lowest priority per "
		    "storage class");
		return (refuse_at(r, &sel, "tagStatus"));
	}
	return (RC_OK);
}

/* Every pair: a text has room for a thousand rules at most. */
enum rc
lifecycle_rules_check(struct lifecycle_reader *r,
    const struct lifecycle_place *at, const struct lifecycle_policy *p)
{
	struct lifecycle_place item = { .up = at };
	enum rc rc;
	size_t i;

	for (item.index = 0; item.index < p->n_rules; item.index++) {
		r->priority = p->rules[item.index].priority;
		for (i = 0; i < item.index; i++) {
			rc = pair_check(
			    r, &item, &p->rules[i], &p->rules[item.index]);
			if (rc != RC_OK)
				return (rc);
		}
	}
	for (item.index = 0; item.index < p->n_rules; item.index++) {
		if (p->rules[item.index].tags != LIFECYCLE_ANY)
			continue;
		r->priority = p->rules[item.index].priority;
		rc = any_check(r, &item, p, &p->rules[item.index]);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}
