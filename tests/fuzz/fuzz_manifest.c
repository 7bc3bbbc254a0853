#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/manifest.h"
#include "base/obj.h"

/*
 * The first line of the input is the Content-Type, the rest the manifest.
 * What is read must be sound, must be the same when read again as the type it
 * turned out to be, and must be refused as another.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ARENA_BYTES ((size_t)1 << 20)

static void
refusal_check(enum rc rc, const char why[MANIFEST_WHY_BYTES])
{
	must(rc == RC_INVALID || rc == RC_UNSUPPORTED || rc == RC_TOOBIG);
	must(why[0] != '\0');
	must(memchr(why, '\0', MANIFEST_WHY_BYTES) != NULL);
}

static void
edge_check(const struct manifest *m, size_t i)
{
	const struct descriptor *d = &m->edges[i];
	char text[DIGEST_STR_BYTES];
	struct digest again;

	must(digest_parse(span_of(digest_str(&d->digest, text)), &again) ==
	     RC_OK);
	must(digest_eq(&d->digest, &again));
	must(d->size_bytes <= INT64_MAX);
	must((d->kind == EDGE_CONFIG) == (m->kind == MANIFEST_IMAGE && i == 0));
	must(d->kind != EDGE_MANIFEST || m->kind == MANIFEST_INDEX);
	must(!d->nondistributable || d->kind == EDGE_LAYER);
}

static void
annotations_check(struct span text)
{
	char why[JSON_ERROR_BYTES];
	const char *key;
	json_t *doc, *value;

	if (text.n == 0)
		return;
	must(json_read(text, why, &doc) == RC_OK);
	must(json_object_size(doc) > 0);
	json_object_foreach(doc, key, value)
	{
		must(json_is_string(value));
	}
	json_decref(doc);
}

static void
manifest_check(const struct manifest *m, size_t n_bytes)
{
	size_t i;

	must(manifest_media_type_known(m->media_type));
	must(m->kind == MANIFEST_INDEX || m->n_edges > 0);
	/* No descriptor is shorter than its digest. */
	must(m->n_edges <= n_bytes / 64);
	must(m->annotations.n <= n_bytes);
	must(m->layers_size_bytes <= INT64_MAX);
	for (i = 0; i < m->n_edges; i++)
		edge_check(m, i);
	annotations_check(m->annotations);
}

static void
same_check(const struct manifest *a, const struct manifest *b)
{
	size_t i;

	must(a->kind == b->kind && a->n_edges == b->n_edges);
	must(span_eq(a->media_type, b->media_type));
	must(span_eq(a->artifact_type, b->artifact_type));
	must(span_eq(a->config_media_type, b->config_media_type));
	must(span_eq(a->annotations, b->annotations));
	must(a->has_subject == b->has_subject);
	must(!a->has_subject || digest_eq(&a->subject, &b->subject));
	must(a->subject_size_bytes == b->subject_size_bytes);
	must(a->layers_size_bytes == b->layers_size_bytes);
	for (i = 0; i < a->n_edges; i++) {
		must(digest_eq(&a->edges[i].digest, &b->edges[i].digest));
		must(a->edges[i].size_bytes == b->edges[i].size_bytes);
		must(span_eq(a->edges[i].media_type, b->edges[i].media_type));
	}
}

static void
again_check(const struct manifest *m, struct span text)
{
	char why[MANIFEST_WHY_BYTES];
	struct manifest again;
	struct arena arena;
	struct span other;

	arena_init(&arena, ARENA_BYTES);
	must(manifest_parse(m->media_type, text, &arena, &again, why) == RC_OK);
	must(why[0] == '\0');
	same_check(m, &again);
	other = m->kind == MANIFEST_IMAGE ? SPAN(MEDIA_OCI_INDEX)
					  : SPAN(MEDIA_OCI_MANIFEST);
	must(manifest_parse(other, text, &arena, &again, why) != RC_OK);
	arena_reset(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct span text = { (const char *)data, n_bytes }, type = SPAN_NONE;
	char why[MANIFEST_WHY_BYTES];
	struct arena arena;
	struct manifest m;
	enum rc rc;

	(void)span_split(&text, '\n', &type);
	arena_init(&arena, ARENA_BYTES);
	rc = manifest_parse(type, text, &arena, &m, why);
	if (rc == RC_OK) {
		manifest_check(&m, text.n);
		again_check(&m, text);
	} else {
		refusal_check(rc, why);
	}
	arena_reset(&arena);
	return (0);
}
