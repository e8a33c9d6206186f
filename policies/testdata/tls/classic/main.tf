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
  load_balancer_name = aws_elb.silent.name
  policy_name        = "silent"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Server-Defined-Cipher-Order"
    value = "true"
  }
}

# Stickiness says nothing about TLS.
# want: fail classic-listener aws_elb.sticky listener[0].lb_protocol
resource "aws_elb" "sticky" {
  name    = "sticky"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 443
    instance_protocol  = "https"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

resource "aws_load_balancer_listener_policy" "sticky" {
  load_balancer_name = aws_elb.sticky.name
  load_balancer_port = 443
  policy_names       = [aws_load_balancer_policy.sticky.policy_name]
}

# A policy for one port says nothing of the other.
# want: fail classic-listener aws_elb.ports listener[1].lb_protocol
resource "aws_elb" "ports" {
  name    = "ports"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 443
    instance_protocol  = "https"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
  listener {
    lb_port            = 8443
    lb_protocol        = "ssl"
    instance_port      = 8443
    instance_protocol  = "ssl"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

resource "aws_load_balancer_listener_policy" "ports" {
  load_balancer_name = aws_elb.ports.name
  load_balancer_port = 443
  policy_names       = ["ELBSecurityPolicy-TLS-1-2-2017-01"]
}

# The plan does not hold the policy.
# want: undetermined classic-listener aws_elb.elsewhere listener[0].lb_protocol
resource "aws_elb" "elsewhere" {
  name    = "elsewhere"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 443
    instance_protocol  = "https"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

resource "aws_load_balancer_listener_policy" "elsewhere" {
  load_balancer_name = aws_elb.elsewhere.name
  load_balancer_port = 443
  policy_names       = ["made-elsewhere"]
}

# want: undetermined classic-listener aws_elb.unknown listener[0].lb_protocol
# want: undetermined classic-listener aws_elb.unknown listener[1].lb_protocol
resource "aws_elb" "unknown" {
  name    = "unknown"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 80
    lb_protocol        = terraform_data.later.id
    instance_port      = 80
    instance_protocol  = "http"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 443
    instance_protocol  = "https"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

resource "aws_load_balancer_listener_policy" "unknown" {
  load_balancer_name = aws_elb.unknown.name
  load_balancer_port = 443
  policy_names       = [terraform_data.later.id]
}

# want: undetermined classic-policy aws_load_balancer_policy.unknown policy_attribute
resource "aws_load_balancer_policy" "unknown" {
  load_balancer_name = aws_elb.https.name
  policy_name        = "unknown"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Reference-Security-Policy"
    value = terraform_data.later.id
  }
}

resource "terraform_data" "later" {
  input = "known after the apply"
}

resource "aws_load_balancer_policy" "sticky" {
  load_balancer_name = aws_elb.sticky.name
  policy_name        = "sticky"
  policy_type_name   = "AppCookieStickinessPolicyType"
  policy_attribute {
    name  = "CookieName"
    value = "payments"
  }
}

# Nor is the listener safe whose policy is not.
# want: fail classic-listener aws_elb.weak listener[0].lb_protocol
resource "aws_elb" "weak" {
  name    = "weak"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 443
    instance_protocol  = "https"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

# want: fail classic-policy aws_lb_ssl_negotiation_policy.weak attribute
resource "aws_lb_ssl_negotiation_policy" "weak" {
  load_balancer = aws_elb.weak.id
  name          = "weak"
  lb_port       = 443
  attribute {
    name  = "Protocol-TLSv1"
    value = "true"
  }
  attribute {
    name  = "Protocol-TLSv1.2"
    value = "true"
  }
}

# The names of policies are those of their load balancer: this one is called as the good one above.
# want: fail classic-policy aws_load_balancer_policy.namesake policy_attribute
resource "aws_load_balancer_policy" "namesake" {
  load_balancer_name = aws_elb.silent.name
  policy_name        = "modern"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Reference-Security-Policy"
    value = "ELBSecurityPolicy-2016-08"
  }
}

# want: undetermined classic-listener aws_elb.silent listener[0].lb_protocol
resource "aws_elb" "silent" {
  name    = "silent"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 443
    instance_protocol  = "https"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

resource "aws_load_balancer_listener_policy" "silent" {
  load_balancer_name = aws_elb.silent.name
  load_balancer_port = 443
  policy_names       = [aws_load_balancer_policy.silent.policy_name]
}

# Two policies for one port.
# want: fail classic-listener aws_elb.twice listener[0].lb_protocol
resource "aws_elb" "twice" {
  name    = "twice"
  subnets = ["subnet-0a"]
  listener {
    lb_port            = 443
    lb_protocol        = "https"
    instance_port      = 80
    instance_protocol  = "http"
    ssl_certificate_id = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  }
}

# want: fail classic-policy aws_lb_ssl_negotiation_policy.twice["a"] attribute
# want: fail classic-policy aws_lb_ssl_negotiation_policy.twice["b"] attribute
resource "aws_lb_ssl_negotiation_policy" "twice" {
  for_each      = { a = "ELBSecurityPolicy-2016-08", b = "ELBSecurityPolicy-2015-05" }
  load_balancer = aws_elb.twice.id
  name          = each.key
  lb_port       = 443
  attribute {
    name  = "Reference-Security-Policy"
    value = each.value
  }
  attribute {
    name  = "Reference-Security-Policy"
    value = "ELBSecurityPolicy-2014-10"
  }
}

# Says of TLS 1.2 only that it is off.
# want: undetermined classic-policy aws_load_balancer_policy.without policy_attribute
resource "aws_load_balancer_policy" "without" {
  load_balancer_name = "elsewhere"
  policy_name        = "without"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Protocol-TLSv1.2"
    value = "false"
  }
}

# What is unknown here is no version.
# want: pass classic-policy aws_load_balancer_policy.ciphers
resource "aws_load_balancer_policy" "ciphers" {
  load_balancer_name = "elsewhere"
  policy_name        = "ciphers"
  policy_type_name   = "SSLNegotiationPolicyType"
  policy_attribute {
    name  = "Protocol-TLSv1.2"
    value = "true"
  }
  policy_attribute {
    name  = "Server-Defined-Cipher-Order"
    value = terraform_data.later.id
  }
}
