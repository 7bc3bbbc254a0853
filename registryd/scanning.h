#ifndef REGISTRYD_SCANNING_H
#define REGISTRYD_SCANNING_H

#include <jansson.h>
#include <stdbool.h>

#include "base/manifest.h"
#include "base/span.h"
#include "registryd/call.h"

/*
 * Which images are scanned without anybody asking for it.
 */

/** ecr_scan_on_push(c, repository): does the registry's scanning configuration
 * have images scanned that are pushed to it?  What the repository itself says
 * of that is not asked here.  Loop or worker. */
bool ecr_scan_on_push(struct call *, struct span repository);
/** scanning_on_push(m, repository): the same, of images that come otherwise. */
struct meta;
bool scanning_on_push(struct meta *, struct span repository);

/** ecr_scannable(kind, artifact_type): is it one that is scanned, by hand or on
 * push: an image of a container?  Any thread. */
bool ecr_scannable(enum manifest_kind, struct span artifact_type);

/** scanning_configuration(m, o_r): {"scanType","rules"}, the caller's; as it is
 * by default if never set.  RC_CORRUPT: logged. */
RC_MUST_USE enum rc scanning_configuration(struct meta *, json_t **o_r);

/** scanning_rule(configuration, repository, filters_r): the frequency of the
 * rule that is about it, one that scans more often before others, and those of
 * its filters that match, the caller's.  NULL and NULL: there is none. */
const char *scanning_rule(
    const json_t *configuration, struct span repository, json_t **filters_r);

#endif
