#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_tools_int.h"
#include "auth/htpasswd_int.h"
#include "base/buf.h"
#include "base/obj.h"

/*
 * Any bytes as an htpasswd file.  Who is found must stand in the text as
 * "name:hash", in order and once, and written out again be read the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
user_check(struct span text, const struct htpasswd_user *u)
{
	struct buf b;

	must(iam_name_ok(u->name, USER_NAME_MAX_BYTES));
	must(u->hash.n == 60 && u->hash.p[0] == '$' && u->line > 0);
	must(memchr(u->hash.p, '\0', u->hash.n) == NULL);
	buf_init(&b, SIZE_MAX);
	buf_span(&b, u->name);
	buf_char(&b, ':');
	buf_span(&b, u->hash);
	must(memmem(text.p, text.n, b.p, b.n) != NULL);
	buf_free(&b);
}

static void
again_check(const struct htpasswd *h)
{
	struct htpasswd *again;
	struct buf b;
	char why[256];
	size_t i;

	buf_init(&b, SIZE_MAX);
	for (i = 0; i < h->n; i++) {
		buf_span(&b, h->users[i].name);
		buf_char(&b, ':');
		buf_span(&b, h->users[i].hash);
		buf_char(&b, '\n');
	}
	must(
	    htpasswd_parse(buf_as_span(&b), why, sizeof(why), &again) == RC_OK);
	must(again->n == h->n);
	for (i = 0; i < h->n; i++)
		must(span_eq(again->users[i].name, h->users[i].name) &&
		     span_eq(again->users[i].hash, h->users[i].hash));
	htpasswd_free(&again);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = { (const char *)data, n };
	struct htpasswd *h;
	char why[256] = "";
	size_t i;

	if (htpasswd_parse(text, why, sizeof(why), &h) != RC_OK) {
		must(h == NULL && why[0] != '\0');
		return (0);
	}
	for (i = 0; i < h->n; i++) {
		user_check(text, &h->users[i]);
		must(i == 0 ||
		     span_cmp(h->users[i - 1].name, h->users[i].name) < 0);
	}
	again_check(h);
	htpasswd_free(&h);
	return (0);
}
