#include "base/rc.h"

#include <errno.h>
#include <stddef.h>

#include "base/obj.h"

static const struct {
	const char *name;
	const char *text;
} reasons[] = {
#define RC(name, text) { #name, text },
#include "base/rc.def"
#undef RC
};

const char *
rc_text(enum rc rc)
{
	must((size_t)rc < ARRAY_LEN(reasons));
	return (reasons[rc].text);
}

const char *
rc_name(enum rc rc)
{
	must((size_t)rc < ARRAY_LEN(reasons));
	return (reasons[rc].name);
}

enum rc
rc_of_errno(int err)
{
	switch (err) {
	case ENOENT:
		return (RC_NOTFOUND);
	case EEXIST:
		return (RC_EXISTS);
	case ENOSPC:
	case EDQUOT:
		return (RC_NOSPACE);
	case EROFS:
		return (RC_READONLY);
	case EACCES:
	case EPERM:
		return (RC_DENIED);
	case EMFILE:
	case ENFILE:
		return (RC_LIMIT);
	case EAGAIN:
		return (RC_WOULDBLOCK);
	case EFBIG:
		return (RC_TOOBIG);
	default:
		return (RC_IO);
	}
}
