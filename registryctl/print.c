#include "registryctl/print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"

const char *
print_bytes(uint64_t n, char out[PRINT_BYTES_ROOM])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB",
		"EiB" };
	double x = (double)n;
	size_t u = 0;

	if (n < 1024) {
		(void)snprintf(
		    out, PRINT_BYTES_ROOM, "%llu B", (unsigned long long)n);
		return (out);
	}
	/* What would round to "1024.0" is one of the next unit. */
	for (x /= 1024; x >= 1023.95 && u + 1 < ARRAY_LEN(units); x /= 1024)
		u++;
	(void)snprintf(out, PRINT_BYTES_ROOM, "%.1f %s", x, units[u]);
	return (out);
}

/* The two largest units that say something. */
const char *
print_duration(uint64_t ms, char out[PRINT_DURATION_ROOM])
{
	static const struct unit {
		uint64_t seconds, from; /* worth mentioning */
		const char *name;
	} units[] = { { 86400, 172800, "d" }, { 3600, 3600, "h" },
		{ 60, 60, "min" }, { 1, 0, "s" } };
	uint64_t s = ms / 1000 + (ms % 1000 > 0 ? 1 : 0), more;
	const struct unit *u = units;

	while (s < u->from)
		u++;
	more = u->seconds > 1 ? s % u->seconds / u[1].seconds : 0;
	if (more > 0)
		(void)snprintf(out, PRINT_DURATION_ROOM, "%llu %s %llu %s",
		    (unsigned long long)(s / u->seconds), u->name,
		    (unsigned long long)more, u[1].name);
	else
		(void)snprintf(out, PRINT_DURATION_ROOM, "%llu %s",
		    (unsigned long long)(s / u->seconds), u->name);
	return (out);
}

void
print_count(uint64_t n, const char *one, const char *many)
{
	(void)printf("%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

/* --- tables -------------------------------------------------------------- */

#define GAP 2

static void
text_add(struct buf *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p != '\0'; p++)
		if (p[0] == 0xc2 && (p[1] & 0xe0) == 0x80) {
			/* U+0080 to U+009F command some terminals, too */
			buf_printf(out, "\\x%02x\\x%02x", p[0], p[1]);
			p++;
		} else if (*p < ' ' || *p == 0x7f) {
			buf_printf(out, "\\x%02x", *p);
		} else {
			buf_char(out, (char)*p);
		}
}

void
print_text(const char *text)
{
	struct buf out;

	buf_init(&out, SIZE_MAX);
	text_add(&out, text);
	if (out.n > 0)
		(void)fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
}

/* Entities inside of others are shown by their names. */
static const json_t *
name_of(const json_t *o)
{
	static const char *const keys[] = { "UserName", "GroupName",
		"PolicyName", "AccessKeyId" };
	const json_t *name = NULL;
	size_t i;

	for (i = 0; name == NULL && i < ARRAY_LEN(keys); i++)
		name = json_object_get(o, keys[i]);
	return (name);
}

static void value_add(struct buf *out, const json_t *v);

static void
array_add(struct buf *out, const json_t *array)
{
	const json_t *one;
	size_t i;

	json_array_foreach(array, i, one)
	{
		if (i > 0)
			buf_str(out, ", ");
		if (json_is_object(one) && name_of(one) != NULL)
			one = name_of(one);
		value_add(out, one);
	}
}

static void
object_add(struct buf *out, const json_t *object)
{
	size_t before = out->n;
	const json_t *one;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)object, key, one)
	{
		if (out->n > before)
			buf_str(out, ", ");
		text_add(out, key);
		buf_char(out, '=');
		value_add(out, one);
	}
}

static void
value_add(struct buf *out, const json_t *v)
{
	if (json_is_string(v))
		text_add(out, json_string_value(v));
	else if (json_is_boolean(v))
		buf_str(out, json_is_true(v) ? "yes" : "no");
	else if (json_is_integer(v))
		buf_printf(out, "%lld", (long long)json_integer_value(v));
	else if (json_is_array(v))
		array_add(out, v);
	else if (json_is_object(v))
		object_add(out, v);
}

/* The text of a cell, the caller's. */
static char *
cell_of(const json_t *v, enum print_kind kind)
{
	char room[PRINT_BYTES_ROOM];
	struct buf out;

	buf_init(&out, SIZE_MAX);
	if (kind == PRINT_SIZE && json_is_integer(v))
		buf_str(
		    &out, print_bytes((uint64_t)json_integer_value(v), room));
	else
		value_add(&out, v);
	if (out.n == 0)
		buf_char(&out, '-');
	return (buf_take(&out, NULL));
}

/* "LastUsed.Date" is a member of a member. */
static const json_t *
member_of(const json_t *o, const char *key)
{
	const char *dot = strchr(key, '.');
	const json_t *v;
	char *first;

	if (dot == NULL)
		return (json_object_get(o, key));
	first = xstrndup(key, (size_t)(dot - key));
	v = json_object_get(json_object_get(o, first), dot + 1);
	free(first);
	return (v);
}

/* In characters, as far as UTF-8 goes. */
static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return (n);
}

static void
spaces_print(size_t n)
{
	for (; n > 0; n--)
		(void)putchar(' ');
}

/* The last column has no end to be aligned with. */
static void
cell_print(const char *text, size_t width, bool right, bool last)
{
	size_t n = width_of(text), left = n < width ? width - n : 0;

	if (right)
		spaces_print(left);
	(void)fputs(text, stdout);
	if (!last)
		spaces_print((right ? 0 : left) + GAP);
}

static void
row_print(char **cells, const size_t *widths,
    const struct print_column *columns, size_t n)
{
	size_t c;

	for (c = 0; c < n; c++)
		cell_print(cells[c], widths[c], columns[c].kind != PRINT_TEXT,
		    c + 1 == n);
	(void)putchar('\n');
}

/* ${cells}: the rows of the table behind each other, the heads first. */
static void
cells_print(
    char **cells, size_t n_rows, const struct print_column *columns, size_t n)
{
	size_t *widths = xcalloc(n, sizeof(*widths)), r, c, w;

	for (r = 0; r < n_rows; r++)
		for (c = 0; c < n; c++)
			if ((w = width_of(cells[r * n + c])) > widths[c])
				widths[c] = w;
	for (r = 0; r < n_rows; r++)
		row_print(cells + r * n, widths, columns, n);
	free(widths);
}

void
print_table(const json_t *rows, const struct print_column *columns, size_t n)
{
	size_t n_rows = json_array_size(rows) + 1, r, c;
	char **cells = xcalloc(n_rows * n, sizeof(*cells));
	const json_t *row;

	for (c = 0; c < n; c++)
		cells[c] = xstrdup(columns[c].head);
	json_array_foreach(rows, r, row)
	{
		for (c = 0; c < n; c++)
			cells[(r + 1) * n + c] = cell_of(
			    member_of(row, columns[c].key), columns[c].kind);
	}
	cells_print(cells, n_rows, columns, n);
	for (r = 0; r < n_rows * n; r++)
		free(cells[r]);
	free(cells);
}

void
print_fields(const json_t *object, const struct print_column *columns, size_t n)
{
	size_t width = 0, c, w;
	const json_t *v;
	char *text;

	for (c = 0; c < n; c++)
		if ((w = width_of(columns[c].head)) > width)
			width = w;
	for (c = 0; c < n; c++) {
		if ((v = member_of(object, columns[c].key)) == NULL)
			continue;
		text = cell_of(v, columns[c].kind);
		cell_print(columns[c].head, width, false, false);
		(void)puts(text);
		free(text);
	}
}

/* --- programs ------------------------------------------------------------ */

enum ctl_exit
print_done(enum ctl_exit code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return (code);
	ctl_say("cannot write the answer: %s", strerror(errno));
	return (CTL_FAILED);
}

/* Fifteen digits are what a double surely holds: milliseconds since 1970 look
 * as the registry wrote them. */
enum ctl_exit
print_json(const json_t *doc)
{
	if (json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15)) ==
	    -1)
		return (CTL_FAILED);
	(void)fputc('\n', stdout);
	return (print_done(CTL_OK));
}

uint64_t
print_u64(const json_t *o, const char *key)
{
	return ((uint64_t)json_integer_value(json_object_get(o, key)));
}
