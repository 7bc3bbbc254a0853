#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth_tools.h"

#include "auth/admin_int.h"
#include "base/log.h"
#include "storage/repositories.h"

#define PULL \
	"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":{" \
	"\\\"Sid\\\":\\\"pulls\\\",\\\"Effect\\\":\\\"Allow\\\"," \
	"\\\"Action\\\":\\\"ecr:BatchGetImage\\\"," \
	"\\\"Resource\\\":\\\"*\\\"}}"
#define DENY \
	"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":{" \
	"\\\"Effect\\\":\\\"Deny\\\",\\\"Action\\\":\\\"ecr:*\\\"," \
	"\\\"Resource\\\":\\\"*\\\"}}"
#define REGISTRY \
	"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":{" \
	"\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":\\\"*\\\"," \
	"\\\"Action\\\":\\\"ecr:BatchGetImage\\\"," \
	"\\\"Resource\\\":\\\"*\\\"}}"
#define READ_ONLY "AmazonEC2ContainerRegistryReadOnly"
#define ADMINISTRATOR "AdministratorAccess"

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	place_make(p);
	*state = p;
	return (0);
}

static int
teardown(void **state)
{
	place_remove(*state);
	free(*state);
	return (0);
}

static void
is(const json_t *o, const char *path, const char *want)
{
	assert_string_equal(str_at(o, path), want);
}

/* --- requests ------------------------------------------------------------ */

static void
test_unknown_operations_members_and_types_are_refused(void **state)
{
	struct place *p = *state;

	refused(p, RC_INVALID, "op", "{'name':'bob'}");
	refused(p, RC_INVALID, "\"user-make\"", "{'op':'user-make'}");
	refused(p, RC_INVALID, "\"nmae\"", "{'op':'user-create','nmae':'bob'}");
	refused(p, RC_INVALID, "does not take \"group\"",
	    "{'op':'user-create','name':'bob','group':'g'}");
	refused(p, RC_INVALID, "needs \"name\"", "{'op':'user-create'}");
	refused(p, RC_INVALID, "\"name\" must be a string",
	    "{'op':'user-create','name':7}");
	refused(p, RC_INVALID, "\"tags\" must be an object",
	    "{'op':'user-create','name':'bob','tags':[]}");
	refused(p, RC_INVALID, "12 digits",
	    "{'op':'user-create','name':'bob','account':'1'}");
	refused(p, RC_INVALID, "not an object", "['op']");
}

/* --- users --------------------------------------------------------------- */

static void
test_a_user_is_made_shown_listed_and_deleted(void **state)
{
	struct place *p = *state;
	json_t *a;

	a = ask(
	    p, RC_OK, "{'op':'user-create','name':'bob','tags':{'team':'a'}}");
	is(a, "User.UserName", "bob");
	is(a, "User.Arn", "arn:aws:iam::" ACCOUNT ":user/bob");
	is(a, "User.Account", ACCOUNT);
	is(a, "User.Tags.team", "a");
	assert_memory_equal(str_at(a, "User.UserId"), "AIDA", 4);
	assert_int_equal(strlen(str_at(a, "User.UserId")), 20);
	assert_int_equal(strlen(str_at(a, "User.CreateDate")), 24);
	assert_true(json_is_false(at(a, "User.HasPassword")));
	json_decref(a);
	refused(p, RC_EXISTS, "bob", "{'op':'user-create','name':'bob'}");
	a = ask(p, RC_OK, "{'op':'user-show','name':'bob'}");
	is(a, "User.Tags.team", "a");
	assert_int_equal(json_array_size(at(a, "User.AccessKeys")), 0);
	json_decref(a);
	did(p, "{'op':'user-create','name':'zoe','account':'%s'}",
	    OTHER_ACCOUNT);
	a = ask(p, RC_OK, "{'op':'user-list'}");
	assert_int_equal(json_array_size(at(a, "Users")), 2);
	json_decref(a);
	a = ask(p, RC_OK, "{'op':'user-list','account':'%s'}", OTHER_ACCOUNT);
	assert_int_equal(json_array_size(at(a, "Users")), 1);
	is(a, "Users.0.Arn", "arn:aws:iam::" OTHER_ACCOUNT ":user/zoe");
	json_decref(a);
	did(p, "{'op':'user-delete','name':'bob'}");
	refused(p, RC_NOTFOUND, "bob", "{'op':'user-show','name':'bob'}");
	refused(p, RC_NOTFOUND, "bob", "{'op':'user-delete','name':'bob'}");
}

static void
test_names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", "a b", "a/b", "a:b", "../a",
		"caf\u00e9", "a\\n" };
	struct place *p = *state;
	char name[66];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(p, RC_INVALID, "no name",
		    "{'op':'user-create','name':'%s'}", bad[i]);
	memset(name, 'a', 65);
	name[65] = '\0';
	refused(
	    p, RC_INVALID, "no name", "{'op':'user-create','name':'%s'}", name);
	name[64] = '\0';
	did(p, "{'op':'user-create','name':'%s'}", name);
}

static void
test_passwords_are_set_and_taken_away(void **state)
{
	struct place *p = *state;
	char password[74];
	json_t *a;

	a = ask(
	    p, RC_OK, "{'op':'user-create','name':'bob','password':'secret'}");
	assert_true(json_is_true(at(a, "User.HasPassword")));
	json_decref(a);
	memset(password, 'p', 73);
	password[73] = '\0';
	refused(p, RC_INVALID, "73 bytes",
	    "{'op':'user-password','name':'bob','password':'%s'}", password);
	refused(p, RC_INVALID, "empty",
	    "{'op':'user-password','name':'bob','password':''}");
	refused(p, RC_INVALID, "needs \"password\"",
	    "{'op':'user-password','name':'bob'}");
	did(p, "{'op':'user-password','name':'bob','password':null}");
	a = ask(p, RC_OK, "{'op':'user-show','name':'bob'}");
	assert_true(json_is_false(at(a, "User.HasPassword")));
	json_decref(a);
}

static void
test_tags_are_checked_and_replaced(void **state)
{
	struct place *p = *state;
	json_t *a;

	did(p, "{'op':'user-create','name':'bob','tags':{'a':'1','b':'2'}}");
	did(p, "{'op':'user-tag','name':'bob','tags':{'c':''}}");
	a = ask(p, RC_OK, "{'op':'user-show','name':'bob'}");
	assert_int_equal(json_object_size(at(a, "User.Tags")), 1);
	is(a, "User.Tags.c", "");
	json_decref(a);
	refused(p, RC_INVALID, "aws:x",
	    "{'op':'user-tag','name':'bob','tags':{'aws:x':'1'}}");
	refused(p, RC_INVALID, "tag \"x\"",
	    "{'op':'user-tag','name':'bob','tags':{'x':1}}");
	refused(p, RC_INVALID, "key of a tag",
	    "{'op':'user-tag','name':'bob','tags':{'':'1'}}");
}

static void
test_the_last_administrator_stays_unless_by_force(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'root'}");
	did(p, "{'op':'policy-attach','user':'root','policy':'%s'}",
	    ADMINISTRATOR);
	refused(
	    p, RC_REFERENCED, "force", "{'op':'user-delete','name':'root'}");
	/* One of another account does not count, one by a group does. */
	did(p, "{'op':'user-create','name':'zoe','account':'%s'}",
	    OTHER_ACCOUNT);
	did(p,
	    "{'op':'policy-attach','user':'zoe','policy':'%s',"
	    "'account':'%s'}",
	    ADMINISTRATOR, OTHER_ACCOUNT);
	refused(p, RC_REFERENCED, "root", "{'op':'user-delete','name':'root'}");
	did(p, "{'op':'user-create','name':'ada'}");
	did(p, "{'op':'group-create','name':'admins'}");
	did(p, "{'op':'policy-attach','group':'admins','policy':'%s'}",
	    ADMINISTRATOR);
	did(p, "{'op':'group-add','name':'admins','user':'ada'}");
	did(p, "{'op':'user-delete','name':'root'}");
	refused(p, RC_REFERENCED, "ada",
	    "{'op':'user-delete','name':'ada','force':false}");
	did(p, "{'op':'user-delete','name':'ada','force':true}");
}

static void
test_the_last_administrator_keeps_the_policy_unless_by_force(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'root'}");
	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'policy-attach','user':'bob','policy':'" READ_ONLY "'}");
	did(p, "{'op':'policy-detach','user':'bob','policy':'" READ_ONLY "'}");
	did(p, "{'op':'policy-attach','user':'root','policy':'" ADMINISTRATOR
	       "'}");
	refused(p, RC_REFERENCED, "force",
	    "{'op':'policy-detach','user':'root','policy':'" ADMINISTRATOR
	    "'}");
	refused(p, RC_REFERENCED, "root",
	    "{'op':'policy-detach','user':'root','force':false,"
	    "'policy':'arn:aws:iam::aws:policy/" ADMINISTRATOR "'}");
	/* Twice is enough to lose one. */
	did(p, "{'op':'group-create','name':'admins'}");
	did(p, "{'op':'policy-attach','group':'admins','policy':'" ADMINISTRATOR
	       "'}");
	did(p, "{'op':'group-add','name':'admins','user':'root'}");
	did(p, "{'op':'policy-detach','user':'root','policy':'" ADMINISTRATOR
	       "'}");
	/* Now it is the group's. */
	refused(p, RC_REFERENCED, "force",
	    "{'op':'policy-detach','group':'admins','policy':'" ADMINISTRATOR
	    "'}");
	refused(p, RC_REFERENCED, "force",
	    "{'op':'group-remove','name':'admins','user':'root'}");
	refused(
	    p, RC_REFERENCED, "force", "{'op':'group-delete','name':'admins'}");
	did(p, "{'op':'group-add','name':'admins','user':'bob'}");
	did(p, "{'op':'group-remove','name':'admins','user':'root'}");
	refused(p, RC_REFERENCED, "bob",
	    "{'op':'group-remove','name':'admins','user':'bob'}");
	did(p, "{'op':'group-remove','name':'admins','user':'bob',"
	       "'force':true}");
	did(p, "{'op':'group-delete','name':'admins'}");
	did(p, "{'op':'policy-attach','user':'root','policy':'" ADMINISTRATOR
	       "'}");
	did(p, "{'op':'policy-detach','user':'root','force':true,"
	       "'policy':'" ADMINISTRATOR "'}");
	/* Of another account nobody is the last one. */
	did(p, "{'op':'user-create','name':'zoe','account':'%s'}",
	    OTHER_ACCOUNT);
	did(p,
	    "{'op':'policy-attach','user':'zoe','policy':'%s',"
	    "'account':'%s'}",
	    ADMINISTRATOR, OTHER_ACCOUNT);
	did(p,
	    "{'op':'policy-detach','user':'zoe','policy':'%s',"
	    "'account':'%s'}",
	    ADMINISTRATOR, OTHER_ACCOUNT);
}

static void
test_nobody_is_named_as_login_tokens_are(void **state)
{
	struct place *p = *state;

	refused(
	    p, RC_INVALID, "login token", "{'op':'user-create','name':'AWS'}");
	refused(p, RC_INVALID, "login token",
	    "{'op':'user-create','name':'AWS','account':'%s'}", OTHER_ACCOUNT);
	did(p, "{'op':'user-create','name':'aws'}");
}

/* --- groups -------------------------------------------------------------- */

static void
test_a_group_gives_its_members_its_policies(void **state)
{
	struct place *p = *state;
	json_t *a;

	did(p, "{'op':'user-create','name':'bob'}");
	a = ask(p, RC_OK, "{'op':'group-create','name':'dev'}");
	is(a, "Group.Arn", "arn:aws:iam::" ACCOUNT ":group/dev");
	json_decref(a);
	refused(p, RC_EXISTS, "dev", "{'op':'group-create','name':'dev'}");
	did(p, "{'op':'policy-attach','group':'dev','policy':'%s'}", READ_ONLY);
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	did(p, "{'op':'group-add','name':'dev','user':'bob'}");
	did(p, "{'op':'group-add','name':'dev','user':'bob'}");
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	a = ask(p, RC_OK, "{'op':'group-show','name':'dev'}");
	is(a, "Group.Users.0", "bob");
	assert_int_equal(json_array_size(at(a, "Group.Users")), 1);
	is(a, "Group.AttachedPolicies.0.PolicyName", READ_ONLY);
	json_decref(a);
	did(p, "{'op':'group-remove','name':'dev','user':'bob'}");
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	refused(p, RC_NOTFOUND, "no member",
	    "{'op':'group-remove','name':'dev','user':'bob'}");
	refused(p, RC_NOTFOUND, "nobody",
	    "{'op':'group-add','name':'dev','user':'nobody'}");
}

static void
test_a_deleted_group_leaves_no_membership_behind(void **state)
{
	struct place *p = *state;
	json_t *a;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'user-create','name':'ada'}");
	did(p, "{'op':'group-create','name':'dev'}");
	did(p, "{'op':'group-add','name':'dev','user':'bob'}");
	did(p, "{'op':'group-add','name':'dev','user':'ada'}");
	did(p, "{'op':'group-delete','name':'dev'}");
	did(p, "{'op':'group-create','name':'dev'}");
	did(p, "{'op':'policy-attach','group':'dev','policy':'%s'}", READ_ONLY);
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	assert_false(may(p, "ada", "ecr:BatchGetImage"));
	a = ask(p, RC_OK, "{'op':'group-list'}");
	assert_int_equal(json_array_size(at(a, "Groups.0.Users")), 0);
	json_decref(a);
}

/* --- access keys --------------------------------------------------------- */

static void
key_of(struct place *p, const char *user, char id[32], char secret[64])
{
	json_t *a;

	a = ask(p, RC_OK, "{'op':'access-key-create','user':'%s'}", user);
	snprintf(id, 32, "%s", str_at(a, "AccessKey.AccessKeyId"));
	snprintf(secret, 64, "%s", str_at(a, "AccessKey.SecretAccessKey"));
	is(a, "AccessKey.Status", "Active");
	is(a, "AccessKey.UserName", user);
	json_decref(a);
}

static void
test_the_life_of_an_access_key(void **state)
{
	struct place *p = *state;
	char id[32], secret[64], out[AUTH_SECRET_MAX_BYTES];
	const struct access_key *k;
	struct directory *d;
	json_t *a;
	size_t n;

	did(p, "{'op':'user-create','name':'bob'}");
	key_of(p, "bob", id, secret);
	assert_int_equal(strlen(id), 20);
	assert_memory_equal(id, "AKIA", 4);
	assert_int_equal(strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 20);
	assert_int_equal(strlen(secret), 40);
	d = auth_directory(p->auth);
	k = directory_access_key(d, span_of(id));
	assert_non_null(k);
	assert_true(k->active);
	assert_true(span_is(k->user->access_key, id));
	assert_true(span_is(k->user->name, "bob"));
	assert_int_equal(auth_secret(p->auth, k, out, &n), RC_OK);
	assert_true(span_is((struct span){ out, n }, secret));
	directory_unref(&d);
	did(p, "{'op':'access-key-deactivate','id':'%s'}", id);
	d = auth_directory(p->auth);
	assert_false(directory_access_key(d, span_of(id))->active);
	directory_unref(&d);
	a = ask(p, RC_OK, "{'op':'access-key-list','user':'bob'}");
	is(a, "AccessKeys.0.Status", "Inactive");
	assert_null(at(a, "AccessKeys.0.SecretAccessKey"));
	json_decref(a);
	did(p, "{'op':'access-key-activate','id':'%s'}", id);
	did(p, "{'op':'access-key-delete','id':'%s'}", id);
	refused(p, RC_NOTFOUND, id, "{'op':'access-key-delete','id':'%s'}", id);
}

static void
test_a_user_has_at_most_five_keys_and_takes_them_along(void **state)
{
	struct place *p = *state;
	char id[32], secret[64];
	struct directory *d;
	json_t *a;
	int i;

	did(p, "{'op':'user-create','name':'bob'}");
	for (i = 0; i < 5; i++)
		key_of(p, "bob", id, secret);
	refused(p, RC_INVALID, "5 access keys",
	    "{'op':'access-key-create','user':'bob'}");
	did(p, "{'op':'user-delete','name':'bob'}");
	d = auth_directory(p->auth);
	assert_null(directory_access_key(d, span_of(id)));
	directory_unref(&d);
	a = ask(p, RC_OK, "{'op':'access-key-list'}");
	assert_int_equal(json_array_size(at(a, "AccessKeys")), 0);
	json_decref(a);
}

static void
test_the_last_use_is_told_before_and_after_it_is_written(void **state)
{
	struct place *p = *state;
	char id[32], secret[64];
	json_t *a;
	int i;

	did(p, "{'op':'user-create','name':'bob'}");
	key_of(p, "bob", id, secret);
	a = ask(p, RC_OK, "{'op':'access-key-last-used','id':'%s'}", id);
	assert_true(json_is_null(at(a, "LastUsed")));
	json_decref(a);
	auth_key_used(p->auth, span_of(id), SPAN("ecr"), SPAN("eu-west-1"),
	    1700000000000);
	auth_key_used(
	    p->auth, span_of(id), SPAN("sts"), SPAN("old"), 1600000000000);
	for (i = 0; i < 2; i++) {
		a = ask(
		    p, RC_OK, "{'op':'access-key-last-used','id':'%s'}", id);
		is(a, "LastUsed.Date", "2023-11-14T22:13:20.000Z");
		is(a, "LastUsed.ServiceName", "ecr");
		is(a, "LastUsed.Region", "eu-west-1");
		is(a, "UserName", "bob");
		json_decref(a);
		auth_flush(p->auth);
	}
	a = ask(p, RC_OK, "{'op':'user-show','name':'bob'}");
	is(a, "User.AccessKeys.0.LastUsed.Region", "eu-west-1");
	json_decref(a);
	/* A note of a key that is gone is not written. */
	did(p, "{'op':'access-key-delete','id':'%s'}", id);
	auth_key_used(p->auth, span_of(id), SPAN("ecr"), SPAN("r"), 1);
	auth_flush(p->auth);
}

/* --- policies ------------------------------------------------------------ */

static void
test_managed_policies_are_put_attached_and_detached(void **state)
{
	struct place *p = *state;
	json_t *a;

	did(p, "{'op':'user-create','name':'bob'}");
	a = ask(p, RC_OK,
	    "{'op':'policy-put','name':'pull','document':'" PULL "'}");
	is(a, "Policy.Arn", "arn:aws:iam::" ACCOUNT ":policy/pull");
	json_decref(a);
	did(p, "{'op':'policy-attach','user':'bob','policy':'pull'}");
	did(p, "{'op':'policy-attach','user':'bob','policy':'pull'}");
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	assert_false(may(p, "bob", "ecr:PutImage"));
	a = ask(p, RC_OK, "{'op':'policy-list','user':'bob'}");
	assert_int_equal(json_array_size(at(a, "Policies")), 1);
	is(a, "Policies.0.PolicyName", "pull");
	assert_int_equal(
	    json_integer_value(at(a, "Policies.0.AttachmentCount")), 1);
	json_decref(a);
	refused(p, RC_REFERENCED, "user/bob",
	    "{'op':'policy-delete','name':'pull'}");
	/* What is attached follows the policy. */
	did(p, "{'op':'policy-put','name':'pull','document':'" DENY "'}");
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	a = ask(p, RC_OK, "{'op':'policy-get','name':'pull'}");
	assert_non_null(strstr(str_at(a, "Policy.Document"), "Deny"));
	json_decref(a);
	did(p, "{'op':'policy-detach','user':'bob',"
	       "'policy':'arn:aws:iam::" ACCOUNT ":policy/pull'}");
	refused(p, RC_NOTFOUND, "not attached",
	    "{'op':'policy-detach','user':'bob','policy':'pull'}");
	did(p, "{'op':'policy-delete','name':'pull'}");
	refused(p, RC_NOTFOUND, "pull", "{'op':'policy-get','name':'pull'}");
}

static void
test_awss_policies_are_there_by_name_and_arn(void **state)
{
	struct place *p = *state;
	json_t *a;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'policy-attach','user':'bob','policy':"
	       "'arn:aws:iam::aws:policy/" READ_ONLY "'}");
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	assert_false(may(p, "bob", "ecr:PutImage"));
	did(p, "{'op':'policy-detach','user':'bob','policy':'" READ_ONLY "'}");
	a = ask(p, RC_OK, "{'op':'policy-get','name':'" READ_ONLY "'}");
	assert_non_null(strstr(str_at(a, "Policy.Document"), "ecr:"));
	json_decref(a);
	a = ask(p, RC_OK, "{'op':'policy-list'}");
	assert_true(json_array_size(at(a, "Policies")) >= 5);
	json_decref(a);
	refused(p, RC_INVALID, "AWS",
	    "{'op':'policy-delete','name':'" READ_ONLY "'}");
	refused(p, RC_EXISTS, "AWS",
	    "{'op':'policy-put','name':'" READ_ONLY "','document':'" PULL "'}");
}

static void
test_policies_of_another_account_cannot_be_attached(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p,
	    "{'op':'policy-put','name':'theirs','document':'" PULL
	    "','account':'%s'}",
	    OTHER_ACCOUNT);
	refused(p, RC_NOTFOUND, "theirs",
	    "{'op':'policy-attach','user':'bob','policy':"
	    "'arn:aws:iam::" OTHER_ACCOUNT ":policy/theirs'}");
	refused(p, RC_NOTFOUND, "theirs",
	    "{'op':'policy-attach','user':'bob','policy':'theirs'}");
}

static void
test_inline_policies_of_users_and_groups(void **state)
{
	struct place *p = *state;
	json_t *a;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'group-create','name':'dev'}");
	did(p, "{'op':'policy-put','name':'mine','user':'bob',"
	       "'document':'" PULL "'}");
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	a = ask(p, RC_OK, "{'op':'user-show','name':'bob'}");
	is(a, "User.InlinePolicies.0", "mine");
	json_decref(a);
	a = ask(p, RC_OK, "{'op':'policy-get','name':'mine','user':'bob'}");
	assert_non_null(strstr(str_at(a, "Policy.Document"), "pulls"));
	json_decref(a);
	did(p, "{'op':'policy-put','name':'ours','group':'dev',"
	       "'document':'" DENY "'}");
	did(p, "{'op':'group-add','name':'dev','user':'bob'}");
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	did(p, "{'op':'policy-delete','name':'ours','group':'dev'}");
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	did(p, "{'op':'policy-delete','name':'mine','user':'bob'}");
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	refused(p, RC_NOTFOUND, "mine",
	    "{'op':'policy-delete','name':'mine','user':'bob'}");
	refused(p, RC_INVALID, "not both",
	    "{'op':'policy-list','user':'bob','group':'dev'}");
	refused(p, RC_INVALID, "must be named",
	    "{'op':'policy-attach','policy':'" READ_ONLY "'}");
}

static void
test_malformed_policies_are_refused_when_put(void **state)
{
	struct place *p = *state;

	refused(p, RC_INVALID, "",
	    "{'op':'policy-put','name':'x',"
	    "'document':'{}'}");
	refused(p, RC_INVALID, "Principal",
	    "{'op':'policy-put','name':'x','document':'" REGISTRY "'}");
	assert_true(strlen(p->why) > 10);
	refused(p, RC_INVALID, "Principal",
	    "{'op':'registry-policy-put','document':'" PULL "'}");
}

static void
test_the_registrys_policy(void **state)
{
	struct place *p = *state;
	struct directory *d;
	uint64_t first, second;
	json_t *a;

	refused(p, RC_NOTFOUND, "no policy", "{'op':'registry-policy-get'}");
	d = auth_directory(p->auth);
	assert_null(directory_registry_policy(d, &first));
	assert_int_equal(first, 0);
	directory_unref(&d);
	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'registry-policy-put','document':'" REGISTRY "'}");
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	d = auth_directory(p->auth);
	assert_non_null(directory_registry_policy(d, &first));
	assert_true(first != 0);
	directory_unref(&d);
	a = ask(p, RC_OK, "{'op':'registry-policy-get'}");
	assert_non_null(strstr(str_at(a, "Policy.Document"), "Principal"));
	json_decref(a);
	assert_int_equal(
	    auth_registry_policy_set(p->auth,
		SPAN("{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":"
		     "\"Deny\",\"Principal\":\"*\",\"Action\":\"ecr:*\","
		     "\"Resource\":\"*\"}}"),
		p->why),
	    RC_OK);
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	d = auth_directory(p->auth);
	(void)directory_registry_policy(d, &second);
	assert_true(second != first);
	directory_unref(&d);
	assert_int_equal(
	    auth_registry_policy_set(p->auth, SPAN("{"), p->why), RC_INVALID);
	assert_int_equal(
	    auth_registry_policy_set(p->auth, SPAN_NONE, p->why), RC_OK);
	assert_int_equal(
	    auth_registry_policy_set(p->auth, SPAN_NONE, p->why), RC_NOTFOUND);
	refused(p, RC_NOTFOUND, "no policy", "{'op':'registry-policy-delete'}");
}

/* --- simulation ---------------------------------------------------------- */

static void
decides(struct place *p, const char *rest, const char *decision, const char *by)
{
	json_t *a = ask(p, RC_OK, "{'op':'policy-simulate',%s}", rest);

	is(a, "decision", decision);
	is(a, "decided_by", by);
	assert_true(strlen(str_at(a, "message")) > 0);
	json_decref(a);
}

static void
test_simulation_says_what_decides(void **state)
{
	struct place *p = *state;
	const struct repository_create create = { .name = SPAN("team/app"),
		.preset = { .settings = { .mutability = TAGS_MUTABLE,
				.encryption = ENCRYPTION_NONE } },
		.now_ms = 1 };
	struct repository_row row;
	json_t *a;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'policy-put','name':'mine','user':'bob',"
	       "'document':'" PULL "'}");
	decides(p,
	    "'principal':'bob','action':'ecr:BatchGetImage',"
	    "'resource':'team/app'",
	    "allowed", "identity");
	a = ask(p, RC_OK,
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'ecr:BatchGetImage','resource':'team/app'}");
	is(a, "sid", "pulls");
	is(a, "policy", "inline policy mine of user bob");
	assert_int_equal(json_integer_value(at(a, "statement")), 1);
	json_decref(a);
	a = ask(p, RC_OK,
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'ecr:PutImage','resource':'team/app'}");
	is(a, "decision", "implicitDeny");
	assert_non_null(
	    strstr(str_at(a, "message"), "is not authorized to perform"));
	json_decref(a);
	decides(p,
	    "'principal':'anonymous','action':'ecr:BatchGetImage',"
	    "'resource':'team/app'",
	    "implicitDeny", "none");
	assert_int_equal(meta_repository_create(p->meta, &create, &row), RC_OK);
	assert_int_equal(
	    meta_repository_policy_set(p->meta, SPAN("team/app"),
		SPAN("{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":"
		     "\"Allow\",\"Principal\":\"*\","
		     "\"Action\":\"ecr:BatchGetImage\",\"Condition\":{"
		     "\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}}}}")),
	    RC_OK);
	decides(p,
	    "'principal':'anonymous','action':'ecr:BatchGetImage',"
	    "'resource':'team/app','source_ip':'10.1.1.1'",
	    "allowed", "repository");
	decides(p,
	    "'principal':'anonymous','action':'ecr:BatchGetImage',"
	    "'resource':'arn:aws:ecr:x:" ACCOUNT ":repository/team/app',"
	    "'source_ip':'192.0.2.1'",
	    "implicitDeny", "none");
	did(p, "{'op':'policy-put','name':'no','user':'bob',"
	       "'document':'" DENY "'}");
	decides(p,
	    "'principal':'arn:aws:iam::" ACCOUNT ":user/bob',"
	    "'action':'ecr:GetAuthorizationToken','resource':'*'",
	    "explicitDeny", "identity");
}

static void
test_simulation_refuses_what_it_does_not_know(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'bob'}");
	refused(p, RC_NOTFOUND, "nobody",
	    "{'op':'policy-simulate','principal':'nobody',"
	    "'action':'ecr:PutImage','resource':'*'}");
	refused(p, RC_INVALID, "ecr:PutImages",
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'ecr:PutImages','resource':'*'}");
	refused(p, RC_INVALID,
	    "\"PutImage\" is not an action: write it as SERVICE:ACTION, for "
	    "example ecr:PutImage",
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'PutImage','resource':'*'}");
	refused(p, RC_INVALID, "source_ip: \"10.0.0\"",
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'ecr:PutImage','resource':'*','source_ip':'10.0.0'}");
	refused(p, RC_INVALID, "source_ip: \"\"",
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'ecr:PutImage','resource':'*','source_ip':''}");
	json_decref(ask(p, RC_OK,
	    "{'op':'policy-simulate','principal':'bob','action':"
	    "'ecr:PutImage','resource':'*','source_ip':'2001:db8::1'}"));
	refused(p, RC_INVALID, "ecr:Put*",
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'ecr:Put*','resource':'*'}");
	refused(p, RC_INVALID, "UPPER",
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'ecr:PutImage','resource':'UPPER'}");
	refused(p, RC_INVALID, "arn:aws:s3",
	    "{'op':'policy-simulate','principal':'bob',"
	    "'action':'ecr:PutImage','resource':'arn:aws:s3:::b'}");
}

/* --- several at once ----------------------------------------------------- */

struct maker {
	struct place *p;
	int from;
	enum rc rc;
};

static void *
makes_users(void *arg)
{
	struct maker *m = arg;
	char why[AUTH_WHY_BYTES], name[16];
	json_t *request;
	struct buf b;
	int i;

	for (i = 0; i < 10 && m->rc == RC_OK; i++) {
		snprintf(name, sizeof(name), "u%d", m->from + i);
		request =
		    json_pack("{ssss}", "op", "user-create", "name", name);
		buf_init(&b, 65536);
		m->rc = auth_admin(m->p->auth, request, &b, why);
		json_decref(request);
		buf_free(&b);
	}
	return (NULL);
}

/* A second room over the same metadata: as another process would be. */
static void *
makes_users_elsewhere(void *arg)
{
	struct maker *m = arg;
	struct place other = { .options = m->p->options };

	m->rc = auth_open(&other.options, other.why, &other.auth);
	if (m->rc == RC_OK) {
		m->p = &other;
		(void)makes_users(m);
	}
	auth_close(&other.auth);
	return (NULL);
}

static void
test_changes_at_the_same_time_all_happen(void **state)
{
	struct place *p = *state;
	struct maker makers[4];
	pthread_t threads[4];
	json_t *a;
	int i;

	for (i = 0; i < 4; i++) {
		makers[i] = (struct maker){ p, i * 10, RC_OK };
		assert_int_equal(
		    pthread_create(&threads[i], NULL,
			i < 2 ? makes_users : makes_users_elsewhere,
			&makers[i]),
		    0);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(makers[i].rc, RC_OK);
	}
	auth_refresh(p->auth);
	a = ask(p, RC_OK, "{'op':'user-list'}");
	assert_int_equal(json_array_size(at(a, "Users")), 40);
	json_decref(a);
}

static void
test_all_of_it_is_there_after_a_restart(void **state)
{
	struct place *p = *state;
	char id[32], secret[64], out[AUTH_SECRET_MAX_BYTES];
	struct directory *d;
	size_t n;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'policy-attach','user':'bob','policy':'" READ_ONLY "'}");
	key_of(p, "bob", id, secret);
	place_stop(p);
	place_store(p);
	assert_int_equal(place_auth(p), RC_OK);
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	d = auth_directory(p->auth);
	assert_int_equal(
	    auth_secret(p->auth, directory_access_key(d, span_of(id)), out, &n),
	    RC_OK);
	assert_true(span_is((struct span){ out, n }, secret));
	directory_unref(&d);
}

/* Each run meets another change. */
static enum rc
never_through(struct admin *x)
{
	int *runs = x->state;

	++*runs;
	return (RC_BUSY);
}

/* As of a library that has no more to say. */
static enum rc
held_up(struct admin *x)
{

	(void)x;
	return (RC_LIMIT);
}

static void
test_what_does_not_come_through_says_why(void **state)
{
	struct place *p = *state;
	int runs = 0;
	struct admin x = { .state = &runs }, y = { 0 };

	assert_int_equal(
	    admin_run(p->auth, never_through, &x, p->why), RC_LIMIT);
	admin_fini(&x);
	assert_int_equal(runs, AUTH_CHANGE_TRIES);
	assert_non_null(strstr(p->why, "try again"));
	assert_int_equal(admin_run(p->auth, held_up, &y, p->why), RC_LIMIT);
	admin_fini(&y);
	assert_non_null(strstr(p->why, "try again"));
}

/* --- secrets in memory --------------------------------------------------- */

#define SECRET_MARK "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

static char secret_mark[64];
static int secrets_freed;

/* Is the secret in what the library gives back? */
static void
json_free(void *p)
{
	size_t n = p != NULL ? malloc_usable_size(p) : 0;

	if (secret_mark[0] != '\0' && n > 0 &&
	    memmem(p, n, secret_mark, strlen(secret_mark)) != NULL)
		secrets_freed++;
	free(p);
}

static void *
json_malloc(size_t n)
{

	return (calloc(1, n));
}

/* The first run meets another change, as if a second key were made. */
static enum rc
secret_twice(struct admin *x)
{
	int *runs = x->state;
	json_t *key = json_object();

	json_object_set_new(key, "SecretAccessKey", json_string(SECRET_MARK));
	admin_answer(x, "AccessKey", key);
	return (++*runs == 1 ? RC_BUSY : RC_OK);
}

static void
test_a_secret_of_an_answer_is_wiped_in_each_run(void **state)
{
	struct place *p = *state;
	int runs = 0;
	struct admin x = { .state = &runs };

	json_set_alloc_funcs(json_malloc, json_free);
	snprintf(secret_mark, sizeof(secret_mark), SECRET_MARK);
	secrets_freed = 0;
	assert_int_equal(admin_run(p->auth, secret_twice, &x, p->why), RC_OK);
	admin_fini(&x);
	secret_mark[0] = '\0';
	json_set_alloc_funcs(malloc, free);
	assert_int_equal(runs, 2);
	assert_int_equal(secrets_freed, 0);
}

static void
test_an_answer_that_does_not_fit_leaves_no_part_of_it(void **state)
{
	struct place *p = *state;
	struct buf b;
	json_t *request;

	did(p, "{'op':'user-create','name':'bob'}");
	request =
	    json_pack("{s:s,s:s}", "op", "access-key-create", "user", "bob");
	buf_init(&b, 120);
	assert_int_equal(auth_admin(p->auth, request, &b, p->why), RC_TOOBIG);
	assert_int_equal(b.n, 0);
	buf_free(&b);
	json_decref(request);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_operations_members_and_types_are_refused),
		TEST(test_a_user_is_made_shown_listed_and_deleted),
		TEST(test_names_that_are_none_are_refused),
		TEST(test_passwords_are_set_and_taken_away),
		TEST(test_tags_are_checked_and_replaced),
		TEST(test_the_last_administrator_stays_unless_by_force),
		TEST(
		    test_the_last_administrator_keeps_the_policy_unless_by_force),
		TEST(test_nobody_is_named_as_login_tokens_are),
		TEST(test_a_group_gives_its_members_its_policies),
		TEST(test_a_deleted_group_leaves_no_membership_behind),
		TEST(test_the_life_of_an_access_key),
		TEST(test_a_user_has_at_most_five_keys_and_takes_them_along),
		TEST(test_the_last_use_is_told_before_and_after_it_is_written),
		TEST(test_managed_policies_are_put_attached_and_detached),
		TEST(test_awss_policies_are_there_by_name_and_arn),
		TEST(test_policies_of_another_account_cannot_be_attached),
		TEST(test_inline_policies_of_users_and_groups),
		TEST(test_malformed_policies_are_refused_when_put),
		TEST(test_the_registrys_policy),
		TEST(test_simulation_says_what_decides),
		TEST(test_simulation_refuses_what_it_does_not_know),
		TEST(test_changes_at_the_same_time_all_happen),
		TEST(test_all_of_it_is_there_after_a_restart),
		TEST(test_what_does_not_come_through_says_why),
		TEST(test_a_secret_of_an_answer_is_wiped_in_each_run),
		TEST(test_an_answer_that_does_not_fit_leaves_no_part_of_it),
	};

	log_set_level(LOG_LVL_WARN);
	return (cmocka_run_group_tests_name("admin", tests, NULL, NULL));
}
