# Who may talk to whom: the load balancer to payment-api, payment-api to the others, each
# on one port, and nobody else. What a service may reach outside is in modules/ecs-service.

locals {
  payment_api_port = var.services["payment-api"].port
  internal_ports   = { for name, service in var.services : name => service.port if name != "payment-api" }
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_payment_api" {
  description                  = "Requests to payment-api"
  security_group_id            = module.load_balancer.security_group_id
  referenced_security_group_id = module.service["payment-api"].security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.payment_api_port
  to_port                      = local.payment_api_port
}

resource "aws_vpc_security_group_ingress_rule" "payment_api_from_load_balancer" {
  description                  = "Requests from the load balancer"
  security_group_id            = module.service["payment-api"].security_group_id
  referenced_security_group_id = module.load_balancer.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.payment_api_port
  to_port                      = local.payment_api_port
}

resource "aws_vpc_security_group_egress_rule" "payment_api_to_service" {
  for_each = local.internal_ports

  description                  = "Calls to ${each.key}"
  security_group_id            = module.service["payment-api"].security_group_id
  referenced_security_group_id = module.service[each.key].security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_ingress_rule" "service_from_payment_api" {
  for_each = local.internal_ports

  description                  = "Calls from payment-api"
  security_group_id            = module.service[each.key].security_group_id
  referenced_security_group_id = module.service["payment-api"].security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}
