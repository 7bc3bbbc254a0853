#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api_tools.h"
#include "auth/auth.h"
#include "auth/master_key.h"
#include "base/mem.h"
#include "mirror/secrets.h"
#include "registryd/job_backup.h"
#include "registryd/jobs.h"
#include "registryd/mirrors.h"
#include "registryd/service_int.h"

/*
 * What registryctl asks over the control socket about other registries:
 * mirrors, credentials, the pull through cache, replication, and backups.
 */
static struct api api;
static struct settings *settings;

/* --- asking -------------------------------------------------------------- */

static json_t *
control(enum http_method method, const char *path, const char *query,
    const char *body, int status)
{
	struct ask ask = {
		.method = method,
		.role = ROLE_CONTROL,
		.path = path,
		.query = query,
		.body = span_of(body),
	};
	struct reply r;
	json_t *o;

	api_ask(&api, &ask, &r);
	if (r.status != status)
		fail_msg("%s: %d: " SPAN_FMT, path, r.status, SPAN_ARG(r.body));
	o = json_loadb(r.body.p != NULL ? r.body.p : "", r.body.n, 0, NULL);
	reply_free(&r);
	assert_non_null(o);
	return (o);
}

static void
done(enum http_method method, const char *path, const char *query,
    const char *body, int status)
{
	json_decref(control(method, path, query, body, status));
}

static void
refused(enum http_method method, const char *path, const char *query,
    const char *body, int status, const char *what)
{
	json_t *o = control(method, path, query, body, status);
	const char *message;

	message = json_string_value(json_object_get(
	    json_array_get(json_object_get(o, "errors"), 0), "message"));
	assert_non_null(message);
	if (strstr(message, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", message, what);
	json_decref(o);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	assert_non_null(text);
	return (text);
}

static size_t
size_of(const json_t *o, const char *key)
{
	return (json_array_size(json_object_get(o, key)));
}

/* --- mirrors ------------------------------------------------------------- */

#define MIRRORS "/control/mirrors"
#define MIRROR \
	"{\"name\":\"a\",\"source\":\"registry.example/x\"," \
	"\"destination\":\"m/x\",\"tags\":[\"1.*\"],\"interval\":\"6h\"}"

static void
a_mirror_is_added_shown_and_removed(void **state)
{
	const json_t *m;
	json_t *o;

	(void)state;
	done(HTTP_POST, MIRRORS, NULL, MIRROR, 201);
	refused(HTTP_POST, MIRRORS, NULL, MIRROR, 409, "already");
	o = control(HTTP_GET, MIRRORS, NULL, NULL, 200);
	assert_int_equal(size_of(o, "mirrors"), 1);
	m = json_array_get(json_object_get(o, "mirrors"), 0);
	assert_string_equal(text_of(m, "source"), "registry.example/x");
	assert_int_equal(
	    json_integer_value(json_object_get(m, "interval_ms")), 21600000);
	assert_int_equal(size_of(m, "tags"), 1);
	json_decref(o);
	o = control(HTTP_GET, MIRRORS "/history", "name=a", NULL, 200);
	assert_int_equal(size_of(o, "runs"), 0);
	json_decref(o);
	done(HTTP_DELETE, MIRRORS, "name=a", NULL, 200);
	refused(HTTP_DELETE, MIRRORS, "name=a", NULL, 404, "no mirror \"a\"");
	refused(HTTP_GET, MIRRORS "/history", "name=a", NULL, 404, "no mirror");
	refused(HTTP_DELETE, MIRRORS, NULL, NULL, 400, "name");
}

static void
a_mirror_that_is_wrong_is_refused_with_its_member(void **state)
{
	static const struct {
		const char *body, *what;
	} cases[] = {
		{ "x", "expected near" },
		{ "[]", "JSON object" },
		{ "{\"name\":\"a\",\"source\":\"x.io/y\"}", "destination" },
		{ "{\"name\":\"a\",\"source\":\"y\",\"destination\":\"z\"}",
		    "source: must name a registry" },
		{ "{\"name\":\"a\",\"source\":\"x.io/y\",\"destination\":"
		  "\"z\",\"delete\":\"all\"}",
		    "delete: must be keep, missing or force" },
		{ "{\"name\":\"a\",\"source\":\"x.io/y\",\"destination\":"
		  "\"z\",\"interval\":\"often\"}",
		    "interval: must be a duration" },
		{ "{\"name\":\"a\",\"source\":\"x.io/y\",\"destination\":"
		  "\"z\",\"tag\":\"x\"}",
		    "there is no member \"tag\"" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(HTTP_POST, MIRRORS, NULL, cases[i].body, 400,
		    cases[i].what);
}

static void
a_run_is_a_job_that_can_be_looked_at_and_cancelled(void **state)
{
	char path[96];
	json_t *o;

	(void)state;
	refused(HTTP_POST, MIRRORS "/run", "name=a", NULL, 404, "no mirror");
	done(HTTP_POST, MIRRORS, NULL, MIRROR, 201);
	o = control(HTTP_POST, MIRRORS "/run", "name=a", NULL, 202);
	assert_string_equal(text_of(o, "kind"), "mirror");
	assert_string_equal(text_of(o, "state"), "running");
	assert_string_equal(text_of(o, "name"), "a");
	assert_true(json_is_object(json_object_get(o, "progress")));
	assert_true(json_is_object(json_object_get(o, "totals")));
	assert_int_equal(size_of(o, "images"), 0);
	(void)snprintf(
	    path, sizeof(path), "/control/jobs/%s", text_of(o, "id"));
	json_decref(o);
	done(HTTP_DELETE, path, NULL, NULL, 202);
	o = control(HTTP_GET, path, NULL, NULL, 200);
	assert_string_equal(text_of(o, "state"), "cancelled");
	json_decref(o);
}

/* --- credentials --------------------------------------------------------- */

#define SECRETS "/control/secrets"

static void
credentials_are_put_listed_and_deleted(void **state)
{
	const json_t *row;
	json_t *o;
	char *text;

	(void)state;
	o = control(HTTP_POST, SECRETS, NULL,
	    "{\"name\":\"docker.io\",\"username\":\"me\",\"password\":"
	    "\"hush-hush\"}",
	    201);
	assert_string_equal(text_of(o, "name"), "https://registry-1.docker.io");
	json_decref(o);
	done(HTTP_POST, SECRETS, NULL,
	    "{\"name\":\"ecr-pullthroughcache/x\",\"access_key_id\":\"AK\","
	    "\"secret_access_key\":\"hush-hush\",\"region\":\"eu-west-1\"}",
	    201);
	o = control(HTTP_GET, SECRETS, NULL, NULL, 200);
	assert_int_equal(size_of(o, "secrets"), 2);
	text = json_dumps(o, 0);
	assert_null(strstr(text, "hush"));
	free(text);
	row = json_array_get(json_object_get(o, "secrets"), 0);
	assert_string_equal(text_of(row, "name"), "ecr-pullthroughcache/x");
	assert_string_equal(text_of(row, "kind"), "aws");
	json_decref(o);
	done(HTTP_DELETE, SECRETS, "name=docker.io", NULL, 200);
	refused(HTTP_DELETE, SECRETS, "name=docker.io", NULL, 404,
	    "no credentials \"docker.io\"");
}

static void
credentials_that_cannot_be_sent_are_refused(void **state)
{
	(void)state;
	refused(HTTP_POST, SECRETS, NULL, "{}", 400, "name");
	refused(HTTP_POST, SECRETS, NULL, "{\"name\":\"x\"}", 400,
	    "the user's name");
	refused(HTTP_POST, SECRETS, NULL,
	    "{\"name\":\"x\",\"username\":\"a:b\",\"password\":\"hush\"}", 400,
	    "without a colon");
	refused(HTTP_POST, SECRETS, NULL,
	    "{\"name\":\"x\",\"username\":\"a\",\"access_key_id\":\"b\"}", 400,
	    "not both");
	refused(HTTP_POST, SECRETS, NULL,
	    "{\"name\":\"x\",\"username\":7,\"password\":\"hush\"}", 400,
	    "username must be a text");
}

/* --- the cache ----------------------------------------------------------- */

#define RULES "/control/cache/rules"

static void
rules_are_made_as_ecr_makes_them(void **state)
{
	const json_t *rule;
	json_t *o;

	(void)state;
	o = control(HTTP_POST, RULES, NULL,
	    "{\"prefix\":\"hub\",\"upstream\":\"registry-1.docker.io\","
	    "\"credential\":\"ecr-pullthroughcache/hub\"}",
	    201);
	assert_string_equal(text_of(o, "ecrRepositoryPrefix"), "hub");
	assert_string_equal(text_of(o, "upstreamRegistry"), "docker-hub");
	json_decref(o);
	refused(HTTP_POST, RULES, NULL,
	    "{\"prefix\":\"hub\",\"upstream\":\"quay.io\"}", 400,
	    "already exists");
	refused(HTTP_POST, RULES, NULL, "{\"prefix\":\"hub\"}", 400,
	    "upstreamRegistryUrl");
	refused(HTTP_POST, RULES, NULL,
	    "{\"prefix\":\"qu\",\"upstream\":\"quay.io/path\"}", 400,
	    "not the address of a registry");
	o = control(HTTP_GET, "/control/cache", NULL, NULL, 200);
	assert_int_equal(size_of(o, "rules"), 1);
	rule = json_array_get(json_object_get(o, "rules"), 0);
	assert_string_equal(text_of(rule, "prefix"), "hub");
	assert_string_equal(
	    text_of(rule, "url"), "https://registry-1.docker.io");
	assert_string_equal(
	    text_of(rule, "credential"), "ecr-pullthroughcache/hub");
	assert_string_equal(
	    text_of(json_object_get(o, "settings"), "mode"), "ttl");
	assert_true(json_is_object(json_object_get(o, "stats")));
	assert_int_equal(size_of(o, "upstreams"), 0);
	json_decref(o);
	done(HTTP_DELETE, RULES, "prefix=hub", NULL, 200);
	refused(HTTP_DELETE, RULES, "prefix=hub", NULL, 400, "does not exist");
	refused(HTTP_DELETE, RULES, NULL, NULL, 400, "prefix");
}

static void
without_a_limit_nothing_is_evicted(void **state)
{
	(void)state;
	refused(HTTP_POST, "/control/cache/evict", NULL, NULL, 409,
	    "cache.max-bytes is 0");
}

/* --- replication --------------------------------------------------------- */

static void
replication_tells_how_many_wait(void **state)
{
	json_t *o = control(HTTP_GET, "/control/replication", NULL, NULL, 200);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(o, "waiting")), 0);
	assert_true(json_is_null(json_object_get(o, "next")));
	assert_int_equal(size_of(o, "destinations"), 0);
	json_decref(o);
}

/* --- backups ------------------------------------------------------------- */

static json_t *
job_until(const char *path, const char *state)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000 };
	unsigned i;
	json_t *o;

	for (i = 0; i < 1000; i++) {
		o = control(HTTP_GET, path, NULL, NULL, 200);
		if (strcmp(state, "ready") == 0
			? json_is_true(json_object_get(o, "ready"))
			: strcmp(text_of(o, "state"), state) == 0)
			return (o);
		json_decref(o);
		(void)nanosleep(&pause, NULL);
	}
	fail_msg("%s does not become %s", path, state);
	return (NULL);
}

static void
a_backup_holds_a_snapshot_until_it_is_cancelled(void **state)
{
	char path[96], file[600];
	json_t *o;

	(void)state;
	o = control(HTTP_POST, "/control/backup", NULL, NULL, 202);
	assert_string_equal(text_of(o, "kind"), "backup");
	(void)snprintf(
	    path, sizeof(path), "/control/jobs/%s", text_of(o, "id"));
	json_decref(o);
	o = job_until(path, "ready");
	(void)snprintf(file, sizeof(file), "%s", text_of(o, "path"));
	assert_int_equal(access(file, R_OK), 0);
	assert_non_null(strstr(text_of(o, "archive"), "/archive"));
	json_decref(o);
	refused(HTTP_POST, "/control/backup", NULL, NULL, 409,
	    "a backup is being written already");
	done(HTTP_DELETE, path, NULL, NULL, 202);
	o = job_until(path, "cancelled");
	assert_true(json_is_null(json_object_get(o, "path")));
	json_decref(o);
	assert_int_not_equal(access(file, F_OK), 0);
	done(HTTP_POST, "/control/backup", NULL, NULL, 202);
}

static void
a_backup_nobody_looks_at_ends(void **state)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000 };
	struct backup_job *job;
	struct buf out;
	unsigned i;

	(void)state;
	assert_int_equal(
	    backup_job_start(api.store, "/archive", 50, &job), RC_OK);
	for (i = 0; i < 1000 && backup_job_running(job); i++)
		(void)nanosleep(&pause, NULL);
	assert_false(backup_job_running(job));
	buf_init(&out, 1 << 16);
	buf_char(&out, '{');
	backup_job_json(job, &out);
	buf_str(&out, "}");
	assert_non_null(strstr(out.p, "\"state\":\"failed\""));
	assert_non_null(strstr(out.p, "nobody has looked"));
	buf_free(&out);
	backup_job_free(job);
}

/* --- the master key ------------------------------------------------------ */

static void
credentials_outlive_the_rotation_of_the_master_key(void **state)
{
	struct auth_options options = {
		.meta = store_meta(api.store),
		.account_id = "000000000000",
		.region = "us-east-1",
		.workers = 1,
	};
	char why[SERVICE_WHY_BYTES], *file;
	struct credential c;
	struct master_key m = { .store = api.store };
	struct auth *auth;
	size_t n;

	(void)state;
	done(HTTP_POST, SECRETS, NULL,
	    "{\"name\":\"x\",\"username\":\"me\",\"password\":\"hush\"}", 201);
	file = xasprintf("%s/master.key", api.dir);
	options.master_key_file = file;
	if (auth_open(&options, why, &auth) != RC_OK)
		fail_msg("%s", why);
	m.file = file;
	if (master_key_rotate(&m, &n, why) != RC_OK)
		fail_msg("%s", why);
	assert_int_equal(n, 3);
	auth_close(&auth);
	/* The old master key is in no file any more. */
	secrets_close(&api.service.secrets);
	if (service_mirror_open(&api.service, settings, why) != RC_OK)
		fail_msg("%s", why);
	assert_int_equal(
	    secrets_get(api.service.secrets, SPAN("x"), &c), RC_OK);
	assert_string_equal(c.password, "hush");
	credential_wipe(&c);
	free(file);
}

/* ------------------------------------------------------------------------- */

static int
setup(void **state)
{
	struct settings_flags flags = { .auth = "none" };
	char why[SERVICE_WHY_BYTES];

	(void)state;
	api_open(&api);
	flags.data = api.dir;
	if (settings_load(&flags, why, &settings) != RC_OK)
		fail_msg("%s", why);
	api_bare(&api);
	service_init(&api.service, api.store, settings);
	assert_int_equal(service_audit_open(&api.service, why), RC_OK);
	if (service_mirror_open(&api.service, settings, why) != RC_OK)
		fail_msg("%s", why);
	api.settings.archive_dir = "";
	api.settings.data = api.dir;
	api.settings.quotas = settings->quotas;
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	service_fini(&api.service);
	settings_unref(&settings);
	api_close(&api);
	return (0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_mirror_is_added_shown_and_removed),
		TEST(a_mirror_that_is_wrong_is_refused_with_its_member),
		TEST(a_run_is_a_job_that_can_be_looked_at_and_cancelled),
		TEST(credentials_are_put_listed_and_deleted),
		TEST(credentials_that_cannot_be_sent_are_refused),
		TEST(rules_are_made_as_ecr_makes_them),
		TEST(without_a_limit_nothing_is_evicted),
		TEST(replication_tells_how_many_wait),
		TEST(a_backup_holds_a_snapshot_until_it_is_cancelled),
		TEST(a_backup_nobody_looks_at_ends),
		TEST(credentials_outlive_the_rotation_of_the_master_key),
	};

	return (cmocka_run_group_tests_name(
	    "control: other registries", tests, NULL, NULL));
}
