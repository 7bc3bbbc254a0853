#include "archive_help.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/place_int.h"

/* --- a repository in memory ---------------------------------------------- */

static struct held *
held_of(struct place *p)
{
	return ((struct held *)p);
}

const struct held_blob *
held_find(const struct held *h, const struct digest *d)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (digest_eq(&h->rows[i].digest, d))
			return (&h->rows[i]);
	return (NULL);
}

const struct digest *
held_tag_of(const struct held *h, const char *tag)
{
	size_t i;

	for (i = 0; i < h->n_tags; i++)
		if (strcmp(h->tags[i].name, tag) == 0)
			return (&h->tags[i].digest);
	return (NULL);
}

void
held_add(struct held *h, const char *type, struct span text, struct digest *d_r)
{
	struct held_blob *row;

	digest_of(DIGEST_SHA256, text.p, text.n, d_r);
	row = (struct held_blob *)held_find(h, d_r);
	if (row == NULL) {
		assert_true(h->n < HELD_MAX);
		row = &h->rows[h->n++];
		*row = (struct held_blob){ .digest = *d_r, .n = text.n };
		row->p = xmalloc(text.n + 1);
		memcpy(row->p, text.p, text.n);
	}
	if (type != NULL && row->type == NULL)
		row->type = xstrdup(type);
}

void
held_tag(struct held *h, const char *tag, const struct digest *d)
{
	struct held_tag *row;

	assert_true(h->n_tags < HELD_TAGS_MAX);
	row = &h->tags[h->n_tags++];
	(void)snprintf(row->name, sizeof(row->name), "%s", tag);
	row->digest = *d;
}

static enum rc
held_manifest(struct place *p, const struct reference *ref, struct arena *arena,
    struct place_manifest *m_r, struct upstream_error *error)
{
	const struct held *h = held_of(p);
	const struct digest *d = &ref->digest;
	const struct held_blob *row;
	char tag[128];

	if (!ref->is_digest) {
		(void)snprintf(tag, sizeof(tag), SPAN_FMT, SPAN_ARG(ref->tag));
		d = held_tag_of(h, tag);
	}
	row = d != NULL ? held_find(h, d) : NULL;
	if (row == NULL || row->type == NULL)
		return (place_fail(error, RC_NOTFOUND, "no such manifest"));
	*m_r = (struct place_manifest){
		.digest = row->digest,
		.media_type = arena_span(arena, span_of(row->type)),
		.text = arena_span(arena, (struct span){ row->p, row->n }),
		.size_bytes = row->n,
	};
	return (RC_OK);
}

struct held_reading {
	struct place_blob base;
	const struct held_blob *row;
	size_t at;
};

static enum rc
reading_read(struct place_blob *b, void *p, size_t room, size_t *n_r,
    struct upstream_error *error)
{
	struct held_reading *r = (struct held_reading *)b;

	(void)error;
	/* In small pieces. */
	*n_r = r->row->n - r->at < 1000 ? r->row->n - r->at : 1000;
	*n_r = *n_r < room ? *n_r : room;
	memcpy(p, r->row->p + r->at, *n_r);
	r->at += *n_r;
	return (RC_OK);
}

static void
reading_close(struct place_blob *b)
{
	free(b);
}

static enum rc
held_blob_open(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct place_blob **b_r, struct upstream_error *error)
{
	struct held *h = held_of(p);
	const struct held_blob *row = held_find(h, d);
	struct held_reading *r;

	(void)size_bytes;
	if (row == NULL)
		return (place_fail(error, RC_NOTFOUND, "no such blob"));
	h->blob_opens++;
	r = xcalloc(1, sizeof(*r));
	r->base.read = reading_read;
	r->base.close = reading_close;
	r->row = row;
	*b_r = &r->base;
	return (RC_OK);
}

static enum rc
held_referrers(struct place *p, const struct digest *subject,
    struct arena *arena, struct upstream_referrer **rows_r, size_t *n_r,
    struct upstream_error *error)
{
	const struct held *h = held_of(p);
	char why[MANIFEST_WHY_BYTES];
	struct manifest m;
	size_t i;

	(void)error;
	*n_r = 0;
	*rows_r = arena_calloc(arena, HELD_MAX, sizeof(**rows_r));
	for (i = 0; i < h->n; i++) {
		if (h->rows[i].type == NULL)
			continue;
		assert_int_equal(
		    manifest_parse(span_of(h->rows[i].type),
			(struct span){ h->rows[i].p, h->rows[i].n }, arena, &m,
			why),
		    RC_OK);
		if (!m.has_subject || !digest_eq(&m.subject, subject))
			continue;
		(*rows_r)[(*n_r)++] = (struct upstream_referrer){
			.digest = h->rows[i].digest,
			.media_type = m.media_type,
			.artifact_type = m.artifact_type,
			.size_bytes = h->rows[i].n,
		};
	}
	return (RC_OK);
}

static enum rc
held_blob_has(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct upstream_error *error)
{
	(void)size_bytes;
	(void)error;
	return (held_find(held_of(p), d) != NULL ? RC_OK : RC_NOTFOUND);
}

static enum rc
held_blob_put(struct place *p, const struct digest *d, uint64_t size_bytes,
    struct place_blob *from, struct upstream_error *error)
{
	struct held *h = held_of(p);
	char *all = xmalloc(size_bytes + 1);
	struct digest is;
	size_t n = 0, some;
	enum rc rc;

	h->blob_puts++;
	/* Some bytes at a time, and one more than there should be. */
	while ((rc = from->read(from, all + n,
		    size_bytes + 1 - n < 777 ? size_bytes + 1 - n : 777, &some,
		    error)) == RC_OK &&
	       some > 0)
		n += some;
	digest_of(d->alg, all, n, &is);
	if (rc == RC_OK && !digest_eq(&is, d))
		rc = place_fail(error, RC_DIGEST, "another digest");
	if (rc == RC_OK)
		held_add(h, NULL, (struct span){ all, n }, &is);
	free(all);
	return (rc);
}

static enum rc
held_check(struct held *h, const struct manifest *m)
{
	size_t i;

	for (i = 0; i < m->n_edges; i++)
		if (held_find(h, &m->edges[i].digest) == NULL &&
		    !(h->sparse && m->edges[i].kind == EDGE_MANIFEST))
			return (RC_MISSING);
	return (RC_OK);
}

static enum rc
held_manifest_put(struct place *p, const struct place_manifest *pm,
    struct span tag, struct upstream_error *error)
{
	struct held *h = held_of(p);
	char why[MANIFEST_WHY_BYTES], *text;
	struct arena arena;
	struct manifest m;
	struct digest d;
	enum rc rc;

	h->manifest_puts++;
	arena_init(&arena, (size_t)1 << 20);
	assert_int_equal(
	    manifest_parse(pm->media_type, pm->text, &arena, &m, why), RC_OK);
	rc = held_check(h, &m);
	arena_reset(&arena);
	if (rc != RC_OK)
		return (place_fail(error, rc, "something is missing"));
	text = xstrndup(pm->media_type.p, pm->media_type.n);
	held_add(h, text, pm->text, &d);
	free(text);
	assert_true(digest_eq(&d, &pm->digest));
	if (tag.n > 0) {
		text = xstrndup(tag.p, tag.n);
		held_tag(h, text, &d);
		free(text);
	}
	return (RC_OK);
}

static void
held_free(struct place *p)
{
	(void)p;
}

static const struct place_ops held_ops = {
	.manifest_head = held_manifest,
	.manifest_get = held_manifest,
	.blob_open = held_blob_open,
	.referrers = held_referrers,
	.blob_has = held_blob_has,
	.blob_put = held_blob_put,
	.manifest_put = held_manifest_put,
	.free = held_free,
};

void
held_init(struct held *h)
{
	memset(h, 0, sizeof(*h));
	h->base.ops = &held_ops;
	h->base.name = "memory";
}

void
held_clear(struct held *h)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		free(h->rows[i].p);
		free(h->rows[i].type);
	}
	held_init(h);
}

void
held_same(const struct held *a, const struct held *b)
{
	const struct digest *d;
	size_t i;

	assert_int_equal(a->n, b->n);
	assert_int_equal(a->n_tags, b->n_tags);
	for (i = 0; i < a->n; i++)
		assert_non_null(held_find(b, &a->rows[i].digest));
	for (i = 0; i < a->n_tags; i++) {
		d = held_tag_of(b, a->tags[i].name);
		assert_non_null(d);
		assert_true(digest_eq(d, &a->tags[i].digest));
	}
}

/* --- images -------------------------------------------------------------- */

static char *
descriptor(const char *type, const struct digest *d, size_t n, const char *more)
{
	char text[DIGEST_STR_BYTES];

	return (xasprintf("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu"
			  "%s}",
	    type, digest_str(d, text), n, more));
}

void
image_add(struct held *h, const char *of, struct made *m_r)
{
	char *config = xasprintf("{\"comment\":\"%s\"}", of), *text, *c, *l;
	/* Larger than what is read at once. */
	size_t n = 300000 + strlen(of);
	char *layer = xmalloc(n + 1);

	memset(layer, 'x', n);
	memcpy(layer, of, strlen(of));
	held_add(h, NULL, span_of(config), &m_r->config);
	held_add(h, NULL, (struct span){ layer, n }, &m_r->layer);
	c = descriptor("application/vnd.oci.image.config.v1+json", &m_r->config,
	    strlen(config), "");
	l = descriptor(
	    "application/vnd.oci.image.layer.v1.tar", &m_r->layer, n, "");
	text = xasprintf("{\"schemaVersion\":2,\"mediaType\":\"%s\","
			 "\"config\":%s,\"layers\":[%s]}",
	    MEDIA_OCI_MANIFEST, c, l);
	held_add(h, MEDIA_OCI_MANIFEST, span_of(text), &m_r->manifest);
	m_r->manifest_bytes = strlen(text);
	free(config);
	free(layer);
	free(text);
	free(c);
	free(l);
}

void
index_add(struct held *h, const struct made *a, const struct made *b,
    struct digest *d_r)
{
	char *text, *x, *y;

	x = descriptor(MEDIA_OCI_MANIFEST, &a->manifest, a->manifest_bytes,
	    ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}");
	y = descriptor(MEDIA_OCI_MANIFEST, &b->manifest, b->manifest_bytes,
	    ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}");
	text = xasprintf("{\"schemaVersion\":2,\"mediaType\":\"%s\","
			 "\"manifests\":[%s,%s]}",
	    MEDIA_OCI_INDEX, x, y);
	held_add(h, MEDIA_OCI_INDEX, span_of(text), d_r);
	free(text);
	free(x);
	free(y);
}

void
signature_add(struct held *h, const char *of, const struct digest *subject,
    size_t subject_bytes, struct digest *d_r)
{
	struct digest config, layer;
	char *text, *c, *l, *s;

	held_add(h, NULL, SPAN("{}"), &config);
	held_add(h, NULL, span_of(of), &layer);
	c = descriptor("application/vnd.oci.empty.v1+json", &config, 2, "");
	l = descriptor("text/plain", &layer, strlen(of), "");
	s = descriptor(MEDIA_OCI_MANIFEST, subject, subject_bytes, "");
	text = xasprintf("{\"schemaVersion\":2,\"mediaType\":\"%s\","
			 "\"artifactType\":\"test/signature\",\"config\":%s,"
			 "\"layers\":[%s],\"subject\":%s}",
	    MEDIA_OCI_MANIFEST, c, l, s);
	held_add(h, MEDIA_OCI_MANIFEST, span_of(text), d_r);
	free(text);
	free(c);
	free(l);
	free(s);
}

/* --- tar files ----------------------------------------------------------- */

struct tarring {
	struct archive *a;
};

struct tarring *
tar_begin(const char *path, enum tar_packing packing)
{
	struct tarring *t = xcalloc(1, sizeof(*t));

	t->a = archive_write_new();
	assert_int_equal(archive_write_set_format_pax(t->a), ARCHIVE_OK);
	if (packing == TAR_GZIP || packing == TAR_GZIP_TWICE)
		assert_int_equal(
		    archive_write_add_filter_gzip(t->a), ARCHIVE_OK);
	if (packing == TAR_GZIP_TWICE)
		assert_int_equal(
		    archive_write_add_filter_gzip(t->a), ARCHIVE_OK);
	if (packing == TAR_ZSTD)
		assert_int_equal(
		    archive_write_add_filter_zstd(t->a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(t->a, path), ARCHIVE_OK);
	return (t);
}

static void
head_put(struct tarring *t, struct archive_entry *e)
{
	assert_int_equal(archive_write_header(t->a, e), ARCHIVE_OK);
	archive_entry_free(e);
}

static struct archive_entry *
head_make(const char *name, size_t n)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (la_int64_t)n);
	return (e);
}

void
tar_file(struct tarring *t, const char *name, struct span text)
{
	head_put(t, head_make(name, text.n));
	assert_int_equal(archive_write_data(t->a, text.p, text.n), text.n);
}

void
tar_text(struct tarring *t, const char *name, const char *text)
{
	tar_file(t, name, span_of(text));
}

void
tar_blob(struct tarring *t, struct span text, struct digest *d_r)
{
	char digest[DIGEST_STR_BYTES], name[DIGEST_STR_BYTES + 8];

	digest_of(DIGEST_SHA256, text.p, text.n, d_r);
	(void)snprintf(name, sizeof(name), "blobs/sha256/%s",
	    digest_str(d_r, digest) + strlen("sha256:"));
	tar_file(t, name, text);
}

void
tar_entry(struct tarring *t, const char *name, unsigned type, const char *link)
{
	struct archive_entry *e = head_make(name, 0);

	archive_entry_set_filetype(e, type != 0 ? type : AE_IFREG);
	if (type == S_IFLNK)
		archive_entry_set_symlink(e, link);
	else if (type == 0)
		archive_entry_set_hardlink(e, link);
	head_put(t, e);
}

void
tar_zeros(struct tarring *t, const char *name, size_t n)
{
	static const char zeros[65536];
	size_t some;

	head_put(t, head_make(name, n));
	for (; n > 0; n -= some) {
		some = n < sizeof(zeros) ? n : sizeof(zeros);
		assert_int_equal(archive_write_data(t->a, zeros, some), some);
	}
}

void
tar_sparse(struct tarring *t, const char *name)
{
	struct archive_entry *e = head_make(name, 1 << 20);
	char *all = xcalloc(1, 1 << 20);

	archive_entry_sparse_add_entry(e, 4096, 4096);
	head_put(t, e);
	assert_int_equal(archive_write_data(t->a, all, 1 << 20), 1 << 20);
	free(all);
}

void
tar_end(struct tarring *t)
{
	assert_int_equal(archive_write_close(t->a), ARCHIVE_OK);
	assert_int_equal(archive_write_free(t->a), ARCHIVE_OK);
	free(t);
}

static struct archive *
tar_open(const char *path)
{
	struct archive *a = archive_read_new();

	assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
	assert_int_equal(archive_read_support_filter_all(a), ARCHIVE_OK);
	assert_int_equal(
	    archive_read_open_filename(a, path, 65536), ARCHIVE_OK);
	return (a);
}

char *
tar_names(const char *path)
{
	struct archive *a = tar_open(path);
	struct archive_entry *e;
	struct buf out;

	buf_init(&out, 1 << 20);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK)
		buf_printf(&out, "%s\n", archive_entry_pathname(e));
	(void)archive_read_free(a);
	return (buf_take(&out, NULL));
}

char *
tar_get(const char *path, const char *name, size_t *n_r)
{
	struct archive *a = tar_open(path);
	struct archive_entry *e;
	char *all;

	for (;;) {
		if (archive_read_next_header(a, &e) != ARCHIVE_OK)
			fail_msg("no entry %s", name);
		if (strcmp(archive_entry_pathname(e), name) == 0)
			break;
	}
	*n_r = (size_t)archive_entry_size(e);
	all = xcalloc(1, *n_r + 1);
	assert_int_equal(archive_read_data(a, all, *n_r), *n_r);
	(void)archive_read_free(a);
	return (all);
}

char *
file_read(const char *path, size_t *n_r)
{
	FILE *f = fopen(path, "rb");
	struct buf out;
	char some[65536];
	size_t n;

	assert_non_null(f);
	buf_init(&out, (size_t)1 << 30);
	while ((n = fread(some, 1, sizeof(some), f)) > 0)
		buf_add(&out, some, n);
	assert_int_equal(fclose(f), 0);
	return (buf_take(&out, n_r));
}

void
file_write(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}
