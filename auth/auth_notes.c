#include "auth/auth_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/entities.h"

/*
 * When an access key was used last.  Noted in a table of fixed size that a
 * flush takes away whole; the next note begins a new one.
 */
#define NOTE_JSON_BYTES 256
#define FLUSH_ROWS 256

void
notes_init(struct notes *n)
{

	*n = (struct notes){ 0 };
	mutex_init(&n->lock);
}

void
notes_fini(struct notes *n)
{

	free(n->places);
	must(pthread_mutex_destroy(&n->lock) == 0);
}

/* Its place or a free one; NULL: neither. */
static struct note *
note_place(struct note *places, struct span id)
{
	struct note *p, *free_one = NULL;
	size_t i;

	for (i = 0; i < NOTE_WAYS; i++) {
		p = &places[(span_hash(id) + i) % NOTES_PLACES];
		if (span_is(id, p->id))
			return (p);
		if (p->id[0] == '\0' && free_one == NULL)
			free_one = p;
	}
	return (free_one);
}

static void
note_text(char *out, size_t room, struct span s)
{

	(void)snprintf(out, room, "%.*s", (int)(s.n < room ? s.n : room - 1),
	    s.p != NULL ? s.p : "");
}

static void
note_put(struct notes *n, const struct note *note)
{
	struct note *p;

	if (n->places == NULL)
		n->places = xcalloc(NOTES_PLACES, sizeof(*n->places));
	p = note_place(n->places, span_of(note->id));
	if (p == NULL || (p->id[0] != '\0' && p->used_ms > note->used_ms))
		return;
	*p = *note;
}

void
auth_key_used(struct auth *a, struct span id, struct span service,
    struct span region, int64_t now_ms)
{
	struct note note = { .used_ms = now_ms };

	OBJ_CHECK(a, AUTH_MAGIC);
	if (id.n == 0 || id.n >= sizeof(note.id))
		return;
	note_text(note.id, sizeof(note.id), id);
	note_text(note.service, sizeof(note.service), service);
	note_text(note.region, sizeof(note.region), region);
	mutex_lock(&a->notes.lock);
	note_put(&a->notes, &note);
	mutex_unlock(&a->notes.lock);
}

/* --- writing ------------------------------------------------------------- */

static struct span
note_encode(const struct note *note, struct arena *arena)
{
	struct span s;
	char *text;
	json_t *o;

	o = json_pack("{sIssss}", "last_used_ms", (json_int_t)note->used_ms,
	    "service", note->service, "region", note->region);
	if (o == NULL) /* what is not UTF-8 is no name of a service */
		o = json_pack(
		    "{sI}", "last_used_ms", (json_int_t)note->used_ms);
	must(o != NULL && (text = json_dumps(o, JSON_COMPACT)) != NULL);
	json_decref(o);
	s = arena_span(arena, span_of(text));
	free(text);
	return (s);
}

static struct note *
notes_take(struct notes *n)
{
	struct note *places;

	mutex_lock(&n->lock);
	places = n->places;
	n->places = NULL;
	mutex_unlock(&n->lock);
	return (places);
}

static void
notes_put_back(struct notes *n, const struct note *places)
{
	size_t i;

	mutex_lock(&n->lock);
	for (i = 0; i < NOTES_PLACES; i++)
		if (places[i].id[0] != '\0')
			note_put(n, &places[i]);
	mutex_unlock(&n->lock);
}

/* Up to FLUSH_ROWS of them from *${from}; keys that are gone stay gone. */
static enum rc
notes_write(struct auth *a, const struct directory *d,
    const struct note *places, size_t *from)
{
	struct entity_change changes[FLUSH_ROWS];
	struct arena arena;
	uint64_t generation;
	struct span id;
	enum rc rc = RC_OK;
	size_t n = 0;

	arena_init(&arena, (size_t)FLUSH_ROWS * 2 * NOTE_JSON_BYTES);
	for (; *from < NOTES_PLACES && n < FLUSH_ROWS; (*from)++) {
		id = span_of(places[*from].id);
		if (id.n == 0 || dir_key_find(d, id) == NULL)
			continue;
		changes[n++] = (struct entity_change){
			.entity = { ENTITY_NOTE, id,
			    note_encode(&places[*from], &arena) }
		};
	}
	if (n > 0)
		rc = meta_entities_change(a->meta, 0, changes, n, &generation);
	arena_reset(&arena);
	return (rc);
}

void
auth_flush(struct auth *a)
{
	struct directory *d;
	struct note *places;
	size_t from = 0;
	enum rc rc = RC_OK;

	OBJ_CHECK(a, AUTH_MAGIC);
	if ((places = notes_take(&a->notes)) == NULL)
		return;
	d = auth_directory(a);
	while (rc == RC_OK && from < NOTES_PLACES)
		rc = notes_write(a, d, places, &from);
	if (rc != RC_OK) {
		log_warn("the last use of access keys was not written: %s",
		    rc_text(rc));
		notes_put_back(&a->notes, places);
	}
	directory_unref(&d);
	free(places);
}

/* --- reading ------------------------------------------------------------- */

static bool
note_pending(struct notes *n, struct span id, struct note *note_r)
{
	const struct note *p = NULL;

	mutex_lock(&n->lock);
	if (n->places != NULL)
		p = note_place(n->places, id);
	if (p != NULL && p->id[0] != '\0')
		*note_r = *p;
	else
		p = NULL;
	mutex_unlock(&n->lock);
	return (p != NULL);
}

static enum rc
note_decode(struct span record, struct note *note_r)
{
	char why[JSON_ERROR_BYTES];
	struct span s;
	json_t *o;
	enum rc rc;

	if (json_read(record, why, &o) != RC_OK)
		return (RC_CORRUPT);
	rc = json_get_int(o, "last_used_ms", &note_r->used_ms);
	if (json_get_str(o, "service", &s) == RC_OK)
		note_text(note_r->service, sizeof(note_r->service), s);
	if (json_get_str(o, "region", &s) == RC_OK)
		note_text(note_r->region, sizeof(note_r->region), s);
	json_decref(o);
	return (rc == RC_OK ? RC_OK : RC_CORRUPT);
}

enum rc
auth_note_get(struct auth *a, struct span id, struct note *note_r)
{
	struct arena arena;
	struct entity e;
	enum rc rc;

	*note_r = (struct note){ 0 };
	if (note_pending(&a->notes, id, note_r))
		return (RC_OK);
	arena_init(&arena, 2 * ENTITY_RECORD_MAX_BYTES);
	rc = meta_entity_get(a->meta, ENTITY_NOTE, id, &arena, &e);
	if (rc == RC_OK)
		rc = note_decode(e.record, note_r);
	arena_reset(&arena);
	return (rc);
}
