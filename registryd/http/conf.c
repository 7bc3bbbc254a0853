#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryd/http/conn_int.h"

#define PAGE_BYTES ((size_t)4096)

/* Room for the head and what a client usually sends right behind it. */
static size_t
msg_bytes(const struct http_limits *l)
{
	size_t n;

	n = sizeof(struct msg) + l->headers * sizeof(struct http_header) +
	    l->header_bytes;
	return ((n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
}

static void
conf_free(struct conf *c)
{
	size_t i;

	for (i = 0; i < c->n_listeners; i++)
		tls_context_free(&c->tls[i]);
	free(c->tls);
	proxies_free(&c->proxies);
	free(c);
}

static enum rc
load_certificates(struct conf *c, const struct http_server_config *config,
    char why[HTTP_WHY_BYTES])
{
	const struct http_listener_config *l;
	struct tls_files files;
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; i < config->n_listeners && rc == RC_OK; i++) {
		l = &config->listeners[i];
		files = (struct tls_files){ l->cert_file, l->key_file,
			l->client_ca_file };
		if (l->tls)
			rc = tls_context_new(
			    &files, why, HTTP_WHY_BYTES, &c->tls[i]);
	}
	return (rc);
}

enum rc
conf_new(const struct http_server_config *config, char why[HTTP_WHY_BYTES],
    struct conf **conf_r)
{
	struct conf *c = xcalloc(1, sizeof(*c));
	struct span bad;
	enum rc rc;

	atomic_init(&c->references, 1);
	c->limits = config->limits;
	c->n_listeners = config->n_listeners;
	c->tls = xcalloc(c->n_listeners + 1, sizeof(struct tls_context *));
	c->msg_bytes = msg_bytes(&c->limits);
	rc = proxies_init(&c->proxies, config->trusted_proxies,
	    config->n_trusted_proxies, &bad);
	if (rc != RC_OK) {
		(void)snprintf(why, HTTP_WHY_BYTES,
		    "\"" SPAN_FMT "\" is not an address or network",
		    SPAN_ARG(bad));
		goto err;
	}
	if ((rc = load_certificates(c, config, why)) != RC_OK)
		goto err;
	*conf_r = c;
	return (RC_OK);

err:
	conf_free(c);
	return (rc);
}

struct conf *
conf_use(struct conf *c)
{
	atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
	return (c);
}

void
conf_drop(struct conf **cp)
{
	struct conf *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	if (atomic_fetch_sub_explicit(
		&c->references, 1, memory_order_acq_rel) == 1)
		conf_free(c);
}
