# Things that are launched: templates, fleets, groups, Elastic Beanstalk, Batch, OpsWorks, and who has an elastic address.

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

# Three interfaces, one finding.
# want: fail public-address aws_launch_template.three network_interfaces[0].associate_public_ip_address
# want: fail public-subnet aws_launch_template.three network_interfaces[0].subnet_id
resource "aws_launch_template" "three" {
  name = "three"
  dynamic "network_interfaces" {
    for_each = [0, 1, 2]
    content {
      device_index                = network_interfaces.value
      associate_public_ip_address = true
      subnet_id                   = "subnet-0public"
    }
  }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = "igw-0a"
  }
}

resource "aws_route_table_association" "public" {
  subnet_id      = "subnet-0public"
  route_table_id = aws_route_table.public.id
}

# want: undetermined(warn) public-subnet aws_autoscaling_group.zones vpc_zone_identifier
resource "aws_autoscaling_group" "zones" {
  min_size             = 1
  max_size             = 1
  launch_configuration = "app"
  availability_zones   = ["eu-central-1a"]
}

# want: fail public-subnet aws_autoscaling_group.public vpc_zone_identifier
resource "aws_autoscaling_group" "public" {
  min_size            = 1
  max_size            = 1
  vpc_zone_identifier = [aws_subnet.private.id, aws_subnet.public.id]
  launch_template {
    id = aws_launch_template.three.id
  }
}

# The interface decides, not the instance.
# want: pass public-subnet aws_network_interface.private
resource "aws_network_interface" "private" {
  subnet_id = aws_subnet.private.id
}

# want: pass public-address aws_instance.with_interface
resource "aws_instance" "with_interface" {
  ami           = "ami-0a"
  instance_type = "t3.micro"
  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.private.id
  }
}

# want: fail public-address aws_eip.interface network_interface
resource "aws_eip" "interface" {
  network_interface = aws_network_interface.private.id
}

# Nothing is set at all, so the plan's configuration says nothing of it either.
# want: pass public-address aws_eip.bare
resource "aws_eip" "bare" {}

# want: undetermined public-address aws_eip.unknown instance
resource "aws_eip" "unknown" {
  instance = terraform_data.later.id
}

# want: fail public-address aws_spot_fleet_request.fleet launch_specification[0].associate_public_ip_address
# want: fail public-subnet aws_spot_fleet_request.fleet launch_specification[0].subnet_id
resource "aws_spot_fleet_request" "fleet" {
  iam_fleet_role  = "arn:aws:iam::123456789012:role/fleet"
  target_capacity = 1
  launch_specification {
    ami                         = "ami-0a"
    instance_type               = "t3.micro"
    subnet_id                   = "subnet-0public"
    associate_public_ip_address = true
  }
}

# want: pass public-address aws_spot_instance_request.private
# want: pass public-subnet aws_spot_instance_request.private
resource "aws_spot_instance_request" "private" {
  ami                         = "ami-0a"
  instance_type               = "t3.micro"
  subnet_id                   = aws_subnet.private.id
  associate_public_ip_address = false
}

# want: fail public-subnet aws_ec2_fleet.fleet launch_template_config[0].override[0].subnet_id
resource "aws_ec2_fleet" "fleet" {
  launch_template_config {
    launch_template_specification {
      launch_template_id = "lt-0a"
      version            = "1"
    }
    override {
      subnet_id = aws_subnet.public.id
    }
  }
  target_capacity_specification {
    default_target_capacity_type = "spot"
    total_target_capacity        = 1
  }
}

# want: pass public-address aws_opsworks_custom_layer.private
resource "aws_opsworks_custom_layer" "private" {
  name       = "private"
  short_name = "private"
  stack_id   = "stack"
}

# want: fail public-address aws_opsworks_custom_layer.public auto_assign_public_ips
resource "aws_opsworks_custom_layer" "public" {
  name                   = "public"
  short_name             = "public"
  stack_id               = "stack"
  auto_assign_public_ips = true
}

# want: fail public-address aws_elastic_beanstalk_environment.public setting[0].value
# want: fail public-subnet aws_elastic_beanstalk_environment.public setting[1].value
resource "aws_elastic_beanstalk_environment" "public" {
  name        = "public"
  application = "app"
  setting {
    namespace = "aws:ec2:vpc"
    name      = "AssociatePublicIpAddress"
    value     = "true"
  }
  setting {
    namespace = "aws:ec2:vpc"
    name      = "Subnets"
    value     = join(",", [aws_subnet.public.id, aws_subnet.private.id])
  }
}

# want: pass public-address aws_elastic_beanstalk_environment.private
# want: pass public-subnet aws_elastic_beanstalk_environment.private
resource "aws_elastic_beanstalk_environment" "private" {
  name        = "private"
  application = "app"
  setting {
    namespace = "aws:autoscaling:asg"
    name      = "MinSize"
    value     = "2"
  }
  setting {
    namespace = "aws:ec2:vpc"
    name      = "Subnets"
    value     = aws_subnet.private.id
  }
  setting {
    namespace = "aws:ec2:vpc"
    name      = "AssociatePublicIpAddress"
    value     = "false"
  }
}

# want: undetermined public-address aws_elastic_beanstalk_environment.unknown setting[0].value
# want: fail public-subnet aws_elastic_beanstalk_environment.unknown setting[1].value
resource "aws_elastic_beanstalk_environment" "unknown" {
  name        = "unknown"
  application = "app"
  setting {
    namespace = "aws:ec2:vpc"
    name      = "AssociatePublicIpAddress"
    value     = terraform_data.later.id
  }
  setting {
    namespace = "aws:ec2:vpc"
    name      = "Subnets"
    value     = "subnet-0elsewhere, subnet-0public"
  }
}

# want: undetermined(warn) public-subnet aws_elastic_beanstalk_environment.homeless setting
resource "aws_elastic_beanstalk_environment" "homeless" {
  name        = "homeless"
  application = "app"
}

# want: fail public-address aws_batch_job_definition.public container_properties
resource "aws_batch_job_definition" "public" {
  name                  = "public"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  container_properties = jsonencode({
    image                = "app:1"
    executionRoleArn     = "arn:aws:iam::123456789012:role/app"
    networkConfiguration = { assignPublicIp = "ENABLED" }
    resourceRequirements = [{ type = "VCPU", value = "0.25" }, { type = "MEMORY", value = "512" }]
  })
}

# want: pass public-address aws_batch_job_definition.private
resource "aws_batch_job_definition" "private" {
  name                  = "private"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  container_properties = jsonencode({
    image                = "app:1"
    executionRoleArn     = "arn:aws:iam::123456789012:role/app"
    networkConfiguration = { assignPublicIp = "DISABLED" }
    resourceRequirements = [{ type = "VCPU", value = "0.25" }, { type = "MEMORY", value = "512" }]
  })
}

# want: undetermined(warn) public-address aws_batch_job_definition.unknown container_properties
resource "aws_batch_job_definition" "unknown" {
  name                  = "unknown"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  container_properties = jsonencode({
    image            = "app:1"
    executionRoleArn = terraform_data.later.id
  })
}

# want: undetermined notebook-internet aws_sagemaker_notebook_instance.unknown direct_internet_access
resource "aws_sagemaker_notebook_instance" "unknown" {
  name                   = "unknown"
  role_arn               = "arn:aws:iam::123456789012:role/app"
  instance_type          = "ml.t3.medium"
  direct_internet_access = terraform_data.later.id
}

# A notebook in a subnet of ours.
# want: pass notebook-internet aws_sagemaker_notebook_instance.ours
# want: pass public-subnet aws_sagemaker_notebook_instance.ours
resource "aws_sagemaker_notebook_instance" "ours" {
  name            = "ours"
  role_arn        = "arn:aws:iam::123456789012:role/app"
  instance_type   = "ml.t3.medium"
  subnet_id       = aws_subnet.private.id
  security_groups = ["sg-0a"]
}

variable "public" {
  type      = bool
  sensitive = true
  default   = true
}

# The message must not show the value.
# want: fail public-address aws_instance.sensitive associate_public_ip_address
# want: pass public-subnet aws_instance.sensitive
resource "aws_instance" "sensitive" {
  ami                         = "ami-0a"
  instance_type               = "t3.micro"
  subnet_id                   = aws_subnet.private.id
  associate_public_ip_address = var.public
}

# A way in by a door of AWS's.
# want: fail(warn) public-endpoint aws_opensearch_domain.public vpc_options
resource "aws_opensearch_domain" "public" {
  domain_name = "public"
}

# want: pass public-endpoint aws_opensearch_domain.private
# want: pass public-subnet aws_opensearch_domain.private
resource "aws_opensearch_domain" "private" {
  domain_name = "private"
  vpc_options {
    subnet_ids = [aws_subnet.private.id]
  }
}

# want: pass public-endpoint aws_apprunner_service.private
resource "aws_apprunner_service" "private" {
  service_name = "private"
  network_configuration {
    ingress_configuration {
      is_publicly_accessible = false
    }
  }
  source_configuration {
    image_repository {
      image_identifier      = "public.ecr.aws/app/app:1"
      image_repository_type = "ECR_PUBLIC"
    }
  }
}

# want: fail(warn) public-endpoint aws_apprunner_service.default network_configuration
resource "aws_apprunner_service" "default" {
  service_name = "default"
  source_configuration {
    image_repository {
      image_identifier      = "public.ecr.aws/app/app:1"
      image_repository_type = "ECR_PUBLIC"
    }
  }
}

# Other settings, empty ones, and a template that may bring its own.
# want: undetermined(warn) public-subnet aws_elastic_beanstalk_environment.empty setting
resource "aws_elastic_beanstalk_environment" "empty" {
  name        = "empty"
  application = "app"
  setting {
    namespace = "app:custom"
    name      = "Subnets"
    value     = "subnet-0public"
  }
  setting {
    namespace = "aws:ec2:vpc"
    name      = "DBSubnets"
    value     = ""
  }
}

resource "aws_elastic_beanstalk_environment" "template" {
  name          = "template"
  application   = "app"
  template_name = "made-elsewhere"
}

# On EC2, the hosts have addresses and jobs have none.
resource "aws_batch_job_definition" "hosts" {
  name                  = "hosts"
  type                  = "container"
  platform_capabilities = ["EC2"]
  container_properties = jsonencode({
    image            = "app:1"
    executionRoleArn = terraform_data.later.id
  })
}

# The word may stand elsewhere.
resource "aws_batch_job_definition" "word" {
  name                  = "word"
  type                  = "container"
  platform_capabilities = ["EC2"]
  container_properties = jsonencode({
    image       = "app:1"
    environment = [{ name = "LOGGING", value = "ENABLED" }]
    vcpus       = 1
    memory      = 512
  })
}

# A namespace that the configuration does not show.
locals {
  vpc_namespace = "aws:ec2:vpc"
}

# want: fail public-address aws_elastic_beanstalk_environment.local setting[1].value
# want: fail public-subnet aws_elastic_beanstalk_environment.local setting[2].value
resource "aws_elastic_beanstalk_environment" "local" {
  name        = "local"
  application = "app"
  setting {
    namespace = "aws:autoscaling:asg"
    name      = "MinSize"
    value     = "2"
  }
  setting {
    namespace = local.vpc_namespace
    name      = "AssociatePublicIpAddress"
    value     = "true"
  }
  setting {
    namespace = local.vpc_namespace
    name      = "Subnets"
    value     = aws_subnet.public.id
  }
}

# A variable for the application that happens to be called like the setting.
# want: fail public-address aws_elastic_beanstalk_environment.variable setting[1].value
# want: undetermined(warn) public-subnet aws_elastic_beanstalk_environment.variable setting
resource "aws_elastic_beanstalk_environment" "variable" {
  name        = "variable"
  application = "app"
  setting {
    namespace = "aws:elasticbeanstalk:application:environment"
    name      = "AssociatePublicIpAddress"
    value     = "false"
  }
  setting {
    namespace = "aws:ec2:vpc"
    name      = "AssociatePublicIpAddress"
    value     = "true"
  }
}

# Without networkConfiguration a job on Fargate gets no public address.
resource "aws_batch_job_definition" "unset" {
  name                  = "unset"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  container_properties = jsonencode({
    image                = "app:1"
    executionRoleArn     = "arn:aws:iam::123456789012:role/app"
    resourceRequirements = [{ type = "VCPU", value = "0.25" }, { type = "MEMORY", value = "512" }]
  })
}
