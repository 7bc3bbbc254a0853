#include <inttypes.h>

#include "registryd/api/control_int.h"
#include "registryd/jobs.h"

/* Collections, asked for by an operator. */

enum rc
control_gc(struct call *c)
{
	bool dry_run = false;
	struct buf out;
	enum rc rc;

	if ((rc = control_bool(c, "dry-run", &dry_run)) != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	rc = service_collect(c->service, dry_run, &out);
	if (rc == RC_OK)
		return (call_json_take(c, 202, CONTROL_JSON, &out));
	buf_free(&out);
	return (rc);
}

void
control_gc_stats(struct service *svc, struct buf *out)
{
	struct service_counts *n = &svc->counts;

	buf_printf(out,
	    ",\"gc\":{\"running\":%s,\"collections\":%" PRIu64
	    ",\"failed\":%" PRIu64 ",\"links\":%" PRIu64 ",\"blobs\":%" PRIu64
	    ",\"bytes\":%" PRIu64 ",",
	    jobs_gc_running(svc->jobs) ? "true" : "false",
	    atomic_load(&n->collections), atomic_load(&n->collections_failed),
	    atomic_load(&n->links), atomic_load(&n->blobs),
	    atomic_load(&n->bytes));
	control_time(out, "last", atomic_load(&n->collected_ms));
	buf_char(out, '}');
}
