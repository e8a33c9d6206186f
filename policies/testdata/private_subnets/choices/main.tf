# Routes and subnets that are hard to tell: choices, lists, prefix lists, main tables, the default VPC. First plan.

variable "public" {
  type    = bool
  default = false
}

resource "terraform_data" "later" {
  input = "known after the apply"
}

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
}

# want: pass public-ip-on-launch aws_subnet.public
resource "aws_subnet" "public" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.1.0/24"
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

# want: pass public-ip-on-launch aws_subnet.private
resource "aws_subnet" "private" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.2.0/24"
}

resource "aws_route_table_association" "private" {
  subnet_id      = aws_subnet.private.id
  route_table_id = aws_route_table.private.id
}

# The condition is a value that only the apply will tell.
# want: pass public-ip-on-launch aws_subnet.either
resource "aws_subnet" "either" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.3.0/24"
}

resource "aws_route_table_association" "either" {
  subnet_id      = aws_subnet.either.id
  route_table_id = var.public ? aws_route_table.public.id : aws_route_table.private.id
}

# want: undetermined public-subnet aws_efs_mount_target.either subnet_id
resource "aws_efs_mount_target" "either" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.either.id
}

# want: undetermined public-subnet aws_efs_mount_target.choice subnet_id
resource "aws_efs_mount_target" "choice" {
  file_system_id = "fs-0a"
  subnet_id      = var.public ? aws_subnet.public.id : aws_subnet.private.id
}

# want: undetermined public-subnet aws_eks_fargate_profile.choice subnet_ids
resource "aws_eks_fargate_profile" "choice" {
  cluster_name           = "cluster"
  fargate_profile_name   = "choice"
  pod_execution_role_arn = "arn:aws:iam::123456789012:role/app"
  subnet_ids             = var.public ? [aws_subnet.public.id] : [aws_subnet.private.id]
  selector {
    namespace = "default"
  }
}

# A list by key: one profile is in each.
# want: undetermined public-subnet aws_eks_fargate_profile.keyed["a"] subnet_ids
# want: undetermined public-subnet aws_eks_fargate_profile.keyed["b"] subnet_ids
resource "aws_eks_fargate_profile" "keyed" {
  for_each = {
    a = [aws_subnet.public.id]
    b = [aws_subnet.private.id]
  }

  cluster_name           = "cluster"
  fargate_profile_name   = each.key
  pod_execution_role_arn = "arn:aws:iam::123456789012:role/app"
  subnet_ids             = each.value
  selector {
    namespace = "default"
  }
}

# A route for part of the internet is a route to the internet; one for our own addresses is not.
# want: pass public-ip-on-launch aws_subnet.part
resource "aws_subnet" "part" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.4.0/24"
}

resource "aws_route_table" "part" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "128.0.0.0/1"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "part" {
  subnet_id      = aws_subnet.part.id
  route_table_id = aws_route_table.part.id
}

# want: fail public-subnet aws_efs_mount_target.part subnet_id
resource "aws_efs_mount_target" "part" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.part.id
}

# want: pass public-ip-on-launch aws_subnet.ours
resource "aws_subnet" "ours" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.5.0/24"
}

resource "aws_route_table" "ours" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "10.1.0.0/16"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "ours" {
  subnet_id      = aws_subnet.ours.id
  route_table_id = aws_route_table.ours.id
}

# want: pass public-subnet aws_efs_mount_target.ours
resource "aws_efs_mount_target" "ours" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.ours.id
}

# By prefix list.
resource "aws_ec2_managed_prefix_list" "everything" {
  name           = "everything"
  address_family = "IPv4"
  max_entries    = 1
  entry {
    cidr = "0.0.0.0/0"
  }
}

# want: pass public-ip-on-launch aws_subnet.listed
resource "aws_subnet" "listed" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.6.0/24"
}

resource "aws_route_table" "listed" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "listed" {
  route_table_id             = aws_route_table.listed.id
  destination_prefix_list_id = aws_ec2_managed_prefix_list.everything.id
  gateway_id                 = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "listed" {
  subnet_id      = aws_subnet.listed.id
  route_table_id = aws_route_table.listed.id
}

# want: fail public-subnet aws_efs_mount_target.listed subnet_id
resource "aws_efs_mount_target" "listed" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.listed.id
}

# A prefix list of others, whose addresses are not in the plan.
# want: pass public-ip-on-launch aws_subnet.foreign_list
resource "aws_subnet" "foreign_list" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.7.0/24"
}

resource "aws_route_table" "foreign_list" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "foreign_list" {
  route_table_id             = aws_route_table.foreign_list.id
  destination_prefix_list_id = "pl-0a"
  gateway_id                 = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "foreign_list" {
  subnet_id      = aws_subnet.foreign_list.id
  route_table_id = aws_route_table.foreign_list.id
}

# want: undetermined public-subnet aws_efs_mount_target.foreign_list subnet_id
resource "aws_efs_mount_target" "foreign_list" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.foreign_list.id
}

# Several tables for several subnets, one for each key.
# want: pass public-ip-on-launch aws_subnet.zone["a"]
# want: pass public-ip-on-launch aws_subnet.zone["b"]
resource "aws_subnet" "zone" {
  for_each = { a = "10.0.8.0/24", b = "10.0.9.0/24" }

  vpc_id     = aws_vpc.main.id
  cidr_block = each.value
}

resource "aws_route_table_association" "zone" {
  for_each = aws_subnet.zone

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

# want: fail public-subnet aws_eks_fargate_profile.zones subnet_ids
resource "aws_eks_fargate_profile" "zones" {
  cluster_name           = "cluster"
  fargate_profile_name   = "zones"
  pod_execution_role_arn = "arn:aws:iam::123456789012:role/app"
  subnet_ids             = [for s in aws_subnet.zone : s.id]
  selector {
    namespace = "default"
  }
}

# The main table, which an association has replaced, with a route to the internet.
resource "aws_vpc" "replaced" {
  cidr_block = "10.1.0.0/16"
}

resource "aws_internet_gateway" "replaced" {
  vpc_id = aws_vpc.replaced.id
}

resource "aws_route_table" "replaced" {
  vpc_id = aws_vpc.replaced.id
  route {
    ipv6_cidr_block = "::/0"
    gateway_id      = aws_internet_gateway.replaced.id
  }
}

resource "aws_main_route_table_association" "replaced" {
  vpc_id         = aws_vpc.replaced.id
  route_table_id = aws_route_table.replaced.id
}

# want: pass public-ip-on-launch aws_subnet.replaced
resource "aws_subnet" "replaced" {
  vpc_id     = aws_vpc.replaced.id
  cidr_block = "10.1.1.0/24"
}

# want: fail public-subnet aws_efs_mount_target.replaced subnet_id
resource "aws_efs_mount_target" "replaced" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.replaced.id
}

# A route in the VPC's own main table.
resource "aws_vpc" "own" {
  cidr_block = "10.2.0.0/16"
}

resource "aws_internet_gateway" "own" {
  vpc_id = aws_vpc.own.id
}

resource "aws_route" "own" {
  route_table_id         = aws_vpc.own.main_route_table_id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.own.id
}

# want: pass public-ip-on-launch aws_subnet.own
resource "aws_subnet" "own" {
  vpc_id     = aws_vpc.own.id
  cidr_block = "10.2.1.0/24"
}

# want: fail public-subnet aws_efs_mount_target.own subnet_id
resource "aws_efs_mount_target" "own" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.own.id
}

# An adopted default table has the routes that are written and no others.
resource "aws_vpc" "adopted" {
  cidr_block = "10.3.0.0/16"
}

resource "aws_default_route_table" "adopted" {
  default_route_table_id = aws_vpc.adopted.default_route_table_id
  route                  = []
}

# want: pass public-ip-on-launch aws_subnet.adopted
resource "aws_subnet" "adopted" {
  vpc_id     = aws_vpc.adopted.id
  cidr_block = "10.3.1.0/24"
}

# want: pass public-subnet aws_efs_mount_target.adopted
resource "aws_efs_mount_target" "adopted" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.adopted.id
}

# AWS makes the default VPC with a way to the internet, and its subnets with public addresses.
resource "aws_default_vpc" "default" {}

# want: fail public-ip-on-launch aws_default_subnet.a map_public_ip_on_launch
resource "aws_default_subnet" "a" {
  availability_zone = "eu-central-1a"
}

# want: fail public-subnet aws_efs_mount_target.default_subnet subnet_id
resource "aws_efs_mount_target" "default_subnet" {
  file_system_id = "fs-0a"
  subnet_id      = aws_default_subnet.a.id
}

# want: pass public-ip-on-launch aws_subnet.in_default
resource "aws_subnet" "in_default" {
  vpc_id     = aws_default_vpc.default.id
  cidr_block = "172.31.200.0/24"
}

# want: undetermined(warn) public-subnet aws_efs_mount_target.in_default subnet_id
resource "aws_efs_mount_target" "in_default" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.in_default.id
}

# A gateway and a destination that only the apply will tell.
# want: pass public-ip-on-launch aws_subnet.later
resource "aws_subnet" "later" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.10.0/24"
}

resource "aws_route_table" "later" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "later" {
  route_table_id         = aws_route_table.later.id
  destination_cidr_block = terraform_data.later.id
  gateway_id             = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "later" {
  subnet_id      = aws_subnet.later.id
  route_table_id = aws_route_table.later.id
}

# want: undetermined public-subnet aws_efs_mount_target.later subnet_id
resource "aws_efs_mount_target" "later" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.later.id
}

# A subnet that is made elsewhere, in a table that is made here.
resource "aws_route_table_association" "elsewhere" {
  subnet_id      = "subnet-0elsewhere"
  route_table_id = aws_route_table.public.id
}

# want: fail public-subnet aws_efs_mount_target.elsewhere subnet_id
resource "aws_efs_mount_target" "elsewhere" {
  file_system_id = "fs-0a"
  subnet_id      = "subnet-0elsewhere"
}

# Two groups of one name in two regions.
provider "aws" {
  alias                       = "us"
  region                      = "us-east-1"
  access_key                  = "fixture"
  secret_key                  = "fixture"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

resource "aws_elasticache_subnet_group" "europe" {
  name       = "cache"
  subnet_ids = [aws_subnet.private.id]
}

resource "aws_elasticache_subnet_group" "america" {
  provider   = aws.us
  name       = "cache"
  subnet_ids = [aws_subnet.public.id]
}

# want: pass public-subnet aws_elasticache_replication_group.europe
resource "aws_elasticache_replication_group" "europe" {
  replication_group_id = "cache"
  description          = "cache"
  node_type            = "cache.t3.micro"
  subnet_group_name    = "cache"
}

# want: fail public-subnet aws_elasticache_replication_group.america subnet_group_name
resource "aws_elasticache_replication_group" "america" {
  provider             = aws.us
  replication_group_id = "cache"
  description          = "cache"
  node_type            = "cache.t3.micro"
  subnet_group_name    = "cache"
}

# want: undetermined(warn) public-subnet aws_elasticache_replication_group.foreign subnet_group_name
resource "aws_elasticache_replication_group" "foreign" {
  replication_group_id = "foreign"
  description          = "foreign"
  node_type            = "cache.t3.micro"
  subnet_group_name    = "made-elsewhere"
}

# The VPC by way of a second address range.
resource "aws_vpc" "wide" {
  cidr_block = "10.4.0.0/16"
}

resource "aws_vpc_ipv4_cidr_block_association" "wide" {
  vpc_id     = aws_vpc.wide.id
  cidr_block = "10.5.0.0/16"
}

# want: pass public-ip-on-launch aws_subnet.wide
resource "aws_subnet" "wide" {
  vpc_id     = aws_vpc_ipv4_cidr_block_association.wide.vpc_id
  cidr_block = "10.5.1.0/24"
}

# want: pass public-subnet aws_efs_mount_target.wide
resource "aws_efs_mount_target" "wide" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.wide.id
}
