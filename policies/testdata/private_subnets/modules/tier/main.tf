variable "vpc_id" {
  type = string
}

variable "internet" {
  type = bool
}

variable "gateway" {
  type = string
}

resource "aws_subnet" "this" {
  vpc_id     = var.vpc_id
  cidr_block = "10.0.9.0/24"
}

resource "aws_route_table" "this" {
  vpc_id = var.vpc_id
}

resource "aws_route" "internet" {
  count = var.internet ? 1 : 0

  route_table_id         = aws_route_table.this.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = var.gateway
}

resource "aws_route_table_association" "this" {
  subnet_id      = aws_subnet.this.id
  route_table_id = aws_route_table.this.id
}

output "subnets" {
  value = [aws_subnet.this.id]
}
