output "dns_name" {
  description = "The load balancer's own name."
  value       = aws_lb.this.dns_name
}

output "zone_id" {
  description = "Hosted zone of the load balancer's own name, for an alias record."
  value       = aws_lb.this.zone_id
}

output "security_group_id" {
  description = "Security group that requests to the target come from. It has no way out until one is added."
  value       = aws_security_group.this.id
}

output "target_group_arn" {
  description = "Target group that the service's tasks register with."
  value       = aws_lb_target_group.this.arn

  # ECS refuses a target group that no load balancer uses.
  depends_on = [aws_lb_listener_rule.this]
}
