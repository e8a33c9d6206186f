# default_tags made of variables and of values that are not known yet: the plan's configuration shows
# references instead of values.

# want: pass tags aws_sqs_queue.variable
resource "aws_sqs_queue" "variable" {
  name = "variable"
}

# Both are unknown as a whole, so the configuration is all there is, and it only has references.
# want: undetermined tags aws_sqs_queue.unknown tags
resource "aws_sqs_queue" "unknown" {
  name = "unknown"
  tags = { Name = terraform_data.later.id }
}

# want: undetermined tags aws_sqs_queue.later tags
resource "aws_sqs_queue" "later" {
  provider = aws.later
  name     = "later"
}
