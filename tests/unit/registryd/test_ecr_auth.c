#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "auth/directory.h"
#include "base/clock.h"
#include "base/hex.h"
#include "ecr_tools.h"
#include "registryd/api/oci.h"
#include "registryd/permissions.h"
#include "storage/repositories.h"

/* ECR's operations with users, signatures and policies: who is let in, who may
 * do what, and in which order it is asked. */

static struct ecr_key admin, blue, nobody, tagger, late;

#define ARN(name) "arn:aws:ecr:us-east-1:" ECR_ACCOUNT ":repository/" name
#define USER_ARN(name) "arn:aws:iam::" ECR_ACCOUNT ":user/" name

static int
setup(void **state)
{
	size_t i;

	(void)state;
	ecr_open(&ecr, AUTH_TOKEN);
	ecr_user(&ecr, "admin", ECR_ALLOW("\"*\"", "*"), &admin);
	ecr_user(&ecr, "blue", ECR_ALLOW("\"ecr:*\"", ARN("blue/*")), &blue);
	ecr_user(&ecr, "nobody", NULL, &nobody);
	ecr_user(&ecr, "tagger",
	    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","
	    "\"Action\":\"ecr:CreateRepository\",\"Resource\":\"*\","
	    "\"Condition\":{\"StringEquals\":{\"aws:RequestTag/team\":"
	    "\"green\"}}},{\"Effect\":\"Allow\",\"Action\":\"ecr:TagResource\","
	    "\"Resource\":\"" ARN("green/*") "\"}]}",
	    &tagger);
	ecr_user(&ecr, "late", ECR_ALLOW("\"ecr:*\"", ARN("zz/*")), &late);
	for (i = 0; i < 5; i++) {
		ecr_expect(&ecr, &admin, "", NULL, "CreateRepository",
		    "{\"repositoryName\":\"blue/r%zu\"}", i);
		ecr_expect(&ecr, &admin, "", NULL, "CreateRepository",
		    "{\"repositoryName\":\"red/r%zu\"}", i);
	}
	return (0);
}

/* --- signatures ---------------------------------------------------------- */

static void
a_request_must_be_signed(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "MissingAuthenticationTokenException",
	    "Missing Authentication Token", "DescribeRepositories", "{}");
}

static void
a_wrong_secret_does_not_match(void **state)
{
	struct ecr_key wrong = admin;

	(void)state;
	wrong.secret[0] = wrong.secret[0] == 'A' ? 'B' : 'A';
	ecr_expect(&ecr, &wrong, "InvalidSignatureException",
	    "The request signature we calculated does not match*",
	    "DescribeRepositories", "{}");
}

static void
an_unknown_key_is_not_recognized(void **state)
{
	struct ecr_key unknown = admin;

	(void)state;
	(void)snprintf(unknown.id, sizeof(unknown.id), "AKIAUNKNOWNUNKNOWN22");
	ecr_expect(&ecr, &unknown, "UnrecognizedClientException",
	    "The security token included in the request is invalid.",
	    "DescribeRepositories", "{}");
}

static void
arns_show_the_region_as_signed(void **state)
{
	struct ecr_key other = admin;
	struct ecr_reply r;

	(void)state;
	other.region = "ap-south-1";
	ecr_do(&ecr, &other, &r, "DescribeRepositories",
	    "{\"repositoryNames\":[\"red/r0\"]}");
	assert_string_equal(ecr_text(r.json, "repositories.0.repositoryArn"),
	    "arn:aws:ecr:ap-south-1:" ECR_ACCOUNT ":repository/red/r0");
	ecr_reply_free(&r);
}

/* --- the order of questions ---------------------------------------------- */

static void
the_signature_comes_before_the_parameters(void **state)
{
	(void)state;
	ecr_expect(&ecr, NULL, "MissingAuthenticationTokenException", NULL,
	    "CreateRepository", "{\"repositoryName\":\"BAD\"}");
	ecr_expect(&ecr, NULL, "MissingAuthenticationTokenException", NULL,
	    "CreateRepository", "not json");
}

static void
parameters_come_before_permission(void **state)
{
	(void)state;
	ecr_expect(&ecr, &nobody, "InvalidParameterException", NULL,
	    "CreateRepository", "{\"repositoryName\":\"BAD\"}");
	ecr_expect(&ecr, &nobody, "InvalidTagParameterException", NULL,
	    "CreateRepository",
	    "{\"repositoryName\":\"red/x\",\"tags\":[{\"Key\":\"\","
	    "\"Value\":\"\"}]}");
	ecr_expect(&ecr, &nobody, "InvalidParameterException", NULL,
	    "SetRepositoryPolicy",
	    "{\"repositoryName\":\"red/r0\",\"policyText\":\"{}\"}");
}

static void
permission_comes_before_existence(void **state)
{
	static const char *const names[] = { "red/r0", "red/none" };
	static const char *const operations[] = { "CreateRepository",
		"DeleteRepository", "GetRepositoryPolicy",
		"DeleteRepositoryPolicy" };
	char message[512];
	size_t i, k;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (k = 0; k < 4; k++) {
			(void)snprintf(message, sizeof(message),
			    "User: " USER_ARN(
				"blue") " is not authorized to "
					"perform: ecr:%s on resource: "
					"arn:aws:ecr:us-east-1:" ECR_ACCOUNT
					":repository/%s because no "
					"identity-based policy "
					"allows the ecr:%s action",
			    operations[k], names[i], operations[k]);
			ecr_expect(&ecr, &blue, "AccessDeniedException",
			    message, operations[k],
			    "{\"repositoryName\":\"%s\"}", names[i]);
		}
		ecr_expect(&ecr, &blue, "AccessDeniedException", NULL,
		    "DescribeRepositories",
		    "{\"repositoryNames\":[\"blue/r0\",\"%s\"]}", names[i]);
		/* Also for another registry's. */
		ecr_expect(&ecr, &blue, "AccessDeniedException", NULL,
		    "DeleteRepository",
		    "{\"repositoryName\":\"%s\",\"registryId\":"
		    "\"999999999999\"}",
		    names[i]);
	}
	ecr_expect(&ecr, &blue, "RepositoryNotFoundException", NULL,
	    "DescribeRepositories", "{\"repositoryNames\":[\"blue/none\"]}");
}

/* --- lists --------------------------------------------------------------- */

static void
a_list_shows_what_the_caller_may_see(void **state)
{
	struct ecr_reply r;
	size_t i;

	(void)state;
	ecr_do(&ecr, &blue, &r, "DescribeRepositories", "{}");
	assert_int_equal(r.status, 200);
	assert_int_equal(json_array_size(ecr_at(r.json, "repositories")), 5);
	for (i = 0; i < 5; i++)
		assert_memory_equal(
		    json_string_value(json_object_get(
			json_array_get(ecr_at(r.json, "repositories"), i),
			"repositoryName")),
		    "blue/", 5);
	ecr_reply_free(&r);
	ecr_do(&ecr, &admin, &r, "DescribeRepositories", "{}");
	assert_true(json_array_size(ecr_at(r.json, "repositories")) >= 10);
	ecr_reply_free(&r);
}

/* The last page has nothing to see, and is the end all the same. */
static void
pages_of_a_list_are_full_of_what_may_be_seen(void **state)
{
	struct ecr_reply r;
	char token[4096];
	size_t i, total = 0;

	(void)state;
	ecr_do(&ecr, &blue, &r, "DescribeRepositories", "{\"maxResults\":2}");
	for (i = 0; i < 10; i++) {
		assert_int_equal(r.status, 200);
		total += json_array_size(ecr_at(r.json, "repositories"));
		if (ecr_at(r.json, "nextToken") == NULL)
			break;
		(void)snprintf(
		    token, sizeof(token), "%s", ecr_text(r.json, "nextToken"));
		ecr_reply_free(&r);
		ecr_do(&ecr, &blue, &r, "DescribeRepositories",
		    "{\"maxResults\":2,\"nextToken\":\"%s\"}", token);
	}
	assert_int_equal(total, 5);
	ecr_reply_free(&r);
}

static void
who_may_see_nothing_is_told_so(void **state)
{
	(void)state;
	ecr_expect(&ecr, &nobody, "AccessDeniedException",
	    "User: " USER_ARN(
		"nobody") " is not authorized to perform: "
			  "ecr:DescribeRepositories on resource: " ARN(
			      "*") " because no "
				   "identity-based policy allows the "
				   "ecr:DescribeRepositories action",
	    "DescribeRepositories", "{}");
}

static void
a_page_token_tells_no_names(void **state)
{
	struct ecr_reply r;
	struct span text;
	uint8_t *plain;
	size_t n;

	(void)state;
	ecr_do(&ecr, &admin, &r, "DescribeRepositories", "{\"maxResults\":1}");
	text = span_of(ecr_text(r.json, "nextToken"));
	plain = calloc(1, text.n + 4);
	assert_int_equal(base64url_decode(text, plain, &n), RC_OK);
	assert_null(memmem(plain, n, "blue", 4));
	free(plain);
	ecr_reply_free(&r);
}

/* --- tags ---------------------------------------------------------------- */

static void
tags_at_creation_need_their_own_permission(void **state)
{
	(void)state;
	ecr_expect(&ecr, &tagger, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"green/a\",\"tags\":[{\"Key\":\"team\","
	    "\"Value\":\"green\"}]}");
	/* The condition asks for the tag. */
	ecr_expect(&ecr, &tagger, "AccessDeniedException", NULL,
	    "CreateRepository", "{\"repositoryName\":\"green/b\"}");
	ecr_expect(&ecr, &tagger, "AccessDeniedException", NULL,
	    "CreateRepository",
	    "{\"repositoryName\":\"green/b\",\"tags\":[{\"Key\":\"team\","
	    "\"Value\":\"red\"}]}");
	/* ecr:TagResource is for green/ alone. */
	ecr_expect(&ecr, &tagger, "AccessDeniedException",
	    "User: " USER_ARN("tagger") " is not authorized to perform: "
					"ecr:TagResource on resource: " ARN(
					    "yellow/b") "*",
	    "CreateRepository",
	    "{\"repositoryName\":\"yellow/b\",\"tags\":[{\"Key\":\"team\","
	    "\"Value\":\"green\"}]}");
	ecr_expect(&ecr, &admin, "RepositoryNotFoundException", NULL,
	    "DescribeRepositories", "{\"repositoryNames\":[\"yellow/b\"]}");
}

/* --- repository policies ------------------------------------------------- */

#define SET_POLICY(repository, force, effect, user, action) \
	"{\"repositoryName\":\"" repository "\",\"force\":" force \
	",\"policyText\":\"{\\\"Version\\\":\\\"2012-10-17\\\"," \
	"\\\"Statement\\\":[{\\\"Effect\\\":\\\"" effect \
	"\\\",\\\"Principal\\\":{\\\"AWS\\\":\\\"" user \
	"\\\"},\\\"Action\\\":\\\"" action "\\\"}]}\"}"

static void
a_repository_policy_lets_in_and_keeps_out(void **state)
{
	(void)state;
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "GetRepositoryPolicy", "{\"repositoryName\":\"red/r1\"}");
	ecr_expect(&ecr, &admin, "", NULL, "SetRepositoryPolicy", "%s",
	    SET_POLICY("red/r1", "false", "Allow", USER_ARN("nobody"),
		"ecr:GetRepositoryPolicy"));
	ecr_expect(&ecr, &nobody, "", NULL, "GetRepositoryPolicy",
	    "{\"repositoryName\":\"red/r1\"}");
	ecr_expect(&ecr, &admin, "", NULL, "SetRepositoryPolicy", "%s",
	    SET_POLICY("red/r1", "false", "Deny", USER_ARN("admin"),
		"ecr:DeleteRepository"));
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "GetRepositoryPolicy", "{\"repositoryName\":\"red/r1\"}");
	ecr_expect(&ecr, &admin, "AccessDeniedException",
	    "User: " USER_ARN("admin") " is not authorized to perform: "
				       "ecr:DeleteRepository on resource: " ARN(
					   "red/r1") " with an "
						     "explicit deny in a "
						     "resource-based policy",
	    "DeleteRepository", "{\"repositoryName\":\"red/r1\"}");
}

static void
a_policy_does_not_lock_its_author_out_unless_forced(void **state)
{
	(void)state;
	ecr_expect(&ecr, &admin, "InvalidParameterException",
	    "Invalid parameter at 'PolicyText' failed to satisfy *",
	    "SetRepositoryPolicy", "%s",
	    SET_POLICY("red/r2", "false", "Deny", USER_ARN("admin"),
		"ecr:SetRepositoryPolicy"));
	ecr_expect(&ecr, &admin, "RepositoryPolicyNotFoundException", NULL,
	    "GetRepositoryPolicy", "{\"repositoryName\":\"red/r2\"}");
	ecr_expect(&ecr, &admin, "", NULL, "SetRepositoryPolicy", "%s",
	    SET_POLICY("red/r2", "true", "Deny", USER_ARN("admin"),
		"ecr:SetRepositoryPolicy"));
	ecr_expect(&ecr, &admin, "AccessDeniedException", NULL,
	    "SetRepositoryPolicy", "%s",
	    SET_POLICY("red/r2", "true", "Allow", USER_ARN("admin"),
		"ecr:SetRepositoryPolicy"));
}

/* As a later version, or a disk, may have left it. */
static void
policy_damage(const char *repository, const char *text)
{
	assert_int_equal(
	    meta_repository_policy_set(store_meta(ecr.service.store),
		span_of(repository), span_of(text)),
	    RC_OK);
}

static void
a_damaged_policy_keeps_out_all_but_who_may_mend_it(void **state)
{
	struct ecr_reply r;

	(void)state;
	policy_damage("blue/r3", "{\"damaged\":true}");
	/* Not even those whom their own policies allow everything. */
	ecr_expect(&ecr, &admin, "AccessDeniedException",
	    "User: " USER_ARN("admin") " is not authorized to perform: "
				       "ecr:DeleteRepository on resource: " ARN(
					   "blue/r3") " with an "
						      "explicit deny in a "
						      "resource-based policy",
	    "DeleteRepository", "{\"repositoryName\":\"blue/r3\"}");
	ecr_expect(&ecr, &blue, "AccessDeniedException", NULL,
	    "DescribeRepositories", "{\"repositoryNames\":[\"blue/r3\"]}");
	ecr_expect(&ecr, &nobody, "AccessDeniedException", "*",
	    "GetRepositoryPolicy", "{\"repositoryName\":\"blue/r3\"}");
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "DeleteRepositoryPolicy", "{\"repositoryName\":\"blue/r3\"}");
	ecr_do(&ecr, &blue, &r, "GetRepositoryPolicy",
	    "{\"repositoryName\":\"blue/r3\"}");
	assert_string_equal(
	    ecr_text(r.json, "policyText"), "{\"damaged\":true}");
	ecr_reply_free(&r);
	ecr_expect(&ecr, &blue, "", NULL, "SetRepositoryPolicy", "%s",
	    SET_POLICY("blue/r3", "false", "Allow", USER_ARN("nobody"),
		"ecr:DescribeRepositories"));
	ecr_expect(&ecr, &nobody, "", NULL, "DescribeRepositories",
	    "{\"repositoryNames\":[\"blue/r3\"]}");
	policy_damage("blue/r3", "[");
	ecr_expect(&ecr, &nobody, "AccessDeniedException", NULL,
	    "DescribeRepositories", "{\"repositoryNames\":[\"blue/r3\"]}");
	ecr_expect(&ecr, &blue, "", NULL, "DeleteRepositoryPolicy",
	    "{\"repositoryName\":\"blue/r3\"}");
	ecr_expect(&ecr, &blue, "", NULL, "DescribeRepositories",
	    "{\"repositoryNames\":[\"blue/r3\"]}");
}

/* --- the registry's policy ----------------------------------------------- */

#define PUT_POLICY(member, actions) \
	"{\"policyText\":\"{\\\"Version\\\":\\\"2012-10-17\\\"," \
	"\\\"Statement\\\":[{\\\"Sid\\\":\\\"one\\\",\\\"Effect\\\":" \
	"\\\"Allow\\\",\\\"Principal\\\":{\\\"AWS\\\":\\\"111122223333\\\"}," \
	"\\\"" member "\\\":" actions \
	",\\\"Resource\\\":\\\"arn:aws:ecr:us-east-1:" ECR_ACCOUNT \
	":repository/*\\\"}]}\"}"

static void
the_registry_has_one_policy(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_expect(&ecr, &admin, "RegistryPolicyNotFoundException",
	    "Registry policy does not exist in the registry with id "
	    "'" ECR_ACCOUNT "'",
	    "GetRegistryPolicy", "{}");
	ecr_expect(&ecr, &admin, "RegistryPolicyNotFoundException", NULL,
	    "DeleteRegistryPolicy", "{}");
	ecr_do(&ecr, &admin, &r, "PutRegistryPolicy", "%s",
	    PUT_POLICY("Action", "\\\"ecr:ReplicateImage\\\""));
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_non_null(
	    strstr(ecr_text(r.json, "policyText"), "ecr:ReplicateImage"));
	ecr_reply_free(&r);
	ecr_expect(&ecr, &admin, "", NULL, "PutRegistryPolicy", "%s",
	    PUT_POLICY("Action", "[\\\"ecr:CreateRepository\\\","
				 "\\\"ecr:BatchImportUpstreamImage\\\"]"));
	ecr_do(&ecr, &admin, &r, "GetRegistryPolicy", "{}");
	assert_non_null(
	    strstr(ecr_text(r.json, "policyText"), "ecr:CreateRepository"));
	ecr_reply_free(&r);
	ecr_expect(&ecr, &blue, "AccessDeniedException", NULL,
	    "GetRegistryPolicy", "{}");
	ecr_do(&ecr, &admin, &r, "DeleteRegistryPolicy", "{}");
	assert_non_null(
	    strstr(ecr_text(r.json, "policyText"), "ecr:CreateRepository"));
	ecr_reply_free(&r);
	ecr_expect(&ecr, &admin, "RegistryPolicyNotFoundException", NULL,
	    "GetRegistryPolicy", "{}");
}

static void
a_registry_policy_is_of_scope_v1(void **state)
{
	static const char *const bodies[] = {
		PUT_POLICY("Action", "\\\"ecr:BatchGetImage\\\""),
		PUT_POLICY("Action", "\\\"ecr:*\\\""),
		PUT_POLICY("Action", "[\\\"ecr:ReplicateImage\\\","
				     "\\\"ecr:PutImage\\\"]"),
		PUT_POLICY("NotAction", "\\\"ecr:PutImage\\\""),
		PUT_POLICY("Action", "\\\"s3:GetObject\\\""),
	};
	struct ecr_reply r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		ecr_expect(&ecr, &admin, "InvalidParameterException",
		    "Invalid parameter at 'PolicyText' failed to satisfy "
		    "constraint: 'Invalid registry policy provided'*",
		    "PutRegistryPolicy", "%s", bodies[i]);
	ecr_do(&ecr, &admin, &r, "PutRegistryPolicy", "%s", bodies[0]);
	assert_non_null(strstr(r.message, "ecr:ReplicateImage"));
	assert_non_null(strstr(r.message, "ecr:BatchGetImage"));
	ecr_reply_free(&r);
}

/* --- who may see few of many --------------------------------------------- */

/* More than are looked at in vain for one page of the catalog. */
#define MANY ((size_t)2100)
/* Far below what the names alone take. */
#define LITTLE_BYTES ((size_t)16384)

static int
many_make(void **state)
{
	struct repository_create create = { .now_ms = 1 };
	struct repository_row row;
	char name[32];
	size_t i;

	(void)state;
	for (i = 0; i <= MANY; i++) {
		(void)snprintf(name, sizeof(name), "%s/%06zu",
		    i < MANY ? "secret" : "zz", i);
		create.name = span_of(name);
		assert_int_equal(
		    meta_repository_create(
			store_meta(ecr.service.store), &create, &row),
		    RC_OK);
	}
	return (0);
}

/* A page of the catalog as ${key}'s owner sees it; *${link_r}: NULL or the
 * Link, in x's arena, which is the caller's to reset. */
static enum rc
catalog_ask(const struct ecr_key *key, struct http_param *params,
    size_t n_params, struct http_exchange *x, const char **link_r)
{
	struct call c = {
		.x = x,
		.request = &x->request,
		.answer = &x->response,
		.arena = &x->arena,
		.settings = &ecr.settings,
		.service = &ecr.service,
		.store = ecr.service.store,
		.meta = store_meta(ecr.service.store),
		.region = span_of(ecr.settings.region),
		.permission = permission_find("catalog-list"),
		.directory = auth_directory(ecr.service.auth),
		.may_block = true,
	};
	struct span link;
	enum rc rc;
	size_t i;

	memset(x, 0, sizeof(*x));
	arena_init(&x->arena, (size_t)1 << 20);
	x->request.params = params;
	x->request.n_params = n_params;
	http_response_init(&x->response);
	c.who = directory_access_key(c.directory, span_of(key->id))->user;
	rc = oci_catalog_list(&c);
	*link_r = NULL;
	for (i = 0; i < x->response.n_headers; i++) {
		link = x->response.headers[i].value;
		if (span_is(x->response.headers[i].name, "Link"))
			*link_r = arena_dup(&x->arena, link.p, link.n);
	}
	directory_unref(&c.directory);
	return (rc);
}

static void
a_catalog_goes_on_behind_what_may_not_be_seen(void **state)
{
	struct http_param params[2] = { { SPAN("n"), SPAN("10") },
		{ SPAN("next"), SPAN_NONE } };
	struct http_exchange x, y;
	const char *link, *next;

	(void)state;
	assert_int_equal(catalog_ask(&late, params, 1, &x, &link), RC_OK);
	assert_true(span_is(x.response.bytes, "{\"repositories\":[]}"));
	assert_true(x.arena.used_bytes < LITTLE_BYTES);
	assert_non_null(link);
	next = strstr(link, "</v2/_catalog?n=10&next=");
	assert_ptr_equal(next, link);
	/* Where it stopped is the name of something that they may not see. */
	assert_null(strstr(link, "secret"));
	next = strstr(link, "next=") + 5;
	params[1].value = (struct span){ next, strcspn(next, ">") };
	assert_int_equal(catalog_ask(&late, params, 2, &y, &link), RC_OK);
	assert_true(
	    span_is(y.response.bytes, "{\"repositories\":[\"zz/002100\"]}"));
	assert_null(link);
	arena_reset(&y.arena);
	/* What nobody was given. */
	params[1].value.n -= 4;
	assert_int_equal(catalog_ask(&late, params, 2, &y, &link), RC_FAILED);
	arena_reset(&x.arena);
	arena_reset(&y.arena);
}

static void
a_list_of_few_of_many_takes_little_memory(void **state)
{
	struct ecr_reply r;

	(void)state;
	ecr_do(&ecr, &late, &r, "DescribeRepositories", "{}");
	assert_int_equal(json_array_size(ecr_at(r.json, "repositories")), 1);
	assert_string_equal(
	    ecr_text(r.json, "repositories.0.repositoryName"), "zz/002100");
	assert_true(r.x.arena.used_bytes < LITTLE_BYTES);
	ecr_reply_free(&r);
}

/* --- tokens -------------------------------------------------------------- */

static void
token_get(const struct ecr_key *key, struct token_room *room, struct token *t,
    double *expires_r)
{
	struct ecr_reply r;
	struct span text;
	uint8_t *plain;
	size_t n;

	ecr_do(&ecr, key, &r, "GetAuthorizationToken", "{}");
	assert_int_equal(r.status, 200);
	text =
	    span_of(ecr_text(r.json, "authorizationData.0.authorizationToken"));
	*expires_r =
	    json_real_value(ecr_at(r.json, "authorizationData.0.expiresAt"));
	plain = calloc(1, text.n + 1);
	assert_int_equal(base64_decode(text, plain, &n), RC_OK);
	assert_memory_equal(plain, "AWS:", 4);
	assert_int_equal(
	    token_read(auth_token_key(ecr.service.auth), 1u << TOKEN_LOGIN,
		(struct span){ (const char *)plain + 4, n - 4 }, room, t),
	    RC_OK);
	free(plain);
	ecr_reply_free(&r);
}

static void
a_token_carries_its_principal(void **state)
{
	const struct principal *who;
	struct directory *d;
	struct token_room room;
	struct token t;
	double expires;

	(void)state;
	token_get(&admin, &room, &t, &expires);
	assert_true(span_is(t.account, ECR_ACCOUNT));
	assert_true(span_is(t.user, "admin"));
	assert_true(span_is(t.access_key, admin.id));
	assert_int_equal(t.expires_ms - t.issued_ms, 12 * 3600 * 1000);
	assert_true(expires > (double)t.expires_ms / 1000.0 - 0.01);
	assert_true(expires < (double)t.expires_ms / 1000.0 + 0.01);
	d = auth_directory(ecr.service.auth);
	assert_int_equal(directory_token(d, &t, &who), RC_OK);
	assert_true(span_is(who->arn, USER_ARN("admin")));
	directory_unref(&d);
}

static void
a_token_needs_permission(void **state)
{
	(void)state;
	ecr_expect(&ecr, &nobody, "AccessDeniedException",
	    "User: " USER_ARN(
		"nobody") " is not authorized to perform: "
			  "ecr:GetAuthorizationToken on resource: * because no "
			  "identity-based policy allows the "
			  "ecr:GetAuthorizationToken "
			  "action",
	    "GetAuthorizationToken", "{}");
}

static void
a_token_dies_with_the_credentials_it_was_got_with(void **state)
{
	struct ecr_key session = admin;
	int64_t now_ms = clock_real_ms();
	struct token_room room;
	struct token t = {
		.kind = TOKEN_SESSION,
		.account = SPAN(ECR_ACCOUNT),
		.user = SPAN("admin"),
		.access_key = span_of(admin.id),
		.issued_ms = now_ms,
		.expires_ms = now_ms + 900 * 1000,
		.secret = SPAN("a-temporary-secret"),
		.session_key = SPAN("ASIATEMPORARY2222222"),
	};
	double expires;

	(void)state;
	(void)snprintf(
	    session.id, sizeof(session.id), SPAN_FMT, SPAN_ARG(t.session_key));
	(void)snprintf(session.secret, sizeof(session.secret), SPAN_FMT,
	    SPAN_ARG(t.secret));
	assert_int_equal(
	    token_make(auth_token_key(ecr.service.auth), &t, session.token),
	    RC_OK);
	token_get(&session, &room, &t, &expires);
	assert_int_equal(t.expires_ms, now_ms + 900 * 1000);
	/* And with the key behind them. */
	assert_true(span_is(t.access_key, admin.id));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_must_be_signed),
		cmocka_unit_test(a_wrong_secret_does_not_match),
		cmocka_unit_test(an_unknown_key_is_not_recognized),
		cmocka_unit_test(arns_show_the_region_as_signed),
		cmocka_unit_test(the_signature_comes_before_the_parameters),
		cmocka_unit_test(parameters_come_before_permission),
		cmocka_unit_test(permission_comes_before_existence),
		cmocka_unit_test(a_list_shows_what_the_caller_may_see),
		cmocka_unit_test(pages_of_a_list_are_full_of_what_may_be_seen),
		cmocka_unit_test(who_may_see_nothing_is_told_so),
		cmocka_unit_test(a_page_token_tells_no_names),
		cmocka_unit_test(tags_at_creation_need_their_own_permission),
		cmocka_unit_test(a_repository_policy_lets_in_and_keeps_out),
		cmocka_unit_test(
		    a_policy_does_not_lock_its_author_out_unless_forced),
		cmocka_unit_test(
		    a_damaged_policy_keeps_out_all_but_who_may_mend_it),
		cmocka_unit_test(the_registry_has_one_policy),
		cmocka_unit_test(a_registry_policy_is_of_scope_v1),
		cmocka_unit_test(a_token_carries_its_principal),
		cmocka_unit_test(a_token_needs_permission),
		cmocka_unit_test(
		    a_token_dies_with_the_credentials_it_was_got_with),
		cmocka_unit_test_setup(
		    a_catalog_goes_on_behind_what_may_not_be_seen, many_make),
		cmocka_unit_test(a_list_of_few_of_many_takes_little_memory),
	};

	return (cmocka_run_group_tests_name(
	    "ecr_auth", tests, setup, ecr_teardown));
}
