#ifndef REGISTRYCTL_PRINT_H
#define REGISTRYCTL_PRINT_H

#include <jansson.h>
#include <stdint.h>

#include "registryctl/command.h"

/** print_bytes(n, out): "512 B", "1.5 MiB"; returns ${out}. */
#define PRINT_BYTES_ROOM 32
const char *print_bytes(uint64_t n, char out[PRINT_BYTES_ROOM]);

/** print_json(doc): a line of JSON for programs, to standard output.
 * CTL_FAILED when it cannot be written. */
enum ctl_exit print_json(const json_t *doc);

/** print_done(code): ${code}, or CTL_FAILED if standard output broke. */
enum ctl_exit print_done(enum ctl_exit code);

/** print_u64(o, key): a number of an object, 0 if it is not there. */
uint64_t print_u64(const json_t *o, const char *key);

#endif
