#ifndef REGISTRYD_MIRROR_SPEC_H
#define REGISTRYD_MIRROR_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "mirror/sync.h"

/*
 * A mirror as somebody described it, in the configuration or with registryctl:
 * which tags of which repository elsewhere are kept in step with a repository
 * here, and when.
 */
#define MIRROR_NAME_MAX_BYTES 128
#define MIRROR_CREDENTIAL_MAX_BYTES 256
#define MIRROR_WHY_BYTES 768
#define MIRROR_INTERVAL_MS ((int64_t)24 * 60 * 60 * 1000) /* unless it says */

struct mirror_list {
	const char *const *items;
	size_t n;
};

struct mirror_spec {
	const char *name;
	const char *source;	 /* "docker.io/library/alpine" */
	const char *destination; /* a repository here */
	struct mirror_list tags, regexes, excludes, platforms;
	const char *semver;  /* "" : any */
	unsigned newest;     /* 0: all */
	int64_t interval_ms; /* 0: only when asked for */
	enum sync_delete deletes;
	bool referrers;
	const char *credential; /* "" : the registry's own */
};

/** mirror_spec_check(spec, member_r, why): RC_INVALID: *${member_r} is the
 * member, by its name in the configuration, that is wrong, and ${why} what it
 * has to be. */
RC_MUST_USE enum rc mirror_spec_check(const struct mirror_spec *,
    const char **member_r, char why[MIRROR_WHY_BYTES]);

/** mirror_spec_select(spec, why, s_r): which tags; the caller's.
 * RC_INVALID. */
RC_MUST_USE enum rc mirror_spec_select(const struct mirror_spec *,
    char why[MIRROR_WHY_BYTES], struct selection **s_r);

/** mirror_spec_read(o, arena, spec_r, member_r, why): of JSON, its members
 * called as in the configuration, durations as there or as "interval_ms";
 * strict, checked.  RC_INVALID as above; RC_TOOBIG. */
RC_MUST_USE enum rc
mirror_spec_read(const json_t *, struct arena *, struct mirror_spec *spec_r,
    const char **member_r, char why[MIRROR_WHY_BYTES]);

/** mirror_spec_json(spec): the other way round; the caller's. */
json_t *mirror_spec_json(const struct mirror_spec *);

/** mirror_spec_eq(a, b): do they describe the same? */
bool mirror_spec_eq(const struct mirror_spec *, const struct mirror_spec *);

#endif
