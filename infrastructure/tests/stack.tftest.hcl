# The stack as a whole, with the services of payments.auto.tfvars; what each part is made
# of is tested beside it, in modules/*/tests. Needs `terraform init -backend=false`, and
# neither an account nor a network.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment_suffix = "test"
  aws_region         = "eu-central-1"
}

run "needs_no_more_than_suffix_and_region" {
  command = plan

  assert {
    condition = output.service_names == {
      payment-api          = "payment-api-test"
      fraud-detection      = "fraud-detection-test"
      notification-service = "notification-service-test"
    }
    error_message = "Every service must be named {name}-{suffix}."
  }

  assert {
    condition     = output.cluster_name == "payment-cluster-test" && output.api_url == "https://api-test.payments.example.com/payments"
    error_message = "The cluster and the API must be named after the environment."
  }

  assert {
    condition     = aws_sns_topic.alarms.name == "payment-alarms-test" && aws_kms_alias.observability.name == "alias/payment-observability-test"
    error_message = "The alarms' topic and the key must be named after the environment."
  }

  assert {
    condition     = local.tags == { Environment = "production", Team = "payments", CostCenter = "engineering" }
    error_message = "Without being told otherwise, everything belongs to production, payments and engineering."
  }

  assert {
    condition     = length(module.certificate) == 1 && one(aws_route53_record.api).name == "api-test.payments.example.com"
    error_message = "With a domain, there must be a certificate and a name in its zone."
  }

  assert {
    condition     = local.image_registry == "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
    error_message = "Without being told otherwise, images come from the account and region deployed to."
  }
}

run "lets_the_load_balancer_reach_payment_api_and_payment_api_the_others" {
  command = apply

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.payment_api_from_load_balancer.security_group_id == module.service["payment-api"].security_group_id &&
      aws_vpc_security_group_ingress_rule.payment_api_from_load_balancer.referenced_security_group_id == module.load_balancer.security_group_id &&
      aws_vpc_security_group_egress_rule.load_balancer_to_payment_api.security_group_id == module.load_balancer.security_group_id &&
      aws_vpc_security_group_egress_rule.load_balancer_to_payment_api.referenced_security_group_id == module.service["payment-api"].security_group_id
    )
    error_message = "The load balancer must reach payment-api, and nothing but payment-api."
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.service_from_payment_api) == ["fraud-detection", "notification-service"]
    error_message = "payment-api must reach the other two services."
  }

  assert {
    condition = alltrue([
      for name, rule in aws_vpc_security_group_ingress_rule.service_from_payment_api :
      rule.security_group_id == module.service[name].security_group_id &&
      rule.referenced_security_group_id == module.service["payment-api"].security_group_id &&
      aws_vpc_security_group_egress_rule.payment_api_to_service[name].referenced_security_group_id == module.service[name].security_group_id
    ])
    error_message = "The others must be reached by payment-api, and by nobody else."
  }

  assert {
    condition = alltrue([
      for rule in concat(
        [aws_vpc_security_group_ingress_rule.payment_api_from_load_balancer, aws_vpc_security_group_egress_rule.load_balancer_to_payment_api],
        values(aws_vpc_security_group_ingress_rule.service_from_payment_api),
        values(aws_vpc_security_group_egress_rule.payment_api_to_service),
      ) : rule.ip_protocol == "tcp" && rule.from_port == 8080 && rule.to_port == 8080
    ])
    error_message = "Each rule must be for the service's one port."
  }
}

run "follows_a_service_that_moves_to_another_port" {
  command = plan

  variables {
    services = {
      payment-api     = { image = "payment-api:1.0.0" }
      fraud-detection = { image = "fraud-detection:1.0.0", port = 9090 }
    }
  }

  assert {
    condition     = { for name, rule in aws_vpc_security_group_ingress_rule.service_from_payment_api : name => rule.from_port } == { fraud-detection = 9090 }
    error_message = "The rule must be for the port that the service listens on."
  }
}

run "takes_a_certificate_instead" {
  command = plan

  variables {
    domain_name     = null
    certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
  }

  assert {
    condition     = length(module.certificate) == 0 && length(aws_route53_record.api) == 0 && local.certificate_arn == var.certificate_arn
    error_message = "With a certificate of one's own, there must be neither another nor a DNS record."
  }

  assert {
    condition     = output.api_url == null
    error_message = "Where DNS is managed elsewhere, the stack doesn't know the API's name."
  }
}

run "refuses_both_domain_and_certificate" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
  }

  expect_failures = [var.domain_name]
}

run "refuses_neither_domain_nor_certificate" {
  command = plan

  variables {
    domain_name = null
  }

  expect_failures = [var.domain_name]
}

run "refuses_a_certificate_of_another_region" {
  command = plan

  variables {
    domain_name     = null
    certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
  }

  expect_failures = [var.certificate_arn]
}

run "pulls_images_from_the_given_registry" {
  command = plan

  variables {
    image_registry = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
  }

  assert {
    condition     = local.image_registry == "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
    error_message = "Images must come from the given registry."
  }
}

run "takes_the_longest_suffix" {
  command = plan

  variables {
    environment_suffix = "pull-request-012"
  }

  assert {
    condition     = output.service_names["notification-service"] == "notification-service-pull-request-012"
    error_message = "A suffix of 16 characters must be taken as it is."
  }
}

run "refuses_a_longer_suffix" {
  command = plan

  variables {
    environment_suffix = "pull-request-0123"
  }

  expect_failures = [var.environment_suffix]
}

run "refuses_capitals_in_the_suffix" {
  command = plan

  variables {
    environment_suffix = "Prod"
  }

  expect_failures = [var.environment_suffix]
}

run "refuses_what_is_no_region" {
  command = plan

  variables {
    aws_region = "Frankfurt"
  }

  expect_failures = [var.aws_region]
}

run "refuses_blank_tags" {
  command = plan

  variables {
    environment = ""
    team        = " "
    cost_center = ""
  }

  expect_failures = [var.environment, var.team, var.cost_center]
}

run "refuses_to_do_without_payment_api" {
  command = plan

  variables {
    services = {
      fraud-detection = { image = "fraud-detection:1.0.0" }
    }
  }

  expect_failures = [var.services]
}
