# Parameters of databases.

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass database aws_db_parameter_group.postgres14
resource "aws_db_parameter_group" "postgres14" {
  name   = "postgres14"
  family = "postgres14"
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
}

# Not set, and off by default before version 15. Nothing uses the group.
# want: fail(warn) database aws_db_parameter_group.postgres13 parameter
resource "aws_db_parameter_group" "postgres13" {
  name   = "postgres13"
  family = "postgres13"
}

# Not set, and on by default.
# want: pass database aws_db_parameter_group.postgres16
resource "aws_db_parameter_group" "postgres16" {
  name   = "postgres16"
  family = "postgres16"
}

# want: fail database aws_db_parameter_group.used parameter[0].value
resource "aws_db_parameter_group" "used" {
  name   = "used"
  family = "postgres16"
  parameter {
    name  = "rds.force_ssl"
    value = "0"
  }
}

resource "aws_db_instance" "this" {
  instance_class       = "db.t3.micro"
  engine               = "postgres"
  allocated_storage    = 20
  username             = "payments"
  password             = "not-a-secret"
  skip_final_snapshot  = true
  parameter_group_name = aws_db_parameter_group.used.name
}

# want: fail(warn) database aws_rds_cluster_parameter_group.mysql parameter[1].value
resource "aws_rds_cluster_parameter_group" "mysql" {
  name   = "mysql"
  family = "aurora-mysql8.0"
  parameter {
    name  = "require_secure_transport"
    value = "ON"
  }
  parameter {
    name  = "tls_version"
    value = "TLSv1.1,TLSv1.2"
  }
}

# want: undetermined(warn) database aws_rds_cluster_parameter_group.unknown parameter[0].value
resource "aws_rds_cluster_parameter_group" "unknown" {
  name   = "unknown"
  family = "aurora-postgresql14"
  parameter {
    name  = "rds.force_ssl"
    value = terraform_data.later.id
  }
}

# want: fail(warn) database aws_docdb_cluster_parameter_group.off parameter[0].value
resource "aws_docdb_cluster_parameter_group" "off" {
  name   = "off"
  family = "docdb5.0"
  parameter {
    name  = "tls"
    value = "disabled"
  }
}

# want: pass database aws_docdb_cluster_parameter_group.default
resource "aws_docdb_cluster_parameter_group" "default" {
  name   = "default"
  family = "docdb5.0"
}

# want: fail(warn) database aws_redshift_parameter_group.default parameter
resource "aws_redshift_parameter_group" "default" {
  name   = "default"
  family = "redshift-1.0"
}

# want: pass database aws_redshift_parameter_group.on
resource "aws_redshift_parameter_group" "on" {
  name   = "on"
  family = "redshift-1.0"
  parameter {
    name  = "require_ssl"
    value = "true"
  }
}

# Nothing is known of this engine.
resource "aws_db_parameter_group" "oracle" {
  name   = "oracle"
  family = "oracle-ee-19"
}

# Aurora has the parameter in the group of the cluster, so the instances' group need not set it.
resource "aws_db_parameter_group" "aurora" {
  name   = "aurora"
  family = "aurora-postgresql14"
}

# On by default since version 17.
# want: fail(warn) database aws_rds_cluster_parameter_group.aurora16 parameter
resource "aws_rds_cluster_parameter_group" "aurora16" {
  name   = "aurora16"
  family = "aurora-postgresql16"
}

# want: pass database aws_rds_cluster_parameter_group.aurora17
resource "aws_rds_cluster_parameter_group" "aurora17" {
  name   = "aurora17"
  family = "aurora-postgresql17"
}

# The name of the group is known only after the apply; that it is used is not.
# want: fail database aws_rds_cluster_parameter_group.named parameter[0].value
resource "aws_rds_cluster_parameter_group" "named" {
  name_prefix = "named-"
  family      = "aurora-mysql8.0"
  parameter {
    name  = "require_secure_transport"
    value = "OFF"
  }
}

resource "aws_rds_cluster" "named" {
  cluster_identifier              = "named"
  engine                          = "aurora-mysql"
  skip_final_snapshot             = true
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.named.name
}

# What MySQL 5.7 accepts depends on its minor version.
# want: undetermined(warn) database aws_db_parameter_group.mysql57 parameter
resource "aws_db_parameter_group" "mysql57" {
  name   = "mysql57"
  family = "mysql5.7"
  parameter {
    name  = "require_secure_transport"
    value = "1"
  }
}

# want: fail(warn) database aws_db_parameter_group.sqlserver parameter[1].value
resource "aws_db_parameter_group" "sqlserver" {
  name   = "sqlserver"
  family = "sqlserver-se-15.0"
  parameter {
    name         = "rds.force_ssl"
    value        = "1"
    apply_method = "pending-reboot"
  }
  parameter {
    name         = "rds.tls10"
    value        = "enabled"
    apply_method = "pending-reboot"
  }
}

# Both rds.force_ssl and ssl_min_protocol_version may be in it.
# want: undetermined(warn) database aws_db_parameter_group.dynamic parameter
# want: undetermined(warn) database aws_db_parameter_group.dynamic parameter
resource "aws_db_parameter_group" "dynamic" {
  name   = "dynamic"
  family = "postgres13"
  dynamic "parameter" {
    for_each = terraform_data.later.output == "x" ? [] : ["1"]
    content {
      name  = "rds.force_ssl"
      value = parameter.value
    }
  }
}

# want: fail database aws_redshiftserverless_workgroup.off config_parameter[0].parameter_value
resource "aws_redshiftserverless_workgroup" "off" {
  namespace_name = "payments"
  workgroup_name = "off"
  config_parameter {
    parameter_key   = "require_ssl"
    parameter_value = "false"
  }
}

# Terraform plans both; which of them counts is up to AWS.
# want: fail(warn) database aws_db_parameter_group.twice parameter[0].value
resource "aws_db_parameter_group" "twice" {
  name   = "twice"
  family = "postgres14"
  parameter {
    name         = "rds.force_ssl"
    value        = "0"
    apply_method = "immediate"
  }
  parameter {
    name         = "rds.force_ssl"
    value        = "0"
    apply_method = "pending-reboot"
  }
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
}

# Without tls_version it would depend on the server's version.
# want: pass database aws_db_parameter_group.versions
resource "aws_db_parameter_group" "versions" {
  name   = "versions"
  family = "mysql5.7"
  parameter {
    name  = "tls_version"
    value = "TLSv1.2"
  }
  parameter {
    name  = "require_secure_transport"
    value = "ON"
  }
}

# Other parameters may be unknown.
# want: pass database aws_db_parameter_group.others
resource "aws_db_parameter_group" "others" {
  name   = "others"
  family = "postgres14"
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
  parameter {
    name  = "log_min_duration_statement"
    value = terraform_data.later.id
  }
}

# Which parameters it needs depends on the family.
# want: undetermined database aws_db_parameter_group.nameless family
resource "aws_db_parameter_group" "nameless" {
  name   = "nameless"
  family = "postgres${terraform_data.later.id}"
}
