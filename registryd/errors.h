#ifndef REGISTRYD_ERRORS_H
#define REGISTRYD_ERRORS_H

#include "base/arena.h"

/*
 * The errors of the distribution-spec ("Error Codes"), one row each: what the
 * handlers call it, the code a client sees, the HTTP status, and the sentence
 * for when a handler has nothing more exact to say.  Rows behind the comment
 * give a code of the specification another status, or are codes of our own:
 * docker and its peers understand the shape all the same.
 */
#define OCI_ERRORS(X) \
	X(BLOB_UNKNOWN, "BLOB_UNKNOWN", 404, "blob unknown to registry") \
	X(BLOB_UPLOAD_INVALID, "BLOB_UPLOAD_INVALID", 400, \
	    "blob upload invalid") \
	X(BLOB_UPLOAD_UNKNOWN, "BLOB_UPLOAD_UNKNOWN", 404, \
	    "blob upload unknown to registry") \
	X(DIGEST_INVALID, "DIGEST_INVALID", 400, \
	    "provided digest did not match content") \
	X(MANIFEST_BLOB_UNKNOWN, "MANIFEST_BLOB_UNKNOWN", 404, \
	    "manifest references content that is not in the repository") \
	X(MANIFEST_INVALID, "MANIFEST_INVALID", 400, "manifest invalid") \
	X(MANIFEST_UNKNOWN, "MANIFEST_UNKNOWN", 404, \
	    "manifest unknown to registry") \
	X(NAME_INVALID, "NAME_INVALID", 400, "invalid repository name") \
	X(NAME_UNKNOWN, "NAME_UNKNOWN", 404, \
	    "repository name not known to registry") \
	X(SIZE_INVALID, "SIZE_INVALID", 400, \
	    "provided length did not match content length") \
	X(TAG_INVALID, "TAG_INVALID", 400, "invalid tag") \
	X(UNAUTHORIZED, "UNAUTHORIZED", 401, "authentication required") \
	X(DENIED, "DENIED", 403, "requested access to the resource is denied") \
	X(UNSUPPORTED, "UNSUPPORTED", 405, "the operation is unsupported") \
	X(TOOMANYREQUESTS, "TOOMANYREQUESTS", 429, "too many requests") \
	/* ours */ \
	X(UPLOAD_BUSY, "BLOB_UPLOAD_INVALID", 409, \
	    "another request is using this upload") \
	X(TOO_LARGE, "SIZE_INVALID", 413, "larger than the configured limit") \
	X(TOO_MANY_TAGS, "TAG_INVALID", 414, "too many tags in one request") \
	X(RANGE_INVALID, "RANGE_INVALID", 416, \
	    "range out of order or not satisfiable") \
	X(PAGINATION_NUMBER_INVALID, "PAGINATION_NUMBER_INVALID", 400, \
	    "invalid number of results") \
	X(NOT_FOUND, "NOT_FOUND", 404, "no such resource") \
	X(CONFLICT, "CONFLICT", 409, "it conflicts with what is going on") \
	X(REQUEST_INVALID, "REQUEST_INVALID", 400, "the request is malformed") \
	X(REQUEST_TIMEOUT, "REQUEST_TIMEOUT", 408, \
	    "the request arrived too slowly") \
	X(INSUFFICIENT_STORAGE, "INSUFFICIENT_STORAGE", 507, \
	    "no space left on the server") \
	X(UNAVAILABLE, "UNAVAILABLE", 503, "the server cannot do this now") \
	X(UPSTREAM_UNAVAILABLE, "UNAVAILABLE", 502, \
	    "the upstream registry cannot serve this now") \
	X(UPSTREAM_TIMEOUT, "UNAVAILABLE", 504, \
	    "the upstream registry does not answer") \
	X(KEY_MISSING, "UNKNOWN", 500, \
	    "the content is encrypted, and its key is not here") \
	X(INTERNAL, "INTERNAL", 500, "internal error")

/*
 * The errors of the AWS protocols (ECR: JSON 1.1; STS: query), by the names
 * that SDKs know.  ECR answers every fault of a client with 400.
 */
#define AWS_ERRORS(X) \
	X(ACCESS_DENIED, "AccessDeniedException", 400, "access denied") \
	X(EXPIRED_TOKEN, "ExpiredTokenException", 400, \
	    "The security token included in the request is expired") \
	X(INCOMPLETE_SIGNATURE, "IncompleteSignatureException", 400, \
	    "the signature is incomplete") \
	X(INVALID_SIGNATURE, "InvalidSignatureException", 400, \
	    "the signature does not match") \
	X(MISSING_TOKEN, "MissingAuthenticationTokenException", 400, \
	    "Missing Authentication Token") \
	X(UNRECOGNIZED_CLIENT, "UnrecognizedClientException", 400, \
	    "The security token included in the request is invalid.") \
	X(THROTTLING, "ThrottlingException", 400, "Rate exceeded") \
	X(UNKNOWN_OPERATION, "UnknownOperationException", 400, \
	    "there is no such operation") \
	X(SERIALIZATION, "SerializationException", 400, \
	    "the request cannot be read") \
	X(INVALID_PARAMETER, "InvalidParameterException", 400, \
	    "invalid parameter") \
	X(VALIDATION, "ValidationException", 400, "invalid request") \
	X(INVALID_TAG_PARAMETER, "InvalidTagParameterException", 400, \
	    "invalid tag") \
	X(TOO_MANY_RESOURCE_TAGS, "TooManyTagsException", 400, \
	    "too many tags") \
	X(REPOSITORY_NOT_FOUND, "RepositoryNotFoundException", 400, \
	    "no such repository") \
	X(REPOSITORY_EXISTS, "RepositoryAlreadyExistsException", 400, \
	    "the repository exists already") \
	X(REPOSITORY_NOT_EMPTY, "RepositoryNotEmptyException", 400, \
	    "the repository is not empty") \
	X(REPOSITORY_POLICY_NOT_FOUND, "RepositoryPolicyNotFoundException", \
	    400, "the repository has no policy") \
	X(REGISTRY_POLICY_NOT_FOUND, "RegistryPolicyNotFoundException", 400, \
	    "the registry has no policy") \
	X(LIMIT_EXCEEDED, "LimitExceededException", 400, \
	    "a limit is exceeded") \
	X(IMAGE_NOT_FOUND, "ImageNotFoundException", 400, "no such image") \
	X(IMAGE_EXISTS, "ImageAlreadyExistsException", 400, \
	    "the image exists already") \
	X(IMAGE_TAG_EXISTS, "ImageTagAlreadyExistsException", 400, \
	    "the tag exists already and is immutable") \
	X(IMAGE_DIGEST_MISMATCH, "ImageDigestDoesNotMatchException", 400, \
	    "the manifest has another digest") \
	X(REFERENCED_IMAGES_NOT_FOUND, "ReferencedImagesNotFoundException", \
	    400, "the manifest references images that are not there") \
	X(LAYERS_NOT_FOUND, "LayersNotFoundException", 400, \
	    "there are no such layers") \
	X(LAYER_INACCESSIBLE, "LayerInaccessibleException", 400, \
	    "no image has this layer") \
	X(LAYER_EXISTS, "LayerAlreadyExistsException", 400, \
	    "the layer exists already") \
	X(LAYER_INVALID, "InvalidLayerException", 400, \
	    "the layer has another digest") \
	X(LAYER_PART_INVALID, "InvalidLayerPartException", 400, \
	    "the part does not follow the one before") \
	X(LAYER_PART_TOO_SMALL, "LayerPartTooSmallException", 400, \
	    "a part is too small") \
	X(UPLOAD_NOT_FOUND, "UploadNotFoundException", 400, "no such upload") \
	X(UPLOAD_EMPTY, "EmptyUploadException", 400, \
	    "the upload has no parts") \
	X(STORAGE_CLASS_UNSUPPORTED, \
	    "ImageStorageClassUpdateNotSupportedException", 400, \
	    "the storage class of this image cannot be changed") \
	X(IMAGE_ARCHIVED, "ImageArchivedException", 400, \
	    "the image is archived") \
	X(UNSUPPORTED_IMAGE_TYPE, "UnsupportedImageTypeException", 400, \
	    "images of this type are not supported") \
	X(SCAN_NOT_FOUND, "ScanNotFoundException", 400, "no such scan") \
	X(LIFECYCLE_POLICY_NOT_FOUND, "LifecyclePolicyNotFoundException", 400, \
	    "the repository has no lifecycle policy") \
	X(LIFECYCLE_PREVIEW_NOT_FOUND, \
	    "LifecyclePolicyPreviewNotFoundException", 400, \
	    "the repository has no lifecycle policy preview") \
	X(LIFECYCLE_PREVIEW_IN_PROGRESS, \
	    "LifecyclePolicyPreviewInProgressException", 400, \
	    "a lifecycle policy preview is in progress") \
	X(TEMPLATE_NOT_FOUND, "TemplateNotFoundException", 400, \
	    "no such template") \
	X(TEMPLATE_EXISTS, "TemplateAlreadyExistsException", 400, \
	    "the template exists already") \
	X(CACHE_RULE_NOT_FOUND, "PullThroughCacheRuleNotFoundException", 400, \
	    "no such pull through cache rule") \
	X(CACHE_RULE_EXISTS, "PullThroughCacheRuleAlreadyExistsException", \
	    400, "the pull through cache rule exists already") \
	X(UPSTREAM_UNSUPPORTED, "UnsupportedUpstreamRegistryException", 400, \
	    "the upstream registry is not supported") \
	X(UPSTREAM_LAYER, "UnableToGetUpstreamLayerException", 400, \
	    "the layer cannot be had from the upstream registry") \
	X(UPSTREAM_REFERRERS, "UnableToListUpstreamImageReferrersException", \
	    400, "the referrers cannot be had from the upstream registry") \
	X(EXCLUSION_NOT_FOUND, "ExclusionNotFoundException", 400, \
	    "no such exclusion") \
	X(EXCLUSION_EXISTS, "ExclusionAlreadyExistsException", 400, \
	    "the exclusion exists already") \
	X(SIGNING_NOT_FOUND, "SigningConfigurationNotFoundException", 400, \
	    "there is no signing configuration") \
	X(BACKFILL_NOT_FOUND, "ReplicationBackfillNotFoundException", 400, \
	    "no such replication backfill") \
	X(BACKFILL_IN_PROGRESS, "ReplicationBackfillInProgressException", 400, \
	    "a replication backfill is in progress") \
	X(BACKFILL_STATUS, "ReplicationBackfillInvalidStatusException", 400, \
	    "the replication backfill has ended") \
	X(KMS, "KmsException", 400, "the key cannot be used") \
	X(REQUEST_TIMEOUT, "RequestTimeoutException", 408, \
	    "the request arrived too slowly") \
	X(REQUEST_TOO_LARGE, "RequestEntityTooLargeException", 413, \
	    "the request is too large") \
	X(SERVER, "ServerException", 500, "internal error") \
	X(SERVICE_UNAVAILABLE, "ServiceUnavailableException", 503, \
	    "the server cannot do this now")

enum api_error {
	API_OK = 0,
#define X(name, code, status, text) OCI_##name,
	OCI_ERRORS(X)
#undef X
#define X(name, code, status, text) AWS_##name,
	    AWS_ERRORS(X)
#undef X
};

/* In which language a request wants its errors. */
enum api_shape {
	SHAPE_OCI,	 /* {"errors":[...]} */
	SHAPE_AWS_JSON,	 /* {"__type":...,"message":...} */
	SHAPE_AWS_QUERY, /* <ErrorResponse> */
};

/** api_error_code(e): "BLOB_UNKNOWN"; a static string. */
const char *api_error_code(enum api_error);

/** api_error_status(e): the HTTP status. */
int api_error_status(enum api_error);

/** api_error_text(e): the standing sentence; a static string. */
const char *api_error_text(enum api_error);

/**
 * api_error_body(a, e, message, detail):
 * {"errors":[{"code","message","detail"}]} in ${a}.  ${message} NULL: the
 * standing sentence; ${detail}: JSON text or NULL.  Past the arena's cap a
 * static body without details.
 */
struct span api_error_body(
    struct arena *, enum api_error, const char *message, const char *detail);

/** api_error_of_status(status): the row that speaks best of a refusal that
 * has only an HTTP status; its own status may be another. */
enum api_error api_error_of_status(int status);

#endif
