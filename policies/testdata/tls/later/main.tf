# A plan on something that exists: before.state holds a policy for each name here that does not deny plain HTTP.

locals {
  allow = { for name in ["untouched", "updated", "replaced", "old_name"] : name => {
    Action    = "s3:GetObject"
    Effect    = "Allow"
    Principal = "*"
    Resource  = "arn:aws:s3:::${name}/*"
  } }
}

# An old sin that the plan does not touch is shown but does not block.
# want: fail(no-op) bucket-policy aws_s3_bucket_policy.untouched policy
resource "aws_s3_bucket_policy" "untouched" {
  bucket = "untouched"
  policy = jsonencode({ Version = "2012-10-17", Statement = [local.allow.untouched] })
}

# Touching the policy for another reason does block.
# want: fail bucket-policy aws_s3_bucket_policy.updated policy
resource "aws_s3_bucket_policy" "updated" {
  bucket = "updated"
  policy = jsonencode({ Version = "2012-10-17", Statement = [merge(local.allow.updated, { Sid = "read" })] })
}

# want: pass bucket-policy aws_s3_bucket_policy.mended
resource "aws_s3_bucket_policy" "mended" {
  bucket = "mended"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Action    = "s3:*"
    Effect    = "Deny"
    Principal = "*"
    Resource  = ["arn:aws:s3:::mended", "arn:aws:s3:::mended/*"]
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }] })
}

# want: fail bucket-policy aws_s3_bucket_policy.replaced policy
resource "aws_s3_bucket_policy" "replaced" {
  bucket = "replaced-by-another"
  policy = jsonencode({ Version = "2012-10-17", Statement = [local.allow.replaced] })
}

# Moving changes nothing in AWS.
moved {
  from = aws_s3_bucket_policy.old_name
  to   = aws_s3_bucket_policy.moved
}

# want: fail(no-op) bucket-policy aws_s3_bucket_policy.moved policy
resource "aws_s3_bucket_policy" "moved" {
  bucket = "old_name"
  policy = jsonencode({ Version = "2012-10-17", Statement = [local.allow.old_name] })
}

# aws_s3_bucket_policy.deleted is gone from here, and this one is forgotten.
removed {
  from = aws_s3_bucket_policy.forgotten
  lifecycle {
    destroy = false
  }
}
