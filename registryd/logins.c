#include "registryd/logins.h"

#include <string.h>

#include "base/keyring.h"

#define PLACES 32
#define HEADER_MAX_BYTES 640
#define SCOPES_MAX_BYTES 256

struct place {
	uint64_t generation;
	const struct principal *who; /* NULL: nothing is here */
	int64_t expires_ms, issued_ms;
	uint8_t password_mark[16];
	size_t n_header, n_scopes;
	bool limited;
	char header[HEADER_MAX_BYTES];
	char scopes[SCOPES_MAX_BYTES];
};

static _Thread_local struct place places[PLACES];

/* The end of a token is its tag, as good as random. */
static struct place *
place_of(struct span header)
{
	unsigned h = 0;
	size_t i;

	for (i = header.n > 8 ? header.n - 8 : 0; i < header.n; i++)
		h = h * 31 + (unsigned char)header.p[i];
	return (&places[h % PLACES]);
}

bool
login_recall(
    uint64_t generation, struct span header, int64_t now_ms, struct login *l_r)
{
	const struct place *p = place_of(header);

	if (p->who == NULL || p->generation != generation ||
	    now_ms >= p->expires_ms ||
	    !secret_eq(header, (struct span){ p->header, p->n_header }))
		return (false);
	*l_r = (struct login){
		.who = p->who,
		.expires_ms = p->expires_ms,
		.issued_ms = p->issued_ms,
	};
	memcpy(l_r->password_mark, p->password_mark, sizeof(p->password_mark));
	if (p->limited)
		l_r->scopes = (struct span){ p->scopes, p->n_scopes };
	return (true);
}

void
login_remember(uint64_t generation, struct span header, const struct login *l)
{
	struct place *p;

	if (header.p == NULL || header.n > HEADER_MAX_BYTES ||
	    l->scopes.n > SCOPES_MAX_BYTES)
		return;
	p = place_of(header);
	p->generation = generation;
	p->who = l->who;
	p->expires_ms = l->expires_ms;
	p->issued_ms = l->issued_ms;
	memcpy(p->password_mark, l->password_mark, sizeof(p->password_mark));
	p->n_header = header.n;
	memcpy(p->header, header.p, header.n);
	p->limited = l->scopes.p != NULL;
	p->n_scopes = l->scopes.n;
	if (p->limited && l->scopes.n > 0)
		memcpy(p->scopes, l->scopes.p, l->scopes.n);
}
