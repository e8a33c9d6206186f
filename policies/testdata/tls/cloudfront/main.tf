# CloudFront towards viewers and towards origins.

locals {
  certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0a"
}

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass default-certificate aws_cloudfront_distribution.good
# want: pass encryption aws_cloudfront_distribution.good
# want: pass origin aws_cloudfront_distribution.good
# want: pass version aws_cloudfront_distribution.good
resource "aws_cloudfront_distribution" "good" {
  enabled = true
  origin {
    domain_name = "origin.example.com"
    origin_id   = "origin"
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }
  default_cache_behavior {
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "origin"
    cache_policy_id        = "0a"
    viewer_protocol_policy = "redirect-to-https"
  }
  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
  viewer_certificate {
    acm_certificate_arn      = local.certificate
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }
}

# want: fail default-certificate aws_cloudfront_distribution.bad viewer_certificate[0].cloudfront_default_certificate
# want: fail encryption aws_cloudfront_distribution.bad default_cache_behavior[0].viewer_protocol_policy
# want: fail encryption aws_cloudfront_distribution.bad ordered_cache_behavior[1].viewer_protocol_policy
# want: fail origin aws_cloudfront_distribution.bad origin[0].custom_origin_config[0].origin_protocol_policy
# want: fail origin aws_cloudfront_distribution.bad origin[0].custom_origin_config[0].origin_ssl_protocols
resource "aws_cloudfront_distribution" "bad" {
  enabled = true
  origin {
    domain_name = "origin.example.com"
    origin_id   = "origin"
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "match-viewer"
      origin_ssl_protocols   = ["TLSv1", "TLSv1.2"]
    }
  }
  default_cache_behavior {
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "origin"
    cache_policy_id        = "0a"
    viewer_protocol_policy = "allow-all"
  }
  ordered_cache_behavior {
    path_pattern           = "/good/*"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "origin"
    cache_policy_id        = "0a"
    viewer_protocol_policy = "https-only"
  }
  ordered_cache_behavior {
    path_pattern           = "/bad/*"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "origin"
    cache_policy_id        = "0a"
    viewer_protocol_policy = "allow-all"
  }
  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
  viewer_certificate {
    cloudfront_default_certificate = true
  }
}

# A bucket as origin needs no protocol, and the provider plans TLSv1 if no version is set.
# want: pass default-certificate aws_cloudfront_distribution.old
# want: pass encryption aws_cloudfront_distribution.old
# want: fail version aws_cloudfront_distribution.old viewer_certificate[0].minimum_protocol_version
resource "aws_cloudfront_distribution" "old" {
  enabled = true
  origin {
    domain_name              = "bucket.s3.eu-central-1.amazonaws.com"
    origin_id                = "bucket"
    origin_access_control_id = "0a"
  }
  default_cache_behavior {
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "bucket"
    cache_policy_id        = "0a"
    viewer_protocol_policy = "https-only"
  }
  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
  viewer_certificate {
    acm_certificate_arn = local.certificate
    ssl_support_method  = "sni-only"
  }
}

# want: undetermined default-certificate aws_cloudfront_distribution.unknown viewer_certificate[0].cloudfront_default_certificate
# want: undetermined encryption aws_cloudfront_distribution.unknown default_cache_behavior[0].viewer_protocol_policy
# want: undetermined origin aws_cloudfront_distribution.unknown origin[0].custom_origin_config[0].origin_protocol_policy
resource "aws_cloudfront_distribution" "unknown" {
  enabled = true
  origin {
    domain_name = "origin.example.com"
    origin_id   = "origin"
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = terraform_data.later.id
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }
  default_cache_behavior {
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "origin"
    cache_policy_id        = "0a"
    viewer_protocol_policy = terraform_data.later.id
  }
  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
  viewer_certificate {
    cloudfront_default_certificate = terraform_data.later.id == "x"
    acm_certificate_arn            = terraform_data.later.id
    ssl_support_method             = "sni-only"
    minimum_protocol_version       = "TLSv1.2_2021"
  }
}

# The provider does not check the name of the version while the certificate is unknown.
# want: pass default-certificate aws_cloudfront_distribution.future
# want: pass encryption aws_cloudfront_distribution.future
# want: undetermined version aws_cloudfront_distribution.future viewer_certificate[0].minimum_protocol_version
resource "aws_cloudfront_distribution" "future" {
  enabled = true
  origin {
    domain_name              = "bucket.s3.eu-central-1.amazonaws.com"
    origin_id                = "bucket"
    origin_access_control_id = "0a"
  }
  default_cache_behavior {
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "bucket"
    cache_policy_id        = "0a"
    viewer_protocol_policy = "https-only"
  }
  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
  viewer_certificate {
    acm_certificate_arn      = terraform_data.later.id
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv9.9_2050"
  }
}

# want: fail origin aws_cloudfront_vpc_origin.old vpc_origin_endpoint_config[0].origin_ssl_protocols[0].items
resource "aws_cloudfront_vpc_origin" "old" {
  vpc_origin_endpoint_config {
    name                   = "old"
    arn                    = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/app/0a"
    http_port              = 80
    https_port             = 443
    origin_protocol_policy = "https-only"
    origin_ssl_protocols {
      items    = ["TLSv1.1", "TLSv1.2"]
      quantity = 2
    }
  }
}

# The versions mean nothing to an origin that is reached by HTTP.
# want: fail origin aws_cloudfront_vpc_origin.plain vpc_origin_endpoint_config[0].origin_protocol_policy
resource "aws_cloudfront_vpc_origin" "plain" {
  vpc_origin_endpoint_config {
    name                   = "plain"
    arn                    = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/app/0a"
    http_port              = 80
    https_port             = 443
    origin_protocol_policy = "http-only"
    origin_ssl_protocols {
      items    = ["TLSv1.1"]
      quantity = 1
    }
  }
}

# want: undetermined origin aws_cloudfront_vpc_origin.unknown vpc_origin_endpoint_config[0].origin_ssl_protocols[0].items
resource "aws_cloudfront_vpc_origin" "unknown" {
  vpc_origin_endpoint_config {
    name                   = "unknown"
    arn                    = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/app/0a"
    http_port              = 80
    https_port             = 443
    origin_protocol_policy = "https-only"
    origin_ssl_protocols {
      items    = [terraform_data.later.output]
      quantity = 1
    }
  }
}
