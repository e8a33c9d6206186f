package plan.tls_test

import data.plan.tls

test_policy_names if {
	every name in [
		"ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-TLS13-1-3-PQ-FIPS-2025-09",
		"ELBSecurityPolicy-TLS-1-2-Ext-2018-06", "ELBSecurityPolicy-FS-1-2-2019-08",
		"Policy-Min-TLS-1-2-PFS-2023-10", "TLSv1.2_2021", "TLSv1.3_2025", "TLS_1_2",
		"SecurityPolicy_TLS13_1_3_2025_09", "IoTSecurityPolicy_TLS13_1_2_2022_10",
	] {
		tls.modern(name)
		not tls.outdated(name)
	}
	every name in [
		"ELBSecurityPolicy-TLS13-1-0-2021-06", "ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-FS-2018-06",
		"ELBSecurityPolicy-TLS-1-1-2017-01", "Policy-Min-TLS-1-0-2019-07", "SSLv3", "TLSv1", "TLSv1_2016",
		"TLSv1.1_2016", "TLS_1_0", "IoTSecurityPolicy_TLS12_1_0_2016_01",
	] {
		tls.outdated(name)
		not tls.modern(name)
	}
}

test_unknown_names_are_neither if {
	every name in ["", "ELBSecurityPolicy-Future-2031-01", "xELBSecurityPolicy-TLS-1-2-2017-01", "TLSv1.20"] {
		not tls.modern(name)
		not tls.outdated(name)
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

# What must be found in each of these plans is written in their code, and tested in fixtures_test.go.
test_fixtures if {
	every plan_ in data.testdata.tls {
		count(tls.judged) * count(tls.deny | tls.warn) > 0 with input as plan_
	}
}
