# What moves data: DMS, DataSync, Transfer Family, Glue and the Storage Gateway.

resource "terraform_data" "later" {
  input = "known after the apply"
}

locals {
  ssl_modes = {
    # want: pass encryption aws_dms_endpoint.database["full"]
    full = "verify-full"
    # want: pass encryption aws_dms_endpoint.database["require"]
    require = "require"
    # want: fail encryption aws_dms_endpoint.database["none"] ssl_mode
    none = "none"
    # Whatever comes from locals is undetermined while it is unknown, as is what the provider fills in for null.
    # want: undetermined encryption aws_dms_endpoint.database["null"] ssl_mode
    null = null
  }
}

resource "aws_dms_endpoint" "database" {
  for_each = local.ssl_modes

  endpoint_id   = each.key
  endpoint_type = "source"
  engine_name   = "postgres"
  server_name   = "db.example.com"
  port          = 5432
  username      = "payments"
  password      = "not-a-secret"
  database_name = "payments"
  ssl_mode      = each.value
}

# want: fail encryption aws_dms_endpoint.unset ssl_mode
resource "aws_dms_endpoint" "unset" {
  endpoint_id   = "unset"
  endpoint_type = "source"
  engine_name   = "aurora"
  server_name   = "db.example.com"
  port          = 3306
  username      = "payments"
  password      = "not-a-secret"
}

# want: undetermined encryption aws_dms_endpoint.unknown ssl_mode
resource "aws_dms_endpoint" "unknown" {
  endpoint_id   = "unknown"
  endpoint_type = "source"
  engine_name   = "mysql"
  server_name   = "db.example.com"
  port          = 3306
  username      = "payments"
  password      = "not-a-secret"
  ssl_mode      = terraform_data.later.id
}

# The mode means nothing to what is no database.
resource "aws_dms_endpoint" "stream" {
  endpoint_id   = "stream"
  endpoint_type = "target"
  engine_name   = "kinesis"
  kinesis_settings {
    stream_arn              = "arn:aws:kinesis:eu-central-1:123456789012:stream/payments"
    service_access_role_arn = "arn:aws:iam::123456789012:role/payments"
  }
}

# want: fail encryption aws_dms_endpoint.kafka kafka_settings[0].security_protocol
resource "aws_dms_endpoint" "kafka" {
  endpoint_id   = "kafka"
  endpoint_type = "target"
  engine_name   = "kafka"
  kafka_settings {
    broker            = "broker.example.com:9092"
    security_protocol = "plaintext"
  }
}

# want: fail encryption aws_dms_endpoint.redis redis_settings[0].ssl_security_protocol
resource "aws_dms_endpoint" "redis" {
  endpoint_id   = "redis"
  endpoint_type = "target"
  engine_name   = "redis"
  redis_settings {
    auth_type             = "none"
    server_name           = "redis.example.com"
    port                  = 6379
    ssl_security_protocol = "plaintext"
  }
}

# want: pass encryption aws_datasync_location_efs.good
resource "aws_datasync_location_efs" "good" {
  efs_file_system_arn   = "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0a"
  in_transit_encryption = "TLS1_2"
  ec2_config {
    security_group_arns = ["arn:aws:ec2:eu-central-1:123456789012:security-group/sg-0a"]
    subnet_arn          = "arn:aws:ec2:eu-central-1:123456789012:subnet/subnet-0a"
  }
}

# want: fail encryption aws_datasync_location_efs.unset in_transit_encryption
resource "aws_datasync_location_efs" "unset" {
  efs_file_system_arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0a"
  ec2_config {
    security_group_arns = ["arn:aws:ec2:eu-central-1:123456789012:security-group/sg-0a"]
    subnet_arn          = "arn:aws:ec2:eu-central-1:123456789012:subnet/subnet-0a"
  }
}

# want: fail encryption aws_datasync_location_hdfs.weak qop_configuration[0].data_transfer_protection
# want: fail encryption aws_datasync_location_hdfs.weak qop_configuration[0].rpc_protection
resource "aws_datasync_location_hdfs" "weak" {
  agent_arns          = ["arn:aws:datasync:eu-central-1:123456789012:agent/agent-0a0a0a0a0a0a0a0a0"]
  authentication_type = "SIMPLE"
  simple_user         = "payments"
  name_node {
    hostname = "hdfs.example.com"
    port     = 80
  }
  qop_configuration {
    data_transfer_protection = "INTEGRITY"
    rpc_protection           = "DISABLED"
  }
}

# want: fail encryption aws_datasync_location_object_storage.plain server_protocol
resource "aws_datasync_location_object_storage" "plain" {
  agent_arns      = ["arn:aws:datasync:eu-central-1:123456789012:agent/agent-0a0a0a0a0a0a0a0a0"]
  server_hostname = "objects.example.com"
  bucket_name     = "payments"
  server_protocol = "HTTP"
}

# A server without settings speaks SFTP only, and none of AWS's policies takes TLS before 1.2.
# want: pass encryption aws_transfer_server.default
# want: pass version aws_transfer_server.default
resource "aws_transfer_server" "default" {}

# want: pass encryption aws_transfer_server.modern
# want: pass version aws_transfer_server.modern
resource "aws_transfer_server" "modern" {
  protocols            = ["FTPS", "SFTP"]
  certificate          = "arn:aws:acm:eu-central-1:123456789012:certificate/0a"
  endpoint_type        = "VPC"
  security_policy_name = "TransferSecurityPolicy-FIPS-2024-01"
}

# want: fail encryption aws_transfer_server.ftp protocols
# want: pass version aws_transfer_server.ftp
resource "aws_transfer_server" "ftp" {
  protocols              = ["FTP", "SFTP"]
  endpoint_type          = "VPC"
  identity_provider_type = "AWS_LAMBDA"
  function               = "arn:aws:lambda:eu-central-1:123456789012:function:login"
}

# want: undetermined encryption aws_transfer_server.unknown protocols
# want: undetermined version aws_transfer_server.unknown security_policy_name
resource "aws_transfer_server" "unknown" {
  protocols            = [terraform_data.later.id]
  security_policy_name = terraform_data.later.id
}

# want: fail encryption aws_transfer_connector.plain url
# want: pass version aws_transfer_connector.plain
resource "aws_transfer_connector" "plain" {
  access_role = "arn:aws:iam::123456789012:role/payments"
  url         = "http://partner.example.com"
  as2_config {
    compression           = "DISABLED"
    encryption_algorithm  = "AES256_CBC"
    local_profile_id      = "p-0000000000000000a"
    partner_profile_id    = "p-0000000000000000b"
    mdn_response          = "SYNC"
    mdn_signing_algorithm = "NONE"
    signing_algorithm     = "SHA256"
  }
}

# want: pass encryption aws_glue_connection.good
resource "aws_glue_connection" "good" {
  name = "good"
  connection_properties = {
    JDBC_CONNECTION_URL = "jdbc:postgresql://db.example.com/payments"
    JDBC_ENFORCE_SSL    = "true"
  }
}

# want: fail(warn) encryption aws_glue_connection.unset connection_properties.JDBC_ENFORCE_SSL
resource "aws_glue_connection" "unset" {
  name = "unset"
  connection_properties = {
    JDBC_CONNECTION_URL = "jdbc:postgresql://db.example.com/payments"
  }
}

# want: undetermined(warn) encryption aws_glue_connection.unknown connection_properties.JDBC_ENFORCE_SSL
resource "aws_glue_connection" "unknown" {
  name = "unknown"
  connection_properties = {
    JDBC_CONNECTION_URL = "jdbc:postgresql://db.example.com/payments"
    JDBC_ENFORCE_SSL    = terraform_data.later.id
  }
}

# want: pass encryption aws_glue_connection.kafka
resource "aws_glue_connection" "kafka" {
  name            = "kafka"
  connection_type = "KAFKA"
  connection_properties = {
    KAFKA_BOOTSTRAP_SERVERS = "broker.example.com:9094"
  }
}

# want: fail encryption aws_storagegateway_gateway.signing smb_security_strategy
resource "aws_storagegateway_gateway" "signing" {
  gateway_name          = "signing"
  gateway_timezone      = "GMT"
  gateway_type          = "FILE_S3"
  gateway_ip_address    = "192.0.2.1"
  smb_security_strategy = "MandatorySigning"
}

# want: fail encryption aws_mskconnect_connector.plain kafka_cluster_encryption_in_transit[0].encryption_type
resource "aws_mskconnect_connector" "plain" {
  name                       = "plain"
  kafkaconnect_version       = "2.7.1"
  service_execution_role_arn = "arn:aws:iam::123456789012:role/payments"
  connector_configuration    = { "connector.class" = "com.example.Connector" }
  capacity {
    provisioned_capacity {
      worker_count = 1
    }
  }
  kafka_cluster {
    apache_kafka_cluster {
      bootstrap_servers = "broker.example.com:9092"
      vpc {
        security_groups = ["sg-0a"]
        subnets         = ["subnet-0a"]
      }
    }
  }
  kafka_cluster_client_authentication {
    authentication_type = "NONE"
  }
  kafka_cluster_encryption_in_transit {
    encryption_type = "PLAINTEXT"
  }
  plugin {
    custom_plugin {
      arn      = "arn:aws:kafkaconnect:eu-central-1:123456789012:custom-plugin/debezium/0a"
      revision = 1
    }
  }
}
