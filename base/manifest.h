#ifndef BASE_MANIFEST_H
#define BASE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * What a registry must know of a manifest: the media type, what it points
 * to, and how it presents itself as a referrer.  A pure reader of bytes: OCI
 * image manifest and index (image-spec 1.1), Docker image manifest version 2
 * schema 2 and manifest list.  Unknown members are left alone; the bytes of
 * the manifest are what is stored and served, never a rewritten form.
 */
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_DOCKER_MANIFEST \
	"application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST \
	"application/vnd.docker.distribution.manifest.list.v2+json"

enum manifest_kind { MANIFEST_IMAGE, MANIFEST_INDEX };

/*
 * What a descriptor inside of a manifest is to it.  A child of an index whose
 * media type is given and is not a manifest's is a blob, hence EDGE_LAYER:
 * build caches are pushed so.
 */
enum edge_kind {
	EDGE_CONFIG = 1,
	EDGE_LAYER = 2,
	EDGE_MANIFEST = 3, /* a child of an index */
};

struct descriptor {
	enum edge_kind kind;
	struct digest digest;
	uint64_t size_bytes;
	struct span media_type;
	/*
	 * A nondistributable (foreign) layer, or one with "urls": its content
	 * need not be here.
	 */
	bool nondistributable;
};

struct manifest {
	enum manifest_kind kind;
	struct span media_type;	       /* as it is to be served */
	struct span artifact_type;     /* as a referrer shows it; may be empty:
				      artifactType, else for images the
				      config's media type */
	struct span config_media_type; /* images; may be empty */
	struct span annotations;       /* JSON object text, empty if none */
	bool has_subject;
	struct digest subject;
	uint64_t subject_size_bytes;
	struct descriptor *edges; /* config, layers or children, in order */
	size_t n_edges;
	uint64_t layers_size_bytes; /* config + layers, once per digest, at
				       most INT64_MAX */
};

#define MANIFEST_WHY_BYTES 512

/**
 * manifest_parse(content_type, text, arena, m_r, why):
 * Read ${text}, sent as ${content_type} (parameters cut off; may be empty:
 * then "mediaType" decides, and without that the shape).  All spans of
 * *${m_r} live in ${arena}.  "subject", "artifactType" and "annotations" are
 * OCI's: in a Docker manifest they are unknown members.
 * RC_INVALID: not JSON, not of the shape its type demands, media type and
 * "mediaType" differ, a negative size, a malformed digest: ${why} names the
 * member and the value.  RC_UNSUPPORTED: schema 1, an unknown media type, or
 * a digest algorithm not known here: ${why} says which.  RC_TOOBIG: past the
 * arena's cap.
 */
RC_MUST_USE enum rc manifest_parse(struct span content_type, struct span text,
    struct arena *, struct manifest *m_r, char why[MANIFEST_WHY_BYTES]);

/** manifest_media_type_known(t): one of the four that this reader takes. */
bool manifest_media_type_known(struct span);

#endif
