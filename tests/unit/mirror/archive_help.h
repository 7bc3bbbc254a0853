#ifndef TESTS_UNIT_MIRROR_ARCHIVE_HELP_H
#define TESTS_UNIT_MIRROR_ARCHIVE_HELP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these in front of it. */
#include <setjmp.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/span.h"
#include "mirror/place.h"

/*
 * What tests of archives are made of: repositories in memory, images to fill
 * them with, and tar files that say whatever they are told to.
 */
#define HELD_MAX 64
#define HELD_TAGS_MAX 16

/* A repository in memory. */
struct held_blob {
	struct digest digest;
	char *p;
	size_t n;
	char *type; /* of a manifest; else NULL */
};
struct held_tag {
	char name[64];
	struct digest digest;
};
struct held {
	struct place base;
	struct held_blob rows[HELD_MAX];
	size_t n;
	struct held_tag tags[HELD_TAGS_MAX];
	size_t n_tags;
	bool sparse; /* takes an index without its images */
	unsigned blob_puts, manifest_puts, blob_opens;
};

void held_init(struct held *);
void held_clear(struct held *);
/** held_add(h, type, text, d_r): content; a manifest if it has a type. */
void held_add(struct held *, const char *type, struct span, struct digest *d_r);
void held_tag(struct held *, const char *tag, const struct digest *);
const struct held_blob *held_find(const struct held *, const struct digest *);
/** held_tag_of(h, tag): NULL: none. */
const struct digest *held_tag_of(const struct held *, const char *tag);
/** held_same(a, b): the same content under the same tags. */
void held_same(const struct held *, const struct held *);

/* Images: what it is of makes them differ. */
struct made {
	struct digest config, layer, manifest;
	size_t manifest_bytes;
};
void image_add(struct held *, const char *of, struct made *m_r);
/** index_add(h, a, b, d_r): of two images, for amd64 and arm64. */
void index_add(struct held *, const struct made *a, const struct made *b,
    struct digest *d_r);
void signature_add(struct held *, const char *of, const struct digest *subject,
    size_t subject_bytes, struct digest *d_r);

/* Tar files. */
struct tarring;
enum tar_packing { TAR_PLAIN, TAR_GZIP, TAR_ZSTD, TAR_GZIP_TWICE };

struct tarring *tar_begin(const char *path, enum tar_packing);
void tar_file(struct tarring *, const char *name, struct span);
void tar_text(struct tarring *, const char *name, const char *text);
void tar_blob(struct tarring *, struct span, struct digest *d_r);
/** tar_entry(t, name, type, link): S_IFDIR, S_IFLNK, S_IFCHR, ...; 0: a hard
 * link. */
void
tar_entry(struct tarring *, const char *name, unsigned type, const char *link);
void tar_zeros(struct tarring *, const char *name, size_t n);
void tar_sparse(struct tarring *, const char *name);
void tar_end(struct tarring *);

/** tar_names(path, text_r): of its entries, a line each; the caller frees. */
char *tar_names(const char *path);
/** tar_get(path, name, n_r): of one entry; the caller frees it. */
char *tar_get(const char *path, const char *name, size_t *n_r);

char *file_read(const char *path, size_t *n_r);
void file_write(const char *path, const void *p, size_t n);

#endif
