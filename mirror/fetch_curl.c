#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/fetch_int.h"
#include "mirror/url.h"

/*
 * How a request is put to curl, and what curl calls while it is on its way:
 * the latter on the fetcher's thread only.
 */
#define BUFFER_BYTES 131072L
/* Below what registries and what stands in front of them keep a connection:
 * one that was closed meanwhile costs a try. */
#define IDLE_MAX_S 50L

/* --- while it goes on ---------------------------------------------------- */

static int
// NOLINTNEXTLINE(readability-non-const-parameter)
on_begin(void *arg, char *ip, char *own_ip, int port, int own_port)
{
	struct fetch *f = arg;

	(void)ip;
	(void)own_ip;
	(void)port;
	(void)own_port;
	OBJ_CHECK(f, FETCH_MAGIC);
	mutex_lock(&f->lock);
	f->begun = true;
	f->alive_ns = clock_mono_ns();
	mutex_unlock(&f->lock);
	return (CURL_PREREQFUNC_OK);
}

static int
on_progress(void *arg, curl_off_t down_total, curl_off_t down,
    curl_off_t up_total, curl_off_t up)
{
	struct fetch *f = arg;

	(void)down_total;
	(void)up_total;
	OBJ_CHECK(f, FETCH_MAGIC);
	if (down + up == f->moved)
		return (0);
	f->moved = down + up;
	mutex_lock(&f->lock);
	f->alive_ns = clock_mono_ns();
	mutex_unlock(&f->lock);
	return (0);
}

/* With the lock: the blank line behind the head of an answer. */
static void
head_end(struct fetch *f)
{
	curl_off_t length = -1;
	long status = 0;

	(void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(
	    f->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (status < 200) {
		f->head_ns = 0;
		return;
	}
	f->status = (int)status;
	f->length = length >= 0 ? (uint64_t)length : UINT64_MAX;
	f->has_head = true;
	must(pthread_cond_broadcast(&f->changed) == 0);
}

/* With the lock: a line with its end.  An interim answer has a head too, which
 * the next one's status line ends; folded lines have not been allowed for
 * long, and none that we ask for is ever sent so. */
static void
head_line(struct fetch *f, struct span line)
{
	while (line.n > 0 &&
	       (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	if (line.n == 0) {
		head_end(f);
	} else if (span_has_prefix(line, SPAN("HTTP/"))) {
		buf_clear(&f->head);
	} else if (line.p[0] != ' ' && line.p[0] != '\t') {
		buf_span(&f->head, line);
		buf_char(&f->head, '\n');
	}
}

static size_t
// NOLINTNEXTLINE(readability-non-const-parameter)
on_head(char *p, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	bool ok;

	OBJ_CHECK(f, FETCH_MAGIC);
	mutex_lock(&f->lock);
	f->alive_ns = clock_mono_ns();
	if (f->head_ns == 0)
		f->head_ns = f->alive_ns;
	/* What comes behind are trailers. */
	if (!f->has_head)
		head_line(f, (struct span){ p, size * n });
	ok = buf_ok(&f->head);
	if (!ok)
		f->refused = "the head of its answer is too large";
	mutex_unlock(&f->lock);
	return (ok ? size * n : 0);
}

/* With the lock.  What is shorter than a ring needs no whole one. */
static void
in_make(struct fetch *f, size_t n)
{
	f->in.room = FETCH_RING_BYTES;
	if (f->length < f->in.room)
		f->in.room = n > f->length ? n : (size_t)f->length;
	f->in.p = xmalloc(f->in.room);
}

static size_t
on_body(char *p, size_t size, size_t n_parts, void *arg)
{
	struct fetch *f = arg;
	size_t n = size * n_parts, taken = n;

	OBJ_CHECK(f, FETCH_MAGIC);
	if (n == 0)
		return (0);
	mutex_lock(&f->lock);
	f->alive_ns = clock_mono_ns();
	if (f->in.p == NULL)
		in_make(f, n);
	if (n > f->in.room - f->in.n) {
		f->in_waits = true;
		taken = CURL_WRITEFUNC_PAUSE;
	} else {
		ring_put(&f->in, p, n);
		must(pthread_cond_signal(&f->changed) == 0);
	}
	mutex_unlock(&f->lock);
	return (taken);
}

static size_t
on_send(char *p, size_t size, size_t n_parts, void *arg)
{
	struct fetch *f = arg;
	size_t n;

	OBJ_CHECK(f, FETCH_MAGIC);
	mutex_lock(&f->lock);
	n = ring_take(&f->out, p, size * n_parts);
	if (n > 0) {
		f->alive_ns = clock_mono_ns();
		must(pthread_cond_signal(&f->changed) == 0);
	} else if (!f->out_ended) {
		f->out_waits = true;
		n = CURL_READFUNC_PAUSE;
	} else if (f->body_bytes != UINT64_MAX &&
		   f->out_total < f->body_bytes) {
		f->refused = "there was less to send than announced";
		n = CURL_READFUNC_ABORT;
	}
	mutex_unlock(&f->lock);
	return (n);
}

/* A kept connection turned out to be closed: curl begins again on another one,
 * which we can as long as nothing was overwritten. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct fetch *f = arg;
	int answer = CURL_SEEKFUNC_FAIL;

	OBJ_CHECK(f, FETCH_MAGIC);
	mutex_lock(&f->lock);
	if (offset == 0 && origin == SEEK_SET && f->out_total <= f->out.room) {
		f->out.at = 0;
		f->out.n = (size_t)f->out_total;
		answer = CURL_SEEKFUNC_OK;
	}
	mutex_unlock(&f->lock);
	return (answer);
}

/* --- how it ended -------------------------------------------------------- */

static bool
out_of_descriptors(const struct fetch *f)
{
	long err = 0;

	(void)curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &err);
	return (err == EMFILE || err == ENFILE);
}

enum rc
fetch_code(const struct fetch *f, CURLcode code)
{
	if (code == CURLE_OK)
		return (RC_OK);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return (RC_TIMEOUT);
	if (code == CURLE_PEER_FAILED_VERIFICATION ||
	    code == CURLE_SSL_CACERT_BADFILE ||
	    code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_CRL_BADFILE ||
	    code == CURLE_SSL_INVALIDCERTSTATUS)
		return (RC_DENIED);
	if (code == CURLE_OUT_OF_MEMORY || out_of_descriptors(f))
		return (RC_LIMIT);
	if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
	    code == CURLE_WEIRD_SERVER_REPLY ||
	    code == CURLE_BAD_CONTENT_ENCODING || f->refused != NULL)
		return (RC_INVALID);
	return (RC_IO);
}

/* --- setting up ---------------------------------------------------------- */

static bool
header_add(struct fetch *f, const char *line)
{
	struct curl_slist *all = curl_slist_append(f->headers, line);

	if (all != NULL)
		f->headers = all;
	return (all != NULL);
}

static bool
header_given(const struct fetch_request *r, const char *name)
{
	size_t i, n = strlen(name);

	for (i = 0; i < r->n_headers; i++)
		if (strncasecmp(r->headers[i], name, n) == 0 &&
		    r->headers[i][n] == ':')
			return (true);
	return (false);
}

/* A line that would be two is a way in for who chose its end. */
static bool
header_ok(const char *line)
{
	return (strpbrk(line, "\r\n") == NULL && strchr(line, ':') != NULL);
}

static enum rc
headers_set(struct fetch *f, const struct fetch_request *r)
{
	char *token;
	bool ok;
	size_t i;

	/* Neither is of use: an answer before the body is seen anyway, and
	 * whoever sends one says its type.  (A signature would cover them.) */
	ok = r->sigv4 != NULL || header_add(f, "Expect:");
	if (r->sigv4 == NULL && !header_given(r, "Content-Type"))
		ok = ok && header_add(f, "Content-Type:");
	if (!header_given(r, "Accept"))
		ok = ok && header_add(f, "Accept: */*");
	for (i = 0; i < r->n_headers; i++) {
		if (!header_ok(r->headers[i]))
			return (RC_INVALID);
		ok = ok && header_add(f, r->headers[i]);
	}
	if (r->session_token != NULL) {
		token = xasprintf("X-Amz-Security-Token: %s", r->session_token);
		ok = ok && header_ok(token) && header_add(f, token);
		mem_wipe(token, strlen(token));
		free(token);
	}
	(void)curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
	return (ok ? RC_OK : RC_LIMIT);
}

static void
streamed_set(struct fetch *f, const struct fetch_request *r)
{
	f->body_bytes = r->body_bytes;
	f->out.room = FETCH_RING_BYTES;
	f->out.p = xmalloc(f->out.room);
	(void)curl_easy_setopt(f->easy, CURLOPT_UPLOAD, 1L);
	(void)curl_easy_setopt(f->easy, CURLOPT_READFUNCTION, on_send);
	(void)curl_easy_setopt(f->easy, CURLOPT_READDATA, f);
	(void)curl_easy_setopt(f->easy, CURLOPT_SEEKFUNCTION, on_seek);
	(void)curl_easy_setopt(f->easy, CURLOPT_SEEKDATA, f);
	(void)curl_easy_setopt(
	    f->easy, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	if (r->body_bytes != UINT64_MAX)
		(void)curl_easy_setopt(f->easy, CURLOPT_INFILESIZE_LARGE,
		    (curl_off_t)r->body_bytes);
}

static void
held_set(struct fetch *f, const struct fetch_request *r)
{
	f->body = xmalloc(r->body.n + 1);
	if (r->body.n > 0)
		memcpy(f->body, r->body.p, r->body.n);
	f->body_n = r->body.n;
	(void)curl_easy_setopt(f->easy, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, f->body);
	(void)curl_easy_setopt(
	    f->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body_n);
}

static void
method_set(struct fetch *f, const struct fetch_request *r)
{
	bool sends = strcmp(r->method, "POST") == 0 ||
		     strcmp(r->method, "PUT") == 0 ||
		     strcmp(r->method, "PATCH") == 0;

	if (r->streams)
		streamed_set(f, r);
	else if (sends || r->body.n > 0)
		held_set(f, r);
	else if (strcmp(r->method, "HEAD") == 0)
		(void)curl_easy_setopt(f->easy, CURLOPT_NOBODY, 1L);
	(void)curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static void
callbacks_set(struct fetch *f)
{
	(void)curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f);
	(void)curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, f->error);
	(void)curl_easy_setopt(f->easy, CURLOPT_PREREQFUNCTION, on_begin);
	(void)curl_easy_setopt(f->easy, CURLOPT_PREREQDATA, f);
	(void)curl_easy_setopt(f->easy, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(f->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(f->easy, CURLOPT_XFERINFODATA, f);
	(void)curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, on_head);
	(void)curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
	(void)curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
}

static void
connection_set(struct fetch *f, const struct fetch_request *r)
{
	(void)curl_easy_setopt(f->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(
	    f->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(f->easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(f->easy, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(f->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	(void)curl_easy_setopt(f->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(f->easy, CURLOPT_MAXAGE_CONN, IDLE_MAX_S);
	(void)curl_easy_setopt(f->easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	/* A name that nobody answers for must not hold up the thread. */
	(void)curl_easy_setopt(f->easy, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(
	    f->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_ms);
	if (r->unix_socket != NULL)
		(void)curl_easy_setopt(
		    f->easy, CURLOPT_UNIX_SOCKET_PATH, r->unix_socket);
	if (r->proxy != NULL || r->unix_socket != NULL)
		(void)curl_easy_setopt(f->easy, CURLOPT_PROXY,
		    r->unix_socket != NULL ? "" : r->proxy);
	if (r->ca_file != NULL) {
		(void)curl_easy_setopt(f->easy, CURLOPT_CAINFO, r->ca_file);
		(void)curl_easy_setopt(f->easy, CURLOPT_CAPATH, NULL);
	}
}

static void
signature_set(struct fetch *f, const struct fetch_request *r)
{
	if (r->sigv4 == NULL)
		return;
	(void)curl_easy_setopt(f->easy, CURLOPT_AWS_SIGV4, r->sigv4);
	(void)curl_easy_setopt(f->easy, CURLOPT_USERNAME, r->access_key_id);
	(void)curl_easy_setopt(f->easy, CURLOPT_PASSWORD, r->secret_access_key);
}

enum rc
fetch_setup(
    struct fetch *f, const struct fetch_request *r, char why[FETCH_WHY_BYTES])
{
	struct url url;
	enum rc rc;

	if ((rc = url_parse(r->url, &url, why)) != RC_OK)
		return (rc);
	f->host = xstrdup(url.host);
	f->stall_ms = r->stall_ms;
	f->answer_ms = r->answer_ms > 0 ? r->answer_ms : r->stall_ms;
	f->cancel = r->cancel;
	f->easy = curl_easy_init();
	must(f->easy != NULL);
	callbacks_set(f);
	connection_set(f, r);
	signature_set(f, r);
	method_set(f, r);
	(void)curl_easy_setopt(f->easy, CURLOPT_PATH_AS_IS, 1L);
	if (curl_easy_setopt(f->easy, CURLOPT_URL, url.text) != CURLE_OK)
		rc = RC_LIMIT;
	if (rc == RC_OK)
		rc = headers_set(f, r);
	if (rc != RC_OK)
		(void)snprintf(why, FETCH_WHY_BYTES, "%s: %s", f->host,
		    rc == RC_INVALID ? "a header with a line break"
				     : "out of memory");
	url_free(&url);
	return (rc);
}

/* --- the end ------------------------------------------------------------- */

static void
headers_wipe(struct curl_slist *h)
{
	for (; h != NULL; h = h->next)
		mem_wipe(h->data, strlen(h->data));
}

void
fetch_free(struct fetch *f)
{
	if (f->easy != NULL)
		curl_easy_cleanup(f->easy);
	headers_wipe(f->headers);
	curl_slist_free_all(f->headers);
	if (f->body != NULL)
		mem_wipe(f->body, f->body_n);
	free(f->body);
	free(f->host);
	free(f->in.p);
	free(f->out.p);
	buf_free(&f->head);
	must(pthread_cond_destroy(&f->changed) == 0);
	must(pthread_mutex_destroy(&f->lock) == 0);
	f->magic = 0;
	free(f);
}
