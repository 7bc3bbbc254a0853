#include "registryd/job_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/obj.h"
#include "base/thread.h"

#define NS_PER_MS 1000000

void
job_state_init(struct job_state *st)
{
	uint8_t bytes[(JOB_ID_BYTES - 1) / 2];

	must(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), st->id);
	st->running = true;
	st->started_ms = clock_real_ms();
	st->started_ns = clock_mono_ns();
	mutex_init(&st->lock);
}

void
job_state_fini(struct job_state *st)
{
	must(pthread_mutex_destroy(&st->lock) == 0);
}

bool
job_state_running(struct job_state *st)
{
	bool running;

	mutex_lock(&st->lock);
	running = st->running;
	mutex_unlock(&st->lock);
	return (running);
}

void
job_state_end(struct job_state *st, enum rc rc, const char *why)
{
	st->running = false;
	st->rc = rc;
	st->ended_ns = clock_mono_ns();
	(void)snprintf(
	    st->why, sizeof(st->why), "%s", why != NULL ? why : rc_text(rc));
}

static const char *
state_text(const struct job_state *st)
{
	if (st->running)
		return ("running");
	if (st->rc == RC_OK)
		return ("done");
	return (st->rc == RC_CANCELLED ? "cancelled" : "failed");
}

void
job_state_json(const struct job_state *st, const char *kind, struct buf *out)
{
	int64_t end_ns = st->running ? clock_mono_ns() : st->ended_ns;
	char started[CLOCK_ISO_BYTES];

	buf_printf(out, "\"id\":\"%s\",\"kind\":\"%s\",\"state\":\"%s\"",
	    st->id, kind, state_text(st));
	if (!st->running && st->rc != RC_OK) {
		buf_str(out, ",\"error\":");
		buf_json(out, span_of(st->why));
	}
	buf_printf(out, ",\"started\":\"%s\",\"duration_ms\":%" PRId64,
	    clock_iso(st->started_ms, started),
	    (end_ns - st->started_ns) / NS_PER_MS);
}
