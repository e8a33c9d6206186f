# Dynamic blocks of which nobody knows yet whether they will be there.

resource "terraform_data" "later" {
  input = "known after the apply"
}

locals {
  perhaps = terraform_data.later.id == "known after the apply" ? [1] : []
}

# want: undetermined public-address aws_ecs_service.perhaps network_configuration
# want: undetermined(warn) public-subnet aws_ecs_service.perhaps network_configuration
resource "aws_ecs_service" "perhaps" {
  name = "perhaps"
  dynamic "network_configuration" {
    for_each = local.perhaps
    content {
      subnets          = ["subnet-0elsewhere"]
      assign_public_ip = true
    }
  }
}

# want: undetermined(warn) public-subnet aws_lambda_function.perhaps vpc_config
resource "aws_lambda_function" "perhaps" {
  function_name = "perhaps"
  role          = "arn:aws:iam::123456789012:role/payments"
  image_uri     = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/payments:1"
  package_type  = "Image"
  dynamic "vpc_config" {
    for_each = local.perhaps
    content {
      subnet_ids         = ["subnet-0elsewhere"]
      security_group_ids = ["sg-0elsewhere"]
    }
  }
}

# want: undetermined(warn) public-endpoint aws_opensearch_domain.perhaps vpc_options
# want: undetermined(warn) public-subnet aws_opensearch_domain.perhaps vpc_options
resource "aws_opensearch_domain" "perhaps" {
  domain_name = "perhaps"
  dynamic "vpc_options" {
    for_each = local.perhaps
    content {
      subnet_ids = ["subnet-0elsewhere"]
    }
  }
}

# Their blocks are unknown as well, because AWS may fill them in.
# want: fail(warn) public-endpoint aws_apprunner_service.unset network_configuration
resource "aws_apprunner_service" "unset" {
  service_name = "unset"
  source_configuration {
    image_repository {
      image_identifier      = "public.ecr.aws/payments/app:1"
      image_repository_type = "ECR_PUBLIC"
    }
  }
}

resource "aws_kinesisanalyticsv2_application" "unset" {
  name                   = "unset"
  runtime_environment    = "FLINK-1_18"
  service_execution_role = "arn:aws:iam::123456789012:role/payments"
}
