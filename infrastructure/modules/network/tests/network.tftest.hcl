mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  environment_suffix = "test"
  vpc_cidr           = "10.0.0.0/16"
  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000"
  log_retention_days = 30
}

run "has_a_public_and_a_private_subnet_in_each_of_three_zones" {
  command = plan

  assert {
    condition     = aws_vpc.this.tags.Name == "payment-vpc-test"
    error_message = "The VPC must be named payment-vpc-{suffix}."
  }

  assert {
    condition     = [for subnet in aws_subnet.public : subnet.availability_zone] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    error_message = "There must be a public subnet in each of the first three zones."
  }

  assert {
    condition     = [for subnet in aws_subnet.private : subnet.availability_zone] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    error_message = "There must be a private subnet in each of the first three zones."
  }

  assert {
    condition     = [for subnet in aws_subnet.private : subnet.cidr_block] == ["10.0.0.0/20", "10.0.16.0/20", "10.0.32.0/20"]
    error_message = "Private subnets must be the first three /20 of the range."
  }

  assert {
    condition     = [for subnet in aws_subnet.public : subnet.cidr_block] == ["10.0.48.0/24", "10.0.49.0/24", "10.0.50.0/24"]
    error_message = "Public subnets must be the three /24 after the private ones."
  }
}

run "gives_nothing_a_public_address_by_itself" {
  command = plan

  assert {
    condition     = alltrue([for subnet in concat(values(aws_subnet.public), values(aws_subnet.private)) : subnet.map_public_ip_on_launch == false])
    error_message = "No subnet may give out public addresses, the public ones neither."
  }

  assert {
    condition     = length(aws_default_security_group.this.ingress) == 0 && length(aws_default_security_group.this.egress) == 0
    error_message = "The default security group must have no rules."
  }
}

run "leads_each_private_subnet_out_through_its_own_zone" {
  command = apply

  assert {
    condition     = alltrue([for zone, route in aws_route.private_to_nat : route.nat_gateway_id == aws_nat_gateway.this[zone].id && route.gateway_id == null])
    error_message = "A private subnet's way out must be the NAT gateway of its zone."
  }

  assert {
    condition     = alltrue([for zone, gateway in aws_nat_gateway.this : gateway.subnet_id == aws_subnet.public[zone].id])
    error_message = "A NAT gateway must stand in the public subnet of its zone."
  }

  assert {
    condition     = alltrue([for zone, association in aws_route_table_association.private : association.route_table_id == aws_route_table.private[zone].id])
    error_message = "A private subnet must use the route table of its zone."
  }

  assert {
    condition     = aws_route.public_to_internet.gateway_id == aws_internet_gateway.this.id
    error_message = "The public subnets' way out must be the internet gateway."
  }
}

run "keeps_traffic_to_aws_off_the_nat_gateways" {
  command = apply

  assert {
    condition     = keys(aws_vpc_endpoint.interface) == ["ecr.api", "ecr.dkr", "logs", "ssm"] && alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "There must be interface endpoints for images, logs and parameters, found under the services' own names."
  }

  assert {
    condition     = aws_vpc_endpoint.s3.route_table_ids == toset([for table in aws_route_table.private : table.id])
    error_message = "Every private subnet must reach S3 through the endpoint."
  }
}

run "keeps_an_encrypted_flow_log" {
  command = plan

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.flow.retention_in_days == 30
    error_message = "The flow log must hold all traffic, encrypted, for as long as is asked for."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.flow_log.statement).resources == toset(["arn:aws:logs:eu-central-1:111122223333:log-group:${aws_cloudwatch_log_group.flow.name}:*"])
    error_message = "The flow log's role may write to its own log only."
  }
}

run "takes_the_smallest_range" {
  command = plan

  variables {
    vpc_cidr = "10.0.0.0/19"
  }

  assert {
    condition     = aws_subnet.public["eu-central-1a"].cidr_block == "10.0.6.0/27"
    error_message = "Of a /19, a public subnet must be a /27."
  }
}

run "refuses_a_range_too_small_for_a_load_balancer" {
  command = plan

  variables {
    vpc_cidr = "10.0.0.0/20"
  }

  expect_failures = [var.vpc_cidr]
}

run "refuses_what_is_no_range" {
  command = plan

  variables {
    vpc_cidr = "ten/16"
  }

  expect_failures = [var.vpc_cidr]
}

run "refuses_a_region_of_two_zones" {
  command = plan

  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["eu-central-1a", "eu-central-1b"] }
  }

  expect_failures = [data.aws_availability_zones.available]
}
