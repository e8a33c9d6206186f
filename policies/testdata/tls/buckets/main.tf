# Bucket policies, written out and as documents whose text is unknown until the bucket exists.

resource "aws_s3_bucket" "new" {
  bucket_prefix = "payments-"
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
# want: fail(warn) bucket-policy aws_s3_bucket_policy.allow policy
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

# want: pass bucket-policy aws_s3_bucket_policy.document
resource "aws_s3_bucket_policy" "document" {
  bucket = aws_s3_bucket.new.id
  policy = data.aws_iam_policy_document.good.json
}

# want: undetermined(warn) bucket-policy aws_s3_bucket_policy.unknown policy
resource "aws_s3_bucket_policy" "unknown" {
  bucket = aws_s3_bucket.new.id
  policy = jsonencode({ Statement = [{ Resource = aws_s3_bucket.new.arn }] })
}
