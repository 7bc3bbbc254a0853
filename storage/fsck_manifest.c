#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/manifest.h"
#include "base/obj.h"
#include "storage/fsck_int.h"
#include "storage/meta_ops_int.h"

/*
 * Manifests: the row, the edges and the place among the referrers are held
 * against the text, which is read again.  The text itself is as good as its
 * digest says; where it is not, nothing is learned from it.
 */

struct subject {
	uint64_t repo;
	struct digest digest;
	const char *repo_text, *digest_text;
};

static void
subject_set(struct fsck_check *c, uint64_t repo, const struct digest *d,
    struct subject *s)
{
	s->repo = repo;
	s->digest = *d;
	s->repo_text = fsck_repo_text(c, repo);
	s->digest_text = fsck_digest_text(c, d);
}

/* --- the text's blob ----------------------------------------------------- */

/* A record where there is none; the holders are as they are. */
static enum rc
blob_restore(struct fsck_check *c, const struct subject *s)
{
	if (!fsck_found(c, FSCK_MISSING, true,
		"%s: manifest %s has no record of its content", s->repo_text,
		s->digest_text))
		return (RC_OK);
	return (fsck_blob_restore(c, repo_domain(s->repo), &s->digest));
}

/* May the text be read?  ${told_r}: if not, that has been told. */
static enum rc
blob_check(
    struct fsck_check *c, const struct subject *s, bool *served_r, bool *told_r)
{
	uint32_t domain = repo_domain(s->repo);
	struct blob_rec rec;
	struct rec_key k, holder;
	struct span value;
	bool has;
	enum rc rc;

	*served_r = false;
	key_blob(&k, domain, &s->digest);
	if ((rc = fsck_has(c, TABLE_BLOBS, &k, &has)) != RC_OK)
		return (rc);
	*told_r = !has;
	if (!has && (rc = blob_restore(c, s)) != RC_OK)
		return (rc);
	key_holder(&holder, domain, &s->digest, HOLDER_MANIFEST, s->repo);
	if ((rc = fsck_has(c, TABLE_HOLDERS, &holder, &has)) != RC_OK)
		return (rc);
	if (!has &&
	    fsck_found(c, FSCK_INDEX, true, "%s: not a holder of manifest %s",
		s->repo_text, s->digest_text)) {
		rc = blob_hold(c->t, &s->digest, HOLDER_MANIFEST, s->repo);
		if (rc != RC_OK)
			return (rc);
	}
	rc = kv_get(c->t, TABLE_BLOBS, key_span(&k), &value);
	*served_r = rc == RC_OK && rec_blob_read(value, &rec) &&
		    rec.state == BLOB_SERVED && rec.location == BLOB_IN_META;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* --- the row ------------------------------------------------------------- */

static enum rc
text_parse(struct fsck_check *c, const struct subject *s,
    struct span media_type, struct span text, struct manifest *m, bool *ok_r)
{
	char why[MANIFEST_WHY_BYTES];
	enum rc rc;

	rc = manifest_parse(media_type, text, c->arena, m, why);
	*ok_r = rc == RC_OK;
	if (rc != RC_OK)
		(void)fsck_found(c, FSCK_RECORD, false,
		    "%s: manifest %s cannot be understood: %s", s->repo_text,
		    s->digest_text, why);
	return (RC_OK);
}

/* ${old}: what is known besides the text.  How much an index takes is added up
 * when somebody asks. */
static enum rc
row_write(struct fsck_check *c, const struct manifest *m, uint64_t size_bytes,
    const struct manifest_rec *old)
{
	struct manifest_rec rec = *old;
	uint8_t *p;
	enum rc rc;

	rec.flags &= MANIFEST_DELETED;
	rec.flags |= m->has_subject ? MANIFEST_HAS_SUBJECT : 0;
	rec.size_bytes = size_bytes;
	rec.media_type = m->media_type;
	rec.artifact_type = m->artifact_type;
	rec.subject = m->subject;
	rec.image_bytes = m->kind == MANIFEST_IMAGE ? m->layers_size_bytes
						    : MANIFEST_BYTES_UNKNOWN;
	rc = kv_reserve(c->t, c->table, c->key, rec_manifest_size(&rec), &p);
	if (rc == RC_OK)
		rec_manifest_write(&rec, p);
	return (rc);
}

static enum rc
row_give_up(struct fsck_check *c, const struct subject *s)
{
	enum rc rc;

	if ((rc = fsck_row_delete(c)) != RC_OK)
		return (rc);
	return (image_count_add(c->t, s->repo, -1));
}

/* What other tables tell of one whose row is lost. */
static enum rc
row_recall(
    struct fsck_check *c, const struct subject *s, struct manifest_rec *rec_r)
{
	struct rec_key k;
	bool deleted, activating, in_archive;
	enum rc rc;

	*rec_r = (struct manifest_rec){
		.pushed_ms = c->now_ms,
		.status = IMAGE_ACTIVE,
	};
	key_repo_digest(&k, s->repo, &s->digest);
	if ((rc = fsck_has(c, TABLE_DELETED_IMAGES, &k, &deleted)) != RC_OK)
		return (rc);
	rec_r->flags = deleted ? MANIFEST_DELETED : 0;
	if ((rc = fsck_has(c, TABLE_ACTIVATIONS, &k, &activating)) != RC_OK)
		return (rc);
	rc = image_in_archive(c->t, s->repo, &s->digest, &in_archive);
	if (rc != RC_OK)
		return (rc == RC_CORRUPT ? RC_OK : rc);
	if (activating) {
		rec_r->status = IMAGE_ACTIVATING;
	} else if (in_archive) {
		rec_r->status = IMAGE_ARCHIVED;
		rec_r->archived_ms = c->now_ms;
	}
	return (RC_OK);
}

/* Made anew from the text, or given up. */
static enum rc
row_rebuild(struct fsck_check *c, const struct subject *s)
{
	char why[MANIFEST_WHY_BYTES];
	struct manifest_rec rec;
	struct manifest m;
	struct span text;
	bool sound;
	enum rc rc;

	if (!fsck_found(c, FSCK_RECORD, true,
		"%s: the record of manifest %s cannot be read", s->repo_text,
		s->digest_text))
		return (RC_OK);
	rc = fsck_content_sound(
	    c, repo_domain(s->repo), &s->digest, &text, &sound);
	if (rc != RC_OK)
		return (rc);
	if (!sound ||
	    manifest_parse(SPAN_NONE, text, c->arena, &m, why) != RC_OK)
		return (row_give_up(c, s));
	if ((rc = row_recall(c, s, &rec)) != RC_OK)
		return (rc);
	return (row_write(c, &m, text.n, &rec));
}

/* That of an index is held against its children, when they have been looked
 * at: fsck_image_bytes_row(). */
static bool
bytes_agree(const struct manifest_rec *rec, const struct manifest *m)
{
	return (m->kind == MANIFEST_INDEX ||
		rec->image_bytes == MANIFEST_BYTES_UNKNOWN ||
		rec->image_bytes == m->layers_size_bytes);
}

static enum rc
row_check(struct fsck_check *c, const struct subject *s,
    const struct manifest_rec *rec, const struct manifest *m,
    uint64_t size_bytes)
{
	bool has_subject = (rec->flags & MANIFEST_HAS_SUBJECT) != 0;

	if (rec->size_bytes == size_bytes && bytes_agree(rec, m) &&
	    span_eq(rec->media_type, m->media_type) &&
	    span_eq(rec->artifact_type, m->artifact_type) &&
	    has_subject == m->has_subject &&
	    (!has_subject || digest_eq(&rec->subject, &m->subject)))
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: the record of manifest %s differs from its text",
		s->repo_text, s->digest_text))
		return (row_write(c, m, size_bytes, rec));
	return (RC_OK);
}

/* --- edges --------------------------------------------------------------- */

/* The descriptors of a manifest in the order of their rows. */
struct slot {
	const struct descriptor *e;
};

struct wanted {
	struct slot *by_key;
	size_t n;
};

static int
edge_cmp(uint8_t kind, const struct digest *d, const struct descriptor *e)
{
	if (kind != (uint8_t)e->kind)
		return (kind < (uint8_t)e->kind ? -1 : 1);
	return (digest_cmp(d, &e->digest));
}

static int
slot_cmp(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return (edge_cmp((uint8_t)x->e->kind, &x->e->digest, y->e));
}

static enum rc
wanted_make(struct fsck_check *c, const struct manifest *m, struct wanted *w)
{
	size_t i;

	w->n = m->n_edges;
	w->by_key = arena_calloc(c->arena, w->n + 1, sizeof(*w->by_key));
	if (w->by_key == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < w->n; i++)
		w->by_key[i].e = &m->edges[i];
	if (w->n > 1)
		qsort(w->by_key, w->n, sizeof(*w->by_key), slot_cmp);
	return (RC_OK);
}

static bool
wanted_has(const struct wanted *w, uint8_t kind, const struct digest *d)
{
	size_t low = 0, high = w->n, mid;
	int cmp;

	while (low < high) {
		mid = low + (high - low) / 2;
		cmp = edge_cmp(kind, d, w->by_key[mid].e);
		if (cmp == 0)
			return (true);
		if (cmp < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return (false);
}

static enum rc
surplus_check(struct fsck_check *c, const struct subject *s,
    const struct wanted *wanted, struct kv_walk *w)
{
	struct digest parent, child;
	struct rec_key k;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	/* What cannot be read is told at its own table's turn. */
	if (!key_read_edge(w->key, &repo, &parent, &kind, &child) ||
	    wanted_has(wanted, kind, &child))
		return (RC_OK);
	if (!fsck_found(c, FSCK_INDEX, true,
		"%s: manifest %s is said to need %s, which is not in its text",
		s->repo_text, s->digest_text, fsck_digest_text(c, &child)))
		return (RC_OK);
	if ((rc = kv_walk_delete(w)) != RC_OK)
		return (rc);
	key_edge(&k, repo, &child, kind, &parent);
	rc = kv_delete(c->t, TABLE_PARENTS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Rows that the text does not account for. */
static enum rc
surplus_walk(
    struct fsck_check *c, const struct subject *s, const struct wanted *wanted)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, s->repo, &s->digest, 0, NULL);
	rc = kv_walk_begin(c->t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if ((rc = surplus_check(c, s, wanted, &w)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* ${same} [0..n) are of the same kind and digest: one row stands for them. */
static enum rc
edge_check(struct fsck_check *c, const struct subject *s,
    const struct slot *same, size_t n)
{
	const struct descriptor *e = same[0].e;
	struct edge_rec rec;
	struct rec_key k;
	struct span value;
	bool known = false, back;
	size_t i;
	enum rc rc;

	key_edge(&k, s->repo, &s->digest, (uint8_t)e->kind, &e->digest);
	rc = kv_get(c->t, TABLE_EDGES, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_edge_read(value, &rec)) {
		for (i = 0; i < n; i++)
			known =
			    known || rec.size_bytes == same[i].e->size_bytes;
	}
	key_edge(&k, s->repo, &e->digest, (uint8_t)e->kind, &s->digest);
	if ((rc = fsck_has(c, TABLE_PARENTS, &k, &back)) != RC_OK)
		return (rc);
	if (known && back)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: manifest %s needs %s, but %s does not say so",
		s->repo_text, s->digest_text, fsck_digest_text(c, &e->digest),
		meta_table_name(known ? TABLE_PARENTS : TABLE_EDGES)))
		return (edge_put(c->t, s->repo, &s->digest, e, SPARSE_ALL));
	return (RC_OK);
}

static enum rc
edges_check(
    struct fsck_check *c, const struct subject *s, const struct manifest *m)
{
	struct wanted w;
	size_t i, n;
	enum rc rc;

	if ((rc = wanted_make(c, m, &w)) != RC_OK)
		return (rc);
	if ((rc = surplus_walk(c, s, &w)) != RC_OK)
		return (rc);
	for (i = 0; i < w.n; i += n) {
		for (n = 1; i + n < w.n; n++)
			if (slot_cmp(&w.by_key[i], &w.by_key[i + n]) != 0)
				break;
		if ((rc = edge_check(c, s, &w.by_key[i], n)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* --- the referrer -------------------------------------------------------- */

static enum rc
referrer_check(struct fsck_check *c, const struct subject *s,
    const struct manifest *m, uint64_t size_bytes)
{
	struct span value, annotations = SPAN_NONE;
	struct referrer_rec rec;
	struct rec_key k;
	enum rc rc;

	if (!m->has_subject)
		return (RC_OK);
	key_referrer(&k, s->repo, &m->subject, &s->digest);
	rc = kv_get(c->t, TABLE_REFERRERS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec_referrer_read(value, &rec) &&
	    rec.size_bytes == size_bytes &&
	    span_eq(rec.media_type, m->media_type) &&
	    span_eq(rec.artifact_type, m->artifact_type) &&
	    referrer_annotations(
		c->t, s->repo, &k, &rec, c->arena, &annotations) == RC_OK &&
	    span_eq(annotations, m->annotations))
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: manifest %s is not, or not as it is, among the referrers "
		"of its subject",
		s->repo_text, s->digest_text))
		return (referrer_put(c->t, s->repo, &s->digest, m, size_bytes));
	return (RC_OK);
}

/* --- all of a manifest --------------------------------------------------- */

static enum rc
text_check(struct fsck_check *c, const struct subject *s,
    const struct manifest_rec *rec, struct span text)
{
	struct manifest m;
	uint64_t size_bytes = text.n;
	bool ok;
	enum rc rc;

	rc = text_parse(c, s, rec->media_type, text, &m, &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if ((rc = row_check(c, s, rec, &m, size_bytes)) != RC_OK)
		return (rc);
	if ((rc = edges_check(c, s, &m)) != RC_OK)
		return (rc);
	if ((rec->flags & MANIFEST_DELETED) != 0)
		return (RC_OK);
	return (referrer_check(c, s, &m, size_bytes));
}

/* A manifest counts as absent if and only if its text cannot be served. */
static enum rc
service_check(struct fsck_check *c, const struct subject *s,
    const struct manifest_rec *rec, bool served)
{
	bool absent = (rec->flags & MANIFEST_QUARANTINED) != 0;

	if (absent != served)
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: manifest %s is marked as %s service, its text is %s",
		s->repo_text, s->digest_text, absent ? "out of" : "in",
		served ? "there" : "not"))
		return (manifest_mark(
		    c->t, repo_domain(s->repo), &s->digest, !served));
	return (RC_OK);
}

enum rc
fsck_manifest_row(struct fsck_check *c)
{
	struct manifest_rec rec;
	struct subject s;
	struct digest d;
	struct span text;
	uint64_t repo;
	bool ok, served, told, sound;
	enum rc rc;

	if (!key_read_repo_digest(c->key, &repo, &d))
		return (fsck_unreadable(c));
	subject_set(c, repo, &d, &s);
	rc = fsck_need_repository(c, repo, s.digest_text, &ok);
	if (rc != RC_OK || !ok)
		return (rc);
	if ((rc = blob_check(c, &s, &served, &told)) != RC_OK)
		return (rc);
	if (!rec_manifest_read(c->value, &rec))
		return (row_rebuild(c, &s));
	if ((rc = fsck_image_deleted(c, repo, &d, &rec)) != RC_OK)
		return (rc);
	if (!served && told)
		return (c->fixing
			    ? manifest_mark(c->t, repo_domain(repo), &d, true)
			    : RC_OK);
	if (!served)
		return (service_check(c, &s, &rec, false));
	rc = fsck_content_sound(c, repo_domain(repo), &d, &text, &sound);
	/* Whose key is not here is counted with its content. */
	if (rc != RC_OK || !sound)
		return (rc == RC_LOCKED ? RC_OK : rc);
	if ((rec.flags & MANIFEST_QUARANTINED) != 0)
		return (service_check(c, &s, &rec, true));
	return (text_check(c, &s, &rec, text));
}

/* --- the other tables ---------------------------------------------------- */

/* An edge as its row in the edges has it, or turned, in the parents. */
struct edge {
	struct subject parent;
	struct digest child;
	uint8_t kind;
	struct rec_key there, back;
};

static bool
edge_read(struct fsck_check *c, bool turned, struct edge *e)
{
	struct digest from, to;
	uint64_t repo;

	if (!key_read_edge(c->key, &repo, &from, &e->kind, &to) ||
	    e->kind < EDGE_CONFIG || e->kind > EDGE_MANIFEST)
		return (false);
	subject_set(c, repo, turned ? &to : &from, &e->parent);
	e->child = turned ? from : to;
	key_edge(&e->there, repo, &e->parent.digest, e->kind, &e->child);
	key_edge(&e->back, repo, &e->child, e->kind, &e->parent.digest);
	return (true);
}

static enum rc
edge_dangling(struct fsck_check *c, const struct edge *e)
{
	enum rc rc;

	if (!fsck_found(c, FSCK_DANGLING, true,
		"%s: what manifest %s needs is known, but it is not there",
		e->parent.repo_text, e->parent.digest_text))
		return (RC_OK);
	if ((rc = fsck_row_delete(c)) != RC_OK)
		return (rc);
	rc = kv_delete(c->t, TABLE_PARENTS, key_span(&e->back));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Those that a deleted index needs may have been deleted before it, and be
 * gone. */
static enum rc
child_find(struct fsck_check *c, const struct edge *e, bool parent_deleted,
    bool *has_r)
{
	struct rec_key k;

	if (e->kind == EDGE_MANIFEST && parent_deleted) {
		*has_r = true;
		return (RC_OK);
	}
	if (e->kind == EDGE_MANIFEST)
		return (fsck_has_manifest(c, e->parent.repo, &e->child, has_r));
	key_repo_digest(&k, e->parent.repo, &e->child);
	return (fsck_has(c, TABLE_BLOB_LINKS, &k, has_r));
}

/* The child is in the repository, or marked as one that need not be. */
static enum rc
child_check(struct fsck_check *c, const struct edge *e,
    const struct edge_rec *rec, bool parent_deleted)
{
	const struct descriptor lost = {
		.kind = (enum edge_kind)e->kind,
		.digest = e->child,
		.size_bytes = rec->size_bytes,
	};
	bool has;
	enum rc rc;

	if ((rec->flags & EDGE_ABSENT) != 0)
		return (RC_OK);
	rc = child_find(c, e, parent_deleted, &has);
	if (rc != RC_OK || has)
		return (rc);
	if (fsck_found(c, FSCK_DANGLING, true,
		"%s: manifest %s needs %s, which is not there",
		e->parent.repo_text, e->parent.digest_text,
		fsck_digest_text(c, &e->child)))
		return (edge_put(c->t, e->parent.repo, &e->parent.digest, &lost,
		    SPARSE_ALL));
	return (RC_OK);
}

enum rc
fsck_edge_row(struct fsck_check *c)
{
	struct edge_rec rec;
	struct edge e;
	struct rec_key k;
	bool has, alive, doomed;
	enum rc rc;

	if (!edge_read(c, false, &e) || !rec_edge_read(c->value, &rec))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, e.parent.repo, &doomed)) != RC_OK || doomed)
		return (rc);
	key_repo_digest(&k, e.parent.repo, &e.parent.digest);
	if ((rc = fsck_has(c, TABLE_MANIFESTS, &k, &has)) != RC_OK)
		return (rc);
	if (!has)
		return (edge_dangling(c, &e));
	rc = fsck_has_manifest(c, e.parent.repo, &e.parent.digest, &alive);
	if (rc != RC_OK)
		return (rc);
	if ((rc = fsck_has(c, TABLE_PARENTS, &e.back, &has)) != RC_OK)
		return (rc);
	if (!has && fsck_found(c, FSCK_INDEX, true,
			"%s: manifest %s is not among those that need %s",
			e.parent.repo_text, e.parent.digest_text,
			fsck_digest_text(c, &e.child)))
		rc = kv_put(c->t, TABLE_PARENTS, key_span(&e.back), rec_none());
	return (rc == RC_OK ? child_check(c, &e, &rec, !alive) : rc);
}

enum rc
fsck_parent_row(struct fsck_check *c)
{
	struct edge e;
	bool has, doomed;
	enum rc rc;

	if (!edge_read(c, true, &e))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, e.parent.repo, &doomed)) != RC_OK || doomed)
		return (rc);
	if ((rc = fsck_none(c)) != RC_OK)
		return (rc);
	if ((rc = fsck_has(c, TABLE_EDGES, &e.there, &has)) != RC_OK || has)
		return (rc);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: manifest %s is said to need %s but does not",
		e.parent.repo_text, e.parent.digest_text,
		fsck_digest_text(c, &e.child)))
		return (fsck_row_delete(c));
	return (RC_OK);
}

enum rc
fsck_referrer_row(struct fsck_check *c)
{
	struct referrer_rec rec;
	struct manifest_rec manifest;
	struct digest subject, d;
	struct rec_key k;
	struct span value;
	uint64_t repo;
	bool doomed;
	enum rc rc;

	if (!key_read_referrer(c->key, &repo, &subject, &d) ||
	    !rec_referrer_read(c->value, &rec))
		return (fsck_unreadable(c));
	if ((rc = fsck_doomed(c, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	key_repo_digest(&k, repo, &d);
	rc = kv_get(c->t, TABLE_MANIFESTS, key_span(&k), &value);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	/* A manifest's row that cannot be read has been told. */
	if (rc == RC_OK && (!rec_manifest_read(value, &manifest) ||
			       ((manifest.flags & MANIFEST_HAS_SUBJECT) != 0 &&
				   (manifest.flags & MANIFEST_DELETED) == 0 &&
				   digest_eq(&manifest.subject, &subject))))
		return (RC_OK);
	if (fsck_found(c, FSCK_INDEX, true,
		"%s: %s is listed as a referrer of %s but is none",
		fsck_repo_text(c, repo), fsck_digest_text(c, &d),
		fsck_digest_text(c, &subject)))
		return (fsck_row_delete(c));
	return (RC_OK);
}
