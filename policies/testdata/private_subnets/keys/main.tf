# Lists and choices of subnets by key, through modules, and with a subnet or an association that stays unclear.

variable "first" {
  type    = bool
  default = true
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

# want: pass public-ip-on-launch aws_subnet.all["private"]
# want: pass public-ip-on-launch aws_subnet.all["public"]
resource "aws_subnet" "all" {
  for_each = { private = "10.0.1.0/24", public = "10.0.2.0/24" }

  vpc_id     = aws_vpc.main.id
  cidr_block = each.value
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.all["public"].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  subnet_id      = aws_subnet.all["private"].id
  route_table_id = aws_route_table.private.id
}

# Any of them, for all that the plan tells.
# want: undetermined public-subnet aws_eks_fargate_profile.filtered subnet_ids
resource "aws_eks_fargate_profile" "filtered" {
  cluster_name           = "cluster"
  fargate_profile_name   = "filtered"
  pod_execution_role_arn = "arn:aws:iam::123456789012:role/app"
  subnet_ids             = [for k, s in aws_subnet.all : s.id if k == "private"]
  selector {
    namespace = "default"
  }
}

# want: undetermined public-subnet aws_efs_mount_target.element subnet_id
resource "aws_efs_mount_target" "element" {
  file_system_id = "fs-0a"
  subnet_id      = element([aws_subnet.all["private"].id, aws_subnet.all["public"].id], 0)
}

# want: pass public-address module.service["private"].aws_ecs_service.this
# want: undetermined public-subnet module.service["private"].aws_ecs_service.this network_configuration[0].subnets
# want: pass public-address module.service["public"].aws_ecs_service.this
# want: undetermined public-subnet module.service["public"].aws_ecs_service.this network_configuration[0].subnets
module "service" {
  source = "./service"
  for_each = {
    private = [aws_subnet.single.id]
    public  = [aws_subnet.all["public"].id]
  }

  subnets = each.value
}

# want: pass public-address module.both.aws_ecs_service.this
# want: fail public-subnet module.both.aws_ecs_service.this network_configuration[0].subnets
module "both" {
  source  = "./service"
  subnets = [aws_subnet.single.id, aws_subnet.launching.id]
}

# want: pass public-ip-on-launch aws_subnet.single
resource "aws_subnet" "single" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.3.0/24"
}

resource "aws_route_table_association" "single" {
  subnet_id      = aws_subnet.single.id
  route_table_id = aws_route_table.private.id
}

# want: fail public-ip-on-launch aws_subnet.launching map_public_ip_on_launch
resource "aws_subnet" "launching" {
  vpc_id                  = aws_vpc.main.id
  cidr_block              = "10.0.4.0/24"
  map_public_ip_on_launch = true
}

# want: undetermined public-ip-on-launch aws_subnet.unknown map_public_ip_on_launch
resource "aws_subnet" "unknown" {
  vpc_id                  = aws_vpc.main.id
  cidr_block              = "10.0.5.0/24"
  map_public_ip_on_launch = terraform_data.later.id == "x"
}

resource "aws_route_table_association" "unknown" {
  subnet_id      = aws_subnet.unknown.id
  route_table_id = aws_route_table.private.id
}

# want: undetermined(warn) public-subnet aws_efs_mount_target.unknown subnet_id
resource "aws_efs_mount_target" "unknown" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.unknown.id
}

# One association for either of two subnets.
# want: pass public-ip-on-launch aws_subnet.one
resource "aws_subnet" "one" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.6.0/24"
}

# want: pass public-ip-on-launch aws_subnet.other
resource "aws_subnet" "other" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.7.0/24"
}

resource "aws_route_table_association" "either" {
  subnet_id      = var.first ? aws_subnet.one.id : aws_subnet.other.id
  route_table_id = aws_route_table.private.id
}

# want: undetermined(warn) public-subnet aws_efs_mount_target.one subnet_id
resource "aws_efs_mount_target" "one" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.one.id
}

# An association of a gateway is about no subnet.
resource "aws_route_table_association" "gateway" {
  gateway_id     = aws_internet_gateway.main.id
  route_table_id = aws_route_table.private.id
}

# A VPC of others, whose main table is not in the plan.
# want: pass public-ip-on-launch aws_subnet.foreign
resource "aws_subnet" "foreign" {
  vpc_id     = "vpc-0a"
  cidr_block = "10.0.8.0/24"
}

# want: undetermined(warn) public-subnet aws_efs_mount_target.foreign subnet_id
resource "aws_efs_mount_target" "foreign" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.foreign.id
}

# want: pass public-ip-on-launch aws_subnet.foreign_table
resource "aws_subnet" "foreign_table" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.9.0/24"
}

resource "aws_route_table_association" "foreign_table" {
  subnet_id      = aws_subnet.foreign_table.id
  route_table_id = "rtb-0a"
}

# want: undetermined(warn) public-subnet aws_efs_mount_target.foreign_table subnet_id
resource "aws_efs_mount_target" "foreign_table" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.foreign_table.id
}

# A prefix list with addresses of ours only.
resource "aws_ec2_managed_prefix_list" "ours" {
  name           = "ours"
  address_family = "IPv4"
  max_entries    = 1
  entry {
    cidr = "10.9.0.0/16"
  }
}

resource "aws_route" "ours" {
  route_table_id             = aws_route_table.private.id
  destination_prefix_list_id = aws_ec2_managed_prefix_list.ours.id
  gateway_id                 = aws_internet_gateway.main.id
}

# want: pass public-subnet aws_efs_mount_target.single
resource "aws_efs_mount_target" "single" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.single.id
}

# A group by the name that the plan knows before the id.
resource "aws_dms_replication_subnet_group" "launching" {
  replication_subnet_group_id          = "launching"
  replication_subnet_group_description = "launching"
  subnet_ids                           = [aws_subnet.launching.id, aws_subnet.single.id]
}

# want: pass public-address aws_dms_replication_instance.launching
# want: fail public-subnet aws_dms_replication_instance.launching replication_subnet_group_id
resource "aws_dms_replication_instance" "launching" {
  replication_instance_id     = "launching"
  replication_instance_class  = "dms.t3.micro"
  replication_subnet_group_id = "launching"
}

# A gateway by way of its attachment.
resource "aws_internet_gateway" "attached" {}

resource "aws_internet_gateway_attachment" "attached" {
  internet_gateway_id = aws_internet_gateway.attached.id
  vpc_id              = aws_vpc.main.id
}

resource "aws_route_table" "attached" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "attached" {
  route_table_id         = aws_route_table.attached.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway_attachment.attached.internet_gateway_id
}

# want: pass public-ip-on-launch aws_subnet.attached
resource "aws_subnet" "attached" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.10.0/24"
}

resource "aws_route_table_association" "attached" {
  subnet_id      = aws_subnet.attached.id
  route_table_id = aws_route_table.attached.id
}

# want: fail public-subnet aws_efs_mount_target.attached subnet_id
resource "aws_efs_mount_target" "attached" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.attached.id
}

# A NAT gateway in the attribute for internet gateways is a NAT gateway still.
resource "aws_nat_gateway" "main" {
  subnet_id         = aws_subnet.single.id
  connectivity_type = "private"
}

resource "aws_route_table" "nat" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_nat_gateway.main.id
  }
}

# want: pass public-ip-on-launch aws_subnet.nat
resource "aws_subnet" "nat" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.11.0/24"
}

resource "aws_route_table_association" "nat" {
  subnet_id      = aws_subnet.nat.id
  route_table_id = aws_route_table.nat.id
}

# want: pass public-subnet aws_efs_mount_target.nat
resource "aws_efs_mount_target" "nat" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.nat.id
}

# A gateway that comes from a local, beside another that does not.
locals {
  gateway = aws_internet_gateway.main.id
}

resource "aws_route_table" "local" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = local.gateway
  }
  route {
    cidr_block     = "10.9.0.0/16"
    nat_gateway_id = aws_nat_gateway.main.id
  }
}

# want: pass public-ip-on-launch aws_subnet.local
resource "aws_subnet" "local" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.12.0/24"
}

resource "aws_route_table_association" "local" {
  subnet_id      = aws_subnet.local.id
  route_table_id = aws_route_table.local.id
}

# want: undetermined(warn) public-subnet aws_efs_mount_target.local subnet_id
resource "aws_efs_mount_target" "local" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.local.id
}

# Two calls of one module, whose groups have the same name.
# want: pass public-subnet module.store.aws_elasticache_replication_group.this
module "store" {
  source  = "./store"
  subnets = [aws_subnet.single.id]
}

# want: fail public-subnet module.open_store.aws_elasticache_replication_group.this subnet_group_name
module "open_store" {
  source  = "./store"
  subnets = [aws_subnet.launching.id]
}

# Subnets that are named with their keys are all in the list.
# want: fail public-subnet aws_eks_fargate_profile.named subnet_ids
resource "aws_eks_fargate_profile" "named" {
  cluster_name           = "cluster"
  fargate_profile_name   = "named"
  pod_execution_role_arn = "arn:aws:iam::123456789012:role/app"
  subnet_ids             = [aws_subnet.all["private"].id, aws_subnet.all["public"].id]
  selector {
    namespace = "default"
  }
}

# The plan does not tell which of the two routes leads to which gateway.
resource "aws_vpn_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table" "two" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_vpn_gateway.main.id
  }
  route {
    cidr_block = "192.168.0.0/16"
    gateway_id = aws_internet_gateway.main.id
  }
}

# want: pass public-ip-on-launch aws_subnet.two
resource "aws_subnet" "two" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.13.0/24"
}

resource "aws_route_table_association" "two" {
  subnet_id      = aws_subnet.two.id
  route_table_id = aws_route_table.two.id
}

# want: undetermined public-subnet aws_efs_mount_target.two subnet_id
resource "aws_efs_mount_target" "two" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.two.id
}
