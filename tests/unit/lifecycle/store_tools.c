#include "store_tools.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/manifest.h"
#include "base/obj.h"
#include "lifecycle_tools.h"
#include "storage/gc.h"
#include "storage/images.h"
#include "storage/repositories.h"
#include "storage/upload.h"

#define REPO SPAN("team/app")
#define TAGS_MAX 8
#define CHILDREN_MAX 8
#define TEXT_BYTES 64
#define LAYER_BYTES 10000

void
rig_reopen(struct rig *r)
{
	const struct store_options options = {
		.dir = r->dir,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)64 << 20,
		.upload_sessions_max = 10,
		.upload_lifetime_ms = 3600000,
		.max_threads = 8,
	};
	char why[STORE_WHY_BYTES] = "";

	if (store_open(&options, why, &r->s) != RC_OK)
		fail_msg("%s", why);
	r->m = store_meta(r->s);
	/* Nobody waits for the collector. */
	gc_grace_set(r->s, 0);
}

void
rig_shut(struct rig *r)
{
	store_close(&r->s);
	r->m = NULL;
}

void
rig_open(struct rig *r)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(r->dir, sizeof(r->dir), "%s/registryd-test-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(r->dir));
	rig_reopen(r);
}

static int
entry_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

void
rig_close(struct rig *r)
{
	rig_shut(r);
	(void)nftw(r->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- pushing ------------------------------------------------------------- */

static struct span
text_of(char letter, char out[TEXT_BYTES])
{
	int n = snprintf(out, TEXT_BYTES, "image %c", letter);

	return ((struct span){ out, (size_t)n });
}

static struct digest
digest_made(char letter)
{
	char text[TEXT_BYTES];
	struct span s = text_of(letter, text);
	struct digest d;

	digest_of(DIGEST_SHA256, s.p, s.n, &d);
	return (d);
}

static void
put(struct rig *r, struct span text, const char *tags, int64_t now_ms,
    struct manifest *manifest)
{
	struct span list[TAGS_MAX], rest = span_of(tags);
	struct manifest_put_result result = { 0 };
	struct manifest_put p = {
		.repository = REPO,
		.text = text,
		.manifest = manifest,
		.tags = list,
		.create = &repository_preset_default,
		.now_ms = now_ms,
	};

	while (span_split(&rest, ',', &list[p.n_tags])) {
		p.n_tags++;
		assert_true(p.n_tags < TAGS_MAX);
	}
	digest_of(DIGEST_SHA256, text.p, text.n, &p.digest);
	assert_int_equal(meta_manifest_put(r->m, &p, &result), RC_OK);
}

static struct manifest
manifest_made(enum manifest_kind kind)
{
	return ((struct manifest){
	    .kind = kind,
	    .media_type = span_of(
		kind == MANIFEST_INDEX ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST),
	});
}

void
rig_push(struct rig *r, char letter, const char *tags, double days)
{
	struct manifest m = manifest_made(MANIFEST_IMAGE);
	char text[TEXT_BYTES];

	put(r, text_of(letter, text), tags, days_ago(days), &m);
}

void
rig_push_index(struct rig *r, char letter, const char *tags, double days,
    const char *children)
{
	struct descriptor edges[CHILDREN_MAX];
	struct manifest m = manifest_made(MANIFEST_INDEX);
	char text[TEXT_BYTES];

	for (m.edges = edges; children[m.n_edges] != '\0'; m.n_edges++) {
		assert_true(m.n_edges < CHILDREN_MAX);
		edges[m.n_edges] = (struct descriptor){ .kind = EDGE_MANIFEST,
			.digest = digest_made(children[m.n_edges]),
			.size_bytes = 7,
			.media_type = SPAN(MEDIA_OCI_MANIFEST) };
	}
	put(r, text_of(letter, text), tags, days_ago(days), &m);
}

void
rig_push_referrer(struct rig *r, char letter, double days, char subject)
{
	struct manifest m = manifest_made(MANIFEST_IMAGE);
	char text[TEXT_BYTES];

	m.has_subject = true;
	m.subject = digest_made(subject);
	put(r, text_of(letter, text), "", days_ago(days), &m);
}

void
rig_push_many(struct rig *r, size_t n, double days)
{
	struct manifest m = manifest_made(MANIFEST_IMAGE);
	char text[TEXT_BYTES];
	size_t i;

	for (i = 0; i < n; i++) {
		(void)snprintf(text, sizeof(text), "one of many: %zu", i);
		put(r, span_of(text), "", days_ago(days) + (int64_t)i, &m);
	}
}

void
rig_push_large(struct rig *r, char letter, const char *tags, double days)
{
	struct descriptor edge = { .kind = EDGE_LAYER,
		.size_bytes = LAYER_BYTES,
		.media_type = SPAN("application/x") };
	struct manifest m = manifest_made(MANIFEST_IMAGE);
	char text[TEXT_BYTES], layer[LAYER_BYTES];

	memset(layer, letter, sizeof(layer));
	digest_of(DIGEST_SHA256, layer, sizeof(layer), &edge.digest);
	assert_int_equal(upload_whole(r->s, REPO, &edge.digest,
			     (struct span){ layer, sizeof(layer) }, SPAN_NONE,
			     &repository_preset_default),
	    RC_OK);
	m.edges = &edge;
	m.n_edges = 1;
	m.layers_size_bytes = LAYER_BYTES;
	put(r, text_of(letter, text), tags, days_ago(days), &m);
}

void
rig_collect(struct rig *r)
{
	const struct gc_options options = { .now_ms =
						clock_real_ms() + DAY_MS };
	struct gc_totals totals = { 0 };

	assert_int_equal(gc_run(r->s, &options, &totals), RC_OK);
}

/* Some of them share a time, and others come in the reverse order. */
void
rig_push_some(struct rig *r, size_t seed)
{
	static const char *const tags[] = { "", "t1", "t21", "u1", "t2", "x" };
	char letter, name[16];
	size_t i, x;

	for (i = 0; i < 14; i++) {
		letter = (char)('A' + i);
		x = (i + 3) * (seed + 5) * 2654435761U >> 7;
		(void)snprintf(name, sizeof(name), "%s%s%zu",
		    tags[x % ARRAY_LEN(tags)],
		    tags[x % ARRAY_LEN(tags)][0] == 't' ? "-" : "", i % 2);
		if (x % ARRAY_LEN(tags) == 0)
			name[0] = '\0';
		rig_push(r, letter, name,
		    (double)(x / 7 % 12) + 0.25 * (double)(x % 3));
		if (x / 5 % 4 == 0)
			rig_push(r, letter, "u-too", 0.1);
		if (x / 11 % 3 == 0)
			rig_pull(r, letter, 1);
		if (x / 13 % 5 == 0)
			rig_archive(r, letter, 96);
	}
	rig_push(r, 'A', "", 0.1);
	rig_restore(r, 'A', 0.1);
	rig_restore(r, 'C', 0.1);
	rig_restore(r, 'E', 0.1);
	rig_push_index(r, 'X', "t-multi", (double)(seed % 12), "ACE");
	rig_push_referrer(r, 'Y', 11, 'B');
}

/* --- what happens to images ---------------------------------------------- */

void
rig_pull(struct rig *r, char letter, double days)
{
	const struct digest d = digest_made(letter);

	meta_manifest_pulled(r->m, REPO, &d, days_ago(days));
}

static void
status_set(struct rig *r, char letter, enum image_status status, double days)
{
	const struct reference ref = { .is_digest = true,
		.digest = digest_made(letter) };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(r->m, REPO, &ref, status,
			     days_ago(days), &arena, &row, &holding),
	    RC_OK);
}

void
rig_archive(struct rig *r, char letter, double days)
{
	status_set(r, letter, IMAGE_ARCHIVED, days);
}

void
rig_restore(struct rig *r, char letter, double days)
{
	status_set(r, letter, IMAGE_ACTIVE, days);
}

void
rig_delete(struct rig *r, char letter)
{
	const struct digest d = digest_made(letter);
	struct holding holding;

	assert_int_equal(meta_manifest_delete(r->m, REPO, &d, &holding), RC_OK);
}

void
rig_empty(struct rig *r)
{
	struct repository_description d;
	enum rc rc;

	rc = meta_repository_delete(r->m, REPO, true, &arena, &d);
	assert_true(rc == RC_OK || rc == RC_NOTFOUND);
}

/* --- what there is ------------------------------------------------------- */

char
rig_letter(const struct digest *d)
{
	struct digest made;
	char letter;

	for (letter = 'A'; letter <= 'Z'; letter++) {
		made = digest_made(letter);
		if (digest_eq(d, &made))
			return (letter);
	}
	fail_msg("an image without a letter");
	return ('?');
}

void
rig_images(struct rig *r, const char *want)
{
	struct reference ref = { .is_digest = true };
	char is[128] = "", letter;
	struct image_row row;
	size_t n = 0;
	enum rc rc;

	for (letter = 'A'; letter <= 'Z'; letter++) {
		ref.digest = digest_made(letter);
		rc = meta_image_get(r->m, REPO, &ref, &arena, &row);
		if (rc == RC_NOTFOUND)
			continue;
		assert_int_equal(rc, RC_OK);
		n += (size_t)snprintf(is + n, sizeof(is) - n, "%s%s%c",
		    n > 0 ? " " : "", row.manifest.archived ? "a" : "", letter);
	}
	assert_string_equal(is, want);
}

uint64_t
rig_count(struct rig *r)
{
	uint64_t n;

	assert_int_equal(meta_image_count(r->m, REPO, &n), RC_OK);
	return (n);
}
