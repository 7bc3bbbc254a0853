#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_tools.h"
#include "auth/auth.h"
#include "auth/sigv4.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"
#include "ecr_tools.h"
#include "registryd/api/aws.h"
#include "registryd/api/download.h"
#include "registryd/api/download_int.h"
#include "registryd/api/ecr_int.h"
#include "registryd/identify.h"
#include "registryd/permissions.h"
#include "registryd/route.h"
#include "storage/content.h"
#include "storage/upload.h"

/*
 * Layers on the ECR API: uploads in parts, also as the dispatcher streams
 * them, and the URLs they are fetched by.  ${open} is without authentication,
 * ${closed} with.
 */
static struct ecr open, closed;

#define MIN_PART 4
#define MAX_PARTS 5
#define ECR_POLICY ECR_ALLOW("\"ecr:*\"", "*")

static void
settings_set(struct ecr *e)
{
	e->settings.quotas.layer_parts = MAX_PARTS;
	e->settings.quotas.layer_part_bytes = MIN_PART;
	e->settings.download_lifetime_ms = 3600 * 1000;
	e->settings.upload_sessions = 100;
}

static int
setup(void **state)
{
	(void)state;
	ecr_open(&open, AUTH_NONE);
	settings_set(&open);
	ecr_open(&closed, AUTH_TOKEN);
	settings_set(&closed);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	ecr_close(&open);
	ecr_close(&closed);
	return (0);
}

/* --- short forms --------------------------------------------------------- */

#define UUID_BYTES 37

static const char *
digest_text(const char *content, char out[DIGEST_STR_BYTES])
{
	struct digest d;

	digest_of(DIGEST_SHA256, content, strlen(content), &d);
	return (digest_str(&d, out));
}

static void
initiate(struct ecr *e, const struct ecr_key *key, const char *repository,
    char id[UUID_BYTES])
{
	struct ecr_reply r;

	ecr_do(e, key, &r, "InitiateLayerUpload", "{\"repositoryName\":\"%s\"}",
	    repository);
	if (r.status != 200)
		fail_msg("InitiateLayerUpload: " SPAN_FMT, SPAN_ARG(r.body));
	(void)snprintf(id, UUID_BYTES, "%s", ecr_text(r.json, "uploadId"));
	ecr_reply_free(&r);
}

/* The body that sends ${content} from ${first} on; the caller's. */
static char *
part_body(
    const char *repository, const char *id, uint64_t first, const char *content)
{
	size_t n = strlen(content);
	char *blob = xmalloc(BASE64_LEN(n) + 1), *text;

	base64_encode((const uint8_t *)content, n, blob);
	text = xasprintf("{\"repositoryName\":\"%s\",\"uploadId\":\"%s\","
			 "\"partFirstByte\":%llu,\"partLastByte\":%llu,"
			 "\"layerPartBlob\":\"%s\"}",
	    repository, id, (unsigned long long)first,
	    (unsigned long long)(first + n - 1), blob);
	free(blob);
	return (text);
}

static void
part_ask(struct ecr *e, const char *repository, const char *id, uint64_t first,
    const char *content, struct ecr_reply *r)
{
	char *text = part_body(repository, id, first, content);

	ecr_do(e, NULL, r, "UploadLayerPart", "%s", text);
	free(text);
}

static void
part(struct ecr *e, const char *repository, const char *id, uint64_t first,
    const char *content)
{
	struct ecr_reply r;

	part_ask(e, repository, id, first, content, &r);
	if (r.status != 200)
		fail_msg("UploadLayerPart: " SPAN_FMT, SPAN_ARG(r.body));
	assert_int_equal(json_integer_value(ecr_at(r.json, "lastByteReceived")),
	    first + strlen(content) - 1);
	ecr_reply_free(&r);
}

static void
complete(struct ecr *e, const char *type, const char *repository,
    const char *id, const char *content)
{
	char digest[DIGEST_STR_BYTES];

	ecr_expect(e, NULL, type, NULL, "CompleteLayerUpload",
	    "{\"repositoryName\":\"%s\",\"uploadId\":\"%s\","
	    "\"layerDigests\":[\"%s\"]}",
	    repository, id, digest_text(content, digest));
}

/* The session of an upload id. */
static const char *
session_of(const char *id, char out[UPLOAD_ID_BYTES])
{
	size_t n = 0;

	for (; *id != '\0'; id++)
		if (*id != '-')
			out[n++] = *id;
	out[n] = '\0';
	return (out);
}

static uint64_t
received(struct ecr *e, const char *repository, const char *id)
{
	char session[UPLOAD_ID_BYTES];
	uint64_t n;

	assert_int_equal(upload_status(e->service.store, span_of(repository),
			     span_of(session_of(id, session)), &n),
	    RC_OK);
	return (n);
}

static void
assert_content(struct ecr *e, const char *repository, const char *content)
{
	struct arena arena;
	struct content b;
	struct digest d;
	char *room;

	arena_init(&arena, 1 << 20);
	digest_of(DIGEST_SHA256, content, strlen(content), &d);
	assert_int_equal(content_open(e->service.store, span_of(repository), &d,
			     READ_BLOCKING, &arena, &b),
	    RC_OK);
	assert_int_equal(b.size_bytes, strlen(content));
	if (b.kind == CONTENT_FILE) {
		room = arena_calloc(&arena, 1, b.size_bytes + 1);
		assert_int_equal(
		    blob_file_read_all(&b.file, 0, room, b.size_bytes), RC_OK);
		content_close(&b);
		b.bytes = (struct span){ room, b.size_bytes };
	}
	assert_true(span_is(b.bytes, content));
	arena_reset(&arena);
}

#define NO_UPLOAD "00000000-1111-2222-3333-444444444444"

/* --- uploads ------------------------------------------------------------- */

static void
a_layer_goes_up_in_parts(void **state)
{
	char id[UUID_BYTES], digest[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&open, "up/parts");
	ecr_do(&open, NULL, &r, "InitiateLayerUpload",
	    "{\"repositoryName\":\"up/parts\"}");
	assert_int_equal(
	    json_integer_value(ecr_at(r.json, "partSize")), 20971520);
	(void)snprintf(id, sizeof(id), "%s", ecr_text(r.json, "uploadId"));
	assert_true(aws_pattern_ok(
	    "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
	    span_of(id)));
	ecr_reply_free(&r);
	part_ask(&open, "up/parts", id, 0, "hello ", &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "repositoryName"), "up/parts");
	assert_string_equal(ecr_text(r.json, "uploadId"), id);
	assert_int_equal(
	    json_integer_value(ecr_at(r.json, "lastByteReceived")), 5);
	ecr_reply_free(&r);
	part(&open, "up/parts", id, 6, "wor");
	assert_int_equal(received(&open, "up/parts", id), 9);
	ecr_do(&open, NULL, &r, "CompleteLayerUpload",
	    "{\"repositoryName\":\"up/parts\",\"uploadId\":\"%s\","
	    "\"layerDigests\":[\"%s\"]}",
	    id, digest_text("hello wor", digest));
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "repositoryName"), "up/parts");
	assert_string_equal(ecr_text(r.json, "uploadId"), id);
	assert_string_equal(ecr_text(r.json, "layerDigest"), digest);
	ecr_reply_free(&r);
	assert_content(&open, "up/parts", "hello wor");
	complete(&open, "UploadNotFoundException", "up/parts", id, "hello wor");
}

static void
an_upload_id_may_be_in_capitals(void **state)
{
	char id[UUID_BYTES], capitals[UUID_BYTES];
	struct ecr_reply r;
	size_t i;

	(void)state;
	ecr_repository(&open, "up/capitals");
	initiate(&open, NULL, "up/capitals", id);
	for (i = 0; i < sizeof(id); i++)
		capitals[i] = id[i] >= 'a' && id[i] <= 'f'
				  ? (char)(id[i] - 'a' + 'A')
				  : id[i];
	part_ask(&open, "up/capitals", capitals, 0, "x", &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(ecr_text(r.json, "uploadId"), id);
	ecr_reply_free(&r);
}

static void
what_is_not_there_is_told_in_ecr_words(void **state)
{
	char digest[DIGEST_STR_BYTES], id[UUID_BYTES];

	(void)state;
	digest_text("x", digest);
	ecr_repository(&open, "up/there");
	ecr_repository(&open, "up/elsewhere");
	initiate(&open, NULL, "up/elsewhere", id);
	ecr_expect(&open, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("up/not"), "InitiateLayerUpload",
	    "{\"repositoryName\":\"up/not\"}");
	ecr_expect(&open, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("up/not"), "UploadLayerPart",
	    "{\"repositoryName\":\"up/not\",\"uploadId\":\"" NO_UPLOAD
	    "\",\"partFirstByte\":0,\"partLastByte\":0,"
	    "\"layerPartBlob\":\"eA==\"}");
	ecr_expect(&open, NULL, "UploadNotFoundException",
	    "The upload with id '" NO_UPLOAD
	    "' could not be found in the repository with name 'up/there' in "
	    "the registry with id '" ECR_ACCOUNT "'",
	    "UploadLayerPart",
	    "{\"repositoryName\":\"up/there\",\"uploadId\":\"" NO_UPLOAD
	    "\",\"partFirstByte\":0,\"partLastByte\":0,"
	    "\"layerPartBlob\":\"eA==\"}");
	ecr_expect(&open, NULL, "UploadNotFoundException", NULL,
	    "UploadLayerPart",
	    "{\"repositoryName\":\"up/there\",\"uploadId\":\"%s\","
	    "\"partFirstByte\":0,\"partLastByte\":0,"
	    "\"layerPartBlob\":\"eA==\"}",
	    id);
	ecr_expect(&open, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("up/not"), "CompleteLayerUpload",
	    "{\"repositoryName\":\"up/not\",\"uploadId\":\"" NO_UPLOAD
	    "\",\"layerDigests\":[\"%s\"]}",
	    digest);
	ecr_expect(&open, NULL, "UploadNotFoundException", NULL,
	    "CompleteLayerUpload",
	    "{\"repositoryName\":\"up/there\",\"uploadId\":\"" NO_UPLOAD
	    "\",\"layerDigests\":[\"%s\"]}",
	    digest);
	ecr_expect(&open, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("up/not"), "BatchCheckLayerAvailability",
	    "{\"repositoryName\":\"up/not\",\"layerDigests\":[\"%s\"]}",
	    digest);
	ecr_expect(&open, NULL, "RepositoryNotFoundException",
	    ECR_NO_REPOSITORY("up/not"), "GetDownloadUrlForLayer",
	    "{\"repositoryName\":\"up/not\",\"layerDigest\":\"%s\"}", digest);
}

static void
parts_must_follow_each_other(void **state)
{
	char id[UUID_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&open, "up/order");
	initiate(&open, NULL, "up/order", id);
	part_ask(&open, "up/order", id, 1, "late", &r);
	assert_string_equal(r.type, "InvalidLayerPartException");
	assert_null(ecr_at(r.json, "lastValidByteReceived"));
	ecr_reply_free(&r);
	part(&open, "up/order", id, 0, "first");
	part_ask(&open, "up/order", id, 6, "late", &r);
	assert_int_equal(r.status, 400);
	assert_string_equal(r.type, "InvalidLayerPartException");
	assert_string_equal(ecr_text(r.json, "registryId"), ECR_ACCOUNT);
	assert_string_equal(ecr_text(r.json, "repositoryName"), "up/order");
	assert_string_equal(ecr_text(r.json, "uploadId"), id);
	assert_int_equal(
	    json_integer_value(ecr_at(r.json, "lastValidByteReceived")), 4);
	ecr_reply_free(&r);
	part_ask(&open, "up/order", id, 0, "first", &r);
	assert_string_equal(r.type, "InvalidLayerPartException");
	ecr_reply_free(&r);
	assert_int_equal(received(&open, "up/order", id), 5);
	part(&open, "up/order", id, 5, " and last");
	complete(&open, "", "up/order", id, "first and last");
}

static void
a_part_is_as_long_as_it_says(void **state)
{
	static const struct {
		const char *first, *last, *blob, *type;
	} rows[] = {
		{ "0", "5", "aGVsbG8=", "InvalidLayerPartException" },
		{ "0", "3", "aGVsbG8=", "InvalidLayerPartException" },
		{ "0", "0", "", "InvalidLayerPartException" },
		{ "0", "9223372036854775807",
		    "aGVsbG8=", "InvalidLayerPartException" },
		{ "5", "4", "aGVsbG8=", "InvalidParameterException" },
		{ "-1", "3", "aGVsbG8=", "InvalidParameterException" },
		{ "null", "4", "aGVsbG8=", "InvalidParameterException" },
		{ "\"0\"", "4", "aGVsbG8=", "SerializationException" },
		{ "0", "4", "aGVsbG8", "SerializationException" },
	};
	char id[UUID_BYTES];
	size_t i;

	(void)state;
	ecr_repository(&open, "up/length");
	initiate(&open, NULL, "up/length", id);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		ecr_expect(&open, NULL, rows[i].type, NULL, "UploadLayerPart",
		    "{\"repositoryName\":\"up/length\",\"uploadId\":\"%s\","
		    "\"partFirstByte\":%s,\"partLastByte\":%s,"
		    "\"layerPartBlob\":\"%s\"}",
		    id, rows[i].first, rows[i].last, rows[i].blob);
	assert_int_equal(received(&open, "up/length", id), 0);
}

static void
the_body_of_a_part_has_its_shape(void **state)
{
	static const struct {
		const char *body, *type;
	} rows[] = {
		{ "", "InvalidParameterException" },
		{ "{}", "InvalidParameterException" },
		{ "{\"layerPartBlob\":null}", "InvalidParameterException" },
		{ "[]", "SerializationException" },
		{ "{\"repositoryName\":\"a", "SerializationException" },
		{ "{\"a\":tru}", "SerializationException" },
		{ "{\"repositoryName\":\"a/b\",\"uploadId\":\"" NO_UPLOAD
		  "\",\"partFirstByte\":0,\"partLastByte\":0,"
		  "\"layerPartBlob\":7}",
		    "SerializationException" },
		{ "{\"repositoryName\":\"a/b\",\"uploadId\":\"" NO_UPLOAD
		  "\",\"partFirstByte\":0,\"partLastByte\":0}",
		    "InvalidParameterException" },
		{ "{\"repositoryName\":\"a/b\",\"uploadId\":\"x\","
		  "\"partFirstByte\":0,\"partLastByte\":0,"
		  "\"layerPartBlob\":\"\"}",
		    "InvalidParameterException" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		ecr_expect(&open, NULL, rows[i].type, NULL, "UploadLayerPart",
		    "%s", rows[i].body);
}

static void
a_part_of_more_than_20_mib_is_refused(void **state)
{
	const size_t sizes[] = { ECR_PART_MAX_BYTES, ECR_PART_MAX_BYTES + 1 };
	char id[UUID_BYTES], *content, *text;
	struct ecr_reply r;
	size_t i;

	(void)state;
	ecr_repository(&open, "up/large");
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		initiate(&open, NULL, "up/large", id);
		content = xmalloc(sizes[i] + 1);
		memset(content, 'x', sizes[i]);
		content[sizes[i]] = '\0';
		text = part_body("up/large", id, 0, content);
		ecr_do(&open, NULL, &r, "UploadLayerPart", "%s", text);
		if (i == 0) {
			assert_int_equal(r.status, 200);
		} else {
			assert_string_equal(
			    r.type, "InvalidParameterException");
			assert_string_equal(r.message,
			    "Invalid parameter at 'layerPartBlob' failed to "
			    "satisfy constraint: 'Member must have length "
			    "less than or equal to 20971520'");
		}
		assert_int_equal(
		    received(&open, "up/large", id), i == 0 ? sizes[0] : 0);
		ecr_reply_free(&r);
		free(text);
		free(content);
	}
}

static void
parts_are_limited_in_number(void **state)
{
	char id[UUID_BYTES];
	struct ecr_reply r;
	uint64_t i;

	(void)state;
	ecr_repository(&open, "up/many");
	initiate(&open, NULL, "up/many", id);
	for (i = 0; i < MAX_PARTS; i++)
		part(&open, "up/many", id, 4 * i, "abcd");
	part_ask(&open, "up/many", id, 4 * i, "abcd", &r);
	assert_string_equal(r.type, "LimitExceededException");
	ecr_reply_free(&r);
	assert_int_equal(received(&open, "up/many", id), 4 * MAX_PARTS);
	complete(&open, "", "up/many", id, "abcdabcdabcdabcdabcd");
}

static void
only_the_last_part_may_be_small(void **state)
{
	char id[UUID_BYTES];

	(void)state;
	ecr_repository(&open, "up/small");
	initiate(&open, NULL, "up/small", id);
	part(&open, "up/small", id, 0, "abc");
	part(&open, "up/small", id, 3, "defg");
	complete(
	    &open, "LayerPartTooSmallException", "up/small", id, "abcdefg");
	initiate(&open, NULL, "up/small", id);
	part(&open, "up/small", id, 0, "abc");
	complete(&open, "", "up/small", id, "abc");
}

static void
an_upload_that_cannot_be_completed_stays(void **state)
{
	char id[UUID_BYTES], digest[DIGEST_STR_BYTES], other[UUID_BYTES];

	(void)state;
	ecr_repository(&open, "up/stays");
	initiate(&open, NULL, "up/stays", id);
	complete(&open, "EmptyUploadException", "up/stays", id, "");
	part(&open, "up/stays", id, 0, "content");
	complete(&open, "InvalidLayerException", "up/stays", id, "another");
	assert_int_equal(received(&open, "up/stays", id), 7);
	digest_text("content", digest);
	ecr_expect(&open, NULL, "InvalidParameterException",
	    "Invalid parameter at 'layerDigests' failed to satisfy "
	    "constraint: 'exactly one digest is expected, that of the whole "
	    "layer'",
	    "CompleteLayerUpload",
	    "{\"repositoryName\":\"up/stays\",\"uploadId\":\"%s\","
	    "\"layerDigests\":[\"%s\",\"%s\"]}",
	    id, digest, digest);
	ecr_expect(&open, NULL, "InvalidParameterException", NULL,
	    "CompleteLayerUpload",
	    "{\"repositoryName\":\"up/stays\",\"uploadId\":\"%s\","
	    "\"layerDigests\":[\"sha256:abc\"]}",
	    id);
	initiate(&open, NULL, "up/stays", other);
	part(&open, "up/stays", other, 0, "content");
	complete(&open, "", "up/stays", other, "content");
	complete(
	    &open, "LayerAlreadyExistsException", "up/stays", id, "content");
	part(&open, "up/stays", id, 7, "more");
	complete(&open, "", "up/stays", id, "contentmore");
}

static void
a_busy_upload_is_to_be_tried_again(void **state)
{
	char id[UUID_BYTES], session[UPLOAD_ID_BYTES];
	struct upload *u;
	struct ecr_reply r;

	(void)state;
	ecr_repository(&open, "up/busy");
	initiate(&open, NULL, "up/busy", id);
	assert_int_equal(upload_acquire(open.service.store, SPAN("up/busy"),
			     span_of(session_of(id, session)), &u),
	    RC_OK);
	part_ask(&open, "up/busy", id, 0, "x", &r);
	assert_int_equal(r.status, 503);
	assert_string_equal(r.type, "ServiceUnavailableException");
	assert_string_equal(ecr_header(&r, "Retry-After"), "1");
	ecr_reply_free(&r);
	upload_release(&u);
	part(&open, "up/busy", id, 0, "x");
}

static void
uploads_are_those_of_the_distribution_api(void **state)
{
	char id[UUID_BYTES], session[UPLOAD_ID_BYTES];
	const struct span name = SPAN("up/both");
	struct store *s = open.service.store;
	struct upload *u;
	struct digest d;

	(void)state;
	ecr_repository(&open, "up/both");
	initiate(&open, NULL, "up/both", id);
	part(&open, "up/both", id, 0, "from here");
	assert_int_equal(
	    upload_acquire(s, name, span_of(session_of(id, session)), &u),
	    RC_OK);
	assert_int_equal(upload_offset(u), 9);
	assert_int_equal(upload_write(u, " to there", 9), RC_OK);
	digest_of(DIGEST_SHA256, "from here to there", 18, &d);
	assert_int_equal(upload_finish(&u, &d, NULL), RC_OK);
	assert_int_equal(
	    upload_start(s, name, DIGEST_SHA256, NULL, session), RC_OK);
	assert_int_equal(upload_acquire(s, name, span_of(session), &u), RC_OK);
	assert_int_equal(upload_write(u, "and ", 4), RC_OK);
	upload_release(&u);
	(void)snprintf(id, sizeof(id), "%.8s-%.4s-%.4s-%.4s-%.12s", session,
	    session + 8, session + 12, session + 16, session + 20);
	part(&open, "up/both", id, 4, "back");
	complete(&open, "", "up/both", id, "and back");
	assert_content(&open, "up/both", "from here to there");
	assert_content(&open, "up/both", "and back");
}

static void
too_many_uploads_are_a_matter_of_rate(void **state)
{
	struct ecr_reply r;
	unsigned i;

	(void)state;
	ecr_repository(&open, "up/sessions");
	for (i = 0; i < 200; i++) {
		ecr_do(&open, NULL, &r, "InitiateLayerUpload",
		    "{\"repositoryName\":\"up/sessions\"}");
		if (r.status != 200)
			break;
		ecr_reply_free(&r);
	}
	assert_string_equal(r.type, "ThrottlingException");
	ecr_reply_free(&r);
	ecr_expect(&open, NULL, "", NULL, "DeleteRepository",
	    "{\"repositoryName\":\"up/sessions\",\"force\":true}");
}

/* --- what is there ------------------------------------------------------- */

static void
layers_are_told_from_what_is_none(void **state)
{
	char there[DIGEST_STR_BYTES], not [DIGEST_STR_BYTES];
	struct ecr_reply r;
	const json_t *o;

	(void)state;
	ecr_repository(&open, "check/all");
	ecr_blob(&open, "check/all", SPAN("some layer"), there);
	digest_text("no layer", not );
	ecr_do(&open, NULL, &r, "BatchCheckLayerAvailability",
	    "{\"repositoryName\":\"check/all\",\"layerDigests\":["
	    "\"%s\",\"%s\",\"sha384:00\",\"\",\"sha256:abc\",\"what\"]}",
	    there, not );
	assert_int_equal(r.status, 200);
	o = r.json;
	assert_int_equal(json_array_size(ecr_at(o, "layers")), 3);
	assert_string_equal(ecr_text(o, "layers.0.layerDigest"), there);
	assert_string_equal(
	    ecr_text(o, "layers.0.layerAvailability"), "AVAILABLE");
	assert_int_equal(
	    json_integer_value(ecr_at(o, "layers.0.layerSize")), 10);
	assert_string_equal(ecr_text(o, "layers.1.layerDigest"), not );
	assert_string_equal(
	    ecr_text(o, "layers.1.layerAvailability"), "UNAVAILABLE");
	assert_null(ecr_at(o, "layers.1.layerSize"));
	assert_string_equal(ecr_text(o, "layers.2.layerDigest"), "sha384:00");
	assert_int_equal(json_array_size(ecr_at(o, "failures")), 3);
	assert_string_equal(
	    ecr_text(o, "failures.0.failureCode"), "MissingLayerDigest");
	assert_string_equal(ecr_text(o, "failures.0.failureReason"),
	    "Invalid request parameters: layer digest cannot be null");
	assert_string_equal(
	    ecr_text(o, "failures.1.layerDigest"), "sha256:abc");
	assert_string_equal(
	    ecr_text(o, "failures.1.failureCode"), "InvalidLayerDigest");
	assert_string_equal(
	    ecr_text(o, "failures.2.failureCode"), "InvalidLayerDigest");
	ecr_reply_free(&r);
}

static void
class_set(const char *repository, const char *tag, const char *class)
{
	ecr_expect(&open, NULL, "", NULL, "UpdateImageStorageClass",
	    "{\"repositoryName\":\"%s\",\"imageId\":{\"imageTag\":\"%s\"},"
	    "\"targetStorageClass\":\"%s\"}",
	    repository, tag, class);
}

static void
availability_is(const char *repository, const char *layer, const char *expected)
{
	struct ecr_reply r;

	ecr_do(&open, NULL, &r, "BatchCheckLayerAvailability",
	    "{\"repositoryName\":\"%s\",\"layerDigests\":[\"%s\"]}", repository,
	    layer);
	assert_int_equal(r.status, 200);
	assert_string_equal(
	    ecr_text(r.json, "layers.0.layerAvailability"), expected);
	assert_true(json_is_integer(ecr_at(r.json, "layers.0.layerSize")));
	ecr_reply_free(&r);
}

static void
layers_of_archived_images_alone_are_archived(void **state)
{
	char layer[DIGEST_STR_BYTES], loose[DIGEST_STR_BYTES];
	char image[DIGEST_STR_BYTES], *message;

	(void)state;
	ecr_repository(&open, "check/old");
	ecr_image(&open, "check/old", "a", "kept", image);
	ecr_push(&open, "check/old", "b",
	    ecr_image_text(
		&open, "check/old", "kept", ",\"annotations\":{\"b\":\"b\"}"),
	    image);
	ecr_blob(&open, "check/old", SPAN("of no image"), loose);
	digest_text("layer kept", layer);
	class_set("check/old", "a", "ARCHIVE");
	availability_is("check/old", layer, "AVAILABLE");
	class_set("check/old", "b", "ARCHIVE");
	availability_is("check/old", layer, "ARCHIVED");
	availability_is("check/old", loose, "AVAILABLE");
	message = xasprintf("The layer with digest '%s' in the repository with "
			    "name 'check/old' in the registry with id '%s' is "
			    "not available because all images that it is "
			    "associated with are archived; restore one of them "
			    "first",
	    layer, open.settings.account_id);
	ecr_expect(&open, NULL, "LayerInaccessibleException", message,
	    "GetDownloadUrlForLayer",
	    "{\"repositoryName\":\"check/old\",\"layerDigest\":\"%s\"}", layer);
	free(message);
	class_set("check/old", "a", "STANDARD");
	availability_is("check/old", layer, "AVAILABLE");
	ecr_expect(&open, NULL, "", NULL, "GetDownloadUrlForLayer",
	    "{\"repositoryName\":\"check/old\",\"layerDigest\":\"%s\"}", layer);
}

static void
another_repositorys_layers_are_unavailable(void **state)
{
	char there[DIGEST_STR_BYTES];
	struct ecr_reply r;

	(void)state;
	ecr_repository(&open, "check/a");
	ecr_repository(&open, "check/b");
	ecr_blob(&open, "check/a", SPAN("only in a"), there);
	ecr_do(&open, NULL, &r, "BatchCheckLayerAvailability",
	    "{\"repositoryName\":\"check/b\",\"layerDigests\":[\"%s\"]}",
	    there);
	assert_string_equal(
	    ecr_text(r.json, "layers.0.layerAvailability"), "UNAVAILABLE");
	ecr_reply_free(&r);
}

/* --- as it is streamed --------------------------------------------------- */

/* A request as the dispatcher takes it: the body in pieces. */
struct streamed {
	const struct ecr_key *key;
	struct span body;	 /* that is sent */
	struct span signed_body; /* .p NULL: the same */
	size_t step;		 /* bytes of a piece */
	enum rc ends;		 /* how it ends */
};

struct streaming {
	struct http_exchange x;
	struct http_header headers[8];
	char date[SIGV4_DATE_BYTES];
	char authorization[2048];
	struct call call;
};

static void
streaming_header(struct streaming *s, const char *name, const char *value)
{
	struct http_request *rq = &s->x.request;

	rq->headers[rq->n_headers].name = span_of(name);
	rq->headers[rq->n_headers++].value = span_of(value);
}

static void
streaming_sign(struct streaming *s, const struct streamed *ask)
{
	struct http_request *rq = &s->x.request;
	struct name_value headers[8];
	struct sigv4_request out = { .method = rq->method_text,
		.target = rq->target,
		.headers = headers };
	struct sigv4_credentials with = {
		.access_key = span_of(ask->key->id),
		.secret = span_of(ask->key->secret),
		.region = SPAN("us-east-1"),
		.service = SPAN("ecr"),
	};

	for (; out.n_headers < rq->n_headers; out.n_headers++)
		headers[out.n_headers] = (struct name_value){
			.name = rq->headers[out.n_headers].name,
			.value = rq->headers[out.n_headers].value,
		};
	sigv4_body_hash(
	    ask->signed_body.p != NULL ? ask->signed_body : ask->body,
	    out.body_hash);
	assert_int_equal(sigv4_sign(&out, &with, clock_real_ms(), s->date,
			     s->authorization, sizeof(s->authorization)),
	    RC_OK);
	streaming_header(s, "X-Amz-Date", s->date);
	streaming_header(s, "Authorization", s->authorization);
}

static void
streaming_init(struct ecr *e, struct streaming *s, const struct streamed *ask)
{
	static const struct permission self = { "aws", ACCESS_SELF, "", NULL };
	struct http_request *rq = &s->x.request;

	memset(s, 0, sizeof(*s));
	arena_init(&s->x.arena, (size_t)16 << 20);
	rq->method = HTTP_POST;
	rq->method_text = SPAN("POST");
	rq->path = rq->target = SPAN("/");
	rq->host = SPAN(ECR_HOST);
	rq->client = SPAN("192.0.2.1");
	rq->headers = s->headers;
	memset(rq->id, '0', sizeof(rq->id) - 1);
	streaming_header(s, "Host", ECR_HOST);
	streaming_header(s, "Content-Type", "application/x-amz-json-1.1");
	streaming_header(s, "X-Amz-Target",
	    "AmazonEC2ContainerRegistry_V20150921.UploadLayerPart");
	if (ask->key != NULL)
		streaming_sign(s, ask);
	http_response_init(&s->x.response);
	s->call = (struct call){
		.x = &s->x,
		.request = rq,
		.answer = &s->x.response,
		.arena = &s->x.arena,
		.settings = &e->settings,
		.service = &e->service,
		.store = e->service.store,
		.meta = store_meta(e->service.store),
		.region = span_of(e->settings.region),
		.permission = &self,
		.may_block = true,
		.mode = READ_BLOCKING,
	};
}

/* begin, the pieces each in memory of its own, finish. */
static enum rc
streaming_run(struct call *c, const struct streamed *ask)
{
	struct span rest = ask->body;
	char *piece;
	size_t n;
	enum rc rc;

	if ((rc = identify_call(c)) != RC_OK || (rc = aws_begin(c)) != RC_OK)
		return (rc);
	assert_true(aws_streams(c));
	assert_int_equal(aws_body_max(c), ECR_PART_BODY_MAX_BYTES);
	if ((rc = aws_stream_begin(c)) != RC_OK)
		return (rc);
	for (; rest.n > 0; rest.p += n, rest.n -= n) {
		n = rest.n < ask->step ? rest.n : ask->step;
		piece = xmalloc(n);
		memcpy(piece, rest.p, n);
		assert_int_equal(c->write(c, piece, n), RC_OK);
		free(piece);
	}
	c->body_rc = ask->ends;
	rc = aws_handle(c);
	assert_null(c->state); /* what begin acquired was given back */
	return (rc);
}

/* "200", or the error's type. */
static const char *
stream(struct ecr *e, const struct streamed *ask, char type[128])
{
	struct streaming *s = xmalloc(sizeof(*s));
	char why[JSON_ERROR_BYTES];
	json_t *answer;
	enum rc rc;

	streaming_init(e, s, ask);
	rc = streaming_run(&s->call, ask);
	if (rc != RC_OK) {
		assert_int_equal(call_fail_rc(&s->call, rc, "test"), RC_FAILED);
		aws_error(&s->call);
	}
	assert_int_equal(json_read(s->x.response.bytes, why, &answer), RC_OK);
	(void)snprintf(
	    type, 128, "%s", rc == RC_OK ? "200" : ecr_text(answer, "__type"));
	json_decref(answer);
	directory_unref(&s->call.directory);
	arena_reset(&s->x.arena);
	free(s);
	return (type);
}

static void
a_part_may_arrive_in_any_pieces(void **state)
{
	struct streamed ask = { .ends = RC_OK };
	char id[UUID_BYTES], type[128], *text;
	uint64_t at = 0;
	size_t step;

	(void)state;
	ecr_repository(&open, "up/pieces");
	initiate(&open, NULL, "up/pieces", id);
	open.settings.quotas.layer_parts = 0;
	for (step = 1; step < 200; step += step / 3 + 1, at += 21) {
		text = part_body("up/pieces", id, at, "some twenty-one bytes");
		ask.body = span_of(text);
		ask.step = step;
		assert_string_equal(stream(&open, &ask, type), "200");
		assert_int_equal(received(&open, "up/pieces", id), at + 21);
		free(text);
	}
	open.settings.quotas.layer_parts = MAX_PARTS;
}

static void
a_signature_is_of_the_streamed_body(void **state)
{
	struct ecr_key key;
	struct streamed ask = { .key = &key, .step = 7 };
	char id[UUID_BYTES], type[128], *text, *other;

	(void)state;
	ecr_user(&closed, "pusher", ECR_POLICY, &key);
	ecr_expect(&closed, &key, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"up/signed\"}");
	initiate(&closed, &key, "up/signed", id);
	text = part_body("up/signed", id, 0, "content");
	other = part_body("up/signed", id, 0, "Content");
	ask.body = span_of(other);
	ask.signed_body = span_of(text);
	assert_string_equal(
	    stream(&closed, &ask, type), "InvalidSignatureException");
	assert_int_equal(received(&closed, "up/signed", id), 0);
	ask.body = SPAN("{malformed");
	assert_string_equal(
	    stream(&closed, &ask, type), "InvalidSignatureException");
	ask.body = span_of(text);
	assert_string_equal(stream(&closed, &ask, type), "200");
	assert_int_equal(received(&closed, "up/signed", id), 7);
	free(text);
	free(other);
}

static void
who_may_not_adds_nothing(void **state)
{
	struct ecr_key owner, stranger;
	struct streamed ask = { .key = &stranger, .step = 1000 };
	char id[UUID_BYTES], type[128], *text;

	(void)state;
	ecr_user(&closed, "owner", ECR_POLICY, &owner);
	ecr_user(&closed, "stranger", NULL, &stranger);
	ecr_expect(&closed, &owner, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"up/theirs\"}");
	initiate(&closed, &owner, "up/theirs", id);
	text = part_body("up/theirs", id, 0, "content");
	ask.body = span_of(text);
	assert_string_equal(
	    stream(&closed, &ask, type), "AccessDeniedException");
	assert_int_equal(received(&closed, "up/theirs", id), 0);
	ask.key = NULL;
	assert_string_equal(
	    stream(&closed, &ask, type), "MissingAuthenticationTokenException");
	free(text);
}

static void
a_body_that_does_not_arrive_changes_nothing(void **state)
{
	static const enum rc ends[] = { RC_CANCELLED, RC_TIMEOUT, RC_TOOBIG,
		RC_INVALID, RC_IO };
	struct streamed ask = { .step = 1000 };
	char id[UUID_BYTES], type[128], *text;
	size_t i;

	(void)state;
	ecr_repository(&open, "up/gone");
	initiate(&open, NULL, "up/gone", id);
	text = part_body("up/gone", id, 0, "content");
	ask.body = span_of(text);
	for (i = 0; i < ARRAY_LEN(ends); i++) {
		ask.ends = ends[i];
		assert_string_not_equal(stream(&open, &ask, type), "200");
		assert_int_equal(received(&open, "up/gone", id), 0);
	}
	ask.ends = RC_OK;
	assert_string_equal(stream(&open, &ask, type), "200");
	free(text);
}

/* --- downloads ----------------------------------------------------------- */

/* The image of ecr_image_text(seed) has a layer "layer SEED". */
static void
image_of_closed(const struct ecr_key *key, const char *repository,
    const char *seed, char layer[DIGEST_STR_BYTES])
{
	char *text, content[64];
	struct ecr_reply r;

	ecr_expect(&closed, key, "", NULL, "CreateRepository",
	    "{\"repositoryName\":\"%s\"}", repository);
	text = ecr_image_text(&closed, repository, seed, NULL);
	ecr_do_json(&closed, key, &r, "PutImage",
	    json_pack("{s:s,s:s}", "repositoryName", repository,
		"imageManifest", text));
	if (r.status != 200)
		fail_msg("PutImage: " SPAN_FMT, SPAN_ARG(r.body));
	ecr_reply_free(&r);
	free(text);
	(void)snprintf(content, sizeof(content), "layer %s", seed);
	digest_text(content, layer);
}

/* The caller's. */
static char *
url_of(struct ecr *e, const struct ecr_key *key, const char *repository,
    const char *digest)
{
	struct ecr_reply r;
	char *url;

	ecr_do(e, key, &r, "GetDownloadUrlForLayer",
	    "{\"repositoryName\":\"%s\",\"layerDigest\":\"%s\"}", repository,
	    digest);
	if (r.status != 200)
		fail_msg("GetDownloadUrlForLayer: " SPAN_FMT, SPAN_ARG(r.body));
	assert_string_equal(ecr_text(r.json, "layerDigest"), digest);
	url = xstrdup(ecr_text(r.json, "downloadUrl"));
	ecr_reply_free(&r);
	return (url);
}

struct fetch {
	enum http_method method;
	const char *url;
	const char *range; /* or NULL */
};

struct fetched {
	int status;
	char body[64];
	char cache[64];
	char principal[128];
	char message[512];
};

static void
fetched_answer(struct call *c, enum rc rc, struct fetched *f)
{
	const struct http_response *rs = c->answer;
	size_t i;

	memset(f, 0, sizeof(*f));
	(void)snprintf(f->principal, sizeof(f->principal), SPAN_FMT,
	    SPAN_ARG(c->principal));
	if (rc != RC_OK) {
		assert_int_equal(call_fail_rc(c, rc, "test"), RC_FAILED);
		f->status = api_error_status(c->error);
		(void)snprintf(
		    f->message, sizeof(f->message), "%s", c->message);
		return;
	}
	f->status = rs->status;
	if (rs->body == HTTP_MEMORY)
		(void)snprintf(
		    f->body, sizeof(f->body), SPAN_FMT, SPAN_ARG(rs->bytes));
	for (i = 0; i < rs->n_headers; i++)
		if (span_is(rs->headers[i].name, "Cache-Control"))
			(void)snprintf(f->cache, sizeof(f->cache), SPAN_FMT,
			    SPAN_ARG(rs->headers[i].value));
}

/* Through the table of routes, as the dispatcher does it. */
static void
fetch(struct ecr *e, const struct fetch *ask, struct fetched *f)
{
	struct http_exchange x = { .role = ROLE_PUBLIC };
	struct http_request *rq = &x.request;
	struct http_header range = { SPAN("Range"), span_of(ask->range) };
	struct route_match m;
	char path[1024], *query;
	struct call c;
	enum rc rc;

	arena_init(&x.arena, (size_t)16 << 20);
	(void)snprintf(
	    path, sizeof(path), "%s", strstr(ask->url, "/download/"));
	if ((query = strchr(path, '?')) != NULL)
		*query++ = '\0';
	rq->method = ask->method;
	rq->path = span_of(path);
	rq->client = SPAN("192.0.2.1");
	rq->host = SPAN(ECR_HOST);
	ask_params(&x, query);
	rq->headers = &range;
	rq->n_headers = ask->range != NULL;
	http_response_init(&x.response);
	route_find(x.role, rq->method, rq->path, &m);
	assert_int_equal(m.outcome, MATCH_OK);
	assert_string_equal(m.route->name, "layer-download");
	c = (struct call){
		.x = &x,
		.request = rq,
		.answer = &x.response,
		.arena = &x.arena,
		.route = m.route,
		.permission = permission_find(m.route->name),
		.settings = &e->settings,
		.service = &e->service,
		.store = e->service.store,
		.meta = store_meta(e->service.store),
		.region = span_of(e->settings.region),
		.repository = m.name,
		.part = m.part,
		.mode = READ_BLOCKING,
		.may_block = true,
	};
	assert_int_equal(identify_call(&c), RC_OK);
	rc = m.route->handler(&c);
	fetched_answer(&c, rc, f);
	directory_unref(&c.directory);
	arena_reset(&x.arena);
}

static void
assert_fetched(struct ecr *e, const char *url, int status, const char *text)
{
	struct fetched f;

	fetch(e, &(struct fetch){ HTTP_GET, url, NULL }, &f);
	if (f.status != status)
		fail_msg(
		    "%s: %d, not %d: %s", url, f.status, status, f.message);
	if (status == 200)
		assert_string_equal(f.body, text);
	else
		assert_non_null(strstr(f.message, text));
}

static void
a_layer_comes_down_by_its_url(void **state)
{
	char layer[DIGEST_STR_BYTES], image[DIGEST_STR_BYTES], *url;
	char front[512];
	struct fetched f;

	(void)state;
	ecr_repository(&open, "down/app");
	ecr_image(&open, "down/app", "v1", "down", image);
	url = url_of(&open, NULL, "down/app", digest_text("layer down", layer));
	(void)snprintf(front, sizeof(front),
	    "http://" ECR_HOST "/download/down/app/blobs/%s?token=", layer);
	assert_memory_equal(url, front, strlen(front));
	fetch(&open, &(struct fetch){ HTTP_GET, url, NULL }, &f);
	assert_int_equal(f.status, 200);
	assert_string_equal(f.body, "layer down");
	assert_non_null(strstr(f.cache, "private"));
	fetch(&open, &(struct fetch){ HTTP_GET, url, "bytes=6-8" }, &f);
	assert_int_equal(f.status, 206);
	assert_string_equal(f.body, "dow");
	fetch(&open, &(struct fetch){ HTTP_HEAD, url, NULL }, &f);
	assert_int_equal(f.status, 200);
	fetch(&open, &(struct fetch){ HTTP_GET, url, "bytes=99-" }, &f);
	assert_int_equal(f.status, 416);
	free(url);
}

static void
only_layers_of_images_have_urls(void **state)
{
	char loose[DIGEST_STR_BYTES], not [DIGEST_STR_BYTES];

	(void)state;
	ecr_repository(&open, "down/loose");
	ecr_blob(&open, "down/loose", SPAN("nobody's layer"), loose);
	ecr_expect(&open, NULL, "LayerInaccessibleException", NULL,
	    "GetDownloadUrlForLayer",
	    "{\"repositoryName\":\"down/loose\",\"layerDigest\":\"%s\"}",
	    loose);
	ecr_expect(&open, NULL, "LayersNotFoundException", NULL,
	    "GetDownloadUrlForLayer",
	    "{\"repositoryName\":\"down/loose\",\"layerDigest\":\"%s\"}",
	    digest_text("not there", not ));
	ecr_expect(&open, NULL, "LayersNotFoundException", NULL,
	    "GetDownloadUrlForLayer",
	    "{\"repositoryName\":\"down/loose\",\"layerDigest\":"
	    "\"sha256:abc\"}");
	ecr_expect(&open, NULL, "InvalidParameterException", NULL,
	    "GetDownloadUrlForLayer",
	    "{\"repositoryName\":\"down/loose\",\"layerDigest\":\"abc\"}");
}

static void
a_url_is_of_one_layer_of_one_repository(void **state)
{
	char one[DIGEST_STR_BYTES], two[DIGEST_STR_BYTES];
	char image[DIGEST_STR_BYTES], *url, text[1024];
	const char *token;

	(void)state;
	ecr_repository(&open, "down/one");
	ecr_repository(&open, "down/two");
	ecr_image(&open, "down/one", "v1", "one", image);
	ecr_image(&open, "down/one", "v2", "two", image);
	ecr_image(&open, "down/two", "v1", "one", image);
	url = url_of(&open, NULL, "down/one", digest_text("layer one", one));
	digest_text("layer two", two);
	token = strchr(url, '?');
	assert_fetched(&open, url, 200, "layer one");
	(void)snprintf(
	    text, sizeof(text), "/download/down/one/blobs/%s%s", two, token);
	assert_fetched(&open, text, 403, "something else");
	(void)snprintf(
	    text, sizeof(text), "/download/down/two/blobs/%s%s", one, token);
	assert_fetched(&open, text, 403, "something else");
	(void)snprintf(text, sizeof(text), "/download/down/one/blobs/%s", one);
	assert_fetched(&open, text, 403, "no token");
	(void)snprintf(
	    text, sizeof(text), "/download/down/one/blobs/%s?token=", one);
	assert_fetched(&open, text, 403, "this URL");
	(void)snprintf(
	    text, sizeof(text), "/download/down/one/blobs/x%s", token);
	assert_fetched(&open, text, 403, "no digest");
	url[strlen(url) - 1] ^= 1;
	assert_fetched(&open, url, 403, "was changed");
	free(url);
}

static void
a_repository_made_anew_has_its_urls(void **state)
{
	char layer[DIGEST_STR_BYTES], image[DIGEST_STR_BYTES], *url;

	(void)state;
	ecr_repository(&open, "down/anew");
	ecr_image(&open, "down/anew", "v1", "anew", image);
	url =
	    url_of(&open, NULL, "down/anew", digest_text("layer anew", layer));
	ecr_expect(&open, NULL, "", NULL, "DeleteRepository",
	    "{\"repositoryName\":\"down/anew\",\"force\":true}");
	assert_fetched(&open, url, 404, "down/anew");
	ecr_repository(&open, "down/anew");
	assert_fetched(&open, url, 404, layer);
	ecr_image(&open, "down/anew", "v1", "anew", image);
	assert_fetched(&open, url, 200, "layer anew");
	free(url);
}

static void
a_url_expires(void **state)
{
	char layer[DIGEST_STR_BYTES], image[DIGEST_STR_BYTES], *url;

	(void)state;
	ecr_repository(&open, "down/late");
	ecr_image(&open, "down/late", "v1", "late", image);
	open.settings.download_lifetime_ms = 0;
	url =
	    url_of(&open, NULL, "down/late", digest_text("layer late", layer));
	assert_fetched(&open, url, 403, "this URL has expired");
	free(url);
	open.settings.download_lifetime_ms = 3600 * 1000;
}

static void
a_url_is_worth_what_its_credentials_are(void **state)
{
	char layer[DIGEST_STR_BYTES], *url;
	struct ecr_key owner, reader;
	struct fetched f;

	(void)state;
	ecr_user(&closed, "down-owner", ECR_POLICY, &owner);
	ecr_user(&closed, "reader", ECR_POLICY, &reader);
	image_of_closed(&owner, "down/auth", "auth", layer);
	url = url_of(&closed, &reader, "down/auth", layer);
	fetch(&closed, &(struct fetch){ HTTP_GET, url, NULL }, &f);
	assert_int_equal(f.status, 200);
	assert_string_equal(f.body, "layer auth");
	assert_string_equal(
	    f.principal, "arn:aws:iam::" ECR_ACCOUNT ":user/reader");
	/* What they may no longer do. */
	json_decref(ecr_admin(&closed,
	    "{\"op\":\"policy-delete\",\"name\":\"test\",\"user\":"
	    "\"reader\"}"));
	assert_fetched(&closed, url, 403, "user/reader is not authorized");
	free(url);
	url = url_of(&closed, &owner, "down/auth", layer);
	assert_fetched(&closed, url, 200, "layer auth");
	free(url);
}

/* Asked for with temporary credentials that end at ${expires_ms}. */
static char *
url_until(const char *repository, const struct digest *d, int64_t expires_ms)
{
	static const struct principal who = { .kind = PRINCIPAL_USER,
		.account = SPAN_INIT(ECR_ACCOUNT),
		.name = SPAN_INIT("whoever") };
	struct http_exchange x = { .request = { .host = SPAN(ECR_HOST) } };
	struct call c = {
		.x = &x,
		.request = &x.request,
		.arena = &x.arena,
		.settings = &closed.settings,
		.service = &closed.service,
		.repository = span_of(repository),
		.who = &who,
		.expires_ms = expires_ms,
	};
	const char *url;
	char *out;

	arena_init(&x.arena, 1 << 20);
	assert_int_equal(download_url(&c, d, &url), RC_OK);
	out = xstrdup(url);
	arena_reset(&x.arena);
	return (out);
}

static void
a_url_ends_with_temporary_credentials(void **state)
{
	int64_t now_ms = clock_real_ms();
	struct digest d;
	char *url;

	(void)state;
	digest_of(DIGEST_SHA256, "x", 1, &d);
	url = url_until("down/some", &d, now_ms - 1);
	assert_fetched(&closed, url, 403, "this URL has expired");
	free(url);
	url = url_until("down/some", &d, now_ms + 3600 * 1000);
	assert_fetched(&closed, url, 403, "no longer what they were");
	free(url);
}

static void
admin_key(const char *op, const struct ecr_key *key)
{
	char *text = xasprintf("{\"op\":\"%s\",\"id\":\"%s\"}", op, key->id);

	json_decref(ecr_admin(&closed, text));
	free(text);
}

static void
a_url_ends_with_its_key_and_its_user(void **state)
{
	static const char gone[] = "no longer what they were";
	char layer[DIGEST_STR_BYTES], *url;
	struct ecr_key key;

	(void)state;
	ecr_user(&closed, "passing", ECR_POLICY, &key);
	image_of_closed(&key, "down/passing", "passing", layer);
	url = url_of(&closed, &key, "down/passing", layer);
	assert_fetched(&closed, url, 200, "layer passing");
	admin_key("access-key-deactivate", &key);
	assert_fetched(&closed, url, 403, gone);
	admin_key("access-key-activate", &key);
	assert_fetched(&closed, url, 200, "layer passing");
	json_decref(ecr_admin(
	    &closed, "{\"op\":\"token-revoke-all\",\"user\":\"passing\"}"));
	assert_fetched(&closed, url, 403, gone);
	json_decref(ecr_admin(&closed,
	    "{\"op\":\"user-delete\",\"name\":\"passing\",\"force\":true}"));
	assert_fetched(&closed, url, 403, gone);
	free(url);
}

static void
a_grant_is_read_as_it_was_written(void **state)
{
	struct download_grant g = {
		.issued_ms = -5,
		.expires_ms = INT64_MAX,
		.account = SPAN("123"),
		.user = SPAN(""),
		.access_key = SPAN("AKIA"),
	};
	struct download_grant again;
	char longer[300];
	struct span plain;
	struct buf b;
	size_t n;

	(void)state;
	assert_true(download_grant_write(&g, &b));
	plain = buf_as_span(&b);
	assert_true(download_grant_read(plain, &again));
	assert_int_equal(again.issued_ms, g.issued_ms);
	assert_int_equal(again.expires_ms, g.expires_ms);
	assert_true(span_eq(again.account, g.account));
	assert_true(span_eq(again.user, g.user));
	assert_true(span_eq(again.access_key, g.access_key));
	for (n = 0; n < plain.n; n++)
		assert_false(
		    download_grant_read((struct span){ plain.p, n }, &again));
	buf_char(&b, 'x');
	assert_false(download_grant_read(buf_as_span(&b), &again));
	buf_free(&b);
	memset(longer, 'x', sizeof(longer));
	g.user = (struct span){ longer, 256 };
	assert_false(download_grant_write(&g, &b));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_layer_goes_up_in_parts),
		cmocka_unit_test(an_upload_id_may_be_in_capitals),
		cmocka_unit_test(what_is_not_there_is_told_in_ecr_words),
		cmocka_unit_test(parts_must_follow_each_other),
		cmocka_unit_test(a_part_is_as_long_as_it_says),
		cmocka_unit_test(the_body_of_a_part_has_its_shape),
		cmocka_unit_test(a_part_of_more_than_20_mib_is_refused),
		cmocka_unit_test(parts_are_limited_in_number),
		cmocka_unit_test(only_the_last_part_may_be_small),
		cmocka_unit_test(an_upload_that_cannot_be_completed_stays),
		cmocka_unit_test(a_busy_upload_is_to_be_tried_again),
		cmocka_unit_test(uploads_are_those_of_the_distribution_api),
		cmocka_unit_test(layers_are_told_from_what_is_none),
		cmocka_unit_test(layers_of_archived_images_alone_are_archived),
		cmocka_unit_test(another_repositorys_layers_are_unavailable),
		cmocka_unit_test(a_part_may_arrive_in_any_pieces),
		cmocka_unit_test(a_signature_is_of_the_streamed_body),
		cmocka_unit_test(who_may_not_adds_nothing),
		cmocka_unit_test(a_body_that_does_not_arrive_changes_nothing),
		cmocka_unit_test(a_layer_comes_down_by_its_url),
		cmocka_unit_test(only_layers_of_images_have_urls),
		cmocka_unit_test(a_url_is_of_one_layer_of_one_repository),
		cmocka_unit_test(a_repository_made_anew_has_its_urls),
		cmocka_unit_test(a_url_expires),
		cmocka_unit_test(a_url_is_worth_what_its_credentials_are),
		cmocka_unit_test(a_url_ends_with_its_key_and_its_user),
		cmocka_unit_test(a_url_ends_with_temporary_credentials),
		cmocka_unit_test(a_grant_is_read_as_it_was_written),
		/* The last: it leaves no session free. */
		cmocka_unit_test(too_many_uploads_are_a_matter_of_rate),
	};

	return (
	    cmocka_run_group_tests_name("ecr_layers", tests, setup, teardown));
}
