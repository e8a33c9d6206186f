// Package change is the vocabulary of Tollgate and its pure state machines: what a pull request,
// a plan, a finding and an execution are, and which step may follow which. It knows no clock, no
// I/O and no vendor's types, so that every other package may speak it.
package change

import "time"

// Repo is a repository as GitHub knows it. ID is its identity; Owner and Name may change and
// serve only to address it.
type Repo struct {
	ID             int64  `json:"id"`
	InstallationID int64  `json:"installation_id"`
	Owner          string `json:"owner"`
	Name           string `json:"name"`
}

// FullName is "owner/name".
func (r Repo) FullName() string { return r.Owner + "/" + r.Name }

// User is an account. ID is its identity: a login can be renamed and registered again by another.
type User struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Bot   bool   `json:"bot,omitempty"`
}

// Pull is what GitHub said of a pull request at one moment.
type Pull struct {
	Repo     Repo      `json:"repo"`
	Number   int       `json:"number"`
	Title    string    `json:"title"`
	URL      string    `json:"url"`
	Author   User      `json:"author"`
	Open     bool      `json:"open"`
	Draft    bool      `json:"draft"`
	Fork     bool      `json:"fork"` // the head lies in another repository
	Merged   bool      `json:"merged"`
	MergedBy User      `json:"merged_by"`
	MergedAt time.Time `json:"merged_at"`
	HeadSHA  string    `json:"head_sha"`
	HeadRef  string    `json:"head_ref"`
	BaseRef  string    `json:"base_ref"`
	// DefaultRef is the repository's default branch.
	DefaultRef string `json:"default_ref"`
	// MergeSHA is the commit on the base branch that a merged pull request became.
	MergeSHA string `json:"merge_sha"`
	Commits  int    `json:"commits"` // how many commits GitHub counts, to detect a truncated list
	// UpdatedAt grows with every change, so that an old answer is told from a new one.
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// Permission is a person's access to a repository as GitHub's API names it.
type Permission string

// CanWrite reports whether the permission allows commands and approvals.
func (p Permission) CanWrite() bool { return p == "write" || p == "maintain" || p == "admin" }

// Review is one review of a pull request.
type Review struct {
	ID          int64      `json:"id"`
	Author      User       `json:"author"`
	State       string     `json:"state"` // approved, changes_requested, commented, dismissed, pending
	CommitSHA   string     `json:"commit_sha"`
	SubmittedAt time.Time  `json:"submitted_at"`
	Permission  Permission `json:"permission"` // of the author, asked when the facts were read
}

// Commit is one commit of a pull request, with the accounts that GitHub knows for its e-mail
// addresses. An account with ID 0 means that GitHub knows none.
type Commit struct {
	SHA       string `json:"sha"`
	Author    User   `json:"author"`
	Committer User   `json:"committer"`
	CoAuthors []User `json:"co_authors"` // by the trailers of its message
}

// Team is a team whose word counts, as GitHub knew it at one moment.
type Team struct {
	Name    string  `json:"name"`    // "org/team" in lower case
	Members []int64 `json:"members"` // those of its members who approved
	Problem string  `json:"problem"` // why nobody can approve for it; empty: somebody can
}

// People are who has a say beside the reviewers, as GitHub knew them at one moment.
type People struct {
	LastPushers []User `json:"last_pushers"`
	Teams       []Team `json:"teams"`
}

// Glass is the word of two people that one apply may go without approvals.
type Glass struct {
	AskedBy     User      `json:"asked_by"`
	ConfirmedBy User      `json:"confirmed_by"` // ID 0 until somebody has
	Reason      string    `json:"reason"`
	AskedAt     time.Time `json:"asked_at"`
	Issue       int       `json:"issue"` // that tells everybody of it
}

// GlassBox is how long after the asking a broken glass may be confirmed and one apply may start.
const GlassBox = 15 * time.Minute

// Until is the end of its box.
func (g Glass) Until() time.Time { return g.AskedAt.Add(GlassBox) }

// Project is a Terraform root module that Tollgate plans and applies.
type Project struct {
	Name        string   `json:"name"`
	Dir         string   `json:"dir"` // slash-separated, relative to the repository's root; "." is the root
	Workspace   string   `json:"workspace"`
	Engine      string   `json:"engine"` // terraform or opentofu
	DependsOn   []string `json:"depends_on,omitempty"`
	Environment string   `json:"environment"` // GitHub deployment environment
}

// Verdict is what a policy says of one resource.
type Verdict string

// The four verdicts. Undetermined means that the value is known only after the apply; it is never a pass.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Undetermined Verdict = "undetermined"
	Waived       Verdict = "waived"
)

// Severity says whether a finding blocks.
type Severity string

// A finding of severity Deny blocks unless it passes or is waived; one of severity Warn is only shown.
const (
	Deny Severity = "deny"
	Warn Severity = "warn"
)

// Finding is one statement of one policy about one resource. The JSON names are part of the
// product's fixed interface.
type Finding struct {
	Policy      string   `json:"policy"`  // package, such as plan.tls
	Rule        string   `json:"rule"`    // rule id inside the package
	Address     string   `json:"address"` // full resource address with modules and keys; empty for the plan as a whole
	Verdict     Verdict  `json:"verdict"`
	Was         Verdict  `json:"was,omitempty"` // the verdict before a waiver
	Severity    Severity `json:"severity"`
	Message     string   `json:"message"`
	File        string   `json:"file,omitempty"` // slash-separated, relative to the repository's root
	Line        int      `json:"line,omitempty"` // 1-based
	EndLine     int      `json:"-"`
	Attribute   string   `json:"attribute,omitempty"`   // path in the resource, such as network_configuration[0].assign_public_ip
	Remediation string   `json:"remediation,omitempty"` // what to write instead
	Reference   string   `json:"reference,omitempty"`   // the requirement or document behind the rule
	NoOp        bool     `json:"no_op,omitempty"`       // the plan does not touch the resource
	IfTouched   Severity `json:"if_touched,omitempty"`  // with NoOp: the severity that it would have if the plan did
}

// Blocks reports whether the finding keeps the change from being applied.
func (f Finding) Blocks() bool {
	return f.Severity == Deny && f.Verdict != Pass && f.Verdict != Waived
}

// Action is what the plan does to one resource.
type Action string

// The actions, in the order in which a reviewer must see them.
const (
	Delete  Action = "delete"
	Replace Action = "replace"
	Forget  Action = "forget"
	Create  Action = "create"
	Update  Action = "update"
	Read    Action = "read"
	NoOp    Action = "no-op"
)

// ResourceChange is one resource of a plan that changes, moves or is imported.
type ResourceChange struct {
	Address         string   `json:"address"`
	PreviousAddress string   `json:"previous_address,omitempty"` // set when the resource moves
	Type            string   `json:"type"`
	Action          Action   `json:"action"`
	Importing       bool     `json:"importing,omitempty"`
	Attributes      []string `json:"attributes,omitempty"`     // top-level attributes that change, sorted
	ForcesReplace   []string `json:"forces_replace,omitempty"` // attributes that force the replacement
}

// Counts are exact numbers taken from the plan's JSON, never from Terraform's text, which does
// not count forgets. Moves and imports are counted beside the action of the same resource.
type Counts struct {
	Create  int `json:"create"`
	Update  int `json:"update"`
	Replace int `json:"replace"`
	Delete  int `json:"delete"`
	Forget  int `json:"forget"`
	Import  int `json:"import"`
	Move    int `json:"move"`
	Outputs int `json:"outputs"` // root outputs that change
}

// Empty reports whether applying the plan would change nothing at all.
func (c Counts) Empty() bool { return c == Counts{} }

// PlanSummary is what the rest of the product needs to know of a plan. It holds no attribute
// values, so it is not a secret.
type PlanSummary struct {
	Counts  Counts           `json:"counts"`
	Changes []ResourceChange `json:"changes"` // most dangerous first, then by address
	// EffectDigest is "sha256:…" over the normalised effect: two plans with the same digest do the same.
	EffectDigest     string `json:"effect_digest"`
	TerraformVersion string `json:"terraform_version"`
	// State is the state that the plan was made on, and LockDigest the lock file that its providers
	// were held against, "sha256:…" or empty if there is none.
	State      StateVersion `json:"state"`
	LockDigest string       `json:"lock_digest,omitempty"`
}

// StateVersion tells one Terraform state from every other, also from what it was before. It is
// empty for a state that does not exist yet.
type StateVersion struct {
	Lineage string `json:"lineage"`
	Serial  int64  `json:"serial"`
}

// Execution is one consumption of one approved plan.
type Execution struct {
	ID        string         `json:"id"`
	PlanID    string         `json:"plan_id"`
	Project   Project        `json:"project"`
	State     ExecutionState `json:"state"`
	Trigger   string         `json:"trigger"` // merge, comment or button
	Actor     User           `json:"actor"`
	CommitSHA string         `json:"commit_sha"` // the commit whose tree is applied
	Reason    string         `json:"reason,omitempty"`
}
