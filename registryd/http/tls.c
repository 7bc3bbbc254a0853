#include "registryd/http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/obj.h"

#define TLS_MAGIC 0x546c7330u

struct tls_context {
	SSL_CTX *ctx;
	bool asks; /* for a certificate */
};

struct tls {
	unsigned magic;
	int fd;
	bool dry;   /* the last read of the socket gave all there was */
	bool heard; /* something has arrived */
	SSL *ssl;
	const char *failure;
	unsigned char *client_name; /* of OpenSSL's memory, or NULL */
	size_t n_client_name;
};

/*
 * The socket as OpenSSL sees it: never a SIGPIPE, and we get to know when the
 * socket has run dry, which saves a read that would find nothing.
 */
static int
socket_read(BIO *bio, char *p, int n)
{
	struct tls *t = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	got = recv(t->fd, p, (size_t)n, 0);
	t->dry = got < n;
	if (got > 0)
		t->heard = true;
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return ((int)got);
}

static int
socket_write(BIO *bio, const char *p, int n)
{
	struct tls *t = BIO_get_data(bio);
	ssize_t put;

	BIO_clear_retry_flags(bio);
	put = send(t->fd, p, (size_t)n, MSG_NOSIGNAL);
	if (put == -1 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return ((int)put);
}

static long
socket_ctrl(BIO *bio, int cmd, long n, void *p)
{
	(void)bio, (void)n, (void)p;
	return (cmd == BIO_CTRL_FLUSH ? 1 : 0);
}

static BIO_METHOD *socket_method;

static void
socket_method_init(void)
{
	socket_method =
	    BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
	must(socket_method != NULL);
	must(BIO_meth_set_read(socket_method, socket_read));
	must(BIO_meth_set_write(socket_method, socket_write));
	must(BIO_meth_set_ctrl(socket_method, socket_ctrl));
}

/* h2 and whatever else is offered: HTTP/1.1, or no agreement at all. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n_out,
    const unsigned char *in, unsigned n_in, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, n_out, ours, sizeof(ours) - 1, in,
		n_in) != OPENSSL_NPN_NEGOTIATED)
		return (SSL_TLSEXT_ERR_NOACK);
	*out = chosen;
	return (SSL_TLSEXT_ERR_OK);
}

/*
 * A ticket for whoever can use one.  In TLS 1.2 a client asks for it; in 1.3
 * OpenSSL would give two to everybody, although most clients of a registry
 * never resume a session.
 */
static int
on_hello(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *modes;
	size_t n;

	(void)arg;
	*alert = SSL_AD_INTERNAL_ERROR;
	if (SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_psk_kex_modes, &modes, &n) == 1)
		(void)SSL_set_num_tickets(ssl, 1);
	return (SSL_CLIENT_HELLO_SUCCESS);
}

static enum rc
complain(const char *file, const char *what, char *why, size_t n_why)
{
	unsigned long code = ERR_peek_error(); /* the first cause */
	const char *reason = ERR_reason_error_string(code);

	if (ERR_SYSTEM_ERROR(code))
		(void)snprintf(
		    why, n_why, "%s: %s", file, strerror(ERR_GET_REASON(code)));
	else
		(void)snprintf(why, n_why, "%s: not a usable %s (%s)", file,
		    what, reason != NULL ? reason : "no reason given");
	ERR_clear_error();
	return (RC_INVALID);
}

/* A server has nobody to ask for a passphrase. */
static int
no_passphrase(char *out, int n, int writing, void *arg)
{
	(void)writing, (void)arg;
	if (n > 0)
		out[0] = '\0';
	return (-1);
}

static void
configure(SSL_CTX *ctx)
{
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	must(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
					   SSL_OP_NO_COMPRESSION |
					   SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_session_id_context(
	    ctx, (const unsigned char *)"registryd", 9);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
					SSL_MODE_ENABLE_PARTIAL_WRITE |
					SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384:P-521");
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
}

static enum rc
use_pair(SSL_CTX *ctx, const struct tls_files *files, char *why, size_t n_why)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1)
		return (complain(files->cert, "certificate", why, n_why));
	if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) !=
		1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return (complain(files->key, "key for it", why, n_why));
	return (RC_OK);
}

/* No ticket, in either version: see tls.h. */
static enum rc
use_authorities(SSL_CTX *ctx, const char *file, char *why, size_t n_why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	STACK_OF(X509_NAME) *names = NULL;

	if (SSL_CTX_load_verify_file(ctx, file) == 1)
		names = SSL_load_client_CA_file(file);
	if (names == NULL)
		return (complain(
		    file, "file of certificates of authorities", why, n_why));
	/* An intermediate authority may stand there without its root. */
	must(X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(
	    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	return (RC_OK);
}

enum rc
tls_context_new(const struct tls_files *files, char *why, size_t n_why,
    struct tls_context **ctx_r)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tls_context *t;
	SSL_CTX *ctx;
	enum rc rc;

	must(pthread_once(&once, socket_method_init) == 0);
	ERR_clear_error();
	ctx = SSL_CTX_new(TLS_server_method());
	must(ctx != NULL);
	configure(ctx);
	if ((rc = use_pair(ctx, files, why, n_why)) != RC_OK)
		goto err;
	if (files->client_ca == NULL)
		SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	else
		rc = use_authorities(ctx, files->client_ca, why, n_why);
	if (rc != RC_OK)
		goto err;
	t = xcalloc(1, sizeof(*t));
	t->ctx = ctx;
	t->asks = files->client_ca != NULL;
	*ctx_r = t;
	return (RC_OK);

err:
	SSL_CTX_free(ctx);
	return (rc);
}

bool
tls_context_asks(const struct tls_context *t)
{
	return (t->asks);
}

void
tls_context_free(struct tls_context **tp)
{
	struct tls_context *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

struct tls *
tls_new(struct tls_context *ctx, int fd)
{
	struct tls *t;
	BIO *bio;

	bio = BIO_new(socket_method);
	if (bio == NULL)
		return (NULL);
	t = xcalloc(1, sizeof(*t));
	t->magic = TLS_MAGIC;
	t->fd = fd;
	t->ssl = SSL_new(ctx->ctx);
	if (t->ssl == NULL) {
		BIO_free(bio);
		free(t);
		ERR_clear_error();
		return (NULL);
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_accept_state(t->ssl);
	return (t);
}

void
tls_free(struct tls **tp)
{
	struct tls *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	OBJ_CHECK(t, TLS_MAGIC);
	SSL_free(t->ssl);
	OPENSSL_free(t->client_name);
	t->magic = 0;
	free(t);
}

/* What a call of OpenSSL that did not succeed means. */
static enum tls_result
result_of(struct tls *t, int ret)
{
	switch (SSL_get_error(t->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return (TLS_WANT_READ);
	case SSL_ERROR_WANT_WRITE:
		return (TLS_WANT_WRITE);
	case SSL_ERROR_SSL:
		return (TLS_FAILED);
	default:
		return (TLS_CLOSED);
	}
}

/* The one name (CN) of ${subject}, in OpenSSL's memory; NULL: none, several, or
 * not one that fits.  OpenSSL makes well-formed UTF-8 of whatever string it
 * is. */
static unsigned char *
common_name(const X509_NAME *subject, size_t *n_r)
{
	unsigned char *text;
	int first, n;

	first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (first < 0 ||
	    X509_NAME_get_index_by_NID(subject, NID_commonName, first) >= 0)
		return (NULL);
	n = ASN1_STRING_to_UTF8(&text,
	    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first)));
	if (n < 0)
		return (NULL);
	*n_r = (size_t)n;
	if (n > 0 && n <= TLS_CLIENT_NAME_MAX_BYTES &&
	    memchr(text, '\0', *n_r) == NULL)
		return (text);
	OPENSSL_free(text);
	return (NULL);
}

/* Only what OpenSSL has verified against the authorities counts. */
static void
note_client(struct tls *t)
{
	const X509 *cert = SSL_get0_peer_certificate(t->ssl);

	if (cert == NULL || t->client_name != NULL ||
	    SSL_get_verify_result(t->ssl) != X509_V_OK ||
	    (SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER) == 0)
		return;
	t->client_name =
	    common_name(X509_get_subject_name(cert), &t->n_client_name);
}

static void
note_failure(struct tls *t)
{
	long verified = SSL_get_verify_result(t->ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (verified != X509_V_OK)
		t->failure = X509_verify_cert_error_string(verified);
	else
		t->failure = reason != NULL ? reason : "no reason given";
}

enum tls_result
tls_handshake(struct tls *t)
{
	enum tls_result r;
	int ret, reason;

	OBJ_CHECK(t, TLS_MAGIC);
	ERR_clear_error();
	ret = SSL_do_handshake(t->ssl);
	if (ret == 1) {
		note_client(t);
		ERR_clear_error();
		return (TLS_OK);
	}
	r = result_of(t, ret);
	reason = ERR_GET_REASON(ERR_peek_error());
	if (r == TLS_FAILED && reason == SSL_R_HTTP_REQUEST)
		r = TLS_PLAIN;
	if (r == TLS_FAILED)
		note_failure(t);
	ERR_clear_error();
	return (r);
}

const char *
tls_failure(const struct tls *t)
{
	return (t->failure != NULL ? t->failure : "");
}

struct span
tls_client_name(const struct tls *t)
{
	if (t->client_name == NULL)
		return (SPAN_NONE);
	return ((struct span){ (char *)t->client_name, t->n_client_name });
}

enum tls_result
tls_read(struct tls *t, void *p, size_t n, size_t *n_r)
{
	enum tls_result r;
	int ret;

	OBJ_CHECK(t, TLS_MAGIC);
	ERR_clear_error();
	ret = SSL_read_ex(t->ssl, p, n, n_r);
	if (ret == 1)
		return (TLS_OK);
	r = result_of(t, ret);
	ERR_clear_error();
	return (r);
}

enum tls_result
tls_write(struct tls *t, const void *p, size_t n, size_t *n_r)
{
	enum tls_result r;
	int ret;

	OBJ_CHECK(t, TLS_MAGIC);
	ERR_clear_error();
	ret = SSL_write_ex(t->ssl, p, n, n_r);
	if (ret == 1)
		return (TLS_OK);
	r = result_of(t, ret);
	ERR_clear_error();
	return (r);
}

bool
tls_dry(const struct tls *t)
{
	return (t->dry && SSL_has_pending(t->ssl) == 0);
}

bool
tls_heard(const struct tls *t)
{
	return (t->heard);
}

void
tls_bye(struct tls *t)
{
	OBJ_CHECK(t, TLS_MAGIC);
	ERR_clear_error();
	/* Its answer is not waited for. */
	if (SSL_is_init_finished(t->ssl))
		(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}
