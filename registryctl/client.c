#include "registryctl/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"

#define ANSWER_MAX_BYTES ((size_t)64 << 20)
#define CALL_TIMEOUT_S 60L
#define SEND_BUFFER_BYTES (256L * 1024)

struct client {
	CURL *curl;
	char *socket;
};

/* Is somebody behind the socket?  curl would not say why not. */
static enum rc
probe(const char *path, char why[CLIENT_WHY_BYTES])
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int err, fd;

	/* The server has no socket there then; the folder's lock decides. */
	if (strlen(path) >= sizeof(sun.sun_path))
		return (RC_NOTFOUND);
	memcpy(sun.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1) {
		(void)snprintf(
		    why, CLIENT_WHY_BYTES, "socket: %s", strerror(errno));
		return (rc_of_errno(errno));
	}
	err =
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ? 0 : errno;
	(void)close(fd);
	if (err == 0)
		return (RC_OK);
	if (err == ENOENT || err == ECONNREFUSED || err == ENOTDIR)
		return (RC_NOTFOUND);
	(void)snprintf(why, CLIENT_WHY_BYTES, "%s: %s%s", path, strerror(err),
	    err == EACCES ? ": run this as the server's user or as root" : "");
	return (rc_of_errno(err));
}

enum rc
client_open(
    const char *data, char why[CLIENT_WHY_BYTES], struct client **client_r)
{
	struct client *c = xcalloc(1, sizeof(*c));
	enum rc rc;

	c->socket = xasprintf("%s/control.sock", data);
	if ((rc = probe(c->socket, why)) != RC_OK)
		goto err0;
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	c->curl = curl_easy_init();
	must(c->curl != NULL);
	*client_r = c;
	return (RC_OK);
err0:
	free(c->socket);
	free(c);
	return (rc);
}

void
client_close(struct client **c_p)
{
	struct client *c = *c_p;

	*c_p = NULL;
	if (c == NULL)
		return;
	curl_easy_cleanup(c->curl);
	curl_global_cleanup();
	free(c->socket);
	free(c);
}

static size_t
body_take(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	buf_add(b, p, size * n);
	return (buf_ok(b) ? size * n : 0);
}

/* What is sent besides the request line; may hold passwords. */
struct message {
	char *text;
	struct curl_slist *headers;
};

static void
message_make(struct message *m, const json_t *body)
{
	m->text = NULL;
	m->headers = NULL;
	if (body == NULL)
		return;
	m->text = json_dumps(body, JSON_COMPACT);
	m->headers = curl_slist_append(NULL, "Content-Type: application/json");
	must(m->text != NULL && m->headers != NULL);
}

static void
message_free(struct message *m)
{
	if (m->text != NULL)
		mem_wipe(m->text, strlen(m->text));
	free(m->text);
	curl_slist_free_all(m->headers);
}

static void
post_describe(struct client *c, const struct message *m)
{
	const char *text = m->text != NULL ? m->text : "";

	(void)curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text);
	(void)curl_easy_setopt(
	    c->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
	(void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, m->headers);
}

static void
call_describe(struct client *c, const char *method, const char *url,
    const struct message *m, struct buf *body)
{
	curl_easy_reset(c->curl);
	(void)curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	(void)curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
	(void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, body_take);
	(void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, body);
	if (strcmp(method, "POST") == 0)
		post_describe(c, m);
	else
		(void)curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
}

/* {"errors":[{"message":...}]} */
static void
refusal_say(const json_t *doc, long status, char why[CLIENT_WHY_BYTES])
{
	const json_t *first = json_array_get(json_object_get(doc, "errors"), 0);
	const char *message =
	    json_string_value(json_object_get(first, "message"));

	if (message != NULL)
		(void)snprintf(why, CLIENT_WHY_BYTES, "%s", message);
	else
		(void)snprintf(why, CLIENT_WHY_BYTES,
		    "the server answered with status %ld", status);
}

static enum rc
answer_read(struct client *c, struct span body, char why[CLIENT_WHY_BYTES],
    json_t **doc_r)
{
	json_error_t wrong;
	json_t *doc = NULL;
	long status = 0;

	(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	/* Of our own server: it may be longer than what clients may send. */
	if (body.n > 0 &&
	    (doc = json_loadb(body.p, body.n, 0, &wrong)) == NULL) {
		(void)snprintf(why, CLIENT_WHY_BYTES,
		    "the server's answer (status %ld) cannot be read: %s",
		    status, wrong.text);
		return (RC_IO);
	}
	if (status / 100 != 2) {
		refusal_say(doc, status, why);
		json_decref(doc);
		return (RC_FAILED);
	}
	*doc_r = doc;
	return (RC_OK);
}

static void
silence_say(const struct client *c, CURLcode err, char why[CLIENT_WHY_BYTES])
{
	bool gone = err == CURLE_GOT_NOTHING || err == CURLE_RECV_ERROR ||
		    err == CURLE_SEND_ERROR;

	(void)snprintf(why, CLIENT_WHY_BYTES, "%s: %s%s", c->socket,
	    curl_easy_strerror(err),
	    gone ? ": the server has ended, or it serves another user: run "
		   "this as that user or as root"
		 : "");
}

enum rc
client_call(struct client *c, const char *method, const char *path,
    const json_t *request, char why[CLIENT_WHY_BYTES], json_t **doc_r)
{
	char *url = xasprintf("http://localhost%s", path);
	struct message message;
	struct buf body;
	CURLcode err;
	enum rc rc;

	*doc_r = NULL;
	must(request == NULL || strcmp(method, "POST") == 0);
	message_make(&message, request);
	buf_init(&body, ANSWER_MAX_BYTES);
	call_describe(c, method, url, &message, &body);
	err = curl_easy_perform(c->curl);
	if (err == CURLE_OK) {
		rc = answer_read(c, buf_as_span(&body), why, doc_r);
	} else {
		silence_say(c, err, why);
		rc = RC_IO;
	}
	/* It may hold a new secret key. */
	if (body.p != NULL)
		mem_wipe(body.p, body.n);
	buf_free(&body);
	message_free(&message);
	free(url);
	return (rc);
}

/* --- bodies that are not in memory ---------------------------------------- */

static size_t
body_read(char *p, size_t size, size_t n, void *arg)
{
	const struct client_body *body = arg;
	long got = body->read(body->arg, p, size * n);

	return (got < 0 ? CURL_READFUNC_ABORT : (size_t)got);
}

static void
send_describe(struct client *c, const char *url, const struct client_body *body,
    struct curl_slist *headers, struct buf *answer)
{
	const struct message none = { .text = NULL };

	call_describe(c, "POST", url, &none, answer);
	(void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, NULL);
	(void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)(body->bytes < 0 ? -1 : body->bytes));
	(void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, body_read);
	(void)curl_easy_setopt(
	    c->curl, CURLOPT_READDATA, (void *)(uintptr_t)body);
	(void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
	(void)curl_easy_setopt(
	    c->curl, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER_BYTES);
}

enum rc
client_send(struct client *c, const char *path, const struct client_body *body,
    char why[CLIENT_WHY_BYTES], json_t **doc_r)
{
	char *url = xasprintf("http://localhost%s", path);
	struct curl_slist *headers;
	struct buf answer;
	CURLcode err;
	enum rc rc;

	*doc_r = NULL;
	headers =
	    curl_slist_append(NULL, "Content-Type: application/octet-stream");
	if (body->bytes < 0)
		headers =
		    curl_slist_append(headers, "Transfer-Encoding: chunked");
	must(headers != NULL);
	buf_init(&answer, ANSWER_MAX_BYTES);
	send_describe(c, url, body, headers, &answer);
	err = curl_easy_perform(c->curl);
	if (err == CURLE_OK) {
		rc = answer_read(c, buf_as_span(&answer), why, doc_r);
	} else if (err == CURLE_ABORTED_BY_CALLBACK) {
		rc = RC_CANCELLED;
	} else {
		silence_say(c, err, why);
		rc = RC_IO;
	}
	buf_free(&answer);
	curl_slist_free_all(headers);
	free(url);
	return (rc);
}
