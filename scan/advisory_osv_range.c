#include <stdlib.h>

#include "base/obj.h"
#include "scan/advisory_int.h"
#include "scan/cvss.h"
#include "scan/version.h"
#include "scan/version_int.h"

/*
 * What an OSV record says of versions: ranges, which are lists of events in any
 * order, and versions one by one.  Those that are in a range anyway are not
 * kept.  And how bad it is.
 */

/* In one version the end of a range comes before the beginning of the next. */
enum event_kind { EVENT_FIXED, EVENT_INTRODUCED, EVENT_LAST };

struct event {
	enum event_kind kind;
	enum package_type type;
	struct span version; /* empty: before all others */
	size_t place;	     /* as it stood in the list */
};

struct ranges {
	struct version_range *rows;
	size_t n, room;
};

/* --- events -------------------------------------------------------------- */

static int
event_cmp(const void *p, const void *q)
{
	const struct event *a = p, *b = q;
	int order = 0;

	if (a->version.n == 0 || b->version.n == 0)
		order = (a->version.n > 0) - (b->version.n > 0);
	else if (version_compare(a->type, a->version, b->version, &order) !=
		 RC_OK)
		order = 0;
	if (order == 0)
		order = (int)a->kind - (int)b->kind;
	if (order == 0)
		order = a->place < b->place ? -1 : 1;
	return (order);
}

/* Members of an event that are of no use here ("limit") leave it as it is. */
static bool
event_read(const json_t *o, struct event *e)
{
	if (json_get_str(o, "introduced", &e->version) == RC_OK) {
		e->kind = EVENT_INTRODUCED;
		if (span_is(e->version, "0"))
			e->version = SPAN_NONE;
		return (true);
	}
	if (json_get_str(o, "fixed", &e->version) == RC_OK) {
		e->kind = EVENT_FIXED;
		return (e->version.n > 0);
	}
	if (json_get_str(o, "last_affected", &e->version) == RC_OK) {
		e->kind = EVENT_LAST;
		return (e->version.n > 0);
	}
	return (false);
}

static enum rc
events_read(struct advisory_reader *r, const json_t *list,
    enum package_type type, struct event **events_r, size_t *n_r)
{
	size_t i, n = json_array_size(list);
	struct event *events;
	const json_t *o;

	*n_r = 0;
	events = arena_calloc(&r->arena, n + 1, sizeof(*events));
	if (events == NULL)
		return (RC_TOOBIG);
	json_array_foreach(list, i, o)
	{
		events[*n_r].type = type;
		events[*n_r].place = i;
		if (event_read(o, &events[*n_r]))
			(*n_r)++;
	}
	qsort(events, *n_r, sizeof(*events), event_cmp);
	*events_r = events;
	return (RC_OK);
}

/* --- ranges -------------------------------------------------------------- */

static void
ranges_add(struct ranges *out, const struct version_range *range)
{
	must(out->n < out->room);
	out->rows[out->n++] = *range;
}

/* One that ends without having begun has been there from the first version. */
static void
events_pair(const struct event *events, size_t n, struct ranges *out)
{
	struct version_range range = { .introduced = SPAN_NONE };
	bool open = false, any = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (events[i].kind == EVENT_INTRODUCED) {
			if (!open)
				range.introduced = events[i].version;
			open = true;
			continue;
		}
		if (!open && any)
			continue;
		if (events[i].kind == EVENT_FIXED)
			range.fixed = events[i].version;
		else
			range.last_affected = events[i].version;
		ranges_add(out, &range);
		range = (struct version_range){ .introduced = SPAN_NONE };
		open = false;
		any = true;
	}
	if (open)
		ranges_add(out, &range);
}

static bool
is_comparable(const json_t *range)
{
	struct span type;

	return (json_get_str(range, "type", &type) == RC_OK &&
		(span_is(type, "ECOSYSTEM") || span_is(type, "SEMVER")));
}

static enum rc
ranges_read(struct advisory_reader *r, const json_t *list,
    enum package_type type, struct ranges *out)
{
	const json_t *range, *events;
	struct event *rows;
	size_t i, n;
	enum rc rc;

	json_array_foreach(list, i, range)
	{
		if (is_comparable(range))
			out->room +=
			    json_array_size(json_object_get(range, "events"));
	}
	out->rows = arena_calloc(&r->arena, out->room + 1, sizeof(*out->rows));
	if (out->rows == NULL)
		return (RC_TOOBIG);
	json_array_foreach(list, i, range)
	{
		if (!is_comparable(range))
			continue;
		events = json_object_get(range, "events");
		rc = events_read(r, events, type, &rows, &n);
		if (rc != RC_OK)
			return (rc);
		events_pair(rows, n, out);
	}
	return (RC_OK);
}

bool
advisory_range_has(enum package_type type, const struct version_range *range,
    struct span version)
{
	int order;

	if (range->introduced.n > 0 &&
	    (version_compare(type, version, range->introduced, &order) !=
		    RC_OK ||
		order < 0))
		return (false);
	if (range->fixed.n > 0 &&
	    (version_compare(type, version, range->fixed, &order) != RC_OK ||
		order >= 0))
		return (false);
	return (range->last_affected.n == 0 ||
		(version_compare(type, version, range->last_affected, &order) ==
			RC_OK &&
		    order <= 0));
}

/* --- versions ------------------------------------------------------------ */

static bool
ranges_have(
    enum package_type type, const struct advisory *a, struct span version)
{
	size_t i;

	for (i = 0; i < a->n_ranges; i++)
		if (advisory_range_has(type, &a->ranges[i], version))
			return (true);
	return (false);
}

static enum rc
versions_read(struct advisory_reader *r, const json_t *list,
    enum package_type type, struct advisory *a)
{
	size_t i, n = json_array_size(list);
	const json_t *one;
	struct span s;

	a->n_versions = 0;
	a->versions = arena_calloc(&r->arena, n + 1, sizeof(*a->versions));
	if (a->versions == NULL)
		return (RC_TOOBIG);
	json_array_foreach(list, i, one)
	{
		s.p = json_string_value(one);
		s.n = json_string_length(one);
		if (s.n > 0 && !ranges_have(type, a, s))
			a->versions[a->n_versions++] = s;
	}
	return (RC_OK);
}

enum rc
osv_ranges(struct advisory_reader *r, struct span id, const json_t *affected,
    enum package_type type, struct advisory *a)
{
	json_t *list = NULL, *versions = NULL;
	struct ranges ranges = { .n = 0 };
	enum rc rc;

	if (json_get_array(affected, "ranges", &list) == RC_INVALID ||
	    json_get_array(affected, "versions", &versions) == RC_INVALID)
		return (reader_wrong(
		    r, id, "\"ranges\" or \"versions\" is no list"));
	if ((rc = ranges_read(r, list, type, &ranges)) != RC_OK)
		return (rc);
	a->ranges = ranges.rows;
	a->n_ranges = ranges.n;
	if ((rc = versions_read(r, versions, type, a)) != RC_OK)
		return (rc);
	return (a->n_ranges + a->n_versions > 0 ? RC_OK : RC_NOTFOUND);
}

/* --- how bad it is ------------------------------------------------------- */

/* "7.5" */
static bool
number_read(struct span s, double *score_r)
{
	struct span whole = take_digits(&s), part = SPAN_NONE;
	double scale = 1;
	size_t i;

	if (take_char(&s, '.'))
		part = take_digits(&s);
	if (whole.n == 0 || whole.n > 2 || part.n > 6 || s.n > 0)
		return (false);
	*score_r = 0;
	for (i = 0; i < whole.n; i++)
		*score_r = *score_r * 10 + (whole.p[i] - '0');
	for (i = 0; i < part.n; i++) {
		scale /= 10;
		*score_r += (part.p[i] - '0') * scale;
	}
	return (*score_r <= 10);
}

/* Of the kind ${type}: its vector, or its score. */
static bool
severity_of(const json_t *list, const char *type, struct advisory *a)
{
	enum severity severity;
	struct span kind, text;
	const json_t *one;
	double score;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (json_get_str(one, "type", &kind) != RC_OK ||
		    json_get_str(one, "score", &text) != RC_OK ||
		    !span_is(kind, type))
			continue;
		if (cvss_read(text, &score, &severity) == RC_OK)
			a->cvss_vector = text;
		else if (number_read(text, &score))
			severity = cvss_severity(score);
		else
			continue;
		a->cvss_score = score;
		a->severity = severity;
		return (true);
	}
	return (false);
}

static enum severity
words_in(const json_t *o, const char *member)
{
	static const char *const keys[] = { "severity", "urgency" };
	const json_t *of = json_object_get(o, member);
	enum severity s;
	struct span text;
	size_t i;

	for (i = 0; i < ARRAY_LEN(keys); i++) {
		if (json_get_str(of, keys[i], &text) != RC_OK)
			continue;
		if ((s = severity_of_words(text)) != SEVERITY_UNDEFINED)
			return (s);
	}
	return (SEVERITY_UNDEFINED);
}

/* {"type": "Ubuntu", "score": "medium"} */
static enum severity
words_listed(const json_t *list)
{
	enum severity s;
	struct span text;
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (json_get_str(one, "score", &text) != RC_OK)
			continue;
		if ((s = severity_of_words(text)) != SEVERITY_UNDEFINED)
			return (s);
	}
	return (SEVERITY_UNDEFINED);
}

static enum severity
words_of(const json_t *record, const json_t *affected)
{
	enum severity s;

	if ((s = words_listed(json_object_get(affected, "severity"))) == 0 &&
	    (s = words_in(affected, "ecosystem_specific")) == 0 &&
	    (s = words_in(affected, "database_specific")) == 0 &&
	    (s = words_listed(json_object_get(record, "severity"))) == 0)
		s = words_in(record, "database_specific");
	return (s);
}

void
osv_severity(const json_t *record, const json_t *affected, struct advisory *a)
{
	static const char *const kinds[] = { "CVSS_V3", "CVSS_V4", "CVSS_V2" };
	const json_t *lists[2] = { json_object_get(affected, "severity"),
		json_object_get(record, "severity") };
	enum severity said = words_of(record, affected);
	size_t i, k;

	a->severity = said;
	for (i = 0; i < ARRAY_LEN(kinds); i++)
		for (k = 0; k < ARRAY_LEN(lists); k++) {
			if (!severity_of(lists[k], kinds[i], a))
				continue;
			/* Of version 4 it is only near to the truth. */
			if (a->cvss_score == 0 && said != SEVERITY_UNDEFINED &&
			    i == 1)
				a->severity = said;
			return;
		}
}
