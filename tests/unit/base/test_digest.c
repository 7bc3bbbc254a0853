#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hex.h"
#include "base/obj.h"
#include "tests/unit/base/dies.h"

#define EMPTY_256 \
	"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b" \
	"934ca495991b7852b855"
#define ABC_256 \
	"sha256:ba7816bf8f01cfea414140de5dae2223b00361a39617" \
	"7a9cb410ff61f20015ad"
#define ABC_512 \
	"sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a9" \
	"7ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feeb" \
	"bd454d4423643ce80e2a9ac94fa54ca49f"

/* FIPS 180-4 examples. */
static void
known_contents_have_known_digests(void **state)
{
	static const struct {
		uint8_t alg;
		const char *text;
		const char *digest;
	} rows[] = {
		{ DIGEST_SHA256, "", EMPTY_256 },
		{ DIGEST_SHA256, "abc", ABC_256 },
		{ DIGEST_SHA512, "abc", ABC_512 },
	};
	char text[DIGEST_STR_BYTES];
	struct digest d, parsed;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		digest_of(rows[i].alg, rows[i].text, strlen(rows[i].text), &d);
		assert_string_equal(digest_str(&d, text), rows[i].digest);
		assert_int_equal(
		    digest_parse(span_of(rows[i].digest), &parsed), RC_OK);
		assert_true(digest_eq(&d, &parsed));
	}
	digest_of(DIGEST_SHA256, NULL, 0, &d);
	assert_string_equal(digest_str(&d, text), EMPTY_256);
}

static void
a_running_hash_sees_the_pieces_as_one(void **state)
{
	static const uint8_t algs[] = { DIGEST_SHA256, DIGEST_SHA512 };
	struct digest whole, pieces;
	uint8_t bytes[1000];
	struct hasher *h;
	size_t i, at;

	(void)state;
	for (at = 0; at < sizeof(bytes); at++)
		bytes[at] = (uint8_t)(at * 31);
	for (i = 0; i < ARRAY_LEN(algs); i++) {
		digest_of(algs[i], bytes, sizeof(bytes), &whole);
		h = hasher_new(algs[i]);
		assert_int_equal(hasher_alg(h), algs[i]);
		for (at = 0; at < sizeof(bytes); at += 125) {
			hasher_update(h, bytes + at, 125);
			hasher_update(h, NULL, 0);
		}
		hasher_final(h, &pieces);
		assert_true(digest_eq(&whole, &pieces));
		hasher_free(&h);
		assert_null(h);
		hasher_free(&h);
	}
	hasher_free(NULL);
}

static void
update_behind_the_end(void)
{
	struct hasher *h = hasher_new(DIGEST_SHA256);
	struct digest d;

	hasher_final(h, &d);
	hasher_update(h, "x", 1);
}

static void
hash_of_no_algorithm(void)
{
	struct digest d;

	digest_of(7, "", 0, &d);
}

static void
misuse_of_a_hash_aborts(void **state)
{
	(void)state;
	assert_true(dies(update_behind_the_end));
	assert_true(dies(hash_of_no_algorithm));
}

static void
only_the_two_algorithms_are_known(void **state)
{
	static const char *const others[] = { "", "sha384", "SHA256", "sha-256",
		"sha2561", "sha25", "md5", "blake3" };
	uint8_t alg;
	size_t i;

	(void)state;
	assert_int_equal(digest_alg_parse(SPAN("sha256"), &alg), RC_OK);
	assert_int_equal(alg, DIGEST_SHA256);
	assert_int_equal(digest_alg_parse(SPAN("sha512"), &alg), RC_OK);
	assert_int_equal(alg, DIGEST_SHA512);
	for (i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(
		    digest_alg_parse(span_of(others[i]), &alg), RC_UNSUPPORTED);
	assert_int_equal(digest_len(DIGEST_SHA256), 32);
	assert_int_equal(digest_len(DIGEST_SHA512), 64);
	assert_int_equal(digest_len(0), 0);
	assert_int_equal(digest_len(255), 0);
	assert_string_equal(digest_alg_name(DIGEST_SHA512), "sha512");
	assert_null(digest_alg_name(0));
	/* On disk for ever. */
	assert_int_equal(DIGEST_SHA256, 1);
	assert_int_equal(DIGEST_SHA512, 2);
}

#define HEX_56 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61"

static void
malformed_and_unknown_digests_are_told_apart(void **state)
{
	static const struct {
		struct span s;
		enum rc rc;
	} rows[] = {
		{ SPAN_INIT(ABC_256), RC_OK },
		{ SPAN_INIT(ABC_512), RC_OK },
		{ SPAN_INIT("sha384:abcd"), RC_UNSUPPORTED },
		{ SPAN_INIT(
		      "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm56"),
		    RC_UNSUPPORTED },
		{ SPAN_INIT("multihash+base58:"
			    "QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv4"),
		    RC_UNSUPPORTED },
		{ SPAN_INIT("a.b_c-d:x="), RC_UNSUPPORTED },
		{ { NULL, 0 }, RC_INVALID },
		{ SPAN_INIT(""), RC_INVALID },
		{ SPAN_INIT(":"), RC_INVALID },
		{ SPAN_INIT("sha256"), RC_INVALID },
		{ SPAN_INIT("sha256:"), RC_INVALID },
		{ SPAN_INIT(":" HEX_56 "f20015ad"), RC_INVALID },
		{ SPAN_INIT("sha256:baddigeststring"), RC_INVALID },
		{ SPAN_INIT("sha256:" HEX_56 "f20015a"), RC_INVALID },
		{ SPAN_INIT("sha256:" HEX_56 "f20015ad0"), RC_INVALID },
		{ SPAN_INIT("sha256:" HEX_56 "f20015ad00"), RC_INVALID },
		{ SPAN_INIT("sha256:" HEX_56 "F20015AD"), RC_INVALID },
		{ SPAN_INIT("sha256:" HEX_56 "f20015ag"), RC_INVALID },
		{ SPAN_INIT("sha256:" HEX_56 "f20015a\0"), RC_INVALID },
		{ SPAN_INIT("sha256:" HEX_56 "f20015a/"), RC_INVALID },
		{ SPAN_INIT("sha256:../../../etc/passwd"), RC_INVALID },
		{ SPAN_INIT("sha512:" HEX_56 "f20015ad"), RC_INVALID },
		{ SPAN_INIT("SHA256:" HEX_56 "f20015ad"), RC_INVALID },
		{ SPAN_INIT(" sha256:" HEX_56 "f20015ad"), RC_INVALID },
		{ SPAN_INIT("sha256:" HEX_56 "f20015ad\n"), RC_INVALID },
		{ SPAN_INIT("sha256::" HEX_56 "f20015ad"), RC_INVALID },
		{ SPAN_INIT("sha256:sha256:" HEX_56 "f20015ad"), RC_INVALID },
		{ SPAN_INIT("+a:x"), RC_INVALID },
		{ SPAN_INIT("a+:x"), RC_INVALID },
		{ SPAN_INIT("a++b:x"), RC_INVALID },
		{ SPAN_INIT("a\0b:x"), RC_INVALID },
		{ SPAN_INIT("a:x+y"), RC_INVALID },
		{ SPAN_INIT("a:x y"), RC_INVALID },
		{ SPAN_INIT("a:x:y"), RC_INVALID },
	};
	struct digest d;
	enum rc rc;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		rc = digest_parse(rows[i].s, &d);
		if (rc != rows[i].rc)
			fail_msg("\"" SPAN_FMT "\" is %s", SPAN_ARG(rows[i].s),
			    rc_name(rc));
	}
}

static void
order_is_by_algorithm_then_by_bytes(void **state)
{
	struct digest a, b, c;

	(void)state;
	assert_int_equal(digest_parse(SPAN(EMPTY_256), &a), RC_OK);
	assert_int_equal(digest_parse(SPAN(ABC_256), &b), RC_OK);
	assert_int_equal(digest_parse(SPAN(ABC_512), &c), RC_OK);
	assert_true(digest_cmp(&b, &a) < 0);
	assert_true(digest_cmp(&a, &b) > 0);
	assert_true(digest_cmp(&a, &c) < 0);
	assert_true(digest_cmp(&c, &a) > 0);
	assert_int_equal(digest_cmp(&c, &c), 0);
	assert_false(digest_eq(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_contents_have_known_digests),
		cmocka_unit_test(a_running_hash_sees_the_pieces_as_one),
		cmocka_unit_test(misuse_of_a_hash_aborts),
		cmocka_unit_test(only_the_two_algorithms_are_known),
		cmocka_unit_test(malformed_and_unknown_digests_are_told_apart),
		cmocka_unit_test(order_is_by_algorithm_then_by_bytes),
	};

	return (cmocka_run_group_tests_name("base/digest", tests, NULL, NULL));
}
