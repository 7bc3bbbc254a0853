#include "auth/sigv4_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/hex.h"
#include "base/obj.h"
#include "tests/unit/auth/sigv4_tools.h"

/*
 * One vector for each rule of the canonical form.  Texts and signatures were
 * computed apart from this program; where botocore has a say of its own, it
 * says the same.
 */
#define H(name, value) HEADER(name, value)

struct vector {
	const char *why;
	const char *method, *target, *body;
	struct name_value headers[V_HEADERS_MAX];
	size_t n_headers;
	const char *signed_headers;
	const char *canonical; /* without the last line */
	const char *signature;
};

static const struct vector vectors[] = {
	{ "a request of the AWS CLI", "POST", "/", "{}",
	    { H("Host", "127.0.0.1:5601"), H("Accept-Encoding", "identity"),
		H("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."
				  "GetAuthorizationToken"),
		H("Content-Type", "application/x-amz-json-1.1"),
		H("X-Amz-Date", "20261121T080317Z") },
	    5, "content-type;host;x-amz-date;x-amz-target",
	    "POST\n"
	    "/\n"
	    "\n"
	    "content-type:application/x-amz-json-1.1\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "x-amz-target:AmazonEC2ContainerRegistry_V20150921."
	    "GetAuthorizationToken\n"
	    "\n"
	    "content-type;host;x-amz-date;x-amz-target\n",
	    "3981dc67e807ccb92fead342bd3dc2a994df443d8f6a2bb3d1f83c2d0cd347c"
	    "3" },
	{ "an empty body", "GET", "/", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "937ac073c71f5ebc81d41136ea097fd32effd53b64493dc56c830dd86c9f457"
	    "4" },
	{ "names of headers in any case", "GET", "/", "",
	    { H("HOST", "h"), H("x-AMZ-date", "20261121T080317Z") }, 2,
	    "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:h\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "f65687f6a8c3ff3de146327ecb77136985b0a1f349f7642816eda7eb75bb5cb"
	    "d" },
	{ "white space around and in values", "GET", "/", "",
	    { H("Host", "127.0.0.1:5601"), H("X-Amz-Date", "20261121T080317Z"),
		H("X-Amz-Meta", "a   b\t \tc") },
	    3, "host;x-amz-date;x-amz-meta",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "x-amz-meta:a b c\n"
	    "\n"
	    "host;x-amz-date;x-amz-meta\n",
	    "88a14ae1fdf954e02b1207740297c84eea42b7dde42b09a4530b2f7975ee21e"
	    "a" },
	{ "white space within quotes", "GET", "/", "",
	    { H("Host", "127.0.0.1:5601"), H("X-Amz-Date", "20261121T080317Z"),
		H("X-Amz-Meta", "\"a   b\"") },
	    3, "host;x-amz-date;x-amz-meta",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "x-amz-meta:\"a b\"\n"
	    "\n"
	    "host;x-amz-date;x-amz-meta\n",
	    "db83f5c39689ee28c39bab16f997f591e1116d55a4b70523f11d925de97fc6a"
	    "f" },
	{ "an empty value", "GET", "/", "",
	    { H("Host", "127.0.0.1:5601"), H("X-Amz-Date", "20261121T080317Z"),
		H("X-Amz-Meta", "") },
	    3, "host;x-amz-date;x-amz-meta",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "x-amz-meta:\n"
	    "\n"
	    "host;x-amz-date;x-amz-meta\n",
	    "f7e66205e93659aee2d400293a2f4b9729b57925aed9a41be002365fc7a8b1d"
	    "6" },
	{ "a repeated header", "GET", "/", "",
	    { H("Host", "127.0.0.1:5601"), H("X-Amz-Meta", "z"),
		H("X-Amz-Date", "20261121T080317Z"), H("x-amz-meta", "a  b"),
		H("X-AMZ-META", "") },
	    5, "host;x-amz-date;x-amz-meta",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "x-amz-meta:z,a b,\n"
	    "\n"
	    "host;x-amz-date;x-amz-meta\n",
	    "33f2136231ecfa35dceca0d54b99c98d70949287727b673c80412cdd3fa946e"
	    "2" },
	{ "a header that is not signed", "GET", "/", "",
	    { H("Host", "127.0.0.1:5601"), H("X-Amz-Date", "20261121T080317Z"),
		H("User-Agent", "x") },
	    3, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "937ac073c71f5ebc81d41136ea097fd32effd53b64493dc56c830dd86c9f457"
	    "4" },
	{ "octets beyond ASCII in a value", "GET", "/", "",
	    { H("Host", "127.0.0.1:5601"), H("X-Amz-Date", "20261121T080317Z"),
		H("X-Amz-Meta", "\303\244") },
	    3, "host;x-amz-date;x-amz-meta",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "x-amz-meta:\303\244\n"
	    "\n"
	    "host;x-amz-date;x-amz-meta\n",
	    "9198f74eb8fa2d77b798dea7ea89d35f2fa9a3010d4620080b35ee80a625239"
	    "6" },
	{ "a path with reserved characters", "GET", "/a!b'(c)*;d:@&=+$,e~f_-.g",
	    "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/a%21b%27%28c%29%2A%3Bd%3A%40%26%3D%2B%24%2Ce~f_-.g\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "2f71516e30fee6eef36b960d66102e59ad1a3435d2ef3a0e4bc95906c3c1996"
	    "3" },
	{ "a path that is encoded", "GET", "/a%20b/%C3%A4", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/a%2520b/%25C3%25A4\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "4132a22e5d36d41c52efcc5cda177be1f349fc97ab8bc6e20c04c67787cefe6"
	    "9" },
	{ "dot segments", "GET", "/a/./b/../c/../../d/.", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/d\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "823f5ff2b8de9f1dae972ff24561566bcbdb016b7e739a99f47a41cb76c6f61"
	    "9" },
	{ "more dots than segments", "GET", "/../../a/", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/a/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "e6447f3939f46d647670244f98946de3c5278254f49021d6e800ff4b406ba41"
	    "c" },
	{ "slashes in a row", "GET", "//a///b//", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/a/b/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "d98ec4aa3d43cf67c2be8aa75cad61fe7acd17bc50e3336a0e80c209a391c6b"
	    "d" },
	{ "nothing but slashes", "GET", "///", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "937ac073c71f5ebc81d41136ea097fd32effd53b64493dc56c830dd86c9f457"
	    "4" },
	{ "a query out of order", "GET", "/?b=2&a=1&a-b=3&A=4&aa=5", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "A=4&a=1&a-b=3&aa=5&b=2\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "7ec4b8da0accae0c38875d39730121bf73178a7e5048cc1845bfc4040f298ae"
	    "1" },
	{ "values out of order", "GET", "/?a=z&a=b&a=&a=b%20c", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "a=&a=b&a=b%20c&a=z\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "145135645475225afe73e470ec3c3871c0f3537302bbda7feeb63fc8e3399fe"
	    "5" },
	{ "a name without a value", "GET", "/?acl&b=", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "acl=&b=\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "c4a348929bee7752059e5d40aa8021a4d1d211a77b1f8a898ba6fdb0be625d3"
	    "b" },
	{ "an equals sign in a value", "GET", "/?a=b=c", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "a=b%3Dc\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "dfd77e13ef6264c5dfb36203652fce9d604a27a8b6c4d34f5d715830637d0df"
	    "8" },
	{ "a plus is a plus", "GET", "/?a=b+c&d=e%2Bf", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "a=b%2Bc&d=e%2Bf\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "f92183a9666b712c6e2a7c76c5097b7ac451e8fe5d60a2e23ccabf61696c294"
	    "8" },
	{ "encoded more than need be", "GET", "/?%61=%7e%41%2d&b=%2f%3a", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "a=~A-&b=%2F%3A\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "a92a63987dbf0f794e5adca86465627aeb3427f26e615193913bbde0a9ff815"
	    "6" },
	{ "encoded less than need be", "GET", "/?a=/:@!$'()*,;", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "a=%2F%3A%40%21%24%27%28%29%2A%2C%3B\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "4d9aa957645bb6f30c12bca89ff6b85d8a26406892a19ab740694c261c44595"
	    "5" },
	{ "empty pairs", "GET", "/?&&a=1&", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "a=1\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "34bf15a416c78f6f114cd5c96c484148a2f76bad26301a22f01144b45c25d95"
	    "6" },
	{ "octets beyond ASCII in a query", "GET", "/?%C3%A4=%00%ff", "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "%C3%A4=%00%FF\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "0698b6c9a9a33340c216514c9e0fec6ec0db1933c95cc77a784548f1998c910"
	    "2" },
	{ "an X-Amz-Signature that is no signature", "GET", "/?x=1&X-Amz-Sig=2",
	    "",
	    { H("Host", "127.0.0.1:5601"),
		H("X-Amz-Date", "20261121T080317Z") },
	    2, "host;x-amz-date",
	    "GET\n"
	    "/\n"
	    "X-Amz-Sig=2&x=1\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "host;x-amz-date\n",
	    "4d55c02d4befa88dcb14c57e637c7f18d54ed7c8c1addd1250692cb1110a889"
	    "5" },
	{ "a form", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15",
	    { H("Host", "127.0.0.1:5601"),
		H("Content-Type",
		    "application/x-www-form-urlencoded; charset=utf-8"),
		H("X-Amz-Date", "20261121T080317Z") },
	    3, "content-type;host;x-amz-date",
	    "POST\n"
	    "/\n"
	    "\n"
	    "content-type:application/x-www-form-urlencoded; charset=utf-8\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "\n"
	    "content-type;host;x-amz-date\n",
	    "533380ff94650b641e98716a415ac2cd0b8907540d38fcb3956a4773ca89a17"
	    "8" },
	{ "what the SDK for Go signs", "POST", "/", "{}",
	    { H("Host", "127.0.0.1:5601"), H("Amz-Sdk-Invocation-Id", "3f1c"),
		H("Amz-Sdk-Request", "attempt=1; max=3"),
		H("Content-Length", "2"),
		H("Content-Type", "application/x-amz-json-1.1"),
		H("X-Amz-Date", "20261121T080317Z"),
		H("X-Amz-Target", "T.Op") },
	    7,
	    "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;"
	    "host;x-amz-date;x-amz-target",
	    "POST\n"
	    "/\n"
	    "\n"
	    "amz-sdk-invocation-id:3f1c\n"
	    "amz-sdk-request:attempt=1; max=3\n"
	    "content-length:2\n"
	    "content-type:application/x-amz-json-1.1\n"
	    "host:127.0.0.1:5601\n"
	    "x-amz-date:20261121T080317Z\n"
	    "x-amz-target:T.Op\n"
	    "\n"
	    "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;"
	    "host;x-amz-date;x-amz-target\n",
	    "38a3b90dfe9f17ac168530898f2c305d6067752d9eea5e7f5ec0701c9980540"
	    "c" },
};

static void
vector_load(const struct vector *v, struct signed_request *s)
{
	size_t i;

	signed_request_init(s, v->method, v->target, v->body);
	for (i = 0; i < v->n_headers; i++)
		s->headers[s->rq.n_headers++] = v->headers[i];
}

static void
each_rule_gives_the_canonical_text(void **state)
{
	char want[2048], hash[2 * SIGV4_HASH_BYTES + 1];
	struct sigv4_form form = { .presigned = false };
	struct signed_request s;
	struct buf text;
	size_t i;

	(void)state;
	buf_init(&text, SIGV4_CANONICAL_MAX_BYTES);
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		vector_load(&vectors[i], &s);
		form.signed_headers = span_of(vectors[i].signed_headers);
		buf_clear(&text);
		assert_int_equal(sigv4_canonical(&s.rq, &form, &text), RC_OK);
		hex_encode(s.rq.body_hash, sizeof(s.rq.body_hash), hash);
		(void)snprintf(
		    want, sizeof(want), "%s%s", vectors[i].canonical, hash);
		if (!span_is(buf_as_span(&text), want))
			fail_msg("%s:\n" SPAN_FMT "\nnot\n%s", vectors[i].why,
			    SPAN_ARG(buf_as_span(&text)), want);
	}
	buf_free(&text);
}

static void
each_rule_verifies(void **state)
{
	char why[SIGV4_WHY_BYTES];
	struct signed_request s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		vector_load(&vectors[i], &s);
		signed_request_authorize(
		    &s, vectors[i].signed_headers, vectors[i].signature);
		if (signed_request_check(&s, V_TIME_MS, why) != SIGV4_OK)
			fail_msg("%s: %s", vectors[i].why, why);
	}
}

static void
a_target_in_absolute_form_is_its_path_and_query(void **state)
{
	static const char *const rows[][3] = {
		{ "http://h:1/a?b", "/a", "b" },
		{ "http://h?b", "", "b" },
		{ "http://h", "", "" },
		{ "/a://b?c?d", "/a://b", "c?d" },
		{ "*", "*", "" },
		{ "", "", "" },
	};
	struct span path, query;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		sigv4_target_split(span_of(rows[i][0]), &path, &query);
		assert_true(span_is(path, rows[i][1]));
		assert_true(span_is(query, rows[i][2]));
	}
}

static enum rc
canonical_of(const char *target, const char *list)
{
	struct sigv4_form form = { .signed_headers = span_of(list) };
	struct signed_request s;
	struct buf text;
	enum rc rc;

	signed_request_init(&s, "GET", target, "");
	signed_request_header(&s, "Host", "h");
	buf_init(&text, SIGV4_CANONICAL_MAX_BYTES);
	rc = sigv4_canonical(&s.rq, &form, &text);
	buf_free(&text);
	return (rc);
}

static void
what_has_no_canonical_form_is_refused(void **state)
{
	(void)state;
	assert_int_equal(canonical_of("/?a=%41", "host"), RC_OK);
	assert_int_equal(canonical_of("/?a=%4", "host"), RC_INVALID);
	assert_int_equal(canonical_of("/?a=%", "host"), RC_INVALID);
	assert_int_equal(canonical_of("/?%zz", "host"), RC_INVALID);
	assert_int_equal(canonical_of("/", "host;x-amz-date"), RC_NOTFOUND);
}

static void
a_query_has_a_number_of_pairs_it_may_have(void **state)
{
	char target[2 + 2 * (SIGV4_PARAMS_MAX + 1) + 1];
	size_t at;

	(void)state;
	memset(target, 0, sizeof(target));
	memcpy(target, "/?", 2);
	for (at = 2; at < 2 + 2 * SIGV4_PARAMS_MAX; at += 2)
		memcpy(target + at, "a&", 2);
	assert_int_equal(canonical_of(target, "host"), RC_OK);
	memcpy(target + at, "a", 1);
	assert_int_equal(canonical_of(target, "host"), RC_TOOBIG);
}

static void
a_text_that_grows_too_long_is_refused(void **state)
{
	static char target[SIGV4_CANONICAL_MAX_BYTES / 2 + 3];

	(void)state;
	memset(target, '/', sizeof(target) - 1);
	memset(target + 1, '!', sizeof(target) - 2);
	assert_int_equal(canonical_of(target, "host"), RC_TOOBIG);
	memset(target, '!', sizeof(target) - 1);
	memcpy(target, "/?", 2);
	assert_int_equal(canonical_of(target, "host"), RC_TOOBIG);
}

static void
times_are_read_by_their_form_only(void **state)
{
	static const char *const bad[] = { "", "20261121T080317", "20261121",
		"20261121T080317z", "20261121t080317Z", "2026-11-21T08:03:17Z",
		"20261121T080317Z ", "20260229T080317Z", "20261321T080317Z",
		"20261100T080317Z", "20261121T240000Z", "20261121T086017Z",
		"20261121T080361Z", "19691231T235959Z", "+0261121T080317Z",
		"2026112 T080317Z" };
	char out[SIGV4_DATE_BYTES];
	int64_t ms;
	size_t i;

	(void)state;
	assert_int_equal(sigv4_time_read(SPAN(V_TIME), &ms), RC_OK);
	assert_true(ms == V_TIME_MS);
	assert_string_equal(sigv4_time_str(V_TIME_MS + 999, out), V_TIME);
	assert_int_equal(sigv4_time_read(SPAN("20240229T235959Z"), &ms), RC_OK);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (sigv4_time_read(span_of(bad[i]), &ms) != RC_INVALID)
			fail_msg("\"%s\" was read", bad[i]);
}

static void
http_dates_are_read_by_their_form_only(void **state)
{
	static const char *const good[] = { "Sat, 21 Nov 2026 08:03:17 GMT",
		"Sat, 21 Nov 2026 08:03:17 UTC",
		"Sat, 21 Nov 2026 08:03:17 +0000",
		"Sat, 21 Nov 2026 08:03:17 -0000" };
	static const char *const bad[] = { "", "Sat, 21 Nov 2026 08:03:17",
		"Sat, 21 Nov 2026 08:03:17 +0100",
		"Sun, 21 Nov 2026 08:03:17 GMT",
		"Sat, 21 nov 2026 08:03:17 GMT",
		"Sat, 31 Nov 2026 08:03:17 GMT",
		"Sat, 21 Nov 2026 08:03:17 GMT ",
		"Sat Nov 21 08:03:17 2026 GMT     ",
		"Saturday, 21-Nov-26 08:03:17 GMT",
		"Sat, 21 Nov 2026 08:03:1x GMT" };
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(
		    sigv4_time_read_http(span_of(good[i]), &ms), RC_OK);
		assert_true(ms == V_TIME_MS);
	}
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (sigv4_time_read_http(span_of(bad[i]), &ms) != RC_INVALID)
			fail_msg("\"%s\" was read", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_gives_the_canonical_text),
		cmocka_unit_test(each_rule_verifies),
		cmocka_unit_test(
		    a_target_in_absolute_form_is_its_path_and_query),
		cmocka_unit_test(what_has_no_canonical_form_is_refused),
		cmocka_unit_test(a_query_has_a_number_of_pairs_it_may_have),
		cmocka_unit_test(a_text_that_grows_too_long_is_refused),
		cmocka_unit_test(times_are_read_by_their_form_only),
		cmocka_unit_test(http_dates_are_read_by_their_form_only),
	};

	return (cmocka_run_group_tests_name(
	    "auth/sigv4_canonical", tests, NULL, NULL));
}
