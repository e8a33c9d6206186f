# Listeners of application, network and gateway load balancers.

variable "none" {
  type    = string
  default = null
}

resource "terraform_data" "later" {
  input = "known after the apply"
}

resource "aws_lb" "application" {
  name    = "application"
  subnets = ["subnet-0a", "subnet-0b"]
}

resource "aws_lb" "gateway" {
  name               = "gateway"
  load_balancer_type = "gateway"
  subnets            = ["subnet-0a"]
}

locals {
  policies = {
    # want: pass listener-policy aws_lb_listener.policy["tls13"]
    tls13 = "ELBSecurityPolicy-TLS13-1-2-2021-06"
    # want: pass listener-policy aws_lb_listener.policy["tls13_only"]
    tls13_only = "ELBSecurityPolicy-TLS13-1-3-2021-06"
    # want: pass listener-policy aws_lb_listener.policy["tls13_res"]
    tls13_res = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    # want: pass listener-policy aws_lb_listener.policy["tls13_ext2"]
    tls13_ext2 = "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06"
    # want: pass listener-policy aws_lb_listener.policy["fips"]
    fips = "ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04"
    # want: pass listener-policy aws_lb_listener.policy["post_quantum"]
    post_quantum = "ELBSecurityPolicy-TLS13-1-2-PQ-2025-09"
    # want: pass listener-policy aws_lb_listener.policy["tls12"]
    tls12 = "ELBSecurityPolicy-TLS-1-2-2017-01"
    # want: pass listener-policy aws_lb_listener.policy["tls12_ext"]
    tls12_ext = "ELBSecurityPolicy-TLS-1-2-Ext-2018-06"
    # want: pass listener-policy aws_lb_listener.policy["forward_secrecy"]
    forward_secrecy = "ELBSecurityPolicy-FS-1-2-Res-2020-10"

    # These have TLS 1.3 in their names and accept TLS 1.0 and 1.1 all the same.
    # want: fail listener-policy aws_lb_listener.policy["tls13_10"] ssl_policy
    tls13_10 = "ELBSecurityPolicy-TLS13-1-0-2021-06"
    # want: fail listener-policy aws_lb_listener.policy["tls13_11"] ssl_policy
    tls13_11 = "ELBSecurityPolicy-TLS13-1-1-2021-06"
    # want: fail listener-policy aws_lb_listener.policy["tls10"] ssl_policy
    tls10 = "ELBSecurityPolicy-TLS-1-0-2015-04"
    # want: fail listener-policy aws_lb_listener.policy["tls11"] ssl_policy
    tls11 = "ELBSecurityPolicy-TLS-1-1-2017-01"
    # want: fail listener-policy aws_lb_listener.policy["fs11"] ssl_policy
    fs11 = "ELBSecurityPolicy-FS-1-1-2019-08"
    # want: fail listener-policy aws_lb_listener.policy["fs"] ssl_policy
    fs = "ELBSecurityPolicy-FS-2018-06"
    # want: fail listener-policy aws_lb_listener.policy["old"] ssl_policy
    old = "ELBSecurityPolicy-2016-08"

    # want: undetermined listener-policy aws_lb_listener.policy["invented"] ssl_policy
    invented = "ELBSecurityPolicy-Future-2031-01"
  }
}

resource "aws_lb_listener" "policy" {
  for_each = local.policies

  load_balancer_arn = aws_lb.application.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = each.value
  certificate_arn   = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# want: fail listener-policy aws_lb_listener.unset ssl_policy
resource "aws_lb_listener" "unset" {
  load_balancer_arn = aws_lb.application.arn
  port              = 444
  protocol          = "TLS"
  certificate_arn   = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# want: fail listener-policy aws_lb_listener.null_variable ssl_policy
resource "aws_lb_listener" "null_variable" {
  load_balancer_arn = aws_lb.application.arn
  port              = 445
  protocol          = "HTTPS"
  ssl_policy        = var.none
  certificate_arn   = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# want: undetermined listener-policy aws_alb_listener.unknown ssl_policy
resource "aws_alb_listener" "unknown" {
  load_balancer_arn = aws_lb.application.arn
  port              = 446
  protocol          = "HTTPS"
  ssl_policy        = terraform_data.later.id
  certificate_arn   = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# want: pass plain-http aws_lb_listener.redirect
resource "aws_lb_listener" "redirect" {
  load_balancer_arn = aws_lb.application.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

# The protocol of a redirect is the request's own unless it is set.
# want: fail plain-http aws_lb_listener.redirect_to_http default_action[0].redirect[0].protocol
resource "aws_lb_listener" "redirect_to_http" {
  load_balancer_arn = aws_lb.application.arn
  port              = 81
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      host        = "example.com"
      status_code = "HTTP_301"
    }
  }
}

# want: fail plain-http aws_lb_listener.forward default_action[0].type
resource "aws_lb_listener" "forward" {
  load_balancer_arn = aws_lb.application.arn
  port              = 82
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# want: fail(warn) plain-http aws_lb_listener.fixed default_action[0].type
resource "aws_lb_listener" "fixed" {
  load_balancer_arn = aws_lb.application.arn
  port              = 83
  protocol          = "HTTP"
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}

# want: undetermined plain-http aws_lb_listener.redirect_unknown default_action[0]
resource "aws_lb_listener" "redirect_unknown" {
  load_balancer_arn = aws_lb.application.arn
  port              = 84
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      protocol    = terraform_data.later.id
      status_code = "HTTP_301"
    }
  }
}

# An application load balancer's listener without a protocol speaks HTTP.
# want: fail plain-http aws_lb_listener.no_protocol default_action[0].type
resource "aws_lb_listener" "no_protocol" {
  load_balancer_arn = aws_lb.application.arn
  port              = 85
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# want: undetermined plain-http aws_lb_listener.protocol_unknown protocol
resource "aws_lb_listener" "protocol_unknown" {
  load_balancer_arn = aws_lb.application.arn
  port              = 86
  protocol          = terraform_data.later.id
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# Encrypted end to end, or no business of this family.
# want: pass plain-http aws_lb_listener.tcp
resource "aws_lb_listener" "tcp" {
  load_balancer_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/net/app/0a"
  port              = 443
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# want: pass plain-http aws_lb_listener.gateway
resource "aws_lb_listener" "gateway" {
  load_balancer_arn = aws_lb.gateway.arn
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# A rule of an HTTP listener can undo its redirect.
# want: fail plain-http aws_lb_listener_rule.forward action[0].type
resource "aws_lb_listener_rule" "forward" {
  listener_arn = aws_lb_listener.redirect.arn
  action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
  condition {
    path_pattern {
      values = ["/old/*"]
    }
  }
}

# want: pass plain-http aws_lb_listener_rule.redirect
resource "aws_lb_listener_rule" "redirect" {
  listener_arn = aws_lb_listener.redirect.arn
  action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      path        = "/new/#{path}"
      status_code = "HTTP_301"
    }
  }
  condition {
    path_pattern {
      values = ["/new/*"]
    }
  }
}

resource "aws_lb_listener_rule" "encrypted" {
  listener_arn = aws_lb_listener.unset.arn
  action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
  condition {
    path_pattern {
      values = ["/"]
    }
  }
}

# Sending clients away from HTTPS is no better than answering by HTTP.
# want: fail plain-http aws_lb_listener.downgrade default_action[0].redirect[0].protocol
# want: pass listener-policy aws_lb_listener.downgrade
resource "aws_lb_listener" "downgrade" {
  load_balancer_arn = aws_lb.application.arn
  port              = 447
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTP"
      port        = "80"
      status_code = "HTTP_302"
    }
  }
}

# want: undetermined plain-http aws_lb_listener.actions_unknown default_action
resource "aws_lb_listener" "actions_unknown" {
  load_balancer_arn = aws_lb.application.arn
  port              = 87
  protocol          = "HTTP"
  dynamic "default_action" {
    for_each = terraform_data.later.output == "x" ? [] : ["forward"]
    content {
      type             = default_action.value
      target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
    }
  }
}

# want: undetermined plain-http aws_lb_listener.action_unknown default_action[0].type
resource "aws_lb_listener" "action_unknown" {
  load_balancer_arn = aws_lb.application.arn
  port              = 88
  protocol          = "HTTP"
  default_action {
    type             = terraform_data.later.output
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# One action that is no redirect is enough.
# want: fail plain-http aws_alb_listener.weighted default_action[0].type
resource "aws_alb_listener" "weighted" {
  load_balancer_arn = aws_lb.application.arn
  port              = 89
  protocol          = "http"
  default_action {
    type = "forward"
    forward {
      target_group {
        arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
      }
      target_group {
        arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0b"
      }
    }
  }
}

# want: fail(warn) plain-http aws_lb_listener_rule.fixed action[0].type
resource "aws_lb_listener_rule" "fixed" {
  listener_arn = aws_lb_listener.redirect.arn
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      status_code  = "503"
    }
  }
  condition {
    path_pattern {
      values = ["/down"]
    }
  }
}

# Neither protocol nor port, but the load balancer is known not to be a gateway.
# want: fail plain-http aws_lb_listener.neither default_action[0].type
resource "aws_lb_listener" "neither" {
  load_balancer_arn = aws_lb.application.arn
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# Comes by HTTPS and stays there.
# want: pass listener-policy aws_lb_listener.moved
# want: pass plain-http aws_lb_listener.moved
resource "aws_lb_listener" "moved" {
  load_balancer_arn = aws_lb.application.arn
  port              = 447
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  default_action {
    type = "redirect"
    redirect {
      host        = "example.com"
      status_code = "HTTP_301"
    }
  }
}
