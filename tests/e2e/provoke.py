#!/usr/bin/env python3
"""Provoke every error that the ECR API documents, and print their names.

usage: provoke.py URL

The server runs with `auth: none` and with a quota of five images in
a repository.  Each
function below provokes the error it is called after, by requests that any
client could send; what the server says otherwise ends the script.
"""

import base64
import concurrent.futures
import hashlib
import json
import sys
import urllib.error
import urllib.request

URL = ""
TARGET = "AmazonEC2ContainerRegistry_V20150921."
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
NOBODY = "sha256:" + "0" * 64
LIFECYCLE = json.dumps({"rules": [{
    "rulePriority": 1, "description": "untagged images go after two weeks",
    "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed",
                  "countUnit": "days", "countNumber": 14},
    "action": {"type": "expire"}}]})


def post(operation, **members):
    """(error name or None, answer)"""
    request = urllib.request.Request(
        URL + "/", json.dumps(members).encode(),
        {"X-Amz-Target": TARGET + operation,
         "Content-Type": "application/x-amz-json-1.1"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return None, json.load(answer)
    except urllib.error.HTTPError as e:
        body = json.load(e)
        if not body.get("message") or not e.headers.get("x-amzn-RequestId"):
            raise SystemExit("%s: an error without message or id: %r" % (
                operation, body))
        return body["__type"], body


def ok(operation, **members):
    error, answer = post(operation, **members)
    if error is not None:
        raise SystemExit("%s: %r" % (operation, answer))
    return answer



def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type, data):
    return {"mediaType": media_type, "digest": digest(data),
            "size": len(data)}


def repository(name):
    post("CreateRepository", repositoryName=name)
    return name


def upload(name, *parts):
    """An upload session with these parts."""
    session = ok("InitiateLayerUpload", repositoryName=name)["uploadId"]
    at = 0
    for part in parts:
        ok("UploadLayerPart", repositoryName=name, uploadId=session,
           partFirstByte=at, partLastByte=at + len(part) - 1,
           layerPartBlob=base64.b64encode(part).decode())
        at += len(part)
    return session


def layer(name, data):
    post("CompleteLayerUpload", repositoryName=name,
         uploadId=upload(name, data), layerDigests=[digest(data)])
    return data


def image_text(name, text):
    config = layer(name, json.dumps({"comment": text}).encode())
    content = layer(name, b"layer of " + text.encode())
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                       "config": descriptor(CONFIG, config),
                       "layers": [descriptor(LAYER, content)]})


def image(name, text, **members):
    manifest = image_text(name, text)
    ok("PutImage", repositoryName=name, imageManifest=manifest, **members)
    return digest(manifest.encode())


def index_text(*children):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "digest": d, "size": 1} for d in children]})


# --- one function for each error ---------------------------------------------

def empty_upload():
    name = repository("e/upload")
    return post("CompleteLayerUpload", repositoryName=name,
                uploadId=upload(name), layerDigests=[NOBODY])


def exclusion_exists():
    arn = "arn:aws:iam::123456789012:role/scanner"
    post("RegisterPullTimeUpdateExclusion", principalArn=arn)
    return post("RegisterPullTimeUpdateExclusion", principalArn=arn)


def exclusion_not_found():
    return post("DeregisterPullTimeUpdateExclusion",
                principalArn="arn:aws:iam::123456789012:user/nobody")


def image_exists():
    name = repository("e/image")
    manifest = image_text(name, "twice")
    post("PutImage", repositoryName=name, imageManifest=manifest,
         imageTag="v1")
    return post("PutImage", repositoryName=name, imageManifest=manifest,
                imageTag="v1")


def image_archived():
    name = repository("e/archive")
    found = image(name, "archived", imageTag="v1")
    ok("UpdateImageStorageClass", repositoryName=name,
       imageId={"imageDigest": found}, targetStorageClass="ARCHIVE")
    return post("StartImageScan", repositoryName=name,
                imageId={"imageDigest": found})


def image_digest():
    name = repository("e/digest")
    return post("PutImage", repositoryName=name, imageDigest=NOBODY,
                imageManifest=image_text(name, "other"))


def image_not_found():
    return post("DescribeImages", repositoryName=repository("e/none"),
                imageIds=[{"imageTag": "nothing"}])


def storage_class():
    name = repository("e/index")
    child = image(name, "child")
    ok("PutImage", repositoryName=name, imageManifest=index_text(child))
    return post("UpdateImageStorageClass", repositoryName=name,
                imageId={"imageDigest": child}, targetStorageClass="ARCHIVE")


def image_tag_exists():
    name = "e/immutable"
    post("CreateRepository", repositoryName=name,
         imageTagMutability="IMMUTABLE")
    image(name, "first", imageTag="v1")
    return post("PutImage", repositoryName=name, imageTag="v1",
                imageManifest=image_text(name, "second"))


def invalid_layer():
    name = repository("e/layer")
    return post("CompleteLayerUpload", repositoryName=name,
                uploadId=upload(name, b"content"), layerDigests=[NOBODY])


def invalid_layer_part():
    name = repository("e/part")
    error, body = post(
        "UploadLayerPart", repositoryName=name, uploadId=upload(name, b"abc"),
        partFirstByte=5, partLastByte=5, layerPartBlob="eA==")
    if body.get("lastValidByteReceived") != 2 or \
            body.get("repositoryName") != name or not body.get("uploadId") \
            or not body.get("registryId"):
        raise SystemExit("InvalidLayerPartException without its members: %r"
                         % body)
    return error, body


def invalid_parameter():
    return post("CreateRepository", repositoryName="Not/A/Name")


def invalid_tag():
    return post("CreateRepository", repositoryName="e/tag",
                tags=[{"Key": "aws:reserved", "Value": "x"}])


def layer_exists():
    name = repository("e/again")
    data = layer(name, b"twice")
    return post("CompleteLayerUpload", repositoryName=name,
                uploadId=upload(name, data), layerDigests=[digest(data)])


def layer_inaccessible():
    name = repository("e/alone")
    return post("GetDownloadUrlForLayer", repositoryName=name,
                layerDigest=digest(layer(name, b"of no image")))


def layer_part_too_small():
    name = repository("e/small")
    return post("CompleteLayerUpload", repositoryName=name,
                uploadId=upload(name, b"small", b"last"),
                layerDigests=[digest(b"smalllast")])


def layers_not_found():
    name = repository("e/missing")
    manifest = json.loads(image_text(name, "missing"))
    manifest["layers"][0]["digest"] = NOBODY
    return post("PutImage", repositoryName=name,
                imageManifest=json.dumps(manifest))


def lifecycle_not_found():
    return post("GetLifecyclePolicy", repositoryName=repository("e/policy"))


def preview_in_progress():
    """A preview of so little ends at once: others come at the same time."""
    name = repository("e/preview")

    def start(_):
        return post("StartLifecyclePolicyPreview", repositoryName=name,
                    lifecyclePolicyText=LIFECYCLE)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(200):
            for error, body in pool.map(start, range(4)):
                if error is not None:
                    return error, body
    return None, "800 previews began"


def preview_not_found():
    return post("GetLifecyclePolicyPreview",
                repositoryName=repository("e/nopreview"))


def limit_exceeded():
    """The quota of images in a repository is 5."""
    name = repository("e/quota")
    for i in range(5):
        image(name, "number %d" % i)
    return post("PutImage", repositoryName=name,
                imageManifest=image_text(name, "one too many"))


def rule_exists():
    rule = {"ecrRepositoryPrefix": "mirror",
            "upstreamRegistryUrl": "registry.example"}
    post("CreatePullThroughCacheRule", **rule)
    return post("CreatePullThroughCacheRule", **rule)


def rule_not_found():
    return post("DeletePullThroughCacheRule", ecrRepositoryPrefix="nothing")


def referenced_images():
    return post("PutImage", repositoryName=repository("e/children"),
                imageManifest=index_text(NOBODY))


def registry_policy():
    return post("GetRegistryPolicy")


def backfill_not_found():
    return post("StopReplicationBackfill", replicationBackfillId="nothing")


def repository_exists():
    repository("e/exists")
    return post("CreateRepository", repositoryName="e/exists")


def repository_not_empty():
    name = repository("e/full")
    image(name, "full")
    return post("DeleteRepository", repositoryName=name)


def repository_not_found():
    return post("ListImages", repositoryName="e/never")


def repository_policy():
    return post("GetRepositoryPolicy", repositoryName=repository("e/nopolicy"))


def scan_not_found():
    name = repository("e/scan")
    return post("DescribeImageScanFindings", repositoryName=name,
                imageId={"imageDigest": image(name, "not scanned")})


def signing_not_found():
    return post("GetSigningConfiguration")


def template_exists():
    template = {"prefix": "e/template", "appliedFor": ["CREATE_ON_PUSH"]}
    post("CreateRepositoryCreationTemplate", **template)
    return post("CreateRepositoryCreationTemplate", **template)


def template_not_found():
    return post("DeleteRepositoryCreationTemplate", prefix="nothing")


def too_many_tags():
    return post("CreateRepository", repositoryName="e/tags", tags=[
        {"Key": "key-%d" % i, "Value": ""} for i in range(51)])


def unsupported_image():
    name = repository("e/unsupported")
    child = image(name, "child of a list")
    text = index_text(child)
    ok("PutImage", repositoryName=name, imageManifest=text)
    return post("StartImageScan", repositoryName=name,
                imageId={"imageDigest": digest(text.encode())})


def unsupported_upstream():
    return post("CreatePullThroughCacheRule", ecrRepositoryPrefix="odd",
                upstreamRegistry="docker-hub",
                upstreamRegistryUrl="registry.example")


def upload_not_found():
    return post("CompleteLayerUpload", repositoryName=repository("e/session"),
                uploadId="00000000-0000-0000-0000-000000000000",
                layerDigests=[NOBODY])


def validation():
    return post("StartReplicationBackfill", destination={
        "region": "eu-central-1", "registryId": "123456789012"})


ERRORS = {
    "EmptyUploadException": empty_upload,
    "ExclusionAlreadyExistsException": exclusion_exists,
    "ExclusionNotFoundException": exclusion_not_found,
    "ImageAlreadyExistsException": image_exists,
    "ImageArchivedException": image_archived,
    "ImageDigestDoesNotMatchException": image_digest,
    "ImageNotFoundException": image_not_found,
    "ImageStorageClassUpdateNotSupportedException": storage_class,
    "ImageTagAlreadyExistsException": image_tag_exists,
    "InvalidLayerException": invalid_layer,
    "InvalidLayerPartException": invalid_layer_part,
    "InvalidParameterException": invalid_parameter,
    "InvalidTagParameterException": invalid_tag,
    "LayerAlreadyExistsException": layer_exists,
    "LayerInaccessibleException": layer_inaccessible,
    "LayerPartTooSmallException": layer_part_too_small,
    "LayersNotFoundException": layers_not_found,
    "LifecyclePolicyNotFoundException": lifecycle_not_found,
    "LifecyclePolicyPreviewInProgressException": preview_in_progress,
    "LifecyclePolicyPreviewNotFoundException": preview_not_found,
    "LimitExceededException": limit_exceeded,
    "PullThroughCacheRuleAlreadyExistsException": rule_exists,
    "PullThroughCacheRuleNotFoundException": rule_not_found,
    "ReferencedImagesNotFoundException": referenced_images,
    "RegistryPolicyNotFoundException": registry_policy,
    "ReplicationBackfillNotFoundException": backfill_not_found,
    "RepositoryAlreadyExistsException": repository_exists,
    "RepositoryNotEmptyException": repository_not_empty,
    "RepositoryNotFoundException": repository_not_found,
    "RepositoryPolicyNotFoundException": repository_policy,
    "ScanNotFoundException": scan_not_found,
    "SigningConfigurationNotFoundException": signing_not_found,
    "TemplateAlreadyExistsException": template_exists,
    "TemplateNotFoundException": template_not_found,
    "TooManyTagsException": too_many_tags,
    "UnsupportedImageTypeException": unsupported_image,
    "UnsupportedUpstreamRegistryException": unsupported_upstream,
    "UploadNotFoundException": upload_not_found,
    "ValidationException": validation,
}


def main(argv):
    global URL
    if len(argv) != 2:
        raise SystemExit(__doc__)
    URL = argv[1]
    wrong = []
    for name, provoke in ERRORS.items():
        error, body = provoke()
        if error == name:
            print(name)
        else:
            wrong.append("%s: got %s: %r" % (name, error, body))
    for line in wrong:
        print(line, file=sys.stderr)
    raise SystemExit(1 if wrong else 0)


main(sys.argv)
