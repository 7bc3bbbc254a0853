#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8_int.h"

#define BUF_FIRST_BYTES 256

void
buf_init(struct buf *b, size_t cap_bytes)
{
	*b = (struct buf){ .cap_bytes = cap_bytes };
}

void
buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->cap_bytes);
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

bool
buf_ok(const struct buf *b)
{
	return (!b->failed);
}

/* A size to grow to: at least ${need}, doubling, at most cap and a NUL. */
static size_t
room_for(const struct buf *b, size_t need)
{
	size_t most = b->cap_bytes < SIZE_MAX ? b->cap_bytes + 1 : SIZE_MAX;
	size_t room = b->room > 0 ? b->room : BUF_FIRST_BYTES / 2;

	while (room < need && room <= most / 2)
		room *= 2;
	if (room <= most / 2)
		room *= 2;
	else
		room = most;
	return (room);
}

/* Room for ${n_bytes} more and a NUL; else the failure sticks. */
static bool
buf_reserve(struct buf *b, size_t n_bytes)
{
	size_t need, room;
	char *p;

	if (b->failed)
		return (false);
	if (n_bytes > b->cap_bytes - b->n || n_bytes >= SIZE_MAX - b->n)
		goto fail;
	need = b->n + n_bytes + 1;
	if (need <= b->room)
		return (true);
	room = room_for(b, need);
	p = realloc(b->p, room);
	if (p == NULL)
		goto fail;
	b->p = p;
	b->room = room;
	return (true);

fail:
	b->failed = true;
	return (false);
}

void
buf_add(struct buf *b, const void *p, size_t n_bytes)
{
	if (n_bytes == 0 || !buf_reserve(b, n_bytes))
		return;
	memcpy(b->p + b->n, p, n_bytes);
	b->n += n_bytes;
}

void
buf_span(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

void
buf_str(struct buf *b, const char *cstr)
{
	buf_add(b, cstr, strlen(cstr));
}

void
buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_u64(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	size_t room;
	va_list ap;
	int n;

	if (!buf_reserve(b, 0))
		return;
	room = b->room - b->n;
	va_start(ap, fmt);
	n = vsnprintf(b->p + b->n, room, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if (!buf_reserve(b, (size_t)n))
		return;
	if ((size_t)n >= room) {
		va_start(ap, fmt);
		(void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->n += (size_t)n;
}

/*
 * unescaped = %x20-21 / %x23-5B / %x5D-10FFFF
 * How many bytes of ${s} go into the string as they are.
 */
static size_t
json_plain(struct span s)
{
	unsigned char c;
	size_t at, len;

	for (at = 0; at < s.n; at += len) {
		c = (unsigned char)s.p[at];
		if (c < 0x20 || c == '"' || c == '\\')
			break;
		len = c < 0x80 ? 1 : utf8_len(s.p + at, s.n - at);
		if (len == 0)
			break;
	}
	return (at);
}

static void
json_escape(struct buf *b, unsigned char c)
{
	static const char short_of[] = "btn\0fr"; /* from U+0008 on */

	if (c == '"' || c == '\\') {
		buf_char(b, '\\');
		buf_char(b, (char)c);
	} else if (c >= '\b' && c <= '\r' && short_of[c - '\b'] != '\0') {
		buf_char(b, '\\');
		buf_char(b, short_of[c - '\b']);
	} else if (c < 0x20) {
		buf_printf(b, "\\u%04x", c);
	} else {
		buf_str(b, "\xef\xbf\xbd"); /* U+FFFD */
	}
}

void
buf_json(struct buf *b, struct span s)
{
	size_t n;

	buf_char(b, '"');
	while (s.n > 0) {
		n = json_plain(s);
		buf_add(b, s.p, n);
		if (n < s.n)
			json_escape(b, (unsigned char)s.p[n++]);
		s.p += n;
		s.n -= n;
	}
	buf_char(b, '"');
}

char *
buf_take(struct buf *b, size_t *n_r)
{
	char *p = NULL;

	if (n_r != NULL)
		*n_r = 0;
	if (buf_reserve(b, 0)) {
		b->p[b->n] = '\0';
		if (n_r != NULL)
			*n_r = b->n;
		p = b->p;
		b->p = NULL;
	}
	buf_free(b);
	return (p);
}
