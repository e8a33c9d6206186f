mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  environment_suffix  = "test"
  vpc_id              = "vpc-0"
  subnet_ids          = ["subnet-a", "subnet-b", "subnet-c"]
  certificate_arn     = "arn:aws:acm:eu-central-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
  deletion_protection = true
  alarm_topic_arn     = "arn:aws:sns:eu-central-1:111122223333:alarms"

  target = {
    name              = "payment-api"
    port              = 8080
    path_patterns     = ["/payments", "/payments/*"]
    health_check_path = "/health"
  }
}

run "serves_https_only" {
  command = plan

  assert {
    condition     = aws_lb_listener.https.port == 443 && aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.certificate_arn == var.certificate_arn
    error_message = "HTTPS must be served on port 443, with the given certificate."
  }

  assert {
    condition     = can(regex("^ELBSecurityPolicy-TLS13-1-[23]-", aws_lb_listener.https.ssl_policy))
    error_message = "The TLS policy must not allow anything older than TLS 1.2."
  }

  assert {
    condition     = aws_lb_listener.http.port == 80 && alltrue([for action in aws_lb_listener.http.default_action : action.type == "redirect" && action.redirect[0].protocol == "HTTPS" && action.redirect[0].port == "443"])
    error_message = "Port 80 must do nothing but redirect to HTTPS."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.https.from_port == 443 && aws_vpc_security_group_ingress_rule.https.to_port == 443 && aws_vpc_security_group_ingress_rule.http.from_port == 80 && aws_vpc_security_group_ingress_rule.http.to_port == 80
    error_message = "Only the ports 443 and 80 may be open."
  }
}

run "sends_the_given_paths_to_the_target_and_nothing_else" {
  command = apply

  assert {
    condition     = one(aws_lb_listener_rule.this.condition).path_pattern[0].values == toset(["/payments", "/payments/*"])
    error_message = "The rule must be for the given paths."
  }

  assert {
    condition     = aws_lb_listener_rule.this.listener_arn == aws_lb_listener.https.arn && aws_lb_listener_rule.this.action[0].target_group_arn == aws_lb_target_group.this.arn
    error_message = "The rule must send requests over HTTPS to the target group."
  }

  assert {
    condition     = aws_lb_listener.https.default_action[0].type == "fixed-response" && aws_lb_listener.https.default_action[0].fixed_response[0].status_code == "404"
    error_message = "What no rule claims must be answered with 404."
  }
}

run "checks_health_every_30_seconds" {
  command = plan

  assert {
    condition     = aws_lb_target_group.this.health_check[0].interval == 30 && aws_lb_target_group.this.health_check[0].path == "/health"
    error_message = "Health must be checked every 30 seconds, on the given path."
  }

  assert {
    condition     = aws_lb_target_group.this.target_type == "ip" && aws_lb_target_group.this.port == 8080
    error_message = "Targets must be addresses of tasks, on the given port."
  }
}

run "has_the_suffix_in_every_name" {
  command = plan

  assert {
    condition     = alltrue([for name in [aws_lb.this.name, aws_lb_target_group.this.name, aws_security_group.this.name] : endswith(name, "-test")])
    error_message = "Every name must end in the suffix."
  }
}

run "raises_alarms_on_server_errors_and_unhealthy_targets" {
  command = plan

  assert {
    condition     = [for alarm in aws_cloudwatch_metric_alarm.server_errors : alarm.metric_name] == ["HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count"]
    error_message = "There must be alarms on the load balancer's and the target's own 5xx."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.unhealthy_targets.metric_name == "UnHealthyHostCount"
    error_message = "There must be an alarm on unhealthy targets."
  }

  assert {
    condition     = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.server_errors), [aws_cloudwatch_metric_alarm.unhealthy_targets]) : contains(alarm.alarm_actions, var.alarm_topic_arn)])
    error_message = "Every alarm must be sent to the topic."
  }
}

run "is_protected_from_deletion" {
  command = plan

  assert {
    condition     = aws_lb.this.enable_deletion_protection && aws_lb.this.drop_invalid_header_fields
    error_message = "The load balancer must be protected, and must drop header fields that aren't valid."
  }
}

run "refuses_a_single_subnet" {
  command = plan

  variables {
    subnet_ids = ["subnet-a"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_a_path_that_is_none" {
  command = plan

  variables {
    target = {
      name              = "payment-api"
      port              = 8080
      path_patterns     = ["payments/*"]
      health_check_path = "/health"
    }
  }

  expect_failures = [var.target]
}

run "refuses_a_name_longer_than_32_characters" {
  command = plan

  variables {
    target = {
      name              = "payment-api-with-quite-a-long-name"
      port              = 8080
      path_patterns     = ["/payments"]
      health_check_path = "/health"
    }
  }

  expect_failures = [var.target]
}
