#include <stdlib.h>

#include "base/mem.h"
#include "registryd/api/control_int.h"
#include "registryd/jobs.h"
#include "registryd/settings.h"

/* A snapshot for whoever writes a backup (registryd/job_backup.h). */
enum rc
control_backup(struct call *c)
{
	const struct settings *s = c->settings;
	struct buf out;
	char *archive;
	enum rc rc;

	archive = s->archive_dir[0] != '\0' ? xstrdup(s->archive_dir)
					    : xasprintf("%s/archive", s->data);
	buf_init(&out, CONTROL_ANSWER_BYTES);
	rc = jobs_backup(c->service->jobs, archive, &out);
	free(archive);
	if (rc == RC_OK)
		return (call_json_take(c, 202, CONTROL_JSON, &out));
	buf_free(&out);
	if (rc == RC_BUSY)
		return (call_fail(c, OCI_CONFLICT, NULL,
		    "a backup is being written already; wait for its end"));
	return (rc);
}
