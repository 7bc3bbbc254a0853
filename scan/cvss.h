#ifndef SCAN_CVSS_H
#define SCAN_CVSS_H

#include "base/rc.h"
#include "base/span.h"
#include "scan/match.h"

/*
 * CVSS vectors (first.org): "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", also
 * of versions 3.0, 2 (without a prefix) and 4.0.  Only their base metrics
 * count; the others are checked for their shape.
 */

/**
 * cvss_read(vector, score_r, severity_r):
 * The base score, and the severity that goes with it.  Of version 4 the score
 * is 0, for it stands in no formula but in tables of its authors', and the
 * severity is that of the vector of version 3.1 which is nearest to it.
 * RC_INVALID: not a vector, or a base metric is missing; RC_UNSUPPORTED: of
 * another version.  Any thread.
 */
RC_MUST_USE enum rc
cvss_read(struct span vector, double *score_r, enum severity *severity_r);

/** cvss_severity(score): of a score of version 3. */
enum severity cvss_severity(double score);

/** severity_of_words(text): "HIGH", "moderate", "important", "unimportant",
 * "not yet assigned"; SEVERITY_UNDEFINED for what says nothing. */
enum severity severity_of_words(struct span text);

#endif
