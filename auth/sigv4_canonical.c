#include "auth/sigv4_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/obj.h"

/*
 * The canonical request (AWS General Reference, "Create a canonical
 * request"):
 *
 *	method LF
 *	path, dot segments and empty ones resolved, each octet of it encoded
 *	  once more (as all services but S3 want it) LF
 *	query, its pairs decoded, encoded in the one allowed way and sorted LF
 *	"name:value" LF for each signed header, in the order of the list, the
 *	  values of one name joined by ',' LF
 *	the list LF
 *	hash of the body
 *
 * Two requests of one canonical form are one request to whoever signed it.
 */

static bool
is_unreserved(char c)
{
	return ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
		c == '~');
}

static void
octet_encode(struct buf *out, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const unsigned char u = (unsigned char)c;

	if (is_unreserved(c)) {
		buf_char(out, c);
		return;
	}
	buf_char(out, '%');
	buf_char(out, digits[u >> 4]);
	buf_char(out, digits[u & 15]);
}

/* In absolute-form the authority stands before the path. */
static void
authority_skip(struct span *target)
{
	const char *p, *end;

	if (target->n == 0 || target->p[0] == '/')
		return;
	end = target->p + target->n;
	p = memmem(target->p, target->n, "://", 3);
	if (p == NULL)
		return;
	for (p += 3; p < end && *p != '/' && *p != '?'; p++)
		continue;
	target->p = p;
	target->n = (size_t)(end - p);
}

void
sigv4_target_split(
    struct span target, struct span *path_r, struct span *query_r)
{
	*query_r = target;
	authority_skip(query_r);
	if (!span_split(query_r, '?', path_r))
		*path_r = SPAN_NONE;
}

/* The path without its last segment; what is before ${root} stays. */
static void
segment_drop(struct buf *out, size_t root)
{
	while (out->n > root && out->p[out->n - 1] != '/')
		out->n--;
	if (out->n > root)
		out->n--;
}

/* RFC 3986 section 5.2.4; empty segments go as well. */
static void
path_add(struct buf *out, struct span path)
{
	const size_t root = out->n;
	const bool folder = path.n > 0 && path.p[path.n - 1] == '/';
	struct span segment;
	size_t i;

	while (buf_ok(out) && span_split(&path, '/', &segment)) {
		if (span_is(segment, ".."))
			segment_drop(out, root);
		if (segment.n == 0 || span_is(segment, ".") ||
		    span_is(segment, ".."))
			continue;
		buf_char(out, '/');
		for (i = 0; i < segment.n; i++)
			octet_encode(out, segment.p[i]);
	}
	if (out->n == root || folder)
		buf_char(out, '/');
}

bool
sigv4_param(struct span *rest, struct span *name_r, struct span *value_r)
{
	struct span pair;

	do {
		if (!span_split(rest, '&', &pair))
			return (false);
	} while (pair.n == 0);
	*value_r = pair;
	if (!span_split(value_r, '=', name_r))
		*name_r = SPAN_NONE;
	return (true);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/* The octet at the front of *${s}, or -1; *${s} is not empty.  A '+' is a plus,
 * as it is for whoever reads the query here. */
static int
octet_decode(struct span *s)
{
	int high, low, c = (unsigned char)s->p[0];
	size_t n = 1;

	if (c == '%') {
		if (s->n < 3)
			return (-1);
		high = hex_value(s->p[1]);
		low = hex_value(s->p[2]);
		if (high < 0 || low < 0)
			return (-1);
		c = high << 4 | low;
		n = 3;
	}
	s->p += n;
	s->n -= n;
	return (c);
}

enum rc
sigv4_decode(struct span s, char *out, size_t room, size_t *n_r)
{
	int c;

	*n_r = 0;
	while (s.n > 0) {
		if ((c = octet_decode(&s)) < 0)
			return (RC_INVALID);
		if (*n_r == room)
			return (RC_TOOBIG);
		out[(*n_r)++] = (char)c;
	}
	return (RC_OK);
}

/* A part of a query in the one way that is canonical. */
static enum rc
part_add(struct buf *out, struct span s)
{
	int c;

	while (s.n > 0) {
		if ((c = octet_decode(&s)) < 0)
			return (RC_INVALID);
		octet_encode(out, (char)c);
	}
	return (buf_ok(out) ? RC_OK : RC_TOOBIG);
}

/* An encoded pair: where it is, for what it is in may still move. */
struct pair {
	size_t at, n_name, n_value;
};

struct pairs {
	struct buf text;
	size_t n;
	struct pair pairs[SIGV4_PARAMS_MAX];
};

static int
pair_cmp(const void *a, const void *b, void *text)
{
	const struct pair *x = a, *y = b;
	const char *p = text;
	int d;

	d = span_cmp((struct span){ p + x->at, x->n_name },
	    (struct span){ p + y->at, y->n_name });
	if (d != 0)
		return (d);
	return (span_cmp((struct span){ p + x->at + x->n_name, x->n_value },
	    (struct span){ p + y->at + y->n_name, y->n_value }));
}

static enum rc
pairs_read(struct pairs *all, struct span query, bool presigned)
{
	struct span name, value, is;
	struct pair *pair;
	enum rc rc;

	while (sigv4_param(&query, &name, &value)) {
		if (all->n == SIGV4_PARAMS_MAX)
			return (RC_TOOBIG);
		pair = &all->pairs[all->n];
		pair->at = all->text.n;
		if ((rc = part_add(&all->text, name)) != RC_OK)
			return (rc);
		pair->n_name = all->text.n - pair->at;
		is = (struct span){ all->text.p + pair->at, pair->n_name };
		if (presigned && span_is(is, "X-Amz-Signature"))
			continue;
		if ((rc = part_add(&all->text, value)) != RC_OK)
			return (rc);
		pair->n_value = all->text.n - pair->at - pair->n_name;
		all->n++;
	}
	return (RC_OK);
}

static enum rc
query_add(struct buf *out, struct span query, bool presigned)
{
	const struct pair *pair;
	struct pairs all = { .n = 0 };
	enum rc rc;
	size_t i;

	buf_init(&all.text, SIGV4_CANONICAL_MAX_BYTES);
	buf_char(&all.text, '?'); /* so that there is a text to point into */
	rc = pairs_read(&all, query, presigned);
	if (rc == RC_OK && all.n > 1)
		qsort_r(all.pairs, all.n, sizeof(all.pairs[0]), pair_cmp,
		    all.text.p);
	for (i = 0; rc == RC_OK && i < all.n; i++) {
		pair = &all.pairs[i];
		if (i > 0)
			buf_char(out, '&');
		buf_add(out, all.text.p + pair->at, pair->n_name);
		buf_char(out, '=');
		buf_add(
		    out, all.text.p + pair->at + pair->n_name, pair->n_value);
	}
	buf_free(&all.text);
	return (rc);
}

/* Runs of white space become one space. */
static void
value_add(struct buf *out, struct span value)
{
	bool space = false;
	size_t i;

	value = span_trim(value);
	for (i = 0; i < value.n; i++) {
		if (value.p[i] == ' ' || value.p[i] == '\t') {
			space = true;
			continue;
		}
		if (space)
			buf_char(out, ' ');
		space = false;
		buf_char(out, value.p[i]);
	}
}

/* Every header of that name, in the order they came. */
static enum rc
header_add(struct buf *out, const struct sigv4_request *rq, struct span name)
{
	size_t i, n = 0;

	buf_span(out, name);
	buf_char(out, ':');
	for (i = 0; i < rq->n_headers; i++) {
		if (!span_eq_nocase(rq->headers[i].name, name))
			continue;
		if (n++ > 0)
			buf_char(out, ',');
		value_add(out, rq->headers[i].value);
	}
	buf_char(out, '\n');
	return (n > 0 ? RC_OK : RC_NOTFOUND);
}

bool
sigv4_signed(struct span list, struct span name)
{
	struct span one;

	while (span_split(&list, ';', &one))
		if (span_eq_nocase(one, name))
			return (true);
	return (false);
}

enum rc
sigv4_canonical(const struct sigv4_request *rq, const struct sigv4_form *form,
    struct buf *out)
{
	char hash[2 * SIGV4_HASH_BYTES + 1];
	struct span path, query, name, list = form->signed_headers;
	enum rc rc;

	sigv4_target_split(rq->target, &path, &query);
	buf_span(out, rq->method);
	buf_char(out, '\n');
	path_add(out, path);
	buf_char(out, '\n');
	if ((rc = query_add(out, query, form->presigned)) != RC_OK)
		return (rc);
	buf_char(out, '\n');
	while (span_split(&list, ';', &name))
		if ((rc = header_add(out, rq, name)) != RC_OK)
			return (rc);
	buf_char(out, '\n');
	buf_span(out, form->signed_headers);
	buf_char(out, '\n');
	hex_encode(rq->body_hash, sizeof(rq->body_hash), hash);
	buf_str(out, hash);
	return (buf_ok(out) ? RC_OK : RC_TOOBIG);
}
