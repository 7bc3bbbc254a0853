#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * Images: manifests with their tags, read one by one and in pages.
 *
 * The rows of manifests and those of digest_tags are in the same order, so a
 * page walks both side by side, from wherever it starts.  A page that has to
 * look far does so in several reads, each of them short; what changes between
 * two of them is as what changes between two pages.
 */

#define ROWS_FIRST 16
#define READ_IMAGES 512 /* that are looked at in one read */
/* Tags and edges of one page; then it is long enough. */
#define PAGE_WORK 20000
/* A tag that is further away is looked up. */
#define TAGS_STEPPED 16

/* Arrays that grow: what they leave behind goes with the arena. */
static enum rc
grow(struct arena *a, void **rows, size_t n, size_t *room, size_t size_bytes)
{
	size_t more = *room > 0 ? 2 * *room : ROWS_FIRST;
	void *p;

	if (n < *room)
		return (RC_OK);
	if ((p = arena_calloc(a, more, size_bytes)) == NULL)
		return (RC_TOOBIG);
	if (n > 0)
		memcpy(p, *rows, n * size_bytes);
	*rows = p;
	*room = more;
	return (RC_OK);
}

/* Tags, side by side with the manifests. */

struct tag_walk {
	struct meta_txn *t;
	uint64_t repo;
	struct rec_key prefix, from;
	struct kv_walk w;
	bool ended;
	struct digest digest; /* of the row that stands at */
	struct span tag;
};

static enum rc
tags_step(struct tag_walk *tw)
{
	uint64_t repo;
	enum rc rc;

	rc = kv_walk_next(&tw->w);
	tw->ended = rc != RC_OK;
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (!key_read_digest_tag(tw->w.key, &repo, &tw->digest, &tw->tag))
		return (meta_corrupt(tw->w.table, tw->w.key));
	return (RC_OK);
}

/* From the first tag of ${d} that is not below ${tag}; NULL: of any. */
static enum rc
tags_begin(struct tag_walk *tw, const struct digest *d, struct span tag)
{
	enum rc rc;

	key_repo(&tw->prefix, tw->repo);
	tw->from.n = 0;
	if (d != NULL)
		key_digest_tag(&tw->from, tw->repo, d, tag);
	rc = kv_walk_begin(tw->t, TABLE_DIGEST_TAGS, key_span(&tw->prefix),
	    key_span(&tw->from), &tw->w);
	return (rc == RC_OK ? tags_step(tw) : rc);
}

static void
tags_end(struct tag_walk *tw)
{

	kv_walk_end(&tw->w);
}

/* On to the tags of ${d}; are there any? */
static enum rc
tags_seek(struct tag_walk *tw, const struct digest *d, bool *any_r)
{
	unsigned n = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && !tw->ended && digest_cmp(&tw->digest, d) < 0) {
		if (n++ < TAGS_STEPPED) {
			rc = tags_step(tw);
			continue;
		}
		tags_end(tw);
		rc = tags_begin(tw, d, SPAN_NONE);
	}
	*any_r = rc == RC_OK && !tw->ended && digest_eq(&tw->digest, d);
	return (rc);
}

/* All of ${d}, when the walk has come there. */
static enum rc
tags_take(struct tag_walk *tw, const struct digest *d, struct arena *a,
    struct span **tags_r, size_t *n_r)
{
	size_t room = 0;
	void *tags = NULL;
	enum rc rc = RC_OK;

	*n_r = 0;
	while (rc == RC_OK && !tw->ended && digest_eq(&tw->digest, d)) {
		rc = grow(a, &tags, *n_r, &room, sizeof(**tags_r));
		*tags_r = tags;
		if (rc == RC_OK)
			rc = copy_out(a, tw->tag, &(*tags_r)[*n_r]);
		if (rc != RC_OK)
			return (rc);
		(*n_r)++;
		rc = tags_step(tw);
	}
	return (rc);
}

enum rc
image_tags(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct arena *a, struct span **tags_r, size_t *n_r)
{
	struct tag_walk tw = { .t = t, .repo = repo };
	enum rc rc;

	*tags_r = NULL;
	*n_r = 0;
	if ((rc = tags_begin(&tw, d, SPAN_NONE)) == RC_OK)
		rc = tags_take(&tw, d, a, tags_r, n_r);
	tags_end(&tw);
	return (rc);
}

/* One image. */

/* ${left}: so many edges may be looked at for its size. */
static enum rc
image_fill(struct tag_walk *tw, const struct digest *d,
    const struct manifest_rec *rec, size_t *left, struct arena *a,
    struct image_row *row)
{
	struct image_size size = { .left = *left, .bytes = rec->image_bytes };
	enum rc rc;

	*row = (struct image_row){ 0 };
	row->kind = manifest_kind_of(rec->media_type);
	row->archived_ms = rec->archived_ms;
	row->activated_ms = rec->activated_ms;
	rc = manifest_row_fill(d, rec, READ_BLOCKING, a, &row->manifest);
	if (rc == RC_OK && rec->image_bytes == MANIFEST_BYTES_UNKNOWN)
		rc = image_size_walk(tw->t, tw->repo, d, &size);
	row->image_bytes = size.bytes;
	*left = size.left;
	if (rc == RC_OK)
		rc = tags_take(tw, d, a, &row->tags, &row->n_tags);
	if (rc == RC_OK)
		rc = scan_get(tw->t, tw->repo, d, a, &row->scan);
	return (rc);
}

enum rc
image_get(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct arena *a, struct image_row *row_r)
{
	struct tag_walk tw = { .t = t, .repo = repo };
	struct manifest_rec rec;
	size_t left = PAGE_WORK;
	enum rc rc;

	if ((rc = manifest_find(t, repo, d, &rec)) != RC_OK)
		return (rc);
	if ((rc = tags_begin(&tw, d, SPAN_NONE)) == RC_OK)
		rc = image_fill(&tw, d, &rec, &left, a, row_r);
	tags_end(&tw);
	return (rc);
}

enum rc
meta_image_get(struct meta *m, struct span repository,
    const struct reference *ref, struct arena *a, struct image_row *row_r)
{
	struct digest d = ref->digest;
	struct repository_row repo;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, repository, &repo);
	if (rc == RC_OK && !ref->is_digest)
		rc = tag_find(&t, repo.id, ref->tag, &d);
	if (rc == RC_OK)
		rc = image_get(&t, repo.id, &d, a, row_r);
	meta_read_end(&t);
	return (rc);
}

/* Pages. */

struct lister;

/* What a page takes of an image that its query wants. */
typedef enum rc take_fn(struct lister *, struct tag_walk *,
    const struct digest *, const struct manifest_rec *, bool tagged);

struct lister {
	const struct image_query *q;
	struct arena *arena;
	take_fn *take;
	struct image_page *images; /* one of the two */
	struct image_id_page *ids;
	size_t n, room, looked;
	size_t work_left;
	bool begun; /* somewhere, namely here: */
	struct digest at;
	struct span at_tag; /* .p NULL: all of it was seen */
	bool more, ended;
};

/* What holds it, and what it goes with. */
static enum rc
relations_fill(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, size_t *left, struct image_row *row)
{
	struct manifest_rec subject;
	enum rc rc;

	rc = edge_held(t, repo, d, left, &row->held, &row->held_by_active);
	if (rc != RC_OK || (rec->flags & MANIFEST_HAS_SUBJECT) == 0)
		return (rc);
	rc = manifest_find(t, repo, &rec->subject, &subject);
	row->subject_here = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static bool
page_full(const struct lister *l)
{

	return (l->n >= l->q->max_rows || (l->n > 0 && l->work_left == 0) ||
		(l->q->max_looked > 0 && l->looked >= l->q->max_looked));
}

static void
work_done(struct lister *l, size_t n)
{

	l->work_left -= n < l->work_left ? n : l->work_left;
}

static enum rc
take_image(struct lister *l, struct tag_walk *tw, const struct digest *d,
    const struct manifest_rec *rec, bool tagged)
{
	void *rows = l->images->rows;
	size_t left = PAGE_WORK;
	struct image_row *row;
	enum rc rc;

	(void)tagged;
	rc = grow(l->arena, &rows, l->n, &l->room, sizeof(*l->images->rows));
	if (rc != RC_OK)
		return (rc);
	l->images->rows = rows;
	row = &l->images->rows[l->n];
	rc = image_fill(tw, d, rec, &left, l->arena, row);
	if (rc == RC_OK && l->q->relations)
		rc = relations_fill(tw->t, tw->repo, d, rec, &left, row);
	if (rc != RC_OK)
		return (rc);
	work_done(l, PAGE_WORK - left + row->n_tags);
	l->n++;
	return (RC_OK);
}

static enum rc
id_add(struct lister *l, const struct digest *d, struct span tag)
{
	void *rows = l->ids->rows;
	enum rc rc;

	rc = grow(l->arena, &rows, l->n, &l->room, sizeof(*l->ids->rows));
	if (rc != RC_OK)
		return (rc);
	l->ids->rows = rows;
	l->ids->rows[l->n].digest = *d;
	rc = copy_out(l->arena, tag, &l->ids->rows[l->n].tag);
	if (rc == RC_OK)
		l->n++;
	return (rc);
}

/* Its tags, from where an earlier page left off. */
static enum rc
take_tags(struct lister *l, struct tag_walk *tw, const struct digest *d)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && !tw->ended && digest_eq(&tw->digest, d)) {
		if (l->at_tag.p != NULL && span_cmp(tw->tag, l->at_tag) <= 0) {
			rc = tags_step(tw);
			continue;
		}
		if (l->n >= l->q->max_rows) {
			l->more = true;
			l->ended = true;
			return (RC_OK);
		}
		if ((rc = id_add(l, d, tw->tag)) != RC_OK)
			return (rc);
		l->at_tag = l->ids->rows[l->n - 1].tag;
		rc = tags_step(tw);
	}
	l->at_tag = SPAN_NONE;
	return (rc);
}

static enum rc
take_ids(struct lister *l, struct tag_walk *tw, const struct digest *d,
    const struct manifest_rec *rec, bool tagged)
{
	bool again = l->at_tag.p != NULL;

	(void)rec;
	if (tagged)
		return (take_tags(l, tw, d));
	l->at_tag = SPAN_NONE;
	/* It had a tag when it was seen. */
	return (again ? RC_OK : id_add(l, d, SPAN_NONE));
}

static bool
wanted(const struct image_query *q, const struct manifest_rec *rec, bool tagged)
{

	if ((rec->flags & (MANIFEST_QUARANTINED | MANIFEST_DELETED)) != 0)
		return (false);
	if (q->statuses != 0 &&
	    (q->statuses & IMAGE_STATUS_BIT(rec->status)) == 0)
		return (false);
	return (
	    q->tagged == IMAGES_ANY || tagged == (q->tagged == IMAGES_TAGGED));
}

static enum rc
image_look(struct lister *l, struct tag_walk *tw, const struct kv_walk *w,
    const struct digest *d)
{
	struct manifest_rec rec;
	bool tagged;
	enum rc rc;

	if (!rec_manifest_read(w->value, &rec))
		return (meta_corrupt(w->table, w->key));
	if (!l->begun || !digest_eq(&l->at, d))
		l->at_tag = SPAN_NONE;
	l->begun = true;
	l->at = *d;
	l->looked++;
	if ((rc = tags_seek(tw, d, &tagged)) != RC_OK)
		return (rc);
	if (wanted(l->q, &rec, tagged))
		return (l->take(l, tw, d, &rec, tagged));
	l->at_tag = SPAN_NONE;
	return (RC_OK);
}

static enum rc
images_look(struct lister *l, struct kv_walk *w, struct tag_walk *tw)
{
	struct digest d;
	uint64_t repo;
	unsigned n;
	enum rc rc;

	for (n = 0; n < READ_IMAGES && !l->ended; n++) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc);
		if (!key_read_repo_digest(w->key, &repo, &d))
			return (meta_corrupt(w->table, w->key));
		if (l->begun && l->at_tag.p == NULL && digest_eq(&l->at, &d))
			continue;
		if (page_full(l)) {
			l->more = true;
			l->ended = true;
			return (RC_OK);
		}
		if ((rc = image_look(l, tw, w, &d)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* RC_NOTFOUND: there is nothing more. */
static enum rc
list_read(struct lister *l, struct meta_txn *t, uint64_t repo)
{
	struct tag_walk tw = { .t = t, .repo = repo };
	struct rec_key prefix, from = { 0 };
	struct kv_walk w;
	enum rc rc;

	key_repo(&prefix, repo);
	if (l->begun)
		key_repo_digest(&from, repo, &l->at);
	rc = kv_walk_begin(
	    t, TABLE_MANIFESTS, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = tags_begin(&tw, l->begun ? &l->at : NULL,
	    l->at_tag.p != NULL ? l->at_tag : SPAN_NONE);
	if (rc == RC_OK)
		rc = images_look(l, &w, &tw);
	tags_end(&tw);
	kv_walk_end(&w);
	return (rc);
}

/* A repository that goes, or becomes another, while a page is made is one
 * that ends there. */
static enum rc
list_step(struct lister *l, struct meta *m, uint64_t *repo)
{
	struct repository_row row;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, l->q->repository, &row);
	if (rc == RC_NOTFOUND && *repo == 0)
		rc = RC_MISSING;
	if (rc == RC_OK && *repo != 0 && *repo != row.id)
		rc = RC_NOTFOUND;
	if (rc == RC_OK) {
		*repo = row.id;
		rc = list_read(l, &t, row.id);
	}
	meta_read_end(&t);
	return (rc);
}

static enum rc
list_run(struct lister *l, struct meta *m)
{
	uint64_t repo = 0;
	enum rc rc;

	l->work_left = PAGE_WORK;
	if (l->q->after != NULL) {
		l->begun = true;
		l->at = *l->q->after;
	}
	do {
		rc = list_step(l, m, &repo);
	} while (rc == RC_OK && !l->ended);
	if (rc == RC_MISSING)
		return (RC_NOTFOUND);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_image_page(struct meta *m, const struct image_query *q, struct arena *a,
    struct image_page *page_r)
{
	struct lister l = {
		.q = q,
		.arena = a,
		.take = take_image,
		.images = page_r,
	};
	enum rc rc;

	*page_r = (struct image_page){ 0 };
	if ((rc = list_run(&l, m)) != RC_OK)
		return (rc);
	page_r->n = l.n;
	page_r->more = l.more;
	page_r->last = l.at;
	return (RC_OK);
}

enum rc
meta_image_id_page(struct meta *m, const struct image_query *q, struct arena *a,
    struct image_id_page *page_r)
{
	struct lister l = {
		.q = q,
		.arena = a,
		.take = take_ids,
		.ids = page_r,
		.at_tag = q->after != NULL ? q->after_tag : SPAN_NONE,
	};
	enum rc rc;

	*page_r = (struct image_id_page){ 0 };
	if ((rc = list_run(&l, m)) != RC_OK)
		return (rc);
	page_r->n = l.n;
	page_r->more = l.more;
	page_r->last.digest = l.at;
	return (copy_out(a, l.at_tag, &page_r->last.tag));
}
