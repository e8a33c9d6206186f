variable "subnets" {
  type = map(list(string))
}

module "inner" {
  source  = "../service"
  subnets = var.subnets["web"]
}
