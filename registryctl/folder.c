#include "registryctl/folder.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/master_key.h"
#include "base/mem.h"
#include "registryctl/command.h"
#include "storage/keys.h"

/* Address space only; the server's default. */
#define MAP_BYTES ((uint64_t)16 << 30)
/* That read at once: images that are copied, several, with several blobs. */
#define THREADS 64

/* store_open() would make one where there is none. */
static enum rc
folder_check(const char *data, char why[STORE_WHY_BYTES])
{
	char *format = xasprintf("%s/format", data);
	enum rc rc = RC_OK;

	if (access(format, F_OK) == -1) {
		rc = rc_of_errno(errno);
		(void)snprintf(why, STORE_WHY_BYTES,
		    "there is no registry in %.300s (%s): name its folder "
		    "with --data DIR",
		    data, strerror(errno));
	}
	free(format);
	return (rc);
}

enum rc
folder_open(const char *data, bool read_only, char why[STORE_WHY_BYTES],
    struct store **store_r)
{
	struct store_options options = {
		.dir = data,
		.map_bytes = MAP_BYTES,
		.upload_sessions_max = UINT32_MAX,
		.upload_lifetime_ms = INT64_MAX,
		.max_threads = THREADS,
		.read_only = read_only,
	};
	enum rc rc;

	if ((rc = folder_check(data, why)) != RC_OK)
		return (rc);
	return (store_open(&options, why, store_r));
}

/* --- its master key ------------------------------------------------------ */

static const char *
environment(const char *variable)
{
	const char *text = getenv(variable);

	return (text != NULL && text[0] != '\0' ? text : NULL);
}

void
folder_key_of(const char *data, const char *option, struct folder_key *key_r)
{
	const char *file = option;

	*key_r = (struct folder_key){ .file = NULL };
	if (file == NULL)
		file = environment("REGISTRYD_MASTER_KEY_FILE");
	if (file == NULL)
		file = key_r->beside = xasprintf("%s/master.key", data);
	key_r->file = file;
	/* A file that is named here is the one that is meant. */
	if (option == NULL)
		key_r->text = environment("REGISTRYD_MASTER_KEY");
}

void
folder_key_end(struct folder_key *key)
{
	free(key->beside);
	key->beside = NULL;
}

void
folder_keys(struct store *store, const char *data, const char *option)
{
	const char *said = environment("REGISTRYD_ENCRYPTION_DEFAULT");
	bool encrypted = said != NULL && strcmp(said, "aes256") == 0;
	char why[MASTER_KEY_WHY_BYTES];
	struct master_key m = { .store = store };
	struct folder_key key;
	enum rc rc;

	folder_key_of(data, option, &key);
	m.file = key.file;
	m.text = key.text;
	rc = master_key_open(&m, encrypted, true, why);
	if (why[0] != '\0')
		ctl_say("%s.  If the master key is elsewhere, name it with "
			"--master-key-file FILE or REGISTRYD_MASTER_KEY_FILE",
		    why);
	else if (rc != RC_OK && rc != RC_NOTFOUND)
		ctl_say("the keys of repositories: %s", rc_text(rc));
	if (encrypted)
		store_encryption_default_set(store, ENCRYPTION_AES256);
	folder_key_end(&key);
}
