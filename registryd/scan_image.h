#ifndef REGISTRYD_SCAN_IMAGE_H
#define REGISTRYD_SCAN_IMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "registryd/settings.h"
#include "scan/layer.h"
#include "scan/package.h"
#include "storage/findings.h"
#include "storage/store.h"

/*
 * One image, looked at by a scanner: what is installed in it, from the indexes
 * of its layers, which are made where they are not there yet, and what the
 * advisories say about that.  Blocks.
 */
#define SCAN_IMAGE_BYTES ((size_t)512 << 20) /* of the arena of one */
#define SCAN_WHY_BYTES (LAYER_WHY_BYTES + 256)

struct scan_image {
	struct store *store;
	struct span repository;
	struct digest digest;
	const struct scan_settings *settings;
	const _Atomic bool *stop; /* or NULL */
	bool read_layers;	  /* else only what has an index counts */
	/* Filled in. */
	char why[SCAN_WHY_BYTES]; /* of what failed, in words for people */
	uint64_t layers_read, bytes_read; /* of them, compressed */
};

/**
 * scan_image_inventory(si, arena, inventory_r):
 * RC_NOTFOUND: there is no such image; RC_MISSING: a layer is not here, or, if
 * layers are not read, has no index; RC_UNSUPPORTED: it has no file system of
 * an image; RC_CANCELLED; RC_LOCKED; RC_LIMIT: no process can be started;
 * others: it cannot be read.
 */
RC_MUST_USE enum rc scan_image_inventory(
    struct scan_image *, struct arena *, struct inventory *inventory_r);

/**
 * scan_image_match(si, inventory, arena, f_r):
 * All but .completed_ms.  RC_UNSUPPORTED: there is nothing in it that advisories
 * could be about; RC_TOOBIG; RC_TIMEOUT; RC_CANCELLED; those of the store.
 */
RC_MUST_USE enum rc scan_image_match(struct scan_image *,
    const struct inventory *, struct arena *, struct scan_findings *f_r);

#endif
