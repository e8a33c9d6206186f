output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Subnets for the load balancer, one in each zone."
  value       = [for subnet in aws_subnet.public : subnet.id]

  # A load balancer that faces the internet is refused in a VPC without a way there.
  depends_on = [aws_route.public_to_internet]
}

output "private_subnet_ids" {
  description = "Subnets for tasks, one in each zone."
  value       = [for subnet in aws_subnet.private : subnet.id]

  # A task that starts earlier finds neither its image nor its log.
  depends_on = [
    aws_route.private_to_nat,
    aws_route_table_association.private,
    aws_vpc_endpoint.interface,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_ingress_rule.endpoints_from_vpc,
  ]
}

output "endpoint_security_group_id" {
  description = "Security group of the interface endpoints, to allow HTTPS to."
  value       = aws_security_group.endpoints.id
}

output "s3_prefix_list_id" {
  description = "Addresses of S3 in the region, to allow HTTPS to."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
