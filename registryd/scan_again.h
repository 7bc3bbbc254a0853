#ifndef REGISTRYD_SCAN_AGAIN_H
#define REGISTRYD_SCAN_AGAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "registryd/scan_image.h"
#include "registryd/settings.h"
#include "storage/store.h"

/*
 * After an import of advisories: images with packages that it is about are
 * matched anew, from what was found in their layers.  How far that has come
 * stands in the store, by ecosystem, so that a restart goes on.
 */
struct scan_again;

struct scan_again *scan_again_new(struct store *);
void scan_again_free(struct scan_again **);

/** scan_again_due(sa): advisories have come or gone.  Any thread. */
void scan_again_due(struct scan_again *);

/** scan_again_step(sa, settings, stop): one image, or a look at whether there is
 * anything to be done.  False: there is not.  One thread. */
bool scan_again_step(struct scan_again *, const struct scan_settings *,
    const _Atomic bool *stop);

/** scan_again_image(si): one whose scan has just ended, if advisories have come
 * while it was matched: a round may have gone by before it was there to be
 * found.  Any thread. */
void scan_again_image(const struct scan_image *);

/** scan_again_runs(sa), scan_again_images(sa): whether it is at it; how many
 * images since the start.  Any thread. */
bool scan_again_runs(const struct scan_again *);
uint64_t scan_again_images(const struct scan_again *);

#endif
