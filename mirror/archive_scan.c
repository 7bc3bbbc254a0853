#include "mirror/archive_int.h"

#include <archive.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * The look-through.  Every byte of the archive is read once before anything of
 * it is believed: content is held against its digest, layers of saved images
 * are compressed to see what they will be, and texts that may be manifests are
 * kept, because what they are shows only when index.json comes, which may
 * stand behind them all.
 */

/* What becomes of the content of an entry. */
struct taking {
	struct archive_reader *r;
	struct arc_walk *w;
	struct hasher *hasher; /* of what lies there */
	struct hasher *packed; /* of what is pushed; NULL: the same */
	struct arc_gzip gzip;
	uint64_t packed_bytes;
	bool keep;
	struct buf text;
};

static bool
is_space(char c)
{
	return (c == ' ' || c == '\t' || c == '\n' || c == '\r');
}

/* By its first bytes: may it be an object of JSON? */
static bool
begins_object(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && is_space(p[i]))
		i++;
	return (i == n || p[i] == '{');
}

static bool
is_gzip(const uint8_t *p, size_t n)
{
	return (n >= 2 && p[0] == 0x1f && p[1] == 0x8b);
}

static bool
is_zstd(const uint8_t *p, size_t n)
{
	return (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0);
}

static enum rc
packed_flush(struct taking *t)
{
	hasher_update(t->packed, t->gzip.out.p, t->gzip.out.n);
	t->packed_bytes += t->gzip.out.n;
	buf_clear(&t->gzip.out);
	return (RC_OK);
}

/* The first block of a layer tells whether it is compressed. */
static enum rc
layer_begin(struct taking *t, const void *p, size_t n)
{
	if (is_zstd(p, n))
		return (arc_walk_refuse(t->w,
		    "a layer of a saved image that is compressed with zstd, "
		    "for which manifests of docker have no word"));
	if (is_gzip(p, n))
		return (RC_OK);
	t->packed = hasher_new(DIGEST_SHA256);
	if (arc_gzip_begin(&t->gzip) != RC_OK)
		return (arc_walk_refuse(t->w, "it cannot be compressed"));
	return (RC_OK);
}

static enum rc
block_take(struct taking *t, const void *p, size_t n)
{
	enum rc rc;

	if (t->w->taken_bytes == n) {
		if (t->w->name.kind == ARC_BLOB && !begins_object(p, n))
			t->keep = false;
		if (t->w->name.kind == ARC_LAYER &&
		    (rc = layer_begin(t, p, n)) != RC_OK)
			return (rc);
	}
	hasher_update(t->hasher, p, n);
	if (t->keep)
		buf_add(&t->text, p, n);
	if (t->packed == NULL)
		return (RC_OK);
	if (arc_gzip_feed(&t->gzip, p, n) != RC_OK)
		return (arc_walk_refuse(t->w, "it cannot be compressed"));
	return (packed_flush(t));
}

static enum rc
content_take(struct taking *t)
{
	const void *p;
	size_t n;
	enum rc rc;

	for (;;) {
		if ((rc = arc_walk_block(t->w, &p, &n)) != RC_OK)
			return (rc);
		if (n == 0)
			break;
		if ((rc = block_take(t, p, n)) != RC_OK)
			return (rc);
	}
	if (t->w->name.kind == ARC_LAYER && t->w->taken_bytes == 0 &&
	    (rc = layer_begin(t, "", 0)) != RC_OK)
		return (rc);
	if (t->packed == NULL)
		return (RC_OK);
	if (arc_gzip_end(&t->gzip) != RC_OK)
		return (arc_walk_refuse(t->w, "it cannot be compressed"));
	return (packed_flush(t));
}

static enum rc
text_keep(struct taking *t, struct span *text_r)
{
	*text_r = arena_span(&t->r->arena, buf_as_span(&t->text));
	return (text_r->p != NULL ? RC_OK : arc_reader_toobig(t->r));
}

static bool
may_be_manifest(struct span text)
{
	return (memmem(text.p != NULL ? text.p : "", text.n,
		    "\"schemaVersion\"", 15) != NULL);
}

static enum rc
blob_note(struct taking *t)
{
	const struct digest *claimed = &t->w->name.digest;
	struct arc_blob *b;
	struct digest is;
	bool fresh;

	hasher_final(t->hasher, &is);
	if (!digest_eq(&is, claimed))
		return (arc_walk_refuse(
		    t->w, "its content is not what its name says"));
	b = arc_table_at(
	    &t->r->blobs, arc_table_add(&t->r->blobs, claimed, &fresh));
	b->here = true;
	b->size_bytes = t->w->size_bytes;
	b->subject = ARC_NONE;
	if (!t->keep || !may_be_manifest(buf_as_span(&t->text)))
		return (RC_OK);
	return (text_keep(t, &b->text));
}

/* Files of saved images are found by their names.  NULL: no room. */
static struct arc_saved *
saved_add(struct taking *t)
{
	struct arc_saved *s;
	struct digest key;
	struct span name;
	bool fresh;

	if ((name = arena_span(&t->r->arena, t->w->name.text)).p == NULL)
		return (NULL);
	arc_name_key(name, &key);
	s = arc_table_at(
	    &t->r->saved, arc_table_add(&t->r->saved, &key, &fresh));
	s->name = name;
	s->kind = t->w->name.kind;
	return (s);
}

static enum rc
saved_toomany(struct taking *t)
{
	return (arc_walk_refuse(t->w,
	    "there are more than %d layers and configurations of saved images",
	    ARCHIVE_SAVED_MAX));
}

static enum rc
saved_note(struct taking *t)
{
	struct arc_saved *s;

	if (t->r->saved.n == ARCHIVE_SAVED_MAX)
		return (saved_toomany(t));
	if ((s = saved_add(t)) == NULL)
		return (arc_reader_toobig(t->r));
	hasher_final(t->hasher, &s->raw);
	s->digest = s->raw;
	s->size_bytes = t->w->size_bytes;
	s->packed = s->kind == ARC_LAYER && t->packed == NULL;
	if (t->packed != NULL) {
		hasher_final(t->packed, &s->digest);
		s->size_bytes = t->packed_bytes;
	}
	return (s->kind == ARC_CONFIG ? text_keep(t, &s->text) : RC_OK);
}

static enum rc
link_note(struct taking *t)
{
	struct arc_saved *s;

	if (t->r->saved.n == ARCHIVE_SAVED_MAX)
		return (saved_toomany(t));
	if ((s = saved_add(t)) == NULL)
		return (arc_reader_toobig(t->r));
	s->link = arena_span(&t->r->arena, span_of(t->w->link));
	return (s->link.p != NULL ? RC_OK : arc_reader_toobig(t->r));
}

static enum rc
entry_note(struct taking *t)
{
	switch (t->w->name.kind) {
	case ARC_LAYOUT:
		return (text_keep(t, &t->r->layout));
	case ARC_INDEX:
		return (text_keep(t, &t->r->index));
	case ARC_MANIFEST:
		return (t->keep ? text_keep(t, &t->r->manifest) : RC_OK);
	case ARC_BLOB:
		return (blob_note(t));
	case ARC_CONFIG:
	case ARC_LAYER:
		return (saved_note(t));
	case ARC_LEGACY:
	case ARC_FOLDER:
		break;
	}
	return (RC_OK);
}

/* What is kept in memory has to be small. */
static enum rc
size_check(struct taking *t)
{
	bool json =
	    t->w->name.kind == ARC_LAYOUT || t->w->name.kind == ARC_INDEX ||
	    t->w->name.kind == ARC_MANIFEST || t->w->name.kind == ARC_CONFIG;

	/* Of a layout nobody reads it. */
	if (t->w->name.kind == ARC_MANIFEST &&
	    t->w->size_bytes > ARCHIVE_JSON_MAX_BYTES) {
		t->r->manifest_toobig = true;
		return (RC_OK);
	}
	if (json && t->w->size_bytes > ARCHIVE_JSON_MAX_BYTES)
		return (arc_walk_refuse(t->w,
		    "JSON of %llu bytes; at most %zu are read",
		    (unsigned long long)t->w->size_bytes,
		    ARCHIVE_JSON_MAX_BYTES));
	t->keep = json || (t->w->name.kind == ARC_BLOB &&
			      t->w->size_bytes <= UPSTREAM_MANIFEST_MAX_BYTES);
	return (RC_OK);
}

static enum rc
entry_take(struct archive_reader *r, struct arc_walk *w)
{
	struct taking t = { .r = r, .w = w };
	enum rc rc;

	if (w->link[0] != '\0')
		return (link_note(&t));
	if ((rc = size_check(&t)) != RC_OK)
		return (rc);
	buf_init(&t.text, ARCHIVE_JSON_MAX_BYTES);
	t.hasher = hasher_new(
	    w->name.kind == ARC_BLOB ? w->name.digest.alg : DIGEST_SHA256);
	if ((rc = content_take(&t)) == RC_OK)
		rc = entry_note(&t);
	hasher_free(&t.hasher);
	hasher_free(&t.packed);
	arc_gzip_free(&t.gzip);
	buf_free(&t.text);
	return (rc);
}

/* Each name once, however it is written. */
static enum rc
name_note(struct archive_reader *r, struct arc_walk *w)
{
	struct digest key;
	bool fresh;

	arc_name_key(w->name.text, &key);
	(void)arc_table_add(&r->names, &key, &fresh);
	return (fresh ? RC_OK : arc_walk_refuse(w, "it stands there twice"));
}

static enum rc
walk_all(struct archive_reader *r, struct arc_walk *w)
{
	enum rc rc;

	while ((rc = arc_walk_next(w)) == RC_OK) {
		if ((rc = name_note(r, w)) != RC_OK)
			return (rc);
		if (w->name.kind != ARC_FOLDER &&
		    (rc = entry_take(r, w)) != RC_OK)
			return (rc);
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
arc_scan(struct archive_reader *r)
{
	struct arc_walk w;
	enum rc rc;

	if ((rc = arc_walk_begin(&w, r->fd, r->cancel)) == RC_OK)
		rc = walk_all(r, &w);
	if (rc != RC_OK && w.why[0] != '\0')
		(void)arc_reader_refuse(r, "%s", w.why);
	arc_walk_end(&w);
	return (rc);
}
