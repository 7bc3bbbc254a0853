#ifndef BASE_NAME_H
#define BASE_NAME_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * Names of the distribution-spec, "Pulling manifests":
 *   name      [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+(...)*)*
 *   tag       [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
 */
#define NAME_REPOSITORY_MAX_BYTES 256
#define NAME_TAG_MAX_BYTES 128

bool name_repository_ok(struct span);
bool name_tag_ok(struct span);

/** A reference is a tag or a digest.  ${tag} borrows the text parsed. */
struct reference {
	bool is_digest;
	struct digest digest;
	struct span tag;
};

/**
 * reference_parse(s, ref_r):
 * With a ':' it is a digest, else a tag.  RC_INVALID, or RC_UNSUPPORTED for a
 * well-formed digest of an algorithm not known here.
 */
RC_MUST_USE enum rc reference_parse(struct span, struct reference *ref_r);

#endif
