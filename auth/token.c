#include "auth/token.h"

#include <assert.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * What is sealed, numbers big-endian:
 *
 *	u8 version (1), u8 kind, i64 issued_ms, i64 expires_ms,
 *	16 bytes password_mark,
 *	then six strings, each a u16 length and its bytes: account, user,
 *	access_key, scopes, secret, session_key
 *
 * and nothing behind.  The text has one form only (base64url is read
 * strictly), so that a token is equal to itself and to nothing else.
 */
#define TOKEN_VERSION 1
#define TOKEN_SEALED_MAX_BYTES (TOKEN_MAX_BYTES / 4 * 3)
#define TOKEN_PLAIN_MAX_BYTES (TOKEN_SEALED_MAX_BYTES - SEAL_OVERHEAD_BYTES)

static const struct span seal_aad = SPAN_INIT("registryd token");

/* Written from the front; once it is full it stays so. */
struct packer {
	size_t n;
	bool full;
	uint8_t p[TOKEN_PLAIN_MAX_BYTES];
};

static void
pack(struct packer *k, const void *p, size_t n)
{
	if (k->full || n > sizeof(k->p) - k->n) {
		k->full = true;
		return;
	}
	if (n > 0)
		memcpy(k->p + k->n, p, n);
	k->n += n;
}

static void
pack_number(struct packer *k, uint64_t v, size_t n_bytes)
{
	uint8_t bytes[8];
	size_t i;

	for (i = 0; i < n_bytes; i++)
		bytes[i] = (uint8_t)(v >> (8 * (n_bytes - 1 - i)));
	pack(k, bytes, n_bytes);
}

static void
pack_string(struct packer *k, struct span s)
{
	if (s.n > UINT16_MAX)
		k->full = true;
	pack_number(k, s.n, 2);
	pack(k, s.p, s.n);
}

static void
pack_token(struct packer *k, const struct token *t)
{
	pack_number(k, TOKEN_VERSION, 1);
	pack_number(k, t->kind, 1);
	pack_number(k, (uint64_t)t->issued_ms, 8);
	pack_number(k, (uint64_t)t->expires_ms, 8);
	pack(k, t->password_mark, sizeof(t->password_mark));
	pack_string(k, t->account);
	pack_string(k, t->user);
	pack_string(k, t->access_key);
	pack_string(k, t->scopes);
	pack_string(k, t->secret);
	pack_string(k, t->session_key);
}

enum rc
token_make(const struct seal_key *key, const struct token *t,
    char out[TOKEN_MAX_BYTES])
{
	uint8_t sealed[TOKEN_SEALED_MAX_BYTES];
	struct packer k = { .n = 0 };
	enum rc rc = RC_TOOBIG;

	out[0] = '\0';
	if (t->user.n > TOKEN_NAME_MAX_BYTES ||
	    t->scopes.n > TOKEN_SCOPES_MAX_BYTES)
		return (RC_TOOBIG);
	pack_token(&k, t);
	if (!k.full &&
	    BASE64URL_LEN(k.n + SEAL_OVERHEAD_BYTES) < TOKEN_MAX_BYTES) {
		seal(key, seal_aad, (struct span){ (const char *)k.p, k.n },
		    sealed);
		base64url_encode(sealed, k.n + SEAL_OVERHEAD_BYTES, out);
		rc = RC_OK;
	}
	mem_wipe(&k, sizeof(k));
	return (rc);
}

/* Read from the front; once it is short it stays so. */
struct unpacker {
	const uint8_t *p;
	size_t n;
	bool short_of;
};

static const uint8_t *
unpack(struct unpacker *u, size_t n)
{
	const uint8_t *p = u->p;

	if (u->short_of || n > u->n) {
		u->short_of = true;
		return (NULL);
	}
	u->p += n;
	u->n -= n;
	return (p);
}

static uint64_t
unpack_number(struct unpacker *u, size_t n_bytes)
{
	const uint8_t *p = unpack(u, n_bytes);
	uint64_t v = 0;
	size_t i;

	for (i = 0; p != NULL && i < n_bytes; i++)
		v = v << 8 | p[i];
	return (v);
}

static struct span
unpack_string(struct unpacker *u)
{
	size_t n = (size_t)unpack_number(u, 2);
	const uint8_t *p = unpack(u, n);

	return ((struct span){ (const char *)p, p != NULL ? n : 0 });
}

static enum rc
unpack_token(struct unpacker *u, struct token *t)
{
	const uint8_t *mark;
	uint64_t version;

	version = unpack_number(u, 1);
	t->kind = (enum token_kind)unpack_number(u, 1);
	t->issued_ms = (int64_t)unpack_number(u, 8);
	t->expires_ms = (int64_t)unpack_number(u, 8);
	mark = unpack(u, sizeof(t->password_mark));
	if (mark != NULL)
		memcpy(t->password_mark, mark, sizeof(t->password_mark));
	t->account = unpack_string(u);
	t->user = unpack_string(u);
	t->access_key = unpack_string(u);
	t->scopes = unpack_string(u);
	t->secret = unpack_string(u);
	t->session_key = unpack_string(u);
	if (version != TOKEN_VERSION || u->short_of || u->n > 0)
		return (RC_INVALID);
	return (RC_OK);
}

static bool
kind_welcome(unsigned kinds, enum token_kind kind)
{
	return (kind >= TOKEN_LOGIN && kind <= TOKEN_SESSION &&
		(kinds & 1u << kind) != 0);
}

/* The sealed bytes are of no use to anybody and need no wiping. */
static enum rc
token_open(const struct seal_key *key, struct span text,
    struct token_room *room, size_t *n_r)
{
	uint8_t sealed[TOKEN_SEALED_MAX_BYTES];
	enum rc rc;
	size_t n;

	static_assert(sizeof(room->bytes) >= sizeof(sealed), "room");
	*n_r = 0;
	if (text.n >= TOKEN_MAX_BYTES)
		return (RC_INVALID);
	if ((rc = base64url_decode(text, sealed, &n)) != RC_OK)
		return (rc);
	return (seal_open(key, seal_aad,
	    (struct span){ (const char *)sealed, n }, room->bytes, n_r));
}

enum rc
token_read(const struct seal_key *key, unsigned kinds, struct span text,
    struct token_room *room, struct token *t_r)
{
	struct unpacker u = { .p = room->bytes };
	enum rc rc;

	*t_r = (struct token){ .kind = 0 };
	if ((rc = token_open(key, text, room, &u.n)) != RC_OK)
		return (rc);
	rc = unpack_token(&u, t_r);
	if (rc == RC_OK && !kind_welcome(kinds, t_r->kind))
		rc = RC_INVALID;
	if (rc != RC_OK) {
		mem_wipe(room, sizeof(*room));
		*t_r = (struct token){ .kind = 0 };
	}
	return (rc);
}

bool
token_expired(const struct token *t, int64_t now_ms)
{
	return (now_ms >= t->expires_ms);
}
