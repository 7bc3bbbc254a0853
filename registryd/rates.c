#include "registryd/rates.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/obj.h"
#include "registryd/permissions.h"
#include "registryd/rates_int.h"
#include "registryd/settings.h"

#define SECOND_NS ((int64_t)1000 * 1000 * 1000)

/* Of the process: a reload of the settings keeps what is in them. */
static struct rate_bucket buckets[RATES];

bool
rate_bucket_take(struct rate_bucket *b, unsigned per_second, int64_t now_ns)
{
	int64_t until, from, cost = SECOND_NS / per_second;

	until = atomic_load_explicit(&b->until_ns, memory_order_relaxed);
	do {
		from = until > now_ns ? until : now_ns;
		if (from + cost > now_ns + SECOND_NS)
			return (false);
	} while (!atomic_compare_exchange_weak_explicit(&b->until_ns, &until,
	    from + cost, memory_order_relaxed, memory_order_relaxed));
	return (true);
}

static unsigned
limit_of(const struct rate_limits *l, enum rate rate)
{
	switch (rate) {
	case RATE_AUTHORIZATION_TOKEN:
		return (l->authorization_token);
	case RATE_CHECK_LAYERS:
		return (l->check_layers);
	case RATE_GET_IMAGE:
		return (l->get_image);
	case RATE_DOWNLOAD_URL:
		return (l->download_url);
	case RATE_INITIATE_UPLOAD:
		return (l->initiate_upload);
	case RATE_UPLOAD_PART:
		return (l->upload_part);
	case RATE_COMPLETE_UPLOAD:
		return (l->complete_upload);
	case RATE_PUT_IMAGE:
		return (l->put_image);
	case RATE_NONE:
	case RATES:
		break;
	}
	return (0);
}

static enum rate
rate_of(const struct call *c)
{
	const struct permission *p = c->permission;

	if (c->request->method == HTTP_HEAD && p->head_rate != RATE_NONE)
		return (p->head_rate);
	return (p->rate);
}

enum rc
rates_take(struct call *c)
{
	enum rate rate = rate_of(c);
	unsigned limit = limit_of(&c->settings->rates, rate);

	if (limit == 0 ||
	    rate_bucket_take(&buckets[rate], limit, clock_mono_ns()))
		return (RC_OK);
	http_response_header(c->answer, "Retry-After", SPAN("1"));
	return (call_fail(c,
	    c->shape == SHAPE_OCI ? OCI_TOOMANYREQUESTS : AWS_THROTTLING, NULL,
	    "Rate exceeded"));
}
