package plan.tls_test

import data.plan.tls

# All names that AWS has given out, by the oldest version that each accepts.
test_modern_policy_names if {
	every name in [
		# Application and network load balancers.
		"ELBSecurityPolicy-TLS13-1-3-2021-06", "ELBSecurityPolicy-TLS13-1-2-2021-06",
		"ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06",
		"ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
		"ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04", "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
		"ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04", "ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04",
		"ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04", "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
		"ELBSecurityPolicy-TLS13-1-2-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
		"ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09",
		"ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09",
		"ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-PQ-2025-09",
		"ELBSecurityPolicy-TLS-1-2-2017-01", "ELBSecurityPolicy-TLS-1-2-Ext-2018-06",
		"ELBSecurityPolicy-FS-1-2-2019-08", "ELBSecurityPolicy-FS-1-2-Res-2019-08", "ELBSecurityPolicy-FS-1-2-Res-2020-10",
		# CloudFront.
		"TLSv1.2_2018", "TLSv1.2_2019", "TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025",
		# API Gateway.
		"TLS_1_2", "SecurityPolicy_TLS13_1_3_2025_09", "SecurityPolicy_TLS13_1_3_FIPS_2025_09",
		"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "SecurityPolicy_TLS13_1_2_PQ_2025_09", "SecurityPolicy_TLS13_1_2_2021_06",
		"SecurityPolicy_TLS13_2025_EDGE", "SecurityPolicy_TLS12_PFS_2025_EDGE", "SecurityPolicy_TLS12_2018_EDGE",
		# OpenSearch and CloudSearch.
		"Policy-Min-TLS-1-2-2019-07", "Policy-Min-TLS-1-2-PFS-2023-10", "Policy-Min-TLS-1-2-RFC9151-FIPS-2024-08",
		# Transfer.
		"TransferSecurityPolicy-2018-11", "TransferSecurityPolicy-2020-06", "TransferSecurityPolicy-2022-03",
		"TransferSecurityPolicy-2023-05", "TransferSecurityPolicy-2024-01", "TransferSecurityPolicy-2025-03",
		"TransferSecurityPolicy-FIPS-2020-06", "TransferSecurityPolicy-FIPS-2024-05", "TransferSecurityPolicy-FIPS-2025-03",
		"TransferSecurityPolicy-Restricted-2018-11", "TransferSecurityPolicy-Restricted-2024-06",
		"TransferSecurityPolicy-SshAuditCompliant-2025-02", "TransferSecurityPolicy-AS2Restricted-2025-07",
		"TransferSecurityPolicy-PQ-SSH-Experimental-2023-04", "TransferSecurityPolicy-PQ-SSH-FIPS-Experimental-2023-04",
		"TransferSFTPConnectorSecurityPolicy-2023-07", "TransferSFTPConnectorSecurityPolicy-FIPS-2024-10",
		# IoT, whose documentation spells it in two ways.
		"IoTSecurityPolicy_TLS13_1_3_2022_10", "IotSecurityPolicy_TLS13_1_2_2022_10", "IoTSecurityPolicy_TLS12_1_2_2022_10",
	] {
		tls.modern(name)
		not tls.outdated(name)
		not tls.name_problem(name, name)
	}
}

test_outdated_policy_names if {
	every name in [
		"ELBSecurityPolicy-TLS13-1-1-2021-06", "ELBSecurityPolicy-TLS13-1-0-2021-06",
		"ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04", "ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04",
		"ELBSecurityPolicy-TLS13-1-0-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09",
		"ELBSecurityPolicy-FS-2018-06", "ELBSecurityPolicy-FS-1-1-2019-08", "ELBSecurityPolicy-TLS-1-1-2017-01",
		"ELBSecurityPolicy-TLS-1-0-2015-04", "ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-2015-05",
		"ELBSecurityPolicy-2015-03", "ELBSecurityPolicy-2015-02", "ELBSecurityPolicy-2014-10", "ELBSecurityPolicy-2014-01",
		"ELBSecurityPolicy-2011-08", "ELBSample-ELBDefaultNegotiationPolicy", "ELBSample-OpenSSLDefaultNegotiationPolicy",
		"SSLv3", "TLSv1", "TLSv1_2016", "TLSv1.1_2016", "TLS_1_0", "Policy-Min-TLS-1-0-2019-07",
		"IoTSecurityPolicy_TLS12_1_0_2016_01", "IoTSecurityPolicy_TLS12_1_0_2015_01",
	] {
		tls.outdated(name)
		tls.name_problem(name, name).verdict == "fail"
	}
}

test_unknown_names_are_undetermined if {
	every name in [
		"ELBSecurityPolicy-Future-2031-01", "xELBSecurityPolicy-TLS-1-2-2017-01", "TLSv1.20",
		"TransferSecurityPolicy-Future-2031-01", "SecurityPolicy_TLS20_2040",
	] {
		not tls.modern(name)
		not tls.outdated(name)
		tls.name_problem(name, name).verdict == "undetermined"
	}
}

# For each family of parameter groups, which parameters a group without any lacks.
test_parameters_of_families if {
	every family, lacking in {
		"postgres9.6": {"rds.force_ssl"}, "postgres14": {"rds.force_ssl"}, "postgres15": set(), "postgres17": set(),
		"mysql5.7": {"require_secure_transport", "tls_version"}, "mysql8.0": {"require_secure_transport"},
		"mariadb10.11": {"require_secure_transport"}, "sqlserver-ex-16.0": {"rds.force_ssl"}, "db2-ae-11.5": {"db2comm"},
		"oracle-ee-19": set(), "redshift-1.0": {"require_ssl"}, "redshift-2.0": set(), "docdb5.0": set(), "neptune1.3": set(),
	} {
		lacking == {d.name | some d in tls.demanded("aws_db_parameter_group", family); not regex.match(d.secure, d["default"])}
	}
	every family, lacking in {
		"aurora5.6": {"require_secure_transport", "tls_version"}, "aurora-mysql8.0": {"require_secure_transport"},
		"aurora-postgresql16": {"rds.force_ssl"}, "aurora-postgresql17": set(),
	} {
		lacking == {d.name | some d in tls.demanded("aws_rds_cluster_parameter_group", family); not regex.match(d.secure, d["default"])}
		count(tls.demanded("aws_db_parameter_group", family)) == 0
	}
}

# A plan with one resource.
changed(type, after) := {"resource_changes": [{
	"address": concat(".", [type, "x"]), "mode": "managed", "type": type, "name": "x",
	"change": {"actions": ["create"], "after_unknown": {}, "after_sensitive": {}, "after": after},
}]}

test_imported_resources_block if {
	plan_ := json.patch(changed("aws_dax_cluster", {"cluster_endpoint_encryption_type": "NONE"}), [
		{"op": "replace", "path": "/resource_changes/0/change/actions", "value": ["no-op"]},
		{"op": "add", "path": "/resource_changes/0/change/importing", "value": {"id": "x"}},
	])
	count(tls.deny) == 1 with input as plan_
}

test_sensitive_values_are_not_shown if {
	plan_ := json.patch(changed("aws_glue_connection", {"connection_type": "JDBC", "connection_properties": {"JDBC_ENFORCE_SSL": "off"}}), [{
		"op": "add", "path": "/resource_changes/0/change/after_sensitive/connection_properties", "value": true,
	}])
	some f in tls.warn with input as plan_
	contains(f.msg, "is sensitive,")
}

test_passwords_in_addresses_are_not_shown if {
	plan_ := changed("aws_cloudwatch_event_api_destination", {"invocation_endpoint": "HTTP://user:not-a-secret@example.com"})
	some f in tls.deny with input as plan_
	contains(f.msg, "is HTTP://,")
}

test_invalid_documents_do_no_harm if {
	count(tls.judged) == 1 with input as changed("aws_s3_bucket_policy", {"policy": "no JSON"})
	count(tls.deny) == 1 with input as changed("aws_s3_bucket_policy", {"policy": "no JSON"})
	count(tls.deny) == 1 with input as changed("aws_emr_security_configuration", {"configuration": "no JSON"})
	every condition in ["word", ["word"], {"Bool": "word"}, {"Bool": ["word"]}, {"Bool": {"aws:SecureTransport": {"a": 1}}}, null] {
		statement := {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": condition}
		count(tls.deny) == 1 with input as changed("aws_s3_bucket_policy", {"policy": json.marshal({"Statement": [statement, "word"]})})
	}
}

origin := {"resource_changes": [{
	"address": "aws_cloudfront_distribution.x", "mode": "managed", "type": "aws_cloudfront_distribution",
	"change": {"actions": ["create"], "after_unknown": {}, "after": {"origin": [{"custom_origin_config": [{
		"origin_protocol_policy": "http-only", "origin_ssl_protocols": ["TLSv1.2"],
	}]}]}},
}]}

test_origins_can_be_left_alone if {
	count(tls.deny) == 1 with input as origin
	count(tls.deny) == 0 with input as origin with data.plan.tls.parameters.judge_origins as false
}

# What the built-in parameters let pass can be demanded.
test_more_can_be_demanded if {
	strict := data.testdata.tls.strict
	found := {f.rule | some f in tls.warn} with input as strict with data.plan.tls.parameters as strict.parameters
	found == {"bucket-policy", "database"}
	built_in := {f.rule | some f in tls.warn; f.rule == "database"} with input as strict
	built_in == set()
}

test_policies_with_unknown_versions_are_undetermined if {
	listed := changed("aws_load_balancer_policy", {
		"policy_type_name": "SSLNegotiationPolicyType",
		"policy_attribute": [{"name": "Protocol-TLSv1.2", "value": "true"}, {"name": "Protocol-TLSv1"}],
	})
	some f in tls.deny with input as listed
	f.verdict == "undetermined"
}

test_the_path_in_a_document_is_named if {
	off := json.marshal({"EncryptionConfiguration": {"EnableInTransitEncryption": false}})
	messages == {"EncryptionConfiguration.EnableInTransitEncryption in configuration is false, so data crosses the network unencrypted."} with input as changed("aws_emr_security_configuration", {"configuration": off})
	messages == {"EncryptionConfiguration.EnableInTransitEncryption in configuration is not set, so data crosses the network unencrypted."} with input as changed("aws_emr_security_configuration", {"configuration": "{}"})
}

messages contains f.msg if some f in tls.deny

parameter_group(parameters) := changed("aws_rds_cluster_parameter_group", {"family": "aurora-postgresql16", "parameter": parameters})

# Terraform plans what is written twice, though AWS may refuse it later. The worst of it counts.
test_parameters_that_are_set_twice if {
	off := {"name": "rds.force_ssl", "value": "0"}
	on := {"name": "rds.force_ssl", "value": "1"}
	later := {"name": "rds.force_ssl"}
	every parameters, attribute in {[off, off, later]: "parameter[0].value", [on, later, later]: "parameter[1].value", [on, later, off]: "parameter[2].value"} {
		{f.attribute | some f in tls.warn} == {attribute} with input as parameter_group(parameters)
	}
	count(tls.warn) == 0 with input as parameter_group([on, on])
}

reference(names) := changed("aws_load_balancer_policy", {
	"policy_type_name": "SSLNegotiationPolicyType",
	"policy_attribute": [{"name": "Reference-Security-Policy", "value": name} | some name in names],
})

test_policies_with_two_references if {
	every names in [["ELBSecurityPolicy-2015-05", "ELBSecurityPolicy-2016-08"], ["ELBSecurityPolicy-Future-2031-01", "ELBSecurityPolicy-2016-08"]] {
		[object.get(f, "verdict", "fail") | some f in tls.deny] == ["fail"] with input as reference(names)
	}
	[f.verdict | some f in tls.deny] == ["undetermined"] with input as reference(["ELBSecurityPolicy-Future-2031-01", "ELBSecurityPolicy-Future-2032-01"])
	count(tls.deny) == 0 with input as reference(["ELBSecurityPolicy-TLS-1-2-2017-01", "ELBSecurityPolicy-TLS-1-2-2017-01"])
}

# A classic load balancer and policies for its port.
attached(attributes) := {"resource_changes": array.concat(
	[resource("aws_elb", "x", {"id": "lb", "name": "lb", "listener": [{"lb_protocol": "https", "lb_port": 443}]})],
	[resource("aws_lb_ssl_negotiation_policy", sprintf("p%d", [i]), {"load_balancer": "lb", "lb_port": 443, "attribute": [attribute]}) |
		some i, attribute in attributes
	],
)}

resource(type, name, after) := {
	"address": sprintf("%s.%s", [type, name]), "mode": "managed", "type": type, "name": name,
	"change": {"actions": ["create"], "after": after, "after_unknown": {}},
}

listener_verdicts := [object.get(f, "verdict", "fail") | some f in tls.deny; f.rule == "classic-listener"]

test_listeners_with_two_policies if {
	old := {"name": "Protocol-TLSv1", "value": "true"}
	good := {"name": "Protocol-TLSv1.2", "value": "true"}
	open := {"name": "Protocol-TLSv1"}
	every verdict, several in {"fail": [[old, old], [open, old], [good, old]], "undetermined": [[open, open], [good, open]]} {
		every attributes in several {
			listener_verdicts == [verdict] with input as attached(attributes)
		}
	}
	listener_verdicts == [] with input as attached([good, good])
}

# What must be found in each of these plans is written in their code, and tested in fixtures_test.go.
test_fixtures if {
	every plan_ in data.testdata.tls {
		count(tls.judged) * count(tls.deny | tls.warn) > 0 with input as plan_
	}
}
