#ifndef SCAN_VERSION_H
#define SCAN_VERSION_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "scan/package.h"

/*
 * Versions as each distribution orders them: rpm's by libsolv; dpkg's
 * (deb-version(7)), apk-tools' and those of npm (semver) and Python (PEP 440) by
 * what is published of them.
 */

/** version_compare(type, a, b, order_r): *${order_r} below, at or above 0.
 * RC_INVALID: one of them is no version of that kind (never of deb and rpm,
 * which order any text).  Any thread. */
RC_MUST_USE enum rc
version_compare(enum package_type, struct span a, struct span b, int *order_r);

/*
 * Ecosystems: whose advisories are for which packages: "debian:bookworm",
 * "ubuntu:22.04", "alpine:3.18", "rocky:9", "npm", "pypi", ...
 */
#define ECOSYSTEM_MAX_BYTES 64

/** ecosystem_of(os, type, arena, e_r): of a package of that type in an image
 * with that os-release.  RC_NOTFOUND: there is none. */
RC_MUST_USE enum rc ecosystem_of(const struct os_release *, enum package_type,
    struct arena *, struct span *e_r);
/** ecosystem_of_osv(name, arena, e_r, type_r): of an OSV ecosystem ("Debian:12",
 * "Alpine:v3.18", "PyPI").  RC_UNSUPPORTED. */
RC_MUST_USE enum rc ecosystem_of_osv(struct span name, struct arena *,
    struct span *e_r, enum package_type *type_r);
/** ecosystem_family_osv(name, family_r): of which family it is, whether or not its
 * release is known here; below ECOSYSTEM_FAMILIES_MAX.  False: of none that is.
 * ecosystem_family_text(family): "debian". */
#define ECOSYSTEM_FAMILIES_MAX 32
bool ecosystem_family_osv(struct span name, unsigned *family_r);
const char *ecosystem_family_text(unsigned family);
/** ecosystem_of_debian(codename, arena, e_r), ecosystem_of_alpine(version, ...):
 * of a release as those distributions' own advisories call it ("bookworm",
 * "v3.18", "edge").  RC_UNSUPPORTED. */
RC_MUST_USE enum rc
ecosystem_of_debian(struct span codename, struct arena *, struct span *e_r);
RC_MUST_USE enum rc
ecosystem_of_alpine(struct span version, struct arena *, struct span *e_r);
/** ecosystem_binary(ecosystem): do its advisories name binary packages? */
bool ecosystem_binary(struct span ecosystem);

#endif
