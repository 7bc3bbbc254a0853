#include "base/rc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/obj.h"

static void
every_reason_has_a_name_and_a_text(void **state)
{
	int rc;

	(void)state;
	for (rc = RC_OK; rc <= RC_FAILED; rc++) {
		assert_true(rc_text((enum rc)rc)[0] != '\0');
		assert_true(rc_name((enum rc)rc)[0] != '\0');
	}
	assert_int_equal(RC_OK, 0);
	assert_string_equal(rc_name(RC_NOTFOUND), "NOTFOUND");
	assert_string_equal(rc_text(RC_NOSPACE), "no space left");
}

static void
errno_becomes_a_reason(void **state)
{
	static const struct {
		int err;
		enum rc rc;
	} rows[] = {
		{ ENOENT, RC_NOTFOUND },
		{ EEXIST, RC_EXISTS },
		{ ENOSPC, RC_NOSPACE },
		{ EDQUOT, RC_NOSPACE },
		{ EROFS, RC_READONLY },
		{ EACCES, RC_DENIED },
		{ EPERM, RC_DENIED },
		{ EMFILE, RC_LIMIT },
		{ ENFILE, RC_LIMIT },
		{ EAGAIN, RC_WOULDBLOCK },
		{ EFBIG, RC_TOOBIG },
		{ EIO, RC_IO },
		{ EBADF, RC_IO },
		{ 0, RC_IO },
		{ -1, RC_IO },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(rc_of_errno(rows[i].err), rows[i].rc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_has_a_name_and_a_text),
		cmocka_unit_test(errno_becomes_a_reason),
	};

	return (cmocka_run_group_tests_name("base/rc", tests, NULL, NULL));
}
