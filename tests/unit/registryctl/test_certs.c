#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/obj.h"
#include "registryctl/certs.h"

/* The certificates of "registryctl tls init", as a client would judge them. */
static char dir[] = "/tmp/test-certs-XXXXXX";
static char out[64];
static char why[CERTS_WHY_BYTES];

static const char *const files[] = { CERTS_CA, CERTS_CA_KEY, CERTS_SERVER,
	CERTS_SERVER_KEY };

static const char *
path_of(const char *name)
{
	static char path[192];

	(void)snprintf(path, sizeof(path), "%s/%s", out, name);
	return (path);
}

static enum rc
make(bool force, bool *ca_made_r)
{
	static const char *hosts[] = { "reg.example", "*.reg.example",
		"10.0.0.1", "fd00::1" };
	const struct certs_options o = {
		.dir = out,
		.hosts = hosts,
		.n_hosts = ARRAY_LEN(hosts),
		.days = 30,
		.force = force,
	};

	return (certs_make(&o, ca_made_r, why));
}

static X509 *
cert_of(const char *name)
{
	FILE *f = fopen(path_of(name), "re");
	X509 *cert;

	assert_non_null(f);
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	assert_non_null(cert);
	(void)fclose(f);
	return (cert);
}

static EVP_PKEY *
key_of(const char *name)
{
	FILE *f = fopen(path_of(name), "re");
	EVP_PKEY *key;

	assert_non_null(f);
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	assert_non_null(key);
	(void)fclose(f);
	return (key);
}

/* 1 when a client that trusts the authority takes the server for ${host}. */
static int
client_takes(const char *host, bool address)
{
	X509 *ca = cert_of(CERTS_CA), *cert = cert_of(CERTS_SERVER);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int ok;

	assert_int_equal(X509_STORE_add_cert(store, ca), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
	assert_int_equal(X509_STORE_CTX_set_default(ctx, "ssl_server"), 1);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	if (address)
		ok = X509_VERIFY_PARAM_set1_ip_asc(param, host);
	else
		ok = X509_VERIFY_PARAM_set1_host(param, host, 0);
	assert_int_equal(ok, 1);
	ok = X509_verify_cert(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(cert);
	X509_free(ca);
	return (ok);
}

static void
a_client_that_trusts_the_authority_takes_the_server(void **state)
{
	bool ca_made = false;

	(void)state;
	assert_int_equal(make(false, &ca_made), RC_OK);
	assert_true(ca_made);
	assert_int_equal(client_takes("reg.example", false), 1);
	assert_int_equal(client_takes("a.reg.example", false), 1);
	assert_int_equal(client_takes("10.0.0.1", true), 1);
	assert_int_equal(client_takes("fd00::1", true), 1);
	assert_int_equal(client_takes("other.example", false), 0);
	assert_int_equal(client_takes("10.0.0.2", true), 0);
}

static void
keys_are_p256_and_their_owners_alone(void **state)
{
	EVP_PKEY *key;
	X509 *cert;
	char group[32];
	struct stat st;
	bool ca_made;
	size_t i;

	(void)state;
	assert_int_equal(make(false, &ca_made), RC_OK);
	for (i = 0; i < ARRAY_LEN(files); i += 2) {
		cert = cert_of(files[i]);
		key = key_of(files[i + 1]);
		assert_int_equal(X509_check_private_key(cert, key), 1);
		assert_int_equal(
		    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL),
		    1);
		assert_string_equal(group, "prime256v1");
		X509_free(cert);
		EVP_PKEY_free(key);
		assert_int_equal(stat(path_of(files[i + 1]), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void
a_second_time_the_same_authority_signs(void **state)
{
	X509 *before, *after;
	bool ca_made;

	(void)state;
	assert_int_equal(make(false, &ca_made), RC_OK);
	before = cert_of(CERTS_CA);
	assert_int_equal(make(false, &ca_made), RC_EXISTS);
	assert_non_null(strstr(why, "--force"));
	assert_int_equal(make(true, &ca_made), RC_OK);
	assert_false(ca_made);
	after = cert_of(CERTS_CA);
	assert_int_equal(X509_cmp(before, after), 0);
	assert_int_equal(client_takes("reg.example", false), 1);
	X509_free(before);
	X509_free(after);
}

static void
half_an_authority_is_refused(void **state)
{
	bool ca_made;

	(void)state;
	assert_int_equal(make(false, &ca_made), RC_OK);
	assert_int_equal(unlink(path_of(CERTS_CA_KEY)), 0);
	assert_int_equal(make(true, &ca_made), RC_INVALID);
	assert_non_null(strstr(why, CERTS_CA_KEY));
}

static void
only_names_and_addresses_are_hosts(void **state)
{
	static const char *const good[] = { "a", "reg.example", "10.0.0.1",
		"::1", "*.example", "a-b.c0", "X.Y" };
	static const char *const bad[] = { "", "a b", "a,DNS:b", "-a", "a-",
		"a..b", "a.", "*", "a.*.b", "http://a", "a:5000", "[::1]",
		"a_b" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(good); i++)
		if (!certs_host_ok(good[i]))
			fail_msg("%s", good[i]);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (certs_host_ok(bad[i]))
			fail_msg("%s", bad[i]);
}

static void
a_folder_that_cannot_be_written_is_named(void **state)
{
	static const char *hosts[] = { "a" };
	const struct certs_options o = {
		.dir = "/proc/nowhere",
		.hosts = hosts,
		.n_hosts = 1,
		.days = 1,
	};
	bool ca_made;

	(void)state;
	assert_int_not_equal(certs_make(&o, &ca_made, why), RC_OK);
	assert_non_null(strstr(why, "/proc/nowhere"));
}

/* --- clients ------------------------------------------------------------- */

static enum rc
client(const char *name, bool force)
{
	const struct certs_client c = {
		.dir = out,
		.name = name,
		.days = 30,
		.force = force,
	};

	return (certs_client_make(&c, why));
}

static void
client_remove(const char *name)
{
	char file[96];

	(void)snprintf(file, sizeof(file), "client-%s.cert", name);
	(void)unlink(path_of(file));
	(void)snprintf(file, sizeof(file), "client-%s.key", name);
	(void)unlink(path_of(file));
}

/* 1 when a server that trusts the authority takes the client. */
static int
server_takes(const char *name)
{
	X509 *ca = cert_of(CERTS_CA), *cert = cert_of(name);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int ok;

	assert_int_equal(X509_STORE_add_cert(store, ca), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
	assert_int_equal(X509_STORE_CTX_set_default(ctx, "ssl_client"), 1);
	X509_VERIFY_PARAM_set_flags(
	    X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
	ok = X509_verify_cert(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(cert);
	X509_free(ca);
	return (ok);
}

static void
a_server_that_trusts_the_authority_takes_a_client_by_its_name(void **state)
{
	char name[80] = "";
	struct stat st;
	EVP_PKEY *key;
	X509 *cert;
	bool ca_made;

	(void)state;
	assert_int_equal(make(false, &ca_made), RC_OK);
	assert_int_equal(client("build@team", false), RC_OK);
	assert_int_equal(server_takes("client-build@team.cert"), 1);
	assert_int_equal(server_takes(CERTS_SERVER), 0);
	cert = cert_of("client-build@team.cert");
	assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
			NID_commonName, name, sizeof(name)) > 0);
	assert_string_equal(name, "build@team");
	key = key_of("client-build@team.key");
	assert_int_equal(X509_check_private_key(cert, key), 1);
	EVP_PKEY_free(key);
	X509_free(cert);
	assert_int_equal(stat(path_of("client-build@team.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(client("build@team", false), RC_EXISTS);
	assert_non_null(strstr(why, "--force"));
	assert_int_equal(client("build@team", true), RC_OK);
	client_remove("build@team");
}

static void
a_client_certificate_needs_an_authority_and_a_users_name(void **state)
{
	char longest[66];
	bool ca_made;

	(void)state;
	assert_int_equal(client("build", false), RC_NOTFOUND);
	assert_non_null(strstr(why, "tls init"));
	assert_int_equal(make(false, &ca_made), RC_OK);
	assert_int_equal(client("", false), RC_INVALID);
	assert_int_equal(client("a/b", false), RC_INVALID);
	assert_int_equal(client("a b", false), RC_INVALID);
	memset(longest, 'x', sizeof(longest));
	longest[65] = '\0';
	assert_int_equal(client(longest, false), RC_INVALID);
	longest[64] = '\0';
	assert_int_equal(client(longest, false), RC_OK);
	client_remove(longest);
}

static int
each_setup(void **state)
{
	(void)state;
	(void)snprintf(out, sizeof(out), "%s/tls", dir);
	return (0);
}

static int
each_teardown(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(files); i++)
		(void)unlink(path_of(files[i]));
	(void)rmdir(out);
	return (0);
}

static int
setup(void **state)
{
	(void)state;
	return (mkdtemp(dir) == NULL);
}

static int
teardown(void **state)
{
	(void)state;
	return (rmdir(dir));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each_setup, each_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_that_trusts_the_authority_takes_the_server),
		TEST(keys_are_p256_and_their_owners_alone),
		TEST(a_second_time_the_same_authority_signs),
		TEST(half_an_authority_is_refused),
		TEST(only_names_and_addresses_are_hosts),
		TEST(a_folder_that_cannot_be_written_is_named),
		TEST(
		    a_server_that_trusts_the_authority_takes_a_client_by_its_name),
		TEST(a_client_certificate_needs_an_authority_and_a_users_name),
	};

	return (cmocka_run_group_tests_name("certs", tests, setup, teardown));
}
