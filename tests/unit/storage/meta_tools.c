#include "meta_tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "storage/repositories.h"

int
mt_setup(void **state)
{
	struct mt *t = xcalloc(1, sizeof(*t));

	tool_folder(t->dir);
	t->options = tool_options(t->dir);
	t->s = tool_store_open(&t->options);
	tool_keys_open(t->s);
	t->m = store_meta(t->s);
	arena_init(&t->arena, (size_t)64 << 20);
	*state = t;
	return (0);
}

int
mt_teardown(void **state)
{
	struct mt *t = *state;

	arena_reset(&t->arena);
	store_close(&t->s);
	tool_folder_remove(t->dir);
	free(t);
	return (0);
}

void
mt_reopen(struct mt *t)
{
	store_close(&t->s);
	t->s = tool_store_open(&t->options);
	tool_keys_open(t->s);
	t->m = store_meta(t->s);
}

void
mt_sealed(struct mt *t, const char *repo, const char *kms_key)
{
	const struct repository_create create = {
		.name = span_of(repo),
		.preset.settings = {
			.encryption = kms_key != NULL ? ENCRYPTION_KMS
						      : ENCRYPTION_AES256,
			.kms_key = mt_span(kms_key),
		},
		.now_ms = 1000,
	};
	struct repository_row row;

	assert_int_equal(meta_repository_create(t->m, &create, &row), RC_OK);
	assert_int_not_equal(row.id >> 32, 0);
}

uint32_t
mt_domain(struct mt *t, const char *repo)
{
	struct repository_row row;

	assert_int_equal(meta_repository_get(t->m, span_of(repo), &row), RC_OK);
	return ((uint32_t)(row.id >> 32));
}

const struct repository_preset *
mt_preset(const char *repo)
{
	static const struct repository_preset one = {
		.settings.encryption = ENCRYPTION_KMS,
		.settings.kms_key = SPAN_INIT("one"),
	};
	static const struct repository_preset two = {
		.settings.encryption = ENCRYPTION_KMS,
		.settings.kms_key = SPAN_INIT("two"),
	};

	if (strncmp(repo, "k1/", 3) == 0)
		return (&one);
	return (
	    strncmp(repo, "k2/", 3) == 0 ? &two : &repository_preset_default);
}

struct digest
mt_digest(const char *text)
{
	return (tool_digest(text, strlen(text)));
}

struct span
mt_span(const char *text)
{
	return (text != NULL ? span_of(text) : SPAN_NONE);
}

struct digest
mt_blob(struct mt *t, const char *repo, const char *text)
{
	struct blob_put put = {
		.repository = span_of(repo),
		.digest = mt_digest(text),
		.size_bytes = strlen(text),
		.location = BLOB_IN_META,
		.content = span_of(text),
		.create = mt_preset(repo),
		.now_ms = 1000,
	};

	assert_int_equal(meta_blob_put(t->m, &put), RC_OK);
	return (put.digest);
}

bool
mt_has_blob(struct mt *t, const char *repo, const struct digest *d)
{
	struct digest is;
	struct blob_row row;
	enum rc rc;

	rc = meta_blob_get(t->m, span_of(repo), d, BLOB_CONTENT, READ_BLOCKING,
	    &t->arena, &row);
	if (rc == RC_NOTFOUND)
		return (false);
	assert_int_equal(rc, RC_OK);
	assert_int_equal(row.content.n, row.size_bytes);
	is = tool_digest(row.content.p, row.content.n);
	assert_true(digest_eq(&is, d));
	return (true);
}

struct descriptor
mt_edge(enum edge_kind kind, const struct digest *d)
{
	return ((struct descriptor){
	    .kind = kind,
	    .digest = *d,
	    .size_bytes = 7,
	    .media_type = SPAN("application/x"),
	});
}

/* No test gives a blob twice. */
static uint64_t
blobs_size(const struct mt_image *image)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < image->n_edges; i++)
		if (image->edges[i].kind != EDGE_MANIFEST)
			n += image->edges[i].size_bytes;
	return (n);
}

enum rc
mt_put(struct mt *t, const struct mt_image *image, struct digest *d_r,
    struct manifest_put_result *result_r)
{
	struct manifest manifest = {
		.kind = image->index ? MANIFEST_INDEX : MANIFEST_IMAGE,
		.media_type = mt_span(
		    image->index ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST),
		.artifact_type = mt_span(image->artifact_type),
		.annotations = mt_span(image->annotations),
		.edges = (struct descriptor *)(uintptr_t)image->edges,
		.n_edges = image->n_edges,
		.layers_size_bytes = blobs_size(image),
	};
	struct span tag = mt_span(image->tag);
	struct manifest_put put = {
		.repository = span_of(image->repo),
		.digest = mt_digest(image->text),
		.text = span_of(image->text),
		.manifest = &manifest,
		.tags = &tag,
		.n_tags = image->tag != NULL ? 1 : 0,
		.sparse = image->sparse,
		.quota = image->quota,
		.must_change = image->must_change,
		.scan = image->scan,
		.scannable = image->scannable,
		.import = image->import,
		.destinations = image->destinations,
		.n_destinations = image->n_destinations,
		.create = image->no_create ? NULL : mt_preset(image->repo),
		.now_ms = image->now_ms != 0 ? image->now_ms : 1000,
	};

	if (image->subject != NULL) {
		manifest.has_subject = true;
		manifest.subject = *image->subject;
	}
	*d_r = put.digest;
	return (meta_manifest_put(t->m, &put, result_r));
}

struct digest
mt_image(struct mt *t, const struct mt_image *image)
{
	struct manifest_put_result result = { 0 };
	struct digest d;

	assert_int_equal(mt_put(t, image, &d, &result), RC_OK);
	return (d);
}

struct digest
mt_plain(struct mt *t, const char *repo, const char *text, const char *tag)
{
	const struct mt_image image = {
		.repo = repo, .text = text, .tag = tag
	};

	return (mt_image(t, &image));
}

static enum rc
get_ref(struct mt *t, const char *repo, const struct reference *ref,
    struct manifest_row *row_r)
{
	struct digest is;
	enum rc rc;

	rc = meta_manifest_get(t->m, span_of(repo), ref, MANIFEST_TEXT,
	    READ_BLOCKING, &t->arena, row_r);
	if (rc != RC_OK)
		return (rc);
	is = tool_digest(row_r->text.p, row_r->text.n);
	assert_true(digest_eq(&is, &row_r->digest));
	assert_int_equal(row_r->size_bytes, row_r->text.n);
	return (RC_OK);
}

enum rc
mt_get(struct mt *t, const char *repo, const char *text,
    struct manifest_row *row_r)
{
	struct reference ref;

	assert_int_equal(reference_parse(span_of(text), &ref), RC_OK);
	return (get_ref(t, repo, &ref, row_r));
}

enum rc
mt_get_digest(struct mt *t, const char *repo, const struct digest *d,
    struct manifest_row *row_r)
{
	const struct reference ref = { .is_digest = true, .digest = *d };

	return (get_ref(t, repo, &ref, row_r));
}

struct store_stats
mt_stats(struct mt *t)
{
	struct store_stats st;

	store_stats(t->s, &st);
	return (st);
}
