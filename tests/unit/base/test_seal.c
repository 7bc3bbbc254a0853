#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hex.h"
#include "base/keyring.h"
#include "base/obj.h"

static const struct span aad = SPAN_INIT("registryd");

static enum rc
open_bytes(const struct seal_key *k, struct span with, const uint8_t *p,
    size_t n, uint8_t *out, size_t *n_r)
{
	return (
	    seal_open(k, with, (struct span){ (const char *)p, n }, out, n_r));
}

/* Computed by another implementation of AES-256-GCM. */
static void
what_others_sealed_is_opened(void **state)
{
	const char *text =
	    "016465666768696a6b6c6d6e6f3f73bf12598022be5711cfe04c9ef5d5348997"
	    "0c5d073c3ae6f3";
	uint8_t sealed[SEAL_OVERHEAD_BYTES + 10], out[sizeof(sealed)];
	struct seal_key k;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(k.bytes); i++)
		k.bytes[i] = (uint8_t)i;
	assert_int_equal(strlen(text) / 2, sizeof(sealed));
	assert_int_equal(
	    hex_decode(span_of(text), sealed, sizeof(sealed)), RC_OK);
	assert_int_equal(
	    open_bytes(&k, aad, sealed, sizeof(sealed), out, &n), RC_OK);
	assert_int_equal(n, 10);
	assert_memory_equal(out, "what it is", 10);
}

static void
what_was_sealed_is_opened_whatever_its_length(void **state)
{
	uint8_t plain[300], sealed[300 + SEAL_OVERHEAD_BYTES],
	    out[sizeof(sealed)];
	struct seal_key k;
	size_t n, got;

	(void)state;
	seal_key_make(&k);
	random_bytes(plain, sizeof(plain));
	for (n = 0; n <= sizeof(plain); n++) {
		seal(&k, n % 2 == 0 ? aad : SPAN_NONE,
		    (struct span){ (const char *)plain, n }, sealed);
		assert_int_equal(
		    open_bytes(&k, n % 2 == 0 ? aad : SPAN_NONE, sealed,
			n + SEAL_OVERHEAD_BYTES, out, &got),
		    RC_OK);
		assert_int_equal(got, n);
		assert_memory_equal(out, plain, n);
	}
}

static void
what_was_changed_is_not_opened(void **state)
{
	uint8_t sealed[6 + SEAL_OVERHEAD_BYTES], out[sizeof(sealed)];
	static const uint8_t zeros[6];
	struct seal_key k, other;
	size_t i, bit, n;

	(void)state;
	seal_key_make(&k);
	seal_key_make(&other);
	seal(&k, aad, SPAN("secret"), sealed);
	for (i = 0; i < sizeof(sealed); i++)
		for (bit = 0; bit < 8; bit++) {
			sealed[i] ^= (uint8_t)(1 << bit);
			memset(out, 0, sizeof(out));
			assert_int_equal(open_bytes(&k, aad, sealed,
					     sizeof(sealed), out, &n),
			    RC_INVALID);
			assert_memory_equal(out, zeros, sizeof(zeros));
			sealed[i] ^= (uint8_t)(1 << bit);
		}
	for (i = 0; i < sizeof(sealed); i++)
		assert_int_equal(
		    open_bytes(&k, aad, sealed, i, out, &n), RC_INVALID);
	assert_int_equal(
	    open_bytes(&other, aad, sealed, sizeof(sealed), out, &n),
	    RC_INVALID);
	assert_int_equal(
	    open_bytes(&k, SPAN("registryD"), sealed, sizeof(sealed), out, &n),
	    RC_INVALID);
	assert_int_equal(
	    open_bytes(&k, SPAN_NONE, sealed, sizeof(sealed), out, &n),
	    RC_INVALID);
	assert_int_equal(n, 0);
	assert_int_equal(
	    open_bytes(&k, aad, sealed, sizeof(sealed), out, &n), RC_OK);
}

static void
the_same_is_sealed_differently_each_time(void **state)
{
	uint8_t a[6 + SEAL_OVERHEAD_BYTES], b[6 + SEAL_OVERHEAD_BYTES];
	struct seal_key k;

	(void)state;
	seal_key_make(&k);
	seal(&k, aad, SPAN("secret"), a);
	seal(&k, aad, SPAN("secret"), b);
	assert_memory_not_equal(a + 1, b + 1, 12);
	assert_memory_not_equal(a + 13, b + 13, 6);
}

static void
assert_mac(
    struct span key, const struct span *parts, size_t n, const char *want)
{
	char hex[2 * SECRET_MAC_BYTES + 1];
	uint8_t mac[SECRET_MAC_BYTES];

	secret_mac(key, parts, n, mac);
	hex_encode(mac, sizeof(mac), hex);
	assert_string_equal(hex, want);
}

/* RFC 4231 section 4, cases 2, 1 and 6; and a chain computed elsewhere. */
static void
codes_are_those_of_the_rfc(void **state)
{
	const struct span question = SPAN("what do ya want for nothing?");
	const struct span hi = SPAN("Hi There");
	const struct span larger =
	    SPAN("Test Using Larger Than Block-Size Key - Hash Key First");
	const struct span chain[] = { SPAN_INIT("a"), SPAN_INIT("bc") };
	char key[131];

	(void)state;
	assert_mac(SPAN("Jefe"), &question, 1,
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843");
	memset(key, 0x0b, 20);
	assert_mac((struct span){ key, 20 }, &hi, 1,
	    "b0344c61d8db38535ca8afceaf0bf12b"
	    "881dc200c9833da726e9376c2e32cff7");
	memset(key, 0xaa, sizeof(key));
	assert_mac((struct span){ key, sizeof(key) }, &larger, 1,
	    "60e431591ee0b67f0d8a26aacbf5b77f"
	    "8e0bc6213728c5140546040f0ee37f54");
	assert_mac(SPAN("k"), chain, 2,
	    "e865ae005f6105083c60326603e90f43"
	    "a3b99398d411e8b8f011e6a686c79235");
	/* HMAC of nothing under an empty key. */
	assert_mac(SPAN_NONE, &SPAN_NONE, 1,
	    "b613679a0814d9ec772f95d778c35fc5"
	    "ff1697c493715653c6c712144292c5ad");
}

static void
secrets_are_equal_byte_by_byte(void **state)
{
	(void)state;
	assert_true(secret_eq(SPAN("abc"), SPAN("abc")));
	assert_true(secret_eq(SPAN_NONE, SPAN("")));
	assert_false(secret_eq(SPAN("abc"), SPAN("abd")));
	assert_false(secret_eq(SPAN("xbc"), SPAN("abc")));
	assert_false(secret_eq(SPAN("ab"), SPAN("abc")));
	assert_false(secret_eq(SPAN("abc"), SPAN_NONE));
	assert_false(secret_eq(SPAN("a\0b"), SPAN("a\0c")));
}

static void
random_bytes_fill_what_is_asked_and_no_more(void **state)
{
	static const uint8_t zeros[64];
	uint8_t a[66], b[66];

	(void)state;
	memset(a, 0, sizeof(a));
	random_bytes(a + 1, 64);
	assert_int_equal(a[0], 0);
	assert_int_equal(a[65], 0);
	assert_memory_not_equal(a + 1, zeros, 64);
	random_bytes(b + 1, 64);
	assert_memory_not_equal(a + 1, b + 1, 64);
	random_bytes(NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_others_sealed_is_opened),
		cmocka_unit_test(what_was_sealed_is_opened_whatever_its_length),
		cmocka_unit_test(what_was_changed_is_not_opened),
		cmocka_unit_test(the_same_is_sealed_differently_each_time),
		cmocka_unit_test(codes_are_those_of_the_rfc),
		cmocka_unit_test(secrets_are_equal_byte_by_byte),
		cmocka_unit_test(random_bytes_fill_what_is_asked_and_no_more),
	};

	return (cmocka_run_group_tests_name("base/seal", tests, NULL, NULL));
}
