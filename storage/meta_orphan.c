#include "storage/meta_ops_int.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/obj.h"
#include "storage/collect_int.h"

/*
 * Signatures, attestations and the like follow what they are about.
 *
 * When a manifest goes for good, or is archived, and something refers to it,
 * by its subject field or by a tag that cosign makes of a digest, its digest is
 * put into a queue.  A grace later the collector looks again.  If the subject
 * is gone still, those that refer to it are deleted; if it is archived, they
 * are archived; if it is back, nothing happens.  What was pushed, or tagged so,
 * after the subject went is about something that is yet to come, and stays; so
 * does what refers to a digest that was never here, as that is in no queue.
 *
 * One may have very many referrers: a change looks at some, in order of digest,
 * and writes down how far it came.
 */

/* Rows that one change looks at, however few of them it changes. */
#define LOOKED_MAX 1024
/* Referrers whose digests are taken out of the map at a time. */
#define TAKEN_MAX 64
/* Indexes that are looked at to know whether an active one needs it. */
#define HOLDERS_MAX 1000

/*
 * Tags.  cosign and its like name what they attach to a digest by it; the one
 * without an ending is what the distribution-spec calls the referrers tag, of
 * clients that do not know the referrers API.  Digits of the digest beyond 64
 * are cut, as the latter says.
 */
static const char *const endings[] = { "", ".sig", ".att", ".sbom" };

#define TAG_DIGEST_BYTES 32
#define TAG_BYTES 96

static struct span
tag_about(const struct digest *d, const char *ending, char room[TAG_BYTES])
{
	char hex[2 * TAG_DIGEST_BYTES + 1];
	int n;

	hex_encode(d->bytes, TAG_DIGEST_BYTES, hex);
	n = snprintf(
	    room, TAG_BYTES, "%s-%s%s", digest_alg_name(d->alg), hex, ending);
	must(n > 0 && n < TAG_BYTES);
	return ((struct span){ room, (size_t)n });
}

enum rc
referrer_tag_find(struct meta_txn *t, uint64_t repo,
    const struct digest *subject, unsigned i, struct digest *referrer_r)
{
	char room[TAG_BYTES];

	static_assert(ARRAY_LEN(endings) == REFERRER_TAGS, "one each");
	must(i < REFERRER_TAGS);
	return (tag_find(
	    t, repo, tag_about(subject, endings[i], room), referrer_r));
}

/* Noting. */

static enum rc
referred_by_tag(
    struct meta_txn *t, uint64_t repo, const struct digest *d, bool *any_r)
{
	char room[TAG_BYTES];
	struct digest referrer;
	size_t i;
	enum rc rc;

	for (i = 0; i < ARRAY_LEN(endings) && !*any_r; i++) {
		rc = tag_find(
		    t, repo, tag_about(d, endings[i], room), &referrer);
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return (rc);
		*any_r = rc == RC_OK;
	}
	return (RC_OK);
}

static enum rc
referred(struct meta_txn *t, uint64_t repo, const struct digest *d, bool *any_r)
{
	struct rec_key prefix;
	enum rc rc;

	key_repo_digest(&prefix, repo, d);
	rc = kv_any(t, TABLE_REFERRERS, key_span(&prefix), any_r);
	if (rc != RC_OK || *any_r)
		return (rc);
	return (referred_by_tag(t, repo, d, any_r));
}

static enum rc
orphan_save(
    struct meta_txn *t, const struct rec_key *k, const struct orphan_rec *rec)
{
	uint8_t value[REC_ORPHAN_MAX_BYTES];

	rec_orphan_write(rec, value);
	return (kv_put(t, TABLE_ORPHAN_SUBJECTS, key_span(k),
	    (struct span){ (const char *)value, rec_orphan_size(rec) }));
}

enum rc
orphan_note(struct meta_txn *t, uint64_t repo, const struct digest *subject,
    int64_t now_ms)
{
	const struct orphan_rec rec = { 0 };
	struct rec_key k;
	bool any;
	enum rc rc;

	if ((rc = referred(t, repo, subject, &any)) != RC_OK || !any)
		return (rc);
	key_timed(&k, now_ms > 0 ? now_ms : 1, repo, subject);
	return (orphan_save(t, &k, &rec));
}

/* Following. */

enum fate { FATE_NONE, FATE_REMOVE, FATE_ARCHIVE };

struct following {
	int64_t before_ms, now_ms;
	unsigned max;
	/* Of this change. */
	unsigned left, looked_left;
	struct orphans_followed *followed;
	/* The subject it is at. */
	struct rec_key key;
	struct orphan_rec rec;
	int64_t since_ms;
	uint64_t repo;
	struct digest subject;
	enum fate fate;
};

/* What is written of a subject that is there decides, and of one that is not
 * that it is not.  One that was deleted and may come back is not gone. */
static enum rc
fate_of(struct meta_txn *t, struct following *f)
{
	struct manifest_rec rec;
	enum rc rc;

	f->fate = FATE_NONE;
	rc = manifest_row_any(t, f->repo, &f->subject, &rec);
	if (rc == RC_NOTFOUND)
		f->fate = FATE_REMOVE;
	else if (rc == RC_OK && rec.status == IMAGE_ARCHIVED &&
		 (rec.flags & MANIFEST_DELETED) == 0)
		f->fate = FATE_ARCHIVE;
	return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
}

static enum rc
referrer_remove(struct meta_txn *t, struct following *f, const struct digest *d,
    const struct manifest_rec *rec)
{
	static const uint8_t kinds[] = { EDGE_MANIFEST, 0 };
	const struct retire retire = { DELETED_BY_REQUEST,
		.now_ms = f->now_ms };
	struct holding holding;
	enum rc rc;

	rc = edge_holders(t, f->repo, d, kinds, &holding);
	if (rc == RC_OK)
		rc = manifest_retire(t, f->repo, d, rec, &retire);
	if (rc != RC_OK)
		return (rc);
	f->left -= f->left > 0;
	f->followed->removed++;
	return (RC_OK);
}

static enum rc
referrer_archive(struct meta_txn *t, struct following *f,
    const struct digest *d, const struct manifest_rec *rec)
{
	size_t left = HOLDERS_MAX;
	bool held, active;
	enum rc rc;

	if (rec->status == IMAGE_ARCHIVED)
		return (RC_OK);
	rc = edge_held(t, f->repo, d, &left, &held, &active);
	if (rc != RC_OK || active)
		return (rc);
	rc = image_class_set(t, f->repo, d, rec, IMAGE_ARCHIVED, f->now_ms);
	if (rc != RC_OK)
		return (rc);
	f->left -= f->left > 0;
	f->followed->archived++;
	return (RC_OK);
}

/* RC_REFERENCED: an index holds it, it stays. */
static enum rc
referrer_follow(struct meta_txn *t, struct following *f, const struct digest *d,
    const struct manifest_rec *rec)
{

	if (f->fate == FATE_REMOVE)
		return (referrer_remove(t, f, d, rec));
	return (referrer_archive(t, f, d, rec));
}

/* By tag. */

/* The manifest goes with the tag if that was all that led to it. */
static enum rc
tagged_remove(struct meta_txn *t, struct following *f, struct span tag,
    const struct digest *d, bool other)
{
	struct manifest_rec rec;
	enum rc rc = RC_NOTFOUND;

	if (!other)
		rc = manifest_row(t, f->repo, d, &rec);
	if (rc == RC_OK)
		rc = referrer_remove(t, f, d, &rec);
	if (rc != RC_NOTFOUND && rc != RC_REFERENCED)
		return (rc);
	return (tag_drop(t, f->repo, tag, d));
}

static enum rc
tagged_follow(struct meta_txn *t, struct following *f, struct span tag)
{
	struct manifest_rec rec;
	struct tag_rec at;
	bool other;
	enum rc rc;

	if ((rc = tag_load(t, f->repo, tag, &at)) != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (at.tagged_ms > f->since_ms)
		return (RC_OK);
	rc = tag_other(t, f->repo, &at.digest, tag, &other);
	if (rc == RC_OK && f->fate == FATE_REMOVE)
		return (tagged_remove(t, f, tag, &at.digest, other));
	if (rc != RC_OK || other)
		return (rc);
	rc = manifest_row(t, f->repo, &at.digest, &rec);
	if (rc == RC_OK)
		rc = referrer_archive(t, f, &at.digest, &rec);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
tags_follow(struct meta_txn *t, struct following *f)
{
	char room[TAG_BYTES];
	size_t i;
	enum rc rc;

	for (i = 0; i < ARRAY_LEN(endings); i++) {
		rc = tagged_follow(
		    t, f, tag_about(&f->subject, endings[i], room));
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* By subject. */

struct taken {
	struct digest d[TAKEN_MAX];
	size_t n;
};

/* Those behind the last one that was looked at. */
static enum rc
referrers_take(
    struct meta_txn *t, const struct following *f, struct taken *some)
{
	struct rec_key prefix, from = { 0 };
	struct digest subject;
	struct kv_walk w;
	uint64_t repo;
	enum rc rc;

	some->n = 0;
	key_repo_digest(&prefix, f->repo, &f->subject);
	if (f->rec.begun)
		key_referrer(&from, f->repo, &f->subject, &f->rec.at);
	rc = kv_walk_begin(
	    t, TABLE_REFERRERS, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	while (some->n < TAKEN_MAX && (rc = kv_walk_next(&w)) == RC_OK) {
		if (f->rec.begun && span_eq(w.key, key_span(&from)))
			continue;
		if (!key_read_referrer(
			w.key, &repo, &subject, &some->d[some->n])) {
			rc = meta_corrupt(w.table, w.key);
			break;
		}
		some->n++;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
referrer_look(struct meta_txn *t, struct following *f, const struct digest *d)
{
	struct manifest_rec rec;
	enum rc rc;

	f->looked_left--;
	f->rec.begun = true;
	f->rec.at = *d;
	rc = manifest_row(t, f->repo, d, &rec);
	if (rc == RC_OK && rec.pushed_ms <= f->since_ms)
		rc = referrer_follow(t, f, d, &rec);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT || rc == RC_REFERENCED)
		return (RC_OK);
	return (rc);
}

/* Some of them; is that all? */
static enum rc
referrers_follow(struct meta_txn *t, struct following *f, bool *all_r)
{
	struct taken some;
	size_t i;
	enum rc rc;

	*all_r = false;
	while (f->left > 0 && f->looked_left > 0) {
		if ((rc = referrers_take(t, f, &some)) != RC_OK)
			return (rc);
		*all_r = some.n == 0;
		if (*all_r)
			return (RC_OK);
		for (i = 0; i < some.n && f->left > 0 && f->looked_left > 0;
		     i++)
			if ((rc = referrer_look(t, f, &some.d[i])) != RC_OK)
				return (rc);
	}
	return (RC_OK);
}

/* Tags come first: the index that a referrers tag leads to holds those it
 * lists. */
static enum rc
subject_follow(struct meta_txn *t, struct following *f)
{
	bool all = true;
	enum rc rc;

	if ((rc = fate_of(t, f)) != RC_OK)
		return (rc);
	if (f->fate != FATE_NONE && !f->rec.begun)
		rc = tags_follow(t, f);
	if (rc == RC_OK && f->fate != FATE_NONE)
		rc = referrers_follow(t, f, &all);
	if (rc != RC_OK)
		return (rc);
	f->looked_left -= f->looked_left > 0;
	if (!all)
		return (orphan_save(t, &f->key, &f->rec));
	rc = kv_delete(t, TABLE_ORPHAN_SUBJECTS, key_span(&f->key));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* RC_NOTFOUND: none that waits for as long. */
static enum rc
subject_first(struct meta_txn *t, struct following *f)
{
	struct kv_walk w;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_ORPHAN_SUBJECTS, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (key_read_timed(
			w.key, &f->since_ms, &f->repo, &f->subject) &&
		    rec_orphan_read(w.value, &f->rec))
			break;
		/* That is for fsck. */
		(void)meta_corrupt(w.table, w.key);
	}
	kv_walk_end(&w);
	if (rc == RC_OK && f->since_ms > f->before_ms)
		rc = RC_NOTFOUND;
	if (rc == RC_OK)
		key_timed(&f->key, f->since_ms, f->repo, &f->subject);
	return (rc);
}

static enum rc
orphans_follow(struct meta_txn *t, void *arg)
{
	struct following *f = arg;
	enum rc rc;

	*f->followed = (struct orphans_followed){ 0 };
	f->left = f->max;
	f->looked_left = LOOKED_MAX;
	while (f->left > 0 && f->looked_left > 0) {
		rc = subject_first(t, f);
		if (rc != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if ((rc = subject_follow(t, f)) != RC_OK)
			return (rc);
	}
	f->followed->more = true;
	return (RC_OK);
}

/* Mostly there is nothing to do, which takes no change. */
static enum rc
orphans_any(struct meta *m, struct following *f, bool *any_r)
{
	struct meta_txn t;
	enum rc rc;

	*any_r = false;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = subject_first(&t, f);
	meta_read_end(&t);
	*any_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_orphans_follow(struct meta *m, int64_t before_ms, unsigned max,
    int64_t now_ms, struct orphans_followed *r)
{
	struct following f = {
		.before_ms = before_ms,
		.now_ms = now_ms,
		.max = max > 0 ? max : 1,
		.followed = r,
	};
	bool any;
	enum rc rc;

	*r = (struct orphans_followed){ 0 };
	if ((rc = orphans_any(m, &f, &any)) != RC_OK || !any)
		return (rc);
	rc = meta_change(m, orphans_follow, &f, 0);
	if (rc != RC_OK)
		*r = (struct orphans_followed){ 0 };
	return (rc);
}
