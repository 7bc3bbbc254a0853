#include "storage/tier_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Whose folder it is.
 *
 * The number is a new one whenever a folder becomes the archive, and is kept by
 * the owner before the folder is marked: so one that was the archive before,
 * and comes back when there is content in another, is not mistaken for it.  All
 * of this runs under the lock of the archive.
 */
#define MARKER_NEW TIER_MARKER ".new"
#define MARKER_FORMAT TIER_MARKER " %016" PRIx64
/* Without the end of the line, which one who writes it by hand may forget. */
#define MARKER_BYTES (sizeof(TIER_MARKER) - 1 + 1 + 16)

bool
tier_is_mark(const char *name)
{
	return (
	    strcmp(name, TIER_MARKER) == 0 || strcmp(name, MARKER_NEW) == 0);
}

/* --- telling ------------------------------------------------------------- */

/* Once, until it is there again. */
static bool
away_set(struct tier *t)
{
	return (!atomic_exchange(&t->away, true));
}

static enum rc
here(struct tier *t, bool marked)
{
	if (atomic_exchange(&t->away, false))
		log_info("%s: the archive is there again", t->dir);
	t->marked = marked;
	return (RC_OK);
}

static enum rc
unmarked(struct tier *t, uint64_t id)
{
	if (away_set(t))
		log_warn("%s: this is not the archive with the content of this "
			 "registry: nothing is archived or restored until it "
			 "is.  Mount its disk, or set archive.dir right; if it "
			 "is the right one after all, write the line "
			 "\"" TIER_MARKER " %016" PRIx64
			 "\" into its file " TIER_MARKER,
		    t->dir, id);
	return (RC_MISSING);
}

static enum rc
anothers(struct tier *t, uint64_t id, bool content)
{
	/* Of no use to say what should stand there: nothing of ours does. */
	if (content)
		return (unmarked(t, id));
	if (away_set(t))
		log_warn("%s: marked as the archive of another registry, or as "
			 "an earlier one of this: nothing is archived.  Set "
			 "archive.dir to a folder of its own; if nobody needs "
			 "what is in this one, remove its file " TIER_MARKER,
		    t->dir);
	return (RC_MISSING);
}

/* --- the file ------------------------------------------------------------ */

/* Is it marked with ${id}?  RC_NOTFOUND: with none. */
static enum rc
marker_read(const struct tier *t, int dir_fd, uint64_t id, bool *same_r)
{
	char want[MARKER_BYTES + 1], text[MARKER_BYTES];
	ssize_t n;
	int fd, err;

	(void)snprintf(want, sizeof(want), MARKER_FORMAT, id);
	fd = openat(dir_fd, TIER_MARKER,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return (RC_NOTFOUND);
	if (fd < 0)
		return (tier_failed(t, "open ", "/" TIER_MARKER));
	n = read(fd, text, MARKER_BYTES);
	err = errno;
	(void)close(fd);
	errno = err;
	if (n < 0)
		return (tier_failed(t, "read ", "/" TIER_MARKER));
	*same_r = id != 0 && n == (ssize_t)MARKER_BYTES &&
		  memcmp(text, want, MARKER_BYTES) == 0;
	return (RC_OK);
}

static enum rc
bytes_store(int fd, const char *text, size_t n)
{
	ssize_t w;

	if ((w = write(fd, text, n)) != (ssize_t)n)
		return (w < 0 ? rc_of_errno(errno) : RC_NOSPACE);
	return (fsync(fd) == 0 ? RC_OK : rc_of_errno(errno));
}

static enum rc
marker_write(const struct tier *t, int dir_fd, uint64_t id)
{
	char text[MARKER_BYTES + 2];
	enum rc rc;
	int fd;

	(void)snprintf(text, sizeof(text), MARKER_FORMAT "\n", id);
	fd = openat(dir_fd, MARKER_NEW,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return (tier_failed(t, "create ", "/" MARKER_NEW));
	if ((rc = bytes_store(fd, text, strlen(text))) != RC_OK)
		(void)tier_failed(t, "write ", "/" MARKER_NEW);
	(void)close(fd);
	if (rc != RC_OK)
		return (rc);
	if (renameat(dir_fd, MARKER_NEW, dir_fd, TIER_MARKER) != 0 ||
	    fsync(dir_fd) != 0)
		return (tier_failed(t, "rename ", "/" MARKER_NEW));
	return (RC_OK);
}

enum rc
tier_mark_write(const char *dir, uint64_t id)
{
	char *name = xstrdup(dir);
	const struct tier t = { .dir = name };
	enum rc rc;
	int fd;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		rc = tier_failed(&t, "open", "");
	} else {
		rc = marker_write(&t, fd, id);
		(void)close(fd);
	}
	free(name);
	return (rc);
}

/* --- judging ------------------------------------------------------------- */

static enum rc
folder_take(struct tier *t, int fd)
{
	uint64_t id = 0;
	enum rc rc;

	while (id == 0)
		must(getrandom(&id, sizeof(id), 0) == (ssize_t)sizeof(id));
	if ((rc = t->owner.adopt(t->owner.arg, id)) != RC_OK)
		return (rc == RC_EXISTS ? RC_MISSING : rc);
	if ((rc = marker_write(t, fd, id)) != RC_OK)
		return (rc);
	return (here(t, true));
}

enum rc
tier_mark_check(struct tier *t, int fd, bool take)
{
	bool content, same = false;
	uint64_t id;
	enum rc rc;

	if ((rc = t->owner.recall(t->owner.arg, &id, &content)) != RC_OK)
		return (rc);
	rc = marker_read(t, fd, id, &same);
	if (rc == RC_OK)
		return (same ? here(t, true) : anothers(t, id, content));
	if (rc != RC_NOTFOUND)
		return (rc);
	if (id != 0 && content)
		return (unmarked(t, id));
	if (take)
		return (folder_take(t, fd));
	/* Content and no number: of a time before there were any. */
	if (content)
		return (here(t, false));
	atomic_store(&t->away, false);
	return (RC_NOTFOUND);
}

enum rc
tier_mark_none(struct tier *t)
{
	uint64_t id;
	bool content;
	enum rc rc;

	if ((rc = t->owner.recall(t->owner.arg, &id, &content)) != RC_OK)
		return (rc);
	if (!content) {
		atomic_store(&t->away, false);
		return (RC_NOTFOUND);
	}
	if (away_set(t))
		log_warn("%s: the archive with the content of this registry is "
			 "not there: nothing is archived or restored until it "
			 "is.  Mount its disk, or set archive.dir right",
		    t->dir);
	return (RC_MISSING);
}
