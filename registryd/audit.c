#include "registryd/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
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

struct audit {
	unsigned magic;
	pthread_mutex_t lock; /* over all below */
	char *target;
	int fd;	     /* -1: off, or a file that cannot be opened */
	bool failed; /* and that was said */
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
	if (e->tags_known && tags)
		tags_add(out, e);
	else if (e->tags_known)
		member_always(out, "tags_left_out", e->n_tags);
	member_number(out, "rule", (uint64_t)e->rule);
	member_number(out, "policy_revision", e->policy_revision);
	member_number(out, "bytes", e->bytes);
	member_number(out, "children", e->children);
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
	} else {
		image_add(out, e, tags);
	}
	buf_str(out, "}\n");
}

/* --- the file ------------------------------------------------------------ */

/* With the lock held.  Who watches the log of the server hears of the first of
 * many failures, and of their end. */
static void
failed(struct audit *a, const char *what)
{
	if (!a->failed)
		log_errno("the audit log %s cannot be %s; what happens "
			  "meanwhile is not in it",
		    a->target, what);
	a->failed = true;
}

/* With the lock held. */
static void
target_open(struct audit *a, const char *target)
{
	a->target = xstrdup(target);
	a->failed = false;
	a->fd = -1;
	if (strcmp(target, AUDIT_LOG_OFF) == 0)
		return;
	if (strcmp(target, AUDIT_LOG_STDERR) == 0)
		a->fd = STDERR_FILENO;
	else
		a->fd = open(target,
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
			O_NONBLOCK,
		    S_IRUSR | S_IWUSR);
	if (a->fd == -1)
		failed(a, "opened");
}

static void
target_close(struct audit *a)
{
	if (a->fd != -1 && a->fd != STDERR_FILENO)
		(void)close(a->fd);
	a->fd = -1;
	free(a->target);
	a->target = NULL;
}

struct audit *
audit_new(const char *target)
{
	struct audit *a = xcalloc(1, sizeof(*a));

	a->magic = AUDIT_MAGIC;
	mutex_init(&a->lock);
	target_open(a, target);
	return (a);
}

void
audit_reopen(struct audit *a, const char *target)
{
	OBJ_CHECK(a, AUDIT_MAGIC);
	mutex_lock(&a->lock);
	target_close(a);
	target_open(a, target);
	mutex_unlock(&a->lock);
}

void
audit_free(struct audit **a_p)
{
	struct audit *a = *a_p;

	*a_p = NULL;
	if (a == NULL)
		return;
	OBJ_CHECK(a, AUDIT_MAGIC);
	target_close(a);
	must(pthread_mutex_destroy(&a->lock) == 0);
	a->magic = 0;
	free(a);
}

/* A line of which only the beginning got in is ended, so that the next one is
 * whole. */
static void
line_put(struct audit *a, struct span line)
{
	ssize_t n;

	do
		n = write(a->fd, line.p, line.n);
	while (n == -1 && errno == EINTR);
	if (n == (ssize_t)line.n) {
		if (a->failed)
			log_info(
			    "the audit log %s is written again", a->target);
		a->failed = false;
		return;
	}
	if (n >= 0)
		errno = ENOSPC;
	failed(a, "written");
	if (n > 0)
		(void)!write(a->fd, "\n", 1);
}

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
	if (a->fd != -1)
		line_put(a, buf_as_span(&line));
	mutex_unlock(&a->lock);
	buf_free(&line);
}
