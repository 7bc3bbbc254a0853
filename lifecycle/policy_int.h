#ifndef LIFECYCLE_POLICY_INT_H
#define LIFECYCLE_POLICY_INT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "lifecycle/policy.h"

/*
 * A policy is read in three steps.  The schema (a table in policy.c, walked by
 * policy_schema.c) says which members there are and of which types and values;
 * what has passed it is read into rules without asking about types again; and
 * policy_combine.c looks at what rules may not be together.
 */

/* --- telling why (policy_why.c) ------------------------------------------ */

/* Where in the document: "rules", then [2], then "selection". */
struct lifecycle_place {
	const struct lifecycle_place *up; /* NULL: the document */
	const char *key;		  /* NULL: element ${index} */
	size_t index;
};

struct lifecycle_reader {
	struct arena *arena;
	char *why; /* LIFECYCLE_WHY_BYTES */
	size_t why_n;
	int64_t priority; /* of the rule at hand; 0: not known */
	bool extensions;  /* of the grammar: else they are unknown */
};

/** lifecycle_say(r, fmt, ...): a piece of the reason. */
void lifecycle_say(struct lifecycle_reader *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** lifecycle_say_text(r, s), lifecycle_say_json(r, s): what a client wrote,
 * shortened and on one line; as a JSON string. */
void lifecycle_say_text(struct lifecycle_reader *, struct span);
void lifecycle_say_json(struct lifecycle_reader *, struct span);

/** lifecycle_refuse(r, at, hint): RC_INVALID, after what was said has been
 * ended by the place, the rule's priority and ${hint}, which may be NULL. */
RC_MUST_USE enum rc lifecycle_refuse(struct lifecycle_reader *,
    const struct lifecycle_place *at, const char *hint);

/* --- the schema (policy_schema.c) ---------------------------------------- */

struct lifecycle_word {
	const char *name;
	int value;
	bool with_other; /* in a choice: its other member is needed, else it
			    must not be there */
	bool extension;
};

struct lifecycle_schema;

struct lifecycle_member {
	const char *key;
	const struct lifecycle_schema *schema;
	bool required, extension;
};

/*
 * "Exactly one of": what ${key} says decides whether there is a member
 * ${other}.
 */
struct lifecycle_choice {
	const char *key, *other;
	const struct lifecycle_word *words; /* of ${key} */
	size_t n_words;
};

struct lifecycle_schema {
	json_type type;
	/* A member of a choice: only what it is as a string is looked at, for
	 * another type is refused by the choice. */
	bool chosen;
	/* Integers: the value; strings: characters; arrays: elements. */
	int64_t min, max;		    /* ${max} 0: any */
	const struct lifecycle_word *words; /* strings; in byte order */
	size_t n_words;
	const struct lifecycle_schema *items;	/* arrays */
	const struct lifecycle_member *members; /* objects; in byte order */
	size_t n_members;
	const char *named_by; /* objects: their rulePriority, if they have it */
	const struct lifecycle_choice *choice;
};

/** lifecycle_schema_check(r, at, schema, v): RC_INVALID: it is told. */
RC_MUST_USE enum rc lifecycle_schema_check(struct lifecycle_reader *,
    const struct lifecycle_place *at, const struct lifecycle_schema *,
    const json_t *v);

/** lifecycle_word_find(r, words, n, s): NULL: not one of them. */
const struct lifecycle_word *
lifecycle_word_find(const struct lifecycle_reader *,
    const struct lifecycle_word *, size_t n, struct span);

/* --- rules together (policy_combine.c) ----------------------------------- */

/** lifecycle_rule_check(r, at, rule): the members of one rule with each
 * other. */
RC_MUST_USE enum rc lifecycle_rule_check(struct lifecycle_reader *,
    const struct lifecycle_place *at, const struct lifecycle_rule *);

/** lifecycle_rules_check(r, at, policy): each rule with all others; ${at}:
 * the list of them, which is in the order of the text still. */
RC_MUST_USE enum rc lifecycle_rules_check(struct lifecycle_reader *,
    const struct lifecycle_place *at, const struct lifecycle_policy *);

#endif
