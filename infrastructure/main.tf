data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

module "network" {
  source = "./modules/network"

  environment_suffix = var.environment_suffix
  vpc_cidr           = var.vpc_cidr
  kms_key_arn        = aws_kms_key.observability.arn
  log_retention_days = var.log_retention_days
}

module "cluster" {
  source = "./modules/ecs-cluster"

  environment_suffix = var.environment_suffix
  kms_key_arn        = aws_kms_key.observability.arn
  log_retention_days = var.log_retention_days
}

module "load_balancer" {
  source = "./modules/load-balancer"

  environment_suffix  = var.environment_suffix
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.public_subnet_ids
  certificate_arn     = local.certificate_arn
  deletion_protection = var.deletion_protection
  alarm_topic_arn     = aws_sns_topic.alarms.arn

  target = {
    name              = "payment-api"
    port              = var.services["payment-api"].port
    path_patterns     = ["/payments", "/payments/*"]
    health_check_path = var.services["payment-api"].health_check_path
  }
}

module "service" {
  source   = "./modules/ecs-service"
  for_each = var.services

  name                       = each.key
  environment_suffix         = var.environment_suffix
  cluster                    = { arn = module.cluster.arn, name = module.cluster.name }
  capacity_provider_strategy = module.cluster.capacity_provider_strategy
  namespace_arn              = module.cluster.namespace_arn

  image             = "${local.image_registry}/${each.value.image}"
  port              = each.value.port
  health_check_path = each.value.health_check_path
  cpu               = each.value.cpu
  memory            = each.value.memory
  min_tasks         = each.value.min_tasks
  max_tasks         = each.value.max_tasks

  vpc_id                     = module.network.vpc_id
  subnet_ids                 = module.network.private_subnet_ids
  endpoint_security_group_id = module.network.endpoint_security_group_id
  s3_prefix_list_id          = module.network.s3_prefix_list_id
  internet_access            = each.value.internet_access
  load_balancer              = each.key == "payment-api" ? { target_group_arn = module.load_balancer.target_group_arn } : null

  kms_key_arn        = aws_kms_key.observability.arn
  log_retention_days = var.log_retention_days
  alarm_topic_arn    = aws_sns_topic.alarms.arn
}
