#include "registryd/api/service.h"

#include "registryd/service.h"

#define TEXT_TYPE "text/plain; charset=utf-8"

static enum rc
answer(struct call *c, int status, struct span text)
{
	http_response_header(c->answer, "Cache-Control", SPAN("no-store"));
	call_json(c, status, TEXT_TYPE, text);
	return (RC_OK);
}

enum rc
health_live(struct call *c)
{
	return (answer(c, 200, SPAN("ok\n")));
}

enum rc
health_ready(struct call *c)
{
	enum rc rc;

	if (store_failed(c->store))
		return (answer(c, 503,
		    SPAN("the store failed: restart the server once the disk "
			 "is well\n")));
	if (atomic_load(&c->service->stopping))
		return (answer(c, 503, SPAN("stopping\n")));
	rc = store_room(c->store, 0);
	if (rc == RC_NOSPACE)
		return (answer(c, 200,
		    SPAN("ok\nfree space is below the reserve: pushes are "
			 "refused\n")));
	if (rc == RC_READONLY)
		return (answer(c, 200,
		    SPAN("ok\nthe filesystem is read-only: pushes are "
			 "refused\n")));
	return (answer(c, 200, SPAN("ok\n")));
}
