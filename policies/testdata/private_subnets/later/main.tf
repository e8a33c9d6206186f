# A plan on a network that exists, so everything has an id. before.state holds what is not said to be new.

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

# want: pass(no-op) public-ip-on-launch aws_subnet.public
resource "aws_subnet" "public" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.1.0/24"
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

# want: pass(no-op) public-ip-on-launch aws_subnet.private
resource "aws_subnet" "private" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.2.0/24"
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table_association" "private" {
  subnet_id      = aws_subnet.private.id
  route_table_id = aws_route_table.private.id
}

# want: pass(no-op) public-ip-on-launch aws_subnet.opened
resource "aws_subnet" "opened" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.3.0/24"
}

resource "aws_route_table" "opened" {
  vpc_id = aws_vpc.main.id
}

resource "aws_route_table_association" "opened" {
  subnet_id      = aws_subnet.opened.id
  route_table_id = aws_route_table.opened.id
}

# New: it opens a subnet whose workloads nobody touches.
resource "aws_route" "opening" {
  route_table_id         = aws_route_table.opened.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}

# want: fail(no-op) public-subnet aws_efs_mount_target.public subnet_id
resource "aws_efs_mount_target" "public" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.public.id
}

# Found by id, without a reference in the code.
# want: pass(no-op) public-subnet aws_efs_mount_target.private
resource "aws_efs_mount_target" "private" {
  file_system_id = "fs-0a"
  subnet_id      = "subnet-0private"
}

# Untouched, but no longer private: this blocks.
# want: fail public-subnet aws_efs_mount_target.opened subnet_id
resource "aws_efs_mount_target" "opened" {
  file_system_id = "fs-0a"
  subnet_id      = aws_subnet.opened.id
}

# New. A list that is known is no choice: one public subnet in it is enough.
# want: pass public-address aws_ecs_service.both
# want: fail public-subnet aws_ecs_service.both network_configuration[0].subnets
resource "aws_ecs_service" "both" {
  name            = "both"
  task_definition = "app:1"
  network_configuration {
    subnets = [aws_subnet.private.id, aws_subnet.public.id]
  }
}

# New. The subnet is made by other code.
# want: undetermined(warn) public-subnet aws_efs_mount_target.elsewhere subnet_id
resource "aws_efs_mount_target" "elsewhere" {
  file_system_id = "fs-0a"
  subnet_id      = "subnet-0elsewhere"
}
