locals {
  name = "payment-cluster-${var.environment_suffix}"

  # Half of the tasks on spare capacity, at about a third of the price. It can be taken
  # away at two minutes' notice, hence never more than half.
  strategy = [
    { capacity_provider = "FARGATE", weight = 1 },
    { capacity_provider = "FARGATE_SPOT", weight = 1 },
  ]
}

# Container Insights would make it itself, unencrypted and kept for a day.
resource "aws_cloudwatch_log_group" "performance" {
  name              = "/aws/ecs/containerinsights/${local.name}/performance"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# Names by which services call each other (Service Connect).
resource "aws_service_discovery_http_namespace" "this" {
  name        = "payment-${var.environment_suffix}"
  description = "Services of the payment system"
}

resource "aws_ecs_cluster" "this" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  service_connect_defaults {
    namespace = aws_service_discovery_http_namespace.this.arn
  }

  depends_on = [aws_cloudwatch_log_group.performance]
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = local.strategy[*].capacity_provider

  dynamic "default_capacity_provider_strategy" {
    for_each = local.strategy

    content {
      capacity_provider = default_capacity_provider_strategy.value.capacity_provider
      weight            = default_capacity_provider_strategy.value.weight
    }
  }
}
