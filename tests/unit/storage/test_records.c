#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/obj.h"
#include "storage/deleted.h"
#include "storage/imports.h"
#include "storage/records.h"
#include "storage/replication.h"
#include "storage/sealed.h"
#include "storage_tools.h"

/*
 * Records to bytes and back; and what is not a record is not taken for one.
 */

static struct digest
digest_of_alg(uint8_t alg, unsigned seed)
{
	struct digest d;

	digest_of(alg, &seed, sizeof(seed), &d);
	return (d);
}

/* Not so every shorter text, one longer, and one of another version.  What was
 * read last is the good one; its spans are gone. */
#define REFUSES_ALL_BUT(bytes, size, read_expr) \
	do { \
		uint8_t buf[512] = { 0 }; \
		struct span s; \
		size_t cut; \
		assert_true((size) + 1 < sizeof(buf)); \
		memcpy(buf, (bytes), (size)); \
		for (cut = 0; cut <= (size) + 1; cut++) { \
			s = (struct span){ (const char *)buf, cut }; \
			assert_int_equal((read_expr), cut == (size)); \
		} \
		s = (struct span){ (const char *)buf, (size) }; \
		buf[0] += 9; \
		assert_false(read_expr); \
		buf[0] -= 9; \
		assert_true(read_expr); \
	} while (0)

static void
repositories_survive(void **state)
{
	const struct repository_row row = { UINT64_C(0x0102030405060708), -5 };
	struct repository_row got;
	uint8_t p[REC_REPOSITORY_BYTES];

	(void)state;
	rec_repository_write(&row, p);
	REFUSES_ALL_BUT(p, sizeof(p), rec_repository_read(s, &got));
	assert_int_equal(got.id, row.id);
	assert_int_equal(got.created_ms, -5);
	/* As it is written down: big-endian behind the version. */
	assert_int_equal(p[0], 1);
	assert_int_equal(p[1], 1);
	assert_int_equal(p[8], 8);
}

static void
tags_survive(void **state)
{
	struct tag_rec rec = { .tagged_ms = 7 }, got;
	uint8_t p[REC_TAG_MAX_BYTES];

	(void)state;
	rec.digest = digest_of_alg(DIGEST_SHA256, 1);
	rec_tag_write(&rec, p);
	REFUSES_ALL_BUT(p, rec_tag_size(&rec), rec_tag_read(s, &got));
	assert_true(digest_eq(&got.digest, &rec.digest));
	assert_int_equal(got.tagged_ms, 7);
	rec.digest = digest_of_alg(DIGEST_SHA512, 1);
	assert_int_equal(rec_tag_size(&rec), sizeof(p));
	rec_tag_write(&rec, p);
	REFUSES_ALL_BUT(p, rec_tag_size(&rec), rec_tag_read(s, &got));
	assert_true(digest_eq(&got.digest, &rec.digest));
}

static void
manifests_survive(void **state)
{
	struct manifest_rec got, rec = {
		.size_bytes = 11,
		.pushed_ms = 22,
		.pulled_ms = 33,
		.media_type = SPAN("application/a"),
		.artifact_type = SPAN(""),
		.image_bytes = 44,
		.status = IMAGE_ARCHIVED,
		.archived_ms = 55,
		.activated_ms = 66,
	};
	uint8_t p[500];

	(void)state;
	rec_manifest_write(&rec, p);
	REFUSES_ALL_BUT(p, rec_manifest_size(&rec), rec_manifest_read(s, &got));
	rec.flags = MANIFEST_HAS_SUBJECT | MANIFEST_QUARANTINED;
	rec.artifact_type = SPAN("application/b");
	rec.subject = digest_of_alg(DIGEST_SHA512, 3);
	rec_manifest_write(&rec, p);
	assert_true(rec_manifest_read(
	    (struct span){ (char *)p, rec_manifest_size(&rec) }, &got));
	assert_int_equal(got.flags, rec.flags);
	assert_int_equal(got.size_bytes, 11);
	assert_int_equal(got.pushed_ms, 22);
	assert_int_equal(got.pulled_ms, 33);
	assert_true(span_is(got.media_type, "application/a"));
	assert_true(span_is(got.artifact_type, "application/b"));
	assert_true(digest_eq(&got.subject, &rec.subject));
	assert_int_equal(got.image_bytes, 44);
	assert_int_equal(got.status, IMAGE_ARCHIVED);
	assert_int_equal(got.archived_ms, 55);
	assert_int_equal(got.activated_ms, 66);
	REFUSES_ALL_BUT(p, rec_manifest_size(&rec), rec_manifest_read(s, &got));
	p[rec_manifest_size(&rec) - 17] = IMAGE_ACTIVATING + 1;
	assert_false(rec_manifest_read(
	    (struct span){ (char *)p, rec_manifest_size(&rec) }, &got));
	rec.status = IMAGE_ACTIVATING;
	rec.flags |= MANIFEST_DELETED;
	rec_manifest_write(&rec, p);
	REFUSES_ALL_BUT(p, rec_manifest_size(&rec), rec_manifest_read(s, &got));
	assert_int_equal(got.status, IMAGE_ACTIVATING);
	assert_int_equal(got.flags, rec.flags);
	p[1] |= 8;
	assert_false(rec_manifest_read(
	    (struct span){ (char *)p, rec_manifest_size(&rec) }, &got));
}

/* What stands behind the subject came with format 3. */
static void
manifests_of_format_2_are_read(void **state)
{
	struct manifest_rec got, rec = {
		.flags = MANIFEST_HAS_SUBJECT,
		.size_bytes = 11,
		.media_type = SPAN("application/a"),
		.status = IMAGE_ARCHIVED,
	};
	uint8_t p[500];
	size_t n;

	(void)state;
	rec.subject = digest_of_alg(DIGEST_SHA256, 3);
	rec_manifest_write(&rec, p);
	n = rec_manifest_size(&rec) - 25;
	p[0] = 1;
	REFUSES_ALL_BUT(p, n, rec_manifest_read(s, &got));
	assert_int_equal(got.size_bytes, 11);
	assert_true(digest_eq(&got.subject, &rec.subject));
	assert_int_equal(got.image_bytes, MANIFEST_BYTES_UNKNOWN);
	assert_int_equal(got.status, IMAGE_ACTIVE);
	assert_int_equal(got.archived_ms, 0);
}

static void
scans_survive(void **state)
{
	struct scan_rec got, rec = {
		.status = SCAN_FAILED,
		.started_ms = 1,
		.ended_ms = 2,
		.reason = SPAN("why"),
	};
	uint8_t p[600];
	struct span value = { (char *)p, 0 };
	size_t i;

	(void)state;
	rec_scan_write(&rec, p);
	value.n = rec_scan_size(&rec);
	assert_true(rec_scan_read(value, &got));
	assert_int_equal(got.status, SCAN_FAILED);
	assert_int_equal(got.started_ms, 1);
	assert_int_equal(got.ended_ms, 2);
	assert_true(span_is(got.reason, "why"));
	assert_int_equal(got.n_earlier, 0);
	for (i = 1; i < 8; i++) {
		value.n = rec_scan_size(&rec) - i;
		assert_false(rec_scan_read(value, &got));
		value.n = rec_scan_size(&rec) + i;
		assert_false(rec_scan_read(value, &got));
	}
	for (i = 0; i < SCAN_EARLIER_MAX; i++)
		rec.earlier_ms[i] = (int64_t)i - 7;
	rec.n_earlier = SCAN_EARLIER_MAX;
	rec_scan_write(&rec, p);
	value.n = rec_scan_size(&rec);
	assert_true(rec_scan_read(value, &got));
	assert_int_equal(got.n_earlier, SCAN_EARLIER_MAX);
	assert_memory_equal(
	    got.earlier_ms, rec.earlier_ms, sizeof(rec.earlier_ms));
	value.n += 8;
	assert_false(rec_scan_read(value, &got));
	value.n -= 8;
	p[1] = SCAN_NONE;
	assert_false(rec_scan_read(value, &got));
	p[1] = SCAN_UNSUPPORTED_IMAGE + 1;
	assert_false(rec_scan_read(value, &got));
}

static void
lifecycles_survive(void **state)
{
	const struct lifecycle_row row = { SPAN("{}"), 3, 4, 5 };
	const struct preview_row preview = { SPAN("{}"), PREVIEW_EXPIRED, 6, 7,
		8, { 9, 10 } };
	struct lifecycle_row got;
	struct preview_row seen;
	uint8_t p[64];
	struct span value = { (char *)p, 0 };

	(void)state;
	rec_lifecycle_write(&row, p);
	value.n = rec_lifecycle_size(&row);
	assert_true(rec_lifecycle_read(value, &got));
	assert_true(span_is(got.text, "{}"));
	assert_int_equal(got.revision, 3);
	assert_int_equal(got.set_ms, 4);
	assert_int_equal(got.evaluated_ms, 5);
	value.n -= 2;
	assert_false(rec_lifecycle_read(value, &got));
	rec_preview_write(&preview, p);
	value.n = rec_preview_size(&preview);
	assert_true(rec_preview_read(value, &seen));
	assert_true(span_is(seen.text, "{}"));
	assert_int_equal(seen.status, PREVIEW_EXPIRED);
	assert_int_equal(seen.started_ms, 6);
	assert_int_equal(seen.ended_ms, 7);
	assert_int_equal(seen.run, 8);
	assert_int_equal(seen.sums.expiring, 9);
	assert_int_equal(seen.sums.transitioning, 10);
	value.n -= 2;
	assert_false(rec_preview_read(value, &seen));
	value.n += 2;
	p[9] = PREVIEW_EXPIRED + 1;
	assert_false(rec_preview_read(value, &seen));
	p[9] = 0;
	assert_false(rec_preview_read(value, &seen));
	p[9] = PREVIEW_COMPLETE;
	assert_true(rec_preview_read(value, &seen));
	p[8] = 0; /* the run */
	assert_false(rec_preview_read(value, &seen));
}

static void
results_of_previews_survive(void **state)
{
	struct preview_result got, row = {
		.action = PREVIEW_TRANSITION,
		.status = IMAGE_ARCHIVED,
		.priority = 3,
		.pushed_ms = 4,
	};
	uint8_t p[REC_PREVIEW_RESULT_MAX_BYTES];
	struct span value = { (char *)p, 0 };

	(void)state;
	row.digest = digest_of_alg(DIGEST_SHA512, 5);
	assert_int_equal(rec_preview_result_size(&row), sizeof(p));
	row.digest = digest_of_alg(DIGEST_SHA256, 5);
	rec_preview_result_write(&row, p);
	value.n = rec_preview_result_size(&row);
	REFUSES_ALL_BUT(p, value.n, rec_preview_result_read(s, &got));
	assert_true(digest_eq(&got.digest, &row.digest));
	assert_int_equal(got.action, PREVIEW_TRANSITION);
	assert_int_equal(got.status, IMAGE_ARCHIVED);
	assert_int_equal(got.priority, 3);
	assert_int_equal(got.pushed_ms, 4);
	p[value.n - 17] = IMAGE_ACTIVATING + 1;
	assert_false(rec_preview_result_read(value, &got));
	p[value.n - 17] = IMAGE_ACTIVE;
	p[value.n - 18] = PREVIEW_TRANSITION + 1;
	assert_false(rec_preview_result_read(value, &got));
}

static void
blobs_survive_and_unknown_kinds_are_refused(void **state)
{
	const struct blob_rec rec = { .location = BLOB_IN_ARCHIVE,
		.encoding = BLOB_ZSTD,
		.state = BLOB_QUARANTINED,
		.size_bytes = 10,
		.created_ms = 2,
		.unheld_ms = 3,
		.stored_bytes = 4 };
	struct blob_rec got;
	uint8_t p[REC_BLOB_BYTES];
	struct span value = { (char *)p, sizeof(p) };
	size_t i;

	(void)state;
	rec_blob_write(&rec, p);
	REFUSES_ALL_BUT(p, sizeof(p), rec_blob_read(s, &got));
	assert_int_equal(got.location, rec.location);
	assert_int_equal(got.encoding, rec.encoding);
	assert_int_equal(got.state, rec.state);
	assert_int_equal(got.size_bytes, 10);
	assert_int_equal(got.created_ms, 2);
	assert_int_equal(got.unheld_ms, 3);
	assert_int_equal(got.stored_bytes, 4);
	for (i = 1; i <= 3; i++) {
		rec_blob_write(&rec, p);
		p[i] = 99;
		assert_false(rec_blob_read(value, &got));
		p[i] = 0;
		assert_false(rec_blob_read(value, &got));
	}
}

/* Elsewhere it is plain, and what is plain is as long as it is. */
static void
only_the_archive_has_blobs_of_another_length(void **state)
{
	const struct blob_rec rec = { .location = BLOB_IN_FILE,
		.encoding = BLOB_PLAIN,
		.state = BLOB_SERVED,
		.size_bytes = 10,
		.stored_bytes = 10 };
	struct blob_rec got;
	uint8_t p[REC_BLOB_BYTES];
	struct span value = { (char *)p, sizeof(p) };

	(void)state;
	rec_blob_write(&rec, p);
	assert_true(rec_blob_read(value, &got));
	p[2] = BLOB_ZSTD;
	assert_false(rec_blob_read(value, &got));
	p[1] = BLOB_IN_ARCHIVE;
	assert_true(rec_blob_read(value, &got));
	p[2] = BLOB_PLAIN;
	assert_true(rec_blob_read(value, &got));
	p[sizeof(p) - 1]++;
	assert_false(rec_blob_read(value, &got));
}

static void
content_in_the_archive_may_be_sealed(void **state)
{
	struct blob_rec rec = { .location = BLOB_IN_ARCHIVE,
		.encoding = BLOB_PLAIN,
		.state = BLOB_SERVED,
		.size_bytes = 100000,
		.stored_bytes = sealed_file_bytes(100000) };
	struct span value;
	struct blob_rec got;
	uint8_t p[REC_BLOB_BYTES];

	(void)state;
	rec_blob_write(&rec, p);
	value = (struct span){ (char *)p, sizeof(p) };
	assert_true(rec_blob_read(value, &got));
	assert_int_equal(got.stored_bytes, rec.stored_bytes);
	/* Not by any other number of bytes, nor elsewhere. */
	p[REC_BLOB_BYTES - 1]++;
	assert_false(rec_blob_read(value, &got));
	p[REC_BLOB_BYTES - 1]--;
	p[1] = BLOB_IN_FILE;
	assert_false(rec_blob_read(value, &got));
}

/* How much they take where they lie came with format 4, and the archive. */
static void
blobs_of_format_3_are_read(void **state)
{
	const struct blob_rec rec = { .location = BLOB_IN_FILE,
		.encoding = BLOB_PLAIN,
		.state = BLOB_SERVED,
		.size_bytes = 10,
		.created_ms = 2,
		.unheld_ms = 3,
		.stored_bytes = 10 };
	struct blob_rec got;
	uint8_t p[REC_BLOB_BYTES];
	struct span value = { (char *)p, REC_BLOB_BYTES - 8 };

	(void)state;
	rec_blob_write(&rec, p);
	p[0] = 1;
	REFUSES_ALL_BUT(p, value.n, rec_blob_read(s, &got));
	assert_int_equal(got.unheld_ms, 3);
	assert_int_equal(got.stored_bytes, 10);
	p[1] = BLOB_IN_ARCHIVE;
	assert_false(rec_blob_read(value, &got));
}

static void
links_survive(void **state)
{
	const struct link_rec used = { .linked_ms = 1,
		.users = UINT64_C(1) << 40 };
	const struct link_rec idle = { 2, 3, 0, .queued = true };
	const struct link_rec hidden = { 2, 3, 0, .hidden = true };
	const struct link_rec both = { 2, 3, 0, .queued = true,
		.hidden = true };
	struct link_rec got;
	uint8_t p[REC_LINK_BYTES];
	struct span value = { (char *)p, sizeof(p) };

	(void)state;
	rec_link_write(&used, p);
	REFUSES_ALL_BUT(p, sizeof(p), rec_link_read(s, &got));
	assert_int_equal(got.linked_ms, 1);
	assert_int_equal(got.idle_ms, 0);
	assert_true(got.users == UINT64_C(1) << 40);
	assert_false(got.queued);
	rec_link_write(&idle, p);
	REFUSES_ALL_BUT(p, sizeof(p), rec_link_read(s, &got));
	assert_int_equal(got.linked_ms, 2);
	assert_int_equal(got.idle_ms, 3);
	assert_int_equal(got.users, 0);
	assert_true(got.queued);
	assert_false(got.hidden);
	rec_link_write(&hidden, p);
	assert_true(rec_link_read(value, &got));
	assert_false(got.queued);
	assert_true(got.hidden);
	rec_link_write(&both, p);
	assert_true(rec_link_read(value, &got));
	assert_true(got.queued);
	assert_true(got.hidden);
	p[sizeof(p) - 1] = 4;
	assert_false(rec_link_read(value, &got));
}

static void
links_of_format_3_are_of_unknown_use(void **state)
{
	static const char old[] = "\1\0\0\0\0\0\0\0\7";
	struct link_rec got;

	(void)state;
	REFUSES_ALL_BUT(old, sizeof(old) - 1, rec_link_read(s, &got));
	assert_int_equal(got.linked_ms, 7);
	assert_int_equal(got.idle_ms, 0);
	assert_true(got.users == LINK_USERS_UNKNOWN);
	assert_false(got.queued);
}

/* Those of the archive came with format 4. */
static void
counts_of_format_3_are_read(void **state)
{
	const struct meta_counts counts = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	struct meta_counts got;
	uint8_t p[REC_COUNTS_BYTES];

	(void)state;
	rec_counts_write(&counts, p);
	p[0] = 1;
	REFUSES_ALL_BUT(p, (size_t)1 + 8 * META_COUNTS_OF_VERSION_1,
	    rec_counts_read(s, &got));
	assert_int_equal(got.next_repository, 1);
	assert_int_equal(got.unheld_bytes, 7);
	assert_int_equal(got.archived_blobs, 0);
	assert_int_equal(got.archived_bytes, 0);
	assert_int_equal(got.archived_stored_bytes, 0);
}

static void
who_held_a_blob_last_survives(void **state)
{
	uint8_t p[16];
	struct span value = { (char *)p, rec_unheld_size(SPAN("a/b")) }, got;

	(void)state;
	rec_unheld_write(SPAN("a/b"), p);
	assert_true(rec_unheld_read(value, &got));
	assert_true(span_is(got, "a/b"));
	p[0]++;
	assert_false(rec_unheld_read(value, &got));
	assert_false(rec_unheld_read(SPAN(""), &got));
	/* Of an older format. */
	assert_true(rec_unheld_read(rec_none(), &got));
	assert_int_equal(got.n, 0);
}

static void
tags_that_are_copies_survive(void **state)
{
	struct import_tag row = { .checked_ms = 7 }, got;
	uint8_t p[REC_IMPORT_TAG_MAX_BYTES];

	(void)state;
	row.digest = digest_of_alg(DIGEST_SHA512, 1);
	assert_int_equal(rec_import_tag_size(&row), sizeof(p));
	rec_import_tag_write(&row, p);
	REFUSES_ALL_BUT(p, sizeof(p), rec_import_tag_read(s, &got));
	assert_true(digest_eq(&got.digest, &row.digest));
	assert_int_equal(got.checked_ms, 7);
}

/* Where the tag may be longer, it is not too long. */
static void
tasks_of_replication_survive(void **state)
{
	const struct task_rec rec = {
		.due_ms = 3,
		.queued_ms = 2,
		.attempts = 4,
		.destination = SPAN("r/1"),
		.tag = SPAN("v1"),
	};
	struct task_rec got;
	uint8_t p[200];
	struct span s = { (char *)p, rec_task_size(&rec) };

	(void)state;
	rec_task_write(&rec, p);
	assert_true(rec_task_read(s, &got));
	assert_int_equal(got.due_ms, 3);
	assert_int_equal(got.queued_ms, 2);
	assert_int_equal(got.attempts, 4);
	assert_true(span_is(got.destination, "r/1"));
	assert_true(span_is(got.tag, "v1"));
	s.n -= 2;
	assert_true(rec_task_read(s, &got));
	assert_int_equal(got.tag.n, 0);
	s.n--;
	assert_false(rec_task_read(s, &got));
	memset(p + s.n, 'x', sizeof(p) - s.n);
	s.n = rec_task_size(&rec) - 2 + NAME_TAG_MAX_BYTES;
	p[s.n - NAME_TAG_MAX_BYTES - 1] = '1';
	assert_true(rec_task_read(s, &got));
	s.n++;
	assert_false(rec_task_read(s, &got));
	p[0]++;
	s.n--;
	assert_false(rec_task_read(s, &got));
}

static void
places_of_tasks_survive(void **state)
{
	struct digest d = digest_of_alg(DIGEST_SHA256, 1), got;
	uint8_t p[REC_TASK_OF_MAX_BYTES];
	uint64_t repo;

	(void)state;
	rec_task_of_write(9, &d, p);
	REFUSES_ALL_BUT(
	    p, rec_task_of_size(&d), rec_task_of_read(s, &repo, &got));
	assert_int_equal(repo, 9);
	assert_true(digest_eq(&got, &d));
}

static void
states_of_replication_survive(void **state)
{
	struct status_rec got, rec = {
		.state = REPLICATION_FAILED,
		.changed_ms = 3,
		.code = SPAN("Denied"),
		.why = SPAN("so"),
	};
	uint8_t p[100];
	struct span s = { (char *)p, rec_status_size(&rec) };

	(void)state;
	rec_status_write(&rec, p);
	assert_true(rec_status_read(s, &got));
	assert_int_equal(got.state, REPLICATION_FAILED);
	assert_int_equal(got.changed_ms, 3);
	assert_true(span_is(got.code, "Denied"));
	assert_true(span_is(got.why, "so"));
	p[1] = 0;
	assert_false(rec_status_read(s, &got));
	p[1] = REPLICATION_FAILED + 1;
	assert_false(rec_status_read(s, &got));
	p[1] = REPLICATION_COMPLETE;
	assert_true(rec_status_read(s, &got));
	s.n = 5;
	assert_false(rec_status_read(s, &got));
}

static void
deleted_images_survive_with_their_tags(void **state)
{
	const struct span tags[] = { SPAN("a"), SPAN("v1.2") };
	struct deleted_rec got, rec = {
		.deleted_ms = 3,
		.why = DELETED_EXPIRED,
		.priority = 4,
		.revision = 5,
		.tags = tags,
		.n_tags = 2,
	};
	uint8_t p[100];
	struct span value = { (char *)p, rec_deleted_size(&rec) }, rest, tag;

	(void)state;
	rec_deleted_write(&rec, p);
	REFUSES_ALL_BUT(p, value.n, rec_deleted_read(s, &got));
	assert_true(rec_deleted_read(value, &got));
	assert_int_equal(got.deleted_ms, 3);
	assert_int_equal(got.why, DELETED_EXPIRED);
	assert_int_equal(got.priority, 4);
	assert_int_equal(got.revision, 5);
	assert_int_equal(got.n_tags, 2);
	rest = got.tag_bytes;
	assert_true(rec_deleted_tag(&rest, &tag));
	assert_true(span_is(tag, "a"));
	assert_true(rec_deleted_tag(&rest, &tag));
	assert_true(span_is(tag, "v1.2"));
	assert_false(rec_deleted_tag(&rest, &tag));
	p[1 + 8 + 1 + 8 + 8 + 3]++; /* a tag more than there is */
	assert_false(rec_deleted_read(value, &got));
	rec_deleted_write(&rec, p);
	p[1 + 8] = DELETED_EXPIRED + 1;
	assert_false(rec_deleted_read(value, &got));
	p[1 + 8] = 0;
	assert_false(rec_deleted_read(value, &got));
	rec.n_tags = 0;
	rec_deleted_write(&rec, p);
	value.n = rec_deleted_size(&rec);
	REFUSES_ALL_BUT(p, value.n, rec_deleted_read(s, &got));
	rest = got.tag_bytes;
	assert_false(rec_deleted_tag(&rest, &tag));
}

static void
how_far_referrers_were_looked_at_survives(void **state)
{
	struct orphan_rec got, rec = { 0 };
	uint8_t p[REC_ORPHAN_MAX_BYTES];
	struct span value = { (char *)p, 0 };

	(void)state;
	rec_orphan_write(&rec, p);
	value.n = rec_orphan_size(&rec);
	assert_true(rec_orphan_read(value, &got));
	assert_false(got.begun);
	assert_true(rec_none_read(value));
	rec.begun = true;
	rec.at = digest_of_alg(DIGEST_SHA512, 6);
	rec_orphan_write(&rec, p);
	value.n = rec_orphan_size(&rec);
	assert_true(rec_orphan_read(value, &got));
	assert_true(got.begun);
	assert_false(got.held);
	assert_int_equal(got.gone_ms, 0);
	assert_true(digest_eq(&got.at, &rec.at));
	rec.gone_ms = 7;
	rec.held = true;
	assert_int_equal(rec_orphan_size(&rec), sizeof(p));
	rec_orphan_write(&rec, p);
	value.n = sizeof(p);
	assert_true(rec_orphan_read(value, &got));
	assert_true(got.begun && got.held && !got.back);
	assert_int_equal(got.gone_ms, 7);
	assert_true(digest_eq(&got.at, &rec.at));
	rec.held = false;
	rec.back = true;
	rec_orphan_write(&rec, p);
	assert_true(rec_orphan_read(value, &got));
	assert_true(got.begun && got.back && !got.held);
	p[1 + 8]++;
	assert_false(rec_orphan_read(value, &got));
	p[1 + 8]--;
	value.n--;
	assert_false(rec_orphan_read(value, &got));
	value.n = 0;
	assert_false(rec_orphan_read(value, &got));
}

static void
runs_of_policies_survive(void **state)
{
	char why[LIFECYCLE_RESULT_WHY_MAX + 1];
	struct lifecycle_result got, row = { .revision = 1,
		.outcome = LIFECYCLE_STOPPED,
		.started_ms = 2,
		.ended_ms = 3,
		.images = 4,
		.expired = 5,
		.archived = 6,
		.held = 7,
		.changed = 8,
		.why = SPAN("why") };
	uint8_t p[100 + sizeof(why)];
	struct span value = { (char *)p, rec_lifecycle_run_size(&row) };

	(void)state;
	rec_lifecycle_run_write(&row, p);
	assert_true(rec_lifecycle_run_read(value, &got));
	assert_int_equal(got.revision, 1);
	assert_int_equal(got.outcome, LIFECYCLE_STOPPED);
	assert_int_equal(got.started_ms, 2);
	assert_int_equal(got.ended_ms, 3);
	assert_int_equal(got.images, 4);
	assert_int_equal(got.expired, 5);
	assert_int_equal(got.archived, 6);
	assert_int_equal(got.held, 7);
	assert_int_equal(got.changed, 8);
	assert_true(span_is(got.why, "why"));
	value.n -= 4;
	assert_false(rec_lifecycle_run_read(value, &got));
	value.n += 4;
	p[9] = LIFECYCLE_NEVER;
	assert_false(rec_lifecycle_run_read(value, &got));
	p[9] = LIFECYCLE_STOPPED + 1;
	assert_false(rec_lifecycle_run_read(value, &got));
	memset(why, 'w', sizeof(why));
	row.why = (struct span){ why, sizeof(why) - 1 };
	rec_lifecycle_run_write(&row, p);
	value.n = rec_lifecycle_run_size(&row);
	assert_true(rec_lifecycle_run_read(value, &got));
	p[value.n++] = 'w';
	assert_false(rec_lifecycle_run_read(value, &got));
}

static void
the_small_ones_survive(void **state)
{
	const struct meta_counts counts = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	const struct edge_rec edge = { EDGE_ABSENT, 9 };
	struct meta_counts counts_got;
	struct edge_rec edge_got;
	struct span name;
	uint8_t p[100];
	unsigned format;
	int64_t ms;

	(void)state;
	rec_counts_write(&counts, p);
	REFUSES_ALL_BUT(p, REC_COUNTS_BYTES, rec_counts_read(s, &counts_got));
	assert_memory_equal(&counts, &counts_got, sizeof(counts));
	rec_edge_write(&edge, p);
	REFUSES_ALL_BUT(p, REC_EDGE_BYTES, rec_edge_read(s, &edge_got));
	assert_int_equal(edge_got.size_bytes, 9);
	assert_int_equal(edge_got.flags, EDGE_ABSENT);
	rec_moment_write(12345, p);
	REFUSES_ALL_BUT(p, REC_MOMENT_BYTES, rec_moment_read(s, &ms));
	assert_int_equal(ms, 12345);
	rec_format_write(77, p);
	REFUSES_ALL_BUT(p, REC_FORMAT_BYTES, rec_format_read(s, &format));
	assert_int_equal(format, 77);
	REFUSES_ALL_BUT(rec_none().p, rec_none().n, rec_none_read(s));
	rec_repository_name_write(SPAN("a/b"), p);
	assert_true(rec_repository_name_read(
	    (struct span){ (char *)p, rec_repository_name_size(SPAN("a/b")) },
	    &name));
	assert_true(span_is(name, "a/b"));
}

static void
referrers_and_uploads_survive(void **state)
{
	const struct referrer_rec ref = { .size_bytes = 5,
		.media_type = SPAN("m"),
		.artifact_type = SPAN("aa"),
		.annotations = SPAN("{}") };
	const struct upload_rec up = { .alg = DIGEST_SHA256,
		.started_ms = 4,
		.parts = 5,
		.part_flags = UPLOAD_SHORT_PART,
		.repository = SPAN("r/s") };
	static const char old[] = "\1\1\0\0\0\0\0\0\0\4r/s";
	struct referrer_rec ref_got;
	struct upload_rec up_got;
	uint8_t p[100];

	(void)state;
	rec_referrer_write(&ref, p);
	REFUSES_ALL_BUT(
	    p, rec_referrer_size(&ref), rec_referrer_read(s, &ref_got));
	assert_true(rec_referrer_read(
	    (struct span){ (char *)p, rec_referrer_size(&ref) }, &ref_got));
	assert_true(span_is(ref_got.media_type, "m"));
	assert_true(span_is(ref_got.artifact_type, "aa"));
	assert_true(span_is(ref_got.annotations, "{}"));
	assert_int_equal(ref_got.size_bytes, 5);
	rec_upload_write(&up, p);
	assert_true(rec_upload_read(
	    (struct span){ (char *)p, rec_upload_size(&up) }, &up_got));
	assert_true(span_is(up_got.repository, "r/s"));
	assert_int_equal(up_got.alg, DIGEST_SHA256);
	assert_int_equal(up_got.started_ms, 4);
	assert_int_equal(up_got.parts, 5);
	assert_int_equal(up_got.part_flags, UPLOAD_SHORT_PART);
	p[14] = 4;
	assert_false(rec_upload_read(
	    (struct span){ (char *)p, rec_upload_size(&up) }, &up_got));
	/* Of format 2. */
	assert_true(
	    rec_upload_read((struct span){ old, sizeof(old) - 1 }, &up_got));
	assert_true(span_is(up_got.repository, "r/s"));
	assert_int_equal(up_got.started_ms, 4);
	assert_int_equal(up_got.parts, 0);
	assert_int_equal(up_got.part_flags, 0);
}

static void
a_length_beyond_the_end_is_refused(void **state)
{
	const struct manifest_rec rec = { .media_type = SPAN("abc"),
		.status = IMAGE_ACTIVE };
	struct manifest_rec got;
	uint8_t p[100];

	(void)state;
	rec_manifest_write(&rec, p);
	memset(p + 26, 0xff, 4); /* the length of the media type */
	assert_false(rec_manifest_read(
	    (struct span){ (char *)p, rec_manifest_size(&rec) }, &got));
}

static void
settings_survive_and_unknown_modes_are_refused(void **state)
{
	const struct span filters[] = { SPAN("dev-*"), SPAN(""), SPAN("x"),
		SPAN("y"), SPAN("z") };
	const struct repository_settings in = {
		.mutability = TAGS_MUTABLE_WITH_EXCLUSION,
		.exclusions = filters,
		.n_exclusions = REPOSITORY_EXCLUSIONS_MAX,
		.scan_on_push = true,
		.encryption = ENCRYPTION_KMS_DSSE,
		.kms_key = SPAN("alias/k"),
	};
	struct span room[REPOSITORY_EXCLUSIONS_MAX];
	struct repository_settings got;
	uint8_t p[200];
	struct span value = { (char *)p, rec_settings_size(&in) };
	size_t i;

	(void)state;
	rec_settings_write(&in, p);
	REFUSES_ALL_BUT(p, value.n, rec_settings_read(s, room, &got));
	assert_true(rec_settings_read(value, room, &got));
	assert_int_equal(got.mutability, in.mutability);
	assert_int_equal(got.encryption, in.encryption);
	assert_true(got.scan_on_push);
	assert_true(span_is(got.kms_key, "alias/k"));
	assert_int_equal(got.n_exclusions, REPOSITORY_EXCLUSIONS_MAX);
	for (i = 0; i < got.n_exclusions; i++)
		assert_true(span_eq(got.exclusions[i], filters[i]));
	for (i = 1; i <= 3; i++) {
		rec_settings_write(&in, p);
		p[i] = 99;
		assert_false(rec_settings_read(value, room, &got));
	}
	/* More filters than there is room for. */
	rec_settings_write(&in, p);
	p[4 + 4 + 7 + 3]++;
	assert_false(rec_settings_read(value, room, &got));
}

static void
resource_tags_survive_in_order(void **state)
{
	const struct resource_tag in[] = { { SPAN("a"), SPAN("") },
		{ SPAN("b"), SPAN("bb") }, { SPAN("ba"), SPAN("x") } };
	const struct resource_tag out_of_order[] = { in[1], in[0] };
	const struct resource_tag twice[] = { in[1], in[1] };
	struct resource_tag room[REPOSITORY_TAGS_MAX];
	uint8_t p[200];
	struct span value = { (char *)p, 0 };
	size_t n;

	(void)state;
	rec_resource_tags_write(in, 3, p);
	value.n = rec_resource_tags_size(in, 3);
	REFUSES_ALL_BUT(p, value.n, rec_resource_tags_read(s, room, &n));
	assert_true(rec_resource_tags_read(value, room, &n));
	assert_int_equal(n, 3);
	assert_true(span_is(room[2].key, "ba"));
	assert_true(span_is(room[1].value, "bb"));
	rec_resource_tags_write(out_of_order, 2, p);
	value.n = rec_resource_tags_size(out_of_order, 2);
	assert_false(rec_resource_tags_read(value, room, &n));
	rec_resource_tags_write(twice, 2, p);
	value.n = rec_resource_tags_size(twice, 2);
	assert_false(rec_resource_tags_read(value, room, &n));
	rec_resource_tags_write(in, 0, p);
	value.n = rec_resource_tags_size(in, 0);
	assert_true(rec_resource_tags_read(value, room, &n));
	assert_int_equal(n, 0);
	p[4] = REPOSITORY_TAGS_MAX + 1;
	assert_false(rec_resource_tags_read(value, room, &n));
}

static void
policies_doomed_ones_entities_and_numbers_survive(void **state)
{
	const struct policy_rec policy = { 7, SPAN("{}") };
	const struct policy_rec unused = { 0, SPAN("{}") };
	const struct doomed_rec doomed = { 8, SPAN("a/b"), 9, false };
	/* Of format 3. */
	static const char old[] = "\1\0\0\0\0\0\0\0\7a/b";
	struct policy_rec policy_got;
	struct doomed_rec doomed_got;
	struct span record;
	uint8_t p[100];
	uint64_t n;

	(void)state;
	rec_policy_write(&policy, p);
	assert_true(rec_policy_read(
	    (struct span){ (char *)p, rec_policy_size(&policy) }, &policy_got));
	assert_int_equal(policy_got.revision, 7);
	assert_true(span_is(policy_got.text, "{}"));
	assert_false(
	    rec_policy_read((struct span){ (char *)p, 8 }, &policy_got));
	rec_policy_write(&unused, p);
	assert_false(rec_policy_read(
	    (struct span){ (char *)p, rec_policy_size(&unused) }, &policy_got));
	rec_doomed_write(&doomed, p);
	assert_true(rec_doomed_read(
	    (struct span){ (char *)p, rec_doomed_size(&doomed) }, &doomed_got));
	assert_int_equal(doomed_got.deleted_ms, 8);
	assert_true(span_is(doomed_got.name, "a/b"));
	assert_int_equal(doomed_got.created_ms, 9);
	assert_false(doomed_got.purging);
	p[1 + 8 + 8] = 2;
	assert_false(rec_doomed_read(
	    (struct span){ (char *)p, rec_doomed_size(&doomed) }, &doomed_got));
	assert_true(rec_doomed_read(
	    (struct span){ old, sizeof(old) - 1 }, &doomed_got));
	assert_int_equal(doomed_got.deleted_ms, 7);
	assert_true(span_is(doomed_got.name, "a/b"));
	assert_true(doomed_got.purging);
	rec_entity_write(SPAN("{}"), p);
	assert_true(rec_entity_read(
	    (struct span){ (char *)p, rec_entity_size(SPAN("{}")) }, &record));
	assert_true(span_is(record, "{}"));
	assert_false(rec_entity_read((struct span){ (char *)p, 1 }, &record));
	rec_number_write(UINT64_C(0x0102030405060708), p);
	REFUSES_ALL_BUT(p, REC_NUMBER_BYTES, rec_number_read(s, &n));
	assert_true(n == UINT64_C(0x0102030405060708));
}

/* Keys. */

static void
keys_of_entities_survive(void **state)
{
	char name[ENTITY_NAME_MAX_BYTES + 1];
	struct rec_key k;
	struct span got;
	uint8_t kind;

	(void)state;
	memset(name, 'n', sizeof(name));
	key_entity(&k, ENTITY_GROUP, SPAN("1/g"));
	assert_true(key_read_entity(key_span(&k), &kind, &got));
	assert_int_equal(kind, ENTITY_GROUP);
	assert_true(span_is(got, "1/g"));
	key_entity(&k, ENTITY_USER, (struct span){ name, sizeof(name) - 1 });
	assert_true(key_read_entity(key_span(&k), &kind, &got));
	key_entity(&k, ENTITY_USER, (struct span){ name, sizeof(name) });
	assert_int_equal(k.n, 0);
	key_entity(&k, ENTITY_USER, SPAN_NONE);
	assert_false(key_read_entity(key_span(&k), &kind, &got));
	key_entity(&k, ENTITY_STACK, SPAN("x"));
	assert_true(key_read_entity(key_span(&k), &kind, &got));
	key_entity(&k, ENTITY_STACK + 1, SPAN("x"));
	assert_false(key_read_entity(key_span(&k), &kind, &got));
	key_entity(&k, 0, SPAN("x"));
	assert_false(key_read_entity(key_span(&k), &kind, &got));
}

static void
keys_survive(void **state)
{
	struct digest a = digest_of_alg(DIGEST_SHA256, 1), a_got;
	struct digest b = digest_of_alg(DIGEST_SHA512, 2), b_got;
	struct rec_key k, prefix;
	uint64_t run;
	uint32_t n;
	struct span tag;
	uint64_t repo;
	uint32_t domain;
	uint8_t kind;
	int64_t ms;

	(void)state;
	key_repo(&k, 5);
	assert_true(key_read_repo(key_span(&k), &repo));
	assert_int_equal(repo, 5);
	key_tag(&k, 6, SPAN("latest"));
	assert_true(key_read_tag(key_span(&k), &repo, &tag));
	assert_true(repo == 6 && span_is(tag, "latest"));
	key_repo_digest(&k, 7, &b);
	assert_true(key_read_repo_digest(key_span(&k), &repo, &b_got));
	assert_true(repo == 7 && digest_eq(&b, &b_got));
	key_digest_tag(&k, 8, &b, SPAN("t"));
	assert_true(key_read_digest_tag(key_span(&k), &repo, &b_got, &tag));
	assert_true(repo == 8 && digest_eq(&b, &b_got) && span_is(tag, "t"));
	key_blob(&k, 9, &a);
	assert_true(key_read_blob(key_span(&k), &domain, &a_got));
	assert_true(domain == 9 && digest_eq(&a, &a_got));
	key_holder(&k, 9, &a, HOLDER_MANIFEST, 10);
	assert_true(
	    key_read_holder(key_span(&k), &domain, &a_got, &kind, &repo));
	assert_true(domain == 9 && kind == HOLDER_MANIFEST && repo == 10);
	key_edge(&k, 11, &a, EDGE_LAYER, &b);
	assert_true(key_read_edge(key_span(&k), &repo, &a_got, &kind, &b_got));
	assert_true(repo == 11 && kind == EDGE_LAYER);
	assert_true(digest_eq(&a, &a_got) && digest_eq(&b, &b_got));
	key_referrer(&k, 12, &b, &a);
	assert_true(key_read_referrer(key_span(&k), &repo, &b_got, &a_got));
	assert_true(digest_eq(&a, &a_got) && digest_eq(&b, &b_got));
	key_unheld(&k, 1234, 13, &a);
	assert_true(key_read_unheld(key_span(&k), &ms, &domain, &a_got));
	assert_true(ms == 1234 && domain == 13 && digest_eq(&a, &a_got));
	key_timed(&k, 1234, 14, &a);
	assert_true(key_read_timed(key_span(&k), &ms, &repo, &a_got));
	assert_true(ms == 1234 && repo == 14 && digest_eq(&a, &a_got));
	key_timed_repo(&k, 1235, 18);
	assert_true(key_read_timed_repo(key_span(&k), &ms, &repo));
	assert_true(ms == 1235 && repo == 18);
	key_removal(&k, BLOB_IN_ARCHIVE, 19, &b);
	assert_true(key_read_removal(key_span(&k), &kind, &domain, &b_got));
	assert_true(kind == BLOB_IN_ARCHIVE && domain == 19);
	assert_true(digest_eq(&b, &b_got));
	key_task(&k, 20, &b, 21);
	assert_true(key_read_task(key_span(&k), &repo, &b_got, &run));
	assert_true(repo == 20 && digest_eq(&b, &b_got) && run == 21);
	key_task_due(&k, 1236, 22);
	assert_true(key_read_task_due(key_span(&k), &ms, &run));
	assert_true(ms == 1236 && run == 22);
	key_status(&k, 23, &a, SPAN("r/1"));
	assert_true(key_read_status(key_span(&k), &repo, &a_got, &tag));
	assert_true(repo == 23 && digest_eq(&a, &a_got) && span_is(tag, "r/1"));
	key_preview_result(&k, 15, 16, 17);
	assert_true(key_read_preview_result(key_span(&k), &repo, &run, &n));
	assert_true(repo == 15 && run == 16 && n == 17);
	k.n--;
	assert_false(key_read_preview_result(key_span(&k), &repo, &run, &n));
	key_preview_run(&prefix, 15, 16);
	assert_true(span_has_prefix(key_span(&k), key_span(&prefix)));
}

static void
keys_cut_off_are_refused(void **state)
{
	struct digest a = digest_of_alg(DIGEST_SHA256, 1), x, y;
	struct rec_key k;
	uint64_t repo;
	uint32_t domain;
	uint8_t kind;
	int64_t ms;
	uint64_t id;
	struct span s;
	size_t n;

	(void)state;
	key_edge(&k, 11, &a, EDGE_LAYER, &a);
	for (n = k.n, k.n = 0; k.n < n; k.n++)
		assert_false(key_read_edge(key_span(&k), &repo, &x, &kind, &y));
	k.p[8] = 77; /* the algorithm */
	assert_false(key_read_edge(key_span(&k), &repo, &x, &kind, &y));
	key_holder(&k, 0, &a, 3, 1);
	assert_false(key_read_holder(key_span(&k), &domain, &x, &kind, &repo));
	key_edge(&k, 11, &a, 4, &a);
	assert_false(key_read_edge(key_span(&k), &repo, &x, &kind, &y));
	key_timed(&k, 1, 2, &a);
	for (n = k.n, k.n = 0; k.n < n; k.n++)
		assert_false(key_read_timed(key_span(&k), &ms, &repo, &x));
	key_timed_repo(&k, 1, 2);
	for (n = k.n, k.n = 0; k.n < n; k.n++)
		assert_false(key_read_timed_repo(key_span(&k), &ms, &repo));
	key_removal(&k, BLOB_IN_FILE, 2, &a);
	for (n = k.n, k.n = 0; k.n < n; k.n++)
		assert_false(
		    key_read_removal(key_span(&k), &kind, &domain, &x));
	key_task(&k, 1, &a, 2);
	for (n = k.n, k.n = 0; k.n < n; k.n++)
		assert_false(key_read_task(key_span(&k), &repo, &x, &id));
	key_task_due(&k, 1, 2);
	for (n = k.n, k.n = 0; k.n < n; k.n++)
		assert_false(key_read_task_due(key_span(&k), &ms, &id));
	key_status(&k, 1, &a, SPAN_NONE);
	assert_false(key_read_status(key_span(&k), &repo, &x, &s));
	/* Nothing is removed from the database that way. */
	key_removal(&k, BLOB_IN_META, 2, &a);
	assert_false(key_read_removal(key_span(&k), &kind, &domain, &x));
}

static void
the_longest_keys_fit(void **state)
{
	static const char text[KEY_MAX_BYTES + 1];
	struct digest b = digest_of_alg(DIGEST_SHA512, 2);
	struct rec_key k;

	(void)state;
	key_str(&k, (struct span){ text, NAME_REPOSITORY_MAX_BYTES });
	assert_int_equal(k.n, NAME_REPOSITORY_MAX_BYTES);
	key_digest_tag(&k, 1, &b, (struct span){ text, NAME_TAG_MAX_BYTES });
	assert_int_equal(k.n, 8 + 65 + NAME_TAG_MAX_BYTES);
	key_str(&k, (struct span){ text, sizeof(text) });
	assert_int_equal(k.n, 0);
	key_tag(&k, 1, (struct span){ text, sizeof(text) });
	assert_int_equal(k.n, 0);
	key_digest_tag(&k, 1, &b, (struct span){ text, sizeof(text) });
	assert_int_equal(k.n, 0);
}

static void
keys_of_one_parent_have_its_prefix_and_others_have_not(void **state)
{
	struct digest a = digest_of_alg(DIGEST_SHA256, 1), b;
	struct rec_key prefix, k;

	(void)state;
	b = digest_of_alg(DIGEST_SHA256, 2);
	key_edge(&prefix, 3, &a, 0, NULL);
	key_edge(&k, 3, &a, EDGE_CONFIG, &b);
	assert_true(span_has_prefix(key_span(&k), key_span(&prefix)));
	key_edge(&k, 3, &b, EDGE_CONFIG, &a);
	assert_false(span_has_prefix(key_span(&k), key_span(&prefix)));
	key_edge(&k, 4, &a, EDGE_CONFIG, &b);
	assert_false(span_has_prefix(key_span(&k), key_span(&prefix)));
	key_edge(&prefix, 3, &a, EDGE_LAYER, NULL);
	key_edge(&k, 3, &a, EDGE_CONFIG, &b);
	assert_false(span_has_prefix(key_span(&k), key_span(&prefix)));
}

static void
times_sort_as_they_pass(void **state)
{
	struct digest a = digest_of_alg(DIGEST_SHA256, 1);
	struct rec_key k, timed, last = { 0 }, last_timed = { 0 };
	struct rec_key due, last_due = { 0 };
	int64_t ms;

	(void)state;
	for (ms = 1; ms < INT64_C(100000000000000); ms *= 3) {
		key_unheld(&k, ms, 0, &a);
		assert_true(span_cmp(key_span(&last), key_span(&k)) < 0);
		last = k;
		key_timed(&timed, ms, 0, &a);
		assert_true(
		    span_cmp(key_span(&last_timed), key_span(&timed)) < 0);
		last_timed = timed;
		key_timed_repo(&due, ms, 0);
		assert_true(span_cmp(key_span(&last_due), key_span(&due)) < 0);
		last_due = due;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repositories_survive),
		cmocka_unit_test(tags_survive),
		cmocka_unit_test(manifests_survive),
		cmocka_unit_test(manifests_of_format_2_are_read),
		cmocka_unit_test(scans_survive),
		cmocka_unit_test(lifecycles_survive),
		cmocka_unit_test(results_of_previews_survive),
		cmocka_unit_test(blobs_survive_and_unknown_kinds_are_refused),
		cmocka_unit_test(only_the_archive_has_blobs_of_another_length),
		cmocka_unit_test(content_in_the_archive_may_be_sealed),
		cmocka_unit_test(blobs_of_format_3_are_read),
		cmocka_unit_test(links_survive),
		cmocka_unit_test(links_of_format_3_are_of_unknown_use),
		cmocka_unit_test(counts_of_format_3_are_read),
		cmocka_unit_test(who_held_a_blob_last_survives),
		cmocka_unit_test(tags_that_are_copies_survive),
		cmocka_unit_test(tasks_of_replication_survive),
		cmocka_unit_test(places_of_tasks_survive),
		cmocka_unit_test(states_of_replication_survive),
		cmocka_unit_test(deleted_images_survive_with_their_tags),
		cmocka_unit_test(how_far_referrers_were_looked_at_survives),
		cmocka_unit_test(runs_of_policies_survive),
		cmocka_unit_test(the_small_ones_survive),
		cmocka_unit_test(referrers_and_uploads_survive),
		cmocka_unit_test(a_length_beyond_the_end_is_refused),
		cmocka_unit_test(
		    settings_survive_and_unknown_modes_are_refused),
		cmocka_unit_test(resource_tags_survive_in_order),
		cmocka_unit_test(
		    policies_doomed_ones_entities_and_numbers_survive),
		cmocka_unit_test(keys_of_entities_survive),
		cmocka_unit_test(keys_survive),
		cmocka_unit_test(keys_cut_off_are_refused),
		cmocka_unit_test(the_longest_keys_fit),
		cmocka_unit_test(
		    keys_of_one_parent_have_its_prefix_and_others_have_not),
		cmocka_unit_test(times_sort_as_they_pass),
	};

	return (cmocka_run_group_tests_name("records", tests, NULL, NULL));
}
