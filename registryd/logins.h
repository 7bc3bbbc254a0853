#ifndef REGISTRYD_LOGINS_H
#define REGISTRYD_LOGINS_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/principal.h"
#include "base/span.h"

/*
 * Tokens that were opened of late: a client sends the same Authorization
 * header with each of its requests, and what it opened to is the same as long
 * as the directory is.  Each thread has its own, a fixed number, and compares
 * whole headers in constant time.
 */
struct login {
	const struct principal *who; /* of the directory */
	int64_t expires_ms, issued_ms;
	uint8_t password_mark[16];
	struct span scopes; /* .p NULL: it is not limited to any */
};

/** login_recall(generation, header, now_ms, l_r): was ${header} opened under
 * the directory of that generation, and has not expired?  Scopes are valid
 * until the thread's next login_remember(). */
bool login_recall(
    uint64_t generation, struct span header, int64_t now_ms, struct login *l_r);

/** login_remember(generation, header, l): what is too long is not. */
void
login_remember(uint64_t generation, struct span header, const struct login *);

#endif
