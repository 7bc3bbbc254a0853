#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth_tools.h"

#include "auth/directory_int.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define READ_ONLY "AmazonEC2ContainerRegistryReadOnly"
#define ALLOW_ALL \
	"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":{" \
	"\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"*\\\"," \
	"\\\"Resource\\\":\\\"*\\\"}}"
#define OPEN_REGISTRY \
	"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":{" \
	"\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":\\\"*\\\"," \
	"\\\"Action\\\":\\\"ecr:*\\\",\\\"Resource\\\":\\\"*\\\"}}"
/* Of "secret", cost 4. */
#define HASH "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

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

/* Behind the room's back. */
static void
change(struct place *p, enum entity_kind kind, const char *name,
    const char *record)
{
	struct entity_change c = { .entity = {
				       kind, span_of(name), span_of(record) } };
	uint64_t generation;

	assert_int_equal(meta_entity_generation(p->meta, &generation), RC_OK);
	assert_int_equal(
	    meta_entities_change(p->meta, generation, &c, 1, &generation),
	    RC_OK);
	auth_refresh(p->auth);
}

/* --- finding ------------------------------------------------------------- */

static void
test_users_are_found_by_name_and_by_arn(void **state)
{
	struct place *p = *state;
	const struct principal *bob;
	struct directory *d;

	did(p, "{'op':'user-create','name':'bob','tags':{'team':'a'}}");
	did(p, "{'op':'user-create','name':'bob','account':'%s'}",
	    OTHER_ACCOUNT);
	d = auth_directory(p->auth);
	bob = directory_user(d, SPAN(ACCOUNT), SPAN("bob"));
	assert_non_null(bob);
	assert_int_equal(bob->kind, PRINCIPAL_USER);
	assert_true(span_is(bob->account, ACCOUNT));
	assert_true(span_is(bob->arn, "arn:aws:iam::" ACCOUNT ":user/bob"));
	assert_int_equal(bob->id.n, 20);
	assert_int_equal(bob->access_key.n, 0);
	assert_int_equal(bob->n_tags, 1);
	assert_true(span_is(bob->tags[0].name, "team"));
	assert_true(span_is(bob->tags[0].value, "a"));
	assert_ptr_equal(directory_arn(d, bob->arn), bob);
	assert_ptr_not_equal(
	    directory_user(d, SPAN(OTHER_ACCOUNT), SPAN("bob")), bob);
	assert_null(directory_user(d, SPAN(ACCOUNT), SPAN("Bob")));
	assert_null(directory_user(d, SPAN_NONE, SPAN(ACCOUNT "/bob")));
	assert_null(directory_user(d, SPAN(""), SPAN("")));
	assert_null(
	    directory_arn(d, SPAN("arn:aws:iam::" ACCOUNT ":role/bob")));
	assert_null(directory_arn(d, SPAN("arn:aws:iam::" ACCOUNT ":user/")));
	assert_null(directory_arn(d, SPAN("arn:aws:iam::" ACCOUNT)));
	assert_null(directory_arn(d, SPAN("bob")));
	assert_null(directory_access_key(d, SPAN("AKIAAAAAAAAAAAAAAAAA")));
	assert_null(directory_access_key(d, SPAN("")));
	assert_true(span_is(directory_account(d), ACCOUNT));
	directory_unref(&d);
	assert_null(d);
	directory_unref(&d);
}

static void
test_who_holds_a_directory_keeps_what_it_began_with(void **state)
{
	struct place *p = *state;
	struct directory *old, *now;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p,
	    "{'op':'policy-put','user':'bob','name':'x','document':'" ALLOW_ALL
	    "'}");
	old = auth_directory(p->auth);
	did(p, "{'op':'user-delete','name':'bob'}");
	now = auth_directory(p->auth);
	assert_non_null(user_of(p, old, "bob"));
	assert_int_equal(user_of(p, old, "bob")->n_policies, 1);
	assert_null(user_of(p, now, "bob"));
	assert_true(directory_generation(old) != directory_generation(now));
	directory_unref(&now);
	directory_unref(&old);
}

static void
test_the_generation_is_new_with_every_reading_only(void **state)
{
	struct place *p = *state;
	struct directory *a, *b;

	a = auth_directory(p->auth);
	auth_refresh(p->auth);
	b = auth_directory(p->auth);
	assert_ptr_equal(a, b);
	directory_unref(&b);
	change(p, ENTITY_USER, ACCOUNT "/bob",
	    "{\"id\":\"AIDA\",\"created_ms\":1}");
	b = auth_directory(p->auth);
	assert_true(directory_generation(a) != directory_generation(b));
	assert_non_null(user_of(p, b, "bob"));
	directory_unref(&a);
	directory_unref(&b);
}

static void
test_policies_are_parsed_once_and_shared(void **state)
{
	struct place *p = *state;
	const struct policy *policy;
	struct directory *d;

	did(p, "{'op':'user-create','name':'ada'}");
	did(p, "{'op':'user-create','name':'bob'}");
	did(p,
	    "{'op':'policy-put','user':'ada','name':'x','document':'" ALLOW_ALL
	    "'}");
	did(p,
	    "{'op':'policy-put','user':'bob','name':'y','document':'" ALLOW_ALL
	    "'}");
	d = auth_directory(p->auth);
	policy = user_of(p, d, "ada")->policies[0].policy;
	assert_ptr_equal(user_of(p, d, "bob")->policies[0].policy, policy);
	assert_string_equal(user_of(p, d, "bob")->policies[0].label,
	    "inline policy y of user bob");
	directory_unref(&d);
	did(p, "{'op':'user-create','name':'zoe'}");
	d = auth_directory(p->auth);
	assert_ptr_equal(user_of(p, d, "ada")->policies[0].policy, policy);
	directory_unref(&d);
}

/* --- what is damaged ----------------------------------------------------- */

static void
test_a_policy_that_no_longer_parses_denies_everything(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'user-create','name':'ada'}");
	did(p, "{'op':'policy-attach','user':'ada',"
	       "'policy':'AdministratorAccess'}");
	did(p, "{'op':'registry-policy-put','document':'" OPEN_REGISTRY "'}");
	did(p, "{'op':'policy-put','name':'x','document':'" ALLOW_ALL "'}");
	did(p, "{'op':'policy-attach','user':'bob','policy':'x'}");
	did(p, "{'op':'policy-attach','user':'bob',"
	       "'policy':'AdministratorAccess'}");
	assert_true(may(p, "bob", "ecr:PutImage"));
	change(p, ENTITY_POLICY, ACCOUNT "/x",
	    "{\"created_ms\":1,\"updated_ms\":1,"
	    "\"document\":\"{\\\"Version\\\":\\\"2031-01-01\\\"}\"}");
	assert_false(may(p, "bob", "ecr:PutImage"));
	assert_true(may(p, "ada", "ecr:PutImage"));
	/* An administrator mends it. */
	did(p, "{'op':'policy-put','name':'x','document':'" ALLOW_ALL "'}");
	assert_true(may(p, "bob", "ecr:PutImage"));
}

static void
test_what_is_missing_or_damaged_denies_everything(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'registry-policy-put','document':'" OPEN_REGISTRY "'}");
	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'group-create','name':'g'}");
	did(p, "{'op':'group-add','name':'g','user':'bob'}");
	assert_true(may(p, "bob", "ecr:PutImage"));
	change(p, ENTITY_GROUP, ACCOUNT "/g", "{\"id\":7}");
	assert_false(may(p, "bob", "ecr:PutImage"));
	change(p, ENTITY_GROUP, ACCOUNT "/g",
	    "{\"id\":\"AGPA\",\"created_ms\":1,"
	    "\"attached\":[\"arn:aws:iam::aws:policy/Gone\"]}");
	assert_false(may(p, "bob", "ecr:PutImage"));
	did(p, "{'op':'policy-detach','group':'g',"
	       "'policy':'arn:aws:iam::aws:policy/Gone'}");
	assert_true(may(p, "bob", "ecr:PutImage"));
	change(p, ENTITY_GROUP, ACCOUNT "/g",
	    "{\"id\":\"AGPA\",\"created_ms\":1,"
	    "\"inline\":{\"x\":\"{not a policy\"}}");
	assert_false(may(p, "bob", "ecr:PutImage"));
	did(p, "{'op':'group-remove','name':'g','user':'bob'}");
	assert_true(may(p, "bob", "ecr:PutImage"));
}

static void
test_a_damaged_policy_of_the_registry_denies_everything(void **state)
{
	static const char *const damage[] = { "{}", "nothing",
		"{\"document\":7}", "{\"document\":\"{}\"}" };
	struct place *p = *state;
	size_t i;

	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'policy-attach','user':'bob',"
	       "'policy':'AdministratorAccess'}");
	for (i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		change(p, ENTITY_REGISTRY, "policy", damage[i]);
		assert_false(may(p, "bob", "ecr:PutImage"));
	}
	did(p, "{'op':'registry-policy-delete'}");
	assert_true(may(p, "bob", "ecr:PutImage"));
}

static void
test_damaged_users_and_keys_are_not_there(void **state)
{
	static const char *const damage[] = { "{}", "[]", "x",
		"{\"id\":\"A\",\"created_ms\":\"1\"}",
		"{\"id\":\"A\",\"created_ms\":1,\"groups\":[7]}",
		"{\"id\":\"A\",\"created_ms\":1,\"tags\":{\"a\":1}}",
		"{\"id\":\"A\",\"created_ms\":1,\"inline\":{\"a\":1}}",
		"{\"id\":\"A\",\"created_ms\":1,\"attached\":{}}",
		"{\"id\":\"A\",\"created_ms\":1,\"password\":1}" };
	struct place *p = *state;
	struct directory *d;
	size_t i;

	for (i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		change(p, ENTITY_USER, ACCOUNT "/bob", damage[i]);
		d = auth_directory(p->auth);
		assert_null(user_of(p, d, "bob"));
		directory_unref(&d);
	}
	change(p, ENTITY_USER, "no-account/bob",
	    "{\"id\":\"A\",\"created_ms\":1}");
	change(p, ENTITY_ACCESS_KEY, "AKIAAAAAAAAAAAAAAAAA",
	    "{\"account\":\"" ACCOUNT "\",\"user\":\"nobody\","
	    "\"active\":true,\"created_ms\":1,\"sealed\":\"AAAA\"}");
	change(p, ENTITY_ACCESS_KEY, "AKIAAAAAAAAAAAAAAAAB",
	    "{\"account\":\"" ACCOUNT "\",\"user\":\"nobody\"}");
	d = auth_directory(p->auth);
	assert_null(directory_access_key(d, SPAN("AKIAAAAAAAAAAAAAAAAA")));
	assert_null(directory_access_key(d, SPAN("AKIAAAAAAAAAAAAAAAAB")));
	directory_unref(&d);
}

static void
test_a_secret_that_was_moved_to_another_key_does_not_open(void **state)
{
	struct place *p = *state;
	char out[AUTH_SECRET_MAX_BYTES];
	struct access_key moved;
	struct directory *d;
	json_t *a;
	size_t n;

	did(p, "{'op':'user-create','name':'bob'}");
	a = ask(p, RC_OK, "{'op':'access-key-create','user':'bob'}");
	d = auth_directory(p->auth);
	moved = *directory_access_key(
	    d, span_of(str_at(a, "AccessKey.AccessKeyId")));
	assert_int_equal(auth_secret(p->auth, &moved, out, &n), RC_OK);
	moved.id = SPAN("AKIAAAAAAAAAAAAAAAAA");
	assert_int_equal(auth_secret(p->auth, &moved, out, &n), RC_CORRUPT);
	directory_unref(&d);
	json_decref(a);
}

/* --- tokens -------------------------------------------------------------- */

static enum rc
token_ok(struct place *p, const struct token *t, const char *user)
{
	const struct principal *principal;
	struct directory *d = auth_directory(p->auth);
	enum rc rc;

	rc = directory_token(d, t, &principal);
	if (rc == RC_OK)
		assert_true(span_is(principal->name, user));
	else
		assert_null(principal);
	if (rc == RC_OK && t->access_key.n > 0)
		assert_true(span_eq(principal->access_key, t->access_key));
	directory_unref(&d);
	return (rc);
}

static struct token
token_of(const char *user)
{
	return ((struct token){ .kind = TOKEN_LOGIN,
	    .account = SPAN(ACCOUNT),
	    .user = span_of(user),
	    .issued_ms = clock_real_ms() + 1 });
}

static void
test_a_token_lives_as_long_as_its_access_key(void **state)
{
	struct place *p = *state;
	struct token t = token_of("bob");
	char id[32];
	json_t *a;

	assert_int_equal(token_ok(p, &t, "bob"), RC_DENIED);
	did(p, "{'op':'user-create','name':'bob'}");
	did(p, "{'op':'user-create','name':'eve'}");
	t.issued_ms = clock_real_ms();
	assert_int_equal(token_ok(p, &t, "bob"), RC_OK);
	a = ask(p, RC_OK, "{'op':'access-key-create','user':'bob'}");
	snprintf(id, sizeof(id), "%s", str_at(a, "AccessKey.AccessKeyId"));
	json_decref(a);
	t.access_key = span_of(id);
	assert_int_equal(token_ok(p, &t, "bob"), RC_OK);
	t.user = SPAN("eve");
	assert_int_equal(token_ok(p, &t, "eve"), RC_DENIED);
	t.user = SPAN("bob");
	did(p, "{'op':'access-key-deactivate','id':'%s'}", id);
	assert_int_equal(token_ok(p, &t, "bob"), RC_DENIED);
	did(p, "{'op':'access-key-activate','id':'%s'}", id);
	assert_int_equal(token_ok(p, &t, "bob"), RC_OK);
	did(p, "{'op':'access-key-delete','id':'%s'}", id);
	assert_int_equal(token_ok(p, &t, "bob"), RC_DENIED);
}

static void
test_tokens_are_revoked_up_to_now(void **state)
{
	struct place *p = *state;
	struct token t;
	int64_t before;

	did(p, "{'op':'user-create','name':'bob'}");
	t = token_of("bob");
	before = t.issued_ms = clock_real_ms();
	did(p, "{'op':'token-revoke-all','user':'bob'}");
	assert_int_equal(token_ok(p, &t, "bob"), RC_DENIED);
	t.issued_ms = clock_real_ms() + 1;
	assert_int_equal(token_ok(p, &t, "bob"), RC_OK);
	t.issued_ms = before;
	did(p, "{'op':'user-password','name':'bob','password':'x'}");
	assert_int_equal(token_ok(p, &t, "bob"), RC_DENIED);
}

static void
test_a_token_got_with_a_password_ends_with_it(void **state)
{
	const struct auth_try one = { .name = SPAN_INIT("bob"),
		.password = SPAN_INIT("one"),
		.address = SPAN_INIT("10.0.0.1"),
		.now_ms = 1000 };
	unsigned wait;
	struct place *p = *state;
	const struct principal *principal;
	struct directory *d;
	struct token t;

	did(p, "{'op':'user-create','name':'bob','password':'one'}");
	t = token_of("bob");
	d = auth_directory(p->auth);
	assert_int_equal(auth_password_try(p->auth, d, &one, &principal,
			     t.password_mark, &wait),
	    RC_OK);
	directory_unref(&d);
	assert_int_equal(token_ok(p, &t, "bob"), RC_OK);
	did(p, "{'op':'user-tag','name':'bob','tags':{'a':'b'}}");
	assert_int_equal(token_ok(p, &t, "bob"), RC_OK);
	/* The same password again is another hash: who resets it means it. */
	did(p, "{'op':'user-password','name':'bob','password':'one'}");
	assert_int_equal(token_ok(p, &t, "bob"), RC_DENIED);
	did(p, "{'op':'user-password','name':'bob','password':null}");
	assert_int_equal(token_ok(p, &t, "bob"), RC_DENIED);
}

static void
test_a_new_user_of_an_old_name_has_no_old_tokens(void **state)
{
	struct place *p = *state;
	struct token t;

	did(p, "{'op':'user-create','name':'bob'}");
	t = token_of("bob");
	t.issued_ms = clock_real_ms() - 5000;
	assert_int_equal(token_ok(p, &t, "bob"), RC_DENIED);
	t.issued_ms = clock_real_ms();
	assert_int_equal(token_ok(p, &t, "bob"), RC_OK);
}

static void
test_only_bearer_tokens_are_anybodys(void **state)
{
	struct place *p = *state;
	struct token t = token_of("");

	assert_int_equal(token_ok(p, &t, "anonymous"), RC_DENIED);
	t.kind = TOKEN_BEARER;
	assert_int_equal(token_ok(p, &t, "anonymous"), RC_OK);
	assert_int_equal(directory_anonymous()->kind, PRINCIPAL_ANONYMOUS);
}

/* --- many ---------------------------------------------------------------- */

#define MANY 10000

static void
many_make(struct place *p)
{
	struct entity_change *changes = xcalloc(MANY, sizeof(*changes));
	char(*names)[32] = xcalloc(MANY, sizeof(*names));
	uint64_t generation;
	size_t i;

	for (i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), ACCOUNT "/user%zu", i);
		changes[i].entity = (struct entity){ ENTITY_USER,
			span_of(names[i]),
			SPAN(
			    "{\"id\":\"AIDAAAAAAAAAAAAAAAAA\",\"created_ms\":1,"
			    "\"password\":\"" HASH "\",\"groups\":[\"g\"],"
			    "\"attached\":[\"arn:aws:iam::aws:policy/" READ_ONLY
			    "\"],\"tags\":{\"team\":\"a\"}}") };
	}
	assert_int_equal(meta_entity_generation(p->meta, &generation), RC_OK);
	assert_int_equal(meta_entities_change(
			     p->meta, generation, changes, MANY, &generation),
	    RC_OK);
	free(changes);
	free(names);
}

static void
test_ten_thousand_users_are_read_and_found(void **state)
{
	struct place *p = *state;
	struct directory *d;
	char name[32];
	size_t i;
	json_t *a;

	did(p, "{'op':'group-create','name':'g'}");
	did(p, "{'op':'policy-attach','group':'g','policy':'" READ_ONLY "'}");
	many_make(p);
	auth_refresh(p->auth);
	d = auth_directory(p->auth);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "user%zu", i);
		assert_non_null(user_of(p, d, name));
		assert_int_equal(user_of(p, d, name)->n_policies, 2);
	}
	directory_unref(&d);
	a = ask(p, RC_OK, "{'op':'user-list'}");
	assert_int_equal(json_array_size(at(a, "Users")), MANY);
	json_decref(a);
	did(p, "{'op':'group-delete','name':'g'}");
	d = auth_directory(p->auth);
	assert_int_equal(user_of(p, d, "user77")->n_policies, 1);
	directory_unref(&d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_users_are_found_by_name_and_by_arn),
		TEST(test_who_holds_a_directory_keeps_what_it_began_with),
		TEST(test_the_generation_is_new_with_every_reading_only),
		TEST(test_policies_are_parsed_once_and_shared),
		TEST(test_a_policy_that_no_longer_parses_denies_everything),
		TEST(test_what_is_missing_or_damaged_denies_everything),
		TEST(test_a_damaged_policy_of_the_registry_denies_everything),
		TEST(test_damaged_users_and_keys_are_not_there),
		TEST(test_a_secret_that_was_moved_to_another_key_does_not_open),
		TEST(test_a_token_lives_as_long_as_its_access_key),
		TEST(test_tokens_are_revoked_up_to_now),
		TEST(test_a_token_got_with_a_password_ends_with_it),
		TEST(test_a_new_user_of_an_old_name_has_no_old_tokens),
		TEST(test_only_bearer_tokens_are_anybodys),
		TEST(test_ten_thousand_users_are_read_and_found),
	};

	log_set_level(LOG_LVL_WARN);
	return (cmocka_run_group_tests_name("directory", tests, NULL, NULL));
}
