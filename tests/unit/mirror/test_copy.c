#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/copy_int.h"
#include "place_tools.h"

/*
 * Copies between two repositories in memory.
 */
struct two {
	struct mem *from, *to;
	struct copy_options o;
	struct copy_progress progress;
	struct copy_result result;
	struct upstream_error error;
	atomic_bool cancel;
};

static int
two_new(void **state)
{
	struct two *t = xcalloc(1, sizeof(*t));

	t->from = mem_new("from.example/app");
	t->to = mem_new("to.example/app");
	t->o.progress = &t->progress;
	t->o.cancel = &t->cancel;
	*state = t;
	return (0);
}

static int
two_free(void **state)
{
	struct two *t = *state;

	mem_free(&t->from);
	mem_free(&t->to);
	free(t);
	return (0);
}

static void
two_reset(struct two *t)
{
	mem_reset(t->from);
	mem_reset(t->to);
	memset(&t->progress, 0, sizeof(t->progress));
}

static enum rc
copy_tag(struct two *t, const char *tag)
{
	const struct reference ref = { .tag = span_of(tag) };

	memset(&t->error, 0, sizeof(t->error));
	return (copy_image(&t->from->place, &ref, &t->to->place, span_of(tag),
	    &t->o, &t->result, &t->error));
}

static enum rc
copy_digest(struct two *t, const struct digest *d, const char *tag)
{
	const struct reference ref = { .is_digest = true, .digest = *d };

	return (copy_image(&t->from->place, &ref, &t->to->place, span_of(tag),
	    &t->o, &t->result, &t->error));
}

#define MOVES(t, tag) \
	assert_int_equal(copy_tag((t), (tag)), RC_OK), \
	    assert_int_equal((t)->result.outcome, COPY_MOVED)
#define SAME(t, tag) \
	assert_int_equal(copy_tag((t), (tag)), RC_OK), \
	    assert_int_equal((t)->result.outcome, COPY_SAME)

static unsigned
asked(const struct mem *m)
{
	unsigned i, n = 0;

	for (i = 0; i < MEM_OPS; i++)
		n += m->count[i];
	return (n);
}

/* --- images -------------------------------------------------------------- */

static void
an_image_is_copied_with_its_blobs_and_its_tag(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a b c");

	MOVES(t, "1");
	assert_true(mem_tag_is(t->to, "1", &d));
	assert_int_equal(t->to->n_blobs, 4);
	assert_int_equal(t->result.manifests, 1);
	assert_int_equal(t->result.blobs, 4);
	assert_int_equal(t->result.bytes, t->to->bytes_in);
	assert_true(digest_eq(&t->result.digest, &d));
}

static void
a_tag_that_is_the_same_costs_one_head_on_each_side(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a b");
	MOVES(t, "1");
	two_reset(t);
	SAME(t, "1");
	assert_int_equal(t->from->count[MEM_HEAD], 1);
	assert_int_equal(t->to->count[MEM_HEAD], 1);
	assert_int_equal(asked(t->from), 1);
	assert_int_equal(asked(t->to), 1);
	assert_int_equal(t->result.bytes, 0);
}

static void
blobs_that_are_there_are_not_read(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a b c");
	(void)mem_image(t->from, "2", "a b d");
	MOVES(t, "1");
	two_reset(t);
	MOVES(t, "2");
	assert_int_equal(t->from->count[MEM_BLOB_OPEN], 2); /* config, d */
	assert_int_equal(t->result.blobs, 2);
}

static void
a_blob_that_an_image_names_twice_moves_once(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a a b a");
	MOVES(t, "1");
	assert_int_equal(t->from->count[MEM_BLOB_OPEN], 3);
}

static void
another_tag_of_what_is_there_moves_no_blob(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a b");

	mem_tag(t->from, "latest", &d);
	MOVES(t, "1");
	two_reset(t);
	MOVES(t, "latest");
	assert_true(mem_tag_is(t->to, "latest", &d));
	assert_int_equal(t->from->count[MEM_BLOB_OPEN], 0);
	assert_int_equal(t->from->count[MEM_GET], 0);
	assert_int_equal(t->result.bytes, 0);
}

static void
an_image_is_copied_by_its_digest_without_a_tag(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "", "a");

	assert_int_equal(copy_digest(t, &d, ""), RC_OK);
	assert_true(mem_has_manifest(t->to, &d));
	assert_int_equal(t->to->n_tags, 0);
	assert_int_equal(copy_digest(t, &d, ""), RC_OK);
	assert_int_equal(t->result.outcome, COPY_SAME);
	assert_int_equal(copy_digest(t, &d, "named"), RC_OK);
	assert_true(mem_tag_is(t->to, "named", &d));
}

static void
a_tag_that_moved_is_moved(void **state)
{
	struct two *t = *state;
	struct digest d;

	(void)mem_image(t->from, "1", "a");
	MOVES(t, "1");
	d = mem_image(t->from, "1", "b");
	MOVES(t, "1");
	assert_true(mem_tag_is(t->to, "1", &d));
}

static void
what_is_not_there_is_not_found_at_the_source(void **state)
{
	struct two *t = *state;
	const struct digest none = { .alg = DIGEST_SHA256 };

	assert_int_equal(copy_tag(t, "1"), RC_NOTFOUND);
	assert_false(t->result.at_destination);
	assert_non_null(strstr(t->error.why, "from.example"));
	assert_int_equal(copy_digest(t, &none, "1"), RC_NOTFOUND);
	assert_int_equal(t->to->n_manifests, 0);
}

static void
layers_that_are_not_distributable_stay_where_they_are(void **state)
{
	struct two *t = *state;
	struct digest config = mem_blob(t->from, "{}"),
		      base = mem_blob(t->from, "windows");
	char text[2048];

	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{"
	    "\"mediaType\":\"application/vnd.docker.container.image.v1+json\","
	    "\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
	    "\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\","
	    "\"digest\":\"%s\",\"size\":7,\"urls\":[\"https://x.example/\"]}]}",
	    MEDIA_DOCKER_MANIFEST, mem_str(&config), mem_str(&base));
	(void)mem_manifest(t->from, MEDIA_DOCKER_MANIFEST, text, "win");
	MOVES(t, "win");
	assert_false(mem_has_blob(t->to, &base));
	assert_true(mem_has_blob(t->to, &config));
}

static void
where_asking_costs_nothing_lost_blobs_are_found_and_moved(void **state)
{
	struct two *t = *state;
	struct digest lost;

	(void)mem_image(t->from, "1", "a b");
	MOVES(t, "1");
	lost = mem_blob(t->from, "layer b");
	mem_drop_blob(t->to, &lost);
	SAME(t, "1");
	t->to->place.here = true;
	two_reset(t);
	MOVES(t, "1");
	assert_true(mem_has_blob(t->to, &lost));
	assert_int_equal(t->result.blobs, 1);
	assert_int_equal(t->result.manifests, 0);
	assert_int_equal(t->from->count[MEM_GET], 0);
}

/* --- indexes ------------------------------------------------------------- */

struct several {
	struct digest amd64, arm64, armv6, armv7, index;
};

static struct several
several_make(struct two *t, const char *tag)
{
	struct several s;
	char text[1024];

	s.amd64 = mem_image(t->from, "", "amd64 shared");
	s.arm64 = mem_image(t->from, "", "arm64 shared");
	s.armv6 = mem_image(t->from, "", "armv6");
	s.armv7 = mem_image(t->from, "", "armv7");
	(void)snprintf(text, sizeof(text),
	    "linux/amd64=%s linux/arm64/v8=%s linux/arm/v6=%s linux/arm/v7=%s",
	    mem_str(&s.amd64), mem_str(&s.arm64), mem_str(&s.armv6),
	    mem_str(&s.armv7));
	s.index = mem_index(t->from, tag, text);
	return (s);
}

static void
an_index_comes_behind_its_images(void **state)
{
	struct two *t = *state;
	struct several s = several_make(t, "1");
	char last[64];

	MOVES(t, "1");
	assert_true(mem_tag_is(t->to, "1", &s.index));
	assert_int_equal(t->result.manifests, 5);
	(void)snprintf(last, sizeof(last), "%.12s1 ", mem_str(&s.index) + 7);
	assert_string_equal(
	    t->to->log + strlen(t->to->log) - strlen(last), last);
}

static void
an_index_that_is_there_costs_the_source_one_head(void **state)
{
	struct two *t = *state;

	(void)several_make(t, "1");
	MOVES(t, "1");
	two_reset(t);
	SAME(t, "1");
	assert_int_equal(asked(t->from), 1);
	assert_int_equal(t->to->count[MEM_BLOB_HAS], 0);
}

static void
an_image_of_an_index_that_is_missing_there_is_copied(void **state)
{
	struct two *t = *state;
	struct several s = several_make(t, "1");
	const struct platform amd64 = { SPAN("linux"), SPAN("amd64"),
		SPAN_NONE };

	t->to->strict = false;
	t->o.platforms = &amd64;
	t->o.n_platforms = 1;
	MOVES(t, "1");
	assert_false(mem_has_manifest(t->to, &s.arm64));
	t->o.n_platforms = 0;
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &s.arm64));
	assert_int_equal(t->result.manifests, 3);
	SAME(t, "1");
}

static void
platforms_choose_images_and_the_index_stays_as_it_is(void **state)
{
	struct two *t = *state;
	struct several s = several_make(t, "1");
	const struct platform two[] = {
		{ SPAN("linux"), SPAN("arm64"), SPAN_NONE },
		{ SPAN("linux"), SPAN("arm"), SPAN("v7") },
	};

	t->to->strict = false;
	t->o.platforms = two;
	t->o.n_platforms = 2;
	MOVES(t, "1");
	assert_true(mem_tag_is(t->to, "1", &s.index));
	assert_true(mem_has_manifest(t->to, &s.arm64));
	assert_true(mem_has_manifest(t->to, &s.armv7));
	assert_false(mem_has_manifest(t->to, &s.amd64));
	assert_false(mem_has_manifest(t->to, &s.armv6));
	assert_int_equal(t->result.skipped_children, 2);
	SAME(t, "1");
}

static void
none_of_the_platforms_is_not_found_and_says_what_there_is(void **state)
{
	struct two *t = *state;
	const struct platform p = { SPAN("linux"), SPAN("s390x"), SPAN_NONE };

	(void)several_make(t, "1");
	t->o.platforms = &p;
	t->o.n_platforms = 1;
	assert_int_equal(copy_tag(t, "1"), RC_NOTFOUND);
	assert_non_null(strstr(t->error.why, "linux/arm/v6"));
	assert_int_equal(t->to->n_manifests, 0);
	assert_int_equal(t->to->n_blobs, 0);
}

static void
an_image_that_is_no_index_is_copied_whatever_it_is_for(void **state)
{
	struct two *t = *state;
	const struct platform p = { SPAN("linux"), SPAN("s390x"), SPAN_NONE };

	(void)mem_image(t->from, "1", "a");
	t->o.platforms = &p;
	t->o.n_platforms = 1;
	MOVES(t, "1");
}

static void
a_registry_that_wants_all_images_of_an_index_is_told_of(void **state)
{
	struct two *t = *state;
	const struct platform p = { SPAN("linux"), SPAN("amd64"), SPAN_NONE };

	(void)several_make(t, "1");
	t->o.platforms = &p;
	t->o.n_platforms = 1;
	assert_int_equal(copy_tag(t, "1"), RC_MISSING);
	assert_true(t->result.at_destination);
	assert_non_null(strstr(t->error.why, "to.example/app"));
	assert_non_null(strstr(t->error.why, "all of its images"));
	assert_false(mem_has_tag(t->to, "1"));
}

static void
an_attestation_goes_where_its_image_goes(void **state)
{
	struct two *t = *state;
	struct digest image = mem_image(t->from, "", "amd64"),
		      other = mem_image(t->from, "", "arm64"),
		      att = mem_image(t->from, "", "att"),
		      not = mem_image(t->from, "", "not");
	const struct platform p = { SPAN("linux"), SPAN("amd64"), SPAN_NONE };
	static const char row[] =
	    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":1,"
	    "\"platform\":{\"os\":\"%s\",\"architecture\":\"%s\"}"
	    ",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-"
	    "manifest\",\"vnd.docker.reference.digest\":\"%s\"}}";
	char text[4096], rows[4][900];

	(void)snprintf(rows[0], 900, row, MEDIA_OCI_MANIFEST, mem_str(&att),
	    "unknown", "unknown", mem_str(&image));
	(void)snprintf(rows[1], 900, row, MEDIA_OCI_MANIFEST, mem_str(&not ),
	    "unknown", "unknown", mem_str(&other));
	(void)snprintf(rows[2], 900,
	    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":1,\"platform\":{"
	    "\"os\":\"linux\",\"architecture\":\"amd64\"}}",
	    MEDIA_OCI_MANIFEST, mem_str(&image));
	(void)snprintf(rows[3], 900,
	    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":1,\"platform\":{"
	    "\"os\":\"linux\",\"architecture\":\"arm64\"}}",
	    MEDIA_OCI_MANIFEST, mem_str(&other));
	(void)snprintf(text, sizeof(text),
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s,%s,"
	    "%s,%s]}",
	    MEDIA_OCI_INDEX, rows[0], rows[1], rows[2], rows[3]);
	(void)mem_manifest(t->from, MEDIA_OCI_INDEX, text, "1");
	t->to->strict = false;
	t->o.platforms = &p;
	t->o.n_platforms = 1;
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &image));
	assert_true(mem_has_manifest(t->to, &att));
	assert_false(mem_has_manifest(t->to, &other));
	assert_false(mem_has_manifest(t->to, &not ));
}

static void
an_index_within_an_index_is_looked_into(void **state)
{
	struct two *t = *state;
	struct several s = several_make(t, "");
	const struct platform p = { SPAN("linux"), SPAN("amd64"), SPAN_NONE };
	struct digest outer;
	char text[256];

	(void)snprintf(text, sizeof(text), "=%s", mem_str(&s.index));
	outer = mem_index(t->from, "outer", text);
	t->to->strict = false;
	t->o.platforms = &p;
	t->o.n_platforms = 1;
	MOVES(t, "outer");
	assert_true(mem_tag_is(t->to, "outer", &outer));
	assert_true(mem_has_manifest(t->to, &s.amd64));
	assert_false(mem_has_manifest(t->to, &s.arm64));
}

static void
nesting_is_bounded(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "", "a");
	char text[256], tag[16];
	int i;

	for (i = 1; i <= COPY_DEPTH_MAX + 1; i++) {
		(void)snprintf(text, sizeof(text), "=%s", mem_str(&d));
		(void)snprintf(tag, sizeof(tag), "n%d", i);
		d = mem_index(t->from, tag, text);
	}
	(void)snprintf(tag, sizeof(tag), "n%d", COPY_DEPTH_MAX);
	MOVES(t, tag);
	(void)snprintf(tag, sizeof(tag), "n%d", COPY_DEPTH_MAX + 1);
	mem_free(&t->to); /* what is there is not looked at so deep */
	t->to = mem_new("to.example/app");
	assert_int_equal(copy_tag(t, tag), RC_TOOBIG);
	assert_non_null(strstr(t->error.why, "nested"));
}

static void
platforms_are_read_strictly(void **state)
{
	static const char *const wrong[] = { "", "linux", "linux/", "/amd64",
		"linux/amd64/", "linux/arm/v7/x", "linux//v7", "Linux/amd64",
		"linux/amd 64" };
	struct platform p;
	size_t i;

	(void)state;
	assert_int_equal(platform_parse(SPAN("linux/arm/v7"), &p), RC_OK);
	assert_true(span_is(p.os, "linux"));
	assert_true(span_is(p.architecture, "arm"));
	assert_true(span_is(p.variant, "v7"));
	assert_int_equal(platform_parse(SPAN("windows/amd64"), &p), RC_OK);
	assert_int_equal(p.variant.n, 0);
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		if (platform_parse(span_of(wrong[i]), &p) != RC_INVALID)
			fail_msg("\"%s\" is a platform", wrong[i]);
}

/* --- referrers ----------------------------------------------------------- */

static void
what_refers_to_an_image_comes_along_however_deep(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a"),
		      sbom = mem_referrer(t->from, &d, "sbom"),
		      sig = mem_referrer(t->from, &sbom, "sig");

	t->o.referrers = true;
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &sbom));
	assert_true(mem_has_manifest(t->to, &sig));
	SAME(t, "1");
}

static void
referrers_stay_where_they_are_when_they_are_not_wanted(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a"),
		      sig = mem_referrer(t->from, &d, "sig");

	MOVES(t, "1");
	assert_false(mem_has_manifest(t->to, &sig));
	assert_int_equal(t->from->count[MEM_REFERRERS], 0);
}

static void
a_signature_that_is_new_moves_though_its_image_is_there(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a"), sig, on_sig;

	t->o.referrers = true;
	MOVES(t, "1");
	sig = mem_referrer(t->from, &d, "sig");
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &sig));
	on_sig = mem_referrer(t->from, &sig, "on sig");
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &on_sig));
	assert_int_equal(t->result.manifests, 1);
	SAME(t, "1");
}

static void
what_refers_to_an_image_of_an_index_comes_along(void **state)
{
	struct two *t = *state;
	struct several s = several_make(t, "1");
	struct digest sig = mem_referrer(t->from, &s.arm64, "sig"), late;

	t->o.referrers = true;
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &sig));
	late = mem_referrer(t->from, &s.amd64, "late");
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &late));
	SAME(t, "1");
}

static void
the_manifest_is_there_before_what_refers_to_it_and_the_tag_is_last(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a"),
		      sig = mem_referrer(t->from, &d, "sig");
	char want[64];

	t->o.referrers = true;
	MOVES(t, "1");
	(void)snprintf(want, sizeof(want), "%.12s %.12s %.12s1 ",
	    mem_str(&d) + 7, mem_str(&sig) + 7, mem_str(&d) + 7);
	assert_string_equal(t->to->log, want);
}

/* ${from} lists, as what refers to ${subject}, what does not. */
static void
what_only_claims_to_refer_to_it_is_left(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a"),
		      other = mem_image(t->from, "", "b"),
		      sig = mem_referrer(t->from, &other, "sig");
	char text[1024], tag[COPY_TAG_BYTES];

	t->from->no_referrers = true;
	(void)snprintf(text, sizeof(text), "=%s", mem_str(&sig));
	(void)mem_index(t->from, copy_tag_of(&d, "", tag), text);
	t->o.referrers = true;
	MOVES(t, "1");
	assert_false(mem_has_manifest(t->to, &sig));
	assert_int_equal(t->result.manifests, 1);
	SAME(t, "1");
}

static void
referrers_that_go_in_circles_come_to_an_end(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a"),
		      sig = mem_referrer(t->from, &d, "sig");
	char text[1024], tag[COPY_TAG_BYTES];

	/* The image is listed as what refers to its own signature. */
	t->from->no_referrers = true;
	(void)snprintf(text, sizeof(text), "=%s", mem_str(&sig));
	(void)mem_index(t->from, copy_tag_of(&d, "", tag), text);
	(void)snprintf(
	    text, sizeof(text), "=%s =%s", mem_str(&d), mem_str(&sig));
	(void)mem_index(t->from, copy_tag_of(&sig, "", tag), text);
	t->o.referrers = true;
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &sig));
	SAME(t, "1");
}

static void
a_registry_without_the_api_gets_a_list_under_a_tag(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a"),
		      sig = mem_referrer(t->from, &d, "sig"), late;
	char tag[COPY_TAG_BYTES];
	struct mem *third = mem_new("third.example/app");

	t->to->no_referrers = true;
	t->o.referrers = true;
	MOVES(t, "1");
	assert_true(mem_has_tag(t->to, copy_tag_of(&d, "", tag)));
	SAME(t, "1");
	late = mem_referrer(t->from, &d, "late");
	MOVES(t, "1");
	SAME(t, "1");
	/* And from there on. */
	mem_free(&t->from);
	t->from = t->to;
	t->to = third;
	MOVES(t, "1");
	assert_true(mem_has_manifest(t->to, &sig));
	assert_true(mem_has_manifest(t->to, &late));
	assert_false(mem_has_tag(t->to, tag));
}

static void
cosigns_tags_come_along(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a"), sig, att;
	char tag[COPY_TAG_BYTES];

	sig = mem_image(t->from, copy_tag_of(&d, ".sig", tag), "sig");
	att = mem_image(t->from, copy_tag_of(&d, ".att", tag), "att");
	t->o.referrers = true;
	MOVES(t, "1");
	assert_true(mem_tag_is(t->to, copy_tag_of(&d, ".sig", tag), &sig));
	assert_true(mem_tag_is(t->to, copy_tag_of(&d, ".att", tag), &att));
	SAME(t, "1");
	sig = mem_image(t->from, copy_tag_of(&d, ".sig", tag), "sig two");
	MOVES(t, "1");
	assert_true(mem_tag_is(t->to, tag, &sig));
}

static void
one_sbom_under_the_tags_of_two_images_gets_both(void **state)
{
	struct two *t = *state;
	struct digest a = mem_image(t->from, "", "a"),
		      b = mem_image(t->from, "", "b"), sbom;
	char text[512], tag[COPY_TAG_BYTES];

	(void)snprintf(text, sizeof(text), "linux/amd64=%s linux/arm64=%s",
	    mem_str(&a), mem_str(&b));
	(void)mem_index(t->from, "1", text);
	sbom = mem_image(t->from, copy_tag_of(&a, ".sbom", tag), "sbom");
	mem_tag(t->from, copy_tag_of(&b, ".sbom", tag), &sbom);
	t->o.referrers = true;
	MOVES(t, "1");
	assert_true(mem_tag_is(t->to, copy_tag_of(&a, ".sbom", tag), &sbom));
	assert_true(mem_tag_is(t->to, copy_tag_of(&b, ".sbom", tag), &sbom));
	SAME(t, "1");
}

static void
tags_that_belong_to_an_image_are_known(void **state)
{
	static const char hex[] = "0123456789abcdef0123456789abcdef"
				  "0123456789abcdef0123456789abcdef";
	char tag[128];

	(void)state;
	(void)snprintf(tag, sizeof(tag), "sha256-%s", hex);
	assert_true(copy_tag_belongs(span_of(tag)));
	(void)snprintf(tag, sizeof(tag), "sha256-%s.sig", hex);
	assert_true(copy_tag_belongs(span_of(tag)));
	(void)snprintf(tag, sizeof(tag), "sha256-%s.foo", hex);
	assert_false(copy_tag_belongs(span_of(tag)));
	(void)snprintf(tag, sizeof(tag), "sha256-%.10s", hex);
	assert_false(copy_tag_belongs(span_of(tag)));
	(void)snprintf(tag, sizeof(tag), "sha256-G%.63s", hex);
	assert_false(copy_tag_belongs(span_of(tag)));
	assert_false(copy_tag_belongs(SPAN("1.2.3")));
	assert_false(copy_tag_belongs(SPAN("")));
}

/* --- failures ------------------------------------------------------------ */

static void
a_blob_that_is_not_what_it_says_is_not_taken(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a");
	t->from->blobs[0].corrupt = true;
	assert_int_equal(copy_tag(t, "1"), RC_DIGEST);
	assert_int_equal(t->to->n_manifests, 0);
}

static void
a_manifest_that_is_not_what_it_says_is_not_taken(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a");
	strchr(t->from->manifests[0].text, '2')[0] = '3';
	assert_int_equal(copy_tag(t, "1"), RC_DIGEST);
	assert_int_equal(t->to->n_manifests, 0);
}

static void
a_blob_that_is_gone_at_the_source_is_named(void **state)
{
	struct two *t = *state;
	struct digest lost = mem_blob(t->from, "layer a");

	(void)mem_image(t->from, "1", "a");
	mem_drop_blob(t->from, &lost);
	assert_int_equal(copy_tag(t, "1"), RC_NOTFOUND);
	assert_false(t->result.at_destination);
	assert_false(mem_has_tag(t->to, "1"));
}

static void
what_was_copied_before_a_failure_stays(void **state)
{
	struct two *t = *state;
	unsigned opened;

	t->o.parallel = 1;
	(void)mem_image(t->from, "1", "a b c d");
	mem_fail(t->from, MEM_BLOB_READ, 6, 1, RC_IO);
	assert_int_equal(copy_tag(t, "1"), RC_IO);
	assert_false(mem_has_tag(t->to, "1"));
	assert_true(t->to->n_blobs > 0);
	opened = (unsigned)t->to->n_blobs;
	two_reset(t);
	MOVES(t, "1");
	assert_int_equal(t->from->count[MEM_BLOB_OPEN], 5 - opened);
}

static void
an_upload_that_breaks_is_begun_anew(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a b");
	mem_fail(t->to, MEM_BLOB_PUT, 1, 1, RC_IO);
	MOVES(t, "1");
	assert_int_equal(t->result.blobs, 3);
	assert_int_equal(t->progress.bytes, t->progress.bytes_total);
}

static void
an_upload_that_is_refused_is_not_tried_again(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a");
	t->o.parallel = 1;
	mem_fail(t->to, MEM_BLOB_PUT, 1, 9, RC_DENIED);
	assert_int_equal(copy_tag(t, "1"), RC_DENIED);
	assert_true(t->result.at_destination);
	assert_int_equal(t->to->count[MEM_BLOB_PUT], 1);
}

static void
who_failed_is_told(void **state)
{
	static const struct {
		enum mem_op op;
		bool to;
	} rows[] = {
		{ MEM_HEAD, false },
		{ MEM_HEAD, true },
		{ MEM_GET, false },
		{ MEM_BLOB_HAS, true },
		{ MEM_BLOB_OPEN, false },
		{ MEM_BLOB_READ, false },
		{ MEM_BLOB_PUT, true },
		{ MEM_MANIFEST_PUT, true },
		{ MEM_REFERRERS, false },
	};
	struct two *t = *state;
	size_t i;

	(void)mem_image(t->from, "1", "a");
	t->o.referrers = true;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		two_reset(t);
		mem_fail(
		    rows[i].to ? t->to : t->from, rows[i].op, 1, 99, RC_DENIED);
		assert_int_equal(copy_tag(t, "1"), RC_DENIED);
		assert_int_equal(t->result.at_destination, rows[i].to);
		assert_non_null(strstr(
		    t->error.why, rows[i].to ? "to.example" : "from.example"));
		assert_false(mem_has_tag(t->to, "1"));
	}
}

static void
an_immutable_tag_is_said_to_be_one(void **state)
{
	struct two *t = *state;
	struct digest d = mem_image(t->from, "1", "a");

	MOVES(t, "1");
	(void)mem_image(t->from, "1", "b");
	t->to->immutable = true;
	assert_int_equal(copy_tag(t, "1"), RC_EXISTS);
	assert_true(mem_tag_is(t->to, "1", &d));
}

static void
set_flag(void *arg, enum mem_op op)
{
	if (op == MEM_BLOB_READ)
		atomic_store((atomic_bool *)arg, true);
}

static void
what_is_cancelled_ends_at_once_and_puts_no_manifest(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a b c d e f");
	t->o.parallel = 1;
	t->from->hook = set_flag;
	t->from->hook_arg = &t->cancel;
	assert_int_equal(copy_tag(t, "1"), RC_CANCELLED);
	assert_int_equal(t->from->count[MEM_BLOB_OPEN], 1);
	assert_int_equal(t->to->n_manifests, 0);
}

static void
a_large_manifest_is_refused(void **state)
{
	struct two *t = *state;
	size_t n = UPSTREAM_MANIFEST_MAX_BYTES + 1;
	char *text = xmalloc(n + 1);
	struct digest config = mem_blob(t->from, "{}");
	int head;

	memset(text, ' ', n);
	text[n] = '\0';
	head = snprintf(text, n,
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{"
	    "\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
	    "\"digest\":\"%s\",\"size\":2},\"layers\":[]",
	    MEDIA_OCI_MANIFEST, mem_str(&config));
	text[head] = ' ';
	text[n - 1] = '}';
	(void)mem_manifest(t->from, MEDIA_OCI_MANIFEST, text, "1");
	assert_int_equal(copy_tag(t, "1"), RC_TOOBIG);
	assert_non_null(strstr(t->error.why, "4 MiB"));
	free(text);
}

/* --- how it goes on ------------------------------------------------------ */

static void
blobs_move_several_at_once_but_not_more_than_asked_for(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a b c d e f g h i j k l m n");
	t->o.parallel = 3;
	MOVES(t, "1");
	assert_true(t->to->at_once_max <= 3);
	assert_true(t->to->at_once_max >= 1);
}

static void
a_place_that_is_serial_gets_one_thing_at_a_time(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a b c d e f g h i j k l m n");
	t->o.parallel = 8;
	t->to->place.serial = true;
	MOVES(t, "1");
	assert_int_equal(t->to->at_once_max, 1);
}

static void
progress_adds_up(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a b");
	(void)mem_big_blob(t->from, 100000, 1);
	MOVES(t, "1");
	assert_int_equal(t->progress.images, 1);
	assert_int_equal(t->progress.blobs_total, 3);
	assert_int_equal(t->progress.blobs, 3);
	assert_int_equal(t->progress.bytes_total, t->to->bytes_in);
	assert_int_equal(t->progress.bytes, t->to->bytes_in);
	assert_int_equal(t->progress.moved_manifests, 1);
	SAME(t, "1");
	assert_int_equal(t->progress.images, 2);
	assert_int_equal(t->progress.blobs_total, 3);
}

static void
what_the_destination_takes_without_reading_does_not_count_as_moved(void **state)
{
	struct two *t = *state;

	(void)mem_image(t->from, "1", "a b");
	t->to->closes_early = true;
	(void)copy_tag(t, "1"); /* no manifest without its blobs */
	assert_int_equal(t->result.bytes, 0);
	assert_int_equal(t->result.blobs, 0);
	assert_int_equal(t->progress.bytes_total, 0);
	assert_int_equal(t->from->count[MEM_BLOB_OPEN], 0);
}

static void
many_manifests_are_copied(void **state)
{
	struct two *t = *state;
	char *text = xcalloc(1, 65536), word[32];
	struct digest d;
	size_t n = 0, i;

	for (i = 0; i < 100; i++) {
		(void)snprintf(word, sizeof(word), "w%zu", i);
		d = mem_image(t->from, "", word);
		n += (size_t)snprintf(text + n, 65536 - n, "%slinux/a%zu=%s",
		    i > 0 ? " " : "", i, mem_str(&d));
	}
	(void)mem_index(t->from, "1", text);
	MOVES(t, "1");
	assert_int_equal(t->result.manifests, 101);
	SAME(t, "1");
	free(text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, two_new, two_free)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(an_image_is_copied_with_its_blobs_and_its_tag),
		T(a_tag_that_is_the_same_costs_one_head_on_each_side),
		T(blobs_that_are_there_are_not_read),
		T(a_blob_that_an_image_names_twice_moves_once),
		T(another_tag_of_what_is_there_moves_no_blob),
		T(an_image_is_copied_by_its_digest_without_a_tag),
		T(a_tag_that_moved_is_moved),
		T(what_is_not_there_is_not_found_at_the_source),
		T(layers_that_are_not_distributable_stay_where_they_are),
		T(where_asking_costs_nothing_lost_blobs_are_found_and_moved),
		T(an_index_comes_behind_its_images),
		T(an_index_that_is_there_costs_the_source_one_head),
		T(an_image_of_an_index_that_is_missing_there_is_copied),
		T(platforms_choose_images_and_the_index_stays_as_it_is),
		T(none_of_the_platforms_is_not_found_and_says_what_there_is),
		T(an_image_that_is_no_index_is_copied_whatever_it_is_for),
		T(a_registry_that_wants_all_images_of_an_index_is_told_of),
		T(an_attestation_goes_where_its_image_goes),
		T(an_index_within_an_index_is_looked_into),
		T(nesting_is_bounded),
		T(platforms_are_read_strictly),
		T(what_refers_to_an_image_comes_along_however_deep),
		T(referrers_stay_where_they_are_when_they_are_not_wanted),
		T(a_signature_that_is_new_moves_though_its_image_is_there),
		T(what_refers_to_an_image_of_an_index_comes_along),
		T(the_manifest_is_there_before_what_refers_to_it_and_the_tag_is_last),
		T(what_only_claims_to_refer_to_it_is_left),
		T(referrers_that_go_in_circles_come_to_an_end),
		T(a_registry_without_the_api_gets_a_list_under_a_tag),
		T(cosigns_tags_come_along),
		T(one_sbom_under_the_tags_of_two_images_gets_both),
		T(tags_that_belong_to_an_image_are_known),
		T(a_blob_that_is_not_what_it_says_is_not_taken),
		T(a_manifest_that_is_not_what_it_says_is_not_taken),
		T(a_blob_that_is_gone_at_the_source_is_named),
		T(what_was_copied_before_a_failure_stays),
		T(an_upload_that_breaks_is_begun_anew),
		T(an_upload_that_is_refused_is_not_tried_again),
		T(who_failed_is_told),
		T(an_immutable_tag_is_said_to_be_one),
		T(what_is_cancelled_ends_at_once_and_puts_no_manifest),
		T(a_large_manifest_is_refused),
		T(blobs_move_several_at_once_but_not_more_than_asked_for),
		T(a_place_that_is_serial_gets_one_thing_at_a_time),
		T(progress_adds_up),
		T(what_the_destination_takes_without_reading_does_not_count_as_moved),
		T(many_manifests_are_copied),
	};

	return (cmocka_run_group_tests_name("copy", tests, NULL, NULL));
}
