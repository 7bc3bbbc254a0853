#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "storage/keys_int.h"

/*
 * Key domains as they stand in the metadata.
 */

#define DOMAIN_DIGITS 8

void
key_record_key(struct rec_key *k, uint32_t domain)
{
	char name[DOMAIN_DIGITS + 1];

	(void)snprintf(name, sizeof(name), "%08" PRIx32, domain);
	key_entity(k, ENTITY_KEY_DOMAIN, span_of(name));
}

bool
key_record_domain(struct span key, uint32_t *domain_r)
{
	uint8_t bytes[DOMAIN_DIGITS / 2];
	struct span name;
	uint8_t kind;

	if (!key_read_entity(key, &kind, &name) || kind != ENTITY_KEY_DOMAIN ||
	    hex_decode(name, bytes, sizeof(bytes)) != RC_OK)
		return (false);
	*domain_r = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
		    (uint32_t)bytes[2] << 8 | bytes[3];
	return (*domain_r != KEY_DOMAIN_PLAIN);
}

struct span
key_label(const struct key_record *rec, char out[KEY_LABEL_BYTES])
{
	int n;

	n = snprintf(out, KEY_LABEL_BYTES, "key domain %" PRIu32 " " SPAN_FMT,
	    rec->key_domain, SPAN_ARG(rec->name));
	must(n > 0 && n < KEY_LABEL_BYTES);
	return ((struct span){ out, (size_t)n });
}

enum rc
key_record_write(const struct key_record *rec, struct buf *b)
{
	char wrapped[BASE64_LEN(WRAPPED_KEY_BYTES) + 1];

	base64_encode(rec->wrapped, sizeof(rec->wrapped), wrapped);
	buf_str(b, "{\"name\":");
	buf_json(b, rec->name);
	buf_printf(b, ",\"created\":%" PRId64 ",\"wrapped\":\"%s\"}",
	    rec->created_ms, wrapped);
	return (buf_ok(b) ? RC_OK : RC_TOOBIG);
}

static bool
wrapped_read(struct span text, uint8_t wrapped[WRAPPED_KEY_BYTES])
{
	uint8_t bytes[WRAPPED_KEY_BYTES + 2]; /* threes are decoded */
	size_t n;

	if (text.n != BASE64_LEN((size_t)WRAPPED_KEY_BYTES) ||
	    base64_decode(text, bytes, &n) != RC_OK || n != WRAPPED_KEY_BYTES)
		return (false);
	memcpy(wrapped, bytes, n);
	return (true);
}

static bool
name_read(struct span name, struct arena *a, struct key_record *rec)
{

	if (name.n == 0 || name.n > 4 + KEY_NAME_MAX_BYTES ||
	    memchr(name.p, '\0', name.n) != NULL)
		return (false);
	rec->name = arena_span(a, name);
	return (rec->name.p != NULL);
}

enum rc
key_record_read(struct span record, struct arena *a, struct key_record *rec_r)
{
	char why[JSON_ERROR_BYTES];
	struct span name, wrapped;
	json_t *doc;
	bool ok;

	if (record.n > KEY_RECORD_MAX_BYTES ||
	    json_read(record, why, &doc) != RC_OK)
		return (RC_INVALID);
	ok = json_get_str(doc, "name", &name) == RC_OK &&
	     json_get_int(doc, "created", &rec_r->created_ms) == RC_OK &&
	     json_get_str(doc, "wrapped", &wrapped) == RC_OK &&
	     wrapped_read(wrapped, rec_r->wrapped) && name_read(name, a, rec_r);
	json_decref(doc);
	return (ok ? RC_OK : RC_INVALID);
}

/* --- rows ---------------------------------------------------------------- */

#define ROW_ARENA_BYTES ((size_t)16 * 1024)

enum rc
key_record_load(struct meta_txn *t, uint32_t domain, struct arena *a,
    struct key_record *rec_r)
{
	struct span value, record;
	struct rec_key k;
	enum rc rc;

	*rec_r = (struct key_record){ .key_domain = domain };
	key_record_key(&k, domain);
	rc = kv_get(t, TABLE_ENTITIES, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	if (!rec_entity_read(value, &record))
		return (RC_INVALID);
	return (key_record_read(record, a, rec_r));
}

enum rc
key_record_save(struct meta_txn *t, const struct key_record *rec)
{
	struct rec_key k;
	struct buf b;
	uint8_t *p;
	enum rc rc;

	buf_init(&b, KEY_RECORD_MAX_BYTES);
	key_record_key(&k, rec->key_domain);
	if ((rc = key_record_write(rec, &b)) == RC_OK)
		rc = kv_reserve(t, TABLE_ENTITIES, key_span(&k),
		    rec_entity_size(buf_as_span(&b)), &p);
	if (rc == RC_OK)
		rec_entity_write(buf_as_span(&b), p);
	buf_free(&b);
	return (rc);
}

static enum rc
row_give(struct kv_walk *w, struct arena *a, key_record_fn *fn, void *arg)
{
	struct key_record rec = { 0 };
	struct span record;
	bool bad;

	/* A name that is none is fsck's matter. */
	if (!key_record_domain(w->key, &rec.key_domain))
		return (RC_OK);
	bad = !rec_entity_read(w->value, &record) ||
	      key_record_read(record, a, &rec) != RC_OK;
	return (fn(arg, &rec, bad));
}

enum rc
key_record_walk(struct meta_txn *t, uint32_t from, key_record_fn *fn, void *arg)
{
	struct rec_key first;
	struct kv_walk w;
	struct span kind = { (const char *)first.p, 1 };
	struct arena a;
	enum rc rc;

	key_record_key(&first, from);
	rc = kv_walk_begin(t, TABLE_ENTITIES, kind, key_span(&first), &w);
	if (rc != RC_OK)
		return (rc);
	arena_init(&a, ROW_ARENA_BYTES);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if ((rc = row_give(&w, &a, fn, arg)) != RC_OK)
			break;
		arena_reset(&a);
	}
	arena_reset(&a);
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* --- wrapping ------------------------------------------------------------ */

enum rc
key_record_unwrap(const struct keyring *ring, const struct key_record *rec,
    struct seal_key *key_r, bool *old_r)
{
	char label[KEY_LABEL_BYTES];

	if (ring == NULL)
		return (RC_MISSING);
	return (keyring_unwrap(ring, key_label(rec, label),
	    (struct span){ (const char *)rec->wrapped, WRAPPED_KEY_BYTES },
	    key_r, old_r));
}

void
key_record_wrap(const struct keyring *ring, const struct seal_key *key,
    struct key_record *rec)
{
	char label[KEY_LABEL_BYTES];

	keyring_wrap(ring, key_label(rec, label), key, rec->wrapped);
}
