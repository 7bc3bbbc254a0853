#include "store_rig.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"

static void
rig_start(struct store_rig *r)
{
	const struct store_options options = {
		.dir = r->dir,
		.inline_max_bytes = 4096,
		.reserve_bytes = 1,
		.map_bytes = (uint64_t)64 << 20,
		.upload_sessions_max = 100,
		.upload_lifetime_ms = 3600000,
		.max_threads = 32,
	};
	char why[STORE_WHY_BYTES] = "";

	log_set_level(LOG_LVL_ERROR);
	if (store_open(&options, why, &r->s) != RC_OK)
		fail_msg("%s", why);
	r->m = store_meta(r->s);
}

void
store_rig_open(struct store_rig *r)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(r->dir, sizeof(r->dir), "%s/registryd-test-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(r->dir));
	rig_start(r);
}

void
store_rig_again(struct store_rig *r)
{
	store_close(&r->s);
	rig_start(r);
}

static int
entry_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

void
store_rig_close(struct store_rig *r)
{
	store_close(&r->s);
	(void)nftw(r->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}
