#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/api/control_int.h"
#include "registryd/service.h"
#include "scan/advisory_import.h"

/*
 * The advisory database, of which scans know what is vulnerable.
 *
 * A file of advisories is read as it arrives, by a thread of its own: libarchive
 * wants to ask for the next piece, and gets the one that has come, while its
 * sender waits; so no more than one piece is in memory, and the socket is read
 * as fast as the database takes what is in it.
 *
 * A fault in the file does not end the reading of the body: who sent it is to be
 * told what it was, and not in the middle of sending.
 */
#define INTAKE_MAGIC 0x61647673u
#define INTAKE_BODY_MAX_BYTES ((uint64_t)16 << 30)
#define INTAKE_ARENA_BYTES ((size_t)16 << 20)

struct intake {
	unsigned magic;
	pthread_t thread;
	char *source; /* "": as the file says */
	struct meta *meta;
	_Atomic bool stop;
	pthread_mutex_t lock;
	pthread_cond_t turn; /* something of the following has changed */
	const void *piece;   /* that has come and is not read yet; or NULL */
	size_t piece_n;
	bool reading; /* the thread is at it */
	bool at_end;  /* none comes any more, and */
	bool broken;  /* that was not all */
	bool done;    /* the thread wants no more */
	/* The thread's, until it is joined. */
	struct arena arena;
	enum rc rc;
	char why[ADVISORY_WHY_BYTES];
	struct advisory_imported imported;
};

/* --- its thread ---------------------------------------------------------- */

static void
turn_pass(struct intake *in)
{
	must(pthread_cond_broadcast(&in->turn) == 0);
}

/* Who asks has read the piece before. */
static long
piece_next(void *arg, const void **p_r)
{
	struct intake *in = arg;
	long n = 0;

	OBJ_CHECK(in, INTAKE_MAGIC);
	mutex_lock(&in->lock);
	if (in->reading)
		in->piece = NULL;
	in->reading = false;
	turn_pass(in);
	while (in->piece == NULL && !in->at_end)
		cond_wait(&in->turn, &in->lock);
	if (in->piece != NULL) {
		*p_r = in->piece;
		n = (long)in->piece_n;
		in->reading = true;
	} else if (in->broken) {
		n = -1;
	}
	mutex_unlock(&in->lock);
	return (n);
}

static void
intake_main(void *arg)
{
	struct intake *in = arg;
	struct advisory_import import;

	OBJ_CHECK(in, INTAKE_MAGIC);
	import = (struct advisory_import){
		.meta = in->meta,
		.source = span_of(in->source),
		.stop = &in->stop,
	};
	thread_step_back();
	in->rc = advisory_import(
	    &import, piece_next, in, &in->arena, in->why, &in->imported);
	mutex_lock(&in->lock);
	in->done = true;
	turn_pass(in);
	mutex_unlock(&in->lock);
}

/* --- its life ------------------------------------------------------------ */

static void
intake_free(struct intake *in)
{
	must(pthread_cond_destroy(&in->turn) == 0);
	must(pthread_mutex_destroy(&in->lock) == 0);
	arena_reset(&in->arena);
	free(in->source);
	in->magic = 0;
	free(in);
}

static enum rc
intake_start(struct call *c, struct span source, struct intake **in_r)
{
	struct intake *in = xcalloc(1, sizeof(*in));
	enum rc rc;

	in->magic = INTAKE_MAGIC;
	in->meta = c->meta;
	in->source = xstrndup(source.p != NULL ? source.p : "", source.n);
	mutex_init(&in->lock);
	cond_init(&in->turn);
	arena_init(&in->arena, INTAKE_ARENA_BYTES);
	rc = thread_start("advisories", intake_main, in, &in->thread);
	if (rc != RC_OK) {
		intake_free(in);
		return (rc);
	}
	*in_r = in;
	return (RC_OK);
}

/* Returns when the piece was read, or nobody wants it. */
static void
intake_feed(struct intake *in, const void *p, size_t n)
{
	mutex_lock(&in->lock);
	in->piece = p;
	in->piece_n = n;
	turn_pass(in);
	while (in->piece != NULL && !in->done)
		cond_wait(&in->turn, &in->lock);
	in->piece = NULL;
	mutex_unlock(&in->lock);
}

/* And wait for what comes of it. */
static void
intake_end(struct intake *in, bool broken)
{
	if (broken)
		atomic_store(&in->stop, true);
	mutex_lock(&in->lock);
	in->at_end = true;
	in->broken = broken;
	turn_pass(in);
	mutex_unlock(&in->lock);
	thread_join(in->thread);
}

/* --- POST ---------------------------------------------------------------- */

uint64_t
control_advisories_max(const struct call *c)
{
	(void)c;
	return (INTAKE_BODY_MAX_BYTES);
}

bool
control_advisories_streams(const struct call *c)
{
	(void)c;
	return (true);
}

static enum rc
intake_write(struct call *c, const void *p, size_t n)
{
	struct intake *in = c->state;

	OBJ_CHECK(in, INTAKE_MAGIC);
	if (n > 0)
		intake_feed(in, p, n);
	return (RC_OK);
}

enum rc
control_advisories_begin(struct call *c)
{
	struct span source = SPAN_NONE;
	struct intake *in;
	enum rc rc;

	if (http_request_param(c->request, "source", &source) &&
	    !advisory_source_ok(source))
		return (control_bad(c, "source", source,
		    "at most 128 letters, digits and . _ : / + -"));
	if ((rc = intake_start(c, source, &in)) != RC_OK)
		return (rc);
	c->state = in;
	c->write = intake_write;
	return (RC_OK);
}

static enum rc
intake_answer(struct call *c, const struct intake *in)
{
	struct buf out;

	if (in->rc == RC_LIMIT)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "other advisories are being imported; wait for their end"));
	if (in->why[0] != '\0' && (in->rc == RC_INVALID || in->rc == RC_TOOBIG))
		return (call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "the advisories cannot be taken: %s", in->why));
	if (in->rc != RC_OK)
		return (in->rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	advisory_imported_json(&in->imported, &out);
	buf_char(&out, '\n');
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

enum rc
control_advisories_finish(struct call *c)
{
	struct intake *in = c->state;
	bool broken = c->body_rc != RC_OK;
	enum rc rc;

	OBJ_CHECK(in, INTAKE_MAGIC);
	c->state = NULL;
	intake_end(in, broken);
	rc = broken ? c->body_rc : intake_answer(c, in);
	if (!broken && rc == RC_OK)
		service_scan_advisories(c->service);
	intake_free(in);
	return (rc);
}

/* A body that was gathered all the same, or none. */
enum rc
control_advisories_import(struct call *c)
{
	enum rc rc;

	if ((rc = control_advisories_begin(c)) != RC_OK)
		return (rc);
	(void)!intake_write(c, c->body.p, c->body.n);
	c->body_rc = RC_OK;
	return (control_advisories_finish(c));
}

/* --- GET and DELETE ------------------------------------------------------ */

enum rc
control_advisories(struct call *c)
{
	struct advisory_set *sets;
	uint64_t revision;
	struct buf out;
	size_t i, n;
	enum rc rc;

	rc = meta_advisories_revision(c->meta, &revision);
	if (rc == RC_OK)
		rc = meta_advisory_sets(c->meta, c->arena, &sets, &n);
	if (rc != RC_OK)
		return (rc);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	buf_str(&out, "{\"revision\":");
	buf_u64(&out, revision);
	buf_str(&out, ",\"sources\":[");
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_char(&out, ',');
		advisory_set_json(&sets[i], &out);
	}
	buf_str(&out, "]}\n");
	return (call_json_take(c, 200, CONTROL_JSON, &out));
}

enum rc
control_advisories_remove(struct call *c)
{
	struct span source = SPAN_NONE;
	enum rc rc;

	(void)http_request_param(c->request, "source", &source);
	if (source.n == 0)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "source: one is needed"));
	rc = meta_advisories_drop(c->meta, source);
	if (rc == RC_NOTFOUND)
		return (call_fail(c, OCI_NOT_FOUND, NULL,
		    "there are no advisories of a source \"%.*s\"",
		    CALL_SHOW(source)));
	if (rc != RC_OK)
		return (rc);
	service_scan_advisories(c->service);
	call_json(c, 200, CONTROL_JSON, SPAN("{}\n"));
	return (RC_OK);
}
