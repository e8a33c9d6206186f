# What makes a subnet public: its route table, or addresses on launch. First plan, so nothing has an id.

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_vpn_gateway" "office" {
  vpc_id = aws_vpc.main.id
}

# Public by a route inside the table. The name does not matter.
# want: pass public-ip-on-launch aws_subnet.private_by_name
resource "aws_subnet" "private_by_name" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.1.0/24"
}

resource "aws_route_table" "inline" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "inline" {
  subnet_id      = aws_subnet.private_by_name.id
  route_table_id = aws_route_table.inline.id
}

# Public by a route of its own, for IPv6.
# want: pass public-ip-on-launch aws_subnet.six
resource "aws_subnet" "six" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.2.0/24"
}

resource "aws_route_table" "six" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "six" {
  route_table_id              = aws_route_table.six.id
  destination_ipv6_cidr_block = "::/0"
  gateway_id                  = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "six" {
  subnet_id      = aws_subnet.six.id
  route_table_id = aws_route_table.six.id
}

# Public by addresses on launch, whatever its routes.
# want: fail public-ip-on-launch aws_subnet.on_launch map_public_ip_on_launch
resource "aws_subnet" "on_launch" {
  vpc_id                  = aws_vpc.main.id
  cidr_block              = "10.0.3.0/24"
  map_public_ip_on_launch = true
}

# Private: the way out is a NAT gateway, which itself may stand in a public subnet.
# want: pass public-ip-on-launch aws_subnet.nat[0]
# want: pass public-ip-on-launch aws_subnet.nat[1]
resource "aws_subnet" "nat" {
  count = 2

  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.${count.index + 10}.0/24"
}

resource "aws_nat_gateway" "main" {
  subnet_id         = aws_subnet.private_by_name.id
  connectivity_type = "private"
}

resource "aws_route_table" "nat" {
  count = 2

  vpc_id = aws_vpc.main.id
  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.main.id
  }
}

resource "aws_route_table_association" "nat" {
  count = 2

  subnet_id      = element(aws_subnet.nat[*].id, count.index)
  route_table_id = element(aws_route_table.nat[*].id, count.index)
}

# Private: everything goes to the office.
# want: pass public-ip-on-launch aws_subnet.office
resource "aws_subnet" "office" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.4.0/24"
}

resource "aws_route_table" "office" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_vpn_gateway.office.id
  }
}

resource "aws_route_table_association" "office" {
  subnet_id      = aws_subnet.office.id
  route_table_id = aws_route_table.office.id
}

# Private: a new VPC's main table leads nowhere.
# want: pass public-ip-on-launch aws_subnet.main
resource "aws_subnet" "main" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.5.0/24"
}

# One resource for both kinds: only the key tells them apart.
# want: pass public-ip-on-launch aws_subnet.both["private"]
# want: pass public-ip-on-launch aws_subnet.both["public"]
resource "aws_subnet" "both" {
  for_each = { private = "10.0.6.0/24", public = "10.0.7.0/24" }

  vpc_id     = aws_vpc.main.id
  cidr_block = each.value
}

resource "aws_route_table" "both" {
  for_each = aws_subnet.both

  vpc_id = aws_vpc.main.id
}

resource "aws_route" "both" {
  route_table_id         = aws_route_table.both["public"].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "both" {
  for_each = aws_subnet.both

  subnet_id      = each.value.id
  route_table_id = aws_route_table.both[each.key].id
}

# --- Workloads ---

# want: pass public-address aws_instance.inline
# want: fail public-subnet aws_instance.inline subnet_id
resource "aws_instance" "inline" {
  ami           = "ami-0a"
  instance_type = "t3.micro"
  subnet_id     = aws_subnet.private_by_name.id
}

# want: fail public-subnet aws_lambda_function.six vpc_config[0].subnet_ids
resource "aws_lambda_function" "six" {
  function_name = "six"
  role          = "arn:aws:iam::123456789012:role/app"
  image_uri     = "app:1"
  package_type  = "Image"
  vpc_config {
    subnet_ids         = [aws_subnet.six.id]
    security_group_ids = ["sg-0a"]
  }
}

# want: fail public-subnet aws_efs_mount_target.on_launch subnet_id
resource "aws_efs_mount_target" "on_launch" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.on_launch.id
}

# want: pass public-address aws_ecs_service.nat
# want: pass public-subnet aws_ecs_service.nat
resource "aws_ecs_service" "nat" {
  name            = "nat"
  task_definition = "app:1"
  network_configuration {
    subnets = aws_subnet.nat[*].id
  }
}

# want: pass public-subnet aws_efs_mount_target.nat[0]
# want: pass public-subnet aws_efs_mount_target.nat[1]
resource "aws_efs_mount_target" "nat" {
  count = 2

  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.nat[count.index].id
}

# want: pass public-subnet aws_efs_mount_target.office
resource "aws_efs_mount_target" "office" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.office.id
}

# want: pass public-subnet aws_efs_mount_target.main
resource "aws_efs_mount_target" "main" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.main.id
}

# want: pass public-subnet aws_efs_mount_target.both["private"]
# want: fail public-subnet aws_efs_mount_target.both["public"] subnet_id
resource "aws_efs_mount_target" "both" {
  for_each = aws_subnet.both

  file_system_id = "fs-0a"
  subnet_id      = each.value.id
}

# A list of private and public subnets; nothing in it could choose between them.
# want: fail public-subnet aws_eks_fargate_profile.mixed subnet_ids
resource "aws_eks_fargate_profile" "mixed" {
  cluster_name           = "cluster"
  fargate_profile_name   = "mixed"
  pod_execution_role_arn = "arn:aws:iam::123456789012:role/app"
  subnet_ids             = concat(aws_subnet.nat[*].id, [aws_subnet.six.id])
  selector {
    namespace = "default"
  }
}

# Locals are not in the plan.
locals {
  subnets = aws_subnet.nat[*].id
}

# want: undetermined(warn) public-subnet aws_autoscaling_group.local vpc_zone_identifier
resource "aws_autoscaling_group" "local" {
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  vpc_zone_identifier  = local.subnets
}

# Through a subnet group, whose name the plan knows. The finding is the database's.
resource "aws_db_subnet_group" "public" {
  name       = "public"
  subnet_ids = [aws_subnet.private_by_name.id, aws_subnet.six.id]
}

# want: pass public-address aws_db_instance.public
# want: fail public-subnet aws_db_instance.public db_subnet_group_name
resource "aws_db_instance" "public" {
  instance_class       = "db.t3.micro"
  engine               = "postgres"
  allocated_storage    = 20
  username             = "payments"
  password             = "not-a-secret"
  skip_final_snapshot  = true
  db_subnet_group_name = aws_db_subnet_group.public.name
}

# The same, with a name that only AWS will know.
resource "aws_elasticache_subnet_group" "private" {
  name       = "private-${aws_vpc.main.id}"
  subnet_ids = aws_subnet.nat[*].id
}

# want: pass public-subnet aws_elasticache_replication_group.private
resource "aws_elasticache_replication_group" "private" {
  replication_group_id = "private"
  description          = "private"
  node_type            = "cache.t3.micro"
  subnet_group_name    = aws_elasticache_subnet_group.private.name
}
