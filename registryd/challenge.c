#include <string.h>

#include "base/name.h"
#include "registryd/http/server.h"
#include "registryd/identify.h"
#include "registryd/permissions.h"
#include "registryd/route.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * WWW-Authenticate: how to come in, and by which name the client knows us.
 */

/* Nobody else knows us as what is asked for at the control socket. */
static const char *
own_url(struct call *c)
{
	struct http_server *server = NULL;

	if (c->x->role == ROLE_CONTROL)
		server = atomic_load(&c->service->server);
	if (server == NULL)
		return (NULL);
	return (arena_printf(c->arena, "%s", http_server_url(server, 0)));
}

const char *
identify_base_url(struct call *c)
{
	struct span url = span_of(c->settings->external_url);
	const struct http_request *rq = c->request;
	const char *text;

	while (url.n > 0 && url.p[url.n - 1] == '/')
		url.n--;
	if (url.n > 0)
		text = arena_printf(c->arena, SPAN_FMT, SPAN_ARG(url));
	else if ((text = own_url(c)) == NULL)
		text = arena_printf(c->arena, "%s://" SPAN_FMT,
		    rq->tls ? "https" : "http", SPAN_ARG(rq->host));
	return (text != NULL ? text : "");
}

/* What is asked of an upload session is part of a push, whatever the method. */
static bool
of_push(const struct call *c)
{
	return (c->permission != NULL &&
		strstr(c->permission->actions, "ecr:UploadLayerPart") != NULL);
}

static const char *
challenge_verbs(const struct call *c)
{
	if (of_push(c))
		return ("pull,push");
	switch (c->request->method) {
	case HTTP_GET:
	case HTTP_HEAD:
		return ("pull");
	case HTTP_DELETE:
		return ("delete");
	case HTTP_POST:
	case HTTP_PUT:
	case HTTP_PATCH:
	case HTTP_OPTIONS:
	case HTTP_METHOD_OTHER:
		break;
	}
	return ("pull,push");
}

/* A mount needs to pull from where the blob is, too. */
static void
challenge_scopes(const struct call *c, struct buf *out)
{
	struct span from, mount;

	buf_printf(out, ",scope=\"repository:" SPAN_FMT ":%s",
	    SPAN_ARG(c->repository), challenge_verbs(c));
	if (c->request->method == HTTP_POST &&
	    http_request_param(c->request, "mount", &mount) &&
	    http_request_param(c->request, "from", &from) &&
	    name_repository_ok(from))
		buf_printf(
		    out, " repository:" SPAN_FMT ":pull", SPAN_ARG(from));
	buf_char(out, '"');
}

static void
challenge_bearer(struct call *c, const char *error)
{
	const char *url = identify_base_url(c);
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_printf(&b, "Bearer realm=\"%s/token\",service=\"" SPAN_FMT "\"",
	    url, SPAN_ARG(c->request->host));
	if (c->repository.n > 0 && name_repository_ok(c->repository))
		challenge_scopes(c, &b);
	else if (c->permission != NULL &&
		 c->permission->access == ACCESS_LISTED)
		buf_str(&b, ",scope=\"registry:catalog:*\"");
	if (error != NULL)
		buf_printf(&b, ",error=\"%s\"", error);
	call_header(c, "WWW-Authenticate", SPAN_FMT, SPAN_ARG(buf_as_span(&b)));
	buf_free(&b);
}

/* Who came with a bearer token is answered in that language whatever is
 * configured. */
void
identify_challenge(struct call *c, const char *error)
{
	if (c->settings->token_challenge == CHALLENGE_BEARER || error != NULL)
		challenge_bearer(c, error);
	else
		call_header(c, "WWW-Authenticate",
		    "Basic realm=\"%s/\",service=\"ecr.amazonaws.com\"",
		    identify_base_url(c));
	http_response_header(
	    c->answer, "Docker-Distribution-Api-Version", SPAN("registry/2.0"));
}
