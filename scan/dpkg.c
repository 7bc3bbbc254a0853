#include <stdio.h>

#include "base/obj.h"
#include "scan/layer_int.h"

/*
 * dpkg's own list (deb-control(5), dpkg(1) on the states of packages), and that
 * of images that were put together without it: a file for each package, which is
 * there only if it is installed.
 */

/*
 * "want flag state".  Of the states these have their files in place; those of
 * half-installed and config-files are not, or not all, and dpkg counts on none
 * of them.
 */
static bool
status_installed(struct span status)
{
	static const char *const states[] = { "installed", "unpacked",
		"half-configured", "triggers-awaited", "triggers-pending" };
	struct span part = SPAN_NONE;
	size_t i;

	while (span_split(&status, ' ', &part))
		continue;
	for (i = 0; i < ARRAY_LEN(states); i++)
		if (span_is(part, states[i]))
			return (true);
	return (false);
}

/* "name", or "name (version)" where that is another one. */
static void
source_parse(struct span value, struct package *p)
{
	const char *open = memchr(value.p, '(', value.n);
	struct span rest;

	p->source_name = value;
	if (open == NULL)
		return;
	p->source_name.n = (size_t)(open - value.p);
	p->source_name = span_trim(p->source_name);
	rest =
	    (struct span){ open + 1, value.n - (size_t)(open - value.p) - 1 };
	(void)span_split(&rest, ')', &p->source_version);
	p->source_version = span_trim(p->source_version);
}

struct paragraph {
	struct package package;
	bool installed;
};

static void
field_take(struct paragraph *g, const struct field *f)
{
	struct package *p = &g->package;

	if (span_eq_nocase(f->name, SPAN("Package")))
		p->name = f->value;
	else if (span_eq_nocase(f->name, SPAN("Version")))
		p->version = f->value;
	else if (span_eq_nocase(f->name, SPAN("Architecture")))
		p->arch = f->value;
	else if (span_eq_nocase(f->name, SPAN("Source")) && f->value.n > 0)
		source_parse(f->value, p);
	else if (span_eq_nocase(f->name, SPAN("Status")))
		g->installed = status_installed(f->value);
}

/* ${installed}: of those that do not say. */
static enum rc
status_read(struct span text, bool installed, struct package_list *list)
{
	struct paragraph g;
	struct field f;
	size_t known = 0, fields = 0;
	enum rc rc;

	while (text.n > 0) {
		g = (struct paragraph){ .package.type = PACKAGE_DEB,
			.installed = installed };
		while (field_next(&text, &f)) {
			field_take(&g, &f);
			fields++;
		}
		known += g.package.name.n > 0;
		if (g.installed &&
		    (rc = package_add(list, &g.package)) != RC_OK)
			return (rc);
	}
	if (known > 0 || fields == 0)
		return (RC_OK);
	(void)snprintf(
	    list->why, READ_WHY_BYTES, "file that is no list of dpkg");
	return (RC_INVALID);
}

enum rc
dpkg_status_read(struct span text, struct package_list *list)
{
	return (status_read(text, false, list));
}

enum rc
dpkg_status_d_read(struct span text, struct package_list *list)
{
	return (status_read(text, true, list));
}
