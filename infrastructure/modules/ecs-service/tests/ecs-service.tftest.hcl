mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "fraud-detection"
  environment_suffix = "test"

  cluster = {
    arn  = "arn:aws:ecs:eu-central-1:111122223333:cluster/payment-cluster-test"
    name = "payment-cluster-test"
  }

  capacity_provider_strategy = [
    { capacity_provider = "FARGATE", weight = 1 },
    { capacity_provider = "FARGATE_SPOT", weight = 1 },
  ]

  namespace_arn = "arn:aws:servicediscovery:eu-central-1:111122223333:namespace/ns-example"

  image             = "444455556666.dkr.ecr.eu-west-1.amazonaws.com/team/fraud-detection:1.2.3"
  port              = 8080
  health_check_path = "/health"
  cpu               = 512
  memory            = 1024
  min_tasks         = 2
  max_tasks         = 4

  vpc_id                     = "vpc-0"
  subnet_ids                 = ["subnet-a", "subnet-b", "subnet-c"]
  endpoint_security_group_id = "sg-endpoints"
  s3_prefix_list_id          = "pl-s3"
  internet_access            = false

  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000"
  log_retention_days = 30
  alarm_topic_arn    = "arn:aws:sns:eu-central-1:111122223333:alarms"
}

run "runs_in_private_subnets" {
  command = apply

  assert {
    condition     = aws_ecs_service.this.network_configuration[0].assign_public_ip == false && aws_ecs_service.this.network_configuration[0].subnets == toset(["subnet-a", "subnet-b", "subnet-c"])
    error_message = "Tasks must run in the given subnets, without a public address."
  }

  assert {
    condition     = aws_ecs_service.this.network_configuration[0].security_groups == toset([aws_security_group.this.id])
    error_message = "Tasks must be in the service's own security group, and in no other."
  }

  assert {
    condition     = { for part in aws_ecs_service.this.capacity_provider_strategy : part.capacity_provider => part.weight } == { FARGATE = 1, FARGATE_SPOT = 1 }
    error_message = "Tasks must be spread as the cluster says."
  }

  assert {
    condition     = length(aws_ecs_service.this.load_balancer) == 0
    error_message = "A service without a load balancer must not register with one."
  }
}

run "runs_the_given_image" {
  command = plan

  assert {
    condition     = local.container.image == var.image && aws_ecs_task_definition.this.cpu == "512" && aws_ecs_task_definition.this.memory == "1024"
    error_message = "The task must run the given image in the given size."
  }

  assert {
    condition     = strcontains(local.container.healthCheck.command[1], "http://127.0.0.1:8080/health") && local.container.readonlyRootFilesystem
    error_message = "The container must check its own health, and must not write to its image."
  }
}

run "has_the_suffix_in_every_name" {
  command = plan

  assert {
    condition = alltrue([for name in [
      aws_ecs_service.this.name,
      aws_ecs_task_definition.this.family,
      aws_security_group.this.name,
      aws_cloudwatch_log_group.this.name,
      aws_iam_role.execution.name,
      aws_iam_role.task.name,
    ] : endswith(name, "-test")])
    error_message = "Every name must end in the suffix."
  }
}

run "keeps_an_encrypted_log" {
  command = plan

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30 && aws_cloudwatch_log_group.this.kms_key_id == var.kms_key_arn
    error_message = "The log must be kept as asked for, and encrypted."
  }

  assert {
    condition     = local.container.logConfiguration.options.awslogs-group == aws_cloudwatch_log_group.this.name
    error_message = "The container must write to the service's log."
  }
}

run "scales_on_cpu_and_memory" {
  command = plan

  assert {
    condition = { for policy in aws_appautoscaling_policy.utilisation :
      policy.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type => policy.target_tracking_scaling_policy_configuration[0].target_value
    } == { ECSServiceAverageCPUUtilization = 70, ECSServiceAverageMemoryUtilization = 80 }
    error_message = "Scaling must aim at 70 % of CPU and 80 % of memory."
  }

  assert {
    condition     = aws_appautoscaling_target.this.min_capacity == 2 && aws_appautoscaling_target.this.max_capacity == 4
    error_message = "Scaling must stay within the given bounds."
  }

  assert {
    condition     = [for alarm in aws_cloudwatch_metric_alarm.utilisation : alarm.metric_name] == ["CPUUtilization", "MemoryUtilization"] && alltrue([for alarm in aws_cloudwatch_metric_alarm.utilisation : contains(alarm.alarm_actions, var.alarm_topic_arn)])
    error_message = "There must be alarms on CPU and memory, sent to the topic."
  }
}

run "may_do_what_it_needs_and_no_more" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for document in [data.aws_iam_policy_document.execution, data.aws_iam_policy_document.task] : [
        for statement in document.statement : [for action in statement.actions : !strcontains(action, "*")]
      ]
    ]))
    error_message = "No role may have a wildcard action."
  }

  assert {
    condition = [
      for statement in concat(data.aws_iam_policy_document.execution.statement, data.aws_iam_policy_document.task.statement) : join(" ", statement.actions)
      if contains(statement.resources, "*")
    ] == ["ecr:GetAuthorizationToken"]
    error_message = "Only the login to the registry, which has no resource, may be for all resources."
  }

  assert {
    condition = one([
      for statement in data.aws_iam_policy_document.execution.statement : statement.resources if statement.sid == "PullImage"
    ]) == toset(["arn:aws:ecr:eu-west-1:444455556666:repository/team/fraud-detection"])
    error_message = "Only the image's own repository, in its account and region, may be pulled from."
  }

  assert {
    condition = one([
      for statement in data.aws_iam_policy_document.execution.statement : statement.resources if statement.sid == "WriteLog"
    ]) == toset(["arn:aws:logs:eu-central-1:111122223333:log-group:${aws_cloudwatch_log_group.this.name}:*"])
    error_message = "Only the service's own log may be written to."
  }

  assert {
    condition     = alltrue([for resource in data.aws_iam_policy_document.task.statement[0].resources : strcontains(resource, ":parameter/payment/test/fraud-detection")])
    error_message = "The service may read its own parameters only."
  }
}

run "stays_inside_without_internet_access" {
  command = plan

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.internet) == 0 && aws_vpc_security_group_egress_rule.endpoints.referenced_security_group_id == "sg-endpoints" && aws_vpc_security_group_egress_rule.image_layers.prefix_list_id == "pl-s3"
    error_message = "The service must reach the VPC's endpoints and S3, and nothing else."
  }
}

run "reaches_https_with_internet_access" {
  command = plan

  variables {
    internet_access = true
  }

  assert {
    condition     = one(aws_vpc_security_group_egress_rule.internet).from_port == 443 && one(aws_vpc_security_group_egress_rule.internet).to_port == 443
    error_message = "The way out must be for HTTPS only."
  }
}

run "registers_with_a_load_balancer" {
  command = plan

  variables {
    load_balancer = { target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/example/0000000000000000" }
  }

  assert {
    condition     = one(aws_ecs_service.this.load_balancer).container_port == 8080 && aws_ecs_service.this.health_check_grace_period_seconds == 60
    error_message = "Tasks must register with their port, and be given a minute to start."
  }
}

run "takes_a_digest" {
  command = plan

  variables {
    image = "444455556666.dkr.ecr.eu-west-1.amazonaws.com/fraud-detection@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  }

  assert {
    condition     = endswith(local.repository_arn, ":repository/fraud-detection")
    error_message = "The digest is no part of the repository's name."
  }
}

run "refuses_an_image_that_moves" {
  command = plan

  variables {
    image = "444455556666.dkr.ecr.eu-west-1.amazonaws.com/fraud-detection:latest"
  }

  expect_failures = [var.image]
}

run "refuses_an_image_without_tag" {
  command = plan

  variables {
    image = "444455556666.dkr.ecr.eu-west-1.amazonaws.com/fraud-detection"
  }

  expect_failures = [var.image]
}

run "refuses_an_image_from_elsewhere" {
  command = plan

  variables {
    image = "docker.io/library/fraud-detection:1.2.3"
  }

  expect_failures = [var.image]
}

run "refuses_a_size_that_fargate_does_not_have" {
  command = plan

  variables {
    memory = 512
  }

  expect_failures = [var.memory]
}

run "refuses_a_single_task" {
  command = plan

  variables {
    min_tasks = 1
  }

  expect_failures = [var.min_tasks]
}

run "refuses_bounds_the_wrong_way_round" {
  command = plan

  variables {
    max_tasks = 1
  }

  expect_failures = [var.max_tasks]
}

run "refuses_a_privileged_port" {
  command = plan

  variables {
    port = 80
  }

  expect_failures = [var.port]
}
