# A plan on something that exists: before.state holds a log group for each name here, kept for 7 days.

# An old sin that the plan does not touch is shown but does not block.
# want: fail(no-op) retention aws_cloudwatch_log_group.untouched retention_in_days
resource "aws_cloudwatch_log_group" "untouched" {
  name              = "untouched"
  retention_in_days = 7
}

# Touching the group for another reason does block.
# want: fail retention aws_cloudwatch_log_group.updated retention_in_days
resource "aws_cloudwatch_log_group" "updated" {
  name              = "updated"
  retention_in_days = 7
  tags              = { Team = "payments" }
}

# want: pass retention aws_cloudwatch_log_group.mended
resource "aws_cloudwatch_log_group" "mended" {
  name              = "mended"
  retention_in_days = 30
}

# want: fail retention aws_cloudwatch_log_group.replaced retention_in_days
resource "aws_cloudwatch_log_group" "replaced" {
  name              = "replaced-under-another-name"
  retention_in_days = 7
}

# Moving changes nothing in AWS.
moved {
  from = aws_cloudwatch_log_group.old_name
  to   = aws_cloudwatch_log_group.moved
}

# want: fail(no-op) retention aws_cloudwatch_log_group.moved retention_in_days
resource "aws_cloudwatch_log_group" "moved" {
  name              = "old_name"
  retention_in_days = 7
}

# aws_cloudwatch_log_group.deleted is gone from here, and this one is forgotten.
removed {
  from = aws_cloudwatch_log_group.forgotten
  lifecycle {
    destroy = false
  }
}
