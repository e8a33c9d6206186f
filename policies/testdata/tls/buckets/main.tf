# Bucket policies, written out and as documents whose text is unknown until the bucket exists.

resource "aws_s3_bucket" "new" {
  bucket_prefix = "payments-"
}

# What has no policy in the plan may get it elsewhere; see the fixture strict.
resource "aws_s3_bucket" "bare" {
  bucket = "bare"
}

locals {
  everything = ["arn:aws:s3:::payments", "arn:aws:s3:::payments/*"]
  statements = {
    # want: pass bucket-policy aws_s3_bucket_policy.statement["split"]
    split = [
      { Effect = "Deny", Principal = { AWS = "*" }, Action = "s3:*", Resource = "arn:aws:s3:::payments", Condition = { Bool = { "AWS:SecureTransport" = false } } },
      { Effect = "Deny", Principal = "*", Action = "*", Resource = "arn:aws:s3:::payments/*", Condition = { BoolIfExists = { "aws:SecureTransport" = ["false"] } } },
    ]
    # Requests without TLS have no version, so only "if exists" denies them, too.
    # want: pass bucket-policy aws_s3_bucket_policy.statement["version"]
    version = [{ Effect = "Deny", Principal = "*", Action = "s3:*", Resource = local.everything, Condition = { NumericLessThanIfExists = { "s3:TlsVersion" = 1.2 } } }]
    # want: fail bucket-policy aws_s3_bucket_policy.statement["version_only"] policy
    version_only = [{ Effect = "Deny", Principal = "*", Action = "s3:*", Resource = local.everything, Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } } }]
    # want: fail bucket-policy aws_s3_bucket_policy.statement["objects"] policy
    objects = [{ Effect = "Deny", Principal = "*", Action = "s3:*", Resource = "arn:aws:s3:::payments/*", Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
    # want: fail bucket-policy aws_s3_bucket_policy.statement["bucket"] policy
    bucket = [{ Effect = "Deny", Principal = "*", Action = "s3:*", Resource = "arn:aws:s3:::payments", Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
    # want: fail bucket-policy aws_s3_bucket_policy.statement["allowed"] policy
    allowed = [{ Effect = "Allow", Principal = "*", Action = "s3:*", Resource = local.everything, Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
    # That there is such a key in the request says nothing about its value.
    # want: fail bucket-policy aws_s3_bucket_policy.statement["present"] policy
    present = [{ Effect = "Deny", Principal = "*", Action = "s3:*", Resource = local.everything, Condition = { Null = { "aws:SecureTransport" = "false" } } }]
    # want: fail bucket-policy aws_s3_bucket_policy.statement["reads"] policy
    reads = [{ Effect = "Deny", Principal = "*", Action = "s3:GetObject", Resource = local.everything, Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
    # want: fail bucket-policy aws_s3_bucket_policy.statement["somebody"] policy
    somebody = [{ Effect = "Deny", Principal = { AWS = "arn:aws:iam::123456789012:root" }, Action = "s3:*", Resource = local.everything, Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
    # want: fail bucket-policy aws_s3_bucket_policy.statement["narrowed"] policy
    narrowed = [{ Effect = "Deny", Principal = "*", Action = "s3:*", Resource = local.everything, Condition = {
      Bool      = { "aws:SecureTransport" = "false" }
      IpAddress = { "aws:SourceIp" = "192.0.2.0/24" }
    } }]
  }
}

resource "aws_s3_bucket_policy" "statement" {
  for_each = local.statements

  bucket = "payments"
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

# want: pass bucket-policy aws_s3_bucket_policy.known
resource "aws_s3_bucket_policy" "known" {
  bucket = "payments"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = {
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:*"]
      Resource  = ["arn:aws:s3:::payments", "arn:aws:s3:::payments/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
  })
}

# Allowing what is encrypted denies nothing.
# want: fail bucket-policy aws_s3_bucket_policy.allow policy
resource "aws_s3_bucket_policy" "allow" {
  bucket = "payments"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::payments", "arn:aws:s3:::payments/*"]
      Condition = { Bool = { "aws:SecureTransport" = "true" } }
    }]
  })
}

data "aws_iam_policy_document" "good" {
  statement {
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.new.arn, "${aws_s3_bucket.new.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

# What the policy says is known only when the bucket is there.
# want: undetermined(warn) bucket-policy aws_s3_bucket_policy.document policy
resource "aws_s3_bucket_policy" "document" {
  bucket = aws_s3_bucket.new.id
  policy = data.aws_iam_policy_document.good.json
}

# want: undetermined(warn) bucket-policy aws_s3_bucket_policy.unknown policy
resource "aws_s3_bucket_policy" "unknown" {
  bucket = aws_s3_bucket.new.id
  policy = jsonencode({ Statement = [{ Resource = aws_s3_bucket.new.arn }] })
}
