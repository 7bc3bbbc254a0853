#include "auth/directory_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/entities.h"

/*
 * Out of the metadata, page by page.  All pages must be of one generation;
 * when somebody changed entities meanwhile it is read from the beginning.
 */
#define PAGE_ROWS 256
#define READ_TRIES 32

static void
damaged(const struct entity *e, const char *what, const char *why)
{

	log_error("the record of %s " SPAN_FMT
		  " is damaged and does not count: %s",
	    what, SPAN_ARG(e->name), why);
}

/* "ACCOUNT/NAME". */
static bool
name_cut(struct span key, struct span *account_r, struct span *name_r)
{
	const char *slash = memchr(key.p, '/', key.n);

	if (slash == NULL)
		return (false);
	*account_r = (struct span){ key.p, (size_t)(slash - key.p) };
	*name_r = (struct span){ slash + 1, key.n - account_r->n - 1 };
	return (account_ok(*account_r) && name_r->n > 0);
}

static bool
holder_begin(struct directory *d, const struct entity *e, const char *what,
    struct dir_holder *h)
{

	h->node.key = dir_span(d, e->name);
	if (!name_cut(h->node.key, &h->account, &h->name))
		return (false);
	h->arn = dir_printf(d, "arn:aws:iam::" SPAN_FMT ":%s/" SPAN_FMT,
	    SPAN_ARG(h->account), what, SPAN_ARG(h->name));
	return (true);
}

static enum rc
user_row(struct directory *d, const struct entity *e, const json_t *o)
{
	struct dir_user *u = dir_alloc(d, 1, sizeof(*u));
	enum rc rc;

	if (!holder_begin(d, e, "user", &u->holder))
		return (RC_CORRUPT);
	if ((rc = dir_user_decode(d, o, u)) == RC_OK)
		dir_list_add(&d->users, u);
	return (rc);
}

static enum rc
group_row(struct directory *d, const struct entity *e, const json_t *o)
{
	struct dir_group *g = dir_alloc(d, 1, sizeof(*g));
	enum rc rc;

	if (!holder_begin(d, e, "group", &g->holder))
		return (RC_CORRUPT);
	if ((rc = dir_group_decode(d, o, g)) == RC_OK)
		dir_list_add(&d->groups, g);
	return (rc);
}

static enum rc
policy_row(struct directory *d, const struct entity *e, const json_t *o)
{
	struct dir_policy *p = dir_alloc(d, 1, sizeof(*p));
	enum rc rc;

	p->node.key = dir_span(d, e->name);
	if (!name_cut(p->node.key, &p->account, &p->name))
		return (RC_CORRUPT);
	p->arn = dir_printf(d, "arn:aws:iam::" SPAN_FMT ":policy/" SPAN_FMT,
	    SPAN_ARG(p->account), SPAN_ARG(p->name));
	if ((rc = dir_policy_decode(d, o, p)) == RC_OK)
		dir_list_add(&d->policies, p);
	return (rc);
}

static enum rc
key_row(struct directory *d, const struct entity *e, const json_t *o)
{
	struct dir_key *k = dir_alloc(d, 1, sizeof(*k));
	enum rc rc;

	k->node.key = dir_span(d, e->name);
	k->key.id = k->node.key;
	if ((rc = dir_key_decode(d, o, k)) == RC_OK)
		dir_list_add(&d->keys, k);
	return (rc);
}

static enum rc
registry_row(struct directory *d, const struct entity *e, const json_t *o)
{
	struct span text;

	if (!span_is(e->name, "policy"))
		return (RC_OK);
	if (json_get_str(o, "document", &text) != RC_OK)
		return (RC_CORRUPT);
	dir_registry_set(d, text);
	return (RC_OK);
}

static const struct {
	enum entity_kind kind;
	const char *what;
	enum rc (*row)(
	    struct directory *, const struct entity *, const json_t *);
} kinds[] = {
	{ ENTITY_POLICY, "policy", policy_row },
	{ ENTITY_GROUP, "group", group_row },
	{ ENTITY_USER, "user", user_row },
	{ ENTITY_ACCESS_KEY, "access key", key_row },
	{ ENTITY_REGISTRY, "registry", registry_row },
};

static void
row_take(struct directory *d, size_t kind, const struct entity *e)
{
	char why[JSON_ERROR_BYTES] = "a member is missing or of another type";
	json_t *o = NULL;
	enum rc rc;

	rc = json_read(e->record, why, &o);
	if (rc == RC_OK && kinds[kind].row(d, e, o) != RC_OK) {
		(void)snprintf(
		    why, sizeof(why), "a member is missing or of another type");
		rc = RC_CORRUPT;
	}
	if (o != NULL)
		json_decref(o);
	if (rc == RC_OK)
		return;
	damaged(e, kinds[kind].what, why);
	/* It may have denied something; so now it denies all. */
	if (kinds[kind].kind == ENTITY_REGISTRY && span_is(e->name, "policy"))
		dir_registry_set(d, SPAN("damaged"));
}

/* One kind, all pages.  RC_BUSY: of another generation than those before. */
static enum rc
kind_read(struct directory *d, struct meta *m, size_t kind, bool *first)
{
	struct entity_page page = { .more = true };
	struct span after = SPAN_NONE;
	struct arena arenas[2];
	unsigned turn = 0;
	enum rc rc = RC_OK;
	size_t i;

	/* The name to go on after lives in the arena of the page before. */
	arena_init(&arenas[0], SIZE_MAX / 2);
	arena_init(&arenas[1], SIZE_MAX / 2);
	while (rc == RC_OK && page.more) {
		turn = 1 - turn;
		arena_reset(&arenas[turn]);
		rc = meta_entity_page(m, kinds[kind].kind, after, PAGE_ROWS,
		    &arenas[turn], &page);
		if (rc != RC_OK)
			break;
		if (*first)
			d->generation = page.generation;
		*first = false;
		if (page.generation != d->generation)
			rc = RC_BUSY;
		for (i = 0; rc == RC_OK && i < page.n; i++)
			row_take(d, kind, &page.rows[i]);
		if (page.n > 0)
			after = page.rows[page.n - 1].name;
	}
	arena_reset(&arenas[0]);
	arena_reset(&arenas[1]);
	return (rc);
}

static struct directory *
directory_new(const struct directory_source *source)
{
	static _Atomic uint64_t serial;
	struct directory *d = xcalloc(1, sizeof(*d));

	d->magic = DIRECTORY_MAGIC;
	atomic_init(&d->refs, 1);
	arena_init(&d->arena, SIZE_MAX / 2);
	d->serial = 1 + atomic_fetch_add(&serial, 1);
	d->account = dir_span(d, source->account);
	d->before = source->before;
	memcpy(d->mark_key, source->mark_key, sizeof(d->mark_key));
	return (d);
}

static enum rc
read_once(const struct directory_source *source, struct directory **d_r)
{
	struct directory *d = directory_new(source);
	bool first = true;
	enum rc rc = RC_OK;
	size_t i;

	dir_deny_all_set(d);
	dir_aws_add(d);
	for (i = 0; rc == RC_OK && i < ARRAY_LEN(kinds); i++)
		rc = kind_read(d, source->meta, i, &first);
	if (rc != RC_OK) {
		directory_unref(&d);
		return (rc);
	}
	dir_link(d, source);
	d->before = NULL;
	*d_r = d;
	return (RC_OK);
}

enum rc
directory_read(const struct directory_source *source, struct directory **d_r)
{
	enum rc rc = RC_BUSY;
	unsigned i;

	*d_r = NULL;
	for (i = 0; rc == RC_BUSY && i < READ_TRIES; i++)
		rc = read_once(source, d_r);
	return (rc);
}
