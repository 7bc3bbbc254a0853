#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/thread.h"
#include "cache_tools.h"

/*
 * An upstream for tests: a thread that accepts, and one for each connection,
 * which reads one request and answers it.
 */
#define HEAD_BYTES 8192
#define PIECE_BYTES ((size_t)16 * 1024)

struct served {
	struct served *next;
	struct ct_page said;
	unsigned refs; /* a page is replaced while it is being sent */
};

struct asked {
	struct asked *next;
	char *what; /* "GET /path" */
	unsigned n;
};

struct conn {
	struct conn *next;
	struct ct_server *server;
	pthread_t thread;
	int fd;
	bool closed;
};

struct ct_server {
	int fd;
	char url[64];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t released;
	bool stopping, free_run;
	struct served *pages;
	struct asked *asked;
	struct conn *conns;
};

/* --- pages: with the lock held ------------------------------------------- */

static void
page_unref(struct served *p)
{

	if (--p->refs > 0)
		return;
	free((void *)(uintptr_t)p->said.path);
	free((void *)(uintptr_t)p->said.type);
	free((void *)(uintptr_t)p->said.body);
	free((void *)(uintptr_t)p->said.digest);
	free(p);
}

static struct served *
page_find(struct ct_server *s, const char *path)
{
	struct served *p;

	for (p = s->pages; p != NULL; p = p->next)
		if (strcmp(p->said.path, path) == 0)
			return (p);
	return (NULL);
}

static void
page_drop(struct ct_server *s, const char *path)
{
	struct served **at = &s->pages, *p;

	for (; (p = *at) != NULL; at = &p->next)
		if (strcmp(p->said.path, path) == 0) {
			*at = p->next;
			page_unref(p);
			return;
		}
}

static void
asked_count(struct ct_server *s, const char *what)
{
	struct asked *a;

	for (a = s->asked; a != NULL; a = a->next)
		if (strcmp(a->what, what) == 0) {
			a->n++;
			return;
		}
	a = xcalloc(1, sizeof(*a));
	a->what = xstrdup(what);
	a->n = 1;
	a->next = s->asked;
	s->asked = a;
}

/* --- one answer ---------------------------------------------------------- */

static bool
send_all(int fd, const char *p, size_t n)
{
	ssize_t sent;

	while (n > 0) {
		if ((sent = send(fd, p, n, MSG_NOSIGNAL)) <= 0)
			return (false);
		p += sent;
		n -= (size_t)sent;
	}
	return (true);
}

static void
wait_release(struct ct_server *s)
{
	mutex_lock(&s->lock);
	while (!s->free_run && !s->stopping)
		cond_wait(&s->released, &s->lock);
	mutex_unlock(&s->lock);
}

static bool
send_piece(int fd, const struct ct_page *page, size_t at, size_t n)
{
	char size[32];
	const char *body = page->body;

	if (!page->chunked)
		return (send_all(fd, body + at, n));
	snprintf(size, sizeof(size), "%zx\r\n", n);
	return (send_all(fd, size, strlen(size)) &&
		send_all(fd, body + at, n) && send_all(fd, "\r\n", 2));
}

/* As far as it is to go. */
static bool
send_body(struct ct_server *s, int fd, const struct ct_page *page, size_t at,
    size_t end)
{
	size_t n;

	while (at < end) {
		if (page->hold_at > 0 && at == page->hold_at)
			wait_release(s);
		n = end - at < PIECE_BYTES ? end - at : PIECE_BYTES;
		if (page->hold_at > at && page->hold_at < at + n)
			n = page->hold_at - at;
		if (!send_piece(fd, page, at, n))
			return (false);
		at += n;
	}
	return (!page->chunked || send_all(fd, "0\r\n\r\n", 5));
}

static bool
send_head(int fd, const struct ct_page *page, size_t from)
{
	size_t length = page->announce > 0 ? page->announce : page->n;
	char head[1024];
	int n, status = page->status != 0 ? page->status : 200;

	if (from > 0 && status == 200)
		status = 206;
	n = snprintf(head, sizeof(head),
	    "HTTP/1.1 %d Said\r\nConnection: close\r\nContent-Type: %s\r\n",
	    status,
	    page->type != NULL ? page->type : "application/octet-stream");
	if (page->chunked)
		n += snprintf(head + n, sizeof(head) - (size_t)n,
		    "Transfer-Encoding: chunked\r\n");
	else
		n += snprintf(head + n, sizeof(head) - (size_t)n,
		    "Content-Length: %zu\r\n", length - from);
	if (status == 206)
		n += snprintf(head + n, sizeof(head) - (size_t)n,
		    "Content-Range: bytes %zu-%zu/%zu\r\n", from, length - 1,
		    length);
	if (page->digest != NULL)
		n += snprintf(head + n, sizeof(head) - (size_t)n,
		    "Docker-Content-Digest: %s\r\n", page->digest);
	n += snprintf(head + n, sizeof(head) - (size_t)n, "\r\n");
	return (send_all(fd, head, (size_t)n));
}

static struct served *
page_take(
    struct ct_server *s, const char *method, const char *path, bool *cut_r)
{
	char what[1100];
	struct served *p;

	snprintf(what, sizeof(what), "%s %s", method, path);
	*cut_r = false;
	mutex_lock(&s->lock);
	asked_count(s, what);
	if ((p = page_find(s, path)) != NULL) {
		p->refs++;
		if (p->said.cuts > 0 && strcmp(method, "GET") == 0) {
			p->said.cuts--;
			*cut_r = true;
		}
	}
	mutex_unlock(&s->lock);
	return (p);
}

static void
answer(struct ct_server *s, int fd, const char *method, const char *path,
    size_t from)
{
	static const struct ct_page none = { .status = 404 };
	const struct ct_page *said = &none;
	bool cut, ok;
	struct served *p;

	if ((p = page_take(s, method, path, &cut)) != NULL)
		said = &p->said;
	if (said->hold_head)
		wait_release(s);
	ok = send_head(fd, said, from);
	if (ok && strcmp(method, "GET") == 0)
		(void)send_body(
		    s, fd, said, from, cut ? said->cut_at : said->n);
	mutex_lock(&s->lock);
	if (p != NULL)
		page_unref(p);
	mutex_unlock(&s->lock);
}

/* --- connections --------------------------------------------------------- */

static bool
read_head(int fd, char head[HEAD_BYTES])
{
	size_t n = 0;
	ssize_t got;

	while (n < HEAD_BYTES - 1) {
		if ((got = recv(fd, head + n, HEAD_BYTES - 1 - n, 0)) <= 0)
			return (false);
		n += (size_t)got;
		head[n] = '\0';
		if (strstr(head, "\r\n\r\n") != NULL)
			return (true);
	}
	return (false);
}

static void
conn_main(void *arg)
{
	struct conn *c = arg;
	char head[HEAD_BYTES], method[16], path[1024];
	const char *range;
	size_t from = 0;

	if (read_head(c->fd, head) &&
	    sscanf(head, "%15s %1023s", method, path) == 2) {
		range = strcasestr(head, "\r\nRange: bytes=");
		if (range != NULL)
			from = (size_t)strtoull(range + 15, NULL, 10);
		answer(c->server, c->fd, method, path, from);
	}
	mutex_lock(&c->server->lock);
	(void)shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	c->closed = true;
	mutex_unlock(&c->server->lock);
}

static void
server_main(void *arg)
{
	struct ct_server *s = arg;
	struct conn *c;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		c = xcalloc(1, sizeof(*c));
		c->server = s;
		c->fd = fd;
		mutex_lock(&s->lock);
		if (thread_start("conn", conn_main, c, &c->thread) != RC_OK)
			abort();
		c->next = s->conns;
		s->conns = c;
		mutex_unlock(&s->lock);
	}
}

/* --- what tests call ----------------------------------------------------- */

struct ct_server *
ct_server_new(void)
{
	struct ct_server *s = xcalloc(1, sizeof(*s));
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(sin);

	mutex_init(&s->lock);
	cond_init(&s->released);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(listen(s->fd, 256), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sin, &n), 0);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u",
	    (unsigned)ntohs(sin.sin_port));
	assert_int_equal(
	    thread_start("upstream", server_main, s, &s->thread), RC_OK);
	return (s);
}

void
ct_server_free(struct ct_server **s_p)
{
	struct ct_server *s = *s_p;
	struct asked *a;
	struct conn *c;

	if (s == NULL)
		return;
	*s_p = NULL;
	(void)shutdown(s->fd, SHUT_RDWR);
	thread_join(s->thread);
	close(s->fd);
	mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->released);
	for (c = s->conns; c != NULL; c = c->next)
		if (!c->closed)
			(void)shutdown(c->fd, SHUT_RDWR);
	mutex_unlock(&s->lock);
	while ((c = s->conns) != NULL) {
		s->conns = c->next;
		thread_join(c->thread);
		free(c);
	}
	while (s->pages != NULL)
		page_drop(s, s->pages->said.path);
	while ((a = s->asked) != NULL) {
		s->asked = a->next;
		free(a->what);
		free(a);
	}
	pthread_cond_destroy(&s->released);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

const char *
ct_server_url(const struct ct_server *s)
{
	return (s->url);
}

static char *
copy_or_null(const char *s)
{
	return (s != NULL ? xstrdup(s) : NULL);
}

void
ct_serve(struct ct_server *s, const struct ct_page *page)
{
	struct served *p = xcalloc(1, sizeof(*p));
	char *body = xmalloc(page->n + 1);

	p->said = *page;
	p->refs = 1;
	if (page->n > 0)
		memcpy(body, page->body, page->n);
	p->said.body = body;
	p->said.path = xstrdup(page->path);
	p->said.type = copy_or_null(page->type);
	p->said.digest = copy_or_null(page->digest);
	mutex_lock(&s->lock);
	page_drop(s, page->path);
	p->next = s->pages;
	s->pages = p;
	mutex_unlock(&s->lock);
}

void
ct_release(struct ct_server *s)
{
	mutex_lock(&s->lock);
	s->free_run = true;
	pthread_cond_broadcast(&s->released);
	mutex_unlock(&s->lock);
}

unsigned
ct_asked(struct ct_server *s, const char *method, const char *path)
{
	const struct asked *a;
	char what[1100];
	unsigned n = 0;

	snprintf(what, sizeof(what), "%s %s", method, path);
	mutex_lock(&s->lock);
	for (a = s->asked; a != NULL; a = a->next)
		if (strcmp(a->what, what) == 0)
			n = a->n;
	mutex_unlock(&s->lock);
	return (n);
}
