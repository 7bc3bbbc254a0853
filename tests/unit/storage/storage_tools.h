#ifndef TESTS_STORAGE_TOOLS_H
#define TESTS_STORAGE_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/span.h"
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

/** tool_no_files(on): while on, no more files can be opened. */
void tool_no_files(bool on);

#endif
