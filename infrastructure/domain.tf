locals {
  api_host        = var.domain_name == null ? null : "api-${var.environment_suffix}.${var.domain_name}"
  certificate_arn = var.domain_name == null ? var.certificate_arn : module.certificate[0].arn
}

data "aws_route53_zone" "public" {
  count = var.domain_name == null ? 0 : 1

  name         = var.domain_name
  private_zone = false
}

module "certificate" {
  source = "./modules/certificate"
  count  = var.domain_name == null ? 0 : 1

  domain_name = local.api_host
  zone_id     = data.aws_route53_zone.public[0].zone_id
}

resource "aws_route53_record" "api" {
  count = var.domain_name == null ? 0 : 1

  zone_id = data.aws_route53_zone.public[0].zone_id
  name    = local.api_host
  type    = "A"

  alias {
    name                   = module.load_balancer.dns_name
    zone_id                = module.load_balancer.zone_id
    evaluate_target_health = true
  }
}
