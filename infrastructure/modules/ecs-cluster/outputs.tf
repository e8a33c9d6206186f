output "arn" {
  description = "The cluster's ARN."
  value       = aws_ecs_cluster.this.arn
}

output "name" {
  description = "The cluster's name."
  value       = aws_ecs_cluster.this.name
}

output "capacity_provider_strategy" {
  description = "How services are to spread their tasks."
  value       = local.strategy

  # A service that names a provider which the cluster doesn't have yet is refused.
  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "namespace_arn" {
  description = "Namespace in which services find each other."
  value       = aws_service_discovery_http_namespace.this.arn
}
