#!/usr/bin/env python3
"""The working day of a program on boto3.

usage: boto_day.py day|layers|settings|images|pages|jobs|errors URL NAME

  day        a repository from create to delete with force
  layers     layers in parts, and the URL to fetch one by
  settings   what is configured of the registry, as far as the client knows it
  images     archive and referrers, as far as the client knows them
  pages      every paginator of the client
  jobs       every waiter of the client
  errors     every class of exception in the client's model

What it makes is named after NAME and goes again, all but repositories.
Credentials and region are those of the environment.  Prints secrets that it
got on lines that begin with "secret ".
"""

import base64
import concurrent.futures
import datetime
import hashlib
import json
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError, WaiterError

ACCOUNT = "000000000000"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
NOBODY = "sha256:" + "0" * 64
NOT_FOUND = {"failureCode": "ImageNotFound",
             "failureReason": "Requested image not found"}
LIFECYCLE = json.dumps({"rules": [{
    "rulePriority": 1, "description": "untagged images go after two weeks",
    "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed",
                  "countUnit": "days", "countNumber": 14},
    "action": {"type": "expire"}}]})
ONE_STAYS = json.dumps({"rules": [{
    "rulePriority": 1, "description": "the youngest one stays, all others go",
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan",
                  "countNumber": 1},
    "action": {"type": "expire"}}]})
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]})

URL = NAME = ""
ECR = None


def same(actual, wanted, what):
    if actual != wanted:
        raise SystemExit("%s: %r, want %r" % (what, actual, wanted))


def digest(data):
    if isinstance(data, str):
        data = data.encode()
    return "sha256:" + hashlib.sha256(data).hexdigest()


def raises(wanted, call, **members):
    """The answer of a call that raises the client's exception of that name."""
    try:
        call(**members)
    except getattr(ECR.exceptions, wanted) as e:
        same(type(e).__name__, wanted, "class")
        same(e.response["Error"]["Code"], wanted, "code")
        same(e.response["ResponseMetadata"]["HTTPStatusCode"], 400, "status")
        if not e.response["Error"]["Message"]:
            raise SystemExit("%s without a message" % wanted)
        return e.response
    except ClientError as e:
        raise SystemExit("%s, want %s: %s" % (type(e).__name__, wanted, e))
    raise SystemExit("%s was not raised" % wanted)


def knows(operation, member=None):
    """Does the client know the operation, and the member of its input?"""
    if not hasattr(ECR, xform_name(operation)):
        return False
    shape = ECR.meta.service_model.operation_model(operation).input_shape
    return member is None or member in shape.members


# --- making things ------------------------------------------------------------

def repository(suffix, **members):
    name = NAME + "/" + suffix
    ECR.create_repository(repositoryName=name, **members)
    return name


def upload(name, *parts):
    """An upload with these parts."""
    session = ECR.initiate_layer_upload(repositoryName=name)["uploadId"]
    at = 0
    for part in parts:
        got = ECR.upload_layer_part(
            repositoryName=name, uploadId=session, partFirstByte=at,
            partLastByte=at + len(part) - 1, layerPartBlob=part)
        at += len(part)
        same((got["lastByteReceived"], got["uploadId"]), (at - 1, session),
             "answer to a part")
    return session


def layer(name, data):
    found = ECR.batch_check_layer_availability(
        repositoryName=name, layerDigests=[digest(data)])["layers"][0]
    if found["layerAvailability"] == "UNAVAILABLE":
        ECR.complete_layer_upload(
            repositoryName=name, uploadId=upload(name, data),
            layerDigests=[digest(data)])
    return data


def descriptor(media_type, data):
    return {"mediaType": media_type, "digest": digest(data),
            "size": len(data)}


def image_text(name, text, **more):
    """A manifest whose layers are there; TEXT makes it one of its own."""
    config = layer(name, b'{"os":"linux"}')
    content = layer(name, b"layer of all images")
    return json.dumps(dict({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, content)],
        "annotations": {"text": text}}, **more))


def image(name, text, **members):
    manifest = image_text(name, text)
    got = ECR.put_image(repositoryName=name, imageManifest=manifest, **members)
    same(got["image"]["imageId"]["imageDigest"], digest(manifest), "digest")
    return digest(manifest)


def index_text(*children):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "digest": d, "size": 1} for d in children]})


def scan_type(name):
    ECR.put_registry_scanning_configuration(scanType=name, rules=[])


# --- the day ------------------------------------------------------------------

def pull(name, tag):
    """The manifest, as an image client would have it."""
    token = ECR.get_authorization_token()["authorizationData"][0][
        "authorizationToken"]
    print("secret " + token)
    print("secret " + base64.b64decode(token).decode()[4:])
    request = urllib.request.Request(
        "%s/v2/%s/manifests/%s" % (URL, name, tag),
        headers={"Authorization": "Basic " + token, "Accept": MANIFEST})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def retag(name, old, new):
    """As the guide of ECR does it."""
    got = ECR.batch_get_image(
        repositoryName=name, imageIds=[{"imageTag": old}],
        acceptedMediaTypes=[MANIFEST])["images"][0]
    return ECR.put_image(
        repositoryName=name, imageTag=new, imageManifest=got["imageManifest"],
        imageManifestMediaType=got["imageManifestMediaType"])["image"]


def images_of_the_day(name):
    one = image(name, "one", imageTag="v1")
    two = image(name, "two", imageTag="v2")
    again = retag(name, "v2", "stable")
    same(again["imageId"], {"imageDigest": two, "imageTag": "stable"}, "retag")
    same(again["repositoryName"], name, "repository of the image")
    same(pull(name, "stable"), again["imageManifest"], "what was pulled")
    found = ECR.describe_images(
        repositoryName=name, imageIds=[{"imageTag": "stable"}])["imageDetails"]
    same([(d["imageDigest"], sorted(d["imageTags"]), d["registryId"],
           d["imageManifestMediaType"], d["artifactMediaType"])
          for d in found],
         [(two, ["stable", "v2"], ACCOUNT, MANIFEST, CONFIG)], "image")
    same(found[0]["imageSizeInBytes"],
         len(b'{"os":"linux"}' + b"layer of all images"), "size")
    age = datetime.datetime.now(datetime.timezone.utc) - \
        found[0]["imagePushedAt"]
    if abs(age.total_seconds()) > 600:
        raise SystemExit("pushed %s ago" % age)
    return one, two


def immutable_tags(name, one, two):
    set_to = ECR.put_image_tag_mutability(
        repositoryName=name, imageTagMutability="IMMUTABLE")
    same(set_to["imageTagMutability"], "IMMUTABLE", "mutability")
    manifests = {
        i["imageId"]["imageDigest"]: i["imageManifest"]
        for i in ECR.batch_get_image(
            repositoryName=name, imageIds=[{"imageDigest": one},
                                           {"imageDigest": two}])["images"]}
    put = {"call": ECR.put_image, "repositoryName": name}
    error = raises("ImageTagAlreadyExistsException", imageTag="v1",
                   imageManifest=manifests[two], **put)
    same(error["Error"]["Message"],
         "The image tag 'v1' already exists in the '%s' repository and cannot "
         "be overwritten because the tag is immutable." % name, "message")
    if not knows("PutImageTagMutability",
                 "imageTagMutabilityExclusionFilters"):
        return
    filters = [{"filterType": "WILDCARD", "filter": "dev*"}]
    set_to = ECR.put_image_tag_mutability(
        repositoryName=name, imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters)
    same(set_to["imageTagMutabilityExclusionFilters"], filters, "filters")
    for manifest in manifests.values():
        ECR.put_image(repositoryName=name, imageTag="dev-1",
                      imageManifest=manifest)
    raises("ImageTagAlreadyExistsException", imageTag="v1",
           imageManifest=manifests[two], **put)
    ECR.put_image_tag_mutability(
        repositoryName=name, imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters)
    ECR.put_image(repositoryName=name, imageTag="v1",
                  imageManifest=manifests[two])
    ECR.put_image(repositoryName=name, imageTag="v1",
                  imageManifest=manifests[one])
    raises("ImageTagAlreadyExistsException", imageTag="dev-1",
           imageManifest=manifests[one], **put)
    ECR.batch_delete_image(repositoryName=name,
                           imageIds=[{"imageTag": "dev-1"}])


def batch_delete(name, one, two):
    ECR.put_image(repositoryName=name, imageTag="list",
                  imageManifest=index_text(two))
    got = ECR.batch_delete_image(repositoryName=name, imageIds=[
        {"imageTag": "stable"}, {"imageDigest": one}, {"imageDigest": two},
        {"imageTag": "nothing"}])
    same(sorted((i["imageTag"], i["imageDigest"]) for i in got["imageIds"]),
         [("stable", two), ("v1", one)], "deleted")
    same({f["failureCode"]: f["imageId"] for f in got["failures"]},
         {"ImageReferencedByManifestList": {"imageDigest": two},
          "ImageNotFound": {"imageTag": "nothing"}}, "failures")
    got = ECR.batch_get_image(repositoryName=name, imageIds=[
        {"imageTag": "v1"}, {"imageTag": "v2"}])
    same([i["imageId"]["imageDigest"] for i in got["images"]], [two], "images")
    same(got["failures"], [dict(NOT_FOUND, imageId={"imageTag": "v1"})],
         "failures")


def policies(name):
    ECR.set_repository_policy(repositoryName=name, policyText=POLICY)
    same(ECR.get_repository_policy(repositoryName=name)["policyText"], POLICY,
         "policy")
    ECR.delete_repository_policy(repositoryName=name)
    raises("RepositoryPolicyNotFoundException", ECR.get_repository_policy,
           repositoryName=name)
    ECR.put_lifecycle_policy(repositoryName=name,
                             lifecyclePolicyText=LIFECYCLE)
    same(ECR.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"],
         LIFECYCLE, "lifecycle policy")
    ECR.delete_lifecycle_policy(repositoryName=name)
    raises("LifecyclePolicyNotFoundException", ECR.get_lifecycle_policy,
           repositoryName=name)


def resource_tags(arn):
    def seen():
        return {t["Key"]: t["Value"] for t in ECR.list_tags_for_resource(
            resourceArn=arn)["tags"]}
    same(seen(), {"team": "blue"}, "tags")
    ECR.tag_resource(resourceArn=arn, tags=[
        {"Key": "team", "Value": "red"}, {"Key": "stage", "Value": ""}])
    same(seen(), {"team": "red", "stage": ""}, "tags")
    ECR.untag_resource(resourceArn=arn, tagKeys=["team", "never"])
    same(seen(), {"stage": ""}, "tags")


def day():
    name = NAME + "/day"
    made = ECR.create_repository(
        repositoryName=name, tags=[{"Key": "team", "Value": "blue"}],
        imageScanningConfiguration={"scanOnPush": False})["repository"]
    same(made["repositoryArn"],
         "arn:aws:ecr:us-east-1:%s:repository/%s" % (ACCOUNT, name), "ARN")
    same(ECR.describe_repositories(repositoryNames=[name])["repositories"],
         [made], "described")
    one, two = images_of_the_day(name)
    immutable_tags(name, one, two)
    ECR.put_image_tag_mutability(repositoryName=name,
                                 imageTagMutability="MUTABLE")
    batch_delete(name, one, two)
    policies(name)
    resource_tags(made["repositoryArn"])
    got = ECR.put_image_scanning_configuration(
        repositoryName=name, imageScanningConfiguration={"scanOnPush": True})
    same(got["imageScanningConfiguration"], {"scanOnPush": True}, "scanning")
    raises("RepositoryNotEmptyException", ECR.delete_repository,
           repositoryName=name)
    ECR.delete_repository(repositoryName=name, force=True)
    raises("RepositoryNotFoundException", ECR.describe_repositories,
           repositoryNames=[name])


# --- layers -------------------------------------------------------------------

def fetch(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)["errors"][0]["code"]


def layers():
    name = repository("layers")
    data = bytes(range(256)) * 4 * 1024 * 11 + b"the end"
    half = 6 * 1024 * 1024
    session = upload(name, data[:half])
    error = raises("InvalidLayerPartException", ECR.upload_layer_part,
                   repositoryName=name, uploadId=session, partFirstByte=0,
                   partLastByte=9, layerPartBlob=data[:10])
    same((error["lastValidByteReceived"], error["registryId"],
          error["repositoryName"], error["uploadId"]),
         (half - 1, ACCOUNT, name, session), "what the exception carries")
    ECR.upload_layer_part(
        repositoryName=name, uploadId=session, partFirstByte=half,
        partLastByte=len(data) - 1, layerPartBlob=data[half:])
    same(ECR.complete_layer_upload(
        repositoryName=name, uploadId=session,
        layerDigests=[digest(data)])["layerDigest"], digest(data), "layer")
    got = ECR.batch_check_layer_availability(
        repositoryName=name, layerDigests=[digest(data), NOBODY, "nonsense"])
    same([(x["layerDigest"], x["layerAvailability"], x.get("layerSize"))
          for x in got["layers"]],
         [(digest(data), "AVAILABLE", len(data)),
          (NOBODY, "UNAVAILABLE", None)], "layers")
    same([(f["layerDigest"], f["failureCode"]) for f in got["failures"]],
         [("nonsense", "InvalidLayerDigest")], "failures")
    manifest = json.loads(image_text(name, "large"))
    manifest["layers"] = [descriptor(LAYER, data)]
    ECR.put_image(repositoryName=name, imageTag="large",
                  imageManifest=json.dumps(manifest))
    url = ECR.get_download_url_for_layer(
        repositoryName=name, layerDigest=digest(data))["downloadUrl"]
    print("secret " + url.split("token=")[1])
    if not url.startswith(URL):
        raise SystemExit("an URL of another server: " + url)
    same(fetch(url) == (200, data), True, "the URL gives the layer")
    same(fetch(url, Range="bytes=3-260"), (206, data[3:261]), "a part of it")
    same(fetch(url.replace(digest(data), digest(b'{"os":"linux"}'))),
         (403, "DENIED"), "the URL of another layer")


# --- the registry's own settings ----------------------------------------------

def templates():
    prefix = NAME + "/made"
    made = ECR.create_repository_creation_template(
        prefix=prefix, appliedFor=["CREATE_ON_PUSH"], description="ours",
        repositoryPolicy=POLICY, lifecyclePolicy=LIFECYCLE,
        resourceTags=[{"Key": "team", "Value": "blue"}],
        imageTagMutability="IMMUTABLE")["repositoryCreationTemplate"]
    same(ECR.describe_repository_creation_templates(prefixes=[prefix])[
        "repositoryCreationTemplates"], [made], "template")
    later = ECR.update_repository_creation_template(
        prefix=prefix, imageTagMutability="MUTABLE")[
            "repositoryCreationTemplate"]
    same(dict(later, updatedAt=0),
         dict(made, imageTagMutability="MUTABLE", updatedAt=0), "updated")
    same(ECR.delete_repository_creation_template(prefix=prefix)[
        "repositoryCreationTemplate"], later, "deleted")


def cache_rules():
    prefix = NAME + "-mirror"
    rule = {"ecrRepositoryPrefix": prefix,
            "upstreamRegistryUrl": "public.ecr.aws"}
    made = ECR.create_pull_through_cache_rule(**rule)
    same({k: made[k] for k in rule}, rule, "rule")
    found = ECR.describe_pull_through_cache_rules(
        ecrRepositoryPrefixes=[prefix])["pullThroughCacheRules"]
    same([(r["ecrRepositoryPrefix"], r["createdAt"]) for r in found],
         [(prefix, made["createdAt"])], "rules")
    if knows("UpdatePullThroughCacheRule"):
        secret = "arn:aws:secretsmanager:us-east-1:%s:secret:" \
            "ecr-pullthroughcache/ours-abcdef" % ACCOUNT
        same(ECR.update_pull_through_cache_rule(
            ecrRepositoryPrefix=prefix, credentialArn=secret)[
                "credentialArn"], secret, "credential")
    if knows("ValidatePullThroughCacheRule"):
        got = ECR.validate_pull_through_cache_rule(ecrRepositoryPrefix=prefix)
        same((got["isValid"], bool(got["failure"])), (False, True), "validity")
    ECR.delete_pull_through_cache_rule(ecrRepositoryPrefix=prefix)
    raises("PullThroughCacheRuleNotFoundException",
           ECR.describe_pull_through_cache_rules,
           ecrRepositoryPrefixes=[prefix])


def account_settings():
    for name, value, other in (
            ("BLOB_MOUNTING", "ENABLED", "DISABLED"),
            ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE", "CLAIR")):
        for to in (other, value):
            same(ECR.get_account_setting(name=name)["value"],
                 value if to == other else other, name)
            same(ECR.put_account_setting(name=name, value=to)["value"], to,
                 name)


def exclusions():
    arn = "arn:aws:iam::%s:role/%s-scanner" % (ACCOUNT, NAME)
    made = ECR.register_pull_time_update_exclusion(principalArn=arn)
    same(made["principalArn"], arn, "exclusion")
    same(arn in ECR.list_pull_time_update_exclusions()[
        "pullTimeUpdateExclusions"], True, "listed")
    same(ECR.deregister_pull_time_update_exclusion(principalArn=arn)[
        "principalArn"], arn, "exclusion")
    same(arn in ECR.list_pull_time_update_exclusions().get(
        "pullTimeUpdateExclusions", []), False, "listed")


def signing():
    profile = "arn:aws:signer:us-east-1:%s:/signing-profiles/ours" % ACCOUNT
    rules = {"rules": [{"signingProfileArn": profile, "repositoryFilters": [
        {"filter": NAME + "/*", "filterType": "WILDCARD_MATCH"}]}]}
    same(ECR.put_signing_configuration(signingConfiguration=rules)[
        "signingConfiguration"], rules, "signing")
    same(ECR.get_signing_configuration()["signingConfiguration"], rules,
         "signing")
    name = repository("signed")
    got = ECR.describe_image_signing_status(
        repositoryName=name,
        imageId={"imageDigest": image(name, "not signed")})["signingStatuses"]
    same([(s["signingProfileArn"], s["status"], bool(s["failureReason"]))
          for s in got], [(profile, "FAILED", True)], "signing status")
    ECR.delete_signing_configuration()
    raises("SigningConfigurationNotFoundException",
           ECR.get_signing_configuration)


def scanning():
    rules = [{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [
        {"filter": NAME + "/scanned", "filterType": "WILDCARD"}]}]
    same(ECR.put_registry_scanning_configuration(
        scanType="BASIC", rules=rules)["registryScanningConfiguration"],
         {"scanType": "BASIC", "rules": rules}, "scanning")
    same(ECR.get_registry_scanning_configuration()["scanningConfiguration"],
         {"scanType": "BASIC", "rules": rules}, "scanning")
    name = repository("scanned")
    got = ECR.batch_get_repository_scanning_configuration(
        repositoryNames=[name, NAME + "/never"])
    same([(c["scanFrequency"], c["appliedScanFilters"])
          for c in got["scanningConfigurations"]],
         [("SCAN_ON_PUSH", rules[0]["repositoryFilters"])], "its scanning")
    same([f["failureCode"] for f in got["failures"]],
         ["REPOSITORY_NOT_FOUND"], "failures")
    scan_type("BASIC")


def replication():
    rules = {"rules": [{"destinations": [
        {"region": "eu-central-1", "registryId": ACCOUNT}],
        "repositoryFilters": [{"filter": NAME + "/",
                               "filterType": "PREFIX_MATCH"}]}]}
    ECR.put_replication_configuration(replicationConfiguration=rules)
    same(ECR.describe_registry()["replicationConfiguration"], rules, "rules")
    name = repository("copied")
    digest = image(name, "not copied")
    end = time.monotonic() + 60
    while True:
        got = ECR.describe_image_replication_status(
            repositoryName=name, imageId={"imageDigest": digest})
        status = [(s["region"], s["status"], s.get("failureCode"))
                  for s in got["replicationStatuses"]]
        if status != [("eu-central-1", "IN_PROGRESS", None)] or \
                time.monotonic() > end:
            break
        time.sleep(0.1)
    # Nobody has said where that is.
    same(status, [("eu-central-1", "FAILED", "DestinationNotConfigured")],
         "replication")
    ECR.put_replication_configuration(replicationConfiguration={"rules": []})
    same(ECR.describe_registry()["replicationConfiguration"], {"rules": []},
         "rules")


def registry_policy():
    text = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "123456789012"},
        "Action": "ecr:ReplicateImage",
        "Resource": "arn:aws:ecr:us-east-1:%s:repository/*" % ACCOUNT}]})
    ECR.put_registry_policy(policyText=text)
    same(ECR.get_registry_policy()["policyText"], text, "registry policy")
    ECR.delete_registry_policy()
    raises("RegistryPolicyNotFoundException", ECR.get_registry_policy)


SETTINGS = [
    (cache_rules, "CreatePullThroughCacheRule"),
    (scanning, "PutRegistryScanningConfiguration"),
    (replication, "PutReplicationConfiguration"),
    (registry_policy, "PutRegistryPolicy"),
    (templates, "CreateRepositoryCreationTemplate"),
    (account_settings, "PutAccountSetting"),
    (exclusions, "RegisterPullTimeUpdateExclusion"),
    (signing, "PutSigningConfiguration"),
]


def settings():
    for do, operation in SETTINGS:
        if knows(operation):
            do()


# --- images -------------------------------------------------------------------

def archive():
    name = repository("archive")
    found = image(name, "archived", imageTag="v1")
    by_tag = {"repositoryName": name, "imageIds": [{"imageTag": "v1"}]}
    same(ECR.update_image_storage_class(
        repositoryName=name, imageId={"imageDigest": found},
        targetStorageClass="ARCHIVE")["imageStatus"], "ARCHIVED", "status")
    same(ECR.batch_get_image(**by_tag)["failures"][0]["failureCode"],
         "ImageInaccessible", "failure")
    same(ECR.list_images(repositoryName=name).get("imageIds", []), [],
         "what is listed")
    same(ECR.list_images(repositoryName=name, filter={
        "imageStatus": "ARCHIVED"})["imageIds"],
         [{"imageDigest": found, "imageTag": "v1"}], "archived")
    details = ECR.describe_images(**by_tag)["imageDetails"][0]
    same((details["imageStatus"], "lastArchivedAt" in details),
         ("ARCHIVED", True), "details")
    ECR.update_image_storage_class(
        repositoryName=name, imageId={"imageDigest": found},
        targetStorageClass="STANDARD")
    same(len(ECR.batch_get_image(**by_tag)["images"]), 1, "images")


def referrers():
    name = repository("referrers")
    subject = image_text(name, "subject")
    ECR.put_image(repositoryName=name, imageManifest=subject, imageTag="v1")
    found = []
    for i in range(3):
        text = image_text(name, "sbom %d" % i, artifactType="x/sbom",
                          subject=descriptor(MANIFEST, subject))
        ECR.put_image(repositoryName=name, imageManifest=text)
        found.append(digest(text))
    ask = {"repositoryName": name, "maxResults": 2,
           "subjectId": {"imageDigest": digest(subject)}}
    first = ECR.list_image_referrers(**ask)
    rest = ECR.list_image_referrers(nextToken=first["nextToken"], **ask)
    same((len(first["referrers"]), len(rest["referrers"])), (2, 1), "pages")
    same(sorted(r["digest"] for r in first["referrers"] + rest["referrers"]),
         sorted(found), "referrers")
    same("nextToken" in rest, False, "a further page")


def images():
    for do, operation in ((archive, "UpdateImageStorageClass"),
                          (referrers, "ListImageReferrers")):
        if knows(operation):
            do()


# --- pages --------------------------------------------------------------------

def fill():
    """A repository with five images, a scan and a preview that have ended."""
    name = repository("pages")
    found = [image(name, str(i), imageTag="v%d" % i) for i in range(5)]
    ECR.start_image_scan(repositoryName=name,
                         imageId={"imageDigest": found[0]})
    ECR.start_lifecycle_policy_preview(repositoryName=name,
                                       lifecyclePolicyText=ONE_STAYS)
    preview_waited(name)
    for i in range(5):
        ECR.create_pull_through_cache_rule(
            ecrRepositoryPrefix="%s-page%d" % (NAME, i),
            upstreamRegistryUrl="registry.example")
        repository("pages-%d" % i)
        if knows("CreateRepositoryCreationTemplate"):
            ECR.create_repository_creation_template(
                prefix="%s-page%d" % (NAME, i), appliedFor=["REPLICATION"])
    return name, found


def empty():
    for i in range(5):
        ECR.delete_pull_through_cache_rule(
            ecrRepositoryPrefix="%s-page%d" % (NAME, i))
        if knows("CreateRepositoryCreationTemplate"):
            ECR.delete_repository_creation_template(
                prefix="%s-page%d" % (NAME, i))


def paged(operation, key, of, **members):
    """What all pages of two have that is ours, and how many pages came."""
    pages = list(ECR.get_paginator(operation).paginate(
        PaginationConfig={"PageSize": 2}, **members))
    lists = [of(p) for p in pages]
    if any(len(x) > 2 for x in lists):
        raise SystemExit("%s: pages of %s" % (operation,
                                              [len(x) for x in lists]))
    found = [key(x) for one in lists for x in one]
    return sorted(f for f in found if f.startswith(("sha256:", NAME))), \
        len(pages)


def pages():
    name, found = fill()
    five = ["%s-page%d" % (NAME, i) for i in range(5)]

    def check(operation, member, key, wanted, least=3, **members):
        got, n = paged(operation, lambda x: x[key], lambda p: p[member],
                       **members)
        same(got, sorted(wanted), operation)
        if n < least:
            raise SystemExit("%s: %d pages" % (operation, n))

    def check_repositories():
        got, n = paged("describe_repositories", lambda r: r["repositoryName"],
                       lambda p: p["repositories"])
        same([g for g in got if g.startswith(name + "-")],
             ["%s-%d" % (name, i) for i in range(5)], "repositories")
        same(n >= 3, True, "three pages of repositories")

    def check_findings():
        """Of a scan that failed there is a page without anything in it."""
        got = list(ECR.get_paginator("describe_image_scan_findings").paginate(
            repositoryName=name, PaginationConfig={"PageSize": 2},
            imageId={"imageDigest": found[0]}))
        same([p.get("imageScanFindings", {}).get("findings", [])
              for p in got], [[]], "findings")

    checks = {
        "describe_images": lambda: check(
            "describe_images", "imageDetails", "imageDigest", found,
            repositoryName=name),
        "list_images": lambda: check(
            "list_images", "imageIds", "imageDigest", found,
            repositoryName=name),
        "describe_repositories": check_repositories,
        "describe_pull_through_cache_rules": lambda: check(
            "describe_pull_through_cache_rules", "pullThroughCacheRules",
            "ecrRepositoryPrefix", five),
        "describe_repository_creation_templates": lambda: check(
            "describe_repository_creation_templates",
            "repositoryCreationTemplates", "prefix", five),
        "describe_image_scan_findings": check_findings,
        "get_lifecycle_policy_preview": lambda: check(
            "get_lifecycle_policy_preview", "previewResults", "imageDigest",
            found[:-1], 2, repositoryName=name),
    }
    wanted = {xform_name(o) for o in ECR.meta.service_model.operation_names
              if ECR.can_paginate(xform_name(o))}
    same(wanted - set(checks), set(), "paginators without a test")
    for operation in sorted(wanted):
        checks[operation]()
    for token in ("nonsense", "", "AAAA"):
        raises("InvalidParameterException", ECR.list_images,
               repositoryName=name, nextToken=token)
    empty()


# --- waiters ------------------------------------------------------------------

def ends(waiter, **members):
    """What the waiter saw last before it gave up."""
    try:
        ECR.get_waiter(waiter).wait(
            WaiterConfig={"Delay": 1, "MaxAttempts": 60}, **members)
    except WaiterError as e:
        if "terminal failure" not in str(e):
            raise SystemExit("%s: %s" % (waiter, e))
        return e.last_response
    raise SystemExit("%s came to a good end" % waiter)


def scan_ends(name):
    wanted = {"repositoryName": name,
              "imageId": {"imageDigest": image(name, "scanned")}}
    same(ECR.start_image_scan(**wanted)["imageScanStatus"]["status"],
         "IN_PROGRESS", "a scan that has begun")
    got = ends("image_scan_complete", **wanted)["imageScanStatus"]
    same(got["status"], "FAILED", "the end of a scan of what is no tar")
    same("layer sha256:" in got["description"], True, got["description"])


def preview_waited(name):
    ECR.get_waiter("lifecycle_policy_preview_complete").wait(
        repositoryName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def preview_ends(name):
    same(ECR.start_lifecycle_policy_preview(
        repositoryName=name, lifecyclePolicyText=LIFECYCLE)["status"],
         "IN_PROGRESS", "a preview that has begun")
    preview_waited(name)
    same(ECR.get_lifecycle_policy_preview(repositoryName=name)["status"],
         "COMPLETE", "its end")


WAITERS = {"image_scan_complete": scan_ends,
           "lifecycle_policy_preview_complete": preview_ends}


def jobs():
    name = repository("jobs")
    same(set(ECR.waiter_names), set(WAITERS), "waiters")
    for waiter in sorted(WAITERS):
        WAITERS[waiter](name)


# --- exceptions ---------------------------------------------------------------

# Classes that nothing can provoke.
NEVER = {
    "BlockedByOrganizationPolicyException", "KmsException",
    "SecretNotFoundException", "ServerException",
    "UnableToAccessSecretException", "UnableToDecryptSecretValueException",
    "UnableToGetUpstreamImageException", "UnableToGetUpstreamLayerException",
    "UnableToListUpstreamImageReferrersException",
}


def again(call, **members):
    """A minute long: whether what was begun before has ended is up to the
    server."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        call(**members)
        time.sleep(0.02)


def preview_twice(name):
    """A preview of so little ends at once: others come at the same time."""
    def four():
        def start(_):
            ECR.start_lifecycle_policy_preview(
                repositoryName=name, lifecyclePolicyText=LIFECYCLE)

        list(pool.map(start, range(4)))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        again(four)


def scan_twice(name, found):
    for _ in range(2):
        ECR.start_image_scan(repositoryName=name,
                             imageId={"imageDigest": found})


def errors_of_all(full, frozen, bare, manifest):
    """[class, call, its members]: what every client can provoke."""
    found = digest(manifest)
    other = image_text(full, "other")
    gone = json.loads(manifest)
    gone["layers"][0]["digest"] = NOBODY
    data = b"a layer of no image"
    layer(full, data)
    index = index_text(found)
    ECR.put_image(repositoryName=full, imageManifest=index)
    scanned = image(full, "scanned twice")
    ECR.start_image_scan(repositoryName=full, imageId={"imageDigest": scanned})
    rule = {"ecrRepositoryPrefix": NAME + "-twice",
            "upstreamRegistryUrl": "registry.example"}
    ECR.create_pull_through_cache_rule(**rule)
    arn = "arn:aws:ecr:us-east-1:%s:repository/%s" % (ACCOUNT, full)
    put = ECR.put_image
    complete = ECR.complete_layer_upload
    return [
        ("EmptyUploadException", complete, {
            "repositoryName": full, "uploadId": upload(full),
            "layerDigests": [NOBODY]}),
        ("ImageAlreadyExistsException", put, {
            "repositoryName": full, "imageTag": "v1",
            "imageManifest": manifest}),
        ("ImageDigestDoesNotMatchException", put, {
            "repositoryName": full, "imageDigest": NOBODY,
            "imageManifest": other}),
        ("ImageNotFoundException", ECR.describe_images, {
            "repositoryName": full, "imageIds": [{"imageTag": "never"}]}),
        ("ImageTagAlreadyExistsException", put, {
            "repositoryName": frozen, "imageTag": "v1",
            "imageManifest": image_text(frozen, "other")}),
        ("InvalidLayerException", complete, {
            "repositoryName": full, "uploadId": upload(full, b"content"),
            "layerDigests": [NOBODY]}),
        ("InvalidLayerPartException", ECR.upload_layer_part, {
            "repositoryName": full, "uploadId": upload(full, b"abc"),
            "partFirstByte": 5, "partLastByte": 5, "layerPartBlob": b"x"}),
        ("InvalidParameterException", ECR.create_repository, {
            "repositoryName": "Not/A/Name"}),
        ("InvalidTagParameterException", ECR.tag_resource, {
            "resourceArn": arn,
            "tags": [{"Key": "aws:ours", "Value": "x"}]}),
        ("LayerAlreadyExistsException", complete, {
            "repositoryName": full, "uploadId": upload(full, data),
            "layerDigests": [digest(data)]}),
        ("LayerInaccessibleException", ECR.get_download_url_for_layer, {
            "repositoryName": full, "layerDigest": digest(data)}),
        ("LayerPartTooSmallException", complete, {
            "repositoryName": full, "uploadId": upload(full, b"a", b"b"),
            "layerDigests": [digest(b"ab")]}),
        ("LayersNotFoundException", put, {
            "repositoryName": full, "imageManifest": json.dumps(gone)}),
        ("LifecyclePolicyNotFoundException", ECR.get_lifecycle_policy, {
            "repositoryName": bare}),
        ("LifecyclePolicyPreviewNotFoundException",
            ECR.get_lifecycle_policy_preview, {"repositoryName": bare}),
        ("LifecyclePolicyPreviewInProgressException", preview_twice, {
            "name": full}),
        ("LimitExceededException", scan_twice, {
            "name": full, "found": scanned}),
        ("PullThroughCacheRuleAlreadyExistsException",
            ECR.create_pull_through_cache_rule, rule),
        ("PullThroughCacheRuleNotFoundException",
            ECR.delete_pull_through_cache_rule, {
                "ecrRepositoryPrefix": "never"}),
        ("ReferencedImagesNotFoundException", put, {
            "repositoryName": full, "imageManifest": index_text(NOBODY)}),
        ("RegistryPolicyNotFoundException", ECR.get_registry_policy, {}),
        ("RepositoryAlreadyExistsException", ECR.create_repository, {
            "repositoryName": full}),
        ("RepositoryNotEmptyException", ECR.delete_repository, {
            "repositoryName": full}),
        ("RepositoryNotFoundException", ECR.list_images, {
            "repositoryName": NAME + "/never"}),
        ("RepositoryPolicyNotFoundException", ECR.get_repository_policy, {
            "repositoryName": bare}),
        ("ScanNotFoundException", ECR.describe_image_scan_findings, {
            "repositoryName": full, "imageId": {"imageDigest": found}}),
        ("TooManyTagsException", ECR.tag_resource, {
            "resourceArn": arn, "tags": [
                {"Key": "key-%d" % i, "Value": ""} for i in range(51)]}),
        ("UnsupportedImageTypeException", ECR.start_image_scan, {
            "repositoryName": full,
            "imageId": {"imageDigest": digest(index)}}),
        ("UnsupportedUpstreamRegistryException",
            ECR.create_pull_through_cache_rule, {
                "ecrRepositoryPrefix": "odd",
                "upstreamRegistryUrl": "registry.example/with/a/path"}),
        ("UploadNotFoundException", complete, {
            "repositoryName": full, "layerDigests": [NOBODY],
            "uploadId": "00000000-0000-0000-0000-000000000000"}),
    ]


def errors_of_newer(full):
    name = repository("kept")
    old = image(name, "archived")
    ECR.update_image_storage_class(
        repositoryName=name, imageId={"imageDigest": old},
        targetStorageClass="ARCHIVE")
    child = image(full, "child")
    ECR.put_image(repositoryName=full, imageManifest=index_text(child))
    arn = "arn:aws:iam::%s:role/%s" % (ACCOUNT, NAME)
    ECR.register_pull_time_update_exclusion(principalArn=arn)
    template = {"prefix": NAME + "/twice", "appliedFor": ["REPLICATION"]}
    ECR.create_repository_creation_template(**template)
    return [
        ("ExclusionAlreadyExistsException",
            ECR.register_pull_time_update_exclusion, {"principalArn": arn}),
        ("ExclusionNotFoundException",
            ECR.deregister_pull_time_update_exclusion, {
                "principalArn": arn + "-never"}),
        ("ImageArchivedException", ECR.start_image_scan, {
            "repositoryName": name, "imageId": {"imageDigest": old}}),
        ("ImageStorageClassUpdateNotSupportedException",
            ECR.update_image_storage_class, {
                "repositoryName": full, "imageId": {"imageDigest": child},
                "targetStorageClass": "ARCHIVE"}),
        ("SigningConfigurationNotFoundException",
            ECR.get_signing_configuration, {}),
        ("TemplateAlreadyExistsException",
            ECR.create_repository_creation_template, template),
        ("TemplateNotFoundException",
            ECR.delete_repository_creation_template, {"prefix": "never"}),
    ]


def errors():
    full, bare = repository("full"), repository("bare")
    frozen = repository("frozen", imageTagMutability="IMMUTABLE")
    manifest = image_text(full, "one")
    ECR.put_image(repositoryName=full, imageManifest=manifest, imageTag="v1")
    image(frozen, "one", imageTag="v1")
    table = errors_of_all(full, frozen, bare, manifest)
    newer = knows("CreateRepositoryCreationTemplate") and \
        knows("UpdateImageStorageClass")
    if newer:
        table += errors_of_newer(full)
    for wanted, call, members in table:
        raises(wanted, call, **members)
    # The last one, for it is about a setting that others do not stand.
    scan_type("ENHANCED")
    raises("ValidationException", ECR.start_image_scan, repositoryName=full,
           imageId={"imageDigest": digest(manifest)})
    scan_type("BASIC")
    ECR.delete_pull_through_cache_rule(ecrRepositoryPrefix=NAME + "-twice")
    if newer:
        ECR.deregister_pull_time_update_exclusion(
            principalArn="arn:aws:iam::%s:role/%s" % (ACCOUNT, NAME))
        ECR.delete_repository_creation_template(prefix=NAME + "/twice")
    raised = {wanted for wanted, _, _ in table} | {"ValidationException"}
    model = {e.name for e in ECR.meta.service_model.error_shapes}
    same(model - NEVER - raised, set(), "classes that were not raised")
    print("%d classes of %d" % (len(raised), len(model)))


def main(argv):
    global ECR, URL, NAME
    commands = {"day": day, "layers": layers, "settings": settings,
                "images": images, "pages": pages, "jobs": jobs,
                "errors": errors}
    if len(argv) != 4 or argv[1] not in commands:
        raise SystemExit(__doc__)
    URL, NAME = argv[2:]
    ECR = boto3.client("ecr", endpoint_url=URL)
    commands[argv[1]]()


main(sys.argv)
