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

# default_tags never reach an autoscaling group, so it does not matter that they are not known.
# want: fail tags aws_autoscaling_group.none tag
resource "aws_autoscaling_group" "none" {
  provider             = aws.later
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  availability_zones   = ["eu-central-1a"]
}

# want: fail tags aws_autoscaling_group.partial tag
resource "aws_autoscaling_group" "partial" {
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  availability_zones   = ["eu-central-1a"]

  tag {
    key                 = "Team"
    value               = "payments"
    propagate_at_launch = true
  }
}

# Its own tags are what is unknown here.
# want: undetermined tags aws_autoscaling_group.unknown tag
resource "aws_autoscaling_group" "unknown" {
  provider             = aws.later
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  availability_zones   = ["eu-central-1a"]

  tag {
    key                 = terraform_data.later.id
    value               = "payments"
    propagate_at_launch = true
  }
}
