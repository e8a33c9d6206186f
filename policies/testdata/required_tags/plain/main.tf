# No default_tags: each resource has to say it all by itself.

resource "terraform_data" "later" {
  input = "known after the apply"
}

locals {
  tags = {
    Environment = "production"
    Team        = "payments"
    CostCenter  = "engineering"
  }
}

# want: pass tags aws_sqs_queue.complete
resource "aws_sqs_queue" "complete" {
  name = "complete"
  tags = local.tags
}

# The most common gap. Its tags_all is unknown, but there is nothing that could bring the tags.
# want: fail tags aws_sqs_queue.none tags
resource "aws_sqs_queue" "none" {
  name = "none"
}

# want: fail tags aws_sqs_queue.empty tags
resource "aws_sqs_queue" "empty" {
  name = "empty"
  tags = {}
}

# Keys are case sensitive.
# want: fail tags aws_sqs_queue.spelled tags
resource "aws_sqs_queue" "spelled" {
  name = "spelled"
  tags = {
    environment = "production"
    Team        = "payments"
    costcenter  = "engineering"
  }
}

# want: fail tags aws_sqs_queue.blank tags["Team"]
resource "aws_sqs_queue" "blank" {
  name = "blank"
  tags = merge(local.tags, { Team = " " })
}

# want: fail tags aws_sqs_queue.empty_value tags["Team"]
resource "aws_sqs_queue" "empty_value" {
  name = "empty-value"
  tags = merge(local.tags, { Team = "" })
}

# want: fail tags aws_sqs_queue.null_value tags["Team"]
resource "aws_sqs_queue" "null_value" {
  name = "null-value"
  tags = merge(local.tags, { Team = null })
}

# A single unknown value hides the whole map.
# want: undetermined tags aws_sqs_queue.unknown tags
resource "aws_sqs_queue" "unknown" {
  name = "unknown"
  tags = { Name = terraform_data.later.id }
}

# Newer resources hide only the value.
# want: pass tags aws_vpc_security_group_ingress_rule.unknown
resource "aws_vpc_security_group_ingress_rule" "unknown" {
  security_group_id = "sg-0a"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "10.0.0.0/16"
  tags              = merge(local.tags, { Team = terraform_data.later.id })
}

# So what is missing beside it is known.
# want: fail tags aws_vpc_security_group_ingress_rule.incomplete tags
resource "aws_vpc_security_group_ingress_rule" "incomplete" {
  security_group_id = "sg-0a"
  ip_protocol       = "tcp"
  from_port         = 445
  to_port           = 445
  cidr_ipv4         = "10.0.0.0/16"
  tags              = { Team = terraform_data.later.id }
}

# want: fail tags aws_vpc_security_group_ingress_rule.none tags
resource "aws_vpc_security_group_ingress_rule" "none" {
  security_group_id = "sg-0a"
  ip_protocol       = "tcp"
  from_port         = 444
  to_port           = 444
  cidr_ipv4         = "10.0.0.0/16"
}

# tags_all that is written by hand reaches nothing.
# want: fail tags aws_sqs_queue.forged tags
resource "aws_sqs_queue" "forged" {
  name     = "forged"
  tags_all = local.tags
}

# want: pass tags aws_autoscaling_group.complete
resource "aws_autoscaling_group" "complete" {
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  availability_zones   = ["eu-central-1a"]

  dynamic "tag" {
    for_each = local.tags
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
}

# want: fail tags aws_autoscaling_group.one tag
resource "aws_autoscaling_group" "one" {
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

# Each tag may be known only after the apply, even the keys.
# want: undetermined tags aws_autoscaling_group.unknown tag
resource "aws_autoscaling_group" "unknown" {
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

# Nor can be told how many there will be.
# want: undetermined tags aws_autoscaling_group.uncounted tag
resource "aws_autoscaling_group" "uncounted" {
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  availability_zones   = ["eu-central-1a"]

  dynamic "tag" {
    for_each = toset([terraform_data.later.id])
    content {
      key                 = tag.key
      value               = "payments"
      propagate_at_launch = true
    }
  }
}

# want: pass tags aws_autoscaling_group.unknown_value
resource "aws_autoscaling_group" "unknown_value" {
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  availability_zones   = ["eu-central-1a"]

  dynamic "tag" {
    for_each = merge(local.tags, { Team = terraform_data.later.id })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
}

# Each instance has tags of its own.
# want: pass tags aws_sqs_queue.each["complete"]
# want: fail tags aws_sqs_queue.each["incomplete"] tags["CostCenter"]
resource "aws_sqs_queue" "each" {
  for_each = {
    complete   = local.tags
    incomplete = { Environment = "production", Team = "payments", cost_center = "engineering" }
  }
  name = each.key
  tags = each.value
}

# want: fail tags aws_sqs_queue.counted[0] tags
# want: pass tags aws_sqs_queue.counted[1]
resource "aws_sqs_queue" "counted" {
  count = 2
  name  = "counted-${count.index}"
  tags  = count.index == 0 ? {} : local.tags
}

# Whether a value is sensitive changes nothing.
# want: pass tags aws_sqs_queue.sensitive
resource "aws_sqs_queue" "sensitive" {
  name = "sensitive"
  tags = merge(local.tags, { Team = sensitive("payments") })
}

# want: fail tags module.queue["api"].module.inner.aws_sqs_queue.this[0] tags
module "queue" {
  source   = "./queue"
  for_each = toset(["api"])
}

# These cannot carry tags, or their tags belong to something else.
resource "aws_sqs_queue_policy" "untaggable" {
  queue_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/app"
  policy    = jsonencode({ Version = "2012-10-17", Statement = [] })
}

resource "aws_ec2_tag" "single" {
  resource_id = "vpc-0a"
  key         = "Name"
  value       = "main"
}

resource "aws_autoscaling_group_tag" "single" {
  autoscaling_group_name = "app"
  tag {
    key                 = "Name"
    value               = "app"
    propagate_at_launch = true
  }
}

resource "aws_inspector_resource_group" "selecting" {
  tags = { Name = "app" }
}

resource "aws_route" "untaggable" {
  route_table_id         = "rtb-0a"
  destination_cidr_block = "10.1.0.0/16"
  nat_gateway_id         = "nat-0a"
}

data "aws_sqs_queue" "read" {
  name = terraform_data.later.id
}
