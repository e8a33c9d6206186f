# What is judged if allow_never_expire is set.

# want: pass retention aws_cloudwatch_log_group.forever
resource "aws_cloudwatch_log_group" "forever" {
  name = "forever"
}

# want: fail retention aws_cloudwatch_log_group.short retention_in_days
resource "aws_cloudwatch_log_group" "short" {
  name              = "short"
  retention_in_days = 7
}

# The group that Lambda makes may last, too.
resource "aws_lambda_function" "alone" {
  function_name = "alone"
  role          = "arn:aws:iam::123456789012:role/payments"
  s3_bucket     = "payments"
  s3_key        = "alone.zip"
  runtime       = "provided.al2023"
  handler       = "main"
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
