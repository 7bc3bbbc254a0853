#ifndef REGISTRYCTL_PRINT_H
#define REGISTRYCTL_PRINT_H

#include <jansson.h>
#include <stdint.h>

#include "registryctl/command.h"

/** print_bytes(n, out): "512 B", "1.5 MiB"; returns ${out}. */
#define PRINT_BYTES_ROOM 32
const char *print_bytes(uint64_t n, char out[PRINT_BYTES_ROOM]);

/** print_duration(ms, out): "45 s", "1 h 30 min", "3 d 4 h", in whole seconds,
 * rounded up; returns ${out}. */
#define PRINT_DURATION_ROOM 48
const char *print_duration(uint64_t ms, char out[PRINT_DURATION_ROOM]);

/** print_count(n, one, many): "1 blob", "2 blobs", without a line's end. */
void print_count(uint64_t n, const char *one, const char *many);

/** print_json(doc): a line of JSON for programs, to standard output.
 * CTL_FAILED when it cannot be written. */
enum ctl_exit print_json(const json_t *doc);

/*
 * What the registry holds was sent by clients: control characters in it are
 * shown as "\x1b", so that they do nothing to a terminal.
 */

/** print_text(text): escaped, without a line's end. */
void print_text(const char *text);

/* A number stands at the right of its column. */
enum print_kind { PRINT_TEXT, PRINT_NUMBER, PRINT_SIZE };

/* A member of an object ("Name", "LastUsed.Date") and what people call it. */
struct print_column {
	const char *head;
	const char *key;
	enum print_kind kind;
};

/** print_table(rows, columns, n): an array of objects under heads, aligned;
 * nothing there is "-". */
void
print_table(const json_t *rows, const struct print_column *columns, size_t n);

/** print_fields(object, columns, n): one object, a line for each member that
 * is there. */
void print_fields(
    const json_t *object, const struct print_column *columns, size_t n);

/** print_done(code): ${code}, or CTL_FAILED if standard output broke. */
enum ctl_exit print_done(enum ctl_exit code);

/** print_u64(o, key): a number of an object, 0 if it is not there. */
uint64_t print_u64(const json_t *o, const char *key);

#endif
