#ifndef TESTS_MIRROR_STORE_RIG_H
#define TESTS_MIRROR_STORE_RIG_H

#include "storage/meta.h"
#include "storage/store.h"

/*
 * A registry of its own in a folder that goes away again.  A failure ends the
 * test.
 */
#define STORE_RIG_PATH_BYTES 512

struct store_rig {
	char dir[STORE_RIG_PATH_BYTES];
	struct store *s;
	struct meta *m;
};

void store_rig_open(struct store_rig *);
void store_rig_close(struct store_rig *);
/** store_rig_again(r): closed and opened: what is in the folder stays. */
void store_rig_again(struct store_rig *);

#endif
