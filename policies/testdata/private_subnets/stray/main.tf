# Routes and associations that cannot be followed: a local is not in the plan. What else stands in the network may be theirs.

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table" "known" {
  count = 2

  vpc_id = aws_vpc.main.id
}

locals {
  table = aws_route_table.known[0].id
}

resource "aws_route" "stray" {
  route_table_id         = local.table
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}

# want: pass public-ip-on-launch aws_subnet.a
resource "aws_subnet" "a" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.1.0/24"
}

resource "aws_route_table_association" "a" {
  subnet_id      = aws_subnet.a.id
  route_table_id = aws_route_table.known[0].id
}

# want: undetermined(warn) public-subnet aws_efs_mount_target.a subnet_id
resource "aws_efs_mount_target" "a" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.a.id
}

# A route in each of two tables, by count.
resource "aws_route_table" "counted" {
  count = 2

  vpc_id = aws_vpc.main.id
}

resource "aws_route_table" "single" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route" "counted" {
  count = 3

  route_table_id         = element(concat(aws_route_table.counted[*].id, [aws_route_table.single.id]), count.index)
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}

# want: pass public-ip-on-launch aws_subnet.b
resource "aws_subnet" "b" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.2.0/24"
}

resource "aws_route_table_association" "b" {
  subnet_id      = aws_subnet.b.id
  route_table_id = aws_route_table.single.id
}

# want: fail public-subnet aws_efs_mount_target.b subnet_id
resource "aws_efs_mount_target" "b" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.b.id
}
