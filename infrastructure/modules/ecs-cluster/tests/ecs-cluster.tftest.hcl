mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  environment_suffix = "test"
  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000"
  log_retention_days = 30
}

run "is_observed" {
  command = plan

  assert {
    condition     = aws_ecs_cluster.this.name == "payment-cluster-test"
    error_message = "The cluster must be named payment-cluster-{suffix}."
  }

  assert {
    condition     = { for setting in aws_ecs_cluster.this.setting : setting.name => setting.value } == { containerInsights = "enabled" }
    error_message = "Container Insights must be on."
  }

  assert {
    condition     = aws_cloudwatch_log_group.performance.name == "/aws/ecs/containerinsights/payment-cluster-test/performance" && aws_cloudwatch_log_group.performance.retention_in_days == 30 && aws_cloudwatch_log_group.performance.kms_key_id == var.kms_key_arn
    error_message = "The log of Container Insights must be the cluster's, kept as asked for, and encrypted."
  }
}

run "spreads_tasks_half_and_half" {
  command = plan

  assert {
    condition     = aws_ecs_cluster_capacity_providers.this.capacity_providers == toset(["FARGATE", "FARGATE_SPOT"])
    error_message = "The cluster must have both kinds of capacity."
  }

  assert {
    condition     = { for part in aws_ecs_cluster_capacity_providers.this.default_capacity_provider_strategy : part.capacity_provider => part.weight } == { FARGATE = 1, FARGATE_SPOT = 1 }
    error_message = "By default, both kinds of capacity must weigh the same."
  }

  assert {
    condition     = { for part in output.capacity_provider_strategy : part.capacity_provider => part.weight } == { FARGATE = 1, FARGATE_SPOT = 1 }
    error_message = "Services must be told the same."
  }
}
