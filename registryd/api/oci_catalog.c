#include <stdint.h>

#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"
#include "registryd/authorize.h"
#include "registryd/permissions.h"

/* GET /v2/_catalog?n=&last= (Docker Registry v2; not in the OCI's text) */

/* Names read at a time while looking for those to be shown. */
#define READ_AT_ONCE 1000

/* Append to ${page} what of ${read} the caller may see, up to ${n}. */
static void
page_show(struct call *c, const struct page *read, size_t n, struct page *page)
{
	size_t i;

	for (i = 0; i < read->n; i++) {
		if (authorize_repository(
			c, c->permission->actions, read->items[i]) != RC_OK)
			continue;
		if (page->n == n) {
			page->more = true;
			return;
		}
		page->items[page->n++] = read->items[i];
	}
}

/* Whether there is more is known when one more was seen. */
static enum rc
page_read(struct call *c, struct oci_page q, struct page *page_r)
{
	struct page read = { .more = true };
	enum rc rc;

	*page_r = (struct page){ .n = 0 };
	page_r->items = arena_calloc(c->arena, q.n, sizeof(*page_r->items));
	if (page_r->items == NULL)
		return (RC_TOOBIG);
	while (read.more && !page_r->more) {
		rc = meta_repository_page(
		    c->meta, q.last, READ_AT_ONCE, c->arena, &read);
		if (rc != RC_OK)
			return (rc);
		page_show(c, &read, q.n, page_r);
		if (read.n > 0)
			q.last = read.items[read.n - 1];
	}
	return (RC_OK);
}

enum rc
oci_catalog_list(struct call *c)
{
	struct page page = { .n = 0 };
	struct oci_page q;
	struct buf b;
	enum rc rc;

	if ((rc = oci_page_query(c, &q)) != RC_OK)
		return (rc);
	if (q.n > 0 && (rc = page_read(c, q, &page)) != RC_OK)
		return (rc);
	buf_init(&b, SIZE_MAX);
	buf_str(&b, "{\"repositories\":");
	oci_names(&b, &page);
	buf_str(&b, "}");
	if (page.more)
		oci_page_link(c, "/v2/_catalog", q.n, page.items[page.n - 1]);
	return (call_json_take(c, 200, "application/json", &b));
}
