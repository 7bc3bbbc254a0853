#include "registryctl/ecr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "auth/sigv4.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/span.h"

#define TARGET_PREFIX "AmazonEC2ContainerRegistry_V20150921."
#define CONTENT_TYPE "application/x-amz-json-1.1"
/* A page of 100 repositories with all their settings has less. */
#define ANSWER_MAX_BYTES ((size_t)8 << 20)
#define CONNECT_TIMEOUT_S 10L
#define CALL_TIMEOUT_S 60L
#define AUTHORIZATION_BYTES 1024
#define HEADERS_SIGNED 3
#define LOGIN_USER SPAN("AWS:")
/* Names of errors. */
#define NEEDS_KEYS "MissingAuthenticationToken"
#define BAD_KEYS "UnrecognizedClientException"

static enum rc __attribute__((format(printf, 3, 4)))
fail(char *why, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, ECR_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

/* --- URLs ---------------------------------------------------------------- */

/* Scheme, host and port of a URL; what else there is in it is refused, but
 * for the path where ${any_path}. */
struct place {
	char *scheme, *host, *port; /* .port NULL: the scheme's own */
};

static void
place_free(struct place *p)
{
	curl_free(p->scheme);
	curl_free(p->host);
	curl_free(p->port);
	*p = (struct place){ 0 };
}

static char *
part_of(CURLU *u, CURLUPart part)
{
	char *text = NULL;

	if (curl_url_get(u, part, &text, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
		return (NULL);
	return (text);
}

static bool
has_part(CURLU *u, CURLUPart part)
{
	char *text = part_of(u, part);
	bool there = text != NULL;

	curl_free(text);
	return (there);
}

static bool
path_is_root(CURLU *u)
{
	char *path = part_of(u, CURLUPART_PATH);
	bool root = path == NULL || strcmp(path, "/") == 0;

	curl_free(path);
	return (root);
}

static enum rc
place_read(const char *url, bool any_path, struct place *p, char *why)
{
	CURLU *u = curl_url();
	enum rc rc = RC_OK;
	char *c;

	must(u != NULL);
	*p = (struct place){ 0 };
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    (p->scheme = part_of(u, CURLUPART_SCHEME)) == NULL ||
	    (p->host = part_of(u, CURLUPART_HOST)) == NULL ||
	    (strcmp(p->scheme, "http") != 0 &&
		strcmp(p->scheme, "https") != 0) ||
	    has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_QUERY) ||
	    has_part(u, CURLUPART_FRAGMENT) ||
	    (!any_path && !path_is_root(u))) {
		rc = fail(why, RC_INVALID,
		    "\"%.300s\" must be a URL such as https://HOST:PORT", url);
		place_free(p);
	} else {
		p->port = part_of(u, CURLUPART_PORT);
		for (c = p->host; *c != '\0'; c++)
			*c = (char)tolower((unsigned char)*c);
	}
	curl_url_cleanup(u);
	return (rc);
}

static char *
place_host(const struct place *p)
{
	return (xasprintf("%s%s%s", p->host, p->port != NULL ? ":" : "",
	    p->port != NULL ? p->port : ""));
}

enum rc
ecr_host(const char *url, char **host_r, char why[ECR_WHY_BYTES])
{
	char *whole = strstr(url, "://") != NULL ? xstrdup(url)
						 : xasprintf("https://%s", url);
	struct place p;
	enum rc rc;

	rc = place_read(whole, true, &p, why);
	if (rc == RC_OK) {
		*host_r = place_host(&p);
		place_free(&p);
	}
	free(whole);
	return (rc);
}

bool
ecr_host_is_loopback(const char *host)
{
	static const char *const six[] = { "[::1]", "[::1]:" };
	struct in_addr a;
	char *name;
	bool is;

	if (strcmp(host, six[0]) == 0 ||
	    strncmp(host, six[1], strlen(six[1])) == 0)
		return (true);
	name = xstrndup(host, strcspn(host, ":"));
	is =
	    strcmp(name, "localhost") == 0 ||
	    (inet_pton(AF_INET, name, &a) == 1 && ntohl(a.s_addr) >> 24 == 127);
	free(name);
	return (is);
}

/* --- the request --------------------------------------------------------- */

struct exchange {
	CURL *curl;
	struct curl_slist *headers;
	struct place place;
	char *host, *target, *body, *ca;
	struct buf answer;
};

static void
header_add(struct exchange *x, const char *name, const char *value)
{
	char *line = xasprintf("%s: %s", name, value);
	struct curl_slist *more = curl_slist_append(x->headers, line);

	must(more != NULL);
	x->headers = more;
	mem_wipe(line, strlen(line));
	free(line);
}

static enum rc
request_sign(struct exchange *x, const struct aws_identity *id, char *why)
{
	const struct name_value signed_headers[HEADERS_SIGNED] = {
		{ SPAN("Host"), span_of(x->host) },
		{ SPAN("Content-Type"), SPAN(CONTENT_TYPE) },
		{ SPAN("X-Amz-Target"), span_of(x->target) },
	};
	struct sigv4_request rq = {
		.method = SPAN("POST"),
		.target = SPAN("/"),
		.headers = signed_headers,
		.n_headers = HEADERS_SIGNED,
	};
	const struct sigv4_credentials with = {
		.access_key = span_of(id->access_key),
		.secret = span_of(id->secret),
		.session_token = span_of(id->session_token),
		.region = span_of(id->region),
		.service = SPAN("ecr"),
	};
	char date[SIGV4_DATE_BYTES], authorization[AUTHORIZATION_BYTES];

	sigv4_body_hash(span_of(x->body), rq.body_hash);
	if (sigv4_sign(&rq, &with, clock_real_ms(), date, authorization,
		sizeof(authorization)) != RC_OK)
		return (fail(
		    why, RC_INVALID, "the credentials are too long to sign"));
	header_add(x, "X-Amz-Date", date);
	if (id->session_token[0] != '\0')
		header_add(x, "X-Amz-Security-Token", id->session_token);
	header_add(x, "Authorization", authorization);
	return (RC_OK);
}

static enum rc
headers_make(struct exchange *x, const struct aws_identity *id, char *why)
{
	header_add(x, "Host", x->host);
	header_add(x, "Content-Type", CONTENT_TYPE);
	header_add(x, "X-Amz-Target", x->target);
	header_add(x, "Accept", "application/json");
	return (id->access_key[0] != '\0' ? request_sign(x, id, why) : RC_OK);
}

static size_t
answer_take(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	buf_add(b, p, size * n);
	return (buf_ok(b) ? size * n : 0);
}

static void
request_describe(
    struct exchange *x, const char *ca_file, const char *socket_path)
{
	static const char *const variables[] = { "AWS_CA_BUNDLE",
		"SSL_CERT_FILE", "CURL_CA_BUNDLE" };
	CURL *c = x->curl;
	char *url = xasprintf("%s://%s/", x->place.scheme, x->host);
	size_t i;

	for (i = 0; ca_file == NULL && i < ARRAY_LEN(variables); i++) {
		ca_file = getenv(variables[i]);
		if (ca_file != NULL && ca_file[0] == '\0')
			ca_file = NULL;
	}
	(void)curl_easy_setopt(c, CURLOPT_URL, url);
	if (socket_path != NULL) {
		(void)curl_easy_setopt(
		    c, CURLOPT_UNIX_SOCKET_PATH, socket_path);
		(void)curl_easy_setopt(c, CURLOPT_PROXY, "");
	}
	if (ca_file != NULL)
		(void)curl_easy_setopt(c, CURLOPT_CAINFO, ca_file);
	(void)curl_easy_setopt(c, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, x->body);
	(void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(x->body));
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
	(void)curl_easy_setopt(
	    c, CURLOPT_USERAGENT, "registryctl/" REGISTRYD_VERSION);
	(void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT, CALL_TIMEOUT_S);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, answer_take);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &x->answer);
	free(url);
}

/* --- the answer ---------------------------------------------------------- */

/* What the service cannot know: with whose keys it was, and from where. */
static void
refusal_explain(const char *name, const struct aws_identity *id, char *why)
{
	size_t n = strlen(why), room = ECR_WHY_BYTES - n;

	if (id->access_key[0] == '\0' && strstr(name, NEEDS_KEYS) == name)
		(void)snprintf(why + n, room, ": %s", id->source);
	else if (id->access_key[0] != '\0' && strcmp(name, BAD_KEYS) == 0)
		(void)snprintf(why + n, room,
		    " (the access key id was %s, of %s)", id->access_key,
		    id->source);
}

static const char *
operation_of(const struct ecr_call *call)
{
	const char *dot = strrchr(call->operation, '.');

	return (dot != NULL ? dot + 1 : call->operation);
}

/* {"__type":"namespace#Name","message":"..."} */
static enum rc
refusal_read(
    const json_t *doc, const struct ecr_call *call, long status, char *why)
{
	const char *type = json_string_value(json_object_get(doc, "__type"));
	const char *message =
	    json_string_value(json_object_get(doc, "message"));
	const char *name;

	if (type == NULL)
		return (fail(why, RC_INVALID,
		    "this is no ECR endpoint: it answered with status %ld",
		    status));
	if (message == NULL)
		message = json_string_value(json_object_get(doc, "Message"));
	name = strrchr(type, '#');
	name = name != NULL ? name + 1 : type;
	(void)fail(why, RC_FAILED,
	    "An error occurred (%.200s) when calling the %s operation: %.600s",
	    name, operation_of(call), message != NULL ? message : "");
	if (call->code != NULL)
		(void)snprintf(call->code, ECR_CODE_BYTES, "%s", name);
	refusal_explain(name, call->identity, why);
	return (RC_FAILED);
}

static enum rc
answer_read(struct exchange *x, const struct ecr_call *call, json_t **answer_r,
    char *why)
{
	char wrong[JSON_ERROR_BYTES];
	json_t *doc = NULL;
	long status = 0;
	enum rc rc;

	(void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	if (json_read(buf_as_span(&x->answer), wrong, &doc) != RC_OK)
		return (fail(why, RC_INVALID,
		    "%s is no ECR endpoint: what it answered with status %ld "
		    "is not JSON",
		    x->host, status));
	if (status == 200) {
		*answer_r = doc;
		return (RC_OK);
	}
	rc = refusal_read(doc, call, status, why);
	json_decref(doc);
	return (rc);
}

static enum rc
silence_read(struct exchange *x, const struct ecr_call *call, CURLcode err,
    const char *detail, char *why)
{
	enum rc rc = RC_IO;

	/* The address is none of a socket's. */
	if (call->socket != NULL)
		return (fail(why, rc, "%.300s: %s", call->socket,
		    curl_easy_strerror(err)));

	if (err == CURLE_PEER_FAILED_VERIFICATION ||
	    err == CURLE_SSL_CACERT_BADFILE)
		rc = RC_DENIED;
	else if (err == CURLE_SSL_CONNECT_ERROR)
		rc = RC_UNSUPPORTED;
	else if (err == CURLE_OPERATION_TIMEDOUT)
		rc = RC_TIMEOUT;
	return (fail(why, rc, "%.300s: %.400s%s", x->host,
	    detail[0] != '\0' ? detail : curl_easy_strerror(err),
	    rc == RC_DENIED
		? ": name the authority that signed it with --ca-file or "
		  "AWS_CA_BUNDLE"
		: ""));
}

static enum rc
exchange_run(struct exchange *x, const struct ecr_call *call, json_t **answer_r,
    char *why)
{
	char detail[CURL_ERROR_SIZE] = "";
	CURLcode err;
	enum rc rc;

	if ((rc = headers_make(x, call->identity, why)) != RC_OK)
		return (rc);
	request_describe(x, call->ca_file, call->socket);
	(void)curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, detail);
	err = curl_easy_perform(x->curl);
	(void)curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, NULL);
	if (err != CURLE_OK)
		return (silence_read(x, call, err, detail, why));
	return (answer_read(x, call, answer_r, why));
}

enum rc
ecr_call(
    const struct ecr_call *call, json_t **answer_r, char why[ECR_WHY_BYTES])
{
	struct exchange x = { 0 };
	enum rc rc;

	*answer_r = NULL;
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	if ((rc = place_read(call->endpoint, false, &x.place, why)) != RC_OK)
		goto out;
	x.curl = call->curl != NULL ? call->curl : curl_easy_init();
	x.host = place_host(&x.place);
	x.target = xasprintf("%s%s",
	    strchr(call->operation, '.') == NULL ? TARGET_PREFIX : "",
	    call->operation);
	x.body = json_dumps(call->input, JSON_COMPACT);
	must(x.curl != NULL && x.body != NULL);
	buf_init(&x.answer, ANSWER_MAX_BYTES);
	rc = exchange_run(&x, call, answer_r, why);
	/* It may hold a token. */
	if (x.answer.p != NULL)
		mem_wipe(x.answer.p, x.answer.n);
	buf_free(&x.answer);
	if (call->curl == NULL)
		curl_easy_cleanup(x.curl);
	else
		curl_easy_reset(x.curl); /* it keeps the connection */
	curl_slist_free_all(x.headers);
	place_free(&x.place);
	free(x.host);
	free(x.target);
	free(x.body);
out:
	curl_global_cleanup();
	return (rc);
}

/* --- logins -------------------------------------------------------------- */

void
ecr_login_free(struct ecr_login *l)
{
	if (l->password != NULL)
		mem_wipe(l->password, strlen(l->password));
	free(l->password);
	free(l->endpoint);
	*l = (struct ecr_login){ 0 };
}

/* What is printed to be run by a shell holds nothing that means something
 * there. */
static bool
is_plain(struct span s)
{
	static const char marks[] = "-._:/[]+=,@";
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) &&
		    (s.p[i] == '\0' || strchr(marks, s.p[i]) == NULL))
			return (false);
	return (s.n > 0);
}

static enum rc
password_read(struct span token, struct ecr_login *l, char *why)
{
	uint8_t *bytes = xmalloc(token.n + 1);
	struct span plain = SPAN("");
	enum rc rc = RC_OK;
	size_t n = 0;

	if (base64_decode(token, bytes, &n) == RC_OK &&
	    span_has_prefix(
		(struct span){ (const char *)bytes, n }, LOGIN_USER))
		plain = (struct span){ (const char *)bytes + LOGIN_USER.n,
			n - LOGIN_USER.n };
	if (is_plain(plain))
		l->password = xstrndup(plain.p, plain.n);
	else
		rc = fail(why, RC_INVALID,
		    "the registry's token is not AWS:PASSWORD in base64");
	mem_wipe(bytes, token.n + 1);
	free(bytes);
	return (rc);
}

enum rc
ecr_login_read(
    const json_t *entry, struct ecr_login *l, char why[ECR_WHY_BYTES])
{
	struct span token, endpoint;

	*l = (struct ecr_login){ 0 };
	if (json_get_str(entry, "authorizationToken", &token) != RC_OK ||
	    json_get_str(entry, "proxyEndpoint", &endpoint) != RC_OK ||
	    !is_plain(endpoint))
		return (fail(why, RC_INVALID,
		    "the answer is not that of a registry: there is no "
		    "authorizationToken with a proxyEndpoint in it"));
	l->endpoint = xstrndup(endpoint.p, endpoint.n);
	if (password_read(token, l, why) != RC_OK) {
		ecr_login_free(l);
		return (RC_INVALID);
	}
	return (RC_OK);
}
