#include "registryctl/folder.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* Address space only; the server's default. */
#define MAP_BYTES ((uint64_t)16 << 30)
/* That read at once: images that are copied, several, with several blobs. */
#define THREADS 64

/* store_open() would make one where there is none. */
static enum rc
folder_check(const char *data, char why[STORE_WHY_BYTES])
{
	char *format = xasprintf("%s/format", data);
	enum rc rc = RC_OK;

	if (access(format, F_OK) == -1) {
		rc = rc_of_errno(errno);
		(void)snprintf(why, STORE_WHY_BYTES,
		    "there is no registry in %.300s (%s): name its folder "
		    "with --data DIR",
		    data, strerror(errno));
	}
	free(format);
	return (rc);
}

enum rc
folder_open(const char *data, bool read_only, char why[STORE_WHY_BYTES],
    struct store **store_r)
{
	struct store_options options = {
		.dir = data,
		.map_bytes = MAP_BYTES,
		.upload_sessions_max = UINT32_MAX,
		.upload_lifetime_ms = INT64_MAX,
		.max_threads = THREADS,
		.read_only = read_only,
	};
	enum rc rc;

	if ((rc = folder_check(data, why)) != RC_OK)
		return (rc);
	return (store_open(&options, why, store_r));
}
