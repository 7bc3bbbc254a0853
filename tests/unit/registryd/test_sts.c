#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ecr_tools.h"

/* STS: the query protocol, GetCallerIdentity and GetSessionToken. */

static struct ecr_key admin;

#define REQUEST_ID "01234567-89ab-cdef-0123-456789abcdef"
#define XMLNS "https://sts.amazonaws.com/doc/2011-06-15/"

static int
setup(void **state)
{
	(void)state;
	ecr_open(&ecr, AUTH_TOKEN);
	ecr_user(&ecr, "admin", ECR_ALLOW("\"*\"", "*"), &admin);
	return (0);
}

static void
form(const struct ecr_key *key, const char *body, struct ecr_reply *r)
{
	ecr_ask(&ecr, &(struct ecr_ask){ .form = body, .key = key }, r);
	assert_string_equal(ecr_header(r, "Content-Type"), "text/xml");
	assert_string_equal(ecr_header(r, "x-amzn-RequestId"), REQUEST_ID);
}

static bool
has(const struct ecr_reply *r, const char *text)
{
	return (memmem(r->body.p, r->body.n, text, strlen(text)) != NULL);
}

/* The text between <NAME> and </NAME>. */
static void
element(const struct ecr_reply *r, const char *name, char *out, size_t n)
{
	char open[64], close[64];
	const char *from, *to;

	(void)snprintf(open, sizeof(open), "<%s>", name);
	(void)snprintf(close, sizeof(close), "</%s>", name);
	from = memmem(r->body.p, r->body.n, open, strlen(open));
	assert_non_null(from);
	from += strlen(open);
	to = memmem(
	    from, r->body.n - (size_t)(from - r->body.p), close, strlen(close));
	assert_non_null(to);
	assert_true((size_t)(to - from) < n);
	memcpy(out, from, (size_t)(to - from));
	out[to - from] = '\0';
}

static void
expect_error(
    const struct ecr_key *key, const char *body, int status, const char *code)
{
	struct ecr_reply r;
	char got[128];

	form(key, body, &r);
	element(&r, "Code", got, sizeof(got));
	assert_string_equal(got, code);
	assert_int_equal(r.status, status);
	assert_true(has(&r, "<RequestId>" REQUEST_ID "</RequestId>"));
	assert_true(has(&r, "<Type>Sender</Type>"));
	ecr_reply_free(&r);
}

static void
the_caller_is_named(void **state)
{
	struct ecr_reply r;
	char id[128];

	(void)state;
	form(&admin, "Action=GetCallerIdentity&Version=2011-06-15", &r);
	assert_int_equal(r.status, 200);
	element(&r, "UserId", id, sizeof(id));
	assert_memory_equal(id, "AIDA", 4);
	assert_true(
	    has(&r, "<GetCallerIdentityResponse xmlns=\"" XMLNS "\">"
		    "<GetCallerIdentityResult><Arn>arn:aws:iam::" ECR_ACCOUNT
		    ":user/admin</Arn><UserId>"));
	assert_true(has(&r,
	    "</UserId><Account>" ECR_ACCOUNT
	    "</Account></GetCallerIdentityResult><ResponseMetadata>"
	    "<RequestId>" REQUEST_ID
	    "</RequestId></ResponseMetadata></GetCallerIdentityResponse>"));
	ecr_reply_free(&r);
}

static void
the_action_may_be_in_the_query(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_ask(&ecr,
	    &(struct ecr_ask){
		.query = "Action=GetCallerIdentity&Version=2011-06-15",
		.key = &admin },
	    &r);
	assert_int_equal(r.status, 200);
	assert_true(has(&r, "<Account>" ECR_ACCOUNT "</Account>"));
	ecr_reply_free(&r);
}

static void
without_authentication_the_caller_is_the_account(void **state)
{
	struct ecr open;
	struct ecr_reply r;

	(void)state;
	ecr_open(&open, AUTH_NONE);
	ecr_ask(
	    &open, &(struct ecr_ask){ .form = "Action=GetCallerIdentity" }, &r);
	assert_int_equal(r.status, 200);
	assert_true(has(&r,
	    "<Arn>arn:aws:iam::" ECR_ACCOUNT ":root</Arn><UserId>" ECR_ACCOUNT
	    "</UserId><Account>" ECR_ACCOUNT "</Account>"));
	ecr_reply_free(&r);
	ecr_ask(
	    &open, &(struct ecr_ask){ .form = "Action=GetSessionToken" }, &r);
	assert_int_equal(r.status, 200);
	assert_true(has(&r, "<AccessKeyId>ASIA"));
	ecr_reply_free(&r);
	ecr_close(&open);
}

static void
errors_have_the_names_of_sts(void **state)
{
	struct ecr_key wrong = admin, unknown = admin;

	(void)state;
	wrong.secret[0] = wrong.secret[0] == 'A' ? 'B' : 'A';
	(void)snprintf(unknown.id, sizeof(unknown.id), "AKIAUNKNOWNUNKNOWN22");
	expect_error(NULL, "Action=GetCallerIdentity", 403,
	    "MissingAuthenticationToken");
	expect_error(
	    &wrong, "Action=GetCallerIdentity", 403, "SignatureDoesNotMatch");
	expect_error(
	    &unknown, "Action=GetCallerIdentity", 403, "InvalidClientTokenId");
	expect_error(&admin, "Action=AssumeRole", 400, "InvalidAction");
	expect_error(&admin, "Action=CreateRepository", 400, "InvalidAction");
	expect_error(&admin, "Version=2011-06-15", 400, "InvalidAction");
	expect_error(&admin, "Action=GetCallerIdentity&Version=2010-01-01", 400,
	    "InvalidAction");
	expect_error(&admin, "Action=%", 400, "MalformedInput");
}

/* A signature is for one service. */
static void
a_signature_for_ecr_is_not_one_for_sts(void **state)
{
	struct ecr_reply r;
	char code[128];

	(void)state;
	ecr_ask(&ecr,
	    &(struct ecr_ask){ .form = "Action=GetCallerIdentity",
		.service = "ecr",
		.key = &admin },
	    &r);
	element(&r, "Code", code, sizeof(code));
	assert_string_equal(code, "SignatureDoesNotMatch");
	assert_int_equal(r.status, 403);
	ecr_reply_free(&r);
}

static void
session_of(const struct ecr_reply *r, struct ecr_key *key)
{
	memset(key, 0, sizeof(*key));
	element(r, "AccessKeyId", key->id, sizeof(key->id));
	element(r, "SecretAccessKey", key->secret, sizeof(key->secret));
	element(r, "SessionToken", key->token, sizeof(key->token));
}

static void
temporary_credentials_sign(void **state)
{
	struct ecr_key session, other;
	struct ecr_reply r;
	char id[128], at[64];

	(void)state;
	form(&admin, "Action=GetSessionToken&DurationSeconds=900", &r);
	assert_int_equal(r.status, 200);
	session_of(&r, &session);
	element(&r, "Expiration", at, sizeof(at));
	ecr_reply_free(&r);
	assert_memory_equal(session.id, "ASIA", 4);
	assert_int_equal(strlen(session.id), 20);
	assert_int_equal(strlen(session.secret), 40);
	assert_int_equal(strlen(at), 24);
	assert_int_equal(at[23], 'Z');
	assert_null(strstr(session.token, session.secret));

	form(&session, "Action=GetCallerIdentity", &r);
	assert_int_equal(r.status, 200);
	element(&r, "Arn", id, sizeof(id));
	assert_string_equal(id, "arn:aws:iam::" ECR_ACCOUNT ":user/admin");
	ecr_reply_free(&r);

	/* The id and the token belong together. */
	other = session;
	(void)snprintf(other.id, sizeof(other.id), "%s", admin.id);
	expect_error(
	    &other, "Action=GetCallerIdentity", 403, "InvalidClientTokenId");
	other = session;
	other.token[0] = '\0';
	expect_error(
	    &other, "Action=GetCallerIdentity", 403, "InvalidClientTokenId");
	other = session;
	other.secret[5] = other.secret[5] == 'A' ? 'B' : 'A';
	expect_error(
	    &other, "Action=GetCallerIdentity", 403, "SignatureDoesNotMatch");
	/* They do not beget others. */
	expect_error(&session, "Action=GetSessionToken", 403, "AccessDenied");
}

static void
temporary_credentials_end_with_their_access_key(void **state)
{
	struct ecr_key key, session;
	struct ecr_reply r;
	char *text;

	(void)state;
	ecr_user(&ecr, "leaver", NULL, &key);
	form(&key, "Action=GetSessionToken", &r);
	assert_int_equal(r.status, 200);
	session_of(&r, &session);
	ecr_reply_free(&r);
	assert_true(
	    asprintf(&text, "{\"op\":\"access-key-deactivate\",\"id\":\"%s\"}",
		key.id) > 0);
	json_decref(ecr_admin(&ecr, text));
	free(text);
	expect_error(
	    &session, "Action=GetCallerIdentity", 403, "InvalidClientTokenId");
}

static void
the_duration_has_bounds(void **state)
{
	struct ecr_reply r;

	(void)state;
	expect_error(&admin, "Action=GetSessionToken&DurationSeconds=899", 400,
	    "ValidationError");
	expect_error(&admin, "Action=GetSessionToken&DurationSeconds=129601",
	    400, "ValidationError");
	expect_error(&admin, "Action=GetSessionToken&DurationSeconds=-1", 400,
	    "ValidationError");
	expect_error(&admin, "Action=GetSessionToken&DurationSeconds=soon", 400,
	    "MalformedInput");
	form(&admin, "Action=GetSessionToken&DurationSeconds=899", &r);
	assert_true(has(&r,
	    "1 validation error detected: Value '899' at 'durationSeconds' "
	    "failed to satisfy constraint: Member must have value greater "
	    "than or equal to 900"));
	ecr_reply_free(&r);
	form(&admin, "Action=GetSessionToken&DurationSeconds=129600", &r);
	assert_int_equal(r.status, 200);
	ecr_reply_free(&r);
}

/* What nobody can verify is not passed over. */
static void
a_code_of_a_device_is_refused(void **state)
{
	(void)state;
	expect_error(&admin,
	    "Action=GetSessionToken&SerialNumber=arn%3Aaws%3Amfa&"
	    "TokenCode=123456",
	    403, "AccessDenied");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_caller_is_named),
		cmocka_unit_test(the_action_may_be_in_the_query),
		cmocka_unit_test(
		    without_authentication_the_caller_is_the_account),
		cmocka_unit_test(errors_have_the_names_of_sts),
		cmocka_unit_test(a_signature_for_ecr_is_not_one_for_sts),
		cmocka_unit_test(temporary_credentials_sign),
		cmocka_unit_test(
		    temporary_credentials_end_with_their_access_key),
		cmocka_unit_test(the_duration_has_bounds),
		cmocka_unit_test(a_code_of_a_device_is_refused),
	};

	return (cmocka_run_group_tests_name("sts", tests, setup, ecr_teardown));
}
