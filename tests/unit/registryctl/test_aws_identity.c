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
#include "ctl_tools.h"
#include "registryctl/aws_identity.h"

/* Whose credentials and which region, as the AWS CLI would choose. */
static char dir[] = "/tmp/test-identity-XXXXXX";
static char why[AWS_IDENTITY_WHY_BYTES];
static struct aws_identity id;

static const char *
path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return (path);
}

static void
put(const char *name, const char *text)
{
	file_put(path_of(name), text);
}

static enum rc
find(const char *profile)
{
	const struct aws_identity_options o = {
		.profile = profile,
		.data = dir,
	};

	why[0] = '\0';
	return (aws_identity_find(&o, &id, why));
}

static void
assert_key(const char *profile, const char *access_key)
{
	if (find(profile) != RC_OK)
		fail_msg("%s", why);
	assert_string_equal(id.access_key, access_key);
}

static void
the_environment_comes_first(void **state)
{
	(void)state;
	put(".aws/credentials",
	    "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n");
	(void)setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "secret/+=", 1);
	assert_key(NULL, "ENV");
	assert_string_equal(id.secret, "secret/+=");
	assert_string_equal(id.source, "the environment");
	assert_string_equal(id.session_token, "");
	(void)setenv("AWS_SESSION_TOKEN", "tok", 1);
	assert_key(NULL, "ENV");
	assert_string_equal(id.session_token, "tok");
	/* but not before a profile that somebody names */
	assert_key("default", "FILE");
	assert_string_equal(id.session_token, "");
}

static void
half_a_pair_is_refused(void **state)
{
	(void)state;
	(void)setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	assert_int_equal(find(NULL), RC_INVALID);
	assert_non_null(strstr(why, "AWS_SECRET_ACCESS_KEY"));
	(void)unsetenv("AWS_ACCESS_KEY_ID");
	put(".aws/credentials", "[default]\naws_secret_access_key=hidden\n");
	assert_int_equal(find(NULL), RC_INVALID);
	assert_non_null(strstr(why, "aws_access_key_id"));
	assert_null(strstr(why, "hidden"));
}

static void
files_are_looked_through_in_order(void **state)
{
	(void)state;
	put("admin-credentials",
	    "[default]\naws_access_key_id=ADMIN\naws_secret_access_key=s\n");
	assert_key(NULL, "ADMIN");
	assert_string_equal(id.source, path_of("admin-credentials"));
	put(".aws/config",
	    "[default]\naws_access_key_id=CONFIG\naws_secret_access_key=s\n"
	    "[profile p]\naws_access_key_id=P\naws_secret_access_key=s\n");
	assert_key(NULL, "CONFIG");
	put(".aws/credentials",
	    "[default]\naws_access_key_id=CRED\naws_secret_access_key=s\n"
	    "aws_session_token=t\n");
	assert_key(NULL, "CRED");
	assert_string_equal(id.session_token, "t");
	put("other",
	    "[default]\naws_access_key_id=OTHER\naws_secret_access_key=s\n");
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", path_of("other"), 1);
	assert_key(NULL, "OTHER");
	(void)setenv("AWS_PROFILE", "p", 1);
	assert_key(NULL, "P");
}

static void
a_misspelt_profile_makes_nobody_administrator(void **state)
{
	(void)state;
	put("admin-credentials",
	    "[default]\naws_access_key_id=ADMIN\naws_secret_access_key=s\n"
	    "[typo]\naws_access_key_id=ADMIN\naws_secret_access_key=s\n");
	assert_int_equal(find("typo"), RC_INVALID);
	assert_non_null(strstr(why, "typo"));
	(void)setenv("AWS_PROFILE", "typo", 1);
	assert_int_equal(find(NULL), RC_INVALID);
}

static void
a_file_that_is_named_must_be_there(void **state)
{
	(void)state;
	put("admin-credentials",
	    "[default]\naws_access_key_id=ADMIN\naws_secret_access_key=s\n");
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", path_of("gone"), 1);
	assert_int_equal(find(NULL), RC_INVALID);
	assert_non_null(strstr(why, "gone"));
}

static void
nothing_anywhere_tells_where_to_put_it(void **state)
{
	(void)state;
	assert_int_equal(find(NULL), RC_NOTFOUND);
	assert_non_null(strstr(why, "AWS_ACCESS_KEY_ID"));
	assert_non_null(strstr(why, "admin-credentials"));
}

static void
the_region_is_found_too(void **state)
{
	struct aws_identity_options o = { .data = dir };

	(void)state;
	(void)setenv("AWS_ACCESS_KEY_ID", "A", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	assert_key(NULL, "A");
	assert_string_equal(id.region, "us-east-1");
	put(".aws/config", "[default]\nregion = eu-west-1\n");
	assert_key(NULL, "A");
	assert_string_equal(id.region, "eu-west-1");
	(void)setenv("AWS_DEFAULT_REGION", "eu-west-2", 1);
	assert_key(NULL, "A");
	assert_string_equal(id.region, "eu-west-2");
	(void)setenv("AWS_REGION", "eu-west-3", 1);
	assert_key(NULL, "A");
	assert_string_equal(id.region, "eu-west-3");
	o.region = "eu-north-1";
	assert_int_equal(aws_identity_find(&o, &id, why), RC_OK);
	assert_string_equal(id.region, "eu-north-1");
}

static void
the_region_stands_beside_the_keys_too(void **state)
{
	(void)state;
	put(".aws/config", "[default]\nregion = config-1\n");
	put("admin-credentials",
	    "[default]\naws_access_key_id=ADMIN\naws_secret_access_key=s\n"
	    "region=admin-1\n");
	assert_key(NULL, "ADMIN");
	assert_string_equal(id.region, "admin-1");
	put(".aws/credentials",
	    "[default]\naws_access_key_id=CRED\naws_secret_access_key=s\n");
	assert_key(NULL, "CRED");
	assert_string_equal(id.region, "config-1");
	put(".aws/credentials",
	    "[default]\naws_access_key_id=CRED\naws_secret_access_key=s\n"
	    "region=cred-1\n");
	assert_key(NULL, "CRED");
	assert_string_equal(id.region, "cred-1");
	/* a file that nobody needs may be missing */
	(void)setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", path_of("gone"), 1);
	assert_key(NULL, "ENV");
	assert_string_equal(id.region, "config-1");
}

static void
what_cannot_stand_in_a_header_is_refused(void **state)
{
	char key[AWS_ACCESS_KEY_MAX_BYTES + 2];

	(void)state;
	(void)setenv("AWS_SECRET_ACCESS_KEY", "hid den", 1);
	(void)setenv("AWS_ACCESS_KEY_ID", "A", 1);
	assert_int_equal(find(NULL), RC_INVALID);
	assert_null(strstr(why, "hid"));
	assert_string_equal(id.secret, "");
	(void)setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	(void)setenv("AWS_ACCESS_KEY_ID", "A\r\nX: y", 1);
	assert_int_equal(find(NULL), RC_INVALID);
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	(void)setenv("AWS_ACCESS_KEY_ID", key, 1);
	assert_int_equal(find(NULL), RC_INVALID);
}

static int
each_setup(void **state)
{
	(void)state;
	environment_clear();
	return (setenv("HOME", dir, 1));
}

static int
each_teardown(void **state)
{
	static const char *const names[] = { ".aws/credentials", ".aws/config",
		"admin-credentials", "other" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(path_of(names[i]));
	return (0);
}

static int
setup(void **state)
{
	(void)state;
	return (mkdtemp(dir) == NULL || mkdir(path_of(".aws"), 0700) == -1);
}

static int
teardown(void **state)
{
	(void)state;
	(void)rmdir(path_of(".aws"));
	return (rmdir(dir));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each_setup, each_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_environment_comes_first),
		TEST(half_a_pair_is_refused),
		TEST(files_are_looked_through_in_order),
		TEST(a_misspelt_profile_makes_nobody_administrator),
		TEST(a_file_that_is_named_must_be_there),
		TEST(nothing_anywhere_tells_where_to_put_it),
		TEST(the_region_is_found_too),
		TEST(the_region_stands_beside_the_keys_too),
		TEST(what_cannot_stand_in_a_header_is_refused),
	};

	return (cmocka_run_group_tests_name(
	    "aws_identity", tests, setup, teardown));
}
