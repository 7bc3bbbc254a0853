#include "registryd/http/chunked.h"

#include <stdbool.h>
#include <string.h>

#include "base/obj.h"
#include "registryd/http/token.h"

enum state {
	SIZE,	   /* the digits of a size */
	EXTENSION, /* behind the ';' */
	SIZE_LF,   /* the LF of that line */
	DATA,
	DATA_CR, /* the line end behind the data */
	DATA_LF,
	TRAILER,       /* at the start of a trailer line, or of the last */
	TRAILER_NAME,  /* within a name */
	TRAILER_VALUE, /* behind the ':' */
	TRAILER_LF,
	LAST_LF, /* of the empty line at the end */
};

void
chunked_init(struct chunked *c)
{
	*c = (struct chunked){ .state = SIZE };
}

static bool
text_char(char c)
{
	return ((unsigned char)c >= 0x20 ? c != 0x7f : c == '\t');
}

/* chunk-size = 1*HEXDIG */
static bool
size_char(struct chunked *c, char ch)
{
	int digit = token_hex(ch);

	if (digit >= 0) {
		if (++c->digits > CHUNKED_SIZE_DIGITS || c->left >> 59 != 0)
			return (false);
		c->left = c->left << 4 | (unsigned)digit;
		return (true);
	}
	c->extension = 0;
	c->state = ch == ';' ? EXTENSION : SIZE_LF;
	return (c->digits > 0 && (ch == ';' || ch == '\r'));
}

/* chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
 * Nothing in it matters here, so only its bytes are looked at. */
static bool
extension_char(struct chunked *c, char ch)
{
	if (ch == '\r') {
		c->state = SIZE_LF;
		return (true);
	}
	return (text_char(ch) && ++c->extension <= CHUNKED_EXTENSION_BYTES &&
		++c->extensions <= CHUNKED_EXTENSIONS_BYTES);
}

/* A chunk's extension weighs less the more data it comes with. */
static bool
size_end(struct chunked *c, char ch)
{
	uint64_t credit = c->left / CHUNKED_DATA_PER_EXTENSION;

	c->extensions -=
	    credit < c->extensions ? (uint32_t)credit : c->extensions;
	c->state = c->left > 0 ? DATA : TRAILER;
	c->digits = 0;
	return (ch == '\n');
}

static bool
expect(struct chunked *c, char ch, char wanted, enum state next)
{
	c->state = (uint8_t)next;
	return (ch == wanted);
}

/* trailer-section = *( field-line CRLF ) */
static bool
trailer_char(struct chunked *c, char ch)
{
	if (++c->trailers > CHUNKED_TRAILERS_BYTES)
		return (false);
	if (c->state == TRAILER && ch == '\r')
		c->state = LAST_LF;
	else if (c->state == TRAILER_NAME && ch == ':')
		c->state = TRAILER_VALUE;
	else if (c->state == TRAILER_VALUE && ch == '\r')
		c->state = TRAILER_LF;
	else if (c->state == TRAILER_VALUE)
		return (text_char(ch));
	else {
		c->state = TRAILER_NAME;
		return (token_char(ch));
	}
	return (true);
}

/* One byte that is not data; not the last one. */
static bool
step(struct chunked *c, char ch)
{
	switch ((enum state)c->state) {
	case SIZE:
		return (size_char(c, ch));
	case EXTENSION:
		return (extension_char(c, ch));
	case SIZE_LF:
		return (size_end(c, ch));
	case DATA_CR:
		return (expect(c, ch, '\r', DATA_LF));
	case DATA_LF:
		return (expect(c, ch, '\n', SIZE));
	case TRAILER:
	case TRAILER_NAME:
	case TRAILER_VALUE:
		return (trailer_char(c, ch));
	case TRAILER_LF:
		return (expect(c, ch, '\n', TRAILER));
	case DATA:
	case LAST_LF:
		break;
	}
	wrong("a state of the chunked coding");
}

/* Data moves to the front; returns how much. */
static size_t
data_move(struct chunked *c, char *to, const char *from, size_t n)
{
	if (n > c->left)
		n = (size_t)c->left;
	memmove(to, from, n);
	c->left -= n;
	if (c->left == 0)
		c->state = DATA_CR;
	return (n);
}

enum chunked_result
chunked_decode(
    struct chunked *c, char *p, size_t n, size_t *used_r, size_t *data_r)
{
	size_t i = 0, data = 0, moved;
	enum chunked_result r = CHUNKED_MORE;

	while (i < n && r == CHUNKED_MORE) {
		if (c->state == DATA) {
			moved = data_move(c, p + data, p + i, n - i);
			data += moved;
			i += moved;
		} else if (c->state == LAST_LF) {
			r = p[i++] == '\n' ? CHUNKED_END : CHUNKED_BAD;
		} else if (!step(c, p[i++])) {
			r = CHUNKED_BAD;
		}
	}
	*used_r = i;
	*data_r = data;
	return (r);
}
