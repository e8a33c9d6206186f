# Classic load balancers and their policies.

# want: fail classic-listener aws_elb.http listener[0].lb_protocol
resource "aws_elb" "http" {
  name    = "http"
  subnets = ["subnet-0a"]
  listener {
    lb_port           = 80
    lb_protocol       = "http"
    instance_port     = 80
    instance_protocol = "http"
  }
}

# Passed on as it is: encryption is the business of what stands behind.
# want: pass classic-listener aws_elb.tcp
resource "aws_elb" "tcp" {
  name    = "tcp"
  subnets = ["subnet-0a"]
  listener {
    lb_port           = 443
    lb_protocol       = "tcp"
    instance_port     = 443
    instance_protocol = "tcp"
  }
}

# want: fail classic-listener aws_elb.https listener[0].lb_protocol
resource "aws_elb" "https" {
  name    = "https"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 80
    instance_protocol  = "http"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

# want: pass classic-listener aws_elb.modern
resource "aws_elb" "modern" {
  name    = "modern"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 80
    instance_protocol  = "http"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

# want: pass classic-policy aws_load_balancer_policy.modern
resource "aws_load_balancer_policy" "modern" {
  load_balancer_name = aws_elb.modern.name
  policy_name        = "modern"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Reference-Security-Policy"
    value = "ELBSecurityPolicy-TLS-1-2-2017-01"
  }
}

resource "aws_load_balancer_listener_policy" "modern" {
  load_balancer_name = aws_elb.modern.name
  load_balancer_port = 443
  policy_names       = [aws_load_balancer_policy.modern.policy_name]
}

# want: fail classic-policy aws_load_balancer_policy.reference policy_attribute
resource "aws_load_balancer_policy" "reference" {
  load_balancer_name = aws_elb.https.name
  policy_name        = "reference"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Reference-Security-Policy"
    value = "ELBSecurityPolicy-2016-08"
  }
}

# want: fail classic-policy aws_load_balancer_policy.listed policy_attribute
resource "aws_load_balancer_policy" "listed" {
  load_balancer_name = aws_elb.https.name
  policy_name        = "listed"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Protocol-TLSv1.2"
    value = "true"
  }
  policy_attribute {
    name  = "Protocol-TLSv1.1"
    value = "true"
  }
}

# want: pass classic-policy aws_lb_ssl_negotiation_policy.listed
resource "aws_lb_ssl_negotiation_policy" "listed" {
  load_balancer = aws_elb.modern.id
  name          = "listed"
  lb_port       = 443
  attribute {
    name  = "Protocol-TLSv1.2"
    value = "true"
  }
  attribute {
    name  = "Protocol-TLSv1.1"
    value = "false"
  }
}

# want: undetermined classic-policy aws_load_balancer_policy.silent policy_attribute
resource "aws_load_balancer_policy" "silent" {
  load_balancer_name = aws_elb.https.name
  policy_name        = "silent"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Server-Defined-Cipher-Order"
    value = "true"
  }
}

resource "aws_load_balancer_policy" "sticky" {
  load_balancer_name = aws_elb.https.name
  policy_name        = "sticky"
  policy_type_name   = "AppCookieStickinessPolicyType"
  policy_attribute {
    name  = "CookieName"
    value = "payments"
  }
}
