# Log groups, and things that look like them.

variable "none" {
  type    = number
  default = null
}

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass retention aws_cloudwatch_log_group.exact
resource "aws_cloudwatch_log_group" "exact" {
  name              = "exact"
  retention_in_days = 30
}

# want: pass retention aws_cloudwatch_log_group.long["1096"]
# want: pass retention aws_cloudwatch_log_group.long["365"]
# want: pass retention aws_cloudwatch_log_group.long["3653"]
resource "aws_cloudwatch_log_group" "long" {
  for_each = toset(["365", "1096", "3653"])

  name              = "long-${each.key}"
  retention_in_days = tonumber(each.value)
}

# want: fail retention aws_cloudwatch_log_group.short[0] retention_in_days
# want: fail retention aws_cloudwatch_log_group.short[1] retention_in_days
# want: fail retention aws_cloudwatch_log_group.short[2] retention_in_days
resource "aws_cloudwatch_log_group" "short" {
  count = 3

  name              = "short-${count.index}"
  retention_in_days = [1, 7, 14][count.index]
}

# want: fail retention aws_cloudwatch_log_group.unset retention_in_days
resource "aws_cloudwatch_log_group" "unset" {
  name = "unset"
}

# want: fail retention aws_cloudwatch_log_group.zero retention_in_days
resource "aws_cloudwatch_log_group" "zero" {
  name              = "zero"
  retention_in_days = 0
}

# want: fail retention aws_cloudwatch_log_group.null_variable retention_in_days
resource "aws_cloudwatch_log_group" "null_variable" {
  name              = "null-variable"
  retention_in_days = var.none
}

# want: undetermined retention aws_cloudwatch_log_group.unknown retention_in_days
resource "aws_cloudwatch_log_group" "unknown" {
  name              = "unknown"
  retention_in_days = length(terraform_data.later.id)
}

# AWS keeps this class for two days, whatever is set.
resource "aws_cloudwatch_log_group" "delivery" {
  name            = "delivery"
  log_group_class = "DELIVERY"
}

# Only what is known to have this class is left out.
# want: fail retention aws_cloudwatch_log_group.unknown_class retention_in_days
resource "aws_cloudwatch_log_group" "unknown_class" {
  name              = "unknown-class"
  log_group_class   = terraform_data.later.id
  retention_in_days = 1
}

# A class that is not set after all is the standard one, though the plan says that it is unknown.
# want: fail retention aws_cloudwatch_log_group.null_class retention_in_days
resource "aws_cloudwatch_log_group" "null_class" {
  name              = "null-class"
  log_group_class   = var.none
  retention_in_days = 1
}

# want: fail retention aws_cloudwatch_log_group.infrequent retention_in_days
resource "aws_cloudwatch_log_group" "infrequent" {
  name              = "infrequent"
  log_group_class   = "INFREQUENT_ACCESS"
  retention_in_days = 7
}

module "service" {
  source   = "./service"
  for_each = toset(["api"])
  days     = 7
}

# want: fail retention module.service["api"].aws_cloudwatch_log_group.this retention_in_days

# Other retention periods keep no logs.
resource "aws_kinesis_stream" "events" {
  name             = "events"
  shard_count      = 1
  retention_period = 24
}

resource "aws_sqs_queue" "events" {
  name                      = "events"
  message_retention_seconds = 60
}

resource "aws_db_instance" "this" {
  instance_class          = "db.t3.micro"
  engine                  = "postgres"
  allocated_storage       = 20
  username                = "payments"
  password                = "not-a-secret"
  skip_final_snapshot     = true
  backup_retention_period = 7
}

# What is only read is not judged.
data "aws_cloudwatch_log_group" "read" {
  name = "read-${terraform_data.later.id}"
}
