#include "base/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/obj.h"

/*
 * The list is written while there is one thread and only read afterwards, so
 * it has no lock.  It is kept grouped: the format wants all metrics of a name
 * in one run, under one HELP and TYPE.
 */
static struct metric *metrics;

/* A memory-mapped read takes less than the first, a slow upload the last. */
static const struct {
	uint64_t us;
	const char *le;
} bounds[] = {
	{ 1000, "0.001" },
	{ 2500, "0.0025" },
	{ 5000, "0.005" },
	{ 10000, "0.01" },
	{ 25000, "0.025" },
	{ 50000, "0.05" },
	{ 100000, "0.1" },
	{ 250000, "0.25" },
	{ 500000, "0.5" },
	{ 1000000, "1" },
	{ 2500000, "2.5" },
	{ 10000000, "10" },
	{ 30000000, "30" },
	{ 60000000, "60" },
};
_Static_assert(ARRAY_LEN(bounds) == METRIC_BUCKETS, "one bound a bucket");

void
metric_register(struct metric *m)
{
	struct metric **at = NULL, **p;

	must(m->name != NULL && m->help != NULL && m->labels != NULL);
	must(m->kind != METRIC_HISTOGRAM || m->buckets != NULL);
	for (p = &metrics; *p != NULL; p = &(*p)->next) {
		if (strcmp((*p)->name, m->name) != 0)
			continue;
		must((*p)->kind == m->kind);
		must(strcmp((*p)->labels, m->labels) != 0);
		at = &(*p)->next;
	}
	if (at == NULL)
		at = p;
	m->next = *at;
	*at = m;
}

void
metric_observe_us(struct metric *m, uint64_t us)
{
	size_t i;

	for (i = 0; i < METRIC_BUCKETS; i++)
		if (us <= bounds[i].us)
			break;
	atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->sum_us, us, memory_order_relaxed);
}

/* In HELP a backslash and a line feed are escaped, nothing else. */
static void
render_head(struct buf *out, const struct metric *m)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};
	const char *p;

	buf_printf(out, "# HELP %s ", m->name);
	for (p = m->help; *p != '\0'; p++) {
		if (*p == '\n')
			buf_str(out, "\\n");
		else if (*p == '\\')
			buf_str(out, "\\\\");
		else
			buf_char(out, *p);
	}
	buf_printf(out, "\n# TYPE %s %s\n", m->name, types[m->kind]);
}

/* name suffix ["{" labels ["," le] "}"] SP */
static void
render_name(
    struct buf *out, const struct metric *m, const char *suffix, const char *le)
{
	buf_str(out, m->name);
	buf_str(out, suffix);
	if (m->labels[0] != '\0' || le != NULL) {
		buf_char(out, '{');
		buf_str(out, m->labels);
		if (m->labels[0] != '\0' && le != NULL)
			buf_char(out, ',');
		if (le != NULL)
			buf_printf(out, "le=\"%s\"", le);
		buf_char(out, '}');
	}
	buf_char(out, ' ');
}

static void
render_value(struct buf *out, const struct metric *m)
{
	int64_t value;

	if (m->read != NULL)
		value = m->read(m->arg);
	else
		value = atomic_load_explicit(&m->value, memory_order_relaxed);
	render_name(out, m, "", NULL);
	buf_printf(out, "%" PRId64 "\n", value);
}

/* Buckets are counted apart and shown added up, as the format has them. */
static void
render_histogram(struct buf *out, const struct metric *m)
{
	uint64_t count = 0, sum_us;
	size_t i;

	for (i = 0; i <= METRIC_BUCKETS; i++) {
		count +=
		    atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
		render_name(out, m, "_bucket",
		    i < METRIC_BUCKETS ? bounds[i].le : "+Inf");
		buf_printf(out, "%" PRIu64 "\n", count);
	}
	sum_us = atomic_load_explicit(&m->sum_us, memory_order_relaxed);
	render_name(out, m, "_sum", NULL);
	buf_printf(out, "%" PRIu64 ".%06" PRIu64 "\n", sum_us / 1000000,
	    sum_us % 1000000);
	render_name(out, m, "_count", NULL);
	buf_printf(out, "%" PRIu64 "\n", count);
}

void
metric_render(struct buf *out)
{
	const struct metric *m, *before = NULL;

	for (m = metrics; m != NULL; before = m, m = m->next) {
		if (before == NULL || strcmp(before->name, m->name) != 0)
			render_head(out, m);
		if (m->kind == METRIC_HISTOGRAM)
			render_histogram(out, m);
		else
			render_value(out, m);
	}
}
