#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/obj.h"
#include "registryd/http/conn_int.h"

/*
 * A body out of a file: with sendfile() to a plain socket, in slices through
 * memory where TLS has to see the bytes, or where what lies in the file is not
 * what is sent: then it comes from a source (response.h).
 *
 * Reading a page that is not in memory would stop the loop and all its
 * connections for as long as the disk takes.  So before a slice is sent the
 * kernel is asked, by reads that may not wait, and what is missing is read
 * ahead on a worker.  Asking for one byte here and there is enough: pages come
 * into memory, and leave it, many at a time.
 *
 * A file that is still being written (conn_follow.c) is sent up to where it
 * may be; then the connection waits to be woken, and no deadline runs, because
 * it is not the client that is slow.
 */
#define SLICE_BYTES ((uint64_t)1024 * 1024)
#define PROBE_BYTES ((uint64_t)256 * 1024)
#define AHEAD_BYTES (4 * SLICE_BYTES)
/* Encrypting, or opening what is sealed, takes its time: less in a row. */
#define CRYPT_TURN_BYTES ((uint64_t)256 * 1024)

/* Have a byte's page in memory; false at the end of the file, or an error. */
static bool
touch(int fd, uint64_t at)
{
	char byte;

	return (pread(fd, &byte, 1, (off_t)at) == 1);
}

/* On a worker: bring a slice into memory, and have the next ones begun.  What
 * fails here fails once more when it is sent, and is reported there. */
static void
warm_work(struct http_exchange *x)
{
	struct msg *m = msg_of(x);
	const struct http_response *rs = &x->response;
	uint64_t at = rs->offset, end = m->warm_until;

	if (rs->source != NULL) {
		rs->source->warm(rs->source->arg, at, end - at);
		return;
	}
	(void)posix_fadvise(
	    rs->fd, (off_t)at, (off_t)AHEAD_BYTES, POSIX_FADV_WILLNEED);
	while (at < end && touch(rs->fd, at))
		at += PROBE_BYTES;
	if (at >= end)
		(void)touch(rs->fd, end - 1);
}

/* Is the byte's page in memory?  Errors and the end of the file are for
 * whoever reads in earnest. */
static bool
page_is_warm(struct msg *m, uint64_t at)
{
	struct iovec iov;
	char byte;

	iov = (struct iovec){ &byte, 1 };
	if (preadv2(m->x.response.fd, &iov, 1, (off_t)at, RWF_NOWAIT) != -1)
		return (true);
	if (errno == EOPNOTSUPP)
		m->pages_unknown = true;
	return (errno != EAGAIN);
}

/* May ${n} bytes be sent without waiting for the disk? */
static bool
slice_is_warm(struct msg *m, uint64_t n)
{
	uint64_t at, from = m->x.response.offset, end = from + n;

	if (m->pages_unknown || end <= m->warm_until)
		return (true);
	/* Some of it may be what was not sent of the slice before. */
	at = from > m->warm_until ? from : m->warm_until;
	for (; at < end; at += PROBE_BYTES) {
		if (!page_is_warm(m, at))
			return (false);
	}
	if (!page_is_warm(m, end - 1))
		return (false);
	m->warm_until = end;
	return (true);
}

static void
warm_begin(struct http_conn *c, struct msg *m, uint64_t n)
{
	m->warm_until = m->x.response.offset + n;
	msg_submit(m, c->hub->server->workers, warm_work);
}

static void
file_sent(struct http_conn *c, uint64_t n)
{
	struct http_response *rs = &c->msg->x.response;

	rs->offset += n;
	rs->length -= n;
	conn_arm(c, WAIT_BODY);
}

static void
file_failed(struct http_conn *c, const char *why)
{
	log_error("cannot send a file: %s", why);
	c->gone = true;
}

/* Some of the slice; 0: none now. */
static uint64_t
send_slice(struct http_conn *c, struct http_response *rs, uint64_t n)
{
	off_t offset = (off_t)rs->offset;
	ssize_t put;

	put = sendfile(c->fd, rs->fd, &offset, (size_t)n);
	if (put > 0)
		return ((uint64_t)put);
	if (put == 0)
		file_failed(c, "it is shorter than it should be");
	else if (errno == EAGAIN)
		c->writable = false;
	else if (errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT)
		c->gone = true;
	else if (errno != EINTR)
		file_failed(c, strerror(errno));
	return (0);
}

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return (a < b ? a : b);
}

/* As much as is worth a worker's while, and is there by now. */
static void
warm_source(struct http_conn *c, struct msg *m)
{
	const struct http_response *rs = &m->x.response;
	uint64_t n = min_u64(rs->length, SLICE_BYTES);

	if (rs->follow != NULL)
		n = min_u64(n, m->follow_until - rs->offset);
	warm_begin(c, m, n);
}

/* Into the scratch memory; -1: wait, or gone. */
static ssize_t
read_source(struct http_conn *c, struct msg *m, uint64_t n)
{
	const struct http_response *rs = &m->x.response;
	bool may_wait = rs->offset + n <= m->warm_until;
	size_t got = 0;
	enum rc rc;

	rc = rs->source->read(rs->source->arg, rs->offset, c->hub->scratch,
	    (size_t)n, may_wait, &got);
	if (rc == RC_WOULDBLOCK) {
		must(!may_wait);
		warm_source(c, m);
		return (-1);
	}
	if (rc != RC_OK)
		c->gone = true;
	else if (got == 0)
		file_failed(c, "it is shorter than it should be");
	return (rc == RC_OK && got > 0 ? (ssize_t)got : -1);
}

/* The same out of a file.  What is tried once more after a write that blocked
 * must not be less than it was: so all of it, or nothing. */
static ssize_t
read_slice(struct http_conn *c, struct msg *m, uint64_t n)
{
	struct http_response *rs = &m->x.response;
	struct iovec iov = { c->hub->scratch, (size_t)n };
	int flags = m->pages_unknown || rs->offset + n <= m->warm_until
			? 0
			: RWF_NOWAIT;
	ssize_t got;

	got = preadv2(rs->fd, &iov, 1, (off_t)rs->offset, flags);
	if (got == -1 && errno == EOPNOTSUPP && flags != 0) {
		m->pages_unknown = true;
		return (read_slice(c, m, n));
	}
	if (got == -1 && errno == EAGAIN)
		got = 0;
	if (got >= 0 && (uint64_t)got < n && flags != 0) {
		warm_begin(c, m, n);
		return (-1);
	}
	if (got == -1)
		file_failed(c, strerror(errno));
	else if (got == 0)
		file_failed(c, "it is shorter than it should be");
	return (got > 0 ? got : -1);
}

/* Through memory, over TLS a record at a time; what could not be written is
 * read once more later. */
static uint64_t
send_slice_memory(struct http_conn *c, struct msg *m, uint64_t n)
{
	struct span part;
	uint64_t all = 0;
	size_t put;
	ssize_t got;

	if (n > SCRATCH_BYTES)
		n = SCRATCH_BYTES;
	if (m->x.response.source != NULL)
		got = read_source(c, m, n);
	else
		got = read_slice(c, m, n);
	if (got < 0)
		return (0);
	part = (struct span){ c->hub->scratch, (size_t)got };
	while (part.n > 0 && c->writable && !c->gone) {
		put = conn_send(c, &part, 1, false);
		part.p += put;
		part.n -= put;
		all += put;
	}
	return (all);
}

static uint64_t
send_some(struct http_conn *c, struct msg *m, uint64_t n)
{
	n = follow_allow(c, m, n);
	if (n == 0)
		return (0);
	if (c->tls != NULL || m->x.response.source != NULL)
		return (send_slice_memory(c, m, n));
	if (slice_is_warm(m, n))
		return (send_slice(c, &m->x.response, n));
	warm_begin(c, m, n);
	return (0);
}

/* As much as can be had, up to what one turn may take. */
static void
file_push(struct http_conn *c, struct msg *m)
{
	struct http_response *rs = &m->x.response;
	uint64_t sent, budget = SLICE_BYTES;

	if (c->tls != NULL || rs->source != NULL)
		budget = CRYPT_TURN_BYTES;
	while (rs->length > 0 && budget > 0 && c->writable && !c->gone &&
	       !m->job_out) {
		sent = send_some(c, m, min_u64(rs->length, budget));
		if (sent > 0)
			file_sent(c, sent);
		budget -= min_u64(sent, budget);
	}
}

static enum step
file_end(struct http_conn *c, struct msg *m)
{
	m->complete = m->x.response.length == 0;
	m->body_out -= m->x.response.length;
	c->state = CONN_FINISH;
	return (STEP_MORE);
}

enum step
step_file(struct http_conn *c)
{
	struct msg *m = c->msg;

	if (m->job_out && !msg_job_returned(m)) {
		conn_disarm(c);
		return (STEP_WAIT);
	}
	if (c->timed_out)
		c->gone = true;
	file_push(c, m);
	if (m->x.response.length == 0 || (c->gone && !m->job_out))
		return (file_end(c, m));
	if (m->job_out) {
		conn_disarm(c);
		return (STEP_WAIT);
	}
	conn_keep(c, WAIT_BODY);
	if (c->writable) {
		conn_kick(c);
		return (STEP_WAIT);
	}
	return (conn_wait(c, IO_WRITE));
}
