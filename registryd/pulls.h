#ifndef REGISTRYD_PULLS_H
#define REGISTRYD_PULLS_H

#include "registryd/call.h"

/** pull_note(c, digest): c->who has pulled an image of c->repository: its time
 * of the last pull moves on, unless they are excluded from that.  Loop or
 * worker. */
void pull_note(struct call *, const struct digest *);

#endif
