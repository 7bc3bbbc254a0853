#ifndef AUTH_POLICY_H
#define AUTH_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/principal.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * Policies as IAM writes them: JSON, Version 2008-10-17 or 2012-10-17.  A
 * policy is parsed once, strictly, into a form that evaluates without
 * allocation, and is immutable and counted from then on.  Evaluation is a
 * pure function; the time is in the request.
 */
struct policy;

enum policy_kind {
	POLICY_IDENTITY,   /* no Principal; Resource required */
	POLICY_REPOSITORY, /* Principal required; Resource may be left out and
			      then is the repository; only ecr: actions */
	POLICY_REGISTRY,   /* Principal and Resource required; only ecr: */
};

#define POLICY_TEXT_MAX_BYTES 10240
#define POLICY_VARIABLES_MAX 16	  /* in one value, or one part of an ARN */
#define POLICY_WILDCARDS_MAX 32	  /* '*' and '?' together, likewise */
#define POLICY_SEEN_MAX_BYTES 512 /* of a value that a client chooses */
#define POLICY_WORK_MAX 100000	  /* steps of one evaluation */
#define POLICY_WHY_BYTES 512

/**
 * policy_parse(kind, text, why, policy_r):
 * The caller owns one reference.  RC_TOOBIG: more than POLICY_TEXT_MAX_BYTES;
 * RC_INVALID: ${why} names the statement (its Sid or its number from 1), the
 * element and the value, and what is allowed.  What cannot be understood is
 * refused: an unknown element, operator, or (repository, registry) action;
 * an unknown condition key is allowed and never present.  Any thread.
 *
 * Stricter than IAM: a Resource is "*" or an ARN of six parts, or of fewer if
 * the last is "*"; wildcards do not reach over the ':' between parts; there
 * are POLICY_WILDCARDS_MAX of them in one value or part at most.
 */
RC_MUST_USE enum rc policy_parse(enum policy_kind, struct span text,
    char why[POLICY_WHY_BYTES], struct policy **policy_r);

struct policy *policy_ref(struct policy *);
/** policy_unref(p): takes NULL; sets it to NULL. */
void policy_unref(struct policy **);

/** policy_statements(p): how many. */
size_t policy_statements(const struct policy *);

/* What is asked.  Spans borrow; empty ones are absent context keys. */
struct policy_request {
	const struct principal *principal;
	struct span action;   /* "ecr:BatchGetImage" */
	struct span resource; /* "arn:aws:ecr:us-east-1:000000000000:repository/
				 team/app", or "*" where the action is about no
				 resource */
	struct span source_ip; /* without port */
	struct span user_agent;
	bool secure; /* the client came by TLS */
	int64_t now_ms;
	const struct name_value *resource_tags; /* of the repository */
	size_t n_resource_tags;
	/* In the request's parameters; .value.p NULL: a key alone, which is
	 * one of aws:TagKeys and not an aws:RequestTag. */
	const struct name_value *request_tags;
	size_t n_request_tags;
};

enum policy_verdict { POLICY_SILENT, POLICY_ALLOWS, POLICY_DENIES };

struct policy_match {
	enum policy_verdict verdict;
	size_t statement; /* number from 1 of the one that decided; 0 none */
	const char *sid;  /* its Sid, or NULL; lives with the policy */
	bool by_account;  /* it allows, but only as a user of an account that
			      it names: a word to that account, which in the
			      registry's own leaves the say to the policies
			      of its users */
	bool conditional; /* the answer depends on more than the principal,
			      the action and the resource, so it holds for
			      this request only */
};

/**
 * policy_evaluate(p, request, match_r):
 * Denies if a statement that applies denies, else allows if one allows.  In a
 * policy of a repository or of the registry a statement applies to the
 * principals it names: "*" is everybody, also the anonymous; an account (its
 * number or arn:...:root) is all of its users.  NotPrincipal with Allow does
 * not reach the anonymous; with Deny it exempts whom it names, not the users of
 * an account it names.  The region part of ARNs of ecr is not compared.
 *
 * A variable without a value matches nothing, nor does a value that is not of
 * its condition operator's type; a negation (NotResource, StringNotEquals...)
 * over either does not help an Allow to apply, but lets a Deny.  A condition
 * key that is missing is told apart from both, by the rules of IAM.
 *
 * Evaluation takes well below a millisecond, whatever is asked: what the client
 * says of itself (User-Agent, address, tags of the request) is not looked at
 * beyond POLICY_SEEN_MAX_BYTES, and one evaluation takes POLICY_WORK_MAX steps
 * (about a byte or a value compared) at most.  A longer value is there but
 * unseen, and so is everything once the steps are used up: no condition or
 * resource over it helps an Allow to apply, negated or not, and each lets a
 * Deny.
 *
 * No allocation, no I/O.  Any thread.
 */
void policy_evaluate(const struct policy *, const struct policy_request *,
    struct policy_match *match_r);

/**
 * policy_managed(name): the text of one of AWS's managed policies that are
 * about ECR, by its name or its ARN ("arn:aws:iam::aws:policy/NAME"), or
 * AdministratorAccess; .p NULL: none of that name.
 */
struct span policy_managed(struct span name);

/** policy_managed_name(i): their names in order; NULL behind the last. */
const char *policy_managed_name(size_t i);

/** policy_action_known(action): is it an action of ECR, by IAM's list?
 * Without case, without wildcards. */
bool policy_action_known(struct span action);

#endif
