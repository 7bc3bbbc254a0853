#ifndef REGISTRYCTL_INPUT_H
#define REGISTRYCTL_INPUT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/rc.h"

/*
 * What commands read besides their command line.  Passwords come this way
 * only: a command line is seen by every user of the machine.
 */
#define INPUT_WHY_BYTES 512
#define INPUT_PASSWORD_MAX_BYTES 1024

/**
 * input_file(path, max_bytes, text_r, why):
 * The whole file, or standard input where ${path} is "-", into ${text_r},
 * which the caller has not initialised and frees on RC_OK.  RC_TOOBIG: it is
 * longer than ${max_bytes}; RC_NOTFOUND, RC_DENIED, RC_IO.
 */
RC_MUST_USE enum rc input_file(const char *path, size_t max_bytes,
    struct buf *text_r, char why[INPUT_WHY_BYTES]);

/** input_wipe(text): overwrite and free. */
void input_wipe(struct buf *text);

/**
 * input_password(from_stdin, password_r, why):
 * Of standard input, without the line's end; or asked for on the terminal,
 * twice and without echo.  As input_file, and to be wiped.  RC_INVALID: empty,
 * more than a line, or not the same twice; RC_CANCELLED: interrupted;
 * RC_UNSUPPORTED: there is no terminal.
 */
RC_MUST_USE enum rc input_password(
    bool from_stdin, struct buf *password_r, char why[INPUT_WHY_BYTES]);

#endif
