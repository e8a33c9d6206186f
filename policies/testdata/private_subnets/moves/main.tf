# Moved, removed and forgotten resources, and what a removed association leaves behind. Everything exists.

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_default_route_table" "main" {
  default_route_table_id = aws_vpc.main.default_route_table_id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

# It loses its association with a private route table, so it falls back to the main one.
# want: pass(no-op) public-ip-on-launch aws_subnet.released
resource "aws_subnet" "released" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.3.0/24"
}

# Untouched, but no longer private: this blocks.
# want: fail public-subnet aws_efs_mount_target.released subnet_id
resource "aws_efs_mount_target" "released" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.released.id
}

# want: pass(no-op) public-ip-on-launch aws_subnet.public
resource "aws_subnet" "public" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.1.0/24"
}

# A new name is no change.
# want: fail(no-op) public-subnet aws_efs_mount_target.moved subnet_id
resource "aws_efs_mount_target" "moved" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.public.id
}

moved {
  from = aws_efs_mount_target.old
  to   = aws_efs_mount_target.moved
}

# AWS has filled in the interface of the NAT gateway, which is no workload.
# want: pass(no-op) public-address aws_eip.nat
resource "aws_eip" "nat" {
  domain = "vpc"
}

# want: fail(no-op) public-address aws_eip_association.host instance_id
resource "aws_eip_association" "host" {
  allocation_id = aws_eip.nat.id
  instance_id   = "i-0a"
}

# Forgotten, and so not judged. What before.state holds besides is deleted.
removed {
  from = aws_efs_mount_target.forgotten
  lifecycle {
    destroy = false
  }
}
