# Log groups that services make by themselves, unless somebody else has made them.

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass service-logs aws_lambda_function.managed
resource "aws_lambda_function" "managed" {
  function_name = "managed"
  role          = "arn:aws:iam::123456789012:role/payments"
  s3_bucket     = "payments"
  s3_key        = "managed.zip"
  runtime       = "provided.al2023"
  handler       = "main"
}

# want: pass retention aws_cloudwatch_log_group.managed
resource "aws_cloudwatch_log_group" "managed" {
  name              = "/aws/lambda/${aws_lambda_function.managed.function_name}"
  retention_in_days = 90
}

# want: undetermined(warn) service-logs aws_lambda_function.alone function_name
resource "aws_lambda_function" "alone" {
  function_name = "alone"
  role          = "arn:aws:iam::123456789012:role/payments"
  s3_bucket     = "payments"
  s3_key        = "alone.zip"
  runtime       = "provided.al2023"
  handler       = "main"
}

# want: pass service-logs aws_lambda_function.chosen
resource "aws_lambda_function" "chosen" {
  function_name = "chosen"
  role          = "arn:aws:iam::123456789012:role/payments"
  s3_bucket     = "payments"
  s3_key        = "chosen.zip"
  runtime       = "provided.al2023"
  handler       = "main"

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.managed.name
  }
}

# Both names are unknown. The one is made of the other, but what else is in it cannot be told from the plan.
# want: undetermined(warn) service-logs aws_lambda_function.derived function_name
resource "aws_lambda_function" "derived" {
  function_name = terraform_data.later.id
  role          = "arn:aws:iam::123456789012:role/payments"
  s3_bucket     = "payments"
  s3_key        = "derived.zip"
  runtime       = "provided.al2023"
  handler       = "main"
}

# want: pass retention aws_cloudwatch_log_group.derived
resource "aws_cloudwatch_log_group" "derived" {
  name              = "/aws/lambda/${aws_lambda_function.derived.function_name}"
  retention_in_days = 90
}

# The group is given to the module.
# want: pass service-logs module.function.aws_lambda_function.this
module "function" {
  source    = "./function"
  log_group = aws_cloudwatch_log_group.derived.name
}

# want: undetermined(warn) service-logs module.other_function.aws_lambda_function.this function_name
module "other_function" {
  source    = "./function"
  log_group = terraform_data.later.id
}

# want: pass service-logs aws_rds_cluster.managed
resource "aws_rds_cluster" "managed" {
  cluster_identifier              = "managed"
  engine                          = "aurora-postgresql"
  master_username                 = "payments"
  manage_master_user_password     = true
  skip_final_snapshot             = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
}

# want: pass retention aws_cloudwatch_log_group.cluster
resource "aws_cloudwatch_log_group" "cluster" {
  name              = "/aws/rds/cluster/managed/postgresql"
  retention_in_days = 90
}

# One of its two groups is not managed.
# want: undetermined(warn) service-logs aws_db_instance.half enabled_cloudwatch_logs_exports
resource "aws_db_instance" "half" {
  identifier                      = "half"
  instance_class                  = "db.t3.micro"
  engine                          = "postgres"
  allocated_storage               = 20
  username                        = "payments"
  manage_master_user_password     = true
  skip_final_snapshot             = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
}

# want: pass retention aws_cloudwatch_log_group.half
resource "aws_cloudwatch_log_group" "half" {
  name              = "/aws/rds/instance/half/postgresql"
  retention_in_days = 90
}

# It exports nothing.
resource "aws_db_instance" "silent" {
  identifier                  = "silent"
  instance_class              = "db.t3.micro"
  engine                      = "postgres"
  allocated_storage           = 20
  username                    = "payments"
  manage_master_user_password = true
  skip_final_snapshot         = true
}

# AWS makes up the name.
# want: undetermined(warn) service-logs aws_neptune_cluster.nameless enable_cloudwatch_logs_exports
resource "aws_neptune_cluster" "nameless" {
  skip_final_snapshot            = true
  enable_cloudwatch_logs_exports = ["audit"]
}

# want: undetermined(warn) service-logs aws_eks_cluster.alone enabled_cluster_log_types
resource "aws_eks_cluster" "alone" {
  name                      = "alone"
  role_arn                  = "arn:aws:iam::123456789012:role/payments"
  enabled_cluster_log_types = ["api", "audit"]

  vpc_config {
    subnet_ids = ["subnet-0a", "subnet-0b"]
  }
}

# What is logged is unknown, too.
# want: undetermined(warn) service-logs aws_docdb_cluster.later enabled_cloudwatch_logs_exports
resource "aws_docdb_cluster" "later" {
  cluster_identifier              = "later"
  skip_final_snapshot             = true
  enabled_cloudwatch_logs_exports = [terraform_data.later.id]
}

# want: undetermined(warn) service-logs aws_flow_log.alone log_group_name
resource "aws_flow_log" "alone" {
  vpc_id         = "vpc-0a"
  traffic_type   = "ALL"
  iam_role_arn   = "arn:aws:iam::123456789012:role/payments"
  log_group_name = "flows"
}

resource "aws_api_gateway_rest_api" "this" {
  name = "payments"
}

# want: undetermined(warn) service-logs aws_api_gateway_method_settings.managed settings[0].logging_level
resource "aws_api_gateway_method_settings" "managed" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = "live"
  method_path = "*/*"

  settings {
    logging_level = "INFO"
  }
}

# want: pass retention aws_cloudwatch_log_group.api
resource "aws_cloudwatch_log_group" "api" {
  name              = "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.this.id}/live"
  retention_in_days = 90
}

resource "aws_api_gateway_method_settings" "off" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = "live"
  method_path = "*/*"

  settings {
    logging_level = "OFF"
  }
}

resource "aws_api_gateway_method_settings" "unset" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = "live"
  method_path = "*/*"

  settings {
    metrics_enabled = true
  }
}

# want: undetermined(warn) service-logs aws_ecs_task_definition.creating container_definitions
resource "aws_ecs_task_definition" "creating" {
  family = "creating"
  container_definitions = jsonencode([{
    name  = "api"
    image = "example.com/api"
    logConfiguration = {
      logDriver = "awslogs"
      options   = { awslogs-group = "creating", awslogs-create-group = "true", awslogs-region = "eu-central-1" }
    }
  }])
}

# This group has to be there before, so somebody else answers for it.
resource "aws_ecs_task_definition" "using" {
  family = "using"
  container_definitions = jsonencode([{
    name  = "api"
    image = "example.com/api"
    logConfiguration = {
      logDriver = "awslogs"
      options   = { awslogs-group = "using", awslogs-region = "eu-central-1" }
    }
  }])
}

# want: undetermined(warn) service-logs aws_ecs_service.connected service_connect_configuration[0].log_configuration[0].options
resource "aws_ecs_service" "connected" {
  name            = "connected"
  task_definition = "using:1"

  service_connect_configuration {
    enabled = true
    log_configuration {
      log_driver = "awslogs"
      options    = { awslogs-group = "connected", awslogs-create-group = "true" }
    }
  }
}

# want: fail(warn) service-logs aws_elastic_beanstalk_environment.short setting
resource "aws_elastic_beanstalk_environment" "short" {
  name                = "short"
  application         = "payments"
  solution_stack_name = "64bit Amazon Linux 2023 v4.3.0 running Python 3.12"

  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs"
    name      = "StreamLogs"
    value     = "true"
  }
}

# want: pass service-logs aws_elastic_beanstalk_environment.long
resource "aws_elastic_beanstalk_environment" "long" {
  name                = "long"
  application         = "payments"
  solution_stack_name = "64bit Amazon Linux 2023 v4.3.0 running Python 3.12"

  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs"
    name      = "StreamLogs"
    value     = "true"
  }
  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs"
    name      = "RetentionInDays"
    value     = "90"
  }
}

# want: undetermined(warn) service-logs aws_elastic_beanstalk_configuration_template.later setting
resource "aws_elastic_beanstalk_configuration_template" "later" {
  name                = "later"
  application         = "payments"
  solution_stack_name = "64bit Amazon Linux 2023 v4.3.0 running Python 3.12"

  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs:health"
    name      = "HealthStreamingEnabled"
    value     = "true"
  }
  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs:health"
    name      = "RetentionInDays"
    value     = terraform_data.later.id
  }
}

# What it streams of its health is kept too shortly, although the rest is not.
# want: fail(warn) service-logs aws_elastic_beanstalk_environment.health setting
resource "aws_elastic_beanstalk_environment" "health" {
  name                = "health"
  application         = "payments"
  solution_stack_name = "64bit Amazon Linux 2023 v4.3.0 running Python 3.12"

  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs"
    name      = "StreamLogs"
    value     = "true"
  }
  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs"
    name      = "RetentionInDays"
    value     = "90"
  }
  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs:health"
    name      = "HealthStreamingEnabled"
    value     = "true"
  }
}

resource "aws_elastic_beanstalk_environment" "silent" {
  name                = "silent"
  application         = "payments"
  solution_stack_name = "64bit Amazon Linux 2023 v4.3.0 running Python 3.12"

  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs"
    name      = "StreamLogs"
    value     = "false"
  }
}

# Exports nothing.
resource "aws_db_instance" "exports_nothing" {
  identifier                      = "exports-nothing"
  instance_class                  = "db.t3.micro"
  engine                          = "postgres"
  allocated_storage               = 20
  username                        = "payments"
  manage_master_user_password     = true
  skip_final_snapshot             = true
  enabled_cloudwatch_logs_exports = []
}

# want: fail(warn) service-logs aws_elastic_beanstalk_environment.fortnight setting
resource "aws_elastic_beanstalk_environment" "fortnight" {
  name                = "fortnight"
  application         = "payments"
  solution_stack_name = "64bit Amazon Linux 2023 v4.3.0 running Python 3.12"

  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs"
    name      = "StreamLogs"
    value     = "true"
  }
  setting {
    namespace = "aws:elasticbeanstalk:cloudwatch:logs"
    name      = "RetentionInDays"
    value     = "14"
  }
}
