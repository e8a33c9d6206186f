# What is judged if encryption_required and maximum_days are set.

resource "terraform_data" "later" {
  input = "known after the apply"
}

resource "aws_kms_key" "logs" {
  description = "logs"
}

# want: fail log-encryption aws_cloudwatch_log_group.plain kms_key_id
# want: pass retention aws_cloudwatch_log_group.plain
resource "aws_cloudwatch_log_group" "plain" {
  name              = "plain"
  retention_in_days = 365
}

# want: pass log-encryption aws_cloudwatch_log_group.known
# want: fail retention aws_cloudwatch_log_group.known retention_in_days
resource "aws_cloudwatch_log_group" "known" {
  name              = "known"
  retention_in_days = 731
  kms_key_id        = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

# The ARN is unknown, but it is that of a key.
# want: pass log-encryption aws_cloudwatch_log_group.key
# want: pass retention aws_cloudwatch_log_group.key
resource "aws_cloudwatch_log_group" "key" {
  name              = "key"
  retention_in_days = 365
  kms_key_id        = aws_kms_key.logs.arn
}

# want: undetermined log-encryption aws_cloudwatch_log_group.later kms_key_id
# want: pass retention aws_cloudwatch_log_group.later
resource "aws_cloudwatch_log_group" "later" {
  name              = "later"
  retention_in_days = 365
  kms_key_id        = terraform_data.later.id
}
