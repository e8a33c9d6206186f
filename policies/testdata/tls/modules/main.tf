# The same code from several modules, and values that are passed on to them.

variable "secret_policy" {
  type      = string
  default   = "ELBSecurityPolicy-2016-08"
  sensitive = true
}

resource "aws_lb" "this" {
  name    = "this"
  subnets = ["subnet-0a", "subnet-0b"]
}

module "service" {
  for_each = {
    new = "ELBSecurityPolicy-TLS13-1-2-2021-06"
    old = "ELBSecurityPolicy-2016-08"
  }
  source = "./service"

  balancer    = aws_lb.this.arn
  certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  policy      = each.value
}

# Nobody says anything, so AWS decides.
module "open" {
  count  = 1
  source = "./service"

  balancer    = aws_lb.this.arn
  certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
}

# want: fail listener-policy aws_lb_listener.sensitive ssl_policy
resource "aws_lb_listener" "sensitive" {
  load_balancer_arn = aws_lb.this.arn
  port              = 8443
  protocol          = "HTTPS"
  ssl_policy        = var.secret_policy
  certificate_arn   = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}

# A data source looks like the resource but is only read.
data "aws_lb_listener" "read" {
  arn = aws_lb_listener.sensitive.arn
}

locals {
  redirects = ["HTTPS", "HTTP"]
}

# want: pass plain-http aws_lb_listener.redirect[0]
# want: fail plain-http aws_lb_listener.redirect[1] default_action[0].redirect[0].protocol
resource "aws_lb_listener" "redirect" {
  count = 2

  load_balancer_arn = aws_lb.this.arn
  port              = 80 + count.index
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      protocol    = local.redirects[count.index]
      status_code = "HTTP_301"
    }
  }
}

# The rule belongs to the listener with the same number, both of which speak HTTP.
# want: fail plain-http aws_lb_listener_rule.forward[0] action[0].type
# want: fail plain-http aws_lb_listener_rule.forward[1] action[0].type
resource "aws_lb_listener_rule" "forward" {
  count = 2

  listener_arn = aws_lb_listener.redirect[count.index].arn
  action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
  condition {
    path_pattern {
      values = ["/api/*"]
    }
  }
}

# The rule of a listener that the plan does not hold is judged with that listener.
resource "aws_lb_listener_rule" "elsewhere" {
  listener_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/other/0a/0b"
  action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
  condition {
    path_pattern {
      values = ["/api/*"]
    }
  }
}

# want: pass plain-http aws_lb_listener_rule.redirect_elsewhere
resource "aws_lb_listener_rule" "redirect_elsewhere" {
  listener_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/other/0a/0b"
  action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
  condition {
    path_pattern {
      values = ["/"]
    }
  }
}

resource "aws_lb_listener" "both" {
  for_each = {
    # want: pass plain-http aws_lb_listener.both["http"]
    http = { port = 8080, protocol = "HTTP", policy = null, certificate = null }
    # want: pass listener-policy aws_lb_listener.both["https"]
    # want: pass plain-http aws_lb_listener.both["https"]
    https = { port = 9443, protocol = "HTTPS", policy = "ELBSecurityPolicy-TLS13-1-2-2021-06", certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0a" }
  }

  load_balancer_arn = aws_lb.this.arn
  port              = each.value.port
  protocol          = each.value.protocol
  ssl_policy        = each.value.policy
  certificate_arn   = each.value.certificate
  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

# The plan tells that the rule belongs to one of two listeners, but not to which one.
# want: undetermined(warn) plain-http aws_lb_listener_rule.either["api"] listener_arn
# want: pass plain-http aws_lb_listener_rule.either["www"]
resource "aws_lb_listener_rule" "either" {
  for_each = {
    api = { listener = "https", redirect = false }
    www = { listener = "http", redirect = true }
  }

  listener_arn = aws_lb_listener.both[each.value.listener].arn
  action {
    type             = each.value.redirect ? "redirect" : "forward"
    target_group_arn = each.value.redirect ? null : "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
    dynamic "redirect" {
      for_each = each.value.redirect ? ["HTTPS"] : []
      content {
        protocol    = redirect.value
        status_code = "HTTP_301"
      }
    }
  }
  condition {
    path_pattern {
      values = ["/${each.key}/*"]
    }
  }
}
