#include <stdint.h>
#include <string.h>

#include "auth/auth.h"
#include "base/hex.h"
#include "base/keyring.h"
#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"
#include "registryd/authorize.h"
#include "registryd/permissions.h"
#include "registryd/service.h"

/*
 * GET /v2/_catalog?n=&last= (Docker Registry v2; not in the OCI's text)
 *
 * Who may see few of many repositories gets short pages, also empty ones, with
 * a Link to go on, rather than a request without end.  It goes on behind a name
 * that they may not see, which therefore is sealed, in "next" instead of "last".
 */

/* Names read at a time while looking for those to be shown. */
#define READ_AT_ONCE 1000
#define READ_BYTES ((size_t)1 << 20)

/* Of those that are not to be shown, for one page. */
#define IN_VAIN_MAX 2000

#define NEXT_AAD SPAN("page of the catalog")
#define SEALED_MAX_BYTES (NAME_REPOSITORY_MAX_BYTES + SEAL_OVERHEAD_BYTES)
#define NEXT_MAX_BYTES BASE64URL_LEN(SEALED_MAX_BYTES)

struct walk {
	struct page page;
	size_t in_vain;
	bool stopped; /* what is behind was not looked at */
	struct span at;
	char at_room[NAME_REPOSITORY_MAX_BYTES];
};

/* --- where a page goes on ------------------------------------------------ */

/* Without users there is nobody who may not see all. */
static bool
next_read(struct call *c, struct span text, struct span *last_r)
{
	uint8_t sealed[SEALED_MAX_BYTES + 3];
	uint8_t *plain;
	size_t n;

	if (c->service->auth == NULL || text.n > NEXT_MAX_BYTES ||
	    base64url_decode(text, sealed, &n) != RC_OK)
		return (false);
	plain = arena_alloc(c->arena, sizeof(sealed));
	if (plain == NULL ||
	    seal_open(auth_token_key(c->service->auth), NEXT_AAD,
		(struct span){ (const char *)sealed, n }, plain,
		&last_r->n) != RC_OK)
		return (false);
	last_r->p = (const char *)plain;
	return (true);
}

static enum rc
query_read(struct call *c, struct oci_page *q_r)
{
	struct span text;
	enum rc rc;

	if ((rc = oci_page_query(c, q_r)) != RC_OK)
		return (rc);
	if (!http_request_param(c->request, "next", &text) ||
	    next_read(c, text, &q_r->last))
		return (RC_OK);
	return (call_fail(c, OCI_PAGINATION_NUMBER_INVALID,
	    call_detail("next", text),
	    "next must be that of the Link of an earlier answer"));
}

static void
next_link(struct call *c, size_t n, struct span last)
{
	uint8_t sealed[SEALED_MAX_BYTES];
	char text[NEXT_MAX_BYTES + 1];

	seal(auth_token_key(c->service->auth), NEXT_AAD, last, sealed);
	base64url_encode(sealed, last.n + SEAL_OVERHEAD_BYTES, text);
	call_header(
	    c, "Link", "</v2/_catalog?n=%zu&next=%s>; rel=\"next\"", n, text);
}

/* --- looking ------------------------------------------------------------- */

static void
walk_to(struct walk *w, struct span name)
{
	memcpy(w->at_room, name.p, name.n);
	w->at = (struct span){ w->at_room, name.n };
}

/* Append what of ${read} the caller may see, up to ${n}. */
static enum rc
page_show(struct call *c, const struct page *read, size_t n, struct walk *w)
{
	struct page *page = &w->page;
	struct span name;
	size_t i;

	for (i = 0; i < read->n && !page->more && !w->stopped; i++) {
		if (w->in_vain == IN_VAIN_MAX) {
			w->stopped = true;
			break;
		}
		name = read->items[i];
		if (authorize_repository(c, c->permission->actions, name) !=
		    RC_OK) {
			w->in_vain++;
		} else if (page->n == n) {
			page->more = true;
		} else {
			name = arena_span(c->arena, name);
			if (name.p == NULL)
				return (RC_TOOBIG);
			page->items[page->n++] = name;
		}
		walk_to(w, name);
	}
	return (RC_OK);
}

/* Whether there is more is known when one more was seen. */
static enum rc
page_read(struct call *c, struct oci_page q, struct walk *w)
{
	struct page read = { .more = true };
	struct arena own;
	enum rc rc = RC_OK;

	w->page.items = arena_calloc(c->arena, q.n, sizeof(*w->page.items));
	if (w->page.items == NULL)
		return (RC_TOOBIG);
	w->at = q.last;
	while (rc == RC_OK && read.more && !w->page.more && !w->stopped) {
		arena_init(&own, READ_BYTES);
		rc = meta_repository_page(
		    c->meta, w->at, READ_AT_ONCE, &own, &read);
		if (rc == RC_OK)
			rc = page_show(c, &read, q.n, w);
		arena_reset(&own);
	}
	return (rc);
}

enum rc
oci_catalog_list(struct call *c)
{
	struct walk w = { .in_vain = 0 };
	struct oci_page q;
	struct buf b;
	enum rc rc;

	if ((rc = query_read(c, &q)) != RC_OK)
		return (rc);
	if (q.n > 0 && (rc = page_read(c, q, &w)) != RC_OK)
		return (rc);
	buf_init(&b, SIZE_MAX);
	buf_str(&b, "{\"repositories\":");
	oci_names(&b, &w.page);
	buf_str(&b, "}");
	if (w.stopped)
		next_link(c, q.n, w.at);
	else if (w.page.more)
		oci_page_link(
		    c, "/v2/_catalog", q.n, w.page.items[w.page.n - 1]);
	return (call_json_take(c, 200, "application/json", &b));
}
