#ifndef REGISTRYD_SCANNING_H
#define REGISTRYD_SCANNING_H

#include <stdbool.h>

#include "registryd/call.h"

/** ecr_scan_on_push(c, repository): does the registry's scanning configuration
 * have images scanned that are pushed to it?  What the repository itself says
 * of that is not asked here.  Loop or worker. */
bool ecr_scan_on_push(struct call *, struct span repository);

#endif
