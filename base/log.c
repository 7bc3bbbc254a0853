#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/obj.h"
#include "base/utf8_int.h"

/*
 * Everything here is on the stack: the log must work when memory is gone, and
 * must not change errno under its callers.
 */
#define MESSAGE_BYTES 2048
/* A byte becomes six at most ("\u001f"); time, level and braces beside. */
#define LINE_BYTES (6 * MESSAGE_BYTES + 128)

static _Atomic int log_level_least = LOG_LVL_INFO;
static _Atomic int log_format_now = LOG_FMT_TEXT;

static const char *const level_names[] = {
	[LOG_LVL_DEBUG] = "debug",
	[LOG_LVL_INFO] = "info",
	[LOG_LVL_WARN] = "warn",
	[LOG_LVL_ERROR] = "error",
};

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(
	    &log_level_least, (int)level, memory_order_relaxed);
}

void
log_set_format(enum log_format format)
{
	atomic_store_explicit(
	    &log_format_now, (int)format, memory_order_relaxed);
}

bool
log_enabled(enum log_level level)
{
	return ((int)level >=
		atomic_load_explicit(&log_level_least, memory_order_relaxed));
}

enum rc
log_level_parse(const char *name, enum log_level *level_r)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(level_names); i++)
		if (strcmp(name, level_names[i]) == 0) {
			*level_r = (enum log_level)i;
			return (RC_OK);
		}
	return (RC_INVALID);
}

/* A line that the system does not take is lost; nobody could be told. */
void
log_raw(const char *line, unsigned long n_bytes)
{
	int saved = errno;
	ssize_t n;

	while (n_bytes > 0) {
		n = write(STDERR_FILENO, line, n_bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		line += n;
		n_bytes -= (unsigned long)n;
	}
	errno = saved;
}

/*
 * Bytes of ${s} that may stand in a line as they are: no C0 or C1 control,
 * no DEL, and nothing that a terminal could take for one because it is not
 * UTF-8.  0 if the first byte must be escaped.
 */
static size_t
text_plain(struct span s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t len;

	if (c < 0x20 || c == 0x7f)
		return (0);
	len = utf8_len(s.p, s.n);
	if (len == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0)
		return (0);
	return (len);
}

static void
text_escape(struct buf *b, struct span s)
{
	size_t n;

	for (; s.n > 0; s.p += n, s.n -= n) {
		n = text_plain(s);
		if (n > 0) {
			buf_add(b, s.p, n);
			continue;
		}
		n = 1;
		if (s.p[0] == '\n')
			buf_str(b, "\\n");
		else
			buf_printf(b, "\\x%02x", (unsigned char)s.p[0]);
	}
}

static void
line_write(enum log_level level, struct span message)
{
	char line[LINE_BYTES], now[CLOCK_ISO_BYTES];
	/* Room for its cap from the start, so it never allocates. */
	struct buf b = {
		.p = line,
		.room = sizeof(line),
		.cap_bytes = sizeof(line) - 1,
	};

	clock_iso(clock_real_ms(), now);
	if (atomic_load_explicit(&log_format_now, memory_order_relaxed) ==
	    LOG_FMT_JSON) {
		buf_printf(&b, "{\"time\":\"%s\",\"level\":\"%s\",", now,
		    level_names[level]);
		buf_str(&b, "\"message\":");
		buf_json(&b, message);
		buf_char(&b, '}');
	} else {
		buf_printf(&b, "%s %s ", now, level_names[level]);
		text_escape(&b, message);
	}
	buf_char(&b, '\n');
	log_raw(b.p, b.n);
}

static void message_write(enum log_level, const char *fmt, va_list,
    struct span tail) __attribute__((format(printf, 2, 0)));

/* Format the message and ${tail} behind it; an ellipsis ends a cut one. */
static void
message_write(
    enum log_level level, const char *fmt, va_list ap, struct span tail)
{
	const struct span more = SPAN("...");
	char message[MESSAGE_BYTES];
	size_t n;
	int len;

	must(tail.n <= sizeof(message) / 2);
	len = vsnprintf(message, sizeof(message), fmt, ap);
	n = len < 0 ? 0 : (size_t)len;
	if (n + tail.n >= sizeof(message)) {
		n = sizeof(message) - tail.n - 1;
		memcpy(message + n - more.n, more.p, more.n);
	}
	if (tail.n > 0)
		memcpy(message + n, tail.p, tail.n);
	line_write(level, (struct span){ message, n + tail.n });
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	message_write(level, fmt, ap, SPAN_NONE);
	va_end(ap);
	errno = saved;
}

void
log_errno(const char *fmt, ...)
{
	int saved = errno;
	char room[128], tail[160];
	va_list ap;

	(void)snprintf(
	    tail, sizeof(tail), ": %s", strerror_r(saved, room, sizeof(room)));
	va_start(ap, fmt);
	errno = saved;
	message_write(LOG_LVL_ERROR, fmt, ap, span_of(tail));
	va_end(ap);
	errno = saved;
}
