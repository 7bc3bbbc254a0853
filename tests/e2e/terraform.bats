#!/usr/bin/env bats
# Terraform's provider for AWS: every ECR resource it has is made, read back,
# found unchanged, changed, imported and destroyed.  Where the provider is not
# installed, the requests that it makes are replayed instead.
load helper

setup_file() {
	[ -z "${E2E_HOST:-}" ] || skip 'needs servers of its own'
}

setup() {
	W=$BATS_TEST_TMPDIR
}

teardown() {
	servers_clean
}

# The folder that holds registry.terraform.io/hashicorp/aws, wherever somebody
# has put it.
plugins_find() {
	local found
	found=$(find /opt /usr/share /usr/local /usr/lib/terraform "$HOME" \
		-maxdepth 5 -path '*/registry.terraform.io/hashicorp/aws' \
		-type d -print -quit 2>/dev/null)
	[ -n "$found" ] || skip "terraform's provider for AWS is not installed"
	PLUGINS=${found%/registry.terraform.io/hashicorp/aws}
}

terraform_ready() {
	type -P terraform >/dev/null || skip 'terraform is not installed'
	plugins_find
	printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\ndisable_checkpoint = true\n' \
		"$PLUGINS" >"$W/terraformrc"
	export TF_CLI_CONFIG_FILE=$W/terraformrc TF_IN_AUTOMATION=1 TF_INPUT=0
	mkdir "$W/tf"
	cp "$BATS_TEST_DIRNAME/terraform/main.tf" "$W/tf"
	export TF_VAR_endpoint=$URL
	tf init >"$W/out"
}

tf() {
	terraform -chdir="$W/tf" "$1" -no-color "${@:2}"
}

# Nothing is left to be done: exit 0 where there were changes would be 2.
tf_settled() { # OPTION...
	local code=0
	tf plan -detailed-exitcode "$@" >"$W/plan" 2>&1 || code=$?
	[ "$code" -eq 0 ] || fail "$(cat "$W/plan")"
}

@test "terraform makes every ECR resource, finds it unchanged, changes and destroys it" {
	auth_server_start --config <(printf 'account-id: "123456789012"\n')
	terraform_ready
	tf apply -auto-approve >"$W/out"
	assert_in "$(cat "$W/out")" 'Apply complete!'
	tf output -json >"$W/values"
	assert_eq "$(jq -r .repository_url.value "$W/values")" "$HOST/tf/app"
	assert_eq "$(jq -c .names.value "$W/values")" '["tf/app","tf/plain"]'
	assert_eq "$(jq -r .user.value "$W/values")" AWS
	tf_settled
	tf apply -auto-approve -var mutability=MUTABLE -var untagged_days=30 \
		-var team=red >"$W/out"
	assert_in "$(cat "$W/out")" ' changed,'
	ACCOUNT=123456789012
	ecr DescribeRepositories '{"repositoryNames": ["tf/app"]}'
	assert_eq "$(jq -r '.repositories[0].imageTagMutability' "$BODY")" MUTABLE
	ecr ListTagsForResource "{\"resourceArn\": \"$(repository_arn tf/app)\"}"
	assert_eq "$(jq -r '[.tags[] | .Key + "=" + .Value] | sort | join(" ")' \
		"$BODY")" 'managed-by=terraform team=red'
	# What is not empty goes too, where force_delete says so.
	login admin
	image_push tf/app v1
	logout
	tf destroy -auto-approve >"$W/out"
	assert_in "$(cat "$W/out")" 'Destroy complete!'
	ecr DescribeRepositories
	assert_eq "$(jq '.repositories | length' "$BODY")" 0
	server_stop
}

@test "terraform imports what was made by others, and finds it as it is described" {
	auth_server_start --config <(printf 'account-id: "123456789012"\n')
	terraform_ready
	ecr CreateRepository '{"repositoryName": "tf/app",
	    "imageTagMutability": "IMMUTABLE",
	    "imageScanningConfiguration": {"scanOnPush": true},
	    "encryptionConfiguration": {"encryptionType": "AES256"},
	    "tags": [{"Key": "team", "Value": "blue"},
	    {"Key": "managed-by", "Value": "terraform"}]}'
	expect 200
	tf import aws_ecr_repository.app tf/app >"$W/out" 2>&1 ||
		fail "$(cat "$W/out")"
	# force_delete is Terraform's own, which no registry keeps.
	sed -i '/force_delete/d' "$W/tf/main.tf"
	tf_settled -target=aws_ecr_repository.app
	server_stop
}

@test "the requests that terraform makes for its resources, replayed" {
	# A registry that encrypts what does not say, as ECR.
	REGISTRYD_ENCRYPTION_DEFAULT=aes256 server_start \
		--config <(printf 'account-id: "123456789012"\n')
	"$PYTHON" "$BATS_TEST_DIRNAME/replay.py" \
		"$BATS_TEST_DIRNAME/terraform/requests.json" "$URL"
	server_stop
}
