#include "mirror/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * curl's own parser, so that what is judged here is what is asked for later.
 */

/* A part, the caller's; NULL: it has none. */
static char *
part_get(CURLU *h, CURLUPart part, unsigned flags)
{
	char *got = NULL, *copy;

	if (curl_url_get(h, part, &got, flags) != CURLUE_OK)
		return (NULL);
	copy = xstrdup(got);
	curl_free(got);
	return (copy);
}

static bool
has_part(CURLU *h, CURLUPart part)
{
	char *got = part_get(h, part, 0);
	bool has = got != NULL;

	free(got);
	return (has);
}

static void
lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

static void
names_set(CURLU *h, const char *scheme, struct url *u)
{
	char *host = part_get(h, CURLUPART_HOST, 0);
	char *port = part_get(h, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	char *path = part_get(h, CURLUPART_PATH, 0);
	char *query = part_get(h, CURLUPART_QUERY, 0);

	must(host != NULL && port != NULL && path != NULL);
	lower(host);
	u->tls = strcmp(scheme, "https") == 0;
	u->origin = xasprintf("%s://%s:%s", scheme, host, port);
	if (strcmp(port, u->tls ? "443" : "80") == 0)
		u->host = xstrdup(host);
	else
		u->host = xasprintf("%s:%s", host, port);
	u->path = xasprintf("%s%s%s", path, query != NULL ? "?" : "",
	    query != NULL ? query : "");
	free(host);
	free(port);
	free(path);
	free(query);
}

static const char *
handle_judge(CURLU *h, const char *scheme)
{
	if (scheme == NULL ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		return ("neither http nor https");
	if (!has_part(h, CURLUPART_HOST))
		return ("no host");
	if (has_part(h, CURLUPART_USER) || has_part(h, CURLUPART_PASSWORD))
		return ("a user name or a password in it");
	return (NULL);
}

static enum rc
handle_read(CURLU *h, struct url *u_r, char why[FETCH_WHY_BYTES])
{
	char *scheme = part_get(h, CURLUPART_SCHEME, 0);
	const char *wrong;

	wrong = handle_judge(h, scheme);
	if (wrong == NULL) {
		(void)curl_url_set(h, CURLUPART_FRAGMENT, NULL, 0);
		u_r->text = part_get(h, CURLUPART_URL, 0);
		must(u_r->text != NULL);
		names_set(h, scheme, u_r);
	} else {
		(void)snprintf(why, FETCH_WHY_BYTES,
		    "an address that is not asked for: %s", wrong);
	}
	free(scheme);
	return (wrong == NULL ? RC_OK : RC_INVALID);
}

static enum rc
url_read(const char *base, const char *text, struct url *u_r,
    char why[FETCH_WHY_BYTES])
{
	CURLU *h = curl_url();
	CURLUcode code = CURLUE_OK;
	enum rc rc = RC_INVALID;

	must(h != NULL);
	*u_r = (struct url){ .text = NULL };
	if (base != NULL)
		code = curl_url_set(h, CURLUPART_URL, base, CURLU_PATH_AS_IS);
	if (code == CURLUE_OK)
		code = curl_url_set(h, CURLUPART_URL, text,
		    CURLU_PATH_AS_IS | CURLU_URLENCODE |
			CURLU_NON_SUPPORT_SCHEME);
	if (code == CURLUE_OK)
		rc = handle_read(h, u_r, why);
	else
		(void)snprintf(why, FETCH_WHY_BYTES, "not an address: %s",
		    curl_url_strerror(code));
	curl_url_cleanup(h);
	return (rc);
}

enum rc
url_parse(const char *text, struct url *u_r, char why[FETCH_WHY_BYTES])
{
	return (url_read(NULL, text, u_r, why));
}

enum rc
url_resolve(const struct url *base, struct span location, struct url *u_r,
    char why[FETCH_WHY_BYTES])
{
	char *text = xstrndup(location.p != NULL ? location.p : "", location.n);
	enum rc rc;

	rc = url_read(base->text, text, u_r, why);
	free(text);
	if (rc == RC_OK && base->tls && !u_r->tls) {
		(void)snprintf(why, FETCH_WHY_BYTES,
		    "it leads from https to http (%s)", u_r->host);
		url_free(u_r);
		rc = RC_INVALID;
	}
	return (rc);
}

void
url_free(struct url *u)
{
	free(u->text);
	free(u->origin);
	free(u->host);
	free(u->path);
	*u = (struct url){ .text = NULL };
}
