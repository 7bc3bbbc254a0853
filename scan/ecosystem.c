#include <string.h>

#include "base/num.h"
#include "base/obj.h"
#include "scan/version.h"
#include "scan/version_int.h"

/*
 * Names of ecosystems.  The same distribution is called in three ways: by its
 * os-release, by its own advisories and by those of OSV.  Here each has one
 * name: its ID and what its releases go by.
 */

/* Debian's releases are told by codename: testing has no number yet. */
static const struct {
	const char *number;
	const char *codename;
} debian_releases[] = {
	{ "3.0", "woody" },
	{ "3.1", "sarge" },
	{ "4.0", "etch" },
	{ "5.0", "lenny" },
	{ "6.0", "squeeze" },
	{ "7", "wheezy" },
	{ "8", "jessie" },
	{ "9", "stretch" },
	{ "10", "buster" },
	{ "11", "bullseye" },
	{ "12", "bookworm" },
	{ "13", "trixie" },
	{ "14", "forky" },
	{ "15", "duke" },
};

static bool
name_ok(const char *text)
{
	size_t n = strlen(text), i;

	for (i = 0; i < n; i++)
		if (!is_digit(text[i]) && !is_lower(text[i]) &&
		    strchr(":._-+", text[i]) == NULL)
			return (false);
	return (n > 0 && n <= ECOSYSTEM_MAX_BYTES);
}

/* ${id}, or "${id}:${release}". */
static enum rc
name_make(struct arena *a, struct span id, struct span release, enum rc not,
    struct span *e_r)
{
	char *text;

	if (id.n + release.n > ECOSYSTEM_MAX_BYTES)
		return (not );
	text = arena_printf(a, SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(id),
	    release.n > 0 ? ":" : "", SPAN_ARG(release));
	if (text == NULL)
		return (RC_TOOBIG);
	if (!name_ok(text))
		return (not );
	*e_r = span_of(text);
	return (RC_OK);
}

/* The first ${n} numbers of a version, with their dots: "3.18.4" is "3.18". */
static struct span
numbers(struct span version, size_t n)
{
	struct span rest = version, digits;
	size_t used = 0;

	while (n-- > 0) {
		digits = take_digits(&rest);
		if (digits.n == 0)
			break;
		used = (size_t)(rest.p - version.p);
		if (!take_char(&rest, '.'))
			break;
	}
	return ((struct span){ version.p, used });
}

static struct span
debian_codename(struct span number)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(debian_releases); i++)
		if (span_is(number, debian_releases[i].number))
			return (span_of(debian_releases[i].codename));
	return (number);
}

/* "3.19_alpha20230901" is what will be 3.19 one day. */
static struct span
alpine_release(struct span version)
{
	if (version.n > 0 && (memchr(version.p, '_', version.n) != NULL ||
				 !is_digit(version.p[0])))
		return (SPAN("edge"));
	return (numbers(version, 2));
}

/* --- by os-release ------------------------------------------------------- */

/* Those that some advisories can be imported for; nobody publishes those of
 * CentOS, Oracle, Amazon or Fedora in a format that is read here.  Which part
 * of VERSION_ID names a release. */
enum release {
	RELEASE_MAJOR,
	RELEASE_MINOR,
	RELEASE_ALL, /* of OSV's names only */
	RELEASE_NONE,
	RELEASE_DEBIAN,
	RELEASE_ALPINE,
};

static const struct system {
	const char *id;
	enum package_type type;
	enum release release;
	const char *name; /* NULL: .id */
} systems[] = {
	{ "debian", PACKAGE_DEB, RELEASE_DEBIAN, NULL },
	{ "ubuntu", PACKAGE_DEB, RELEASE_MINOR, NULL },
	{ "alpine", PACKAGE_APK, RELEASE_ALPINE, NULL },
	{ "wolfi", PACKAGE_APK, RELEASE_NONE, NULL },
	{ "chainguard", PACKAGE_APK, RELEASE_NONE, NULL },
	{ "rocky", PACKAGE_RPM, RELEASE_MAJOR, NULL },
	{ "almalinux", PACKAGE_RPM, RELEASE_MAJOR, NULL },
	{ "rhel", PACKAGE_RPM, RELEASE_MAJOR, "redhat" },
	{ "mageia", PACKAGE_RPM, RELEASE_MAJOR, NULL },
	{ "sles", PACKAGE_RPM, RELEASE_MINOR, NULL },
	{ "opensuse-leap", PACKAGE_RPM, RELEASE_MINOR, NULL },
	{ "opensuse-tumbleweed", PACKAGE_RPM, RELEASE_NONE, NULL },
	{ "azurelinux", PACKAGE_RPM, RELEASE_MAJOR, NULL },
	{ "mariner", PACKAGE_RPM, RELEASE_MAJOR, "azurelinux" },
	{ "photon", PACKAGE_RPM, RELEASE_MINOR, NULL },
};

static struct span
release_of(const struct os_release *os, enum release release)
{
	switch (release) {
	case RELEASE_MAJOR:
		return (numbers(os->version_id, 1));
	case RELEASE_MINOR:
		return (numbers(os->version_id, 2));
	case RELEASE_ALL:
		return (os->version_id);
	case RELEASE_NONE:
		return (SPAN_NONE);
	case RELEASE_DEBIAN:
		if (os->codename.n > 0)
			return (os->codename);
		return (debian_codename(numbers(os->version_id, 1)));
	case RELEASE_ALPINE:
		return (alpine_release(os->version_id));
	}
	wrong("a release of no known kind");
}

static enum rc
system_of(const struct os_release *os, enum package_type type, struct arena *a,
    struct span *e_r)
{
	const struct system *s;
	struct span release;
	size_t i;

	if (os->id.n == 0)
		return (RC_NOTFOUND);
	for (i = 0; i < ARRAY_LEN(systems); i++) {
		s = &systems[i];
		if (!span_is(os->id, s->id))
			continue;
		release = release_of(os, s->release);
		if (s->type != type ||
		    (release.n == 0 && s->release != RELEASE_NONE))
			return (RC_NOTFOUND);
		return (name_make(a, span_of(s->name != NULL ? s->name : s->id),
		    release, RC_NOTFOUND, e_r));
	}
	return (RC_NOTFOUND);
}

enum rc
ecosystem_of(const struct os_release *os, enum package_type type,
    struct arena *a, struct span *e_r)
{
	switch (type) {
	case PACKAGE_NPM:
		*e_r = SPAN("npm");
		return (RC_OK);
	case PACKAGE_PYPI:
		*e_r = SPAN("pypi");
		return (RC_OK);
	case PACKAGE_DEB:
	case PACKAGE_APK:
	case PACKAGE_RPM:
		return (system_of(os, type, a, e_r));
	}
	wrong("a package of no known type");
}

/* --- by OSV -------------------------------------------------------------- */

/* "Linux Enterprise Server 15 SP5", "Linux Enterprise Module for Basesystem 15
 * SP5": "15.5".  Those with more behind it are sold apart from it. */
static enum rc
suse_release(struct span rest, struct arena *a, struct span *release_r)
{
	const struct span server = SPAN("Linux Enterprise Server ");
	const struct span module = SPAN("Linux Enterprise Module for ");
	struct span word, major = SPAN_NONE, pack = SPAN_NONE;
	char *text;

	if (!span_has_prefix(rest, server) && !span_has_prefix(rest, module))
		return (RC_UNSUPPORTED);
	skip(&rest, span_has_prefix(rest, server) ? server.n : module.n);
	while (span_split(&rest, ' ', &word)) {
		if (word.n > 2 && major.n > 0 && word.p[0] == 'S' &&
		    word.p[1] == 'P')
			pack = (struct span){ word.p + 2, word.n - 2 };
		else
			major = word;
	}
	if (numbers(major, 1).n != major.n || major.n == 0 ||
	    numbers(pack, 1).n != pack.n)
		return (RC_UNSUPPORTED);
	text = arena_printf(a, SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(major),
	    pack.n > 0 ? "." : "", SPAN_ARG(pack));
	*release_r = span_of(text);
	return (text != NULL ? RC_OK : RC_TOOBIG);
}

/* "enterprise_linux:9::appstream": "9". */
static enum rc
redhat_release(struct span rest, struct span *release_r)
{
	struct span product;

	(void)span_split(&rest, ':', &product);
	if (!span_is(product, "enterprise_linux") ||
	    !span_split(&rest, ':', release_r))
		return (RC_UNSUPPORTED);
	*release_r = numbers(*release_r, 1);
	return (release_r->n > 0 ? RC_OK : RC_UNSUPPORTED);
}

/* "22.04:LTS", "24.10"; "Pro:..." are for who pays for them. */
static enum rc
ubuntu_release(struct span rest, struct span *release_r)
{
	(void)span_split(&rest, ':', release_r);
	if (rest.n > 0 && !span_is(rest, "LTS"))
		return (RC_UNSUPPORTED);
	if (release_r->n == 0 || numbers(*release_r, 2).n != release_r->n)
		return (RC_UNSUPPORTED);
	return (RC_OK);
}

static enum rc
opensuse_release(struct span rest, struct span *id_r, struct span *release_r)
{
	const struct span leap = SPAN("Leap ");

	if (span_is(rest, "Tumbleweed")) {
		*id_r = SPAN("opensuse-tumbleweed");
		*release_r = SPAN_NONE;
		return (RC_OK);
	}
	if (!span_has_prefix(rest, leap))
		return (RC_UNSUPPORTED);
	skip(&rest, leap.n);
	*id_r = SPAN("opensuse-leap");
	*release_r = numbers(rest, 2);
	return (release_r->n == rest.n ? RC_OK : RC_UNSUPPORTED);
}

static const struct osv {
	const char *name;
	const char *id;
	enum package_type type;
	enum release release;
} osvs[] = {
	{ "Debian", "debian", PACKAGE_DEB, RELEASE_DEBIAN },
	{ "Ubuntu", "ubuntu", PACKAGE_DEB, RELEASE_ALL },
	{ "Alpine", "alpine", PACKAGE_APK, RELEASE_ALPINE },
	{ "Wolfi", "wolfi", PACKAGE_APK, RELEASE_NONE },
	{ "Chainguard", "chainguard", PACKAGE_APK, RELEASE_NONE },
	{ "Rocky Linux", "rocky", PACKAGE_RPM, RELEASE_MAJOR },
	{ "AlmaLinux", "almalinux", PACKAGE_RPM, RELEASE_MAJOR },
	{ "Red Hat", "redhat", PACKAGE_RPM, RELEASE_ALL },
	{ "SUSE", "sles", PACKAGE_RPM, RELEASE_ALL },
	{ "openSUSE", "", PACKAGE_RPM, RELEASE_ALL },
	{ "Mageia", "mageia", PACKAGE_RPM, RELEASE_MAJOR },
	{ "Azure Linux", "azurelinux", PACKAGE_RPM, RELEASE_MAJOR },
	{ "Photon OS", "photon", PACKAGE_RPM, RELEASE_MINOR },
	{ "npm", "npm", PACKAGE_NPM, RELEASE_NONE },
	{ "PyPI", "pypi", PACKAGE_PYPI, RELEASE_NONE },
};

bool
ecosystem_family_osv(struct span name, unsigned *family_r)
{
	struct span family = SPAN_NONE;
	unsigned i;

	_Static_assert(ARRAY_LEN(osvs) <= ECOSYSTEM_FAMILIES_MAX, "too many");
	(void)span_split(&name, ':', &family);
	for (i = 0; i < ARRAY_LEN(osvs); i++)
		if (span_is(family, osvs[i].name)) {
			*family_r = i;
			return (true);
		}
	return (false);
}

const char *
ecosystem_family_text(unsigned family)
{
	must(family < ARRAY_LEN(osvs));
	return (osvs[family].id[0] != '\0' ? osvs[family].id : "opensuse");
}

/* What stands behind the name of the ecosystem, by the rules of each. */
static enum rc
osv_release(const struct osv *o, struct span rest, struct arena *a,
    struct span *id, struct span *release)
{
	struct span version = rest;

	if (o->release == RELEASE_NONE)
		return (rest.n == 0 ? RC_OK : RC_UNSUPPORTED);
	if (rest.n == 0)
		return (RC_UNSUPPORTED);
	if (strcmp(o->id, "ubuntu") == 0)
		return (ubuntu_release(rest, release));
	if (strcmp(o->id, "redhat") == 0)
		return (redhat_release(rest, release));
	if (strcmp(o->id, "sles") == 0)
		return (suse_release(rest, a, release));
	if (o->id[0] == '\0')
		return (opensuse_release(rest, id, release));
	if (o->release == RELEASE_ALPINE)
		(void)take_char(&version, 'v');
	if (o->release == RELEASE_DEBIAN)
		*release = debian_codename(version);
	else if (o->release == RELEASE_ALPINE)
		*release = alpine_release(version);
	else
		*release =
		    numbers(version, o->release == RELEASE_MAJOR ? 1 : 2);
	return (release->n > 0 ? RC_OK : RC_UNSUPPORTED);
}

enum rc
ecosystem_of_osv(struct span name, struct arena *a, struct span *e_r,
    enum package_type *type_r)
{
	struct span rest = name, head, id, release = SPAN_NONE;
	const struct osv *o;
	unsigned family;
	enum rc rc;

	if (!ecosystem_family_osv(name, &family))
		return (RC_UNSUPPORTED);
	o = &osvs[family];
	(void)span_split(&rest, ':', &head);
	id = span_of(o->id);
	if ((rc = osv_release(o, rest, a, &id, &release)) != RC_OK)
		return (rc);
	*type_r = o->type;
	return (name_make(a, id, release, RC_UNSUPPORTED, e_r));
}

/* --- by their own advisories --------------------------------------------- */

enum rc
ecosystem_of_debian(struct span codename, struct arena *a, struct span *e_r)
{
	return (name_make(a, SPAN("debian"), codename, RC_UNSUPPORTED, e_r));
}

enum rc
ecosystem_of_alpine(struct span version, struct arena *a, struct span *e_r)
{
	struct span release;

	(void)take_char(&version, 'v');
	release = alpine_release(version);
	if (release.n == 0)
		return (RC_UNSUPPORTED);
	return (name_make(a, SPAN("alpine"), release, RC_UNSUPPORTED, e_r));
}

bool
ecosystem_binary(struct span ecosystem)
{
	return (span_has_prefix(ecosystem, SPAN("almalinux:")) ||
		span_has_prefix(ecosystem, SPAN("redhat:")));
}
