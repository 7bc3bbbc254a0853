#ifndef REGISTRYD_AUDIT_IMAGES_H
#define REGISTRYD_AUDIT_IMAGES_H

#include "base/digest.h"
#include "registryd/audit.h"
#include "registryd/call.h"
#include "storage/images.h"

/*
 * What a request did to more images than the one that it named.
 */

/** audit_images(c, kind, list, with): an event for each of them, as they are
 * now, and by whoever asks; ${with}, the image that was named, tells what they
 * came back with, and is told without that if it is one of them.  Worker. */
void audit_images(struct call *, enum audit_kind, const struct image_list *,
    const struct digest *with);

#endif
