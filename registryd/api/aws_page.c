#include <string.h>

#include "auth/auth.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/keyring.h"
#include "base/obj.h"
#include "registryd/api/aws_int.h"
#include "registryd/service.h"

/*
 * A nextToken is sealed: the key behind which a list goes on may be the name
 * of something its reader may not see.  What is sealed:
 *
 *	u8 version (1), u8 flags, i64 issued_ms (big-endian), the key
 *
 * for this operation and this repository, which stand in the additional data.
 * It holds a position, not a view: what changes meanwhile is seen or not by
 * where it stands.
 */
#define PAGE_VERSION 1
#define PAGE_SEEN 0x01u
#define PAGE_HEAD_BYTES 10
#define PAGE_PLAIN_MAX_BYTES (PAGE_HEAD_BYTES + AWS_PAGE_AFTER_MAX_BYTES)
#define PAGE_SEALED_MAX_BYTES (PAGE_PLAIN_MAX_BYTES + SEAL_OVERHEAD_BYTES)
#define PAGE_TEXT_MAX_BYTES BASE64URL_LEN(PAGE_SEALED_MAX_BYTES)

static void
page_aad(const struct call *c, struct buf *out)
{
	buf_init(out, SIZE_MAX);
	buf_printf(out, "page of %s in ", c->operation->name);
	buf_span(out, c->repository);
}

static int64_t
number_read(const uint8_t *p)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return ((int64_t)n);
}

static enum rc
page_refuse(struct call *c, const char *reason)
{
	return (aws_invalid(c, "nextToken", "%s", reason));
}

/* *${plain_r} is in ${room}. */
static enum rc
page_open(struct call *c, struct span text,
    uint8_t room[PAGE_SEALED_MAX_BYTES + 3], struct span *plain_r)
{
	uint8_t sealed[PAGE_SEALED_MAX_BYTES + 3];
	struct buf aad;
	size_t n;
	enum rc rc;

	if (text.n > PAGE_TEXT_MAX_BYTES ||
	    base64url_decode(text, sealed, &n) != RC_OK)
		return (RC_INVALID);
	page_aad(c, &aad);
	rc = seal_open(service_seal_key(c->service), buf_as_span(&aad),
	    (struct span){ (const char *)sealed, n }, room, &plain_r->n);
	buf_free(&aad);
	plain_r->p = (const char *)room;
	if (rc == RC_OK &&
	    (plain_r->n < PAGE_HEAD_BYTES || room[0] != PAGE_VERSION))
		rc = RC_INVALID;
	return (rc);
}

static enum rc
page_read(struct call *c, struct span text, struct aws_page *page_r)
{
	uint8_t room[PAGE_SEALED_MAX_BYTES + 3];
	struct span plain;
	int64_t issued_ms, now_ms;

	if (page_open(c, text, room, &plain) != RC_OK)
		return (page_refuse(c,
		    "must be the nextToken of an earlier answer of this "
		    "operation, about the same repository"));
	/* Without authentication anybody writes the time: no arithmetic on it. */
	issued_ms = number_read(room + 2);
	now_ms = clock_real_ms();
	if (issued_ms < now_ms - AWS_PAGE_LIFETIME_MS ||
	    issued_ms > now_ms + AWS_PAGE_LIFETIME_MS)
		return (page_refuse(
		    c, "the token has expired; begin the list again"));
	page_r->seen = (room[1] & PAGE_SEEN) != 0;
	page_r->after =
	    arena_span(c->arena, (struct span){ plain.p + PAGE_HEAD_BYTES,
				     plain.n - PAGE_HEAD_BYTES });
	return (page_r->after.p != NULL ? RC_OK : RC_TOOBIG);
}

enum rc
aws_page_read(struct call *c, const json_t *in, struct aws_page *page_r)
{
	const json_t *n = aws_member(in, "maxResults");
	struct span token = aws_string(in, "nextToken");

	*page_r = (struct aws_page){ .n = AWS_PAGE_DEFAULT };
	if (n != NULL)
		page_r->n = (size_t)json_integer_value(n);
	if (token.p == NULL)
		return (RC_OK);
	return (page_read(c, token, page_r));
}

void
aws_page_next(struct call *c, json_t *out, const struct aws_page *page)
{
	uint8_t plain[PAGE_PLAIN_MAX_BYTES], sealed[PAGE_SEALED_MAX_BYTES];
	uint64_t now_ms = (uint64_t)clock_real_ms();
	size_t i, n = PAGE_HEAD_BYTES + page->after.n;
	char text[PAGE_TEXT_MAX_BYTES + 1];
	struct buf aad;

	must(page->after.n <= AWS_PAGE_AFTER_MAX_BYTES);
	plain[0] = PAGE_VERSION;
	plain[1] = page->seen ? PAGE_SEEN : 0;
	for (i = 0; i < 8; i++)
		plain[2 + i] = (uint8_t)(now_ms >> (56 - 8 * i));
	if (page->after.n > 0)
		memcpy(plain + PAGE_HEAD_BYTES, page->after.p, page->after.n);
	page_aad(c, &aad);
	seal(service_seal_key(c->service), buf_as_span(&aad),
	    (struct span){ (const char *)plain, n }, sealed);
	buf_free(&aad);
	base64url_encode(sealed, n + SEAL_OVERHEAD_BYTES, text);
	aws_put_text(out, "nextToken", span_of(text));
}
