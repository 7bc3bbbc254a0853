#include "registryd/mirror_spec.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/name.h"
#include "base/num.h"
#include "base/obj.h"
#include "mirror/reference.h"
#include "mirror/select.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_CHARACTERS LETTERS "0123456789._-"

#define INTERVAL_MIN_MS ((int64_t)1000)
#define INTERVAL_MAX_MS ((int64_t)365 * 24 * 60 * 60 * 1000)
#define NEWEST_MAX 1000000
#define ITEMS_MAX 1000
#define CHECK_BYTES ((size_t)4 << 20)

/* --- checks -------------------------------------------------------------- */

static enum rc __attribute__((format(printf, 4, 5)))
wrong_member(const char **member_r, const char *member,
    char why[MIRROR_WHY_BYTES], const char *fmt, ...)
{
	va_list ap;

	*member_r = member;
	va_start(ap, fmt);
	(void)vsnprintf(why, MIRROR_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (RC_INVALID);
}

static enum rc
check_source(const struct mirror_spec *m, const char **member_r,
    struct arena *arena, char why[MIRROR_WHY_BYTES])
{
	struct image_reference ref;
	char reason[REFERENCE_WHY_BYTES];

	if (image_reference_parse(span_of(m->source), arena, &ref, reason) !=
	    RC_OK)
		return (wrong_member(member_r, "source", why, "%s", reason));
	if (ref.url == NULL)
		return (wrong_member(member_r, "source", why,
		    "must name a registry: docker.io/library/alpine, "
		    "registry.example.com/team/app"));
	if (ref.tag.n > 0 || ref.digest.n > 0)
		return (wrong_member(member_r, "source", why,
		    "must be a repository, without a tag or digest; `tags` "
		    "says which"));
	return (RC_OK);
}

static enum rc
check_platforms(const struct mirror_spec *m, const char **member_r,
    char why[MIRROR_WHY_BYTES])
{
	struct platform p;
	size_t i;

	for (i = 0; i < m->platforms.n; i++)
		if (platform_parse(span_of(m->platforms.items[i]), &p) != RC_OK)
			return (wrong_member(member_r, "platforms", why,
			    "\"%.100s\" must be OS/ARCHITECTURE[/VARIANT], "
			    "such as linux/arm64",
			    m->platforms.items[i]));
	return (RC_OK);
}

static struct span *
spans_of(struct arena *a, const struct mirror_list *list)
{
	struct span *spans = arena_calloc(a, list->n + 1, sizeof(*spans));
	size_t i;

	for (i = 0; spans != NULL && i < list->n; i++)
		spans[i] = span_of(list->items[i]);
	return (spans);
}

enum rc
mirror_spec_select(const struct mirror_spec *m, char why[MIRROR_WHY_BYTES],
    struct selection **s_r)
{
	struct select_options o = {
		.n_globs = m->tags.n,
		.n_regexes = m->regexes.n,
		.n_excludes = m->excludes.n,
		.semver = span_of(m->semver),
		.newest = m->newest,
	};
	char reason[SELECT_WHY_BYTES];
	struct arena arena;
	enum rc rc = RC_TOOBIG;

	arena_init(&arena, CHECK_BYTES);
	o.globs = spans_of(&arena, &m->tags);
	o.regexes = spans_of(&arena, &m->regexes);
	o.excludes = spans_of(&arena, &m->excludes);
	if (o.globs != NULL && o.regexes != NULL && o.excludes != NULL)
		rc = selection_new(&o, reason, s_r);
	if (rc != RC_OK)
		(void)snprintf(why, MIRROR_WHY_BYTES, "%s",
		    rc == RC_INVALID ? reason : "too much");
	arena_reset(&arena);
	return (rc == RC_TOOBIG ? RC_INVALID : rc);
}

/* One list at a time, to know which. */
static enum rc
check_selection(const struct mirror_spec *m, const char **member_r,
    char why[MIRROR_WHY_BYTES])
{
	const struct {
		const char *member;
		struct mirror_spec spec;
	} parts[] = {
		{ "tags", { .tags = m->tags, .semver = "" } },
		{ "tags-regex", { .regexes = m->regexes, .semver = "" } },
		{ "exclude", { .excludes = m->excludes, .semver = "" } },
		{ "semver", { .semver = m->semver } },
	};
	struct selection *selection;
	enum rc rc;
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++) {
		*member_r = parts[i].member;
		rc = mirror_spec_select(&parts[i].spec, why, &selection);
		if (rc != RC_OK)
			return (rc);
		selection_free(&selection);
	}
	return (RC_OK);
}

static bool
name_ok(const char *text, size_t max)
{
	size_t n = strlen(text);

	return (n > 0 && n <= max && strspn(text, NAME_CHARACTERS) == n);
}

static bool
printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return (false);
	return (true);
}

enum rc
mirror_spec_check(const struct mirror_spec *m, const char **member_r,
    char why[MIRROR_WHY_BYTES])
{
	struct arena arena;
	enum rc rc;

	if (!name_ok(m->name, MIRROR_NAME_MAX_BYTES))
		return (wrong_member(member_r, "name", why,
		    "must be 1 to %d of letters, digits and ._-",
		    MIRROR_NAME_MAX_BYTES));
	arena_init(&arena, CHECK_BYTES);
	rc = check_source(m, member_r, &arena, why);
	arena_reset(&arena);
	if (rc != RC_OK)
		return (rc);
	if (!name_repository_ok(span_of(m->destination)))
		return (wrong_member(member_r, "destination", why,
		    "must be the name of a repository"));
	if ((rc = check_selection(m, member_r, why)) != RC_OK ||
	    (rc = check_platforms(m, member_r, why)) != RC_OK)
		return (rc);
	if (strlen(m->credential) > MIRROR_CREDENTIAL_MAX_BYTES ||
	    !printable(m->credential))
		return (wrong_member(member_r, "credential", why,
		    "must be the name of a secret"));
	return (RC_OK);
}

/* --- JSON ---------------------------------------------------------------- */

static const char *const deletes[] = { "keep", "missing", "force" };

struct spec_reader {
	const json_t *o;
	struct arena *arena;
	const char **member_r;
	char *why;
};

static enum rc
not_a(struct spec_reader *r, const char *member, const char *what)
{
	return (wrong_member(r->member_r, member, r->why, "must be %s", what));
}

static enum rc
text_read(struct spec_reader *r, const char *member, const char **text_r)
{
	struct span s;
	enum rc rc;

	*text_r = "";
	rc = json_get_str(r->o, member, &s);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK || memchr(s.p, '\0', s.n) != NULL)
		return (not_a(r, member, "a text"));
	*text_r = arena_dup(r->arena, s.p, s.n);
	return (*text_r != NULL ? RC_OK : RC_TOOBIG);
}

static enum rc
list_read(struct spec_reader *r, const char *member, struct mirror_list *l_r)
{
	const char **items;
	json_t *list, *v;
	enum rc rc;
	size_t i, n;

	*l_r = (struct mirror_list){ 0 };
	rc = json_get_array(r->o, member, &list);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK || (n = json_array_size(list)) > ITEMS_MAX)
		return (not_a(r, member, "a list of texts"));
	if ((items = arena_calloc(r->arena, n + 1, sizeof(*items))) == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < n; i++) {
		v = json_array_get(list, i);
		if (!json_is_string(v) ||
		    strlen(json_string_value(v)) != json_string_length(v))
			return (not_a(r, member, "a list of texts"));
		items[i] = arena_dup(
		    r->arena, json_string_value(v), json_string_length(v));
		if (items[i] == NULL)
			return (RC_TOOBIG);
	}
	*l_r = (struct mirror_list){ items, n };
	return (RC_OK);
}

static enum rc
interval_read(struct spec_reader *r, int64_t *ms_r)
{
	struct span text;
	enum rc rc;

	*ms_r = MIRROR_INTERVAL_MS;
	if ((rc = json_get_int(r->o, "interval_ms", ms_r)) == RC_NOTFOUND)
		rc = json_get_str(r->o, "interval", &text);
	else
		text = SPAN_NONE;
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc == RC_OK && text.p != NULL)
		rc = num_duration_ms(text, ms_r);
	if (rc != RC_OK || (*ms_r != 0 && *ms_r < INTERVAL_MIN_MS) ||
	    *ms_r > INTERVAL_MAX_MS)
		return (
		    not_a(r, "interval", "a duration from 1s to 365d, or 0"));
	return (RC_OK);
}

static enum rc
others_read(struct spec_reader *r, struct mirror_spec *m)
{
	const json_t *referrers = json_object_get(r->o, "referrers");
	struct span word = SPAN("keep");
	int64_t newest = 0;
	enum rc rc;
	size_t i;

	rc = json_get_int(r->o, "newest", &newest);
	if ((rc != RC_OK && rc != RC_NOTFOUND) || newest < 0 ||
	    newest > NEWEST_MAX)
		return (not_a(r, "newest", "a number from 1 to 1000000, or 0"));
	m->newest = (unsigned)newest;
	rc = json_get_str(r->o, "delete", &word);
	for (i = 0; i < ARRAY_LEN(deletes) && !span_is(word, deletes[i]); i++)
		continue;
	if ((rc != RC_OK && rc != RC_NOTFOUND) || i == ARRAY_LEN(deletes))
		return (not_a(r, "delete", "keep, missing or force"));
	m->deletes = (enum sync_delete)i;
	m->referrers = !json_is_false(referrers);
	if (referrers != NULL && !json_is_boolean(referrers))
		return (not_a(r, "referrers", "true or false"));
	return (interval_read(r, &m->interval_ms));
}

static enum rc
members_known(struct spec_reader *r)
{
	static const char *const known[] = { "name", "source", "destination",
		"tags", "tags-regex", "exclude", "semver", "newest",
		"platforms", "interval", "interval_ms", "delete", "referrers",
		"credential" };
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)r->o, key, v)
	{
		for (i = 0; i < ARRAY_LEN(known); i++)
			if (strcmp(key, known[i]) == 0)
				break;
		if (i == ARRAY_LEN(known))
			return (wrong_member(r->member_r, "mirror", r->why,
			    "there is no member \"%.60s\"", key));
	}
	return (RC_OK);
}

enum rc
mirror_spec_read(const json_t *o, struct arena *arena, struct mirror_spec *m,
    const char **member_r, char why[MIRROR_WHY_BYTES])
{
	struct spec_reader r = { o, arena, member_r, why };
	enum rc rc;

	*m = (struct mirror_spec){ 0 };
	if (!json_is_object(o))
		return (not_a(&r, "mirror", "a JSON object"));
	if ((rc = members_known(&r)) != RC_OK ||
	    (rc = text_read(&r, "name", &m->name)) != RC_OK ||
	    (rc = text_read(&r, "source", &m->source)) != RC_OK ||
	    (rc = text_read(&r, "destination", &m->destination)) != RC_OK ||
	    (rc = text_read(&r, "semver", &m->semver)) != RC_OK ||
	    (rc = text_read(&r, "credential", &m->credential)) != RC_OK ||
	    (rc = list_read(&r, "tags", &m->tags)) != RC_OK ||
	    (rc = list_read(&r, "tags-regex", &m->regexes)) != RC_OK ||
	    (rc = list_read(&r, "exclude", &m->excludes)) != RC_OK ||
	    (rc = list_read(&r, "platforms", &m->platforms)) != RC_OK ||
	    (rc = others_read(&r, m)) != RC_OK)
		return (rc);
	return (mirror_spec_check(m, member_r, why));
}

static void
list_put(json_t *o, const char *member, const struct mirror_list *list)
{
	json_t *a;
	size_t i;

	if (list->n == 0)
		return;
	a = json_array();
	for (i = 0; i < list->n; i++)
		must(
		    json_array_append_new(a, json_string(list->items[i])) == 0);
	must(json_object_set_new(o, member, a) == 0);
}

static void
text_put(json_t *o, const char *member, const char *text)
{
	if (text[0] != '\0')
		must(json_object_set_new(o, member, json_string(text)) == 0);
}

json_t *
mirror_spec_json(const struct mirror_spec *m)
{
	json_t *o;

	o = json_pack("{s:s,s:s,s:s,s:I,s:s,s:b}", "name", m->name, "source",
	    m->source, "destination", m->destination, "interval_ms",
	    (json_int_t)m->interval_ms, "delete", deletes[m->deletes],
	    "referrers", m->referrers);
	must(o != NULL);
	list_put(o, "tags", &m->tags);
	list_put(o, "tags-regex", &m->regexes);
	list_put(o, "exclude", &m->excludes);
	list_put(o, "platforms", &m->platforms);
	text_put(o, "semver", m->semver);
	text_put(o, "credential", m->credential);
	if (m->newest > 0)
		must(json_object_set_new(
			 o, "newest", json_integer(m->newest)) == 0);
	return (o);
}

bool
mirror_spec_eq(const struct mirror_spec *a, const struct mirror_spec *b)
{
	json_t *one = mirror_spec_json(a), *other = mirror_spec_json(b);
	bool eq = json_equal(one, other);

	json_decref(one);
	json_decref(other);
	return (eq);
}
