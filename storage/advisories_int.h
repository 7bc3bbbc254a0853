#ifndef STORAGE_ADVISORIES_INT_H
#define STORAGE_ADVISORIES_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What is known in memory of sets of advisories: those that are being imported,
 * which live no longer than this process, and which are seen, as of the
 * revision that was read last.  Any thread.
 */
#define ADVISORY_IMPORTS_MAX 2

struct advisory_import_row {
	uint64_t set;  /* 0: free */
	uint32_t next; /* of its rows */
};

struct advisories {
	pthread_mutex_t lock;
	struct advisory_import_row imports[ADVISORY_IMPORTS_MAX];
	bool clean; /* nothing has come to be swept since it was looked at */
	bool known;
	uint64_t revision; /* of the list below */
	uint64_t *seen;
	size_t n_seen;
};

struct advisories *advisories_new(void);
void advisories_free(struct advisories **);

#endif
