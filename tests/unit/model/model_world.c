#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * What is pushed about: some content, images that share it, an index of
 * images, one of an index, and two that refer to others.
 */
static uint64_t
next_random(uint64_t *r)
{
	*r = *r * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (*r >> 33);
}

static unsigned
roll(uint64_t *r, unsigned n)
{
	return ((unsigned)(next_random(r) % n));
}

struct span
world_repo(unsigned repo)
{
	static const char *const names[REPOS] = { "a", "a/b", "c" };

	return (span_of(names[repo]));
}

/* Half of it small enough for the database; some of it can be compressed. */
static void
blob_make(struct world_blob *b, unsigned i, uint64_t *r)
{
	unsigned k;

	b->n = i < BLOBS / 2 ? 20 + i : INLINE_MAX + 100 + roll(r, 2000);
	b->bytes = xmalloc(b->n);
	for (k = 0; k < b->n; k++)
		b->bytes[k] =
		    (char)(i % 2 == 0 ? roll(r, 256) : 'a' + (k / 64 + i) % 26);
	(void)snprintf(b->bytes, 16, "blob %u %u", i, roll(r, 1000000));
	digest_of(DIGEST_SHA256, b->bytes, b->n, &b->digest);
}

static const char *
digest_text(struct world *w, const struct digest *d)
{
	char text[DIGEST_STR_BYTES];

	return (arena_printf(&w->arena, "%s", digest_str(d, text)));
}

static char *
blob_descriptor(struct world *w, unsigned b, const char *type)
{
	return (arena_printf(&w->arena,
	    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", type,
	    digest_text(w, &w->blobs[b].digest), w->blobs[b].n));
}

static char *
manifest_descriptor(struct world *w, unsigned i)
{
	const struct world_manifest *m = &w->manifests[i];

	return (arena_printf(&w->arena,
	    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}",
	    m->index ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST,
	    digest_text(w, &m->digest), m->text.n));
}

static char *
join(struct world *w, char *list, char *item)
{
	return (*list == '\0' ? item
			      : arena_printf(&w->arena, "%s,%s", list, item));
}

static char *
subject_member(struct world *w, const struct world_manifest *m)
{
	if (m->subject < 0)
		return (arena_printf(&w->arena, "%s", ""));
	return (arena_printf(&w->arena, ",\"subject\":%s",
	    manifest_descriptor(w, (unsigned)m->subject)));
}

static void
text_take(struct world *w, struct world_manifest *m, char *text)
{
	char why[MANIFEST_WHY_BYTES];

	m->text = span_of(text);
	digest_of(DIGEST_SHA256, m->text.p, m->text.n, &m->digest);
	must(manifest_parse(SPAN_NONE, m->text, &w->arena, &m->manifest, why) ==
	     RC_OK);
}

/* Its config is content 0 to 2, or all the same 1; layers are any. */
static void
image_make(struct world *w, unsigned i, uint64_t *r)
{
	struct world_manifest *m = &w->manifests[i];
	unsigned config = roll(r, BLOBS / 2), layer, n = 1 + roll(r, 2);
	char *layers = arena_printf(&w->arena, "%s", "");

	m->blobs = 1u << config;
	while (n-- > 0) {
		layer = roll(r, BLOBS);
		m->blobs |= 1u << layer;
		layers = join(w, layers,
		    blob_descriptor(
			w, layer, "application/vnd.oci.image.layer.v1.tar"));
	}
	text_take(w, m,
	    arena_printf(&w->arena,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,"
		"\"layers\":[%s],\"annotations\":{\"n\":\"%u\"}%s}",
		MEDIA_OCI_MANIFEST,
		blob_descriptor(
		    w, config, "application/vnd.oci.image.config.v1+json"),
		layers, i, subject_member(w, m)));
}

static void
index_make(struct world *w, unsigned i)
{
	struct world_manifest *m = &w->manifests[i];
	char *list = arena_printf(&w->arena, "%s", "");
	unsigned k;

	m->index = true;
	for (k = 0; k < MANIFESTS; k++)
		if ((m->children & 1u << k) != 0)
			list = join(w, list, manifest_descriptor(w, k));
	text_take(w, m,
	    arena_printf(&w->arena,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s],"
		"\"annotations\":{\"n\":\"%u\"}}",
		MEDIA_OCI_INDEX, list, i));
}

static void
order_make(struct world *w)
{
	unsigned i, k, n = 0;

	for (i = 0; i < MANIFESTS; i++, n++) {
		for (k = n;
		     k > 0 && digest_cmp(&w->manifests[w->order[k - 1]].digest,
				  &w->manifests[i].digest) > 0;
		     k--)
			w->order[k] = w->order[k - 1];
		w->order[k] = i;
	}
}

static void
tags_make(struct world *w)
{
	const struct digest *d = &w->manifests[0].digest;
	char hex[2 * DIGEST_BYTES_MAX + 1];
	unsigned i;

	for (i = 0; i < TAG_ABOUT_0; i++)
		(void)snprintf(w->tags[i], sizeof(w->tags[i]), "t%u", i);
	hex_encode(d->bytes, digest_len(d->alg), hex);
	(void)snprintf(w->tags[TAG_ABOUT_0], sizeof(w->tags[TAG_ABOUT_0]),
	    "sha256-%.64s.sig", hex);
}

void
world_make(struct world *w, uint64_t seed)
{
	uint64_t r = seed * 2654435761u + 12345;
	unsigned i;

	memset(w, 0, sizeof(*w));
	arena_init(&w->arena, (size_t)1 << 20);
	for (i = 0; i < BLOBS; i++)
		blob_make(&w->blobs[i], i, &r);
	for (i = 0; i < MANIFESTS; i++)
		w->manifests[i].subject = -1;
	w->manifests[4].children = 1 + roll(&r, 15);
	w->manifests[5].children = 1u << 4 | 1u << roll(&r, 4);
	w->manifests[6].subject = (int)roll(&r, 6);
	w->manifests[7].subject = (int)roll(&r, 7);
	for (i = 0; i < MANIFESTS; i++) {
		if (w->manifests[i].children != 0)
			index_make(w, i);
		else
			image_make(w, i, &r);
	}
	order_make(w);
	tags_make(w);
}

void
world_free(struct world *w)
{
	unsigned i;

	for (i = 0; i < BLOBS; i++)
		free(w->blobs[i].bytes);
	arena_reset(&w->arena);
}
