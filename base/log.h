#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/rc.h"

/*
 * The log of the process, one line an event, to standard error with one
 * write(2) each.  Text:  2026-01-31T12:00:00.123Z level message
 * JSON: {"time":...,"level":...,"message":...}.  Control characters in the
 * message are escaped, so that no client can forge a line.  Any thread.
 */
enum log_level { LOG_LVL_DEBUG, LOG_LVL_INFO, LOG_LVL_WARN, LOG_LVL_ERROR };
enum log_format { LOG_FMT_TEXT, LOG_FMT_JSON };

void log_set_level(enum log_level);
void log_set_format(enum log_format);
bool log_enabled(enum log_level);

/** log_level_parse(name, level_r): "debug", "info", "warn", "error". */
RC_MUST_USE enum rc log_level_parse(const char *name, enum log_level *level_r);

void log_write(enum log_level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** log_raw(line, n): one finished line, its newline included. */
void log_raw(const char *line, unsigned long n_bytes);

#define log_debug(...) \
	do { \
		if (log_enabled(LOG_LVL_DEBUG)) \
			log_write(LOG_LVL_DEBUG, __VA_ARGS__); \
	} while (0)
#define log_info(...) log_write(LOG_LVL_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LVL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LVL_ERROR, __VA_ARGS__)

/** log_errno(what, ...): log_error with ": " and the text of errno. */
void log_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
