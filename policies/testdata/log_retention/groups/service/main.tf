variable "days" {
  type = number
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "this"
  retention_in_days = var.days
}
