locals {
  tags = {
    Environment = var.environment
    Team        = var.team
    CostCenter  = var.cost_center
  }

  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  image_registry = coalesce(
    var.image_registry,
    "${local.account_id}.dkr.ecr.${var.aws_region}.${data.aws_partition.current.dns_suffix}",
  )
}
