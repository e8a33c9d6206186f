# default_tags of several providers, as constants.

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass tags aws_sqs_queue.default
resource "aws_sqs_queue" "default" {
  name = "default"
}

# Its own tags are unknown, but the provider's are complete.
# want: pass tags aws_sqs_queue.unknown
resource "aws_sqs_queue" "unknown" {
  name = "unknown"
  tags = { Name = terraform_data.later.id }
}

# A blank value of the resource wins over the default.
# want: fail tags aws_sqs_queue.overridden tags["Team"]
resource "aws_sqs_queue" "overridden" {
  name = "overridden"
  tags = { Team = "" }
}

# default_tags never reach an autoscaling group.
# want: fail tags aws_autoscaling_group.none tag
resource "aws_autoscaling_group" "none" {
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  availability_zones   = ["eu-central-1a"]
}

# want: fail tags aws_sqs_queue.partial tags
resource "aws_sqs_queue" "partial" {
  provider = aws.partial
  name     = "partial"
}

# want: pass tags aws_sqs_queue.completed
resource "aws_sqs_queue" "completed" {
  provider = aws.partial
  name     = "completed"
  tags     = { Team = "payments", CostCenter = "engineering" }
}

# want: undetermined tags aws_sqs_queue.partial_unknown tags
resource "aws_sqs_queue" "partial_unknown" {
  provider = aws.partial
  name     = "partial-unknown"
  tags     = { Name = terraform_data.later.id }
}

# A tag that the provider ignores does not reach AWS.
# want: fail tags aws_sqs_queue.ignoring tags["Team"]
resource "aws_sqs_queue" "ignoring" {
  provider = aws.ignoring
  name     = "ignoring"
}

# So the default does not help, if only the configuration tells what will be there.
# want: fail tags aws_sqs_queue.ignoring_unknown tags["Team"]
resource "aws_sqs_queue" "ignoring_unknown" {
  provider = aws.ignoring
  name     = "ignoring-unknown"
  tags     = { Name = terraform_data.later.id }
}

# want: fail tags aws_sqs_queue.ignoring_prefix tags["CostCenter"]
resource "aws_sqs_queue" "ignoring_prefix" {
  provider = aws.ignoring_prefix
  name     = "ignoring-prefix"
  tags     = { Name = terraform_data.later.id }
}

# Newer resources plan tags_all as empty if there is nothing.
# want: pass tags aws_vpc_security_group_ingress_rule.default
resource "aws_vpc_security_group_ingress_rule" "default" {
  security_group_id = "sg-0a"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "10.0.0.0/16"
}

# want: pass tags aws_vpc_security_group_ingress_rule.unknown
resource "aws_vpc_security_group_ingress_rule" "unknown" {
  security_group_id = "sg-0a"
  ip_protocol       = "tcp"
  from_port         = 444
  to_port           = 444
  cidr_ipv4         = "10.0.0.0/16"
  tags              = { Name = terraform_data.later.id }
}

# An object may leave out the defaults of the provider.
# want: fail tags aws_s3_object.without_defaults tags
resource "aws_s3_object" "without_defaults" {
  bucket  = "payments"
  key     = "without-defaults"
  content = ""

  override_provider {
    default_tags {
      tags = {}
    }
  }
}

# want: pass tags module.inherits.aws_sqs_queue.this
module "inherits" {
  source = "./queue"
}

# want: fail tags module.other.aws_sqs_queue.this tags
module "other" {
  source    = "./queue"
  providers = { aws = aws.partial }
}

# want: pass tags module.own_provider.aws_sqs_queue.this
# want: fail tags module.own_provider.aws_sqs_queue.incomplete tags["Team"]
# want: undetermined tags module.own_provider.aws_sqs_queue.unknown tags["Team"]
module "own_provider" {
  source = "./own_provider"
  later  = terraform_data.later.id
}
