#include "lifecycle/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/obj.h"
#include "lifecycle/policy_int.h"

/*
 * The grammar as a table, and the reading of what satisfies it.
 *
 * The text is strict JSON: a key that stands twice, a number past 64 bits and
 * everything else that readers of JSON understand differently is no policy at
 * all.  An integer is written as one: 1.0 is a number, and null is a value,
 * not absence.
 */

/* --- the grammar: members and words in byte order ------------------------ */

static const struct lifecycle_word tag_words[] = {
	{ "any", LIFECYCLE_ANY },
	{ "tagged", LIFECYCLE_TAGGED },
	{ "untagged", LIFECYCLE_UNTAGGED },
};

static const struct lifecycle_word class_words[] = {
	{ "archive", LIFECYCLE_ARCHIVE },
	{ "standard", LIFECYCLE_STANDARD },
};

static const struct lifecycle_word count_words[] = {
	{ "imageCountMoreThan", LIFECYCLE_MORE_THAN },
	{ "sinceImagePulled", LIFECYCLE_SINCE_PULLED, .with_other = true },
	{ "sinceImagePushed", LIFECYCLE_SINCE_PUSHED, .with_other = true },
	{ "sinceImagePushedAndPulled", LIFECYCLE_SINCE_USED, .with_other = true,
	    .extension = true },
	{ "sinceImageTransitioned", LIFECYCLE_SINCE_TRANSITIONED,
	    .with_other = true },
};

static const struct lifecycle_word action_words[] = {
	{ "expire", LIFECYCLE_EXPIRE },
	{ "transition", LIFECYCLE_TRANSITION, .with_other = true },
};

static const struct lifecycle_word unit_words[] = { { "days" } };

static const struct lifecycle_word target_words[] = { { "archive" } };

static const struct lifecycle_schema positive = { .type = JSON_INTEGER,
	.min = 1 };

static const struct lifecycle_schema description = { .type = JSON_STRING,
	.max = LIFECYCLE_DESCRIPTION_MAX };

static const struct lifecycle_schema filter = {
	.type = JSON_STRING, .min = 1, .max = LIFECYCLE_FILTER_MAX
};

static const struct lifecycle_schema filters = { .type = JSON_ARRAY,
	.min = 1,
	.max = LIFECYCLE_FILTERS_MAX,
	.items = &filter };

static const struct lifecycle_schema tag_status = {
	.type = JSON_STRING, .words = tag_words, .n_words = ARRAY_LEN(tag_words)
};

static const struct lifecycle_schema storage_class = { .type = JSON_STRING,
	.words = class_words,
	.n_words = ARRAY_LEN(class_words) };

/* All of it is the choice's. */
static const struct lifecycle_schema count_type = { .type = JSON_STRING,
	.chosen = true };

static const struct lifecycle_schema count_unit = { .type = JSON_STRING,
	.chosen = true,
	.words = unit_words,
	.n_words = ARRAY_LEN(unit_words) };

static const struct lifecycle_choice count_choice = {
	.key = "countType",
	.other = "countUnit",
	.words = count_words,
	.n_words = ARRAY_LEN(count_words),
};

static const struct lifecycle_member selection_members[] = {
	{ "countNumber", &positive, true },
	{ "countType", &count_type, true },
	{ "countUnit", &count_unit, false },
	{ "pushedCountNumber", &positive, false, .extension = true },
	{ "storageClass", &storage_class, false },
	{ "tagPatternList", &filters, false },
	{ "tagPrefixList", &filters, false },
	{ "tagStatus", &tag_status, true },
};

static const struct lifecycle_schema selection = { .type = JSON_OBJECT,
	.members = selection_members,
	.n_members = ARRAY_LEN(selection_members),
	.choice = &count_choice };

static const struct lifecycle_schema action_type = { .type = JSON_STRING,
	.chosen = true,
	.words = action_words,
	.n_words = ARRAY_LEN(action_words) };

static const struct lifecycle_schema target_class = { .type = JSON_STRING,
	.chosen = true,
	.words = target_words,
	.n_words = ARRAY_LEN(target_words) };

static const struct lifecycle_choice action_choice = {
	.key = "type",
	.other = "targetStorageClass",
	.words = action_words,
	.n_words = ARRAY_LEN(action_words),
};

static const struct lifecycle_member action_members[] = {
	{ "targetStorageClass", &target_class, false },
	{ "type", &action_type, true },
};

static const struct lifecycle_schema action = { .type = JSON_OBJECT,
	.members = action_members,
	.n_members = ARRAY_LEN(action_members),
	.choice = &action_choice };

static const struct lifecycle_member rule_members[] = {
	{ "action", &action, true },
	{ "description", &description, false },
	{ "rulePriority", &positive, true },
	{ "selection", &selection, true },
};

static const struct lifecycle_schema rule_schema = { .type = JSON_OBJECT,
	.members = rule_members,
	.n_members = ARRAY_LEN(rule_members),
	.named_by = "rulePriority" };

static const struct lifecycle_schema rules_schema = {
	.type = JSON_ARRAY, .min = 1, .items = &rule_schema
};

static const struct lifecycle_member document_members[] = {
	{ "keepLast", &positive, false, .extension = true },
	{ "protectTags", &filters, false, .extension = true },
	{ "rules", &rules_schema, true },
};

static const struct lifecycle_schema document = { .type = JSON_OBJECT,
	.members = document_members,
	.n_members = ARRAY_LEN(document_members) };

/* --- a rule -------------------------------------------------------------- */

#define WORD(r, o, key, words) word_value(r, o, key, words, ARRAY_LEN(words))

/* Of a member that the schema has seen. */
static int
word_value(const struct lifecycle_reader *r, const json_t *o, const char *key,
    const struct lifecycle_word *words, size_t n)
{
	const struct lifecycle_word *word;
	struct span s;

	must(json_get_str(o, key, &s) == RC_OK);
	must((word = lifecycle_word_find(r, words, n, s)) != NULL);
	return (word->value);
}

static enum rc
wildcards_check(struct lifecycle_reader *r, const struct lifecycle_place *at,
    struct span pattern)
{
	size_t i, n = 0;

	for (i = 0; i < pattern.n; i++)
		n += pattern.p[i] == '*';
	if (n <= LIFECYCLE_WILDCARDS_MAX)
		return (RC_OK);
	lifecycle_say(r, "A pattern has at most %d wildcards (*), but ",
	    LIFECYCLE_WILDCARDS_MAX);
	lifecycle_say_json(r, pattern);
	lifecycle_say(r, " has %zu", n);
	return (lifecycle_refuse(r, at, NULL));
}

static int
filter_cmp(const void *a, const void *b)
{
	return (span_cmp(*(const struct span *)a, *(const struct span *)b));
}

/* A list is a set: in order, each once. */
static size_t
filters_sort(struct span *s, size_t n)
{
	size_t i, kept = 0;

	qsort(s, n, sizeof(*s), filter_cmp);
	for (i = 0; i < n; i++)
		if (kept == 0 || !span_eq(s[kept - 1], s[i]))
			s[kept++] = s[i];
	return (kept);
}

static enum rc
filters_read(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const json_t *list, bool patterns, struct span **filters_r, size_t *n_r)
{
	struct lifecycle_place item = { .up = at };
	size_t n = json_array_size(list);
	const json_t *v;
	struct span *s;
	enum rc rc;

	if ((s = arena_calloc(r->arena, n, sizeof(*s))) == NULL)
		return (RC_TOOBIG);
	for (item.index = 0; item.index < n; item.index++) {
		v = json_array_get(list, item.index);
		s[item.index] =
		    arena_span(r->arena, (struct span){ json_string_value(v),
					     json_string_length(v) });
		if (s[item.index].p == NULL)
			return (RC_TOOBIG);
		if (patterns &&
		    (rc = wildcards_check(r, &item, s[item.index])) != RC_OK)
			return (rc);
	}
	*filters_r = s;
	*n_r = filters_sort(s, n);
	return (RC_OK);
}

/* Tagged: exactly one of the lists; else none. */
static enum rc
tags_read(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const json_t *sel, struct lifecycle_rule *rule)
{
	const json_t *patterns = json_object_get(sel, "tagPatternList");
	const json_t *prefixes = json_object_get(sel, "tagPrefixList");
	struct lifecycle_place list = { .up = at, .key = "tagPatternList" };

	rule->tags = WORD(r, sel, "tagStatus", tag_words);
	rule->patterns = patterns != NULL;
	if (!rule->patterns)
		list.key = "tagPrefixList";
	if (rule->tags != LIFECYCLE_TAGGED) {
		if (patterns == NULL && prefixes == NULL)
			return (RC_OK);
		lifecycle_say(r, "Must not specify %s when tagStatus=%s.",
		    list.key, rule->tags == LIFECYCLE_ANY ? "ANY" : "UNTAGGED");
		return (lifecycle_refuse(r, &list, NULL));
	}
	if (patterns != NULL && prefixes != NULL) {
		lifecycle_say(r,
		    "Must not specify both tagPrefixList and tagPatternList "
		    "in one rule.");
		return (lifecycle_refuse(r, at, NULL));
	}
	if (patterns == NULL && prefixes == NULL) {
		lifecycle_say(r,
		    "Must specify tagPrefixList or tagPatternList when "
		    "tagStatus=TAGGED.");
		return (lifecycle_refuse(r, at, NULL));
	}
	return (filters_read(r, &list, rule->patterns ? patterns : prefixes,
	    rule->patterns, &rule->tag_filters, &rule->n_tag_filters));
}

static enum rc
rule_read(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const json_t *v, struct lifecycle_rule *rule)
{
	const struct lifecycle_place inside = { .up = at, .key = "selection" };
	const json_t *sel = json_object_get(v, "selection");
	const json_t *act = json_object_get(v, "action");
	struct span text;
	enum rc rc;

	must(json_get_int(v, "rulePriority", &rule->priority) == RC_OK);
	must(json_get_int(sel, "countNumber", &rule->number) == RC_OK);
	rule->pushed_number = 0;
	if (json_get_int(sel, "pushedCountNumber", &rule->pushed_number) !=
	    RC_OK)
		rule->pushed_number = 0;
	r->priority = rule->priority;
	rule->count = WORD(r, sel, "countType", count_words);
	rule->action = WORD(r, act, "type", action_words);
	rule->storage_class = LIFECYCLE_STANDARD;
	if (json_object_get(sel, "storageClass") != NULL)
		rule->storage_class = WORD(r, sel, "storageClass", class_words);
	if (json_get_str(v, "description", &text) == RC_OK) {
		rule->description = arena_span(r->arena, text);
		if (rule->description.p == NULL)
			return (RC_TOOBIG);
	}
	if ((rc = tags_read(r, &inside, sel, rule)) != RC_OK)
		return (rc);
	return (lifecycle_rule_check(r, &inside, rule));
}

/* --- the document -------------------------------------------------------- */

static int
priority_cmp(const void *va, const void *vb)
{
	const struct lifecycle_rule *a = va, *b = vb;

	return ((a->priority > b->priority) - (a->priority < b->priority));
}

/* They speak of the whole policy. */
static enum rc
guards_read(
    struct lifecycle_reader *r, const json_t *doc, struct lifecycle_policy *p)
{
	const struct lifecycle_place at = { .key = "protectTags" };
	const json_t *tags = json_object_get(doc, at.key);
	int64_t n;

	r->priority = 0;
	if (json_get_int(doc, "keepLast", &n) == RC_OK)
		p->keep_last = (uint64_t)n;
	if (tags == NULL)
		return (RC_OK);
	return (filters_read(
	    r, &at, tags, true, &p->protect_tags, &p->n_protect_tags));
}

static enum rc
rules_read(struct lifecycle_reader *r, const json_t *list, size_t max_rules,
    struct lifecycle_policy *p)
{
	const struct lifecycle_place rules = { .key = "rules" };
	struct lifecycle_place item = { .up = &rules };
	enum rc rc;

	r->priority = 0;
	p->n_rules = json_array_size(list);
	if (max_rules > 0 && p->n_rules > max_rules) {
		lifecycle_say(r,
		    "A lifecycle policy has at most %zu rules, but this one "
		    "has %zu",
		    max_rules, p->n_rules);
		return (lifecycle_refuse(r, &rules, NULL));
	}
	p->rules = arena_calloc(r->arena, p->n_rules, sizeof(*p->rules));
	if (p->rules == NULL)
		return (RC_TOOBIG);
	for (item.index = 0; item.index < p->n_rules; item.index++) {
		rc = rule_read(r, &item, json_array_get(list, item.index),
		    &p->rules[item.index]);
		if (rc != RC_OK)
			return (rc);
	}
	if ((rc = lifecycle_rules_check(r, &rules, p)) != RC_OK)
		return (rc);
	qsort(p->rules, p->n_rules, sizeof(*p->rules), priority_cmp);
	return (RC_OK);
}

static enum rc
no_policy(struct lifecycle_reader *r, const char *hint)
{
	lifecycle_say(r, "Could not map policyString into LifecyclePolicy.");
	return (lifecycle_refuse(r, NULL, hint));
}

static enum rc
document_read(struct lifecycle_reader *r, struct span text, size_t max_rules,
    struct lifecycle_policy *p)
{
	char why[JSON_ERROR_BYTES];
	json_t *doc;
	enum rc rc;

	if (text.n > LIFECYCLE_POLICY_MAX_BYTES) {
		(void)snprintf(why, sizeof(why), "longer than %d bytes",
		    LIFECYCLE_POLICY_MAX_BYTES);
		return (no_policy(r, why));
	}
	if (json_read(text, why, &doc) != RC_OK)
		return (no_policy(r, why));
	if (!json_is_object(doc))
		rc = no_policy(r, "it is not a JSON object");
	else if ((rc = lifecycle_schema_check(r, NULL, &document, doc)) ==
		     RC_OK &&
		 (rc = guards_read(r, doc, p)) == RC_OK)
		rc = rules_read(r, json_object_get(doc, "rules"), max_rules, p);
	json_decref(doc);
	return (rc);
}

enum rc
lifecycle_policy_parse(struct span text, const struct lifecycle_grammar *g,
    struct arena *arena, struct lifecycle_policy *p_r,
    char why[LIFECYCLE_WHY_BYTES])
{
	struct lifecycle_reader r = { .arena = arena,
		.why = why,
		.extensions = g != NULL && g->extensions };
	struct lifecycle_policy p = { 0 };
	enum rc rc;

	why[0] = '\0';
	*p_r = p;
	rc = document_read(&r, text, g != NULL ? g->max_rules : 0, &p);
	if (rc == RC_OK)
		*p_r = p;
	return (rc);
}
