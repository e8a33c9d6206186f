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
