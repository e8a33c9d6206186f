# What is judged if allowed_values and exempt_types are set.

resource "terraform_data" "later" {
  input = "known after the apply"
}

locals {
  tags = {
    Environment = "staging"
    Team        = "payments"
    CostCenter  = "engineering"
  }
}

# want: pass tags aws_sns_topic.allowed
resource "aws_sns_topic" "allowed" {
  name = "allowed"
  tags = local.tags
}

# want: fail tags aws_sns_topic.foreign tags["Environment"]
resource "aws_sns_topic" "foreign" {
  name = "foreign"
  tags = merge(local.tags, { Environment = "Production" })
}

# want: pass tags aws_sns_topic.classified
resource "aws_sns_topic" "classified" {
  name = "classified"
  tags = merge(local.tags, { DataClass = "cardholder" })
}

# A tag that nobody has to set is judged where it is set.
# want: fail tags aws_sns_topic.misclassified tags["DataClass"]
resource "aws_sns_topic" "misclassified" {
  name = "misclassified"
  tags = merge(local.tags, { DataClass = sensitive("secret") })
}

# Both are named.
# want: fail tags aws_sns_topic.both tags
resource "aws_sns_topic" "both" {
  name = "both"
  tags = { Environment = "test", Team = "payments" }
}

# The tag will be there, but maybe with another value.
# want: undetermined tags aws_vpc_security_group_ingress_rule.later tags["Environment"]
resource "aws_vpc_security_group_ingress_rule" "later" {
  security_group_id = "sg-0a"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "10.0.0.0/16"
  tags              = merge(local.tags, { Environment = terraform_data.later.id })
}

resource "aws_sqs_queue" "exempt" {
  name = "exempt"
}
