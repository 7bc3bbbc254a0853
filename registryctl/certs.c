#include "registryctl/certs.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/obj.h"

#define CA_DAYS 3650
/* Clocks of others may be behind ours. */
#define SKEW_S (-3600L)
#define DAY_S 86400L
#define SERIAL_BYTES 16
#define NAME_MAX_BYTES 253
#define LABEL_MAX_BYTES 63
/* As long as a common name may be (RFC 5280, ub-common-name). */
#define USER_MAX_BYTES 64
#define USER_CHARS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@" \
	"-"

static enum rc __attribute__((format(printf, 3, 4)))
fail(char *why, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, CERTS_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

/* --- hosts --------------------------------------------------------------- */

static bool
is_address(const char *host)
{
	struct in6_addr room;

	return (inet_pton(AF_INET, host, &room) == 1 ||
		inet_pton(AF_INET6, host, &room) == 1);
}

/* RFC 1123: letters, digits and hyphens, those not at the ends. */
static bool
label_ok(const char *p, size_t n)
{
	size_t i;

	if (n == 0 || n > LABEL_MAX_BYTES || p[0] == '-' || p[n - 1] == '-')
		return (false);
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && p[i] != '-')
			return (false);
	return (true);
}

bool
certs_host_ok(const char *host)
{
	size_t n;

	if (is_address(host))
		return (true);
	if (strlen(host) > NAME_MAX_BYTES)
		return (false);
	if (strncmp(host, "*.", 2) == 0)
		host += 2;
	for (;;) {
		n = strcspn(host, ".");
		if (!label_ok(host, n))
			return (false);
		if (host[n] == '\0')
			return (true);
		host += n + 1;
	}
}

bool
certs_user_ok(const char *name)
{
	size_t n = strlen(name);

	return (n >= 1 && n <= USER_MAX_BYTES && strspn(name, USER_CHARS) == n);
}

/* --- what a certificate says --------------------------------------------- */

/* All of these fail only when memory is gone. */

static void
extension_add(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, ctx, nid, value);

	must(e != NULL);
	must(X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static GENERAL_NAME *
host_name(const char *host)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text;

	must(name != NULL);
	if (is_address(host)) {
		GENERAL_NAME_set0_value(name, GEN_IPADD, a2i_IPADDRESS(host));
		return (name);
	}
	text = ASN1_IA5STRING_new();
	must(text != NULL && ASN1_STRING_set(text, host, -1) == 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	return (name);
}

static void
hosts_add(X509 *cert, const struct certs_options *o)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	size_t i;

	must(names != NULL);
	for (i = 0; i < o->n_hosts; i++)
		must(sk_GENERAL_NAME_push(names, host_name(o->hosts[i])) > 0);
	must(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0,
		 X509V3_ADD_DEFAULT) == 1);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

static void
name_set(X509 *cert, const char *common_name)
{
	X509_NAME *name = X509_get_subject_name(cert);

	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
		 (const unsigned char *)common_name, -1, -1, 0) == 1);
}

static void
serial_set(X509 *cert)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *n;

	must(RAND_bytes(bytes, sizeof(bytes)) == 1);
	bytes[0] = (unsigned char)((bytes[0] & 0x3fu) | 0x40u);
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	must(n != NULL);
	must(BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL);
	BN_free(n);
}

static X509 *
cert_begin(EVP_PKEY *key, unsigned days, const char *common_name)
{
	X509 *cert = X509_new();

	must(cert != NULL);
	must(X509_set_version(cert, X509_VERSION_3) == 1);
	serial_set(cert);
	must(X509_gmtime_adj(X509_getm_notBefore(cert), SKEW_S) != NULL);
	must(X509_gmtime_adj(X509_getm_notAfter(cert), (long)days * DAY_S) !=
	     NULL);
	must(X509_set_pubkey(cert, key) == 1);
	name_set(cert, common_name);
	return (cert);
}

static EVP_PKEY *
key_make(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	must(key != NULL);
	return (key);
}

static X509 *
ca_make(EVP_PKEY *key)
{
	X509 *ca = cert_begin(key, CA_DAYS, "registryd certificate authority");
	X509V3_CTX ctx;

	must(X509_set_issuer_name(ca, X509_get_subject_name(ca)) == 1);
	X509V3_set_ctx(&ctx, ca, ca, NULL, NULL, 0);
	extension_add(
	    ca, &ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	extension_add(ca, &ctx, NID_key_usage, "critical,keyCertSign,cRLSign");
	extension_add(ca, &ctx, NID_subject_key_identifier, "hash");
	must(X509_sign(ca, key, EVP_sha256()) > 0);
	return (ca);
}

/* All that server and client certificates share. */
static X509 *
leaf_begin(EVP_PKEY *key, X509 *ca, unsigned days, const char *common_name,
    const char *usage)
{
	X509 *cert = cert_begin(key, days, common_name);
	X509V3_CTX ctx;

	must(X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1);
	X509V3_set_ctx(&ctx, ca, cert, NULL, NULL, 0);
	extension_add(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE");
	extension_add(cert, &ctx, NID_key_usage, "critical,digitalSignature");
	extension_add(cert, &ctx, NID_ext_key_usage, usage);
	extension_add(cert, &ctx, NID_subject_key_identifier, "hash");
	extension_add(cert, &ctx, NID_authority_key_identifier, "keyid");
	return (cert);
}

static X509 *
server_make(
    EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const struct certs_options *o)
{
	X509 *cert = leaf_begin(key, ca, o->days, "registryd", "serverAuth");

	hosts_add(cert, o);
	must(X509_sign(cert, ca_key, EVP_sha256()) > 0);
	return (cert);
}

static X509 *
client_make(
    EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *name, unsigned days)
{
	X509 *cert = leaf_begin(key, ca, days, name, "clientAuth");

	must(X509_sign(cert, ca_key, EVP_sha256()) > 0);
	return (cert);
}

/* --- files --------------------------------------------------------------- */

static bool
file_there(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return (there);
}

/* All of it or the old one: through a name of its own. */
static enum rc
bytes_write(const char *path, mode_t mode, BIO *bytes, char *why)
{
	char *fresh = xasprintf("%s.new", path), *p;
	long n = BIO_get_mem_data(bytes, &p);
	ssize_t done = 0;
	int err = 0, fd;

	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd == -1 || fchmod(fd, mode) == -1 ||
	    (done = write(fd, p, (size_t)n)) == -1 || fsync(fd) == -1)
		err = errno;
	else if (done != n)
		err = ENOSPC;
	else if (rename(fresh, path) == -1)
		err = errno;
	if (err != 0)
		(void)unlink(fresh);
	if (fd != -1)
		(void)close(fd);
	free(fresh);
	if (err != 0)
		return (fail(why, rc_of_errno(err), "cannot write %.300s: %s",
		    path, strerror(err)));
	return (RC_OK);
}

static enum rc
cert_write(const char *dir, const char *name, X509 *cert, char *why)
{
	char *path = xasprintf("%s/%s", dir, name);
	BIO *bytes = BIO_new(BIO_s_mem());
	enum rc rc;

	must(bytes != NULL && PEM_write_bio_X509(bytes, cert) == 1);
	rc = bytes_write(path, 0644, bytes, why);
	BIO_free(bytes);
	free(path);
	return (rc);
}

static enum rc
key_write(const char *dir, const char *name, EVP_PKEY *key, char *why)
{
	char *path = xasprintf("%s/%s", dir, name);
	BIO *bytes = BIO_new(BIO_s_secmem());
	enum rc rc;

	must(bytes != NULL && PEM_write_bio_PrivateKey(
				  bytes, key, NULL, NULL, 0, NULL, NULL) == 1);
	rc = bytes_write(path, 0600, bytes, why);
	BIO_free(bytes);
	free(path);
	return (rc);
}

static FILE *
file_open(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "re");

	free(path);
	return (f);
}

static X509 *
cert_read(const char *dir, const char *name)
{
	FILE *f = file_open(dir, name);
	X509 *cert = NULL;

	if (f != NULL) {
		cert = PEM_read_X509(f, NULL, NULL, NULL);
		(void)fclose(f);
	}
	return (cert);
}

static EVP_PKEY *
key_read(const char *dir, const char *name)
{
	FILE *f = file_open(dir, name);
	EVP_PKEY *key = NULL;

	if (f != NULL) {
		key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
		(void)fclose(f);
	}
	return (key);
}

/* --- the authority ------------------------------------------------------- */

struct authority {
	EVP_PKEY *key;
	X509 *cert;
};

static void
authority_free(struct authority *a)
{
	EVP_PKEY_free(a->key);
	X509_free(a->cert);
	*a = (struct authority){ 0 };
}

static enum rc
authority_make(const char *dir, struct authority *a, char *why)
{
	enum rc rc;

	a->key = key_make();
	a->cert = ca_make(a->key);
	if ((rc = key_write(dir, CERTS_CA_KEY, a->key, why)) != RC_OK)
		return (rc);
	return (cert_write(dir, CERTS_CA, a->cert, why));
}

static enum rc
authority_read(const char *dir, struct authority *a, char *why)
{
	ERR_clear_error();
	a->cert = cert_read(dir, CERTS_CA);
	a->key = key_read(dir, CERTS_CA_KEY);
	if (a->cert == NULL || a->key == NULL ||
	    X509_check_private_key(a->cert, a->key) != 1) {
		ERR_clear_error();
		return (fail(why, RC_INVALID,
		    "%.300s: " CERTS_CA " and " CERTS_CA_KEY
		    " cannot be read, or do not belong together; move both "
		    "away to get new ones",
		    dir));
	}
	if (X509_cmp_current_time(X509_get0_notAfter(a->cert)) <= 0)
		return (fail(why, RC_INVALID,
		    "%.300s/" CERTS_CA " has expired; move it and " CERTS_CA_KEY
		    " away to get new ones",
		    dir));
	return (RC_OK);
}

/* --- all ----------------------------------------------------------------- */

static enum rc
options_check(const struct certs_options *o, char *why)
{
	size_t i;

	for (i = 0; i < o->n_hosts; i++)
		if (!certs_host_ok(o->hosts[i]))
			return (fail(why, RC_INVALID,
			    "\"%.300s\" is neither a host name nor an IP "
			    "address",
			    o->hosts[i]));
	if (!o->force && (file_there(o->dir, CERTS_SERVER) ||
			     file_there(o->dir, CERTS_SERVER_KEY)))
		return (fail(why, RC_EXISTS,
		    "%.300s holds a server certificate already; --force "
		    "replaces it",
		    o->dir));
	return (RC_OK);
}

static enum rc
server_write(const struct certs_options *o, struct authority *a, char *why)
{
	EVP_PKEY *key = key_make();
	X509 *cert = server_make(key, a->cert, a->key, o);
	enum rc rc;

	rc = key_write(o->dir, CERTS_SERVER_KEY, key, why);
	if (rc == RC_OK)
		rc = cert_write(o->dir, CERTS_SERVER, cert, why);
	X509_free(cert);
	EVP_PKEY_free(key);
	return (rc);
}

enum rc
certs_make(
    const struct certs_options *o, bool *ca_made_r, char why[CERTS_WHY_BYTES])
{
	struct authority a = { 0 };
	enum rc rc;

	if ((rc = options_check(o, why)) != RC_OK)
		return (rc);
	if (mkdir(o->dir, 0755) == -1 && errno != EEXIST)
		return (fail(why, rc_of_errno(errno),
		    "cannot create %.300s: %s", o->dir, strerror(errno)));
	*ca_made_r =
	    !file_there(o->dir, CERTS_CA) && !file_there(o->dir, CERTS_CA_KEY);
	rc = *ca_made_r ? authority_make(o->dir, &a, why)
			: authority_read(o->dir, &a, why);
	if (rc == RC_OK)
		rc = server_write(o, &a, why);
	authority_free(&a);
	return (rc);
}

/* --- clients ------------------------------------------------------------- */

static enum rc
client_write(const struct certs_client *o, struct authority *a,
    const char *cert_name, const char *key_name, char *why)
{
	EVP_PKEY *key = key_make();
	X509 *cert = client_make(key, a->cert, a->key, o->name, o->days);
	enum rc rc;

	rc = key_write(o->dir, key_name, key, why);
	if (rc == RC_OK)
		rc = cert_write(o->dir, cert_name, cert, why);
	X509_free(cert);
	EVP_PKEY_free(key);
	return (rc);
}

static enum rc
client_check(const struct certs_client *o, const char *cert_name,
    const char *key_name, char *why)
{
	if (!certs_user_ok(o->name))
		return (fail(why, RC_INVALID,
		    "\"%.300s\" is not the name of a user: 1 to %d letters, "
		    "digits and _+=,.@- are one",
		    o->name, USER_MAX_BYTES));
	if (!file_there(o->dir, CERTS_CA) && !file_there(o->dir, CERTS_CA_KEY))
		return (fail(why, RC_NOTFOUND,
		    "there is no authority in %.300s: make one with "
		    "\"registryctl tls init\", or name its folder with --out",
		    o->dir));
	if (!o->force &&
	    (file_there(o->dir, cert_name) || file_there(o->dir, key_name)))
		return (fail(why, RC_EXISTS,
		    "%.300s holds a certificate for %.64s already; --force "
		    "replaces it",
		    o->dir, o->name));
	return (RC_OK);
}

enum rc
certs_client_make(const struct certs_client *o, char why[CERTS_WHY_BYTES])
{
	char *cert_name = xasprintf("client-%s.cert", o->name);
	char *key_name = xasprintf("client-%s.key", o->name);
	struct authority a = { 0 };
	enum rc rc;

	rc = client_check(o, cert_name, key_name, why);
	if (rc == RC_OK)
		rc = authority_read(o->dir, &a, why);
	if (rc == RC_OK)
		rc = client_write(o, &a, cert_name, key_name, why);
	authority_free(&a);
	free(cert_name);
	free(key_name);
	return (rc);
}
