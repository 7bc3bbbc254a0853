#ifndef MIRROR_FILL_INT_H
#define MIRROR_FILL_INT_H

#include "mirror/fill.h"

/*
 * A fill as the thread that fills it sees it.  Each step wakes who waited for
 * it, and gives false, and changes nothing, when the fill has ended already:
 * it was given up meanwhile.
 */

/** fill_new(): FILL_ASKED; one reference. */
struct fill *fill_new(void);

/** fill_flow(f, size, file): FILL_FLOWING; ${file} becomes the fill's, also when
 * that is false. */
bool fill_flow(struct fill *, uint64_t size_bytes, struct blob_file *file);
/** fill_publish(f, written): so many bytes are in the file. */
bool fill_publish(struct fill *, uint64_t written_bytes);
/** fill_whole(f, size): FILL_WHOLE. */
bool fill_whole(struct fill *, uint64_t size_bytes);
bool fill_done(struct fill *);
/** fill_fail(f, rc, error): ${error} NULL: nothing more is known. */
bool fill_fail(struct fill *, enum rc, const struct upstream_error *);

enum fill_state fill_state(struct fill *);

#endif
