#ifndef SCAN_PACKAGE_H
#define SCAN_PACKAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/*
 * What is installed in an image, as the databases of its package managers and
 * the lock files of its programs say.
 */
enum package_type { /* stored: never renumber */
	PACKAGE_DEB = 1,
	PACKAGE_APK = 2,
	PACKAGE_RPM = 3,
	PACKAGE_NPM = 4,
	PACKAGE_PYPI = 5,
};

struct package {
	enum package_type type;
	struct span name;
	struct span version;	 /* as its manager writes it: "1:2.3-4" */
	struct span arch;	 /* may be empty, as what follows */
	struct span source_name; /* what it was built from: Debian's "Source",
				    Alpine's origin, the source package of an
				    rpm; empty: .name */
	struct span source_version; /* empty: .version */
	struct span license;
	struct span path;  /* of the file that says so, "var/lib/dpkg/status" */
	struct span layer; /* digest of the layer that brought that file; of an
			      index of a layer: empty */
};

/* /etc/os-release; members may be empty. */
struct os_release {
	struct span id;		 /* "debian" */
	struct span version_id;	 /* "12" */
	struct span codename;	 /* "bookworm" */
	struct span pretty_name; /* "Debian GNU/Linux 12 (bookworm)" */
};

struct inventory {
	struct os_release os;
	struct package *packages; /* by type, name, version, path */
	size_t n_packages;
	/* What was seen and could not be read, in words ("rpm database in
	 * Berkeley DB format: var/lib/rpm/Packages"). */
	struct span *unread;
	size_t n_unread;
};

/* Bounds; a layer past one of them is not indexed: the scan fails and says
 * which. */
#define PACKAGES_MAX 200000
#define PACKAGE_TEXT_MAX_BYTES ((size_t)4096) /* of each member above */

#endif
