# What carries traffic besides load balancers: VPN, VPC Lattice, App Mesh, Lightsail, websites.

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass encryption aws_vpn_connection.modern
resource "aws_vpn_connection" "modern" {
  customer_gateway_id                  = "cgw-0a"
  vpn_gateway_id                       = "vgw-0a"
  type                                 = "ipsec.1"
  tunnel1_ike_versions                 = ["ikev2"]
  tunnel1_phase1_integrity_algorithms  = ["SHA2-256"]
  tunnel1_phase1_dh_group_numbers      = [20]
  tunnel1_phase1_encryption_algorithms = ["AES256"]
  tunnel2_ike_versions                 = ["ikev2"]
}

# want: fail encryption aws_vpn_connection.old tunnel1_ike_versions
# want: fail encryption aws_vpn_connection.old tunnel1_phase1_dh_group_numbers
# want: fail encryption aws_vpn_connection.old tunnel1_phase2_integrity_algorithms
# want: undetermined encryption aws_vpn_connection.old tunnel2_ike_versions
resource "aws_vpn_connection" "old" {
  customer_gateway_id                 = "cgw-0a"
  vpn_gateway_id                      = "vgw-0a"
  type                                = "ipsec.1"
  tunnel1_ike_versions                = ["ikev1", "ikev2"]
  tunnel1_phase1_dh_group_numbers     = [2, 14]
  tunnel1_phase2_integrity_algorithms = ["SHA1"]
  tunnel2_ike_versions                = [terraform_data.later.id]
}

# AWS then takes what the other side offers.
# want: undetermined(warn) encryption aws_vpn_connection.unset tunnel1_ike_versions
# want: undetermined(warn) encryption aws_vpn_connection.unset tunnel2_ike_versions
resource "aws_vpn_connection" "unset" {
  customer_gateway_id = "cgw-0a"
  vpn_gateway_id      = "vgw-0a"
  type                = "ipsec.1"
}

locals {
  protocols = {
    # want: pass encryption aws_vpclattice_listener.this["https"]
    https = "HTTPS"
    # want: fail encryption aws_vpclattice_listener.this["http"] protocol
    http = "HTTP"
  }
}

resource "aws_vpclattice_listener" "this" {
  for_each = local.protocols

  name               = each.key
  protocol           = each.value
  service_identifier = "svc-0a"
  default_action {
    fixed_response {
      status_code = 404
    }
  }
}

# want: fail(warn) encryption aws_appmesh_virtual_gateway.permissive spec[0].listener[0].tls[0].mode
resource "aws_appmesh_virtual_gateway" "permissive" {
  name      = "permissive"
  mesh_name = "payments"
  spec {
    listener {
      port_mapping {
        port     = 8443
        protocol = "http"
      }
      tls {
        mode = "PERMISSIVE"
        certificate {
          acm {
            certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
          }
        }
      }
    }
  }
}

# want: fail encryption aws_lightsail_lb_https_redirection_policy.off enabled
resource "aws_lightsail_lb_https_redirection_policy" "off" {
  enabled = false
  lb_name = "payments"
}

# want: pass encryption aws_lightsail_lb_https_redirection_policy.on
resource "aws_lightsail_lb_https_redirection_policy" "on" {
  enabled = true
  lb_name = "payments"
}

# want: fail(warn) encryption aws_lightsail_distribution.plain origin[0].protocol_policy
resource "aws_lightsail_distribution" "plain" {
  name      = "plain"
  bundle_id = "small_1_0"
  origin {
    name            = "payments"
    region_name     = "eu-central-1"
    protocol_policy = "http-only"
  }
  default_cache_behavior {
    behavior = "cache"
  }
}

# want: pass encryption aws_s3_bucket_website_configuration.redirect
resource "aws_s3_bucket_website_configuration" "redirect" {
  bucket = "payments"
  redirect_all_requests_to {
    host_name = "www.example.com"
    protocol  = "https"
  }
}

# Without a protocol the redirect keeps that of the request, and a website of S3 speaks HTTP only.
# want: fail(warn) encryption aws_s3_bucket_website_configuration.keeps redirect_all_requests_to[0].protocol
resource "aws_s3_bucket_website_configuration" "keeps" {
  bucket = "payments"
  redirect_all_requests_to {
    host_name = "www.example.com"
  }
}

# want: fail(warn) encryption aws_s3_bucket_website_configuration.rule routing_rule[0].redirect[0].protocol
resource "aws_s3_bucket_website_configuration" "rule" {
  bucket = "payments"
  index_document {
    suffix = "index.html"
  }
  routing_rule {
    redirect {
      host_name = "www.example.com"
      protocol  = "http"
    }
  }
}
