#ifndef AUTH_DECIDE_H
#define AUTH_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/policy.h"

/*
 * The decision over all policies that have a say, by the rules of IAM:
 *
 *	a Deny anywhere			denied
 *	principal of the registry's	an Allow of its own policies or of the
 *	account				repository's or the registry's; where
 *					these name only the account, that is
 *					none
 *	principal of another account	an Allow on both sides; for
 *					ecr:GetAuthorizationToken and actions
 *					of sts, which are about the caller
 *					alone, as in the registry's account
 *	anonymous			an Allow of the repository's or the
 *					registry's
 *	PRINCIPAL_EVERYBODY		allowed
 */
struct decide_input {
	struct policy_request request;
	struct span account;		 /* of the registry */
	const struct policy *repository; /* NULL: it has none */
	const struct policy *registry;
};

enum decide_by {
	DECIDED_BY_NOTHING, /* nobody allows */
	DECIDED_BY_IDENTITY,
	DECIDED_BY_REPOSITORY,
	DECIDED_BY_REGISTRY,
	DECIDED_BY_AUTH_NONE,
};

struct decision {
	bool allowed;
	bool explicit_deny;
	enum decide_by by;
	bool resource_silent; /* not allowed, and what is missing is an Allow
				 of a resource policy (other account) */
	const char *label;    /* of the identity policy that decided */
	size_t statement;     /* number from 1; 0: none */
	const char *sid;      /* or NULL */
	bool conditional;     /* as policy_match */
};

/** decide(input, decision_r): pure; no allocation.  Any thread. */
void decide(const struct decide_input *, struct decision *decision_r);

/**
 * decide_message(input, decision, out, n):
 * "User: ARN is not authorized to perform: ACTION on resource: ARN because no
 * identity-based policy allows the ACTION action", in the words AWS uses for
 * each case; returns ${out}.
 */
#define DECIDE_MESSAGE_BYTES 2048
const char *decide_message(const struct decide_input *, const struct decision *,
    char out[DECIDE_MESSAGE_BYTES]);

/*
 * Decisions that hold for any request with the same principal, action and
 * resource are remembered.  A fixed number; the older of two in one place
 * goes.
 */
struct decide_cache;

struct decide_cache *decide_cache_new(void);
void decide_cache_free(struct decide_cache **);

/**
 * decide_cached(cache, epoch, input, decision_r):
 * As decide(), remembering.  ${epoch} names the policies: another number, and
 * what was decided under the old one is not used (the caller mixes into it
 * the generation of the directory and the revisions of the repository's and
 * the registry's policies).  Labels and Sids in the decision live as long as
 * the policies of ${input}.  Any thread.
 */
void decide_cached(struct decide_cache *, const uint64_t epoch[3],
    const struct decide_input *, struct decision *decision_r);

#endif
