#ifndef SCAN_SBOM_H
#define SCAN_SBOM_H

#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"
#include "base/span.h"
#include "scan/package.h"

/*
 * The package list of an image as CycloneDX 1.5 JSON or SPDX 2.3 JSON, with
 * package URLs (purl-spec).  The same image gives the same bytes, but for what
 * ${created_ms} says.
 */
enum sbom_format { SBOM_CYCLONEDX, SBOM_SPDX };

struct sbom_subject {
	struct span repository; /* "registry.example.com/team/app" */
	struct span digest;	/* of the image's manifest */
	struct span tag;	/* may be empty */
	int64_t created_ms;
};

/** sbom_media_type(format): "application/vnd.cyclonedx+json". */
const char *sbom_media_type(enum sbom_format);

/** sbom_write(format, subject, inventory, out): append it. */
void sbom_write(enum sbom_format, const struct sbom_subject *,
    const struct inventory *, struct buf *out);

/** package_purl(p, os, out): "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=debian-12". */
void package_purl(
    const struct package *, const struct os_release *, struct buf *out);

#endif
