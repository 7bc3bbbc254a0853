#ifndef REGISTRYCTL_FOLDER_H
#define REGISTRYCTL_FOLDER_H

#include <stdbool.h>

#include "base/rc.h"
#include "storage/store.h"

/**
 * folder_open(data, read_only, why, store_r):
 * Open a folder that no server serves; never makes one.  The caller closes
 * it.  The codes of store_open, RC_NOTFOUND: there is no registry; ${why} says
 * what to do.
 */
RC_MUST_USE enum rc folder_open(const char *data, bool read_only,
    char why[STORE_WHY_BYTES], struct store **store_r);

/* The master key of such a folder: an option, else the environment
 * (REGISTRYD_MASTER_KEY, REGISTRYD_MASTER_KEY_FILE), else DIR/master.key. */
struct folder_key {
	const char *file, *text; /* as master_key.h has them */
	char *beside;		 /* holds .file, or not */
};

/** folder_key_of(data, option, key_r): ${option} may be NULL.  Ended by
 * folder_key_end(). */
void
folder_key_of(const char *data, const char *option, struct folder_key *key_r);
void folder_key_end(struct folder_key *);

/** folder_keys(store, data, option): give a folder that was opened its master
 * key.  What is encrypted under keys that cannot be had cannot be read, which is
 * said.  New repositories are encrypted if REGISTRYD_ENCRYPTION_DEFAULT is
 * aes256. */
void folder_keys(struct store *, const char *data, const char *option);

#define FOLDER_KEY_HELP \
	"  --master-key-file FILE  where no server runs: the master key, if\n" \
	"                      repositories are encrypted\n" \
	"                      (REGISTRYD_MASTER_KEY_FILE, DIR/master.key)\n"

#endif
