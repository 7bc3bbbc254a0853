#ifndef BASE_RC_H
#define BASE_RC_H

/*
 * Results.  A function that can fail for a reason its caller can act on
 * returns enum rc; the reasons stand in rc.def.  A failure is logged once,
 * where it is detected, and travels up unlogged.
 */
enum rc {
#define RC(name, text) RC_##name,
#include "base/rc.def"
#undef RC
};

#define RC_MUST_USE __attribute__((warn_unused_result))

/** rc_text(rc): the English text of ${rc}; a static string. Any thread. */
const char *rc_text(enum rc);

/** rc_name(rc): the symbolic name, "NOTFOUND"; a static string. Any thread. */
const char *rc_name(enum rc);

/**
 * rc_of_errno(err):
 * Translate an errno value: ENOENT NOTFOUND, EEXIST EXISTS, ENOSPC and EDQUOT
 * NOSPACE, EROFS READONLY, EACCES and EPERM DENIED, EMFILE and ENFILE LIMIT,
 * EAGAIN WOULDBLOCK, EFBIG TOOBIG, all else IO.
 */
enum rc rc_of_errno(int err);

#endif
