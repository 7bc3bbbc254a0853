#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/obj.h"
#include "registryd/settings.h"
#include "registryd/settings_int.h"

/*
 * Settings: each layer, each kind of value, what is said of a wrong one, and
 * that table, sample file and documentation say the same.
 *
 * Run from the top of the source tree.  UPDATE_DOCS=1 writes the list of keys
 * into docs/configuration.md instead of comparing it.
 */
static char dir[] = "/tmp/test-settings-XXXXXX";
static char why[SETTINGS_WHY_BYTES];

/* --- helpers ------------------------------------------------------------- */

static const char *
path_of(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return (path);
}

static const char *
file_make(const char *name, const char *text)
{
	const char *path = path_of(name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return (path);
}

static char *
file_read(const char *path)
{
	struct buf b;
	size_t n;
	int c;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		fail_msg("%s: run from the top of the source tree", path);
	buf_init(&b, 1 << 20);
	while ((c = fgetc(f)) != EOF)
		buf_char(&b, (char)c);
	assert_int_equal(fclose(f), 0);
	return (buf_take(&b, &n));
}

static enum rc
load(const char *yaml, struct settings **s_r)
{
	struct settings_flags flags = { 0 };

	*s_r = NULL;
	why[0] = '\0';
	if (yaml != NULL)
		flags.config_file = file_make("registryd.yml", yaml);
	return (settings_load(&flags, why, s_r));
}

static struct settings *
load_ok(const char *yaml)
{
	struct settings *s;

	if (load(yaml, &s) != RC_OK)
		fail_msg("%s", why);
	return (s);
}

/* The file is refused with words that say ${expected}. */
static void
assert_refused(const char *yaml, const char *expected)
{
	struct settings *s;

	assert_int_equal(load(yaml, &s), RC_INVALID);
	assert_null(s);
	if (strstr(why, expected) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, expected);
}

static bool
warned(const struct settings *s, const char *what)
{
	size_t i;

	for (i = 0; i < s->n_warnings; i++)
		if (strstr(s->warnings[i], what) != NULL)
			return (true);
	return (false);
}

/* A key and a certificate that it signed itself. */
static void
pair_make(const char *cert_name, const char *key_name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	FILE *f;

	assert_non_null(key);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_non_null(f = fopen(path_of(cert_name), "we"));
	assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(fclose(f), 0);
	assert_non_null(f = fopen(path_of(key_name), "we"));
	assert_int_equal(
	    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* --- layers -------------------------------------------------------------- */

static void
without_anything_the_defaults_hold(void **state)
{
	struct settings *s = load_ok(NULL);

	(void)state;
	assert_string_equal(s->data, "./data");
	assert_int_equal(s->n_listeners, 1);
	assert_string_equal(s->listeners[0].address, "127.0.0.1:5000");
	assert_false(s->listeners[0].tls);
	assert_int_equal(s->limits.header_bytes, 16 * 1024);
	assert_int_equal(s->limits.headers, 100);
	assert_int_equal(s->limits.uri_bytes, 8 * 1024);
	assert_int_equal(s->manifest_bytes, 4 << 20);
	assert_true(s->upload_bytes == (uint64_t)52000 << 20);
	assert_int_equal(s->limits.upload_buffers, 32);
	assert_int_equal(s->limits.idle_ms, 75000);
	assert_int_equal(s->shutdown_ms, 10000);
	assert_int_equal(s->upload_lifetime_ms, 24 * 3600 * 1000);
	assert_int_equal(s->sparse, SPARSE_NONE);
	assert_int_equal(s->log_level, LOG_LVL_INFO);
	settings_unref(&s);
	assert_null(s);
}

static void
without_anything_users_are_asked_for_as_by_ecr(void **state)
{
	struct settings *s = load_ok(NULL);

	(void)state;
	assert_int_equal(s->auth, AUTH_TOKEN);
	assert_false(s->create_on_push);
	assert_string_equal(s->account_id, "000000000000");
	assert_string_equal(s->region, "us-east-1");
	assert_string_equal(s->repository_uri_format, "{host}");
	assert_string_equal(s->master_key_file, "./data/master.key");
	assert_int_equal(s->token_lifetime_ms, 12 * 3600 * 1000);
	assert_true(s->token_refresh_ms == (int64_t)30 * 24 * 3600 * 1000);
	assert_int_equal(s->token_challenge, CHALLENGE_BASIC);
	assert_false(s->sigv4_region_strict);
	assert_string_equal(s->htpasswd_file, "");
	assert_int_equal(s->n_htpasswd_policies, 1);
	assert_string_equal(
	    s->htpasswd_policies[0], "AmazonEC2ContainerRegistryPowerUser");
	assert_string_equal(s->tls_client_ca, "");
	/* The master key in the data folder is all there is to complain of. */
	assert_int_equal(s->n_warnings, 1);
	settings_unref(&s);
}

static void
without_anything_the_quotas_are_those_of_ecr_and_rates_are_off(void **state)
{
	static const struct rate_limits off;
	struct settings *s = load_ok(NULL);
	const struct quotas *q = &s->quotas;

	(void)state;
	assert_int_equal(q->repositories, 100000);
	assert_int_equal(q->images, 100000);
	assert_int_equal(q->tags, 1000);
	assert_int_equal(q->layer_parts, 4200);
	assert_int_equal(q->layer_part_bytes, 5 << 20);
	assert_int_equal(q->cache_rules, 50);
	assert_int_equal(q->creation_templates, 50);
	assert_int_equal(q->pull_exclusions, 100);
	assert_int_equal(q->scans, 1);
	assert_int_equal(q->lifecycle_rules, 50);
	assert_int_equal(q->replication_rules, 10);
	assert_int_equal(q->replication_destinations, 25);
	assert_int_equal(q->signing_rules, 10);
	assert_memory_equal(&s->rates, &off, sizeof(off));
	assert_int_equal(s->download_lifetime_ms, 3600 * 1000);
	settings_unref(&s);
}

static void
each_quota_and_rate_reaches_its_field(void **state)
{
	struct settings *s = load_ok(
	    "quotas: {repositories: 1, images-per-repository: 2, "
	    "tags-per-image: 3, layer-parts: 4, layer-part-bytes: 5, "
	    "cache-rules: 6, creation-templates: 7, pull-exclusions: 8, "
	    "scans-per-image: 9, lifecycle-rules: 10, replication-rules: 6, "
	    "replication-destinations: 12, signing-rules: 7}\n"
	    "rates: {authorization-token: 1, check-layers: 2, get-image: 3, "
	    "download-url: 4, initiate-upload: 5, upload-part: 6, "
	    "complete-upload: 7, put-image: 8}\n"
	    "download: {lifetime: 7d}\n");
	const struct quotas *q = &s->quotas;
	const struct rate_limits *r = &s->rates;

	(void)state;
	assert_int_equal(q->repositories, 1);
	assert_int_equal(q->images, 2);
	assert_int_equal(q->tags, 3);
	assert_int_equal(q->layer_parts, 4);
	assert_int_equal(q->layer_part_bytes, 5);
	assert_int_equal(q->cache_rules, 6);
	assert_int_equal(q->creation_templates, 7);
	assert_int_equal(q->pull_exclusions, 8);
	assert_int_equal(q->scans, 9);
	assert_int_equal(q->lifecycle_rules, 10);
	assert_int_equal(q->replication_rules, 6);
	assert_int_equal(q->replication_destinations, 12);
	assert_int_equal(q->signing_rules, 7);
	assert_int_equal(r->authorization_token, 1);
	assert_int_equal(r->check_layers, 2);
	assert_int_equal(r->get_image, 3);
	assert_int_equal(r->download_url, 4);
	assert_int_equal(r->initiate_upload, 5);
	assert_int_equal(r->upload_part, 6);
	assert_int_equal(r->complete_upload, 7);
	assert_int_equal(r->put_image, 8);
	assert_int_equal(s->download_lifetime_ms, 7 * 24 * 3600 * 1000);
	settings_unref(&s);
}

static void
a_quota_of_zero_is_none_and_a_url_that_lives_for_ever_is_refused(void **state)
{
	struct settings *s =
	    load_ok("quotas: {repositories: 0, layer-part-bytes: 0}\n"
		    "limits: {upload-bytes: 0}\n");

	(void)state;
	assert_int_equal(s->quotas.repositories, 0);
	assert_int_equal(s->quotas.layer_part_bytes, 0);
	assert_int_equal(s->upload_bytes, 0);
	settings_unref(&s);
	assert_refused("quotas: {repositories: -1}\n",
	    "must be a number from 1 to 1000000000, or 0");
	assert_refused("quotas: {layer-part-bytes: 21MiB}\n",
	    "must be a size from 1 to 20MiB, or 0");
	assert_refused("rates: {put-image: 10/s}\n", "rates.put-image");
	assert_refused("download: {lifetime: 0}\n", "from 1s to 7d");
	assert_refused("download: {lifetime: 8d}\n", "from 1s to 7d");
	assert_refused("quotas: {pull-exclusion: 5}\n",
	    "did you mean \"quotas.pull-exclusions\"?");
}

/* --- what goes ----------------------------------------------------------- */

static void
without_anything_what_nobody_needs_goes_as_the_documents_say(void **state)
{
	struct settings *s = load_ok(NULL);
	const struct lifecycle_settings *l = &s->lifecycle;

	(void)state;
	assert_int_equal(s->gc_grace_ms, 3600 * 1000);
	assert_int_equal(l->interval_ms, 24 * 3600 * 1000);
	assert_int_equal(l->jitter_ms, 24 * 360 * 1000);
	assert_false(l->windowed);
	assert_int_equal(l->rate, 500);
	assert_false(l->extensions);
	assert_int_equal(l->undelete_ms, 0);
	assert_string_equal(s->archive_dir, "");
	assert_string_equal(s->audit_log, "./data/audit.log");
	settings_unref(&s);
}

static void
each_key_of_what_goes_reaches_its_field(void **state)
{
	struct settings *s =
	    load_ok("gc: {grace: 5m}\n"
		    "lifecycle: {interval: 1h, jitter: 30s, window: "
		    "\"22:30-04:05\", rate: 7, extensions: true, "
		    "undelete-window: 3d}\n"
		    "archive: {dir: /slow}\n"
		    "audit-log: stderr\n");
	const struct lifecycle_settings *l = &s->lifecycle;

	(void)state;
	assert_int_equal(s->gc_grace_ms, 300 * 1000);
	assert_int_equal(l->interval_ms, 3600 * 1000);
	assert_int_equal(l->jitter_ms, 30 * 1000);
	assert_true(l->windowed);
	assert_int_equal(l->window_from, 22 * 60 + 30);
	assert_int_equal(l->window_to, 4 * 60 + 5);
	assert_int_equal(l->rate, 7);
	assert_true(l->extensions);
	assert_int_equal(l->undelete_ms, 3 * 24 * 3600 * 1000);
	assert_string_equal(s->archive_dir, "/slow");
	assert_string_equal(s->audit_log, AUDIT_LOG_STDERR);
	assert_false(warned(s, "gc.grace"));
	settings_unref(&s);
}

static void
a_grace_of_zero_is_warned_of(void **state)
{
	struct settings *s = load_ok("gc: {grace: 0}\n");

	(void)state;
	assert_int_equal(s->gc_grace_ms, 0);
	assert_true(warned(s, "gc.grace is 0"));
	settings_unref(&s);
	assert_refused("gc: {grace: 31d}\n", "from 1s to 30d, or 0");
	assert_refused("gc: {grace: 500ms}\n", "from 1s to 30d, or 0");
}

static void
a_window_is_parsed_strictly(void **state)
{
	static const char *const wrong[] = { "1:00-05:00", "01:00-5:00",
		"01:00", "01:00-", "-01:00", "01:00-24:00", "01:60-02:00",
		"01:00 - 02:00", "01:00-02:00-03:00", "01.00-02.00",
		"+1:00-02:00", "01:00-02:00:00", "always" };
	char yaml[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		(void)snprintf(yaml, sizeof(yaml),
		    "lifecycle: {window: \"%s\"}\n", wrong[i]);
		assert_refused(yaml, "HH:MM-HH:MM from 00:00 to 23:59");
	}
	assert_refused(
	    "lifecycle: {window: \"05:00-05:00\"}\n", "ends when it begins");
}

static void
jitter_is_at_most_the_interval(void **state)
{
	struct settings *s = load_ok("lifecycle: {interval: 1h, jitter: 1h}\n");

	(void)state;
	assert_int_equal(s->lifecycle.jitter_ms, 3600 * 1000);
	settings_unref(&s);
	s = load_ok("lifecycle: {jitter: 0}\n");
	assert_int_equal(s->lifecycle.jitter_ms, 0);
	settings_unref(&s);
	/* Without an interval it does not matter. */
	s = load_ok("lifecycle: {interval: 0, jitter: 1h}\n");
	settings_unref(&s);
	assert_refused("lifecycle: {interval: 1h, jitter: 61m}\n",
	    "a duration of at most lifecycle.interval");
	assert_refused("lifecycle: {jitter: much}\n", "lifecycle.jitter");
}

static void
a_reload_changes_what_goes_but_not_where_the_archive_is(void **state)
{
	struct settings_flags flags = { .config_file = file_make("r.yml", "") };
	struct settings *s, *now = load_ok(NULL);

	(void)state;
	(void)file_make("r.yml",
	    "gc: {grace: 2h}\nlifecycle: {interval: 2h, window: "
	    "\"01:00-02:00\", undelete-window: 1h}\n"
	    "archive: {dir: /slow}\naudit-log: /var/log/audit\n");
	assert_int_equal(settings_reload(now, &flags, why, &s), RC_OK);
	assert_int_equal(s->gc_grace_ms, 7200 * 1000);
	assert_int_equal(s->lifecycle.interval_ms, 7200 * 1000);
	assert_true(s->lifecycle.windowed);
	assert_int_equal(s->lifecycle.undelete_ms, 3600 * 1000);
	assert_string_equal(s->audit_log, "/var/log/audit");
	assert_string_equal(s->archive_dir, "");
	assert_true(warned(s, "archive.dir has changed"));
	settings_unref(&s);
	settings_unref(&now);
}

/* --- layers, one over the other ------------------------------------------ */

static void
flags_win_over_environment_over_file_over_defaults(void **state)
{
	const char *listen[] = { "127.0.0.1:3", "unix:/run/r.sock" };
	struct settings_flags flags = {
		.config_file = file_make("layers.yml",
		    "data: /of/file\nlisten: 127.0.0.1:1\n"
		    "limits: {headers: 50, connections: 7}\n"),
		.listen = listen,
		.n_listen = 2,
	};
	struct settings *s;

	(void)state;
	(void)setenv("REGISTRYD_LISTEN", "127.0.0.1:2", 1);
	(void)setenv("REGISTRYD_LIMITS_HEADERS", "60", 1);
	assert_int_equal(settings_load(&flags, why, &s), RC_OK);
	(void)unsetenv("REGISTRYD_LISTEN");
	(void)unsetenv("REGISTRYD_LIMITS_HEADERS");
	assert_int_equal(s->n_listeners, 2);
	assert_string_equal(s->listeners[0].address, "127.0.0.1:3");
	assert_string_equal(s->listeners[1].address, "unix:/run/r.sock");
	assert_int_equal(s->limits.headers, 60);
	assert_int_equal(s->limits.connections, 7);
	assert_string_equal(s->data, "/of/file");
	settings_unref(&s);
}

static void
a_list_in_the_environment_is_written_with_commas(void **state)
{
	struct settings *s;

	(void)state;
	(void)setenv("REGISTRYD_TRUSTED_PROXIES", "10.0.0.0/8, ::1", 1);
	s = load_ok(NULL);
	(void)unsetenv("REGISTRYD_TRUSTED_PROXIES");
	assert_int_equal(s->n_trusted_proxies, 2);
	assert_true(span_is(s->trusted_proxies[1], "::1"));
	settings_unref(&s);
}

static void
an_unknown_variable_is_a_warning_only(void **state)
{
	struct settings *s;

	(void)state;
	(void)setenv("REGISTRYD_PORT", "tcp://10.0.0.1:5000", 1);
	s = load_ok(NULL);
	(void)unsetenv("REGISTRYD_PORT");
	assert_true(warned(s, "REGISTRYD_PORT"));
	settings_unref(&s);
}

static void
variables_of_keys_are_distinct(void **state)
{
	char a[SETTING_ENV_BYTES], b[SETTING_ENV_BYTES];
	size_t i, j;

	(void)state;
	for (i = 0; i < SETTING_KEYS; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(
			    setting_env_name(&setting_keys[i], a),
			    setting_env_name(&setting_keys[j], b));
}

static void
a_wrong_value_is_named_with_its_key_and_origin(void **state)
{
	struct settings_flags flags = { .log_level = "loud" };
	struct settings *s;

	(void)state;
	assert_int_equal(settings_load(&flags, why, &s), RC_INVALID);
	assert_string_equal(why,
	    "log.level: \"loud\" (the flag --log-level): must be debug, info, "
	    "warn or error");
	(void)setenv("REGISTRYD_UPLOAD_BUFFERS", "1", 1);
	assert_int_equal(load(NULL, &s), RC_INVALID);
	(void)unsetenv("REGISTRYD_UPLOAD_BUFFERS");
	assert_string_equal(why,
	    "upload.buffers: \"1\" (the environment variable "
	    "REGISTRYD_UPLOAD_BUFFERS): must be a number from 2 to 65536");
	assert_refused(
	    "\nlimits:\n  connections: many\n", "limits.connections: \"many\"");
	assert_refused("\nlimits:\n  connections: many\n", "line 3)");
}

/* --- the file ------------------------------------------------------------ */

static void
an_empty_file_says_nothing(void **state)
{
	static const char *const texts[] = { "", "\n", "# only this\n", "---\n",
		"{}\n", "limits:\nlisten:\ndata:\n" };
	struct settings *s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		s = load_ok(texts[i]);
		assert_string_equal(s->data, "./data");
		settings_unref(&s);
	}
}

static void
an_unknown_key_is_refused_with_its_line_and_the_nearest(void **state)
{
	(void)state;
	assert_refused("data: x\nlimits:\n  conections: 5\n",
	    "line 3: unknown key \"limits.conections\"; did you mean "
	    "\"limits.connections\"?");
	assert_refused("shutdown_timeout: 5s\n", "\"shutdown-timeout\"?");
	assert_refused(
	    "connections: 5\n", "did you mean \"limits.connections\"?");
	assert_refused("limits.connections: 5\n", "nesting");
	assert_refused("zzz: 5\n", "line 1: unknown key \"zzz\"");
}

static void
a_list_may_be_one_word(void **state)
{
	static const char *const texts[] = { "listen: '[::1]:1'\n",
		"listen: ['[::1]:1']\n", "listen:\n  - '[::1]:1'\n" };
	struct settings *s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		s = load_ok(texts[i]);
		assert_int_equal(s->n_listeners, 1);
		assert_string_equal(s->listeners[0].address, "[::1]:1");
		settings_unref(&s);
	}
}

static void
what_is_not_a_mapping_of_keys_is_refused(void **state)
{
	(void)state;
	assert_refused("data: a\n---\ndata: b\n", "second document");
	assert_refused("data: a\ndata: b\n", "already seen: data");
	assert_refused("just words\n", "MAPPING");
	assert_refused("- data\n", "MAPPING");
	assert_refused("limits: 5\n", "limits");
	assert_refused("data: [a, b]\n", "data");
	assert_refused("data: {a: b}\n", "data");
	assert_refused("data: \"a\n", "not valid YAML: found unexpected end");
	assert_refused("tls:\n\tcert: a\n", "not valid YAML");
	assert_refused("data: &a b\nauth: *a\n", "alias");
	assert_refused("? [data]\n: b\n", "a key must be a word");
	assert_refused("listen: [[a]]\n", "listen");
}

static void
a_file_that_cannot_be_read_is_named(void **state)
{
	struct settings_flags flags = { .config_file = path_of("nowhere") };
	struct settings *s;

	(void)state;
	assert_int_equal(settings_load(&flags, why, &s), RC_IO);
	assert_non_null(strstr(why, flags.config_file));
	assert_non_null(strstr(why, "No such file"));
}

/* --- values -------------------------------------------------------------- */

static void
values_are_parsed_strictly(void **state)
{
	static const char *const wrong[] = { "012", "0x10", "1e3", "-1", "+1",
		"12abc", "1 000", "1.0", "99999999999999999999", "0" };
	static const char *const sizes[] = { "1KB", "1 KiB", "1kib", "KiB",
		"-1", "1.5MiB", "1MiB2", "10B" };
	static const char *const times[] = { "5", "1.5s", "s", "5 s", "5sec",
		"-5s", "0", "2d" };
	char yaml[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		(void)snprintf(yaml, sizeof(yaml),
		    "limits: {connections: '%s'}\n", wrong[i]);
		assert_refused(yaml, "must be a number from 1 to 10000000");
	}
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		(void)snprintf(yaml, sizeof(yaml),
		    "limits: {manifest-bytes: '%s'}\n", sizes[i]);
		assert_refused(yaml, "must be a size from 16KiB to 64MiB");
	}
	for (i = 0; i < ARRAY_LEN(times); i++) {
		(void)snprintf(
		    yaml, sizeof(yaml), "timeouts: {idle: '%s'}\n", times[i]);
		assert_refused(yaml, "must be a duration from 1s to 1d");
	}
	assert_refused("repositories: {create-on-push: yes}\n",
	    "must be auto, true or false");
	assert_refused("manifests: {sparse: All}\n", "none, index or all");
}

static void
values_reach_their_fields(void **state)
{
	struct settings *s =
	    load_ok("limits:\n  upload-bytes: 2TiB\n  uri-bytes: 512\n"
		    "  connections-per-address: 0\n"
		    "timeouts: {header: 500ms}\n"
		    "storage: {reserve: 1GiB, inline-bytes: 0}\n"
		    "manifests: {sparse: all}\n"
		    "repositories: {create-on-push: false}\n"
		    "log: {format: json}\naccess-log: json\n"
		    "external-url: https://registry.example.com/\n"
		    "metrics: {listen: 'http://127.0.0.1:9090'}\n");

	(void)state;
	assert_true(s->upload_bytes == (uint64_t)2 << 40);
	assert_int_equal(s->limits.uri_bytes, 512);
	assert_int_equal(s->limits.connections_per_address, 0);
	assert_int_equal(s->limits.header_ms, 500);
	assert_true(s->reserve_bytes == (uint64_t)1 << 30);
	assert_int_equal(s->inline_bytes, 0);
	assert_int_equal(s->sparse, SPARSE_ALL);
	assert_false(s->create_on_push);
	assert_int_equal(s->log_format, LOG_FMT_JSON);
	assert_int_equal(s->access_log, ACCESS_LOG_JSON);
	assert_string_equal(s->external_url, "https://registry.example.com");
	assert_string_equal(s->metrics.address, "127.0.0.1:9090");
	settings_unref(&s);
}

static void
addresses_of_all_kinds_are_understood(void **state)
{
	static const char *const wrong[] = { "5000", ":5000", "localhost:5000",
		"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:05",
		"::1:5000x", "[::1]", "[127.0.0.1]:1", "[]:1",
		"unix:", "ftp://127.0.0.1:1", "mtls://", "MTLS://127.0.0.1:1",
		"mtls://https://127.0.0.1:1", "http://", "127.0.0.1:5000/" };
	enum setting_scheme scheme;
	const char *address;
	size_t i;

	(void)state;
	assert_true(setting_address("0.0.0.0:0", &address, &scheme));
	assert_int_equal(scheme, SCHEME_UNSAID);
	assert_true(setting_address("https://[::]:443", &address, &scheme));
	assert_string_equal(address, "[::]:443");
	assert_int_equal(scheme, SCHEME_HTTPS);
	assert_true(setting_address("http://unix:/a", &address, &scheme));
	assert_string_equal(address, "unix:/a");
	assert_int_equal(scheme, SCHEME_HTTP);
	assert_true(setting_address("mtls://127.0.0.1:1", &address, &scheme));
	assert_string_equal(address, "127.0.0.1:1");
	assert_int_equal(scheme, SCHEME_MTLS);
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		if (setting_address(wrong[i], &address, &scheme))
			fail_msg("%s is taken", wrong[i]);
}

static void
lists_and_keys_that_belong_together_are_checked(void **state)
{
	(void)state;
	assert_refused("listen: []\n", "needs at least one address");
	assert_refused("listen: [127.0.0.1:1, http://127.0.0.1:1]\n", "twice");
	assert_refused("listen: https://127.0.0.1:1\n", "tls.cert");
	assert_refused("trusted-proxies: [10.0.0.1/8]\n", "10.0.0.1/8");
	assert_refused("trusted-proxies: proxy.example\n", "10.0.0.0/8");
	assert_refused("external-url: registry.example.com\n", "http://HOST");
	assert_refused("external-url: https://a/b\n", "without a path");
	assert_refused("limits: {uri-bytes: 32KiB}\n", "limits.header-bytes");
	assert_refused("tls: {cert: a}\n", "needs tls.key");
	assert_refused("tls: {key: a}\n", "needs tls.cert");
	assert_refused("auth: basic\n", "must be none or token");
	assert_refused("data: ''\nlimits: {headers: 1}\n", "limits.headers");
}

static void
open_doors_are_warned_of(void **state)
{
	struct settings *s =
	    load_ok("auth: none\nlisten: [0.0.0.0:1, 127.0.0.1:2]\n");

	(void)state;
	assert_int_equal(s->n_warnings, 2);
	assert_true(warned(s, "auth is none: everybody may do everything"));
	assert_true(warned(s, "DANGER: auth is none, and 0.0.0.0:1"));
	settings_unref(&s);
	s = load_ok("auth: none\nlisten: ['[::1]:1', unix:/a]\n");
	assert_int_equal(s->n_warnings, 1);
	assert_true(warned(s, "auth is none: everybody may do everything"));
	settings_unref(&s);
}

static void
credentials_in_the_clear_are_warned_of(void **state)
{
	struct settings *s =
	    load_ok("data: /d\nmaster-key-file: /k\n"
		    "listen: [0.0.0.0:1, 127.0.0.1:2, unix:/a]\n");

	(void)state;
	assert_int_equal(s->n_warnings, 1);
	assert_true(warned(s, "0.0.0.0:1 speaks plain HTTP"));
	settings_unref(&s);
	s = load_ok("data: /d\nmaster-key-file: /k\nlisten: 0.0.0.0:1\n"
		    "trusted-proxies: 10.0.0.1\n");
	assert_int_equal(s->n_warnings, 0);
	settings_unref(&s);
}

/* --- who ----------------------------------------------------------------- */

static void
identity_keys_reach_their_fields(void **state)
{
	char yaml[1024];
	struct settings *s;

	(void)state;
	(void)snprintf(yaml, sizeof(yaml),
	    "account-id: 012345678901\nregion: eu-north-1\n"
	    "repository-uri-format: "
	    "'{account}.dkr.ecr.{region}.example.com:5000/x'\n"
	    "master-key-file: /keys/k\n"
	    "token: {lifetime: 1s, refresh-lifetime: 365d, "
	    "challenge: bearer}\n"
	    "sigv4: {region: strict}\n"
	    "htpasswd: {file: %s, policies: [A, 'b+=.@-_9']}\n",
	    file_make("htpasswd", "u:$2y$05$x\n"));
	s = load_ok(yaml);
	assert_string_equal(s->account_id, "012345678901");
	assert_string_equal(s->region, "eu-north-1");
	assert_string_equal(s->repository_uri_format,
	    "{account}.dkr.ecr.{region}.example.com:5000/x");
	assert_string_equal(s->master_key_file, "/keys/k");
	assert_int_equal(s->token_lifetime_ms, 1000);
	assert_true(s->token_refresh_ms == (int64_t)365 * 24 * 3600 * 1000);
	assert_int_equal(s->token_challenge, CHALLENGE_BEARER);
	assert_true(s->sigv4_region_strict);
	assert_string_equal(s->htpasswd_file, path_of("htpasswd"));
	assert_int_equal(s->n_htpasswd_policies, 2);
	assert_string_equal(s->htpasswd_policies[1], "b+=.@-_9");
	settings_unref(&s);
	(void)setenv("REGISTRYD_TOKEN_REFRESH_LIFETIME", "1m", 1);
	(void)setenv("REGISTRYD_HTPASSWD_POLICIES", "", 1);
	s = load_ok(NULL);
	(void)unsetenv("REGISTRYD_TOKEN_REFRESH_LIFETIME");
	(void)unsetenv("REGISTRYD_HTPASSWD_POLICIES");
	assert_int_equal(s->token_refresh_ms, 60000);
	assert_int_equal(s->n_htpasswd_policies, 0);
	settings_unref(&s);
}

/* Each of ${values} is refused for ${key}, which ${allowed} is said of. */
static void
assert_all_refused(
    const char *key, const char *const *values, size_t n, const char *allowed)
{
	const char *dot = strchr(key, '.');
	char yaml[512];
	size_t i;

	for (i = 0; i < n; i++) {
		if (dot == NULL)
			(void)snprintf(
			    yaml, sizeof(yaml), "%s: '%s'\n", key, values[i]);
		else
			(void)snprintf(yaml, sizeof(yaml), "%.*s: {%s: '%s'}\n",
			    (int)(dot - key), key, dot + 1, values[i]);
		assert_refused(yaml, key);
		assert_refused(yaml, allowed);
	}
}

static void
identity_keys_are_parsed_strictly(void **state)
{
	static const char *const accounts[] = { "1", "12345678901",
		"1234567890123", "12345678901a", " 12345678901",
		"-12345678901" };
	static const char *const regions[] = { "a", "us_east_1", "US-EAST-1",
		"us east", "abcdefghijklmnopqrstuvwxyz" };
	static const char *const formats[] = { "{host", "{}", "{name}",
		"https://{host}", "{host}/", "/{host}", "{host}//a", "{host} x",
		"{Host}", "a}b", "{host}?a", "host\\x" };
	static const char *const lives[] = { "999ms", "13h", "0", "43201s",
		"12" };
	static const char *const refreshes[] = { "59s", "366d", "0" };
	static const char *const challenges[] = { "Basic", "digest" };
	static const char *const sigv4[] = { "true", "Any" };
	static const char *const policies[] = { "a/b", "a b", "arn:aws:x",
		"p\xc3\xb6" };

	(void)state;
#define REFUSED(key, values, allowed) \
	assert_all_refused(key, values, ARRAY_LEN(values), allowed)
	REFUSED("account-id", accounts, "must be 12 digits");
	REFUSED("region", regions, "must be 2 to 25 of a-z, 0-9 and -");
	REFUSED("repository-uri-format", formats, "must be HOST[:PORT][/PATH]");
	REFUSED("token.lifetime", lives, "must be a duration from 1s to 12h");
	REFUSED("token.refresh-lifetime", refreshes,
	    "must be a duration from 1m to 365d");
	REFUSED("token.challenge", challenges, "must be basic or bearer");
	REFUSED("sigv4.region", sigv4, "must be any or strict");
	REFUSED("htpasswd.policies", policies, "must be names of policies");
#undef REFUSED
	(void)setenv("REGISTRYD_ACCOUNT_ID", "", 1);
	assert_refused("region: eu-west-1\n", "must be 12 digits");
	(void)unsetenv("REGISTRYD_ACCOUNT_ID");
}

static void
an_htpasswd_file_must_be_there(void **state)
{
	char yaml[256];

	(void)state;
	(void)snprintf(yaml, sizeof(yaml), "htpasswd: {file: %s}\n",
	    path_of("no-htpasswd"));
	assert_refused(yaml, "cannot be read: No such file");
	(void)snprintf(yaml, sizeof(yaml), "htpasswd: {file: %s}\n", dir);
	assert_refused(yaml, "is not a file");
}

static void
a_push_creates_repositories_by_itself_only_without_auth(void **state)
{
	static const struct {
		const char *yaml;
		bool creates;
	} cases[] = {
		{ "auth: none\n", true },
		{ "auth: token\n", false },
		{ "auth: none\nrepositories: {create-on-push: false}\n",
		    false },
		{ "auth: token\nrepositories: {create-on-push: true}\n", true },
		{ "auth: none\nrepositories: {create-on-push: auto}\n", true },
		{ "auth: token\nrepositories: {create-on-push: auto}\n",
		    false },
	};
	struct settings *s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		s = load_ok(cases[i].yaml);
		assert_int_equal(s->create_on_push, cases[i].creates);
		settings_unref(&s);
	}
}

static void
assert_key_warned(const char *yaml, bool expected)
{
	struct settings *s = load_ok(yaml);

	if (warned(s, "lies in the data folder") != expected)
		fail_msg("%s: %s", yaml, s->master_key_file);
	settings_unref(&s);
}

static void
a_master_key_in_the_data_folder_is_warned_of(void **state)
{
	char yaml[512];

	(void)state;
	assert_key_warned("data: /d\n", true);
	assert_key_warned("data: /d/\nmaster-key-file: /d/k\n", true);
	assert_key_warned("data: /d\nmaster-key-file: /d/keys/k\n", true);
	assert_key_warned("data: /\nmaster-key-file: /k\n", true);
	assert_key_warned("data: /d\nmaster-key-file: /k\n", false);
	assert_key_warned("data: /d\nmaster-key-file: /d2/k\n", false);
	assert_key_warned("data: /d\nauth: none\n", false);
	/* By another way. */
	assert_int_equal(symlink(dir, path_of("link")), 0);
	(void)snprintf(yaml, sizeof(yaml), "data: %s\nmaster-key-file: %s/k\n",
	    dir, path_of("link"));
	assert_key_warned(yaml, true);
	(void)snprintf(yaml, sizeof(yaml),
	    "data: %s/sub\nmaster-key-file: %s/k\n", dir, dir);
	assert_key_warned(yaml, false);
	assert_int_equal(unlink(path_of("link")), 0);
}

static void
a_master_key_in_the_environment_is_never_shown(void **state)
{
	static const char key[] = "5ec2e75ec2e75ec2e7";
	struct settings *s;

	(void)state;
	(void)setenv("REGISTRYD_MASTER_KEY", key, 1);
	s = load_ok("data: /d\n");
	assert_int_equal(s->n_warnings, 0);
	settings_unref(&s);
	(void)setenv("REGISTRYD_MASTER_KEYS", key, 1);
	s = load_ok("data: /d\n");
	assert_true(warned(s, "REGISTRYD_MASTER_KEYS is ignored"));
	assert_false(warned(s, key));
	settings_unref(&s);
	(void)unsetenv("REGISTRYD_MASTER_KEYS");
	/* An empty one is none. */
	(void)setenv("REGISTRYD_MASTER_KEY", "", 1);
	s = load_ok("data: /d\n");
	assert_true(warned(s, "lies in the data folder"));
	settings_unref(&s);
	(void)unsetenv("REGISTRYD_MASTER_KEY");
}

/* --- certificates -------------------------------------------------------- */

static void
tls_flags(struct settings_flags *flags)
{
	*flags = (struct settings_flags){
		.tls_cert = path_of("cert.pem"),
		.tls_key = path_of("key.pem"),
	};
}

static void
listeners_follow_the_certificate_unless_they_say(void **state)
{
	static const char *listen[] = { "127.0.0.1:1", "http://127.0.0.1:2",
		"https://unix:/a", "unix:/b" };
	struct settings_flags flags;
	struct settings *s;

	(void)state;
	pair_make("cert.pem", "key.pem");
	tls_flags(&flags);
	flags.listen = listen;
	flags.n_listen = ARRAY_LEN(listen);
	assert_int_equal(settings_load(&flags, why, &s), RC_OK);
	assert_true(s->listeners[0].tls);
	assert_string_equal(s->listeners[0].cert_file, flags.tls_cert);
	assert_false(s->listeners[1].tls);
	assert_null(s->listeners[1].cert_file);
	assert_true(s->listeners[2].tls);
	assert_true(s->listeners[3].tls);
	settings_unref(&s);
}

static void
a_pair_that_does_not_fit_is_refused(void **state)
{
	struct settings_flags flags;
	struct settings *s;

	(void)state;
	pair_make("cert.pem", "other.pem");
	pair_make("other.pem", "key.pem");
	tls_flags(&flags);
	assert_int_equal(settings_load(&flags, why, &s), RC_INVALID);
	assert_non_null(strstr(why, "tls.key"));
	flags.tls_key = path_of("nowhere");
	assert_int_equal(settings_load(&flags, why, &s), RC_INVALID);
	assert_non_null(strstr(why, "No such file"));
	flags.tls_cert = file_make("text.pem", "hello\n");
	assert_int_equal(settings_load(&flags, why, &s), RC_INVALID);
	assert_non_null(strstr(why, "tls.cert"));
}

static struct settings *
mtls_load(const char *client_ca, const char *listen)
{
	struct settings_flags flags;
	struct settings *s;
	char yaml[256];

	(void)snprintf(yaml, sizeof(yaml), "tls: {client-ca: %s}\n", client_ca);
	tls_flags(&flags);
	flags.config_file = file_make("registryd.yml", yaml);
	flags.listen = &listen;
	flags.n_listen = 1;
	if (settings_load(&flags, why, &s) != RC_OK)
		return (NULL);
	return (s);
}

static void
an_mtls_address_takes_the_authorities_of_clients(void **state)
{
	struct settings *s;

	(void)state;
	pair_make("cert.pem", "key.pem");
	pair_make("ca.pem", "other.pem");
	s = mtls_load(path_of("ca.pem"), "mtls://127.0.0.1:1");
	assert_non_null(s);
	assert_true(s->listeners[0].tls);
	assert_string_equal(s->listeners[0].address, "127.0.0.1:1");
	assert_string_equal(s->listeners[0].cert_file, path_of("cert.pem"));
	assert_string_equal(s->listeners[0].client_ca_file, path_of("ca.pem"));
	assert_false(warned(s, "tls.client-ca"));
	settings_unref(&s);
	s = mtls_load(path_of("ca.pem"), "https://127.0.0.1:1");
	assert_non_null(s);
	assert_null(s->listeners[0].client_ca_file);
	assert_true(warned(s, "tls.client-ca is set, but no address"));
	settings_unref(&s);
}

static void
an_mtls_address_needs_certificates_on_both_sides(void **state)
{
	(void)state;
	pair_make("cert.pem", "key.pem");
	assert_refused("listen: mtls://127.0.0.1:1\n", "needs tls.cert");
	assert_null(mtls_load("''", "mtls://127.0.0.1:1"));
	assert_non_null(strstr(why, "listen: \"mtls://127.0.0.1:1\""));
	assert_non_null(strstr(why, "needs tls.client-ca"));
	assert_null(mtls_load(path_of("nowhere"), "mtls://127.0.0.1:1"));
	assert_non_null(strstr(why, "tls.client-ca"));
	assert_non_null(strstr(why, "No such file"));
	assert_null(
	    mtls_load(file_make("text.pem", "hello\n"), "mtls://127.0.0.1:1"));
	assert_non_null(strstr(why, "cannot be used as certificates"));
	assert_null(mtls_load(path_of("key.pem"), "mtls://127.0.0.1:1"));
	assert_non_null(strstr(why, "cannot be used as certificates"));
}

/* --- reload -------------------------------------------------------------- */

static void
a_reload_changes_what_it_can_and_tells_the_rest(void **state)
{
	struct settings_flags flags = { .config_file = path_of("r.yml") };
	struct settings *s, *fresh;

	(void)state;
	(void)file_make(
	    "r.yml", "data: /a\nmaster-key-file: /k\ntimeouts: {idle: 5s}\n");
	assert_int_equal(settings_load(&flags, why, &s), RC_OK);
	(void)file_make(
	    "r.yml", "data: /b\nmaster-key-file: /k\ntimeouts: {idle: 6s}\n");
	assert_int_equal(settings_reload(s, &flags, why, &fresh), RC_OK);
	settings_unref(&s);
	assert_string_equal(fresh->data, "/a");
	assert_int_equal(fresh->limits.idle_ms, 6000);
	assert_int_equal(fresh->n_warnings, 1);
	assert_true(warned(fresh, "data"));
	settings_unref(&fresh);
}

static void
a_reload_does_not_change_who_the_registry_is(void **state)
{
	struct settings_flags flags = { .config_file = path_of("r.yml") };
	struct settings *s, *fresh;

	(void)state;
	(void)file_make("r.yml", "data: /a\nmaster-key-file: /k\n");
	assert_int_equal(settings_load(&flags, why, &s), RC_OK);
	(void)file_make("r.yml",
	    "data: /a\nauth: none\naccount-id: 111111111111\n"
	    "region: eu-west-1\nmaster-key-file: /k2\n"
	    "token: {lifetime: 1h}\n");
	assert_int_equal(settings_reload(s, &flags, why, &fresh), RC_OK);
	settings_unref(&s);
	assert_int_equal(fresh->auth, AUTH_TOKEN);
	assert_false(fresh->create_on_push);
	assert_string_equal(fresh->account_id, "000000000000");
	assert_string_equal(fresh->region, "us-east-1");
	assert_string_equal(fresh->master_key_file, "/k");
	assert_int_equal(fresh->token_lifetime_ms, 3600000);
	assert_true(warned(fresh, "auth has changed"));
	assert_true(warned(fresh, "account-id has changed"));
	assert_true(warned(fresh, "region has changed"));
	assert_true(warned(fresh, "master-key-file has changed"));
	assert_int_equal(fresh->n_warnings, 4);
	settings_unref(&fresh);
}

static void
a_reload_does_not_change_what_a_listener_speaks(void **state)
{
	struct settings_flags none = { 0 }, flags;
	struct settings *s, *fresh;

	(void)state;
	pair_make("cert.pem", "key.pem");
	tls_flags(&flags);
	assert_int_equal(settings_load(&none, why, &s), RC_OK);
	assert_int_equal(settings_reload(s, &flags, why, &fresh), RC_OK);
	assert_false(fresh->listeners[0].tls);
	assert_true(warned(fresh, "tls.cert"));
	settings_unref(&fresh);
	settings_unref(&s);
	assert_int_equal(settings_load(&flags, why, &s), RC_OK);
	assert_int_equal(settings_reload(s, &none, why, &fresh), RC_INVALID);
	assert_non_null(strstr(why, "tls.cert"));
	settings_unref(&s);
}

static void
a_snapshot_lives_as_long_as_somebody_holds_it(void **state)
{
	struct settings *s = load_ok("data: /held\n"), *second;

	(void)state;
	second = settings_ref(s);
	settings_unref(&s);
	assert_string_equal(second->data, "/held");
	settings_unref(&second);
	settings_unref(&second);
}

/* --- what is written about it -------------------------------------------- */

static void
each_default_is_allowed_and_each_key_described(void **state)
{
	char allowed[SETTING_ALLOWED_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < SETTING_KEYS; i++) {
		assert_non_null(setting_keys[i].help);
		assert_true(strlen(setting_allowed(&setting_keys[i], allowed)));
		assert_int_equal(
		    setting_find(span_of(setting_keys[i].name)), i);
	}
}

/* "#key:" is a key that is commented out, "# word" a comment. */
static char *
uncomment(const char *text)
{
	struct span rest = span_of(text), line;
	struct buf out;
	size_t n;

	buf_init(&out, 1 << 20);
	while (span_split(&rest, '\n', &line)) {
		if (line.n > 1 && line.p[0] == '#' &&
		    (line.p[1] != ' ' || span_has_prefix(line, SPAN("#  ")))) {
			line.p++;
			line.n--;
		}
		buf_span(&out, line);
		buf_char(&out, '\n');
	}
	return (buf_take(&out, &n));
}

static bool
sample_differs(const char *key)
{
	return (strcmp(key, "data") == 0 ||
		strcmp(key, "master-key-file") == 0 ||
		strncmp(key, "tls.", 4) == 0);
}

/* "" and [] in the sample are what an unset key is. */
static const char *
value_text(const struct setting_value *v)
{
	return (v->n > 0 ? v->items[0] : "");
}

static void
the_sample_shows_every_key_with_its_default(void **state)
{
	struct setting_value values[SETTING_KEYS] = { 0 };
	struct setting_entries tables[SETTING_TABLES] = { 0 };
	char *sample = file_read("configs/registryd.yml");
	char *text = uncomment(sample), name[64];
	const struct setting_key *key;
	const char *last;
	struct arena a;
	size_t i;

	(void)state;
	arena_init(&a, SIZE_MAX);
	if (settings_file_read(
		file_make("all.yml", text), &a, values, tables, why) != RC_OK)
		fail_msg("%s", why);
	for (i = 0; i < SETTING_KEYS; i++) {
		key = &setting_keys[i];
		last = strrchr(key->name, '.');
		(void)snprintf(name, sizeof(name),
		    "%s:", last != NULL ? last + 1 : key->name);
		if (strstr(text, name) == NULL)
			fail_msg("%s is not in the sample", key->name);
		if (!sample_differs(key->name) &&
		    strcmp(value_text(&values[i]), key->preset) != 0)
			fail_msg("%s is \"%s\" in the sample, \"%s\" in truth",
			    key->name, value_text(&values[i]), key->preset);
	}
	for (i = 0; i < SETTING_TABLES; i++)
		if (tables[i].n == 0)
			fail_msg(
			    "%s is not in the sample", setting_tables[i].name);
	arena_reset(&a);
	free(text);
	free(sample);
}

static void
the_sample_loads_as_it_is(void **state)
{
	struct settings_flags flags = { .config_file =
					    "configs/registryd.yml" };
	struct settings *s;

	(void)state;
	if (settings_load(&flags, why, &s) != RC_OK)
		fail_msg("%s", why);
	assert_string_equal(s->data, "/var/lib/registryd");
	assert_int_equal(s->auth, AUTH_TOKEN);
	assert_int_equal(s->n_warnings, 0);
	settings_unref(&s);
}

#define DOCS "docs/configuration.md"
#define DOCS_BEGIN "<!-- keys: begin -->\n"
#define DOCS_END "<!-- keys: end -->\n"

static void
docs_update(
    const char *text, const char *begin, const char *end, struct span keys)
{
	FILE *f = fopen(DOCS, "we");

	assert_non_null(f);
	(void)fwrite(text, 1, (size_t)(begin - text), f);
	(void)fwrite(keys.p, 1, keys.n, f);
	(void)fputs(end, f);
	assert_int_equal(fclose(f), 0);
}

static void
the_documentation_lists_the_keys_as_they_are(void **state)
{
	char *text = file_read(DOCS);
	const char *begin = strstr(text, DOCS_BEGIN);
	const char *end = strstr(text, DOCS_END);
	struct buf keys;

	(void)state;
	assert_non_null(begin);
	assert_non_null(end);
	begin += strlen(DOCS_BEGIN);
	buf_init(&keys, 1 << 20);
	buf_char(&keys, '\n');
	settings_reference(&keys);
	assert_true(buf_ok(&keys));
	if (getenv("UPDATE_DOCS") != NULL)
		docs_update(text, begin, end, buf_as_span(&keys));
	else if ((size_t)(end - begin) != keys.n ||
		 memcmp(begin, keys.p, keys.n) != 0)
		fail_msg(DOCS " differs from the code: run this test with "
			      "UPDATE_DOCS=1");
	buf_free(&keys);
	free(text);
}

/* ------------------------------------------------------------------------- */

static int
setup(void **state)
{
	(void)state;
	return (mkdtemp(dir) == NULL);
}

static int
teardown(void **state)
{
	static const char *const names[] = { "registryd.yml", "layers.yml",
		"r.yml", "all.yml", "cert.pem", "key.pem", "other.pem",
		"text.pem", "ca.pem", "htpasswd" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(path_of(names[i]));
	return (rmdir(dir));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_anything_the_defaults_hold),
		cmocka_unit_test(
		    without_anything_users_are_asked_for_as_by_ecr),
		cmocka_unit_test(
		    without_anything_the_quotas_are_those_of_ecr_and_rates_are_off),
		cmocka_unit_test(each_quota_and_rate_reaches_its_field),
		cmocka_unit_test(
		    a_quota_of_zero_is_none_and_a_url_that_lives_for_ever_is_refused),
		cmocka_unit_test(
		    without_anything_what_nobody_needs_goes_as_the_documents_say),
		cmocka_unit_test(each_key_of_what_goes_reaches_its_field),
		cmocka_unit_test(a_grace_of_zero_is_warned_of),
		cmocka_unit_test(a_window_is_parsed_strictly),
		cmocka_unit_test(jitter_is_at_most_the_interval),
		cmocka_unit_test(
		    a_reload_changes_what_goes_but_not_where_the_archive_is),
		cmocka_unit_test(
		    flags_win_over_environment_over_file_over_defaults),
		cmocka_unit_test(
		    a_list_in_the_environment_is_written_with_commas),
		cmocka_unit_test(an_unknown_variable_is_a_warning_only),
		cmocka_unit_test(variables_of_keys_are_distinct),
		cmocka_unit_test(
		    a_wrong_value_is_named_with_its_key_and_origin),
		cmocka_unit_test(an_empty_file_says_nothing),
		cmocka_unit_test(
		    an_unknown_key_is_refused_with_its_line_and_the_nearest),
		cmocka_unit_test(a_list_may_be_one_word),
		cmocka_unit_test(what_is_not_a_mapping_of_keys_is_refused),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
		cmocka_unit_test(values_are_parsed_strictly),
		cmocka_unit_test(values_reach_their_fields),
		cmocka_unit_test(addresses_of_all_kinds_are_understood),
		cmocka_unit_test(
		    lists_and_keys_that_belong_together_are_checked),
		cmocka_unit_test(open_doors_are_warned_of),
		cmocka_unit_test(credentials_in_the_clear_are_warned_of),
		cmocka_unit_test(identity_keys_reach_their_fields),
		cmocka_unit_test(identity_keys_are_parsed_strictly),
		cmocka_unit_test(an_htpasswd_file_must_be_there),
		cmocka_unit_test(
		    a_push_creates_repositories_by_itself_only_without_auth),
		cmocka_unit_test(a_master_key_in_the_data_folder_is_warned_of),
		cmocka_unit_test(
		    a_master_key_in_the_environment_is_never_shown),
		cmocka_unit_test(
		    listeners_follow_the_certificate_unless_they_say),
		cmocka_unit_test(a_pair_that_does_not_fit_is_refused),
		cmocka_unit_test(
		    an_mtls_address_takes_the_authorities_of_clients),
		cmocka_unit_test(
		    an_mtls_address_needs_certificates_on_both_sides),
		cmocka_unit_test(
		    a_reload_changes_what_it_can_and_tells_the_rest),
		cmocka_unit_test(a_reload_does_not_change_who_the_registry_is),
		cmocka_unit_test(
		    a_reload_does_not_change_what_a_listener_speaks),
		cmocka_unit_test(a_snapshot_lives_as_long_as_somebody_holds_it),
		cmocka_unit_test(
		    each_default_is_allowed_and_each_key_described),
		cmocka_unit_test(the_sample_shows_every_key_with_its_default),
		cmocka_unit_test(the_sample_loads_as_it_is),
		cmocka_unit_test(the_documentation_lists_the_keys_as_they_are),
	};
	char **e = environ;

	/* The settings of whoever runs the tests are not ours. */
	while (*e != NULL)
		if (strncmp(*e, "REGISTRYD_", 10) == 0) {
			*strchr(*e, '=') = '\0';
			(void)unsetenv(*e);
			e = environ;
		} else {
			e++;
		}
	return (
	    cmocka_run_group_tests_name("settings", tests, setup, teardown));
}
