variable "subnets" {
  type = list(string)
}

resource "aws_elasticache_subnet_group" "this" {
  name       = "store"
  subnet_ids = var.subnets
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = "store"
  description          = "store"
  node_type            = "cache.t3.micro"
  subnet_group_name    = aws_elasticache_subnet_group.this.name
}
