#include "auth_tools.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/decide.h"
#include "base/mem.h"

static int
entry_remove(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return (remove(path));
}

static void
path_set(char out[PLACE_PATH_BYTES], const char *dir, const char *name)
{
	snprintf(out, PLACE_PATH_BYTES, "%.200s/%s", dir, name);
}

void
place_store(struct place *p)
{
	struct store_options options = {
		.dir = p->data,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)64 * 1024 * 1024,
		.upload_sessions_max = 10,
		.upload_lifetime_ms = 3600 * 1000,
		.max_threads = 32,
	};
	char why[STORE_WHY_BYTES] = "";

	if (store_open(&options, why, &p->store) != RC_OK)
		fail_msg("store_open: %s", why);
	p->meta = store_meta(p->store);
	p->options.meta = p->meta;
}

enum rc
place_auth(struct place *p)
{
	assert_null(p->auth);
	return (auth_open(&p->options, p->why, &p->auth));
}

void
place_make(struct place *p)
{
	const char *tmp = getenv("TMPDIR");

	memset(p, 0, sizeof(*p));
	snprintf(p->dir, sizeof(p->dir), "%s/registryd-test-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(p->dir));
	path_set(p->data, p->dir, "data");
	path_set(p->key_file, p->dir, "master.key");
	path_set(p->htpasswd, p->dir, "htpasswd");
	p->options.account_id = ACCOUNT;
	p->options.master_key_file = p->key_file;
	place_store(p);
	if (place_auth(p) != RC_OK)
		fail_msg("auth_open: %s", p->why);
}

void
place_stop(struct place *p)
{
	auth_close(&p->auth);
	store_close(&p->store);
}

void
place_remove(struct place *p)
{
	place_stop(p);
	(void)nftw(p->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

json_t *
ask(struct place *p, enum rc want, const char *fmt, ...)
{
	json_t *request, *answer = NULL;
	struct buf b;
	va_list ap;
	char *text;
	enum rc rc;
	int n, i;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	assert_true(n > 0);
	for (i = 0; i < n; i++)
		if (text[i] == '\'')
			text[i] = '"';
	request = json_loads(text, 0, NULL);
	if (request == NULL)
		fail_msg("not JSON: %s", text);
	buf_init(&b, (size_t)64 << 20);
	rc = auth_admin(p->auth, request, &b, p->why);
	if (rc != want)
		fail_msg("%s: %s, not %s: %s", text, rc_name(rc), rc_name(want),
		    p->why);
	if (rc == RC_OK)
		answer = json_loadb(b.p, b.n, 0, NULL);
	assert_true((answer != NULL) == (rc == RC_OK));
	json_decref(request);
	buf_free(&b);
	free(text);
	return (answer);
}

const json_t *
at(const json_t *o, const char *path)
{
	struct span rest = span_of(path), part;
	char key[64];

	while (o != NULL && span_split(&rest, '.', &part)) {
		snprintf(key, sizeof(key), SPAN_FMT, SPAN_ARG(part));
		if (json_is_array(o))
			o = json_array_get(o, (size_t)(key[0] - '0'));
		else
			o = json_object_get(o, key);
	}
	return (o);
}

const char *
str_at(const json_t *o, const char *path)
{
	const json_t *v = at(o, path);

	if (!json_is_string(v))
		fail_msg("no string at %s", path);
	return (json_string_value(v));
}

void
write_file(const char *path, const char *text)
{
	char fresh[PLACE_PATH_BYTES + 8];
	FILE *f;

	snprintf(fresh, sizeof(fresh), "%s.tmp", path);
	f = fopen(fresh, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(fresh, 0600), 0);
	assert_int_equal(rename(fresh, path), 0);
}

char *
read_file(const char *path)
{
	char *text = xcalloc(1, 65536);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return (text);
}

const struct principal *
user_of(struct place *p, const struct directory *d, const char *name)
{
	(void)p;
	return (directory_user(d, SPAN(ACCOUNT), span_of(name)));
}

bool
may(struct place *p, const char *name, const char *action)
{
	struct directory *d = auth_directory(p->auth);
	struct decide_input in = {
		.request = { .principal = user_of(p, d, name),
		    .action = span_of(action),
		    .resource = SPAN(
			"arn:aws:ecr:us-east-1:" ACCOUNT ":repository/app"),
		    .secure = true,
		    .now_ms = 1 },
		.account = SPAN(ACCOUNT),
	};
	struct decision decision;
	uint64_t revision;

	assert_non_null(in.request.principal);
	in.registry = directory_registry_policy(d, &revision);
	decide(&in, &decision);
	directory_unref(&d);
	return (decision.allowed);
}
