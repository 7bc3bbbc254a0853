#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/obj.h"
#include "meta_tools.h"
#include "storage/collect_int.h"
#include "storage/deleted.h"
#include "storage/fsck.h"
#include "storage/images.h"
#include "storage/meta_ops_int.h"

/*
 * What refers to an image follows it when it goes, or is archived; by its
 * subject field or by the tags that cosign makes of a digest.
 */
#define APP SPAN("app")
/* All that was pushed before. */
#define LATER INT64_MAX
#define TAG_BYTES (DIGEST_STR_BYTES + 8)

static struct digest
push(struct mt *t, const char *text, const char *tag)
{
	return (mt_plain(t, "app", text, tag));
}

static struct digest
push_about(struct mt *t, const char *text, const struct digest *subject,
    int64_t now_ms)
{
	const struct mt_image image = {
		.repo = "app",
		.text = text,
		.subject = subject,
		.artifact_type = "application/x-sig",
		.now_ms = now_ms,
	};

	return (mt_image(t, &image));
}

static struct digest
index_of(
    struct mt *t, const char *text, const char *tag, const struct digest *child)
{
	const struct descriptor edge = mt_edge(EDGE_MANIFEST, child);
	const struct mt_image image = {
		.repo = "app",
		.text = text,
		.tag = tag,
		.edges = &edge,
		.n_edges = 1,
		.index = true,
	};

	return (mt_image(t, &image));
}

/* "sha256-<hex>" and the ending. */
static const char *
tag_about(const struct digest *d, const char *ending, char out[TAG_BYTES])
{
	char text[DIGEST_STR_BYTES];

	(void)digest_str(d, text);
	text[strlen("sha256")] = '-';
	(void)snprintf(out, TAG_BYTES, "%s%s", text, ending);
	return (out);
}

static bool
there(struct mt *t, const struct digest *d)
{
	struct manifest_row row;
	enum rc rc = mt_get_digest(t, "app", d, &row);

	assert_true(rc == RC_OK || rc == RC_NOTFOUND);
	return (rc == RC_OK);
}

static bool
tagged(struct mt *t, const char *tag)
{
	struct manifest_row row;

	return (mt_get(t, "app", tag, &row) == RC_OK);
}

static enum image_status
status(struct mt *t, const struct digest *d)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct image_row row;

	assert_int_equal(
	    meta_image_get(t->m, APP, &ref, &t->arena, &row), RC_OK);
	return (row.manifest.status);
}

static void
set(struct mt *t, const struct digest *d, enum image_status to, int64_t now_ms)
{
	const struct reference ref = { .is_digest = true, .digest = *d };
	struct holding holding;
	struct image_row row;

	assert_int_equal(meta_image_status_set(t->m, APP, &ref, to, now_ms,
			     &t->arena, &row, &holding),
	    RC_OK);
}

static void
erase(struct mt *t, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(meta_manifest_delete(t->m, APP, d, &holding), RC_OK);
}

static struct orphans_followed
follow(struct mt *t, int64_t before_ms, unsigned max)
{
	struct orphans_followed r;

	assert_int_equal(
	    meta_orphans_follow(t->m, before_ms, max, 9000, &r), RC_OK);
	return (r);
}

static uint64_t
rows_of(struct mt *t, enum meta_table table)
{
	struct meta_txn txn;
	uint64_t n;

	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	n = kv_count(&txn, table);
	meta_read_end(&txn);
	return (n);
}

/* What fsck says of manifests is not meant here: their texts are not JSON. */
static void
queue_problem(void *arg, const struct fsck_problem *problem)
{
	(void)arg;
	assert_null(strstr(problem->text, "orphan_subjects"));
	assert_null(strstr(problem->text, "repository number"));
}

static void
queue_sound(struct mt *t)
{
	const struct fsck_options options = { .problem = queue_problem };
	struct fsck_progress progress = { 0 };

	assert_int_equal(fsck_run(t->s, &options, &progress), RC_OK);
}

/* --- removed ------------------------------------------------------------- */

static void
referrers_go_a_grace_after_their_subject(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a"),
		      other = push(t, "o", "b");
	struct digest one = push_about(t, "one", &subject, 1000);
	struct digest two = push_about(t, "two", &subject, 1000);
	struct digest third = push_about(t, "third", &other, 1000);
	int64_t before_ms = clock_real_ms();
	struct orphans_followed r;

	erase(t, &subject);
	r = follow(t, before_ms - 1, 10);
	assert_int_equal(r.removed, 0);
	assert_false(r.more);
	assert_true(there(t, &one));
	r = follow(t, LATER, 10);
	assert_int_equal(r.removed, 2);
	assert_int_equal(r.archived, 0);
	assert_false(r.more);
	assert_false(there(t, &one));
	assert_false(there(t, &two));
	assert_true(there(t, &third));
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	assert_int_equal(rows_of(t, TABLE_REFERRERS), 1);
	mt_check(t);
}

static void
referrers_of_what_was_never_here_stay(void **state)
{
	struct mt *t = *state;
	struct digest none = mt_digest("none");
	struct digest one = push_about(t, "one", &none, 1000);
	struct digest d = push(t, "image", NULL);
	char tag[TAG_BYTES];

	(void)push(t, "sig", tag_about(&none, ".sig", tag));
	erase(t, &d);
	assert_int_equal(follow(t, LATER, 10).removed, 0);
	assert_true(there(t, &one));
	assert_true(tagged(t, tag));
	mt_check(t);
}

static void
referrers_of_what_is_back_stay(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);

	erase(t, &subject);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	(void)push(t, "image", "a");
	assert_int_equal(follow(t, LATER, 10).removed, 0);
	assert_true(there(t, &one));
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	mt_check(t);
}

static void
referrers_that_came_after_their_subject_went_stay(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest old = push_about(t, "old", &subject, 1000), new;
	char sig[TAG_BYTES], att[TAG_BYTES];

	(void)push(t, "sig", tag_about(&subject, ".sig", sig));
	erase(t, &subject);
	/* A copy is on its way here, its signature first. */
	new = push_about(t, "new", &subject, clock_real_ms() + 60000);
	(void)mt_image(t, &(const struct mt_image){
			      .repo = "app",
			      .text = "att",
			      .tag = tag_about(&subject, ".att", att),
			      .now_ms = clock_real_ms() + 60000,
			  });
	assert_int_equal(follow(t, LATER, 10).removed, 2);
	assert_false(there(t, &old));
	assert_false(tagged(t, sig));
	assert_true(there(t, &new));
	assert_true(tagged(t, att));
	mt_check(t);
}

static void
what_refers_to_a_referrer_follows_it(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest sbom = push_about(t, "sbom", &subject, 1000);
	struct digest sig = push_about(t, "sig of sbom", &sbom, 1000);
	int64_t now_ms = clock_real_ms() + 60000;
	struct orphans_followed r;

	erase(t, &subject);
	assert_int_equal(
	    meta_orphans_follow(t->m, now_ms, 10, now_ms + 1, &r), RC_OK);
	assert_int_equal(r.removed, 1);
	assert_false(there(t, &sbom));
	assert_true(there(t, &sig));
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	assert_int_equal(follow(t, now_ms, 10).removed, 0);
	assert_int_equal(follow(t, LATER, 10).removed, 1);
	assert_false(there(t, &sig));
	mt_check(t);
}

static void
a_referrer_that_an_index_holds_stays(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);
	struct digest two = push_about(t, "two", &subject, 1000);

	(void)index_of(t, "index", "keeps", &one);
	erase(t, &subject);
	assert_int_equal(follow(t, LATER, 10).removed, 1);
	assert_true(there(t, &one));
	assert_false(there(t, &two));
	queue_sound(t);
	mt_check(t);
}

static struct orphans_followed
follow_at(struct mt *t, int64_t now_ms)
{
	struct orphans_followed r;

	assert_int_equal(
	    meta_orphans_follow(t->m, now_ms, 10, now_ms, &r), RC_OK);
	assert_false(r.more);
	return (r);
}

static void
a_referrer_that_an_index_held_goes_when_the_index_has(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000), index, new;
	int64_t now_ms = clock_real_ms() + 1000;

	index = index_of(t, "index", "keeps", &one);
	erase(t, &subject);
	/* It is about one that is yet to come. */
	new = push_about(t, "new", &subject, now_ms);
	assert_int_equal(follow_at(t, now_ms).removed, 0);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	erase(t, &index);
	/* It is not looked at all the time. */
	assert_int_equal(follow_at(t, now_ms + 1000).removed, 0);
	mt_reopen(t);
	queue_sound(t);
	mt_check(t);
	assert_int_equal(follow_at(t, now_ms + 2 * 60000).removed, 1);
	assert_false(there(t, &one));
	assert_true(there(t, &new));
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	mt_check(t);
}

static void
as_long_as_an_index_holds_it_it_is_looked_at_less_and_less(void **state)
{
	const int64_t day_ms = INT64_C(86400000);
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a"), other, d;
	struct digest one = push_about(t, "one", &subject, 1000), index;
	int64_t now_ms = clock_real_ms() + 1000;
	unsigned i;

	index = index_of(t, "index", "keeps", &one);
	erase(t, &subject);
	for (i = 0; i < 400; i++) {
		assert_int_equal(
		    follow_at(t, now_ms + i * day_ms / 4).removed, 0);
		assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	}
	now_ms += 100 * day_ms;
	/* Others do not wait for it. */
	other = push(t, "other", "b");
	d = push_about(t, "two", &other, 1000);
	erase(t, &other);
	assert_int_equal(follow_at(t, now_ms).removed, 1);
	assert_false(there(t, &d));
	/* At the latest a day after the index. */
	erase(t, &index);
	assert_int_equal(follow_at(t, now_ms + day_ms + 1).removed, 1);
	assert_false(there(t, &one));
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	mt_check(t);
}

static void
one_that_was_held_stays_if_its_subject_came_back(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000), index;
	int64_t now_ms = clock_real_ms() + 1000;

	index = index_of(t, "index", "keeps", &one);
	erase(t, &subject);
	assert_int_equal(follow_at(t, now_ms).removed, 0);
	(void)push(t, "image", "a");
	erase(t, &index);
	assert_int_equal(follow_at(t, now_ms + 2 * 60000).removed, 0);
	assert_true(there(t, &one));
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	mt_check(t);
}

static void
many_referrers_go_some_at_a_time_and_after_a_crash(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a"), d;
	struct orphans_followed r;
	unsigned i, removed = 0, rounds = 0;
	char text[16];

	for (i = 0; i < 100; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		d = push_about(t, text, &subject, 1000);
		(void)snprintf(text, sizeof(text), "index %u", i);
		if (i % 10 == 0)
			(void)index_of(t, text, NULL, &d);
	}
	erase(t, &subject);
	do {
		r = follow(t, LATER, 7);
		assert_true(r.removed <= 7);
		removed += r.removed;
		rounds++;
		mt_reopen(t);
		mt_check(t);
	} while (r.more);
	assert_int_equal(removed, 90);
	assert_true(rounds >= 13);
	assert_int_equal(rows_of(t, TABLE_REFERRERS), 10);
	/* Whatever change it was in that met those that are held. */
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
}

static void
several_subjects_are_followed_one_after_the_other(void **state)
{
	struct mt *t = *state;
	struct digest subject;
	char text[32];
	unsigned i;

	for (i = 0; i < 5; i++) {
		(void)snprintf(text, sizeof(text), "image %u", i);
		subject = push(t, text, NULL);
		(void)snprintf(text, sizeof(text), "referrer %u", i);
		(void)push_about(t, text, &subject, 1000);
		erase(t, &subject);
	}
	assert_int_equal(follow(t, LATER, 3).removed, 3);
	assert_true(follow(t, LATER, 2).more);
	assert_false(follow(t, LATER, 2).more);
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 0);
	mt_check(t);
}

static void
what_waits_in_a_repository_that_is_gone_is_nothing_wrong(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct repository_description described;
	struct orphans_followed r;
	bool more = true;

	(void)push_about(t, "one", &subject, 1000);
	erase(t, &subject);
	assert_int_equal(
	    meta_repository_delete(t->m, APP, true, &t->arena, &described),
	    RC_OK);
	while (more)
		assert_int_equal(
		    meta_repository_purge(t->m, 1, NULL, &more), RC_OK);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	queue_sound(t);
	mt_check(t);
	r = follow(t, LATER, 10);
	assert_int_equal(r.removed, 0);
	assert_false(r.more);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	mt_check(t);
}

/* --- cosign's tags ------------------------------------------------------- */

static void
what_cosign_tags_after_a_digest_goes_with_it(void **state)
{
	static const char *const endings[] = { ".sig", ".att", ".sbom", "" };
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	char tag[TAG_BYTES], other[TAG_BYTES];
	size_t i;

	for (i = 0; i < ARRAY_LEN(endings); i++)
		(void)push(t, i == 0 ? "sig" : endings[i],
		    tag_about(&subject, endings[i], tag));
	/* Of no ending that anybody knows, and of another digest. */
	(void)push(t, "x", tag_about(&subject, ".x", other));
	erase(t, &subject);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	assert_int_equal(follow(t, LATER, 10).removed, 4);
	for (i = 0; i < ARRAY_LEN(endings); i++)
		assert_false(tagged(t, tag_about(&subject, endings[i], tag)));
	assert_true(tagged(t, other));
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 1);
	mt_check(t);
}

static void
a_signature_with_another_tag_loses_only_that_one(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a"), sig;
	char tag[TAG_BYTES];

	sig = push(t, "sig", tag_about(&subject, ".sig", tag));
	(void)push(t, "sig", "mine");
	erase(t, &subject);
	assert_int_equal(follow(t, LATER, 10).removed, 0);
	assert_true(there(t, &sig));
	assert_true(tagged(t, "mine"));
	assert_false(tagged(t, tag));
	mt_check(t);
}

static void
a_signature_that_an_index_holds_loses_its_tag(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a"), sig;
	char tag[TAG_BYTES];

	sig = push(t, "sig", tag_about(&subject, ".sig", tag));
	(void)index_of(t, "index", "keeps", &sig);
	erase(t, &subject);
	assert_int_equal(follow(t, LATER, 10).removed, 0);
	assert_true(there(t, &sig));
	assert_false(tagged(t, tag));
	mt_check(t);
}

static void
the_index_of_the_referrers_tag_goes_before_what_it_lists(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest sig = push_about(t, "sig", &subject, 1000), index;
	char tag[TAG_BYTES];

	index = index_of(t, "index", tag_about(&subject, "", tag), &sig);
	erase(t, &subject);
	assert_int_equal(follow(t, LATER, 10).removed, 2);
	assert_false(there(t, &index));
	assert_false(there(t, &sig));
	mt_check(t);
}

/* --- archived ------------------------------------------------------------ */

static void
referrers_are_archived_with_their_subject_and_restored(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);
	struct digest own = push_about(t, "own", &subject, 1000);
	struct orphans_followed r;
	struct digest sig;
	char tag[TAG_BYTES];

	sig = push(t, "sig", tag_about(&subject, ".sig", tag));
	set(t, &own, IMAGE_ARCHIVED, 1500);
	set(t, &subject, IMAGE_ARCHIVED, 2000);
	r = follow(t, 1999, 10);
	assert_int_equal(r.archived, 0);
	r = follow(t, 2000, 10);
	assert_int_equal(r.archived, 2);
	assert_int_equal(r.removed, 0);
	assert_int_equal(status(t, &one), IMAGE_ARCHIVED);
	assert_int_equal(status(t, &sig), IMAGE_ARCHIVED);
	/* By tag it is there still. */
	assert_true(tagged(t, tag));
	set(t, &subject, IMAGE_ACTIVE, 9500);
	assert_int_equal(status(t, &one), IMAGE_ACTIVE);
	/* It was archived before that. */
	assert_int_equal(status(t, &own), IMAGE_ARCHIVED);
	mt_check(t);
}

static void
referrers_of_what_is_active_again_stay_active(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);

	set(t, &subject, IMAGE_ARCHIVED, 2000);
	set(t, &subject, IMAGE_ACTIVE, 2500);
	assert_int_equal(follow(t, LATER, 10).archived, 0);
	assert_int_equal(status(t, &one), IMAGE_ACTIVE);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	mt_check(t);
}

static void
what_an_active_index_needs_or_another_tag_names_is_not_archived(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest held = push_about(t, "held", &subject, 1000), sig;
	char tag[TAG_BYTES];

	sig = push(t, "sig", tag_about(&subject, ".sig", tag));
	(void)push(t, "sig", "mine");
	(void)index_of(t, "index", "keeps", &held);
	set(t, &subject, IMAGE_ARCHIVED, 2000);
	assert_int_equal(follow(t, LATER, 10).archived, 0);
	assert_int_equal(status(t, &held), IMAGE_ACTIVE);
	assert_int_equal(status(t, &sig), IMAGE_ACTIVE);
	mt_check(t);
}

static void
many_referrers_are_archived_some_at_a_time(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct orphans_followed r;
	unsigned i, archived = 0, rounds = 0;
	char text[16];

	for (i = 0; i < 1500; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		(void)push_about(t, text, &subject, i < 1400 ? 3000 : 1000);
	}
	set(t, &subject, IMAGE_ARCHIVED, 2000);
	do {
		r = follow(t, LATER, 30);
		assert_true(r.archived <= 30);
		archived += r.archived;
		rounds++;
		mt_reopen(t);
		/* It does not begin anew each time. */
		assert_true(rounds < 10);
		queue_sound(t);
	} while (r.more);
	assert_int_equal(archived, 100);
	mt_check(t);
}

/* --- restorable ---------------------------------------------------------- */

static void
referrers_of_what_can_be_restored_stay_until_it_is_gone(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);
	const struct reference ref = { .is_digest = true, .digest = one };
	struct image_restored restored;
	unsigned n;
	bool more;

	store_undelete_set(t->s, INT64_C(3600000));
	erase(t, &subject);
	assert_int_equal(follow(t, LATER, 10).removed, 0);
	assert_true(there(t, &one));
	assert_int_equal(
	    meta_deleted_expire(t->m, LATER, 10, &n, &more), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(follow(t, LATER, 10).removed, 1);
	assert_false(there(t, &one));
	/* It can be restored in its turn. */
	assert_int_equal(
	    meta_image_undelete(t->m, APP, &ref, 9500, &t->arena, &restored),
	    RC_OK);
	assert_true(there(t, &one));
	mt_check(t);
}

static void
a_subject_that_is_deleted_again_is_looked_at_when_it_is_gone(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);

	erase(t, &subject);
	(void)push(t, "image", "a");
	store_undelete_set(t->s, INT64_C(3600000));
	erase(t, &subject);
	assert_int_equal(follow(t, LATER, 10).removed, 0);
	assert_true(there(t, &one));
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	mt_check(t);
}

static void
referrers_of_what_was_archived_and_can_be_restored_stay_active(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);

	store_undelete_set(t->s, INT64_C(3600000));
	set(t, &subject, IMAGE_ARCHIVED, 2000);
	erase(t, &subject);
	assert_int_equal(follow(t, LATER, 10).archived, 0);
	assert_int_equal(status(t, &one), IMAGE_ACTIVE);
	mt_check(t);
}

/* --- damaged, or of another time ----------------------------------------- */

static enum rc
tag_spoil(struct meta_txn *t, void *arg)
{
	struct repository_row repo;
	struct rec_key k;
	enum rc rc;

	if ((rc = repo_find(t, APP, &repo)) != RC_OK)
		return (rc);
	key_tag(&k, repo.id, span_of(arg));
	return (kv_put(t, TABLE_TAGS, key_span(&k), SPAN("xx")));
}

static enum rc
blob_spoil(struct meta_txn *t, void *arg)
{
	struct rec_key k;

	key_blob(&k, KEY_DOMAIN_PLAIN, arg);
	return (kv_put(t, TABLE_BLOBS, key_span(&k), SPAN("xx")));
}

static enum rc
row_spoil(struct meta_txn *t, void *arg)
{
	struct repository_row repo;
	struct rec_key k;
	enum rc rc;

	if ((rc = repo_find(t, APP, &repo)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo.id, arg);
	return (kv_put(t, TABLE_MANIFESTS, key_span(&k), SPAN("xx")));
}

static void
a_damaged_tag_keeps_only_itself(void **state)
{
	struct mt *t = *state;
	int64_t now_ms = clock_real_ms() + 60000;
	struct digest subjects[3], ones[3];
	char texts[3][2][16], tag[TAG_BYTES];
	unsigned i;

	for (i = 0; i < 3; i++) {
		(void)snprintf(texts[i][0], 16, "image %u", i);
		(void)snprintf(texts[i][1], 16, "one %u", i);
		subjects[i] = push(t, texts[i][0], NULL);
		ones[i] = push_about(t, texts[i][1], &subjects[i], 1000);
	}
	(void)tag_about(&subjects[0], ".sig", tag);
	assert_int_equal(meta_change(t->m, tag_spoil, tag, 0), RC_OK);
	for (i = 0; i < 3; i++)
		erase(t, &subjects[i]);
	assert_int_equal(follow_at(t, now_ms).removed, 3);
	for (i = 0; i < 3; i++)
		assert_false(there(t, &ones[i]));
	/* It is looked at again. */
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	assert_int_equal(follow_at(t, now_ms + 1000).removed, 0);
}

static void
one_that_cannot_go_is_left_whole_and_keeps_no_other(void **state)
{
	struct mt *t = *state;
	int64_t now_ms = clock_real_ms() + 60000;
	struct digest subject = push(t, "image", "a"), ones[40];
	char text[16];
	unsigned i;

	for (i = 0; i < 40; i++) {
		(void)snprintf(text, sizeof(text), "one %u", i);
		ones[i] = push_about(t, text, &subject, 1000);
	}
	/* More than one change passes over. */
	for (i = 0; i < 36; i++)
		assert_int_equal(
		    meta_change(t->m, blob_spoil, &ones[i], 0), RC_OK);
	erase(t, &subject);
	for (i = 0; rows_of(t, TABLE_REFERRERS) > 36; i++) {
		struct orphans_followed r;

		assert_true(i < 20);
		assert_int_equal(
		    meta_orphans_follow(t->m, now_ms, 10, now_ms, &r), RC_OK);
	}
	assert_int_equal(rows_of(t, TABLE_REFERRERS), 36);
	assert_int_equal(rows_of(t, TABLE_MANIFESTS), 36);
}

static void
a_damaged_subject_waits_and_keeps_no_other(void **state)
{
	struct mt *t = *state;
	int64_t now_ms = clock_real_ms() + 60000;
	struct digest first = push(t, "first", "a"), second;
	struct digest one = push_about(t, "one", &first, 1000), two;

	second = push(t, "second", "b");
	two = push_about(t, "two", &second, 1000);
	set(t, &first, IMAGE_ARCHIVED, 2000);
	assert_int_equal(meta_change(t->m, row_spoil, &first, 0), RC_OK);
	erase(t, &second);
	assert_int_equal(follow_at(t, now_ms).removed, 1);
	assert_true(there(t, &one));
	assert_false(there(t, &two));
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
}

static enum rc
noted_ahead(struct meta_txn *t, void *arg)
{
	const int64_t ahead_ms = INT64_C(3650) * 86400000;
	struct repository_row repo;
	enum rc rc;

	if ((rc = repo_find(t, APP, &repo)) != RC_OK)
		return (rc);
	return (orphan_note(t, repo.id, arg, clock_real_ms() + ahead_ms));
}

static enum rc
queue_clear(struct meta_txn *t, void *arg)
{
	struct kv_walk w;
	enum rc rc;

	(void)arg;
	rc = kv_walk_begin(t, TABLE_ORPHAN_SUBJECTS, SPAN_NONE, SPAN_NONE, &w);
	while (rc == RC_OK && (rc = kv_walk_next(&w)) == RC_OK)
		rc = kv_walk_delete(&w);
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static void
a_subject_that_went_at_a_time_to_come_went_now(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);
	int64_t now_ms = clock_real_ms() + 60000;
	struct orphans_followed r;

	gc_grace_set(t->s, 0);
	erase(t, &subject);
	assert_int_equal(meta_change(t->m, queue_clear, NULL, 0), RC_OK);
	assert_int_equal(meta_change(t->m, noted_ahead, &subject, 0), RC_OK);
	assert_int_equal(
	    meta_orphans_follow(t->m, now_ms - 1, 10, now_ms, &r), RC_OK);
	assert_int_equal(r.removed, 0);
	assert_true(there(t, &one));
	assert_int_equal(
	    meta_orphans_follow(t->m, now_ms, 10, now_ms, &r), RC_OK);
	assert_int_equal(r.removed, 1);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
	mt_check(t);
}

/* --- telling ------------------------------------------------------------- */

static const struct gc_followed *
told_of(const struct orphans_followed *r, const struct digest *d)
{
	size_t i;

	for (i = 0; i < r->n_each; i++)
		if (digest_eq(&r->each[i].digest, d))
			return (&r->each[i]);
	return (NULL);
}

static void
each_that_follows_is_told_with_its_tags(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a"), one, two, both;
	char tag[TAG_BYTES];
	const struct gc_followed *f;
	struct orphans_followed r;

	one = push_about(t, "one", &subject, 1000);
	two = push(t, "two", tag_about(&subject, ".sig", tag));
	both = push(t, "both", tag_about(&subject, ".att", tag));
	(void)push(t, "both", "kept");
	erase(t, &subject);
	assert_int_equal(
	    meta_orphans_follow_each(t->m, LATER, 10, 9000, &t->arena, &r),
	    RC_OK);
	assert_int_equal(r.n_each, 3);
	assert_non_null(f = told_of(&r, &one));
	assert_int_equal(f->what, GC_FOLLOW_REMOVED);
	assert_true(span_eq(f->repository, APP));
	assert_true(digest_eq(&f->subject, &subject));
	assert_int_equal(f->n_tags, 0);
	assert_non_null(f = told_of(&r, &two));
	assert_int_equal(f->what, GC_FOLLOW_REMOVED);
	assert_int_equal(f->n_tags, 1);
	assert_true(
	    span_eq(f->tags[0], span_of(tag_about(&subject, ".sig", tag))));
	assert_non_null(f = told_of(&r, &both));
	assert_int_equal(f->what, GC_FOLLOW_UNTAGGED);
	assert_true(
	    span_eq(f->tags[0], span_of(tag_about(&subject, ".att", tag))));
	assert_true(there(t, &both));
	mt_check(t);
}

static void
nothing_is_told_of_what_could_not_be_done(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a"), one, two;
	struct orphans_followed r;

	one = push_about(t, "one", &subject, 1000);
	two = push_about(t, "two", &subject, 1000);
	assert_int_equal(meta_change(t->m, blob_spoil, &one, 0), RC_OK);
	erase(t, &subject);
	assert_int_equal(meta_orphans_follow_each(t->m, clock_real_ms() + 1000,
			     10, clock_real_ms() + 1000, &t->arena, &r),
	    RC_OK);
	assert_int_equal(r.n_each, 1);
	assert_null(told_of(&r, &one));
	assert_non_null(told_of(&r, &two));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(referrers_go_a_grace_after_their_subject),
		TEST(referrers_of_what_was_never_here_stay),
		TEST(referrers_of_what_is_back_stay),
		TEST(referrers_that_came_after_their_subject_went_stay),
		TEST(what_refers_to_a_referrer_follows_it),
		TEST(a_referrer_that_an_index_holds_stays),
		TEST(a_referrer_that_an_index_held_goes_when_the_index_has),
		TEST(
		    as_long_as_an_index_holds_it_it_is_looked_at_less_and_less),
		TEST(one_that_was_held_stays_if_its_subject_came_back),
		TEST(many_referrers_go_some_at_a_time_and_after_a_crash),
		TEST(several_subjects_are_followed_one_after_the_other),
		TEST(what_waits_in_a_repository_that_is_gone_is_nothing_wrong),
		TEST(what_cosign_tags_after_a_digest_goes_with_it),
		TEST(a_signature_with_another_tag_loses_only_that_one),
		TEST(a_signature_that_an_index_holds_loses_its_tag),
		TEST(the_index_of_the_referrers_tag_goes_before_what_it_lists),
		TEST(referrers_are_archived_with_their_subject_and_restored),
		TEST(referrers_of_what_is_active_again_stay_active),
		TEST(
		    what_an_active_index_needs_or_another_tag_names_is_not_archived),
		TEST(many_referrers_are_archived_some_at_a_time),
		TEST(referrers_of_what_can_be_restored_stay_until_it_is_gone),
		TEST(
		    referrers_of_what_was_archived_and_can_be_restored_stay_active),
		TEST(
		    a_subject_that_is_deleted_again_is_looked_at_when_it_is_gone),
		TEST(a_damaged_tag_keeps_only_itself),
		TEST(one_that_cannot_go_is_left_whole_and_keeps_no_other),
		TEST(a_damaged_subject_waits_and_keeps_no_other),
		TEST(a_subject_that_went_at_a_time_to_come_went_now),
		TEST(each_that_follows_is_told_with_its_tags),
		TEST(nothing_is_told_of_what_could_not_be_done),
	};

	return (cmocka_run_group_tests_name("orphans", tests, NULL, NULL));
}
