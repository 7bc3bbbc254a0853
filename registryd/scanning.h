#ifndef REGISTRYD_SCANNING_H
#define REGISTRYD_SCANNING_H

#include <stdbool.h>

#include "base/manifest.h"
#include "base/span.h"
#include "registryd/call.h"

/** ecr_scan_on_push(c, repository): does the registry's scanning configuration
 * have images scanned that are pushed to it?  What the repository itself says
 * of that is not asked here.  Loop or worker. */
bool ecr_scan_on_push(struct call *, struct span repository);

/** ecr_scannable(kind, artifact_type): is it one that is scanned, by hand or on
 * push: an image of a container?  Any thread. */
bool ecr_scannable(enum manifest_kind, struct span artifact_type);

#endif
