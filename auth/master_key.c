#include "auth/master_key.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/keyring.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/entities.h"
#include "storage/keys.h"
#include "storage/meta.h"

/*
 * To rotate: a new key in front of the file; all keys wrapped anew, the seal
 * keys in one transaction and those of repositories in another; the old key out
 * of the file.  At every moment the file holds the key that each of them is
 * wrapped under, so a crash anywhere leaves a folder that opens, and what opens
 * it does the steps that are left (auth_keys.c, mirror/secrets.c, storage/).
 *
 * Who makes a seal key meanwhile takes the master key out of the file and names
 * the generation of the entities that he has seen, so either he is seen here,
 * or he has to begin anew, with the new key: that is why the transaction notes
 * when it was, also where there is no seal key.  For keys of repositories the
 * store sees to the same.
 */
#define CHANGE_TRIES 32
#define SEAL_KEYS_MAX 16
#define ROTATED_RECORD_BYTES 64
#define ARENA_BYTES ((size_t)64 << 10)
#define LIST_ARENA_BYTES ((size_t)64 << 20)

static_assert(MASTER_KEY_WHY_BYTES >= KEYRING_WHY_BYTES, "one buffer");
static_assert(MASTER_KEY_WHY_BYTES >= STORE_WHY_BYTES, "one buffer");

static enum rc __attribute__((format(printf, 3, 4)))
say(char why[MASTER_KEY_WHY_BYTES], enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, MASTER_KEY_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

static bool
in_environment(const struct master_key *m)
{
	return (m->text != NULL && m->text[0] != '\0');
}

const char *
master_key_name(const struct master_key *m)
{
	return (in_environment(m) ? "REGISTRYD_MASTER_KEY" : m->file);
}

/* --- opening ------------------------------------------------------------- */

/* Does the metadata hold a seal key, of whatever? */
static enum rc
anything_wrapped(const struct master_key *m, bool *wrapped_r, char *why)
{
	struct entity_page page;
	struct arena arena;
	enum rc rc;

	arena_init(&arena, ARENA_BYTES);
	rc = meta_entity_page(
	    store_meta(m->store), ENTITY_SEAL_KEY, SPAN_NONE, 1, &arena, &page);
	if (rc == RC_OK)
		*wrapped_r = page.n > 0;
	else
		(void)say(why, rc, "reading the seal keys: %s", rc_text(rc));
	arena_reset(&arena);
	return (rc);
}

enum rc
master_key_unmade(const char *file, char why[MASTER_KEY_WHY_BYTES])
{
	char *copy = xstrdup(file);
	const char *folder = dirname(copy);
	enum rc rc;

	if (access(folder, F_OK) != 0 && errno == ENOENT)
		rc = say(why, RC_NOTFOUND,
		    "the master key %s cannot be made: its folder %s does not "
		    "exist; make the folder, or name another file",
		    file, folder);
	else
		rc = say(why, RC_NOTFOUND,
		    "the master key %s cannot be made there: is it a link to "
		    "nowhere?  Name another file",
		    file);
	free(copy);
	return (rc);
}

/* The file is missing, and no key of a repository is wrapped under it. */
static enum rc
ring_make(const struct master_key *m, struct keyring **ring_r, char *why)
{
	bool wrapped = false;
	enum rc rc;

	if ((rc = anything_wrapped(m, &wrapped, why)) != RC_OK)
		return (rc);
	if (wrapped)
		return (say(why, RC_NOTFOUND,
		    "the master key is not there: %s.  This registry holds "
		    "secrets that are sealed under it; put the file back (or "
		    "set REGISTRYD_MASTER_KEY).  No new one is made, since "
		    "that could not open them",
		    m->file));
	rc = keyring_open(m->file, m->text, true, why, ring_r);
	if (rc == RC_NOTFOUND)
		return (master_key_unmade(m->file, why));
	if (rc == RC_OK)
		log_info("made the master key %s, under which encrypted "
			 "repositories have their keys: keep a copy of it "
			 "elsewhere, as without it they cannot be read",
		    m->file);
	return (rc == RC_BUSY ? RC_LIMIT : rc);
}

/* What the store says of its keys, behind what is ${wrong} with the master key.
 */
static enum rc
keys_open(const struct master_key *m, struct keyring **ring, const char *wrong,
    bool lacking, char *why)
{
	char of_keys[STORE_WHY_BYTES] = "";
	enum rc rc;

	rc = store_keys_open(m->store, ring, lacking, of_keys);
	if (rc == RC_OK && of_keys[0] == '\0')
		return (say(why, rc, "%s", wrong));
	if (wrong[0] != '\0')
		return (say(why, rc, "%.*s; %s", (int)KEYRING_WHY_BYTES, wrong,
		    of_keys));
	return (say(why, rc, "master key %s: %s", master_key_name(m), of_keys));
}

enum rc
master_key_open(const struct master_key *m, bool make, bool lacking,
    char why[MASTER_KEY_WHY_BYTES])
{
	char wrong[MASTER_KEY_WHY_BYTES] = "";
	struct keyring *ring = NULL;
	size_t n = 0;
	enum rc rc;

	why[0] = '\0';
	if ((rc = store_keys_count(m->store, &n)) != RC_OK)
		return (say(why, rc, "reading the keys of repositories: %s",
		    rc_text(rc)));
	rc = keyring_open(m->file, m->text, false, wrong, &ring);
	if (rc != RC_OK && n == 0 && !make)
		return (RC_NOTFOUND);
	if (rc == RC_NOTFOUND && n == 0)
		rc = ring_make(m, &ring, wrong);
	if (rc != RC_OK && n == 0)
		return (say(why, rc, "%s", wrong));
	if (rc == RC_NOTFOUND)
		(void)say(
		    wrong, rc, "the master key is not there: %s", m->file);
	rc = keys_open(m, &ring, rc == RC_OK ? "" : wrong, lacking, why);
	keyring_free(&ring);
	return (rc);
}

/* --- the seal keys ------------------------------------------------------- */

/* Those of the metadata, unwrapped. */
struct seal_keys {
	uint64_t generation;
	size_t n;
	struct span names[SEAL_KEYS_MAX];
	struct seal_key keys[SEAL_KEYS_MAX];
	bool old; /* one is under another than the current master key */
	struct arena arena;
};

static enum rc
seal_key_take(const struct master_key *m, const struct keyring *ring,
    const struct entity *e, struct seal_keys *k, char *why)
{
	bool old = false;
	enum rc rc;

	rc = keyring_unwrap(ring, e->name, e->record, &k->keys[k->n], &old);
	if (rc == RC_NOTFOUND)
		return (say(why, rc,
		    "the seal key \"" SPAN_FMT
		    "\" is under another master key than that of %s: give the "
		    "right one",
		    SPAN_ARG(e->name), m->file));
	if (rc != RC_OK)
		return (say(why, RC_CORRUPT,
		    "the seal key \"" SPAN_FMT
		    "\" is damaged: restore a backup",
		    SPAN_ARG(e->name)));
	k->names[k->n++] = e->name;
	k->old |= old;
	return (RC_OK);
}

/* To be ended, however it went. */
static enum rc
seal_keys_read(const struct master_key *m, const struct keyring *ring,
    struct seal_keys *k, char *why)
{
	struct entity_page page = { 0 };
	enum rc rc;
	size_t i;

	*k = (struct seal_keys){ 0 };
	arena_init(&k->arena, ARENA_BYTES);
	rc = meta_entity_page(store_meta(m->store), ENTITY_SEAL_KEY, SPAN_NONE,
	    SEAL_KEYS_MAX, &k->arena, &page);
	if (rc != RC_OK)
		return (say(why, rc, "reading the seal keys: %s", rc_text(rc)));
	must(!page.more);
	k->generation = page.generation;
	for (i = 0; rc == RC_OK && i < page.n; i++)
		rc = seal_key_take(m, ring, &page.rows[i], k, why);
	return (rc);
}

static void
seal_keys_end(struct seal_keys *k)
{
	arena_reset(&k->arena);
	mem_wipe(k->keys, sizeof(k->keys));
}

static struct entity_change
rotated_change(char text[ROTATED_RECORD_BYTES])
{
	int n;

	n = snprintf(text, ROTATED_RECORD_BYTES, "{\"rotated\":%lld}",
	    (long long)clock_real_ms());
	must(n > 0 && n < ROTATED_RECORD_BYTES);
	return ((struct entity_change){
	    .entity = { ENTITY_REGISTRY, SPAN("master-key"),
		{ text, (size_t)n } },
	});
}

/* RC_BUSY: entities have changed meanwhile. */
static enum rc
seal_keys_write(const struct master_key *m, const struct keyring *ring,
    const struct seal_keys *k, char *why)
{
	uint8_t wrapped[SEAL_KEYS_MAX][WRAPPED_KEY_BYTES];
	struct entity_change changes[SEAL_KEYS_MAX + 1];
	char rotated[ROTATED_RECORD_BYTES];
	uint64_t generation;
	enum rc rc;
	size_t i;

	for (i = 0; i < k->n; i++) {
		keyring_wrap(ring, k->names[i], &k->keys[i], wrapped[i]);
		changes[i] = (struct entity_change){
			.entity = { ENTITY_SEAL_KEY, k->names[i],
			    { (const char *)wrapped[i], WRAPPED_KEY_BYTES } },
			.must_exist = true,
		};
	}
	changes[k->n] = rotated_change(rotated);
	rc = meta_entities_change(store_meta(m->store), k->generation, changes,
	    k->n + 1, &generation);
	if (rc == RC_NOTFOUND)
		rc = RC_BUSY;
	if (rc != RC_OK)
		(void)say(why, rc,
		    "wrapping the seal keys anew: %s; all is as it was, and "
		    "may be tried again",
		    rc_text(rc));
	return (rc);
}

/* --- rotation ------------------------------------------------------------ */

/* RC_BUSY says here that entities have changed, and is tried again at once. */
static enum rc
locked_out(enum rc rc)
{
	return (rc == RC_BUSY ? RC_LIMIT : rc);
}

static enum rc
ring_read(const struct master_key *m, struct keyring **ring_r, char *why)
{
	enum rc rc;

	rc = keyring_open(m->file, NULL, false, why, ring_r);
	if (rc == RC_NOTFOUND)
		return (
		    say(why, rc, "the master key is not there: %s", m->file));
	return (locked_out(rc));
}

/* All keys under the current master key of the file; of seal keys those that
 * are so already stay as they are, unless it is a ${new} one: then the
 * generation has to move. */
static enum rc
wrap_once(const struct master_key *m, bool new, size_t *n_r, char *why)
{
	char of_keys[STORE_WHY_BYTES] = "";
	struct keyring *ring = NULL;
	struct seal_keys k;
	size_t n = 0;
	enum rc rc;

	if ((rc = ring_read(m, &ring, why)) != RC_OK)
		return (rc);
	rc = seal_keys_read(m, ring, &k, why);
	if (rc == RC_OK && (k.old || new))
		rc = seal_keys_write(m, ring, &k, why);
	*n_r = k.n;
	seal_keys_end(&k);
	if (rc == RC_OK) {
		rc = store_keys_open(m->store, &ring, false, of_keys);
		if (rc == RC_OK)
			rc = store_keys_count(m->store, &n);
		if (rc != RC_OK)
			rc = say(why, locked_out(rc), "%s: %s", m->file,
			    of_keys[0] != '\0' ? of_keys : rc_text(rc));
		*n_r += n;
	}
	keyring_free(&ring);
	return (rc);
}

static enum rc
wrap_all(const struct master_key *m, bool new, size_t *n_r, char *why)
{
	enum rc rc = RC_BUSY;
	unsigned i;

	for (i = 0; rc == RC_BUSY && i < CHANGE_TRIES; i++)
		rc = wrap_once(m, new, n_r, why);
	return (locked_out(rc));
}

enum rc
master_key_rotate(
    const struct master_key *m, size_t *n_r, char why[MASTER_KEY_WHY_BYTES])
{
	size_t n = 0;
	enum rc rc;

	why[0] = '\0';
	*n_r = 0;
	if (in_environment(m))
		return (say(why, RC_INVALID,
		    "the master key comes from REGISTRYD_MASTER_KEY and cannot "
		    "be replaced from here: start once with "
		    "REGISTRYD_MASTER_KEY=new,old, which wraps all keys under "
		    "the new one, and from then on with the new one alone"));
	/* What an interrupted rotation left is ended first, so that the file
	 * does not grow. */
	if ((rc = wrap_all(m, false, &n, why)) != RC_OK ||
	    (rc = locked_out(keyring_file_trim(m->file, why))) != RC_OK ||
	    (rc = locked_out(keyring_file_add(m->file, why))) != RC_OK ||
	    (rc = wrap_all(m, true, n_r, why)) != RC_OK ||
	    (rc = locked_out(keyring_file_trim(m->file, why))) != RC_OK)
		return (rc);
	/* And out of memory with the old one. */
	if (wrap_all(m, false, &n, why) != RC_OK)
		log_warn("%s: %s", m->file, why);
	return (RC_OK);
}

/* --- the list ------------------------------------------------------------ */

static json_t *
time_json(int64_t ms)
{
	char text[CLOCK_ISO_BYTES];

	return (json_string(clock_iso(ms, text)));
}

static json_t *
row_json(const struct key_row *row)
{
	return (json_pack("{s:I,s:s%,s:o,s:I,s:b,s:s}", "number",
	    (json_int_t)row->key_domain, "name", row->name.p, row->name.n,
	    "created", time_json(row->created_ms), "repositories",
	    (json_int_t)row->repositories, "here", row->here, "state",
	    row->here ? "yes" : "no"));
}

/* NULL: never, or it is not known. */
static json_t *
rotated_json(struct store *store)
{
	char wrong[JSON_ERROR_BYTES];
	json_t *o = NULL, *when = NULL;
	struct arena arena;
	struct entity e;
	int64_t ms;

	arena_init(&arena, ARENA_BYTES);
	if (meta_entity_get(store_meta(store), ENTITY_REGISTRY,
		SPAN("master-key"), &arena, &e) == RC_OK &&
	    json_read(e.record, wrong, &o) == RC_OK &&
	    json_get_int(o, "rotated", &ms) == RC_OK)
		when = time_json(ms);
	json_decref(o);
	arena_reset(&arena);
	return (when);
}

enum rc
master_key_list(struct store *store, json_t **list_r)
{
	json_t *list = json_array();
	struct key_row *rows;
	struct arena arena;
	size_t i, n = 0;
	enum rc rc;

	arena_init(&arena, LIST_ARENA_BYTES);
	rc = keys_list(store, &arena, &rows, &n);
	for (i = 0; rc == RC_OK && i < n; i++)
		must(json_array_append_new(list, row_json(&rows[i])) == 0);
	arena_reset(&arena);
	if (rc == RC_OK)
		*list_r = json_pack(
		    "{s:O,s:o?}", "keys", list, "rotated", rotated_json(store));
	json_decref(list);
	return (rc);
}
