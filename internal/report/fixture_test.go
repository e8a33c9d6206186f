package report_test

import (
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/report"
)

const (
	headSHA = "4be1c0ffee4be1c0ffee4be1c0ffee4be1c0ffee"
	baseSHA = "0ddba110ddba110ddba110ddba110ddba110ddba"
	policy  = "sha256:9f2c5a3e8b7d6c5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e0d9c8b7a6f5e4d3c2b1a"
	address = "https://tollgate.example/runs/5f0c"
)

func pull() change.Pull {
	return change.Pull{
		Repo:    change.Repo{ID: 1, Owner: "acme", Name: "payments"},
		Number:  7,
		Title:   "Open the fraud service",
		URL:     "https://github.com/acme/payments/pull/7",
		Author:  change.User{ID: 3, Login: "ada"},
		Open:    true,
		HeadSHA: headSHA,
		BaseRef: "main",
	}
}

func project(name string) change.Project {
	return change.Project{Name: name, Dir: "infrastructure/" + name, Workspace: "default", Engine: "terraform", Environment: "production"}
}

// passed is a plan that is allowed and waits for an approval.
func passed() report.Plan {
	return report.Plan{
		Pull:    pull(),
		Project: project("payments"),
		State:   change.RunPassed,
		HeadSHA: headSHA,
		BaseSHA: baseSHA,
		Summary: change.PlanSummary{
			Counts: change.Counts{Create: 2, Update: 1, Outputs: 1},
			Changes: []change.ResourceChange{
				{Address: "aws_cloudwatch_log_group.fraud", Type: "aws_cloudwatch_log_group", Action: change.Create},
				{Address: `module.service["fraud-detection"].aws_ecs_service.this`, Type: "aws_ecs_service", Action: change.Create},
				{Address: "aws_lb_listener.https", Type: "aws_lb_listener", Action: change.Update, Attributes: []string{"ssl_policy", "tags"}},
			},
			EffectDigest:     "sha256:77",
			TerraformVersion: "1.11.4",
		},
		Judged:       148,
		Text:         planText,
		Requirements: []report.Requirement{{Text: "Every policy passes", Met: true}, {Text: "One approval by someone other than @ada, who wrote it"}},
		PolicyDigest: policy,
		ID:           "77c0ffee",
		ExternalID:   "plan-1",
		DetailsURL:   address,
		Elapsed:      12300 * time.Millisecond,
	}
}

const planText = `
Terraform used the selected providers to generate the following execution
plan. Resource actions are indicated with the following symbols:
  + create
  ~ update in-place
-/+ destroy and then create replacement

Terraform will perform the following actions:

  # aws_cloudwatch_log_group.fraud will be created
  + resource "aws_cloudwatch_log_group" "fraud" {
      + name              = "/payment/fraud-detection"
      + retention_in_days = 30
    }

  # terraform_data.routes will be updated in-place
  ~ resource "terraform_data" "routes" {
      ~ input  = {
          ~ yaml = <<-EOT
                routes:
                  - path: /pay
                - top
              - - path: /old
              + - path: /new
            EOT
        }
    }

Plan: 1 to add, 1 to change, 0 to destroy.
`

// denied breaks all four policies, in modules, with many instances, and destroys and replaces.
func denied() report.Plan {
	p := passed()
	p.State = change.RunFailed
	p.Summary.Counts = change.Counts{Delete: 1, Replace: 1, Forget: 1, Create: 2, Update: 1, Import: 1, Move: 1}
	p.Summary.Changes = append([]change.ResourceChange{
		{Address: "aws_db_instance.ledger", Type: "aws_db_instance", Action: change.Delete},
		{Address: "aws_lb.this", Type: "aws_lb", Action: change.Replace, ForcesReplace: []string{"name", "subnets"}},
		{Address: "aws_s3_bucket.archive", Type: "aws_s3_bucket", Action: change.Forget},
		{Address: "aws_ecs_cluster.this", Type: "aws_ecs_cluster", Action: change.NoOp, PreviousAddress: "aws_ecs_cluster.main", Importing: true},
	}, p.Summary.Changes...)
	p.Findings = findings()
	p.Requirements = []report.Requirement{
		{Text: "Every policy passes"},
		{Text: "One approval by someone other than @ada, who wrote it", Met: true},
	}
	return p
}

func findings() []change.Finding {
	var fs []change.Finding
	for _, s := range []string{"payment-api", "fraud-detection", "notification-service"} {
		fs = append(fs, change.Finding{
			Policy: "plan.private_subnets", Rule: "public_address", Address: `module.service["` + s + `"].aws_ecs_service.this`,
			Verdict: change.Fail, Severity: change.Deny, Message: "Tasks of this service get a public address.",
			File: "infrastructure/modules/service/main.tf", Line: 42, EndLine: 42,
			Remediation: "Set `assign_public_ip = false`; the NAT gateway is the way out.",
			Reference:   "PCI DSS 4.0.1, 1.4.1",
		})
	}
	return append(fs,
		change.Finding{
			Policy: "plan.tls", Rule: "minimum_version", Address: "aws_lb_listener.https", Verdict: change.Fail, Severity: change.Deny,
			Message: "The listener accepts TLS 1.0 (`ELBSecurityPolicy-2016-08`).", File: "infrastructure/alb.tf", Line: 18, EndLine: 20,
			Remediation: "Use ELBSecurityPolicy-TLS13-1-2-2021-06.", Reference: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/create-https-listener.html",
		},
		change.Finding{
			Policy: "plan.log_retention", Rule: "thirty_days", Address: "aws_cloudwatch_log_group.fraud", Verdict: change.Undetermined, Severity: change.Deny,
			Message: "The retention is known only after the apply.", File: "infrastructure/logs.tf", Line: 5,
		},
		change.Finding{
			Policy: "plan.required_tags", Rule: "missing", Address: "aws_ecs_service.legacy", Verdict: change.Fail, Severity: change.Warn,
			Message: "CostCenter is missing.", File: "infrastructure/legacy.tf", Line: 3, NoOp: true,
		},
		change.Finding{
			Policy: "plan.required_tags", Rule: "spelling", Address: "aws_ecs_service.new", Verdict: change.Fail, Severity: change.Warn,
			Message: "The tag is written costcenter.", File: "infrastructure/new.tf", Line: 9,
		},
		change.Finding{
			Policy: "plan.tls", Rule: "redirect", Address: "aws_lb_listener.http", Verdict: change.Waived, Severity: change.Deny,
			Message: "Port 80 answers instead of redirecting. Waived until 2027-03-31 by @acme/edge: Old terminals cannot follow a redirect.", File: "infrastructure/alb.tf", Line: 40,
		},
		change.Finding{
			Policy: "plan.tls", Rule: "minimum_version", Address: "aws_lb_listener.other", Verdict: change.Pass, Severity: change.Deny,
			Message: "TLS 1.2 or newer.", File: "infrastructure/alb.tf", Line: 60,
		})
}

func errored() report.Plan {
	p := passed()
	p.State, p.Project = change.RunErrored, project("edge")
	p.Summary = change.PlanSummary{}
	p.Text, p.Judged, p.PolicyDigest, p.ID = "", 0, "", ""
	p.Fault = fault.New("Terraform could not read the configuration of `infrastructure/edge`.", "Without a plan there is nothing to judge.", "Correct the file and push.")
	p.Excerpt = "Error: Invalid expression\n\n  on main.tf line 3, in resource \"aws_lb\" \"this\":\n   3:   name = \n\nExpected the start of an expression, but found an invalid expression token."
	return p
}

func apply(state change.ExecutionState) report.Apply {
	return report.Apply{
		Execution: change.Execution{
			ID: "0f1e2d3c", PlanID: "77c0ffee", Project: project("payments"), State: state, Trigger: "merge",
			Actor: change.User{ID: 4, Login: "grace"}, CommitSHA: baseSHA,
		},
		HeadSHA:    headSHA,
		Summary:    passed().Summary,
		Tail:       "aws_lb_listener.https: Modifying...\naws_lb_listener.https: Modifications complete after 1s\n\nApply complete! Resources: 2 added, 1 changed, 0 destroyed.\n",
		ExternalID: "apply-1",
		DetailsURL: "https://tollgate.example/executions/0f1e",
		Elapsed:    83 * time.Second,
	}
}

func gate(state change.RunState, plans ...report.Plan) report.Pull {
	return report.Pull{Pull: pull(), State: state, Plans: plans, ExternalID: "gate-1", DetailsURL: address}
}
