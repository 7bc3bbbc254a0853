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

#include "base/obj.h"
#include "registryd/settings.h"
#include "registryd/settings_int.h"

/*
 * Lists of mappings in the configuration file: upstreams, mirrors, and
 * destinations of replication; and the keys about other registries.
 */
static char dir[] = "/tmp/test-settings-lists-XXXXXX";
static char why[SETTINGS_WHY_BYTES];

static const char *
file_make(const char *name, const char *text)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LEN(paths)];
	FILE *f;

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return (path);
}

static enum rc
load(const char *yaml, struct settings **s_r)
{
	struct settings_flags flags = { .config_file =
					    file_make("registryd.yml", yaml) };

	*s_r = NULL;
	why[0] = '\0';
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

static void
assert_refused(const char *yaml, const char *expected)
{
	struct settings *s;

	assert_int_equal(load(yaml, &s), RC_INVALID);
	assert_null(s);
	if (strstr(why, expected) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, expected);
}

#define WITH_FILE_BYTES 2048

/* The text with "FILE" replaced by the path of a file that holds a secret. */
static const char *
with_file(const char *yaml)
{
	static char out[WITH_FILE_BYTES];
	const char *path = file_make("secret", "s3cret\n"), *at;

	at = strstr(yaml, "FILE");
	assert_non_null(at);
	(void)snprintf(
	    out, sizeof(out), "%.*s%s%s", (int)(at - yaml), yaml, path, at + 4);
	return (out);
}

/* --- keys ---------------------------------------------------------------- */

static void
without_anything_the_cache_is_as_ecrs(void **state)
{
	struct settings *s = load_ok("{}\n");

	(void)state;
	assert_int_equal(s->cache.mode, CACHE_BY_TTL);
	assert_int_equal(s->cache.freshness_ms, 24 * 3600 * 1000);
	assert_int_equal(s->cache.negative_ms, 30000);
	assert_int_equal(s->cache.patience_ms, 15000);
	assert_true(s->cache.max_bytes == 0);
	assert_false(s->cache.all_children);
	assert_int_equal(s->replication_give_up_ms, 24 * 3600 * 1000);
	assert_null(s->upstream.proxy);
	assert_string_equal(s->upstream.ca_file, "");
	assert_int_equal(s->upstream.connect_ms, 10000);
	assert_int_equal(s->upstream.stall_ms, 30000);
	assert_int_equal(s->upstream.connections, 8);
	assert_int_equal(s->n_upstreams, 0);
	assert_int_equal(s->n_mirrors, 0);
	assert_int_equal(s->n_destinations, 0);
	settings_unref(&s);
}

static void
each_key_about_other_registries_reaches_its_field(void **state)
{
	struct settings *s = load_ok(
	    "cache: {mode: local-first, freshness: 1h, negative: 0, "
	    "patience: 2s, max-bytes: 3GiB, children: all}\n"
	    "replication: {give-up: 5m}\n"
	    "upstream: {proxy: \"http://proxy:3128\", connect-timeout: 1s, "
	    "stall-timeout: 2s, connections: 3}\n");

	(void)state;
	assert_int_equal(s->cache.mode, CACHE_LOCAL_FIRST);
	assert_int_equal(s->cache.freshness_ms, 3600 * 1000);
	assert_int_equal(s->cache.negative_ms, 0);
	assert_int_equal(s->cache.patience_ms, 2000);
	assert_true(s->cache.max_bytes == (uint64_t)3 << 30);
	assert_true(s->cache.all_children);
	assert_int_equal(s->replication_give_up_ms, 300000);
	assert_string_equal(s->upstream.proxy, "http://proxy:3128");
	assert_int_equal(s->upstream.connect_ms, 1000);
	assert_int_equal(s->upstream.stall_ms, 2000);
	assert_int_equal(s->upstream.connections, 3);
	settings_unref(&s);
	s = load_ok("cache: {mode: upstream}\nupstream: {proxy: none}\n");
	assert_int_equal(s->cache.mode, CACHE_BY_UPSTREAM);
	assert_string_equal(s->upstream.proxy, "");
	settings_unref(&s);
}

static void
a_proxy_is_an_address_without_credentials(void **state)
{
	(void)state;
	assert_refused("upstream: {proxy: \"proxy:3128\"}\n",
	    "upstream.proxy: \"proxy:3128\"");
	assert_refused(
	    "upstream: {proxy: \"http://\"}\n", "must be none, or http://");
	assert_refused("upstream: {proxy: \"http://a:hush@proxy\"}\n",
	    "must not hold credentials");
	assert_null(strstr(why, "hush"));
	assert_refused("upstreams:\n- registry: a.example\n"
		       "  proxy: http://a:hush@proxy\n",
	    "must not hold credentials");
	assert_null(strstr(why, "hush"));
	assert_refused("upstream: {ca-file: /nowhere/ca.pem}\n",
	    "upstream.ca-file: \"/nowhere/ca.pem\"");
}

/* --- upstreams ----------------------------------------------------------- */

static void
an_upstream_has_all_that_was_said_and_else_the_defaults(void **state)
{
	struct settings *s = load_ok(
	    with_file("upstream: {connections: 5, proxy: \"http://p:1\"}\n"
		      "upstreams:\n"
		      "  - registry: docker.io\n"
		      "    username: robot\n"
		      "    password-file: FILE\n"
		      "    requests-per-second: 7\n"
		      "    bytes-per-second: 2MiB\n"
		      "    proxy: none\n"
		      "    connections: 2\n"
		      "  - registry: http://10.0.0.5:5000/\n"));
	const struct upstream_setting *u = s->upstreams;

	(void)state;
	assert_int_equal(s->n_upstreams, 2);
	assert_string_equal(u[0].url, "https://registry-1.docker.io");
	assert_string_equal(u[0].username, "robot");
	assert_string_equal(u[0].password, "s3cret");
	assert_int_equal(u[0].requests_per_second, 7);
	assert_true(u[0].bytes_per_second == 2 << 20);
	assert_string_equal(u[0].proxy, "");
	assert_int_equal(u[0].connections, 2);
	assert_string_equal(u[1].url, "http://10.0.0.5:5000");
	assert_null(u[1].password);
	assert_string_equal(u[1].proxy, "http://p:1");
	assert_int_equal(u[1].connections, 5);
	assert_ptr_equal(
	    settings_upstream(s, "https://registry-1.docker.io"), &u[0]);
	assert_null(settings_upstream(s, "https://ghcr.io"));
	settings_credentials_wipe(s);
	assert_null(u[0].password);
	settings_unref(&s);
}

static void
access_keys_are_read_from_a_file(void **state)
{
	struct settings *s = load_ok(
	    with_file("upstreams:\n- registry: https://r.example\n"
		      "  access-key-id: AKIA\n  secret-access-key-file: FILE\n"
		      "  region: eu-west-1\n"));

	(void)state;
	assert_string_equal(s->upstreams[0].secret_access_key, "s3cret");
	assert_string_equal(s->upstreams[0].access_key_id, "AKIA");
	assert_string_equal(s->upstreams[0].region, "eu-west-1");
	settings_unref(&s);
	assert_refused("upstreams:\n- registry: r.example\n"
		       "  access-key-id: AKIA\n",
	    "needs secret-access-key-file beside it");
	assert_refused(with_file("upstreams:\n- registry: r.example\n"
				 "  secret-access-key-file: FILE\n"),
	    "needs access-key-id beside it");
}

static void
a_password_may_be_a_whole_file(void **state)
{
	const char *yaml = with_file("upstreams:\n- registry: a.example\n"
				     "  username: u\n  password-file: FILE\n");
	struct settings *s;

	(void)state;
	(void)file_make("secret", "{\n \"key\": 1\n}\n\n");
	s = load_ok(yaml);
	assert_string_equal(s->upstreams[0].password, "{\n \"key\": 1\n}");
	settings_unref(&s);
	(void)file_make("secret", "\n\n");
	assert_refused(yaml, "cannot be used: it is empty");
}

static void
credentials_that_do_not_fit_together_are_refused(void **state)
{
	(void)state;
	assert_refused("upstreams:\n- registry: a.example\n  username: u\n",
	    "needs password-file (or password) beside it");
	assert_refused("upstreams:\n- registry: a.example\n  password: hush\n",
	    "username");
	assert_null(strstr(why, "hush"));
	assert_refused(with_file("upstreams:\n- registry: a.example\n"
				 "  username: u\n  password: hush\n"
				 "  password-file: FILE\n"),
	    "password-file is there, too");
	assert_null(strstr(why, "hush"));
	assert_refused("upstreams:\n- registry: a.example\n  username: u\n"
		       "  password-file: /nowhere/p\n",
	    "password-file: \"/nowhere/p\"");
	assert_refused(with_file("upstreams:\n- registry: a.example\n"
				 "  access-key-id: A\n  username: u\n"
				 "  password: hush\n"
				 "  secret-access-key-file: FILE\n"),
	    "username is there, too");
	assert_null(strstr(why, "hush"));
}

static void
a_registry_stands_there_once_however_it_is_written(void **state)
{
	(void)state;
	assert_refused("upstreams:\n- registry: docker.io\n"
		       "- registry: https://index.docker.io\n",
	    "is the registry of entry 1, too");
	assert_refused("upstreams:\n- registry: https://a.example/v2\n",
	    "upstreams: entry 1 (\"https://a.example/v2\"): registry");
}

static void
what_is_wrong_is_named_with_entry_value_and_line(void **state)
{
	(void)state;
	assert_refused("upstreams:\n"
		       "- registry: a.example\n"
		       "- registry: b.example\n"
		       "  connections: many\n",
	    "upstreams: entry 2 (\"b.example\"): connections: \"many\" (");
	assert_non_null(strstr(why, "line 4): must be a number from 1 to 256"));
	assert_refused("upstreams:\n- username: u\n",
	    "upstreams: entry 1 (\"\"): (line 2): registry is needed");
	assert_refused("upstreams:\n- registry: a.example\n"
		       "  conections: 5\n",
	    "line 3: unknown key \"conections\" in entry 1 of upstreams; did "
	    "you mean \"connections\"?");
	assert_refused("upstreams:\n- registry: a.example\n  zzz: 5\n",
	    "unknown key \"zzz\" in entry 1 of upstreams");
	assert_refused("upstreams:\n- registry: a.example\n"
		       "  registry: b.example\n",
	    "line 3: \"registry\" is there twice in entry 1");
	assert_refused("upstreams: []\nmirrors: []\nupstreams: []\n",
	    "\"upstreams\" is there twice, first on line 1");
	assert_refused("upstreem:\n- registry: a.example\n",
	    "did you mean \"upstreams\"?");
	assert_refused("mirror: []\n", "did you mean \"mirrors\"?");
}

static void
what_is_no_list_of_mappings_is_refused(void **state)
{
	static const char *const wrong[] = { "upstreams: docker.io\n",
		"upstreams: {registry: a}\n", "upstreams: [docker.io]\n",
		"upstreams:\n- - registry: a\n" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		assert_refused(
		    wrong[i], "upstreams must be a list of mappings");
	assert_refused("upstreams:\n- registry: [a]\n",
	    "registry in entry 1 of upstreams is a list");
	assert_refused("upstreams:\n- registry: {a: b}\n",
	    "registry in entry 1 of upstreams must be a word");
	assert_refused("upstreams:\n- [a]: b\n", "a key must be a word");
	assert_refused("mirrors:\n- tags: [[a]]\n", "each of its items");
	assert_refused("data: &a x\nmirrors:\n- name: *a\n", "aliases");
}

static void
a_list_without_entries_says_nothing(void **state)
{
	static const char *const texts[] = { "upstreams:\n", "upstreams: []\n",
		"upstreams: ~\nmirrors:\nreplication-destinations: null\n" };
	struct settings *s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		s = load_ok(texts[i]);
		assert_int_equal(s->n_upstreams, 0);
		settings_unref(&s);
	}
}

static bool
tells(const struct settings *s, const char *text)
{
	size_t i;

	for (i = 0; i < s->n_warnings; i++)
		if (strstr(s->warnings[i], text) != NULL)
			return (true);
	return (false);
}

static void
a_secret_that_everybody_may_read_is_told(void **state)
{
	const char *yaml = "upstreams:\n- registry: a.example\n"
			   "  username: u\n  password-file: FILE\n";
	char path[128];
	struct settings *s;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/secret", dir);
	yaml = with_file(yaml);
	assert_int_equal(chmod(path, 0640), 0);
	s = load_ok(yaml);
	assert_false(tells(s, "everybody read"));
	settings_unref(&s);
	assert_int_equal(chmod(path, 0644), 0);
	s = load_ok(yaml);
	assert_true(tells(s, "0644 lets everybody read"));
	assert_true(tells(s, path));
	assert_false(tells(s, "s3cret"));
	settings_unref(&s);
}

static void
a_configured_password_wants_a_master_key_elsewhere(void **state)
{
	struct settings *s;
	bool told = false;
	size_t i;

	(void)state;
	s = load_ok(with_file("auth: none\nupstreams:\n- registry: a.example\n"
			      "  username: u\n  password-file: FILE\n"));
	for (i = 0; i < s->n_warnings; i++)
		told = told || strstr(s->warnings[i], "master-key-file");
	assert_true(told);
	settings_unref(&s);
}

/* --- mirrors ------------------------------------------------------------- */

#define MIRROR \
	"mirrors:\n- name: a\n  source: docker.io/alpine\n  destination: " \
	"m/a\n"

static void
a_mirror_has_all_that_was_said_and_else_the_defaults(void **state)
{
	struct settings *s =
	    load_ok("mirrors:\n"
		    "  - name: alpine\n"
		    "    source: docker.io/library/alpine\n"
		    "    destination: mirror/alpine\n"
		    "    tags: ['3.*', edge]\n"
		    "    tags-regex: 'v[0-9]{1,2}'\n"
		    "    exclude: ['*-rc*']\n"
		    "    semver: '>=3.1'\n"
		    "    newest: 5\n"
		    "    platforms: [linux/amd64, linux/arm/v7]\n"
		    "    interval: 6h\n"
		    "    delete: missing\n"
		    "    referrers: false\n"
		    "    credential: hub\n"
		    "  - {name: b, source: 'http://h:1/x', destination: b}\n");
	const struct mirror_spec *m = s->mirrors;

	(void)state;
	assert_int_equal(s->n_mirrors, 2);
	assert_string_equal(m[0].name, "alpine");
	assert_int_equal(m[0].tags.n, 2);
	assert_string_equal(m[0].tags.items[1], "edge");
	/* One word is one item, whatever commas are in it. */
	assert_int_equal(m[0].regexes.n, 1);
	assert_string_equal(m[0].regexes.items[0], "v[0-9]{1,2}");
	assert_int_equal(m[0].excludes.n, 1);
	assert_string_equal(m[0].semver, ">=3.1");
	assert_int_equal(m[0].newest, 5);
	assert_int_equal(m[0].platforms.n, 2);
	assert_int_equal(m[0].interval_ms, 6 * 3600 * 1000);
	assert_int_equal(m[0].deletes, SYNC_DELETE);
	assert_false(m[0].referrers);
	assert_string_equal(m[0].credential, "hub");
	assert_int_equal(m[1].tags.n, 0);
	assert_int_equal(m[1].newest, 0);
	assert_int_equal(m[1].interval_ms, 24 * 3600 * 1000);
	assert_int_equal(m[1].deletes, SYNC_KEEP);
	assert_true(m[1].referrers);
	settings_unref(&s);
}

static void
mirrors_are_checked_strictly(void **state)
{
	static const struct {
		const char *more, *expected;
	} cases[] = {
		{ "  tags: ['[a']\n", "tags" },
		{ "  tags-regex: ['(']\n", "tags-regex" },
		{ "  semver: 'newer than 3'\n", "semver: \"newer than 3\"" },
		{ "  platforms: [linux]\n", "\"linux\" must be OS/ARCH" },
		{ "  interval: 500ms\n", "from 1s to 365d, or 0" },
		{ "  delete: all\n", "must be keep, missing or force" },
		{ "  newest: -1\n", "newest: \"-1\"" },
		{ "  credential: 'a b'\n", "must be the name of a secret" },
		{ "- name: a\n  source: x.io/y\n  destination: z\n",
		    "is the name of entry 1, too" },
		{ "- name: a b\n  source: x.io/y\n  destination: z\n",
		    "letters, digits" },
		{ "- name: b\n  source: y\n  destination: z\n",
		    "must name a registry" },
		{ "- name: b\n  source: x.io/y:tag\n  destination: z\n",
		    "without a tag" },
		{ "- name: b\n  source: x.io/y\n  destination: UP\n",
		    "must be the name of a repository" },
		{ "- name: b\n  source: x.io/y\n", "destination is needed" },
	};
	char yaml[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(yaml, sizeof(yaml), MIRROR "%s", cases[i].more);
		assert_refused(yaml, cases[i].expected);
	}
}

static void
a_mirror_goes_through_json_and_back(void **state)
{
	struct settings *s =
	    load_ok(MIRROR "  tags: [x, y]\n  newest: 3\n  semver: ^1\n"
			   "  platforms: [linux/amd64]\n  delete: force\n"
			   "  referrers: false\n  interval: 1h\n");
	char reason[MIRROR_WHY_BYTES];
	struct mirror_spec back;
	const char *member;
	struct arena arena;
	json_t *o;

	(void)state;
	arena_init(&arena, 1 << 20);
	o = mirror_spec_json(&s->mirrors[0]);
	assert_int_equal(
	    mirror_spec_read(o, &arena, &back, &member, reason), RC_OK);
	assert_true(mirror_spec_eq(&s->mirrors[0], &back));
	assert_int_equal(json_object_set_new(o, "tag", json_string("x")), 0);
	assert_int_equal(
	    mirror_spec_read(o, &arena, &back, &member, reason), RC_INVALID);
	assert_non_null(strstr(reason, "no member \"tag\""));
	json_decref(o);
	arena_reset(&arena);
	settings_unref(&s);
}

/* --- destinations -------------------------------------------------------- */

static void
a_destination_is_found_by_region_and_account(void **state)
{
	struct settings *s =
	    load_ok("replication-destinations:\n"
		    "- {region: eu-west-1, registry-id: '000000000001', "
		    "url: b.example, credential: b}\n"
		    "- {region: eu-west-1, registry-id: '000000000002', "
		    "url: http://127.0.0.1:5001}\n");
	const struct replication_setting *d;

	(void)state;
	d = settings_destination(s, SPAN("eu-west-1/000000000002"));
	assert_non_null(d);
	assert_string_equal(d->url, "http://127.0.0.1:5001");
	assert_string_equal(d->credential, "");
	d = settings_destination(s, SPAN("eu-west-1/000000000001"));
	assert_string_equal(d->url, "https://b.example");
	assert_string_equal(d->credential, "b");
	assert_null(settings_destination(s, SPAN("eu-west-1/000000000003")));
	settings_unref(&s);
	assert_refused(
	    "replication-destinations:\n"
	    "- {region: a-1, registry-id: '000000000001', url: b.c}\n"
	    "- {region: a-1, registry-id: '000000000001', url: d.e}\n",
	    "is the destination of entry 1, too");
	assert_refused("replication-destinations:\n"
		       "- {region: a-1, registry-id: '1', url: b.c}\n",
	    "must be 12 digits");
	assert_refused("replication-destinations:\n"
		       "- {region: A, registry-id: '000000000001', url: b.c}\n",
	    "region");
}

static void
a_reload_takes_the_lists_anew(void **state)
{
	struct settings_flags flags = { 0 };
	struct settings *now = load_ok(MIRROR), *s;

	(void)state;
	flags.config_file = file_make("registryd.yml",
	    "replication-destinations:\n"
	    "- {region: a-1, registry-id: '000000000001', url: b.c}\n");
	assert_int_equal(settings_reload(now, &flags, why, &s), RC_OK);
	assert_int_equal(s->n_mirrors, 0);
	assert_int_equal(s->n_destinations, 1);
	settings_unref(&s);
	flags.config_file = file_make("registryd.yml", "mirrors: [x]\n");
	assert_int_equal(settings_reload(now, &flags, why, &s), RC_INVALID);
	settings_unref(&now);
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
	static const char *const names[] = { "registryd.yml", "secret" };
	char path[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return (rmdir(dir));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_anything_the_cache_is_as_ecrs),
		cmocka_unit_test(
		    each_key_about_other_registries_reaches_its_field),
		cmocka_unit_test(a_proxy_is_an_address_without_credentials),
		cmocka_unit_test(
		    an_upstream_has_all_that_was_said_and_else_the_defaults),
		cmocka_unit_test(access_keys_are_read_from_a_file),
		cmocka_unit_test(a_password_may_be_a_whole_file),
		cmocka_unit_test(
		    credentials_that_do_not_fit_together_are_refused),
		cmocka_unit_test(
		    a_registry_stands_there_once_however_it_is_written),
		cmocka_unit_test(
		    what_is_wrong_is_named_with_entry_value_and_line),
		cmocka_unit_test(what_is_no_list_of_mappings_is_refused),
		cmocka_unit_test(a_list_without_entries_says_nothing),
		cmocka_unit_test(a_secret_that_everybody_may_read_is_told),
		cmocka_unit_test(
		    a_configured_password_wants_a_master_key_elsewhere),
		cmocka_unit_test(
		    a_mirror_has_all_that_was_said_and_else_the_defaults),
		cmocka_unit_test(mirrors_are_checked_strictly),
		cmocka_unit_test(a_mirror_goes_through_json_and_back),
		cmocka_unit_test(a_destination_is_found_by_region_and_account),
		cmocka_unit_test(a_reload_takes_the_lists_anew),
	};

	return (cmocka_run_group_tests_name(
	    "settings: lists of mappings", tests, setup, teardown));
}
