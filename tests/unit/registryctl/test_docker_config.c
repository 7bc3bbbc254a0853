#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/obj.h"
#include "registryctl/docker_config.h"

/*
 * What docker and podman have written down, in folders of the test.
 */
#define REPOSITORY SPAN("team/app")
/* base64 of "me:pass:word", "other:secret" */
#define ME "bWU6cGFzczp3b3Jk"
#define OTHER "b3RoZXI6c2VjcmV0"

static char dir[256], path[1024];

static void
file_write(const char *name, const char *text, mode_t mode)
{
	char *slash;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (slash = path; (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
variable_set(const char *name, const char *below)
{
	char value[512];

	(void)snprintf(value, sizeof(value), "%s/%s", dir, below);
	assert_int_equal(setenv(name, value, 1), 0);
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/registryd-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)unsetenv("REGISTRY_AUTH_FILE");
	(void)unsetenv("XDG_RUNTIME_DIR");
	(void)unsetenv("DOCKER_CONFIG");
	variable_set("HOME", "home");
	return (0);
}

static int
entry_remove(const char *p, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(p));
}

static int
teardown(void **state)
{
	(void)state;
	return (nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS));
}

static void
config(const char *text)
{
	file_write("home/.docker/config.json", text, 0600);
}

static void
finds(const char *host, const char *username, const char *password)
{
	char why[DOCKER_CONFIG_WHY_BYTES] = "";
	struct docker_login l;
	enum rc rc;

	rc = docker_config_find(host, REPOSITORY, &l, why);
	if (rc != RC_OK)
		fail_msg("%s: %s %s", host, rc_text(rc), why);
	assert_string_equal(l.username, username);
	assert_string_equal(l.password, password);
	docker_login_wipe(&l);
	assert_null(l.password);
}

static void
knows_nothing_of(const char *host)
{
	char why[DOCKER_CONFIG_WHY_BYTES];
	struct docker_login l;

	assert_int_equal(
	    docker_config_find(host, REPOSITORY, &l, why), RC_NOTFOUND);
}

static void
refuses(const char *host, enum rc rc, const char *says)
{
	char why[DOCKER_CONFIG_WHY_BYTES] = "";
	struct docker_login l;

	assert_int_equal(docker_config_find(host, REPOSITORY, &l, why), rc);
	if (strstr(why, says) == NULL)
		fail_msg("no \"%s\" in: %s", says, why);
}

static void
a_login_of_docker_is_found_by_its_host(void **state)
{
	(void)state;
	config("{\"auths\":{\"one.example:5000\":{\"auth\":\"" ME "\"},"
	       "\"two.example\":{\"auth\":\"" OTHER "\"}}}");
	finds("one.example:5000", "me", "pass:word");
	finds("two.example", "other", "secret");
	knows_nothing_of("one.example");
	knows_nothing_of("three.example");
}

static void
keys_may_be_urls_as_older_docker_wrote_them(void **state)
{
	(void)state;
	config("{\"auths\":{\"https://one.example/v2/\":{\"auth\":\"" ME "\"},"
	       "\"http://two.example\":{\"auth\":\"" OTHER "\"}}}");
	finds("one.example", "me", "pass:word");
	finds("two.example", "other", "secret");
}

static void
docker_hub_is_found_by_any_of_its_names(void **state)
{
	(void)state;
	config("{\"auths\":{\"https://index.docker.io/v1/\":"
	       "{\"auth\":\"" ME "\"}}}");
	finds("registry-1.docker.io", "me", "pass:word");
	finds("docker.io", "me", "pass:word");
	config("{\"auths\":{\"docker.io\":{\"auth\":\"" OTHER "\"}}}");
	finds("registry-1.docker.io", "other", "secret");
	knows_nothing_of("docker.io.example");
}

static void
an_identity_token_is_one(void **state)
{
	(void)state;
	config("{\"auths\":{\"one.example\":{\"auth\":\"" ME "\","
	       "\"identitytoken\":\"refresh-me\"}}}");
	finds("one.example", "<token>", "refresh-me");
}

static void
podmans_longer_keys_come_first(void **state)
{
	(void)state;
	file_write("run/containers/auth.json",
	    "{\"auths\":{\"one.example\":{\"auth\":\"" ME "\"},"
	    "\"one.example/team\":{\"auth\":\"" OTHER "\"},"
	    "\"two.example/team/app\":{\"auth\":\"" OTHER "\"},"
	    "\"three.example/else\":{\"auth\":\"" OTHER "\"}}}",
	    0600);
	variable_set("XDG_RUNTIME_DIR", "run");
	finds("one.example", "other", "secret");
	finds("two.example", "other", "secret");
	knows_nothing_of("three.example");
}

static void
the_file_that_is_named_is_the_only_one(void **state)
{
	(void)state;
	config("{\"auths\":{\"one.example\":{\"auth\":\"" ME "\"}}}");
	file_write("auth.json", "{}", 0600);
	variable_set("REGISTRY_AUTH_FILE", "auth.json");
	knows_nothing_of("one.example");
	(void)unsetenv("REGISTRY_AUTH_FILE");
	variable_set("DOCKER_CONFIG", "elsewhere");
	knows_nothing_of("one.example");
	file_write("elsewhere/config.json",
	    "{\"auths\":{\"one.example\":{\"auth\":\"" OTHER "\"}}}", 0600);
	finds("one.example", "other", "secret");
}

static void
without_any_file_nothing_is_known(void **state)
{
	(void)state;
	knows_nothing_of("one.example");
	(void)unsetenv("HOME");
	knows_nothing_of("one.example");
}

static void
what_cannot_be_understood_is_told_without_what_it_says(void **state)
{
	char why[DOCKER_CONFIG_WHY_BYTES];
	struct docker_login l;

	(void)state;
	config("{\"auths\":{\"one.example\":{\"auth\":\"verysecret!\"}}}");
	assert_int_equal(
	    docker_config_find("one.example", REPOSITORY, &l, why), RC_INVALID);
	assert_non_null(strstr(why, "one.example"));
	assert_null(strstr(why, "verysecret"));
	config("{\"auths\":");
	refuses("one.example", RC_INVALID, "config.json");
	/* base64 of "nocolon" */
	config("{\"auths\":{\"one.example\":{\"auth\":\"bm9jb2xvbg==\"}}}");
	refuses("one.example", RC_INVALID, "one.example");
}

static void
members_of_other_types_are_no_logins(void **state)
{
	static const char *const texts[] = { "{}", "[]", "{\"auths\":[]}",
		"{\"auths\":{\"one.example\":[]}}",
		"{\"auths\":{\"one.example\":{}}}",
		"{\"auths\":{\"one.example\":{\"auth\":\"\"}}}",
		"{\"auths\":{\"one.example\":{\"auth\":7}}}",
		"{\"credsStore\":\"\"}", "{\"credsStore\":7}",
		"{\"credHelpers\":{\"one.example\":7}}" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		config(texts[i]);
		knows_nothing_of("one.example");
	}
}

static void
helper_make(const char *script)
{
	char text[1024];

	file_write("bin/docker-credential-test", script, 0700);
	(void)snprintf(text, sizeof(text), "%s/bin:/usr/bin:/bin", dir);
	assert_int_equal(setenv("PATH", text, 1), 0);
}

static void
a_helper_is_asked_where_one_is_named(void **state)
{
	(void)state;
	helper_make("#!/bin/sh\nread -r s\n[ \"$1\" = get ] || exit 1\n"
		    "printf '{\"ServerURL\":\"%s\",\"Username\":\"u-%s\","
		    "\"Secret\":\"s\"}' \"$s\" \"$s\"\n");
	config("{\"credHelpers\":{\"one.example\":\"test\"},"
	       "\"auths\":{\"one.example\":{\"auth\":\"" ME "\"},"
	       "\"two.example\":{}},\"credsStore\":\"test\"}");
	finds("one.example", "u-one.example", "s");
	finds("two.example", "u-two.example", "s");
	finds("docker.io", "u-https://index.docker.io/v1/", "s");
}

static void
a_helper_that_knows_nothing_is_no_failure(void **state)
{
	(void)state;
	helper_make("#!/bin/sh\n"
		    "echo credentials not found in native keychain\nexit 1\n");
	config("{\"credsStore\":\"test\"}");
	knows_nothing_of("one.example");
}

static void
a_helper_that_fails_is_named(void **state)
{
	(void)state;
	helper_make("#!/bin/sh\necho verysecret\nexit 1\n");
	config("{\"credsStore\":\"test\"}");
	refuses("one.example", RC_FAILED, "docker-credential-test");
	helper_make("#!/bin/sh\necho verysecret\n");
	refuses("one.example", RC_FAILED, "not JSON");
	helper_make("#!/bin/sh\nexec yes\n");
	refuses("one.example", RC_FAILED, "docker-credential-test");
	config("{\"credsStore\":\"not-there\"}");
	refuses("one.example", RC_FAILED, "docker-credential-not-there");
	config("{\"credsStore\":\"../../bin/sh\"}");
	refuses("one.example", RC_INVALID, "name of a credential helper");
	config("{\"credsStore\":\"-x\"}");
	refuses("one.example", RC_INVALID, "name of a credential helper");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_login_of_docker_is_found_by_its_host),
		T(keys_may_be_urls_as_older_docker_wrote_them),
		T(docker_hub_is_found_by_any_of_its_names),
		T(an_identity_token_is_one),
		T(podmans_longer_keys_come_first),
		T(the_file_that_is_named_is_the_only_one),
		T(without_any_file_nothing_is_known),
		T(what_cannot_be_understood_is_told_without_what_it_says),
		T(members_of_other_types_are_no_logins),
		T(a_helper_is_asked_where_one_is_named),
		T(a_helper_that_knows_nothing_is_no_failure),
		T(a_helper_that_fails_is_named),
	};

	return (
	    cmocka_run_group_tests_name("docker_config", tests, NULL, NULL));
}
