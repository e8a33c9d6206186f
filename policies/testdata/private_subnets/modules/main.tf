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
