#ifndef LIFECYCLE_POLICY_H
#define LIFECYCLE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * A lifecycle policy as ECR's grammar has it, read and checked.  Pure: bytes
 * in, rules out.
 */
enum lifecycle_tags { LIFECYCLE_TAGGED, LIFECYCLE_UNTAGGED, LIFECYCLE_ANY };

enum lifecycle_class { LIFECYCLE_STANDARD, LIFECYCLE_ARCHIVE };

enum lifecycle_count {
	LIFECYCLE_MORE_THAN,	      /* imageCountMoreThan */
	LIFECYCLE_SINCE_PUSHED,	      /* sinceImagePushed */
	LIFECYCLE_SINCE_PULLED,	      /* sinceImagePulled */
	LIFECYCLE_SINCE_TRANSITIONED, /* sinceImageTransitioned */
	LIFECYCLE_SINCE_USED, /* sinceImagePushedAndPulled: an extension;
					 by both push and last pull */
};

enum lifecycle_action { LIFECYCLE_EXPIRE, LIFECYCLE_TRANSITION };

struct lifecycle_rule {
	int64_t priority; /* from 1; the lower one goes first */
	struct span description;
	enum lifecycle_tags tags;
	bool patterns;		  /* tagPatternList, else tagPrefixList */
	struct span *tag_filters; /* LIFECYCLE_TAGGED: each must be satisfied
				     by a tag of the image; in byte order,
				     each once */
	size_t n_tag_filters;
	enum lifecycle_class storage_class;
	enum lifecycle_count count;
	int64_t number;	       /* of images, or of days */
	int64_t pushed_number; /* of days, with LIFECYCLE_SINCE_USED: since
					 the push; ${number} if not said */
	enum lifecycle_action action; /* a transition is to ARCHIVE */
};

struct lifecycle_policy {
	struct lifecycle_rule *rules; /* by priority */
	size_t n_rules;
	/* Extensions. */
	uint64_t keep_last; /* so many tagged images are left, the youngest; 0:
			       no such guard */
	struct span *protect_tags; /* patterns: an image with such a tag is left
				      as it is */
	size_t n_protect_tags;
};

struct lifecycle_grammar {
	size_t max_rules; /* 0: as many as fit into the text */
	/*
	 * What ECR does not have: "keepLast" (a number from 1) and
	 * "protectTags" (patterns) beside "rules"; countType
	 * sinceImagePushedAndPulled; sinceImagePulled with expire.
	 */
	bool extensions;
};

#define LIFECYCLE_RULES_MAX 50
#define LIFECYCLE_WHY_BYTES 1024
#define LIFECYCLE_DESCRIPTION_MAX 1024 /* characters */
#define LIFECYCLE_FILTERS_MAX 256      /* elements of a tag list */
#define LIFECYCLE_FILTER_MAX 256       /* characters of one */
#define LIFECYCLE_WILDCARDS_MAX 4      /* in a pattern */
#define LIFECYCLE_ARCHIVE_DAYS_MIN 90  /* before an archived image expires */
/* What ECR allows, 30,720 characters, with four bytes for each. */
#define LIFECYCLE_POLICY_MAX_BYTES 122880
/* Characters that PutLifecyclePolicy takes. */
#define LIFECYCLE_POLICY_MIN 100
#define LIFECYCLE_POLICY_MAX 30720

/**
 * lifecycle_policy_parse(text, grammar, arena, p_r, why):
 * RC_INVALID: ${why} is the reason in ECR's words, without what ECR puts
 * around it ("Lifecycle policy validation failure: ..."), and behind them in
 * parentheses the rule and the member.  RC_TOOBIG: past the arena's cap.
 * Else ${why} is empty.  ${grammar} NULL: ECR's, with any number of rules.  All
 * of *${p_r}, which is empty unless RC_OK, is in the arena.  Any thread.
 */
RC_MUST_USE enum rc lifecycle_policy_parse(struct span text,
    const struct lifecycle_grammar *, struct arena *,
    struct lifecycle_policy *p_r, char why[LIFECYCLE_WHY_BYTES]);

/** lifecycle_policy_size_check(text, why): RC_INVALID: nobody could set it with
 * PutLifecyclePolicy, which takes LIFECYCLE_POLICY_MIN to LIFECYCLE_POLICY_MAX
 * characters.  Any thread. */
RC_MUST_USE enum rc
lifecycle_policy_size_check(struct span text, char why[LIFECYCLE_WHY_BYTES]);

#endif
