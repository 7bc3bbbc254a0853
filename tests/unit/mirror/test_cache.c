#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "cache_tools.h"
#include "mirror/cache_int.h"
#include "storage/repositories.h"
#include "storage/upload.h"

/*
 * The cache against a registry in this process that says what it is told to.
 */
#define LAYER ((size_t)700 * 1000)
#define SMALL ((size_t)100)
#define HERD 100

/* --- small words --------------------------------------------------------- */

static struct fill *
ask_blob(struct ct *t, const struct cache_ask *ask, const void *p, size_t n)
{
	const struct digest d = ct_digest(p, n);
	struct fill *f = NULL;

	assert_int_equal(cache_blob(t->cache, ask, &d, &f), RC_OK);
	assert_non_null(f);
	return (f);
}

static struct fill_look
fetch_blob(struct ct *t, const struct cache_ask *ask, const void *p, size_t n)
{
	struct fill *f = ask_blob(t, ask, p, n);
	struct fill_look look = ct_fill_end(f);

	fill_unref(&f);
	return (look);
}

/* An image of one config and one layer, named in the repository. */
static struct digest
name_blob(
    struct ct *t, const char *repository, const void *p, size_t n, size_t said)
{
	const struct digest layers[] = { ct_digest("{}", 2), ct_digest(p, n) };
	const size_t sizes[] = { 2, said };
	const struct ct_put put = {
		.repository = repository,
		.text = ct_image(t, layers, sizes, 2),
		.type = MEDIA_OCI_MANIFEST,
		.import = true,
	};

	return (ct_put(t, &put));
}

static void
until_available(struct fill *f, uint64_t bytes)
{
	struct ct_bell bell;
	struct fill_waiter w = { .wake = ct_ring, .arg = &bell };

	ct_bell_init(&bell);
	if (fill_wait(f, FILL_UNTIL_BYTES, bytes - 1, &w))
		ct_await(&bell, 1);
}

/* --- blobs --------------------------------------------------------------- */

static void
test_cold_blob_comes_and_is_kept(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 1);
	const char *path =
	    ct_serve_blob(t, "library/app", p, LAYER, (struct ct_page){ 0 });
	const struct digest d = ct_digest(p, LAYER);
	struct fill_look look;
	struct fill *f = NULL;

	ct_repository(t, "hub/app");
	look = fetch_blob(t, &ask, p, LAYER);
	assert_int_equal(look.state, FILL_DONE);
	assert_int_equal(look.size_bytes, LAYER);
	assert_int_equal(look.available_bytes, LAYER);
	assert_true(ct_has(t, "hub/app", p, LAYER));
	assert_int_equal(cache_blob(t->cache, &ask, &d, &f), RC_EXISTS);
	assert_null(f);
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	assert_int_equal(ct_stats(t).blobs, 1);
	assert_int_equal(ct_stats(t).blob_bytes, LAYER);
	assert_int_equal(ct_stats(t).fills, 0);
	free(p);
}

static void
test_small_and_empty_blobs_come_too(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	const char *small = "{\"config\":true}";

	ct_repository(t, "hub/app");
	ct_serve_blob(
	    t, "library/app", small, strlen(small), (struct ct_page){ 0 });
	ct_serve_blob(t, "library/app", "", 0, (struct ct_page){ .body = "" });
	assert_int_equal(
	    fetch_blob(t, &ask, small, strlen(small)).state, FILL_DONE);
	assert_true(ct_has(t, "hub/app", small, strlen(small)));
	assert_int_equal(fetch_blob(t, &ask, "", 0).state, FILL_DONE);
	assert_true(ct_has(t, "hub/app", "", 0));
}

static void
test_blob_needs_the_repository(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/none", "library/app");
	const struct digest d = ct_digest("x", 1);
	struct fill *f = NULL;

	assert_int_equal(cache_blob(t->cache, &ask, &d, &f), RC_NOTFOUND);
	assert_null(f);
}

struct asker {
	struct ct *t;
	struct cache_ask ask;
	struct digest digest;
	enum fill_state end;
	struct ct_bell *asked;
};

static void
asker_main(void *arg)
{
	struct asker *a = arg;
	struct fill *f = NULL;

	must(cache_blob(a->t->cache, &a->ask, &a->digest, &f) == RC_OK);
	ct_ring(a->asked);
	a->end = ct_fill_end(f).state;
	fill_unref(&f);
}

static void
test_hundred_askers_cost_one_request(void **state)
{
	struct ct *t = *state;
	char *p = ct_bytes(LAYER, 2);
	const char *path = ct_serve_blob(t, "library/app", p, LAYER,
	    (struct ct_page){ .hold_at = LAYER / 2 });
	struct asker askers[HERD];
	pthread_t threads[HERD];
	struct ct_bell asked;
	unsigned i;

	ct_bell_init(&asked);
	ct_repository(t, "hub/app");
	for (i = 0; i < HERD; i++) {
		askers[i] = (struct asker){ .t = t,
			.ask = ct_ask(t, "hub/app", "library/app"),
			.digest = ct_digest(p, LAYER),
			.asked = &asked };
		assert_int_equal(
		    thread_start("asker", asker_main, &askers[i], &threads[i]),
		    RC_OK);
	}
	ct_await(&asked, HERD);
	ct_release(t->server);
	for (i = 0; i < HERD; i++) {
		thread_join(threads[i]);
		assert_int_equal(askers[i].end, FILL_DONE);
	}
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	assert_int_equal(ct_stats(t).joined, HERD - 1);
	assert_true(ct_has(t, "hub/app", p, LAYER));
	free(p);
}

static void
test_follower_reads_what_came_while_more_comes(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	size_t held = LAYER - 100000, there;
	char *p = ct_bytes(LAYER, 3), *got = xmalloc(LAYER);
	struct blob_file file;
	struct fill *f;

	ct_serve_blob(
	    t, "library/app", p, LAYER, (struct ct_page){ .hold_at = held });
	ct_repository(t, "hub/app");
	f = ask_blob(t, &ask, p, LAYER);
	there = held - FILL_HELD_BYTES;
	until_available(f, there);
	assert_int_equal(ct_look(f).state, FILL_FLOWING);
	assert_int_equal(ct_look(f).size_bytes, LAYER);
	assert_int_equal(ct_look(f).available_bytes, there);
	assert_int_equal(fill_reader(f, &file), RC_OK);
	assert_int_equal(blob_file_read_all(&file, 0, got, there), RC_OK);
	assert_memory_equal(got, p, there);
	ct_release(t->server);
	assert_int_equal(ct_fill_end(f).state, FILL_DONE);
	assert_int_equal(blob_file_read_all(&file, 0, got, LAYER), RC_OK);
	assert_memory_equal(got, p, LAYER);
	blob_file_close(&file);
	fill_unref(&f);
	free(got);
	free(p);
}

static void
test_fill_goes_on_when_nobody_follows(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 4);
	struct fill *f;

	ct_serve_blob(t, "library/app", p, LAYER,
	    (struct ct_page){ .hold_at = LAYER / 2 });
	ct_repository(t, "hub/app");
	f = ask_blob(t, &ask, p, LAYER);
	fill_unref(&f);
	ct_release(t->server);
	while (ct_stats(t).fills > 0)
		usleep(2000);
	assert_true(ct_has(t, "hub/app", p, LAYER));
	free(p);
}

static void
test_broken_download_is_resumed(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 5);
	const char *path = ct_serve_blob(t, "library/app", p, LAYER,
	    (struct ct_page){ .cut_at = LAYER / 2, .cuts = 1 });

	ct_repository(t, "hub/app");
	assert_int_equal(fetch_blob(t, &ask, p, LAYER).state, FILL_DONE);
	assert_true(ct_has(t, "hub/app", p, LAYER));
	assert_int_equal(ct_asked(t->server, "GET", path), 2);
	assert_int_equal(ct_stats(t).resumed, 1);
	free(p);
}

static void
test_upstream_that_is_away_for_a_while_is_waited_for(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 30);
	struct fill *f;

	t->settings.patience_ms = 200;
	cache_set(t->cache, &t->settings);
	ct_repository(t, "hub/app");
	ct_serve_blob(t, "library/app", p, LAYER,
	    (struct ct_page){
		.cut_at = LAYER / 2 + 1, .cuts = 1, .hold_at = LAYER / 2 });
	f = ask_blob(t, &ask, p, LAYER);
	until_available(f, 1);
	ct_serve_blob(
	    t, "library/app", p, LAYER, (struct ct_page){ .status = 503 });
	ct_release(t->server);
	/* It gives up, and does not let go. */
	usleep(400000);
	assert_int_equal(ct_look(f).state, FILL_FLOWING);
	ct_serve_blob(t, "library/app", p, LAYER, (struct ct_page){ 0 });
	assert_int_equal(ct_fill_end(f).state, FILL_DONE);
	assert_true(ct_has(t, "hub/app", p, LAYER));
	assert_true(ct_stats(t).resumed >= 1);
	fill_unref(&f);
	free(p);
}

static void
test_wrong_bytes_are_never_kept(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 6), *bad = ct_bytes(LAYER, 6);
	const char *path;
	struct fill_look look;

	bad[LAYER - 1] ^= 1;
	path = ct_serve_blob(t, "library/app", p, LAYER,
	    (struct ct_page){ .body = bad, .n = LAYER });
	ct_repository(t, "hub/app");
	look = fetch_blob(t, &ask, p, LAYER);
	assert_int_equal(look.state, FILL_FAILED);
	assert_int_equal(look.rc, RC_DIGEST);
	assert_true(look.error.why[0] != '\0');
	assert_int_equal(look.available_bytes, LAYER - FILL_HELD_BYTES);
	assert_false(ct_has(t, "hub/app", p, LAYER));
	assert_false(ct_has(t, "hub/app", bad, LAYER));
	assert_int_equal(ct_stats(t).wrong_digest, 1);
	assert_int_equal(ct_stats(t).failed, 1);
	/* The upload is gone, too, and the next who asks begins anew. */
	assert_int_equal(fetch_blob(t, &ask, p, LAYER).state, FILL_FAILED);
	assert_int_equal(ct_asked(t->server, "GET", path), 2);
	free(bad);
	free(p);
}

static void
test_another_size_than_the_manifest_says_is_refused_at_once(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 7);
	struct fill_look look;

	name_blob(t, "hub/app", p, LAYER, LAYER - 1);
	ct_serve_blob(t, "library/app", p, LAYER, (struct ct_page){ 0 });
	look = fetch_blob(t, &ask, p, LAYER);
	assert_int_equal(look.state, FILL_FAILED);
	assert_int_equal(look.rc, RC_DIGEST);
	assert_int_equal(look.available_bytes, 0);
	free(p);
}

static void
test_size_that_is_not_announced_comes_from_the_manifest(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 8), *q = ct_bytes(LAYER, 9);
	struct fill *f;

	name_blob(t, "hub/app", p, LAYER, LAYER);
	ct_serve_blob(t, "library/app", p, LAYER,
	    (struct ct_page){ .chunked = true, .hold_at = LAYER / 2 });
	ct_serve_blob(t, "library/app", q, LAYER,
	    (struct ct_page){ .chunked = true, .hold_at = LAYER / 2 });
	f = ask_blob(t, &ask, p, LAYER);
	until_available(f, 1);
	assert_int_equal(ct_look(f).size_bytes, LAYER);
	ct_release(t->server);
	assert_int_equal(ct_fill_end(f).state, FILL_DONE);
	fill_unref(&f);
	/* Nobody says: known at the end. */
	assert_int_equal(fetch_blob(t, &ask, q, LAYER).size_bytes, LAYER);
	assert_true(ct_has(t, "hub/app", q, LAYER));
	free(q);
	free(p);
}

static void
test_two_repositories_with_one_source_share_a_fill(void **state)
{
	struct ct *t = *state;
	struct cache_ask one = ct_ask(t, "hub/app", "library/app");
	struct cache_ask two = ct_ask(t, "copy/app", "library/app");
	char *p = ct_bytes(LAYER, 10);
	const char *path = ct_serve_blob(t, "library/app", p, LAYER,
	    (struct ct_page){ .hold_at = LAYER / 2 });
	struct fill *f, *g;

	ct_repository(t, "hub/app");
	ct_repository(t, "copy/app");
	f = ask_blob(t, &one, p, LAYER);
	g = ask_blob(t, &two, p, LAYER);
	assert_ptr_equal(f, g);
	ct_release(t->server);
	assert_int_equal(ct_fill_end(g).state, FILL_DONE);
	assert_true(ct_has(t, "hub/app", p, LAYER));
	assert_true(ct_has(t, "copy/app", p, LAYER));
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	fill_unref(&f);
	fill_unref(&g);
	free(p);
}

static void
test_digest_alone_gives_nobody_what_another_source_brings(void **state)
{
	struct ct *t = *state;
	struct cache_ask one = ct_ask(t, "secret/app", "private/app");
	struct cache_ask two = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 11);
	struct fill_look look;
	struct fill *f, *g;

	ct_repository(t, "secret/app");
	ct_repository(t, "hub/app");
	ct_serve_blob(t, "private/app", p, LAYER,
	    (struct ct_page){ .hold_at = LAYER / 2 });
	f = ask_blob(t, &one, p, LAYER);
	until_available(f, 1);
	g = ask_blob(t, &two, p, LAYER);
	assert_ptr_not_equal(f, g);
	look = ct_fill_end(g);
	fill_unref(&g);
	assert_int_equal(look.state, FILL_FAILED);
	assert_int_equal(look.rc, RC_NOTFOUND);
	ct_release(t->server);
	assert_int_equal(ct_fill_end(f).state, FILL_DONE);
	assert_true(ct_has(t, "secret/app", p, LAYER));
	assert_false(ct_has(t, "hub/app", p, LAYER));
	fill_unref(&f);
	free(p);
}

static void
test_named_content_is_joined_whatever_the_source(void **state)
{
	struct ct *t = *state;
	struct cache_ask one = ct_ask(t, "ghcr/app", "other/app");
	struct cache_ask two = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 12);
	const char *path;
	struct fill *f, *g;

	ct_repository(t, "ghcr/app");
	name_blob(t, "hub/app", p, LAYER, LAYER);
	path = ct_serve_blob(
	    t, "other/app", p, LAYER, (struct ct_page){ .hold_at = LAYER / 2 });
	f = ask_blob(t, &one, p, LAYER);
	g = ask_blob(t, &two, p, LAYER);
	assert_ptr_equal(f, g);
	ct_release(t->server);
	assert_int_equal(ct_fill_end(g).state, FILL_DONE);
	assert_true(ct_has(t, "hub/app", p, LAYER));
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	fill_unref(&f);
	fill_unref(&g);
	free(p);
}

static void
test_who_joined_is_served_from_his_own_source_when_the_first_has_none(
    void **state)
{
	struct ct *t = *state;
	struct cache_ask one = ct_ask(t, "ghcr/app", "other/app");
	struct cache_ask two = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 13), none[512];
	struct fill *f, *g;

	ct_repository(t, "ghcr/app");
	name_blob(t, "hub/app", p, LAYER, LAYER);
	snprintf(none, sizeof(none), "%s",
	    ct_serve_blob(t, "other/app", p, LAYER,
		(struct ct_page){ .status = 404, .hold_head = true }));
	ct_serve_blob(t, "library/app", p, LAYER, (struct ct_page){ 0 });
	f = ask_blob(t, &one, p, LAYER);
	g = ask_blob(t, &two, p, LAYER);
	assert_ptr_equal(f, g);
	ct_release(t->server);
	assert_int_equal(ct_fill_end(g).state, FILL_DONE);
	assert_int_equal(ct_asked(t->server, "GET", none), 1);
	assert_true(ct_has(t, "hub/app", p, LAYER));
	fill_unref(&f);
	fill_unref(&g);
	free(p);
}

static void
test_content_that_is_in_the_registry_is_linked(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER / 4, 14);
	const struct digest d = ct_digest(p, LAYER / 4);
	struct fill *f = NULL;

	ct_put_blob(t, "team/base", p, LAYER / 4);
	name_blob(t, "hub/app", p, LAYER / 4, LAYER / 4);
	assert_int_equal(cache_blob(t->cache, &ask, &d, &f), RC_EXISTS);
	assert_null(f);
	assert_true(ct_has(t, "hub/app", p, LAYER / 4));
	assert_int_equal(ct_stats(t).adopted, 1);
	free(p);
}

static void
test_missing_blob_is_remembered_to_be_missing(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	const char *path = ct_serve_blob(
	    t, "library/app", "abc", 3, (struct ct_page){ .status = 404 });
	struct fill_look look;

	ct_repository(t, "hub/app");
	look = fetch_blob(t, &ask, "abc", 3);
	assert_int_equal(look.state, FILL_FAILED);
	assert_int_equal(look.rc, RC_NOTFOUND);
	look = fetch_blob(t, &ask, "abc", 3);
	assert_int_equal(look.rc, RC_NOTFOUND);
	assert_int_equal(look.error.status, 404);
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	assert_int_equal(ct_stats(t).negative, 1);
}

static void
test_full_disk_is_told_before_anything_is_asked(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	const char *path =
	    ct_serve_blob(t, "library/app", "abc", 3, (struct ct_page){ 0 });
	const struct digest d = ct_digest("abc", 3);
	struct fill *f = NULL;

	name_blob(t, "hub/app", "abc", 3, (size_t)1 << 60);
	assert_int_equal(cache_blob(t->cache, &ask, &d, &f), RC_NOSPACE);
	assert_null(f);
	assert_int_equal(ct_asked(t->server, "GET", path), 0);
	assert_int_equal(ct_stats(t).fills, 0);
}

static void
test_stop_ends_what_goes_on(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	char *p = ct_bytes(LAYER, 15);
	struct cache_ticket *ticket;
	struct cache_result r;
	struct reference ref;
	struct fill_look look;
	struct ct_bell bell;
	struct fill *f;

	ct_bell_init(&bell);
	ct_repository(t, "hub/app");
	ct_serve_blob(t, "library/app", p, LAYER,
	    (struct ct_page){ .hold_at = LAYER / 2 });
	ct_serve(t->server,
	    &(struct ct_page){ .hold_head = true,
		.path = ct_manifest_path(t, "library/app", "latest") });
	f = ask_blob(t, &ask, p, LAYER);
	assert_int_equal(reference_parse(SPAN("latest"), &ref), RC_OK);
	cache_manifest(t->cache, &ask, &ref, NULL, ct_ring, &bell, &ticket);
	until_available(f, 1);
	cache_stop(t->cache);
	look = ct_look(f);
	assert_int_equal(look.state, FILL_FAILED);
	assert_int_equal(look.rc, RC_CANCELLED);
	ct_await(&bell, 1);
	cache_ticket_result(ticket, &r);
	assert_int_equal(r.outcome, CACHE_FAILED);
	assert_int_equal(r.rc, RC_CANCELLED);
	cache_ticket_free(&ticket);
	fill_unref(&f);
	/* And what is asked for then. */
	f = ask_blob(t, &ask, p, LAYER);
	assert_int_equal(ct_look(f).rc, RC_CANCELLED);
	fill_unref(&f);
	assert_int_equal(ct_manifest(t, &ask, "latest", NULL).rc, RC_CANCELLED);
	assert_false(ct_has(t, "hub/app", p, LAYER));
	free(p);
}

/* --- manifests ----------------------------------------------------------- */

static const char *
an_image(struct ct *t, unsigned seed)
{
	const struct digest layers[] = { ct_digest(&seed, sizeof(seed)),
		ct_digest("layer", 5) };
	const size_t sizes[] = { sizeof(seed), 5 };

	return (ct_image(t, layers, sizes, 2));
}

static struct cache_ask
ask_creating(struct ct *t)
{
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");

	ask.create = &repository_preset_default;
	return (ask);
}

static void
test_cold_tag_is_one_request(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	const struct digest d = ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 1), MEDIA_OCI_MANIFEST);
	const char *path = ct_manifest_path(t, "library/app", "1");
	struct import_tag row;
	struct digest got;
	int64_t ms;

	assert_int_equal(ct_manifest(t, &ask, "1", NULL).outcome, CACHE_KEPT);
	assert_true(ct_tag(t, "hub/app", "1", &got));
	assert_true(digest_eq(&got, &d));
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	assert_int_equal(ct_asked(t->server, "HEAD", path), 0);
	assert_int_equal(
	    meta_import_tag_get(t->meta, SPAN("hub/app"), SPAN("1"), &row),
	    RC_OK);
	assert_int_equal(
	    meta_imported(t->meta, SPAN("hub/app"), &d, &ms), RC_OK);
	/* Whoever has seen nothing, and comes when it is here. */
	assert_int_equal(ct_manifest(t, &ask, "1", NULL).outcome, CACHE_KEPT);
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	assert_int_equal(ct_stats(t).manifests, 1);
}

static void
test_known_tag_is_asked_for_by_head_and_fetched_when_it_moved(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	const struct digest one = ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 1), MEDIA_OCI_MANIFEST);
	char path[512], room[DIGEST_STR_BYTES];
	struct import_tag before, after;
	struct digest two, got;

	snprintf(
	    path, sizeof(path), "%s", ct_manifest_path(t, "library/app", "1"));
	ct_manifest(t, &ask, "1", NULL);
	assert_int_equal(
	    meta_import_tag_get(t->meta, SPAN("hub/app"), SPAN("1"), &before),
	    RC_OK);
	usleep(3000);
	assert_int_equal(ct_manifest(t, &ask, "1", &one).outcome, CACHE_SAME);
	assert_int_equal(ct_asked(t->server, "HEAD", path), 1);
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	assert_int_equal(
	    meta_import_tag_get(t->meta, SPAN("hub/app"), SPAN("1"), &after),
	    RC_OK);
	assert_true(after.checked_ms > before.checked_ms);

	two = ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 2), MEDIA_OCI_MANIFEST);
	assert_int_equal(ct_manifest(t, &ask, "1", &one).outcome, CACHE_KEPT);
	assert_true(ct_tag(t, "hub/app", "1", &got));
	assert_true(digest_eq(&got, &two));
	assert_int_equal(ct_asked(t->server, "HEAD", path), 2);
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	assert_int_equal(
	    ct_asked(t->server, "GET",
		ct_manifest_path(t, "library/app", digest_str(&two, room))),
	    1);
	/* And back: what is here is not fetched again. */
	ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 1), MEDIA_OCI_MANIFEST);
	assert_int_equal(ct_manifest(t, &ask, "1", &two).outcome, CACHE_KEPT);
	assert_true(ct_tag(t, "hub/app", "1", &got));
	assert_true(digest_eq(&got, &one));
	assert_int_equal(ct_stats(t).manifests, 2);
}

static void
test_digest_is_fetched_once(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	const struct digest d = ct_serve_manifest(
	    t, "library/app", NULL, an_image(t, 1), MEDIA_OCI_MANIFEST);
	char room[DIGEST_STR_BYTES];

	digest_str(&d, room);
	assert_int_equal(ct_manifest(t, &ask, room, NULL).outcome, CACHE_KEPT);
	assert_int_equal(ct_manifest(t, &ask, room, NULL).outcome, CACHE_KEPT);
	assert_true(ct_tag(t, "hub/app", room, NULL));
	assert_int_equal(ct_asked(t->server, "GET",
			     ct_manifest_path(t, "library/app", room)),
	    1);
}

static void
test_many_who_ask_for_a_tag_cost_one_request(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	const char *text = an_image(t, 1);
	const struct digest d = ct_digest(text, strlen(text));
	char room[DIGEST_STR_BYTES];
	struct cache_ticket *tickets[HERD];
	struct cache_result r;
	struct reference ref;
	struct ct_bell bell;
	const char *path = ct_manifest_path(t, "library/app", "1");
	unsigned i;

	ct_serve(t->server, &(struct ct_page){ .path = path,
				.type = MEDIA_OCI_MANIFEST,
				.body = text,
				.n = strlen(text),
				.digest = digest_str(&d, room),
				.hold_head = true });
	ct_bell_init(&bell);
	assert_int_equal(reference_parse(SPAN("1"), &ref), RC_OK);
	for (i = 0; i < HERD; i++)
		cache_manifest(
		    t->cache, &ask, &ref, NULL, ct_ring, &bell, &tickets[i]);
	ct_release(t->server);
	ct_await(&bell, HERD);
	for (i = 0; i < HERD; i++) {
		cache_ticket_result(tickets[i], &r);
		assert_int_equal(r.outcome, CACHE_KEPT);
		cache_ticket_free(&tickets[i]);
	}
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
}

static void
test_local_tag_wins(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	const struct ct_put put = { .repository = "hub/app",
		.text = an_image(t, 7),
		.type = MEDIA_OCI_MANIFEST,
		.tag = "1" };
	const struct digest own = ct_put(t, &put);
	struct digest got;
	const char *path;

	ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 1), MEDIA_OCI_MANIFEST);
	path = ct_manifest_path(t, "library/app", "1");
	assert_int_equal(ct_manifest(t, &ask, "1", &own).outcome, CACHE_SAME);
	assert_int_equal(ct_asked(t->server, "HEAD", path), 0);
	assert_true(ct_tag(t, "hub/app", "1", &got));
	assert_true(digest_eq(&got, &own));
}

/* A push that comes between the look at what is here and the put. */
static void
test_push_meanwhile_wins(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	const char *text = an_image(t, 1);
	const struct digest d = ct_digest(text, strlen(text));
	const struct ct_put put = { .repository = "hub/app",
		.text = an_image(t, 7),
		.type = MEDIA_OCI_MANIFEST,
		.tag = "1" };
	const char *path = ct_manifest_path(t, "library/app", "1");
	char room[DIGEST_STR_BYTES];
	struct cache_ticket *ticket;
	struct reference ref;
	struct digest own, got;
	struct ct_bell bell;

	ct_bell_init(&bell);
	ct_serve(t->server, &(struct ct_page){ .path = path,
				.type = MEDIA_OCI_MANIFEST,
				.body = text,
				.n = strlen(text),
				.digest = digest_str(&d, room),
				.hold_head = true });
	assert_int_equal(reference_parse(SPAN("1"), &ref), RC_OK);
	cache_manifest(t->cache, &ask, &ref, NULL, ct_ring, &bell, &ticket);
	while (ct_asked(t->server, "GET", path) == 0)
		usleep(1000);
	own = ct_put(t, &put);
	ct_release(t->server);
	ct_await(&bell, 1);
	cache_ticket_free(&ticket);
	assert_true(ct_tag(t, "hub/app", "1", &got));
	assert_true(digest_eq(&got, &own));
}

static void
test_immutable_tag_stays(void **state)
{
	struct ct *t = *state;
	struct repository_preset preset = repository_preset_default;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	const struct digest one = ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 1), MEDIA_OCI_MANIFEST);
	struct digest got;

	preset.settings.mutability = TAGS_IMMUTABLE;
	ask.create = &preset;
	assert_int_equal(ct_manifest(t, &ask, "1", NULL).outcome, CACHE_KEPT);
	ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 2), MEDIA_OCI_MANIFEST);
	assert_int_equal(ct_manifest(t, &ask, "1", &one).outcome, CACHE_SAME);
	assert_true(ct_tag(t, "hub/app", "1", &got));
	assert_true(digest_eq(&got, &one));
}

static void
test_nothing_is_fetched_for_a_repository_that_nobody_may_make(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	struct cache_result r;

	ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 1), MEDIA_OCI_MANIFEST);
	r = ct_manifest(t, &ask, "1", NULL);
	assert_int_equal(r.outcome, CACHE_FAILED);
	assert_int_equal(r.rc, RC_MISSING);
	assert_int_equal(
	    ct_asked(t->server, "GET", ct_manifest_path(t, "library/app", "1")),
	    0);
}

static void
test_missing_tag_is_remembered_for_a_while(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	const char *path = ct_manifest_path(t, "library/app", "1");

	assert_int_equal(ct_manifest(t, &ask, "1", NULL).outcome, CACHE_GONE);
	assert_int_equal(ct_manifest(t, &ask, "1", NULL).outcome, CACHE_GONE);
	assert_int_equal(ct_asked(t->server, "GET", path), 1);
	t->settings.negative_ms = 0;
	cache_set(t->cache, &t->settings);
	assert_int_equal(ct_manifest(t, &ask, "1", NULL).outcome, CACHE_GONE);
	assert_int_equal(ct_asked(t->server, "GET", path), 2);
	/* Another repository there is another question. */
	ask.source.repository = SPAN("library/other");
	assert_int_equal(ct_manifest(t, &ask, "1", NULL).outcome, CACHE_GONE);
}

static void
test_upstream_that_is_away_is_remembered_for_a_moment(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	struct cache_result r;
	int64_t begun;

	ask.source.url = "http://127.0.0.1:1";
	t->settings.patience_ms = 300;
	cache_set(t->cache, &t->settings);
	r = ct_manifest(t, &ask, "1", NULL);
	assert_int_equal(r.outcome, CACHE_FAILED);
	assert_true(cache_lost(r.rc));
	assert_int_equal(r.error.status, 0);
	assert_true(r.error.why[0] != '\0');
	begun = clock_mono_ns();
	r = ct_manifest(t, &ask, "2", NULL);
	assert_int_equal(r.outcome, CACHE_FAILED);
	if (clock_mono_ns() - begun < (int64_t)1000 * 1000000)
		assert_int_equal(ct_stats(t).negative, 1);
}

static void
test_what_is_no_manifest_is_refused(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	struct cache_result r;

	ct_serve_manifest(
	    t, "library/app", "1", "{\"schemaVersion\":2}", MEDIA_OCI_MANIFEST);
	r = ct_manifest(t, &ask, "1", NULL);
	assert_int_equal(r.outcome, CACHE_FAILED);
	assert_non_null(strstr(r.error.why, "library/app"));
	assert_false(ct_tag(t, "hub/app", "1", NULL));
	t->settings.manifest_bytes = 100;
	cache_set(t->cache, &t->settings);
	ct_serve_manifest(
	    t, "library/app", "2", an_image(t, 1), MEDIA_OCI_MANIFEST);
	r = ct_manifest(t, &ask, "2", NULL);
	assert_int_equal(r.rc, RC_TOOBIG);
}

static bool
has_manifest(struct ct *t, const struct digest *d)
{
	char room[DIGEST_STR_BYTES];

	return (ct_tag(t, "hub/app", digest_str(d, room), NULL));
}

static void
test_children_come_when_the_settings_want_all(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	char *p = ct_bytes(LAYER / 4, 20);
	const struct digest layers[] = { ct_digest("{}", 2),
		ct_digest(p, LAYER / 4) };
	const size_t sizes[] = { 2, LAYER / 4 };
	struct digest children[2];

	ct_serve_blob(t, "library/app", "{}", 2, (struct ct_page){ 0 });
	ct_serve_blob(t, "library/app", p, LAYER / 4, (struct ct_page){ 0 });
	children[0] = ct_serve_manifest(t, "library/app", NULL,
	    ct_image(t, layers, sizes, 2), MEDIA_OCI_MANIFEST);
	children[1] = ct_digest("not there", 9);
	ct_serve_manifest(
	    t, "library/app", "1", ct_index(t, children, 2), MEDIA_OCI_INDEX);
	ct_serve_manifest(
	    t, "library/app", "2", ct_index(t, children, 1), MEDIA_OCI_INDEX);
	assert_int_equal(ct_manifest(t, &ask, "1", NULL).outcome, CACHE_KEPT);
	assert_false(has_manifest(t, &children[0]));
	t->settings.all_children = true;
	cache_set(t->cache, &t->settings);
	assert_int_equal(ct_manifest(t, &ask, "2", NULL).outcome, CACHE_KEPT);
	while (!ct_has(t, "hub/app", p, LAYER / 4))
		usleep(2000);
	assert_true(has_manifest(t, &children[0]));
	assert_true(ct_has(t, "hub/app", "{}", 2));
	free(p);
}

static void
test_referrers_are_imported_and_noted(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ask_creating(t);
	const struct digest subject = ct_serve_manifest(
	    t, "library/app", "1", an_image(t, 1), MEDIA_OCI_MANIFEST);
	char room[DIGEST_STR_BYTES], path[512], *text;
	struct referrer_query q = { .repository = SPAN("hub/app"),
		.subject = subject,
		.max_rows = 10,
		.max_bytes = 10000 };
	struct referrer_page page;
	struct digest sig;
	const char *list;
	int64_t ms;

	text = xasprintf(
	    "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"artifactType\":"
	    "\"test/sig\",\"config\":{\"mediaType\":"
	    "\"application/vnd.oci.empty.v1+json\",\"digest\":\"%s\","
	    "\"size\":2},\"layers\":[],\"subject\":{\"mediaType\":\"%s\","
	    "\"digest\":\"%s\",\"size\":10}}",
	    MEDIA_OCI_MANIFEST,
	    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61"
	    "caaff8a",
	    MEDIA_OCI_MANIFEST, digest_str(&subject, room));
	sig =
	    ct_serve_manifest(t, "library/app", NULL, text, MEDIA_OCI_MANIFEST);
	list = ct_index(t, &sig, 1);
	snprintf(path, sizeof(path), "/v2/library/app/referrers/%s", room);
	ct_serve(t->server, &(struct ct_page){ .path = path,
				.type = MEDIA_OCI_INDEX,
				.body = list,
				.n = strlen(list) });
	ct_manifest(t, &ask, "1", NULL);
	assert_int_equal(ct_referrers(t, &ask, &subject).outcome, CACHE_KEPT);
	arena_reset(&t->arena);
	assert_int_equal(
	    meta_referrer_page(t->meta, &q, READ_BLOCKING, &t->arena, &page),
	    RC_OK);
	assert_int_equal(page.n, 1);
	assert_true(digest_eq(&page.rows[0].digest, &sig));
	assert_int_equal(
	    meta_import_referrers_get(t->meta, SPAN("hub/app"), &subject, &ms),
	    RC_OK);
	assert_int_equal(ct_referrers(t, &ask, &subject).outcome, CACHE_SAME);
	assert_int_equal(ct_stats(t).referrers, 1);
	free(text);
}

/* --- eviction ------------------------------------------------------------ */

#define DAY_MS ((int64_t)86400000)

/* One layer of its own, an age. */
static struct digest
old_image(
    struct ct *t, unsigned seed, const char *tag, bool import, int64_t age_ms)
{
	char *p = ct_bytes(LAYER / 4, seed);
	const struct digest layers[] = { ct_digest("{}", 2),
		ct_digest(p, LAYER / 4) };
	const size_t sizes[] = { 2, LAYER / 4 };
	const struct ct_put put = {
		.repository = "hub/app",
		.text = ct_image(t, layers, sizes, 2),
		.type = MEDIA_OCI_MANIFEST,
		.tag = tag,
		.import = import,
		.now_ms = clock_real_ms() - age_ms,
	};

	ct_put_blob(t, "hub/app", p, LAYER / 4);
	free(p);
	return (ct_put(t, &put));
}

static struct cache_eviction
evict(struct ct *t, uint64_t max_bytes)
{
	const struct span repositories[] = { SPAN("hub/none"),
		SPAN("hub/app") };
	struct cache_eviction e;

	t->settings.max_bytes = max_bytes;
	cache_set(t->cache, &t->settings);
	assert_int_equal(cache_evict(t->cache, repositories, 2, &e), RC_OK);
	return (e);
}

static void
test_oldest_images_go_and_others_stay(void **state)
{
	struct ct *t = *state;
	const struct digest own = old_image(t, 1, "own", false, 9 * DAY_MS);
	const struct digest mid = old_image(t, 2, "mid", true, 2 * DAY_MS);
	const struct digest old = old_image(t, 3, "old", true, 3 * DAY_MS);
	const struct digest young = old_image(t, 4, "young", true, DAY_MS);
	struct cache_eviction e;

	assert_int_equal(evict(t, 0).images, 0);
	e = evict(t, LAYER);
	assert_int_equal(e.images, 3);
	assert_int_equal(e.evicted, 0);
	assert_in_range(e.bytes, 3 * (LAYER / 4), 3 * (LAYER / 4) + 4096);
	e = evict(t, 2 * (LAYER / 4) + 50000);
	assert_int_equal(e.evicted, 1);
	assert_in_range(e.evicted_bytes, LAYER / 4, LAYER / 4 + 2048);
	assert_false(has_manifest(t, &old));
	assert_true(has_manifest(t, &mid));
	assert_true(has_manifest(t, &young));
	assert_true(has_manifest(t, &own));
	/* A pull makes it the youngest. */
	meta_manifest_pulled(
	    t->meta, SPAN("hub/app"), &mid, clock_real_ms() - DAY_MS / 2);
	e = evict(t, LAYER / 4 + 50000);
	assert_false(has_manifest(t, &young));
	assert_true(has_manifest(t, &mid));
	assert_int_equal(ct_stats(t).evicted, 2);
}

static void
test_what_came_just_now_stays(void **state)
{
	struct ct *t = *state;
	const struct digest d = old_image(t, 1, "new", true, 60000);

	assert_int_equal(evict(t, 1).evicted, 0);
	assert_true(has_manifest(t, &d));
}

static void
test_children_go_after_their_index(void **state)
{
	struct ct *t = *state;
	const struct digest mid = old_image(t, 2, "mid", true, 2 * DAY_MS);
	struct digest children[2], index;
	struct ct_put put = {
		.repository = "hub/app",
		.type = MEDIA_OCI_INDEX,
		.tag = "multi",
		.import = true,
	};
	struct cache_eviction e;

	children[0] = old_image(t, 10, NULL, true, 9 * DAY_MS);
	children[1] = old_image(t, 11, NULL, true, 8 * DAY_MS);
	put.text = ct_index(t, children, 2);
	put.now_ms = clock_real_ms() - DAY_MS;
	index = ct_put(t, &put);
	/* Its children are as young as it is. */
	e = evict(t, 2 * (LAYER / 4) + 80000);
	assert_int_equal(e.images, 4);
	assert_int_equal(e.evicted, 1);
	assert_false(has_manifest(t, &mid));
	assert_true(has_manifest(t, &index));
	e = evict(t, 1);
	assert_int_equal(e.evicted, 3);
	assert_false(has_manifest(t, &index));
	assert_false(has_manifest(t, &children[0]));
	assert_false(has_manifest(t, &children[1]));
}

static void
test_shared_layers_count_once(void **state)
{
	struct ct *t = *state;
	char *p = ct_bytes(LAYER / 4, 1);
	struct digest layers[] = { ct_digest("a", 1), ct_digest(p, LAYER / 4) };
	const size_t sizes[] = { 1, LAYER / 4 };
	struct ct_put put = { .repository = "hub/app",
		.type = MEDIA_OCI_MANIFEST,
		.import = true,
		.now_ms = clock_real_ms() - DAY_MS };
	struct cache_eviction e;

	ct_put_blob(t, "hub/app", p, LAYER / 4);
	put.text = ct_image(t, layers, sizes, 2);
	ct_put(t, &put);
	layers[0] = ct_digest("b", 1); /* which is not here, nor is "a" */
	put.text = ct_image(t, layers, sizes, 2);
	ct_put(t, &put);
	e = evict(t, LAYER);
	assert_in_range(e.bytes, LAYER / 4, LAYER / 4 + 2048);
	/* The first to go frees next to nothing. */
	e = evict(t, LAYER / 8);
	assert_int_equal(e.evicted, 2);
	assert_in_range(e.evicted_bytes, LAYER / 4, LAYER / 4 + 2048);
	free(p);
}

/* --- the pool ------------------------------------------------------------ */

struct work {
	struct pool_job job;
	struct gate *gate;
	bool dropped;
};

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned running, most, done;
	bool open;
};

static void
work_run(struct pool_job *j)
{
	struct gate *g = ((struct work *)(void *)j)->gate;

	mutex_lock(&g->lock);
	if (++g->running > g->most)
		g->most = g->running;
	pthread_cond_broadcast(&g->cond);
	while (!g->open)
		cond_wait(&g->cond, &g->lock);
	g->running--;
	g->done++;
	pthread_cond_broadcast(&g->cond);
	mutex_unlock(&g->lock);
}

static void
work_drop(struct pool_job *j)
{
	((struct work *)(void *)j)->dropped = true;
}

static void
gate_wait(struct gate *g, const unsigned *what, unsigned n)
{
	mutex_lock(&g->lock);
	while (*what < n)
		cond_wait(&g->cond, &g->lock);
	mutex_unlock(&g->lock);
}

static void
gate_open(struct gate *g)
{
	mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->cond);
	mutex_unlock(&g->lock);
}

static void
submit(struct pool *p, const char *upstream, enum pool_class class,
    struct work *w, struct gate *g)
{
	*w = (struct work){
		.job = { .run = work_run, .drop = work_drop },
		.gate = g,
	};
	assert_int_equal(pool_submit(p, upstream, class, &w->job), RC_OK);
}

static void
test_one_upstream_has_its_share_of_the_threads(void **state)
{
	struct gate slow = { .open = false }, quick = { .open = true };
	struct gate other = { .open = false };
	struct work work[100], one, more[4];
	struct pool *p = pool_new();
	unsigned i;

	(void)state;
	mutex_init(&slow.lock);
	cond_init(&slow.cond);
	mutex_init(&quick.lock);
	cond_init(&quick.cond);
	mutex_init(&other.lock);
	cond_init(&other.cond);
	for (i = 0; i < 100; i++)
		submit(p, "http://slow", POOL_LONG, &work[i], &slow);
	gate_wait(&slow, &slow.running, POOL_LONG_OF_UPSTREAM);
	/* Short work of the same, and any of another, goes on. */
	submit(p, "http://slow", POOL_SHORT, &one, &quick);
	gate_wait(&quick, &quick.done, 1);
	for (i = 0; i < 4; i++)
		submit(p, "http://other", POOL_LONG, &more[i], &other);
	gate_wait(&other, &other.running, 4);
	assert_int_equal(slow.most, POOL_LONG_OF_UPSTREAM);
	gate_open(&other);
	gate_open(&slow);
	gate_wait(&slow, &slow.done, 100);
	assert_int_equal(slow.most, POOL_LONG_OF_UPSTREAM);
	gate_wait(&other, &other.done, 4);
	pool_stop(p);
	pool_free(&p);
	assert_null(p);
}

static void
test_queue_has_an_end_and_is_dropped_by_stop(void **state)
{
	struct work *work = xcalloc(POOL_QUEUE_MAX + 64, sizeof(*work));
	struct gate g = { .open = false };
	struct pool *p = pool_new();
	unsigned i, n = 0, dropped = 0;
	enum rc rc = RC_OK;

	(void)state;
	mutex_init(&g.lock);
	cond_init(&g.cond);
	while (rc == RC_OK && n < POOL_QUEUE_MAX + 64) {
		work[n] = (struct work){
			.job = { .run = work_run, .drop = work_drop },
			.gate = &g,
		};
		rc = pool_submit(p, "http://slow", POOL_LONG, &work[n].job);
		if (rc == RC_OK)
			n++;
	}
	assert_int_equal(rc, RC_LIMIT);
	assert_in_range(
	    n, POOL_QUEUE_MAX, POOL_QUEUE_MAX + POOL_LONG_OF_UPSTREAM);
	gate_wait(&g, &g.running, POOL_LONG_OF_UPSTREAM);
	pool_stop(p);
	assert_int_equal(pool_submit(p, "http://slow", POOL_LONG, &work[n].job),
	    RC_CANCELLED);
	gate_open(&g);
	pool_free(&p);
	for (i = 0; i < n; i++)
		dropped += work[i].dropped;
	assert_int_equal(dropped + g.done, n);
	assert_int_equal(g.done, POOL_LONG_OF_UPSTREAM);
	free(work);
}

/* --- what is remembered -------------------------------------------------- */

static void
test_answers_are_remembered_up_to_a_number(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	struct upstream_error no = { .status = 404, .why = "no" }, got = { 0 };
	struct digest key, first;
	struct source s;
	char ref[32];
	unsigned i;

	source_init(&s, &ask.source);
	for (i = 0; i <= CACHE_NEGATIVE_MAX; i++) {
		snprintf(ref, sizeof(ref), "%u", i);
		source_key(&s, "manifest", ref, &key);
		if (i == 0)
			first = key;
		negative_note(t->cache, &s, &key, RC_NOTFOUND, &no);
	}
	assert_int_equal(negative_find(t->cache, &s, &key, &got), RC_NOTFOUND);
	assert_string_equal(got.why, "no");
	assert_int_equal(negative_find(t->cache, &s, &first, &got), RC_OK);
	source_free(&s);
}

static void
test_what_the_store_cannot_do_is_not_remembered(void **state)
{
	struct ct *t = *state;
	struct cache_ask ask = ct_ask(t, "hub/app", "library/app");
	struct upstream_error ours = { 0 };
	struct digest key;
	struct source s;

	source_init(&s, &ask.source);
	source_key(&s, "manifest", "1", &key);
	negative_note(t->cache, &s, &key, RC_NOSPACE, &ours);
	negative_note(t->cache, &s, &key, RC_LIMIT, &ours);
	negative_note(t->cache, &s, &key, RC_CANCELLED, &ours);
	assert_int_equal(negative_find(t->cache, &s, &key, &ours), RC_OK);
	/* Not to be reached: whatever is asked, until it answers. */
	negative_note(t->cache, &s, &key, RC_IO, &ours);
	source_key(&s, "manifest", "2", &key);
	assert_int_equal(negative_find(t->cache, &s, &key, &ours), RC_IO);
	negative_answered(t->cache, &s);
	assert_int_equal(negative_find(t->cache, &s, &key, &ours), RC_OK);
	source_free(&s);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, ct_setup, ct_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_cold_blob_comes_and_is_kept),
		T(test_small_and_empty_blobs_come_too),
		T(test_blob_needs_the_repository),
		T(test_hundred_askers_cost_one_request),
		T(test_follower_reads_what_came_while_more_comes),
		T(test_fill_goes_on_when_nobody_follows),
		T(test_broken_download_is_resumed),
		T(test_upstream_that_is_away_for_a_while_is_waited_for),
		T(test_wrong_bytes_are_never_kept),
		T(test_another_size_than_the_manifest_says_is_refused_at_once),
		T(test_size_that_is_not_announced_comes_from_the_manifest),
		T(test_two_repositories_with_one_source_share_a_fill),
		T(test_digest_alone_gives_nobody_what_another_source_brings),
		T(test_named_content_is_joined_whatever_the_source),
		T(test_who_joined_is_served_from_his_own_source_when_the_first_has_none),
		T(test_content_that_is_in_the_registry_is_linked),
		T(test_missing_blob_is_remembered_to_be_missing),
		T(test_full_disk_is_told_before_anything_is_asked),
		T(test_stop_ends_what_goes_on),
		T(test_cold_tag_is_one_request),
		T(test_known_tag_is_asked_for_by_head_and_fetched_when_it_moved),
		T(test_digest_is_fetched_once),
		T(test_many_who_ask_for_a_tag_cost_one_request),
		T(test_local_tag_wins),
		T(test_push_meanwhile_wins),
		T(test_immutable_tag_stays),
		T(test_nothing_is_fetched_for_a_repository_that_nobody_may_make),
		T(test_missing_tag_is_remembered_for_a_while),
		T(test_upstream_that_is_away_is_remembered_for_a_moment),
		T(test_what_is_no_manifest_is_refused),
		T(test_children_come_when_the_settings_want_all),
		T(test_referrers_are_imported_and_noted),
		T(test_oldest_images_go_and_others_stay),
		T(test_what_came_just_now_stays),
		T(test_children_go_after_their_index),
		T(test_shared_layers_count_once),
		cmocka_unit_test(
		    test_one_upstream_has_its_share_of_the_threads),
		cmocka_unit_test(test_queue_has_an_end_and_is_dropped_by_stop),
		T(test_answers_are_remembered_up_to_a_number),
		T(test_what_the_store_cannot_do_is_not_remembered),
	};

	return (cmocka_run_group_tests_name("cache", tests, NULL, NULL));
}
