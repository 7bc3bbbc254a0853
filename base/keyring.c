#include "base/keyring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/keyring_int.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Master keys in memory: read from text, named, and what they wrap.  The name
 * of a key is a code of it that tells nothing about it; it says at once which
 * key wrapped what, and that a key is missing rather than the metadata damaged.
 */
#define NAME_BYTES 8
#define KEYRING_MAGIC 0x6b657972u

struct master {
	uint8_t name[NAME_BYTES];
	struct seal_key key;
};

struct keyring {
	unsigned magic;
	size_t n_keys;
	struct master keys[KEYRING_KEYS_MAX];
};

static void
name_of(const struct seal_key *k, uint8_t name[NAME_BYTES])
{
	const struct span what = SPAN("registryd name of a master key");
	uint8_t mac[SECRET_MAC_BYTES];

	secret_mac((struct span){ (const char *)k->bytes, sizeof(k->bytes) },
	    &what, 1, mac);
	memcpy(name, mac, NAME_BYTES);
}

/* Digits of either case, as people and tools write them. */
enum rc
keyring_key_read(struct span text, struct seal_key *k_r)
{
	char lower[2 * SEAL_KEY_BYTES];
	enum rc rc = RC_INVALID;
	size_t i;

	if (text.n == sizeof(lower)) {
		for (i = 0; i < text.n; i++)
			lower[i] = text.p[i] >= 'A' && text.p[i] <= 'F'
				       ? (char)(text.p[i] - 'A' + 'a')
				       : text.p[i];
		rc = hex_decode((struct span){ lower, sizeof(lower) },
		    k_r->bytes, sizeof(k_r->bytes));
		mem_wipe(lower, sizeof(lower));
	}
	if (rc != RC_OK)
		mem_wipe(k_r, sizeof(*k_r));
	return (rc);
}

bool
keyring_line(
    struct span *rest, char separator, struct span *line_r, bool *comment_r)
{
	if (!span_split(rest, separator, line_r))
		return (false);
	if (line_r->n > 0 && line_r->p[line_r->n - 1] == '\r')
		line_r->n--;
	*line_r = span_trim(*line_r);
	*comment_r = line_r->n == 0 || line_r->p[0] == '#';
	return (true);
}

/* ${where} stands in front of what is wrong. */
static enum rc
keys_read(struct keyring *ring, struct span text, char separator,
    const char *where, char why[KEYRING_WHY_BYTES])
{
	struct master *m;
	struct span line;
	bool comment;
	unsigned n;

	for (n = 1; keyring_line(&text, separator, &line, &comment); n++) {
		if (comment)
			continue;
		if (ring->n_keys == KEYRING_KEYS_MAX) {
			(void)snprintf(why, KEYRING_WHY_BYTES,
			    "%s: more than %d keys", where, KEYRING_KEYS_MAX);
			return (RC_INVALID);
		}
		m = &ring->keys[ring->n_keys];
		if (keyring_key_read(line, &m->key) != RC_OK) {
			(void)snprintf(why, KEYRING_WHY_BYTES,
			    "%s: %s %u is not a key: 64 hexadecimal digits",
			    where, separator == ',' ? "part" : "line", n);
			return (RC_INVALID);
		}
		name_of(&m->key, m->name);
		ring->n_keys++;
	}
	if (ring->n_keys > 0)
		return (RC_OK);
	(void)snprintf(why, KEYRING_WHY_BYTES, "%s: holds no key", where);
	return (RC_INVALID);
}

static enum rc
file_read(struct keyring *ring, const char *file, bool create,
    char why[KEYRING_WHY_BYTES])
{
	struct keyring_text *text;
	enum rc rc;

	text = xcalloc(1, sizeof(*text));
	rc = keyring_file_read(file, text, why);
	if (rc == RC_NOTFOUND && create) {
		rc = keyring_file_make(file, why);
		if (rc == RC_OK)
			rc = keyring_file_read(file, text, why);
	}
	if (rc == RC_OK)
		rc = keys_read(
		    ring, (struct span){ text->p, text->n }, '\n', file, why);
	mem_wipe(text, sizeof(*text));
	free(text);
	return (rc);
}

enum rc
keyring_open(const char *file, const char *text, bool create,
    char why[KEYRING_WHY_BYTES], struct keyring **ring_r)
{
	struct keyring *ring;
	enum rc rc;

	*ring_r = NULL;
	why[0] = '\0';
	ring = xcalloc(1, sizeof(*ring));
	ring->magic = KEYRING_MAGIC;
	if (text != NULL && text[0] != '\0')
		rc = keys_read(ring, span_of(text), ',',
		    "the master key in the environment", why);
	else
		rc = file_read(ring, file, create, why);
	if (rc != RC_OK)
		keyring_free(&ring);
	*ring_r = ring;
	return (rc);
}

void
keyring_free(struct keyring **rp)
{
	struct keyring *ring;

	if (rp == NULL || *rp == NULL)
		return;
	ring = *rp;
	*rp = NULL;
	OBJ_CHECK(ring, KEYRING_MAGIC);
	mem_wipe(ring, sizeof(*ring));
	free(ring);
}

size_t
keyring_size(const struct keyring *ring)
{

	OBJ_CHECK(ring, KEYRING_MAGIC);
	return (ring->n_keys);
}

void
keyring_wrap(const struct keyring *ring, struct span label,
    const struct seal_key *key, uint8_t out[WRAPPED_KEY_BYTES])
{
	const struct master *m;

	OBJ_CHECK(ring, KEYRING_MAGIC);
	m = &ring->keys[0];
	memcpy(out, m->name, NAME_BYTES);
	seal(&m->key, label,
	    (struct span){ (const char *)key->bytes, sizeof(key->bytes) },
	    out + NAME_BYTES);
}

static enum rc
unwrap(const struct master *m, struct span label, struct span sealed,
    struct seal_key *key_r)
{
	uint8_t plain[SEAL_KEY_BYTES + SEAL_OVERHEAD_BYTES];
	enum rc rc;
	size_t n;

	rc = seal_open(&m->key, label, sealed, plain, &n);
	if (rc == RC_OK)
		memcpy(key_r->bytes, plain, sizeof(key_r->bytes));
	mem_wipe(plain, sizeof(plain));
	return (rc);
}

enum rc
keyring_unwrap(const struct keyring *ring, struct span label,
    struct span wrapped, struct seal_key *key_r, bool *old_r)
{
	size_t i;

	OBJ_CHECK(ring, KEYRING_MAGIC);
	*old_r = false;
	if (wrapped.n != WRAPPED_KEY_BYTES)
		return (RC_INVALID);
	for (i = 0; i < ring->n_keys; i++)
		if (memcmp(ring->keys[i].name, wrapped.p, NAME_BYTES) == 0)
			break;
	if (i == ring->n_keys)
		return (RC_NOTFOUND);
	*old_r = i > 0;
	wrapped.p += NAME_BYTES;
	wrapped.n -= NAME_BYTES;
	return (unwrap(&ring->keys[i], label, wrapped, key_r));
}
