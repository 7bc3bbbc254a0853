#ifndef BASE_OBJ_H
#define BASE_OBJ_H

#include <stdint.h>

/*
 * Objects that travel through a void pointer carry a magic number as their
 * first member and are checked at the moment they stop being void.  The
 * checks state what we guarantee ourselves, never what a client sent, and
 * are never compiled out.
 */

/** must(cond): abort with file, line and text unless ${cond} holds. */
#define must(cond) ((cond) ? (void)0 : obj_fail(#cond, __FILE__, __LINE__))

/** wrong(why): abort, saying ${why}. */
#define wrong(why) obj_fail((why), __FILE__, __LINE__)

#define OBJ_CHECK(o, MAGIC) must((o) != NULL && (o)->magic == (MAGIC))

__attribute__((noreturn)) void
obj_fail(const char *what, const char *file, int line);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
