#!/usr/bin/env python3
"""Hold the table of operations against the models that clients carry.

usage: model.py operations TABLE      every operation and member of every model
                                      installed here has its row, and takes
                                      whatever a client may send by it
       model.py errors TABLE PROVOKED every error of every model is in the
                                      list of those PROVOKED (a file of names),
                                      or stands here with the reason why not

TABLE is what build/tests/tools/operations prints.
"""

import glob
import gzip
import json
import os
import sys
import sysconfig

ROOTS = ["/usr/lib/python3/dist-packages/botocore",
         "/usr/lib/python3/dist-packages/awscli/botocore",
         "/usr/lib/aws-cli*/awscli/botocore",
         os.path.join(sysconfig.get_paths()["purelib"], "botocore"),
         os.path.expanduser("~/.pyenv/versions/*/lib/python3*/"
                            "site-packages/botocore")]

# What the table takes beyond the newest model, and why.
WIDER = {
    ("RepositoryName", "min"): "a push may have made a repository of one "
                               "letter",
}
# Constraints with an exception of their own (InvalidTagParameterException).
APART = {"TagKey", "TagValue", "TagList", "TagKeyList"}

# Members that older models do not require, and the service always has.
DEMANDED = {"Tag"}

# Errors that nothing can provoke here.
NEVER = {
    "BlockedByOrganizationPolicyException":
        "there are no organizations above a registry",
    "KmsException":
        "keys are names until content is encrypted; none is refused",
    "SecretNotFoundException": "a rule may name a secret that comes later",
    "UnableToAccessSecretException":
        "a rule may name a secret that comes later",
    "UnableToDecryptSecretValueException":
        "a rule may name a secret that comes later",
    "UnableToGetUpstreamImageException":
        "BatchGetImage has a failure for each image",
    "UnableToGetUpstreamLayerException": "takes an upstream that fails",
    "UnableToListUpstreamImageReferrersException":
        "takes an upstream that fails",
    "ServerException": "only a fault of the server or its disk",
}

TYPES = {"string": "string", "integer": "integer", "long": "integer",
         "boolean": "boolean", "list": "list", "structure": "structure",
         "map": "map", "blob": "blob"}

problems = []


def problem(fmt, *args):
    problems.append(fmt % args)


def models():
    """(path, model) of each, the one with the most operations last."""
    found = {}
    for root in ROOTS:
        for path in glob.glob(root + "/data/ecr/2015-09-21/service-2.json*"):
            opened = gzip.open if path.endswith(".gz") else open
            with opened(path, "rt", encoding="utf-8") as f:
                found[os.path.realpath(path)] = json.load(f)
    return sorted(found.items(), key=lambda m: len(m[1]["operations"]))


def number(shape, key):
    return shape.get(key) or 0


def compare_bounds(where, name, shape, row, exact):
    for key in "min", "max":
        theirs, ours = number(shape, key), row[key]
        if theirs == ours or name in APART or (name, key) in WIDER:
            continue
        wider = ours == 0 or (ours < theirs if key == "min" else ours > theirs)
        if exact or not wider:
            problem("%s: %s is %d, the model has %d", where, key, ours, theirs)


def compare(where, model, name, row, exact):
    shape = model["shapes"][name]
    if TYPES[shape["type"]] != row["type"]:
        problem("%s: is a %s, the model has %s", where, row["type"],
                shape["type"])
        return
    compare_bounds(where, name, shape, row, exact)
    if exact and shape.get("pattern") != row.get("pattern") \
            and name not in APART:
        problem("%s: pattern %s, the model has %s", where, row.get("pattern"),
                shape.get("pattern"))
    theirs, ours = set(shape.get("enum", [])), set(row.get("enum", []))
    if (ours and theirs - ours) or (exact and theirs != ours):
        problem("%s: values %s, the model has %s", where, sorted(ours),
                sorted(theirs))
    if shape["type"] == "list":
        compare(where + "[]", model, shape["member"]["shape"], row["element"],
                exact)
    if shape["type"] == "structure":
        compare_members(where, model, name, row, exact)


def compare_members(where, model, shape_name, row, exact):
    shape = model["shapes"][shape_name]
    ours = {m["name"]: m for m in row["members"]}
    required = set(shape.get("required", []))
    for name, member in shape["members"].items():
        if name not in ours:
            problem("%s: no member %s", where, name)
            continue
        if ours[name]["required"] and name not in required and \
                shape_name not in DEMANDED or exact and \
                ours[name]["required"] != (name in required):
            problem("%s.%s: required is %s, the model has %s", where, name,
                    ours[name]["required"], name in required)
        compare(where + "." + name, model, member["shape"],
                ours[name]["shape"], exact)
    if exact:
        for name in set(ours) - set(shape["members"]):
            problem("%s: %s is not in the model", where, name)


def check_operations(table):
    rows = {o["name"]: o for o in table["operations"] if o["service"] == "ecr"}
    all_models = models()
    if not all_models:
        raise SystemExit("no client with a service model is installed")
    # The constraints changed over the years: the newest has to be met exactly,
    # older clients must only find that nothing they send is refused.
    newest = len(all_models[-1][1]["operations"])
    for path, model in all_models:
        exact = len(model["operations"]) == newest and newest >= 58
        for name, operation in model["operations"].items():
            if name not in rows:
                problem("%s: no operation %s", path, name)
                continue
            compare(name, model, operation["input"]["shape"],
                    rows[name]["input"], exact)
        print("%d operations of %s: %s" % (len(model["operations"]), path,
              "exactly" if exact else "taken"))


def check_errors(table, provoked):
    named = set()
    for _, model in models():
        for operation in model["operations"].values():
            named |= {e["shape"] for e in operation.get("errors", [])}
    known = set(table["errors"])
    for name in sorted(named):
        if name in provoked and name in NEVER:
            problem("%s was provoked, and stands as never happening", name)
        elif name in provoked and name not in known:
            problem("%s is not in the table of errors", name)
        elif name not in provoked and name not in NEVER:
            problem("%s was not provoked", name)
    print("%d errors, of which %d were provoked" % (
        len(named), len(named & provoked)))


def main(argv):
    if len(argv) < 3 or argv[1] not in ("operations", "errors"):
        raise SystemExit(__doc__)
    with open(argv[2], encoding="utf-8") as f:
        table = json.load(f)
    if argv[1] == "operations":
        check_operations(table)
    else:
        with open(argv[3], encoding="utf-8") as f:
            check_errors(table, set(f.read().split()))
    for line in problems:
        print("problem: " + line)
    raise SystemExit(1 if problems else 0)


main(sys.argv)
