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
#include "storage/images.h"
#include "storage/meta_ops_int.h"

/*
 * What refers to an image, and comes once more: pushed, or tagged, again when
 * the image is gone; or restored with it, be they ever so many.
 */
#define APP SPAN("app")
#define TAG_BYTES (DIGEST_STR_BYTES + 8)
/* More than one change restores. */
#define MANY 2500

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

static void
push_tagged(struct mt *t, const char *text, const char *tag, int64_t now_ms)
{
	const struct mt_image image = {
		.repo = "app", .text = text, .tag = tag, .now_ms = now_ms
	};

	(void)mt_image(t, &image);
}

static bool
there(struct mt *t, const struct digest *d)
{
	struct manifest_row row;
	enum rc rc = mt_get_digest(t, "app", d, &row);

	assert_true(rc == RC_OK || rc == RC_NOTFOUND);
	return (rc == RC_OK);
}

static void
erase(struct mt *t, const struct digest *d)
{
	struct holding holding;

	assert_int_equal(meta_manifest_delete(t->m, APP, d, &holding), RC_OK);
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

static struct orphans_followed
follow(struct mt *t, int64_t before_ms)
{
	struct orphans_followed r;

	assert_int_equal(
	    meta_orphans_follow(t->m, before_ms, 64, before_ms + 1, &r), RC_OK);
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

/* --- pushed again -------------------------------------------------------- */

static int64_t
pushed_ms(struct mt *t, const struct digest *d)
{
	struct manifest_row row;

	assert_int_equal(mt_get_digest(t, "app", d, &row), RC_OK);
	return (row.pushed_ms);
}

static void
one_that_is_pushed_again_does_not_follow_who_went_before(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);
	struct digest two = push_about(t, "two", &subject, 1000);
	int64_t now_ms = clock_real_ms() + 60000;

	erase(t, &subject);
	(void)push_about(t, "one", &subject, now_ms);
	assert_int_equal(follow(t, now_ms + 1).removed, 1);
	assert_true(there(t, &one));
	assert_false(there(t, &two));
	mt_check(t);
}

static void
what_is_about_one_that_is_there_keeps_its_time(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);

	(void)push_about(t, "one", &subject, 5000);
	assert_int_equal(pushed_ms(t, &one), 1000);
	(void)push_tagged(t, "image", "b", 5000);
	assert_int_equal(pushed_ms(t, &subject), 1000);
	mt_check(t);
}

static void
one_that_is_pushed_again_stays_active_when_its_subject_is_archived(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	struct digest one = push_about(t, "one", &subject, 1000);
	struct orphans_followed r;

	(void)push_about(t, "two", &subject, 1000);
	set(t, &subject, IMAGE_ARCHIVED, 2000);
	(void)push_about(t, "one", &subject, 3000);
	r = follow(t, 4000);
	assert_int_equal(r.archived, 1);
	assert_int_equal(pushed_ms(t, &one), 3000);
	mt_check(t);
}

static void
a_tag_that_is_set_again_does_not_follow_who_went_before(void **state)
{
	struct mt *t = *state;
	struct digest subject = push(t, "image", "a");
	int64_t now_ms = clock_real_ms() + 60000;
	char text[DIGEST_STR_BYTES], sig[TAG_BYTES], att[TAG_BYTES];
	struct manifest_row row;

	(void)digest_str(&subject, text);
	text[strlen("sha256")] = '-';
	(void)snprintf(sig, sizeof(sig), "%s.sig", text);
	(void)snprintf(att, sizeof(att), "%s.att", text);
	push_tagged(t, "sig", sig, 1000);
	push_tagged(t, "att", att, 1000);
	erase(t, &subject);
	push_tagged(t, "sig", sig, now_ms);
	assert_int_equal(follow(t, now_ms + 1).removed, 1);
	assert_int_equal(mt_get(t, "app", sig, &row), RC_OK);
	assert_int_equal(mt_get(t, "app", att, &row), RC_NOTFOUND);
	mt_check(t);
}

/* --- restored ------------------------------------------------------------ */

static struct digest
referrer(unsigned i)
{
	struct digest d = mt_digest("referrer");

	d.bytes[0] = (uint8_t)(i >> 8);
	d.bytes[1] = (uint8_t)i;
	return (d);
}

/* Rows are enough: they need nothing, and nobody reads them.  Every tenth was
 * archived before its subject. */
static enum rc
many_put(struct meta_txn *t, void *arg)
{
	const struct digest *subject = arg;
	const struct manifest m = {
		.media_type = SPAN(MEDIA_OCI_MANIFEST),
		.has_subject = true,
		.subject = *subject,
	};
	struct manifest_rec rec = {
		.flags = MANIFEST_HAS_SUBJECT,
		.pushed_ms = 1000,
		.media_type = m.media_type,
		.subject = *subject,
		.status = IMAGE_ARCHIVED,
	};
	struct digest d;
	unsigned i;
	enum rc rc;

	for (i = 0; i < MANY; i++) {
		d = referrer(i);
		rec.archived_ms = i % 10 == 0 ? 2000 : 6000;
		rc = manifest_save(t, 1, &d, &rec);
		if (rc == RC_OK)
			rc = referrer_put(t, 1, &d, &m, 0);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static unsigned
active(struct mt *t)
{
	struct manifest_rec rec;
	struct meta_txn txn;
	unsigned i, n = 0;
	struct digest d;

	assert_int_equal(meta_read_begin(t->m, &txn), RC_OK);
	for (i = 0; i < MANY; i++) {
		d = referrer(i);
		if (manifest_row(&txn, 1, &d, &rec) == RC_OK)
			n += rec.status == IMAGE_ACTIVE;
	}
	meta_read_end(&txn);
	return (n);
}

/* With very many referrers, restored, but not all of these. */
static struct digest
subject_restored(struct mt *t)
{
	struct digest subject = push(t, "image", "a");

	set(t, &subject, IMAGE_ARCHIVED, 5000);
	assert_int_equal(meta_change(t->m, many_put, &subject, 0), RC_OK);
	set(t, &subject, IMAGE_ACTIVE, 9000);
	assert_in_range(active(t), 1, 1000);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	return (subject);
}

static void
of_very_many_that_refer_to_it_the_collector_restores_the_others(void **state)
{
	struct mt *t = *state;
	unsigned was, rounds = 0;
	struct orphans_followed r;

	(void)subject_restored(t);
	do {
		was = active(t);
		r = follow(t, 10000);
		assert_int_equal(r.removed + r.archived, 0);
		/* Some at a time, and from where it was. */
		assert_in_range(active(t), was, was + 64);
		if (rounds++ == 3)
			mt_reopen(t);
	} while (r.more);
	assert_in_range(rounds, 20, 30);
	assert_int_equal(active(t), MANY - MANY / 10);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 0);
}

static void
none_is_restored_for_who_went_meanwhile_and_none_goes_early(void **state)
{
	struct mt *t = *state;
	struct digest subject = subject_restored(t);
	unsigned n = active(t);
	struct orphans_followed r;

	erase(t, &subject);
	/* It went just now: that is not due. */
	do {
		r = follow(t, 10000);
		assert_int_equal(r.removed + r.archived, 0);
	} while (r.more);
	assert_int_equal(active(t), n);
	assert_int_equal(rows_of(t, TABLE_ORPHAN_SUBJECTS), 1);
	assert_int_equal(rows_of(t, TABLE_REFERRERS), MANY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, mt_setup, mt_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_is_pushed_again_does_not_follow_who_went_before),
		TEST(what_is_about_one_that_is_there_keeps_its_time),
		TEST(
		    one_that_is_pushed_again_stays_active_when_its_subject_is_archived),
		TEST(a_tag_that_is_set_again_does_not_follow_who_went_before),
		TEST(
		    of_very_many_that_refer_to_it_the_collector_restores_the_others),
		TEST(
		    none_is_restored_for_who_went_meanwhile_and_none_goes_early),
	};

	return (cmocka_run_group_tests_name("again", tests, NULL, NULL));
}
