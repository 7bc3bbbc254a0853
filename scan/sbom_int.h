#ifndef SCAN_SBOM_INT_H
#define SCAN_SBOM_INT_H

#include "base/buf.h"
#include "base/clock.h"
#include "scan/sbom.h"

/*
 * The two forms of a list of packages; what they have in common is here.
 */
#define SBOM_TIME_BYTES CLOCK_ISO_BYTES

#define SBOM_ID_BYTES 37 /* a UUID, and a NUL */

/** sbom_id(subject, format, out): a UUID that the same image always has. */
const char *
sbom_id(const struct sbom_subject *, const char *of, char out[SBOM_ID_BYTES]);

/** sbom_time(real_ms, out): to the second, as both forms want it. */
const char *sbom_time(int64_t real_ms, char out[SBOM_TIME_BYTES]);

/** sbom_member(out, name, value): ,"name":"value", if there is a value. */
void sbom_member(struct buf *out, const char *name, struct span value);

/** sbom_image_purl(subject, out): pkg:oci/app@sha256%3A... */
void sbom_image_purl(const struct sbom_subject *, struct buf *out);

void sbom_cyclonedx_write(
    const struct sbom_subject *, const struct inventory *, struct buf *out);
void sbom_spdx_write(
    const struct sbom_subject *, const struct inventory *, struct buf *out);

#endif
