# What the built-in parameters let pass, and the parameters beside this file do not.

# want: undetermined(warn) bucket-policy aws_s3_bucket.bare bucket
resource "aws_s3_bucket" "bare" {
  bucket = "bare"
}

# A policy belongs to a bucket by reference or by name.
resource "aws_s3_bucket" "referenced" {
  bucket_prefix = "referenced-"
}

# want: undetermined(warn) bucket-policy aws_s3_bucket_policy.referenced policy
resource "aws_s3_bucket_policy" "referenced" {
  bucket = aws_s3_bucket.referenced.id
  policy = jsonencode({ Statement = [{ Resource = aws_s3_bucket.referenced.arn }] })
}

resource "aws_s3_bucket" "named" {
  bucket = "named"
}

# want: pass bucket-policy aws_s3_bucket_policy.named
resource "aws_s3_bucket_policy" "named" {
  bucket = "named"
  policy = jsonencode({
    Statement = [{
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::named", "arn:aws:s3:::named/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# want: fail bucket-policy aws_s3_bucket.older policy
resource "aws_s3_bucket" "older" {
  bucket = "older"
  policy = jsonencode({
    Statement = [{
      Effect    = "Allow"
      Principal = "*"
      Action    = "s3:GetObject"
      Resource  = "arn:aws:s3:::older/*"
    }]
  })
}

# want: fail encryption aws_opensearch_domain.unset node_to_node_encryption
resource "aws_opensearch_domain" "unset" {
  domain_name = "unset"
}

# want: pass encryption aws_opensearch_domain.good
resource "aws_opensearch_domain" "good" {
  domain_name = "good"
  node_to_node_encryption {
    enabled = true
  }
}

# want: fail encryption aws_opensearch_domain.off node_to_node_encryption[0].enabled
resource "aws_opensearch_domain" "off" {
  domain_name = "off"
  node_to_node_encryption {
    enabled = false
  }
}

# CloudFront's way to its origins is not judged here.
# want: pass default-certificate aws_cloudfront_distribution.origin
resource "aws_cloudfront_distribution" "origin" {
  enabled = true
  origin {
    domain_name = "origin.example.com"
    origin_id   = "origin"
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "http-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }
  default_cache_behavior {
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "origin"
    cache_policy_id        = "0a"
    viewer_protocol_policy = "https-only"
  }
  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
  viewer_certificate {
    acm_certificate_arn      = "arn:aws:acm:us-east-1:123456789012:certificate/0a"
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }
}

locals {
  databases = {
    # The default group of version 16 demands TLS, that of version 14 does not.
    # want: pass database aws_db_instance.default["new"]
    new = { engine = "postgres", version = "16.3" }
    # want: undetermined(warn) database aws_db_instance.default["old"] parameter_group_name
    old = { engine = "postgres", version = "14.9" }
    # want: undetermined(warn) database aws_db_instance.default["open"] parameter_group_name
    open = { engine = "postgres", version = null }
    # want: pass database aws_db_instance.default["oracle"]
    oracle = { engine = "oracle-ee", version = "19" }
  }
}

resource "aws_db_instance" "default" {
  for_each = local.databases

  instance_class      = "db.t3.micro"
  engine              = each.value.engine
  engine_version      = each.value.version
  allocated_storage   = 20
  username            = "payments"
  password            = "not-a-secret"
  skip_final_snapshot = true
}

# want: undetermined(warn) database aws_db_instance.named parameter_group_name
resource "aws_db_instance" "named" {
  instance_class       = "db.t3.micro"
  engine               = "mysql"
  allocated_storage    = 20
  username             = "payments"
  password             = "not-a-secret"
  skip_final_snapshot  = true
  parameter_group_name = "default.mysql8.0"
}

# want: undetermined(warn) database aws_redshift_cluster.default cluster_parameter_group_name
resource "aws_redshift_cluster" "default" {
  cluster_identifier  = "default"
  node_type           = "ra3.xlplus"
  skip_final_snapshot = true
}
