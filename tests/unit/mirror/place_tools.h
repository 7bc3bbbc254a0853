#ifndef TESTS_MIRROR_PLACE_TOOLS_H
#define TESTS_MIRROR_PLACE_TOOLS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mirror/place.h"

/*
 * A place in memory: a repository that counts what it is asked for and fails
 * when it is told to.  What a test cannot do ends it.
 */
enum mem_op {
	MEM_HEAD,
	MEM_GET,
	MEM_BLOB_OPEN,
	MEM_BLOB_READ,
	MEM_TAGS,
	MEM_REFERRERS,
	MEM_BLOB_HAS,
	MEM_BLOB_PUT,
	MEM_MANIFEST_PUT,
	MEM_TAG_DELETE,
	MEM_OPS,
};

struct mem_blob {
	struct digest digest;
	char *p;
	size_t n;
	bool corrupt; /* other bytes are given out */
};

struct mem_manifest {
	struct digest digest;
	char *type, *text;
	bool has_subject;
	struct digest subject;
	unsigned puts;
};

struct mem_tag {
	char *name;
	struct digest digest;
};

#define MEM_MAX 512
#define MEM_LOG_MAX 4096

struct mem {
	struct place place;
	pthread_mutex_t lock;
	struct mem_blob blobs[MEM_MAX];
	struct mem_manifest manifests[MEM_MAX];
	struct mem_tag tags[MEM_MAX];
	size_t n_blobs, n_manifests, n_tags;

	/* What it is like. */
	bool strict;	   /* an index needs its images, all their blobs */
	bool no_referrers; /* does not know the API: goes by tags */
	bool immutable;	   /* tags */
	size_t page;	   /* of tags; 0: all */
	bool closes_early; /* blobs are put without being read */
	void (*hook)(void *arg, enum mem_op); /* before each */
	void *hook_arg;

	/* The ${fail_at}th of this kind from now on fails, and those behind it
	 * until there were ${fail_times}. */
	enum mem_op fail_op;
	unsigned fail_at, fail_times;
	enum rc fail_rc;

	/* What happened. */
	unsigned count[MEM_OPS];
	uint64_t bytes_out, bytes_in;
	char log[MEM_LOG_MAX]; /* manifests and tags in the order of their
				  puts: "app:1" */
	unsigned at_once, at_once_max; /* blobs being put */
};

struct mem *mem_new(const char *name);
void mem_free(struct mem **);
/** mem_reset(m): counts begin anew. */
void mem_reset(struct mem *);
void mem_fail(struct mem *, enum mem_op, unsigned at, unsigned times, enum rc);

/* What is in it, made by the test. */
struct digest mem_blob(struct mem *, const char *text);
struct digest mem_big_blob(struct mem *, size_t n, unsigned seed);
struct digest
mem_manifest(struct mem *, const char *type, const char *text, const char *tag);
/** mem_image(m, tag, layers): a config and a layer for each word; tag "": none.
 */
struct digest mem_image(struct mem *, const char *tag, const char *layers);
/** mem_index(m, tag, children): "linux/amd64=DIGEST linux/arm/v7=DIGEST". */
struct digest mem_index(struct mem *, const char *tag, const char *children);
struct digest
mem_referrer(struct mem *, const struct digest *subject, const char *word);
void mem_tag(struct mem *, const char *tag, const struct digest *);
void mem_untag(struct mem *, const char *tag);
void mem_drop_blob(struct mem *, const struct digest *);

bool mem_has_blob(struct mem *, const struct digest *);
bool mem_has_manifest(struct mem *, const struct digest *);
/** mem_tag_is(m, tag, d): also that it is there. */
bool mem_tag_is(struct mem *, const char *tag, const struct digest *);
bool mem_has_tag(struct mem *, const char *tag);
size_t mem_tags_count(struct mem *);

/** mem_str(d): in one of several rooms, by turns. */
const char *mem_str(const struct digest *);

#endif
