#include "auth/admin_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * The administrator of the first start.  The file with the key is durable
 * before the user is: after a crash in between there is a file whose key
 * nobody has, and the next start writes another one in its place.  A file with
 * a key that somebody has is never touched.
 */
#define FIRST_NAME "admin"
#define FILE_TEXT_BYTES 1024
#define FILE_READ_BYTES ((size_t)64 << 10)
#define KEY_NAME "aws_access_key_id"

struct first {
	const char *file, *region;
	bool made;
};

static enum rc
file_fail(struct admin *x, const char *what, const char *file)
{
	int err = errno;

	return (admin_fail(
	    x, rc_of_errno(err), "%s: %s: %s", file, what, strerror(err)));
}

static enum rc
file_fill(struct admin *x, const char *file, int fd, struct span text)
{
	ssize_t n;

	while (text.n > 0) {
		n = write(fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (file_fail(x, "write", file));
		text.p += n;
		text.n -= (size_t)n;
	}
	if (fchmod(fd, 0600) != 0 || fsync(fd) != 0)
		return (file_fail(x, "sync", file));
	return (RC_OK);
}

static enum rc
folder_sync(struct admin *x, const char *file)
{
	char *copy = xstrdup(file);
	enum rc rc = RC_OK;
	int fd;

	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		rc = file_fail(x, "sync its folder", file);
	if (fd >= 0)
		(void)close(fd);
	free(copy);
	return (rc);
}

/* Replaced as a whole; never open to others, not even for a moment. */
static enum rc
file_write(struct admin *x, const char *file, struct span text)
{
	char *fresh = xasprintf("%s.new", file);
	enum rc rc;
	int fd;

	(void)unlink(fresh);
	fd = open(
	    fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = file_fail(x, "create", fresh);
		goto out;
	}
	rc = file_fill(x, fresh, fd, text);
	(void)close(fd);
	if (rc == RC_OK && rename(fresh, file) != 0)
		rc = file_fail(x, "rename", file);
	if (rc == RC_OK)
		rc = folder_sync(x, file);
	else
		(void)unlink(fresh);
out:
	free(fresh);
	return (rc);
}

static enum rc
credentials_write(
    struct admin *x, const struct first *f, const char *id, const char *secret)
{
	char text[FILE_TEXT_BYTES];
	enum rc rc;
	int n;

	n = snprintf(text, sizeof(text),
	    "# The administrator of this registry.  Use it with\n"
	    "# AWS_SHARED_CREDENTIALS_FILE=<this file>, and keep it secret.\n"
	    "[default]\n" KEY_NAME " = %s\n"
	    "aws_secret_access_key = %s\n"
	    "region = %s\n",
	    id, secret, f->region);
	if (n < 0 || (size_t)n >= sizeof(text))
		rc = admin_fail(x, RC_INVALID,
		    "\"%.64s...\" is too long for a region", f->region);
	else
		rc = file_write(x, f->file, (struct span){ text, (size_t)n });
	mem_wipe(text, sizeof(text));
	return (rc);
}

/* --- one that is there already ------------------------------------------- */

/* The key that a line of such a file names; NULL: none that there is. */
static const struct dir_key *
line_key(const struct admin *x, struct span line)
{
	struct span name;

	if (!span_split(&line, '=', &name) ||
	    !span_is(span_trim(name), KEY_NAME))
		return (NULL);
	return (dir_key_find(x->d, span_trim(line)));
}

static enum rc
text_check(struct admin *x, const char *file, struct span text)
{
	const struct dir_key *k;
	struct span line;

	while (span_split(&text, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if ((k = line_key(x, line)) != NULL)
			return (admin_fail(x, RC_EXISTS,
			    "account " SPAN_FMT " has no user, but %s, where "
			    "the access key of its administrator would be "
			    "written, holds one of " SPAN_FMT
			    ": move the file elsewhere first",
			    SPAN_ARG(x->account), file,
			    SPAN_ARG(k->user->holder.arn)));
	}
	return (RC_OK);
}

static enum rc
file_read(struct admin *x, const char *file, int fd, char *text)
{
	size_t n = 0;
	ssize_t got;

	while (n < FILE_READ_BYTES) {
		got = read(fd, text + n, FILE_READ_BYTES - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return (file_fail(x, "read", file));
		if (got == 0)
			return (text_check(x, file, (struct span){ text, n }));
		n += (size_t)got;
	}
	return (admin_fail(x, RC_EXISTS,
	    "%s is too long for a file of credentials: move it elsewhere first",
	    file));
}

static enum rc
file_check(struct admin *x, const char *file)
{
	char *text;
	enum rc rc;
	int fd;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return (RC_OK);
	if (fd < 0)
		return (file_fail(x, "open", file));
	text = xmalloc(FILE_READ_BYTES);
	rc = file_read(x, file, fd, text);
	mem_wipe(text, FILE_READ_BYTES);
	free(text);
	(void)close(fd);
	return (rc);
}

/* --- the user ------------------------------------------------------------ */

static bool
account_has_user(const struct directory *d)
{
	const struct dir_user *u;
	size_t i;

	for (i = 0; i < d->users.n; i++) {
		u = d->users.items[i];
		if (span_eq(u->holder.account, d->account))
			return (true);
	}
	return (false);
}

static enum rc
first_make(struct admin *x)
{
	char id[IAM_ID_BYTES], secret[SECRET_KEY_BYTES];
	struct first *f = x->state;
	json_t *o, *attached;
	enum rc rc;

	f->made = false;
	if (account_has_user(x->d))
		return (RC_OK);
	if ((rc = file_check(x, f->file)) != RC_OK)
		return (rc);
	o = admin_record(x, "AIDA");
	attached = json_array();
	(void)json_array_append_new(attached, json_string(ADMINISTRATOR_ARN));
	admin_set(o, "attached", attached);
	rc = admin_put(x, ENTITY_USER,
	    admin_key(x, x->account, SPAN(FIRST_NAME)), o, true);
	if (rc == RC_OK)
		rc =
		    admin_key_make(x, x->account, SPAN(FIRST_NAME), id, secret);
	if (rc == RC_OK)
		rc = credentials_write(x, f, id, secret);
	mem_wipe(secret, sizeof(secret));
	f->made = rc == RC_OK;
	return (rc);
}

enum rc
auth_first_admin(struct auth *a, const char *credentials_file,
    const char *region, bool *made_r, char why[AUTH_WHY_BYTES])
{
	struct first f = { credentials_file, region, false };
	struct admin x = { .state = &f };
	enum rc rc;

	OBJ_CHECK(a, AUTH_MAGIC);
	why[0] = '\0';
	*made_r = false;
	x.account = span_of(a->account);
	rc = admin_run(a, first_make, &x, why);
	admin_fini(&x);
	if (rc == RC_OK)
		*made_r = f.made;
	return (rc);
}
