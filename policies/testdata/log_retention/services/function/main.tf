variable "log_group" {
  type = string
}

resource "aws_lambda_function" "this" {
  function_name = "in-a-module"
  role          = "arn:aws:iam::123456789012:role/payments"
  s3_bucket     = "payments"
  s3_key        = "in-a-module.zip"
  runtime       = "provided.al2023"
  handler       = "main"

  logging_config {
    log_format = "Text"
    log_group  = var.log_group
  }
}
