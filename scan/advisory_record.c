#include "base/buf.h"
#include "base/json.h"
#include "scan/advisory.h"

/*
 * An advisory as the store keeps it: a JSON object with short names, without
 * what is empty.
 *
 *	id, as (its record's own id), sum, uri, vec, sc (score), sev, bin,
 *	r: [[introduced, fixed, last affected], ...], v: [version, ...]
 */

static void
text_write(struct buf *out, const char *key, struct span s)
{
	if (s.n == 0)
		return;
	buf_printf(out, ",\"%s\":", key);
	buf_json(out, s);
}

static void
ranges_write(const struct advisory *a, struct buf *out)
{
	size_t i;

	for (i = 0; i < a->n_ranges; i++) {
		buf_str(out, i == 0 ? ",\"r\":[[" : ",[");
		buf_json(out, a->ranges[i].introduced);
		buf_char(out, ',');
		buf_json(out, a->ranges[i].fixed);
		buf_char(out, ',');
		buf_json(out, a->ranges[i].last_affected);
		buf_char(out, ']');
	}
	buf_str(out, a->n_ranges > 0 ? "]" : "");
}

void
advisory_write(const struct advisory *a, struct buf *out)
{
	size_t i;

	buf_printf(out, "{\"sev\":%d", (int)a->severity);
	text_write(out, "id", a->id);
	text_write(out, "as", a->record_id);
	text_write(out, "sum", a->summary);
	text_write(out, "uri", a->uri);
	text_write(out, "vec", a->cvss_vector);
	if (a->cvss_score > 0)
		buf_printf(
		    out, ",\"sc\":%ld", (long)(a->cvss_score * 10 + 0.5));
	if (a->binary)
		buf_str(out, ",\"bin\":true");
	ranges_write(a, out);
	for (i = 0; i < a->n_versions; i++) {
		buf_str(out, i == 0 ? ",\"v\":[" : ",");
		buf_json(out, a->versions[i]);
	}
	buf_str(out, a->n_versions > 0 ? "]}" : "}");
}

/* --- reading ------------------------------------------------------------- */

static bool
text_read(const json_t *o, const char *key, struct arena *a, struct span *s_r)
{
	struct span s;
	enum rc rc;

	rc = json_get_str(o, key, &s);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND);
	*s_r = arena_span(a, s);
	return (s_r->p != NULL);
}

static bool
string_read(const json_t *v, struct arena *a, struct span *s_r)
{
	struct span s = { json_string_value(v), json_string_length(v) };

	if (!json_is_string(v))
		return (false);
	*s_r = arena_span(a, s);
	return (s_r->p != NULL);
}

static bool
ranges_read(const json_t *o, struct arena *a, struct advisory *adv)
{
	const json_t *list = json_object_get(o, "r"), *one;
	struct version_range *r;
	size_t i;

	if (list == NULL)
		return (true);
	if (!json_is_array(list))
		return (false);
	adv->n_ranges = json_array_size(list);
	adv->ranges = arena_calloc(a, adv->n_ranges + 1, sizeof(*r));
	if (adv->ranges == NULL)
		return (false);
	json_array_foreach(list, i, one)
	{
		r = &adv->ranges[i];
		if (json_array_size(one) != 3 ||
		    !string_read(json_array_get(one, 0), a, &r->introduced) ||
		    !string_read(json_array_get(one, 1), a, &r->fixed) ||
		    !string_read(json_array_get(one, 2), a, &r->last_affected))
			return (false);
	}
	return (true);
}

static bool
versions_read(const json_t *o, struct arena *a, struct advisory *adv)
{
	const json_t *list = json_object_get(o, "v"), *one;
	size_t i;

	if (list == NULL)
		return (true);
	if (!json_is_array(list))
		return (false);
	adv->n_versions = json_array_size(list);
	adv->versions =
	    arena_calloc(a, adv->n_versions + 1, sizeof(*adv->versions));
	if (adv->versions == NULL)
		return (false);
	json_array_foreach(list, i, one)
	{
		if (!string_read(one, a, &adv->versions[i]))
			return (false);
	}
	return (true);
}

static bool
numbers_read(const json_t *o, struct advisory *a)
{
	int64_t severity = 0, score = 0;
	enum rc rc;

	if (json_get_int(o, "sev", &severity) != RC_OK ||
	    severity < SEVERITY_UNDEFINED || severity > SEVERITY_CRITICAL)
		return (false);
	rc = json_get_int(o, "sc", &score);
	if ((rc != RC_OK && rc != RC_NOTFOUND) || score < 0 || score > 100)
		return (false);
	a->severity = (enum severity)severity;
	a->cvss_score = (double)score / 10;
	a->binary = json_is_true(json_object_get(o, "bin"));
	return (true);
}

enum rc
advisory_parse(struct span bytes, struct arena *arena, struct advisory *a)
{
	char why[JSON_ERROR_BYTES];
	json_t *o;
	bool ok;

	*a = (struct advisory){ .id = SPAN_NONE };
	if (json_read(bytes, why, &o) != RC_OK)
		return (RC_INVALID);
	ok = json_is_object(o) && numbers_read(o, a) &&
	     text_read(o, "id", arena, &a->id) && a->id.n > 0 &&
	     text_read(o, "as", arena, &a->record_id) &&
	     text_read(o, "sum", arena, &a->summary) &&
	     text_read(o, "uri", arena, &a->uri) &&
	     text_read(o, "vec", arena, &a->cvss_vector) &&
	     ranges_read(o, arena, a) && versions_read(o, arena, a);
	json_decref(o);
	return (ok ? RC_OK : RC_INVALID);
}
