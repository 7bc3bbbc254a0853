#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/json.h"
#include "base/log.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/challenge.h"
#include "mirror/upstream_int.h"

/*
 * Lists: tags, and what refers to a manifest.  They come by pages; where the
 * next one is, the registry says in a Link, of its own address only.
 */
#define TAGS_MAX_BYTES ((size_t)16 * 1024 * 1024)
#define TAGS_PAGE 1000
#define REFERRERS_MAX_BYTES ((size_t)4 * 1024 * 1024)
/* A page may be of 100 entries; one of none at all may follow another. */
#define REFERRERS_PAGES_MAX 1000
#define NEXT_MAX_BYTES 4096

/* One page, read; freed by page_free(). */
struct page {
	json_t *doc;
	char *next; /* path and query; or NULL */
	bool is_index;
};

static void
page_free(struct page *g)
{
	json_decref(g->doc);
	free(g->next);
}

/* --- where it goes on ---------------------------------------------------- */

static enum rc
next_read(const struct answer *a, const struct pace *p, char **next_r,
    struct upstream_error *error)
{
	struct span value = fetch_header(a->f, "Link"), target;
	char why[FETCH_WHY_BYTES] = "that is no list of links";
	struct url url;
	enum rc rc;

	*next_r = NULL;
	if (value.p == NULL)
		return (RC_OK);
	rc = link_next(value, &target);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc == RC_OK)
		rc = url_resolve(&a->url, target, &url, why);
	if (rc != RC_OK)
		return (error_say(
		    a->u, error, p->what, RC_INVALID, "its Link: %s", why));
	if (strcmp(url.origin, a->u->url.origin) == 0 &&
	    strlen(url.path) <= NEXT_MAX_BYTES)
		*next_r = xstrdup(url.path);
	else
		rc = error_say(a->u, error, p->what, RC_INVALID,
		    "its Link to the next page leads to %s", url.host);
	url_free(&url);
	return (rc);
}

static enum rc
page_read(const struct answer *a, struct span text, const struct pace *p,
    struct page *g, struct upstream_error *error)
{
	char why[JSON_ERROR_BYTES];
	struct span type = fetch_header(a->f, "Content-Type");

	*g = (struct page){ .doc = NULL };
	g->is_index = span_has_prefix(type, SPAN(MEDIA_OCI_INDEX));
	if (json_read(text, why, &g->doc) != RC_OK)
		return (error_say(a->u, error, p->what, RC_INVALID,
		    "its list cannot be read: %s", why));
	return (next_read(a, p, &g->next, error));
}

/* ${path}: of the registry. */
static enum rc
page_get(struct upstream *u, const char *path, struct span repository,
    size_t max_bytes, struct pace *p, struct page *g,
    struct upstream_error *error)
{
	struct ask ask = { .method = "GET" };
	char *url, *want;
	struct answer a;
	struct buf text;
	enum rc rc;

	*g = (struct page){ .doc = NULL };
	ask.url = url = ask_url(u, "%s", path);
	ask.want = want = xasprintf("pull " SPAN_FMT, SPAN_ARG(repository));
	rc = ask_text(u, &ask, max_bytes, p, &a, &text, error);
	if (rc == RC_OK) {
		rc = page_read(&a, buf_as_span(&text), p, g, error);
		if (rc != RC_OK)
			page_free(g);
		answer_close(&a);
		buf_free(&text);
	}
	free(url);
	free(want);
	return (rc);
}

/* --- tags ---------------------------------------------------------------- */

/* "last=TAG" is ours, for registries that do not say where it goes on. */
static char *
tags_path(struct span repository, struct span next)
{
	if (next.p == NULL)
		return (xasprintf("/v2/" SPAN_FMT "/tags/list?n=%d",
		    SPAN_ARG(repository), TAGS_PAGE));
	if (span_has_prefix(next, SPAN("last=")))
		return (xasprintf("/v2/" SPAN_FMT "/tags/list?n=%d&" SPAN_FMT,
		    SPAN_ARG(repository), TAGS_PAGE, SPAN_ARG(next)));
	return (xstrndup(next.p, next.n));
}

static enum rc
tags_copy(struct upstream *u, const json_t *list, struct arena *arena,
    struct upstream_tags *page)
{
	size_t i, n = json_array_size(list);
	struct span tag;
	const json_t *v;

	page->items = arena_calloc(arena, n + 1, sizeof(*page->items));
	if (page->items == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n; i++) {
		v = json_array_get(list, i);
		tag = (struct span){ json_string_value(v),
			json_string_length(v) };
		if (tag.p == NULL || !name_tag_ok(tag)) {
			log_warn("upstream %s: a list of tags has one that is "
				 "none, which is left out",
			    u->url.host);
			continue;
		}
		tag = arena_span(arena, tag);
		if (tag.p == NULL)
			return (RC_TOOBIG);
		page->items[page->n++] = tag;
	}
	return (RC_OK);
}

/* It took no notice of last=, and would never come to an end. */
static bool
is_repeated(struct span next, const struct upstream_tags *page)
{
	const struct span mark = SPAN("last=");
	struct span last;
	size_t i;

	if (!span_has_prefix(next, mark))
		return (false);
	last = (struct span){ next.p + mark.n, next.n - mark.n };
	for (i = 0; i < page->n; i++)
		if (span_eq(page->items[i], last))
			return (true);
	return (false);
}

static enum rc
tags_next(const struct page *g, struct span next, size_t listed,
    struct arena *arena, struct upstream_tags *page)
{
	char *text = NULL;

	if (g->next != NULL) {
		text = arena_dup(arena, g->next, strlen(g->next));
	} else if (listed == TAGS_PAGE && page->n > 0) {
		if (is_repeated(next, page)) {
			page->n = 0;
			return (RC_OK);
		}
		text = arena_printf(arena, "last=" SPAN_FMT,
		    SPAN_ARG(page->items[page->n - 1]));
	} else {
		return (RC_OK);
	}
	page->next = span_of(text);
	return (text != NULL ? RC_OK : RC_TOOBIG);
}

static enum rc
tags_take(struct upstream *u, const struct page *g, struct span next,
    const struct pace *p, struct arena *arena, struct upstream_tags *page,
    struct upstream_error *error)
{
	json_t *list = NULL;
	enum rc rc;

	rc = json_get_array(g->doc, "tags", &list);
	if (rc == RC_INVALID)
		return (error_say(
		    u, error, p->what, rc, "its list has no array of tags"));
	rc = tags_copy(u, list, arena, page);
	if (rc == RC_OK)
		rc = tags_next(g, next, json_array_size(list), arena, page);
	if (rc != RC_OK)
		return (error_say(
		    u, error, p->what, rc, "there is no room for the list"));
	if (page->next.p != NULL && span_eq(page->next, next))
		return (error_say(u, error, p->what, RC_INVALID,
		    "its list of tags goes in circles"));
	return (RC_OK);
}

enum rc
upstream_tags(struct upstream *u, struct span repository, struct span next,
    const struct upstream_wait *wait, struct arena *arena,
    struct upstream_tags *page_r, struct upstream_error *error)
{
	char *path, *what;
	struct page g;
	struct pace p;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	*page_r = (struct upstream_tags){ .n = 0 };
	path = tags_path(repository, next);
	what = xasprintf("tags of " SPAN_FMT, SPAN_ARG(repository));
	pace_begin(&p, wait, what);
	rc = page_get(u, path, repository, TAGS_MAX_BYTES, &p, &g, error);
	if (rc == RC_OK) {
		rc = tags_take(u, &g, next, &p, arena, page_r, error);
		page_free(&g);
	}
	free(path);
	free(what);
	return (ask_failed(u, rc, error));
}

/* --- referrers ----------------------------------------------------------- */

struct referrers {
	struct arena *arena;
	struct upstream_referrer *rows;
	size_t n, room;
};

static struct span
member_keep(const json_t *o, const char *name, struct arena *arena)
{
	struct span s;

	if (json_get_str(o, name, &s) != RC_OK)
		return (SPAN_NONE);
	return (arena_span(arena, s));
}

static bool
rows_grow(struct referrers *r)
{
	size_t room = r->room == 0 ? 16 : 2 * r->room;
	struct upstream_referrer *rows;

	if (r->n < r->room)
		return (true);
	rows = arena_calloc(r->arena, room, sizeof(*rows));
	if (rows == NULL)
		return (false);
	if (r->n > 0)
		memcpy(rows, r->rows, r->n * sizeof(*rows));
	r->rows = rows;
	r->room = room;
	return (true);
}

/* Those whose digest is of an algorithm that is not known here cannot be
 * fetched, and are left out. */
static enum rc
referrer_add(struct referrers *r, const json_t *o)
{
	struct upstream_referrer row = { .size_bytes = 0 };
	struct span digest;
	int64_t size;
	enum rc rc;

	if (json_get_str(o, "digest", &digest) != RC_OK)
		return (RC_INVALID);
	rc = digest_parse(digest, &row.digest);
	if (rc == RC_UNSUPPORTED)
		return (RC_OK);
	if (rc != RC_OK || json_get_int(o, "size", &size) != RC_OK || size < 0)
		return (RC_INVALID);
	row.size_bytes = (uint64_t)size;
	row.media_type = member_keep(o, "mediaType", r->arena);
	row.artifact_type = member_keep(o, "artifactType", r->arena);
	if (r->n >= UPSTREAM_REFERRERS_MAX || !rows_grow(r))
		return (RC_TOOBIG);
	r->rows[r->n++] = row;
	return (RC_OK);
}

static enum rc
referrers_add(struct upstream *u, const json_t *doc, const struct pace *p,
    struct referrers *r, struct upstream_error *error)
{
	json_t *list = NULL;
	size_t i;
	enum rc rc;

	rc = json_get_array(doc, "manifests", &list);
	if (rc == RC_NOTFOUND)
		rc = RC_OK;
	for (i = 0; rc == RC_OK && i < json_array_size(list); i++)
		rc = referrer_add(r, json_array_get(list, i));
	if (rc == RC_TOOBIG)
		return (error_say(u, error, p->what, rc,
		    "there are more than %d", UPSTREAM_REFERRERS_MAX));
	if (rc != RC_OK)
		return (error_say(u, error, p->what, RC_INVALID,
		    "its list is no image index"));
	return (RC_OK);
}

/* RC_UNSUPPORTED: it does not know of referrers. */
static enum rc
referrers_page(struct upstream *u, struct span repository, struct pace *p,
    char **path, struct referrers *r, struct upstream_error *error)
{
	struct page g;
	enum rc rc;

	rc = page_get(u, *path, repository, REFERRERS_MAX_BYTES, p, &g, error);
	if (rc == RC_NOTFOUND || rc == RC_FAILED || rc == RC_INVALID)
		return (r->n == 0 ? RC_UNSUPPORTED : rc);
	if (rc != RC_OK)
		return (rc);
	if (!g.is_index && r->n == 0)
		rc = RC_UNSUPPORTED;
	else
		rc = referrers_add(u, g.doc, p, r, error);
	free(*path);
	*path = g.next;
	g.next = NULL;
	page_free(&g);
	return (rc);
}

static enum rc
referrers_api(struct upstream *u, struct span repository,
    const struct digest *subject, struct pace *p, struct referrers *r,
    struct upstream_error *error)
{
	char digest[DIGEST_STR_BYTES];
	unsigned pages = 0;
	char *path;
	enum rc rc = RC_OK;

	path = xasprintf("/v2/" SPAN_FMT "/referrers/%s", SPAN_ARG(repository),
	    digest_str(subject, digest));
	while (path != NULL && rc == RC_OK) {
		if (++pages > REFERRERS_PAGES_MAX)
			rc = error_say(u, error, p->what, RC_TOOBIG,
			    "there are more than %d pages",
			    REFERRERS_PAGES_MAX);
		else
			rc = referrers_page(u, repository, p, &path, r, error);
	}
	free(path);
	return (rc);
}

/* "sha256-0123..": the index under that tag, where clients keep it. */
static enum rc
referrers_tag(struct upstream *u, struct span repository,
    const struct digest *subject, const struct pace *p, struct referrers *r,
    struct upstream_error *error)
{
	char tag[DIGEST_STR_BYTES], why[JSON_ERROR_BYTES];
	struct upstream_manifest m;
	struct reference ref = { .is_digest = false };
	json_t *doc;
	enum rc rc;

	(void)digest_str(subject, tag);
	tag[strcspn(tag, ":")] = '-';
	ref.tag = (struct span){ tag, strlen(tag) };
	if (ref.tag.n > NAME_TAG_MAX_BYTES)
		ref.tag.n = NAME_TAG_MAX_BYTES;
	rc = upstream_manifest_get(
	    u, repository, &ref, &p->wait, r->arena, &m, error);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (rc);
	if (!span_is(m.media_type, MEDIA_OCI_INDEX))
		return (RC_OK);
	if (json_read(m.text, why, &doc) != RC_OK)
		return (error_say(u, error, p->what, RC_INVALID,
		    "its list cannot be read: %s", why));
	rc = referrers_add(u, doc, p, r, error);
	json_decref(doc);
	return (rc);
}

enum rc
upstream_referrers(struct upstream *u, struct span repository,
    const struct digest *subject, const struct upstream_wait *wait,
    struct arena *arena, struct upstream_referrer **rows_r, size_t *n_r,
    struct upstream_error *error)
{
	struct referrers r = { .arena = arena };
	char digest[DIGEST_STR_BYTES];
	struct pace p;
	char *what;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	what = xasprintf("referrers of %s in " SPAN_FMT,
	    digest_str(subject, digest), SPAN_ARG(repository));
	pace_begin(&p, wait, what);
	rc = referrers_api(u, repository, subject, &p, &r, error);
	if (rc == RC_UNSUPPORTED)
		rc = referrers_tag(u, repository, subject, &p, &r, error);
	*rows_r = r.rows;
	*n_r = rc == RC_OK ? r.n : 0;
	free(what);
	return (ask_failed(u, rc, error));
}

/* --- is it there? -------------------------------------------------------- */

enum rc
upstream_ping(struct upstream *u, struct span repository,
    const struct upstream_wait *wait, struct upstream_error *error)
{
	struct ask ask = { .method = "GET" };
	char *url, *want, *what;
	struct answer a;
	struct pace p;
	enum rc rc;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	if (repository.n > 0) {
		url = ask_url(
		    u, "/v2/" SPAN_FMT "/tags/list?n=1", SPAN_ARG(repository));
		want = xasprintf("pull " SPAN_FMT, SPAN_ARG(repository));
		what = xasprintf("tags of " SPAN_FMT, SPAN_ARG(repository));
	} else {
		url = ask_url(u, "/v2/");
		want = xstrdup("ping");
		what = xstrdup("/v2/");
	}
	ask.url = url;
	ask.want = want;
	pace_begin(&p, wait, what);
	rc = ask_open(u, &ask, &p, &a, error);
	if (rc == RC_OK) {
		answer_drain(&a);
		answer_close(&a);
	}
	free(url);
	free(want);
	free(what);
	return (ask_failed(u, rc, error));
}
