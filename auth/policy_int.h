#ifndef AUTH_POLICY_INT_H
#define AUTH_POLICY_INT_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/policy.h"
#include "base/arena.h"
#include "base/clock.h"

/*
 * The compiled form of a policy.  Everything lives in the policy's arena and
 * never changes after policy_parse(); what one evaluation needs besides stands
 * in a struct policy_asking on its stack.
 */

/* --- condition keys ------------------------------------------------------ */

enum policy_key_id {
	POLICY_KEY_UNKNOWN, /* never present */
	POLICY_KEY_SOURCE_IP,
	POLICY_KEY_SECURE_TRANSPORT,
	POLICY_KEY_PRINCIPAL_ARN,
	POLICY_KEY_PRINCIPAL_ACCOUNT,
	POLICY_KEY_PRINCIPAL_TYPE,
	POLICY_KEY_CURRENT_TIME,
	POLICY_KEY_EPOCH_TIME,
	POLICY_KEY_USER_AGENT,
	POLICY_KEY_USERNAME,
	POLICY_KEY_USERID,
	POLICY_KEY_RESOURCE_ACCOUNT,
	POLICY_KEY_REQUESTED_REGION,
	POLICY_KEY_TAG_KEYS, /* the one with many values */
	POLICY_KEY_PRINCIPAL_TAG,
	POLICY_KEY_RESOURCE_TAG,
	POLICY_KEY_REQUEST_TAG,
};

struct policy_key {
	enum policy_key_id id;
	struct span tag; /* of the ..._TAG ones */
};

/* --- patterns ------------------------------------------------------------ */

enum policy_atom_kind {
	POLICY_ATOM_TEXT,
	POLICY_ATOM_ANY,  /* n characters, whichever */
	POLICY_ATOM_STAR, /* never two in a row */
	POLICY_ATOM_VARIABLE,
};

struct policy_atom {
	enum policy_atom_kind kind;
	bool has_default;
	size_t n;	  /* ANY: how many; VARIABLE: its number from 0 */
	struct span text; /* TEXT; VARIABLE: the default */
	struct policy_key key;
};

/* No atoms: the empty text. */
struct policy_pattern {
	const struct policy_atom *atoms;
	size_t n_atoms;
	size_t n_variables;
};

enum policy_arn_part {
	POLICY_ARN_PARTITION,
	POLICY_ARN_SERVICE,
	POLICY_ARN_REGION,
	POLICY_ARN_ACCOUNT,
	POLICY_ARN_RESOURCE,
	POLICY_ARN_PARTS
};

struct policy_arn {
	bool ok; /* it is one */
	struct span part[POLICY_ARN_PARTS];
};

struct policy_arn_pattern {
	bool any; /* "*": everything, even what is no ARN */
	struct policy_pattern part[POLICY_ARN_PARTS];
};

/* --- statements ---------------------------------------------------------- */

enum policy_who_kind {
	POLICY_WHO_EVERYBODY,
	POLICY_WHO_ACCOUNT,
	POLICY_WHO_ARN,
	POLICY_WHO_NOBODY, /* a service of AWS */
};

struct policy_who {
	enum policy_who_kind kind;
	struct span text; /* the account, the ARN */
};

/* A decimal number, exact: digits before and behind the point, without the
 * zeros that say nothing.  Zero is not negative. */
struct policy_number {
	bool negative;
	struct span whole, fraction;
};

/* An IPv4 address is kept as it is mapped into IPv6. */
struct policy_network {
	bool v6;
	unsigned prefix_bits; /* of the 128 */
	uint8_t address[16];
};

union policy_value {
	struct policy_pattern pattern;
	struct policy_arn_pattern arn;
	struct policy_number number;
	struct policy_network network;
	int64_t date_ms;
	bool flag;
};

enum policy_type {
	POLICY_TYPE_STRING,
	POLICY_TYPE_NUMERIC,
	POLICY_TYPE_DATE,
	POLICY_TYPE_BOOL,
	POLICY_TYPE_BINARY,
	POLICY_TYPE_IP,
	POLICY_TYPE_ARN,
	POLICY_TYPE_NULL,
};

enum policy_relation {
	POLICY_EQUAL,
	POLICY_LESS,
	POLICY_LESS_EQUAL,
	POLICY_GREATER,
	POLICY_GREATER_EQUAL,
};

struct policy_operator {
	const char *name;
	enum policy_type type;
	enum policy_relation relation;
	bool negated, nocase, wild;
};

enum policy_quantifier { POLICY_ONE, POLICY_FOR_ALL, POLICY_FOR_ANY };

struct policy_condition {
	const struct policy_operator *op;
	enum policy_quantifier quantifier;
	bool if_exists;
	struct policy_key key;
	const union policy_value *values;
	size_t n_values;
};

/* Which of the known actions: see policy_action.c. */
#define POLICY_ACTION_WORDS ((size_t)2)

struct policy_statement {
	const char *sid; /* or NULL */
	bool deny;
	bool not_principal, not_action, not_resource;
	bool has_principals, has_resources;
	uint64_t actions[POLICY_ACTION_WORDS];
	const struct policy_pattern *action_patterns;
	size_t n_actions;
	const struct policy_who *principals;
	size_t n_principals;
	const struct policy_arn_pattern *resources;
	size_t n_resources;
	const struct policy_condition *conditions;
	size_t n_conditions;
};

struct policy {
	atomic_size_t refs;
	struct arena arena;
	struct policy_statement *statements;
	size_t n_statements;
};

/* --- parsing ------------------------------------------------------------- */

struct policy_reader {
	enum policy_kind kind;
	bool variables; /* Version 2012-10-17 */
	struct arena *arena;
	size_t statement; /* from 1; 0: not in one */
	const char *sid;
	const char *element; /* "Condition.Bool.aws:SecureTransport" */
	char *why;
};

/**
 * policy_refuse(r, value, text):
 * Say why: where in the document, the ${value} if .p is not NULL, and
 * ${text} behind it.  RC_INVALID.
 */
enum rc policy_refuse(
    const struct policy_reader *, struct span value, const char *text);
/** policy_refuse_json(r, value, text): the same of any value. */
enum rc policy_refuse_json(
    const struct policy_reader *, const json_t *value, const char *text);
/** policy_refuse_size(r): the arena is at its cap; RC_TOOBIG. */
enum rc policy_refuse_size(const struct policy_reader *);

/** policy_list_size(v), policy_list_at(v, i): "x" is the same as ["x"]. */
size_t policy_list_size(const json_t *);
const json_t *policy_list_at(const json_t *, size_t i);

/**
 * policy_list_str(r, v, i, s_r):
 * The string at ${i}, borrowed from the document; anything else is refused.
 */
RC_MUST_USE enum rc policy_list_str(
    const struct policy_reader *, const json_t *v, size_t i, struct span *s_r);

/**
 * policy_list_alloc(r, v, size_bytes, array_r, n_r):
 * Zeroed memory for as many things as ${v} has; an empty list is refused.
 */
RC_MUST_USE enum rc policy_list_alloc(const struct policy_reader *,
    const json_t *v, size_t size_bytes, void *array_r, size_t *n_r);

/** policy_statement_read(r, o, st_r): all of one statement. */
RC_MUST_USE enum rc policy_statement_read(
    struct policy_reader *, const json_t *o, struct policy_statement *st_r);
RC_MUST_USE enum rc policy_actions_read(
    struct policy_reader *, const json_t *v, struct policy_statement *);
RC_MUST_USE enum rc policy_principals_read(
    struct policy_reader *, const json_t *v, struct policy_statement *);
RC_MUST_USE enum rc policy_conditions_read(
    struct policy_reader *, const json_t *v, struct policy_statement *);

/** policy_pattern_compile(r, text, wild, pattern_r): without ${wild} a '*' is
 * a '*'.  Variables only where the Version has them. */
RC_MUST_USE enum rc policy_pattern_compile(const struct policy_reader *,
    struct span text, bool wild, struct policy_pattern *pattern_r);
RC_MUST_USE enum rc policy_arn_compile(const struct policy_reader *,
    struct span text, struct policy_arn_pattern *arn_r);

/** policy_key_find(name, key_r): .tag borrows from ${name}. */
void policy_key_find(struct span name, struct policy_key *key_r);

/** policy_number_read(s, n_r): [+-]digits[.digits]; false: it is none. */
bool policy_number_read(struct span, struct policy_number *n_r);
/** policy_date_read(s, ms_r): ISO 8601, or seconds since 1970. */
bool policy_date_read(struct span, int64_t *ms_r);
/** policy_network_read(s, net_r): an address, or one and "/BITS". */
bool policy_network_read(struct span, struct policy_network *net_r);
/** policy_bool_read(s, b_r): "true", "false", without case. */
bool policy_bool_read(struct span, bool *b_r);

/* --- evaluation ---------------------------------------------------------- */

struct policy_asking {
	const struct policy_request *request;
	int action; /* its number, or -1 */
	struct policy_arn resource;
	bool deny;	  /* the statement looked at is a Deny */
	bool conditional; /* something of this request only was looked at */
	/* The time in text, made when looked at. */
	char time[CLOCK_ISO_BYTES];
	char epoch[20];
	size_t work; /* steps taken; see POLICY_WORK_MAX */
};

/*
 * UNKNOWN: a variable without a value, a value that is not of the type.
 * UNSEEN: a value too long to be looked at, or no steps left to do it.
 * In order: of alternatives the highest counts, of parts the lowest.
 */
enum policy_found { POLICY_NO, POLICY_UNKNOWN, POLICY_UNSEEN, POLICY_YES };

/** policy_is(a, found), policy_not(a, found): does ${found}, or a negation
 * over it, hold? */
bool policy_is(const struct policy_asking *, enum policy_found);
bool policy_not(const struct policy_asking *, enum policy_found);

/** policy_spend(a, steps): count them; false: there are none left.  ${a} may
 * be NULL: nobody counts. */
bool policy_spend(struct policy_asking *, size_t steps);

/** policy_judge(p, request, denies_only, match_r): as policy_evaluate(),
 * where an Allow would change nothing any more. */
void policy_judge(const struct policy *, const struct policy_request *,
    bool denies_only, struct policy_match *match_r);

/** policy_sid(p, statement): of the statement with that number from 1. */
const char *policy_sid(const struct policy *, size_t statement);

/** policy_key_count(a, key): values that it has; 0: missing. */
size_t policy_key_count(struct policy_asking *, const struct policy_key *);
/** policy_key_value(a, key, i, value_r): ${i} is below the count; false: it is
 * too long to be looked at. */
bool policy_key_value(struct policy_asking *, const struct policy_key *,
    size_t i, struct span *value_r);

enum policy_found policy_pattern_match(const struct policy_pattern *,
    struct policy_asking *, struct span text, bool nocase);
void policy_arn_split(struct span text, struct policy_arn *arn_r);
enum policy_found policy_arn_match(const struct policy_arn_pattern *,
    struct policy_asking *, const struct policy_arn *);

bool
policy_conditions_hold(const struct policy_statement *, struct policy_asking *);

/** policy_action_number(action): of a known one; -1: unknown. */
int policy_action_number(struct span action);
bool
policy_actions_match(const struct policy_statement *, struct policy_asking *);

/** policy_principals_match(st, request, by_account_r). */
bool policy_principals_match(const struct policy_statement *,
    const struct policy_request *, bool *by_account_r);

int
policy_number_cmp(const struct policy_number *, const struct policy_number *);
bool policy_network_has(
    const struct policy_network *, const struct policy_network *address);

#endif
