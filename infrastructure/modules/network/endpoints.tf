# AWS services that every task needs, reached without NAT: cheaper, and services without
# internet access work at all.

data "aws_iam_policy_document" "s3_endpoint" {
  statement {
    sid       = "ImageLayers"
    actions   = ["s3:GetObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::prod-${data.aws_region.current.name}-starport-layer-bucket/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
  }
}

# ECR keeps image layers in a bucket of its own. No other bucket can be reached this way,
# so the endpoint is no door to carry data out of.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.name}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.private : table.id]
  policy            = data.aws_iam_policy_document.s3_endpoint.json

  tags = { Name = "payment-s3-${var.environment_suffix}" }
}

resource "aws_security_group" "endpoints" {
  name        = "payment-endpoints-${var.environment_suffix}"
  description = "Interface endpoints of AWS services"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "payment-endpoints-${var.environment_suffix}" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_from_vpc" {
  description       = "HTTPS from the VPC"
  security_group_id = aws_security_group.endpoints.id
  cidr_ipv4         = aws_vpc.this.cidr_block
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(["ecr.api", "ecr.dkr", "logs", "ssm"])

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${data.aws_region.current.name}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true

  tags = { Name = "payment-${each.key}-${var.environment_suffix}" }
}
