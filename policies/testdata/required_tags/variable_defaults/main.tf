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

# Its own tags are complete, whatever the provider adds.
# want: pass tags aws_sqs_queue.later_complete
resource "aws_sqs_queue" "later_complete" {
  provider = aws.later
  name     = "later-complete"
  tags     = { Environment = "production", Team = "payments", CostCenter = "engineering" }
}

# An empty value wins over any default.
# want: fail tags aws_sqs_queue.later_blank tags["Team"]
resource "aws_sqs_queue" "later_blank" {
  provider = aws.later
  name     = "later-blank"
  tags     = { Team = "" }
}

# What this one writes into tags_all says nothing about the others.
# want: undetermined tags aws_sqs_queue.forged tags
resource "aws_sqs_queue" "forged" {
  name     = "forged"
  tags_all = { Environment = "production", Team = "payments", CostCenter = "engineering" }
}
