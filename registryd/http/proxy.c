#include "registryd/http/proxy.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "registryd/http/framing.h"
#include "registryd/http/token.h"

enum rc
proxies_init(
    struct proxies *p, const struct span *cidrs, size_t n, struct span *bad_r)
{
	size_t i;

	p->list = n > 0 ? xcalloc(n, sizeof(*p->list)) : NULL;
	p->n = n;
	for (i = 0; i < n; i++) {
		if (cidr_parse(cidrs[i], &p->list[i]) == RC_OK)
			continue;
		*bad_r = cidrs[i];
		proxies_free(p);
		return (RC_INVALID);
	}
	return (RC_OK);
}

void
proxies_free(struct proxies *p)
{
	free(p->list);
	*p = (struct proxies){ 0 };
}

bool
proxies_trust(const struct proxies *p, const struct addr *a)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (cidr_has(&p->list[i], a))
			return (true);
	}
	return (false);
}

/* "10.0.0.1", "10.0.0.1:80", "::1", "[::1]", "[::1]:80" */
static bool
forwarded_addr(struct span s, struct addr *a_r)
{
	const char *colon, *bracket;

	if (s.n > 0 && s.p[0] == '[') {
		bracket = memchr(s.p, ']', s.n);
		if (bracket == NULL)
			return (false);
		s = (struct span){ s.p + 1, (size_t)(bracket - s.p) - 1 };
	} else if (s.n > 0 && (colon = memchr(s.p, ':', s.n)) != NULL &&
		   memrchr(s.p, ':', s.n) == colon) {
		s.n = (size_t)(colon - s.p);
	}
	return (addr_parse(s, a_r) == RC_OK && a_r->kind != ADDR_UNIX);
}

/*
 * The lines are one list.  Read from the front, an address is dropped when a
 * later one turns out not to be one of ours; what cannot be read makes
 * everything before it worthless too.
 */
static bool
forwarded_for(const struct proxies *p, const struct http_request *rq,
    struct addr *client_r)
{
	struct span list, element;
	bool found = false;
	struct addr a;
	size_t i = 0;

	while ((list = http_request_next_header(rq, "X-Forwarded-For", &i)).p !=
	       NULL) {
		while (token_list(&list, &element)) {
			if (!forwarded_addr(element, &a)) {
				found = false;
			} else if (!found || !proxies_trust(p, &a)) {
				*client_r = a;
				found = true;
			}
		}
	}
	return (found);
}

static struct span
first_of(const struct http_request *rq, const char *name)
{
	struct span list, element;

	list = http_request_header(rq, name);
	if (list.p == NULL || !token_list(&list, &element))
		return (SPAN_NONE);
	return (element);
}

void
proxy_apply(const struct proxies *p, const struct addr *peer,
    struct http_request *rq, char client[ADDR_TEXT_BYTES])
{
	struct addr a;
	struct span s;

	if (p->n == 0 || !proxies_trust(p, peer))
		return;
	/* That one is the proxy's, who speaks for others. */
	rq->client_certificate = SPAN_NONE;
	if (forwarded_for(p, rq, &a))
		rq->client = span_of(addr_text(&a, client));
	s = first_of(rq, "X-Forwarded-Host");
	if (s.p != NULL && framing_host_ok(s))
		rq->host = s;
	s = first_of(rq, "X-Forwarded-Proto");
	if (s.p != NULL && span_eq_nocase(s, SPAN("https")))
		rq->tls = true;
	else if (s.p != NULL && span_eq_nocase(s, SPAN("http")))
		rq->tls = false;
}
