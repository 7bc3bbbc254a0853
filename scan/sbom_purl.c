#include "scan/sbom_int.h"

/*
 * Package URLs (purl-spec, PURL-SPECIFICATION.rst and PURL-TYPES.rst):
 *
 *	pkg:type/namespace/name@version?qualifiers
 */

static bool
is_plain(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
		c == '~' || c == ':');
}

static char
lower(char c)
{
	return (c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
}

static void
encode(struct buf *out, struct span s, bool to_lower)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = to_lower ? lower(s.p[i]) : s.p[i];
		if (is_plain(c))
			buf_char(out, c);
		else
			buf_printf(out, "%%%02X", (unsigned)(uint8_t)c);
	}
}

static const char *
type_text(enum package_type type)
{
	switch (type) {
	case PACKAGE_DEB:
		return ("deb");
	case PACKAGE_APK:
		return ("apk");
	case PACKAGE_RPM:
		return ("rpm");
	case PACKAGE_NPM:
		return ("npm");
	case PACKAGE_PYPI:
		return ("pypi");
	}
	return ("generic");
}

static bool
of_system(enum package_type type)
{
	return (
	    type == PACKAGE_DEB || type == PACKAGE_APK || type == PACKAGE_RPM);
}

/* The distribution; the scope of a package of npm's ("@scope/name"). */
static void
namespace_add(const struct package *p, const struct os_release *os,
    struct span *name, struct buf *out)
{
	struct span space = SPAN_NONE;

	if (of_system(p->type))
		space = span_is(os->id, "rhel") ? SPAN("redhat") : os->id;
	else if (p->type == PACKAGE_NPM && name->n > 0 && name->p[0] == '@' &&
		 memchr(name->p, '/', name->n) != NULL)
		(void)span_split(name, '/', &space);
	if (space.n == 0)
		return;
	encode(out, space, true);
	buf_char(out, '/');
}

/* An rpm's epoch is a qualifier. */
static struct span
epoch_cut(const struct package *p, struct span *epoch_r)
{
	struct span version = p->version;

	*epoch_r = SPAN_NONE;
	if (p->type == PACKAGE_RPM && memchr(version.p, ':', version.n) != NULL)
		(void)span_split(&version, ':', epoch_r);
	return (version);
}

static void
qualifier_add(
    struct buf *out, char *separator, const char *name, struct span value)
{
	struct span part;

	if (value.n == 0)
		return;
	buf_char(out, *separator);
	buf_str(out, name);
	buf_char(out, '=');
	/* A '/' separates nothing there. */
	while (span_split(&value, '/', &part)) {
		encode(out, part, false);
		if (value.n > 0)
			buf_char(out, '/');
	}
	*separator = '&';
}

static void
qualifiers_add(const struct package *p, const struct os_release *os,
    struct span epoch, struct buf *out)
{
	char separator = '?';
	struct buf distro;

	qualifier_add(out, &separator, "arch", p->arch);
	buf_init(&distro, SIZE_MAX);
	if (os->id.n > 0) {
		buf_span(&distro, os->id);
		if (os->version_id.n > 0 || os->codename.n > 0)
			buf_char(&distro, '-');
		buf_span(&distro,
		    os->version_id.n > 0 ? os->version_id : os->codename);
	}
	qualifier_add(out, &separator, "distro", buf_as_span(&distro));
	buf_free(&distro);
	qualifier_add(out, &separator, "epoch", epoch);
}

void
package_purl(
    const struct package *p, const struct os_release *os, struct buf *out)
{
	struct span name = p->name, version, epoch;

	buf_printf(out, "pkg:%s/", type_text(p->type));
	namespace_add(p, os, &name, out);
	/* Names of rpm are told apart by their case. */
	encode(out, name, p->type != PACKAGE_RPM);
	version = epoch_cut(p, &epoch);
	if (version.n > 0) {
		buf_char(out, '@');
		encode(out, version, false);
	}
	if (of_system(p->type))
		qualifiers_add(p, os, epoch, out);
}

void
sbom_image_purl(const struct sbom_subject *s, struct buf *out)
{
	struct span rest = s->repository, name = SPAN_NONE;
	char separator = '?';

	while (span_split(&rest, '/', &name))
		continue;
	buf_str(out, "pkg:oci/");
	encode(out, name, true);
	buf_char(out, '@');
	encode(out, s->digest, true);
	qualifier_add(out, &separator, "repository_url", s->repository);
	qualifier_add(out, &separator, "tag", s->tag);
}
