#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/obj.h"
#include "registryd/http/conn_int.h"

/*
 * Bytes of a connection.  Readiness comes edge-triggered, so what is known of
 * it is kept in c->readable and c->writable until a call would have blocked.
 */

/*
 * A read that gave less than it could have has emptied the socket, and what
 * comes later makes a new edge; unless the end, or a reset, has come already.
 * So between two requests that spares a read that would find nothing; but
 * where more is expected it is made.
 */
static void
conn_dried(struct http_conn *c, bool dry)
{
	c->dry = dry && !c->hangup;
}

static size_t
recv_plain(struct http_conn *c, void *p, size_t n)
{
	ssize_t got;

	got = recv(c->fd, p, n, 0);
	if (got > 0) {
		conn_dried(c, (size_t)got < n);
		return ((size_t)got);
	}
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		c->readable = errno == EINTR;
	else
		c->gone = true;
	return (0);
}

/* Fill as much as there is: a record has 16 KiB at most. */
static size_t
recv_tls(struct http_conn *c, void *p, size_t n)
{
	size_t got, all = 0;

	while (all < n) {
		switch (tls_read(c->tls, (char *)p + all, n - all, &got)) {
		case TLS_OK:
			all += got;
			conn_dried(c, tls_dry(c->tls));
			if (!c->dry)
				continue;
			return (all);
		case TLS_WANT_READ:
			c->readable = false;
			return (all);
		case TLS_WANT_WRITE:
			/* An answer to a key update; rare. */
			c->writable = false;
			(void)conn_wait(c, IO_WRITE);
			return (all);
		case TLS_CLOSED:
		case TLS_FAILED:
		case TLS_PLAIN:
			c->gone = all == 0;
			return (all);
		}
	}
	return (all);
}

size_t
conn_recv(struct http_conn *c, void *p, size_t n)
{
	if (c->gone || !c->readable)
		return (0);
	return (c->tls != NULL ? recv_tls(c, p, n) : recv_plain(c, p, n));
}

static size_t
send_plain(struct http_conn *c, const struct span *s, size_t n, bool more)
{
	int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
	struct iovec iov[2];
	struct msghdr m = { .msg_iov = iov };
	ssize_t put;
	size_t i;

	must(n <= 2);
	for (i = 0; i < n; i++) {
		if (s[i].n > 0)
			iov[m.msg_iovlen++] =
			    (struct iovec){ (void *)(uintptr_t)s[i].p, s[i].n };
	}
	if (m.msg_iovlen == 1)
		put = send(c->fd, iov[0].iov_base, iov[0].iov_len, flags);
	else
		put = sendmsg(c->fd, &m, flags);
	if (put >= 0)
		return ((size_t)put);
	if (errno == EAGAIN)
		c->writable = false;
	else if (errno != EINTR)
		c->gone = true;
	return (0);
}

static size_t
send_tls(struct http_conn *c, const struct span *s, size_t n)
{
	size_t i, put = 0;

	for (i = 0; i < n && s[i].n == 0; i++)
		;
	if (i == n)
		return (0);
	switch (tls_write(c->tls, s[i].p, s[i].n, &put)) {
	case TLS_OK:
		return (put);
	case TLS_WANT_WRITE:
		c->writable = false;
		break;
	case TLS_WANT_READ:
		/* Only a renegotiation wants that, and we have none. */
	case TLS_CLOSED:
	case TLS_FAILED:
	case TLS_PLAIN:
		c->gone = true;
		break;
	}
	return (0);
}

size_t
conn_send(struct http_conn *c, const struct span *s, size_t n, bool more)
{
	if (c->gone || !c->writable)
		return (0);
	return (c->tls != NULL ? send_tls(c, s, n) : send_plain(c, s, n, more));
}
