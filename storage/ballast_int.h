#ifndef STORAGE_BALLAST_INT_H
#define STORAGE_BALLAST_INT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Room on the disk that is kept for giving room back.
 *
 * What takes something away needs room itself: pages of the database are
 * written anew before those they replace are free.  On a disk without a free
 * byte nothing could ever go.  So a file of some MiB lies in the folder, which
 * is given up for such a change (meta_change_freeing()) and made again when
 * there is plenty.
 */
#define BALLAST_FILE "ballast"
#define BALLAST_BYTES ((uint64_t)8 << 20)

struct ballast;

/** ballast_new(dir_fd, dir): both borrowed; takes what is there.  Never
 * NULL. */
struct ballast *ballast_new(int dir_fd, const char *dir);
/** ballast_free(b): the file stays.  Takes NULL and a pointer to NULL. */
void ballast_free(struct ballast **);

/** ballast_make(b): when the file is not there, or not whole.  One who cannot
 * says so once.  May block. */
void ballast_make(struct ballast *);

/** ballast_bytes(b): of the disk, that it takes now; ballast_owed(b): that it
 * took and is to take again, which are nobody else's.  Any thread. */
uint64_t ballast_bytes(const struct ballast *);
uint64_t ballast_owed(const struct ballast *);

/** ballast_drops(b): so many times it was given up. */
unsigned ballast_drops(const struct ballast *);
/** ballast_drop(b, drops): give it up; true: there is more room now than when
 * ballast_drops() gave ${drops}.  Any thread. */
bool ballast_drop(struct ballast *, unsigned drops);

#endif
