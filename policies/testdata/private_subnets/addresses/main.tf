# Public addresses and endpoints of workloads, given outright, left out and unknown.

variable "secret" {
  type    = bool
  default = null
}

resource "terraform_data" "later" {
  input = "known after the apply"
}

locals {
  unknown_bool   = terraform_data.later.id == "x"
  unknown_string = terraform_data.later.id
}

# want: fail public-address aws_ecs_service.public network_configuration[0].assign_public_ip
# want: undetermined(warn) public-subnet aws_ecs_service.public network_configuration[0].subnets
resource "aws_ecs_service" "public" {
  name            = "public"
  task_definition = "app:1"
  network_configuration {
    subnets          = ["subnet-0a"]
    assign_public_ip = true
  }
}

# want: pass public-address aws_ecs_service.default
# want: undetermined(warn) public-subnet aws_ecs_service.default network_configuration[0].subnets
resource "aws_ecs_service" "default" {
  name            = "default"
  task_definition = "app:1"
  network_configuration {
    subnets = ["subnet-0a", "subnet-0b"]
  }
}

# want: undetermined public-address aws_ecs_service.unknown network_configuration[0].assign_public_ip
# want: undetermined(warn) public-subnet aws_ecs_service.unknown network_configuration[0].subnets
resource "aws_ecs_service" "unknown" {
  name            = "unknown"
  task_definition = "app:1"
  network_configuration {
    subnets          = ["subnet-0a"]
    assign_public_ip = local.unknown_bool
  }
}

# A service without awsvpc networking has no address of its own.
resource "aws_ecs_service" "bridge" {
  name            = "bridge"
  task_definition = "app:1"
}

# want: fail public-address aws_ecs_task_set.public network_configuration[0].assign_public_ip
# want: undetermined(warn) public-subnet aws_ecs_task_set.public network_configuration[0].subnets
resource "aws_ecs_task_set" "public" {
  service         = "service"
  cluster         = "cluster"
  task_definition = "app:1"
  network_configuration {
    subnets          = ["subnet-0a"]
    assign_public_ip = true
  }
}

# want: fail public-address aws_instance.public associate_public_ip_address
# want: undetermined(warn) public-subnet aws_instance.public subnet_id
resource "aws_instance" "public" {
  ami                         = "ami-0a"
  instance_type               = "t3.micro"
  subnet_id                   = "subnet-0a"
  associate_public_ip_address = true
}

# Left out, the subnet decides, and there is none but the default VPC's.
# want: pass public-address aws_instance.homeless
# want: undetermined(warn) public-subnet aws_instance.homeless subnet_id
resource "aws_instance" "homeless" {
  ami           = "ami-0a"
  instance_type = "t3.micro"
}

# Left out by way of a variable that is null.
# want: pass public-address aws_instance.nothing
# want: undetermined(warn) public-subnet aws_instance.nothing subnet_id
resource "aws_instance" "nothing" {
  ami                         = "ami-0a"
  instance_type               = "t3.micro"
  associate_public_ip_address = var.secret
}

# want: undetermined public-address aws_instance.unknown associate_public_ip_address
# want: undetermined(warn) public-subnet aws_instance.unknown subnet_id
resource "aws_instance" "unknown" {
  ami                         = "ami-0a"
  instance_type               = "t3.micro"
  associate_public_ip_address = local.unknown_bool
}

# The second interface is the public one, and the provider plans its value as text.
# want: fail public-address aws_launch_template.second network_interfaces[1].associate_public_ip_address
resource "aws_launch_template" "second" {
  name = "second"
  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
  }
  network_interfaces {
    device_index                = 1
    associate_public_ip_address = true
  }
}

# want: pass public-address aws_launch_template.private
resource "aws_launch_template" "private" {
  name = "private"
  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
  }
}

# want: fail public-address aws_launch_configuration.public associate_public_ip_address
resource "aws_launch_configuration" "public" {
  image_id                    = "ami-0a"
  instance_type               = "t3.micro"
  associate_public_ip_address = true
}

# want: fail public-address aws_db_instance.public publicly_accessible
# want: undetermined(warn) public-subnet aws_db_instance.public db_subnet_group_name
resource "aws_db_instance" "public" {
  instance_class      = "db.t3.micro"
  engine              = "postgres"
  allocated_storage   = 20
  username            = "payments"
  password            = "not-a-secret"
  publicly_accessible = true
  skip_final_snapshot = true
}

# want: pass public-address aws_db_instance.private
# want: undetermined(warn) public-subnet aws_db_instance.private db_subnet_group_name
resource "aws_db_instance" "private" {
  instance_class      = "db.t3.micro"
  engine              = "postgres"
  allocated_storage   = 20
  username            = "payments"
  password            = "not-a-secret"
  skip_final_snapshot = true
}

# want: fail public-address aws_rds_cluster_instance.public publicly_accessible
resource "aws_rds_cluster_instance" "public" {
  cluster_identifier  = "cluster"
  instance_class      = "db.r6g.large"
  engine              = "aurora-postgresql"
  publicly_accessible = true
}

# want: pass public-address aws_rds_cluster_instance.default
resource "aws_rds_cluster_instance" "default" {
  cluster_identifier = "cluster"
  instance_class     = "db.r6g.large"
  engine             = "aurora-postgresql"
}

# The provider's own default is public.
# want: fail public-address aws_redshift_cluster.default publicly_accessible
# want: undetermined(warn) public-subnet aws_redshift_cluster.default cluster_subnet_group_name
resource "aws_redshift_cluster" "default" {
  cluster_identifier  = "default"
  node_type           = "ra3.large"
  master_username     = "payments"
  master_password     = "Not-a-secret-1"
  skip_final_snapshot = true
}

# want: pass public-address aws_redshift_cluster.private
# want: undetermined(warn) public-subnet aws_redshift_cluster.private cluster_subnet_group_name
resource "aws_redshift_cluster" "private" {
  cluster_identifier  = "private"
  node_type           = "ra3.large"
  master_username     = "payments"
  master_password     = "Not-a-secret-1"
  publicly_accessible = false
  skip_final_snapshot = true
}

# AWS would give a replication instance a public address, but the provider tells it not to.
# want: pass public-address aws_dms_replication_instance.default
# want: undetermined(warn) public-subnet aws_dms_replication_instance.default replication_subnet_group_id
resource "aws_dms_replication_instance" "default" {
  replication_instance_id    = "default"
  replication_instance_class = "dms.t3.micro"
}

# want: pass public-address aws_dms_replication_instance.private
# want: undetermined(warn) public-subnet aws_dms_replication_instance.private replication_subnet_group_id
resource "aws_dms_replication_instance" "private" {
  replication_instance_id    = "private"
  replication_instance_class = "dms.t3.micro"
  publicly_accessible        = false
}

# want: fail public-address aws_mq_broker.public publicly_accessible
# want: undetermined(warn) public-subnet aws_mq_broker.public subnet_ids
resource "aws_mq_broker" "public" {
  broker_name         = "public"
  engine_type         = "ActiveMQ"
  engine_version      = "5.18"
  host_instance_type  = "mq.t3.micro"
  publicly_accessible = true
  user {
    username = "payments"
    password = "not-a-secret-1"
  }
}

# want: fail public-address aws_msk_cluster.public broker_node_group_info[0].connectivity_info[0].public_access[0].type
# want: undetermined(warn) public-subnet aws_msk_cluster.public broker_node_group_info[0].client_subnets
resource "aws_msk_cluster" "public" {
  cluster_name           = "public"
  kafka_version          = "3.6.0"
  number_of_broker_nodes = 2
  broker_node_group_info {
    instance_type   = "kafka.m5.large"
    client_subnets  = ["subnet-0a", "subnet-0b"]
    security_groups = ["sg-0a"]
    connectivity_info {
      public_access {
        type = "SERVICE_PROVIDED_EIPS"
      }
    }
  }
}

# An address of an instance, known only by reference.
# want: fail public-address aws_eip.instance instance
resource "aws_eip" "instance" {
  instance = aws_instance.homeless.id
}

# The address of a NAT gateway is no workload's.
# want: pass public-address aws_eip.nat
resource "aws_eip" "nat" {
  domain = "vpc"
}

# want: fail public-address aws_eip_association.instance instance_id
resource "aws_eip_association" "instance" {
  allocation_id = aws_eip.nat.id
  instance_id   = "i-0a"
}

# want: fail public-address aws_scheduler_schedule.public target[0].ecs_parameters[0].network_configuration[0].assign_public_ip
# want: undetermined(warn) public-subnet aws_scheduler_schedule.public target[0].ecs_parameters[0].network_configuration[0].subnets
resource "aws_scheduler_schedule" "public" {
  schedule_expression = "rate(1 hour)"
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = "arn:aws:ecs:eu-central-1:123456789012:cluster/app"
    role_arn = "arn:aws:iam::123456789012:role/app"
    ecs_parameters {
      task_definition_arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/app:1"
      network_configuration {
        subnets          = ["subnet-0a"]
        assign_public_ip = true
      }
    }
  }
}

# want: fail public-address aws_cloudwatch_event_target.public ecs_target[0].network_configuration[0].assign_public_ip
# want: undetermined(warn) public-subnet aws_cloudwatch_event_target.public ecs_target[0].network_configuration[0].subnets
resource "aws_cloudwatch_event_target" "public" {
  rule     = "rule"
  arn      = "arn:aws:ecs:eu-central-1:123456789012:cluster/app"
  role_arn = "arn:aws:iam::123456789012:role/app"
  ecs_target {
    task_definition_arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/app:1"
    network_configuration {
      subnets          = ["subnet-0a"]
      assign_public_ip = true
    }
  }
}

# want: fail notebook-internet aws_sagemaker_notebook_instance.open direct_internet_access
resource "aws_sagemaker_notebook_instance" "open" {
  name          = "open"
  role_arn      = "arn:aws:iam::123456789012:role/app"
  instance_type = "ml.t3.medium"
}

# want: pass notebook-internet aws_sagemaker_notebook_instance.closed
# want: undetermined(warn) public-subnet aws_sagemaker_notebook_instance.closed subnet_id
resource "aws_sagemaker_notebook_instance" "closed" {
  name                   = "closed"
  role_arn               = "arn:aws:iam::123456789012:role/app"
  instance_type          = "ml.t3.medium"
  subnet_id              = "subnet-0a"
  security_groups        = ["sg-0a"]
  direct_internet_access = "Disabled"
}

# want: fail(warn) public-endpoint aws_eks_cluster.open vpc_config[0].endpoint_public_access
# want: undetermined(warn) public-subnet aws_eks_cluster.open vpc_config[0].subnet_ids
resource "aws_eks_cluster" "open" {
  name     = "open"
  role_arn = "arn:aws:iam::123456789012:role/app"
  vpc_config {
    subnet_ids = ["subnet-0a", "subnet-0b"]
  }
}

# want: pass public-endpoint aws_eks_cluster.closed
# want: undetermined(warn) public-subnet aws_eks_cluster.closed vpc_config[0].subnet_ids
resource "aws_eks_cluster" "closed" {
  name     = "closed"
  role_arn = "arn:aws:iam::123456789012:role/app"
  vpc_config {
    subnet_ids              = ["subnet-0a", "subnet-0b"]
    endpoint_public_access  = false
    endpoint_private_access = true
  }
}

# want: undetermined(warn) public-endpoint aws_transfer_server.unknown endpoint_type
resource "aws_transfer_server" "unknown" {
  endpoint_type = local.unknown_string
}

# A load balancer faces the internet on purpose.
resource "aws_lb" "front" {
  name    = "front"
  subnets = ["subnet-0a", "subnet-0b"]
}

# want: undetermined public-ip-on-launch aws_subnet.unknown map_public_ip_on_launch
resource "aws_subnet" "unknown" {
  vpc_id                  = "vpc-0a"
  cidr_block              = "10.0.1.0/24"
  map_public_ip_on_launch = local.unknown_bool
}
