# Nothing but what parameters.yaml names may face the internet.

resource "terraform_data" "later" {
  input = "known after the apply"
}

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}

# want: pass public-ip-on-launch aws_subnet.private
resource "aws_subnet" "private" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.1.0/24"
}

# want: fail public-ip-on-launch aws_subnet.public map_public_ip_on_launch
resource "aws_subnet" "public" {
  vpc_id                  = aws_vpc.main.id
  cidr_block              = "10.0.2.0/24"
  map_public_ip_on_launch = true
}

resource "aws_lb" "edge" {
  subnets = [aws_subnet.public.id]
}

# want: fail public-address aws_lb.unset internal
# want: pass public-subnet aws_lb.unset
resource "aws_lb" "unset" {
  subnets = [aws_subnet.private.id]
}

# want: fail public-address aws_lb.mapped internal
# want: fail public-subnet aws_lb.mapped subnet_mapping[0].subnet_id
resource "aws_lb" "mapped" {
  load_balancer_type = "network"
  internal           = false
  subnet_mapping {
    subnet_id = aws_subnet.public.id
  }
}

# want: pass public-address aws_lb.inside
# want: pass public-subnet aws_lb.inside
resource "aws_lb" "inside" {
  internal = true
  subnets  = [aws_subnet.private.id]
}

# want: undetermined public-address aws_lb.unknown internal
# want: pass public-subnet aws_lb.unknown
resource "aws_lb" "unknown" {
  internal = terraform_data.later.id == "x"
  subnets  = [aws_subnet.private.id]
}

# It hands traffic to appliances inside, and knows no internet.
# want: pass public-subnet aws_lb.gateway
resource "aws_lb" "gateway" {
  load_balancer_type = "gateway"
  subnets            = [aws_subnet.private.id]
}

# want: fail public-address aws_elb.classic internal
# want: pass public-subnet aws_elb.classic
resource "aws_elb" "classic" {
  subnets = [aws_subnet.private.id]
  listener {
    instance_port     = 80
    instance_protocol = "http"
    lb_port           = 80
    lb_protocol       = "http"
  }
}

resource "aws_instance" "nat" {
  count = 2

  ami                         = "ami-0a"
  instance_type               = "t3.micro"
  subnet_id                   = aws_subnet.public.id
  associate_public_ip_address = true
}

# want: fail public-endpoint aws_eks_cluster.open vpc_config[0].endpoint_public_access
resource "aws_eks_cluster" "open" {
  name     = "open"
  role_arn = "arn:aws:iam::123456789012:role/app"
  vpc_config {
    subnet_ids = [aws_subnet.private.id]
  }
}

# want: pass public-endpoint aws_eks_cluster.closed
resource "aws_eks_cluster" "closed" {
  name     = "closed"
  role_arn = "arn:aws:iam::123456789012:role/app"
  vpc_config {
    subnet_ids             = [aws_subnet.private.id]
    endpoint_public_access = false
  }
}

# want: undetermined public-endpoint aws_eks_cluster.unknown vpc_config[0].endpoint_public_access
resource "aws_eks_cluster" "unknown" {
  name     = "unknown"
  role_arn = "arn:aws:iam::123456789012:role/app"
  vpc_config {
    subnet_ids             = [aws_subnet.private.id]
    endpoint_public_access = terraform_data.later.id == "x"
  }
}
