#ifndef TESTS_STORAGE_TOOLS_H
#define TESTS_STORAGE_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/span.h"
#include "storage/meta.h"
#include "base/keyring.h"
#include "storage/store.h"

/*
 * What the tests of the storage room share: folders that go away again and
 * a look at files behind the room's back.  A failure ends the test.
 */
#define TOOL_PATH_BYTES 512

/** tool_folder(out): a new empty folder; tool_folder_remove() takes it away. */
void tool_folder(char out[TOOL_PATH_BYTES]);
void tool_folder_remove(const char *dir);

/** tool_tmpfs(dir, size_bytes): mount one there; false: not permitted. */
bool tool_tmpfs(const char *dir, size_t size_bytes);
void tool_tmpfs_remove(const char *dir);

/** tool_options(dir): small, with everything allowed. */
struct store_options tool_options(const char *dir);
struct store *tool_store_open(const struct store_options *);

/** tool_blob_path(dir, digest, out): where its file lies. */
const char *tool_blob_path(
    const char *dir, const struct digest *, char out[TOOL_PATH_BYTES]);

bool tool_exists(const char *path);
/** tool_file_size(path): -1 if there is none. */
int64_t tool_file_size(const char *path);
void tool_file_write(const char *path, const void *p, size_t n);
void tool_file_truncate(const char *path, int64_t n);
void tool_file_flip(const char *path, int64_t offset);
/** tool_file_age(path, ms): as if last written so long ago. */
void tool_file_age(const char *path, int64_t ms);

/** tool_bytes(n, seed): made-up content; the caller frees it. */
char *tool_bytes(size_t n, unsigned seed);
struct digest tool_digest(const void *p, size_t n);

/** tool_key(arg, domain, mode, key_r): a blobs_key_fn: made of the domain's
 * number; that of TOOL_DOMAIN_LOCKED is not here. */
#define TOOL_DOMAIN_LOCKED 404
enum rc tool_key(
    void *arg, uint32_t key_domain, enum read_mode, struct seal_key *key_r);
/** tool_keys_open(s): give it a master key, always the same. */
#define TOOL_MASTER_KEY \
	"000102030405060708090a0b0c0d0e0f" \
	"101112131415161718191a1b1c1d1e1f"
void tool_keys_open(struct store *);

/** tool_no_files(on): while on, no more files can be opened. */
void tool_no_files(bool on);

#endif
