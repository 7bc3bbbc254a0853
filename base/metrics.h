#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Figures about the running process, shown in the Prometheus text format.
 *
 * A metric is a static object that its owner declares and registers once
 * before threads start; adding to it is one relaxed atomic add, from any
 * thread.  Metrics of one name stand together and differ in their labels
 * ('route="manifest",method="GET"', written by the owner, quoted already).
 * A gauge whose value is found only when asked has a function.
 */
enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Upper bounds of the latency buckets, in seconds, and +Inf behind them. */
#define METRIC_BUCKETS 14

struct metric {
	const char *name; /* registryd_..., unit as suffix */
	const char *help;
	const char *labels; /* "" or 'a="b",c="d"' */
	enum metric_kind kind;
	_Atomic int64_t value;
	int64_t (*read)(void *arg); /* a gauge asked at each scrape, or NULL */
	void *arg;
	_Atomic uint64_t *buckets; /* METRIC_BUCKETS + 1, histograms only */
	_Atomic uint64_t sum_us;
	struct metric *next;
};

/** metric_register(m): before threads start; ${m} lives for ever. */
void metric_register(struct metric *);

static inline void
metric_add(struct metric *m, int64_t n)
{
	atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

/** metric_observe_us(m, us): a latency of ${us} microseconds. */
void metric_observe_us(struct metric *, uint64_t us);

/** metric_render(out): all registered ones, grouped by name. */
void metric_render(struct buf *out);

#endif
