#include "registryctl/print.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

enum ctl_exit
print_done(enum ctl_exit code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return (code);
	ctl_say("cannot write the answer: %s", strerror(errno));
	return (CTL_FAILED);
}

enum ctl_exit
print_json(const json_t *doc)
{
	if (json_dumpf(doc, stdout, JSON_COMPACT) == -1)
		return (CTL_FAILED);
	(void)fputc('\n', stdout);
	return (print_done(CTL_OK));
}

uint64_t
print_u64(const json_t *o, const char *key)
{
	return ((uint64_t)json_integer_value(json_object_get(o, key)));
}
