#include "mirror/place_int.h"

#include <stdarg.h>
#include <stdio.h>

void
place_free(struct place **p_p)
{
	struct place *p = p_p != NULL ? *p_p : NULL;

	if (p == NULL)
		return;
	*p_p = NULL;
	p->ops->free(p);
}

bool
place_cancelled(const struct place *p)
{
	return (p->cancel != NULL && atomic_load(p->cancel));
}

enum rc
place_fail(struct upstream_error *error, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	error->status = 0;
	error->retry_after_s = 0;
	va_start(ap, fmt);
	(void)vsnprintf(error->why, sizeof(error->why), fmt, ap);
	va_end(ap);
	return (rc);
}
