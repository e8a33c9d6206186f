output "api_url" {
  description = "Base URL of the payment API; null where DNS is managed elsewhere."
  value       = local.api_host == null ? null : "https://${local.api_host}/payments"
}

output "load_balancer_dns_name" {
  description = "Name to point DNS at where it is managed elsewhere."
  value       = module.load_balancer.dns_name
}

output "vpc_id" {
  description = "The VPC."
  value       = module.network.vpc_id
}

output "cluster_name" {
  description = "The ECS cluster."
  value       = module.cluster.name
}

output "service_names" {
  description = "The ECS services' names, by service."
  value       = { for name, service in module.service : name => service.service_name }
}

output "log_group_names" {
  description = "The log groups' names, by service."
  value       = { for name, service in module.service : name => service.log_group_name }
}

output "parameter_paths" {
  description = "Where in the Parameter Store each service looks for its configuration and secrets, by service."
  value       = { for name, service in module.service : name => service.parameter_path }
}

output "alarm_topic_arn" {
  description = "SNS topic that every alarm is sent to."
  value       = aws_sns_topic.alarms.arn
}
