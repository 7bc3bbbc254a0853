#ifndef SCAN_LAYER_H
#define SCAN_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "scan/package.h"

/*
 * A layer (OCI image-spec, "Image Layer Filesystem Changeset"): a tar, plain,
 * gzip or zstd, read once, in order, and never unpacked.  What comes of it is its
 * index: packages in the files that it has, whiteouts, opaque folders, and what
 * is needed to tell whether a file hides one of a layer below.  An image's
 * inventory is put together from the indexes of its layers, so a layer is read
 * once however many images have it.
 *
 * layer_index_make() is what meets hostile bytes: it runs in a process without
 * rights (sandbox.h).  layer_index_check() and inventory_make() read what that
 * process wrote, and trust none of it.
 */
#define LAYER_WHY_BYTES 512
#define LAYER_INDEX_MAX_BYTES ((size_t)32 << 20)
/* Another number: indexes of before are made anew. */
#define LAYER_READER 1

struct layer_limits {
	uint64_t max_bytes;	 /* uncompressed, in all */
	uint64_t max_entries;	 /* of the tar */
	uint64_t max_file_bytes; /* of a file that is read for packages */
	unsigned max_ratio;	 /* uncompressed to compressed, beyond the first
				    16 MiB; 0: any */
};
extern const struct layer_limits layer_limits_default;

/** Some bytes of the layer, compressed as it lies: 0 at the end; below 0: it
 * cannot be read. */
typedef long layer_read_fn(void *arg, const void **p_r);

/**
 * layer_index_make(read, arg, limits, out, why):
 * Append the index to ${out}.  RC_INVALID: no tar, damaged, or cut, or a name in
 * it leaves the root ("../x"; "a/../b" is "b", as for those who unpack it);
 * RC_TOOBIG: one of the limits; RC_UNSUPPORTED: compressed in another way;
 * RC_IO: ${read} failed; ${why} says it in words that go into the scan's
 * description.  What follows the end of the tar is not asked for.  The locale's
 * character set has to be UTF-8 for names beyond ASCII to be told apart.
 *
 * Paths are taken as they are written: a file below a symbolic link is not looked
 * for where that leads.
 */
RC_MUST_USE enum rc layer_index_make(layer_read_fn *read, void *arg,
    const struct layer_limits *limits, struct buf *out,
    char why[LAYER_WHY_BYTES]);

/** layer_index_check(bytes): RC_INVALID: not what layer_index_make() writes, or
 * what that of another LAYER_READER wrote. */
RC_MUST_USE enum rc layer_index_check(struct span bytes);

struct layer_index {
	struct span digest; /* "sha256:..." */
	struct span bytes;
};

/** inventory_make(layers, n, arena, why, inventory_r): ${layers} from the base
 * up.  What a later layer replaces, whites out or makes opaque is not there.  A
 * package-lock.json is passed over where node_modules/.package-lock.json beside
 * it says what was installed of it, and metadata of Python where a package of the
 * system brought it.  Spans borrow from the arena.  RC_INVALID: not indexes;
 * RC_TOOBIG: more packages than PACKAGES_MAX, or the arena's cap. */
RC_MUST_USE enum rc inventory_make(const struct layer_index *layers, size_t n,
    struct arena *, char why[LAYER_WHY_BYTES], struct inventory *inventory_r);

/** layer_main(argc, argv): the process without rights: a layer on standard
 * input, its index on standard output, words on standard error; its exit code
 * is that of sandbox.h.  Never returns. */
__attribute__((noreturn)) void layer_main(int argc, char **argv);

#endif
