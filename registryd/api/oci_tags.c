#include <stdint.h>
#include <stdio.h>

#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"

/* GET /v2/{name}/tags/list?n=&last= */

static enum rc
tags_answer(struct call *c, const struct page *page, size_t n)
{
	char path[NAME_REPOSITORY_MAX_BYTES + 32];
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_str(&b, "{\"name\":");
	buf_json(&b, c->repository);
	buf_str(&b, ",\"tags\":");
	oci_names(&b, page);
	buf_str(&b, "}");
	if (page->more) {
		(void)snprintf(path, sizeof(path), "/v2/%.*s/tags/list",
		    CALL_SHOW(c->repository));
		oci_page_link(c, path, n, page->items[page->n - 1]);
	}
	return (call_json_take(c, 200, "application/json", &b));
}

enum rc
oci_tags_list(struct call *c)
{
	struct page page = { .n = 0 };
	struct oci_page q;
	enum rc rc;

	if ((rc = oci_page_query(c, &q)) != RC_OK)
		return (rc);
	if (q.n == 0) {
		if ((rc = oci_repository(c)) != RC_OK)
			return (rc);
		return (tags_answer(c, &page, 0));
	}
	rc =
	    meta_tag_page(c->meta, c->repository, q.last, q.n, c->arena, &page);
	if (rc == RC_NOTFOUND)
		return (oci_repository_unknown(c));
	if (rc != RC_OK)
		return (rc);
	return (tags_answer(c, &page, q.n));
}
