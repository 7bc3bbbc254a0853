#include "auth/htpasswd_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth_tools_int.h"
#include "base/mem.h"

/* "$2b$10$", then 22 of salt and 31 of hash. */
#define BCRYPT_BYTES 60
#define BCRYPT_HEAD_BYTES 7

struct reader {
	struct htpasswd *h;
	size_t room;
	size_t line;
	char *why;
	size_t n_why;
};

static enum rc __attribute__((format(printf, 2, 3)))
line_refuse(const struct reader *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(r->why, r->n_why, "line %zu: ", r->line);
	if (n >= 0 && (size_t)n < r->n_why) {
		va_start(ap, fmt);
		(void)vsnprintf(r->why + n, r->n_why - (size_t)n, fmt, ap);
		va_end(ap);
	}
	return (RC_INVALID);
}

static bool
bcrypt_letters(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			(s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '.' && s.p[i] <= '9')))
			return (false);
	return (true);
}

static bool
is_digit(char c)
{

	return (c >= '0' && c <= '9');
}

/* $2a$, $2b$ or $2y$, and the cost in two digits. */
static bool
bcrypt_form(struct span h)
{

	return (h.n == BCRYPT_BYTES && h.p[0] == '$' && h.p[1] == '2' &&
		(h.p[2] == 'a' || h.p[2] == 'b' || h.p[2] == 'y') &&
		h.p[3] == '$' && is_digit(h.p[4]) && is_digit(h.p[5]) &&
		h.p[6] == '$' &&
		bcrypt_letters((struct span){
		    h.p + BCRYPT_HEAD_BYTES, h.n - BCRYPT_HEAD_BYTES }));
}

static enum rc
hash_check(const struct reader *r, struct span name, struct span hash)
{
	int cost;

	if (!bcrypt_form(hash))
		return (line_refuse(r,
		    "the hash of \"" SPAN_FMT "\" is not of bcrypt ($2a$, $2b$ "
		    "or $2y$); make it with `htpasswd -B`",
		    SPAN_ARG(name)));
	cost = 10 * (hash.p[4] - '0') + (hash.p[5] - '0');
	if (cost < 4 || cost > HTPASSWD_COST_MAX)
		return (line_refuse(r,
		    "the cost of \"" SPAN_FMT "\" is %d; it may be 4 to %d",
		    SPAN_ARG(name), cost, HTPASSWD_COST_MAX));
	return (RC_OK);
}

static enum rc
user_add(struct reader *r, struct span name, struct span hash)
{
	struct htpasswd *h = r->h;

	if (h->n == HTPASSWD_USERS_MAX)
		return (
		    line_refuse(r, "more than %d users", HTPASSWD_USERS_MAX));
	if (h->n == r->room) {
		r->room = r->room > 0 ? 2 * r->room : 64;
		h->users = xrealloc(h->users, r->room * sizeof(*h->users));
	}
	h->users[h->n++] = (struct htpasswd_user){ name, hash, r->line };
	return (RC_OK);
}

static enum rc
line_read(struct reader *r, struct span line)
{
	struct span name, hash;
	const char *colon;
	enum rc rc;

	if (line.n > HTPASSWD_LINE_MAX_BYTES)
		return (line_refuse(
		    r, "longer than %d bytes", HTPASSWD_LINE_MAX_BYTES));
	if (span_trim(line).n == 0 || line.p[0] == '#')
		return (RC_OK);
	if (line.p[line.n - 1] == '\r')
		return (line_refuse(r, "ends with a carriage return"));
	if ((colon = memchr(line.p, ':', line.n)) == NULL)
		return (line_refuse(r, "not of the form name:hash"));
	name = (struct span){ line.p, (size_t)(colon - line.p) };
	hash = (struct span){ colon + 1, line.n - name.n - 1 };
	if (!iam_name_ok(name, USER_NAME_MAX_BYTES))
		return (line_refuse(r,
		    "a name is 1 to %d of A-Z a-z 0-9 _ + = , . @ -",
		    USER_NAME_MAX_BYTES));
	if (span_is(name, LOGIN_NAME))
		return (line_refuse(r, "a user cannot be named \"" LOGIN_NAME
				       "\": that name means a login token"));
	if ((rc = hash_check(r, name, hash)) != RC_OK)
		return (rc);
	return (user_add(r, name, hash));
}

static int
user_cmp(const void *a, const void *b)
{
	const struct htpasswd_user *x = a, *y = b;
	int d = span_cmp(x->name, y->name);

	return (d != 0 ? d : (x->line > y->line) - (x->line < y->line));
}

static enum rc
duplicates_refuse(struct reader *r)
{
	struct htpasswd *h = r->h;
	size_t i;

	if (h->n == 0)
		return (RC_OK);
	qsort(h->users, h->n, sizeof(*h->users), user_cmp);
	for (i = 1; i < h->n; i++) {
		if (!span_eq(h->users[i - 1].name, h->users[i].name))
			continue;
		r->line = h->users[i].line;
		return (line_refuse(r,
		    "\"" SPAN_FMT "\" stands in line %zu already",
		    SPAN_ARG(h->users[i].name), h->users[i - 1].line));
	}
	return (RC_OK);
}

enum rc
htpasswd_parse(struct span text, char *why, size_t n, struct htpasswd **h_r)
{
	struct reader r = { .why = why, .n_why = n };
	struct span rest, line;
	enum rc rc = RC_OK;

	*h_r = NULL;
	if (text.n > HTPASSWD_FILE_MAX_BYTES) {
		(void)snprintf(
		    why, n, "larger than %zu bytes", HTPASSWD_FILE_MAX_BYTES);
		return (RC_INVALID);
	}
	r.h = xcalloc(1, sizeof(*r.h));
	r.h->text = xmalloc(text.n);
	if (text.n > 0)
		memcpy(r.h->text, text.p, text.n);
	rest = (struct span){ r.h->text, text.n };
	while (rc == RC_OK && span_split(&rest, '\n', &line)) {
		r.line++;
		rc = line_read(&r, line);
	}
	if (rc == RC_OK)
		rc = duplicates_refuse(&r);
	if (rc != RC_OK)
		htpasswd_free(&r.h);
	*h_r = r.h;
	return (rc);
}

void
htpasswd_free(struct htpasswd **h_p)
{
	struct htpasswd *h = *h_p;

	if (h == NULL)
		return;
	*h_p = NULL;
	free(h->users);
	free(h->text);
	free(h);
}

/* --- the file ------------------------------------------------------------ */

static void
stamp_of(const struct stat *st, struct htpasswd_stamp *stamp)
{

	*stamp = (struct htpasswd_stamp){ .rc = RC_OK,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.written = st->st_mtim,
		.changed = st->st_ctim };
}

void
htpasswd_look(const char *file, struct htpasswd_stamp *stamp_r)
{
	struct stat st;

	if (stat(file, &st) == 0)
		stamp_of(&st, stamp_r);
	else
		*stamp_r = (struct htpasswd_stamp){ .rc = rc_of_errno(errno) };
}

static bool
time_eq(const struct timespec *a, const struct timespec *b)
{

	return (a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec);
}

bool
htpasswd_stamp_eq(
    const struct htpasswd_stamp *a, const struct htpasswd_stamp *b)
{

	return (a->rc == b->rc && a->dev == b->dev && a->ino == b->ino &&
		a->size == b->size && time_eq(&a->written, &b->written) &&
		time_eq(&a->changed, &b->changed));
}

/* One byte more than is allowed is read, to see that there is one. */
static enum rc
bytes_read(int fd, char *p, size_t room, size_t *n_r)
{
	ssize_t n;

	*n_r = 0;
	while (*n_r < room) {
		n = read(fd, p + *n_r, room - *n_r);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (rc_of_errno(errno));
		if (n == 0)
			break;
		*n_r += (size_t)n;
	}
	return (RC_OK);
}

static enum rc
open_read(int fd, char *why, size_t n, struct stat *st, struct htpasswd **h_r)
{
	const size_t room = HTPASSWD_FILE_MAX_BYTES + 1;
	size_t n_text;
	char *text;
	enum rc rc;

	if (fstat(fd, st) != 0) {
		(void)snprintf(why, n, "%s", strerror(errno));
		return (rc_of_errno(errno));
	}
	if (!S_ISREG(st->st_mode)) {
		(void)snprintf(why, n, "it is not a plain file");
		return (RC_INVALID);
	}
	text = xmalloc(room);
	if ((rc = bytes_read(fd, text, room, &n_text)) != RC_OK)
		(void)snprintf(why, n, "%s", strerror(errno));
	else
		rc = htpasswd_parse((struct span){ text, n_text }, why, n, h_r);
	free(text);
	return (rc);
}

enum rc
htpasswd_load(const char *file, char *why, size_t n,
    struct htpasswd_stamp *stamp_r, struct htpasswd **h_r)
{
	char reason[256] = "";
	struct stat st;
	enum rc rc;
	int fd;

	*h_r = NULL;
	htpasswd_look(file, stamp_r);
	/* A FIFO in its place must not hold us up. */
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		rc = rc_of_errno(errno);
		(void)snprintf(why, n, "%s: %s", file, strerror(errno));
		return (rc);
	}
	rc = open_read(fd, reason, sizeof(reason), &st, h_r);
	(void)close(fd);
	if (rc != RC_OK)
		(void)snprintf(why, n, "%s: %s", file, reason);
	return (rc);
}
