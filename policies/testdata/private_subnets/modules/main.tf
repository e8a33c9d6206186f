# Subnets that workloads get through modules: outputs, variables, keys, modules within modules.

module "network" {
  source   = "./network"
  for_each = toset(["blue", "green"])
}

module "service" {
  source  = "./service"
  subnets = module.network["blue"].private
}

module "exposed" {
  source  = "./service"
  subnets = module.network["green"].public
}

module "dotted" {
  source   = "./service"
  for_each = { "a.b[0]" = module.network["blue"].private }

  subnets = each.value
}

module "pieces" {
  source = "./wrapper"
  subnets = {
    web = module.network["blue"].public
  }
}

# want: pass public-address module.dotted["a.b[0]"].aws_ecs_service.this
# want: pass public-subnet module.dotted["a.b[0]"].aws_ecs_service.this
# want: pass public-address module.exposed.aws_ecs_service.this
# want: fail public-subnet module.exposed.aws_ecs_service.this network_configuration[0].subnets
# want: pass public-ip-on-launch module.network["blue"].aws_subnet.private
# want: pass public-ip-on-launch module.network["blue"].aws_subnet.public
# want: pass public-ip-on-launch module.network["green"].aws_subnet.private
# want: pass public-ip-on-launch module.network["green"].aws_subnet.public
# want: pass public-address module.pieces.module.inner.aws_ecs_service.this
# want: fail public-subnet module.pieces.module.inner.aws_ecs_service.this network_configuration[0].subnets
# want: pass public-address module.service.aws_ecs_service.this
# want: pass public-subnet module.service.aws_ecs_service.this

# One module for both kinds: the key tells them apart.
module "tier" {
  source   = "./tier"
  for_each = { private = false, public = true }

  vpc_id   = module.network["blue"].vpc_id
  internet = each.value
  gateway  = module.network["blue"].gateway
}

# want: pass public-ip-on-launch module.tier["private"].aws_subnet.this
# want: pass public-ip-on-launch module.tier["public"].aws_subnet.this

module "tiered" {
  source  = "./service"
  subnets = module.tier["private"].subnets
}

# want: pass public-address module.tiered.aws_ecs_service.this
# want: pass public-subnet module.tiered.aws_ecs_service.this

module "untiered" {
  source  = "./service"
  subnets = module.tier["public"].subnets
}

# want: pass public-address module.untiered.aws_ecs_service.this
# want: fail public-subnet module.untiered.aws_ecs_service.this network_configuration[0].subnets

module "all_tiers" {
  source  = "./service"
  subnets = flatten(values(module.tier)[*].subnets)
}

# The plan's configuration only says module.tier.
# want: pass public-address module.all_tiers.aws_ecs_service.this
# want: undetermined(warn) public-subnet module.all_tiers.aws_ecs_service.this network_configuration[0].subnets

# Nodes in the subnets that the cluster already has.
# want: fail(warn) public-endpoint aws_eks_cluster.this vpc_config[0].endpoint_public_access
# want: pass public-subnet aws_eks_cluster.this
resource "aws_eks_cluster" "this" {
  name     = "this"
  role_arn = "arn:aws:iam::123456789012:role/app"
  vpc_config {
    subnet_ids = module.network["green"].private
  }
}

# want: pass public-subnet aws_eks_node_group.this
resource "aws_eks_node_group" "this" {
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "this"
  node_role_arn   = "arn:aws:iam::123456789012:role/app"
  subnet_ids      = aws_eks_cluster.this.vpc_config[0].subnet_ids
  scaling_config {
    desired_size = 1
    max_size     = 1
    min_size     = 1
  }
}

# Partly from a local, which is not in the plan.
locals {
  more = [module.network["blue"].private[0]]
}

# want: undetermined(warn) public-subnet aws_eks_fargate_profile.partly subnet_ids
resource "aws_eks_fargate_profile" "partly" {
  cluster_name           = "cluster"
  fargate_profile_name   = "partly"
  pod_execution_role_arn = "arn:aws:iam::123456789012:role/app"
  subnet_ids             = concat(module.network["green"].private, local.more)
  selector {
    namespace = "default"
  }
}
