# What infrastructure code for ECR looks like: every resource and every source
# of data that the provider has for a private registry.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

variable "mutability" {
  type    = string
  default = "IMMUTABLE"
}

variable "untagged_days" {
  type    = number
  default = 14
}

variable "team" {
  type    = string
  default = "blue"
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true

  endpoints {
    ecr = var.endpoint
    sts = var.endpoint
  }

  default_tags {
    tags = {
      managed-by = "terraform"
    }
  }
}

resource "aws_ecr_repository" "app" {
  name                 = "tf/app"
  image_tag_mutability = var.mutability
  force_delete         = true

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "AES256"
  }

  tags = {
    team = var.team
  }
}

resource "aws_ecr_repository" "plain" {
  name = "tf/plain"
}

data "aws_iam_policy_document" "pull" {
  statement {
    sid    = "PullByAll"
    effect = "Allow"
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::123456789012:root"]
    }
    actions = [
      "ecr:GetDownloadUrlForLayer",
      "ecr:BatchGetImage",
      "ecr:BatchCheckLayerAvailability",
    ]
  }
}

resource "aws_ecr_repository_policy" "app" {
  repository = aws_ecr_repository.app.name
  policy     = data.aws_iam_policy_document.pull.json
}

data "aws_ecr_lifecycle_policy_document" "app" {
  rule {
    priority    = 1
    description = "untagged ones go"
    selection {
      tag_status   = "untagged"
      count_type   = "sinceImagePushed"
      count_unit   = "days"
      count_number = var.untagged_days
    }
  }
  rule {
    priority    = 2
    description = "thirty releases stay"
    selection {
      tag_status       = "tagged"
      tag_pattern_list = ["v*"]
      count_type       = "imageCountMoreThan"
      count_number     = 30
    }
  }
}

resource "aws_ecr_lifecycle_policy" "app" {
  repository = aws_ecr_repository.app.name
  policy     = data.aws_ecr_lifecycle_policy_document.app.json
}

resource "aws_ecr_registry_policy" "all" {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Replicate"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::111122223333:root" }
      Action    = ["ecr:ReplicateImage", "ecr:CreateRepository"]
      Resource  = ["arn:aws:ecr:us-east-1:123456789012:repository/*"]
    }]
  })
}

resource "aws_ecr_registry_scanning_configuration" "all" {
  scan_type = "BASIC"
  rule {
    scan_frequency = "SCAN_ON_PUSH"
    repository_filter {
      filter      = "tf/*"
      filter_type = "WILDCARD"
    }
  }
}

resource "aws_ecr_replication_configuration" "all" {
  replication_configuration {
    rule {
      destination {
        region      = "eu-central-1"
        registry_id = "123456789012"
      }
      repository_filter {
        filter      = "tf/"
        filter_type = "PREFIX_MATCH"
      }
    }
  }
}

resource "aws_ecr_pull_through_cache_rule" "quay" {
  ecr_repository_prefix = "quay"
  upstream_registry_url = "quay.io"
}

resource "aws_ecr_repository_creation_template" "builds" {
  prefix               = "builds"
  description          = "made by pushes"
  image_tag_mutability = "IMMUTABLE"
  applied_for          = ["REPLICATION", "PULL_THROUGH_CACHE"]

  encryption_configuration {
    encryption_type = "AES256"
  }

  resource_tags = {
    origin = "template"
  }

  lifecycle_policy = data.aws_ecr_lifecycle_policy_document.app.json
}

resource "aws_ecr_account_setting" "mounting" {
  name  = "BASIC_SCAN_TYPE_VERSION"
  value = "AWS_NATIVE"
}

data "aws_ecr_repository" "app" {
  name = aws_ecr_repository.app.name
}

data "aws_ecr_repositories" "all" {
  depends_on = [aws_ecr_repository.app, aws_ecr_repository.plain]
}

data "aws_ecr_repository_creation_template" "builds" {
  prefix = aws_ecr_repository_creation_template.builds.prefix
}

data "aws_ecr_pull_through_cache_rule" "quay" {
  ecr_repository_prefix = aws_ecr_pull_through_cache_rule.quay.ecr_repository_prefix
}

data "aws_ecr_authorization_token" "token" {}

output "repository_url" {
  value = aws_ecr_repository.app.repository_url
}

output "names" {
  value = sort(data.aws_ecr_repositories.all.names)
}

output "user" {
  value = nonsensitive(data.aws_ecr_authorization_token.token.user_name)
}
