#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/select.h"
#include "mirror/semver.h"

/*
 * The input is lines: a range of versions, a glob, a regular expression, and
 * then tags, as a registry lists them.  Versions have an order, a range that is
 * taken gives the same answer each time, and a selection keeps all tags that it
 * was given, those that it takes in front.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define TAGS_MAX 32

static void
versions_check(const struct span *tags, size_t n)
{
	struct version v, w;
	size_t i, k;

	for (i = 0; i < n; i++) {
		if (!version_parse(tags[i], &v))
			continue;
		must(version_cmp(&v, &v) == 0);
		for (k = 0; k < n; k++) {
			if (!version_parse(tags[k], &w))
				continue;
			must((version_cmp(&v, &w) < 0) ==
			     (version_cmp(&w, &v) > 0));
		}
	}
}

static void
selection_check(const struct select_options *o, struct span *tags, size_t n)
{
	char why[SELECT_WHY_BYTES];
	struct selection *s;
	size_t i, taken, all = 0;

	if (selection_new(o, why, &s) != RC_OK) {
		must(s == NULL && strlen(why) > 0);
		return;
	}
	for (i = 0; i < n; i++)
		all += selection_takes(s, tags[i]);
	taken = selection_apply(s, tags, n);
	must(taken <= all && (o->newest != 0 || taken == all));
	for (i = 0; i < n; i++)
		must(i >= taken || selection_takes(s, tags[i]));
	selection_free(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span rest = { (const char *)p, n }, tags[TAGS_MAX];
	struct span range = SPAN_NONE, glob = SPAN_NONE, regex = SPAN_NONE;
	struct select_options o = { .globs = &glob, .regexes = &regex };
	size_t n_tags = 0;

	(void)span_split(&rest, '\n', &range);
	(void)span_split(&rest, '\n', &glob);
	(void)span_split(&rest, '\n', &regex);
	/* Long expressions are slow, and no registry sends them. */
	if (regex.n > 32)
		return (0);
	while (n_tags < TAGS_MAX && span_split(&rest, '\n', &tags[n_tags]))
		n_tags++;
	versions_check(tags, n_tags);
	o.semver = range;
	o.newest = (unsigned)n_tags / 2;
	selection_check(&o, tags, n_tags);
	o.semver = SPAN_NONE;
	o.n_globs = glob.n > 0;
	o.newest = 0;
	selection_check(&o, tags, n_tags);
	o.n_globs = 0;
	o.n_regexes = regex.n > 0;
	selection_check(&o, tags, n_tags);
	return (0);
}
