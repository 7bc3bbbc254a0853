#include "scan/sbom.h"

#include <stdio.h>

#include "base/digest.h"
#include "scan/sbom_int.h"

const char *
sbom_media_type(enum sbom_format format)
{
	return (format == SBOM_CYCLONEDX ? "application/vnd.cyclonedx+json"
					 : "application/spdx+json");
}

const char *
sbom_id(const struct sbom_subject *s, const char *of, char out[SBOM_ID_BYTES])
{
	struct digest d;
	struct buf text;
	uint8_t *b = d.bytes;

	buf_init(&text, SIZE_MAX);
	buf_printf(&text, "%s " SPAN_FMT " " SPAN_FMT " %lld", of,
	    SPAN_ARG(s->repository), SPAN_ARG(s->digest),
	    (long long)s->created_ms);
	digest_of(DIGEST_SHA256, text.p, text.n, &d);
	buf_free(&text);
	/* RFC 9562, section 5.8: version 8, what is in it is ours. */
	b[6] = (b[6] & 0x0f) | 0x80;
	b[8] = (b[8] & 0x3f) | 0x80;
	(void)snprintf(out, SBOM_ID_BYTES,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
	return (out);
}

const char *
sbom_time(int64_t real_ms, char out[SBOM_TIME_BYTES])
{
	char *dot;

	(void)clock_iso(real_ms, out);
	dot = strchr(out, '.');
	if (dot != NULL)
		(void)snprintf(dot, 2, "Z");
	return (out);
}

void
sbom_member(struct buf *out, const char *name, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(out, ",\"%s\":", name);
	buf_json(out, value);
}

void
sbom_write(enum sbom_format format, const struct sbom_subject *subject,
    const struct inventory *v, struct buf *out)
{
	if (format == SBOM_CYCLONEDX)
		sbom_cyclonedx_write(subject, v, out);
	else
		sbom_spdx_write(subject, v, out);
}
