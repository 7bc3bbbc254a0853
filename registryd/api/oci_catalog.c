#include <stdint.h>

#include "registryd/api/oci.h"
#include "registryd/api/oci_int.h"

/* GET /v2/_catalog?n=&last= (Docker Registry v2; not in the OCI's text) */

enum rc
oci_catalog_list(struct call *c)
{
	struct page page = { .n = 0 };
	struct oci_page q;
	struct buf b;
	enum rc rc;

	if ((rc = oci_page_query(c, &q)) != RC_OK)
		return (rc);
	if (q.n > 0) {
		rc =
		    meta_repository_page(c->meta, q.last, q.n, c->arena, &page);
		if (rc != RC_OK)
			return (rc);
	}
	buf_init(&b, SIZE_MAX);
	buf_str(&b, "{\"repositories\":");
	oci_names(&b, &page);
	buf_str(&b, "}");
	if (page.more)
		oci_page_link(c, "/v2/_catalog", q.n, page.items[page.n - 1]);
	return (call_json_take(c, 200, "application/json", &b));
}
