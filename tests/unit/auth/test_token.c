#include "auth/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

#define ALL_KINDS \
	(1u << TOKEN_LOGIN | 1u << TOKEN_BEARER | 1u << TOKEN_REFRESH | \
	    1u << TOKEN_SESSION)

static struct seal_key key;

static int
setup(void **state)
{
	(void)state;
	seal_key_make(&key);
	return (0);
}

static const struct token full = {
	.kind = TOKEN_SESSION,
	.account = SPAN_INIT("111122223333"),
	.user = SPAN_INIT("build@example"),
	.access_key = SPAN_INIT("AKIAIOSFODNN7TESTING"),
	.issued_ms = INT64_C(1795248197123),
	.expires_ms = INT64_C(1795291397123),
	.scopes = SPAN_INIT("repository:team/app:pull,push"),
	.secret = SPAN_INIT("temporary/Secret+Key"),
	.session_key = SPAN_INIT("ASIAIOSFODNN7TESTING"),
	.password_mark = { 1, 2, 3, 255, 0, 5 },
};

static void
assert_same(const struct token *a, const struct token *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_true(span_eq(a->account, b->account));
	assert_true(span_eq(a->user, b->user));
	assert_true(span_eq(a->access_key, b->access_key));
	assert_true(a->issued_ms == b->issued_ms);
	assert_true(a->expires_ms == b->expires_ms);
	assert_true(span_eq(a->scopes, b->scopes));
	assert_true(span_eq(a->secret, b->secret));
	assert_true(span_eq(a->session_key, b->session_key));
	assert_memory_equal(
	    a->password_mark, b->password_mark, sizeof(a->password_mark));
}

static void
a_token_is_read_as_it_was_made(void **state)
{
	static const enum token_kind kinds[] = { TOKEN_LOGIN, TOKEN_BEARER,
		TOKEN_REFRESH, TOKEN_SESSION };
	struct token t = full, back;
	struct token_room room;
	char text[TOKEN_MAX_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		t.kind = kinds[i];
		assert_int_equal(token_make(&key, &t, text), RC_OK);
		assert_int_equal(token_read(&key, 1u << kinds[i], span_of(text),
				     &room, &back),
		    RC_OK);
		assert_same(&back, &t);
	}
	t = (struct token){ .kind = TOKEN_BEARER, .expires_ms = -1 };
	assert_int_equal(token_make(&key, &t, text), RC_OK);
	assert_int_equal(
	    token_read(&key, ALL_KINDS, span_of(text), &room, &back), RC_OK);
	assert_same(&back, &t);
	assert_int_equal(back.user.n, 0);
}

static void
a_token_is_of_another_kind_than_the_others(void **state)
{
	struct token t = full, back;
	struct token_room room;
	char text[TOKEN_MAX_BYTES];
	unsigned kind;

	(void)state;
	for (kind = TOKEN_LOGIN; kind <= TOKEN_SESSION; kind++) {
		t.kind = (enum token_kind)kind;
		assert_int_equal(token_make(&key, &t, text), RC_OK);
		memset(&room, 0x55, sizeof(room));
		assert_int_equal(token_read(&key, ALL_KINDS & ~(1u << kind),
				     span_of(text), &room, &back),
		    RC_INVALID);
		assert_int_equal(back.secret.n, 0);
		assert_null(memmem(room.bytes, sizeof(room.bytes),
		    full.secret.p, full.secret.n));
		assert_int_equal(
		    token_read(&key, 0, span_of(text), &room, &back),
		    RC_INVALID);
	}
	t.kind = (enum token_kind)5;
	assert_int_equal(token_make(&key, &t, text), RC_OK);
	assert_int_equal(
	    token_read(&key, ~0u, span_of(text), &room, &back), RC_INVALID);
}

static void
a_token_with_any_bit_changed_is_refused(void **state)
{
	uint8_t sealed[TOKEN_MAX_BYTES];
	struct token_room room;
	struct token back;
	char text[TOKEN_MAX_BYTES], again[TOKEN_MAX_BYTES];
	size_t i, n, bit;

	(void)state;
	assert_int_equal(token_make(&key, &full, text), RC_OK);
	n = strlen(text);
	for (i = 0; i < n; i++)
		for (bit = 0; bit < 8; bit++) {
			text[i] = (char)(text[i] ^ 1 << bit);
			assert_int_equal(
			    token_read(&key, ALL_KINDS,
				(struct span){ text, n }, &room, &back),
			    RC_INVALID);
			text[i] = (char)(text[i] ^ 1 << bit);
		}
	assert_int_equal(base64url_decode(span_of(text), sealed, &n), RC_OK);
	for (i = 0; i < n; i++)
		for (bit = 0; bit < 8; bit++) {
			sealed[i] ^= (uint8_t)(1 << bit);
			base64url_encode(sealed, n, again);
			assert_int_equal(token_read(&key, ALL_KINDS,
					     span_of(again), &room, &back),
			    RC_INVALID);
			sealed[i] ^= (uint8_t)(1 << bit);
		}
	assert_int_equal(
	    token_read(&key, ALL_KINDS, span_of(text), &room, &back), RC_OK);
}

static void
a_token_cut_or_lengthened_is_refused(void **state)
{
	char text[TOKEN_MAX_BYTES], longer[4 * TOKEN_MAX_BYTES];
	struct token_room room;
	struct token back;
	struct span s;
	size_t n;

	(void)state;
	assert_int_equal(token_make(&key, &full, text), RC_OK);
	n = strlen(text);
	for (s = (struct span){ text, 0 }; s.n < n; s.n++)
		assert_int_equal(
		    token_read(&key, ALL_KINDS, s, &room, &back), RC_INVALID);
	memset(longer, 'A', sizeof(longer));
	memcpy(longer, text, n);
	for (s = (struct span){ longer, n + 1 }; s.n < sizeof(longer); s.n++)
		assert_int_equal(
		    token_read(&key, ALL_KINDS, s, &room, &back), RC_INVALID);
	longer[n] = '=';
	s.n = n + 1;
	assert_int_equal(
	    token_read(&key, ALL_KINDS, s, &room, &back), RC_INVALID);
	s = (struct span){ text + 4, n - 4 };
	assert_int_equal(
	    token_read(&key, ALL_KINDS, s, &room, &back), RC_INVALID);
}

static void
a_token_of_another_key_or_use_is_refused(void **state)
{
	char text[TOKEN_MAX_BYTES], plain[100] = { 1, TOKEN_LOGIN };
	uint8_t sealed[sizeof(plain) + SEAL_OVERHEAD_BYTES];
	struct token_room room;
	struct seal_key other;
	struct token back;

	(void)state;
	seal_key_make(&other);
	assert_int_equal(token_make(&other, &full, text), RC_OK);
	assert_int_equal(
	    token_read(&key, ALL_KINDS, span_of(text), &room, &back),
	    RC_INVALID);
	seal(&key, SPAN("access-key AKIA"),
	    (struct span){ plain, sizeof(plain) }, sealed);
	base64url_encode(sealed, sizeof(sealed), text);
	assert_int_equal(
	    token_read(&key, ALL_KINDS, span_of(text), &room, &back),
	    RC_INVALID);
}

/* Sealed with our key, so that only the reader of the inside can object. */
static enum rc
read_plain(const char *plain, size_t n)
{
	uint8_t sealed[200 + SEAL_OVERHEAD_BYTES];
	char text[TOKEN_MAX_BYTES];
	struct token_room room;
	struct token back;

	seal(&key, SPAN("registryd token"), (struct span){ plain, n }, sealed);
	base64url_encode(sealed, n + SEAL_OVERHEAD_BYTES, text);
	return (token_read(&key, ALL_KINDS, span_of(text), &room, &back));
}

static void
what_is_sealed_must_be_a_whole_token(void **state)
{
	char plain[200] = { 1, TOKEN_LOGIN };
	const size_t least = 2 + 8 + 8 + 16 + 6 * 2;
	size_t n;

	(void)state;
	assert_int_equal(read_plain(plain, least), RC_OK);
	for (n = 0; n < least; n++)
		assert_int_equal(read_plain(plain, n), RC_INVALID);
	assert_int_equal(read_plain(plain, least + 1), RC_INVALID);
	plain[least - 1] = 1;
	assert_int_equal(read_plain(plain, least), RC_INVALID);
	assert_int_equal(read_plain(plain, least + 1), RC_OK);
	plain[least - 1] = 0;
	plain[0] = 2;
	assert_int_equal(read_plain(plain, least), RC_INVALID);
}

static void
a_token_is_short_and_fit_for_every_client(void **state)
{
	static char name[TOKEN_NAME_MAX_BYTES], scopes[TOKEN_SCOPES_MAX_BYTES];
	struct token t = full;
	char text[TOKEN_MAX_BYTES];

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(scopes, 's', sizeof(scopes));
	t.user = (struct span){ name, sizeof(name) };
	t.scopes = (struct span){ scopes, sizeof(scopes) };
	assert_int_equal(token_make(&key, &t, text), RC_OK);
	assert_true(strlen(text) < 2048);
	assert_int_equal(
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
			 "wxyz0123456789-_"),
	    strlen(text));
}

static void
parts_that_are_too_long_make_no_token(void **state)
{
	static char much[70000];
	struct token t = full;
	char text[TOKEN_MAX_BYTES];

	(void)state;
	memset(much, 'x', sizeof(much));
	t.user = (struct span){ much, TOKEN_NAME_MAX_BYTES + 1 };
	assert_int_equal(token_make(&key, &t, text), RC_TOOBIG);
	assert_string_equal(text, "");
	t = full;
	t.scopes = (struct span){ much, TOKEN_SCOPES_MAX_BYTES + 1 };
	assert_int_equal(token_make(&key, &t, text), RC_TOOBIG);
	t = full;
	t.secret = (struct span){ much, 1400 };
	assert_int_equal(token_make(&key, &t, text), RC_TOOBIG);
	t.secret = (struct span){ much, 65536 };
	assert_int_equal(token_make(&key, &t, text), RC_TOOBIG);
	t.secret = (struct span){ much, sizeof(much) };
	assert_int_equal(token_make(&key, &t, text), RC_TOOBIG);
}

/* Up to the very last byte that fits. */
static void
the_longest_token_is_read_again(void **state)
{
	static char much[2000];
	struct token t = { .kind = TOKEN_SESSION }, back;
	struct token_room room;
	char text[TOKEN_MAX_BYTES];
	size_t n = 0;

	(void)state;
	do {
		t.secret = (struct span){ much, ++n };
		if (token_make(&key, &t, text) != RC_OK)
			break;
		assert_int_equal(
		    token_read(&key, ALL_KINDS, span_of(text), &room, &back),
		    RC_OK);
		assert_int_equal(back.secret.n, n);
	} while (n < sizeof(much));
	assert_int_equal(BASE64URL_LEN(46 + n - 1 + SEAL_OVERHEAD_BYTES), 2047);
}

static void
two_tokens_of_the_same_differ(void **state)
{
	char a[TOKEN_MAX_BYTES], b[TOKEN_MAX_BYTES];

	(void)state;
	assert_int_equal(token_make(&key, &full, a), RC_OK);
	assert_int_equal(token_make(&key, &full, b), RC_OK);
	assert_string_not_equal(a, b);
}

static void
a_token_expires_at_its_moment(void **state)
{
	struct token t = { .expires_ms = 1000 };

	(void)state;
	assert_false(token_expired(&t, 999));
	assert_true(token_expired(&t, 1000));
	assert_true(token_expired(&t, 1001));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_read_as_it_was_made),
		cmocka_unit_test(a_token_is_of_another_kind_than_the_others),
		cmocka_unit_test(a_token_with_any_bit_changed_is_refused),
		cmocka_unit_test(a_token_cut_or_lengthened_is_refused),
		cmocka_unit_test(a_token_of_another_key_or_use_is_refused),
		cmocka_unit_test(what_is_sealed_must_be_a_whole_token),
		cmocka_unit_test(a_token_is_short_and_fit_for_every_client),
		cmocka_unit_test(parts_that_are_too_long_make_no_token),
		cmocka_unit_test(the_longest_token_is_read_again),
		cmocka_unit_test(two_tokens_of_the_same_differ),
		cmocka_unit_test(a_token_expires_at_its_moment),
	};

	return (cmocka_run_group_tests_name("auth/token", tests, setup, NULL));
}
