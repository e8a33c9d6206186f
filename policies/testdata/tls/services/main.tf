# Managed services: the oldest version that they accept, and whether they encrypt at all.

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass version aws_api_gateway_domain_name.good
resource "aws_api_gateway_domain_name" "good" {
  domain_name     = "api.example.com"
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/0a"
  security_policy = "TLS_1_2"
}

# want: fail version aws_api_gateway_domain_name.old security_policy
resource "aws_api_gateway_domain_name" "old" {
  domain_name     = "old.example.com"
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/0a"
  security_policy = "TLS_1_0"
}

# want: undetermined(warn) version aws_api_gateway_domain_name.unset security_policy
resource "aws_api_gateway_domain_name" "unset" {
  domain_name     = "unset.example.com"
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/0a"
}

# want: undetermined version aws_api_gateway_domain_name.unknown security_policy
resource "aws_api_gateway_domain_name" "unknown" {
  domain_name     = "unknown.example.com"
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/0a"
  security_policy = terraform_data.later.id
}

# want: pass version aws_apigatewayv2_domain_name.good
resource "aws_apigatewayv2_domain_name" "good" {
  domain_name = "v2.example.com"
  domain_name_configuration {
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

# want: pass encryption aws_opensearch_domain.good
# want: pass version aws_opensearch_domain.good
resource "aws_opensearch_domain" "good" {
  domain_name = "good"
  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-2019-07"
  }
}

# want: fail encryption aws_opensearch_domain.bad domain_endpoint_options[0].enforce_https
# want: fail version aws_opensearch_domain.bad domain_endpoint_options[0].tls_security_policy
resource "aws_opensearch_domain" "bad" {
  domain_name = "bad"
  domain_endpoint_options {
    enforce_https       = false
    tls_security_policy = "Policy-Min-TLS-1-0-2019-07"
  }
}

# want: fail encryption aws_opensearch_domain.unset domain_endpoint_options
resource "aws_opensearch_domain" "unset" {
  domain_name = "unset"
}

# want: pass encryption aws_elasticsearch_domain.half
# want: undetermined(warn) version aws_elasticsearch_domain.half domain_endpoint_options[0].tls_security_policy
resource "aws_elasticsearch_domain" "half" {
  domain_name = "half"
  domain_endpoint_options {
    enforce_https = true
  }
}

# Blocks from a dynamic block are not in the configuration, but in the plan.
# want: pass encryption aws_opensearch_domain.dynamic
# want: pass version aws_opensearch_domain.dynamic
resource "aws_opensearch_domain" "dynamic" {
  domain_name = "dynamic"
  dynamic "domain_endpoint_options" {
    for_each = [true]
    content {
      enforce_https       = domain_endpoint_options.value
      tls_security_policy = "Policy-Min-TLS-1-2-PFS-2023-10"
    }
  }
}

# want: pass encryption aws_elasticache_replication_group.good
resource "aws_elasticache_replication_group" "good" {
  replication_group_id       = "good"
  description                = "good"
  node_type                  = "cache.t3.micro"
  transit_encryption_enabled = true
}

# want: fail encryption aws_elasticache_replication_group.unset transit_encryption_enabled
resource "aws_elasticache_replication_group" "unset" {
  replication_group_id = "unset"
  description          = "unset"
  node_type            = "cache.t3.micro"
}

# want: fail encryption aws_elasticache_replication_group.preferred transit_encryption_mode
resource "aws_elasticache_replication_group" "preferred" {
  replication_group_id       = "preferred"
  description                = "preferred"
  node_type                  = "cache.t3.micro"
  transit_encryption_enabled = true
  transit_encryption_mode    = "preferred"
}

# want: undetermined encryption aws_elasticache_replication_group.unknown transit_encryption_enabled
resource "aws_elasticache_replication_group" "unknown" {
  replication_group_id       = "unknown"
  description                = "unknown"
  node_type                  = "cache.t3.micro"
  transit_encryption_enabled = terraform_data.later.id == "x"
}

# want: fail(warn) encryption aws_elasticache_cluster.plain transit_encryption_enabled
resource "aws_elasticache_cluster" "plain" {
  cluster_id      = "plain"
  engine          = "redis"
  node_type       = "cache.t3.micro"
  num_cache_nodes = 1
}

# A member of a replication group has the group's encryption.
resource "aws_elasticache_cluster" "member" {
  cluster_id           = "member"
  replication_group_id = aws_elasticache_replication_group.good.id
}

# want: pass encryption aws_msk_cluster.default
resource "aws_msk_cluster" "default" {
  cluster_name           = "default"
  kafka_version          = "3.6.0"
  number_of_broker_nodes = 2
  broker_node_group_info {
    instance_type   = "kafka.m5.large"
    client_subnets  = ["subnet-0a", "subnet-0b"]
    security_groups = ["sg-0a"]
  }
  encryption_info {
    encryption_in_transit {
      client_broker = "TLS"
    }
  }
}

# want: fail encryption aws_msk_cluster.both encryption_info[0].encryption_in_transit[0].client_broker
# want: fail encryption aws_msk_cluster.both encryption_info[0].encryption_in_transit[0].in_cluster
resource "aws_msk_cluster" "both" {
  cluster_name           = "both"
  kafka_version          = "3.6.0"
  number_of_broker_nodes = 2
  broker_node_group_info {
    instance_type   = "kafka.m5.large"
    client_subnets  = ["subnet-0a", "subnet-0b"]
    security_groups = ["sg-0a"]
  }
  encryption_info {
    encryption_in_transit {
      client_broker = "TLS_PLAINTEXT"
      in_cluster    = false
    }
  }
}

# want: fail encryption aws_dax_cluster.default cluster_endpoint_encryption_type
resource "aws_dax_cluster" "default" {
  cluster_name       = "default"
  iam_role_arn       = "arn:aws:iam::123456789012:role/app"
  node_type          = "dax.r4.large"
  replication_factor = 1
}

# want: fail encryption aws_db_proxy.default require_tls
resource "aws_db_proxy" "default" {
  name           = "default"
  engine_family  = "POSTGRESQL"
  role_arn       = "arn:aws:iam::123456789012:role/app"
  vpc_subnet_ids = ["subnet-0a", "subnet-0b"]
  auth {
    secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:app"
  }
}

# want: fail encryption aws_memorydb_cluster.off tls_enabled
resource "aws_memorydb_cluster" "off" {
  name        = "off"
  acl_name    = "open-access"
  node_type   = "db.t4g.small"
  tls_enabled = false
}

# want: pass encryption aws_memorydb_cluster.default
resource "aws_memorydb_cluster" "default" {
  name      = "default"
  acl_name  = "open-access"
  node_type = "db.t4g.small"
}

# want: fail encryption aws_ecs_task_definition.mount volume[0].efs_volume_configuration[0].transit_encryption
resource "aws_ecs_task_definition" "mount" {
  family                = "mount"
  container_definitions = jsonencode([{ name = "app", image = "app:1" }])
  volume {
    name = "data"
    efs_volume_configuration {
      file_system_id = "fs-0a"
    }
  }
}

# want: pass version aws_iot_domain_configuration.default
resource "aws_iot_domain_configuration" "default" {
  name = "default"
  tls_config {
    security_policy = "IoTSecurityPolicy_TLS12_1_2_2022_10"
  }
}

# want: fail version aws_iot_domain_configuration.old tls_config[0].security_policy
resource "aws_iot_domain_configuration" "old" {
  name = "old"
  tls_config {
    security_policy = "IoTSecurityPolicy_TLS12_1_0_2016_01"
  }
}

# AWS encrypts in both directions unless it is told otherwise.
# want: pass encryption aws_msk_cluster.unset
resource "aws_msk_cluster" "unset" {
  cluster_name           = "unset"
  kafka_version          = "3.6.0"
  number_of_broker_nodes = 2
  broker_node_group_info {
    instance_type   = "kafka.m5.large"
    client_subnets  = ["subnet-0a", "subnet-0b"]
    security_groups = ["sg-0a"]
  }
}

# want: pass encryption aws_msk_cluster.at_rest
resource "aws_msk_cluster" "at_rest" {
  cluster_name           = "at-rest"
  kafka_version          = "3.6.0"
  number_of_broker_nodes = 2
  broker_node_group_info {
    instance_type   = "kafka.m5.large"
    client_subnets  = ["subnet-0a", "subnet-0b"]
    security_groups = ["sg-0a"]
  }
  encryption_info {
    encryption_at_rest_kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/0a"
  }
}

# A block of unknown length is neither there nor missing.
# want: undetermined encryption aws_msk_cluster.dynamic encryption_info
# want: undetermined encryption aws_msk_cluster.dynamic encryption_info
resource "aws_msk_cluster" "dynamic" {
  cluster_name           = "dynamic"
  kafka_version          = "3.6.0"
  number_of_broker_nodes = 2
  broker_node_group_info {
    instance_type   = "kafka.m5.large"
    client_subnets  = ["subnet-0a", "subnet-0b"]
    security_groups = ["sg-0a"]
  }
  dynamic "encryption_info" {
    for_each = terraform_data.later.output == "x" ? [] : [true]
    content {
      encryption_in_transit {
        client_broker = "PLAINTEXT"
      }
    }
  }
}

# want: pass encryption aws_cloudsearch_domain.good
# want: pass version aws_cloudsearch_domain.good
resource "aws_cloudsearch_domain" "good" {
  name = "good"
  endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-2019-07"
  }
}

# want: fail encryption aws_cloudsearch_domain.unset endpoint_options
resource "aws_cloudsearch_domain" "unset" {
  name = "unset"
}

# want: pass version aws_iot_domain_configuration.unset
resource "aws_iot_domain_configuration" "unset" {
  name = "unset"
}

# The members of a global group have the primary's encryption.
# want: pass encryption aws_elasticache_replication_group.secondary
resource "aws_elasticache_replication_group" "secondary" {
  replication_group_id        = "secondary"
  description                 = "secondary"
  global_replication_group_id = "ldgnf-payments"
}

# want: fail encryption aws_opensearch_domain.nodes node_to_node_encryption[0].enabled
# want: pass version aws_opensearch_domain.nodes
resource "aws_opensearch_domain" "nodes" {
  domain_name = "nodes"
  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-2019-07"
  }
  node_to_node_encryption {
    enabled = false
  }
}
