#include "registryd/settings_int.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/num.h"
#include "base/obj.h"
#include "registryd/net/addr.h"

/*
 * What no single text can tell: addresses, certificates, keys that need or
 * exclude each other.
 */
#define KEY(name) setting_find(SPAN(name))

/* --- addresses ----------------------------------------------------------- */

static bool
port_ok(struct span s)
{
	uint64_t port;

	return (num_u64(s, UINT16_MAX, &port) == RC_OK);
}

/* Is ${s} a numeric address of ${family}? */
static bool
ip_ok(int family, struct span s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr room;

	if (s.n == 0 || s.n >= sizeof(text))
		return (false);
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return (inet_pton(family, text, &room) == 1);
}

/* "ADDR:PORT" with a v4 address, "[ADDR]:PORT" with a v6 one. */
static bool
host_port_ok(const char *text)
{
	const char *colon = strrchr(text, ':');
	struct span host;

	if (colon == NULL || !port_ok(span_of(colon + 1)))
		return (false);
	host = (struct span){ text, (size_t)(colon - text) };
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		return (
		    ip_ok(AF_INET6, (struct span){ host.p + 1, host.n - 2 }));
	return (ip_ok(AF_INET, host));
}

static bool
socket_path_ok(const char *path)
{
	struct sockaddr_un sun;

	return (path[0] != '\0' && strlen(path) < sizeof(sun.sun_path));
}

/* Behind ${prefix}, or NULL if ${text} does not begin with it. */
static const char *
behind(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return (strncmp(text, prefix, n) == 0 ? text + n : NULL);
}

bool
setting_address(
    const char *text, const char **address_r, enum setting_scheme *scheme_r)
{
	static const struct {
		const char *prefix;
		enum setting_scheme scheme;
	} schemes[] = {
		{ "http://", SCHEME_HTTP },
		{ "https://", SCHEME_HTTPS },
		{ "mtls://", SCHEME_MTLS },
		{ "", SCHEME_UNSAID },
	};
	const char *rest = NULL;
	size_t i;

	for (i = 0; rest == NULL; i++) {
		rest = behind(text, schemes[i].prefix);
		*scheme_r = schemes[i].scheme;
	}
	*address_r = rest;
	if ((text = behind(rest, "unix:")) != NULL)
		return (socket_path_ok(text));
	return (host_port_ok(rest));
}

bool
setting_address_loopback(const char *address)
{
	return (strncmp(address, "127.", 4) == 0 ||
		strncmp(address, "[::1]", 5) == 0 ||
		strncmp(address, "unix:", 5) == 0);
}

static enum rc
listener_tls(struct settings_all *all, size_t key, const char *text,
    enum setting_scheme scheme, struct setting_listener *l,
    char why[SETTINGS_WHY_BYTES])
{
	const struct settings *s = &all->s;

	if (s->tls_cert[0] == '\0')
		return (settings_bad(all, key, text, why,
		    "an %s:// address needs tls.cert and tls.key",
		    scheme == SCHEME_MTLS ? "mtls" : "https"));
	if (scheme == SCHEME_MTLS && s->tls_client_ca[0] == '\0')
		return (settings_bad(all, key, text, why,
		    "an mtls:// address needs tls.client-ca"));
	l->tls = true;
	l->cert_file = s->tls_cert;
	l->key_file = s->tls_key;
	if (scheme == SCHEME_MTLS)
		l->client_ca_file = s->tls_client_ca;
	return (RC_OK);
}

static enum rc
listener_make(struct settings_all *all, size_t key, const char *text,
    struct setting_listener *l, char why[SETTINGS_WHY_BYTES])
{
	char allowed[SETTING_ALLOWED_BYTES];
	enum setting_scheme scheme;

	if (!setting_address(text, &l->address, &scheme))
		return (settings_bad(all, key, text, why, "must be %s",
		    setting_allowed(&setting_keys[key], allowed)));
	if (scheme == SCHEME_HTTP ||
	    (scheme == SCHEME_UNSAID && all->s.tls_cert[0] == '\0'))
		return (RC_OK);
	return (listener_tls(all, key, text, scheme, l, why));
}

/* The same address twice would fail at start with a worse message; port 0 is
 * another port each time. */
static enum rc
listener_twice(struct settings_all *all, size_t key, size_t n,
    char why[SETTINGS_WHY_BYTES])
{
	const struct setting_listener *l = all->s.listeners;
	size_t i, len = strlen(l[n].address);

	if (len > 2 && strcmp(l[n].address + len - 2, ":0") == 0)
		return (RC_OK);
	for (i = 0; i < n; i++)
		if (strcmp(l[i].address, l[n].address) == 0)
			return (settings_bad(
			    all, key, l[n].address, why, "is there twice"));
	return (RC_OK);
}

static enum rc
check_listeners(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	size_t i, key = KEY("listen");
	const struct setting_value *v = &all->values[key];
	struct settings *s = &all->s;
	enum rc rc;

	if (v->n == 0)
		return (settings_bad(
		    all, key, "", why, "needs at least one address"));
	s->listeners = arena_calloc(&all->arena, v->n, sizeof(*s->listeners));
	s->n_listeners = v->n;
	for (i = 0; i < v->n; i++) {
		rc =
		    listener_make(all, key, v->items[i], &s->listeners[i], why);
		if (rc == RC_OK)
			rc = listener_twice(all, key, i, why);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
check_metrics(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	const char *text = all->s.metrics_listen;

	if (text[0] == '\0' || strcmp(text, "off") == 0)
		return (RC_OK);
	return (listener_make(
	    all, KEY("metrics.listen"), text, &all->s.metrics, why));
}

static enum rc
check_proxies(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	size_t i, key = KEY("trusted-proxies");
	const struct setting_value *v = &all->values[key];
	char allowed[SETTING_ALLOWED_BYTES];
	struct settings *s = &all->s;
	struct cidr network;

	s->trusted_proxies =
	    arena_calloc(&all->arena, v->n + 1, sizeof(*s->trusted_proxies));
	s->n_trusted_proxies = v->n;
	for (i = 0; i < v->n; i++) {
		s->trusted_proxies[i] = span_of(v->items[i]);
		if (cidr_parse(s->trusted_proxies[i], &network) != RC_OK)
			return (settings_bad(all, key, v->items[i], why,
			    "must be %s",
			    setting_allowed(&setting_keys[key], allowed)));
	}
	return (RC_OK);
}

/* scheme "://" authority ["/"]; kept without the slash. */
static enum rc
check_url(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	size_t key = KEY("external-url");
	struct span s = span_of(all->s.external_url), host = s;
	char allowed[SETTING_ALLOWED_BYTES];

	if (s.n == 0)
		return (RC_OK);
	if (s.p[s.n - 1] == '/')
		s.n--;
	if (span_has_prefix(s, SPAN("http://")))
		host = (struct span){ s.p + 7, s.n - 7 };
	else if (span_has_prefix(s, SPAN("https://")))
		host = (struct span){ s.p + 8, s.n - 8 };
	else
		host.n = 0;
	if (host.n == 0 || strcspn(host.p, "/?#@\\ \t\r\n\"<>") < host.n)
		return (settings_bad(all, key, all->s.external_url, why,
		    "must be %s, without a path",
		    setting_allowed(&setting_keys[key], allowed)));
	all->s.external_url = arena_dup(&all->arena, s.p, s.n);
	return (RC_OK);
}

/* --- certificates -------------------------------------------------------- */

static const char *
tls_reason(void)
{
	unsigned long e, last = 0;
	const char *reason;

	while ((e = ERR_get_error()) != 0)
		if (last == 0 || ERR_SYSTEM_ERROR(e))
			last = e;
	if (ERR_SYSTEM_ERROR(last))
		return (strerror(ERR_GET_REASON(last)));
	reason = ERR_reason_error_string(last);
	return (reason != NULL ? reason : "not a PEM file");
}

static enum rc
pair_load(struct settings_all *all, SSL_CTX *ctx, char why[SETTINGS_WHY_BYTES])
{
	static char no_pass_phrase[] = "";
	const char *cert = all->s.tls_cert, *key = all->s.tls_key;

	/* Never ask for a pass phrase on the terminal. */
	SSL_CTX_set_default_passwd_cb_userdata(ctx, no_pass_phrase);
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return (settings_bad(all, KEY("tls.cert"), cert, why,
		    "cannot be used as a certificate: %s", tls_reason()));
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return (settings_bad(all, KEY("tls.key"), key, why,
		    "cannot be used as the private key of %s: %s", cert,
		    tls_reason()));
	return (RC_OK);
}

static enum rc
check_tls(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	const char *cert = all->s.tls_cert, *key = all->s.tls_key;
	SSL_CTX *ctx;
	enum rc rc;

	if (cert[0] == '\0' && key[0] == '\0')
		return (RC_OK);
	if (cert[0] == '\0')
		return (settings_bad(
		    all, KEY("tls.key"), key, why, "needs tls.cert beside it"));
	if (key[0] == '\0')
		return (settings_bad(all, KEY("tls.cert"), cert, why,
		    "needs tls.key beside it"));
	ctx = SSL_CTX_new(TLS_server_method());
	must(ctx != NULL);
	rc = pair_load(all, ctx, why);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return (rc);
}

static bool
authorities_load(const char *file)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509_NAME) *names = NULL;

	must(store != NULL);
	ERR_clear_error();
	if (X509_STORE_load_file(store, file) == 1)
		names = SSL_load_client_CA_file(file);
	X509_STORE_free(store);
	if (names == NULL)
		return (false);
	sk_X509_NAME_pop_free(names, X509_NAME_free);
	ERR_clear_error();
	return (true);
}

/* Whether the file of authorities can be used, and whether anybody does. */
static enum rc
check_client_ca(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	const char *file = all->s.tls_client_ca;
	bool used;
	size_t i;

	if (file[0] == '\0')
		return (RC_OK);
	if (!authorities_load(file))
		return (settings_bad(all, KEY("tls.client-ca"), file, why,
		    "cannot be used as certificates of authorities: %s",
		    tls_reason()));
	used = all->s.metrics.client_ca_file != NULL;
	for (i = 0; i < all->s.n_listeners; i++)
		used = used || all->s.listeners[i].client_ca_file != NULL;
	if (!used)
		settings_warn(all,
		    "tls.client-ca is set, but no address begins with mtls://: "
		    "no client is asked for a certificate");
	return (RC_OK);
}

/* --- the rest ------------------------------------------------------------ */

static enum rc
check_limits(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	size_t key = KEY("limits.uri-bytes");

	if (all->s.limits.uri_bytes > all->s.limits.header_bytes)
		return (settings_bad(all, key, all->values[key].items[0], why,
		    "must not be more than limits.header-bytes, which is %zu",
		    all->s.limits.header_bytes));
	return (RC_OK);
}

static enum rc
check_data(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	if (all->s.data[0] == '\0')
		return (settings_bad(
		    all, KEY("data"), "", why, "must be the path of a folder"));
	return (RC_OK);
}

enum rc
settings_check(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	static enum rc (*const checks[])(struct settings_all *, char *) = {
		check_data,
		check_tls,
		check_listeners,
		check_metrics,
		check_client_ca,
		check_proxies,
		check_url,
		check_limits,
		settings_check_lifecycle,
		settings_check_upstreams,
		settings_check_who,
	};
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; i < ARRAY_LEN(checks) && rc == RC_OK; i++)
		rc = checks[i](all, why);
	return (rc);
}
