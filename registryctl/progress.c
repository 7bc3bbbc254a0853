#include "registryctl/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryctl/print.h"

#define DRAW_MS 200
/* The rate is that of the last few seconds. */
#define RATE_SAMPLES 25
#define LINE_BYTES 512

struct sample {
	int64_t ns;
	uint64_t bytes;
};

struct progress {
	const char *what;
	struct copy_progress *counts;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool over, drawn;
	unsigned paused;
	struct sample samples[RATE_SAMPLES];
	size_t n_samples;
};

/* --- the line ------------------------------------------------------------ */

static void
sample_add(struct progress *p, uint64_t bytes)
{
	p->samples[p->n_samples++ % RATE_SAMPLES] =
	    (struct sample){ clock_mono_ns(), bytes };
}

/* Bytes a second; 0: not known. */
static uint64_t
rate_of(const struct progress *p)
{
	const struct sample *last, *first;
	double s;

	if (p->n_samples < 2)
		return (0);
	last = &p->samples[(p->n_samples - 1) % RATE_SAMPLES];
	first = p->n_samples > RATE_SAMPLES
		    ? &p->samples[p->n_samples % RATE_SAMPLES]
		    : &p->samples[0];
	s = (double)(last->ns - first->ns) / 1e9;
	if (s <= 0 || last->bytes <= first->bytes)
		return (0);
	return ((uint64_t)((double)(last->bytes - first->bytes) / s));
}

static size_t
part_add(char *line, size_t n, uint64_t is, uint64_t total, const char *what)
{
	int added;

	if (total == 0)
		return (n);
	added = snprintf(line + n, LINE_BYTES - n,
	    ", %" PRIu64 " of %" PRIu64 " %s", is, total, what);
	return (n + (size_t)added);
}

static size_t
bytes_add(const struct progress *p, char *line, size_t n, uint64_t bytes,
    uint64_t total)
{
	char is[PRINT_BYTES_ROOM], of[PRINT_BYTES_ROOM], per[PRINT_BYTES_ROOM];
	char left[PRINT_DURATION_ROOM];
	uint64_t rate = rate_of(p);

	if (total == 0)
		return (n);
	n += (size_t)snprintf(line + n, LINE_BYTES - n, ", %s of %s",
	    print_bytes(bytes, is), print_bytes(total, of));
	if (rate == 0)
		return (n);
	n += (size_t)snprintf(
	    line + n, LINE_BYTES - n, ", %s/s", print_bytes(rate, per));
	if (total > bytes)
		n += (size_t)snprintf(line + n, LINE_BYTES - n, ", %s left",
		    print_duration((total - bytes) * 1000 / rate, left));
	return (n);
}

static void
line_draw(struct progress *p)
{
	struct copy_progress *c = p->counts;
	uint64_t bytes = atomic_load(&c->bytes);
	char line[LINE_BYTES];
	size_t n;

	sample_add(p, bytes);
	n = (size_t)snprintf(line, sizeof(line), "%s", p->what);
	if (atomic_load(&c->images_total) > 1)
		n = part_add(line, n, atomic_load(&c->images),
		    atomic_load(&c->images_total), "images");
	n = part_add(line, n, atomic_load(&c->blobs),
	    atomic_load(&c->blobs_total), "layers");
	n = bytes_add(p, line, n, bytes, atomic_load(&c->bytes_total));
	(void)fprintf(stderr, "\r\033[K%s", line);
	(void)fflush(stderr);
	p->drawn = true;
	must(n < LINE_BYTES);
}

static void
line_clear(struct progress *p)
{
	if (!p->drawn)
		return;
	(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
	p->drawn = false;
}

static void
progress_work(void *arg)
{
	struct progress *p = arg;

	mutex_lock(&p->lock);
	while (!p->over) {
		if (p->paused == 0)
			line_draw(p);
		(void)cond_wait_ms(&p->changed, &p->lock, DRAW_MS);
	}
	line_clear(p);
	mutex_unlock(&p->lock);
}

/* --- life ---------------------------------------------------------------- */

struct progress *
progress_start(
    const struct ctl *ctl, const char *what, struct copy_progress *counts)
{
	struct progress *p;

	if (ctl->output == CTL_JSON || isatty(STDERR_FILENO) != 1)
		return (NULL);
	p = xcalloc(1, sizeof(*p));
	p->what = what;
	p->counts = counts;
	mutex_init(&p->lock);
	cond_init(&p->changed);
	if (thread_start("progress", progress_work, p, &p->thread) == RC_OK)
		return (p);
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
	return (NULL);
}

void
progress_pause(struct progress *p)
{
	if (p == NULL)
		return;
	mutex_lock(&p->lock);
	p->paused++;
	line_clear(p);
	mutex_unlock(&p->lock);
}

void
progress_resume(struct progress *p)
{
	if (p == NULL)
		return;
	mutex_lock(&p->lock);
	p->paused--;
	mutex_unlock(&p->lock);
}

void
progress_end(struct progress **p_p)
{
	struct progress *p = *p_p;

	*p_p = NULL;
	if (p == NULL)
		return;
	mutex_lock(&p->lock);
	p->over = true;
	(void)pthread_cond_signal(&p->changed);
	mutex_unlock(&p->lock);
	thread_join(p->thread);
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

/* --- interrupts ---------------------------------------------------------- */

static atomic_bool interrupted;

static void
on_interrupt(int number)
{
	(void)number;
	atomic_store(&interrupted, true);
}

const atomic_bool *
interrupts_flag(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt,
		.sa_flags = (int)SA_RESETHAND };

	must(sigaction(SIGINT, &sa, NULL) == 0);
	must(sigaction(SIGTERM, &sa, NULL) == 0);
	return (&interrupted);
}
