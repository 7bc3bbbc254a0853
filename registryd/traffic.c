#include "registryd/traffic.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "base/obj.h"
#include "registryd/route.h"

/*
 * One slot for each name in the table of routes (two spellings of a path have
 * one name), and slot 0 for what no row took.
 */
#define SLOTS_MAX 128

static const int statuses[] = { 200, 201, 202, 204, 206, 304, 400, 401, 403,
	404, 405, 408, 409, 413, 414, 416, 417, 421, 429, 431, 500, 501, 503,
	505, 507 };
#define N_STATUSES (ARRAY_LEN(statuses) + 1) /* and "other" */

enum { AS_ASKED, AS_HEAD, N_METHODS };

struct slot {
	const char *name;
	const char *method;
	_Atomic uint64_t counts[N_METHODS][N_STATUSES];
	_Atomic uint64_t buckets[METRIC_BUCKETS + 1];
	struct metric seconds;
};

static struct slot slots[SLOTS_MAX];
static size_t n_slots;
static uint8_t slot_of_route[SLOTS_MAX];

static struct metric bytes_in = {
	.name = "registryd_http_request_body_bytes_total",
	.help = "Bytes of request bodies received.",
	.labels = "",
	.kind = METRIC_COUNTER,
};
static struct metric bytes_out = {
	.name = "registryd_http_response_body_bytes_total",
	.help = "Bytes of response bodies sent.",
	.labels = "",
	.kind = METRIC_COUNTER,
};

/* --- at the start -------------------------------------------------------- */

static const char *
method_name(enum http_method m)
{
	switch (m) {
	case HTTP_GET:
		return ("GET");
	case HTTP_HEAD:
		return ("HEAD");
	case HTTP_POST:
		return ("POST");
	case HTTP_PUT:
		return ("PUT");
	case HTTP_PATCH:
		return ("PATCH");
	case HTTP_DELETE:
		return ("DELETE");
	case HTTP_OPTIONS:
		return ("OPTIONS");
	case HTTP_METHOD_OTHER:
		break;
	}
	return ("other");
}

static size_t
slot_add(const char *name, const char *method)
{
	struct slot *s;
	size_t i;

	for (i = 0; i < n_slots; i++)
		if (strcmp(slots[i].name, name) == 0)
			return (i);
	must(n_slots < SLOTS_MAX);
	s = &slots[n_slots];
	s->name = name;
	s->method = method;
	s->seconds = (struct metric){
		.name = "registryd_http_request_duration_seconds",
		.help = "From the first byte of a request to the last of its "
			"answer.",
		.labels = xasprintf("route=\"%s\"", name),
		.kind = METRIC_HISTOGRAM,
		.buckets = s->buckets,
	};
	metric_register(&s->seconds);
	return (n_slots++);
}

void
traffic_init(void)
{
	size_t i;

	must(n_slots == 0 && n_routes <= ARRAY_LEN(slot_of_route));
	(void)slot_add("none", "any");
	for (i = 0; i < n_routes; i++)
		slot_of_route[i] = (uint8_t)slot_add(
		    routes[i].name, method_name(routes[i].method));
	metric_register(&bytes_in);
	metric_register(&bytes_out);
}

/* --- counting ------------------------------------------------------------ */

static size_t
status_index(int status)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i] == status)
			return (i);
	return (ARRAY_LEN(statuses));
}

void
traffic_count(const struct route *route, const struct http_request *rq,
    const struct http_outcome *outcome)
{
	size_t method = rq->method == HTTP_HEAD ? AS_HEAD : AS_ASKED;
	struct slot *s = &slots[0];

	if (route != NULL)
		s = &slots[slot_of_route[route - routes]];
	atomic_fetch_add_explicit(
	    &s->counts[method][status_index(outcome->status)], 1,
	    memory_order_relaxed);
	metric_observe_us(&s->seconds,
	    outcome->duration_us > 0 ? (uint64_t)outcome->duration_us : 0);
	metric_add(&bytes_in, (int64_t)outcome->bytes_in);
	metric_add(&bytes_out, (int64_t)outcome->bytes_out);
}

/* --- showing ------------------------------------------------------------- */

static void
count_render(struct buf *out, struct slot *s, size_t method, size_t status)
{
	uint64_t n;

	n = atomic_load_explicit(
	    &s->counts[method][status], memory_order_relaxed);
	if (n == 0)
		return;
	buf_printf(out,
	    "registryd_http_requests_total{route=\"%s\",method=\"%s\",status="
	    "\"",
	    s->name, method == AS_HEAD ? "HEAD" : s->method);
	if (status < ARRAY_LEN(statuses))
		buf_u64(out, (uint64_t)statuses[status]);
	else
		buf_str(out, "other");
	buf_printf(out, "\"} %" PRIu64 "\n", n);
}

void
traffic_render(struct buf *out)
{
	size_t i, method, status;

	buf_str(out, "# HELP registryd_http_requests_total Requests answered.\n"
		     "# TYPE registryd_http_requests_total counter\n");
	for (i = 0; i < n_slots; i++)
		for (method = 0; method < N_METHODS; method++)
			for (status = 0; status < N_STATUSES; status++)
				count_render(out, &slots[i], method, status);
}
