#include "registryd/settings_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"

/* From a text to a field of struct settings, by the kind of the key. */

void
setting_value_one(struct arena *a, const char *text, const char *origin,
    struct setting_value *v_r)
{
	v_r->items = arena_calloc(a, 1, sizeof(*v_r->items));
	v_r->items[0] = arena_dup(a, text, strlen(text));
	v_r->n = 1;
	v_r->origin = origin;
}

void
setting_value_split(struct arena *a, const char *text, const char *origin,
    struct setting_value *v_r)
{
	struct span rest = span_of(text), part;
	size_t n_max = 1;
	const char *p;

	for (p = text; *p != '\0'; p++)
		n_max += *p == ',';
	v_r->items = arena_calloc(a, n_max, sizeof(*v_r->items));
	v_r->n = 0;
	v_r->origin = origin;
	while (span_split(&rest, ',', &part)) {
		part = span_trim(part);
		if (part.n > 0)
			v_r->items[v_r->n++] = arena_dup(a, part.p, part.n);
	}
}

bool
setting_value_eq(const struct setting_value *a, const struct setting_value *b)
{
	size_t i;

	if (a->n != b->n)
		return (false);
	for (i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return (false);
	return (true);
}

enum rc
settings_bad(const struct settings_all *all, size_t key, const char *value,
    char why[SETTINGS_WHY_BYTES], const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(why, SETTINGS_WHY_BYTES,
	    "%s: \"%.200s\" (%.200s): ", setting_keys[key].name, value,
	    all->values[key].origin);
	must(n > 0 && n < SETTINGS_WHY_BYTES);
	va_start(ap, fmt);
	(void)vsnprintf(why + n, SETTINGS_WHY_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
	return (RC_INVALID);
}

void
settings_warn(struct settings_all *all, const char *fmt, ...)
{
	struct settings *s = &all->s;
	const char **list;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	list = arena_calloc(&all->arena, s->n_warnings + 1, sizeof(*list));
	if (s->n_warnings > 0)
		memcpy(list, s->warnings, s->n_warnings * sizeof(*list));
	list[s->n_warnings++] = arena_dup(&all->arena, text, strlen(text));
	s->warnings = list;
}

static bool
word_number(const struct setting_key *key, const char *text, uint64_t *n_r)
{
	uint64_t i;

	for (i = 0; i < SETTING_WORDS_MAX && key->words[i] != NULL; i++)
		if (strcmp(text, key->words[i]) == 0) {
			*n_r = i;
			return (true);
		}
	return (false);
}

static bool
in_range(const struct setting_key *key, uint64_t n)
{
	return ((n == 0 && key->zero) || (n >= key->min && n <= key->max));
}

static bool
number_parse(const struct setting_key *key, const char *text, uint64_t *n_r)
{
	struct span s = span_of(text);
	int64_t ms;

	switch (key->kind) {
	case SETTING_WORD:
		return (word_number(key, text, n_r));
	case SETTING_COUNT:
		return (num_u64(s, UINT64_MAX, n_r) == RC_OK &&
			in_range(key, *n_r));
	case SETTING_SIZE:
		return (num_size_bytes(s, n_r) == RC_OK && in_range(key, *n_r));
	case SETTING_DURATION:
		if (num_duration_ms(s, &ms) != RC_OK)
			return (false);
		*n_r = (uint64_t)ms;
		return (in_range(key, *n_r));
	case SETTING_TEXT:
	case SETTING_LIST:
		break;
	}
	wrong("not the kind of a number");
}

/* Fields are of the type their user likes; all that is said here fits. */
static void
number_store(void *field, size_t size_bytes, uint64_t n)
{
	switch (size_bytes) {
	case sizeof(uint8_t):
		*(uint8_t *)field = (uint8_t)n;
		break;
	case sizeof(uint32_t):
		must(n <= UINT32_MAX);
		*(uint32_t *)field = (uint32_t)n;
		break;
	case sizeof(uint64_t):
		*(uint64_t *)field = n;
		break;
	default:
		wrong("a field of no known size");
	}
}

bool
setting_store(
    void *base, const struct setting_key *key, const struct setting_value *v)
{
	void *field = (char *)base + key->offset;
	struct mirror_list list = { v->items, v->n };
	uint64_t n;

	if (key->kind == SETTING_LIST) {
		must(key->size_bytes == sizeof(list));
		memcpy(field, &list, sizeof(list));
		return (true);
	}
	must(v->n == 1);
	if (key->kind == SETTING_TEXT) {
		must(key->size_bytes == sizeof(v->items[0]));
		memcpy(field, &v->items[0], key->size_bytes);
		return (true);
	}
	if (!number_parse(key, v->items[0], &n))
		return (false);
	number_store(field, key->size_bytes, n);
	return (true);
}

static enum rc
key_parse(struct settings_all *all, size_t k, char why[SETTINGS_WHY_BYTES])
{
	const struct setting_key *key = &setting_keys[k];
	const struct setting_value *v = &all->values[k];
	char allowed[SETTING_ALLOWED_BYTES];

	/* Lists have no field: settings_check(). */
	if (key->kind == SETTING_LIST || setting_store(&all->s, key, v))
		return (RC_OK);
	return (settings_bad(all, k, v->items[0], why, "must be %s",
	    setting_allowed(key, allowed)));
}

enum rc
settings_parse(struct settings_all *all, char why[SETTINGS_WHY_BYTES])
{
	enum rc rc = RC_OK;
	size_t k;

	for (k = 0; k < SETTING_KEYS && rc == RC_OK; k++)
		rc = key_parse(all, k, why);
	return (rc);
}
