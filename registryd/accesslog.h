#ifndef REGISTRYD_ACCESSLOG_H
#define REGISTRYD_ACCESSLOG_H

#include "base/span.h"
#include "registryd/http/request.h"
#include "registryd/http/server.h"
#include "registryd/settings.h"

/*
 * One line for each exchange, when it is over.
 *
 * Text:
 * 2026-01-31T12:00:00.123Z access 10.0.0.7 anonymous "GET /v2/a/tags/list"
 * 200 in=0 out=57 0.412ms id=4f1c...
 * behind it " operation=CreateRepository" for one of the AWS protocols, and
 * " aborted" when the client did not get the whole answer.
 * JSON: one object with time, type ("access"), request_id, client, principal,
 * method, path, operation where there is one, status, bytes_in, bytes_out,
 * duration_ms, aborted.
 *
 * Nothing a client sends can forge a line: what is not printable ASCII is
 * escaped.  No secret gets in: of the query only the values of parameters
 * that are known to be harmless are shown, the others become "***"; headers
 * are not shown at all.
 */
#define ACCESSLOG_LINE_BYTES 8192

/**
 * accesslog_write(how, request, principal, operation, outcome):
 * Write the line with log_raw(); nothing with ACCESS_LOG_OFF.  ${principal}
 * may be empty (refused before anybody asked who it is), ${operation} NULL
 * (none).  Loop or worker.
 */
void accesslog_write(enum access_log how, const struct http_request *,
    struct span principal, const char *operation, const struct http_outcome *);

/**
 * accesslog_format(how, request, principal, operation, outcome, now_ms, out):
 * The line with its newline, at most ACCESSLOG_LINE_BYTES; a longer target is
 * cut.  ${out} is cleared first.
 */
struct buf;
void accesslog_format(enum access_log how, const struct http_request *,
    struct span principal, const char *operation, const struct http_outcome *,
    int64_t now_ms, struct buf *out);

#endif
