# The way out. The way in is given by the stack, which knows who calls whom.

resource "aws_security_group" "this" {
  name        = local.full_name
  description = "Tasks of ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = local.full_name }
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  description                  = "HTTPS to AWS services"
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.endpoint_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "image_layers" {
  description       = "HTTPS to S3, for image layers"
  security_group_id = aws_security_group.this.id
  prefix_list_id    = var.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "internet" {
  count = var.internet_access ? 1 : 0

  description       = "HTTPS to providers outside AWS"
  security_group_id = aws_security_group.this.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
