#include "scan/version_int.h"

#include <pthread.h>
#include <stdlib.h>

#include <solv/evr.h>
#include <solv/pool.h>

#include "base/mem.h"
#include "base/obj.h"
#include "scan/version.h"

/*
 * Which rules a version goes by, and those of rpm, which are libsolv's.  (Those
 * that it has for dpkg differ from dpkg's where a part ends in zeros.)  Of its
 * pool only the kind of distribution is looked at in a comparison, so that one,
 * made when it is first needed, does for all threads.
 */
#define TEXT_BYTES 512

static Pool *pool_rpm;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void
pool_make(void)
{
	pool_rpm = pool_create();
	must(pool_rpm != NULL);
	must(pool_setdisttype(pool_rpm, DISTTYPE_RPM) >= 0);
}

/* A version with an end, in ${room} where it is no longer than most. */
struct text {
	char *p;
	char room[TEXT_BYTES];
};

static void
text_make(struct text *t, struct span s)
{
	t->p = s.n < sizeof(t->room) ? t->room : xmalloc(s.n + 1);
	if (s.n > 0)
		memcpy(t->p, s.p, s.n);
	t->p[s.n] = '\0';
}

static void
text_free(struct text *t)
{
	if (t->p != t->room)
		free(t->p);
}

static int
rpm_compare(struct span a, struct span b)
{
	struct text ta, tb;
	int order;

	text_make(&ta, a);
	text_make(&tb, b);
	order = pool_evrcmp_str(pool_rpm, ta.p, tb.p, EVRCMP_COMPARE);
	text_free(&tb);
	text_free(&ta);
	return (order);
}

enum rc
version_compare(enum package_type type, struct span a, struct span b, int *r)
{
	switch (type) {
	case PACKAGE_DEB:
		*r = deb_compare(a, b);
		return (RC_OK);
	case PACKAGE_RPM:
		must(pthread_once(&pool_once, pool_make) == 0);
		*r = rpm_compare(a, b);
		return (RC_OK);
	case PACKAGE_APK:
		return (apk_compare(a, b, r));
	case PACKAGE_NPM:
		return (semver_compare(a, b, r));
	case PACKAGE_PYPI:
		return (pep440_compare(a, b, r));
	}
	wrong("a package of no known type");
}

/* --- what grammars share ------------------------------------------------- */

struct span
take_digits(struct span *s)
{
	struct span digits = { s->p, 0 };

	while (digits.n < s->n && is_digit(s->p[digits.n]))
		digits.n++;
	skip(s, digits.n);
	return (digits);
}

static void
zeros_strip(struct span *s)
{
	while (s->n > 0 && s->p[0] == '0')
		skip(s, 1);
}

int
digits_cmp(struct span a, struct span b)
{
	zeros_strip(&a);
	zeros_strip(&b);
	if (a.n != b.n)
		return (a.n < b.n ? -1 : 1);
	return (a.n > 0 ? memcmp(a.p, b.p, a.n) : 0);
}
