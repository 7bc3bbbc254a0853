#include "package_check.h"

#include <stdlib.h>

#include "base/obj.h"

static void
text_check(struct span s)
{
	size_t i;

	must(s.n <= PACKAGE_TEXT_MAX_BYTES);
	for (i = 0; i < s.n; i++)
		must((uint8_t)s.p[i] >= ' ' && s.p[i] != '\x7f');
}

void
package_check(const struct package *p)
{
	must(p->name.n > 0 && p->version.n > 0);
	text_check(p->name);
	text_check(p->version);
	text_check(p->arch);
	text_check(p->source_name);
	text_check(p->source_version);
	text_check(p->license);
}

void
reader_check(
    package_reader_fn *reader, enum package_type type, struct span text)
{
	struct package_list list = { .n = 0 };
	char why[READ_WHY_BYTES] = "";
	struct arena arena;
	enum rc rc;
	size_t i;

	arena_init(&arena, (size_t)64 << 20);
	list.arena = &arena;
	list.why = why;
	rc = reader(text, &list);
	must(rc == RC_OK || rc == RC_INVALID || rc == RC_TOOBIG);
	must(rc == RC_OK || why[0] != '\0');
	/* No package takes less than its name and its version. */
	must(list.n <= text.n);
	for (i = 0; i < list.n; i++) {
		must(list.rows[i].type == type);
		package_check(&list.rows[i]);
	}
	free(list.rows);
	free(list.owned);
	arena_reset(&arena);
}
