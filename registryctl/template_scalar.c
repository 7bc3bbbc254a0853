#include "registryctl/template_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * Scalars.  YAML 1.1 reads an unquoted 012345678901 as octal, 1.10 as 1.1 and
 * 12:30 as 750, which of an account's number, a version or a time of day is
 * never what was meant.  Here an unquoted scalar is a number only if the
 * number, written down again, is the same text; else it is that text.
 */
#define NUMBER_MAX_BYTES 32
#define DIGITS_LEAST 15
#define DIGITS_MOST 17

/* The fewest digits that are read as the same number again. */
static char *
number_text(const json_t *v)
{
	double value = json_number_value(v);
	char *text = NULL;
	json_t *again;
	bool same = false;
	size_t digits;

	for (digits = DIGITS_LEAST; !same && digits <= DIGITS_MOST; digits++) {
		free(text);
		text = json_dumps(
		    v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
		must(text != NULL);
		again = json_loads(text, JSON_DECODE_ANY, NULL);
		must(again != NULL);
		/* Of integers the first text is the number. */
		same = json_is_integer(v) || json_number_value(again) == value;
		json_decref(again);
	}
	return (text);
}

char *
template_scalar_text(const json_t *v)
{
	if (json_is_string(v))
		return (xstrdup(json_string_value(v)));
	if (json_is_boolean(v))
		return (xstrdup(json_is_true(v) ? "true" : "false"));
	if (json_is_number(v))
		return (number_text(v));
	return (NULL);
}

static json_t *
number_read(struct span text)
{
	json_t *v;
	char *again;
	bool same;

	if (text.n == 0 || text.n > NUMBER_MAX_BYTES ||
	    (text.p[0] != '-' && (text.p[0] < '0' || text.p[0] > '9')))
		return (NULL);
	v = json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);
	if (v == NULL)
		return (NULL);
	again = template_scalar_text(v);
	same = again != NULL && span_is(text, again);
	free(again);
	if (!same) {
		json_decref(v);
		return (NULL);
	}
	return (v);
}

/* In one of the three ways that YAML knows: word, Word, WORD. */
static bool
word_is(struct span text, const char *word)
{
	size_t i, n = strlen(word), n_upper = 0;

	if (!span_eq_nocase(text, span_of(word)))
		return (false);
	for (i = 0; i < n; i++)
		n_upper += text.p[i] != word[i];
	return (n_upper == 0 || n_upper == n ||
		(n_upper == 1 && text.p[0] != word[0]));
}

static bool
word_among(struct span text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (word_is(text, *words))
			return (true);
	return (false);
}

json_t *
template_scalar_plain(struct span text)
{
	static const char *const yes[] = { "true", "yes", "on", NULL };
	static const char *const no[] = { "false", "no", "off", NULL };
	json_t *number;

	if (text.n == 0 || span_is(text, "~") || word_is(text, "null"))
		return (json_null());
	if (word_among(text, yes))
		return (json_true());
	if (word_among(text, no))
		return (json_false());
	if ((number = number_read(text)) != NULL)
		return (number);
	if (memchr(text.p, '\0', text.n) != NULL)
		return (NULL);
	return (json_stringn(text.p, text.n));
}
