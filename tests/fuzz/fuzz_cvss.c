#include <stdint.h>

#include "base/obj.h"
#include "scan/cvss.h"

/*
 * The input is a vector; what is taken for one has a score, and the severity
 * that goes with it.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	enum severity severity, said;
	double score;
	enum rc rc;

	rc = cvss_read(text, &score, &severity);
	must(rc == RC_OK || rc == RC_INVALID || rc == RC_UNSUPPORTED);
	must(score >= 0 && score <= 10);
	must((rc == RC_OK) == (severity != SEVERITY_UNDEFINED));
	if (rc == RC_OK && score > 0 && score < 9)
		must(severity == cvss_severity(score));
	said = severity_of_words(text);
	must(said >= SEVERITY_UNDEFINED && said <= SEVERITY_CRITICAL);
	must(severity_text(said) != NULL);
	return (0);
}
