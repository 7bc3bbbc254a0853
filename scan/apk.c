#include <stdio.h>

#include "scan/layer_int.h"

/*
 * The list of apk (apk-installed): "P:name" and so on, a letter each, an empty
 * line behind each package.  Its files are among them: "F:folder", and "R:name"
 * for each that is in it.
 */
static void
line_take(struct package *p, struct span line, struct span *folder)
{
	struct span value = { line.p + 2, line.n - 2 };

	switch (line.p[0]) {
	case 'P':
		p->name = value;
		break;
	case 'V':
		p->version = value;
		break;
	case 'A':
		p->arch = value;
		break;
	case 'L':
		p->license = value;
		break;
	case 'o':
		p->source_name = value;
		break;
	case 'F':
		*folder = value;
		break;
	}
}

static enum rc
package_end(struct package *p, size_t *known, struct package_list *list)
{
	enum rc rc = RC_OK;

	*known += p->name.n > 0;
	/* ".build-deps": a name for a set of others, with nothing in it. */
	if (p->name.n > 0 && p->name.p[0] != '.')
		rc = package_add(list, p);
	*p = (struct package){ .type = PACKAGE_APK };
	return (rc);
}

enum rc
apk_installed_read(struct span text, struct package_list *list)
{
	struct package p = { .type = PACKAGE_APK };
	size_t known = 0, lines = 0;
	struct span line, folder = SPAN_NONE;
	enum rc rc;

	while (line_next(&text, &line)) {
		lines += line.n > 0;
		if (line.n > 2 && line.p[1] == ':')
			line_take(&p, line, &folder);
		if (line.n > 2 && line.p[0] == 'R' && line.p[1] == ':' &&
		    (rc = package_owns(list, folder,
			 (struct span){ line.p + 2, line.n - 2 })) != RC_OK)
			return (rc);
		if (line.n == 0 &&
		    (rc = package_end(&p, &known, list)) != RC_OK)
			return (rc);
	}
	if ((rc = package_end(&p, &known, list)) != RC_OK)
		return (rc);
	if (known > 0 || lines == 0)
		return (RC_OK);
	(void)snprintf(
	    list->why, READ_WHY_BYTES, "file that is no list of apk");
	return (RC_INVALID);
}
