#include "base/obj.h"
#include "registryd/http/conn_int.h"

/*
 * A file that is sent while somebody else writes it.  How far it may be sent
 * is asked only when all that was allowed has gone: whoever writes is not
 * disturbed by clients that are slower.
 */

/* The message is parked before it asks, because the one who is to wake it may
 * do so before the answer is here. */
static bool
follow_look(struct http_conn *c, struct msg *m)
{
	const struct http_response *rs = &m->x.response;
	const struct http_follow *f = rs->follow;
	uint64_t until = 0;

	msg_park(m);
	switch (f->look(f->arg, &m->x, rs->offset, &until)) {
	case FOLLOW_WAIT:
		return (false);
	case FOLLOW_SOME:
		must(until > rs->offset);
		m->follow_until = until;
		break;
	case FOLLOW_CUT:
		c->gone = true;
		break;
	}
	msg_unpark(m);
	return (!c->gone);
}

uint64_t
follow_allow(struct http_conn *c, struct msg *m, uint64_t n)
{
	const struct http_response *rs = &m->x.response;
	uint64_t allowed;

	if (rs->follow == NULL)
		return (n);
	if (rs->offset >= m->follow_until && !follow_look(c, m))
		return (0);
	allowed = m->follow_until - rs->offset;
	return (n < allowed ? n : allowed);
}

void
follow_end(struct msg *m)
{
	const struct http_follow *f = m->x.response.follow;

	m->x.response.follow = NULL;
	if (f != NULL)
		f->end(f->arg);
}
