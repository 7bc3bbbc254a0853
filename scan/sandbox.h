#ifndef SCAN_SANDBOX_H
#define SCAN_SANDBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "scan/layer.h"

/*
 * A process for reading what may be hostile: this program, started anew under
 * the name SANDBOX_NAME, with nothing but three pipes, no environment, no rights
 * (nobody's user where it can be had, no new privileges, its own network and
 * user namespace where the kernel lets it), a seccomp filter under which it may
 * read, write, ask for memory and end, limits on processor time, memory, files
 * and output, and the lowest priority there is.
 *
 * Opening a file, or asking what there is, is refused, since libraries do it on
 * the way; any other system call ends the process.
 */
#define SANDBOX_NAME "registryd-scan"

struct sandbox_limits {
	uint64_t memory_bytes;
	int64_t timeout_ms; /* of the clock on the wall, in all */
	int64_t cpu_ms;
	size_t output_bytes;
	struct layer_limits layer;
};

/* How the process ends; anything else is RC_FAILED.  What it wrote on standard
 * error says why. */
enum sandbox_exit {
	SANDBOX_EXIT_OK = 0,
	SANDBOX_EXIT_INVALID = 10,
	SANDBOX_EXIT_TOOBIG = 11,
	SANDBOX_EXIT_UNSUPPORTED = 12,
	SANDBOX_EXIT_NOSPACE = 13,
	SANDBOX_EXIT_REFUSED = 14, /* it could not give up its rights */
	SANDBOX_EXIT_FAILED = 15,
};

/**
 * sandbox_run(limits, layer_read, arg, stop, out, why):
 * Feed a layer, append its index to ${out}.  The codes of layer_index_make();
 * RC_TIMEOUT, RC_NOSPACE (its memory), RC_FAILED: it ended otherwise, ${why}
 * says how (signal, forbidden system call); RC_CANCELLED: ${*stop} became true;
 * RC_IO: ${layer_read} failed; RC_LIMIT: no process could be started, or it could not
 * give up its rights.  With any but RC_OK ${out} is as it was, and ${why} has
 * words of printable ASCII.  Blocks; a thread of one's own, in which SIGPIPE is
 * ignored or blocked.  Nothing is left of it when it returns.
 */
RC_MUST_USE enum rc sandbox_run(const struct sandbox_limits *limits,
    layer_read_fn *layer_read, void *arg, const _Atomic bool *stop,
    struct buf *out, char why[LAYER_WHY_BYTES]);

/** sandbox_is_child(argv): was this process started as one? (main() calls
 * layer_main() then, before all else.) */
bool sandbox_is_child(char *const argv[]);
/** sandbox_limits_read(argc, argv, limits_r): in the child: those that it was
 * started with.  RC_INVALID. */
RC_MUST_USE enum rc sandbox_limits_read(
    int argc, char *const argv[], struct sandbox_limits *limits_r);
/** sandbox_enter(memory_bytes, cpu_ms): in the child, before the first byte is
 * read: give up all rights.  Ends the process where that fails. */
void sandbox_enter(uint64_t memory_bytes, int64_t cpu_ms);
/** sandbox_memory_spent(): in the child: is its memory what has run out? */
bool sandbox_memory_spent(void);

#endif
