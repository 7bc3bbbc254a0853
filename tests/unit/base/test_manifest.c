#include "base/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/obj.h"

#define OCI MEDIA_OCI_MANIFEST
#define INDEX MEDIA_OCI_INDEX
#define DOCKER MEDIA_DOCKER_MANIFEST
#define LIST MEDIA_DOCKER_LIST
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define LAYER "application/vnd.oci.image.layer.v1.tar+gzip"

/* sha256 of "{}", of "abc", of "" and sha512 of "abc". */
#define D_EMPTY_JSON \
	"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060" \
	"f61caaff8a"
#define D_ABC \
	"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff" \
	"61f20015ad"
#define D_NOTHING \
	"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca49599" \
	"1b7852b855"
#define D_ABC_512 \
	"sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eee" \
	"e64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a" \
	"9ac94fa54ca49f"

/* Descriptors, and documents made of them. */
#define DESC_X(type, digest, size, more) \
	"{\"mediaType\":\"" type "\",\"digest\":\"" digest \
	"\",\"size\":" size more "}"
#define DESC(type, digest, size) DESC_X(type, digest, size, "")
#define CONFIG DESC(OCI_CONFIG, D_EMPTY_JSON, "2")
#define V2 "\"schemaVersion\":2"
#define TYPED(type) V2 ",\"mediaType\":\"" type "\""
#define IMAGE_X(config, layers, more) \
	"{" V2 ",\"config\":" config ",\"layers\":" layers more "}"
#define IMAGE(layers) IMAGE_X(CONFIG, layers, "")
#define INDEX_X(manifests, more) "{" V2 ",\"manifests\":" manifests more "}"

struct fixture {
	struct arena arena;
	struct manifest m;
	char why[MANIFEST_WHY_BYTES];
};

static struct fixture fx;

static int
setup(void **state)
{
	(void)state;
	arena_init(&fx.arena, 16 << 20);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&fx.arena);
	return (0);
}

static enum rc
parse_span(const char *type, struct span text)
{
	arena_reset(&fx.arena);
	memset(fx.why, 'w', sizeof(fx.why));
	return (manifest_parse(span_of(type), text, &fx.arena, &fx.m, fx.why));
}

static enum rc
parse(const char *type, const char *text)
{
	return (parse_span(type, span_of(text)));
}

static void
parse_ok(const char *type, const char *text)
{
	enum rc rc = parse(type, text);

	if (rc != RC_OK)
		fail_msg("%s: %s", rc_name(rc), fx.why);
	assert_string_equal(fx.why, "");
}

struct refusal {
	const char *type;
	const char *text;
	enum rc rc;
	const char *why; /* part of it */
};

static void
refused(const struct refusal *rows, size_t n)
{
	enum rc rc;
	size_t i;

	for (i = 0; i < n; i++) {
		rc = parse(rows[i].type, rows[i].text);
		if (rc != rows[i].rc || strstr(fx.why, rows[i].why) == NULL)
			fail_msg("row %zu: %s: %s", i, rc_name(rc), fx.why);
	}
}

static void
edge_is(size_t i, enum edge_kind kind, const char *digest, uint64_t size_bytes,
    const char *type)
{
	const struct descriptor *d = &fx.m.edges[i];
	char text[DIGEST_STR_BYTES];

	assert_true(i < fx.m.n_edges);
	assert_int_equal(d->kind, kind);
	assert_string_equal(digest_str(&d->digest, text), digest);
	assert_int_equal(d->size_bytes, size_bytes);
	assert_true(span_is(d->media_type, type));
}

static void
an_oci_image_has_config_and_layers(void **state)
{
	(void)state;
	parse_ok(OCI,
	    "{" TYPED(OCI) ",\"config\":" CONFIG
			   ",\"layers\":[" DESC(LAYER, D_ABC, "3") "," DESC(
			       "application/vnd.oci.image.layer.v1.tar+zstd",
			       D_ABC_512, "3") "]}");
	assert_int_equal(fx.m.kind, MANIFEST_IMAGE);
	assert_true(span_is(fx.m.media_type, OCI));
	assert_int_equal(fx.m.n_edges, 3);
	edge_is(0, EDGE_CONFIG, D_EMPTY_JSON, 2, OCI_CONFIG);
	edge_is(1, EDGE_LAYER, D_ABC, 3, LAYER);
	edge_is(2, EDGE_LAYER, D_ABC_512, 3,
	    "application/vnd.oci.image.layer.v1.tar+zstd");
	assert_true(span_is(fx.m.config_media_type, OCI_CONFIG));
	assert_true(span_is(fx.m.artifact_type, OCI_CONFIG));
	assert_int_equal(fx.m.annotations.n, 0);
	assert_false(fx.m.has_subject);
	assert_int_equal(fx.m.layers_size_bytes, 8);
}

static void
an_index_has_children(void **state)
{
	(void)state;
	parse_ok(INDEX,
	    INDEX_X("[" DESC(OCI, D_ABC, "3") "," DESC(INDEX, D_NOTHING,
			"0") ",{\"digest\":\"" D_EMPTY_JSON "\",\"size\":2}]",
		""));
	assert_int_equal(fx.m.kind, MANIFEST_INDEX);
	assert_int_equal(fx.m.n_edges, 3);
	edge_is(0, EDGE_MANIFEST, D_ABC, 3, OCI);
	edge_is(1, EDGE_MANIFEST, D_NOTHING, 0, INDEX);
	edge_is(2, EDGE_MANIFEST, D_EMPTY_JSON, 2, "");
	assert_int_equal(fx.m.artifact_type.n, 0);
	assert_int_equal(fx.m.config_media_type.n, 0);
	assert_int_equal(fx.m.layers_size_bytes, 0);
}

static void
docker_manifests_are_read_like_their_oci_siblings(void **state)
{
	(void)state;
	parse_ok(
	    DOCKER, "{" TYPED(DOCKER) ",\"config\":" DESC(
			"application/vnd.docker.container.image.v1+json", D_ABC,
			"3") ",\"layers\":[" DESC("application/"
						  "vnd.docker.image.rootfs."
						  "diff.tar.gzip",
			D_NOTHING, "0") "]}");
	assert_int_equal(fx.m.kind, MANIFEST_IMAGE);
	assert_true(span_is(fx.m.media_type, DOCKER));
	assert_int_equal(fx.m.n_edges, 2);
	assert_true(span_is(fx.m.artifact_type,
	    "application/vnd.docker.container.image.v1+json"));
	parse_ok(
	    LIST, "{" TYPED(LIST) ",\"manifests\":[" DESC_X(DOCKER, D_ABC, "3",
		      ",\"platform\":{\"architecture\":\"amd64\",\"os\":"
		      "\"linux\"}") "]}");
	assert_int_equal(fx.m.kind, MANIFEST_INDEX);
	assert_true(span_is(fx.m.media_type, LIST));
	edge_is(0, EDGE_MANIFEST, D_ABC, 3, DOCKER);
}

/* Members of OCI are unknown ones in a Docker manifest. */
static void
docker_manifests_are_no_referrers(void **state)
{
	(void)state;
	parse_ok(DOCKER, IMAGE_X(CONFIG, "[]",
			     ",\"subject\":7,"
			     "\"artifactType\":[],\"annotations\":{\"a\":1}"));
	assert_false(fx.m.has_subject);
	assert_int_equal(fx.m.annotations.n, 0);
	assert_true(span_is(fx.m.artifact_type, OCI_CONFIG));
}

static void
empty_and_absent_lists_are_fine_where_oci_allows(void **state)
{
	(void)state;
	parse_ok(OCI, IMAGE("[]"));
	assert_int_equal(fx.m.n_edges, 1);
	parse_ok(OCI, "{" V2 ",\"config\":" CONFIG "}");
	assert_int_equal(fx.m.n_edges, 1);
	parse_ok(OCI, IMAGE("null"));
	parse_ok(INDEX, INDEX_X("[]", ""));
	assert_int_equal(fx.m.n_edges, 0);
	parse_ok(LIST, INDEX_X("[]", ""));
	parse_ok(DOCKER, IMAGE("[]"));
}

static void
the_type_comes_from_header_member_or_shape(void **state)
{
	static const struct {
		const char *type, *text, *served;
	} rows[] = {
		{ OCI, IMAGE("[]"), OCI },
		{ DOCKER, IMAGE("[]"), DOCKER },
		{ OCI "; charset=utf-8", IMAGE("[]"), OCI },
		{ "  " OCI "\t;x", IMAGE("[]"), OCI },
		{ "", "{" TYPED(DOCKER) ",\"config\":" CONFIG ",\"layers\":[]}",
		    DOCKER },
		{ NULL, "{" TYPED(LIST) ",\"manifests\":[]}", LIST },
		{ "; charset=utf-8", INDEX_X("[]", ""), INDEX },
		{ "", IMAGE("[]"), OCI },
		{ "", "{" V2 ",\"config\":" CONFIG "}", OCI },
		{ "", "{" TYPED("") ",\"manifests\":[]}", INDEX },
		{ INDEX, "{" V2 ",\"mediaType\":null,\"manifests\":[]}",
		    INDEX },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		parse_ok(rows[i].type, rows[i].text);
		assert_true(span_is(fx.m.media_type, rows[i].served));
	}
}

static void
a_wrong_type_is_refused_by_name(void **state)
{
	static const struct refusal rows[] = {
		{ OCI, "{" TYPED(DOCKER) ",\"config\":" CONFIG "}", RC_INVALID,
		    "Content-Type \"" OCI "\" and \"mediaType\" \"" DOCKER
		    "\" differ" },
		{ INDEX, "{" TYPED(OCI) "}", RC_INVALID, "differ" },
		{ "application/json", IMAGE("[]"), RC_UNSUPPORTED,
		    "\"application/json\"" },
		{ "application/vnd.oci.image.manifest.v1+JSON", IMAGE("[]"),
		    RC_UNSUPPORTED, "v1+JSON" },
		{ "", "{" TYPED("text/x") "}", RC_UNSUPPORTED, "\"text/x\"" },
		{ "", "{" V2 ",\"mediaType\":7}", RC_INVALID,
		    "\"mediaType\" is not a string" },
		{ "", "{" V2 "}", RC_INVALID, "no \"config\"" },
		{ "", "{" V2 ",\"config\":null}", RC_INVALID, "no \"config\"" },
		/* one document, two readings */
		{ OCI, IMAGE_X(CONFIG, "[]", ",\"manifests\":[]"), RC_INVALID,
		    "\"manifests\" must not be in" },
		{ "", IMAGE_X(CONFIG, "[]", ",\"manifests\":[]"), RC_INVALID,
		    "\"manifests\" must not be in" },
		{ INDEX, INDEX_X("[]", ",\"config\":" CONFIG), RC_INVALID,
		    "\"config\" must not be in" },
		{ INDEX, INDEX_X("[]", ",\"layers\":[]"), RC_INVALID,
		    "\"layers\" must not be in" },
		{ DOCKER, IMAGE_X(CONFIG, "[]", ",\"fsLayers\":[]"), RC_INVALID,
		    "\"fsLayers\" must not be in" },
	};

	(void)state;
	refused(rows, ARRAY_LEN(rows));
	assert_true(manifest_media_type_known(SPAN(OCI)));
	assert_true(manifest_media_type_known(SPAN(LIST)));
	assert_false(manifest_media_type_known(SPAN(LAYER)));
	assert_false(manifest_media_type_known(SPAN_NONE));
}

static void
schema_1_is_refused_and_told_what_to_use(void **state)
{
#define V1 "application/vnd.docker.distribution.manifest.v1+"
	static const struct refusal rows[] = {
		{ V1 "prettyjws", "{\"schemaVersion\":1}", RC_UNSUPPORTED,
		    "schema 1 is not supported" },
		{ V1 "json", "not even JSON", RC_UNSUPPORTED, "schema 1" },
		{ "", "{\"schemaVersion\":1,\"name\":\"a\",\"fsLayers\":[]}",
		    RC_UNSUPPORTED, "schema 1" },
		{ "application/json", "{\"schemaVersion\":1}", RC_UNSUPPORTED,
		    "schema 1" },
		{ "", "{\"mediaType\":\"" V1 "json\"}", RC_UNSUPPORTED, OCI },
		{ OCI, "{\"schemaVersion\":1}", RC_UNSUPPORTED, DOCKER },
		{ OCI, "{\"schemaVersion\":3}", RC_INVALID, "is 3" },
		{ OCI, "{\"schemaVersion\":0}", RC_INVALID, "is 0" },
		{ OCI, "{\"schemaVersion\":\"2\"}", RC_INVALID,
		    "\"schemaVersion\"" },
		{ OCI, "{\"schemaVersion\":2.0}", RC_INVALID,
		    "\"schemaVersion\"" },
		{ OCI, "{\"config\":" CONFIG "}", RC_INVALID,
		    "\"schemaVersion\" is missing" },
	};

	(void)state;
	refused(rows, ARRAY_LEN(rows));
}

static void
a_document_of_the_wrong_shape_is_refused(void **state)
{
	static const struct refusal rows[] = {
		{ OCI, "", RC_INVALID, "not valid JSON: line 1" },
		{ OCI, "hello", RC_INVALID, "not valid JSON" },
		{ OCI, "{\"a\":1,\"a\":2}", RC_INVALID,
		    "duplicate object key" },
		{ OCI, IMAGE("[]") "x", RC_INVALID, "end of file" },
		{ OCI, "[]", RC_INVALID, "not a JSON object" },
		{ OCI, "{" V2 "}", RC_INVALID, "config is missing" },
		{ OCI, IMAGE_X("[]", "[]", ""), RC_INVALID, "config is" },
		{ OCI, IMAGE_X("{}", "[]", ""), RC_INVALID,
		    "\"digest\" of config is missing" },
		{ OCI, IMAGE("{}"), RC_INVALID, "\"layers\" is" },
		{ OCI, IMAGE("[7]"), RC_INVALID, "layers[0] is" },
		{ OCI, IMAGE("[" CONFIG ",null]"), RC_INVALID, "layers[1] is" },
		{ DOCKER, "{" V2 ",\"config\":" CONFIG "}", RC_INVALID,
		    "\"layers\" is missing" },
		{ INDEX, "{" V2 "}", RC_INVALID, "\"manifests\" is missing" },
		{ LIST, INDEX_X("null", ""), RC_INVALID, "\"manifests\"" },
		{ INDEX, INDEX_X("{}", ""), RC_INVALID, "\"manifests\"" },
		{ INDEX, INDEX_X("[\"x\"]", ""), RC_INVALID,
		    "manifests[0] is" },
	};

	(void)state;
	refused(rows, ARRAY_LEN(rows));
	assert_int_equal(parse_span(OCI, SPAN(IMAGE("[]") "\0")), RC_INVALID);
}

#define L(digest, size) IMAGE("[" DESC(LAYER, digest, size) "]")

static void
a_descriptor_needs_a_digest_and_a_size(void **state)
{
	static const struct refusal rows[] = {
		{ OCI, L("", "3"), RC_INVALID, "\"digest\" of layers[0]" },
		{ OCI, L("sha256:abc", "3"), RC_INVALID,
		    "is \"sha256:abc\", which is malformed" },
		{ OCI, L("SHA256:abc", "3"), RC_INVALID, "malformed" },
		{ OCI, L("../../etc/passwd", "3"), RC_INVALID, "malformed" },
		{ OCI, L("sha384:abc", "3"), RC_UNSUPPORTED,
		    "\"sha384:abc\", an algorithm" },
		{ OCI, IMAGE("[{\"digest\":7,\"size\":3}]"), RC_INVALID,
		    "\"digest\" of layers[0]" },
		{ OCI, IMAGE("[{\"digest\":\"" D_ABC "\"}]"), RC_INVALID,
		    "\"size\" of layers[0] is missing" },
		{ OCI, L(D_ABC, "-1"), RC_INVALID,
		    "\"size\" of layers[0] is negative: -1" },
		{ OCI, L(D_ABC, "3.0"), RC_INVALID, "\"size\"" },
		{ OCI, L(D_ABC, "\"3\""), RC_INVALID, "\"size\"" },
		{ OCI, L(D_ABC, "null"), RC_INVALID, "\"size\"" },
		{ OCI, L(D_ABC, "1e3"), RC_INVALID, "\"size\"" },
		{ OCI, L(D_ABC, "9223372036854775808"), RC_INVALID,
		    "too big integer" },
		{ OCI,
		    IMAGE("[{\"digest\":\"" D_ABC
			  "\",\"size\":3,\"mediaType\":7}]"),
		    RC_INVALID, "\"mediaType\" of layers[0] is not a string" },
		{ INDEX,
		    INDEX_X(
			"[" DESC(OCI, D_ABC, "3") "," DESC(OCI, "x", "3") "]",
			""),
		    RC_INVALID, "\"digest\" of manifests[1]" },
	};

	(void)state;
	refused(rows, ARRAY_LEN(rows));
	parse_ok(OCI, L(D_ABC, "9223372036854775807"));
	edge_is(1, EDGE_LAYER, D_ABC, INT64_MAX, LAYER);
}

#define DATA(digest, size, data) \
	IMAGE_X(DESC_X(EMPTY_TYPE, digest, size, ",\"data\":" data), "[]", "")

static void
embedded_data_must_be_the_content(void **state)
{
	static const struct refusal rows[] = {
		{ OCI, DATA(D_EMPTY_JSON, "2", "\"e30\""), RC_INVALID,
		    "\"data\" of config is not base64" },
		{ OCI, DATA(D_EMPTY_JSON, "2", "\"e3!=\""), RC_INVALID,
		    "is not base64" },
		{ OCI, DATA(D_EMPTY_JSON, "3", "\"e30=\""), RC_INVALID,
		    "is not of the size" },
		{ OCI, DATA(D_EMPTY_JSON, "2", "\"\""), RC_INVALID,
		    "is not of the size" },
		{ OCI, DATA(D_ABC, "3", "\"YWJk\""), RC_INVALID,
		    "does not match the digest" },
		{ OCI, DATA(D_ABC, "3", "7"), RC_INVALID, "is not a string" },
		{ OCI,
		    IMAGE("[" DESC_X(
			LAYER, D_ABC, "3", ",\"data\":\"YWJk\"") "]"),
		    RC_INVALID, "\"data\" of layers[0]" },
		{ OCI,
		    IMAGE_X(CONFIG, "[]",
			",\"subject\":" DESC_X(
			    OCI, D_ABC, "3", ",\"data\":\"YWJk\"")),
		    RC_INVALID, "\"data\" of subject" },
	};

	(void)state;
	refused(rows, ARRAY_LEN(rows));
	parse_ok(OCI, DATA(D_EMPTY_JSON, "2", "\"e30=\""));
	parse_ok(OCI, DATA(D_ABC, "3", "\"YWJj\""));
	parse_ok(OCI, DATA(D_ABC_512, "3", "\"YWJj\""));
	parse_ok(OCI, DATA(D_NOTHING, "0", "\"\""));
	parse_ok(OCI, DATA(D_ABC, "3", "null"));
}

static void
layers_from_elsewhere_are_marked(void **state)
{
	static const struct {
		const char *layer;
		bool foreign;
	} rows[] = {
#define ND "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar"
		{ DESC(ND, D_ABC, "3"), true },
		{ DESC(ND "+gzip", D_ABC, "3"), true },
		{ DESC(ND "+zstd", D_ABC, "3"), true },
		{ DESC(FOREIGN ".gzip", D_ABC, "3"), true },
		{ DESC(FOREIGN, D_ABC, "3"), true },
		{ DESC_X(LAYER, D_ABC, "3", ",\"urls\":[\"https://a/b\"]"),
		    true },
		{ DESC_X(LAYER, D_ABC, "3", ",\"urls\":[]"), false },
		{ DESC_X(LAYER, D_ABC, "3", ",\"urls\":null"), false },
		{ DESC(LAYER, D_ABC, "3"), false },
	};
	static const struct refusal wrong_ones[] = {
		{ OCI,
		    IMAGE("[" DESC_X(LAYER, D_ABC, "3", ",\"urls\":\"x\"") "]"),
		    RC_INVALID, "\"urls\" of layers[0]" },
		{ OCI,
		    IMAGE("[" DESC_X(LAYER, D_ABC, "3", ",\"urls\":[7]") "]"),
		    RC_INVALID, "\"urls\" of layers[0]" },
	};
	char text[2000];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(text, sizeof(text),
		    "{" V2 ",\"config\":" CONFIG ",\"layers\":[%s]}",
		    rows[i].layer);
		parse_ok(OCI, text);
		assert_false(fx.m.edges[0].nondistributable);
		assert_int_equal(
		    fx.m.edges[1].nondistributable, rows[i].foreign);
	}
	refused(wrong_ones, ARRAY_LEN(wrong_ones));
}

/* As image builders push their caches. */
static void
children_that_are_no_manifests_are_blobs(void **state)
{
	(void)state;
	parse_ok(INDEX,
	    INDEX_X("[" DESC(LAYER, D_ABC, "3") "," DESC(
			"application/vnd.buildkit.cacheconfig.v0", D_EMPTY_JSON,
			"2") "," DESC(DOCKER, D_NOTHING, "0") "]",
		""));
	edge_is(0, EDGE_LAYER, D_ABC, 3, LAYER);
	edge_is(1, EDGE_LAYER, D_EMPTY_JSON, 2,
	    "application/vnd.buildkit.cacheconfig.v0");
	edge_is(2, EDGE_MANIFEST, D_NOTHING, 0, DOCKER);
	assert_int_equal(fx.m.layers_size_bytes, 5);
}

static void
a_subject_is_told_with_its_size(void **state)
{
	static const struct refusal rows[] = {
		{ OCI, IMAGE_X(CONFIG, "[]", ",\"subject\":7"), RC_INVALID,
		    "subject is" },
		{ OCI, IMAGE_X(CONFIG, "[]", ",\"subject\":{}"), RC_INVALID,
		    "\"digest\" of subject" },
		{ OCI,
		    IMAGE_X(CONFIG, "[]",
			",\"subject\":" DESC(OCI, "sha1:abc", "3")),
		    RC_UNSUPPORTED, "\"digest\" of subject is \"sha1:abc\"" },
		{ INDEX, INDEX_X("[]", ",\"subject\":" DESC(OCI, D_ABC, "-3")),
		    RC_INVALID, "\"size\" of subject" },
	};
	char text[DIGEST_STR_BYTES];

	(void)state;
	parse_ok(OCI,
	    IMAGE_X(CONFIG, "[]", ",\"subject\":" DESC(OCI, D_ABC_512, "77")));
	assert_true(fx.m.has_subject);
	assert_int_equal(fx.m.subject_size_bytes, 77);
	assert_string_equal(digest_str(&fx.m.subject, text), D_ABC_512);
	assert_int_equal(fx.m.n_edges, 1);
	parse_ok(INDEX, INDEX_X("[]", ",\"subject\":" DESC(OCI, D_ABC, "3")));
	assert_true(fx.m.has_subject);
	parse_ok(OCI, IMAGE_X(CONFIG, "[]", ",\"subject\":null"));
	assert_false(fx.m.has_subject);
	refused(rows, ARRAY_LEN(rows));
}

static void
the_artifact_type_falls_back_to_the_config_of_images(void **state)
{
	(void)state;
	parse_ok(OCI, IMAGE_X(DESC(EMPTY_TYPE, D_EMPTY_JSON, "2"), "[]",
			  ",\"artifactType\":\"application/vnd.example\""));
	assert_true(span_is(fx.m.artifact_type, "application/vnd.example"));
	assert_true(span_is(fx.m.config_media_type, EMPTY_TYPE));
	parse_ok(OCI, IMAGE_X(CONFIG, "[]", ",\"artifactType\":\"\""));
	assert_true(span_is(fx.m.artifact_type, OCI_CONFIG));
	parse_ok(OCI, IMAGE_X(DESC("text/custom", D_EMPTY_JSON, "2"), "[]",
			  ",\"artifactType\":null"));
	assert_true(span_is(fx.m.artifact_type, "text/custom"));
	parse_ok(INDEX, INDEX_X("[]", ",\"artifactType\":\"a/b\""));
	assert_true(span_is(fx.m.artifact_type, "a/b"));
	parse_ok(
	    OCI, IMAGE_X("{\"digest\":\"" D_ABC "\",\"size\":3}", "[]", ""));
	assert_int_equal(fx.m.artifact_type.n, 0);
	assert_int_equal(
	    parse(OCI, IMAGE_X(CONFIG, "[]", ",\"artifactType\":7")),
	    RC_INVALID);
	assert_non_null(strstr(fx.why, "\"artifactType\" is not a string"));
}

static void
annotations_come_back_compact_and_in_order(void **state)
{
	static const struct refusal rows[] = {
		{ OCI, IMAGE_X(CONFIG, "[]", ",\"annotations\":[]"), RC_INVALID,
		    "\"annotations\" is not an object" },
		{ OCI, IMAGE_X(CONFIG, "[]", ",\"annotations\":{\"k\":7}"),
		    RC_INVALID, "annotation \"k\" is not a string" },
		{ INDEX, INDEX_X("[]", ",\"annotations\":{\"k\":null}"),
		    RC_INVALID, "annotation \"k\" is not a string" },
	};

	(void)state;
	parse_ok(
	    OCI, IMAGE_X(CONFIG, "[]",
		     ", \"annotations\" : { \"z\" : "
		     "\"1\\n\\u00e4\\/\" ,\n\"a\":\"\" , \"\":\"\\\"\" }"));
	assert_true(span_is(fx.m.annotations,
	    "{\"z\":\"1\\n\xc3\xa4/\",\"a\":\"\",\"\":\"\\\"\"}"));
	parse_ok(INDEX, INDEX_X("[]", ",\"annotations\":{\"k\":\"v\"}"));
	assert_true(span_is(fx.m.annotations, "{\"k\":\"v\"}"));
	parse_ok(OCI, IMAGE_X(CONFIG, "[]", ",\"annotations\":{}"));
	assert_int_equal(fx.m.annotations.n, 0);
	parse_ok(OCI, IMAGE_X(CONFIG, "[]", ",\"annotations\":null"));
	assert_int_equal(fx.m.annotations.n, 0);
	refused(rows, ARRAY_LEN(rows));
}

static void
members_nobody_knows_are_left_alone(void **state)
{
	(void)state;
	parse_ok(OCI,
	    "{\"org.example.extra\":{\"deep\":[1,2.5,null]}," V2
	    ",\"config\":" DESC_X(OCI_CONFIG, D_ABC, "3",
		",\"new\":[{}],"
		"\"annotations\":{\"x\":7},\"platform\":[]") ",\"layers\":"
							     "[" DESC_X(LAYER,
								 D_ABC, "3",
								 ",\"newUn"
								 "specifie"
								 "dField\""
								 ":\"aGVsb"
								 "G8=\"") "],"
									  "\"zz"
									  "\":"
									  "true"
									  "}");
	assert_int_equal(fx.m.n_edges, 2);
}

static void
a_size_counts_once_for_a_digest(void **state)
{
	(void)state;
	parse_ok(OCI, IMAGE("[" DESC(LAYER, D_ABC, "3") "," DESC(
			  LAYER, D_NOTHING, "0") "," DESC(LAYER, D_ABC,
			  "3") "," DESC(LAYER, D_EMPTY_JSON, "2") "]"));
	assert_int_equal(fx.m.n_edges, 5);
	assert_int_equal(fx.m.layers_size_bytes, 5);
	parse_ok(
	    OCI, IMAGE("[" DESC(LAYER, D_ABC, "9223372036854775807") "," DESC(
		     LAYER, D_NOTHING, "9223372036854775807") "]"));
	assert_int_equal(fx.m.layers_size_bytes, INT64_MAX);
}

static void
what_a_client_sent_is_shown_cut(void **state)
{
	char type[3000];

	(void)state;
	memset(type, 't', sizeof(type));
	type[sizeof(type) - 1] = '\0';
	assert_int_equal(
	    parse(type, "{" TYPED(OCI) ",\"config\":1}"), RC_INVALID);
	assert_non_null(strstr(fx.why, OCI));
	assert_true(strlen(fx.why) < 400);
	assert_int_equal(parse(type, "{" V2 "}"), RC_UNSUPPORTED);
}

/* 390 annotations of 10,000 bytes, as the conformance suite pushes. */
static void
a_manifest_of_four_megabytes_is_read(void **state)
{
	char value[10001];
	struct buf b;
	int i;

	(void)state;
	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	buf_init(&b, 4 << 20);
	buf_str(&b, "{" V2 ",\"config\":" CONFIG ",\"annotations\":{");
	for (i = 0; i < 390; i++)
		buf_printf(&b, "%s\"org.example.%d\":\"%s\"", i > 0 ? "," : "",
		    i, value);
	buf_str(&b, "}}");
	assert_true(buf_ok(&b));
	assert_int_equal(parse_span(OCI, buf_as_span(&b)), RC_OK);
	assert_true(fx.m.annotations.n > 3900000);
	arena_reset(&fx.arena);
	arena_init(&fx.arena, 1 << 20);
	assert_int_equal(parse_span(OCI, buf_as_span(&b)), RC_TOOBIG);
	assert_non_null(strstr(fx.why, "memory"));
	buf_free(&b);
}

static void
many_layers_take_time_and_memory_in_proportion(void **state)
{
	struct buf b;
	size_t i, n = 40000;

	(void)state;
	buf_init(&b, 8 << 20);
	buf_str(&b, "{" V2 ",\"config\":" CONFIG ",\"layers\":[");
	for (i = 0; i < n; i++)
		buf_printf(&b, "%s{\"digest\":\"sha256:%064zx\",\"size\":1}",
		    i > 0 ? "," : "", i % 1000);
	buf_str(&b, "]}");
	assert_true(buf_ok(&b));
	assert_int_equal(parse_span(OCI, buf_as_span(&b)), RC_OK);
	assert_int_equal(fx.m.n_edges, n + 1);
	assert_int_equal(fx.m.layers_size_bytes, 1000 + 2);
	assert_true(fx.arena.used_bytes < 2 * b.n);
	buf_free(&b);
}

static void
bombs_are_refused(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8 << 20);
	buf_str(&b, "{" V2 ",\"config\":" CONFIG ",\"x\":");
	while (b.n < 4 << 20)
		buf_char(&b, '[');
	assert_int_equal(parse_span(OCI, buf_as_span(&b)), RC_INVALID);
	assert_non_null(strstr(fx.why, "levels deep"));
	buf_clear(&b);
	buf_str(&b, "{" V2 ",\"config\":" CONFIG ",\"x\":[{}");
	while (b.n < 4 << 20)
		buf_str(&b, ",{}");
	buf_str(&b, "]}");
	assert_int_equal(parse_span(OCI, buf_as_span(&b)), RC_INVALID);
	assert_non_null(strstr(fx.why, "values"));
	buf_free(&b);
}

/* No prefix of a document is one, and none may crash. */
static void
a_cut_document_is_refused(void **state)
{
	static const char text[] = IMAGE_X(CONFIG,
	    "[" DESC_X(LAYER, D_ABC, "3", ",\"data\":\"YWJj\"") "]",
	    ",\"subject\":" CONFIG ",\"annotations\":{\"a\":\"b\"}");
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(text) - 1; n++)
		assert_int_equal(
		    parse_span(OCI, (struct span){ text, n }), RC_INVALID);
	assert_int_equal(parse_span(OCI, SPAN(text)), RC_OK);
}

/* Each cap gives the same reading or RC_TOOBIG, and nothing in between. */
static void
any_cap_of_the_arena_is_survived(void **state)
{
	static const char text[] = IMAGE_X(CONFIG,
	    "[" DESC(LAYER, D_ABC, "3") "," DESC(OCI, D_ABC, "3") "]",
	    ",\"artifactType\":\"a/b\",\"annotations\":{\"a\":\"b\"}");
	size_t cap, n_ok = 0;
	enum rc rc;

	(void)state;
	for (cap = 0; cap < 1000; cap++) {
		arena_reset(&fx.arena);
		arena_init(&fx.arena, cap);
		rc = parse(OCI, text);
		assert_true(rc == RC_OK || rc == RC_TOOBIG);
		assert_true(n_ok == 0 || rc == RC_OK);
		n_ok += rc == RC_OK;
	}
	assert_true(n_ok > 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_oci_image_has_config_and_layers),
		TEST(an_index_has_children),
		TEST(docker_manifests_are_read_like_their_oci_siblings),
		TEST(docker_manifests_are_no_referrers),
		TEST(empty_and_absent_lists_are_fine_where_oci_allows),
		TEST(the_type_comes_from_header_member_or_shape),
		TEST(a_wrong_type_is_refused_by_name),
		TEST(schema_1_is_refused_and_told_what_to_use),
		TEST(a_document_of_the_wrong_shape_is_refused),
		TEST(a_descriptor_needs_a_digest_and_a_size),
		TEST(embedded_data_must_be_the_content),
		TEST(layers_from_elsewhere_are_marked),
		TEST(children_that_are_no_manifests_are_blobs),
		TEST(a_subject_is_told_with_its_size),
		TEST(the_artifact_type_falls_back_to_the_config_of_images),
		TEST(annotations_come_back_compact_and_in_order),
		TEST(members_nobody_knows_are_left_alone),
		TEST(a_size_counts_once_for_a_digest),
		TEST(what_a_client_sent_is_shown_cut),
		TEST(a_manifest_of_four_megabytes_is_read),
		TEST(many_layers_take_time_and_memory_in_proportion),
		TEST(bombs_are_refused),
		TEST(a_cut_document_is_refused),
		TEST(any_cap_of_the_arena_is_survived),
	};

	return (
	    cmocka_run_group_tests_name("base/manifest", tests, NULL, NULL));
}
