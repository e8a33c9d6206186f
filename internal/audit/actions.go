package audit

// The actions that rows tell of. A command that was refused has its own name, such as apply.
const (
	ActionApply       = "apply"             // a plan may be applied, and is consumed; or may not
	ActionApplyStart  = "apply.start"       // Terraform runs
	ActionApplyEnd    = "apply.end"         // Terraform has ended, or nobody knows
	ActionApplyProof  = "apply.proof"       // what a second plan showed
	ActionUnlock      = "unlock"            // a project is free again after an unknown outcome
	ActionCancel      = "cancel"            // plans, and requests that waited, were stopped
	ActionPlan        = "plan"              // somebody asked for a plan
	ActionPlanFork    = "plan.fork"         // code from outside may be planned
	ActionVerdict     = "plan.verdict"      // what the policies said of a commit
	ActionWebhook     = "webhook"           // deliveries that were refused or came again
	ActionServerStart = "server.start"      // from here on the ledger is written
	ActionServerStop  = "server.stop"       // until here
	ActionSchema      = "schema.upgrade"    // the database is of a newer version
	ActionExport      = "audit.export"      // somebody read the ledger
	ActionShow        = "audit.show"        // somebody read a part of it
	ActionRestored    = "audit.restored"    // the database is older than its anchor
	ActionAcknowledge = "audit.acknowledge" // a person accepted that
)
