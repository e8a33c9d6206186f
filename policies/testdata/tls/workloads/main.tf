# Jobs, builds and what they mount or reach.

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass encryption aws_ecs_task_definition.good
resource "aws_ecs_task_definition" "good" {
  family                = "good"
  container_definitions = jsonencode([{ name = "app", image = "app:1" }])
  volume {
    name = "data"
    efs_volume_configuration {
      file_system_id     = "fs-0a"
      transit_encryption = "ENABLED"
    }
  }
  volume {
    name = "scratch"
  }
}

# want: fail encryption aws_ecs_task_definition.bad volume[0].efs_volume_configuration[0].transit_encryption
resource "aws_ecs_task_definition" "bad" {
  family                = "bad"
  container_definitions = jsonencode([{ name = "app", image = "app:1" }])
  volume {
    name = "data"
    efs_volume_configuration {
      file_system_id     = "fs-0a"
      transit_encryption = "DISABLED"
    }
  }
}

locals {
  volumes = {
    # want: pass encryption aws_batch_job_definition.mount["good"]
    good = [{ name = "data", efsVolumeConfiguration = { fileSystemId = "fs-0a", transitEncryption = "ENABLED" } }]
    # want: pass encryption aws_batch_job_definition.mount["none"]
    none = []
    # want: fail encryption aws_batch_job_definition.mount["off"] container_properties
    off = [{ name = "data", efsVolumeConfiguration = { fileSystemId = "fs-0a", transitEncryption = "DISABLED" } }]
    # want: fail encryption aws_batch_job_definition.mount["unset"] container_properties
    unset = [{ name = "data", efsVolumeConfiguration = { fileSystemId = "fs-0a" } }]
  }
}

resource "aws_batch_job_definition" "mount" {
  for_each = local.volumes

  name                 = each.key
  type                 = "container"
  container_properties = jsonencode({ image = "app:1", volumes = each.value })
}

# want: undetermined encryption aws_batch_job_definition.unknown container_properties
resource "aws_batch_job_definition" "unknown" {
  name                 = "unknown"
  type                 = "container"
  container_properties = jsonencode({ image = terraform_data.later.id })
}

# want: pass encryption aws_emr_security_configuration.good
resource "aws_emr_security_configuration" "good" {
  name = "good"
  configuration = jsonencode({
    EncryptionConfiguration = {
      EnableInTransitEncryption = true
      EnableAtRestEncryption    = false
    }
  })
}

# want: fail encryption aws_emr_security_configuration.off configuration
resource "aws_emr_security_configuration" "off" {
  name = "off"
  configuration = jsonencode({
    EncryptionConfiguration = {
      EnableInTransitEncryption = false
      EnableAtRestEncryption    = true
    }
  })
}

# want: fail encryption aws_emr_security_configuration.none configuration
resource "aws_emr_security_configuration" "none" {
  name = "none"
  configuration = jsonencode({
    AuthenticationConfiguration = {}
  })
}

# want: fail(warn) encryption aws_sagemaker_data_quality_job_definition.plain network_config[0].enable_inter_container_traffic_encryption
resource "aws_sagemaker_data_quality_job_definition" "plain" {
  name     = "plain"
  role_arn = "arn:aws:iam::123456789012:role/payments"
  data_quality_app_specification {
    image_uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/monitor"
  }
  data_quality_job_input {
    endpoint_input {
      endpoint_name = "payments"
    }
  }
  data_quality_job_output_config {
    monitoring_outputs {
      s3_output {
        s3_uri = "https://payments.s3.eu-central-1.amazonaws.com/output"
      }
    }
  }
  job_resources {
    cluster_config {
      instance_count    = 1
      instance_type     = "ml.t3.medium"
      volume_size_in_gb = 20
    }
  }
  network_config {
    enable_network_isolation = true
  }
}

# want: fail encryption aws_codebuild_project.insecure source[0].insecure_ssl
resource "aws_codebuild_project" "insecure" {
  name         = "insecure"
  service_role = "arn:aws:iam::123456789012:role/payments"
  artifacts {
    type = "NO_ARTIFACTS"
  }
  environment {
    compute_type = "BUILD_GENERAL1_SMALL"
    image        = "aws/codebuild/standard:7.0"
    type         = "LINUX_CONTAINER"
  }
  source {
    type         = "GITHUB"
    location     = "https://github.com/example/payments.git"
    insecure_ssl = true
  }
}

# want: pass encryption aws_quicksight_data_source.good
resource "aws_quicksight_data_source" "good" {
  data_source_id = "good"
  name           = "good"
  type           = "AURORA_POSTGRESQL"
  parameters {
    aurora_postgresql {
      database = "payments"
      host     = "db.example.com"
      port     = 5432
    }
  }
  ssl_properties {
    disable_ssl = false
  }
}

# want: fail encryption aws_quicksight_data_source.bad ssl_properties[0].disable_ssl
resource "aws_quicksight_data_source" "bad" {
  data_source_id = "bad"
  name           = "bad"
  type           = "AURORA_POSTGRESQL"
  parameters {
    aurora_postgresql {
      database = "payments"
      host     = "db.example.com"
      port     = 5432
    }
  }
  ssl_properties {
    disable_ssl = true
  }
}
