#include "storage/meta_ops_int.h"

#include "base/name.h"
#include "base/obj.h"
#include "storage/keys_int.h"

/*
 * Repositories, and pages of names in general.
 */

#define PAGE_FIRST 16

enum rc
copy_out(struct arena *a, struct span s, struct span *s_r)
{

	*s_r = SPAN_NONE;
	if (s.n == 0)
		return (RC_OK);
	*s_r = arena_span(a, s);
	return (s_r->p != NULL ? RC_OK : RC_TOOBIG);
}

enum rc
repo_find(struct meta_txn *t, struct span name, struct repository_row *row_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_str(&k, name);
	rc = kv_get(t, TABLE_REPOSITORIES, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	if (!rec_repository_read(value, row_r))
		return (meta_corrupt(TABLE_REPOSITORIES, key_span(&k)));
	return (RC_OK);
}

enum rc
repo_create(
    struct meta_txn *t, struct span name, const struct repository_row *row)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_str(&k, name);
	rc = kv_reserve(
	    t, TABLE_REPOSITORIES, key_span(&k), REC_REPOSITORY_BYTES, &p);
	if (rc != RC_OK)
		return (rc);
	rec_repository_write(row, p);

	key_repo(&k, row->id);
	rc = kv_reserve(t, TABLE_REPOSITORY_NAMES, key_span(&k),
	    rec_repository_name_size(name), &p);
	if (rc != RC_OK)
		return (rc);
	rec_repository_name_write(name, p);
	return (RC_OK);
}

static enum rc
repo_make(struct meta_txn *t, struct span name,
    const struct repository_preset *preset, struct repository_row *row)
{
	uint32_t domain;
	enum rc rc;

	if (!name_repository_ok(name))
		return (RC_INVALID);
	if (preset->max_repositories > 0 &&
	    kv_count(t, TABLE_REPOSITORIES) >= preset->max_repositories)
		return (RC_LIMIT);
	if (t->counts->next_repository > UINT32_MAX)
		return (RC_LIMIT);
	if ((rc = keys_take(t, &preset->settings, &domain)) != RC_OK)
		return (rc);
	row->id = (uint64_t)domain << 32 | t->counts->next_repository++;
	if ((rc = repo_create(t, name, row)) != RC_OK)
		return (rc);
	return (repo_preset_apply(t, row->id, preset, row->created_ms));
}

enum rc
repo_take(struct meta_txn *t, struct span name,
    const struct repository_preset *create, int64_t now_ms, uint64_t *id_r)
{
	struct repository_row row;
	enum rc rc;

	rc = repo_find(t, name, &row);
	if (rc == RC_NOTFOUND && create != NULL) {
		row = (struct repository_row){ .created_ms = now_ms };
		rc = repo_make(t, name, create, &row);
	}
	if (rc == RC_OK)
		*id_r = row.id;
	return (rc);
}

enum rc
repo_name(struct meta_txn *t, uint64_t id, struct arena *a, struct span *name_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, id);
	rc = kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && !rec_repository_name_read(value, name_r)))
		rc = meta_corrupt(TABLE_REPOSITORY_NAMES, key_span(&k));
	if (rc != RC_OK)
		return (rc);
	return (copy_out(a, *name_r, name_r));
}

enum rc
repo_doomed(struct meta_txn *t, uint64_t id, bool *doomed_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo(&k, id);
	rc = kv_get(t, TABLE_DOOMED, key_span(&k), &value);
	*doomed_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static void
next_raise(struct meta_counts *c, uint64_t id)
{

	uint64_t number = id & UINT32_MAX;

	if (number >= c->next_repository)
		c->next_repository = number + 1;
}

static enum rc
doomed_counts_of(struct meta_txn *t, struct meta_counts *c)
{
	struct kv_walk w;
	uint64_t id;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_DOOMED, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (key_read_repo(w.key, &id))
			next_raise(c, id);
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
repo_counts_of(struct meta_txn *t, struct meta_counts *c_r)
{
	struct meta_counts kept;
	struct repository_row row;
	struct kv_walk w;
	enum rc rc;

	if ((rc = meta_counts_kept(t, &kept)) != RC_OK)
		return (rc);
	*c_r = (struct meta_counts){ .next_repository = kept.next_repository };
	rc = kv_walk_begin(t, TABLE_REPOSITORIES, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (rec_repository_read(w.value, &row))
			next_raise(c_r, row.id);
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? doomed_counts_of(t, c_r) : rc);
}

/* One more; the array doubles, what it leaves behind goes with the arena. */
static enum rc
page_add(struct page *page, size_t *room, struct arena *a, struct span name)
{
	struct span *items = page->items;
	size_t n;
	enum rc rc;

	if (page->n == *room) {
		n = *room > 0 ? 2 * *room : PAGE_FIRST;
		items = arena_alloc(a, n * sizeof(*items));
		if (items == NULL)
			return (RC_TOOBIG);
		if (page->n > 0)
			memcpy(items, page->items, page->n * sizeof(*items));
		page->items = items;
		*room = n;
	}
	if ((rc = copy_out(a, name, &items[page->n])) == RC_OK)
		page->n++;
	return (rc);
}

static struct span
key_rest(struct span key, struct span prefix)
{

	return ((struct span){ key.p + prefix.n, key.n - prefix.n });
}

/* ${prefix} and ${last}, cut to what a key can be: no name is as long. */
static void
page_start(struct rec_key *k, struct span prefix, struct span last)
{
	size_t room = KEY_MAX_BYTES - prefix.n;
	size_t n = last.n < room ? last.n : room;

	must(prefix.n <= KEY_MAX_BYTES);
	if (prefix.n > 0)
		memcpy(k->p, prefix.p, prefix.n);
	if (n > 0)
		memcpy(k->p + prefix.n, last.p, n);
	k->n = prefix.n + n;
}

static enum rc
page_fill(struct kv_walk *w, struct span from, size_t n, struct arena *a,
    struct page *page)
{
	size_t room = 0;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (from.n > w->prefix.n && span_eq(w->key, from))
			continue;
		if (page->n == n) {
			page->more = true;
			return (RC_OK);
		}
		rc = page_add(page, &room, a, key_rest(w->key, w->prefix));
		if (rc != RC_OK)
			return (rc);
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
page_names(struct meta_txn *t, enum meta_table table, struct span prefix,
    struct span last, size_t n, struct arena *a, struct page *page_r)
{
	struct rec_key from;
	struct kv_walk w;
	enum rc rc;

	*page_r = (struct page){ 0 };
	if (n == 0)
		return (RC_OK);
	page_start(&from, prefix, last);
	rc = kv_walk_begin(t, table, prefix, key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = page_fill(&w, key_span(&from), n, a, page_r);
	kv_walk_end(&w);
	return (rc);
}

enum rc
meta_repository_get(
    struct meta *m, struct span name, struct repository_row *row_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, name, row_r);
	meta_read_end(&t);
	return (rc);
}

enum rc
meta_repository_page(struct meta *m, struct span last, size_t n,
    struct arena *a, struct page *page_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = page_names(&t, TABLE_REPOSITORIES, SPAN_NONE, last, n, a, page_r);
	meta_read_end(&t);
	return (rc);
}
