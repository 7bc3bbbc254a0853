#include "base/obj.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/base/dies.h"

#define THING_MAGIC 0x7468u

struct thing {
	unsigned magic;
};

static struct thing thing = { THING_MAGIC };

static void
must_true(void)
{
	must(thing.magic == THING_MAGIC);
}

static void
must_false(void)
{
	must(thing.magic == 0);
}

static void
wrong_always(void)
{
	wrong("as the test wants it");
}

static void
check_right(void)
{
	OBJ_CHECK(&thing, THING_MAGIC);
}

static void
check_other_magic(void)
{
	OBJ_CHECK(&thing, THING_MAGIC + 1);
}

static void
check_null(void)
{
	struct thing *volatile none = NULL;

	OBJ_CHECK(none, THING_MAGIC);
}

static void
a_broken_guarantee_aborts(void **state)
{
	(void)state;
	assert_true(dies(must_false));
	assert_true(dies(wrong_always));
	assert_true(dies(check_other_magic));
	assert_true(dies(check_null));
}

static void
a_kept_guarantee_goes_on(void **state)
{
	(void)state;
	assert_false(dies(must_true));
	assert_false(dies(check_right));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_guarantee_aborts),
		cmocka_unit_test(a_kept_guarantee_goes_on),
	};

	return (cmocka_run_group_tests_name("base/obj", tests, NULL, NULL));
}
