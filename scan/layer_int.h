#ifndef SCAN_LAYER_INT_H
#define SCAN_LAYER_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "scan/layer.h"
#include "scan/package.h"

/*
 * What the reading of layers is made of: paths, the kinds of files that are
 * read, what is found in them, and the form that an index has.
 */

/* --- paths --------------------------------------------------------------- */

/* PATH_MAX of Linux: nothing longer can be unpacked. */
#define LAYER_PATH_MAX_BYTES 4095
#define LAYER_FILES_MAX 100000 /* files of a layer that are read */
#define LAYER_OWNED_MAX 100000 /* of a layer; as many can be hidden by them */

/** layer_path(in, out, path_r): without "./", leading '/', empty parts, and
 * "a/.."; the root is "".  RC_INVALID: it leaves the root; RC_TOOBIG. */
RC_MUST_USE enum rc layer_path(
    struct span in, char out[LAYER_PATH_MAX_BYTES + 1], struct span *path_r);

/*
 * Paths are compared by a hash of 64 bits.  Anybody can compute it, and who
 * lets one path hide another by it has hidden the packages of his own image
 * only, which he could have deleted.
 */
struct path_walk {
	struct span path;
	size_t at;
	uint64_t state;
};

/** path_walk_begin(w, path), path_walk_next(w, hash_r): the hash of "", of each
 * folder on the way, and of the path itself at last; then false. */
void path_walk_begin(struct path_walk *, struct span path);
bool path_walk_next(struct path_walk *, uint64_t *hash_r);
/** path_walk_last(w): was that of path_walk_next() the path itself? */
bool path_walk_last(const struct path_walk *);
uint64_t path_hash(struct span path);
/** path_base(path), path_dir(path): what is behind the last '/', before it. */
struct span path_base(struct span path);
struct span path_dir(struct span path);

/* --- files that are read -------------------------------------------------- */

/* Stored: never renumber. */
enum file_kind {
	FILE_OTHER = 0,
	FILE_OS_RELEASE = 1,
	FILE_DPKG_STATUS = 2,
	FILE_DPKG_STATUS_D = 3, /* of an image without dpkg, one a package */
	FILE_APK = 4,
	FILE_RPM_SQLITE = 5,
	FILE_RPM_WAL = 6,	 /* changes that the one before lacks */
	FILE_RPM_BDB = 7,	 /* Berkeley DB: not read */
	FILE_RPM_NDB = 8,	 /* not read */
	FILE_NPM_LOCK = 9,	 /* what is wanted */
	FILE_NPM_INSTALLED = 10, /* node_modules/.package-lock.json: what is
				    there */
	FILE_REQUIREMENTS = 11,
	FILE_PYTHON_METADATA = 12,
};
#define FILE_KINDS 13

/** file_kind_of(path): of a path of layer_path(). */
enum file_kind file_kind_of(struct span path);
/** file_kind_type(kind, type_r): of its packages; false: it has none. */
bool file_kind_type(enum file_kind, enum package_type *type_r);

/* --- what is found -------------------------------------------------------- */

#define READ_WHY_BYTES 192

/* Packages of all files of a layer; members .path and .layer are empty. */
struct package_list {
	struct arena *arena;  /* of the texts */
	struct package *rows; /* free() */
	size_t n;
	size_t room;
	/* Hashes of paths that these packages brought: of files only that are
	 * FILE_PYTHON_METADATA. */
	uint64_t *owned; /* free() */
	size_t n_owned;
	size_t owned_room;
	char *why; /* READ_WHY_BYTES: for RC_INVALID and RC_TOOBIG */
};

/** package_add(list, p): copies; one without name or version is left out.
 * RC_TOOBIG: too many, or too long. */
RC_MUST_USE enum rc package_add(struct package_list *, const struct package *);

/** package_owns(list, folder, name): a file of a package of the system.  RC_TOOBIG:
 * too many. */
RC_MUST_USE enum rc
package_owns(struct package_list *, struct span folder, struct span name);

/*
 * The readers.  RC_INVALID: it is no such file, and ->why says so; packages that
 * were found before stay.  RC_TOOBIG of package_add().
 */
typedef enum rc package_reader_fn(struct span text, struct package_list *);

package_reader_fn dpkg_status_read; /* var/lib/dpkg/status */
package_reader_fn dpkg_status_d_read;
package_reader_fn apk_installed_read;
package_reader_fn rpm_sqlite_read; /* changes ${text} */
package_reader_fn npm_lock_read;
package_reader_fn npm_installed_read;
package_reader_fn python_requirements_read;
package_reader_fn python_metadata_read;

/** rpm_header_read(blob, list): one package of an rpm database. */
RC_MUST_USE enum rc rpm_header_read(struct span blob, struct package_list *);

/** os_release_read(text, arena, os_r): os-release(5). RC_TOOBIG. */
RC_MUST_USE enum rc
os_release_read(struct span text, struct arena *, struct os_release *os_r);

/* Fields of Debian's and Python's files: "Name: value", and further lines of a
 * value begin with white space; an empty line ends the paragraph. */
struct field {
	struct span name;
	struct span value; /* of the first line, trimmed */
};
/** field_next(rest, f_r): false at the end of the paragraph, which is taken. */
bool field_next(struct span *rest, struct field *f_r);

/** line_next(rest, line_r): without its LF or CR LF; false: nothing is left. */
bool line_next(struct span *rest, struct span *line_r);

/* --- the index ------------------------------------------------------------ */

/*
 * Numbers are little-endian; a text is its length (16 bits) and its bytes.
 *
 *	"rdlayer\n", reader (32)
 *	number of files (32), of packages in all (32)
 *	files, ordered by path:
 *		kind (8), path, unread
 *		of FILE_OS_RELEASE: id, version_id, codename, pretty_name
 *		of others: number of packages (32), of paths that they own (32),
 *		    hashes of those (64) in ascending order, and of each
 *		    package: name, version, arch, source_name, source_version,
 *		    license
 *	covers: number (32), hashes (64) in ascending order: whatever a layer
 *	    below has there, or below that, is hidden: whiteouts, opaque
 *	    folders, and all that is no folder
 *	folders: the same: folders where a file that is read may be; they hide a
 *	    file there, and nothing below
 */
struct layer_file {
	enum file_kind kind;
	struct span path;
	struct span unread; /* why not all of it was read; or empty */
	uint32_t n_packages;
	struct span owned; /* for index_hash(); the writer is given them */
	size_t n_owned;
	struct os_release os; /* of FILE_OS_RELEASE */
};

struct index_reader {
	struct span rest;
	uint32_t n_files;	  /* that are left */
	uint32_t n_packages;	  /* that are left in all */
	uint32_t n_packages_file; /* that are left of the file */
};

#define INDEX_MAGIC "rdlayer\n"

/*
 * The reading of one.  Any of them: RC_INVALID.  Files first, each followed by
 * its packages, then index_hashes() twice.  Spans borrow from the bytes.
 */
RC_MUST_USE enum rc index_begin(struct index_reader *, struct span bytes);
RC_MUST_USE enum rc index_file(struct index_reader *, struct layer_file *f_r);
RC_MUST_USE enum rc
index_package(struct index_reader *, enum file_kind, struct package *p_r);
/* ${hashes_r}: for index_hash(). */
RC_MUST_USE enum rc
index_hashes(struct index_reader *, struct span *hashes_r, size_t *n_r);
uint64_t index_hash(struct span hashes, size_t i);

/* The writing of one; what does not fit fails the buf. */
void index_write_begin(struct buf *, size_t n_files, size_t n_packages);
void index_write_file(
    struct buf *, const struct layer_file *, const uint64_t *owned);
void index_write_package(struct buf *, const struct package *);
void index_write_hashes(struct buf *, const uint64_t *, size_t n);

/* --- what a layer has, as it is read -------------------------------------- */

/* Where a path was covered, and by which entry of the tar, counted from 1. */
struct cover {
	uint64_t hash;
	uint32_t entry;
};

struct covers {
	struct cover *rows;
	size_t n;
	size_t room;
};

struct found_file {
	struct layer_file file;
	uint32_t entry;
	size_t first_package; /* in ->packages */
	size_t first_owned;   /* there, too */
};

/* A name for a file that stands before. */
struct found_link {
	enum file_kind kind;
	struct span path;
	struct span target;
	uint32_t entry;
};

struct layer_found {
	struct arena arena;
	struct package_list packages;
	struct found_file *files;
	size_t n_files;
	size_t files_room;
	struct found_link *links;
	size_t n_links;
	size_t links_room;
	struct covers covers;
	struct covers whiteouts; /* of the layers below only */
	struct covers folders;
	char read_why[READ_WHY_BYTES];
};

void layer_found_init(struct layer_found *);
void layer_found_free(struct layer_found *);
/** hashes_settle(hashes, n): in ascending order, each once; how many are left. */
size_t hashes_settle(uint64_t *, size_t n);
void covers_add(struct covers *, uint64_t hash, uint32_t entry);
/** layer_found_file(f, kind, path, entry, content): read it.  RC_TOOBIG:
 * ->read_why. */
RC_MUST_USE enum rc layer_found_file(struct layer_found *, enum file_kind,
    struct span path, uint32_t entry, struct span content);
RC_MUST_USE enum rc layer_found_link(struct layer_found *, enum file_kind,
    struct span path, struct span target, uint32_t entry);
/** layer_found_write(f, out): what is left of it at the end of the layer.
 * RC_TOOBIG. */
RC_MUST_USE enum rc layer_found_write(struct layer_found *, struct buf *out);

#endif
