#ifndef MIRROR_ARCHIVE_H
#define MIRROR_ARCHIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "mirror/copy.h"
#include "mirror/place.h"

/*
 * Images in a file: the OCI image layout (image-spec, "image-layout") and what
 * `docker save` writes, as tar, plain or compressed with gzip or zstd (of
 * libarchive), streamed in bounded memory.
 *
 * Written is an OCI image layout with a manifest.json beside it, so that
 * `docker load` takes it too; each blob once, in the order in which they are
 * put, and with no times, so that the same images in the same order give the
 * same file.  An image's full name stands in the annotation
 * "io.containerd.image.name", its tag in "org.opencontainers.image.ref.name";
 * of what has no tag and refers to something in the archive the repository, in
 * "registryd.repository".
 */
#define ARCHIVE_WHY_BYTES 512
/* Of one archive that is written: entries of index.json, and manifests. */
#define ARCHIVE_IMAGES_MAX 20000
#define ARCHIVE_MANIFESTS_MAX_BYTES ((uint64_t)192 * 1024 * 1024)

enum archive_compression { ARCHIVE_PLAIN, ARCHIVE_GZIP, ARCHIVE_ZSTD };

/** archive_compression_of(path, c_r): by its suffix: .tar, .tar.gz and .tgz,
 * .tar.zst and .tzst.  False: none of these. */
bool archive_compression_of(const char *path, enum archive_compression *c_r);

/* Writing. */
struct archive_writer;

/** archive_writer_new(path, fd, compression, w_r, why): to ${fd}, or, -1, to
 * ${path}, which appears under its name only when all is written and synced.
 * RC_INVALID: there is something that is not a file; RC_EXISTS, RC_NOTFOUND,
 * RC_DENIED, RC_NOSPACE, RC_READONLY, RC_IO.  One thread. */
RC_MUST_USE enum rc
archive_writer_new(const char *path, int fd, enum archive_compression,
    struct archive_writer **w_r, char why[ARCHIVE_WHY_BYTES]);

/** archive_writer_place(w, repository): a place to copy images of that name
 * to; to be freed before the writer is finished. */
struct place *
archive_writer_place(struct archive_writer *, struct span repository);

/** archive_writer_finish(w, why): index.json, manifest.json; durable.  As
 * archive_writer_new(), and RC_TOOBIG: the limits above; RC_FAILED, RC_DIGEST:
 * something that was put to it failed before.  Nothing is left then; it is
 * freed always. */
RC_MUST_USE enum rc
archive_writer_finish(struct archive_writer **, char why[ARCHIVE_WHY_BYTES]);
/** archive_writer_abort(w): nothing is left.  Takes NULL. */
void archive_writer_abort(struct archive_writer **);

/*
 * Reading.  Archives are hostile: every name is held against what may be in a
 * layout or a saved image; links, devices, absolute and dotted paths, a name
 * twice, a size that is not what follows, more than the limits below, or more
 * compressed than a thousandfold, are refused, and the message names the entry.
 * Content is verified when it is read.
 */
#define ARCHIVE_ENTRIES_MAX 1000000
#define ARCHIVE_SAVED_MAX 100000 /* layers and configurations not in blobs/ */
#define ARCHIVE_JSON_MAX_BYTES ((size_t)16 * 1024 * 1024)
#define ARCHIVE_TEXTS_MAX_BYTES ((size_t)256 * 1024 * 1024) /* kept of all */
#define ARCHIVE_RATIO_MAX 1000

struct archive_reader;

/** archive_reader_open(path, cancel, r_r, why): looks through the whole file
 * once (a file, not a pipe), and verifies all of it.  RC_INVALID: not such an
 * archive, or one of the above; RC_TOOBIG: ARCHIVE_TEXTS_MAX_BYTES;
 * RC_NOTFOUND, RC_DENIED, RC_IO; RC_CANCELLED.  ${cancel} lives as long as the
 * reader; NULL. */
RC_MUST_USE enum rc
archive_reader_open(const char *path, const atomic_bool *cancel,
    struct archive_reader **r_r, char why[ARCHIVE_WHY_BYTES]);
void archive_reader_close(struct archive_reader **);

struct archive_image {
	struct span name; /* "team/app", without a registry; empty: it has none
			   */
	struct span registry; /* that stood before it; may be empty */
	struct span tag;      /* empty: none */
	struct digest digest;
	struct span media_type;
};
/** archive_reader_images(r, images_r): those of index.json or manifest.json;
 * live with the reader. */
size_t archive_reader_images(
    const struct archive_reader *, const struct archive_image **images_r);

/**
 * archive_reader_import(r, open, arg, progress, done_r, error):
 * Push all images: in one pass over the file each blob goes to the places of
 * the images that need it, then the manifests, children first, then the tags.
 * What refers to an image (subject) and has no name goes with it, and is not
 * among the images.  RC_MISSING: neither the archive nor the place has some
 * content, or a place takes no index without all of its children: ${error}
 * names the digest; of content nothing was changed yet.  RC_DIGEST,
 * RC_INVALID: the file has changed since; codes of places.
 * ${open}: the place of an image, kept and freed by the caller; NULL: it is to
 * be left out.
 */
typedef struct place *archive_place_fn(void *arg, const struct archive_image *);
RC_MUST_USE enum rc
archive_reader_import(struct archive_reader *, archive_place_fn *, void *arg,
    struct copy_progress *, uint64_t *done_r, struct upstream_error *);

#endif
