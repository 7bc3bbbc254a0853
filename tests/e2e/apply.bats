#!/usr/bin/env bats
# registryctl apply and export-template: templates as people have them for ECR,
# through the control socket and over the address, seen with AWS's own CLI.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
	aws_find
}

setup() {
	W=$BATS_TEST_TMPDIR
	SAMPLES=$TOP/configs/templates
	SERVER_PID=''
	aws_env
}

teardown() {
	[ -z "${SERVER_PID:-}" ] || server_stop
	servers_clean
}

# --- words --------------------------------------------------------------------

# Whichever generation there is.
aws_any() {
	if [ -n "$AWS2" ]; then aws2 "$@"; else aws1 "$@"; fi
}

need_aws_any() {
	[ -n "$AWS1$AWS2" ] || skip 'no AWS CLI is installed'
}

# apply CODE FILE [OPTION...]: as the operator, asking nobody; sets out.
apply() {
	local want=$1 code=0
	shift
	out=$(ctl apply "$@" 2>&1 </dev/null) || code=$?
	[ "$code" = "$want" ] || fail "apply $*: exit $code, want $want: $out"
}

nothing_to_do() { # FILE [OPTION...]
	apply 0 "$@"
	assert_in "$out" 'Nothing to do.'
	apply 0 "$@" --dry-run
}

# The registry's answer to an operation, as the operator sees it.
state() { # OPERATION [JSON]
	curl -sS --unix-socket "$DATA/control.sock" http://localhost/ \
		-H "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.$1" \
		-H 'Content-Type: application/x-amz-json-1.1' -d "${2:-{\}}"
}

there() { # REPOSITORY
	state DescribeRepositories "{\"repositoryNames\":[\"$1\"]}" |
		jq -e '.repositories | length == 1' >/dev/null
}

absent() { # REPOSITORY
	assert_in "$(state DescribeRepositories \
		"{\"repositoryNames\":[\"$1\"]}")" RepositoryNotFoundException
}

stack() { # NAME: what the registry remembers of it
	curl -sS --unix-socket "$DATA/control.sock" http://localhost/ \
		-H 'X-Amz-Target: Registryd_V20261122.GetStack' \
		-H 'Content-Type: application/x-amz-json-1.1' \
		-d "{\"stackName\":\"$1\"}" | jq -c .stack
}

# repository FILE ID NAME [PROPERTY...]: a resource, one property a line.
repository() {
	local file=$1 id=$2 name=$3 line
	shift 3
	[ -s "$file" ] || printf 'Resources:\n' >"$file"
	printf '  %s:\n    Type: AWS::ECR::Repository\n' "$id" >>"$file"
	printf '    Properties:\n      RepositoryName: %s\n' "$name" >>"$file"
	for line; do
		printf '      %s\n' "$line" >>"$file"
	done
}

rules_of() { # REPOSITORY: its lifecycle policy, by the AWS CLI
	aws_any ecr get-lifecycle-policy --repository-name "$1" \
		--query lifecyclePolicyText --output text
}

# on_terminal ANSWER COMMAND...: with a terminal for its input and output.
on_terminal() {
	local answer=$1
	shift
	code=0
	out=$(printf '%s\n' "$answer" |
		"$PYTHON" "$TOP/tests/e2e/terminal.py" "$@" 2>&1) || code=$?
}

# --- the way of a template ----------------------------------------------------

@test "the two classic rules: applied, applied again, changed, pruned" {
	need_aws_any
	auth_server_start
	cp "$SAMPLES/app.yml" "$W/team.yml"
	apply 3 "$W/team.yml" --dry-run
	assert_in "$out" '+ create   App'
	assert_in "$out" '2 to create, 0 to change, 0 to delete'
	absent team/app
	apply 0 "$W/team.yml" --yes
	assert_in "$out" 'created App (repository team/app)'
	assert_in "$out" "AppUri = $HOST/team/app  (exported as team-app-uri)"
	assert_in "$out" "AppArn = $(repository_arn team/app)"

	# As AWS's CLI sees it.
	rules_of team/app >"$W/rules"
	assert_eq "$(jq '.rules | length' "$W/rules")" 2
	assert_eq "$(jq -c '.rules[0].selection' "$W/rules")" \
		'{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":14}'
	assert_eq "$(jq -c '.rules[1].selection' "$W/rules")" \
		'{"tagStatus":"tagged","tagPatternList":["v*"],"countType":"imageCountMoreThan","countNumber":10}'
	assert_eq "$(aws_any ecr list-tags-for-resource --resource-arn \
		"$(repository_arn team/app)" --query 'tags[].[Key,Value]' \
		--output text)" $'team\tteam'
	assert_eq "$(aws_any ecr get-repository-policy --repository-name \
		team/app --query policyText --output text |
		jq -r '.Statement[0].Principal.AWS')" "$(user_arn deploy)"
	aws_any ecr describe-repositories --repository-names team/app \
		>"$W/out"
	assert_eq "$(jq -r '.repositories[0].imageTagMutability' "$W/out")" \
		IMMUTABLE_WITH_EXCLUSION
	assert_eq "$(jq '.repositories[0].imageScanningConfiguration.scanOnPush' \
		"$W/out")" true

	nothing_to_do "$W/team.yml"

	# Changed: what differs is shown, and only that is done.
	sed -i '/^      Tags:/,/Value: !Ref Team/d' "$W/team.yml"
	apply 3 "$W/team.yml" --parameter KeepReleases=3 --dry-run
	assert_in "$out" '~ change   App'
	assert_in "$out" 'LifecyclePolicy.LifecyclePolicyText.rules[1].selection.countNumber: 10 -> 3'
	assert_in "$out" 'Tags.team: "team" -> (none)'
	assert_in "$out" '= nothing  Scratch'
	apply 0 "$W/team.yml" --parameter KeepReleases=3 --yes
	assert_eq "$(rules_of team/app | jq '.rules[1].selection.countNumber')" 3
	assert_eq "$(aws_any ecr list-tags-for-resource --resource-arn \
		"$(repository_arn team/app)" --query 'length(tags)')" 0
	nothing_to_do "$W/team.yml" --parameter KeepReleases=3

	# No longer named: told, and removed when it is asked for.  What has
	# images goes as it was applied with EmptyOnDelete.
	login admin
	image_push team/scratch v1
	sed -i '/^  # What builds leave/,/^Outputs:/{/^Outputs:/!d}' "$W/team.yml"
	apply 0 "$W/team.yml" --parameter KeepReleases=3 --dry-run
	assert_in "$out" 'No longer in the template (--prune removes):'
	apply 3 "$W/team.yml" --parameter KeepReleases=3 --dry-run --prune
	assert_in "$out" '- delete   Scratch'
	assert_in "$out" 'team/scratch, with its images'
	apply 0 "$W/team.yml" --parameter KeepReleases=3 --prune --yes
	absent team/scratch
	there team/app
	nothing_to_do "$W/team.yml" --parameter KeepReleases=3 --prune
}

@test "a template in JSON, and on standard input" {
	server_start
	apply 0 "$SAMPLES/repository.json" --yes
	assert_in "$out" "PushTo = $HOST/json/app:latest"
	nothing_to_do "$SAMPLES/repository.json"
	assert_eq "$(state ListTagsForResource "{\"resourceArn\":\"$(
		repository_arn json/app)\"}" | jq -c .tags)" \
		'[{"Key":"made-by","Value":"repository"}]'
	code=0
	out=$(ctl apply - --stack piped --parameter Name=json/two --yes \
		<"$SAMPLES/repository.json" 2>&1) || code=$?
	assert_eq "$code" 0 "$out"
	there json/two
	ctl_run apply - </dev/null
	assert_eq "$code" 2
	assert_in "$out" '--stack NAME'
}

@test "what there is one of in a registry, rules and templates" {
	need_aws_any
	auth_server_start
	apply 0 "$SAMPLES/registry.yml" --yes
	nothing_to_do "$SAMPLES/registry.yml"
	assert_eq "$(aws_any ecr get-registry-policy --query policyText \
		--output text | jq -r '.Statement[0].Sid')" Replicated
	assert_eq "$(aws_any ecr describe-registry --query \
		'replicationConfiguration.rules[0].destinations[0].registryId' \
		--output text)" 111122223333
	assert_eq "$(aws_any ecr describe-pull-through-cache-rules --query \
		'pullThroughCacheRules[0].upstreamRegistryUrl' --output text)" \
		quay.io
	assert_eq "$(aws_any ecr get-registry-scanning-configuration --query \
		'scanningConfiguration.rules[0].scanFrequency' --output text)" \
		SCAN_ON_PUSH
	assert_eq "$(state DescribeRepositoryCreationTemplates |
		jq -r '.repositoryCreationTemplates[0].description')" \
		'copies of quay.io'
	assert_eq "$(state ListPullTimeUpdateExclusions |
		jq -r '.pullTimeUpdateExclusions[0]')" "$(user_arn scanner)"
	# A description that is taken away, and a policy that changes.
	grep -v 'Description: copies' "$SAMPLES/registry.yml" |
		sed 's/"countNumber": 100/"countNumber": 7/' >"$W/registry.yml"
	apply 0 "$W/registry.yml" --yes
	assert_in "$out" 'Description: "copies of quay.io" -> (none)'
	nothing_to_do "$W/registry.yml"
	# And all of it goes.
	printf 'Resources:\n  Other:\n    Type: AWS::S3::Bucket\n' \
		>"$W/registry.yml"
	apply 0 "$W/registry.yml" --yes --prune
	assert_in "$out" '! skipped  Other'
	assert_in "$out" '6 to delete'
	assert_in "$(state GetRegistryPolicy)" RegistryPolicyNotFoundException
	assert_eq "$(state DescribeRegistry |
		jq -c .replicationConfiguration.rules)" '[]'
	assert_eq "$(state GetRegistryScanningConfiguration |
		jq -c .scanningConfiguration.rules)" '[]'
	assert_eq "$(state DescribePullThroughCacheRules |
		jq -c .pullThroughCacheRules)" '[]'
	assert_eq "$(stack registry)" null
}

# --- asking -------------------------------------------------------------------

@test "asks on a terminal; off one it needs --yes" {
	server_start
	repository "$W/a.yml" App team/app
	ctl_run apply "$W/a.yml"
	assert_eq "$code" 2 "$out"
	assert_in "$out" '--yes'
	absent team/app
	ctl_run --output json apply "$W/a.yml"
	assert_eq "$code" 2 "$out"
	on_terminal n "$REGISTRYCTL" --data "$DATA" apply "$W/a.yml"
	assert_eq "$code" 1 "$out"
	assert_in "$out" 'Make these changes? [y/N]'
	assert_in "$out" 'nothing was changed'
	absent team/app
	on_terminal '' "$REGISTRYCTL" --data "$DATA" apply "$W/a.yml"
	assert_eq "$code" 1 "$out"
	absent team/app
	on_terminal y "$REGISTRYCTL" --data "$DATA" apply "$W/a.yml"
	assert_eq "$code" 0 "$out"
	there team/app
	on_terminal n "$REGISTRYCTL" --data "$DATA" apply "$W/a.yml"
	assert_eq "$code" 0 "$out"
	assert_in "$out" 'Nothing to do.'
}

# --- what is skipped, refused, left -------------------------------------------

@test "other types are named and skipped, and so are outputs of them" {
	server_start
	repository "$W/a.yml" App team/app
	cat >>"$W/a.yml" <<-'E'
	  Role:
	    Type: AWS::IAM::Role
	    Properties: { RoleName: ci }
	Outputs:
	  RoleArn: { Value: !GetAtt Role.Arn }
	  Uri: { Value: !GetAtt App.RepositoryUri }
	E
	apply 0 "$W/a.yml" --yes
	assert_in "$out" '! skipped  Role'
	assert_in "$out" 'AWS::IAM::Role'
	assert_in "$out" 'RoleArn'
	assert_in "$out" "Uri = $HOST/team/app"
	nothing_to_do "$W/a.yml"
	assert_in "$out" '! skipped  Role'
}

@test "what is wrong in a template is told with its place, before any change" {
	server_start
	repository "$W/a.yml" First team/first
	repository "$W/a.yml" App team/app 'ImageTagMutabilty: IMMUTABLE'
	repository "$W/a.yml" Other team/other \
		'LifecyclePolicy: { LifecyclePolicyText: "{}" }'
	repository "$W/a.yml" Name Team/Upper
	apply 1 "$W/a.yml" --yes
	assert_in "$out" 'Resources.App.Properties: there is no property "ImageTagMutabilty"'
	assert_in "$out" 'Resources.Other.Properties.LifecyclePolicy.LifecyclePolicyText: '
	assert_in "$out" 'Resources.Name.Properties.RepositoryName: '
	absent team/first
	: >"$W/b.yml"
	repository "$W/b.yml" One team/app
	repository "$W/b.yml" Two team/app
	apply 1 "$W/b.yml" --yes
	assert_in "$out" 'Resources.One and Resources.Two are both'
	printf 'Resources:\n\tX: 1\n' >"$W/c.yml"
	apply 1 "$W/c.yml" --yes
	assert_in "$out" "$W/c.yml"
}

@test "what CloudFormation would replace is refused, and nothing else is done" {
	server_start
	repository "$W/a.yml" App team/app 'EncryptionConfiguration: { EncryptionType: AES256 }'
	apply 0 "$W/a.yml" --yes
	nothing_to_do "$W/a.yml"
	sed 's/AES256/KMS/' "$W/a.yml" >"$W/b.yml"
	repository "$W/b.yml" New team/new
	apply 1 "$W/b.yml" --stack a --yes
	assert_in "$out" 'REFUSED: EncryptionConfiguration cannot be changed'
	absent team/new
	sed 's,team/app,team/renamed,' "$W/a.yml" >"$W/c.yml"
	apply 1 "$W/c.yml" --stack a --yes
	assert_in "$out" 'the name (team/app -> team/renamed) cannot be changed'
	absent team/renamed
	# Under another logical id it is another resource.
	sed -i 's/^  App:/  Renamed:/' "$W/c.yml"
	apply 0 "$W/c.yml" --stack a --yes --prune
	there team/renamed
	absent team/app
}

@test "prune: DeletionPolicy Retain stays, images only go with EmptyOnDelete" {
	server_start
	repository "$W/a.yml" Kept team/kept
	sed -i 's/^    Properties:/    DeletionPolicy: Retain\n    Properties:/' \
		"$W/a.yml"
	repository "$W/a.yml" Full team/full
	repository "$W/a.yml" Stays team/stays
	apply 0 "$W/a.yml" --yes
	image_push team/full v1
	image_push team/kept v1
	repository "$W/b.yml" Stays team/stays
	apply 1 "$W/b.yml" --stack a --prune --yes
	assert_in "$out" 'REFUSED: it has images'
	there team/full
	# Applied once more with EmptyOnDelete: a change, and then it goes.
	sed 's,team/full,&\n      EmptyOnDelete: true,' "$W/a.yml" >"$W/c.yml"
	apply 0 "$W/c.yml" --stack a --yes
	assert_in "$out" 'EmptyOnDelete: false -> true'
	apply 0 "$W/b.yml" --stack a --prune --yes
	assert_in "$out" 'it stays: DeletionPolicy is Retain'
	absent team/full
	there team/kept
	# It was forgotten, too.
	nothing_to_do "$W/b.yml" --stack a --prune
	assert_eq "$(stack a | jq -r '.resources[].physicalId')" team/stays
}

@test "a repository that is there is taken over, one of two stacks stays" {
	server_start
	state CreateRepository '{"repositoryName":"team/app"}' >/dev/null
	repository "$W/a.yml" App team/app
	cp "$W/a.yml" "$W/b.yml"
	repository "$W/b.yml" Also team/also
	apply 0 "$W/a.yml" --dry-run
	assert_in "$out" 'there already: taken over'
	nothing_to_do "$W/a.yml"
	apply 0 "$W/b.yml" --yes
	assert_in "$out" 'the stack a names it, too'
	: >"$W/b.yml"
	repository "$W/b.yml" Also team/also
	apply 0 "$W/b.yml" --prune --yes
	assert_in "$out" 'it stays: the stack a names it'
	there team/app
	# Under another logical id it is the same.
	: >"$W/a.yml"
	repository "$W/a.yml" Renamed team/app
	nothing_to_do "$W/a.yml" --prune
	there team/app
}

@test "a repository without a name gets one that stays" {
	server_start
	printf 'Resources:\n  AppImages:\n    Type: AWS::ECR::Repository\n' \
		>"$W/My_Stack.yml"
	printf 'Outputs:\n  Name: { Value: !Ref AppImages }\n' >>"$W/My_Stack.yml"
	apply 0 "$W/My_Stack.yml" --yes
	name=$(sed -n 's/^  Name = //p' <<<"$out")
	[[ $name =~ ^my-stack-appimages-[0-9a-f]{12}$ ]] || fail "$name"
	there "$name"
	nothing_to_do "$W/My_Stack.yml"
	assert_in "$out" "$name"
}

# --- failures -----------------------------------------------------------------

@test "a failure half way: what was done is told, applying again goes on" {
	auth_server_start
	# Only the server knows how many there may be.
	repository "$W/a.yml" One team/one
	repository "$W/a.yml" Two team/two
	cat >>"$W/a.yml" <<-'E'
	      RepositoryPolicyText: !Ref Policy
	E
	repository "$W/a.yml" Three team/three
	sed -i '/^Resources:/i Parameters:\n  Policy: { Type: String }' "$W/a.yml"
	good=$(repository_policy '"*"' ecr:BatchGetImage)
	user_make limited "$(allow 'ecr:CreateRepository ecr:Describe* ecr:Get* ecr:List* ecr:PutLifecyclePolicy registryd:*')"
	as limited
	code=0
	out=$("$REGISTRYCTL" --endpoint "$URL" --data "$W/none" apply \
		"$W/a.yml" --parameter "Policy=$good" --yes 2>&1) || code=$?
	assert_eq "$code" 1 "$out"
	assert_in "$out" 'Two (repository team/two): An error occurred (AccessDeniedException)'
	assert_in "$out" 'ecr:SetRepositoryPolicy'
	assert_in "$out" 'done: One; not done: Two, Three'
	there team/one
	there team/two
	absent team/three
	assert_eq "$(stack a | jq -c '[.resources[].logicalId]')" '["One","Two"]'
	user_allow limited "$(allow 'ecr:* registryd:*')"
	out=$("$REGISTRYCTL" --endpoint "$URL" --data "$W/none" apply \
		"$W/a.yml" --parameter "Policy=$good" --yes 2>&1)
	assert_in "$out" '= nothing  One'
	assert_in "$out" '~ change   Two'
	assert_in "$out" '+ create   Three'
	apply 0 "$W/a.yml" --parameter "Policy=$good"
	assert_in "$out" 'Nothing to do.'
}

@test "over the address: with an access key that may, and with one that may not" {
	auth_server_start
	user_make nobody "$(allow 'ecr:*')"
	user_make somebody "$(allow 'ecr:* registryd:GetStack registryd:PutStack registryd:ListStacks')"
	over=("$REGISTRYCTL" --endpoint "$URL" --data "$W/none")
	repository "$W/a.yml" App team/app 'ImageTagMutability: IMMUTABLE'
	as nobody
	code=0
	out=$("${over[@]}" apply "$W/a.yml" --yes 2>&1) || code=$?
	assert_eq "$code" 1
	assert_in "$out" "$(user_arn nobody) is not authorized to perform: registryd:GetStack"
	absent team/app
	as somebody
	out=$("${over[@]}" apply "$W/a.yml" --yes 2>&1)
	there team/app
	out=$("${over[@]}" apply "$W/a.yml")
	assert_in "$out" 'Nothing to do.'
	# The operator and the user see the same stack.
	nothing_to_do "$W/a.yml"
	# Signed for another region, its ARNs are of that.
	printf 'Outputs:\n  Arn: { Value: !GetAtt App.Arn }\n' >>"$W/a.yml"
	out=$("${over[@]}" apply "$W/a.yml" --region eu-north-1)
	assert_in "$out" 'Arn = arn:aws:ecr:eu-north-1:'
	unset AWS_SHARED_CREDENTIALS_FILE
	export AWS_ACCESS_KEY_ID=AKIAXXXXXXXXXXXXXXXX AWS_SECRET_ACCESS_KEY=x
	code=0
	out=$("${over[@]}" apply "$W/a.yml" 2>&1) || code=$?
	assert_eq "$code" 1
	assert_in "$out" UnrecognizedClientException
}

@test "the control socket makes no tokens; where no server is there is no registry" {
	auth_server_start
	for operation in GetAuthorizationToken GetDownloadUrlForLayer; do
		assert_in "$(state "$operation" "$(jq -cn '{repositoryName: "base/app",
			layerDigest: "sha256:\("0" * 64)"}')")" \
			AccessDeniedException
	done
	http POST / -H 'X-Amz-Target: Registryd_V20261122.ListStacks' -d '{}'
	expect 400
	code=0
	out=$("$REGISTRYCTL" --data "$W/none" apply "$SAMPLES/app.yml" 2>&1) ||
		code=$?
	assert_eq "$code" 1
	assert_in "$out" 'No server serves the folder'
}

# --- programs -----------------------------------------------------------------

@test "--output json: the plan, what was done, outputs and exports" {
	server_start
	cp "$SAMPLES/app.yml" "$W/team.yml"
	code=0
	ctl --output json apply "$W/team.yml" --dry-run >"$W/out" || code=$?
	assert_eq "$code" 3
	assert_eq "$(jq -c '[.applied, .toChange, [.plan[].action]]' "$W/out")" \
		'[false,2,["create","create"]]'
	ctl --output json apply "$W/team.yml" --yes >"$W/out"
	assert_eq "$(jq -c '[.applied, [.plan[].done]]' "$W/out")" \
		'[true,[true,true]]'
	assert_eq "$(jq -r '.outputs[] | select(.name == "AppUri") |
		.value + " " + .exportName' "$W/out")" \
		"$HOST/team/app team-app-uri"
	ctl --output json apply "$W/team.yml" --parameter KeepReleases=2 --yes \
		>"$W/out"
	assert_eq "$(jq -c '.plan[] | select(.action == "change") | .changes' \
		"$W/out")" '[{"property":"LifecyclePolicy.LifecyclePolicyText.rules[1].selection.countNumber","old":10,"new":2}]'
}

# --- export-template ----------------------------------------------------------

@test "export-template: the same registry has nothing to do, another becomes the same" {
	server_start
	apply 0 "$SAMPLES/app.yml" --yes
	apply 0 "$SAMPLES/registry.yml" --yes
	state CreateRepository '{"repositoryName":"by-hand","tags":[{"Key":"a b","Value":"yes"},{"Key":"n","Value":"0x1"},{"Key":"none","Value":""}]}' \
		>/dev/null
	ctl export-template >"$W/all.yml"
	nothing_to_do "$W/all.yml"
	ctl export-template --format json | tee "$W/all.json" | jq -e . >/dev/null
	nothing_to_do "$W/all.json" --stack all
	ctl export-template --prefix team/ >"$W/team.yml"
	assert_eq "$(grep -c 'Type: AWS::ECR::' "$W/team.yml")" 2
	ctl export-template by-hand >"$W/one.yml"
	assert_eq "$(grep -c 'Type: AWS::ECR::' "$W/one.yml")" 1
	ctl export-template by-hand by-hand --prefix by- >"$W/twice.yml"
	cmp "$W/one.yml" "$W/twice.yml"
	ctl_run export-template no/such
	assert_eq "$code" 1
	assert_in "$out" 'there is no repository no/such'
	server_stop
	server_start
	ctl_run export-template
	assert_eq "$code" 1
	assert_in "$out" 'there is nothing to write'
	apply 0 "$W/all.yml" --yes
	ctl export-template >"$W/again.yml"
	cmp "$W/all.yml" "$W/again.yml"
}

@test "export-template over the address asks for what it reads" {
	auth_server_start
	user_make reader AmazonEC2ContainerRegistryReadOnly
	repository_make team/app
	as reader
	"$REGISTRYCTL" --endpoint "$URL" --data "$W/none" export-template \
		--prefix team/ >"$W/out"
	assert_in "$(cat "$W/out")" 'RepositoryName: team/app'
}
