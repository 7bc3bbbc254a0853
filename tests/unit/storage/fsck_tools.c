#include "fsck_tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/obj.h"
#include "storage/content.h"
#include "storage/images.h"
#include "storage/lifecycles.h"

/* --- one of everything --------------------------------------------------- */

void
ft_blob_push(struct store *s, struct span repo, const char *p, size_t n,
    struct digest *d_r)
{
	*d_r = tool_digest(p, n);
	must(upload_whole(s, repo, d_r, (struct span){ p, n }, SPAN_NONE,
		 &repository_preset_default) == RC_OK);
}

enum rc
ft_manifest_push(struct store *s, struct span repo, const char *text,
    const char *tag, struct digest *d_r)
{
	struct manifest_put_result result;
	struct span tag_span = span_of(tag);
	char why[MANIFEST_WHY_BYTES];
	struct manifest m;
	struct arena a;
	enum rc rc;

	arena_init(&a, 1 << 20);
	*d_r = tool_digest(text, strlen(text));
	must(manifest_parse(SPAN_NONE, span_of(text), &a, &m, why) == RC_OK);
	rc = meta_manifest_put(store_meta(s),
	    &(struct manifest_put){
		.repository = repo,
		.digest = *d_r,
		.text = span_of(text),
		.manifest = &m,
		.tags = &tag_span,
		.n_tags = tag != NULL,
		.create = &repository_preset_default,
		.now_ms = clock_real_ms(),
	    },
	    &result);
	arena_reset(&a);
	return (rc);
}

const char *
ft_descriptor(
    const char *media_type, const struct digest *d, size_t n, char out[512])
{
	char text[DIGEST_STR_BYTES];

	snprintf(out, 512,
	    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", media_type,
	    digest_str(d, text), n);
	return (out);
}

size_t
ft_image_text(const struct digest *config, const struct digest *layer,
    size_t layer_n, const char *more, char out[2048])
{
	char c[512], l[512];

	return ((size_t)snprintf(out, 2048,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,"
	    "\"layers\":[%s]%s}",
	    MEDIA_OCI_MANIFEST,
	    ft_descriptor(
		"application/vnd.oci.image.config.v1+json", config, 2, c),
	    ft_descriptor(
		"application/vnd.oci.image.layer.v1.tar", layer, layer_n, l),
	    more));
}

static void
image_push(struct ft *f)
{
	char text[2048], one[512];
	size_t n;

	n = ft_image_text(&f->config, &f->layer, FT_LAYER_BYTES, "", text);
	assert_int_equal(
	    ft_manifest_push(f->s, FT_REPO, text, "v1", &f->image), RC_OK);
	snprintf(text + 1024, 1024,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}",
	    MEDIA_OCI_INDEX,
	    ft_descriptor(MEDIA_OCI_MANIFEST, &f->image, n, one));
	assert_int_equal(
	    ft_manifest_push(f->s, FT_REPO, text + 1024, "all", &f->index),
	    RC_OK);
}

static void
artifact_push(struct ft *f)
{
	char text[2048], more[1024], one[512];

	snprintf(more, sizeof(more),
	    ",\"artifactType\":\"application/x-sbom\",\"subject\":%s,"
	    "\"annotations\":{\"a\":\"b\"}",
	    ft_descriptor(MEDIA_OCI_MANIFEST, &f->image, 500, one));
	(void)ft_image_text(&f->config, &f->config, 2, more, text);
	assert_int_equal(
	    ft_manifest_push(f->s, FT_REPO, text, NULL, &f->artifact), RC_OK);
}

/* Notes and what is changed apart move no generation, so they stand for none. */
static void
lives_set(struct ft *f)
{
	const struct entity_change apart[] = {
		{ .entity = { ENTITY_NOTE, SPAN("AKIA1"), SPAN("{}") } },
		{ .entity = { ENTITY_REGISTRY, SPAN("account-settings"),
		      SPAN("{}") },
		    .apart = true },
		{ .entity = { ENTITY_CREATION_TEMPLATE, SPAN("ROOT"),
		      SPAN("{}") },
		    .apart = true },
	};
	uint64_t generation;

	assert_int_equal(
	    meta_entities_change(f->m, 0, apart, 3, &generation), RC_OK);
	assert_int_equal(meta_scan_start(f->m,
			     &(struct scan_start){
				 .repository = FT_REPO,
				 .digest = f->image,
				 .now_ms = 5000,
			     }),
	    RC_OK);
	assert_int_equal(
	    meta_lifecycle_set(f->m, FT_REPO, SPAN("{}"), 1, NULL), RC_OK);
	assert_int_equal(
	    meta_preview_start(f->m, FT_REPO, SPAN("{}"), 2), RC_OK);
}

static void
fill(struct ft *f)
{
	struct holding holding;
	struct upload *u;

	f->layer_bytes = tool_bytes(FT_LAYER_BYTES, 4);
	ft_blob_push(f->s, FT_REPO, "{}", 2, &f->config);
	ft_blob_push(f->s, FT_REPO, f->layer_bytes, FT_LAYER_BYTES, &f->layer);
	image_push(f);
	artifact_push(f);
	lives_set(f);
	assert_int_equal(meta_blob_mount(f->m,
			     &(struct blob_mount){
				 .from = FT_REPO,
				 .to = FT_OTHER,
				 .digest = f->layer,
				 .create = &repository_preset_default,
				 .now_ms = clock_real_ms(),
			     }),
	    RC_OK);
	ft_blob_push(f->s, FT_OTHER, "unheld", 6, &f->unheld);
	assert_int_equal(
	    meta_blob_unlink(f->m, FT_OTHER, &f->unheld, &holding), RC_OK);
	assert_int_equal(upload_start(f->s, FT_REPO, DIGEST_SHA256,
			     &repository_preset_default, f->upload),
	    RC_OK);
	assert_int_equal(
	    upload_acquire(f->s, FT_REPO, span_of(f->upload), &u), RC_OK);
	assert_int_equal(upload_write(u, "abc", 3), RC_OK);
	upload_release(&u);
}

void
ft_open(struct ft *f)
{
	f->s = tool_store_open(&f->options);
	f->m = store_meta(f->s);
}

int
ft_setup(void **state)
{
	struct ft *f = calloc(1, sizeof(*f));

	log_set_level(LOG_LVL_ERROR);
	tool_folder(f->dir);
	f->options = tool_options(f->dir);
	ft_open(f);
	fill(f);
	*state = f;
	return (0);
}

int
ft_teardown(void **state)
{
	struct ft *f = *state;

	store_close(&f->s);
	tool_folder_remove(f->dir);
	free(f->layer_bytes);
	free(f->more);
	free(f);
	return (0);
}

/* --- checking ------------------------------------------------------------ */

void
ft_result_add(void *arg, const struct fsck_problem *p)
{
	struct ft_result *r = arg;
	size_t at = strlen(r->texts);

	r->n++;
	r->kinds[p->kind]++;
	if (p->repaired)
		r->repaired++;
	snprintf(r->texts + at, sizeof(r->texts) - at, "  %s%s\n", p->text,
	    p->repaired ? " (repaired)" : "");
}

enum rc
ft_fsck(struct store *s, bool repair, struct ft_result *r)
{
	const struct fsck_options options = {
		.repair = repair,
		.problem = ft_result_add,
		.arg = r,
	};

	memset(r, 0, sizeof(*r));
	return (fsck_run(s, &options, &r->progress));
}

void
ft_assert_clean(struct store *s, const char *when)
{
	struct ft_result r;

	assert_int_equal(ft_fsck(s, false, &r), RC_OK);
	if (r.n > 0)
		print_error("%s:\n%s", when, r.texts);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.progress.problems, 0);
}

/* --- damage -------------------------------------------------------------- */

enum rc
ft_row_delete(
    struct meta_txn *t, enum meta_table table, const struct rec_key *k)
{
	return (kv_delete(t, table, key_span(k)));
}

enum rc
ft_row_spoil(struct meta_txn *t, enum meta_table table, const struct rec_key *k)
{
	return (kv_put(t, table, key_span(k), SPAN("\001spoilt")));
}

enum rc
ft_row_add(struct meta_txn *t, enum meta_table table, const struct rec_key *k)
{
	return (kv_put(t, table, key_span(k), rec_none()));
}

bool
ft_has_manifest(struct ft *f, const char *ref_text)
{
	struct manifest_row row;
	struct reference ref;
	struct arena a;
	enum rc rc;

	arena_init(&a, 1 << 20);
	assert_int_equal(reference_parse(span_of(ref_text), &ref), RC_OK);
	rc = meta_manifest_get(
	    f->m, FT_REPO, &ref, MANIFEST_TEXT, READ_BLOCKING, &a, &row);
	arena_reset(&a);
	return (rc == RC_OK);
}

bool
ft_has_blob(struct ft *f, const struct digest *d)
{
	struct content c;
	struct arena a;
	enum rc rc;

	arena_init(&a, 1 << 20);
	rc = content_open(f->s, FT_REPO, d, READ_BLOCKING, &a, &c);
	if (rc == RC_OK)
		content_close(&c);
	arena_reset(&a);
	return (rc == RC_OK);
}

bool
ft_has_all(struct ft *f)
{
	char artifact[DIGEST_STR_BYTES];

	return (ft_has_manifest(f, "v1") && ft_has_manifest(f, "all") &&
		ft_has_manifest(f, digest_str(&f->artifact, artifact)) &&
		ft_has_blob(f, &f->config) && ft_has_blob(f, &f->layer));
}

/* What a client would do who finds something missing. */
static void
push_again(struct ft *f)
{
	struct digest d;

	ft_blob_push(f->s, FT_REPO, "{}", 2, &d);
	ft_blob_push(f->s, FT_REPO, f->layer_bytes, FT_LAYER_BYTES, &d);
	image_push(f);
	artifact_push(f);
}

static void
damage_check(struct ft *f, const struct ft_damage *d)
{
	struct ft_result r;
	uint64_t records;

	assert_int_equal(meta_change(f->m, d->change, f, 0), RC_OK);
	assert_int_equal(ft_fsck(f->s, false, &r), RC_OK);
	if (r.kinds[d->kind] == 0)
		print_error("%s: not found:\n%s", d->name, r.texts);
	assert_true(r.kinds[d->kind] > 0);
	assert_int_equal(r.repaired, 0);
	records = r.progress.records;

	/* Looking has changed nothing. */
	assert_int_equal(ft_fsck(f->s, false, &r), RC_OK);
	assert_true(r.kinds[d->kind] > 0);
	assert_int_equal(r.progress.records, records);

	assert_int_equal(ft_fsck(f->s, true, &r), RC_OK);
	if (r.repaired != r.n)
		print_error("%s:\n%s", d->name, r.texts);
	assert_int_equal(r.repaired, r.n);
	assert_int_equal(r.progress.repaired, r.n);
	assert_true(r.n > 0);
	ft_assert_clean(f->s, d->name);

	if (d->kept && !ft_has_all(f))
		print_error("%s: something was lost\n", d->name);
	assert_true(!d->kept || ft_has_all(f));
	push_again(f);
	assert_true(ft_has_all(f));
	ft_assert_clean(f->s, d->name);
}

void
ft_damages_check(void **state, const struct ft_damage *damages, size_t n,
    int (*setup)(void **state))
{
	struct ft *f = *state;
	void *fresh = f;
	size_t i;

	for (i = 0; i < n; i++) {
		damage_check(f, &damages[i]);
		assert_int_equal(ft_teardown(&fresh), 0);
		assert_int_equal(setup(&fresh), 0);
		f = fresh;
	}
	*state = fresh;
}
