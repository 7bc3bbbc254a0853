#ifndef REGISTRYD_RATES_H
#define REGISTRYD_RATES_H

#include "registryd/call.h"

/*
 * How many requests of a kind the registry takes in a second (settings
 * rates.*), whichever API they come by: a bucket for each kind that holds one
 * second's worth and fills as time goes by.
 */
enum rate {
	RATE_NONE,
	RATE_AUTHORIZATION_TOKEN,
	RATE_CHECK_LAYERS,
	RATE_GET_IMAGE,
	RATE_DOWNLOAD_URL,
	RATE_INITIATE_UPLOAD,
	RATE_UPLOAD_PART,
	RATE_COMPLETE_UPLOAD,
	RATE_PUT_IMAGE,
	RATES
};

/**
 * rates_take(c):
 * Count a request of c->permission that was authorized.  RC_OK; RC_FAILED with
 * ThrottlingException or TOOMANYREQUESTS and Retry-After.  Any thread.
 */
RC_MUST_USE enum rc rates_take(struct call *);

#endif
