# Two roles: with the execution role, ECS starts the task; with the task role, the
# service's own code works. Neither can do the other's part.

locals {
  # Spelt out rather than taken from the log group, so that a plan shows the whole policy.
  log_group_name = "/ecs/${local.full_name}"
  log_group_arn  = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${local.log_group_name}"

  # A service's configuration and secrets. Their values are put there by people, never by
  # Terraform, so that they are in no state and no plan.
  parameter_path = "/payment/${var.environment_suffix}/${var.name}"
  parameters_arn = "arn:${local.partition}:ssm:${local.region}:${local.account_id}:parameter${local.parameter_path}"

  repository     = regex("^(?P<account>[0-9]+)\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[^/]+/(?P<name>[^:@]+)[:@]", var.image)
  repository_arn = "arn:${local.partition}:ecr:${local.repository.region}:${local.repository.account}:repository/${local.repository.name}"
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:ecs:${local.region}:${local.account_id}:*"]
    }
  }
}

data "aws_iam_policy_document" "execution" {
  # Logs in to the registry. AWS knows no resource for it but "*".
  statement {
    sid       = "RegistryLogin"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid = "PullImage"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = [local.repository_arn]
  }

  statement {
    sid       = "WriteLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.log_group_arn}:*"]
  }
}

data "aws_iam_policy_document" "task" {
  statement {
    sid       = "ReadOwnParameters"
    actions   = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]
    resources = [local.parameters_arn, "${local.parameters_arn}/*"]
  }
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution-${var.environment_suffix}"
  description        = "Starts tasks of ${local.full_name}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "execution" {
  name   = "start-task"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task-${var.environment_suffix}"
  description        = "What the code of ${local.full_name} may do"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "task" {
  name   = "read-own-parameters"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}
