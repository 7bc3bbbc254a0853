#ifndef REGISTRYCTL_PROGRESS_H
#define REGISTRYCTL_PROGRESS_H

#include <stdatomic.h>

#include "mirror/copy.h"
#include "registryctl/command.h"

/*
 * A line on the terminal (standard error) that tells how far a copy is, drawn
 * by a thread of its own a few times a second; nothing where standard error is
 * no terminal.
 */
struct progress;

/** progress_start(ctl, what, counts): "copying"; both live until the end.
 * NULL: there is nobody to show it to, which all that follows take. */
struct progress *
progress_start(const struct ctl *, const char *what, struct copy_progress *);

/** progress_pause(p), progress_resume(p): the line is away, so that others may
 * be printed; any thread. */
void progress_pause(struct progress *);
void progress_resume(struct progress *);

/** progress_end(p): the line is away.  Takes NULL. */
void progress_end(struct progress **);

/*
 * Interrupts (SIGINT, SIGTERM) of commands that copy: the first one sets a flag
 * that everything goes by, the second ends the process.
 */
/** interrupts_flag(): catches them from now on. */
const atomic_bool *interrupts_flag(void);

#endif
