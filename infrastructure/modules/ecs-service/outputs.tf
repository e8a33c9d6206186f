output "service_name" {
  description = "The ECS service's name."
  value       = aws_ecs_service.this.name
}

output "security_group_id" {
  description = "Security group of the tasks. Nothing may reach them until it is added."
  value       = aws_security_group.this.id
}

output "log_group_name" {
  description = "The service's log."
  value       = aws_cloudwatch_log_group.this.name
}

output "parameter_path" {
  description = "Where in the Parameter Store the service looks for its configuration and secrets."
  value       = local.parameter_path
}
