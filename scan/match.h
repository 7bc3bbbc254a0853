#ifndef SCAN_MATCH_H
#define SCAN_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "scan/package.h"

/*
 * Packages met by advisories.  Pure: advisories come from a function.
 */
enum severity { /* as ECR has them; stored: never renumber */
	SEVERITY_UNDEFINED = 0,
	SEVERITY_INFORMATIONAL = 1,
	SEVERITY_LOW = 2,
	SEVERITY_MEDIUM = 3,
	SEVERITY_HIGH = 4,
	SEVERITY_CRITICAL = 5,
};
#define SEVERITIES 6

/** severity_text(s): "CRITICAL". */
const char *severity_text(enum severity);

struct version_range {
	struct span introduced; /* empty: from the first one on */
	struct span fixed; /* the first one that is not affected; empty: none
				   is known */
	struct span last_affected; /* instead of .fixed; or empty */
};

/* About one package in one ecosystem. */
struct advisory {
	struct span id;	       /* "CVE-2024-1234", else the source's own */
	struct span record_id; /* the source's own, where it is another one:
				  "GHSA-..."; may be empty, as what follows */
	struct span summary;
	struct span uri;
	struct span cvss_vector; /* "CVSS:3.1/AV:N/..." */
	double cvss_score;	 /* 0: not known */
	enum severity severity;
	struct version_range *ranges; /* any of them; none: all versions */
	size_t n_ranges;
	struct span *versions; /* affected besides, one by one */
	size_t n_versions;
	bool binary; /* it names binary packages, not source packages */
};

struct finding {
	struct advisory advisory; /* .ranges are those that matched */
	const struct package *package;
	struct span fixed_version; /* empty: there is none */
};

struct findings {
	struct finding *rows; /* the most severe first, then by id, package */
	size_t n;
	uint32_t counts[SEVERITIES];
};

/** Call ${fn} for each advisory about ${package} (a source package's name where
 * there is one) in ${ecosystem}; another code than RC_OK of ${fn} ends it. */
typedef enum rc advisory_fn(void *arg, const struct advisory *);
typedef enum rc advisory_find_fn(void *db, struct span ecosystem,
    struct span package, advisory_fn *fn, void *arg);

/** match(inventory, find, db, arena, findings_r): once for each advisory and
 * package; what ${find} returns.  Borrows from the inventory; the rest is in the
 * arena. */
RC_MUST_USE enum rc match(const struct inventory *, advisory_find_fn *find,
    void *db, struct arena *, struct findings *findings_r);

#endif
