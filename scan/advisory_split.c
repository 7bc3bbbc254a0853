#include <stdio.h>

#include "base/obj.h"
#include "scan/advisory_int.h"

/*
 * DESIGN.  The bytes around values go one by one to the function of the state;
 * those of values are looked through in runs.  The beginning of an object, until
 * it is known what it is, is kept as if it were a record.
 *
 *	TOP		before a record that is in no list
 *	FIRST_...	in the first object, of which it is not known yet
 *			whether it is one
 *	MEMBER_OR_END	behind "{"; MEMBER behind ",", then IN_KEY, COLON, INNER
 *	ELEMENT_OR_END	behind "["; ELEMENT behind ","
 *	BEHIND_VALUE	"," or the end of what it is in
 */
enum state {
	TOP,
	FIRST_OPEN,
	FIRST_KEY,
	FIRST_COLON,
	FIRST_VALUE,
	MEMBER_OR_END,
	MEMBER,
	IN_KEY,
	COLON,
	INNER, /* "{" of a package, or of a record */
	ELEMENT_OR_END,
	ELEMENT,
	IN_VALUE,
	BEHIND_VALUE,
	OVER, /* nothing but white space */
};

static bool
is_space(char ch)
{
	return (ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r');
}

static enum rc
wrong_here(struct split *s, const char *what)
{
	(void)snprintf(s->why, ADVISORY_WHY_BYTES, "byte %llu: %s",
	    (unsigned long long)s->offset, what);
	return (RC_INVALID);
}

static enum rc
too_big(struct split *s, const char *what, size_t max)
{
	(void)snprintf(s->why, ADVISORY_WHY_BYTES,
	    "byte %llu: %s is longer than %zu bytes",
	    (unsigned long long)s->value_offset, what, max);
	return (RC_TOOBIG);
}

void
split_init(struct split *s, const char *const *record_keys, split_fn *fn,
    void *arg, char *why)
{
	*s = (struct split){
		.fn = fn,
		.arg = arg,
		.record_keys = record_keys,
	};
	s->why = why;
	buf_init(&s->value, ADVISORY_RECORD_MAX_BYTES);
	buf_init(&s->keys[0], SPLIT_KEY_MAX_BYTES);
	buf_init(&s->keys[1], SPLIT_KEY_MAX_BYTES);
}

void
split_free(struct split *s)
{
	buf_free(&s->value);
	buf_free(&s->keys[0]);
	buf_free(&s->keys[1]);
}

void
split_again(struct split *s)
{
	s->kind = SPLIT_UNKNOWN;
	s->state = TOP;
	s->level = 0;
	s->depth = 0;
	s->string = s->escape = false;
	s->offset = s->value_offset = 0;
	buf_clear(&s->value);
	buf_clear(&s->keys[0]);
	buf_clear(&s->keys[1]);
}

/* --- values -------------------------------------------------------------- */

/* ${ch} is its first byte, a bracket. */
static void
value_begin(struct split *s, char ch)
{
	buf_clear(&s->value);
	buf_char(&s->value, ch);
	s->value_offset = s->offset;
	s->depth = 1;
	s->string = s->escape = false;
	s->state = IN_VALUE;
}

static enum rc
value_end(struct split *s)
{
	struct split_value v = {
		.kind = s->kind,
		.offset = s->value_offset,
	};

	if (!buf_ok(&s->value))
		return (too_big(s, "a record", ADVISORY_RECORD_MAX_BYTES));
	v.text = buf_as_span(&s->value);
	if (s->kind == SPLIT_PACKAGES) {
		v.package = buf_as_span(&s->keys[0]);
		v.id = buf_as_span(&s->keys[1]);
	}
	s->state = s->level > 0 ? BEHIND_VALUE : TOP;
	return (s->fn(s->arg, &v));
}

/* Within a string: how many bytes up to its end, or all. */
static size_t
string_run(struct split *s, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (s->escape)
			s->escape = false;
		else if (p[i] == '\\')
			s->escape = true;
		else if (p[i] == '"') {
			s->string = false;
			return (i + 1);
		}
	}
	return (n);
}

/* One byte of a value that is in no string.  True: that was its last. */
static bool
value_byte(struct split *s, char ch)
{
	if (ch == '"')
		s->string = true;
	else if (ch == '{' || ch == '[')
		s->depth++;
	else if (ch == '}' || ch == ']')
		return (--s->depth == 0);
	return (false);
}

/* Returns how many bytes of ${p} are the value's; *${end}: that is all of it. */
static size_t
value_run(struct split *s, const char *p, size_t n, bool *end)
{
	size_t i = 0;

	*end = false;
	while (i < n && !*end) {
		if (s->string)
			i += string_run(s, p + i, n - i);
		else
			*end = value_byte(s, p[i++]);
	}
	return (i);
}

static enum rc
value_feed(struct split *s, const char *p, size_t n, size_t *used_r)
{
	bool end;

	*used_r = value_run(s, p, n, &end);
	buf_add(&s->value, p, *used_r);
	s->offset += *used_r;
	if (!buf_ok(&s->value))
		return (too_big(s, "a record", ADVISORY_RECORD_MAX_BYTES));
	return (end ? value_end(s) : RC_OK);
}

/* --- what it is ---------------------------------------------------------- */

static bool
is_record_key(const struct split *s)
{
	struct span key = buf_as_span(&s->keys[0]);
	const char *const *k;

	for (k = s->record_keys; *k != NULL; k++)
		if (span_is(key, *k))
			return (true);
	return (false);
}

/* At the first byte of the first member's value. */
static enum rc
first_decide(struct split *s, char ch)
{
	if (ch == '{' && !is_record_key(s)) {
		s->kind = SPLIT_PACKAGES;
		s->level = 2;
		buf_clear(&s->value);
		s->state = MEMBER_OR_END;
		return (RC_OK);
	}
	if (ch == '}' || ch == ']' || ch == ',')
		return (wrong_here(s, "not JSON: no value"));
	/* What is in .value so far is the beginning of the record. */
	s->kind = SPLIT_RECORDS;
	s->depth = 1;
	s->string = s->escape = false;
	s->state = IN_VALUE;
	(void)value_byte(s, ch);
	return (RC_OK);
}

static enum rc
top_byte(struct split *s, char ch)
{
	if (is_space(ch))
		return (RC_OK);
	if (ch == '{' && s->kind == SPLIT_UNKNOWN) {
		s->state = FIRST_OPEN;
		buf_clear(&s->value);
		s->value_offset = s->offset;
		buf_char(&s->value, ch);
		return (RC_OK);
	}
	if (ch == '[' && s->kind == SPLIT_UNKNOWN) {
		s->kind = SPLIT_RECORDS;
		s->level = 1;
		s->state = ELEMENT_OR_END;
		return (RC_OK);
	}
	if (ch != '{')
		return (wrong_here(s, "not the beginning of a JSON object"));
	value_begin(s, ch);
	return (RC_OK);
}

/* The record is over before it has a member. */
static enum rc
first_byte(struct split *s, char ch)
{
	buf_char(&s->value, ch);
	if (!buf_ok(&s->value))
		return (too_big(s, "white space", ADVISORY_RECORD_MAX_BYTES));
	if (is_space(ch))
		return (RC_OK);
	if (s->state == FIRST_OPEN && ch == '"') {
		buf_clear(&s->keys[0]);
		s->state = FIRST_KEY;
		return (RC_OK);
	}
	if (s->state == FIRST_OPEN && ch == '}') {
		s->kind = SPLIT_RECORDS;
		return (value_end(s));
	}
	if (s->state == FIRST_COLON && ch == ':') {
		s->state = FIRST_VALUE;
		return (RC_OK);
	}
	if (s->state != FIRST_VALUE)
		return (wrong_here(s, "not JSON"));
	return (first_decide(s, ch));
}

/* --- keys ---------------------------------------------------------------- */

static struct buf *
key_of(struct split *s)
{
	return (&s->keys[s->state == FIRST_KEY || s->level == 1 ? 0 : 1]);
}

static enum rc
key_feed(struct split *s, const char *p, size_t n, size_t *used_r)
{
	struct buf *key = key_of(s);

	s->string = true;
	*used_r = string_run(s, p, n);
	buf_add(key, p, s->string ? *used_r : *used_r - 1);
	if (s->state == FIRST_KEY)
		buf_add(&s->value, p, *used_r);
	s->offset += *used_r;
	if (!buf_ok(key)) {
		s->value_offset = s->offset;
		return (too_big(s, "a name", SPLIT_KEY_MAX_BYTES));
	}
	if (!s->string)
		s->state = s->state == FIRST_KEY ? FIRST_COLON : COLON;
	return (RC_OK);
}

/* --- between values ------------------------------------------------------ */

static enum rc
key_begin(struct split *s)
{
	s->state = IN_KEY;
	buf_clear(key_of(s));
	return (RC_OK);
}

/* The end of what is at .level. */
static enum rc
close_byte(struct split *s)
{
	s->level--;
	s->state = s->level > 0 ? BEHIND_VALUE : OVER;
	return (RC_OK);
}

static enum rc
behind_byte(struct split *s, char ch)
{
	bool array = s->kind == SPLIT_RECORDS;

	if (ch == ',') {
		s->state = array ? ELEMENT : MEMBER;
		return (RC_OK);
	}
	if (ch == (array ? ']' : '}'))
		return (close_byte(s));
	return (wrong_here(s, "not JSON: expected \",\" or the end of a list"));
}

static enum rc
element_byte(struct split *s, char ch)
{
	if (ch == ']' && s->state == ELEMENT_OR_END)
		return (close_byte(s));
	if (ch != '{')
		return (wrong_here(s, "not a JSON object"));
	value_begin(s, ch);
	return (RC_OK);
}

static enum rc
inner_byte(struct split *s, char ch)
{
	if (s->level == 1) {
		if (ch != '{')
			return (wrong_here(s, "not a JSON object"));
		s->level = 2;
		s->state = MEMBER_OR_END;
		return (RC_OK);
	}
	return (element_byte(s, ch));
}

static enum rc
between_byte(struct split *s, char ch)
{
	if (s->state == TOP)
		return (top_byte(s, ch));
	if (s->state >= FIRST_OPEN && s->state <= FIRST_VALUE)
		return (first_byte(s, ch));
	if (is_space(ch))
		return (RC_OK);
	switch (s->state) {
	case MEMBER_OR_END:
		if (ch == '}')
			return (close_byte(s));
		return (ch == '"' ? key_begin(s)
				  : wrong_here(s, "not JSON: no name"));
	case MEMBER:
		return (ch == '"' ? key_begin(s)
				  : wrong_here(s, "not JSON: no name"));
	case COLON:
		s->state = INNER;
		return (
		    ch == ':' ? RC_OK : wrong_here(s, "not JSON: no \":\""));
	case INNER:
		return (inner_byte(s, ch));
	case ELEMENT:
	case ELEMENT_OR_END:
		return (element_byte(s, ch));
	case BEHIND_VALUE:
		return (behind_byte(s, ch));
	default:
		return (wrong_here(s, "something behind the end"));
	}
}

enum rc
split_feed(struct split *s, const char *p, size_t n)
{
	size_t used;
	enum rc rc = RC_OK;

	while (n > 0 && rc == RC_OK) {
		used = 1;
		if (s->state == IN_VALUE) {
			rc = value_feed(s, p, n, &used);
		} else if (s->state == IN_KEY || s->state == FIRST_KEY) {
			rc = key_feed(s, p, n, &used);
		} else if ((rc = between_byte(s, *p)) == RC_OK) {
			s->offset++;
		}
		p += used;
		n -= used;
	}
	return (rc);
}

enum rc
split_end(struct split *s)
{
	if (s->kind == SPLIT_UNKNOWN && s->state == TOP)
		return (wrong_here(s, "nothing is in it"));
	if (s->state != OVER && s->state != TOP)
		return (wrong_here(s, "the text ends in the middle"));
	return (RC_OK);
}
