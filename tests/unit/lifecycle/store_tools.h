#ifndef TESTS_LIFECYCLE_STORE_TOOLS_H
#define TESTS_LIFECYCLE_STORE_TOOLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "storage/meta.h"
#include "storage/store.h"

/*
 * A registry of its own, in a folder that goes away again, with a repository
 * "team/app" of images that have a letter each.  Times are days before NOW_MS.
 * A failure ends the test.
 */
#define RIG_PATH_BYTES 512

struct rig {
	char dir[RIG_PATH_BYTES];
	struct store *s;
	struct meta *m;
};

void rig_open(struct rig *);
void rig_close(struct rig *);
/** rig_shut(r), rig_reopen(r): what is in the folder stays. */
void rig_shut(struct rig *);
void rig_reopen(struct rig *);

/** rig_push(r, letter, tags, days): tags with commas between them.  One that
 * is there gets the tags. */
void rig_push(struct rig *, char letter, const char *tags, double days);
void rig_push_index(struct rig *, char letter, const char *tags, double days,
    const char *children);
void rig_push_referrer(struct rig *, char letter, double days, char subject);
/** rig_push_large(r, letter, tags, days): with a layer, which lies in a file.
 */
void rig_push_large(struct rig *, char letter, const char *tags, double days);
/** rig_push_many(r, n, days): without letters or tags, each a millisecond
 * younger than the one before. */
void rig_push_many(struct rig *, size_t n, double days);
/** rig_push_some(r, seed): whatever there may be, made up. */
void rig_push_some(struct rig *, size_t seed);

/** rig_collect(r): what waits for the collector is done. */
void rig_collect(struct rig *);

void rig_pull(struct rig *, char letter, double days);
void rig_archive(struct rig *, char letter, double days);
void rig_restore(struct rig *, char letter, double days);
void rig_delete(struct rig *, char letter);
/** rig_empty(r): the repository goes, if it is there. */
void rig_empty(struct rig *);

char rig_letter(const struct digest *);
/** rig_images(r, want): by letter, archived ones with an 'a': "A aB". */
void rig_images(struct rig *, const char *want);
uint64_t rig_count(struct rig *);

#endif
