#!/usr/bin/env python3
"""What programs on boto3 ask of the registry.

usage: boto.py flow|errors|paging|session|presign URL [ARGUMENT...]

  flow REPOSITORY       every operation once
  errors FULL READER    exceptions by class; FULL is a repository with images,
                        READER the credentials file of who may only read
  paging PREFIX         five repositories, seen two at a time
  session               temporary credentials, got and used
  presign               prints a URL for GetCallerIdentity, and one for
                        GetAuthorizationToken with the header it needs

Credentials, region and CA are those of the environment.  Prints secrets that
it got on lines that begin with "secret ".
"""

import base64
import configparser
import datetime
import json
import sys

import boto3
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError


def client(url, service="ecr", **more):
    return boto3.client(service, endpoint_url=url, **more)


def same(actual, wanted, what):
    if actual != wanted:
        raise SystemExit("%s: %r, want %r" % (what, actual, wanted))


def fails(wanted, call, *args, **kwargs):
    """The class, the code, the request id and the status of an error."""
    try:
        call(*args, **kwargs)
    except ClientError as e:
        error, meta = e.response["Error"], e.response["ResponseMetadata"]
        same(error["Code"], wanted, "code of %s" % error.get("Message"))
        same(meta["HTTPStatusCode"], 400, "status of " + wanted)
        if not meta.get("RequestId") or not error["Message"]:
            raise SystemExit("%s without id or message" % wanted)
        return type(e).__name__, error["Message"]
    raise SystemExit("%s was not raised" % wanted)


def flow(url, name):
    ecr = client(url)
    data = ecr.get_authorization_token()["authorizationData"]
    same(len(data), 1, "entries")
    user, password = base64.b64decode(
        data[0]["authorizationToken"]).decode().split(":")
    same(user, "AWS", "user")
    print("secret " + password)
    same(data[0]["proxyEndpoint"], url, "endpoint")
    left = data[0]["expiresAt"] - datetime.datetime.now(datetime.timezone.utc)
    if not 11 < left.total_seconds() / 3600 < 13:
        raise SystemExit("expires in %s" % left)
    made = ecr.create_repository(
        repositoryName=name, imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        tags=[{"Key": "team", "Value": "blue"}])["repository"]
    same(made["repositoryArn"],
         "arn:aws:ecr:us-east-1:000000000000:repository/" + name, "ARN")
    same(made["repositoryUri"], url.split("://")[1] + "/" + name, "URI")
    same(made["imageTagMutability"], "IMMUTABLE", "mutability")
    same(made["imageScanningConfiguration"], {"scanOnPush": True}, "scanning")
    same("encryptionConfiguration" in made, False, "encryption")
    same(made["registryId"], "000000000000", "registry")
    if abs((datetime.datetime.now(datetime.timezone.utc) -
            made["createdAt"]).total_seconds()) > 600:
        raise SystemExit("created at %s" % made["createdAt"])
    seen = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    same(seen, [made], "what was described")
    text = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]})
    same(ecr.set_repository_policy(repositoryName=name,
                                   policyText=text)["policyText"], text, "set")
    same(ecr.get_repository_policy(repositoryName=name)["policyText"], text,
         "get")
    same(ecr.delete_repository_policy(repositoryName=name)["policyText"],
         text, "delete")
    same(ecr.delete_repository(repositoryName=name)
         ["repository"]["repositoryName"], name, "deleted")
    who = client(url, "sts").get_caller_identity()
    same(who["Arn"], "arn:aws:iam::000000000000:user/admin", "caller")
    same(who["Account"], "000000000000", "account")


def errors(url, full, reader):
    ecr = client(url)
    nobody = client(url, aws_access_key_id="AKIANOSUCHKEY0000000",
                    aws_secret_access_key="x" * 40)
    fails("UnrecognizedClientException", nobody.describe_repositories)
    liar = client(url, aws_access_key_id=key_of()[0],
                  aws_secret_access_key="y" * 40)
    fails("InvalidSignatureException", liar.describe_repositories)
    key, secret = key_of()
    stale = client(url, aws_access_key_id=key, aws_secret_access_key=secret,
                   aws_session_token="no-token-of-ours")
    fails("UnrecognizedClientException", stale.describe_repositories)

    kind, said = fails("RepositoryNotFoundException",
                       ecr.delete_repository, repositoryName="no/such")
    same(kind, "RepositoryNotFoundException", "class")
    same(said, "The repository with name 'no/such' does not exist in the "
         "registry with id '000000000000'", "message")
    fails("RepositoryAlreadyExistsException", ecr.create_repository,
          repositoryName=full)
    fails("RepositoryNotEmptyException", ecr.delete_repository,
          repositoryName=full)
    fails("RepositoryPolicyNotFoundException", ecr.get_repository_policy,
          repositoryName=full)
    fails("InvalidParameterException", ecr.create_repository,
          repositoryName="Bad Name")
    fails("InvalidParameterException", ecr.create_repository,
          repositoryName="bad/enum", imageTagMutability="SOMETIMES")
    fails("InvalidParameterException", ecr.set_repository_policy,
          repositoryName=full, policyText="{}")
    key, secret = key_of(reader)
    reads = client(url, aws_access_key_id=key, aws_secret_access_key=secret)
    same(len(reads.describe_repositories(repositoryNames=[full])
             ["repositories"]), 1, "what the reader sees")
    _, said = fails("AccessDeniedException", reads.create_repository,
                    repositoryName="a/b")
    if not said.endswith("because no identity-based policy allows the "
                         "ecr:CreateRepository action"):
        raise SystemExit(said)


def key_of(path=None):
    if path is None:
        got = boto3.Session().get_credentials()
        return got.access_key, got.secret_key
    file = configparser.ConfigParser()
    file.read(path)
    return (file["default"]["aws_access_key_id"],
            file["default"]["aws_secret_access_key"])


def paging(url, prefix):
    ecr = client(url)
    names = ["%s/r%d" % (prefix, i) for i in range(5)]
    for name in names:
        ecr.create_repository(repositoryName=name)
    pages = list(ecr.get_paginator("describe_repositories").paginate(
        PaginationConfig={"PageSize": 2}))
    same([r["repositoryName"] for p in pages for r in p["repositories"]
          if r["repositoryName"].startswith(prefix + "/")], names, "names")
    if any(len(p["repositories"]) > 2 for p in pages) or len(pages) < 3:
        raise SystemExit("pages of %s" %
                         [len(p["repositories"]) for p in pages])
    fails("InvalidParameterException", ecr.describe_repositories,
          nextToken="no-token-of-ours")
    fails("InvalidParameterException", ecr.describe_repositories,
          maxResults=1001)


def session(url):
    got = client(url, "sts").get_session_token(
        DurationSeconds=900)["Credentials"]
    print("secret " + got["SecretAccessKey"])
    print("secret " + got["SessionToken"])
    more = {"aws_access_key_id": got["AccessKeyId"],
            "aws_secret_access_key": got["SecretAccessKey"],
            "aws_session_token": got["SessionToken"]}
    same(client(url, "sts", **more).get_caller_identity()["Arn"],
         "arn:aws:iam::000000000000:user/admin", "caller")
    data = client(url, **more).get_authorization_token()
    print("secret " + base64.b64decode(
        data["authorizationData"][0]["authorizationToken"]).decode()[4:])
    # Not for the other half alone.
    del more["aws_session_token"]
    fails("UnrecognizedClientException",
          client(url, **more).describe_repositories)


def presign(url):
    print(client(url, "sts").generate_presigned_url(
        "get_caller_identity", HttpMethod="POST"))
    target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
    request = AWSRequest("POST", url + "/", headers={"X-Amz-Target": target})
    SigV4QueryAuth(boto3.Session().get_credentials(), "ecr", "us-east-1",
                   expires=60).add_auth(request)
    print(request.url)
    print("X-Amz-Target: " + target)
    print(client(url, "sts").generate_presigned_url(
        "get_caller_identity", HttpMethod="GET"))


if __name__ == "__main__":
    {"flow": flow, "errors": errors, "paging": paging, "session": session,
     "presign": presign}[sys.argv[1]](*sys.argv[2:])
