# A plan on something that exists: before.state holds a queue without tags for each name here.

# want: fail(no-op) tags aws_sqs_queue.untouched tags
resource "aws_sqs_queue" "untouched" {
  name = "untouched"
}

# want: fail tags aws_sqs_queue.updated tags
resource "aws_sqs_queue" "updated" {
  name                       = "updated"
  visibility_timeout_seconds = 60
}

# want: pass tags aws_sqs_queue.mended
resource "aws_sqs_queue" "mended" {
  name = "mended"
  tags = {
    Environment = "production"
    Team        = "payments"
    CostCenter  = "engineering"
  }
}

# Moving changes nothing in AWS.
moved {
  from = aws_sqs_queue.old_name
  to   = aws_sqs_queue.moved
}

# want: fail(no-op) tags aws_sqs_queue.moved tags
resource "aws_sqs_queue" "moved" {
  name = "old_name"
}

# want: fail tags aws_sqs_queue.replaced tags
resource "aws_sqs_queue" "replaced" {
  name = "replaced-under-another-name"
}

# aws_sqs_queue.deleted is gone from here, and this one is forgotten.
removed {
  from = aws_sqs_queue.forgotten
  lifecycle {
    destroy = false
  }
}
