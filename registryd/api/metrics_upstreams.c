#include "registryd/api/metrics_upstreams.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "mirror/upstream.h"
#include "registryd/service.h"

/*
 * What is known of upstreams.  Those of one address (with several credentials)
 * are one; beyond UPSTREAMS_MAX they are left out, since each is a time series
 * for whoever scrapes.
 */
#define UPSTREAMS_MAX 200

struct row {
	char *host;
	uint64_t requests, failures, retries, bytes_in, bytes_out;
};

struct rows {
	struct row items[UPSTREAMS_MAX];
	size_t n;
};

static const char *
host_of(const char *url)
{
	const char *host = strstr(url, "://");

	return (host != NULL ? host + 3 : url);
}

static struct row *
row_of(struct rows *rows, const char *host)
{
	size_t i;

	for (i = 0; i < rows->n; i++)
		if (strcmp(rows->items[i].host, host) == 0)
			return (&rows->items[i]);
	if (rows->n == UPSTREAMS_MAX)
		return (NULL);
	rows->items[rows->n] = (struct row){ .host = xstrdup(host) };
	return (&rows->items[rows->n++]);
}

static void
upstream_add(void *arg, struct upstream *u)
{
	struct row *row = row_of(arg, host_of(upstream_url(u)));
	struct upstream_state st;

	if (row == NULL)
		return;
	upstream_state(u, &st);
	row->requests += st.requests;
	row->failures += st.failures;
	row->retries += st.retries;
	row->bytes_in += st.bytes_in;
	row->bytes_out += st.bytes_out;
}

/* Hosts are of a URL that was parsed: nothing in them needs a backslash. */
static void
family(const struct rows *rows, const char *name, const char *help,
    size_t offset, struct buf *out)
{
	uint64_t n;
	size_t i;

	if (rows->n == 0)
		return;
	buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
	for (i = 0; i < rows->n; i++) {
		memcpy(&n, (const char *)&rows->items[i] + offset, sizeof(n));
		buf_printf(out, "%s{host=\"%s\"} %" PRIu64 "\n", name,
		    rows->items[i].host, n);
	}
}

void
metrics_upstreams(struct service *svc, struct buf *out)
{
	struct rows *rows = xcalloc(1, sizeof(*rows));
	size_t i;

	if (svc->upstreams != NULL)
		upstreams_walk(svc->upstreams, upstream_add, rows);
	family(rows, "registryd_upstream_requests_total",
	    "Requests to other registries", offsetof(struct row, requests),
	    out);
	family(rows, "registryd_upstream_failures_total",
	    "Requests to other registries that failed",
	    offsetof(struct row, failures), out);
	family(rows, "registryd_upstream_retries_total",
	    "Requests to other registries that were made once more",
	    offsetof(struct row, retries), out);
	family(rows, "registryd_upstream_received_bytes_total",
	    "Bytes of bodies from other registries",
	    offsetof(struct row, bytes_in), out);
	family(rows, "registryd_upstream_sent_bytes_total",
	    "Bytes of bodies to other registries",
	    offsetof(struct row, bytes_out), out);
	for (i = 0; i < rows->n; i++)
		free(rows->items[i].host);
	free(rows);
}
