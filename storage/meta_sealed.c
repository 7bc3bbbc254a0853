#include "base/mem.h"
#include "base/obj.h"
#include "storage/keys_int.h"
#include "storage/meta_ops_int.h"
#include "storage/sealed.h"

/*
 * Values of the database that are of a key domain: content, and what of
 * somebody's text stands in other rows.  Each is sealed by itself, and bound to
 * its row, so that nobody who can write the database can have one served as
 * another.
 */

static void
place_set(struct sealed_place *p, uint32_t domain, struct span what,
    const struct rec_key *k)
{

	p->key_domain = domain;
	if (domain == KEY_DOMAIN_PLAIN)
		return;
	must(what.n + k->n <= sizeof(p->aad));
	memcpy(p->aad, what.p, what.n);
	memcpy(p->aad + what.n, k->p, k->n);
	p->aad_n = what.n + k->n;
}

void
sealed_place_content(
    struct sealed_place *p, uint32_t domain, const struct rec_key *k)
{

	place_set(p, domain, SPAN("content"), k);
}

void
sealed_place_annotations(
    struct sealed_place *p, uint64_t repo, const struct rec_key *k)
{

	place_set(p, repo_domain(repo), SPAN("annotations"), k);
}

size_t
sealed_place_bytes(const struct sealed_place *p, size_t n)
{

	return (p->key_domain == KEY_DOMAIN_PLAIN
		    ? n
		    : n + SEALED_VALUE_OVERHEAD_BYTES);
}

bool
sealed_place_plain(const struct sealed_place *p, size_t stored, size_t *n_r)
{
	size_t over = sealed_place_bytes(p, 0);

	if (stored < over)
		return (false);
	*n_r = stored - over;
	return (true);
}

static struct span
place_aad(const struct sealed_place *p)
{

	return ((struct span){ p->aad, p->aad_n });
}

enum rc
sealed_put(struct meta_txn *t, const struct sealed_place *p, struct span plain,
    uint8_t *out)
{
	struct seal_key key;
	enum rc rc;

	if (p->key_domain == KEY_DOMAIN_PLAIN) {
		if (plain.n > 0)
			memcpy(out, plain.p, plain.n);
		return (RC_OK);
	}
	if ((rc = keys_load(t, p->key_domain, &key)) != RC_OK)
		return (rc);
	sealed_value_write(&key, place_aad(p), plain, out);
	mem_wipe(&key, sizeof(key));
	return (RC_OK);
}

enum rc
sealed_get(struct meta_txn *t, const struct sealed_place *p, struct span stored,
    struct arena *a, struct span *plain_r)
{
	struct seal_key key;
	uint8_t *out;
	size_t n;
	enum rc rc;

	if (p->key_domain == KEY_DOMAIN_PLAIN)
		return (copy_out(a, stored, plain_r));
	*plain_r = SPAN_NONE;
	if ((rc = keys_load(t, p->key_domain, &key)) != RC_OK)
		return (rc);
	out = arena_alloc(a, stored.n + 1);
	rc = out == NULL
		 ? RC_TOOBIG
		 : sealed_value_read(&key, place_aad(p), stored, out, &n);
	mem_wipe(&key, sizeof(key));
	if (rc == RC_OK)
		*plain_r = (struct span){ (const char *)out, n };
	return (rc);
}
