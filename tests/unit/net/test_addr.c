#include "registryd/net/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "base/obj.h"
#include "registryd/net/caps.h"

static void
addresses_are_read_and_written(void **state)
{
	static const char *const same[] = { "1.2.3.4", "::1", "2001:db8::5",
		"unix", "0.0.0.0", "::" };
	static const char *const bad[] = { "", "1.2.3", "1.2.3.4.5", "a", "::g",
		"1.2.3.4 ", "[::1]", "1.2.3.256", "01.2.3.4" };
	char text[ADDR_TEXT_BYTES];
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(same); i++) {
		assert_int_equal(addr_parse(span_of(same[i]), &a), RC_OK);
		assert_string_equal(addr_text(&a, text), same[i]);
	}
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(addr_parse(span_of(bad[i]), &a), RC_INVALID);
	assert_int_equal(addr_parse(SPAN("::ffff:1.2.3.4"), &a), RC_OK);
	assert_string_equal(addr_text(&a, text), "1.2.3.4");
}

struct vector {
	const char *network, *address;
	bool in;
};

static void
networks_have_their_addresses(void **state)
{
	static const struct vector vectors[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.0.0.0/8", "::ffff:10.1.1.1", true },
		{ "192.168.4.0/22", "192.168.7.255", true },
		{ "192.168.4.0/22", "192.168.8.0", false },
		{ "1.2.3.4", "1.2.3.4", true },
		{ "1.2.3.4", "1.2.3.5", false },
		{ "1.2.3.4/32", "1.2.3.4", true },
		{ "0.0.0.0/0", "9.9.9.9", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "::1", true },
		{ "::/0", "9.9.9.9", false },
		{ "fd00::/8", "fd12::1", true },
		{ "fd00::/8", "fe80::1", false },
		{ "2001:db8:0:8000::/49", "2001:db8:0:ffff::1", true },
		{ "2001:db8:0:8000::/49", "2001:db8:0:7fff::1", false },
		{ "unix", "unix", true },
		{ "unix", "127.0.0.1", false },
		{ "0.0.0.0/0", "unix", false },
	};
	struct cidr c;
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		assert_int_equal(
		    cidr_parse(span_of(vectors[i].network), &c), RC_OK);
		assert_int_equal(
		    addr_parse(span_of(vectors[i].address), &a), RC_OK);
		if (cidr_has(&c, &a) != vectors[i].in)
			fail_msg(
			    "%s %s", vectors[i].network, vectors[i].address);
	}
}

static void
what_is_no_network_is_refused(void **state)
{
	static const char *const bad[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33",
		"10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.1/8", "::1/129",
		"::1/64", "unix/8", "10.0.0.0/a", "10.0.0.0/ 8", "host" };
	struct cidr c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		if (cidr_parse(span_of(bad[i]), &c) != RC_INVALID)
			fail_msg("%s", bad[i]);
	}
}

static void
connections_are_counted_by_address_and_v6_by_network(void **state)
{
	struct caps *caps = caps_new();
	struct addr a, b, c, d;
	int i;

	(void)state;
	assert_int_equal(addr_parse(SPAN("1.2.3.4"), &a), RC_OK);
	assert_int_equal(addr_parse(SPAN("1.2.3.5"), &b), RC_OK);
	assert_int_equal(addr_parse(SPAN("2001:db8::1"), &c), RC_OK);
	assert_int_equal(addr_parse(SPAN("2001:db8::ffff:1"), &d), RC_OK);
	for (i = 0; i < 3; i++)
		assert_int_equal(caps_enter(caps, &a, 3), RC_OK);
	assert_int_equal(caps_enter(caps, &a, 3), RC_LIMIT);
	assert_int_equal(caps_enter(caps, &b, 3), RC_OK);
	caps_leave(caps, &a);
	assert_int_equal(caps_enter(caps, &a, 3), RC_OK);
	assert_int_equal(caps_enter(caps, &c, 1), RC_OK);
	assert_int_equal(caps_enter(caps, &d, 1), RC_LIMIT);
	caps_leave(caps, &d);
	caps_leave(caps, &b);
	for (i = 0; i < 3; i++)
		caps_leave(caps, &a);
	caps_free(&caps);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(networks_have_their_addresses),
		cmocka_unit_test(what_is_no_network_is_refused),
		cmocka_unit_test(
		    connections_are_counted_by_address_and_v6_by_network),
	};

	return (cmocka_run_group_tests_name("net/addr", tests, NULL, NULL));
}
