#include "registryd/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/settings.h"

#define AUDIT_MAGIC 0x41554449u

/* An image can have any number of tags: beyond that they are left out, and the
 * line says so. */
#define LINE_MAX_BYTES ((size_t)16 << 20)
/* Of lines that wait: some 100,000 images. */
#define KEPT_MAX_BYTES ((size_t)32 << 20)
#define LOST_BYTES 256

struct audit_target {
	char *name;
	int fd; /* -1: off */
};

/* A line that waits, or those that were lost in its place. */
struct kept {
	struct kept *next;
	uint64_t n_lost; /* > 0: no text */
	size_t n;
	char text[];
};

struct audit {
	unsigned magic;
	pthread_mutex_t lock; /* over all below */
	struct audit_target *target;
	struct kept *first, **end;
	size_t kept_bytes;
	struct kept *last_lost; /* at the end, counts on; or NULL */
	size_t written;		/* of the first line so much is in the file */
	bool failed;		/* and that was said */
};

static const char *const event_names[] = {
#define X(id, text) [AUDIT_##id] = text,
	AUDIT_EVENTS(X)
#undef X
};

/* --- lines --------------------------------------------------------------- */

static void
member_text(struct buf *out, const char *key, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(out, ",\"%s\":", key);
	buf_json(out, value);
}

static void
member_always(struct buf *out, const char *key, uint64_t value)
{
	buf_printf(out, ",\"%s\":%" PRIu64, key, value);
}

static void
member_number(struct buf *out, const char *key, uint64_t value)
{
	if (value != 0)
		member_always(out, key, value);
}

static void
tags_add(struct buf *out, const struct audit_event *e)
{
	size_t i;

	buf_str(out, ",\"tags\":[");
	for (i = 0; i < e->n_tags; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_json(out, e->tags[i]);
	}
	buf_char(out, ']');
}

static void
image_add(struct buf *out, const struct audit_event *e, bool tags)
{
	char text[DIGEST_STR_BYTES];

	if (e->digest != NULL)
		buf_printf(
		    out, ",\"digest\":\"%s\"", digest_str(e->digest, text));
	if (e->subject != NULL)
		buf_printf(
		    out, ",\"subject\":\"%s\"", digest_str(e->subject, text));
	if (e->with != NULL)
		buf_printf(out, ",\"with\":\"%s\"", digest_str(e->with, text));
	if (e->tags_known && tags)
		tags_add(out, e);
	else if (e->tags_known)
		member_always(out, "tags_left_out", e->n_tags);
	member_number(out, "rule", (uint64_t)e->rule);
	member_number(out, "policy_revision", e->policy_revision);
	member_number(out, "bytes", e->bytes);
	member_number(out, "children", e->children);
	member_text(out, "mirror", e->name);
	member_text(out, "from", e->from);
	member_text(out, "to", e->to);
	member_text(out, "outcome", e->outcome);
	member_text(out, "why", e->why);
}

static void
line_make(struct buf *out, const struct audit_event *e, bool tags)
{
	char now[CLOCK_ISO_BYTES];

	buf_printf(out, "{\"time\":\"%s\",\"event\":\"%s\"",
	    clock_iso(clock_real_ms(), now), event_names[e->kind]);
	member_text(out, "by", e->by);
	member_text(out, "repository", e->repository);
	if (e->kind == AUDIT_GC) {
		member_always(out, "links", e->links);
		member_always(out, "blobs", e->blobs);
		member_always(out, "bytes", e->bytes);
	} else if (e->kind == AUDIT_LIFECYCLE_RUN) {
		member_number(out, "policy_revision", e->policy_revision);
		member_text(out, "outcome", e->outcome);
		member_always(out, "expired", e->expired);
		member_always(out, "archived", e->archived);
	} else if (e->kind == AUDIT_LOST) {
		member_always(out, "lines", e->lines);
	} else {
		image_add(out, e, tags);
	}
	buf_str(out, "}\n");
}

/* --- where it goes ------------------------------------------------------- */

static int
file_open(const char *path)
{
	return (open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	    S_IRUSR | S_IWUSR));
}

enum rc
audit_target_open(
    const char *name, char why[AUDIT_WHY_BYTES], struct audit_target **target_r)
{
	struct audit_target *target;
	int fd = -1;

	*target_r = NULL;
	if (strcmp(name, AUDIT_LOG_STDERR) == 0)
		fd = STDERR_FILENO;
	else if (strcmp(name, AUDIT_LOG_OFF) != 0 &&
		 (fd = file_open(name)) == -1) {
		(void)snprintf(why, AUDIT_WHY_BYTES, "cannot open %s: %s", name,
		    strerror(errno));
		return (RC_IO);
	}
	target = xcalloc(1, sizeof(*target));
	target->name = xstrdup(name);
	target->fd = fd;
	*target_r = target;
	return (RC_OK);
}

void
audit_target_drop(struct audit_target **target_p)
{
	struct audit_target *target = *target_p;

	*target_p = NULL;
	if (target == NULL)
		return;
	if (target->fd != -1 && target->fd != STDERR_FILENO)
		(void)close(target->fd);
	free(target->name);
	free(target);
}

/* --- lines that wait; with the lock held --------------------------------- */

static void
kept_add(struct audit *a, struct kept *k)
{
	*a->end = k;
	a->end = &k->next;
}

static struct kept *
kept_new(struct span text)
{
	struct kept *k = xcalloc(1, sizeof(*k) + text.n);

	if (text.n > 0)
		memcpy(k->text, text.p, text.n);
	k->n = text.n;
	return (k);
}

/* In the order in which they came: what does not fit is counted where it would
 * have stood. */
static void
line_keep(struct audit *a, struct span line)
{
	bool fits = a->kept_bytes + line.n <= KEPT_MAX_BYTES;
	struct kept *k;

	if (!fits && a->last_lost != NULL) {
		a->last_lost->n_lost++;
		return;
	}
	k = kept_new(fits ? line : SPAN_NONE);
	k->n_lost = fits ? 0 : 1;
	a->last_lost = fits ? NULL : k;
	a->kept_bytes += k->n;
	kept_add(a, k);
}

static void
first_drop(struct audit *a)
{
	struct kept *k = a->first;

	a->first = k->next;
	if (a->first == NULL)
		a->end = &a->first;
	if (a->last_lost == k)
		a->last_lost = NULL;
	a->kept_bytes -= k->n;
	a->written = 0;
	free(k);
}

/* Who watches the log of the server hears of the first of many failures, and
 * of their end. */
static void
failed(struct audit *a)
{
	if (!a->failed)
		log_errno("the audit log %s cannot be written; its lines are "
			  "kept in memory until it can be",
		    a->target->name);
	a->failed = true;
}

/* The number of bytes that got in; errno tells why not all. */
static size_t
bytes_put(const struct audit *a, const char *p, size_t n)
{
	ssize_t put;

	do
		put = write(a->target->fd, p, n);
	while (put == -1 && errno == EINTR);
	if (put >= 0 && (size_t)put < n)
		errno = ENOSPC;
	return (put > 0 ? (size_t)put : 0);
}

/* A line is written with one write(2); one of which only the beginning got in
 * goes on from there, so that it is whole at last. */
static bool
text_put(struct audit *a, const char *p, size_t n)
{
	a->written += bytes_put(a, p + a->written, n - a->written);
	return (a->written == n);
}

/* How many is settled when that is about to be written. */
static void
lost_settle(struct audit *a)
{
	struct kept *old = a->first, *k;
	const struct audit_event lost = { .kind = AUDIT_LOST,
		.lines = old->n_lost };
	struct buf line;

	buf_init(&line, LOST_BYTES);
	line_make(&line, &lost, true);
	must(buf_ok(&line));
	k = kept_new(buf_as_span(&line));
	k->next = old->next;
	if (a->end == &old->next)
		a->end = &k->next;
	if (a->last_lost == old)
		a->last_lost = NULL;
	a->first = k;
	a->kept_bytes += k->n;
	free(old);
	buf_free(&line);
}

/* What has waited longest first. */
static void
kept_write(struct audit *a)
{
	while (a->first != NULL) {
		if (a->first->n_lost > 0)
			lost_settle(a);
		if (!text_put(a, a->first->text, a->first->n)) {
			failed(a);
			return;
		}
		first_drop(a);
	}
	if (a->failed)
		log_info("the audit log %s is written again", a->target->name);
	a->failed = false;
}

/* Also of a log that is off from now on. */
static void
kept_forget(struct audit *a)
{
	while (a->first != NULL)
		first_drop(a);
	a->failed = false;
}

static void
kept_try(struct audit *a)
{
	if (a->target->fd == -1)
		kept_forget(a);
	else
		kept_write(a);
}

/* --- its life ------------------------------------------------------------ */

struct audit *
audit_new(struct audit_target **target)
{
	struct audit *a = xcalloc(1, sizeof(*a));

	a->magic = AUDIT_MAGIC;
	mutex_init(&a->lock);
	a->end = &a->first;
	a->target = *target;
	*target = NULL;
	return (a);
}

void
audit_reopen(struct audit *a, struct audit_target **target)
{
	OBJ_CHECK(a, AUDIT_MAGIC);
	mutex_lock(&a->lock);
	kept_try(a);
	audit_target_drop(&a->target);
	a->target = *target;
	*target = NULL;
	a->written = 0;
	kept_try(a);
	mutex_unlock(&a->lock);
}

static uint64_t
kept_count(const struct audit *a)
{
	const struct kept *k;
	uint64_t n = 0;

	for (k = a->first; k != NULL; k = k->next)
		n += k->n_lost > 0 ? k->n_lost : 1;
	return (n);
}

void
audit_free(struct audit **a_p)
{
	struct audit *a = *a_p;

	*a_p = NULL;
	if (a == NULL)
		return;
	OBJ_CHECK(a, AUDIT_MAGIC);
	kept_try(a);
	if (a->first != NULL)
		log_error("%" PRIu64 " lines of the audit log %s are lost",
		    kept_count(a), a->target->name);
	kept_forget(a);
	audit_target_drop(&a->target);
	must(pthread_mutex_destroy(&a->lock) == 0);
	a->magic = 0;
	free(a);
}

/* --- writing ------------------------------------------------------------- */

void
audit_write(struct audit *a, const struct audit_event *e)
{
	struct buf line;

	if (a == NULL)
		return;
	OBJ_CHECK(a, AUDIT_MAGIC);
	buf_init(&line, LINE_MAX_BYTES);
	line_make(&line, e, true);
	if (!buf_ok(&line)) {
		buf_clear(&line);
		line_make(&line, e, false);
	}
	mutex_lock(&a->lock);
	if (a->target->fd != -1) {
		line_keep(a, buf_as_span(&line));
		kept_write(a);
	}
	mutex_unlock(&a->lock);
	buf_free(&line);
}

void
audit_flush(struct audit *a)
{
	if (a == NULL)
		return;
	OBJ_CHECK(a, AUDIT_MAGIC);
	mutex_lock(&a->lock);
	if (a->first != NULL)
		kept_try(a);
	mutex_unlock(&a->lock);
}
