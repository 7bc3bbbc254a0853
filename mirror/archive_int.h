#ifndef MIRROR_ARCHIVE_INT_H
#define MIRROR_ARCHIVE_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/manifest.h"
#include "mirror/archive.h"

/*
 * Inside of the archives.  Reading:
 *
 *	archive_walk.c	entry after entry of the file, with all limits; the
 *			only one that lets libarchive read
 *	archive_name.c	what entries may be called, and how images are
 *	archive_scan.c	the look-through: every entry is read and verified, and
 *			what is needed later is noted
 *	archive_oci.c	the images of index.json
 *	archive_docker.c	those of manifest.json, which become manifests
 *	archive_graph.c	what the images consist of; is it sound?
 *	archive_plan.c	which content has to go to which place
 *	archive_move.c	the second walk: blobs go there
 *	archive_import.c	manifests follow, and tags
 *
 * Writing: archive_write.c is the file, archive_put.c the place that images
 * are copied to, archive_list.c what stands at the end of the file.
 */
struct archive; /* of libarchive */

/* Rows that begin with their key, a digest; found by it, and in the order in
 * which they came.  A row may move when another one is added. */
struct arc_table {
	char *rows;
	size_t stride_bytes;
	uint32_t n, room;
	uint32_t *slots; /* 1 + number of a row, by hash; a power of two */
	uint32_t n_slots;
};
#define ARC_NONE UINT32_MAX

void arc_table_init(struct arc_table *, size_t stride_bytes);
void arc_table_free(struct arc_table *);
/** arc_table_find(t, key): its number; ARC_NONE. */
uint32_t arc_table_find(const struct arc_table *, const struct digest *key);
/** arc_table_add(t, key, new_r): its number; a new row is all zero but for the
 * key. */
uint32_t
arc_table_add(struct arc_table *, const struct digest *key, bool *new_r);
void *arc_table_at(const struct arc_table *, uint32_t i);

/* Names. */
enum arc_kind {
	ARC_FOLDER,
	ARC_LAYOUT,   /* oci-layout */
	ARC_INDEX,    /* index.json */
	ARC_MANIFEST, /* manifest.json */
	ARC_BLOB,     /* blobs/ALG/HEX */
	ARC_CONFIG,   /* of a saved image: HEX.json */
	ARC_LAYER,    /* ID/layer.tar, HEX.tar */
	ARC_LEGACY,   /* repositories, ID/VERSION, ID/json: nobody needs it */
};

#define ARC_NAME_MAX_BYTES 255
struct arc_name {
	enum arc_kind kind;
	struct span text;     /* without "./" and without a slash behind it */
	struct digest digest; /* ARC_BLOB: what it claims */
};

/** arc_name_parse(path, folder, n_r): borrows ${path}.  RC_INVALID: nothing
 * that belongs into such an archive; RC_UNSUPPORTED: a blob of an algorithm
 * not known here. */
RC_MUST_USE enum rc
arc_name_parse(struct span path, bool folder, struct arc_name *n_r);
/** arc_name_key(text, key_r): by which it is found in a table. */
void arc_name_key(struct span text, struct digest *key_r);

/** arc_blob_path(d, out): "blobs/sha256/..."; returns ${out}. */
#define ARC_PATH_BYTES (DIGEST_STR_BYTES + 8)
const char *arc_blob_path(const struct digest *, char out[ARC_PATH_BYTES]);

/** arc_image_name(text, i_r): "docker.io/library/alpine:3@sha256:..." into
 * registry, name and tag, borrowed; false: no such name, nothing is set. */
bool arc_image_name(struct span text, struct archive_image *i_r);

/* gzip, the same bytes for the same content. */
struct arc_gzip {
	struct archive *a;
	struct buf out; /* what came of it so far; the user clears it */
};
enum rc arc_gzip_begin(struct arc_gzip *);
enum rc arc_gzip_feed(struct arc_gzip *, const void *p, size_t n);
enum rc arc_gzip_end(struct arc_gzip *);
void arc_gzip_free(struct arc_gzip *);

/* A walk over the file. */
struct arc_walk {
	struct archive *a;
	int fd;
	uint64_t offset; /* in the file */
	const atomic_bool *cancel;
	char *buffer;
	uint64_t n_entries;
	bool broken;  /* the file could not be read */
	bool between; /* two entries */
	/* Of the entry. */
	char path[ARC_NAME_MAX_BYTES + 8];
	struct arc_name name;
	char link[ARC_NAME_MAX_BYTES + 8]; /* empty: it is none */
	uint64_t size_bytes, taken_bytes;
	char why[ARCHIVE_WHY_BYTES];
};

/** arc_walk_begin(w, fd, cancel): borrows both.  Ended with arc_walk_end(),
 * also after a failure.  Codes of all: RC_INVALID, RC_IO, RC_CANCELLED, with
 * ${w}->why. */
RC_MUST_USE enum rc
arc_walk_begin(struct arc_walk *, int fd, const atomic_bool *cancel);
void arc_walk_end(struct arc_walk *);
/** arc_walk_next(w): the next entry; RC_NOTFOUND: there is none. */
RC_MUST_USE enum rc arc_walk_next(struct arc_walk *);
/** arc_walk_block(w, p_r, n_r): some more of its content, which lives until
 * the next call; 0: its end, and as much came as the entry said. */
RC_MUST_USE enum rc
arc_walk_block(struct arc_walk *, const void **p_r, size_t *n_r);
/** arc_walk_refuse(w, fmt, ...): says so of the entry; RC_INVALID. */
enum rc arc_walk_refuse(struct arc_walk *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What the archive holds. */
struct arc_need;
struct arc_blob { /* a row */
	struct digest digest;
	bool here;  /* the archive has it; else something refers to it */
	bool child; /* an index refers to it */
	bool checked;
	uint64_t size_bytes;
	struct span text; /* of what may be a manifest; else .p NULL */
	struct span type; /* media type; set when it is a manifest */
	uint32_t subject; /* ARC_NONE; another row */
	/* While importing: the places that take it. */
	struct arc_need *as_blob, *as_manifest;
};

struct arc_saved { /* a row, by name: a file of a saved image */
	struct digest key;
	struct span name;
	enum arc_kind kind;
	bool packed;	     /* ARC_LAYER: it is gzip already */
	struct span link;    /* the name of another one; else empty */
	struct span text;    /* ARC_CONFIG */
	struct digest raw;   /* as it lies there */
	uint64_t size_bytes; /* as it is pushed */
	struct digest digest;
};

struct archive_reader {
	int fd;
	char *path;
	const atomic_bool *cancel;
	struct arena arena; /* texts and names */
	struct arc_table names, blobs, saved;
	struct span layout, index, manifest; /* texts; .p NULL: not there */
	bool manifest_toobig;		     /* it is there */
	struct archive_image *images;
	uint32_t *image_blobs;
	size_t n_images, images_room;
	/* What index.json lists without a name of its own, and has a subject in
	 * the archive: it goes where that goes. */
	uint32_t *followers;
	size_t n_followers, followers_room;
	char *why; /* of open */
};

struct arc_blob *arc_blob_at(const struct archive_reader *, uint32_t i);

/** arc_reader_refuse(r, fmt, ...): RC_INVALID. */
enum rc arc_reader_refuse(struct archive_reader *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** arc_reader_toobig(r): more text than is kept: RC_TOOBIG. */
enum rc arc_reader_toobig(struct archive_reader *);

/** archive_reader_open_fd(fd, name, cancel, r_r, why): takes ${fd}. */
RC_MUST_USE enum rc
archive_reader_open_fd(int fd, const char *name, const atomic_bool *cancel,
    struct archive_reader **r_r, char why[ARCHIVE_WHY_BYTES]);

RC_MUST_USE enum rc arc_scan(struct archive_reader *);
RC_MUST_USE enum rc arc_oci_images(struct archive_reader *);
RC_MUST_USE enum rc arc_docker_images(struct archive_reader *);
/** arc_reader_image(r, image, blob): one more. */
RC_MUST_USE enum rc arc_reader_image(
    struct archive_reader *, const struct archive_image *, uint32_t blob);

/** arc_graph_check(r, root, type): it and all below it are what they say. */
RC_MUST_USE enum rc
arc_graph_check(struct archive_reader *, uint32_t root, struct span type);

/** arc_manifest_read(b, arena, m_r, why): of a row with a text. */
RC_MUST_USE enum rc arc_manifest_read(const struct arc_blob *, struct arena *,
    struct manifest *m_r, char why[MANIFEST_WHY_BYTES]);
#define ARC_MANIFEST_ARENA_BYTES ((size_t)64 * 1024 * 1024)

/* Importing. */

/* A place that something goes to, in a list of a blob. */
struct arc_need {
	struct arc_need *next;
	struct arc_target *target;
	bool there;  /* already */
	bool tagged; /* it is to be put under a tag */
};

struct arc_target {
	struct place *place;
	uint32_t *manifests; /* that it gets, what others need first */
	size_t n, room;
};

/* What one import is about.  The lists of the blobs live with it. */
struct arc_plan {
	struct archive_reader *r;
	struct copy_progress *progress; /* or NULL */
	struct upstream_error *error;
	struct arena arena;
	struct arc_target *targets;
	size_t n_targets;
	size_t *of_image;   /* number of the target; SIZE_MAX: left out */
	uint64_t n_images;  /* that are not left out */
	uint64_t n_to_move; /* blobs */
};

/** arc_plan_make(p, open, arg): nothing is changed anywhere.  RC_MISSING:
 * neither the archive nor the place has some content; codes of places. */
RC_MUST_USE enum rc
arc_plan_make(struct arc_plan *, archive_place_fn *open, void *arg);
void arc_plan_free(struct arc_plan *);

/** arc_move(p): all blobs of the plan, in one walk. */
RC_MUST_USE enum rc arc_move(struct arc_plan *);

/* Writing. */
struct arc_written { /* a row: what stands in the file */
	struct digest digest;
	uint64_t size_bytes;
	uint32_t manifest; /* 1 + its number in .manifests; 0: it is none */
};

struct arc_child {
	struct digest digest;
	bool ours; /* of this machine's platform */
};

/* What has to be known of a manifest at the end. */
struct arc_written_manifest {
	struct digest digest;
	struct span type, artifact_type;
	uint64_t size_bytes;
	bool has_subject;
	struct digest subject;
	bool loadable; /* an image as docker loads them; then its layers, the
			  configuration in front */
	struct digest *layers;
	size_t n_layers;
	struct arc_child *children; /* of an index */
	size_t n_children;
};

/* That a manifest is in a repository; one row, and one for each tag.  By the
 * hash of "REPOSITORY@DIGEST" or "REPOSITORY:TAG". */
struct arc_listed {
	struct digest key;
	struct span repository, tag; /* without a tag: empty */
	uint32_t manifest;
	bool named; /* without a tag: an index or a tag of the repository has
		       it, so it need not be listed itself */
};

struct archive_writer {
	struct archive *a;
	int fd;
	bool own_fd;
	char *path, *partial; /* NULL: a descriptor of somebody else */
	int error;	      /* errno of the first write that failed */
	bool broken, aborted;
	char why[UPSTREAM_WHY_BYTES]; /* then: by what */
	bool folders, alg_folder[256];
	struct arena arena;
	struct arc_table written, listed;
	struct arc_written_manifest *manifests;
	uint32_t n_manifests, manifests_room;
	uint64_t texts_bytes, tags;
	unsigned n_places;
};

/** arc_writer_fail(w, rc, fmt, ...): ${rc}; the archive is of no use any more
 * for this reason, or for an earlier one. */
enum rc arc_writer_fail(struct archive_writer *, enum rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** arc_writer_entry(w, name, size): a file begins; then arc_writer_data(), as
 * much as was said.  RC_NOSPACE, RC_IO, as arc_writer_fail(). */
RC_MUST_USE enum rc
arc_writer_entry(struct archive_writer *, const char *name, uint64_t size);
RC_MUST_USE enum rc
arc_writer_data(struct archive_writer *, const void *p, size_t n);
/** arc_writer_file(w, name, text): all of one. */
RC_MUST_USE enum rc
arc_writer_file(struct archive_writer *, const char *name, struct span text);
/** arc_writer_blob(w, digest, size): as arc_writer_entry(); RC_TOOBIG. */
RC_MUST_USE enum rc
arc_writer_blob(struct archive_writer *, const struct digest *, uint64_t size);

/** arc_listed_key(repository, tag, digest, key_r): of a tag, or, where it is
 * empty, of a digest. */
void arc_listed_key(struct span repository, struct span tag,
    const struct digest *, struct digest *key_r);

/** arc_list_write(w): index.json and manifest.json. */
RC_MUST_USE enum rc arc_list_write(struct archive_writer *);

#endif
