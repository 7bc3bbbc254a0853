#include "registryd/api/layer_body.h"

#include <string.h>

#include "base/hex.h"
#include "base/obj.h"

/*
 * DESIGN.  One character at a time goes to the function of the state, which
 * keeps it and names the next state; only the blob's text is taken in runs.
 *
 *	object = ws "{" ws [ member *( "," member ) ] "}" ws
 *	member = ws string ws ":" ws value ws			(RFC 8259)
 *
 * Of a value this needs to know where it ends, no more: brackets are counted,
 * not matched, and names and numbers are whatever stands up to the next comma.
 * As far as the text is right, that is how a parser sees it too; from the first
 * fault on it does not matter what is thought of it here, because the fault is
 * in the rest, and whoever parses that will stop there.
 */
enum state {
	BEFORE,	 /* the object */
	KEY,	 /* a member's, or the end of the object */
	IN_KEY,	 /* behind its quote */
	COLON,	 /* of a member */
	VALUE,	 /* of a member */
	IN_BLOB, /* behind its quote */
	STRING,	 /* in a value */
	SCALAR,	 /* a number or name that is a member's value */
	NESTED,	 /* in brackets in a value */
	COMMA,	 /* behind a member */
	BEHIND,	 /* the object */
};

#define MEMBER_BYTES (sizeof(LAYER_BODY_MEMBER) - 1)

static enum rc
refuse(struct layer_body *b, enum rc rc, const char *why)
{
	b->why = why;
	return (rc);
}

static enum rc
refuse_here(struct layer_body *b)
{
	return (refuse(b, RC_INVALID, "it is malformed"));
}

static bool
is_space(char ch)
{
	return (ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r');
}

/* --- escapes ------------------------------------------------------------- */

static int
hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return (ch - '0');
	if (ch >= 'a' && ch <= 'f')
		return (ch - 'a' + 10);
	if (ch >= 'A' && ch <= 'F')
		return (ch - 'A' + 10);
	return (-1);
}

/*
 * escape = "\" ( %x22 / "\" / "/" / "b" / "f" / "n" / "r" / "t" /
 *		"u" 4HEXDIG )
 *
 * What a character behind the backslash adds up to: MORE, BAD, or what it
 * stands for.  Control characters are in neither a key nor base64 that are
 * looked for, so which one it is does not matter.
 */
#define MORE (-1)
#define BAD (-2)
#define OTHER 0

static int
escape_step(struct layer_body *b, char ch)
{
	int digit;

	if (b->escape == 1) {
		b->escape = 0;
		if (ch == 'u') {
			b->escape = 2;
			b->code = 0;
			return (MORE);
		}
		if (ch == '"' || ch == '\\' || ch == '/')
			return (ch);
		return (
		    ch != '\0' && strchr("bfnrt", ch) != NULL ? OTHER : BAD);
	}
	if ((digit = hex_digit(ch)) < 0)
		return (BAD);
	b->code = b->code << 4 | (unsigned)digit;
	if (b->escape++ < 5)
		return (MORE);
	b->escape = 0;
	return (b->code < 0x80 ? (int)b->code : OTHER);
}

/* --- the blob ------------------------------------------------------------ */

static enum rc
refuse_base64(struct layer_body *b)
{
	return (
	    refuse(b, RC_INVALID, LAYER_BODY_MEMBER " is not valid base64"));
}

/* Whole groups of four, no more of them than come out at once. */
static enum rc
groups_decode(struct layer_body *b, const char *p, size_t n)
{
	size_t n_out;

	if (b->padded)
		return (refuse_base64(b));
	if (base64_decode((struct span){ p, n }, b->piece, &n_out) != RC_OK)
		return (refuse_base64(b));
	b->padded = n_out < n / 4 * 3;
	return (n_out > 0 ? b->fn(b->arg, b->piece, n_out) : RC_OK);
}

static enum rc
quad_add(struct layer_body *b, char ch)
{
	b->quad[b->quad_n++] = ch;
	if (b->quad_n < sizeof(b->quad))
		return (RC_OK);
	b->quad_n = 0;
	return (groups_decode(b, b->quad, sizeof(b->quad)));
}

#define RUN_MAX_BYTES ((size_t)LAYER_BODY_PIECE_BYTES / 3 * 4)

/* Characters of base64, as they stand in the text. */
static enum rc
run_decode(struct layer_body *b, const char *p, size_t n)
{
	size_t take;
	enum rc rc = RC_OK;

	while (rc == RC_OK && n > 0) {
		take = n - n % 4;
		if (b->quad_n > 0 || take == 0) {
			take = 1;
			rc = quad_add(b, p[0]);
		} else {
			if (take > RUN_MAX_BYTES)
				take = RUN_MAX_BYTES;
			rc = groups_decode(b, p, take);
		}
		p += take;
		n -= take;
	}
	return (rc);
}

/* Up to the end of the string, an escape, or the end of the piece. */
static size_t
run_length(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] != '"' && p[i] != '\\')
		i++;
	return (i);
}

static enum rc
in_blob(struct layer_body *b, char ch)
{
	int c;

	if (b->escape > 0) {
		if ((c = escape_step(b, ch)) == MORE)
			return (RC_OK);
		return (c == BAD ? refuse_here(b) : quad_add(b, (char)c));
	}
	if (ch == '\\') {
		b->escape = 1;
		return (RC_OK);
	}
	must(ch == '"'); /* all else is in runs */
	if (b->quad_n > 0)
		return (refuse_base64(b));
	b->state = COMMA;
	buf_str(&b->rest, "\"\"");
	return (RC_OK);
}

/* --- the object ---------------------------------------------------------- */

static enum rc
before(struct layer_body *b, char ch)
{
	if (is_space(ch))
		return (RC_OK);
	if (ch != '{')
		return (refuse(b, RC_INVALID, "it is not a JSON object"));
	b->state = KEY;
	b->first = true;
	return (RC_OK);
}

static enum rc
key(struct layer_body *b, char ch)
{
	if (is_space(ch))
		return (RC_OK);
	if (ch == '}' && b->first) {
		b->state = BEHIND;
		return (RC_OK);
	}
	if (ch != '"')
		return (refuse_here(b));
	b->state = IN_KEY;
	b->first = false;
	b->key_n = 0;
	return (RC_OK);
}

/* Is it still the blob's?  A key that is not never becomes it again. */
static void
key_add(struct layer_body *b, int ch)
{
	if (b->key_n < MEMBER_BYTES && ch == LAYER_BODY_MEMBER[b->key_n])
		b->key_n++;
	else
		b->key_n = SIZE_MAX;
}

static enum rc
in_key(struct layer_body *b, char ch)
{
	int c;

	if (b->escape > 0) {
		if ((c = escape_step(b, ch)) == BAD)
			return (refuse_here(b));
		if (c != MORE)
			key_add(b, c);
	} else if (ch == '\\') {
		b->escape = 1;
	} else if (ch == '"') {
		b->is_blob = b->key_n == MEMBER_BYTES;
		b->state = COLON;
	} else {
		key_add(b, ch);
	}
	return (RC_OK);
}

/* Whichever of the two is meant, bytes of both would be one part. */
static enum rc
colon(struct layer_body *b, char ch)
{
	if (is_space(ch))
		return (RC_OK);
	if (ch != ':')
		return (refuse_here(b));
	if (b->is_blob && b->found)
		return (refuse(
		    b, RC_INVALID, "it has " LAYER_BODY_MEMBER " twice"));
	b->found = b->found || b->is_blob;
	b->state = VALUE;
	return (RC_OK);
}

static enum rc
value(struct layer_body *b, char ch)
{
	if (is_space(ch))
		return (RC_OK);
	b->depth = 1;
	switch (ch) {
	case '"':
		b->state = b->is_blob ? IN_BLOB : STRING;
		break;
	case '{':
	case '[':
		b->depth = 2;
		b->state = NESTED;
		break;
	case '}':
	case ']':
	case ',':
	case ':':
		return (refuse_here(b));
	default:
		b->state = SCALAR;
		break;
	}
	return (RC_OK);
}

static enum rc
string(struct layer_body *b, char ch)
{
	if (b->escape > 0)
		b->escape = 0;
	else if (ch == '\\')
		b->escape = 1;
	else if (ch == '"')
		b->state = b->depth > 1 ? NESTED : COMMA;
	return (RC_OK);
}

static enum rc
nested(struct layer_body *b, char ch)
{
	if (ch == '"')
		b->state = STRING;
	else if (ch == '{' || ch == '[')
		b->depth++;
	else if ((ch == '}' || ch == ']') && --b->depth == 1)
		b->state = COMMA;
	return (RC_OK);
}

static enum rc
comma(struct layer_body *b, char ch)
{
	if (is_space(ch))
		return (RC_OK);
	if (ch != ',' && ch != '}')
		return (refuse_here(b));
	b->state = ch == ',' ? KEY : BEHIND;
	return (RC_OK);
}

static enum rc
scalar(struct layer_body *b, char ch)
{
	if (is_space(ch) || ch == ',' || ch == '}') {
		b->state = COMMA;
		return (comma(b, ch));
	}
	return (ch != '\0' && strchr("\"{[]:", ch) != NULL ? refuse_here(b)
							   : RC_OK);
}

static enum rc
behind(struct layer_body *b, char ch)
{
	return (is_space(ch) ? RC_OK : refuse_here(b));
}

/* --- all of it ----------------------------------------------------------- */

void
layer_body_init(struct layer_body *b, layer_body_fn *fn, void *arg)
{
	memset(b, 0, offsetof(struct layer_body, piece));
	b->fn = fn;
	b->arg = arg;
	b->state = BEFORE;
	buf_init(&b->rest, LAYER_BODY_REST_MAX_BYTES);
}

void
layer_body_free(struct layer_body *b)
{
	buf_free(&b->rest);
}

static enum rc
character(struct layer_body *b, char ch)
{
	static enum rc (*const steps[])(struct layer_body *, char) = {
		[BEFORE] = before,
		[KEY] = key,
		[IN_KEY] = in_key,
		[COLON] = colon,
		[VALUE] = value,
		[IN_BLOB] = in_blob,
		[STRING] = string,
		[SCALAR] = scalar,
		[NESTED] = nested,
		[COMMA] = comma,
		[BEHIND] = behind,
	};
	bool kept = b->state != IN_BLOB;
	enum rc rc;

	if ((rc = steps[b->state](b, ch)) != RC_OK)
		return (rc);
	if (kept && b->state != IN_BLOB)
		buf_char(&b->rest, ch);
	if (buf_ok(&b->rest))
		return (RC_OK);
	return (refuse(b, RC_TOOBIG,
	    "what stands beside " LAYER_BODY_MEMBER " is too long"));
}

void
layer_body_feed(struct layer_body *b, const void *bytes, size_t n)
{
	const char *p = bytes;
	size_t run;

	while (b->rc == RC_OK && n > 0) {
		run = 0;
		if (b->state == IN_BLOB && b->escape == 0)
			run = run_length(p, n);
		if (run > 0) {
			b->rc = run_decode(b, p, run);
		} else {
			run = 1;
			b->rc = character(b, p[0]);
		}
		p += run;
		n -= run;
	}
}

enum rc
layer_body_end(struct layer_body *b, struct span *rest_r)
{
	*rest_r = SPAN_NONE;
	if (b->rc == RC_OK && b->state != BEHIND)
		b->rc = refuse(b, RC_INVALID, "it ends too early");
	if (b->rc == RC_OK)
		*rest_r = buf_as_span(&b->rest);
	return (b->rc);
}
