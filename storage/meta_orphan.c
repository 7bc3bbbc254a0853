#include "storage/meta_ops_int.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
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
 * One that an index holds cannot go.  So its subject is put into the queue
 * again, for a later time, and with the time when it went; later and later, as
 * the index may be there for years.
 *
 * One may have very many referrers: a change looks at some, in order of digest,
 * and writes down how far it came.  So does one that restores a subject with
 * them (meta_class.c): the others are restored from here.
 *
 * A change that meets something damaged is not made, as half of what it does to
 * an image may be done by then.  It is tried once more without that, which is
 * passed over as if an index held it.
 */

/* Rows that one change looks at, however few of them it changes. */
#define LOOKED_MAX 1024
/* Referrers whose digests are taken out of the map at a time. */
#define TAKEN_MAX 64
/* Indexes that are looked at to know whether an active one needs it. */
#define HOLDERS_MAX 1000
/* A subject whose referrers were held is looked at again when as much time has
 * passed once more, but within these. */
#define AGAIN_MIN_MS INT64_C(60000)
#define AGAIN_MAX_MS INT64_C(86400000)
/* A time further ahead than this is not one of this clock. */
#define AHEAD_MAX_MS INT64_C(86400000)
/* Damaged ones that one change passes over. */
#define SKIPS_MAX 16
/* Edges that are looked at for the size of one. */
#define SIZE_ROWS 1000

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

enum at_what { AT_NOTHING, AT_SUBJECT, AT_TAG, AT_REFERRER };

/* What a change is at. */
struct at {
	enum at_what what;
	struct rec_key subject; /* its key in the queue */
	unsigned tag;
	struct digest referrer;
	unsigned before; /* of a subject that is back: those that were well */
};

struct following {
	int64_t before_ms, now_ms;
	unsigned max;
	bool settled;		    /* the clock has had time to be put right */
	struct arena *arena;	    /* of what is told; or NULL */
	struct at skips[SKIPS_MAX]; /* damaged */
	size_t n_skips;
	bool full; /* and before this it ends: */
	struct at end;
	/* Of this change. */
	unsigned left, looked_left;
	struct orphans_followed *followed;
	size_t each_room;
	struct at at;
	/* The subject it is at. */
	struct rec_key key;
	int64_t key_ms;
	struct orphan_rec rec;
	int64_t since_ms; /* it went */
	uint64_t repo;
	struct digest subject;
	enum fate fate;
};

/* What is passed over. */

static bool
at_eq(const struct at *a, const struct at *b)
{
	if (a->what != b->what ||
	    !span_eq(key_span(&a->subject), key_span(&b->subject)))
		return (false);
	if (a->what == AT_TAG)
		return (a->tag == b->tag);
	return (
	    a->what != AT_REFERRER || digest_eq(&a->referrer, &b->referrer));
}

/* NULL: it is not known to be damaged. */
static const struct at *
at_skip(const struct following *f)
{
	size_t i;

	for (i = 0; i < f->n_skips; i++)
		if (at_eq(&f->skips[i], &f->at))
			return (&f->skips[i]);
	return (NULL);
}

/* The change is to go no further. */
static bool
at_end(struct following *f)
{
	if (!f->full || !at_eq(&f->end, &f->at))
		return (false);
	f->left = 0;
	return (true);
}

static void
at_set(struct following *f, enum at_what what, unsigned tag,
    const struct digest *d)
{
	f->at = (struct at){ .what = what, .subject = f->key, .tag = tag };
	if (d != NULL)
		f->at.referrer = *d;
}

/* What is told. */

static struct gc_followed *
told_new(struct following *f)
{
	struct orphans_followed *r = f->followed;
	struct gc_followed *each;
	size_t room;

	if (r->n_each < f->each_room)
		return (&r->each[r->n_each]);
	room = f->each_room > 0 ? 2 * f->each_room : 64;
	if ((each = arena_calloc(f->arena, room, sizeof(*each))) == NULL) {
		log_warn("not every referrer that followed is told");
		return (NULL);
	}
	if (r->n_each > 0)
		memcpy(each, r->each, r->n_each * sizeof(*each));
	r->each = each;
	f->each_room = room;
	return (&each[r->n_each]);
}

static struct span
name_of(struct meta_txn *t, const struct following *f)
{
	struct rec_key k;
	struct span value, name;

	key_repo(&k, f->repo);
	if (kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value) != RC_OK ||
	    !rec_repository_name_read(value, &name))
		return (SPAN_NONE);
	return (arena_span(f->arena, name));
}

static uint64_t
bytes_of(struct meta_txn *t, const struct following *f, const struct digest *d,
    const struct manifest_rec *rec)
{
	struct image_size size = { .left = SIZE_ROWS };

	if (rec->image_bytes != MANIFEST_BYTES_UNKNOWN)
		return (rec->image_bytes);
	return (
	    image_size_walk(t, f->repo, d, &size) == RC_OK ? size.bytes : 0);
}

/* Before it happens; it counts with told_done().  What cannot be read of it is
 * left out. */
static void
told_begin(struct meta_txn *t, struct following *f, enum gc_follow what,
    const struct digest *d, const struct manifest_rec *rec)
{
	struct gc_followed *one;
	struct span *tags;
	size_t n_tags;

	if (f->arena == NULL || (one = told_new(f)) == NULL)
		return;
	*one = (struct gc_followed){
		.what = what,
		.repository = name_of(t, f),
		.digest = *d,
		.subject = f->subject,
	};
	if (rec != NULL)
		one->image_bytes = bytes_of(t, f, d, rec);
	if (image_tags(t, f->repo, d, f->arena, &tags, &n_tags) != RC_OK)
		return;
	one->tags = tags;
	one->n_tags = n_tags;
}

static void
told_done(struct following *f)
{
	if (f->arena != NULL && f->followed->n_each < f->each_room)
		f->followed->n_each++;
}

/* Of an image that has others the one tag. */
static void
told_untagged(struct meta_txn *t, struct following *f, const struct digest *d,
    struct span tag)
{
	struct gc_followed *one;
	struct span *copy;

	if (f->arena == NULL || (one = told_new(f)) == NULL ||
	    (copy = arena_calloc(f->arena, 1, sizeof(*copy))) == NULL)
		return;
	*copy = arena_span(f->arena, tag);
	*one = (struct gc_followed){
		.what = GC_FOLLOW_UNTAGGED,
		.repository = name_of(t, f),
		.digest = *d,
		.subject = f->subject,
		.tags = copy,
		.n_tags = copy->p != NULL,
	};
	told_done(f);
}

static void
told_restored(
    struct meta_txn *t, struct following *f, const struct image_list *list)
{
	struct manifest_rec rec;
	size_t i;
	enum rc rc;

	for (i = 0; i < list->n; i++) {
		rc = manifest_row(t, f->repo, &list->rows[i], &rec);
		told_begin(t, f, GC_FOLLOW_RESTORED, &list->rows[i],
		    rc == RC_OK ? &rec : NULL);
		told_done(f);
	}
}

/* What becomes of them. */

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
	return (rc == RC_NOTFOUND ? RC_OK : rc);
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

	if ((rc = edge_holders(t, f->repo, d, kinds, &holding)) != RC_OK)
		return (rc);
	told_begin(t, f, GC_FOLLOW_REMOVED, d, rec);
	if ((rc = manifest_retire(t, f->repo, d, rec, &retire)) != RC_OK)
		return (rc);
	told_done(f);
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
	told_begin(t, f, GC_FOLLOW_ARCHIVED, d, rec);
	rc = image_class_set(t, f->repo, d, rec, IMAGE_ARCHIVED, f->now_ms);
	if (rc != RC_OK)
		return (rc);
	told_done(f);
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
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK &&
	    (rc = referrer_remove(t, f, d, &rec)) != RC_REFERENCED)
		return (rc);
	if ((rc = tag_drop(t, f->repo, tag, d)) == RC_OK)
		told_untagged(t, f, d, tag);
	return (rc);
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
		at_set(f, AT_TAG, (unsigned)i, NULL);
		if (at_end(f))
			return (RC_OK);
		if (at_skip(f) != NULL) {
			f->rec.held = true;
			continue;
		}
		rc = tagged_follow(
		    t, f, tag_about(&f->subject, endings[i], room));
		if (rc != RC_OK)
			return (rc);
	}
	at_set(f, AT_SUBJECT, 0, NULL);
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

	at_set(f, AT_REFERRER, 0, d);
	if (at_end(f))
		return (RC_OK);
	f->looked_left--;
	f->rec.begun = true;
	f->rec.at = *d;
	if (at_skip(f) != NULL) {
		f->rec.held = true;
		return (RC_OK);
	}
	rc = manifest_row(t, f->repo, d, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (rec.pushed_ms <= f->since_ms)
		rc = referrer_follow(t, f, d, &rec);
	f->rec.held = f->rec.held || rc == RC_REFERENCED;
	return (rc == RC_REFERENCED ? RC_OK : rc);
}

/* When it will be looked at again.  A row that is there says more. */
static enum rc
subject_again(struct meta_txn *t, const struct following *f)
{
	const struct orphan_rec rec = { .gone_ms = f->since_ms };
	int64_t at_ms = f->now_ms > f->key_ms ? f->now_ms : f->key_ms;
	int64_t later_ms = at_ms - f->since_ms;
	struct span was;
	struct rec_key k;
	enum rc rc;

	if (later_ms < AGAIN_MIN_MS)
		later_ms = AGAIN_MIN_MS;
	if (later_ms > AGAIN_MAX_MS)
		later_ms = AGAIN_MAX_MS;
	key_timed(&k, at_ms + later_ms, f->repo, &f->subject);
	rc = kv_get(t, TABLE_ORPHAN_SUBJECTS, key_span(&k), &was);
	return (rc == RC_NOTFOUND ? orphan_save(t, &k, &rec) : rc);
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
		at_set(f, AT_SUBJECT, 0, NULL);
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

static enum rc
subject_done(struct meta_txn *t, const struct following *f)
{
	enum rc rc;

	rc = kv_delete(t, TABLE_ORPHAN_SUBJECTS, key_span(&f->key));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
back_restore(struct meta_txn *t, struct following *f, unsigned max)
{
	struct image_list list = { .arena = f->arena };
	unsigned n;
	enum rc rc;

	rc = image_restore_referrers(
	    t, f->repo, &f->subject, max, f->now_ms, &f->rec, &n, &list);
	f->at.before = n > 0 ? n - 1 : 0;
	f->left -= n;
	if (rc == RC_OK || rc == RC_RANGE)
		told_restored(t, f, &list);
	return (rc);
}

/* Those before the one that is damaged, and then from behind it. */
static enum rc
back_skip(struct meta_txn *t, struct following *f, const struct at *skip)
{
	enum rc rc = RC_OK;

	if (skip->before > 0)
		rc = back_restore(t, f, skip->before);
	if (rc != RC_OK && rc != RC_RANGE)
		return (rc);
	f->rec.begun = true;
	f->rec.at = skip->referrer;
	return (orphan_save(t, &f->key, &f->rec));
}

static enum rc
subject_back(struct meta_txn *t, struct following *f, const struct at *skip)
{
	enum rc rc;

	f->looked_left -= f->looked_left > 0;
	/* Not both in one change: what it is at is known by its subject. */
	if (skip != NULL) {
		rc = back_skip(t, f, skip);
		f->left = 0;
		return (rc);
	}
	rc = back_restore(t, f, f->left);
	if (rc == RC_RANGE)
		return (orphan_save(t, &f->key, &f->rec));
	return (rc == RC_OK ? subject_done(t, f) : rc);
}

/* Nothing of it can be told: later, for fsck may have been there then. */
static enum rc
subject_put_off(struct meta_txn *t, struct following *f)
{
	enum rc rc;

	f->looked_left -= f->looked_left > 0;
	if ((rc = subject_done(t, f)) != RC_OK)
		return (rc);
	return (subject_again(t, f));
}

/* Tags come first: the index that a referrers tag leads to holds those it
 * lists. */
static enum rc
subject_follow(struct meta_txn *t, struct following *f)
{
	const struct at *skip;
	bool all = true;
	enum rc rc;

	at_set(f, AT_SUBJECT, 0, NULL);
	if (at_end(f))
		return (RC_OK);
	skip = at_skip(f);
	if (f->rec.back)
		return (subject_back(t, f, skip));
	if (skip != NULL)
		return (subject_put_off(t, f));
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
	if ((rc = subject_done(t, f)) != RC_OK)
		return (rc);
	return (f->fate == FATE_REMOVE && f->rec.held ? subject_again(t, f)
						      : RC_OK);
}

/* Its key says when it is to be looked at, and mostly when it went. */
static bool
subject_read(const struct kv_walk *w, struct following *f)
{
	if (!key_read_timed(w->key, &f->key_ms, &f->repo, &f->subject) ||
	    !rec_orphan_read(w->value, &f->rec))
		return (false);
	f->since_ms = f->rec.gone_ms != 0 ? f->rec.gone_ms : f->key_ms;
	return (true);
}

/* What was put off until later is not due before that, whatever is asked
 * for. */
static bool
subject_waits(const struct following *f)
{
	return (f->rec.gone_ms != 0 && f->key_ms > f->now_ms);
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
		/* What cannot be read is for fsck. */
		if (!subject_read(&w, f))
			(void)meta_corrupt(w.table, w.key);
		else if (f->key_ms > f->before_ms || !subject_waits(f))
			break;
	}
	kv_walk_end(&w);
	if (rc == RC_OK && f->key_ms > f->before_ms)
		rc = RC_NOTFOUND;
	if (rc == RC_OK)
		key_timed(&f->key, f->key_ms, f->repo, &f->subject);
	return (rc);
}

/* The first that is known to have gone at a time that is yet to come: the clock
 * was ahead once.  RC_NOTFOUND. */
static enum rc
ahead_first(struct meta_txn *t, struct following *f)
{
	static const struct digest first = { .alg = DIGEST_SHA256 };
	struct rec_key from;
	struct kv_walk w;
	enum rc rc;

	if (!f->settled || f->before_ms > f->now_ms)
		return (RC_NOTFOUND);
	key_timed(&from, f->now_ms + AHEAD_MAX_MS + 1, 0, &first);
	rc = kv_walk_begin(
	    t, TABLE_ORPHAN_SUBJECTS, SPAN_NONE, key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (subject_read(&w, f))
			break;
	kv_walk_end(&w);
	if (rc == RC_OK)
		key_timed(&f->key, f->key_ms, f->repo, &f->subject);
	return (rc);
}

/* It went now; those of one that is back are known by when it went then. */
static enum rc
subjects_date(struct meta_txn *t, struct following *f)
{
	struct rec_key k;
	enum rc rc;

	while (f->looked_left > 0) {
		if ((rc = ahead_first(t, f)) != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		f->looked_left--;
		if (!f->rec.back && f->rec.gone_ms > f->now_ms)
			f->rec.gone_ms = f->now_ms;
		key_timed(&k, f->now_ms, f->repo, &f->subject);
		if ((rc = subject_done(t, f)) == RC_OK)
			rc = orphan_save(t, &k, &f->rec);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static void
change_begin(struct following *f)
{
	if (f->arena != NULL)
		arena_reset(f->arena);
	*f->followed = (struct orphans_followed){ 0 };
	f->each_room = 0;
	f->left = f->max;
	f->looked_left = LOOKED_MAX;
	f->at.what = AT_NOTHING;
}

static enum rc
orphans_follow(struct meta_txn *t, void *arg)
{
	struct following *f = arg;
	enum rc rc;

	change_begin(f);
	if ((rc = subjects_date(t, f)) != RC_OK)
		return (rc);
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
	if (rc == RC_NOTFOUND)
		rc = ahead_first(&t, f);
	meta_read_end(&t);
	*any_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* With one more that is passed over; or up to there, when there are too many.
 * False: it is not known what. */
static bool
skip_add(struct following *f)
{
	if (f->at.what == AT_NOTHING || f->full || at_skip(f) != NULL)
		return (false);
	if (f->at.what == AT_SUBJECT && f->rec.back)
		f->at.referrer = f->rec.at;
	f->full = f->n_skips == SKIPS_MAX;
	if (f->full)
		f->end = f->at;
	else
		f->skips[f->n_skips++] = f->at;
	return (true);
}

static enum rc
orphans_change(struct meta *m, struct following *f)
{
	enum rc rc;

	do
		rc = meta_change_freeing(m, orphans_follow, f);
	while (rc == RC_CORRUPT && skip_add(f));
	return (rc);
}

enum rc
meta_orphans_follow(struct meta *m, int64_t before_ms, unsigned max,
    int64_t now_ms, struct orphans_followed *r)
{
	return (meta_orphans_follow_each(m, before_ms, max, now_ms, NULL, r));
}

enum rc
meta_orphans_follow_each(struct meta *m, int64_t before_ms, unsigned max,
    int64_t now_ms, struct arena *a, struct orphans_followed *r)
{
	int64_t left_ms;
	struct following f = {
		.before_ms = before_ms,
		.now_ms = now_ms,
		.max = max > 0 ? max : 1,
		.settled = lease_settled(meta_leases(m), &left_ms),
		.arena = a,
		.followed = r,
	};
	bool any;
	enum rc rc;

	*r = (struct orphans_followed){ 0 };
	if ((rc = orphans_any(m, &f, &any)) != RC_OK || !any)
		return (rc);
	rc = orphans_change(m, &f);
	if (rc != RC_OK)
		*r = (struct orphans_followed){ 0 };
	return (rc);
}
