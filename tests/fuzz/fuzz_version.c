#include <stdint.h>

#include "base/obj.h"
#include "scan/version.h"

/*
 * The first byte is a type of package, and three versions stand behind it, a
 * line each.  Which of two is above the other does not depend on who is asked
 * first, each is as high as itself, and of the types whose rules are ours what is
 * above another is above what that is above.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const enum package_type types[] = { PACKAGE_DEB, PACKAGE_RPM,
	PACKAGE_APK, PACKAGE_NPM, PACKAGE_PYPI };

static int
sign(int n)
{
	return (n < 0 ? -1 : n > 0);
}

/* False: one of them is none. */
static bool
order(enum package_type type, struct span a, struct span b, int *order_r)
{
	bool any = type == PACKAGE_DEB || type == PACKAGE_RPM;
	int back = 7;
	enum rc rc;

	*order_r = 7;
	rc = version_compare(type, a, b, order_r);
	must(rc == RC_OK || (rc == RC_INVALID && !any));
	must(version_compare(type, b, a, &back) == rc);
	if (rc != RC_OK)
		return (false);
	must(sign(*order_r) == -sign(back));
	must(version_compare(type, a, a, &back) == RC_OK && back == 0);
	return (true);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest, v[3] = { SPAN(""), SPAN(""), SPAN("") };
	enum package_type type;
	int ab, bc, ac;
	size_t i;

	if (size == 0)
		return (0);
	type = types[data[0] % ARRAY_LEN(types)];
	rest = (struct span){ (const char *)data + 1, size - 1 };
	for (i = 0; i < 3; i++)
		if (!span_split(&rest, '\n', &v[i]))
			break;
	if (!order(type, v[0], v[1], &ab) || !order(type, v[1], v[2], &bc) ||
	    !order(type, v[0], v[2], &ac))
		return (0);
	if (type == PACKAGE_RPM)
		return (0);
	if (ab <= 0 && bc <= 0)
		must(ac <= 0);
	if (ab >= 0 && bc >= 0)
		must(ac >= 0);
	if (ab == 0 && bc == 0)
		must(ac == 0);
	return (0);
}
